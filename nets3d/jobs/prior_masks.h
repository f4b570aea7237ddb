/* prior_masks.h - the prior masks of a data set, on the grid of its preprocessed cases.
 *
 * There are two ways, both as in nnU-Net. For training, the logits of the previous stage are
 * resampled to the full resolution and decoded there (volt_prior_masks_segment). For
 * prediction, and for masks that come as files, a mask on the scan's own grid is cropped and
 * resampled like labels (volt_prior_masks_preprocess, volt_predict).
 */
#ifndef VOLT_NETS3D_JOBS_PRIOR_MASKS_H
#define VOLT_NETS3D_JOBS_PRIOR_MASKS_H
#include "base/status.h"
#include "io/dataset.h"
#include "nets3d/cascade.h"
#include "nets3d/plan.h"
VOLT_BEGIN_DECLS

/* Segments every case of `ds` with networks of the previous stage that were not trained on it,
 * into FOLDER/CASE.voltcase (FOLDER is created): labels only, on the grid that the case has
 * when it is preprocessed for `config`. In a run with folds (RUN/fold_K), fold K's network
 * segments its validation cases in the file `splits`. Cases without such a fold, and all cases
 * of a run without folds, are segmented by all networks, with a warning: masks of cases that a
 * network was trained on are better than masks of unseen cases. Files of the same scans and
 * checkpoints are kept, whichever precision they were computed in. *created (NULL allowed): the
 * number of masks that were created for this call before it; those that it creates are added.
 * A rank (options->comm) logs nothing. Progress: "cases". VOLT_EIO;
 * VOLT_EDATA: networks of another configuration than the previous stage, or with other channels
 * or labels; volt_predictor_open's errors; VOLT_ECANCELLED. */
VOLT_MUST_USE volt_status volt_prior_masks_segment(int64_t *created, const char *folder,
                                                   const char *run, const char *splits,
                                                   const volt_dataset *ds,
                                                   const volt_plan_config *config,
                                                   const volt_cascade_options *options);
/* Logs where the masks come from and where they go. */
void volt_prior_masks_announce(const char *folder, const char *run,
                               const volt_plan_config *config, const volt_callbacks *cb);
/* Before ranks share the cases: writes `splits` where it is missing, and chooses the precision
 * if options->precision leaves it open. Errors as volt_prior_masks_segment. */
VOLT_MUST_USE volt_status volt_prior_masks_prepare(volt_precision *precision, const char *run,
                                                   const char *splits, const volt_dataset *ds,
                                                   const volt_plan_config *config,
                                                   const volt_cascade_options *options);

/* Preprocesses the masks MASKS/CASE.nii.gz (or in another format; on the scans' own grids) of
 * every case into FOLDER/CASE.voltcase: labels only, on the grid of the preprocessed case
 * STORE/CASE.voltcase. Files of the same masks and cases are kept, so the next call continues
 * an interrupted one. VOLT_EIO, VOLT_EDATA name the case or file. */
VOLT_MUST_USE volt_status volt_prior_masks_preprocess(const char *folder, const char *masks,
                                                      const char *store, const volt_dataset *ds,
                                                      const volt_plan *plan,
                                                      const volt_plan_config *config,
                                                      const volt_cascade_options *options);
/* WORK/CONFIG_previous, where a pipeline stores them. The caller owns *out (volt_free). */
VOLT_MUST_USE volt_status volt_prior_masks_folder(char **out, const char *work,
                                                  const volt_plan_config *config);

VOLT_END_DECLS
#endif
