/* classes.h - the classes for which the masks of a data set are scored.
 *
 * Labels without the background, or the regions of data sets that have some; values are those
 * in the data set's own files.
 */
#ifndef VOLT_NETS3D_JOBS_CLASSES_H
#define VOLT_NETS3D_JOBS_CLASSES_H
#include <stdint.h>
#include "base/status.h"
#include "io/dataset.h"
#include "volume/metrics.h"
VOLT_BEGIN_DECLS

typedef struct volt_classes {
    int count;
    volt_region *region; /* named as the keys of nnU-Net's summary.json: "1", "(1, 2)" */
    int32_t *foreground; /* every label but the background and the ignore label */
    int foreground_count;
    int32_t ignore; /* or VOLT_NO_IGNORE_LABEL */
    char **name;    /* `region` points to these */
    int32_t *value;
} volt_classes;

/* The caller owns what *out holds (volt_classes_clear). VOLT_ENOMEM. */
VOLT_MUST_USE volt_status volt_classes_of(volt_classes *out, const volt_dataset_info *info);
void volt_classes_clear(volt_classes *c);

VOLT_END_DECLS
#endif
