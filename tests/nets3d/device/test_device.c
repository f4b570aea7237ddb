/* Devices by name and number, and what they refuse. */
#include "nets3d/device/device_internal.h"
#include "nets3d/precision.h"
#include "nets3d/program.h"
#include "tests/kit/test.h"

static void devices_have_names_and_numbers(void **state)
{
    static const char *const good[] = {"cpu", "cpu:0", "reference", "reference:0", "cpu:000"};
    static const struct {
        const char *name;
        volt_status status;
        const char *words;
    } bad[] = {{"cpu:1", VOLT_EINVAL, "cpu:1"},
               {"reference:7", VOLT_EINVAL, "reference:7"},
               {"cpu:", VOLT_EINVAL, "'cpu:'"},
               {"cpu:x", VOLT_EINVAL, "cpu:x"},
               {"cpu:-1", VOLT_EINVAL, "cpu:-1"},
               {"cpu:0 ", VOLT_EINVAL, "'cpu:0 '"},
               {"cpu:99999999999999999999", VOLT_EINVAL, "cpu:9999"},
               {"cpu0", VOLT_EINVAL, "cpu0"},
               {"", VOLT_EINVAL, "''"},
               {"abacus:0", VOLT_EINVAL, "abacus:0"},
               {"cpu:00001", VOLT_EINVAL, "cpu:00001"},
               {"cpu:01", VOLT_EINVAL, "cpu:01"},
               {"CPU", VOLT_EINVAL, "'CPU'"},
               {"cudacpu", VOLT_EINVAL, "cudacpu"},
               {"cuda0", VOLT_ENOTSUP, "cuda0"},
               {"cuda", VOLT_ENOTSUP, "cuda"},
               {"CUDA:1", VOLT_ENOTSUP, "CUDA:1"}};

    char words[32];

    (void)state;
    volt_device_words(words, sizeof words, &(volt_device){.name = "cuda", .index = 1});
    assert_string_equal(words, "cuda:1");
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        volt_device *dev = NULL;
        assert_ok(volt_device_open(&dev, good[i]));
        assert_int_equal(dev->index, 0);
        volt_device_words(words, sizeof words, dev); /* however it was called */
        assert_string_equal(words, dev->name);
        assert_int_equal(strncmp(dev->name, good[i], strlen(dev->name)), 0);
        volt_device_close(dev);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        volt_device *dev = NULL;
        assert_fails(volt_device_open(&dev, bad[i].name), bad[i].status, bad[i].words);
        assert_null(dev);
    }
}

/* Both devices lack the precisions of GPUs, and programs say which. */
static void precisions_of_gpus_are_refused(void **state)
{
    static const char *const names[] = {"reference", "cpu"};
    const volt_conv one = {.kernel = {1, 1, 1}, .stride = {1, 1, 1}};
    volt_graph *g = NULL;
    volt_value v;

    (void)state;
    assert_ok(volt_graph_create(&g));
    assert_ok(volt_graph_input(g, &v, 1));
    assert_ok(volt_graph_conv(g, &v, v, "head", 2, &one, true));
    assert_ok(volt_graph_output(g, v));
    for (int i = 0; i < 2; i++) {
        volt_device *dev = NULL;
        assert_ok(volt_device_open(&dev, names[i]));
        for (volt_precision k = VOLT_FP16_MIXED; k <= VOLT_TF32; k++) {
            volt_program_options o = volt_program_defaults();
            volt_program *p = NULL;
            o.precision = k;
            o.extent[0] = o.extent[1] = o.extent[2] = 4;
            assert_false(dev->supports(dev, k));
            assert_fails(volt_program_create(&p, g, dev, &o), VOLT_ENOTSUP,
                         volt_precision_name(k));
            assert_non_null(strstr(volt_last_error(), "it has fp32")); /* what there is */
            assert_null(p);
        }
        volt_device_close(dev);
    }
    volt_graph_free(g);
}

/* The reference computes in float16, for GPUs to be compared with; the CPU says no. */
static void operators_of_halves(void **state)
{
    const uint16_t a[4] = {0x3c00, 0x0001, 0x7bff, 0xc000}, b[4] = {0x3c00, 0x0001, 0x7bff, 0};
    const uint16_t sum[4] = {0x4000, 0x0002, 0x7c00,
                             0xc000}; /* 2; a subnormal; too large; -2 */
    volt_op_spec spec = {.kind = VOLT_OP_ADD, .threads = 1};
    volt_device *dev = NULL;
    volt_op *op = NULL;
    uint16_t c[4];

    (void)state;
    for (int i = 0; i < 3; i++)
        spec.tensor[i] = volt_tensor_make((int64_t[]){1, 1, 1, 1, 4}, VOLT_F16, VOLT_NATIVE);
    assert_ok(volt_device_open(&dev, "reference"));
    assert_int_equal(dev->buffer_bytes(dev, &spec.tensor[0]), sizeof c);
    assert_ok(dev->op_create(dev, &op, &spec));
    assert_ok(dev->op_run(op, (void *[]){(void *)a, (void *)b, c}, NULL, NULL));
    assert_memory_equal(c, sum, sizeof c);
    dev->op_free(op);
    volt_device_close(dev);
    op = NULL;
    assert_ok(volt_device_open(&dev, "cpu"));
    for (spec.kind = VOLT_OP_ADD; spec.kind <= VOLT_OP_COPY; spec.kind++)
        assert_fails(dev->op_create(dev, &op, &spec), VOLT_ENOTSUP, "float16");
    assert_null(op);
    volt_device_close(dev);
}

/* In tf32 the reference rounds both factors of a convolution's products to 10 bits, ties to
 * even, and neither bias nor result. */
static void products_in_tf32(void **state)
{
    const float ulp = 1.0f / 1024;
    const float src[4] = {1 + ulp / 2, 1 + 1.5f * ulp, 1 + 0.75f * ulp, -3};
    const float weight = 1 + ulp / 4, bias = 1 + ulp / 32;
    const float want[4] = {1, 1 + 2 * ulp, 1 + ulp, -3};
    volt_op_spec spec = {.kind = VOLT_OP_CONV_FWD,
                         .conv = {.kernel = {1, 1, 1}, .stride = {1, 1, 1}},
                         .threads = 1};
    float packed, dst[4];
    double sums[2];
    volt_device *dev = NULL;

    (void)state;
    for (int i = 0; i < 4; i++)
        spec.tensor[i] =
            volt_tensor_make((int64_t[]){1, 1, 1, 1, i % 3 ? 1 : 4}, VOLT_F32, VOLT_PLAIN);
    spec.tensor[0].layout = spec.tensor[3].layout = VOLT_NATIVE;
    spec.tensor[4] = volt_tensor_make((int64_t[]){1, 1, 2, 1, 1}, VOLT_F64, VOLT_PLAIN);
    assert_ok(volt_device_open(&dev, "reference"));
    for (int tf32 = 0; tf32 < 2; tf32++) {
        double sum = 0;
        volt_op *op = NULL;
        spec.tf32 = tf32;
        assert_ok(dev->op_create(dev, &op, &spec));
        assert_ok(dev->op_pack(op, &packed, &weight, NULL));
        assert_ok(dev->op_run(
            op,
            (void *[]){(void *)(uintptr_t)src, &packed, (void *)(uintptr_t)&bias, dst, sums},
            NULL, NULL));
        for (int i = 0; i < 4; i++) {
            assert_true(dst[i] ==
                        (float)((tf32 ? want[i] : (double)src[i] * weight) + (double)bias));
            sum += dst[i];
        }
        assert_true(sums[0] == sum);
        dev->op_free(op);
    }
    volt_device_close(dev);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(devices_have_names_and_numbers),
        cmocka_unit_test(precisions_of_gpus_are_refused),
        cmocka_unit_test(operators_of_halves),
        cmocka_unit_test(products_in_tf32),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
