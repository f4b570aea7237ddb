/* workspace.h - the work folder: what VOLT computes for a data set.
 *
 * It holds dataset_fingerprint.json, plans.json, splits_final.json and one folder of case files
 * per configuration.
 *
 * Threads   different folders may be opened at the same time.
 */
#ifndef VOLT_IO_WORKSPACE_H
#define VOLT_IO_WORKSPACE_H
#include "../base/callbacks.h"
#include "../base/status.h"
VOLT_BEGIN_DECLS

#define VOLT_WORK_FINGERPRINT "dataset_fingerprint.json"
#define VOLT_WORK_PLANS       "plans.json"
#define VOLT_WORK_SPLITS      "splits_final.json"

#define VOLT_WORK_VARIABLE "VOLT_WORK" /* environment variable: where `asked` is NULL */

/* The folder: `asked` if not NULL; else that of VOLT_WORK_VARIABLE; else DATASET/volt if that
 * is writable; else $XDG_CACHE_HOME/volt/NAME-HASH or ~/.cache/volt/NAME-HASH, where HASH is a
 * hash of the data set's absolute path. Creates nothing. The caller owns *out (volt_free).
 * VOLT_EIO when the folder is not writable. */
VOLT_CALL volt_workspace_choose(char **out, const char *dataset_folder, const char *asked);
/* The same, and creates the folder. Logs the path as INFO, and that it is inside the data set
 * where nobody asked for that. Nothing but `volt` is ever created in the data set's folder. */
VOLT_CALL volt_workspace_open(char **out, const char *dataset_folder, const char *asked,
                              const volt_callbacks *callbacks);

VOLT_END_DECLS
#endif
