#include "nets3d/ops/reference.h"

/* Taps k of a kernel meet input i at output o where o*stride + k - pad == i. False: there is no
 * such o. It may lie outside the box. */
static bool output_at(int64_t *o, int64_t i, int64_t k, int64_t pad, int64_t stride)
{
    const int64_t scaled = i + pad - k;

    *o = scaled / stride;
    return scaled % stride == 0;
}

/* Element of the weights (oc,ic,kd,kh,kw). */
static int64_t weight_at(const volt_tensor *w, int64_t oc, int64_t ic, int64_t kd, int64_t kh,
                         int64_t kw)
{
    return (((oc * w->c + ic) * w->d + kd) * w->h + kh) * w->w + kw;
}

/* One output: sum over ic, kd, kh, kw of src * weights; outside src and its margins is zero. */
static double correlate(const volt_op_spec *spec, const volt_operand_view *src,
                        const float *weights, int64_t n, int64_t oc, const int64_t o[3])
{
    const volt_tensor *w = &spec->tensor[1], *s = &src->t;
    const volt_conv *conv = &spec->conv;
    double sum = 0;

    for (int64_t ic = 0; ic < s->c; ic++)
        for (int64_t kd = 0; kd < w->d; kd++)
            for (int64_t kh = 0; kh < w->h; kh++)
                for (int64_t kw = 0; kw < w->w; kw++) {
                    const int64_t d = o[0] * conv->stride[0] + kd - conv->pad_low[0];
                    const int64_t h = o[1] * conv->stride[1] + kh - conv->pad_low[1];
                    const int64_t x = o[2] * conv->stride[2] + kw - conv->pad_low[2];
                    if (volt_tensor_holds(s, d, h, x))
                        sum += volt_view_get(src, n, ic, d, h, x) *
                               weights[weight_at(w, oc, ic, kd, kh, kw)];
                }
    return sum;
}

void volt_reference_each(const volt_op_spec *spec, void *const *operands, int from, int to,
                         const float *bias, volt_reference_element element)
{
    const volt_operand_view source = volt_operand_view_of(spec, operands, from);
    const volt_operand_view result = volt_operand_view_of(spec, operands, to);
    const volt_tensor *t = &result.t;

    for (int64_t n = 0; n < t->n; n++)
        for (int64_t c = 0; c < t->c; c++)
            for (int64_t d = 0; d < t->d; d++)
                for (int64_t h = 0; h < t->h; h++)
                    for (int64_t w = 0; w < t->w; w++) {
                        const int64_t at[3] = {d, h, w};
                        const double x = element(spec, &source, operands[1], n, c, at);
                        volt_view_set(&result, n, c, d, h, w, bias ? x + bias[c] : x);
                    }
}

/* src (n,ic,d,h,w), weights (oc,ic,kd,kh,kw), bias (oc) -> dst (n,oc,od,oh,ow), sums (n,oc,2)
 * or (1,oc,2) */
void volt_reference_conv_fwd(const volt_op_spec *spec, void *const *operands)
{
    volt_reference_each(spec, operands, 0, 3, operands[2], correlate);
    if (spec->tensor[4].n) {
        volt_operand_view dst = volt_operand_view_of(spec, operands, 3);

        dst.tf32 = false;
        volt_reference_sums(&dst, &spec->tensor[4], operands[4]);
    }
}

/* One input's gradient: sum over oc and the taps that read it. */
static double gather(const volt_op_spec *spec, const volt_operand_view *diff_dst,
                     const float *weights, int64_t n, int64_t ic, const int64_t i[3])
{
    const volt_tensor *w = &spec->tensor[1], *g = &diff_dst->t;
    const volt_conv *c = &spec->conv;
    double sum = 0;

    for (int64_t kd = 0; kd < w->d; kd++)
        for (int64_t kh = 0; kh < w->h; kh++)
            for (int64_t kw = 0; kw < w->w; kw++) {
                int64_t d, h, x;
                if (!output_at(&d, i[0], kd, c->pad_low[0], c->stride[0]) ||
                    !output_at(&h, i[1], kh, c->pad_low[1], c->stride[1]) ||
                    !output_at(&x, i[2], kw, c->pad_low[2], c->stride[2]) ||
                    !volt_tensor_holds(g, d, h, x))
                    continue;
                for (int64_t oc = 0; oc < g->c; oc++)
                    sum += volt_view_get(diff_dst, n, oc, d, h, x) *
                           weights[weight_at(w, oc, ic, kd, kh, kw)];
            }
    return sum;
}

double volt_reference_bias_gradient(const volt_operand_view *diff_dst, int64_t oc)
{
    const volt_tensor *t = &diff_dst->t;
    volt_operand_view terms = *diff_dst;
    double sum = 0;

    terms.tf32 = false;

    for (int64_t n = 0; n < t->n; n++)
        for (int64_t d = 0; d < t->d; d++)
            for (int64_t h = 0; h < t->h; h++)
                for (int64_t w = 0; w < t->w; w++)
                    sum += volt_view_get(&terms, n, oc, d, h, w);
    return sum;
}

/* diff_dst (n,oc,od,oh,ow), weights (oc,ic,kd,kh,kw) -> diff_src (n,ic,d,h,w) */
void volt_reference_conv_bwd_data(const volt_op_spec *spec, void *const *operands)
{
    volt_reference_each(spec, operands, 2, 0, NULL, gather);
}

/* One weight's gradient: sum over n and all outputs of src at tap k times diff_dst. */
static double weight_gradient(const volt_op_spec *spec, const volt_operand_view *src,
                              const volt_operand_view *diff_dst, int64_t oc, int64_t ic,
                              const int64_t k[3])
{
    const volt_conv *conv = &spec->conv;
    const volt_tensor *s = &src->t, *g = &diff_dst->t;
    double sum = 0;

    for (int64_t n = 0; n < g->n; n++)
        for (int64_t od = 0; od < g->d; od++)
            for (int64_t oh = 0; oh < g->h; oh++)
                for (int64_t ow = 0; ow < g->w; ow++) {
                    const int64_t d = od * conv->stride[0] + k[0] - conv->pad_low[0];
                    const int64_t h = oh * conv->stride[1] + k[1] - conv->pad_low[1];
                    const int64_t w = ow * conv->stride[2] + k[2] - conv->pad_low[2];
                    if (volt_tensor_holds(s, d, h, w))
                        sum += volt_view_get(src, n, ic, d, h, w) *
                               volt_view_get(diff_dst, n, oc, od, oh, ow);
                }
    return sum;
}

/* src (n,ic,d,h,w), diff_dst (n,oc,od,oh,ow) -> diff_weights (oc,ic,kd,kh,kw), diff_bias */
void volt_reference_conv_bwd_weights(const volt_op_spec *spec, void *const *operands)
{
    const volt_operand_view src = volt_operand_view_of(spec, operands, 0);
    const volt_operand_view diff_dst = volt_operand_view_of(spec, operands, 3);
    const volt_tensor *w = &spec->tensor[1];
    float *diff_weights = operands[1], *diff_bias = operands[2];

    for (int64_t oc = 0; oc < w->n; oc++) {
        for (int64_t ic = 0; ic < w->c; ic++)
            for (int64_t kd = 0; kd < w->d; kd++)
                for (int64_t kh = 0; kh < w->h; kh++)
                    for (int64_t kw = 0; kw < w->w; kw++) {
                        const int64_t k[3] = {kd, kh, kw};
                        diff_weights[weight_at(w, oc, ic, kd, kh, kw)] =
                            (float)weight_gradient(spec, &src, &diff_dst, oc, ic, k);
                    }
        if (diff_bias)
            diff_bias[oc] = (float)volt_reference_bias_gradient(&diff_dst, oc);
    }
}
