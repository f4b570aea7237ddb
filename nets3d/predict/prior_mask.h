/* prior_mask.h - files with the masks of a cascade's previous stage. */
#ifndef VOLT_NETS3D_PREDICT_PRIOR_MASK_H
#define VOLT_NETS3D_PREDICT_PRIOR_MASK_H
#include <stdbool.h>
#include "base/status.h"
#include "io/dataset.h"
VOLT_BEGIN_DECLS

/* The mask of case ID in a folder: MASKS/ID.voltcase (*preprocessed is true), else
 * MASKS/ID.nii.gz, or that in another format (volt_image_find). The caller owns *out
 * (volt_free). VOLT_EIO. */
VOLT_MUST_USE volt_status volt_prior_mask_path(char **out, bool *preprocessed,
                                               const char *masks, const char *id);
/* volt_case_read with the image file `mask` as the case's labels: in the network's numbering
 * and with the scan's orientation. */
VOLT_MUST_USE volt_status volt_prior_mask_read(volt_case_data *out, const volt_case *c,
                                               const char *mask, const volt_dataset_info *info,
                                               int threads);

VOLT_END_DECLS
#endif
