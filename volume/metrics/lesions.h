/* lesions.h - scores lesion by lesion, as the BraTS 2023 challenge defines them.
 *
 * Truth      its voxels are dilated `dilation` times by the 18-neighbourhood; voxels whose
 *            dilation is one 26-connected component are one lesion. Dilation is used for
 *            grouping and matching only: scores are taken on the undilated voxels.
 * Prediction its lesions are 26-connected components. Those that touch a lesion's dilation are
 *            matched to it, together, and one may be matched to several.
 * Scores     of a lesion: Dice (and HD95) between it and all that is matched to it; Dice 0 and
 *            HD95 `penalty_mm` when nothing is. A prediction matched to no lesion is a false
 *            positive and enters the means with Dice 0 and HD95 `penalty_mm`.
 * Small      lesions of the truth of at most `min_mm3` enter no mean and no count; predictions
 *            matched to them are no false positives.
 * Empty      no lesion and no false positive: Dice 1, F1 1, HD95 0.
 * HD95       between surface voxels, as volume/surface.h; the challenge's own program weighs
 *            them by their surfaces' area, so this number may differ from it.
 *
 * Challenges of 2023: dilation 3 and 50 mm^3 (GLI, SSA, PED), 1 and 50 (MEN), 1 and 2 (MET).
 */
#ifndef VOLT_VOLUME_METRICS_LESIONS_H
#define VOLT_VOLUME_METRICS_LESIONS_H
#include <stdbool.h>
#include <stdint.h>
#include "base/status.h"
#include "volume/metrics.h"
VOLT_BEGIN_DECLS

/* Two masks on one grid, borrowed. */
typedef struct volt_lesion_masks {
    const uint8_t *pred, *ref; /* (Z, Y, X), X fastest, 0 or 1 */
    int64_t n[3];              /* z, y, x */
    double spacing[3];         /* mm */
} volt_lesion_masks;

/* Scores `m`; HD95 is NaN unless `surface`. threads 0 = default; same bits for any number.
 * VOLT_EINVAL: an option; VOLT_ENOMEM. */
VOLT_MUST_USE volt_status volt_lesions_score(volt_lesion_scores *out,
                                             const volt_lesion_masks *m,
                                             const volt_lesion_options *options, bool surface,
                                             int threads);

VOLT_END_DECLS
#endif
