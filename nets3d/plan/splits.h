/* splits.h - all folds of a data set, computed and on disk. */
#ifndef VOLT_NETS3D_PLAN_SPLITS_H
#define VOLT_NETS3D_PLAN_SPLITS_H
#include <stdbool.h>
#include "nets3d/splits.h"
VOLT_BEGIN_DECLS

/* Zero-initialized is empty. */
typedef struct volt_splits {
    volt_split *fold;
    int folds;
} volt_splits;
void volt_splits_clear(volt_splits *s);

/* The folds of `cases` >= 2 cases. The caller owns what *out holds. VOLT_EINVAL. */
VOLT_MUST_USE volt_status volt_splits_kfold(volt_splits *out, int64_t cases);
/* The random 80:20 split that nnU-Net uses for fold numbers without a split. */
VOLT_MUST_USE volt_status volt_split_random(volt_split *out, int64_t cases, int64_t fold);

/* splits_final.json: a list of {"train": [ids], "val": [ids]}. Reading checks that every id is
 * a case of `ds` and appears at most once in a fold (VOLT_EFORMAT). */
VOLT_MUST_USE volt_status volt_splits_write(const char *path, const volt_splits *s,
                                            const volt_dataset *ds);
VOLT_MUST_USE volt_status volt_splits_read(volt_splits *out, const char *path,
                                           const volt_dataset *ds);

/* Whether the file `path` holds KFold's folds of the data set. True, too, where the data set
 * brings folds along, as volt_split_for_fold compares those. */
VOLT_MUST_USE volt_status volt_splits_are_own(bool *out, const char *path,
                                              const volt_dataset *ds);

/* volt_split_for_fold, but nothing is written. */
VOLT_MUST_USE volt_status volt_split_find(volt_split *out, const volt_dataset *ds,
                                          const char *path, int fold,
                                          const volt_callbacks *callbacks);
/* What volt_split_for_fold would fail with, without writing. */
VOLT_MUST_USE volt_status volt_split_check(const volt_dataset *ds, const char *path, int fold);

VOLT_END_DECLS
#endif
