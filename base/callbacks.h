/* callbacks.h - progress, log lines and cancellation of long calls. The library never prints.
 *
 * Threads   callbacks may be called from any thread of the call, but never two at a time, not
 *           even when calls in several threads were given the same ones. A callback may call
 *           the library, but without callbacks, for which the call's own threads would wait
 *           forever; nor must it wait for another thread that calls the library.
 * Ranks     where several ranks compute one result, one of them is given the callbacks; the
 *           others get NULL.
 */
#ifndef VOLT_BASE_CALLBACKS_H
#define VOLT_BASE_CALLBACKS_H
#include <stdbool.h>
#include <stdint.h>
#include "status.h"
VOLT_BEGIN_DECLS

typedef enum volt_log_level {
    VOLT_LOG_WARNING = 1, /* needs the user's attention */
    VOLT_LOG_INFO = 2,    /* one line per major step */
    VOLT_LOG_DETAIL = 3   /* shown with -v */
} volt_log_level;

/* Passed to every long call. NULL is allowed, and so is any NULL member. Strings are borrowed
 * for the callback's call. */
typedef struct volt_callbacks {
    void *user;
    /* `done` of `total` units of `what` ("cases", "tiles", "iterations"). */
    void (*progress)(void *user, const char *what, int64_t done, int64_t total);
    void (*log)(void *user, volt_log_level level, const char *line);
    /* Polled between tasks; true makes the call end with VOLT_ECANCELLED. */
    bool (*cancelled)(void *user);
    /* What has been reached, shortest facts first: "epoch 3/10, loss 0.4121, Dice 0.7103".
     * Called before `progress` of the same work. */
    void (*state)(void *user, const char *line);
} volt_callbacks;

VOLT_END_DECLS
#endif
