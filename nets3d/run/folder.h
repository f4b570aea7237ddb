/* folder.h - which file of a run's folder holds its network. */
#ifndef VOLT_NETS3D_RUN_FOLDER_H
#define VOLT_NETS3D_RUN_FOLDER_H
#include "nets3d/run.h"
VOLT_BEGIN_DECLS

/* Path of the checkpoint of single run `run` to use: "latest" or "best" as asked; NULL = the
 * latest of a finished run, else the best, else the latest. The caller owns *out (volt_free).
 * VOLT_EIO: it does not exist; VOLT_EDATA: `run` has none; VOLT_EFORMAT. */
VOLT_MUST_USE volt_status volt_run_checkpoint(char **out, const char *run, const char *asked);

VOLT_END_DECLS
#endif
