/* tasks.h - independent tasks (cases, files) on several threads. */
#ifndef VOLT_BASE_SYSTEM_TASKS_H
#define VOLT_BASE_SYSTEM_TASKS_H
#include <stdint.h>
#include "base/callbacks.h"
#include "base/status.h"
VOLT_BEGIN_DECLS

typedef struct volt_tasks {
    /* Runs task `index` on at most `threads` threads. Called from any thread. */
    volt_status (*run)(void *context, int64_t index, int threads);
    void *context;
    int64_t count;
    int workers;      /* tasks at a time; 0 = as many as `threads` */
    int threads;      /* of all workers together; 0 = default */
    const char *what; /* for progress: "cases" */
    const volt_callbacks *callbacks;
} volt_tasks;

/* Runs all tasks, started in ascending order, and returns when all have ended. After a failure
 * no further task is started; status and sentence are those of the failed task with the lowest
 * index. VOLT_ECANCELLED if the caller asked to stop. */
VOLT_MUST_USE volt_status volt_tasks_run(const volt_tasks *tasks);

VOLT_END_DECLS
#endif
