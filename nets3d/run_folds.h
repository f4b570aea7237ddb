/* run_folds.h - the folders fold_0, fold_1, ... and fold_all of a run of several. */
#ifndef VOLT_NETS3D_RUN_FOLDS_H
#define VOLT_NETS3D_RUN_FOLDS_H
#include <stdbool.h>
#include "base/file.h"
#include "base/status.h"
VOLT_BEGIN_DECLS

/* Paths of those folders of `run` for which `fits` says yes, and that `asked` ("0,2,all"; NULL
 * = every one) names. fold_all, trained on all cases, is left out where there are others,
 * unless it is asked for. There may be none. The caller owns what *out holds (volt_names_free).
 * VOLT_EIO. */
VOLT_CALL volt_fold_folders(volt_names *out, const char *run, const char *asked,
                            bool (*fits)(const char *folder));
/* The number in "fold_3"; -1 for "fold_all", -2 for other names. `path` may have folders. */
VOLT_API int volt_fold_number(const char *path);

VOLT_END_DECLS
#endif
