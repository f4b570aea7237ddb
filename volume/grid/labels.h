/* labels.h - label maps and lists of label values. */
#ifndef VOLT_VOLUME_GRID_LABELS_H
#define VOLT_VOLUME_GRID_LABELS_H
#include <stdint.h>
#include "base/status.h"
#include "volume/volume.h"
VOLT_BEGIN_DECLS

#define VOLT_LABEL_VALUES 32768 /* 0..32767, what VOLT_I16 holds */

/* Adds the number of voxels with each value to counts[VOLT_LABEL_VALUES]; negative values are
 * ignored. VOLT_EINVAL: not VOLT_I16. */
VOLT_MUST_USE volt_status volt_label_counts(int64_t *counts, const volt_volume *labels);
/* Whether a prediction and its reference can be compared voxel by voxel. VOLT_EINVAL: channels
 * or dtype; VOLT_EDATA: sizes differ. */
VOLT_MUST_USE volt_status volt_labels_check_pair(const volt_volume *pred,
                                                 const volt_volume *ref);
/* `count` voxels of a label map (an integer dtype of at most 32 bits) from voxel `first` on. */
void volt_label_row(int32_t *out, const volt_volume *v, int64_t first, int64_t count);

/* Sorts the values in ascending order without repetitions; returns how many are left. */
int32_t volt_labels_unique(int32_t *value, int32_t count);
/* Index of `wanted` in such a list, or -1. */
int32_t volt_labels_index(const int32_t *value, int32_t count, int32_t wanted);

VOLT_END_DECLS
#endif
