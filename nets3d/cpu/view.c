/* How operands lie in memory, and the scratch that sums over them take. */
#include <string.h>

#include "nets3d/cpu/kernels.h"
#include "nets3d/cpu/walk.h"

void cpu_view_of(cpu_view *out, const cpu_context *ctx, const volt_tensor *t)
{
    const int64_t lanes = t->layout == VOLT_PLAIN ? 1 : ctx->block;
    int64_t stored[3];

    volt_tensor_stored(stored, t);
    memset(out, 0, sizeof *out);
    out->n = t->n;
    out->c = t->c;
    out->d = t->d;
    out->h = t->h;
    out->w = t->w;
    out->voxels = t->d * t->h * t->w;
    out->blocks = cpu_round_up(t->c, lanes) / lanes;
    out->run = stored[2] > t->w ? t->w : stored[1] > t->h ? t->h * t->w : out->voxels;
    out->row_stride = stored[2] * lanes;
    out->plane_stride = stored[1] * out->row_stride;
    out->block_stride = stored[0] * out->plane_stride;
    out->sample_stride = cpu_round_up(t->buffer_c, lanes) / lanes * out->block_stride;
    out->lane = t->c_offset % lanes;
    out->offset = (t->c_offset - out->lane) / lanes * out->block_stride +
                  t->margin_low[0] * out->plane_stride + t->margin_low[1] * out->row_stride +
                  t->margin_low[2] * lanes;
    out->margins = volt_tensor_has_margins(t);
    out->last = t->c_offset + t->c == t->buffer_c;
    out->bf16 = t->dtype == VOLT_BF16;
    out->plain = t->layout == VOLT_PLAIN;
    out->dense = t->n == 1 || out->sample_stride == out->blocks * out->block_stride;
}

/* One sum in double per lane and chunk of a view. */
static size_t sums_bytes(const volt_op *op, const cpu_view *v)
{
    return (size_t)(cpu_tasks(v) * op->ctx->block) * sizeof(double);
}

/* Two sums per lane and chunk. */
size_t cpu_norm_scratch(const volt_op *op)
{
    return 2 * sums_bytes(op, &op->view[0]);
}

size_t cpu_prelu_scratch(const volt_op *op)
{
    return sums_bytes(op, &op->view[0]);
}

size_t cpu_bias_scratch(const volt_op *op)
{
    return sums_bytes(op, &op->view[3]);
}
