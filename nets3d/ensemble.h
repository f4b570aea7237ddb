/* ensemble.h - averages saved probabilities into new masks, as nnU-Net v2's ensembles.
 *
 * A member is the predictions of one model: a folder, or several that together contain every
 * case once (the validation folders of its folds), with CASE.npz (array "probabilities", (C, Z,
 * Y, X)) and CASE.nii.gz, whose header the new mask gets. The members' mean is decoded like a
 * network's output: the largest class, or every region above 1/2.
 *
 * Refused   probabilities that are NaN, below -0.001 or above 1.001, or that sum to less than
 *           0.99 or more than 1.01 over the classes of a voxel (regions have no sum): the slack
 *           is for float16.
 *
 * Threads   calls may run in several threads at once if their output folders differ.
 */
#ifndef VOLT_NETS3D_ENSEMBLE_H
#define VOLT_NETS3D_ENSEMBLE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "../base/callbacks.h"
#include "../base/status.h"
#include "../io/dataset.h"
#include "../io/label_table.h"
VOLT_BEGIN_DECLS

typedef struct volt_ensemble_member {
    const char *const *folder;
    int folders;
} volt_ensemble_member;

typedef struct volt_ensemble_options {
    size_t size;        /* set by volt_ensemble_defaults() */
    const char *output; /* folder (created): CASE.nii.gz, as `ending` says or as the first
                         * member's masks, and dataset.json */
    const volt_dataset_info *info; /* the labels */
    bool probabilities;            /* also CASE.npz: the mean */
    bool skip_existing;            /* skip cases whose mask exists */
    int threads;                   /* 0 = default */
    int label_files;               /* as in volt_predict_output */
    const char *ending;            /* of the masks, ".nrrd"; NULL = the data set's */
} volt_ensemble_options;

VOLT_API void volt_ensemble_options_init(volt_ensemble_options *o, size_t size);
static inline volt_ensemble_options volt_ensemble_defaults(void)
{
    volt_ensemble_options o;

    volt_ensemble_options_init(&o, sizeof o);
    return o;
}

typedef struct volt_ensemble_result {
    int64_t cases;                      /* written */
    size_t announced_bytes, peak_bytes; /* 0 if there was nothing to do */
} volt_ensemble_result;

/* Averages every case, class by class: holds a mask, the largest probability of each voxel,
 * their sum and a few MiB per member, whatever the number of classes, and logs that before. All
 * files are opened and checked before the first case is written. `result` may be NULL.
 * Progress: "cases". VOLT_EINVAL: no members; VOLT_EDATA: no cases, a case that a member lacks
 * or has twice, shapes or numbers of classes that differ, values that are no probabilities
 * (file, voxel and value are named); VOLT_EFORMAT, VOLT_EIO, VOLT_ENOMEM, VOLT_ECANCELLED. */
VOLT_CALL volt_ensemble(volt_ensemble_result *result, const volt_ensemble_member *members,
                        int count, const volt_ensemble_options *options,
                        const volt_callbacks *cb);

VOLT_END_DECLS
#endif
