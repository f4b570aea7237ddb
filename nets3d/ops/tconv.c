/* Transposed convolution with kernel = stride: every input voxel makes one block of outputs. */
#include "nets3d/ops/reference.h"

/* Element of the weights (ic,oc,kd,kh,kw). */
static int64_t weight_at(const volt_tensor *w, int64_t ic, int64_t oc, int64_t kd, int64_t kh,
                         int64_t kw)
{
    return (((ic * w->c + oc) * w->d + kd) * w->h + kh) * w->w + kw;
}

/* src (n,ic,d,h,w), weights (ic,oc,kd,kh,kw), bias (oc) -> dst (n,oc,d*kd,h*kh,w*kw) */
void volt_reference_tconv_fwd(const volt_op_spec *spec, void *const *operands)
{
    const volt_view src = volt_view_of(spec, operands, 0),
                    dst = volt_view_of(spec, operands, 3);
    const float *weights = operands[1], *bias = operands[2];
    const int64_t *s = spec->conv.stride;

    for (int64_t n = 0; n < dst.t.n; n++)
        for (int64_t oc = 0; oc < dst.t.c; oc++)
            for (int64_t d = 0; d < dst.t.d; d++)
                for (int64_t h = 0; h < dst.t.h; h++)
                    for (int64_t w = 0; w < dst.t.w; w++) {
                        double sum = bias ? bias[oc] : 0;
                        for (int64_t ic = 0; ic < src.t.c; ic++)
                            sum += volt_view_get(&src, n, ic, d / s[0], h / s[1], w / s[2]) *
                                   weights[weight_at(&spec->tensor[1], ic, oc, d % s[0],
                                                     h % s[1], w % s[2])];
                        volt_view_set(&dst, n, oc, d, h, w, sum);
                    }
}

/* Sum over oc and the block of outputs that input voxel i of channel ic makes. */
static double gather(const volt_op_spec *spec, const volt_view *diff_dst, const float *weights,
                     int64_t n, int64_t ic, const int64_t i[3])
{
    const int64_t *s = spec->conv.stride;
    double sum = 0;

    for (int64_t oc = 0; oc < diff_dst->t.c; oc++)
        for (int64_t kd = 0; kd < s[0]; kd++)
            for (int64_t kh = 0; kh < s[1]; kh++)
                for (int64_t kw = 0; kw < s[2]; kw++)
                    sum += volt_view_get(diff_dst, n, oc, i[0] * s[0] + kd, i[1] * s[1] + kh,
                                         i[2] * s[2] + kw) *
                           weights[weight_at(&spec->tensor[1], ic, oc, kd, kh, kw)];
    return sum;
}

/* diff_dst (n,oc,d*kd,h*kh,w*kw), weights (ic,oc,kd,kh,kw) -> diff_src (n,ic,d,h,w) */
void volt_reference_tconv_bwd_data(const volt_op_spec *spec, void *const *operands)
{
    const volt_view diff_src = volt_view_of(spec, operands, 0);
    const volt_view diff_dst = volt_view_of(spec, operands, 2);

    for (int64_t n = 0; n < diff_src.t.n; n++)
        for (int64_t ic = 0; ic < diff_src.t.c; ic++)
            for (int64_t d = 0; d < diff_src.t.d; d++)
                for (int64_t h = 0; h < diff_src.t.h; h++)
                    for (int64_t w = 0; w < diff_src.t.w; w++) {
                        const int64_t i[3] = {d, h, w};
                        volt_view_set(&diff_src, n, ic, d, h, w,
                                      gather(spec, &diff_dst, operands[1], n, ic, i));
                    }
}

/* Sum over n and all input voxels of src times diff_dst at tap k of its block; src NULL: 1. */
static double tap_gradient(const volt_op_spec *spec, const volt_view *src,
                           const volt_view *diff_dst, int64_t ic, int64_t oc,
                           const int64_t k[3])
{
    const volt_tensor *t = &spec->tensor[0];
    const int64_t *s = spec->conv.stride;
    double sum = 0;

    for (int64_t n = 0; n < t->n; n++)
        for (int64_t d = 0; d < t->d; d++)
            for (int64_t h = 0; h < t->h; h++)
                for (int64_t w = 0; w < t->w; w++)
                    sum += (src ? volt_view_get(src, n, ic, d, h, w) : 1) *
                           volt_view_get(diff_dst, n, oc, d * s[0] + k[0], h * s[1] + k[1],
                                         w * s[2] + k[2]);
    return sum;
}

/* src (n,ic,d,h,w), diff_dst (n,oc,...) -> diff_weights (ic,oc,kd,kh,kw), diff_bias (oc) */
void volt_reference_tconv_bwd_weights(const volt_op_spec *spec, void *const *operands)
{
    const volt_view src = volt_view_of(spec, operands, 0);
    const volt_view diff_dst = volt_view_of(spec, operands, 3);
    const volt_tensor *w = &spec->tensor[1];
    float *diff_weights = operands[1], *diff_bias = operands[2];

    for (int64_t oc = 0; oc < w->c; oc++) {
        double bias = 0;
        for (int64_t kd = 0; kd < w->d; kd++)
            for (int64_t kh = 0; kh < w->h; kh++)
                for (int64_t kw = 0; kw < w->w; kw++) {
                    const int64_t k[3] = {kd, kh, kw};
                    for (int64_t ic = 0; ic < w->n; ic++)
                        diff_weights[weight_at(w, ic, oc, kd, kh, kw)] =
                            (float)tap_gradient(spec, &src, &diff_dst, ic, oc, k);
                    bias += diff_bias ? tap_gradient(spec, NULL, &diff_dst, 0, oc, k) : 0;
                }
        if (diff_bias)
            diff_bias[oc] = (float)bias;
    }
}
