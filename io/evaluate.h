/* evaluate.h - scores the masks in one place against the truth in another.
 *
 * Truth    a file; a folder of masks with the same names; or a data set of any layout that
 *          io/dataset.h knows, whose cases have the masks' names without their endings.
 * Threads  inside each case; same bits for any number.
 */
#ifndef VOLT_IO_EVALUATE_H
#define VOLT_IO_EVALUATE_H
#include <stdint.h>
#include "../base/callbacks.h"
#include "../base/status.h"
#include "dataset.h"
#include "../volume/confusion.h"
#include "../volume/metrics.h"
VOLT_BEGIN_DECLS

typedef struct volt_mask_pair {
    char *pred, *truth; /* paths */
} volt_mask_pair;

typedef struct volt_mask_pairs {
    volt_mask_pair *item; /* ascending file names of the predictions */
    int64_t count;
    int64_t missing;             /* masks of the truth without a prediction */
    char *first_missing;         /* path of the first of them, or NULL */
    const volt_dataset *dataset; /* the truth, when it is a data set; else NULL. Its own label
                                  * files are read as its info says (grey values), not
                                  * renumbered */
    volt_dataset *opened;        /* the same, where it was opened for the list; owned */
} volt_mask_pairs;

/* Every NIfTI file of `pred` (or the file it is) with its truth. `options` (NULL allowed) are
 * for opening a data set; where they name a layout, images (and `truth` as labels) or
 * thresholds `truth` is one. The caller owns what *out holds (volt_mask_pairs_clear).
 * VOLT_EDATA: no mask, a mask without truth; VOLT_EINVAL: a file and a folder; VOLT_EIO;
 * volt_dataset_open's errors. */
VOLT_CALL volt_mask_pairs_find(volt_mask_pairs *out, const char *pred, const char *truth,
                               const volt_dataset_options *options);
/* The same with an open data set as the truth; `ds` must outlive *out. */
VOLT_CALL volt_mask_pairs_of_dataset(volt_mask_pairs *out, const char *pred,
                                     const volt_dataset *ds);
VOLT_API void volt_mask_pairs_clear(volt_mask_pairs *pairs);

/* The labels 1..32767 that occur in any of the masks, ascending; the caller owns *values
 * (volt_free). VOLT_EDATA: none; reading's errors. */
VOLT_CALL volt_mask_pairs_labels(int32_t **values, int32_t *count, const volt_mask_pairs *pairs,
                                 int threads, const volt_callbacks *callbacks);

/* Scores all pairs and computes the means. `confusion` NULL: none is counted. The caller owns
 * *out (volt_summary_free). VOLT_EDATA names two files whose sizes differ; a different place in
 * the world is a warning. Errors of reading and of volt_metrics_evaluate. */
VOLT_CALL volt_mask_pairs_score(volt_summary **out, volt_confusion *confusion,
                                const volt_mask_pairs *pairs, const volt_region *regions,
                                int32_t count, const volt_metrics_options *options,
                                const volt_callbacks *callbacks);

VOLT_END_DECLS
#endif
