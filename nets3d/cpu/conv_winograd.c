#include "nets3d/cpu/conv_winograd.h"

#include <string.h>

#include "nets3d/cpu/winograd.h"

/* Fewer tiles (of 2^3 outputs) than this, and reading the transformed weights costs more than
 * the products saved; they also take 64/27 of the plain ones' memory. Without AVX2 oneDNN has
 * no fast kernels for three dimensions. Tiles are those of the whole result: in bf16 the
 * algorithms round so differently that a mesh would show in the gradients. */
static int64_t least_tiles(const volt_op *op)
{
    return op->ctx->isa == VOLT_ISA_BASE ? 1 : 256;
}

static bool is_data(const volt_op *op)
{
    return op->spec.kind == VOLT_OP_CONV_BWD_DATA;
}

/* Views of what the algorithm reads and writes: for the data gradient it runs backwards. */
static const cpu_view *input_of(const volt_op *op)
{
    return &op->view[is_data(op) ? 2 : 0];
}

static const cpu_view *output_of(const volt_op *op)
{
    return &op->view[is_data(op) ? 0 : 3];
}

static volt_winograd_shape shape_of(const volt_op *op)
{
    const cpu_view *in = input_of(op), *out = output_of(op);
    volt_winograd_shape s = {.n = in->n,
                             .ic = in->blocks * op->ctx->block,
                             .oc = out->blocks * op->ctx->block,
                             .threads = op->spec.threads};

    for (int k = 0; k < 3; k++)
        s.pad_low[k] = is_data(op) ? 2 - op->spec.conv.pad_low[k] : op->spec.conv.pad_low[k];
    return s;
}

static volt_winograd_tensor tensor_of(const cpu_view *v, void *buffer)
{
    const volt_winograd_tensor t = {.data = (char *)buffer + v->offset * (v->bf16 ? 2 : 4),
                                    .sample_stride = v->sample_stride,
                                    .block_stride = v->block_stride,
                                    .plane_stride = v->plane_stride,
                                    .row_stride = v->row_stride,
                                    .extent = {v->d, v->h, v->w},
                                    .bf16 = v->bf16};

    return t;
}

static void pack(const volt_op *op, void *packed, const float *weights)
{
    const volt_winograd_shape s = shape_of(op);
    const volt_tensor *w = &op->spec.tensor[1];

    volt_winograd_pack(packed, &s, weights, w->n, w->c, is_data(op));
}

/* The bias padded to whole blocks, at the start of the scratch. */
static size_t bias_bytes(const volt_winograd_shape *s)
{
    return ((size_t)s->oc * sizeof(float) + 63) / 64 * 64;
}

static void run(const volt_op *op, void *const *operand, void *scratch)
{
    const volt_winograd_shape s = shape_of(op);
    const volt_winograd_tensor src = tensor_of(input_of(op), operand[is_data(op) ? 2 : 0]);
    const volt_winograd_tensor dst = tensor_of(output_of(op), operand[is_data(op) ? 0 : 3]);
    float *bias = is_data(op) || !operand[2] ? NULL : scratch;

    if (bias) {
        memset(bias, 0, bias_bytes(&s));
        memcpy(bias, operand[2], (size_t)output_of(op)->c * sizeof *bias);
    }
    volt_winograd_run(&s, &src, operand[1], bias, &dst, (char *)scratch + bias_bytes(&s));
}

static void run_gradient(const volt_op *op, void *const *operand, void *scratch)
{
    const volt_winograd_shape s = shape_of(op);
    const volt_winograd_tensor src = tensor_of(&op->view[0], operand[0]);
    const volt_winograd_tensor diff = tensor_of(&op->view[3], operand[3]);

    volt_winograd_gradient(&s, &src, &diff, operand[1], operand[2], op->view[3].c,
                           op->view[0].c, scratch);
}

static int64_t tiles_of(const volt_op *op)
{
    const cpu_view *dst = is_data(op) ? input_of(op) : output_of(op);
    const int64_t part[4] = {dst->n, dst->d, dst->h, dst->w};
    const int64_t *e = op->spec.whole[0] ? op->spec.whole : part;

    return e[0] * ((e[1] + 1) / 2) * ((e[2] + 1) / 2) * ((e[3] + 1) / 2);
}

static bool suits(const volt_op *op)
{
    const cpu_view *in = input_of(op), *out = output_of(op);
    const volt_conv *c = &op->spec.conv;

    for (int k = 0; k < 3; k++)
        if (c->kernel[k] != 3 || c->stride[k] != 1 || c->pad_low[k] > 2)
            return false;
    return !in->plain && !out->plain && in->bf16 == out->bf16 &&
           tiles_of(op) >= least_tiles(op);
}

bool cpu_winograd_create(volt_op *op)
{
    const cpu_view *out = output_of(op);
    const int64_t extent[3] = {out->d, out->h, out->w};
    volt_winograd_shape s;

    if (!suits(op))
        return false;
    s = shape_of(op);
    if (op->spec.kind == VOLT_OP_CONV_BWD_WEIGHTS) {
        op->info.kernel = "own winograd gradient";
        op->run = run_gradient;
        op->info.scratch_bytes = volt_winograd_gradient_scratch(&s, extent);
        return true;
    }
    op->info.kernel = "own winograd";
    op->run = run;
    op->pack = pack;
    op->info.packed_bytes = volt_winograd_packed_floats(s.ic, s.oc) * sizeof(float);
    op->info.scratch_bytes = bias_bytes(&s) + volt_winograd_scratch(&s, extent);
    return true;
}
