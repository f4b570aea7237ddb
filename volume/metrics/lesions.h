/* lesions.h - scores lesion by lesion, as volume/metrics.h defines them. */
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
                                             const volt_lesion_rule *options, bool surface,
                                             int threads);

VOLT_END_DECLS
#endif
