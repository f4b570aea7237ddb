/* phantom.h - synthetic scans with their truth: for demos, tests and benchmarks without data.
 *
 * A case is named by (kind, size, seed, number) and always has the same voxels, whatever the
 * thread count. Geometry is drawn from Philox streams (VOLT_RNG_PHANTOM); noise is drawn per
 * voxel index.
 */
#ifndef VOLT_VOLUME_PHANTOM_H
#define VOLT_VOLUME_PHANTOM_H
#include <stdbool.h>
#include <stdint.h>
#include "../base/status.h"
#include "volume.h"
VOLT_BEGIN_DECLS

typedef enum volt_phantom_kind {
    /* Four channels T1, T1ce, T2, FLAIR (int16, 0 outside the skull-stripped brain and there
     * alone), 240 x 240 x 155 mm, lesions of necrotic core, enhancing rim and oedema with bias
     * field and Rician noise. Contrast, gain and noise differ per case and channel; small
     * vessels look like rim and aged white matter like oedema.
     * Labels 1 oedema, 2 non-enhancing core, 3 enhancing (the Decathlon's order). */
    VOLT_PHANTOM_BRATS = 1,
    /* One channel CT (int16, HU) of a trunk, 240 mm of slices thicker than the pixels by a
     * factor that differs per case; liver and spleen, bowel and muscle have similar values.
     * Labels 1 liver, 2 tumour. */
    VOLT_PHANTOM_LIVER = 2
} volt_phantom_kind;

typedef struct volt_phantom_options {
    volt_phantom_kind kind;
    int64_t size; /* voxels along x and y, 16..1024 */
    uint64_t seed;
    int64_t number;    /* of the case, 0..2^32-1 */
    bool brats_labels; /* brats kind: 1 core, 2 oedema, 4 enhancing instead (BraTS numbering) */
    int threads;       /* 0 = default */
} volt_phantom_options;

/* "brats", "liver". VOLT_EINVAL names both. */
VOLT_CALL volt_phantom_parse(volt_phantom_kind *out, const char *name);
VOLT_API const char *volt_phantom_name(volt_phantom_kind kind);
/* Names in file order, for dataset.json; NULL past the end. Borrowed. */
VOLT_API const char *volt_phantom_channel(volt_phantom_kind kind, int32_t channel);
/* Name of label value 0..3; NULL past the end. For the numbering without brats_labels. */
VOLT_API const char *volt_phantom_label(volt_phantom_kind kind, int32_t label);

/* Makes one case: `image` and `labels` (uint8) on one grid. The caller owns both.
 * VOLT_EINVAL: a rule above; VOLT_ENOMEM. */
VOLT_CALL volt_phantom_make(volt_volume **image, volt_volume **labels,
                            const volt_phantom_options *opts);

VOLT_END_DECLS
#endif
