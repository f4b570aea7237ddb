/* ensemble.h - saved probabilities averaged into new masks, as nnU-Net v2's ensembles.
 *
 * A member is the predictions of one model: a folder, or several that together hold every case
 * once (the validation folders of its folds), with CASE.npz (array "probabilities", (C, Z, Y,
 * X)) and CASE.nii.gz, whose header the new mask takes. The members' mean is decoded as a
 * network's output: the largest class, or every region above 1/2.
 */
#ifndef VOLT_NETS3D_ENSEMBLE_H
#define VOLT_NETS3D_ENSEMBLE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "../base/callbacks.h"
#include "../base/status.h"
#include "../io/dataset.h"
VOLT_BEGIN_DECLS

typedef struct volt_ensemble_member {
    const char *const *folder;
    int folders;
} volt_ensemble_member;

typedef struct volt_ensemble_options {
    const char *output;            /* folder (created): CASE.nii.gz, dataset.json */
    const volt_dataset_info *info; /* the labels */
    bool probabilities;            /* also CASE.npz: the mean */
    bool skip_existing;
    int threads;
} volt_ensemble_options;

typedef struct volt_ensemble_result {
    int64_t cases;                      /* written */
    size_t announced_bytes, peak_bytes; /* 0 where nothing was to be done */
} volt_ensemble_result;

/* Averages every case, class by class: a mask, the largest probability of each voxel and a few
 * MiB per member are held, whatever the number of classes; that is logged before. All files are
 * opened and judged before the first case is made. `result` may be NULL. Progress: "cases".
 * VOLT_EDATA: a case that one member lacks or has twice, shapes or numbers of classes that
 * differ, no cases; VOLT_EFORMAT, VOLT_EIO, VOLT_ENOMEM. */
VOLT_CALL volt_ensemble(volt_ensemble_result *result, const volt_ensemble_member *members,
                        int count, const volt_ensemble_options *options,
                        const volt_callbacks *cb);

VOLT_END_DECLS
#endif
