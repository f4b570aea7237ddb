/* unet.h - nnU-Net's plain U-Net from the lists of a plan (dynamic_network_architectures'
 * PlainConvUNet): conv with bias, instance norm (eps 1e-5, affine), leaky ReLU 0.01; decoder by
 * transposed convolutions with kernel = stride; concat (upsampled, skip); 1x1x1 heads.
 */
#ifndef VOLT_NETS3D_UNET_H
#define VOLT_NETS3D_UNET_H
#include "nets3d/graph.h"
VOLT_BEGIN_DECLS

#define VOLT_UNET_MAX_STAGES 16

/* Plain value. Axes d, h, w; 2-D networks have kernel and stride 1 along d. */
typedef struct volt_unet_spec {
    int stages;                              /* 2..VOLT_UNET_MAX_STAGES */
    int64_t in_channels, out_channels;       /* out: classes with background */
    int64_t features[VOLT_UNET_MAX_STAGES];  /* per stage, finest first */
    int64_t kernel[VOLT_UNET_MAX_STAGES][3]; /* odd */
    int64_t stride[VOLT_UNET_MAX_STAGES][3]; /* stride[0] is usually 1 */
    int convs_encoder[VOLT_UNET_MAX_STAGES]; /* blocks per encoder stage, >= 1 */
    int convs_decoder[VOLT_UNET_MAX_STAGES]; /* per decoder stage, finest FIRST; stages-1 used
                                              */
    double slope;                            /* leaky ReLU, 0.01 in nnU-Net */
    double dropout;                          /* 0 = none */
    bool deep_supervision; /* outputs: stages-1 levels, finest first; else only the finest */
    bool bias;
} volt_unet_spec;

/* The networks of the benchmarks: "hippocampus", "brats", "mlperf", "liver2d"; also gives the
 * usual patch (d,h,w) and training batch. VOLT_EINVAL for another name. */
VOLT_CALL volt_unet_preset(volt_unet_spec *out, int64_t patch[3], int64_t *batch,
                           const char *name);

/* All heads are declared (nnU-Net stores them even when unused); parameters in the order of
 * nnU-Net's optimiser: encoder, decoder.stages, decoder.transpconvs, decoder.seg_layers.
 * The caller owns *out (volt_graph_free). VOLT_EINVAL names the field and the value. */
VOLT_CALL volt_unet_build(volt_graph **out, const volt_unet_spec *spec);
/* Patch extents must be multiples of this along d, h, w: the product of the strides. */
VOLT_API void volt_unet_divisor(int64_t out[3], const volt_unet_spec *spec);

VOLT_END_DECLS
#endif
