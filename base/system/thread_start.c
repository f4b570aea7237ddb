#include "base/system/thread_start.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/core/alloc.h"

typedef struct start {
    void *(*run)(void *);
    void *argument;
    volt_mem_scope *scope;
} start;

static void *begin(void *argument)
{
    const start s = *(start *)argument;

    volt_mem_scope_inherit(s.scope);
    free(argument);
    return s.run(s.argument);
}

volt_status volt_thread_start(pthread_t *out, void *(*run)(void *), void *argument)
{
    start *s = malloc(sizeof *s); /* not counted: it is gone as soon as the thread runs */
    int error;

    if (!s)
        return volt_fail(VOLT_ENOMEM, "no memory to start a thread");
    *s = (start){run, argument, volt_mem_scope_innermost()};
    error = pthread_create(out, NULL, begin, s);
    if (error == 0)
        return VOLT_OK;
    free(s);
    return volt_fail(VOLT_ENOMEM, "cannot start a thread: %s", strerror(error));
}

static void *wait_for_all(void *argument)
{
    pthread_mutex_t *lock = argument;

    pthread_mutex_lock(lock);
    pthread_mutex_unlock(lock);
    return NULL;
}

volt_status volt_threads_check(int count)
{
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_t *team = count > 0 ? malloc((size_t)count * sizeof *team) : NULL;
    int started = 0, error = team || count <= 0 ? 0 : ENOMEM;

    pthread_mutex_lock(&lock); /* so that all of them are there at once */
    while (error == 0 && started < count &&
           (error = pthread_create(&team[started], NULL, wait_for_all, &lock)) == 0)
        started++;
    pthread_mutex_unlock(&lock);
    for (int i = 0; i < started; i++)
        pthread_join(team[i], NULL);
    pthread_mutex_destroy(&lock);
    free(team);
    if (error == 0)
        return VOLT_OK;
    return volt_fail(
        VOLT_ENOMEM,
        "the system starts only %d of %d threads (%s): its limit of processes or of "
        "memory is too low",
        started, count, strerror(error));
}
