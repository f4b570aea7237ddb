#include "nets3d/device/op_spec.h"

#include <string.h>

#define I VOLT_ROLE_IN
#define O VOLT_ROLE_OUT
#define P VOLT_ROLE_PACKED
#define V VOLT_ROLE_VECTOR
#define R VOLT_ROLE_RESULT

// clang-format off
static const volt_op_signature signatures[] = {
    [VOLT_OP_CONV_FWD]          = {"conv_fwd", 5, {I, P, V, O, R}, 1u << 2 | 1u << 4, -1, -1,
                                   1u << 4},
    [VOLT_OP_CONV_BWD_DATA]     = {"conv_bwd_data", 3, {O, P, I}, 0, -1, -1},
    [VOLT_OP_CONV_BWD_WEIGHTS]  = {"conv_bwd_weights", 4, {I, R, R, I}, 1u << 2, -1, -1},
    [VOLT_OP_TCONV_FWD]         = {"tconv_fwd", 4, {I, P, V, O}, 1u << 2, -1, -1},
    [VOLT_OP_TCONV_BWD_DATA]    = {"tconv_bwd_data", 3, {O, P, I}, 0, -1, -1},
    [VOLT_OP_TCONV_BWD_WEIGHTS] = {"tconv_bwd_weights", 4, {I, R, R, I}, 1u << 2, -1, -1},
    [VOLT_OP_NORM_SUMS]         = {"norm_sums", 2, {I, R}, 0, -1, -1, 1u << 1},
    [VOLT_OP_NORM_FINISH]       = {"norm_finish", 7, {V, R, R, V, V, R, R}, 15u << 3, -1, -1,
                                   1u << 0},
    [VOLT_OP_NORM_RUNNING]      = {"norm_running", 4, {V, V, R, R}, 0, -1, -1},
    [VOLT_OP_NORM_ACT_FWD]      = {"norm_act_fwd", 6, {I, V, V, V, V, O}, 3u << 3, 0, -1},
    [VOLT_OP_NORM_BWD_SUMS]     = {"norm_bwd_sums", 10, {I, V, V, V, V, I, I, R, R, R},
                                   3u << 3 | 1u << 6 | 3u << 8, -1, -1, 1u << 7},
    [VOLT_OP_NORM_BWD_APPLY]    = {"norm_bwd_apply", 9, {I, V, V, V, V, I, I, V, O},
                                   3u << 3 | 1u << 6, 5, -1, 1u << 7},
    [VOLT_OP_ACT_FWD]           = {"act_fwd", 2, {I, O}, 0, 0, -1},
    [VOLT_OP_ACT_BWD]           = {"act_bwd", 3, {I, I, O}, 0, 1, -1},
    [VOLT_OP_MAX_POOL_FWD]      = {"max_pool_fwd", 2, {I, O}, 0, -1, -1},
    [VOLT_OP_MAX_POOL_BWD]      = {"max_pool_bwd", 3, {I, I, O}, 0, -1, -1},
    [VOLT_OP_AVERAGE_POOL_FWD]  = {"average_pool_fwd", 2, {I, O}, 0, -1, -1},
    [VOLT_OP_AVERAGE_POOL_BWD]  = {"average_pool_bwd", 2, {I, O}, 0, -1, -1},
    [VOLT_OP_UPSAMPLE_FWD]      = {"upsample_fwd", 2, {I, O}, 0, -1, -1},
    [VOLT_OP_UPSAMPLE_BWD]      = {"upsample_bwd", 2, {I, O}, 0, -1, -1},
    [VOLT_OP_ADD]               = {"add", 3, {I, I, O}, 0, 0, 1},
    [VOLT_OP_COPY]              = {"copy", 2, {I, O}, 0, -1, -1},
    [VOLT_OP_SCALE_CHANNELS]    = {"scale_channels", 3, {I, V, O}, 0, 0, -1},
    [VOLT_OP_SOFTMAX_FWD]       = {"softmax_fwd", 2, {I, O}, 0, 0, -1},
    [VOLT_OP_SOFTMAX_BWD]       = {"softmax_bwd", 3, {I, I, O}, 0, 1, -1},
    [VOLT_OP_PRELU_FWD]         = {"prelu_fwd", 3, {I, V, O}, 0, 0, -1},
    [VOLT_OP_PRELU_BWD]         = {"prelu_bwd", 5, {I, V, I, O, R}, 0, 2, -1},
    [VOLT_OP_PACK_BOX]          = {"pack_box", 2, {I, O}, 0, -1, -1},
    [VOLT_OP_UNPACK_BOX]        = {"unpack_box", 2, {I, O}, 0, -1, -1},
};
// clang-format on

#undef I
#undef O
#undef P
#undef V
#undef R

const volt_op_signature *volt_op_signature_of(volt_op_kind kind)
{
    const int count = (int)(sizeof signatures / sizeof *signatures);

    return (int)kind >= 1 && (int)kind < count ? &signatures[kind] : NULL;
}

static int64_t extent(const volt_tensor *t, int axis)
{
    const int64_t e[5] = {t->n, t->c, t->d, t->h, t->w};

    return e[axis];
}

static bool is_absent(const volt_tensor *t)
{
    return t->n == 0;
}

/* Extents `first`..4 of operand i are those of `want`. */
static volt_status want_extents(const volt_op_spec *spec, int i, const int64_t want[5])
{
    const volt_op_signature *sig = volt_op_signature_of(spec->kind);
    const volt_tensor *t = &spec->tensor[i];

    if (is_absent(t) && (sig->optional >> i & 1))
        return VOLT_OK;
    for (int axis = 0; axis < 5; axis++) {
        if (extent(t, axis) != want[axis])
            return volt_fail(VOLT_EINVAL,
                             "%s: operand %d has extent %lld along %c, expected "
                             "%lld",
                             sig->name, i, (long long)extent(t, axis), "ncdhw"[axis],
                             (long long)want[axis]);
    }
    return VOLT_OK;
}

static volt_status want_same(const volt_op_spec *spec, int i, int like)
{
    const volt_tensor *t = &spec->tensor[like];

    return want_extents(spec, i, (int64_t[]){t->n, t->c, t->d, t->h, t->w});
}

static volt_status want_vector(const volt_op_spec *spec, int i, int64_t n, int64_t c)
{
    return want_extents(spec, i, (int64_t[]){n, c, 1, 1, 1});
}

/* Two sums per sample and channel of operand `of`, or per channel. */
static volt_status want_sums(const volt_op_spec *spec, int i, int of)
{
    const volt_tensor *t = &spec->tensor[of];
    const int64_t rows = spec->tensor[i].n == 1 ? 1 : t->n;

    return want_extents(spec, i, (int64_t[]){rows, t->c, 2, 1, 1});
}

/* The extents of a convolution's or a pooling's output along d, h, w. */
static volt_status conv_extents(const volt_op_spec *spec, const volt_tensor *src,
                                int64_t out[3])
{
    const volt_conv *c = &spec->conv;

    for (int i = 0; i < 3; i++) {
        const int64_t room = extent(src, 2 + i) + c->pad_low[i] + c->pad_high[i] - c->kernel[i];
        if (c->kernel[i] < 1 || c->stride[i] < 1 || c->pad_low[i] < 0 || c->pad_high[i] < 0 ||
            room < 0)
            return volt_fail(VOLT_EINVAL,
                             "%s: kernel %lld and stride %lld do not fit extent "
                             "%lld along %c",
                             volt_op_signature_of(spec->kind)->name, (long long)c->kernel[i],
                             (long long)c->stride[i], (long long)extent(src, 2 + i), "dhw"[i]);
        out[i] = room / c->stride[i] + 1;
    }
    return VOLT_OK;
}

/* src, weights, bias and dst stand at these operand indices; -1 = not there. */
static volt_status check_conv(const volt_op_spec *spec, int src_i, int weights_i, int bias_i,
                              int dst_i)
{
    const volt_tensor *src = &spec->tensor[src_i], *dst = &spec->tensor[dst_i];
    const int64_t *k = spec->conv.kernel;
    int64_t out[3];
    volt_status st;

    VOLT_TRY(st, done, conv_extents(spec, src, out));
    VOLT_TRY(st, done,
             want_extents(spec, dst_i, (int64_t[]){src->n, dst->c, out[0], out[1], out[2]}));
    VOLT_TRY(st, done,
             want_extents(spec, weights_i, (int64_t[]){dst->c, src->c, k[0], k[1], k[2]}));
    if (bias_i >= 0)
        st = want_vector(spec, bias_i, 1, dst->c);
done:
    return st;
}

static volt_status check_tconv(const volt_op_spec *spec, int src_i, int weights_i, int bias_i,
                               int dst_i)
{
    const volt_tensor *src = &spec->tensor[src_i], *dst = &spec->tensor[dst_i];
    const volt_conv *c = &spec->conv;
    const int64_t *s = c->stride, *k = c->kernel;
    volt_status st;

    for (int i = 0; i < 3; i++) {
        if (k[i] < 1 || s[i] < 1 || c->pad_low[i] < 0 || c->pad_low[i] >= k[i] ||
            c->pad_high[i] != k[i] - s[i] - c->pad_low[i])
            return volt_fail(VOLT_EINVAL,
                             "%s: kernel %lld, stride %lld and padding %lld and %lld along %c "
                             "do not multiply extents by the stride",
                             volt_op_signature_of(spec->kind)->name, (long long)k[i],
                             (long long)s[i], (long long)c->pad_low[i],
                             (long long)c->pad_high[i], "dhw"[i]);
    }
    VOLT_TRY(
        st, done,
        want_extents(spec, dst_i,
                     (int64_t[]){src->n, dst->c, src->d * s[0], src->h * s[1], src->w * s[2]}));
    VOLT_TRY(st, done,
             want_extents(spec, weights_i, (int64_t[]){src->c, dst->c, k[0], k[1], k[2]}));
    if (bias_i >= 0)
        st = want_vector(spec, bias_i, 1, dst->c);
done:
    return st;
}

static volt_status want_count(const volt_op_spec *spec)
{
    if (spec->count < 1)
        return volt_fail(VOLT_EINVAL, "%s: sums over %lld voxels, expected 1 or more",
                         volt_op_signature_of(spec->kind)->name, (long long)spec->count);
    return VOLT_OK;
}

/* Running statistics: all four or none, of the whole batch. */
static volt_status check_running(const volt_op_spec *spec)
{
    int there = 0;

    for (int i = 3; i < 7; i++)
        there += !is_absent(&spec->tensor[i]);
    if (there == 0)
        return VOLT_OK;
    if (there != 4 || spec->tensor[0].n != 1)
        return volt_fail(VOLT_EINVAL,
                         "norm_finish: %d operands of running statistics and sums of %lld "
                         "samples, expected 4 and sums of all samples",
                         there, (long long)spec->tensor[0].n);
    if (spec->count < 2)
        return volt_fail(VOLT_EINVAL,
                         "norm_finish: a variance over %lld voxel, expected 2 or more",
                         (long long)spec->count);
    if (!(spec->momentum >= 0 && spec->momentum <= 1))
        return volt_fail(VOLT_EINVAL, "norm_finish: the momentum is %g, expected 0..1",
                         spec->momentum);
    return VOLT_OK;
}

/* Sums -> mean, rstd. */
static volt_status check_norm_finish(const volt_op_spec *spec)
{
    const volt_tensor *sums = &spec->tensor[0];
    const int64_t n = sums->n == 1 ? spec->tensor[1].n : sums->n;
    volt_status st;

    VOLT_TRY(st, done, want_sums(spec, 0, 0));
    VOLT_TRY(st, done, want_vector(spec, 1, n, sums->c));
    VOLT_TRY(st, done, want_vector(spec, 2, n, sums->c));
    for (int i = 3; i < 7; i++)
        VOLT_TRY(st, done, want_vector(spec, i, 1, sums->c));
    VOLT_TRY(st, done, want_count(spec));
    st = check_running(spec);
done:
    return st;
}

/* Running statistics -> mean, rstd. */
static volt_status check_norm_running(const volt_op_spec *spec)
{
    const volt_tensor *mean = &spec->tensor[2];
    volt_status st;

    VOLT_TRY(st, done, want_vector(spec, 0, 1, mean->c));
    VOLT_TRY(st, done, want_vector(spec, 1, 1, mean->c));
    VOLT_TRY(st, done, want_vector(spec, 2, mean->n, mean->c));
    st = want_vector(spec, 3, mean->n, mean->c);
done:
    return st;
}

/* What reads src, mean, rstd, [scale], [shift] and one more activation. */
static volt_status check_norm(const volt_op_spec *spec)
{
    const volt_tensor *src = &spec->tensor[0];
    volt_status st;

    VOLT_TRY(st, done, want_vector(spec, 1, src->n, src->c));
    VOLT_TRY(st, done, want_vector(spec, 2, src->n, src->c));
    VOLT_TRY(st, done, want_vector(spec, 3, 1, src->c));
    VOLT_TRY(st, done, want_vector(spec, 4, 1, src->c));
    VOLT_TRY(st, done, want_same(spec, 5, 0));
    if (spec->kind == VOLT_OP_NORM_ACT_FWD)
        goto done;
    VOLT_TRY(st, done, want_same(spec, 6, 0));
    VOLT_TRY(st, done, want_sums(spec, 7, 0));
    if (spec->kind == VOLT_OP_NORM_BWD_APPLY) {
        VOLT_TRY(st, done, want_same(spec, 8, 0));
        st = want_count(spec);
        goto done;
    }
    VOLT_TRY(st, done, want_vector(spec, 8, 1, src->c));
    VOLT_TRY(st, done, want_vector(spec, 9, 1, src->c));
done:
    return st;
}

/* `large` has the extents before pooling or after upsampling; both have the same channels. */
static volt_status check_pool(const volt_op_spec *spec, int large, int small)
{
    const volt_tensor *t = &spec->tensor[large];
    int64_t out[3];
    volt_status st;

    VOLT_TRY(st, done, conv_extents(spec, t, out));
    st = want_extents(spec, small, (int64_t[]){t->n, t->c, out[0], out[1], out[2]});
done:
    return st;
}

static volt_status check_upsample(const volt_op_spec *spec, int large, int small)
{
    const volt_tensor *t = &spec->tensor[small];
    const int64_t *f = spec->conv.stride;

    return want_extents(spec, large,
                        (int64_t[]){t->n, t->c, t->d * f[0], t->h * f[1], t->w * f[2]});
}

/* One slope for all channels, or one for each. */
static volt_status check_prelu(const volt_op_spec *spec)
{
    const int64_t slopes = spec->tensor[1].c == 1 ? 1 : spec->tensor[0].c;
    volt_status st;

    VOLT_TRY(st, done, want_vector(spec, 1, 1, slopes));
    VOLT_TRY(st, done, want_same(spec, 2, 0));
    if (spec->kind == VOLT_OP_PRELU_FWD)
        goto done;
    VOLT_TRY(st, done, want_same(spec, 3, 0));
    st = want_vector(spec, 4, 1, slopes);
done:
    return st;
}

/* The operand whose box `spec.box` is given in. */
static int boxed_operand(const volt_op_spec *spec)
{
    return spec->kind == VOLT_OP_PACK_BOX ? 0 : 1;
}

static volt_status check_box(const volt_op_spec *spec)
{
    const int boxed = boxed_operand(spec);
    const volt_tensor *t = &spec->tensor[boxed];
    const volt_box *b = &spec->box;

    for (int i = 0; i < 3; i++) {
        if (b->low[i] >= b->high[i] || b->low[i] < -t->margin_low[i] ||
            b->high[i] > extent(t, 2 + i) + t->margin_high[i])
            return volt_fail(VOLT_EINVAL,
                             "%s: box %lld..%lld along %c leaves a tensor of %lld voxels with "
                             "margins of %lld and %lld",
                             volt_op_signature_of(spec->kind)->name, (long long)b->low[i],
                             (long long)b->high[i], "dhw"[i], (long long)extent(t, 2 + i),
                             (long long)t -> margin_low[i], (long long)t -> margin_high[i]);
    }
    return want_extents(spec, 1 - boxed,
                        (int64_t[]){t->n, t->c, b->high[0] - b->low[0], b->high[1] - b->low[1],
                                    b->high[2] - b->low[2]});
}

volt_op_spec volt_op_spec_as_copy(const volt_op_spec *spec)
{
    volt_op_spec copy = *spec;
    volt_tensor *t = &copy.tensor[boxed_operand(spec)];
    int64_t low[3], high[3];

    for (int i = 0; i < 3; i++) {
        low[i] = -spec->box.low[i];
        high[i] = spec->box.high[i] - extent(t, 2 + i);
    }
    copy.kind = VOLT_OP_COPY;
    *t = volt_tensor_grown(t, low, high);
    return copy;
}

/* The operand that a convolution reads outside its box; -1 = none. */
static int reaching_operand(volt_op_kind kind)
{
    switch (kind) {
    case VOLT_OP_CONV_FWD:
    case VOLT_OP_CONV_BWD_WEIGHTS:
        return 0;
    case VOLT_OP_CONV_BWD_DATA:
        return 2;
    default:
        return -1;
    }
}

static int64_t clamped(int64_t x, int64_t low, int64_t high)
{
    return x < low ? low : x > high ? high : x;
}

/* Source: the padding that margins take the place of goes. */
static void absorb_in_source(volt_op_spec *s, int axis, int64_t *low, int64_t *high)
{
    const volt_tensor *src = &s->tensor[0], *dst = &s->tensor[3];
    volt_conv *c = &s->conv;
    const int64_t end = (extent(dst, 2 + axis) - 1) * c->stride[axis] + c->kernel[axis];

    *low = clamped(c->pad_low[axis], 0, src->margin_low[axis]);
    *high = clamped(end - c->pad_low[axis] - extent(src, 2 + axis), 0, src->margin_high[axis]);
    c->pad_low[axis] -= *low;
    c->pad_high[axis] -= *high;
}

/* Gradient of the destination: its first voxel is a window further to the front. */
static void absorb_in_gradient(volt_op_spec *s, int axis, int64_t *low, int64_t *high)
{
    const volt_tensor *src = &s->tensor[0], *dst = &s->tensor[2];
    volt_conv *c = &s->conv;
    const int64_t e = extent(src, 2 + axis), last = extent(dst, 2 + axis) - 1;
    const int64_t stride = c->stride[axis], pad = c->pad_low[axis];
    const int64_t front = c->kernel[axis] - 1 - pad; /* < 0: the first windows are padding */

    *low = clamped(front < 0 ? 0 : front / stride, 0, dst->margin_low[axis]);
    *high = clamped((e - 1 + pad) / stride - last, 0, dst->margin_high[axis]);
    c->pad_low[axis] += *low * stride;
    c->pad_high[axis] = (last + *low + *high) * stride + c->kernel[axis] - e - c->pad_low[axis];
    if (c->pad_high[axis] < 0)
        c->pad_high[axis] = 0; /* sources behind the last window */
}

volt_op_spec volt_op_spec_absorb_margins(const volt_op_spec *spec)
{
    const int reaching = reaching_operand(spec->kind);
    volt_op_spec out = *spec;
    int64_t low[3], high[3];

    if (reaching < 0 || !volt_tensor_has_margins(&spec->tensor[reaching]))
        return out;
    for (int axis = 0; axis < 3; axis++) {
        if (reaching == 0)
            absorb_in_source(&out, axis, &low[axis], &high[axis]);
        else
            absorb_in_gradient(&out, axis, &low[axis], &high[axis]);
    }
    out.tensor[reaching] = volt_tensor_grown(&out.tensor[reaching], low, high);
    return out;
}

static bool has_padding(const volt_conv *c)
{
    for (int i = 0; i < 3; i++) {
        if (c->pad_low[i] || c->pad_high[i])
            return true;
    }
    return false;
}

/* Only activations have margins, and not where edges matter. */
static volt_status check_margins(const volt_op_spec *spec, const volt_op_signature *sig)
{
    const bool pools =
        spec->kind >= VOLT_OP_MAX_POOL_FWD && spec->kind <= VOLT_OP_AVERAGE_POOL_BWD;

    for (int i = 0; i < sig->operands; i++) {
        const volt_tensor *t = &spec->tensor[i];
        const bool activation = sig->role[i] == VOLT_ROLE_IN || sig->role[i] == VOLT_ROLE_OUT;

        for (int a = 0; a < 3; a++) {
            if (t->margin_low[a] < 0 || t->margin_high[a] < 0 ||
                (!activation && (t->margin_low[a] || t->margin_high[a])))
                return volt_fail(VOLT_EINVAL,
                                 "%s: operand %d has margins of %lld and %lld along %c",
                                 sig->name, i, (long long)t->margin_low[a],
                                 (long long)t->margin_high[a], "dhw"[a]);
        }
        if (sig->role[i] == VOLT_ROLE_IN && volt_tensor_has_margins(t) && pools &&
            has_padding(&spec->conv))
            return volt_fail(VOLT_ENOTSUP, "%s: an input with margins, and the edges matter",
                             sig->name);
    }
    return VOLT_OK;
}

static volt_status check_ranges(const volt_op_spec *spec, const volt_op_signature *sig)
{
    for (int i = 0; i < sig->operands; i++) {
        const volt_tensor *t = &spec->tensor[i];
        if (is_absent(t) && (sig->optional >> i & 1))
            continue;
        for (int axis = 0; axis < 5; axis++) {
            if (extent(t, axis) < 1)
                return volt_fail(VOLT_EINVAL, "%s: operand %d has extent %lld along %c",
                                 sig->name, i, (long long)extent(t, axis), "ncdhw"[axis]);
        }
        if (t->c_offset < 0 || t->c > t->buffer_c - t->c_offset)
            return volt_fail(VOLT_EINVAL,
                             "%s: operand %d: %lld channels from %lld leave a "
                             "buffer of %lld",
                             sig->name, i, (long long)t->c, (long long)t->c_offset,
                             (long long)t->buffer_c);
        if (sig->float64 >> i & 1
                ? t->dtype != VOLT_F64
                : t->dtype != VOLT_F32 && t->dtype != VOLT_BF16 && t->dtype != VOLT_F16)
            return volt_fail(VOLT_EINVAL, "%s: operand %d has data type %d, expected %s",
                             sig->name, i, (int)t->dtype,
                             sig->float64 >> i & 1 ? "float64"
                                                   : "float32, bfloat16 or float16");
    }
    return VOLT_OK;
}

volt_status volt_op_spec_check(const volt_op_spec *spec)
{
    const volt_op_signature *sig = volt_op_signature_of(spec->kind);
    volt_status st;

    if (!sig)
        return volt_fail(VOLT_EINVAL, "operator kind %d is unknown", (int)spec->kind);
    if (spec->threads < 1)
        return volt_fail(VOLT_EINVAL, "%s: threads is %d, expected 1 or more", sig->name,
                         spec->threads);
    VOLT_TRY(st, done, check_ranges(spec, sig));
    VOLT_TRY(st, done, check_margins(spec, sig));
    switch (spec->kind) {
    case VOLT_OP_CONV_FWD:
        VOLT_TRY(st, done, want_sums(spec, 4, 3));
        return check_conv(spec, 0, 1, 2, 3);
    case VOLT_OP_CONV_BWD_DATA:
        return check_conv(spec, 0, 1, -1, 2);
    case VOLT_OP_CONV_BWD_WEIGHTS:
        return check_conv(spec, 0, 1, 2, 3);
    case VOLT_OP_TCONV_FWD:
        return check_tconv(spec, 0, 1, 2, 3);
    case VOLT_OP_TCONV_BWD_DATA:
        return check_tconv(spec, 0, 1, -1, 2);
    case VOLT_OP_TCONV_BWD_WEIGHTS:
        return check_tconv(spec, 0, 1, 2, 3);
    case VOLT_OP_NORM_SUMS:
        return want_sums(spec, 1, 0);
    case VOLT_OP_NORM_FINISH:
        return check_norm_finish(spec);
    case VOLT_OP_NORM_RUNNING:
        return check_norm_running(spec);
    case VOLT_OP_NORM_ACT_FWD:
    case VOLT_OP_NORM_BWD_SUMS:
    case VOLT_OP_NORM_BWD_APPLY:
        return check_norm(spec);
    case VOLT_OP_MAX_POOL_FWD:
    case VOLT_OP_AVERAGE_POOL_FWD:
        return check_pool(spec, 0, 1);
    case VOLT_OP_MAX_POOL_BWD:
        VOLT_TRY(st, done, want_same(spec, 2, 0));
        return check_pool(spec, 0, 1);
    case VOLT_OP_AVERAGE_POOL_BWD:
        return check_pool(spec, 1, 0);
    case VOLT_OP_UPSAMPLE_FWD:
        return check_upsample(spec, 1, 0);
    case VOLT_OP_UPSAMPLE_BWD:
        return check_upsample(spec, 0, 1);
    case VOLT_OP_SCALE_CHANNELS:
        VOLT_TRY(st, done, want_vector(spec, 1, spec->tensor[0].n, spec->tensor[0].c));
        return want_same(spec, 2, 0);
    case VOLT_OP_PRELU_FWD:
    case VOLT_OP_PRELU_BWD:
        return check_prelu(spec);
    case VOLT_OP_PACK_BOX:
    case VOLT_OP_UNPACK_BOX:
        return check_box(spec);
    case VOLT_OP_ACT_FWD:
    case VOLT_OP_COPY:
    case VOLT_OP_SOFTMAX_FWD:
        return want_same(spec, 1, 0);
    case VOLT_OP_ACT_BWD:
    case VOLT_OP_ADD:
    case VOLT_OP_SOFTMAX_BWD:
        VOLT_TRY(st, done, want_same(spec, 1, 0));
        return want_same(spec, 2, 0);
    }
done:
    return st;
}

/* Operations per element of the first operand, for all but (transposed) convolutions. */
static double operations_per_element(const volt_op_spec *spec)
{
    const int64_t *k = spec->conv.kernel, *s = spec->conv.stride;

    switch (spec->kind) {
    case VOLT_OP_NORM_SUMS:
        return 4;
    case VOLT_OP_NORM_ACT_FWD:
    case VOLT_OP_NORM_FINISH:
    case VOLT_OP_NORM_RUNNING:
        return 3;
    case VOLT_OP_NORM_BWD_SUMS:
    case VOLT_OP_NORM_BWD_APPLY:
        return 5;
    case VOLT_OP_SOFTMAX_FWD:
    case VOLT_OP_SOFTMAX_BWD:
        return 4;
    case VOLT_OP_PRELU_BWD:
        return 3;
    case VOLT_OP_COPY:
        return 0;
    case VOLT_OP_MAX_POOL_FWD:
    case VOLT_OP_MAX_POOL_BWD:
    case VOLT_OP_AVERAGE_POOL_FWD:
    case VOLT_OP_AVERAGE_POOL_BWD:
        return (double)(k[0] * k[1] * k[2]) / (double)(s[0] * s[1] * s[2]);
    case VOLT_OP_UPSAMPLE_FWD:
    case VOLT_OP_UPSAMPLE_BWD:
        return spec->linear ? 8 : 1;
    default:
        return 1;
    }
}

void volt_op_spec_cost(const volt_op_spec *spec, double *flops, double *bytes)
{
    const volt_op_signature *sig = volt_op_signature_of(spec->kind);
    const bool conv = spec->kind <= VOLT_OP_CONV_BWD_WEIGHTS;
    const bool tconv = !conv && spec->kind <= VOLT_OP_TCONV_BWD_WEIGHTS;

    if (spec->kind == VOLT_OP_PACK_BOX || spec->kind == VOLT_OP_UNPACK_BOX) {
        const volt_op_spec copy = volt_op_spec_as_copy(spec);
        volt_op_spec_cost(&copy, flops, bytes);
        return;
    }
    *bytes = 0;
    for (int i = 0; i < sig->operands; i++)
        *bytes += (double)volt_tensor_elements(&spec->tensor[i]) *
                  (double)volt_dtype_bytes(spec->tensor[i].dtype);
    if (conv || tconv) {
        const volt_tensor *weights = &spec->tensor[1];
        const volt_tensor *src = &spec->tensor[0];
        const volt_tensor *dst = &spec->tensor[sig->role[2] == VOLT_ROLE_IN ? 2 : 3];
        const volt_tensor *sites = conv ? dst : src; /* each meets every weight once */

        *flops = 2.0 * (double)volt_tensor_elements(weights) *
                 (double)(sites->n * sites->d * sites->h * sites->w);
    } else {
        *flops = operations_per_element(spec) * (double)volt_tensor_elements(&spec->tensor[0]);
    }
}
