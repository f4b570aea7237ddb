#include "base/core/alloc.h"
#include "tests/kit/device_compare.h"
#include "tests/kit/device_packing.h"

#define MAX_OPS 16

typedef struct packed_op {
    volt_op *op;
    float *weights;
    suite_block alone, together;
} packed_op;

static volt_tensor tensor(int64_t n, int64_t c, int64_t edge, volt_dtype dtype)
{
    const int64_t extent[5] = {n, c, edge, edge, edge};

    return volt_tensor_make(extent, dtype, VOLT_NATIVE);
}

/* Forward pass and data gradient of a convolution, or of a transposed one, that takes an edge
 * of `edge` to one of `to`. */
static void specs(volt_op_spec out[2], const volt_conv *conv, bool transposed, int64_t n,
                  int64_t ic, int64_t oc, int64_t edge, int64_t to, volt_dtype dtype)
{
    const int64_t *k = conv->kernel;
    const int64_t extent[5] = {transposed ? ic : oc, transposed ? oc : ic, k[0], k[1], k[2]};
    const volt_tensor w = volt_tensor_make(extent, VOLT_F32, VOLT_PLAIN);
    const volt_tensor src = tensor(n, ic, edge, dtype), dst = tensor(n, oc, to, dtype);

    out[0] = (volt_op_spec){.kind = transposed ? VOLT_OP_TCONV_FWD : VOLT_OP_CONV_FWD,
                            .tensor = {src, w, {0}, dst},
                            .conv = *conv,
                            .threads = 2};
    out[1] = (volt_op_spec){.kind = transposed ? VOLT_OP_TCONV_BWD_DATA : VOLT_OP_CONV_BWD_DATA,
                            .tensor = {src, w, dst},
                            .conv = *conv,
                            .threads = 2};
}

static void check_forms(const packed_op *a, const packed_op *b)
{
    if (!suite_device->op_same_form(a->op, b->op))
        return;
    assert_true(suite_device->op_same_form(b->op, a->op));
    assert_int_equal(a->alone.bytes, b->alone.bytes);
    assert_memory_equal(a->alone.data, b->alone.data, a->alone.bytes);
    suite_comparisons++;
}

/* Operators on the same weights: packed one by one and, on devices that can, in one call; those
 * of one form alike. */
static void pack_all(const volt_op_spec *spec, int count)
{
    const volt_tensor *w = &spec[0].tensor[1];
    const int64_t values = volt_tensor_elements(w);
    float *weights = suite_floats(values);
    packed_op ops[MAX_OPS];
    volt_pack packs[MAX_OPS];
    int n = 0;

    suite_fill_normal(weights, values, VOLT_F32);
    for (int i = 0; i < count; i++) {
        packed_op *o = &ops[n];
        volt_op_info info;
        const volt_status st = suite_device->op_create(suite_device, &o->op, &spec[i]);

        if (st == VOLT_ENOTSUP) {
            suite_unsupported++;
            continue;
        }
        assert_ok(st);
        suite_device->op_info(o->op, &info);
        o->alone = suite_alloc(info.packed_bytes, 0);
        o->together = suite_alloc(info.packed_bytes, 0);
        assert_ok(suite_device->op_pack(o->op, o->alone.data, weights, NULL));
        packs[n++] = (volt_pack){o->op, o->together.data, weights};
    }
    if (suite_device->op_pack_many)
        assert_ok(suite_device->op_pack_many(suite_device, packs, n, NULL));
    for (int i = 0; i < n; i++) {
        suite_check_guards(&ops[i].alone, "op_pack", i);
        suite_check_guards(&ops[i].together, "op_pack_many", i);
        if (suite_device->op_pack_many)
            assert_memory_equal(ops[i].alone.data, ops[i].together.data, ops[i].alone.bytes);
        assert_true(suite_device->op_same_form(ops[i].op, ops[i].op));
        for (int j = 0; j < i; j++)
            check_forms(&ops[i], &ops[j]);
    }
    for (int i = 0; i < n; i++) {
        suite_device->op_free(ops[i].op);
        volt_free(ops[i].alone.base);
        volt_free(ops[i].together.base);
    }
    volt_free(weights);
}

static void packing(volt_dtype dtype)
{
    static const int64_t channels[][2] = {{16, 32}, {40, 24}, {3, 5}};
    const volt_conv same = {
        .kernel = {3, 3, 3}, .stride = {1, 1, 1}, .pad_low = {1, 1, 1}, .pad_high = {1, 1, 1}};
    const volt_conv half = {
        .kernel = {3, 3, 3}, .stride = {2, 2, 2}, .pad_low = {1, 1, 1}, .pad_high = {1, 1, 1}};
    const volt_conv twice = {.kernel = {2, 2, 2}, .stride = {2, 2, 2}};

    for (size_t i = 0; i < COUNT_OF(channels); i++) {
        const int64_t ic = channels[i][0], oc = channels[i][1];
        volt_op_spec s[8];

        specs(s, &same, false, 1, ic, oc, 16, 16, dtype); /* Winograd on the CPU */
        specs(s + 2, &same, false, 2, ic, oc, 16, 16, dtype);
        specs(s + 4, &same, false, 1, ic, oc, 4, 4, dtype);
        specs(s + 6, &half, false, 2, ic, oc, 8, 4, dtype);
        pack_all(s, 8);
        specs(s, &twice, true, 1, ic, oc, 4, 8, dtype);
        specs(s + 2, &twice, true, 2, ic, oc, 2, 4, dtype);
        pack_all(s, 4);
    }
}

void packing_fp32(void **state)
{
    (void)state;
    packing(VOLT_F32);
}

void packing_bf16(void **state)
{
    (void)state;
    if (suite_device->supports(suite_device, VOLT_BF16_MIXED))
        packing(VOLT_BF16);
}
