/* case_workers.h - how many cases may be worked on at a time without running out of memory. */
#ifndef VOLT_IO_DATASET_CASE_WORKERS_H
#define VOLT_IO_DATASET_CASE_WORKERS_H
#include "io/dataset.h"

/* At most `threads` (0 = default), and no more than fit half of the machine's memory when the
 * largest case takes `image_copies` float32 copies of its image and `label_bytes` per voxel
 * beside them; `target` (mm, NULL = none) is a spacing that cases are resampled to. Reads the
 * headers of the first images; those it cannot read it leaves to whoever reads the voxels. */
int volt_case_workers(const volt_dataset *ds, double image_copies, double label_bytes,
                      const double target[3], int threads);

#endif
