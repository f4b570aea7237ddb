/* callbacks.h - how long calls report and are stopped. The library itself never prints. */
#ifndef VOLT_BASE_CALLBACKS_H
#define VOLT_BASE_CALLBACKS_H
#include <stdbool.h>
#include <stdint.h>
#include "status.h"
VOLT_BEGIN_DECLS

typedef enum volt_log_level {
    VOLT_LOG_WARNING = 1, /* the user should look */
    VOLT_LOG_INFO = 2,    /* one line per notable step */
    VOLT_LOG_DETAIL = 3   /* with -v */
} volt_log_level;

/* Passed to every long call; NULL, or any NULL member, is allowed. Calls may come from any
 * thread of the callee but never two at a time. Strings are borrowed for the call. */
typedef struct volt_callbacks {
    void *user;
    /* `done` of `total` units of `what` ("cases", "tiles", "iterations"). */
    void (*progress)(void *user, const char *what, int64_t done, int64_t total);
    void (*log)(void *user, volt_log_level level, const char *line);
    /* Polled between units of work: true asks the call to end with VOLT_ECANCELLED. */
    bool (*cancelled)(void *user);
} volt_callbacks;

VOLT_API void volt_report_progress(const volt_callbacks *cb, const char *what, int64_t done,
                                   int64_t total);
VOLT_API void volt_report(const volt_callbacks *cb, volt_log_level level, const char *fmt, ...)
    VOLT_PRINTF(3, 4);
VOLT_API bool volt_is_cancelled(const volt_callbacks *cb);
/* VOLT_ECANCELLED with the sentence "stopped at the caller's request", or VOLT_OK. */
VOLT_CALL volt_check_cancelled(const volt_callbacks *cb);

VOLT_END_DECLS
#endif
