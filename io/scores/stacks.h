/* stacks.h - folders of masks, where a mask can be a stack of pictures. */
#ifndef VOLT_IO_SCORES_STACKS_H
#define VOLT_IO_SCORES_STACKS_H
#include <stdbool.h>
#include "base/names.h"
#include "base/status.h"

/* The masks of `folder`, sorted: its images; without any its sub-folders of pictures, unless it
 * is a data set. With `grouped` the pictures CASE_000.png, CASE_001.png, ... are one mask,
 * "CASE_*.png", which volt_labels_load reads. VOLT_EIO, VOLT_ENOMEM. */
VOLT_MUST_USE volt_status volt_masks_list(volt_names *out, const char *folder, bool grouped);
/* The case of such a name, without ending and number. The caller owns *out. VOLT_ENOMEM. */
VOLT_MUST_USE volt_status volt_mask_case(char **out, const char *name);

#endif
