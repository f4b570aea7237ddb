/* report.h - progress and log messages to a client's callbacks.
 *
 * Threads   any thread may call these at any time; callbacks run one at a time.
 */
#ifndef VOLT_BASE_CORE_REPORT_H
#define VOLT_BASE_CORE_REPORT_H
#include "base/callbacks.h"
VOLT_BEGIN_DECLS

/* These four call the callback if there is one; `cb` may be NULL. */
void volt_report_progress(const volt_callbacks *cb, const char *what, int64_t done,
                          int64_t total);
void volt_report(const volt_callbacks *cb, volt_log_level level, const char *fmt, ...)
    VOLT_PRINTF(3, 4);
void volt_report_state(const volt_callbacks *cb, const char *fmt, ...) VOLT_PRINTF(2, 3);
bool volt_is_cancelled(const volt_callbacks *cb);
/* VOLT_ECANCELLED if the caller asks to stop, else VOLT_OK. */
VOLT_MUST_USE volt_status volt_check_cancelled(const volt_callbacks *cb);

VOLT_END_DECLS
#endif
