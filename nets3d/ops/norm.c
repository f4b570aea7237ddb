/* Instance normalization with activation. For sample n and channel c, over the V voxels:
 *   mean = sum(x) / V, rstd = 1 / sqrt(sum((x - mean)^2) / V + eps)
 *   z = scale * (x - mean) * rstd + shift, y = z > 0 ? z : slope * z
 * Backward, with g = diff_y * (z > 0 ? 1 : slope) and xhat = (x - mean) * rstd:
 *   diff_x = scale * rstd * (g - sum(g) / V - xhat * sum(g * xhat) / V)
 *   diff_scale = sum over n, voxels of g * xhat; diff_shift = sum over n, voxels of g
 */
#include "nets3d/ops/reference.h"

#include <math.h>

typedef struct channel {
    double mean, rstd, scale, shift;
} channel;

/* src (n,c,d,h,w) -> mean (n,c), rstd (n,c) */
void volt_reference_norm_stats(const volt_op_spec *spec, void *const *operands)
{
    const volt_operand_view src = volt_operand_view_of(spec, operands, 0);
    const volt_tensor *t = &src.t;
    const double voxels = (double)(t->d * t->h * t->w);
    float *mean = operands[1], *rstd = operands[2];

    for (int64_t n = 0; n < t->n; n++)
        for (int64_t c = 0; c < t->c; c++) {
            double sum = 0, squares = 0;
            for (int64_t d = 0; d < t->d; d++)
                for (int64_t h = 0; h < t->h; h++)
                    for (int64_t w = 0; w < t->w; w++)
                        sum += volt_view_get(&src, n, c, d, h, w);
            for (int64_t d = 0; d < t->d; d++)
                for (int64_t h = 0; h < t->h; h++)
                    for (int64_t w = 0; w < t->w; w++) {
                        const double x = volt_view_get(&src, n, c, d, h, w) - sum / voxels;
                        squares += x * x;
                    }
            mean[n * t->c + c] = (float)(sum / voxels);
            rstd[n * t->c + c] = (float)(1 / sqrt(squares / voxels + spec->eps));
        }
}

static channel channel_of(const volt_op_spec *spec, void *const *operands, int64_t n, int64_t c)
{
    const float *mean = operands[1], *rstd = operands[2], *scale = operands[3],
                *shift = operands[4];
    const int64_t i = n * spec->tensor[0].c + c;
    const channel k = {mean[i], rstd[i], scale ? scale[c] : 1, shift ? shift[c] : 0};

    return k;
}

/* src (n,c,d,h,w), mean (n,c), rstd (n,c), scale (c), shift (c) -> dst (n,c,d,h,w) */
void volt_reference_norm_act_fwd(const volt_op_spec *spec, void *const *operands)
{
    const volt_operand_view src = volt_operand_view_of(spec, operands, 0),
                            dst = volt_operand_view_of(spec, operands, 5);

    for (int64_t n = 0; n < src.t.n; n++)
        for (int64_t c = 0; c < src.t.c; c++) {
            const channel k = channel_of(spec, operands, n, c);
            for (int64_t d = 0; d < src.t.d; d++)
                for (int64_t h = 0; h < src.t.h; h++)
                    for (int64_t w = 0; w < src.t.w; w++) {
                        const double x = volt_view_get(&src, n, c, d, h, w);
                        const double z = k.scale * (x - k.mean) * k.rstd + k.shift;
                        volt_view_set(&dst, n, c, d, h, w, z > 0 ? z : spec->slope * z);
                    }
        }
}

/* g and xhat of one voxel; operand 6 (a second diff_dst) may be NULL. */
static void at_voxel(double *g, double *xhat, const volt_op_spec *spec, void *const *operands,
                     const channel *k, const int64_t i[5])
{
    const volt_operand_view src = volt_operand_view_of(spec, operands, 0);
    const volt_operand_view first = volt_operand_view_of(spec, operands, 5);
    const volt_operand_view second = volt_operand_view_of(spec, operands, 6);
    double diff = volt_view_get(&first, i[0], i[1], i[2], i[3], i[4]);

    if (second.data)
        diff += volt_view_get(&second, i[0], i[1], i[2], i[3], i[4]);
    *xhat = (volt_view_get(&src, i[0], i[1], i[2], i[3], i[4]) - k->mean) * k->rstd;
    *g = k->scale * *xhat + k->shift > 0 ? diff : spec->slope * diff;
}

/* One sample and channel: writes diff_src, adds its sums to *sum_g and *sum_gx. */
static void channel_backward(const volt_op_spec *spec, void *const *operands, int64_t n,
                             int64_t c, double *sum_g, double *sum_gx)
{
    const volt_operand_view diff_src = volt_operand_view_of(spec, operands, 7);
    const volt_tensor *t = &diff_src.t;
    const channel k = channel_of(spec, operands, n, c);
    const double voxels = (double)(t->d * t->h * t->w);
    double g, xhat, all_g = 0, all_gx = 0;

    for (int64_t d = 0; d < t->d; d++)
        for (int64_t h = 0; h < t->h; h++)
            for (int64_t w = 0; w < t->w; w++) {
                at_voxel(&g, &xhat, spec, operands, &k, (int64_t[]){n, c, d, h, w});
                all_g += g;
                all_gx += g * xhat;
            }
    for (int64_t d = 0; d < t->d; d++)
        for (int64_t h = 0; h < t->h; h++)
            for (int64_t w = 0; w < t->w; w++) {
                at_voxel(&g, &xhat, spec, operands, &k, (int64_t[]){n, c, d, h, w});
                volt_view_set(&diff_src, n, c, d, h, w,
                              k.scale * k.rstd * (g - all_g / voxels - xhat * all_gx / voxels));
            }
    *sum_g += all_g;
    *sum_gx += all_gx;
}

/* src, diff_dst, [diff_dst2] (n,c,d,h,w) -> diff_src (n,c,d,h,w), diff_scale, diff_shift (c) */
void volt_reference_norm_act_bwd(const volt_op_spec *spec, void *const *operands)
{
    const volt_tensor *t = &spec->tensor[0];
    float *diff_scale = operands[8], *diff_shift = operands[9];

    for (int64_t c = 0; c < t->c; c++) {
        double sum_g = 0, sum_gx = 0;
        for (int64_t n = 0; n < t->n; n++)
            channel_backward(spec, operands, n, c, &sum_g, &sum_gx);
        if (diff_scale)
            diff_scale[c] = (float)sum_gx;
        if (diff_shift)
            diff_shift[c] = (float)sum_g;
    }
}
