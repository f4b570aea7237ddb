/* confusion.h - confusion matrix of label maps.
 *
 * Threads   a matrix is used by one thread at a time; different ones are independent.
 */
#ifndef VOLT_VOLUME_CONFUSION_H
#define VOLT_VOLUME_CONFUSION_H
#include <stdbool.h>
#include <stdint.h>
#include "../base/status.h"
#include "volume.h"
VOLT_BEGIN_DECLS

/* Voxels by label of the reference (row) and of the prediction (column). The last row and
 * column count values that are not in `value`. */
typedef struct volt_confusion {
    int32_t *value;  /* (values), ascending; owned */
    int32_t values;  /* rows and columns are one more */
    int64_t *voxels; /* (values + 1, values + 1); owned */
} volt_confusion;

/* A matrix of zeros. `value` is copied, sorted and stripped of repetitions. The caller owns
 * *out (volt_confusion_free). VOLT_EINVAL: no value; VOLT_ENOMEM. */
VOLT_CALL volt_confusion_create(volt_confusion **out, const int32_t *value, int32_t values);
/* Adds the voxels of one case, except where the reference is `*ignore` (NULL: none). Volumes
 * and errors as for volt_metrics_evaluate. */
VOLT_CALL volt_confusion_add(volt_confusion *c, const volt_volume *pred, const volt_volume *ref,
                             const int32_t *ignore, int threads);
VOLT_API void volt_confusion_free(volt_confusion *c); /* NULL is allowed */

VOLT_END_DECLS
#endif
