/* temporary.h - temporary files and folders that are removed even if their owner is killed.
 *
 * They lie in the folder of the output, are named .volt-tmp-MACHINE-PID-START-NUMBER, and hold
 * a lock (flock) while their owner lives. Each new one removes those of the same folder that
 * have no owner any more. Where the file system has no locks, the owner is looked up by its
 * number and start; one of another machine counts as ended after a day.
 *
 * Threads   all calls are thread-safe.
 */
#ifndef VOLT_BASE_SYSTEM_TEMPORARY_H
#define VOLT_BASE_SYSTEM_TEMPORARY_H
#include <stdbool.h>
#include <stdint.h>
#include "base/status.h"
VOLT_BEGIN_DECLS

#define VOLT_TEMPORARY_PREFIX ".volt-tmp-"

/* Whether a name in a folder is that of a temporary file or folder. */
bool volt_is_temporary(const char *name);

/* Creates a file, or a folder, in the folder that contains `target`. The caller owns *path
 * (volt_free) and *fd, which holds the lock until it is closed; the file is open for reading
 * and writing. The caller renames or removes it before closing `fd`. VOLT_EIO names `target`.
 */
VOLT_MUST_USE volt_status volt_temporary_file(char **path, int *fd, const char *target);
VOLT_MUST_USE volt_status volt_temporary_folder(char **path, int *fd, const char *target);

/* Removes temporary files and folders without an owner from `folder` and, `depth` levels deep,
 * from its sub-folders; links are not followed. Returns their number. What cannot be removed
 * stays. */
int64_t volt_temporaries_remove(const char *folder, int depth);

/* The same for the folder that contains `target`, once a minute: creating one does it too. */
void volt_temporaries_remove_near(const char *target);

VOLT_END_DECLS
#endif
