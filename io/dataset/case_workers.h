/* case_workers.h - the number of cases that can be processed at the same time without
 * running out of memory.
 */
#ifndef VOLT_IO_DATASET_CASE_WORKERS_H
#define VOLT_IO_DATASET_CASE_WORKERS_H
#include "io/dataset.h"

/* What a case takes per voxel, before or after resampling, whichever has more voxels. */
typedef struct volt_case_cost {
    double image_copies;  /* of all channels in float32 */
    double label_bytes;   /* everything else */
    const double *target; /* spacing z, y, x in mm that cases are resampled to; NULL = none */
} volt_case_cost;

/* At most `threads` (0 = default), at least 1, and no more than fit into half of the available
 * memory. Reads the header of each case's first image; unreadable ones are left to the caller
 * that reads the voxels. VOLT_ENOMEM: the largest case, which it names, does not fit alone. */
VOLT_MUST_USE volt_status volt_case_workers(int *out, const volt_dataset *ds,
                                            const volt_case_cost *cost, int threads);

#endif
