#include "base/system/thread_start.h"

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
