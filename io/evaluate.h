/* evaluate.h - scores predicted masks against reference masks.
 *
 * Masks     an image, or a stack: a folder of pictures, the slices in natural order along z.
 *           Pictures have no spatial metadata and take that of the other side, if it has any.
 * Truth     a file; a folder of masks with the same names; or a data set of any layout of
 *           dataset.h, whose case ids are the masks' names without endings.
 * Threads   calls on different outputs may run at the same time. Scoring uses threads of its
 *           own; the results are bit-identical for any number.
 */
#ifndef VOLT_IO_EVALUATE_H
#define VOLT_IO_EVALUATE_H
#include <stdbool.h>
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
    int64_t missing;             /* reference masks without a prediction */
    char *first_missing;         /* path of the first one, or NULL */
    const volt_dataset *dataset; /* the truth if it is a data set, else NULL. Its label files
                                  * are read as its info says (grey values), but not
                                  * translated */
    volt_dataset *opened;        /* the same if volt_mask_pairs_find opened it; owned */
    struct volt_numbering *numbering; /* what the calls below have set; owned */
    bool refuse_shift; /* scoring: a mask more than a voxel away from its truth is VOLT_EDATA,
                        * not a warning */
} volt_mask_pairs;

/* Pairs every mask in the folder `pred` (or the file `pred`) with its truth. `options` (NULL is
 * allowed) are for opening a data set; if they name a layout, images (with `truth` as the
 * labels) or thresholds, `truth` is a data set. The caller owns what *out holds
 * (volt_mask_pairs_clear). Thresholds also apply to the files of a plain folder, and to one
 * file. VOLT_EDATA: no mask, a mask without truth; VOLT_EINVAL: a file and a
 * folder; VOLT_EIO; volt_dataset_open's errors. */
VOLT_CALL volt_mask_pairs_find(volt_mask_pairs *out, const char *pred, const char *truth,
                               const volt_dataset_options *options);
/* The same for two plain folders whose pictures CASE_000.png, CASE_001.png, ... are the slices
 * of a volume CASE, in natural order along z; its path is FOLDER/CASE_*.png. The truth of CASE
 * may also be one file. */
VOLT_CALL volt_mask_pairs_find_stacks(volt_mask_pairs *out, const char *pred,
                                      const char *truth);
VOLT_API void volt_mask_pairs_clear(volt_mask_pairs *pairs);

/* The truth may number the labels in another way than the masks. The first two calls translate
 * it: grey values become the number of thresholds that they reach, then values from[i] become
 * to[i]. VOLT_EINVAL: thresholds that do not ascend, a value twice or beyond int16;
 * VOLT_ENOMEM.
 */
VOLT_CALL volt_mask_pairs_threshold(volt_mask_pairs *pairs, const double *threshold, int count);
VOLT_CALL volt_mask_pairs_map(volt_mask_pairs *pairs, const int32_t *from, const int32_t *to,
                              int count);
/* The masks were predicted for this data set: where its label files have grey values and the
 * truth has other values than its labels, its thresholds apply. Reads the truth then. Errors of
 * reading; VOLT_ENOMEM, VOLT_ECANCELLED. */
VOLT_CALL volt_mask_pairs_follow(volt_mask_pairs *pairs, const volt_dataset_info *info,
                                 int threads, const volt_callbacks *callbacks);
/* Only these values may occur, with the background and the ignore label among them: scoring
 * then refuses a file with others (VOLT_EDATA), which would count as errors of the prediction.
 * `source` says in messages where the labels are from. VOLT_ENOMEM. */
VOLT_CALL volt_mask_pairs_expect(volt_mask_pairs *pairs, const int32_t *labels, int count,
                                 const char *source);
/* True after a call that failed because masks and truth number the labels differently. */
VOLT_API bool volt_mask_pairs_foreign(const volt_mask_pairs *pairs);

/* The labels 1..32767 that occur in any of the masks, ascending; the caller owns *values
 * (volt_free). VOLT_EDATA: none; or masks and truth both have values that the other side lacks,
 * unless a map is set; reading's errors. */
VOLT_CALL volt_mask_pairs_labels(int32_t **values, int32_t *count, const volt_mask_pairs *pairs,
                                 int threads, const volt_callbacks *callbacks);

/* Scores all pairs and computes the means. `confusion` may be NULL. The caller owns *out
 * (volt_summary_free). VOLT_EDATA names two files whose sizes differ; different spatial
 * metadata is a warning. Errors of reading and of volt_metrics_evaluate. */
VOLT_CALL volt_mask_pairs_score(volt_summary **out, volt_confusion *confusion,
                                const volt_mask_pairs *pairs, const volt_region *regions,
                                int32_t count, const volt_metrics_options *options,
                                const volt_callbacks *callbacks);

VOLT_END_DECLS
#endif
