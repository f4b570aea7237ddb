/* Operators that look at one voxel, or one voxel's channels, at a time. */
#include "nets3d/ops/reference.h"

#include <math.h>

#include "nets3d/device/op_spec.h"

typedef double (*pointwise)(const volt_op_spec *spec, void *const *operands,
                            const int64_t i[5]);

static double get(const volt_op_spec *spec, void *const *operands, int operand,
                  const int64_t i[5])
{
    const volt_operand_view v = volt_operand_view_of(spec, operands, operand);

    return volt_view_get(&v, i[0], i[1], i[2], i[3], i[4]);
}

/* dst (n,c,d,h,w) at every voxel = f(operands at that voxel) */
static void for_each_voxel(const volt_op_spec *spec, void *const *operands, int dst,
                           pointwise f)
{
    const volt_operand_view out = volt_operand_view_of(spec, operands, dst);

    for (int64_t n = 0; n < out.t.n; n++)
        for (int64_t c = 0; c < out.t.c; c++)
            for (int64_t d = 0; d < out.t.d; d++)
                for (int64_t h = 0; h < out.t.h; h++)
                    for (int64_t w = 0; w < out.t.w; w++) {
                        const int64_t i[5] = {n, c, d, h, w};
                        volt_view_set(&out, n, c, d, h, w, f(spec, operands, i));
                    }
}

static double act_fwd(const volt_op_spec *spec, void *const *operands, const int64_t i[5])
{
    const double x = get(spec, operands, 0, i);

    return x > 0 ? x : spec->slope * x;
}

static double act_bwd(const volt_op_spec *spec, void *const *operands, const int64_t i[5])
{
    const double g = get(spec, operands, 1, i);

    return get(spec, operands, 0, i) > 0 ? g : spec->slope * g;
}

static double add(const volt_op_spec *spec, void *const *operands, const int64_t i[5])
{
    return get(spec, operands, 0, i) + get(spec, operands, 1, i);
}

static double copy(const volt_op_spec *spec, void *const *operands, const int64_t i[5])
{
    return get(spec, operands, 0, i);
}

static double scale(const volt_op_spec *spec, void *const *operands, const int64_t i[5])
{
    const float *factor = operands[1]; /* (n,c) */

    return get(spec, operands, 0, i) * factor[i[0] * spec->tensor[0].c + i[1]];
}

/* The slope of channel c: one of (c), or the only one. */
static double slope_of(const volt_op_spec *spec, void *const *operands, int64_t c)
{
    const float *slope = operands[1];

    return slope[spec->tensor[1].c == 1 ? 0 : c];
}

static double prelu_fwd(const volt_op_spec *spec, void *const *operands, const int64_t i[5])
{
    const double x = get(spec, operands, 0, i);

    return x > 0 ? x : slope_of(spec, operands, i[1]) * x;
}

static double prelu_bwd(const volt_op_spec *spec, void *const *operands, const int64_t i[5])
{
    const double g = get(spec, operands, 2, i);

    return get(spec, operands, 0, i) > 0 ? g : slope_of(spec, operands, i[1]) * g;
}

/* src (n,c,d,h,w) -> dst: max(x, slope * x) */
void volt_reference_act_fwd(const volt_op_spec *spec, void *const *operands)
{
    for_each_voxel(spec, operands, 1, act_fwd);
}

/* dst of the forward pass, diff_dst -> diff_src */
void volt_reference_act_bwd(const volt_op_spec *spec, void *const *operands)
{
    for_each_voxel(spec, operands, 2, act_bwd);
}

/* src (n,c,d,h,w), slope (c) or (1) -> dst */
void volt_reference_prelu_fwd(const volt_op_spec *spec, void *const *operands)
{
    for_each_voxel(spec, operands, 2, prelu_fwd);
}

/* Sum over n and the voxels of channel c of g * x where x is not above 0. */
static double slope_gradient(const volt_op_spec *spec, void *const *operands, int64_t c)
{
    const volt_tensor *t = &spec->tensor[0];
    double sum = 0;

    for (int64_t n = 0; n < t->n; n++)
        for (int64_t d = 0; d < t->d; d++)
            for (int64_t h = 0; h < t->h; h++)
                for (int64_t w = 0; w < t->w; w++) {
                    const int64_t i[5] = {n, c, d, h, w};
                    const double x = get(spec, operands, 0, i);
                    sum += x > 0 ? 0 : x * get(spec, operands, 2, i);
                }
    return sum;
}

/* src, slope, diff_dst -> diff_src, diff_slope */
void volt_reference_prelu_bwd(const volt_op_spec *spec, void *const *operands)
{
    const int64_t slopes = spec->tensor[4].c, channels = spec->tensor[0].c;
    float *diff_slope = operands[4];
    double sum = 0;

    for (int64_t c = 0; c < channels; c++) {
        sum = (slopes == 1 ? sum : 0) + slope_gradient(spec, operands, c);
        diff_slope[slopes == 1 ? 0 : c] = (float)sum;
    }
    for_each_voxel(spec, operands, 3, prelu_bwd); /* may overwrite diff_dst */
}

/* a, b -> a + b */
void volt_reference_add(const volt_op_spec *spec, void *const *operands)
{
    for_each_voxel(spec, operands, 2, add);
}

/* src -> dst of the same extents, whatever their ranges and types */
void volt_reference_copy(const volt_op_spec *spec, void *const *operands)
{
    for_each_voxel(spec, operands, 1, copy);
}

/* a box of src -> dense dst, or dense src -> a box of dst */
void volt_reference_copy_box(const volt_op_spec *spec, void *const *operands)
{
    const volt_op_spec as_copy = volt_op_spec_as_copy(spec);

    for_each_voxel(&as_copy, operands, 1, copy);
}

/* src (n,c,d,h,w), factors (n,c) -> dst */
void volt_reference_scale_channels(const volt_op_spec *spec, void *const *operands)
{
    for_each_voxel(spec, operands, 2, scale);
}

/* One voxel: dst_c = exp(x_c - max) / sum. */
static void softmax_at(const volt_operand_view *src, const volt_operand_view *dst, int64_t n,
                       int64_t d, int64_t h, int64_t w)
{
    double highest = -INFINITY, sum = 0;

    for (int64_t c = 0; c < src->t.c; c++)
        highest = fmax(highest, volt_view_get(src, n, c, d, h, w));
    for (int64_t c = 0; c < src->t.c; c++)
        sum += exp(volt_view_get(src, n, c, d, h, w) - highest);
    for (int64_t c = 0; c < src->t.c; c++)
        volt_view_set(dst, n, c, d, h, w,
                      exp(volt_view_get(src, n, c, d, h, w) - highest) / sum);
}

/* src (n,c,d,h,w) -> dst, over c */
void volt_reference_softmax_fwd(const volt_op_spec *spec, void *const *operands)
{
    const volt_operand_view src = volt_operand_view_of(spec, operands, 0),
                            dst = volt_operand_view_of(spec, operands, 1);

    for (int64_t n = 0; n < src.t.n; n++)
        for (int64_t d = 0; d < src.t.d; d++)
            for (int64_t h = 0; h < src.t.h; h++)
                for (int64_t w = 0; w < src.t.w; w++)
                    softmax_at(&src, &dst, n, d, h, w);
}

/* One voxel: diff_src_c = y_c (g_c - sum over k of g_k y_k). */
static void softmax_bwd_at(const volt_operand_view *y, const volt_operand_view *g,
                           const volt_operand_view *diff_src, int64_t n, int64_t d, int64_t h,
                           int64_t w)
{
    double dot = 0;

    for (int64_t c = 0; c < y->t.c; c++)
        dot += volt_view_get(g, n, c, d, h, w) * volt_view_get(y, n, c, d, h, w);
    for (int64_t c = 0; c < y->t.c; c++)
        volt_view_set(diff_src, n, c, d, h, w,
                      volt_view_get(y, n, c, d, h, w) *
                          (volt_view_get(g, n, c, d, h, w) - dot));
}

/* dst of the forward pass, diff_dst -> diff_src */
void volt_reference_softmax_bwd(const volt_op_spec *spec, void *const *operands)
{
    const volt_operand_view y = volt_operand_view_of(spec, operands, 0),
                            g = volt_operand_view_of(spec, operands, 1);
    const volt_operand_view diff_src = volt_operand_view_of(spec, operands, 2);

    for (int64_t n = 0; n < y.t.n; n++)
        for (int64_t d = 0; d < y.t.d; d++)
            for (int64_t h = 0; h < y.t.h; h++)
                for (int64_t w = 0; w < y.t.w; w++)
                    softmax_bwd_at(&y, &g, &diff_src, n, d, h, w);
}
