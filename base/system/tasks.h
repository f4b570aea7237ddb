/* tasks.h - independent units of work (cases, files) on a few threads. */
#ifndef VOLT_BASE_SYSTEM_TASKS_H
#define VOLT_BASE_SYSTEM_TASKS_H
#include <stdint.h>
#include "base/callbacks.h"
#include "base/status.h"
VOLT_BEGIN_DECLS

typedef struct volt_tasks {
    /* Does unit `index`, on at most `threads` threads. Called from any thread. */
    volt_status (*run)(void *context, int64_t index, int threads);
    void *context;
    int64_t count;
    int workers;      /* units at a time; 0 = as many as `threads` */
    int threads;      /* of all workers together; 0 = default */
    const char *what; /* for progress: "cases" */
    const volt_callbacks *callbacks;
} volt_tasks;

/* Runs all units, in ascending order of their start; returns when none runs any more. After a
 * failure no further unit is started; the status and sentence are those of the failed unit with
 * the lowest index. VOLT_ECANCELLED when the caller asked to stop. */
VOLT_MUST_USE volt_status volt_tasks_run(const volt_tasks *tasks);

VOLT_END_DECLS
#endif
