/* ranks.h - ranks as threads of this process.
 *
 * Threads   calls may run at the same time; each has ranks of its own.
 */
#ifndef VOLT_PARALLEL_RANKS_H
#define VOLT_PARALLEL_RANKS_H
#include "../base/status.h"
#include "comm.h"
VOLT_BEGIN_DECLS

#define VOLT_RANKS_MAX 1024

/* What each rank does. `comm` is borrowed; communicators split from it are closed before the
 * function returns. */
typedef volt_status volt_rank_function(volt_comm *comm, void *context);

/* Runs `run` on `ranks` ranks (1..VOLT_RANKS_MAX) and returns when all have ended. Rank 0 is
 * the calling thread; the others count their memory for its scopes (base/mem.h). A rank that
 * returns a failure makes the waits of the others fail with VOLT_EPEER. Status and sentence are
 * those of the lowest rank that failed first, not for another; the sentence begins with its
 * number unless all failed alike. VOLT_EINVAL, VOLT_ENOMEM. */
VOLT_CALL volt_ranks_run(int ranks, volt_rank_function *run, void *context);

VOLT_END_DECLS
#endif
