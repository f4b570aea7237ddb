/* run_folds.h - the folders fold_0, fold_1, ... and fold_all of a run of several. */
#ifndef VOLT_NETS3D_RUN_FOLDS_H
#define VOLT_NETS3D_RUN_FOLDS_H
#include <stdbool.h>
#include "base/file.h"
#include "base/status.h"
VOLT_BEGIN_DECLS

/* Takes the first item off a list of folds such as "0,2-4,all" and moves *text behind it, to
 * the end of the text after the last: the folds *low .. *high, or -1 .. -1 for all. VOLT_EINVAL
 * names `whole`, the list that *text is the rest of. */
VOLT_CALL volt_fold_list_next(int *low, int *high, const char **text, const char *whole);

/* What makes a folder fold_K one to use. */
typedef struct volt_fold_rule {
    bool (*fits)(const char *folder);
    const char *what; /* that such a folder holds, for messages: "a checkpoint" */
} volt_fold_rule;

/* Paths of those folders of `run` that fit and that the list `asked` names, all of which must
 * be there (VOLT_EIO); NULL = every one that fits, which may be none, fold_all, trained on all
 * cases, only where it is alone. The caller owns what *out holds (volt_names_free). VOLT_EIO;
 * VOLT_EINVAL of the list. */
VOLT_CALL volt_fold_folders(volt_names *out, const char *run, const char *asked,
                            const volt_fold_rule *rule);
/* The number in "fold_3"; -1 for "fold_all", -2 for other names. `path` may have folders. */
VOLT_API int volt_fold_number(const char *path);

VOLT_END_DECLS
#endif
