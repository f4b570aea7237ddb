#define _GNU_SOURCE
#include "base/core/report.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "base/core/utf8.h"

/* One for all: several calls may have been given the same callbacks. Recursive, as a callback
 * may call the library. */
static pthread_mutex_t calling = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;

void volt_report_progress(const volt_callbacks *cb, const char *what, int64_t done,
                          int64_t total)
{
    if (!cb || !cb->progress)
        return;
    pthread_mutex_lock(&calling);
    cb->progress(cb->user, what, done, total);
    pthread_mutex_unlock(&calling);
}

void volt_report(const volt_callbacks *cb, volt_log_level level, const char *fmt, ...)
{
    char line[1024];
    va_list args;

    if (!cb || !cb->log)
        return;
    va_start(args, fmt);
    vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    volt_make_printable(line, strlen(line));
    pthread_mutex_lock(&calling);
    cb->log(cb->user, level, line);
    pthread_mutex_unlock(&calling);
}

void volt_report_state(const volt_callbacks *cb, const char *fmt, ...)
{
    char line[256];
    va_list args;

    if (!cb || !cb->state)
        return;
    va_start(args, fmt);
    vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    volt_make_printable(line, strlen(line));
    pthread_mutex_lock(&calling);
    cb->state(cb->user, line);
    pthread_mutex_unlock(&calling);
}

bool volt_is_cancelled(const volt_callbacks *cb)
{
    bool cancelled;

    if (!cb || !cb->cancelled)
        return false;
    pthread_mutex_lock(&calling);
    cancelled = cb->cancelled(cb->user);
    pthread_mutex_unlock(&calling);
    return cancelled;
}

volt_status volt_check_cancelled(const volt_callbacks *cb)
{
    if (volt_is_cancelled(cb))
        return volt_fail(VOLT_ECANCELLED, "stopped at the caller's request");
    return VOLT_OK;
}
