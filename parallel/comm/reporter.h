/* reporter.h - a process that outlives the ranks, to say which one died first.
 *
 * MPICH's launcher kills all ranks by SIGKILL within a millisecond after one has died, before
 * any of them can say a word. So rank 0 forks a child that does nothing but wait for the end of
 * the ranks, and says it for them, if all are on its host. It has the read ends of their pipes:
 * those that the kernel closes first are of the process that died first, as a process closes
 * its later descriptors before the one by which the launcher sees its end.
 *
 * Threads   called by one thread.
 */
#ifndef VOLT_PARALLEL_COMM_REPORTER_H
#define VOLT_PARALLEL_COMM_REPORTER_H
#include "parallel/comm/monitor.h"

typedef struct volt_reporter volt_reporter;

/* *out is NULL where none is needed or the system has no means for it. `lost` is called in the
 * child. */
void volt_reporter_start(volt_reporter **out, const volt_world *w, const volt_peer *peer,
                         volt_comm_lost *lost, void *user);
/* The ranks speak for themselves from now on. NULL is allowed. */
void volt_reporter_stop(volt_reporter *r);

#endif
