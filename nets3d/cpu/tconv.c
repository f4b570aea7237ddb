#include "nets3d/cpu/tconv.h"

#include <string.h>

#include "nets3d/cpu/kernels.h"

cpu_tconv cpu_tconv_of(const volt_op *op)
{
    const volt_tensor *w = &op->spec.tensor[1];
    const bool data = op->spec.kind == VOLT_OP_TCONV_BWD_DATA;
    cpu_tconv t = {.taps = w->d * w->h * w->w, .stride = {w->d, w->h, w->w}};

    t.in = op->view[0];
    t.out = op->view[data ? 2 : 3];
    t.ic_blocks = t.in.blocks;
    t.oc_blocks = t.out.blocks;
    t.segments = data ? t.taps * t.oc_blocks : t.ic_blocks;
    t.vectors = data ? t.ic_blocks : t.taps * t.oc_blocks;
    return t;
}

int64_t cpu_tconv_tap(const cpu_tconv *t, int64_t block, int64_t tap)
{
    const int64_t x = tap % t->stride[2], y = tap / t->stride[2] % t->stride[1];
    const int64_t z = tap / t->stride[2] / t->stride[1];

    return z * t->out.plane_stride + y * t->out.row_stride + x * block;
}

/* Weight of vector `v`, lane `l` by segment `s`, lane `k`; 0 in the padding. */
static float weight_of(const volt_op *op, const cpu_tconv *t, const float *weights, int64_t v,
                       int64_t l, int64_t s, int64_t k)
{
    const int64_t block = op->ctx->block;
    const bool data = op->spec.kind == VOLT_OP_TCONV_BWD_DATA;
    const int64_t pair = data ? s : v; /* (tap, oc block) */
    const int64_t tap = pair / t->oc_blocks;
    const int64_t oc = pair % t->oc_blocks * block + (data ? k : l);
    const int64_t ic = data ? v * block + l : s * block + k;

    if (v >= t->vectors || ic >= t->in.c || oc >= t->out.c)
        return 0;
    return weights[(ic * t->out.c + oc) * t->taps + tap];
}

static uint16_t to_bf16(float x)
{
    uint32_t u;

    memcpy(&u, &x, sizeof u);
    if (x != x)
        return (uint16_t)((u | 0x400000) >> 16);
    return (uint16_t)((u + 0x7fff + ((u >> 16) & 1)) >> 16);
}

static void pack(const volt_op *op, void *packed, const float *weights)
{
    const cpu_tconv t = cpu_tconv_of(op);
    const int64_t b = op->ctx->block, pairs = (t.vectors + 1) / 2;
    const bool bf16 = t.in.bf16;

#pragma omp parallel for num_threads(op->spec.threads) schedule(static)
    for (int64_t i = 0; i < pairs * t.segments; i++) {
        const int64_t pair = i / t.segments, s = i % t.segments;
        for (int64_t k = 0; k < b; k++)
            for (int64_t half = 0; half < 2; half++)
                for (int64_t l = 0; l < b; l++) {
                    const float w = weight_of(op, &t, weights, pair * 2 + half, l, s, k);
                    const int64_t at = i * b * 2 * b;
                    if (bf16)
                        ((uint16_t *)packed)[at + (((k / 2) * 2 + half) * b + l) * 2 + k % 2] =
                            to_bf16(w);
                    else
                        ((float *)packed)[at + (k * 2 + half) * b + l] = w;
                }
    }
}

bool cpu_tconv_is_block(const volt_conv *c)
{
    for (int k = 0; k < 3; k++)
        if (c->kernel[k] != c->stride[k] || c->pad_low[k])
            return false;
    return true;
}

/* Parts of the voxels whose weight gradients are summed apart: more of them where the weights
 * are few. */
static int64_t slices_of(const cpu_tconv *t, int64_t weights)
{
    const int64_t by_work = t->in.n * t->in.voxels / 2048, by_size = (4 << 20) / weights;
    int64_t slices = by_work < by_size ? by_work : by_size;

    slices = slices > 16 ? 16 : slices;
    return slices < 1 ? 1 : slices;
}

volt_status cpu_tconv_create(volt_op *op)
{
    const cpu_tconv t = cpu_tconv_of(op);
    const cpu_kernels *k = op->ctx->kernels;
    const int64_t block = op->ctx->block;
    const int64_t weights = t.taps * t.ic_blocks * t.oc_blocks * block * block;

    if (t.in.plain || t.out.plain || t.in.bf16 != t.out.bf16)
        return volt_fail(VOLT_ENOTSUP, "cpu device: transposed convolution only in native "
                                       "layout");
    if (op->spec.kind == VOLT_OP_TCONV_BWD_WEIGHTS) {
        op->run = k->tconv_bwd_weights;
        op->info.kernel = "own tconv_bwd_weights";
        op->slices = slices_of(&t, weights);
        op->info.scratch_bytes =
            (size_t)(op->slices * (weights + t.oc_blocks * block)) * sizeof(float);
        return VOLT_OK;
    }
    const bool data = op->spec.kind == VOLT_OP_TCONV_BWD_DATA;
    op->run = data ? k->tconv_bwd_data : k->tconv_fwd;
    op->info.kernel = data ? "own tconv_bwd_data" : "own tconv_fwd";
    op->pack = pack;
    op->info.packed_bytes = (size_t)((t.vectors + 1) / 2 * 2 * t.segments * block * block) *
                            (t.in.bf16 ? sizeof(uint16_t) : sizeof(float));
    op->info.scratch_bytes = (size_t)t.segments * sizeof(int64_t);
    return VOLT_OK;
}
