/* augment.h - random changes of a training sample, as nnU-Net v2 makes them.
 *
 * Order    rotation and scaling; noise; blur; brightness; contrast; low resolution; inverted
 *          gamma; gamma; mirroring; masking; label -1 to 0; in a cascade the previous stage's
 *          mask as one-hot channels, changed by binary operators and loss of components.
 *          Probabilities and ranges are nnU-Net's (its 3D and 2D trainers), each in
 *          volt_augment_rules.
 * Split    volt_augment_draw_make() turns random numbers into a plain struct that says all that
 *          will happen; volt_augment_apply() does it and is deterministic. So the caller may
 *          load just as much of the case as the draw needs (volt_augment_source_shape).
 * Axes     z, y, x; a 2D patch has extent 1 along z and is changed within its plane.
 * Threads  one sample is one thread's work; different samples may run at once.
 */
#ifndef VOLT_VOLUME_AUGMENT_H
#define VOLT_VOLUME_AUGMENT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "../base/rng.h"
#include "../base/status.h"
VOLT_BEGIN_DECLS

#define VOLT_AUGMENT_MAX_CHANNELS 32
#define VOLT_AUGMENT_MAX_PREVIOUS 255 /* labels of a cascade's previous stage */

typedef struct volt_range {
    double low, high;
} volt_range;

/* Plain value: what may happen to samples of one patch size. */
typedef struct volt_augment_rules {
    int64_t patch[3];  /* z, y, x; voxels */
    int32_t channels;  /* 1..VOLT_AUGMENT_MAX_CHANNELS */
    bool in_plane;     /* 2D, and "dummy 2D" of anisotropic 3D: rotate and scale y and x only */
    bool slices_apart; /* in-plane, and no blur across slices: they are channels of a 2D sample
                        */
    double p_rotation, p_scaling;
    double rotation_rad[3]; /* largest angle about z, y, x; in-plane uses the first */
    volt_range scaling;     /* > 1 shrinks the object */
    double p_noise, p_blur, p_blur_channel, p_brightness, p_contrast;
    double p_low_resolution, p_low_resolution_channel, p_gamma_inverted, p_gamma;
    volt_range noise_sd, blur_sigma, low_resolution, gamma; /* gamma: half of the draws < 1 */
    volt_range brightness, contrast;                        /* the same */
    double p_mirror[3];
    bool zero_outside[VOLT_AUGMENT_MAX_CHANNELS]; /* 0 where the label is -1 (use_mask_for_norm)
                                                   */
    int previous; /* one-hot channels after the image's: the previous stage's
                   * labels 1..previous; 0 = no cascade */
    double p_operator, p_operator_label; /* of a sample; then of each label */
    volt_range operator_radius;          /* of the ball (2D: disk), voxels */
    double p_remove, p_remove_label;     /* one component of the label disappears, */
    double remove_below;                 /* of those smaller than this share of the patch */
} volt_augment_rules;

/* nnU-Net's rules for a patch; 2D when patch[0] == 1. */
VOLT_API volt_augment_rules volt_augment_rules_nnunet(const int64_t patch[3], int32_t channels);
/* No change at all: the centre of the source (validation). */
VOLT_API volt_augment_rules volt_augment_rules_none(const int64_t patch[3], int32_t channels);
/* Patch to load so that no rotation or scaling of `rules` looks beyond it
 * (nnU-Net: 128^3 -> 205^3). */
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

/* One change of the previous stage's mask, of one label. */
typedef struct volt_augment_operator {
    int label;
    volt_binary_operator kind;
    double radius; /* >= 1 */
} volt_augment_operator;
typedef struct volt_augment_removal {
    int label;
    double choice; /* in [0, 1): which of the components that may go, in raster order */
} volt_augment_removal;

/* What happens to one sample. */
typedef struct volt_augment_draw {
    bool spatial;        /* rotation or scaling was drawn */
    double matrix[3][3]; /* offset from the source's centre = matrix * offset in the patch */
    double noise_sd;     /* 0 = none */
    volt_rng noise;      /* stream of the noise's normal numbers */
    bool mirror[3];
    volt_augment_channel channel[VOLT_AUGMENT_MAX_CHANNELS];
    int operators, removals; /* in this order */
    volt_augment_operator operation[VOLT_AUGMENT_MAX_PREVIOUS];
    volt_augment_removal removal[VOLT_AUGMENT_MAX_PREVIOUS];
} volt_augment_draw;

/* Draws from `rng` (VOLT_RNG_AUGMENT); `noise` is kept for the voxels (VOLT_RNG_NOISE). */
VOLT_API void volt_augment_draw_make(volt_augment_draw *out, const volt_augment_rules *rules,
                                     volt_rng *rng, const volt_rng *noise);
/* The source that this draw reads: the initial patch when spatial, else the patch itself. */
VOLT_API void volt_augment_source_shape(int64_t out[3], const volt_augment_rules *rules,
                                        const volt_augment_draw *draw);

/* Says in words what the draw changes: "turned 12 -3 25 degrees, scaled 1.21, gamma 0.8 1.1"
 * (per channel), or "unchanged". Always ends with a zero byte; what does not fit is cut. */
VOLT_API void volt_augment_describe(char *out, size_t bytes, const volt_augment_rules *rules,
                                    const volt_augment_draw *draw);

/* A box cut out of the case, padded with 0 and label -1 where it sticks out. */
typedef struct volt_augment_source {
    const float *image;      /* (channels, Z, Y, X) */
    const int16_t *labels;   /* (Z, Y, X), >= -1; NULL = none */
    const int16_t *previous; /* (Z, Y, X), the previous stage's labels; NULL without cascade */
    int64_t shape[3];        /* z, y, x; any size: its centre is the patch's centre */
} volt_augment_source;

/* Scratch of volt_augment_apply; any contents, reusable, one per thread. */
VOLT_API size_t volt_augment_scratch_bytes(const volt_augment_rules *rules);

/* Fills image (channels + previous, D, H, W) and labels (D, H, W; NULL if the source has none)
 * from the source. Image: linear, 0 outside. Labels: the label with the largest linear weight,
 * the lowest of equals, -1 outside; all -1 become 0 at the end. An operator's label takes the
 * voxels it grows into from other labels; beyond the patch dilation finds nothing and erosion
 * the label itself. VOLT_EINVAL: source smaller than 1 or, for a draw that is not spatial, than
 * the patch; a cascade's rules without its source. */
VOLT_CALL volt_augment_apply(float *image, int16_t *labels, const volt_augment_source *source,
                             const volt_augment_rules *rules, const volt_augment_draw *draw,
                             void *scratch);

VOLT_END_DECLS
#endif
