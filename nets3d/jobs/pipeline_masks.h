/* pipeline_masks.h - a pipeline's last step: the prior masks of a cascade, made by all ranks.
 */
#ifndef VOLT_NETS3D_JOBS_PIPELINE_MASKS_H
#define VOLT_NETS3D_JOBS_PIPELINE_MASKS_H
#include "nets3d/pipeline.h"
VOLT_BEGIN_DECLS

/* Where the masks come from, and where they go. VOLT_EINVAL, VOLT_EIO. */
VOLT_MUST_USE volt_status volt_pipeline_find_masks(volt_pipeline *p,
                                                   const volt_pipeline_options *o);
/* Rank 0, or the only one: the masks, if the configuration is a cascade's. All other ranks
 * help, whichever it is; what they leave out, rank 0 makes. */
VOLT_MUST_USE volt_status volt_pipeline_add_masks(volt_pipeline *p,
                                                  const volt_pipeline_options *o);
/* Another rank's part in it. `with`: it has rank 0's plan. */
VOLT_MUST_USE volt_status volt_pipeline_help_with_masks(volt_pipeline *p, bool with,
                                                        const volt_pipeline_options *o);

VOLT_END_DECLS
#endif
