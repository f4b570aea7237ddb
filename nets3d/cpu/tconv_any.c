#include "nets3d/cpu/tconv_any.h"

#include <string.h>

#include "nets3d/cpu/kernels.h"

/* What the pass is to the convolution whose source is our destination. */
static volt_op_spec swapped(const volt_op_spec *s)
{
    volt_op_spec in = {.threads = s->threads, .conv = s->conv};

    for (int k = 0; k < 3; k++)
        if (in.conv.pad_high[k] < 0)
            in.conv.pad_high[k] = 0; /* outputs that no window reaches */
    memcpy(in.whole, s->whole, sizeof in.whole);
    in.tensor[1] = s->tensor[1];
    switch (s->kind) {
    case VOLT_OP_TCONV_FWD:
        in.kind = VOLT_OP_CONV_BWD_DATA;
        in.tensor[0] = s->tensor[3];
        in.tensor[2] = s->tensor[0];
        break;
    case VOLT_OP_TCONV_BWD_DATA:
        in.kind = VOLT_OP_CONV_FWD;
        in.tensor[0] = s->tensor[2];
        in.tensor[3] = s->tensor[0];
        break;
    default:
        in.kind = VOLT_OP_CONV_BWD_WEIGHTS;
        in.tensor[0] = s->tensor[3];
        in.tensor[3] = s->tensor[0];
    }
    return in;
}

/* Scratch of the convolution, in whole lines; sums of the bias lie behind it. */
static size_t inner_scratch(const volt_op *op)
{
    return (op->inner->info.scratch_bytes + 63) / 64 * 64;
}

volt_status cpu_tconv_any_create(volt_op *op)
{
    const volt_device *dev = op->ctx->device;
    const bool data = op->spec.kind == VOLT_OP_TCONV_BWD_DATA;
    const volt_op_spec in = swapped(&op->spec);
    const cpu_view *a = &op->view[0], *b = &op->view[data ? 2 : 3];
    volt_status st;

    if (a->plain || b->plain || a->bf16 != b->bf16)
        return volt_fail(VOLT_ENOTSUP, "cpu device: transposed convolution only in native "
                                       "layout");
    VOLT_TRY(st, done, dev->op_create(dev, &op->inner, &in));
    op->info.kernel = op->inner->info.kernel;
    op->info.packed_bytes = op->inner->info.packed_bytes;
    op->info.scratch_bytes = op->inner->info.scratch_bytes;
    if (op->spec.kind == VOLT_OP_TCONV_BWD_WEIGHTS && op->spec.tensor[2].c)
        op->info.scratch_bytes = inner_scratch(op) + cpu_bias_scratch(op);
done:
    return st;
}

volt_status cpu_tconv_any_run(const volt_op *op, void *const *operand, void *scratch)
{
    const volt_device *dev = op->ctx->device;
    const cpu_kernels *k = op->ctx->kernels;
    const bool bias = op->spec.kind != VOLT_OP_TCONV_BWD_DATA && op->spec.tensor[2].c;
    void *forward[3] = {operand[3], operand[1], operand[0]};
    void *data[4] = {operand[2], operand[1], NULL, operand[0]};
    void *weights[4] = {operand[3], operand[1], NULL, operand[0]};
    void *const *inner = op->spec.kind == VOLT_OP_TCONV_FWD        ? forward
                         : op->spec.kind == VOLT_OP_TCONV_BWD_DATA ? data
                                                                   : weights;
    volt_status st = dev->op_run(op->inner, inner, scratch, NULL);

    if (st != VOLT_OK || !bias)
        return st;
    if (op->spec.kind == VOLT_OP_TCONV_FWD)
        k->bias_add(op, operand, NULL);
    else
        k->bias_sum(op, operand, (char *)scratch + inner_scratch(op));
    return VOLT_OK;
}
