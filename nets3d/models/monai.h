/* monai.h - MONAI's UNet and DynUNet. Parameters have MONAI's names, so state dicts of torch
 * fit as they are. The two share a spec.
 *
 * UNet      features are MONAI's channels, stride[s] its strides; the last stage is the bottom
 *           layer, stride 1. Even the first stage is strided: nothing is computed at full
 *           resolution but the last layer. A layer is one convolution, or a residual unit: a
 *           chain of `res_units` convolutions, to which the input is added, through a
 *           convolution where stride or channels change. Each convolution is followed by norm,
 *           dropout and activation in the order of `order`. Up: a transposed convolution with
 *           padding (k-1)/2 and output padding stride-1, then a residual unit of one
 *           convolution where there are such units; it reads concat(skip, from below).
 * DynUNet   nnU-Net's U-Net of two convolutions per stage, but the decoder step to stage s has
 *           the kernel of stage s + 1 and padding is (kernel - stride + 1) / 2. With res_block
 *           the encoder's blocks add their input before the last activation, through a
 *           1x1x1 convolution and a norm where stride or channels change.
 */
#ifndef VOLT_NETS3D_MODELS_MONAI_H
#define VOLT_NETS3D_MODELS_MONAI_H
#include "nets3d/models/model_internal.h"
VOLT_BEGIN_DECLS

typedef enum volt_monai_norm {
    VOLT_MONAI_NORM_AFFINE = 0, /* instance norm with scale and shift */
    VOLT_MONAI_NORM_PLAIN,      /* instance norm without */
    VOLT_MONAI_NORM_BATCH,      /* of a trained model; importing folds it */
    VOLT_MONAI_NORM_NONE
} volt_monai_norm;

typedef struct volt_monai_spec {
    volt_spec base;
    volt_monai_norm norm;
    int64_t slopes; /* of each PReLU: 1, or one per channel; 0 = leaky ReLU with `slope` */
    double slope;
    /* UNet */
    int res_units;        /* convolutions per residual unit; 0 = no such units */
    int64_t up_kernel[3]; /* of transposed convolutions; odd */
    char order[4];        /* adn_ordering, letters of "NDA" */
    bool bias;
    /* DynUNet */
    bool res_block;
    bool up_bias;       /* trans_bias */
    int coarse_outputs; /* outputs below the finest, for deep supervision */
} volt_monai_spec;

volt_status volt_monai_unet_read(const volt_network *net, const volt_json_at *kwargs, int axes);
json_t *volt_monai_unet_write(const volt_network *net, int axes);
volt_status volt_dynunet_read(const volt_network *net, const volt_json_at *kwargs, int axes);
json_t *volt_dynunet_write(const volt_network *net, int axes);

VOLT_END_DECLS
#endif
