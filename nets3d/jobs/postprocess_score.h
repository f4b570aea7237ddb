/* postprocess_score.h - scores a folder of masks, with post-processing applied first. */
#ifndef VOLT_NETS3D_JOBS_POSTPROCESS_SCORE_H
#define VOLT_NETS3D_JOBS_POSTPROCESS_SCORE_H
#include "base/callbacks.h"
#include "base/status.h"
#include "nets3d/postprocess.h"
#include "volume/metrics.h"
VOLT_BEGIN_DECLS

/* Scores the masks of folder `predictions`, each against the mask with the same name in
 * `truth`, after `steps` (NULL = none), for the classes of `info`: nnU-Net's counts and Dice,
 * no surface metrics. The caller owns *out (volt_summary_free). Progress: "cases". VOLT_EDATA:
 * a mask without ground truth, no masks, sizes that differ; VOLT_EIO. */
VOLT_MUST_USE volt_status volt_postprocess_score(volt_summary **out, const char *predictions,
                                                 const char *truth,
                                                 const volt_dataset_info *info,
                                                 const volt_postprocess *steps, int threads,
                                                 const volt_callbacks *cb);

VOLT_END_DECLS
#endif
