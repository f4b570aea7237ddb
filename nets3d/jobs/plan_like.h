/* plan_like.h - the plan of a trained run, for another data set.
 *
 * As nnU-Net's move_plans_between_datasets: patch, batch, network, spacing, axes, normalization
 * and the intensity statistics behind it are the run's, so that its weights fit (volt train
 * --init); names, labels and regions are the data set's.
 */
#ifndef VOLT_NETS3D_JOBS_PLAN_LIKE_H
#define VOLT_NETS3D_JOBS_PLAN_LIKE_H
#include "io/dataset.h"
#include "nets3d/plan.h"

/* `run`: the folder of a run, or of its folds. The caller owns *out (volt_plan_free).
 * VOLT_EINVAL: the run's network takes another number of channels; VOLT_EIO, VOLT_EFORMAT. */
VOLT_MUST_USE volt_status volt_plan_like(volt_plan **out, const char *run,
                                         const volt_dataset_info *info);

#endif
