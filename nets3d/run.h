/* run.h - where the trained networks of a run lie.
 *
 * A run of one fold is a folder with checkpoint_latest.safetensors and, once validated,
 * checkpoint_best.safetensors (trainer.h). A run of several is a folder of such folders,
 * fold_0, fold_1, ... and fold_all.
 */
#ifndef VOLT_NETS3D_RUN_H
#define VOLT_NETS3D_RUN_H
#include <stdbool.h>
#include "../base/names.h"
#include "../base/status.h"
VOLT_BEGIN_DECLS

#define VOLT_RUN_LATEST "checkpoint_latest.safetensors"
#define VOLT_RUN_BEST   "checkpoint_best.safetensors"

/* Whether `folder` holds a checkpoint itself. */
VOLT_API bool volt_run_is_single(const char *folder);
/* Takes the first item off a list of folds such as "0,2-4,all" and moves *text behind it, to
 * the end of the text after the last: the folds *low .. *high, or -1 .. -1 for all. VOLT_EINVAL
 * names `whole`, the list that *text is the rest of. */
VOLT_CALL volt_fold_list_next(int *low, int *high, const char **text, const char *whole);

/* What makes a folder fold_K one to use. */
typedef struct volt_fold_rule {
    bool (*fits)(const char *folder);
    const char *what; /* that such a folder holds, for messages: "a checkpoint" */
    bool every;       /* without a list: fold_all too where there are others */
} volt_fold_rule;

/* Paths of those folders of `run` that fit and that the list `asked` names, all of which must
 * be there (VOLT_EIO); NULL = every one that fits, which may be none, fold_all, trained on all
 * cases, only where it is alone. By number, fold_all last. The caller owns what *out holds
 * (volt_names_free). VOLT_EIO; VOLT_EINVAL of the list. */
VOLT_CALL volt_fold_folders(volt_names *out, const char *run, const char *asked,
                            const volt_fold_rule *rule);
/* The number in "fold_3"; -1 for "fold_all", -2 for other names. `path` may have folders. */
VOLT_API int volt_fold_number(const char *path);
/* Paths of the single runs of `run`: itself, or those of its fold_* that hold a checkpoint, by
 * number, fold_all last. The caller owns what *out holds (volt_names_free). VOLT_EIO names the
 * folder when there is none. */
VOLT_CALL volt_run_folds(volt_names *out, const char *run);
/* The checkpoint of single run `run` to use: "latest" or "best" as asked; NULL = the latest of
 * a finished run, else the best, else the latest. The caller owns *out (volt_free); it exists.
 * VOLT_EIO, VOLT_EFORMAT. */
VOLT_CALL volt_run_checkpoint(char **out, const char *run, const char *asked);

VOLT_END_DECLS
#endif
