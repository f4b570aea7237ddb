/* Normalization with activation. For channel c, of sample n or of all samples (one row of sums:
 * batch norm), over the V voxels that the statistics span (spec.count; the sums may be those of
 * several parts, added):
 *   mean = sum(x) / V, rstd = 1 / sqrt(sum(x^2) / V - mean^2 + eps)
 *   z = scale * (x - mean) * rstd + shift, y = z > 0 ? z : slope * z
 * Running statistics move by the momentum towards the mean and the variance * V / (V - 1).
 * Backward, with g = diff_y * (z > 0 ? 1 : slope) and xhat = (x - mean) * rstd:
 *   diff_x = scale * rstd * (g - sum(g) / V - xhat * sum(g * xhat) / V)
 *   diff_scale = sum over n, voxels of g * xhat; diff_shift = sum over n, voxels of g
 * The sums are taken in double, so their difference is exact enough unless the mean is far
 * larger than the deviation: relative error of the variance about 1e-16 * (mean/deviation)^2.
 */
#include "nets3d/ops/reference.h"

#include <math.h>
#include <string.h>

typedef struct channel {
    double mean, rstd, scale, shift;
} channel;

/* The row of sums that sample n has its own in. */
static int64_t row_of(const volt_tensor *sums, int64_t n)
{
    return sums->n == 1 ? 0 : n;
}

void volt_reference_sums(const volt_operand_view *x, const volt_tensor *rows, double *sums)
{
    const volt_tensor *t = &x->t;

    for (int64_t i = 0; i < 2 * rows->n * t->c; i++)
        sums[i] = 0;

    for (int64_t n = 0; n < t->n; n++)
        for (int64_t c = 0; c < t->c; c++) {
            double sum = 0, squares = 0;
            for (int64_t d = 0; d < t->d; d++)
                for (int64_t h = 0; h < t->h; h++)
                    for (int64_t w = 0; w < t->w; w++) {
                        const double value = volt_view_get(x, n, c, d, h, w);
                        sum += value;
                        squares += value * value;
                    }
            sums[2 * (row_of(rows, n) * t->c + c)] += sum;
            sums[2 * (row_of(rows, n) * t->c + c) + 1] += squares;
        }
}

/* src (n,c,d,h,w) -> sums (n,c,2) or (1,c,2) */
void volt_reference_norm_sums(const volt_op_spec *spec, void *const *operands)
{
    const volt_operand_view src = volt_operand_view_of(spec, operands, 0);

    volt_reference_sums(&src, &spec->tensor[1], operands[1]);
}

/* sums (1,c,2) -> running mean and variance (c) */
static void move_running(const volt_op_spec *spec, void *const *operands)
{
    const double *sums = operands[0], count = (double)spec->count, k = spec->momentum;
    const float *mean = operands[3], *var = operands[4];
    float *new_mean = operands[5], *new_var = operands[6];

    for (int64_t c = 0; c < spec->tensor[0].c; c++) {
        const double m = sums[2 * c] / count, variance = sums[2 * c + 1] / count - m * m;

        new_mean[c] = (float)((1 - k) * mean[c] + k * m);
        new_var[c] = (float)((1 - k) * var[c] +
                             k * (variance < 0 ? 0 : variance) * (count / (count - 1)));
    }
}

/* The first row of a vector (n,c), for all n. */
static void repeat_row(const volt_tensor *t, float *x)
{
    for (int64_t i = t->c; i < t->n * t->c; i++)
        x[i] = x[i - t->c];
}

/* sums (n,c,2) or (1,c,2) -> mean (n,c), rstd (n,c) */
void volt_reference_norm_finish(const volt_op_spec *spec, void *const *operands)
{
    const volt_tensor *t = &spec->tensor[0];
    const double *sums = operands[0], count = (double)spec->count;
    float *mean = operands[1], *rstd = operands[2];

    for (int64_t i = 0; i < t->n * t->c; i++) {
        const double m = sums[2 * i] / count, variance = sums[2 * i + 1] / count - m * m;

        mean[i] = (float)m;
        rstd[i] = (float)(1 / sqrt((variance < 0 ? 0 : variance) + spec->eps));
    }
    if (t->n == 1) {
        repeat_row(&spec->tensor[1], mean);
        repeat_row(&spec->tensor[2], rstd);
    }
    if (spec->tensor[5].n)
        move_running(spec, operands);
}

/* running mean (c), running variance (c) -> mean (n,c), rstd (n,c) */
void volt_reference_norm_running(const volt_op_spec *spec, void *const *operands)
{
    const float *running_mean = operands[0], *running_var = operands[1];
    float *mean = operands[2], *rstd = operands[3];

    for (int64_t c = 0; c < spec->tensor[2].c; c++) {
        mean[c] = running_mean[c];
        rstd[c] = (float)(1 / sqrt(running_var[c] + spec->eps));
    }
    repeat_row(&spec->tensor[2], mean);
    repeat_row(&spec->tensor[3], rstd);
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

/* One sample and channel: sum of g and of g * xhat. */
static void channel_sums(const volt_op_spec *spec, void *const *operands, int64_t n, int64_t c,
                         double sums[2])
{
    const volt_tensor *t = &spec->tensor[0];
    const channel k = channel_of(spec, operands, n, c);
    double g, xhat;

    sums[0] = sums[1] = 0;
    for (int64_t d = 0; d < t->d; d++)
        for (int64_t h = 0; h < t->h; h++)
            for (int64_t w = 0; w < t->w; w++) {
                at_voxel(&g, &xhat, spec, operands, &k, (int64_t[]){n, c, d, h, w});
                sums[0] += g;
                sums[1] += g * xhat;
            }
}

/* src, diff_dst, [diff_dst2] (n,c,d,h,w) -> sums (n,c,2) or (1,c,2), diff_scale, diff_shift (c)
 */
void volt_reference_norm_bwd_sums(const volt_op_spec *spec, void *const *operands)
{
    const volt_tensor *t = &spec->tensor[0];
    double *sums = operands[7];
    float *diff_scale = operands[8], *diff_shift = operands[9];

    for (int64_t c = 0; c < t->c; c++) {
        double sum_g = 0, sum_gx = 0;
        for (int64_t n = 0; n < t->n; n++) {
            double own[2];
            channel_sums(spec, operands, n, c, own);
            sum_g += own[0];
            sum_gx += own[1];
            if (spec->tensor[7].n > 1)
                memcpy(sums + 2 * (n * t->c + c), own, sizeof own);
        }
        if (spec->tensor[7].n == 1) {
            sums[2 * c] = sum_g;
            sums[2 * c + 1] = sum_gx;
        }
        if (diff_scale)
            diff_scale[c] = (float)sum_gx;
        if (diff_shift)
            diff_shift[c] = (float)sum_g;
    }
}

/* src, diff_dst, [diff_dst2] (n,c,d,h,w), sums (n,c,2) or (1,c,2) -> diff_src (n,c,d,h,w) */
void volt_reference_norm_bwd_apply(const volt_op_spec *spec, void *const *operands)
{
    const volt_operand_view diff_src = volt_operand_view_of(spec, operands, 8);
    const volt_tensor *t = &diff_src.t;
    const double *sums = operands[7], count = (double)spec->count;

    for (int64_t n = 0; n < t->n; n++)
        for (int64_t c = 0; c < t->c; c++) {
            const channel k = channel_of(spec, operands, n, c);
            const double *own = sums + 2 * (row_of(&spec->tensor[7], n) * t->c + c);
            double g, xhat;
            for (int64_t d = 0; d < t->d; d++)
                for (int64_t h = 0; h < t->h; h++)
                    for (int64_t w = 0; w < t->w; w++) {
                        at_voxel(&g, &xhat, spec, operands, &k, (int64_t[]){n, c, d, h, w});
                        volt_view_set(&diff_src, n, c, d, h, w,
                                      k.scale * k.rstd *
                                          (g - own[0] / count - xhat * own[1] / count));
                    }
        }
}
