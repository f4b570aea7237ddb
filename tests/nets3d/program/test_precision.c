/* The choice of precision, against a device that only waits. */
#include "nets3d/device/device_internal.h"
#include "nets3d/program/precision.h"

#include <stdio.h>
#include "base/system/file.h"
#include "base/core/alloc.h"
#include "nets3d/models/unet.h"
#include "tests/kit/test.h"

#define CACHE     "precision-cache"
#define FILE_NAME CACHE "/precision.json"

struct volt_op {
    volt_dtype dtype;
};

static double wait_fp32, wait_bf16;
static int runs, has_bf16;

static bool fake_supports(const volt_device *dev, volt_precision precision)
{
    (void)dev;
    return precision == VOLT_FP32 || has_bf16;
}

static size_t fake_buffer_bytes(const volt_device *dev, const volt_tensor *t)
{
    (void)dev;
    return (size_t)volt_tensor_elements(t) * volt_dtype_bytes(t->dtype);
}

static volt_status fake_alloc(const volt_device *dev, void **out, size_t bytes,
                              const char *what)
{
    (void)dev;
    return volt_alloc(out, bytes, what);
}

static void fake_release(const volt_device *dev, void *p)
{
    (void)dev;
    volt_free(p);
}

static volt_status fake_upload(const volt_device *dev, void *dst, const void *src, size_t bytes,
                               volt_stream *stream)
{
    (void)stream;
    (void)dev;
    memcpy(dst, src, bytes);
    return VOLT_OK;
}

static volt_status fake_create(const volt_device *dev, volt_op **out, const volt_op_spec *spec)
{
    volt_op *op;
    volt_status st = volt_alloc(&op, sizeof *op, "a test");

    (void)dev;
    if (st == VOLT_OK) {
        op->dtype = spec->tensor[0].dtype;
        *out = op;
    }
    return st;
}

static void fake_info(const volt_op *op, volt_op_info *info)
{
    (void)op;
    *info = (volt_op_info){.kernel = "wait", .packed_bytes = 64};
}

static volt_status fake_pack(volt_op *op, void *packed, const float *weights,
                             volt_stream *stream)
{
    (void)stream;
    (void)op;
    (void)weights;
    memset(packed, 1, 64);
    return VOLT_OK;
}

static volt_status fake_run(volt_op *op, void *const *operands, void *scratch,
                            volt_stream *stream)
{
    (void)stream;
    const double end = volt_seconds() + (op->dtype == VOLT_BF16 ? wait_bf16 : wait_fp32);

    (void)scratch;
    assert_non_null(operands[0]);
    runs++;
    while (volt_seconds() < end)
        ;
    return VOLT_OK;
}

static void fake_free(volt_op *op)
{
    volt_free(op);
}

static const volt_device fake = {.name = "fake",
                                 .library = "none 1.0",
                                 .supports = fake_supports,
                                 .buffer_bytes = fake_buffer_bytes,
                                 .alloc = fake_alloc,
                                 .release = fake_release,
                                 .upload = fake_upload,
                                 .op_create = fake_create,
                                 .op_info = fake_info,
                                 .op_pack = fake_pack,
                                 .op_run = fake_run,
                                 .op_free = fake_free};

static volt_unet_spec spec = {.base = {.stages = 2,
                                       .in_channels = 1,
                                       .out_channels = 2,
                                       .features = {4, 8},
                                       .kernel = {{3, 3, 3}, {3, 3, 3}},
                                       .stride = {{1, 1, 1}, {2, 2, 2}}},
                              .convs_encoder = {1, 1},
                              .convs_decoder = {1}};

static const volt_network net = {.model = &volt_model_plain_unet, .spec = &spec};

/* Chooses and returns how many operators ran for it. */
static int choose(volt_precision *out, volt_precision asked, volt_mode mode, const char *cache)
{
    const volt_precision_query query = {.device = &fake,
                                        .net = &net,
                                        .patch = {16, 16, 16},
                                        .batch = 1,
                                        .mode = mode,
                                        .threads = 1,
                                        .cache = cache};
    const size_t before = volt_mem_current();

    runs = 0;
    assert_ok(volt_precision_choose(out, asked, &query, NULL));
    assert_int_equal(volt_mem_current(), before);
    return runs;
}

static void clear_cache(void)
{
    remove(FILE_NAME);
    remove(CACHE);
}

static void precisions_have_names(void **state)
{
    static const char *const names[] = {"auto", "fp32", "bf16", "fp16", "tf32"};
    volt_precision p = VOLT_FP32;

    (void)state;
    for (int i = 0; i < 5; i++) {
        assert_ok(volt_precision_parse(&p, names[i]));
        assert_string_equal(volt_precision_name(p), names[i]);
    }
    assert_fails(volt_precision_parse(&p, "fp8"), VOLT_EINVAL, "fp8");
    assert_int_equal(p, VOLT_TF32);
}

static void the_faster_is_measured_once(void **state)
{
    volt_precision p;

    (void)state;
    clear_cache();
    has_bf16 = 1;
    wait_fp32 = 2e-3;
    wait_bf16 = 5e-4;
    assert_int_equal(choose(&p, VOLT_PRECISION_AUTO, VOLT_INFER, CACHE), 8);
    assert_int_equal(p, VOLT_BF16_MIXED);
    wait_bf16 = 1; /* would be slower now, but is not asked again */
    assert_int_equal(choose(&p, VOLT_PRECISION_AUTO, VOLT_INFER, CACHE), 0);
    assert_int_equal(p, VOLT_BF16_MIXED);
    wait_bf16 = 4e-3; /* training is measured apart */
    assert_int_equal(choose(&p, VOLT_PRECISION_AUTO, VOLT_TRAIN, CACHE), 24);
    assert_int_equal(p, VOLT_FP32);
    assert_int_equal(choose(&p, VOLT_PRECISION_AUTO, VOLT_INFER, CACHE), 0);
}

static void an_unusable_cache_means_measuring(void **state)
{
    static const char *const contents[4] = {"", "{", "[1]", "{\"a\": {\"fp32_seconds\": -1}}"};
    volt_precision p;

    (void)state;
    has_bf16 = 1;
    wait_fp32 = 1e-4;
    wait_bf16 = 5e-4;
    for (int i = 0; i < 4; i++) {
        clear_cache();
        assert_ok(volt_make_dirs(CACHE));
        assert_ok(volt_write_file(FILE_NAME, contents[i], strlen(contents[i])));
        assert_int_equal(choose(&p, VOLT_PRECISION_AUTO, VOLT_INFER, CACHE), 8);
        assert_int_equal(p, VOLT_FP32);
        assert_int_equal(choose(&p, VOLT_PRECISION_AUTO, VOLT_INFER, CACHE), 0);
    }
    /* A folder that cannot be made: measured each time, but never a failure. */
    assert_int_equal(choose(&p, VOLT_PRECISION_AUTO, VOLT_INFER, FILE_NAME "/x"), 8);
    assert_int_equal(choose(&p, VOLT_PRECISION_AUTO, VOLT_INFER, FILE_NAME "/x"), 8);
    clear_cache();
}

static void what_is_asked_is_not_measured(void **state)
{
    const volt_precision_query query = {
        .device = &fake, .net = &net, .patch = {8, 8, 8}, .batch = 1, .mode = VOLT_INFER};
    volt_precision p;

    (void)state;
    has_bf16 = 1;
    assert_int_equal(choose(&p, VOLT_FP32, VOLT_INFER, CACHE), 0);
    assert_int_equal(p, VOLT_FP32);
    assert_int_equal(choose(&p, VOLT_BF16_MIXED, VOLT_INFER, CACHE), 0);
    assert_int_equal(p, VOLT_BF16_MIXED);
    has_bf16 = 0;
    assert_int_equal(choose(&p, VOLT_PRECISION_AUTO, VOLT_INFER, CACHE), 0);
    assert_int_equal(p, VOLT_FP32);
    assert_fails(volt_precision_choose(&p, VOLT_BF16_MIXED, &query, NULL), VOLT_ENOTSUP,
                 "bf16");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(precisions_have_names),
        cmocka_unit_test(the_faster_is_measured_once),
        cmocka_unit_test(an_unusable_cache_means_measuring),
        cmocka_unit_test(what_is_asked_is_not_measured),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
