/* reference.h - the reference device: what every operator means, in plain loops.
 *
 * Native layout is the plain one: element (n,c,d,h,w) of a tensor lies in its buffer at
 * (((n*buffer_c + c_offset + c)*D + d)*H + h)*W + w, where D, H, W count the margins and the
 * first voxel of the box is at (margin_low). Indices may reach into the margins. Sums are taken
 * in double, in the order of the loops, on the calling thread. bf16 is rounded to nearest even
 * when stored; weights of an operator with a bf16 operand are rounded when packed. float16
 * likewise. With spec.tf32 the factors of products are rounded to 10 bits of fraction.
 */
#ifndef VOLT_NETS3D_OPS_REFERENCE_H
#define VOLT_NETS3D_OPS_REFERENCE_H
#include "nets3d/device/bf16.h"
#include "nets3d/device/device_internal.h"
#include "volume/grid/half.h"
VOLT_BEGIN_DECLS

/* For volt_device_open(). */
VOLT_MUST_USE volt_status volt_device_open_reference(volt_device **out);

typedef void (*volt_reference_run)(const volt_op_spec *spec, void *const *operands);

void volt_reference_conv_fwd(const volt_op_spec *spec, void *const *operands);
void volt_reference_conv_bwd_data(const volt_op_spec *spec, void *const *operands);
void volt_reference_conv_bwd_weights(const volt_op_spec *spec, void *const *operands);
void volt_reference_tconv_fwd(const volt_op_spec *spec, void *const *operands);
void volt_reference_tconv_bwd_data(const volt_op_spec *spec, void *const *operands);
void volt_reference_tconv_bwd_weights(const volt_op_spec *spec, void *const *operands);
void volt_reference_norm_sums(const volt_op_spec *spec, void *const *operands);
void volt_reference_norm_finish(const volt_op_spec *spec, void *const *operands);
void volt_reference_norm_running(const volt_op_spec *spec, void *const *operands);
void volt_reference_norm_act_fwd(const volt_op_spec *spec, void *const *operands);
void volt_reference_norm_bwd_sums(const volt_op_spec *spec, void *const *operands);
void volt_reference_norm_bwd_apply(const volt_op_spec *spec, void *const *operands);
void volt_reference_act_fwd(const volt_op_spec *spec, void *const *operands);
void volt_reference_act_bwd(const volt_op_spec *spec, void *const *operands);
void volt_reference_max_pool_fwd(const volt_op_spec *spec, void *const *operands);
void volt_reference_max_pool_bwd(const volt_op_spec *spec, void *const *operands);
void volt_reference_average_pool_fwd(const volt_op_spec *spec, void *const *operands);
void volt_reference_average_pool_bwd(const volt_op_spec *spec, void *const *operands);
void volt_reference_upsample_fwd(const volt_op_spec *spec, void *const *operands);
void volt_reference_upsample_bwd(const volt_op_spec *spec, void *const *operands);
void volt_reference_add(const volt_op_spec *spec, void *const *operands);
void volt_reference_copy(const volt_op_spec *spec, void *const *operands);
void volt_reference_copy_box(const volt_op_spec *spec, void *const *operands);
void volt_reference_scale_channels(const volt_op_spec *spec, void *const *operands);
void volt_reference_softmax_fwd(const volt_op_spec *spec, void *const *operands);
void volt_reference_prelu_fwd(const volt_op_spec *spec, void *const *operands);
void volt_reference_softmax_bwd(const volt_op_spec *spec, void *const *operands);
void volt_reference_prelu_bwd(const volt_op_spec *spec, void *const *operands);

size_t volt_reference_loss_scratch(const volt_device *dev, const volt_loss_call *call);
/* For every device whose memory is the host's. */
volt_status volt_reference_draw_factors(const volt_device *dev, const volt_factors_call *call,
                                        volt_stream *stream);
volt_status volt_reference_loss_sums(const volt_device *dev, const volt_loss_call *call,
                                     volt_stream *stream);
volt_status volt_reference_loss_gradient(const volt_device *dev, const volt_loss_call *call,
                                         volt_stream *stream);
volt_status volt_reference_sgd(const volt_device *dev, const volt_sgd_call *call,
                               volt_stream *stream);
volt_status volt_reference_adam(const volt_device *dev, const volt_adam_call *call,
                                volt_stream *stream);
volt_status volt_reference_accumulate(const volt_device *dev, float *sum, const float *x,
                                      int64_t count, double scale, bool first, int threads,
                                      volt_stream *stream);
volt_status volt_reference_sum_squares(const volt_device *dev, const volt_squares_call *call,
                                       volt_stream *stream);
/* For every device whose memory is the host's. */
volt_status volt_reference_update_state(const volt_device *dev, const volt_state_call *call,
                                        volt_stream *stream);
volt_status volt_reference_update_begin(const volt_device *dev, const volt_update_call *call,
                                        volt_stream *stream);

static inline bool volt_op_spec_is_tf32(const volt_op_spec *spec)
{
    return spec->tf32 && spec->kind <= VOLT_OP_TCONV_BWD_WEIGHTS;
}

/* A tensor with its memory. Strides in elements; `first` is where its box begins. */
typedef struct volt_operand_view {
    volt_tensor t;
    void *data;
    int64_t first, row, plane, channel;
    bool tf32; /* values are rounded when read */
} volt_operand_view;

static inline volt_operand_view volt_operand_view_of(const volt_op_spec *spec,
                                                     void *const *operands, int i)
{
    const volt_tensor *t = &spec->tensor[i];
    volt_operand_view v;

    v.t = *t;
    v.data = operands[i];
    v.tf32 = volt_op_spec_is_tf32(spec);
    v.row = t->margin_low[2] + t->w + t->margin_high[2];
    v.plane = (t->margin_low[1] + t->h + t->margin_high[1]) * v.row;
    v.channel = (t->margin_low[0] + t->d + t->margin_high[0]) * v.plane;
    v.first = t->c_offset * v.channel + t->margin_low[0] * v.plane + t->margin_low[1] * v.row +
              t->margin_low[2];
    return v;
}

static inline int64_t volt_view_index(const volt_operand_view *v, int64_t n, int64_t c,
                                      int64_t d, int64_t h, int64_t w)
{
    return v->first + (n * v->t.buffer_c + c) * v->channel + d * v->plane + h * v->row + w;
}

/* Whether voxel (d,h,w) lies in the box of `t` or in its margins. */
static inline bool volt_tensor_holds(const volt_tensor *t, int64_t d, int64_t h, int64_t w)
{
    return d >= -t->margin_low[0] && d < t->d + t->margin_high[0] && h >= -t->margin_low[1] &&
           h < t->h + t->margin_high[1] && w >= -t->margin_low[2] &&
           w < t->w + t->margin_high[2];
}

static inline double volt_view_get(const volt_operand_view *v, int64_t n, int64_t c, int64_t d,
                                   int64_t h, int64_t w)
{
    const int64_t i = volt_view_index(v, n, c, d, h, w);

    switch (v->t.dtype) {
    case VOLT_BF16:
        return volt_bf16_to_float(((const uint16_t *)v->data)[i]);
    case VOLT_F16:
        return volt_half_to_float(((const uint16_t *)v->data)[i]);
    default:
        return v->tf32 ? volt_tf32_round(((const float *)v->data)[i])
                       : ((const float *)v->data)[i];
    }
}

static inline void volt_view_set(const volt_operand_view *v, int64_t n, int64_t c, int64_t d,
                                 int64_t h, int64_t w, double value)
{
    const int64_t i = volt_view_index(v, n, c, d, h, w);

    if (v->t.dtype == VOLT_BF16)
        ((uint16_t *)v->data)[i] = volt_bf16_from_float((float)value);
    else if (v->t.dtype == VOLT_F16)
        ((uint16_t *)v->data)[i] = volt_float_to_half((float)value);
    else
        ((float *)v->data)[i] = (float)value;
}

/* Element (n, c, at) of a convolution's result, at = (d, h, w), from its other operand. */
typedef double (*volt_reference_element)(const volt_op_spec *spec,
                                         const volt_operand_view *from, const float *weights,
                                         int64_t n, int64_t c, const int64_t at[3]);

/* Forward pass and data gradient of both convolutions: every element of operand `to` from
 * operand `from`; `bias` (NULL allowed) is added per channel. */
void volt_reference_each(const volt_op_spec *spec, void *const *operands, int from, int to,
                         const float *bias, volt_reference_element element);
/* sums (n,c,2), or (1,c,2) as `rows` is: the sum of x and of x*x over d, h, w (and n). No
 * precision rounds them. */
void volt_reference_sums(const volt_operand_view *x, const volt_tensor *rows, double *sums);
/* Sum of channel oc over n, d, h, w, which no precision rounds. */
double volt_reference_bias_gradient(const volt_operand_view *diff_dst, int64_t oc);

VOLT_END_DECLS
#endif
