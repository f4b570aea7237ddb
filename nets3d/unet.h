/* unet.h - U-Nets from the lists of a plan: nnU-Net's (dynamic_network_architectures'
 * PlainConvUNet and ResidualEncoderUNet, below) and MONAI's (nets3d/monai.h).
 *
 * Block     conv with bias, instance norm (eps 1e-5, affine), leaky ReLU 0.01.
 * Plain     encoder stages of blocks, the first of a stage strided.
 * Residual  a stem block at full resolution, then stages of BasicBlockD: two convolutions with
 *           norm, the skip added before the last activation; the skip is average-pooled by the
 *           stride and projected by a 1x1x1 convolution without bias and a norm where channels
 *           change (He et al., "Bag of Tricks", CVPR 2019, variant D).
 * Decoder   transposed convolutions with kernel = stride; concat (upsampled, skip); blocks;
 *           1x1x1 heads. The same for both.
 */
#ifndef VOLT_NETS3D_UNET_H
#define VOLT_NETS3D_UNET_H
#include "graph.h"
VOLT_BEGIN_DECLS

#define VOLT_UNET_MAX_STAGES 16

typedef enum volt_unet_encoder {
    VOLT_ENCODER_PLAIN = 0,
    VOLT_ENCODER_RESIDUAL
} volt_unet_encoder;

typedef enum volt_unet_family {
    VOLT_FAMILY_NNUNET = 0,
    VOLT_FAMILY_MONAI_UNET,
    VOLT_FAMILY_DYNUNET
} volt_unet_family;

typedef enum volt_unet_norm {
    VOLT_UNET_NORM_AFFINE = 0, /* instance norm with scale and shift, nnU-Net's */
    VOLT_UNET_NORM_PLAIN,      /* instance norm without */
    VOLT_UNET_NORM_BATCH,      /* of a model to import, see volt_weights_fold_norms */
    VOLT_UNET_NORM_NONE
} volt_unet_norm;

/* What only MONAI's networks have. Plain value. */
typedef struct volt_monai_options {
    volt_unet_norm norm;
    int64_t slopes;       /* of each PReLU: 1, or one per channel; 0: `slope` of the spec */
    int res_units;        /* UNet: convolutions of its residual units; 0: no such units */
    int64_t up_kernel[3]; /* UNet: of transposed convolutions; odd */
    char order[4];        /* UNet: adn_ordering, letters of "NDA" */
    bool res_block;       /* DynUNet */
    bool up_bias;         /* DynUNet: trans_bias */
    int heads;            /* DynUNet: below the finest, for deep supervision */
} volt_monai_options;

/* Plain value. Axes d, h, w; 2-D networks have kernel and stride 1 along d. */
typedef struct volt_unet_spec {
    volt_unet_family family;
    volt_monai_options monai; /* of the other two families */
    volt_unet_encoder encoder;
    int stages;                              /* 2..VOLT_UNET_MAX_STAGES */
    int64_t in_channels, out_channels;       /* out: the heads, see volt_plan */
    int64_t features[VOLT_UNET_MAX_STAGES];  /* per stage, finest first */
    int64_t kernel[VOLT_UNET_MAX_STAGES][3]; /* odd */
    int64_t stride[VOLT_UNET_MAX_STAGES][3]; /* stride[0] is usually 1 */
    int convs_encoder[VOLT_UNET_MAX_STAGES]; /* nnU-Net's: blocks (plain or BasicBlockD) per
                                              * encoder stage, >= 1 */
    int convs_decoder[VOLT_UNET_MAX_STAGES]; /* nnU-Net's: per decoder stage, finest FIRST;
                                              * stages-1 used */
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
