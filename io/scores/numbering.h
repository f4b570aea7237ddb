/* numbering.h - the values of masks and truth, which may number the same labels differently. */
#ifndef VOLT_IO_SCORES_NUMBERING_H
#define VOLT_IO_SCORES_NUMBERING_H
#include "io/evaluate.h"

void volt_numbering_free(struct volt_numbering *n); /* NULL is allowed */

/* Reads a mask as int16, in its file's values. */
VOLT_MUST_USE volt_status volt_pair_read_mask(volt_volume **out, const char *path, int threads);
/* Reads a truth as int16, in the values of the masks. */
VOLT_MUST_USE volt_status volt_pair_read_truth(volt_volume **out, const volt_mask_pairs *pairs,
                                               const char *path, int threads);
/* VOLT_EDATA: a negative value, which is never a label. */
VOLT_MUST_USE volt_status volt_pair_refuse_negative(const volt_volume *v, const char *path);
/* VOLT_EDATA names the values of `v`, read from `path`, that are not expected. */
VOLT_MUST_USE volt_status volt_pair_check_values(const volt_mask_pairs *pairs,
                                                 const volt_volume *v, const char *path);
/* VOLT_EDATA: the values 1..32767 that occur in masks (bit 0) and in truths (bit 1) show that
 * the two are numbered differently. */
VOLT_MUST_USE volt_status volt_pair_compare_values(const volt_mask_pairs *pairs,
                                                   const unsigned char *sides);

#endif
