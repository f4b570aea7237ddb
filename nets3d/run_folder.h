/* run_folder.h - where the trained networks of a run lie.
 *
 * A run of one fold is a folder with checkpoint_latest.safetensors and, once validated,
 * checkpoint_best.safetensors (trainer.h). A run of several is a folder of such folders,
 * fold_0, fold_1, ... and fold_all.
 */
#ifndef VOLT_NETS3D_RUN_FOLDER_H
#define VOLT_NETS3D_RUN_FOLDER_H
#include "base/file.h"
#include "base/status.h"
VOLT_BEGIN_DECLS

#define VOLT_RUN_LATEST "checkpoint_latest.safetensors"
#define VOLT_RUN_BEST   "checkpoint_best.safetensors"

/* Whether `folder` holds a checkpoint itself. */
VOLT_API bool volt_run_is_single(const char *folder);
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
