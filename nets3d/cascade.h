/* cascade.h - what the second network of a cascade sees of the first: its masks.
 *
 * As nnU-Net's 3d_cascade_fullres: the labels that 3d_lowres found, brought to the full
 * resolution, are one-hot channels after the image's. A case that trains the second network
 * must be segmented by a first network that has not learned from it: each fold's network
 * segments the cases it was validated on.
 */
#ifndef VOLT_NETS3D_CASCADE_H
#define VOLT_NETS3D_CASCADE_H
#include "base/callbacks.h"
#include "base/status.h"
#include "io/dataset.h"
#include "nets3d/plan.h"
VOLT_BEGIN_DECLS

typedef struct volt_cascade_options {
    int threads;    /* 0 = default */
    bool overwrite; /* also what is finished */
    const volt_callbacks *callbacks;
} volt_cascade_options;

/* Segments every case of `ds` with networks of the previous stage that have not learned from
 * it: of a run with folds (RUN/fold_K), fold K's segments the cases that the file `splits` lets
 * it validate. Cases without such a fold, and all cases of a run without folds, are segmented
 * by all its networks, with a warning: on cases that a network has learned from its masks are
 * better than they will ever be on others. The masks go to a folder of WORK whose name tells
 * the checkpoints apart, so those that are there are kept; *masks (the caller owns it) is its
 * path. volt_predict's errors; VOLT_EDATA: networks of another configuration than the previous
 * stage.
 */
VOLT_CALL volt_cascade_segment(char **masks, const char *work, const char *run,
                               const char *splits, const volt_dataset *ds,
                               const volt_plan_config *config,
                               const volt_cascade_options *options);

/* Prepares the masks MASKS/CASE.nii.gz (or in another format; on the scans' own grids) of every
 * case into FOLDER/CASE.voltcase: labels only, on the very grid of the prepared case
 * STORE/CASE.voltcase. Finished ones of the same files are kept; an interrupted run is
 * continued by the next. VOLT_EIO, VOLT_EDATA name the case or file. */
VOLT_CALL volt_cascade_prepare(const char *folder, const char *masks, const char *store,
                               const volt_dataset *ds, const volt_plan *plan,
                               const volt_plan_config *config,
                               const volt_cascade_options *options);

/* MASKS/ID.nii.gz, or that in another format (volt_image_find). The caller owns *out. VOLT_EIO.
 */
VOLT_CALL volt_cascade_mask_path(char **out, const char *masks, const char *id);
/* volt_case_read with the mask as the case's labels: in the network's numbering, turned as the
 * scan is. */
VOLT_CALL volt_cascade_case_read(volt_case_data *out, const volt_case *c, const char *mask,
                                 const volt_dataset_info *info, int threads);

VOLT_END_DECLS
#endif
