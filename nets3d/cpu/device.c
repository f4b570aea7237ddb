/* The CPU device's table: memory, operators by kind, losses and optimizers. */
#include <stdio.h>
#include <string.h>

#include <oneapi/dnnl/dnnl.h>
#include "base/core/alloc.h"
#include "nets3d/cpu/conv.h"
#include "nets3d/cpu/conv_winograd.h"
#include "nets3d/cpu/ends.h"
#include "nets3d/cpu/engine.h"
#include "nets3d/cpu/kernels.h"
#include "nets3d/cpu/loss.h"
#include "nets3d/cpu/tconv.h"
#include "nets3d/cpu/tconv_any.h"
#include "nets3d/device/op_spec.h"
#include "nets3d/ops/reference.h"

static const cpu_context *context_of(const volt_device *dev)
{
    return dev->context;
}

static int64_t channel_block(const volt_device *dev, volt_dtype dtype)
{
    (void)dtype;
    return context_of(dev)->block;
}

static size_t buffer_bytes(const volt_device *dev, const volt_tensor *t)
{
    const int64_t block = t->layout == VOLT_NATIVE ? context_of(dev)->block : 1;
    int64_t stored[3];

    volt_tensor_stored(stored, t);
    return (size_t)(t->n * cpu_round_up(t->buffer_c, block) * stored[0] * stored[1] *
                    stored[2]) *
           volt_dtype_bytes(t->dtype);
}

static bool supports(const volt_device *dev, volt_precision precision)
{
    return precision == VOLT_FP32 || (precision == VOLT_BF16_MIXED && context_of(dev)->bf16);
}

static volt_status device_alloc(const volt_device *dev, void **out, size_t bytes,
                                const char *what)
{
    (void)dev;
    return volt_alloc(out, bytes, what);
}

static void device_release(const volt_device *dev, void *p)
{
    (void)dev;
    volt_free(p);
}

static volt_status copy_bytes(const volt_device *dev, void *dst, const void *src, size_t bytes,
                              volt_stream *stream)
{
    (void)stream;
    (void)dev;
    memcpy(dst, src, bytes);
    return VOLT_OK;
}

static bool same_extents(const volt_tensor *a, const volt_tensor *b)
{
    return a->n == b->n && a->c == b->c && a->d == b->d && a->h == b->h && a->w == b->w;
}

/* Operand `k` is an activation of the same kind as operand 0. */
static bool like_first(const volt_op_spec *s, int k)
{
    return s->tensor[k].layout == VOLT_NATIVE && s->tensor[0].layout == VOLT_NATIVE &&
           s->tensor[k].dtype == s->tensor[0].dtype &&
           same_extents(&s->tensor[k], &s->tensor[0]);
}

static bool no_padding(const volt_conv *c)
{
    for (int k = 0; k < 3; k++)
        if (c->pad_low[k] || c->pad_high[k])
            return false;
    return true;
}

/* Operators that one own kernel runs. `same`: operands that must be like operand 0. */
typedef struct own_kernel {
    volt_op_kind kind;
    const char *name;
    size_t field; /* in cpu_kernels */
    int same[4];
    cpu_scratch scratch;
    bool pooling;
} own_kernel;

#define OWN(kind, name) kind, "own " #name, offsetof(cpu_kernels, name)

static const own_kernel own_kernels[] = {
    {OWN(VOLT_OP_NORM_SUMS, norm_sums), {0}, cpu_norm_scratch, false},
    {OWN(VOLT_OP_NORM_FINISH, norm_finish), {0}, NULL, false},
    {OWN(VOLT_OP_NORM_RUNNING, norm_running), {0}, NULL, false},
    {OWN(VOLT_OP_NORM_ACT_FWD, norm_act_fwd), {5}, NULL, false},
    {OWN(VOLT_OP_NORM_BWD_SUMS, norm_bwd_sums), {5, 6}, cpu_norm_scratch, false},
    {OWN(VOLT_OP_NORM_BWD_APPLY, norm_bwd_apply), {5, 6, 8}, NULL, false},
    {OWN(VOLT_OP_ACT_FWD, act_fwd), {1}, NULL, false},
    {OWN(VOLT_OP_ACT_BWD, act_bwd), {1, 2}, NULL, false},
    {OWN(VOLT_OP_ADD, add), {1, 2}, NULL, false},
    {OWN(VOLT_OP_SCALE_CHANNELS, scale_channels), {2}, NULL, false},
    {OWN(VOLT_OP_MAX_POOL_FWD, max_pool_fwd), {0}, NULL, true},
    {OWN(VOLT_OP_MAX_POOL_BWD, max_pool_bwd), {2}, NULL, true},
    {OWN(VOLT_OP_AVERAGE_POOL_FWD, average_pool_fwd), {0}, NULL, true},
    {OWN(VOLT_OP_AVERAGE_POOL_BWD, average_pool_bwd), {0}, NULL, true},
    {OWN(VOLT_OP_UPSAMPLE_FWD, upsample_fwd), {0}, NULL, true},
    {OWN(VOLT_OP_UPSAMPLE_BWD, upsample_bwd), {0}, NULL, true},
    {OWN(VOLT_OP_COPY, copy), {0}, NULL, false},
    {OWN(VOLT_OP_SOFTMAX_FWD, softmax_fwd), {0}, NULL, false},
    {OWN(VOLT_OP_SOFTMAX_BWD, softmax_bwd), {0}, NULL, false},
    {OWN(VOLT_OP_PRELU_FWD, prelu_fwd), {2}, NULL, false},
    {OWN(VOLT_OP_PRELU_BWD, prelu_bwd), {2, 3}, cpu_prelu_scratch, false},
};

static bool is_softmax(volt_op_kind kind)
{
    return kind == VOLT_OP_SOFTMAX_FWD || kind == VOLT_OP_SOFTMAX_BWD;
}

static bool may_be_plain(volt_op_kind kind)
{
    return kind == VOLT_OP_COPY || kind == VOLT_OP_NORM_FINISH ||
           kind == VOLT_OP_NORM_RUNNING || is_softmax(kind);
}

static volt_status refuse(const char *why)
{
    return volt_fail(VOLT_ENOTSUP, "cpu device: %s", why);
}

static volt_status create_own(volt_op *op, const own_kernel *k)
{
    const volt_op_spec *s = &op->spec;

    if (!may_be_plain(s->kind) && s->tensor[0].layout != VOLT_NATIVE)
        return refuse("plain layout only at convolutions, copies and softmax");
    for (int i = 0; i < 4 && k->same[i]; i++)
        if (s->tensor[k->same[i]].c && !like_first(s, k->same[i]))
            return refuse("operands of different type or extents");
    if (k->pooling && (!no_padding(&s->conv) || s->tensor[1].layout != VOLT_NATIVE))
        return refuse("pooling with padding");
    if (s->kind == VOLT_OP_COPY && !same_extents(&s->tensor[0], &s->tensor[1]))
        return refuse("copy between different extents");
    if (is_softmax(s->kind) && s->tensor[0].c > 1024)
        return refuse("softmax over more than 1024 channels");
    memcpy(&op->run, (const char *)op->ctx->kernels + k->field, sizeof op->run);
    op->info.kernel = k->name;
    if (k->scratch)
        op->info.scratch_bytes = k->scratch(op);
    return VOLT_OK;
}

static volt_status create_by_kind(volt_op *op)
{
    if (op->spec.kind == VOLT_OP_CONV_FWD && op->spec.tensor[4].n)
        return refuse("convolutions that write sums");
    switch (op->spec.kind) {
    case VOLT_OP_CONV_FWD:
    case VOLT_OP_CONV_BWD_DATA:
    case VOLT_OP_CONV_BWD_WEIGHTS:
        return cpu_end_create(op) || cpu_winograd_create(op) ? VOLT_OK : cpu_conv_create(op);
    case VOLT_OP_TCONV_FWD:
    case VOLT_OP_TCONV_BWD_DATA:
    case VOLT_OP_TCONV_BWD_WEIGHTS:
        return cpu_tconv_is_block(&op->spec.conv) ? cpu_tconv_create(op)
                                                  : cpu_tconv_any_create(op);
    default:
        break;
    }
    for (size_t i = 0; i < sizeof own_kernels / sizeof *own_kernels; i++)
        if (own_kernels[i].kind == op->spec.kind)
            return create_own(op, &own_kernels[i]);
    return volt_fail(VOLT_EINVAL, "unknown kind of operator %d", (int)op->spec.kind);
}

static void op_free(volt_op *op)
{
    if (!op)
        return;
    cpu_conv_free(op->conv);
    op_free(op->inner);
    volt_free(op);
}

/* Kernels work on whole blocks: a range starts at one, and ends at one or with its buffer. */
static volt_status check_operands(const volt_op *op)
{
    for (int i = 0; i < VOLT_OP_MAX_TENSORS; i++) {
        if (op->spec.tensor[i].dtype == VOLT_F16)
            return refuse("float16");
    }
    for (int i = 0; i < VOLT_OP_MAX_TENSORS && op->spec.kind != VOLT_OP_COPY; i++) {
        const cpu_view *v = &op->view[i];
        if (v->c && !v->plain && (v->lane || (v->c % op->ctx->block && !v->last)))
            return refuse("channel ranges that are not whole blocks");
    }
    return VOLT_OK;
}

/* The spec in the form that kernels know: boxes are copied, and where a convolution reads
 * margins they become a part of its operand, so that all other margins are only stepped over.
 */
static volt_op_spec without_margins(const volt_op_spec *spec)
{
    if (spec->kind == VOLT_OP_PACK_BOX || spec->kind == VOLT_OP_UNPACK_BOX)
        return volt_op_spec_as_copy(spec);
    return volt_op_spec_absorb_margins(spec);
}

/* Voxels that have no gap in any operand of the extents that the operator walks. */
static int64_t find_runs(const volt_op *op)
{
    const bool tconv =
        op->spec.kind >= VOLT_OP_TCONV_FWD && op->spec.kind <= VOLT_OP_TCONV_BWD_WEIGHTS;
    const cpu_view *walked = &op->view[tconv ? 3 : 0];
    int64_t run = walked->run;

    for (int i = 0; i < VOLT_OP_MAX_TENSORS; i++) {
        const cpu_view *v = &op->view[i];
        if (v->c && v->d == walked->d && v->h == walked->h && v->w == walked->w && v->run < run)
            run = v->run;
    }
    return run;
}

static volt_status op_create(const volt_device *dev, volt_op **out, const volt_op_spec *spec)
{
    volt_op *op = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_op_spec_check(spec));
    VOLT_TRY(st, done, volt_alloc_zero(&op, 1, sizeof *op, "an operator"));
    op->ctx = context_of(dev);
    op->spec = without_margins(spec);
    if (op->spec.threads < 1)
        op->spec.threads = 1;
    for (int i = 0; i < VOLT_OP_MAX_TENSORS; i++)
        if (op->spec.tensor[i].c)
            cpu_view_of(&op->view[i], op->ctx, &op->spec.tensor[i]);
    op->run_voxels = find_runs(op);
    volt_op_spec_cost(spec, &op->info.flops, &op->info.bytes);
    VOLT_TRY(st, done, check_operands(op));
    VOLT_TRY(st, done, create_by_kind(op));
    *out = op;
    op = NULL;
done:
    op_free(op);
    return st;
}

static void op_info(const volt_op *op, volt_op_info *info)
{
    *info = op->info;
}

static volt_status op_pack(volt_op *op, void *packed, const float *weights, volt_stream *stream)
{
    (void)stream;
    if (op->inner)
        return op_pack(op->inner, packed, weights, stream);
    if (op->pack) {
        op->pack(op, packed, weights);
        return VOLT_OK;
    }
    return op->conv ? cpu_conv_pack(op, packed, weights) : VOLT_OK;
}

/* What own kernels pack follows from the weights' extents, the kind and the type. */
static bool op_same_form(const volt_op *a, const volt_op *b)
{
    if (a->inner || b->inner)
        return a->inner && b->inner && op_same_form(a->inner, b->inner);
    if (a->info.packed_bytes != b->info.packed_bytes || a->pack != b->pack)
        return false;
    if (a->pack)
        return a->spec.kind == b->spec.kind && a->view[0].bf16 == b->view[0].bf16;
    return a->conv && b->conv && cpu_conv_same_form(a, b);
}

static volt_status op_run(volt_op *op, void *const *operands, void *scratch,
                          volt_stream *stream)
{
    (void)stream;
    if (op->inner)
        return cpu_tconv_any_run(op, operands, scratch);
    if (!op->run)
        return cpu_conv_run(op, operands, scratch);
    op->run(op, operands, scratch);
    return VOLT_OK;
}

static size_t loss_scratch(const volt_device *dev, const volt_loss_call *call)
{
    (void)dev;
    return cpu_loss_scratch(call);
}

static volt_status loss_sums(const volt_device *dev, const volt_loss_call *call,
                             volt_stream *stream)
{
    (void)stream;
    if (call->c > CPU_LOSS_MOST_CLASSES)
        return volt_fail(VOLT_ENOTSUP, "loss over %lld channels, at most %d",
                         (long long)call->c, CPU_LOSS_MOST_CLASSES);
    context_of(dev)->kernels->loss_sums(call);
    return VOLT_OK;
}

static volt_status loss_gradient(const volt_device *dev, const volt_loss_call *call,
                                 volt_stream *stream)
{
    (void)stream;
    context_of(dev)->kernels->loss_gradient(call);
    return VOLT_OK;
}

static volt_status run_sgd(const volt_device *dev, const volt_sgd_call *call,
                           volt_stream *stream)
{
    (void)stream;
    context_of(dev)->kernels->sgd(call);
    return VOLT_OK;
}

static volt_status run_adam(const volt_device *dev, const volt_adam_call *call,
                            volt_stream *stream)
{
    (void)stream;
    context_of(dev)->kernels->adam(call);
    return VOLT_OK;
}

static volt_status accumulate(const volt_device *dev, float *sum, const float *x, int64_t count,
                              double scale, bool first, int threads, volt_stream *stream)
{
    (void)stream;
    context_of(dev)->kernels->accumulate(sum, x, count, (float)scale, first, threads);
    return VOLT_OK;
}

static volt_status sum_squares(const volt_device *dev, const volt_squares_call *call,
                               volt_stream *stream)
{
    (void)stream;
    context_of(dev)->kernels->sum_squares(call);
    return VOLT_OK;
}

static volt_status update_begin(const volt_device *dev, const volt_update_call *call,
                                volt_stream *stream)
{
    (void)stream;
    (void)dev;
    volt_update_advance(call);
    return VOLT_OK;
}

static void close_device(volt_device *dev)
{
    cpu_context *ctx = dev->context;

    cpu_engine_free(ctx->engine);
    volt_free(ctx);
    volt_free(dev);
}

static const cpu_kernels *kernels_of(volt_isa isa)
{
#if defined(__x86_64__)
    if (isa == VOLT_ISA_AVX512)
        return &cpu_kernels_avx512;
    if (isa == VOLT_ISA_AVX2)
        return &cpu_kernels_avx2;
#endif
    (void)isa;
    return &cpu_kernels_base;
}

static void fill_table(volt_device *dev, cpu_context *ctx)
{
    const dnnl_version_t *v = dnnl_version();

    snprintf(ctx->library, sizeof ctx->library, "oneDNN %d.%d.%d", v->major, v->minor,
             v->patch);
    *dev = (volt_device){.name = "cpu",
                         .library = ctx->library,
                         .context = ctx,
                         .host_memory = true,
                         .channel_block = channel_block,
                         .buffer_bytes = buffer_bytes,
                         .supports = supports,
                         .alloc = device_alloc,
                         .release = device_release,
                         .upload = copy_bytes,
                         .download = copy_bytes,
                         .op_create = op_create,
                         .op_info = op_info,
                         .op_pack = op_pack,
                         .op_same_form = op_same_form,
                         .op_run = op_run,
                         .op_free = op_free,
                         .draw_factors = volt_reference_draw_factors,
                         .loss_scratch = loss_scratch,
                         .loss_sums = loss_sums,
                         .loss_gradient = loss_gradient,
                         .sgd = run_sgd,
                         .adam = run_adam,
                         .accumulate = accumulate,
                         .sum_squares = sum_squares,
                         .update_begin = update_begin,
                         .update_state = volt_reference_update_state,
                         .scores = &volt_host_scores,
                         .close = close_device};
}

volt_status volt_device_open_cpu(volt_device **out)
{
    cpu_context *ctx = NULL;
    volt_device *dev = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_alloc_zero(&ctx, 1, sizeof *ctx, "the cpu device"));
    VOLT_TRY(st, done, volt_alloc_zero(&dev, 1, sizeof *dev, "the cpu device"));
    ctx->isa = volt_cpu_isa();
    ctx->block = ctx->isa == VOLT_ISA_AVX512 ? 16 : 8;
    ctx->bf16 = volt_cpu_has_bf16();
    ctx->kernels = kernels_of(ctx->isa);
    ctx->device = dev;
    VOLT_TRY(st, done, cpu_engine_create(&ctx->engine, ctx->isa));
    fill_table(dev, ctx);
    *out = dev;
    dev = NULL;
    ctx = NULL;
done:
    volt_free(dev);
    volt_free(ctx);
    return st;
}
