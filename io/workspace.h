/* workspace.h - the folder for what belongs to a data set but is made by VOLT.
 *
 * Names inside: dataset_fingerprint.json, plans.json, splits_final.json and one folder of case
 * files per configuration.
 */
#ifndef VOLT_IO_WORKSPACE_H
#define VOLT_IO_WORKSPACE_H
#include "../base/callbacks.h"
#include "../base/status.h"
VOLT_BEGIN_DECLS

#define VOLT_WORK_FINGERPRINT "dataset_fingerprint.json"
#define VOLT_WORK_PLANS       "plans.json"
#define VOLT_WORK_SPLITS      "splits_final.json"

/* Finds and creates the folder: `asked` (--work DIR) if not NULL; else DATASET/volt where that
 * can be written; else $XDG_CACHE_HOME/volt/NAME-HASH or ~/.cache/volt/NAME-HASH, HASH being
 * that of the data set's absolute path. The path is logged as INFO. The caller owns *out
 * (volt_free). VOLT_EIO when no folder can be written. Nothing but `volt` is ever created in
 * the data set's folder. */
VOLT_CALL volt_workspace_open(char **out, const char *dataset_folder, const char *asked,
                              const volt_callbacks *callbacks);

VOLT_END_DECLS
#endif
