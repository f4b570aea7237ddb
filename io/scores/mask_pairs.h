/* mask_pairs.h - masks and their truth in a data set that is already open. */
#ifndef VOLT_IO_SCORES_MASK_PAIRS_H
#define VOLT_IO_SCORES_MASK_PAIRS_H
#include "io/evaluate.h"
VOLT_BEGIN_DECLS

/* As volt_mask_pairs_find with the labels of `ds`, which must outlive *out, as the truth. */
VOLT_MUST_USE volt_status volt_mask_pairs_of_dataset(volt_mask_pairs *out, const char *pred,
                                                     const volt_dataset *ds);

VOLT_END_DECLS
#endif
