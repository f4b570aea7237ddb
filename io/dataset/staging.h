/* staging.h - folders that appear complete or not at all.
 *
 * It is filled next to its target as a temporary folder (base/system/temporary.h) and renamed
 * when complete, so a killed program leaves nothing that looks finished, and the next writer
 * removes the rest. Two processes may create the same target at the same time: the second to
 * finish succeeds if its content is the same.
 */
#ifndef VOLT_IO_DATASET_STAGING_H
#define VOLT_IO_DATASET_STAGING_H
#include "base/status.h"
VOLT_BEGIN_DECLS

typedef struct volt_staging volt_staging;

/* Creates the temporary folder next to `target`, and its parents. VOLT_EDATA when
 * `target` is not an empty folder, and was created by this process or existed before it;
 * VOLT_EIO, VOLT_ENOMEM. */
VOLT_MUST_USE volt_status volt_staging_open(volt_staging **out, const char *target);
/* Where to write; borrowed. */
const char *volt_staging_path(const volt_staging *s);
/* Renames it to the target. VOLT_EDATA: another process was faster, with other content. On
 * failure the temporary folder is removed. Frees *s and sets it to NULL in both cases. */
VOLT_MUST_USE volt_status volt_staging_commit(volt_staging **s);
/* Removes it; the sentence of the failure names the target instead. NULL is allowed. */
void volt_staging_abort(volt_staging **s);

VOLT_END_DECLS
#endif
