/* Transposed convolution: input voxel i reaches output voxel i * stride - pad_low + k through
 * tap k; what falls outside the box and its margins is dropped. */
#include "nets3d/ops/reference.h"

/* Element of the weights (ic,oc,kd,kh,kw). */
static int64_t weight_at(const volt_tensor *w, int64_t ic, int64_t oc, const int64_t k[3])
{
    return (((ic * w->c + oc) * w->d + k[0]) * w->h + k[1]) * w->w + k[2];
}

/* The output voxel that input voxel i reaches through tap k; false: none. */
static bool reached(const volt_op_spec *spec, const volt_tensor *dst, const int64_t i[3],
                    const int64_t k[3], int64_t out[3])
{
    for (int a = 0; a < 3; a++)
        out[a] = i[a] * spec->conv.stride[a] - spec->conv.pad_low[a] + k[a];
    return volt_tensor_holds(dst, out[0], out[1], out[2]);
}

/* The input voxel that reaches output voxel o through tap k; false: none. */
static bool comes_from(const volt_op_spec *spec, const volt_tensor *src, const int64_t o[3],
                       const int64_t k[3], int64_t in[3])
{
    for (int a = 0; a < 3; a++) {
        const int64_t from = o[a] + spec->conv.pad_low[a] - k[a];
        if (from % spec->conv.stride[a])
            return false;
        in[a] = from / spec->conv.stride[a];
    }
    return volt_tensor_holds(src, in[0], in[1], in[2]);
}

/* Tap number `tap` in raster order. */
static void tap_of(const volt_op_spec *spec, int64_t tap, int64_t k[3])
{
    const int64_t *e = spec->conv.kernel;

    k[0] = tap / (e[1] * e[2]);
    k[1] = tap / e[2] % e[1];
    k[2] = tap % e[2];
}

static int64_t taps_of(const volt_op_spec *spec)
{
    return spec->conv.kernel[0] * spec->conv.kernel[1] * spec->conv.kernel[2];
}

/* Sum over ic and the taps of what reaches output voxel o. */
static double arriving(const volt_op_spec *spec, const volt_operand_view *src,
                       const float *weights, int64_t n, int64_t oc, const int64_t o[3])
{
    int64_t k[3], i[3];
    double sum = 0;

    for (int64_t tap = 0; tap < taps_of(spec); tap++) {
        tap_of(spec, tap, k);
        if (!comes_from(spec, &src->t, o, k, i))
            continue;
        for (int64_t ic = 0; ic < src->t.c; ic++)
            sum += volt_view_get(src, n, ic, i[0], i[1], i[2]) *
                   weights[weight_at(&spec->tensor[1], ic, oc, k)];
    }
    return sum;
}

/* src (n,ic,d,h,w), weights (ic,oc,kd,kh,kw), bias (oc) -> dst (n,oc,d*sd,h*sh,w*sw) */
void volt_reference_tconv_fwd(const volt_op_spec *spec, void *const *operands)
{
    volt_reference_each(spec, operands, 0, 3, operands[2], arriving);
}

/* Sum over oc and the taps of what input voxel i of channel ic reaches. */
static double gather(const volt_op_spec *spec, const volt_operand_view *diff_dst,
                     const float *weights, int64_t n, int64_t ic, const int64_t i[3])
{
    int64_t k[3], o[3];
    double sum = 0;

    for (int64_t oc = 0; oc < diff_dst->t.c; oc++)
        for (int64_t tap = 0; tap < taps_of(spec); tap++) {
            tap_of(spec, tap, k);
            if (reached(spec, &diff_dst->t, i, k, o))
                sum += volt_view_get(diff_dst, n, oc, o[0], o[1], o[2]) *
                       weights[weight_at(&spec->tensor[1], ic, oc, k)];
        }
    return sum;
}

/* diff_dst (n,oc,d*sd,h*sh,w*sw), weights (ic,oc,kd,kh,kw) -> diff_src (n,ic,d,h,w) */
void volt_reference_tconv_bwd_data(const volt_op_spec *spec, void *const *operands)
{
    volt_reference_each(spec, operands, 2, 0, NULL, gather);
}

/* Sum over n and all input voxels of src times diff_dst at the voxel reached through tap k. */
static double tap_gradient(const volt_op_spec *spec, const volt_operand_view *src,
                           const volt_operand_view *diff_dst, int64_t ic, int64_t oc,
                           const int64_t k[3])
{
    const volt_tensor *t = &src->t;
    int64_t o[3];
    double sum = 0;

    for (int64_t n = 0; n < t->n; n++)
        for (int64_t d = 0; d < t->d; d++)
            for (int64_t h = 0; h < t->h; h++)
                for (int64_t w = 0; w < t->w; w++) {
                    const int64_t i[3] = {d, h, w};
                    if (reached(spec, &diff_dst->t, i, k, o))
                        sum += volt_view_get(src, n, ic, d, h, w) *
                               volt_view_get(diff_dst, n, oc, o[0], o[1], o[2]);
                }
    return sum;
}

/* src (n,ic,d,h,w), diff_dst (n,oc,...) -> diff_weights (ic,oc,kd,kh,kw), diff_bias (oc) */
void volt_reference_tconv_bwd_weights(const volt_op_spec *spec, void *const *operands)
{
    const volt_operand_view src = volt_operand_view_of(spec, operands, 0);
    const volt_operand_view diff_dst = volt_operand_view_of(spec, operands, 3);
    const volt_tensor *w = &spec->tensor[1];
    float *diff_weights = operands[1], *diff_bias = operands[2];
    int64_t k[3];

    for (int64_t oc = 0; oc < w->c; oc++) {
        for (int64_t tap = 0; tap < taps_of(spec); tap++) {
            tap_of(spec, tap, k);
            for (int64_t ic = 0; ic < w->n; ic++)
                diff_weights[weight_at(w, ic, oc, k)] =
                    (float)tap_gradient(spec, &src, &diff_dst, ic, oc, k);
        }
        if (diff_bias)
            diff_bias[oc] = (float)volt_reference_bias_gradient(&diff_dst, oc);
    }
}
