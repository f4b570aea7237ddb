#include "nets3d/ops/reference.h"

#include <string.h>

#include "base/core/alloc.h"
#include "nets3d/device/op_spec.h"

struct volt_op {
    volt_op_spec spec;
    volt_reference_run run;
};

static const volt_reference_run runs[] = {
    [VOLT_OP_CONV_FWD] = volt_reference_conv_fwd,
    [VOLT_OP_CONV_BWD_DATA] = volt_reference_conv_bwd_data,
    [VOLT_OP_CONV_BWD_WEIGHTS] = volt_reference_conv_bwd_weights,
    [VOLT_OP_TCONV_FWD] = volt_reference_tconv_fwd,
    [VOLT_OP_TCONV_BWD_DATA] = volt_reference_tconv_bwd_data,
    [VOLT_OP_TCONV_BWD_WEIGHTS] = volt_reference_tconv_bwd_weights,
    [VOLT_OP_NORM_SUMS] = volt_reference_norm_sums,
    [VOLT_OP_NORM_FINISH] = volt_reference_norm_finish,
    [VOLT_OP_NORM_RUNNING] = volt_reference_norm_running,
    [VOLT_OP_NORM_ACT_FWD] = volt_reference_norm_act_fwd,
    [VOLT_OP_NORM_BWD_SUMS] = volt_reference_norm_bwd_sums,
    [VOLT_OP_NORM_BWD_APPLY] = volt_reference_norm_bwd_apply,
    [VOLT_OP_ACT_FWD] = volt_reference_act_fwd,
    [VOLT_OP_ACT_BWD] = volt_reference_act_bwd,
    [VOLT_OP_MAX_POOL_FWD] = volt_reference_max_pool_fwd,
    [VOLT_OP_MAX_POOL_BWD] = volt_reference_max_pool_bwd,
    [VOLT_OP_AVERAGE_POOL_FWD] = volt_reference_average_pool_fwd,
    [VOLT_OP_AVERAGE_POOL_BWD] = volt_reference_average_pool_bwd,
    [VOLT_OP_UPSAMPLE_FWD] = volt_reference_upsample_fwd,
    [VOLT_OP_UPSAMPLE_BWD] = volt_reference_upsample_bwd,
    [VOLT_OP_ADD] = volt_reference_add,
    [VOLT_OP_COPY] = volt_reference_copy,
    [VOLT_OP_SCALE_CHANNELS] = volt_reference_scale_channels,
    [VOLT_OP_SOFTMAX_FWD] = volt_reference_softmax_fwd,
    [VOLT_OP_SOFTMAX_BWD] = volt_reference_softmax_bwd,
    [VOLT_OP_PRELU_FWD] = volt_reference_prelu_fwd,
    [VOLT_OP_PRELU_BWD] = volt_reference_prelu_bwd,
    [VOLT_OP_PACK_BOX] = volt_reference_copy_box,
    [VOLT_OP_UNPACK_BOX] = volt_reference_copy_box,
};

static int64_t channel_block(const volt_device *dev, volt_dtype dtype)
{
    (void)dev;
    (void)dtype;
    return 1;
}

static size_t buffer_bytes(const volt_device *dev, const volt_tensor *t)
{
    int64_t stored[3];

    (void)dev;
    volt_tensor_stored(stored, t);
    return (size_t)(t->n * t->buffer_c * stored[0] * stored[1] * stored[2]) *
           volt_dtype_bytes(t->dtype);
}

static bool supports(const volt_device *dev, volt_precision precision)
{
    (void)dev;
    return precision == VOLT_FP32 || precision == VOLT_BF16_MIXED;
}

static volt_status alloc(const volt_device *dev, void **out, size_t bytes, const char *what)
{
    (void)dev;
    return volt_alloc(out, bytes, what);
}

static void release(const volt_device *dev, void *p)
{
    (void)dev;
    volt_free(p);
}

static volt_status transfer(const volt_device *dev, void *dst, const void *src, size_t bytes,
                            volt_stream *stream)
{
    (void)stream;
    (void)dev;
    memcpy(dst, src, bytes);
    return VOLT_OK;
}

static volt_status op_create(const volt_device *dev, volt_op **out, const volt_op_spec *spec)
{
    volt_op *op = NULL;
    volt_status st;

    (void)dev;
    VOLT_TRY(st, done, volt_op_spec_check(spec));
    VOLT_TRY(st, done, volt_alloc_zero(&op, 1, sizeof *op, "an operator"));
    op->spec = *spec;
    op->run = runs[spec->kind];
    *out = op;
done:
    return st;
}

/* Which operand holds packed weights; -1 = none. */
static int packed_operand(const volt_op_spec *spec)
{
    const volt_op_signature *sig = volt_op_signature_of(spec->kind);

    for (int i = 0; i < sig->operands; i++) {
        if (sig->role[i] == VOLT_ROLE_PACKED)
            return i;
    }
    return -1;
}

static void op_info(const volt_op *op, volt_op_info *info)
{
    const int packed = packed_operand(&op->spec);

    *info = (volt_op_info){.kernel = "reference"};
    if (packed >= 0)
        info->packed_bytes =
            (size_t)volt_tensor_elements(&op->spec.tensor[packed]) * sizeof(float);
    volt_op_spec_cost(&op->spec, &info->flops, &info->bytes);
}

/* The type that weights are rounded to: that of the activations. */
static volt_dtype weights_dtype(const volt_op_spec *spec)
{
    const volt_op_signature *sig = volt_op_signature_of(spec->kind);
    volt_dtype dtype = VOLT_F32;

    for (int i = 0; i < sig->operands; i++) {
        if (sig->role[i] == VOLT_ROLE_IN || sig->role[i] == VOLT_ROLE_OUT)
            dtype = spec->tensor[i].dtype == VOLT_F32 ? dtype : spec->tensor[i].dtype;
    }
    return dtype;
}

static volt_status op_pack(volt_op *op, void *packed, const float *weights, volt_stream *stream)
{
    (void)stream;
    const int64_t count = volt_tensor_elements(&op->spec.tensor[packed_operand(&op->spec)]);
    const volt_dtype dtype = weights_dtype(&op->spec);
    float *out = packed;

    for (int64_t i = 0; i < count; i++)
        out[i] = dtype == VOLT_BF16  ? volt_bf16_to_float(volt_bf16_from_float(weights[i]))
                 : dtype == VOLT_F16 ? volt_half_to_float(volt_float_to_half(weights[i]))
                 : volt_op_spec_is_tf32(&op->spec) ? volt_tf32_round(weights[i])
                                                   : weights[i];
    return VOLT_OK;
}

static bool op_same_form(const volt_op *a, const volt_op *b)
{
    return weights_dtype(&a->spec) == weights_dtype(&b->spec) &&
           volt_op_spec_is_tf32(&a->spec) == volt_op_spec_is_tf32(&b->spec);
}

static volt_status op_run(volt_op *op, void *const *operands, void *scratch,
                          volt_stream *stream)
{
    (void)stream;
    (void)scratch;
    op->run(&op->spec, operands);
    return VOLT_OK;
}

static void op_free(volt_op *op)
{
    volt_free(op);
}

static void close_device(volt_device *dev)
{
    volt_free(dev);
}

volt_status volt_device_open_reference(volt_device **out)
{
    static const volt_device table = {.name = "reference",
                                      .library = "plain C",
                                      .host_memory = true,
                                      .channel_block = channel_block,
                                      .buffer_bytes = buffer_bytes,
                                      .supports = supports,
                                      .alloc = alloc,
                                      .release = release,
                                      .upload = transfer,
                                      .download = transfer,
                                      .op_create = op_create,
                                      .op_info = op_info,
                                      .op_pack = op_pack,
                                      .op_same_form = op_same_form,
                                      .op_run = op_run,
                                      .op_free = op_free,
                                      .draw_factors = volt_reference_draw_factors,
                                      .loss_scratch = volt_reference_loss_scratch,
                                      .loss_sums = volt_reference_loss_sums,
                                      .loss_gradient = volt_reference_loss_gradient,
                                      .sgd = volt_reference_sgd,
                                      .adam = volt_reference_adam,
                                      .accumulate = volt_reference_accumulate,
                                      .sum_squares = volt_reference_sum_squares,
                                      .update_begin = volt_reference_update_begin,
                                      .update_state = volt_reference_update_state,
                                      .close = close_device};
    volt_device *dev;
    volt_status st = volt_alloc(&dev, sizeof *dev, "the reference device");

    if (st == VOLT_OK) {
        *dev = table;
        *out = dev;
    }
    return st;
}
