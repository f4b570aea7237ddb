/* Convolutions through oneDNN.
 *
 * Activations lie in blocks of 16 or 8 channels, (n, c/B, d, h, w, B), in which oneDNN's fast
 * kernels read and write them without reordering. Three things do not fit and are bridged here:
 *   weights  oneDNN chooses a blocked layout per primitive. Weights are packed into it
 * (op_pack) and gradients are turned back after each run. Channels are padded to whole blocks,
 *            which the buffers hold anyway.
 *   ranges   samples of a range of a buffer's channels do not lie back to back: the primitive
 *            then runs once per sample, and weight gradients are added up.
 *   staging  an operand in a layout or type that a kernel does not take, or with margins around
 *            what it reads, gets a twin in the scratch and a copy between the two. (The margins
 *            that a kernel does read are part of its operand already, see device.c.) oneDNN has
 *            no fast kernel that writes into a part of a buffer; such outputs are refused.
 * oneDNN's reference implementations ("ref...") are correct and thousands of times slower than
 * its others. They are never used: what has no fast kernel on blocks runs on plain float32, and
 * what has none there either is refused, but for operands of a single voxel and channel. oneDNN
 * cannot tell the plain layouts of such apart, and loops over what little there is to compute
 * take its place.
 */
#include "nets3d/cpu/conv.h"

#include <omp.h>
#include <pthread.h>
#include <string.h>

#include "base/core/alloc.h"
#include "base/core/reserve.h"
#include "base/system/thread_start.h"
#include "nets3d/cpu/dnnl_compat.h"
#include "nets3d/cpu/engine.h"
#include "nets3d/device/bf16.h"
#include "nets3d/device/op_spec.h"
#include "nets3d/ops/reference.h"

/* Operands of a convolution by role: what is `src` to oneDNN is operand 0 and `dst` operand 2
 * or 3. An operand oneDNN cannot take is staged: copied to or from a twin in scratch. */
enum { SRC, DST, SIDES };
#define WEIGHTS 1 /* operand */

struct cpu_conv {
    dnnl_primitive_desc_t pd;
    dnnl_primitive_t conv, reorder; /* reorder: weights plain <-> blocked */
    dnnl_stream_t stream;
    dnnl_memory_t memory[SIDES], weights, plain_weights, bias, pad;
    volt_op *stage[SIDES];             /* copy to or from its twin; NULL = none */
    size_t stage_at[SIDES];            /* its place in the scratch */
    size_t pad_at;                     /* in scratch: oneDNN's scratchpad, */
    size_t weights_at, weights_sum_at; /* blocked gradient of a sample, of all, */
    size_t plain_at;                   /* plain gradient with padded channels, */
    size_t bias_at, bias_sum_at;       /* padded bias, or gradient of a sample and of all */
    int64_t weights_bytes;
    int64_t dims[5]; /* of the weights, channels rounded up to blocks */
    bool padded;     /* dims differ from the parameter's */
    bool plain;      /* works on plain float32 tensors instead of native ones */
    bool rounds;     /* weights to bf16, although it works in float32 */
    int64_t samples; /* runs: 1, or one per sample where samples do not lie back to back */
    int64_t sample_bytes[SIDES], offset_bytes[SIDES];
    volt_reference_run loops; /* instead of a primitive; NULL = none */
    volt_op_spec looped;      /* what they work on: plain float32 */
};

static volt_status refused(const volt_op *op, dnnl_status_t st)
{
    const int64_t *w = op->conv->dims, *s = op->spec.conv.stride;

    if (st != dnnl_unimplemented)
        return cpu_engine_check(st, "convolution");
    return volt_fail(VOLT_ENOTSUP,
                     "oneDNN has no fast kernel for %s from %lld to %lld channels, kernel "
                     "%lldx%lldx%lld, stride %lldx%lldx%lld",
                     volt_op_signature_of(op->spec.kind)->name, (long long)w[1],
                     (long long)w[0], (long long)w[2], (long long)w[3], (long long)w[4],
                     (long long)s[0], (long long)s[1], (long long)s[2]);
}

/* A call of oneDNN, and the threads it may use. */
typedef struct onednn_call {
    dnnl_status_t (*make)(struct onednn_call *);
    volt_op *op;
    void *const *operand;
    char *const *side;
    char *scratch;
    int threads;
    dnnl_status_t st;
} onednn_call;

static void *make_call(void *argument)
{
    const int threads = omp_get_max_threads(), dynamic = omp_get_dynamic();
    onednn_call *call = argument;

    omp_set_num_threads(call->threads);
    omp_set_dynamic(0);
    call->st = call->make(call);
    omp_set_num_threads(threads);
    omp_set_dynamic(dynamic);
    return NULL;
}

/* oneDNN divides weight gradients among so many threads when it creates a primitive, and
 * computes a part of them where it gets fewer: where OpenMP may choose their number, and in a
 * parallel region of the caller's, which a thread of its own is not in. */
static volt_status call_onednn(onednn_call call, const char *what)
{
    pthread_t thread;
    volt_status st = VOLT_OK;

    if (omp_in_parallel()) {
        VOLT_TRY(st, done, volt_thread_start(&thread, make_call, &call));
        pthread_join(thread, NULL);
    } else {
        make_call(&call);
    }
    st = what ? cpu_engine_check(call.st, what) : refused(call.op, call.st);
done:
    return st;
}

/* oneDNN's products of plain matrices divide some sums by the threads; outputs, unlike weight
 * gradients, must not depend on their number. */
static int threads_of(const volt_op *op)
{
    const int limit = omp_get_thread_limit();

    if (op->conv->plain && op->spec.kind != VOLT_OP_CONV_BWD_WEIGHTS)
        return 1;
    return op->spec.threads < limit ? op->spec.threads : limit;
}

static cpu_conv_kind kind_of(const volt_op *op)
{
    return op->spec.kind == VOLT_OP_CONV_FWD        ? CPU_CONV_FWD
           : op->spec.kind == VOLT_OP_CONV_BWD_DATA ? CPU_CONV_BWD_DATA
                                                    : CPU_CONV_BWD_WEIGHTS;
}

static int dst_index(const volt_op *op)
{
    return op->spec.kind == VOLT_OP_CONV_BWD_DATA ? 2 : 3;
}

static int bias_index(const volt_op *op)
{
    return op->spec.kind == VOLT_OP_CONV_BWD_DATA || op->spec.tensor[2].c == 0 ? -1 : 2;
}

static int side_index(const volt_op *op, int side)
{
    return side == SRC ? 0 : dst_index(op);
}

static bool is_output(const volt_op *op, int side)
{
    return (side == SRC) == (op->spec.kind == VOLT_OP_CONV_BWD_DATA) &&
           op->spec.kind != VOLT_OP_CONV_BWD_WEIGHTS;
}

static size_t round_up(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

/* Reserves `bytes` of scratch; returns where. */
static size_t reserve(volt_op *op, size_t bytes)
{
    const size_t at = op->info.scratch_bytes;

    op->info.scratch_bytes += round_up(bytes);
    return at;
}

/* An operand gets a twin in the scratch and a copy between them. */
static volt_status create_stage(volt_op *op, int side, volt_dtype dtype,
                                volt_tensor_layout layout)
{
    const volt_device *dev = op->ctx->device;
    const volt_tensor own = op->spec.tensor[side_index(op, side)];
    const int64_t dims[5] = {own.n, own.c, own.d, own.h, own.w};
    const volt_tensor twin = volt_tensor_make(dims, dtype, layout);
    volt_op_spec spec = {.kind = VOLT_OP_COPY, .threads = op->spec.threads};
    cpu_conv *c = op->conv;
    volt_status st;

    spec.tensor[0] = is_output(op, side) ? twin : own;
    spec.tensor[1] = is_output(op, side) ? own : twin;
    st = dev->op_create(dev, &c->stage[side], &spec);
    if (st == VOLT_OK) {
        c->stage_at[side] = reserve(op, dev->buffer_bytes(dev, &twin));
        c->looped.tensor[side_index(op, side)] = twin;
        cpu_view_of(&op->view[side_index(op, side)], op->ctx, &twin);
    }
    return st;
}

/* oneDNN's blocked weight gradients (2.6.3 and 3.2) can be wrong where no window lies inside
 * the volume along some axis, most often in bf16. Those, always small, go through plain
 * float32. */
static bool needs_plain(const volt_op *op)
{
    const volt_conv *c = &op->spec.conv;
    const int64_t extent[3] = {op->view[0].d, op->view[0].h, op->view[0].w};

    if (op->spec.kind != VOLT_OP_CONV_BWD_WEIGHTS)
        return false;
    for (int k = 0; k < 3; k++) {
        const int64_t first = (c->pad_low[k] + c->stride[k] - 1) / c->stride[k];
        if (first * c->stride[k] - c->pad_low[k] + c->kernel[k] > extent[k])
            return true; /* the first window that begins inside ends outside */
    }
    return false;
}

/* Stages what oneDNN cannot take as it is. */
static volt_status stage_operands(volt_op *op)
{
    volt_dtype dtype = VOLT_F32;
    volt_status st = VOLT_OK;

    for (int side = 0; side < SIDES; side++) {
        const volt_tensor *t = &op->spec.tensor[side_index(op, side)];
        if (t->layout == VOLT_NATIVE && !op->conv->plain)
            dtype = t->dtype;
    }
    for (int side = 0; side < SIDES && st == VOLT_OK; side++) {
        const cpu_view *v = &op->view[side_index(op, side)];
        if (v->plain != op->conv->plain || v->margins)
            st = create_stage(op, side, dtype, op->conv->plain ? VOLT_PLAIN : VOLT_NATIVE);
    }
    return st;
}

static dnnl_status_t activation_md(cpu_md *out, const volt_op *op, const cpu_view *v)
{
    const int64_t n = op->conv->samples > 1 ? 1 : v->n;
    const int64_t dims[5] = {n, v->plain ? v->c : v->blocks * op->ctx->block, v->d, v->h, v->w};

    return cpu_md_create(out, 5, dims, v->bf16 ? dnnl_bf16 : dnnl_f32,
                         v->plain               ? dnnl_ncdhw
                         : op->ctx->block == 16 ? dnnl_nCdhw16c
                                                : dnnl_nCdhw8c);
}

/* The convolution's descriptor with weights in whatever format is fastest. */
static dnnl_status_t create_conv_pd(volt_op *op)
{
    const int64_t *wdims = op->conv->dims;
    const cpu_view *src = &op->view[0], *dst = &op->view[dst_index(op)];
    cpu_conv_desc desc = {.kind = kind_of(op), .inference = true, .conv = &op->spec.conv};
    const dnnl_data_type_t type = src->bf16 ? dnnl_bf16 : dnnl_f32;
    dnnl_status_t st = activation_md(&desc.src, op, src);

    if (st == dnnl_success)
        st = activation_md(&desc.dst, op, dst);
    if (st == dnnl_success)
        st = cpu_md_create(&desc.hint, 5, wdims, type, dnnl_format_tag_any);
    if (st == dnnl_success)
        st = cpu_md_create(&desc.weights, 5, wdims,
                           desc.kind == CPU_CONV_BWD_WEIGHTS ? dnnl_f32 : type,
                           dnnl_format_tag_any);
    if (st == dnnl_success && bias_index(op) >= 0)
        st = cpu_md_create(&desc.bias, 1, wdims, dnnl_f32, dnnl_a);
    if (st == dnnl_success)
        st = cpu_conv_pd(&op->conv->pd, &desc, op->ctx->engine);
    cpu_md_free(desc.src);
    cpu_md_free(desc.dst);
    cpu_md_free(desc.weights);
    cpu_md_free(desc.hint);
    cpu_md_free(desc.bias);
    return st;
}

static dnnl_status_t create_reorder(volt_op *op, cpu_md blocked, cpu_md plain)
{
    cpu_conv *c = op->conv;
    const bool back = op->spec.kind == VOLT_OP_CONV_BWD_WEIGHTS;
    dnnl_primitive_desc_t pd = NULL;
    dnnl_engine_t e = op->ctx->engine;
    dnnl_status_t st = dnnl_reorder_primitive_desc_create(&pd, back ? blocked : plain, e,
                                                          back ? plain : blocked, e, NULL);

    if (st == dnnl_success)
        st = dnnl_primitive_create(&c->reorder, pd);
    dnnl_primitive_desc_destroy(pd);
    return st;
}

/* Weights: the blocked memory of the primitive, the plain one of parameters, and the way
 * between them. */
static dnnl_status_t create_weights(volt_op *op)
{
    cpu_conv *c = op->conv;
    const bool back = op->spec.kind == VOLT_OP_CONV_BWD_WEIGHTS;
    cpu_md blocked = dnnl_primitive_desc_query_md(
        c->pd, back ? dnnl_query_diff_weights_md : dnnl_query_weights_md, 0);
    cpu_md plain = NULL;
    dnnl_status_t st = cpu_md_create(&plain, 5, c->dims, dnnl_f32, dnnl_oidhw);

    if (st == dnnl_success)
        st = dnnl_memory_create(&c->weights, blocked, op->ctx->engine, DNNL_MEMORY_NONE);
    if (st == dnnl_success)
        st = dnnl_memory_create(&c->plain_weights, plain, op->ctx->engine, DNNL_MEMORY_NONE);
    if (st == dnnl_success)
        st = create_reorder(op, blocked, plain);
    c->weights_bytes = (int64_t)dnnl_memory_desc_get_size(blocked);
    cpu_md_free(plain);
    return st;
}

static dnnl_status_t create_memories(volt_op *op)
{
    cpu_conv *c = op->conv;
    const bool data = op->spec.kind == VOLT_OP_CONV_BWD_DATA;
    const bool back = op->spec.kind == VOLT_OP_CONV_BWD_WEIGHTS;
    dnnl_engine_t e = op->ctx->engine;
    cpu_md src = dnnl_primitive_desc_query_md(
        c->pd, data ? dnnl_query_diff_src_md : dnnl_query_src_md, 0);
    cpu_md dst = dnnl_primitive_desc_query_md(
        c->pd, data || back ? dnnl_query_diff_dst_md : dnnl_query_dst_md, 0);
    cpu_md bias = dnnl_primitive_desc_query_md(
        c->pd, back ? dnnl_query_diff_weights_md : dnnl_query_weights_md, 1);
    cpu_md pad = dnnl_primitive_desc_query_md(c->pd, dnnl_query_scratchpad_md, 0);
    dnnl_status_t st = dnnl_memory_create(&c->memory[SRC], src, e, DNNL_MEMORY_NONE);

    if (st == dnnl_success)
        st = dnnl_memory_create(&c->memory[DST], dst, e, DNNL_MEMORY_NONE);
    if (st == dnnl_success && bias_index(op) >= 0)
        st = dnnl_memory_create(&c->bias, bias, e, DNNL_MEMORY_NONE);
    if (st == dnnl_success)
        st = dnnl_memory_create(&c->pad, pad, e, DNNL_MEMORY_NONE);
    if (st == dnnl_success)
        c->pad_at = reserve(op, dnnl_memory_desc_get_size(pad));
    return st;
}

static dnnl_status_t create_primitive(onednn_call *call)
{
    volt_op *op = call->op;
    cpu_conv *c = op->conv;
    dnnl_status_t st = create_conv_pd(op);

    if (st == dnnl_success)
        st = dnnl_primitive_create(&c->conv, c->pd);
    if (st == dnnl_success)
        st = dnnl_stream_create(&c->stream, op->ctx->engine, dnnl_stream_default_flags);
    if (st == dnnl_success)
        st = create_weights(op);
    if (st == dnnl_success)
        st = create_memories(op);
    return st;
}

static size_t plain_bytes(const cpu_conv *c)
{
    return (size_t)(c->dims[0] * c->dims[1] * c->dims[2] * c->dims[3] * c->dims[4]) *
           sizeof(float);
}

static const char *implementation_of(const cpu_conv *c)
{
    const char *name = NULL;

    (void)dnnl_primitive_desc_query(c->pd, dnnl_query_impl_info_str, 0, &name);
    return name ? name : "oneDNN";
}

static void describe(volt_op *op)
{
    cpu_conv *c = op->conv;

    op->info.kernel = implementation_of(c);
    if (bias_index(op) >= 0)
        c->bias_at = c->bias_sum_at = reserve(op, (size_t)c->dims[0] * sizeof(float));
    if (op->spec.kind != VOLT_OP_CONV_BWD_WEIGHTS) {
        op->info.packed_bytes =
            round_up((size_t)c->weights_bytes) + (c->padded ? plain_bytes(c) : 0);
        return;
    }
    c->weights_at = c->weights_sum_at = reserve(op, (size_t)c->weights_bytes);
    if (c->padded)
        c->plain_at = reserve(op, plain_bytes(c));
    if (c->samples > 1) {
        c->weights_sum_at = reserve(op, (size_t)c->weights_bytes);
        c->bias_sum_at = reserve(op, (size_t)c->dims[0] * sizeof(float));
    }
}

/* oneDNN's fast kernels want whole blocks of channels, which our buffers hold anyway. */
static void pad_weights(volt_op *op)
{
    const volt_tensor *w = &op->spec.tensor[WEIGHTS];
    const int64_t block = op->conv->plain ? 1 : op->ctx->block;
    const int64_t dims[5] = {(w->n + block - 1) / block * block,
                             (w->c + block - 1) / block * block, w->d, w->h, w->w};

    memcpy(op->conv->dims, dims, sizeof dims);
    op->conv->padded = dims[0] != w->n || dims[1] != w->c;
}

static bool is_reference(const cpu_conv *c)
{
    return strncmp(implementation_of(c), "ref", 3) == 0;
}

static void describe_samples(volt_op *op)
{
    op->conv->samples = 1;
    for (int side = 0; side < SIDES; side++) {
        const cpu_view *v = &op->view[side_index(op, side)];
        const int64_t bytes = v->bf16 ? 2 : 4;
        if (!v->dense)
            op->conv->samples = v->n;
        op->conv->sample_bytes[side] = v->sample_stride * bytes;
        op->conv->offset_bytes[side] = v->offset * bytes;
    }
}

/* Whether plain float32 stands in for bf16. Weights are rounded as bf16 kernels round them: on
 * a mesh, the part of one rank may have no such kernel, and those of the others have. */
static bool stands_in(const volt_op *op)
{
    bool bf16 = false;

    for (int side = 0; side < SIDES; side++) {
        const volt_tensor *t = &op->spec.tensor[side_index(op, side)];
        bf16 |= t->layout == VOLT_NATIVE && t->dtype == VOLT_BF16;
    }
    return op->conv->plain && bf16;
}

/* In the native layout, or on plain float32 twins. */
static volt_status create_in(volt_op *op, bool plain)
{
    volt_status st;

    VOLT_TRY(st, done, volt_alloc_zero(&op->conv, 1, sizeof *op->conv, "a convolution"));
    op->conv->plain = plain;
    op->conv->rounds = stands_in(op);
    VOLT_TRY(st, done, stage_operands(op));
    pad_weights(op);
    describe_samples(op);
    st = call_onednn(
        (onednn_call){.make = create_primitive, .op = op, .threads = threads_of(op)}, NULL);
    if (st == VOLT_OK && is_reference(op->conv))
        st = refused(op, dnnl_unimplemented);
    if (st == VOLT_OK)
        describe(op);
done:
    return st;
}

/* Whether an operand is a single number per sample. */
static bool is_single(const volt_op *op)
{
    for (int side = 0; side < SIDES; side++) {
        const cpu_view *v = &op->view[side_index(op, side)];
        if (v->c == 1 && v->voxels == 1)
            return true;
    }
    return false;
}

static volt_status create_loops(volt_op *op)
{
    static const volt_reference_run loops[] = {
        [CPU_CONV_FWD] = volt_reference_conv_fwd,
        [CPU_CONV_BWD_DATA] = volt_reference_conv_bwd_data,
        [CPU_CONV_BWD_WEIGHTS] = volt_reference_conv_bwd_weights};
    volt_status st;

    VOLT_TRY(st, done, volt_alloc_zero(&op->conv, 1, sizeof *op->conv, "a convolution"));
    op->conv->plain = true;
    op->conv->looped = op->spec;
    VOLT_TRY(st, done, stage_operands(op));
    op->conv->loops = loops[kind_of(op)];
    op->info.kernel = "own single";
done:
    return st;
}

static bool writes_margins(const volt_op *op)
{
    for (int side = 0; side < SIDES; side++) {
        if (is_output(op, side) && op->view[side_index(op, side)].margins)
            return true;
    }
    return false;
}

static void start_again(volt_op *op, const cpu_view view[VOLT_OP_MAX_TENSORS])
{
    cpu_conv_free(op->conv);
    op->conv = NULL;
    op->info.scratch_bytes = op->info.packed_bytes = 0;
    memcpy(op->view, view, sizeof op->view);
}

volt_status cpu_conv_create(volt_op *op)
{
    cpu_view view[VOLT_OP_MAX_TENSORS];
    const bool plain = needs_plain(op);
    volt_status st;

    if (writes_margins(op))
        return volt_fail(VOLT_ENOTSUP, "oneDNN writes whole buffers, without margins");
    /* oneDNN crashes where it gets no memory for its code. */
    VOLT_TRY(st, done, volt_reserve_check("a convolution"));
    memcpy(view, op->view, sizeof view);
    st = create_in(op, plain);
    if (st == VOLT_ENOTSUP && !plain) {
        start_again(op, view);
        st = create_in(op, true);
    }
    if (st == VOLT_ENOTSUP && is_single(op)) {
        start_again(op, view);
        st = create_loops(op);
    }
done:
    return st;
}

void cpu_conv_free(cpu_conv *c)
{
    if (!c)
        return;
    for (int side = 0; side < SIDES; side++) {
        if (c->stage[side])
            c->stage[side]->ctx->device->op_free(c->stage[side]);
        dnnl_memory_destroy(c->memory[side]);
    }
    dnnl_memory_destroy(c->weights);
    dnnl_memory_destroy(c->plain_weights);
    dnnl_memory_destroy(c->bias);
    dnnl_memory_destroy(c->pad);
    dnnl_primitive_destroy(c->reorder);
    dnnl_primitive_destroy(c->conv);
    dnnl_primitive_desc_destroy(c->pd);
    dnnl_stream_destroy(c->stream);
    volt_free(c);
}

/* Points a memory at data. */
static dnnl_status_t aim(dnnl_memory_t memory, void *at)
{
    return memory ? dnnl_memory_set_data_handle(memory, at) : dnnl_success;
}

static dnnl_status_t reorder(const cpu_conv *c, dnnl_memory_t from, dnnl_memory_t to)
{
    const dnnl_exec_arg_t args[2] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}};
    dnnl_status_t st = dnnl_primitive_execute(c->reorder, c->stream, 2, args);

    return st == dnnl_success ? dnnl_stream_wait(c->stream) : st;
}

/* Copies weights between their own extents and the padded ones. */
static void pad_copy(const volt_op *op, float *padded, float *own, bool grow)
{
    const cpu_conv *c = op->conv;
    const volt_tensor *w = &op->spec.tensor[WEIGHTS];
    const int64_t taps = w->d * w->h * w->w;
    const size_t line = (size_t)(w->c * taps) * sizeof(float);

    if (grow)
        memset(padded, 0, plain_bytes(c));
    for (int64_t o = 0; o < w->n; o++) {
        float *wide = padded + o * c->dims[1] * taps, *narrow = own + o * w->c * taps;
        memcpy(grow ? wide : narrow, grow ? narrow : wide, line);
    }
}

static dnnl_status_t pack(onednn_call *call)
{
    return reorder(call->op->conv, call->op->conv->plain_weights, call->op->conv->weights);
}

static void round_weights(float *packed, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        packed[i] = volt_bf16_to_float(volt_bf16_from_float(packed[i]));
}

volt_status cpu_conv_pack(volt_op *op, void *packed, const float *weights)
{
    const cpu_conv *c = op->conv;
    float *plain = (float *)(uintptr_t)weights; /* only read */
    volt_status result;
    dnnl_status_t st;

    if (c->padded) {
        float *padded = (float *)((char *)packed + round_up((size_t)c->weights_bytes));
        pad_copy(op, padded, plain, true);
        plain = padded;
    }
    st = aim(c->plain_weights, plain);
    if (st == dnnl_success)
        st = aim(c->weights, packed);
    if (st != dnnl_success)
        return cpu_engine_check(st, "weights");
    result = call_onednn((onednn_call){.make = pack, .op = op, .threads = threads_of(op)},
                         "weights");
    if (result == VOLT_OK && c->rounds)
        round_weights(packed, c->weights_bytes / (int64_t)sizeof(float));
    return result;
}

bool cpu_conv_same_form(const volt_op *a, const volt_op *b)
{
    const cpu_md one = dnnl_primitive_desc_query_md(a->conv->pd, dnnl_query_weights_md, 0);
    const cpu_md other = dnnl_primitive_desc_query_md(b->conv->pd, dnnl_query_weights_md, 0);

    return a->conv->rounds == b->conv->rounds && dnnl_memory_desc_equal(one, other) != 0;
}

/* One run of the primitive with all memories aimed. */
static dnnl_status_t execute(const volt_op *op)
{
    const cpu_conv *c = op->conv;
    const bool data = op->spec.kind == VOLT_OP_CONV_BWD_DATA;
    const bool back = op->spec.kind == VOLT_OP_CONV_BWD_WEIGHTS;
    const dnnl_exec_arg_t args[5] = {
        {data ? DNNL_ARG_DIFF_SRC : DNNL_ARG_SRC, c->memory[SRC]},
        {data || back ? DNNL_ARG_DIFF_DST : DNNL_ARG_DST, c->memory[DST]},
        {back ? DNNL_ARG_DIFF_WEIGHTS : DNNL_ARG_WEIGHTS, c->weights},
        {DNNL_ARG_SCRATCHPAD, c->pad},
        {back ? DNNL_ARG_DIFF_BIAS : DNNL_ARG_BIAS, c->bias}};
    dnnl_status_t st = dnnl_primitive_execute(c->conv, c->stream, c->bias ? 5 : 4, args);

    return st == dnnl_success ? dnnl_stream_wait(c->stream) : st;
}

static dnnl_status_t run_sample(const volt_op *op, char *const side[SIDES], int64_t n)
{
    const cpu_conv *c = op->conv;
    dnnl_status_t st = dnnl_success;

    for (int i = 0; i < SIDES && st == dnnl_success; i++)
        st = aim(c->memory[i], side[i] + c->offset_bytes[i] + n * c->sample_bytes[i]);
    return st == dnnl_success ? execute(op) : st;
}

static void add_to(float *sum, const float *x, int64_t count, int threads)
{
#pragma omp parallel for simd num_threads(threads) schedule(static)
    for (int64_t i = 0; i < count; i++)
        sum[i] += x[i];
}

/* Gradients of weights and bias: of the batch in one run, or sample by sample and added up. */
static dnnl_status_t run_bwd_weights(const volt_op *op, void *const *operand,
                                     char *const side[SIDES], char *scratch)
{
    const cpu_conv *c = op->conv;
    float *dw_sum = (float *)(scratch + c->weights_sum_at);
    float *db_sum = (float *)(scratch + c->bias_sum_at);
    dnnl_status_t st = dnnl_success;

    for (int64_t n = 0; n < c->samples && st == dnnl_success; n++) {
        float *dw = n ? (float *)(scratch + c->weights_at) : dw_sum;
        float *db = n ? (float *)(scratch + c->bias_at) : db_sum;
        st = aim(c->weights, dw);
        if (st == dnnl_success)
            st = aim(c->bias, db);
        if (st == dnnl_success)
            st = run_sample(op, side, n);
        if (n && st == dnnl_success) {
            add_to(dw_sum, dw, c->weights_bytes / 4, op->spec.threads);
            if (c->bias)
                add_to(db_sum, db, c->dims[0], 1);
        }
    }
    if (st == dnnl_success && c->bias)
        memcpy(operand[2], db_sum, (size_t)op->spec.tensor[WEIGHTS].n * sizeof(float));
    return st;
}

/* The gradient from oneDNN's layout to the parameter's. */
static dnnl_status_t unpack_gradient(const volt_op *op, float *out, char *scratch)
{
    const cpu_conv *c = op->conv;
    float *plain = c->padded ? (float *)(scratch + c->plain_at) : out;
    dnnl_status_t st = aim(c->weights, scratch + c->weights_sum_at);

    if (st == dnnl_success)
        st = aim(c->plain_weights, plain);
    if (st == dnnl_success)
        st = reorder(c, c->weights, c->plain_weights);
    if (st == dnnl_success && c->padded)
        pad_copy(op, plain, out, false);
    return st;
}

static dnnl_status_t run_with_weights(const volt_op *op, void *const *operand,
                                      char *const side[SIDES], char *scratch)
{
    const cpu_conv *c = op->conv;
    dnnl_status_t st = aim(c->weights, operand[WEIGHTS]);

    if (c->bias) {
        float *bias = (float *)(scratch + c->bias_at);
        memset(bias, 0, (size_t)c->dims[0] * sizeof *bias);
        memcpy(bias, operand[2], (size_t)op->spec.tensor[WEIGHTS].n * sizeof *bias);
        if (st == dnnl_success)
            st = aim(c->bias, bias);
    }
    for (int64_t n = 0; n < c->samples && st == dnnl_success; n++)
        st = run_sample(op, side, n);
    return st;
}

static dnnl_status_t run_convolution(onednn_call *call)
{
    const volt_op *op = call->op;
    dnnl_status_t st = aim(op->conv->pad, call->scratch + op->conv->pad_at);

    if (st != dnnl_success)
        return st;
    if (op->spec.kind != VOLT_OP_CONV_BWD_WEIGHTS)
        return run_with_weights(op, call->operand, call->side, call->scratch);
    st = run_bwd_weights(op, call->operand, call->side, call->scratch);
    return st == dnnl_success ? unpack_gradient(op, call->operand[WEIGHTS], call->scratch) : st;
}

static void run_loops(const volt_op *op, void *const *operand, char *const side[SIDES])
{
    void *plain[VOLT_OP_MAX_TENSORS] = {NULL};

    memcpy(plain, operand, (size_t)dst_index(op) * sizeof *plain);
    for (int i = 0; i < SIDES; i++)
        plain[side_index(op, i)] = side[i];
    op->conv->loops(&op->conv->looped, plain);
}

/* Copies staged inputs in, or a staged output out. */
static volt_status run_stage(const volt_op *op, void *const *operand, char *const side[SIDES],
                             bool output)
{
    volt_status st = VOLT_OK;

    for (int i = 0; i < SIDES && st == VOLT_OK; i++) {
        volt_op *copy = op->conv->stage[i];
        void *own = operand[side_index(op, i)];
        void *args[2] = {output ? side[i] : own, output ? own : side[i]};
        if (copy && is_output(op, i) == output)
            st = op->ctx->device->op_run(copy, args, NULL, NULL);
    }
    return st;
}

volt_status cpu_conv_run(volt_op *op, void *const *operand, void *scratch)
{
    const cpu_conv *c = op->conv;
    char *side[SIDES];
    volt_status st;

    for (int i = 0; i < SIDES; i++)
        side[i] = c->stage[i] ? (char *)scratch + c->stage_at[i] : operand[side_index(op, i)];
    VOLT_TRY(st, done, run_stage(op, operand, side, false));
    if (c->loops)
        run_loops(op, operand, side);
    else
        VOLT_TRY(st, done,
                 call_onednn((onednn_call){.make = run_convolution,
                                           .op = op,
                                           .operand = operand,
                                           .side = side,
                                           .scratch = scratch,
                                           .threads = threads_of(op)},
                             "convolution"));
    st = run_stage(op, operand, side, true);
done:
    return st;
}
