/* unet.h - nnU-Net's networks: dynamic_network_architectures' PlainConvUNet and
 * ResidualEncoderUNet. They share a spec.
 *
 * Block     conv with bias, instance norm (eps 1e-5, affine), leaky ReLU 0.01.
 * Plain     encoder stages of blocks, the first of a stage strided.
 * Residual  a stem block at full resolution, then stages of BasicBlockD: two convolutions with
 *           norm, the skip added before the last activation; the skip is average-pooled by the
 *           stride and projected by a 1x1x1 convolution without bias and a norm where channels
 *           change (He et al., "Bag of Tricks", CVPR 2019, variant D).
 * Decoder   transposed convolutions with kernel = stride; concat (upsampled, skip); blocks; a
 *           1x1x1 convolution to the output channels at every resolution. The same for both.
 */
#ifndef VOLT_NETS3D_MODELS_UNET_H
#define VOLT_NETS3D_MODELS_UNET_H
#include "nets3d/models/model_internal.h"
VOLT_BEGIN_DECLS

typedef struct volt_unet_spec {
    volt_spec base;
    int convs_encoder[VOLT_MAX_STAGES]; /* convolutions, or BasicBlockDs, per stage; >= 1 */
    int convs_decoder[VOLT_MAX_STAGES]; /* per decoder stage, finest first; stages-1 used */
    double slope;                       /* of the leaky ReLU, 0.01 in nnU-Net */
    bool bias;
} volt_unet_spec;

enum { VOLT_UNET_PLAIN, VOLT_UNET_RESIDUAL }; /* variants */

/* The functions of the two models. Parameters get the order of nnU-Net's optimizer: encoder,
 * decoder.stages, decoder.transpconvs, decoder.seg_layers; the layers of deep supervision are
 * there also where it's off, as nnU-Net stores them. */
volt_status volt_unet_read(const volt_network *net, const volt_json_at *kwargs, int axes);
volt_status volt_unet_read_legacy(const volt_network *net, const volt_inherited *config,
                                  int axes);
json_t *volt_unet_write(const volt_network *net, int axes);
void volt_unet_design(const volt_network *net, const volt_topology_shape *shape);
double volt_unet_estimate(const volt_network *net, const int64_t patch[3]);

/* What MONAI's DynUNet calls the parameters of the plain one. */
extern const volt_foreign_names volt_unet_dynunet_names;

static inline bool volt_unet_is_residual(const volt_network *net)
{
    return net->model->variant == VOLT_UNET_RESIDUAL;
}

VOLT_END_DECLS
#endif
