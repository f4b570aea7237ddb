/* run.h - finds the trained networks in the folders of a run.
 *
 * A run of one fold is a folder with checkpoint_latest.safetensors and, once validated,
 * checkpoint_best.safetensors (trainer.h). A run of several folds is a folder of such folders:
 * fold_0, fold_1, ... and fold_all.
 *
 * Threads   all functions may be called from any thread.
 */
#ifndef VOLT_NETS3D_RUN_H
#define VOLT_NETS3D_RUN_H
#include <stdbool.h>
#include "../base/names.h"
#include "../base/status.h"
#include "../io/dataset.h"
#include "device.h"
#include "plan.h"
#include "recipe.h"
#include "splits.h"
VOLT_BEGIN_DECLS

#define VOLT_RUN_LATEST "checkpoint_latest.safetensors"
#define VOLT_RUN_BEST   "checkpoint_best.safetensors"

#define VOLT_FOLD_NONE (-2) /* not a fold, next to VOLT_FOLD_ALL and fold numbers */

/* Whether `path` is a trained network: a checkpoint file, a folder with a checkpoint, or one
 * with folders fold_* of that kind. */
VOLT_API bool volt_is_run(const char *path);
/* Whether `folder` itself contains a checkpoint. */
VOLT_API bool volt_run_is_single(const char *folder);
/* Reads the first item of a list of folds such as "0,2-4,all" and moves *text to the next, or
 * to the end of the text: the folds *low .. *high, or VOLT_FOLD_ALL in both. VOLT_EINVAL quotes
 * `whole`, the list whose rest *text is. */
VOLT_CALL volt_fold_list_next(int *low, int *high, const char **text, const char *whole);

/* Which folders fold_K count. */
typedef struct volt_fold_rule {
    bool (*fits)(const char *folder);
    const char *what; /* that such a folder contains, for messages: "a checkpoint" */
    bool every;       /* without a list: fold_all even if there are others */
} volt_fold_rule;

/* Paths of the folders of `run` that fit and that the list `asked` names, all of which must
 * exist (VOLT_EIO). NULL = all that fit, possibly none; fold_all only if there is no other.
 * Sorted by number, fold_all last. The caller owns what *out holds (volt_names_free).
 * VOLT_EIO; VOLT_EINVAL: the list. */
VOLT_CALL volt_fold_folders(volt_names *out, const char *run, const char *asked,
                            const volt_fold_rule *rule);
/* The number in "fold_3", VOLT_FOLD_ALL or VOLT_FOLD_NONE; only the last part of `path` counts.
 */
VOLT_API int volt_fold_number(const char *path);
/* Paths of the single runs of `run`: `run` itself, or its folders fold_* that contain a
 * checkpoint, by number, fold_all last. The caller owns what *out holds (volt_names_free).
 * VOLT_EIO: `run` is not a folder; VOLT_EDATA: it is no run. */
VOLT_CALL volt_run_folds(volt_names *out, const char *run);

/* What a run is trained with. Zero-initialized is empty. */
typedef struct volt_run_plan {
    volt_plan *plan;
    const volt_plan_config *config; /* of `plan` */
    volt_dataset_info info;
    volt_recipe recipe; /* with its batch */
    volt_precision precision;
} volt_run_plan;
VOLT_API void volt_run_plan_clear(volt_run_plan *r);
/* Of a checkpoint file, or of the first fold of a folder. The caller owns what *out holds
 * (volt_run_plan_clear). VOLT_EIO; VOLT_EDATA: no run; VOLT_EFORMAT. */
VOLT_CALL volt_run_plan_read(volt_run_plan *out, const char *run);

VOLT_END_DECLS
#endif
