/* augment.h - augmentation of training samples, as in nnU-Net v2.
 *
 * Order     rotation and scaling; noise; blur; brightness; contrast; low resolution; inverted
 *           gamma; gamma; mirroring; masking; label -1 becomes 0; in a cascade the prior mask
 *           (the previous stage's segmentation), altered by morphological operators and loss of
 *           components, as one-hot channels. Probabilities and ranges are those of nnU-Net's 3D
 *           and 2D trainers; volt_augment_rules holds them all.
 * Split     volt_augment_draw_make() turns random numbers into a plain struct that fixes
 *           everything that will happen; volt_augment_apply() is deterministic. So the caller
 *           can load only as much of the case as the draw needs (volt_augment_source_shape).
 * Axes      z, y, x. A 2D patch has extent 1 along z and is transformed within its plane.
 * Threads   a sample is augmented by one thread; threads may augment different samples at the
 *           same time, each with scratch memory of its own.
 */
#ifndef VOLT_VOLUME_AUGMENT_H
#define VOLT_VOLUME_AUGMENT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "../base/rng.h"
#include "../base/status.h"
VOLT_BEGIN_DECLS

#define VOLT_AUGMENT_MAX_CHANNELS     32
#define VOLT_AUGMENT_MAX_PRIOR_LABELS 255 /* of the prior mask in a cascade */

typedef struct volt_range {
    double low, high;
} volt_range;

/* What may happen to samples of one patch size. Probabilities (p_) are per sample unless named
 * otherwise. */
typedef struct volt_augment_rules {
    size_t size;       /* set by volt_augment_rules_nnunet() and volt_augment_rules_none() */
    int64_t patch[3];  /* z, y, x; voxels */
    int32_t channels;  /* 1..VOLT_AUGMENT_MAX_CHANNELS */
    bool in_plane;     /* 2D, and "dummy 2D" of anisotropic 3D: rotate and scale y and x only */
    bool slices_apart; /* with in_plane: no blur across slices, which are channels of a 2D
                        * sample */
    double p_rotation, p_scaling;
    double rotation_rad[3]; /* largest angle about z, y, x; in-plane uses the first */
    volt_range scaling;     /* > 1 shrinks the object */
    double p_noise, p_blur, p_blur_channel, p_brightness, p_contrast;
    double p_low_resolution, p_low_resolution_channel, p_gamma_inverted, p_gamma;
    volt_range noise_sd, blur_sigma, low_resolution;
    volt_range gamma, brightness, contrast; /* factors: half of the draws are below 1 */
    double p_mirror[3];
    bool zero_outside[VOLT_AUGMENT_MAX_CHANNELS]; /* 0 where the label is -1 (nnU-Net's
                                                   * use_mask_for_norm) */
    int prior_labels; /* labels 1..prior_labels of the prior mask, each a one-hot channel after
                       * the image's; 0 = no cascade */
    double p_operator, p_operator_label; /* of a sample; then of each label */
    volt_range operator_radius;          /* of the ball (2D: disk), voxels */
    double p_remove, p_remove_label;     /* removes one component of the label, */
    double remove_below;                 /* smaller than this fraction of the patch */
} volt_augment_rules;

typedef enum volt_augment_preset {
    VOLT_AUGMENT_NONE = 0, /* no change: the centre of the source, as for validation */
    VOLT_AUGMENT_NNUNET = 1
} volt_augment_preset;

/* The rules of a preset for a patch; nnU-Net's 2D rules when patch[0] == 1. */
VOLT_API void volt_augment_rules_init(volt_augment_rules *r, size_t size,
                                      volt_augment_preset preset, const int64_t patch[3],
                                      int32_t channels);
static inline volt_augment_rules volt_augment_rules_nnunet(const int64_t patch[3],
                                                           int32_t channels)
{
    volt_augment_rules r;

    volt_augment_rules_init(&r, sizeof r, VOLT_AUGMENT_NNUNET, patch, channels);
    return r;
}
static inline volt_augment_rules volt_augment_rules_none(const int64_t patch[3],
                                                         int32_t channels)
{
    volt_augment_rules r;

    volt_augment_rules_init(&r, sizeof r, VOLT_AUGMENT_NONE, patch, channels);
    return r;
}

/* Patch to load so that no rotation or scaling of `rules` reads beyond it (nnU-Net: 128^3 gives
 * 205^3). */
VOLT_API void volt_augment_initial_patch(int64_t out[3], const volt_augment_rules *rules);

typedef struct volt_augment_channel {
    double blur_sigma[3];         /* voxels along z, y, x; 0 = none */
    double brightness, contrast;  /* factor; 1 = none */
    double low_resolution;        /* scale < 1; 1 = none */
    double gamma_inverted, gamma; /* exponent; 0 = none */
} volt_augment_channel;

typedef enum volt_binary_operator {
    VOLT_DILATE = 0,
    VOLT_ERODE = 1,
    VOLT_CLOSE = 2,
    VOLT_OPEN = 3
} volt_binary_operator;

/* One change of one label of the prior mask. */
typedef struct volt_augment_operator {
    int label;
    volt_binary_operator kind;
    double radius; /* >= 1 */
} volt_augment_operator;
typedef struct volt_augment_removal {
    int label;
    double choice; /* in [0, 1): picks one of the components that may go, in raster order */
} volt_augment_removal;

/* What happens to one sample. */
typedef struct volt_augment_draw {
    bool spatial;        /* rotation or scaling was drawn */
    double matrix[3][3]; /* offset from the source's centre = matrix * offset in the patch */
    double noise_sd;     /* 0 = none */
    volt_rng noise;      /* stream of the noise's normal numbers */
    bool mirror[3];
    volt_augment_channel channel[VOLT_AUGMENT_MAX_CHANNELS];
    int operators, removals; /* applied in this order */
    volt_augment_operator operation[VOLT_AUGMENT_MAX_PRIOR_LABELS];
    volt_augment_removal removal[VOLT_AUGMENT_MAX_PRIOR_LABELS];
} volt_augment_draw;

/* Draws from `rng` (VOLT_RNG_AUGMENT); stores `noise` (VOLT_RNG_NOISE) for the voxels. */
VOLT_API void volt_augment_draw_make(volt_augment_draw *out, const volt_augment_rules *rules,
                                     volt_rng *rng, const volt_rng *noise);
/* The source that this draw reads: the initial patch if spatial, else the patch itself. */
VOLT_API void volt_augment_source_shape(int64_t out[3], const volt_augment_rules *rules,
                                        const volt_augment_draw *draw);

/* Describes the draw: "rotated 12 -3 25 degrees, scaled 1.21, gamma 0.8 1.1" (per channel), or
 * "unchanged". Always NUL-terminated; truncated to `bytes`. */
VOLT_API void volt_augment_describe(char *out, size_t bytes, const volt_augment_rules *rules,
                                    const volt_augment_draw *draw);

/* A box cut out of the case, padded with 0 and label -1 where it extends beyond it. All arrays
 * are borrowed. */
typedef struct volt_augment_source {
    const float *image;        /* (channels, Z, Y, X) */
    const int16_t *labels;     /* (Z, Y, X), >= -1; NULL = none */
    const int16_t *prior_mask; /* (Z, Y, X); NULL without cascade */
    int64_t shape[3];          /* z, y, x; any size: the patch has the same centre */
} volt_augment_source;

/* Scratch memory of volt_augment_apply: any contents, reusable, one per thread. */
VOLT_API size_t volt_augment_scratch_bytes(const volt_augment_rules *rules);

/* Fills image (channels + prior_labels, D, H, W) and labels (D, H, W; NULL if the source has
 * none).
 *
 * Images are interpolated linearly, with 0 outside. A voxel takes the label with the largest
 * linear weight, the lowest of equal ones, with -1 outside; all -1 become 0 at the end. Voxels
 * into which an operator grows a label are taken from other labels; beyond the patch dilation
 * finds nothing, and erosion finds the label.
 *
 * VOLT_EINVAL: rules; a source of size 0 or, for a draw that is not spatial, smaller than the
 * patch; prior_labels without a prior mask or the reverse. */
VOLT_CALL volt_augment_apply(float *image, int16_t *labels, const volt_augment_source *source,
                             const volt_augment_rules *rules, const volt_augment_draw *draw,
                             void *scratch);

VOLT_END_DECLS
#endif
