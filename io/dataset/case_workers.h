/* case_workers.h - the number of cases that can be processed at the same time without
 * running out of memory.
 */
#ifndef VOLT_IO_DATASET_CASE_WORKERS_H
#define VOLT_IO_DATASET_CASE_WORKERS_H
#include "io/dataset.h"

/* At most `threads` (0 = default), and no more than fit into half of the machine's memory if
 * the largest case takes `image_copies` float32 copies of its image plus `label_bytes` per
 * voxel; `target` (mm, NULL = none) is the spacing that cases are resampled to. Reads the
 * header of each case's first image; unreadable ones are left to the caller that reads the
 * voxels. */
int volt_case_workers(const volt_dataset *ds, double image_copies, double label_bytes,
                      const double target[3], int threads);

#endif
