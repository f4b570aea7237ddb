/* staging.h - a folder that appears whole or not at all.
 *
 * It is filled beside its target under a temporary name (TARGET.tmp.??????) and renamed when
 * complete, so a killed program leaves nothing that a later one could take for finished; the
 * next one with the same target removes it.
 */
#ifndef VOLT_IO_DATASET_STAGING_H
#define VOLT_IO_DATASET_STAGING_H
#include "base/status.h"
VOLT_BEGIN_DECLS

typedef struct volt_staging volt_staging;

/* Creates the temporary folder beside `target` (whose parents are created). VOLT_EDATA when
 * `target` exists and is not an empty folder; VOLT_EIO, VOLT_ENOMEM. */
VOLT_MUST_USE volt_status volt_staging_open(volt_staging **out, const char *target);
/* Where to write; borrowed. */
const char *volt_staging_path(const volt_staging *s);
/* Renames it to the target. Frees *s and sets it to NULL, also on failure; the temporary
 * folder is gone then. */
VOLT_MUST_USE volt_status volt_staging_commit(volt_staging **s);
void volt_staging_abort(volt_staging **s); /* removes it; NULL is allowed */

VOLT_END_DECLS
#endif
