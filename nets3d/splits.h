/* splits.h - splits into training and validation cases, exactly as in nnU-Net v2.
 *
 * scikit-learn's KFold(5, shuffle, random_state 12345) over the sorted case ids; a fold number
 * past the last gives a seeded random 80:20 split (12345 + fold). With fewer than 5 cases there
 * are as many folds as cases (nnU-Net refuses these).
 *
 * Threads  calls for different files may run at the same time.
 */
#ifndef VOLT_NETS3D_SPLITS_H
#define VOLT_NETS3D_SPLITS_H
#include <stdint.h>
#include "../base/callbacks.h"
#include "../base/status.h"
#include "../io/dataset.h"
VOLT_BEGIN_DECLS

#define VOLT_FOLDS    5
#define VOLT_FOLD_ALL (-1) /* train on every case, validate on the same */

/* Indices into the data set's cases; train and val are ascending. Zero-initialized is empty. */
typedef struct volt_split {
    int64_t *train, trains;
    int64_t *val, vals;
} volt_split;
VOLT_API void volt_split_clear(volt_split *s);

/* What `volt train --fold` uses. VOLT_FOLD_ALL: every case on both sides. Otherwise the folds
 * are those of `path` where that file exists, else of splits_final.json in the data set's
 * folder, else of KFold; the latter two are written to `path`. A fold past the last is the
 * random split, with a warning as in nnU-Net; there is one, too, for cases that a fold leaves
 * out and for a fold of `path` that differs from the one in the data set's folder. A single
 * case can only train as VOLT_FOLD_ALL (VOLT_EINVAL otherwise). The caller owns what *out holds
 * (volt_split_clear). */
VOLT_CALL volt_split_for_fold(volt_split *out, const volt_dataset *ds, const char *path,
                              int fold, const volt_callbacks *callbacks);

VOLT_END_DECLS
#endif
