#include "base/core/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "base/core/utf8.h"

void volt_report_progress(const volt_callbacks *cb, const char *what, int64_t done,
                          int64_t total)
{
    if (cb && cb->progress)
        cb->progress(cb->user, what, done, total);
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
    cb->log(cb->user, level, line);
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
    cb->state(cb->user, line);
}

bool volt_is_cancelled(const volt_callbacks *cb)
{
    return cb && cb->cancelled && cb->cancelled(cb->user);
}

volt_status volt_check_cancelled(const volt_callbacks *cb)
{
    if (volt_is_cancelled(cb))
        return volt_fail(VOLT_ECANCELLED, "stopped at the caller's request");
    return VOLT_OK;
}
