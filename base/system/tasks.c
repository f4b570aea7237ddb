#include "base/core/report.h"
#include "base/system/tasks.h"

#include <stdbool.h>
#include <stdio.h>

#include "base/core/alloc.h"
#include "base/core/fail.h"
#include "base/system/thread_start.h"
#include "base/threads.h"

typedef struct shared {
    const volt_tasks *tasks;
    int threads; /* of one worker */
    pthread_mutex_t lock;
    /* the rest under the lock */
    int64_t next, done;
    int64_t failed; /* index of the reported failure; count = none */
    volt_status status;
    char sentence[1024];
} shared;

static void note_failure(shared *s, int64_t index, volt_status status)
{
    if (index >= s->failed)
        return;
    s->failed = index;
    s->status = status;
    snprintf(s->sentence, sizeof s->sentence, "%s", volt_last_error());
}

static void *work(void *argument)
{
    shared *s = argument;
    const volt_tasks *t = s->tasks;

    pthread_mutex_lock(&s->lock);
    while (s->next < t->count && s->status == VOLT_OK) {
        const int64_t index = s->next++;
        volt_status st = volt_check_cancelled(t->callbacks);
        if (st == VOLT_OK) {
            pthread_mutex_unlock(&s->lock);
            st = t->run(t->context, index, s->threads);
            pthread_mutex_lock(&s->lock);
        }
        if (st != VOLT_OK)
            note_failure(s, index, st);
        else
            volt_report_progress(t->callbacks, t->what, ++s->done, t->count);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

volt_status volt_tasks_run(const volt_tasks *tasks)
{
    const int threads = volt_threads_or_default(tasks->threads);
    int64_t workers = tasks->workers > 0 ? tasks->workers : threads;
    shared s = {.tasks = tasks, .failed = INT64_MAX, .status = VOLT_OK};
    pthread_t *team = NULL;
    int64_t started = 0;
    volt_status st;

    if (workers > tasks->count)
        workers = tasks->count > 0 ? tasks->count : 1;
    if (workers > threads)
        workers = threads;
    s.threads = threads / (int)workers;
    volt_report_progress(tasks->callbacks, tasks->what, 0, tasks->count); /* the clock starts */
    VOLT_TRY(st, done, volt_alloc_zero(&team, (size_t)workers, sizeof *team, "threads"));
    pthread_mutex_init(&s.lock, NULL);
    /* This thread is a worker too, so fewer than asked for still get everything done. */
    while (started < workers - 1 && volt_thread_start(&team[started], work, &s) == VOLT_OK)
        started++;
    work(&s);
    for (int64_t i = 0; i < started; i++)
        pthread_join(team[i], NULL);
    pthread_mutex_destroy(&s.lock);
    st = s.status;
    if (st != VOLT_OK)
        volt_set_last_error(s.sentence);
done:
    volt_free(team);
    return st;
}
