#include "nets3d/cpu/ends.h"

#include <string.h>

#include "nets3d/cpu/kernels.h"

static int64_t up(int64_t x, int64_t to)
{
    return (x + to - 1) / to * to;
}

cpu_first cpu_first_of(const volt_op *op)
{
    const volt_tensor *w = &op->spec.tensor[1];
    const cpu_view *src = &op->view[0], *dst = &op->view[3];
    const volt_conv *c = &op->spec.conv;
    cpu_first f = {.ic = src->c, .kd = w->d, .kh = w->h, .kw = w->w};

    f.rows = (CPU_FIRST_ROWS - 1) * c->stride[1] + f.kh;
    f.pitch = (up(dst->w, CPU_FIRST_TILE) - 1) * c->stride[2] + f.kw;
    f.groups = dst->d * (up(dst->h, CPU_FIRST_ROWS) / CPU_FIRST_ROWS);
    f.pairs = up(dst->blocks, 2) / 2;
    f.stage_floats = (size_t)up(f.ic * f.kd * f.rows * f.pitch, 16);
    return f;
}

static void pack_first(const volt_op *op, void *packed, const float *weights)
{
    const cpu_first f = cpu_first_of(op);
    const int64_t block = op->ctx->block, taps = f.kd * f.kh * f.kw, oc = op->view[3].c;
    float *out = packed;

    for (int64_t pair = 0; pair < f.pairs; pair++)
        for (int64_t k = 0; k < f.ic * taps; k++)
            for (int64_t lane = 0; lane < 2 * block; lane++) {
                const int64_t o = pair * 2 * block + lane;
                *out++ = o < oc ? weights[o * f.ic * taps + k] : 0;
            }
}

static void pack_head(const volt_op *op, void *packed, const float *weights)
{
    const int64_t ic = op->view[0].c, oc = op->view[3].c;
    const int64_t padded = op->view[0].blocks * op->ctx->block;
    float *out = packed;

    for (int64_t four = 0; four < oc; four += 4)
        for (int64_t c = 0; c < padded; c++)
            for (int64_t o = four; o < four + 4; o++)
                *out++ = o < oc && c < ic ? weights[o * ic + c] : 0;
}

static void pack_head_data(const volt_op *op, void *packed, const float *weights)
{
    const int64_t ic = op->view[0].c, oc = op->view[2].c;
    const int64_t padded = op->view[0].blocks * op->ctx->block;

    for (int64_t o = 0; o < oc; o++)
        for (int64_t c = 0; c < padded; c++)
            ((float *)packed)[o * padded + c] = c < ic ? weights[o * ic + c] : 0;
}

static bool is_pointwise(const volt_op_spec *s)
{
    for (int k = 0; k < 3; k++)
        if (s->conv.kernel[k] != 1 || s->conv.stride[k] != 1 || s->conv.pad_low[k] ||
            s->conv.pad_high[k])
            return false;
    return true;
}

/* Three columns and rows of weights; the kernels are unrolled for those. */
static bool suits_first(const volt_op *op, const cpu_view *src, const cpu_view *dst)
{
    const volt_conv *c = &op->spec.conv;

    return src->plain && !dst->plain && src->c <= op->ctx->block / 2 && c->kernel[1] == 3 &&
           c->kernel[2] == 3 && c->stride[2] <= 2;
}

static bool suits_head(const volt_op *op, const cpu_view *src, const cpu_view *dst)
{
    return !src->plain && dst->plain && dst->c <= op->ctx->block && is_pointwise(&op->spec);
}

static void take(volt_op *op, const char *name, cpu_run run,
                 void (*pack)(const volt_op *, void *, const float *), int64_t packed_floats)
{
    op->info.kernel = name;
    op->run = run;
    op->pack = pack;
    op->info.packed_bytes = (size_t)packed_floats * sizeof(float);
}

static bool create_first(volt_op *op)
{
    const cpu_first f = cpu_first_of(op);
    const cpu_kernels *k = op->ctx->kernels;
    const int64_t weights = f.pairs * 2 * op->ctx->block * f.ic * f.kd * f.kh * f.kw;
    const size_t stage = f.stage_floats * sizeof(float);

    if (op->spec.kind == VOLT_OP_CONV_FWD) {
        take(op, "own first_fwd", k->first_fwd, pack_first, weights);
        op->info.scratch_bytes = (size_t)op->spec.threads * stage;
        return true;
    }
    if (op->spec.kind == VOLT_OP_CONV_BWD_DATA)
        return false;
    take(op, "own first_bwd_weights", k->first_bwd_weights, NULL, 0);
    op->slices = CPU_END_SLICES;
    op->info.scratch_bytes =
        (size_t)op->spec.threads * stage +
        (size_t)(op->slices * (weights + f.pairs * 2 * op->ctx->block)) * sizeof(float);
    return true;
}

static bool create_head(volt_op *op)
{
    const cpu_kernels *k = op->ctx->kernels;
    const int64_t padded = op->view[0].blocks * op->ctx->block;
    const int64_t oc = op->spec.tensor[1].n;

    if (op->spec.kind == VOLT_OP_CONV_FWD) {
        take(op, "own head_fwd", k->head_fwd, pack_head, up(oc, 4) * padded);
    } else if (op->spec.kind == VOLT_OP_CONV_BWD_DATA) {
        take(op, "own head_bwd_data", k->head_bwd_data, pack_head_data, oc * padded);
    } else {
        take(op, "own head_bwd_weights", k->head_bwd_weights, NULL, 0);
        op->slices = CPU_END_SLICES;
        op->info.scratch_bytes =
            (size_t)(op->slices * up(oc, 4) * (padded + 1)) * sizeof(float);
    }
    return true;
}

bool cpu_end_create(volt_op *op)
{
    const cpu_view *src = &op->view[0];
    const cpu_view *dst = &op->view[op->spec.kind == VOLT_OP_CONV_BWD_DATA ? 2 : 3];

    if (suits_first(op, src, dst))
        return create_first(op);
    return suits_head(op, src, dst) && create_head(op);
}
