/* writes.h - whether the files that ITK wrote are complete.
 *
 * Most of ITK's writers do not look at the result of their last calls, or of any: on a full
 * disk they end as if all were well.
 *
 * Threads   for processes of one thread.
 */
#ifndef VOLT_IO_ITK_WRITES_H
#define VOLT_IO_ITK_WRITES_H
#include "base/status.h"
VOLT_BEGIN_DECLS

/* Forgets what failed before; called before the sandbox is entered. */
void volt_writes_watch(void);
/* The errno of the first write that failed since then; 0: none. */
int volt_writes_error(void);

VOLT_END_DECLS
#endif
