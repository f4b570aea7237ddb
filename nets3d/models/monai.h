/* monai.h - MONAI's UNet and DynUNet as graphs. Parameters have MONAI's names, so state dicts
 * of torch fit as they stand.
 *
 * UNet      features are MONAI's channels, stride[s] its strides; the last stage is the bottom
 *           layer, stride 1. Even the first stage is strided: nothing is computed at full
 *           resolution but the last layer. A layer is one convolution, or a residual unit: a
 *           chain of `res_units` convolutions, to which the input is added, through a
 *           convolution where stride or channels change. Behind each convolution stand norm,
 *           dropout and activation in the order of `order`. Up: a transposed convolution with
 *           padding (k-1)/2 and output padding stride-1, then a residual unit of one
 *           convolution where there are such units; it reads concat(skip, from below).
 * DynUNet   nnU-Net's U-Net of two convolutions per stage, but the decoder step to stage s has
 *           the kernel of stage s + 1 and padding is (kernel - stride + 1) / 2. With res_block
 *           the encoder's blocks add their input before the last activation, through a
 *           convolution of one voxel and a norm where stride or channels change.
 */
#ifndef VOLT_NETS3D_MODELS_MONAI_H
#define VOLT_NETS3D_MODELS_MONAI_H
#include "nets3d/unet.h"
VOLT_BEGIN_DECLS

/* Builds a network of one of the two families, called by volt_unet_build. The caller owns *out
 * (volt_graph_free). VOLT_EINVAL; VOLT_ENOTSUP: batch normalisation, which importing folds. */
VOLT_MUST_USE volt_status volt_monai_build(volt_graph **out, const volt_unet_spec *spec);

VOLT_END_DECLS
#endif
