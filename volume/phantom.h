/* phantom.h - synthetic scans with reference labels, for demos, tests and benchmarks.
 *
 * A case is identified by (kind, width, seed, number) and always has the same voxels, whatever
 * the thread count: geometry comes from Philox streams (VOLT_RNG_PHANTOM), noise from the index
 * of each voxel.
 *
 * Threads   no shared state. Cases may be generated at the same time.
 */
#ifndef VOLT_VOLUME_PHANTOM_H
#define VOLT_VOLUME_PHANTOM_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "../base/status.h"
#include "volume.h"
VOLT_BEGIN_DECLS

typedef enum volt_phantom_kind {
    /* Four channels T1, T1ce, T2, FLAIR (int16; 0 outside the skull-stripped brain and only
     * there), 240 x 240 x 155 mm. Lesions have a necrotic core, an enhancing rim and oedema;
     * there is a bias field and Rician noise. Contrast, gain and noise vary per case and
     * channel; small vessels resemble rim, and aged white matter resembles oedema.
     * Labels: 1 oedema, 2 non-enhancing core, 3 enhancing (the Decathlon's order). */
    VOLT_PHANTOM_BRATS = 1,
    /* One channel, CT of a trunk (int16, HU), 240 mm long, with slices thicker than the pixels
     * by a factor that varies per case. Liver and spleen, and bowel and muscle, have similar
     * values. Labels: 1 liver, 2 tumour. */
    VOLT_PHANTOM_LIVER = 2
} volt_phantom_kind;

typedef struct volt_phantom_options {
    size_t size; /* set by volt_phantom_defaults() */
    volt_phantom_kind kind;
    int64_t width; /* voxels along x and along y, 16..1024 */
    uint64_t seed;
    int64_t number;    /* of the case, 0..2^32-1 */
    bool brats_labels; /* brats kind: 1 core, 2 oedema, 4 enhancing instead (BraTS numbering) */
    int threads;       /* 0 = default */
} volt_phantom_options;

/* Case 0 of VOLT_PHANTOM_BRATS, seed 0, 128 voxels wide. */
VOLT_API void volt_phantom_options_init(volt_phantom_options *o, size_t size);
static inline volt_phantom_options volt_phantom_defaults(void)
{
    volt_phantom_options o;

    volt_phantom_options_init(&o, sizeof o);
    return o;
}

/* "brats" or "liver". VOLT_EINVAL: another name. */
VOLT_CALL volt_phantom_parse(volt_phantom_kind *out, const char *name);
VOLT_API const char *volt_phantom_name(volt_phantom_kind kind);
/* Channel names in file order, as in dataset.json; NULL past the end. Borrowed. */
VOLT_API const char *volt_phantom_channel(volt_phantom_kind kind, int32_t channel);
/* Name of label value 0..3, in the numbering without brats_labels; NULL past the end. */
VOLT_API const char *volt_phantom_label(volt_phantom_kind kind, int32_t label);

/* Whether volt_phantom_make can create such a case. VOLT_EINVAL: an option; VOLT_ENOMEM: it
 * needs more memory than is available. `options` NULL = defaults. */
VOLT_CALL volt_phantom_check(const volt_phantom_options *options);

/* Makes one case: `image` and `labels` (uint8) on one grid. The caller owns both
 * (volt_volume_free). VOLT_EINVAL: an option; VOLT_ENOMEM. */
VOLT_CALL volt_phantom_make(volt_volume **image, volt_volume **labels,
                            const volt_phantom_options *options);

VOLT_END_DECLS
#endif
