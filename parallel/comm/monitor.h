/* monitor.h - the thread of each process that notices when another rank fails, ends or hangs.
 *
 * Every 0.5 s each rank sends rank 0 a heartbeat with its progress, and rank 0 answers with the
 * world's. A rank that is silent for VOLT_MONITOR_SILENT_S, or whose process on this host has
 * ended, is missing: a failure, as if it had reported one. A rank that computes for long is not
 * missing: its heartbeats come from a thread of their own.
 *
 * Threads   all calls are thread-safe; start and stop are called once each.
 */
#ifndef VOLT_PARALLEL_COMM_MONITOR_H
#define VOLT_PARALLEL_COMM_MONITOR_H
#include "base/system/process.h"
#include "parallel/comm/comm_internal.h"

#define VOLT_MONITOR_SILENT_S 20.0

typedef struct volt_monitor volt_monitor;

/* What ranks know of each other's processes. */
typedef struct volt_peer {
    volt_process process;
    int pipe; /* descriptor of the read end of its pipe, in that process */
} volt_peer;

/* Starts the thread and sets w->monitor. `peer` of each rank is copied; `pipe` is this rank's,
 * which the monitor takes over also when this fails. */
VOLT_MUST_USE volt_status volt_monitor_start(volt_world *w, const volt_peer *peer,
                                             const int pipe[2]);
/* Ends the thread; collective unless a rank failed. Whether all ranks came to it in order; then
 * `m` is freed. Else `lost` has been called where this rank speaks and has not concluded. */
bool volt_monitor_stop(volt_monitor *m);
/* Whether a client that watches would end as if nothing had failed. */
bool volt_monitor_unaware(volt_monitor *m);
/* Tells all ranks of a failure, and this one; returns when it was sent, or after 2 s. */
void volt_monitor_tell(volt_monitor *m, const volt_failure *failure);
/* Seconds since any rank made progress, as far as this one knows. */
double volt_monitor_stalled(volt_monitor *m);
/* `lost` is called on the rank that speaks (volt_world_speaks) by the monitor's thread once,
 * when a failure has been known for a while and volt_monitor_conclude() was not called; NULL:
 * nobody. */
void volt_monitor_watch(volt_monitor *m, volt_comm_lost *lost, void *user);
/* This rank knows of the failure, and ends. False: `lost` was or is being called. */
bool volt_monitor_conclude(volt_monitor *m);
/* The failure was printed: no other process needs to. */
void volt_monitor_reported(volt_monitor *m);

#endif
