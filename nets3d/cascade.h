/* cascade.h - what the second network of a cascade sees of the first: its masks.
 *
 * As nnU-Net's 3d_cascade_fullres: the labels that 3d_lowres found, brought to the full
 * resolution, are one-hot channels after the image's. A case that trains the second network
 * must be segmented by a first network that has not learned from it: each fold's network
 * segments the cases it was validated on.
 *
 * Two ways to the full resolution, both as nnU-Net has them. Training: the first network's
 * scores are resampled and decided there (volt_cascade_segment). Prediction: its mask, finished
 * on the scan's own grid, is cropped and resampled as labels are (volt_predict).
 */
#ifndef VOLT_NETS3D_CASCADE_H
#define VOLT_NETS3D_CASCADE_H
#include "../base/callbacks.h"
#include "../base/status.h"
#include "../io/dataset.h"
#include "plan.h"
#include "predictor.h"
VOLT_BEGIN_DECLS

typedef struct volt_cascade_options {
    volt_precision precision; /* of the previous stage; VOLT_PRECISION_AUTO allowed */
    int threads;              /* 0 = default */
    bool overwrite;           /* also what is finished */
    const volt_callbacks *callbacks;
} volt_cascade_options;

/* Segments every case of `ds` with networks of the previous stage that have not learned from
 * it, into FOLDER/CASE.voltcase (FOLDER is created): labels only, on the very grid that the
 * case has when it is prepared for `config`. Of a run with folds (RUN/fold_K), fold K's network
 * segments the cases that the file `splits` lets it validate. Cases without such a fold, and
 * all cases of a run without folds, are segmented by all its networks, with a warning: on cases
 * that a network has learned from its masks are better than they will ever be on others.
 * Finished files of the same scans and checkpoints are kept, whichever precision they were
 * computed in. Progress: "cases". VOLT_EIO;
 * VOLT_EDATA: networks of another configuration than the previous stage, or of other channels
 * or labels; volt_predictor_open's errors; VOLT_ECANCELLED. */
VOLT_CALL volt_cascade_segment(const char *folder, const char *run, const char *splits,
                               const volt_dataset *ds, const volt_plan_config *config,
                               const volt_cascade_options *options);

/* Prepares the masks MASKS/CASE.nii.gz (or in another format; on the scans' own grids) of every
 * case into FOLDER/CASE.voltcase: labels only, on the very grid of the prepared case
 * STORE/CASE.voltcase. Finished ones of the same files are kept; an interrupted run is
 * continued by the next. VOLT_EIO, VOLT_EDATA name the case or file. */
VOLT_CALL volt_cascade_prepare(const char *folder, const char *masks, const char *store,
                               const volt_dataset *ds, const volt_plan *plan,
                               const volt_plan_config *config,
                               const volt_cascade_options *options);
/* WORK/CONFIG_previous, where a pipeline keeps either. The caller owns *out (volt_free). */
VOLT_CALL volt_cascade_folder(char **out, const char *work, const volt_plan_config *config);

/* Before `p` is applied to cases of `ds` that its networks were validated on: where the
 * previous stage is a run, masks of all cases by volt_cascade_segment (those of training, where
 * they are still in WORK) take its place. */
VOLT_CALL volt_cascade_for_validation(volt_predictor *p, const char *work, const char *splits,
                                      const volt_dataset *ds,
                                      const volt_cascade_options *options);

/* The mask of case ID in a folder: MASKS/ID.voltcase (*prepared is true: made by one of the
 * above), else MASKS/ID.nii.gz, or that in another format (volt_image_find). The caller owns
 * *out. VOLT_EIO. */
VOLT_CALL volt_cascade_mask_path(char **out, bool *prepared, const char *masks, const char *id);
/* volt_case_read with the mask as the case's labels: in the network's numbering, turned as the
 * scan is. */
VOLT_CALL volt_cascade_case_read(volt_case_data *out, const volt_case *c, const char *mask,
                                 const volt_dataset_info *info, int threads);

VOLT_END_DECLS
#endif
