/* Pooling windows lie wholly inside the input; upsampling has half-pixel centres and clamps at
 * the edges, unless the operand that is read has margins there. Backward passes gather: each
 * input looks for the outputs that used it. */
#include "nets3d/ops/reference.h"

#include <math.h>

/* Output windows that hold input index i along one axis: first..last. */
static void windows_over(int64_t *first, int64_t *last, int64_t i, int64_t kernel,
                         int64_t stride, int64_t outs)
{
    *first = i - kernel + 1 <= 0 ? 0 : (i - kernel + stride) / stride;
    *last = i / stride < outs ? i / stride : outs - 1;
}

/* Raster index of the first maximum in the window of output o; its value in *highest. */
static int64_t first_maximum(const volt_op_spec *spec, const volt_operand_view *src, int64_t n,
                             int64_t c, const int64_t o[3], double *highest)
{
    const int64_t *k = spec->conv.kernel, *s = spec->conv.stride;
    int64_t where = -1;

    for (int64_t kd = 0; kd < k[0]; kd++)
        for (int64_t kh = 0; kh < k[1]; kh++)
            for (int64_t kw = 0; kw < k[2]; kw++) {
                const int64_t d = o[0] * s[0] + kd, h = o[1] * s[1] + kh, w = o[2] * s[2] + kw;
                const double x = volt_view_get(src, n, c, d, h, w);
                if (where < 0 || x > *highest || isnan(x)) {
                    where = (d * src->t.h + h) * src->t.w + w;
                    *highest = x;
                }
            }
    return where;
}

/* src (n,c,d,h,w) -> dst (n,c,od,oh,ow) */
void volt_reference_max_pool_fwd(const volt_op_spec *spec, void *const *operands)
{
    const volt_operand_view src = volt_operand_view_of(spec, operands, 0),
                            dst = volt_operand_view_of(spec, operands, 1);

    for (int64_t n = 0; n < dst.t.n; n++)
        for (int64_t c = 0; c < dst.t.c; c++)
            for (int64_t d = 0; d < dst.t.d; d++)
                for (int64_t h = 0; h < dst.t.h; h++)
                    for (int64_t w = 0; w < dst.t.w; w++) {
                        double highest = 0;
                        first_maximum(spec, &src, n, c, (int64_t[]){d, h, w}, &highest);
                        volt_view_set(&dst, n, c, d, h, w, highest);
                    }
}

/* Gradient of one input: from every window whose first maximum it is (max pooling), or its
 * part of every window that contains it (average pooling, src NULL). */
static double pool_gradient(const volt_op_spec *spec, const volt_operand_view *src,
                            const volt_operand_view *diff_dst, const volt_tensor *in,
                            const int64_t i[5])
{
    const int64_t *k = spec->conv.kernel, *s = spec->conv.stride;
    const int64_t outs[3] = {diff_dst->t.d, diff_dst->t.h, diff_dst->t.w};
    const int64_t mine = (i[2] * in->h + i[3]) * in->w + i[4];
    int64_t first[3], last[3];
    double sum = 0, highest = 0;

    for (int axis = 0; axis < 3; axis++)
        windows_over(&first[axis], &last[axis], i[2 + axis], k[axis], s[axis], outs[axis]);
    for (int64_t d = first[0]; d <= last[0]; d++)
        for (int64_t h = first[1]; h <= last[1]; h++)
            for (int64_t w = first[2]; w <= last[2]; w++) {
                const int64_t o[3] = {d, h, w};
                const double g = volt_view_get(diff_dst, i[0], i[1], d, h, w);
                if (!src)
                    sum += g / (double)(k[0] * k[1] * k[2]);
                else if (first_maximum(spec, src, i[0], i[1], o, &highest) == mine)
                    sum += g;
            }
    return sum;
}

static void pool_bwd(const volt_op_spec *spec, const volt_operand_view *src,
                     const volt_operand_view *diff_dst, const volt_operand_view *diff_src)
{
    const volt_tensor *t = &diff_src->t;

    for (int64_t n = 0; n < t->n; n++)
        for (int64_t c = 0; c < t->c; c++)
            for (int64_t d = 0; d < t->d; d++)
                for (int64_t h = 0; h < t->h; h++)
                    for (int64_t w = 0; w < t->w; w++) {
                        const int64_t i[5] = {n, c, d, h, w};
                        volt_view_set(diff_src, n, c, d, h, w,
                                      pool_gradient(spec, src, diff_dst, t, i));
                    }
}

/* src (n,c,d,h,w), diff_dst (n,c,od,oh,ow) -> diff_src (n,c,d,h,w) */
void volt_reference_max_pool_bwd(const volt_op_spec *spec, void *const *operands)
{
    const volt_operand_view src = volt_operand_view_of(spec, operands, 0);
    const volt_operand_view diff_dst = volt_operand_view_of(spec, operands, 1);
    const volt_operand_view diff_src = volt_operand_view_of(spec, operands, 2);

    pool_bwd(spec, &src, &diff_dst, &diff_src);
}

/* src (n,c,d,h,w) -> dst (n,c,od,oh,ow) */
void volt_reference_average_pool_fwd(const volt_op_spec *spec, void *const *operands)
{
    const volt_operand_view src = volt_operand_view_of(spec, operands, 0),
                            dst = volt_operand_view_of(spec, operands, 1);
    const int64_t *k = spec->conv.kernel, *s = spec->conv.stride;

    for (int64_t n = 0; n < dst.t.n; n++)
        for (int64_t c = 0; c < dst.t.c; c++)
            for (int64_t d = 0; d < dst.t.d; d++)
                for (int64_t h = 0; h < dst.t.h; h++)
                    for (int64_t w = 0; w < dst.t.w; w++) {
                        double sum = 0;
                        for (int64_t kd = 0; kd < k[0]; kd++)
                            for (int64_t kh = 0; kh < k[1]; kh++)
                                for (int64_t kw = 0; kw < k[2]; kw++)
                                    sum += volt_view_get(&src, n, c, d * s[0] + kd,
                                                         h * s[1] + kh, w * s[2] + kw);
                        volt_view_set(&dst, n, c, d, h, w, sum / (double)(k[0] * k[1] * k[2]));
                    }
}

/* diff_dst (n,c,od,oh,ow) -> diff_src (n,c,d,h,w) */
void volt_reference_average_pool_bwd(const volt_op_spec *spec, void *const *operands)
{
    const volt_operand_view diff_dst = volt_operand_view_of(spec, operands, 0);
    const volt_operand_view diff_src = volt_operand_view_of(spec, operands, 1);

    pool_bwd(spec, NULL, &diff_dst, &diff_src);
}

/* One axis of an upsampling. Inputs are clamped, unless the operand that is read has voxels in
 * its margin: so many are used. */
typedef struct stretch {
    int64_t factor, ins, more_low, more_high;
    bool linear;
} stretch;

static int64_t at_most(int64_t x, int64_t most)
{
    return x < most ? x : most;
}

static stretch stretch_of(const volt_op_spec *spec, int axis)
{
    const bool forward = spec->kind == VOLT_OP_UPSAMPLE_FWD;
    const volt_tensor *read = &spec->tensor[0], *in = &spec->tensor[forward ? 0 : 1];
    const int64_t ins[3] = {in->d, in->h, in->w}, factor = spec->conv.stride[axis];
    const bool linear = spec->linear && factor > 1;
    const int64_t most = !linear ? 0 : forward ? 1 : factor / 2;

    return (stretch){.factor = factor,
                     .ins = ins[axis],
                     .more_low = at_most(read->margin_low[axis], most),
                     .more_high = at_most(read->margin_high[axis], most),
                     .linear = linear};
}

/* How much input i counts in output o. */
static double weight_of(const stretch *s, int64_t o, int64_t i)
{
    double at, low;
    int64_t i0, i1;

    if (!s->linear)
        return o / s->factor == i;
    at = ((double)o + 0.5) / (double)s->factor - 0.5;
    at = at < 0 && s->more_low == 0 ? 0 : at;
    low = floor(at);
    i0 = (int64_t)low;
    i1 = i0 + 1 < s->ins || s->more_high > 0 ? i0 + 1 : s->ins - 1;
    return (i0 == i ? 1 - (at - low) : 0) + (i1 == i ? at - low : 0);
}

/* The inputs that output o may use lie in *first..*last. */
static void inputs_near(int64_t *first, int64_t *last, int64_t o, const stretch *s)
{
    const int64_t i = o / s->factor;

    *first = i > 0 || s->more_low > 0 ? i - 1 : 0;
    *last = i + 1 < s->ins || s->more_high > 0 ? i + 1 : s->ins - 1;
}

/* The outputs that may use input i lie in *first..*last. */
static void outputs_near(int64_t *first, int64_t *last, int64_t i, const stretch *s)
{
    const int64_t low = -s->more_low, high = s->ins * s->factor - 1 + s->more_high;

    *first = (i - 1) * s->factor > low ? (i - 1) * s->factor : low;
    *last = (i + 2) * s->factor - 1 < high ? (i + 2) * s->factor - 1 : high;
}

/* One output: the weighted inputs, at most two, along each axis. */
static double interpolate(const volt_operand_view *src, const stretch s[3], int64_t n,
                          int64_t c, const int64_t o[3])
{
    int64_t first[3], last[3];
    double sum = 0;

    for (int axis = 0; axis < 3; axis++)
        inputs_near(&first[axis], &last[axis], o[axis], &s[axis]);
    for (int64_t d = first[0]; d <= last[0]; d++)
        for (int64_t h = first[1]; h <= last[1]; h++)
            for (int64_t w = first[2]; w <= last[2]; w++)
                sum += weight_of(&s[0], o[0], d) * weight_of(&s[1], o[1], h) *
                       weight_of(&s[2], o[2], w) * volt_view_get(src, n, c, d, h, w);
    return sum;
}

/* src (n,c,d,h,w) -> dst (n,c,d*fd,h*fh,w*fw) */
void volt_reference_upsample_fwd(const volt_op_spec *spec, void *const *operands)
{
    const volt_operand_view src = volt_operand_view_of(spec, operands, 0),
                            dst = volt_operand_view_of(spec, operands, 1);
    const stretch s[3] = {stretch_of(spec, 0), stretch_of(spec, 1), stretch_of(spec, 2)};

    for (int64_t n = 0; n < dst.t.n; n++)
        for (int64_t c = 0; c < dst.t.c; c++)
            for (int64_t d = 0; d < dst.t.d; d++)
                for (int64_t h = 0; h < dst.t.h; h++)
                    for (int64_t w = 0; w < dst.t.w; w++)
                        volt_view_set(&dst, n, c, d, h, w,
                                      interpolate(&src, s, n, c, (int64_t[]){d, h, w}));
}

static double upsample_gradient(const volt_operand_view *diff_dst, const stretch s[3],
                                const int64_t i[5])
{
    int64_t first[3], last[3];
    double sum = 0;

    for (int axis = 0; axis < 3; axis++)
        outputs_near(&first[axis], &last[axis], i[2 + axis], &s[axis]);
    for (int64_t d = first[0]; d <= last[0]; d++)
        for (int64_t h = first[1]; h <= last[1]; h++)
            for (int64_t w = first[2]; w <= last[2]; w++)
                sum += weight_of(&s[0], d, i[2]) * weight_of(&s[1], h, i[3]) *
                       weight_of(&s[2], w, i[4]) * volt_view_get(diff_dst, i[0], i[1], d, h, w);
    return sum;
}

/* diff_dst (n,c,d*fd,h*fh,w*fw) -> diff_src (n,c,d,h,w) */
void volt_reference_upsample_bwd(const volt_op_spec *spec, void *const *operands)
{
    const volt_operand_view diff_dst = volt_operand_view_of(spec, operands, 0);
    const volt_operand_view diff_src = volt_operand_view_of(spec, operands, 1);
    const stretch s[3] = {stretch_of(spec, 0), stretch_of(spec, 1), stretch_of(spec, 2)};
    const volt_tensor *t = &diff_src.t;

    for (int64_t n = 0; n < t->n; n++)
        for (int64_t c = 0; c < t->c; c++)
            for (int64_t d = 0; d < t->d; d++)
                for (int64_t h = 0; h < t->h; h++)
                    for (int64_t w = 0; w < t->w; w++) {
                        const int64_t i[5] = {n, c, d, h, w};
                        volt_view_set(&diff_src, n, c, d, h, w,
                                      upsample_gradient(&diff_dst, s, i));
                    }
}
