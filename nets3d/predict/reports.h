/* reports.h - what ranks with cases of their own tell rank 0 while they work: cases done and
 * lines to log. Rank 0 passes them on; and every rank learns that another one failed.
 *
 * Messages are moved when the rank asks whether it is cancelled, so between tiles and cases.
 *
 * Threads   the callbacks may be used by any thread of the rank; messages move in the thread
 *           that opened them.
 */
#ifndef VOLT_NETS3D_PREDICT_REPORTS_H
#define VOLT_NETS3D_PREDICT_REPORTS_H
#include "nets3d/predict/spread.h"
VOLT_BEGIN_DECLS

typedef struct volt_reports volt_reports;

/* `cb`: the caller's, of which only rank 0's report. Collective. The caller owns *out. */
VOLT_MUST_USE volt_status volt_reports_open(volt_reports **out, const volt_spread *sp,
                                            const volt_callbacks *cb);
/* The callbacks of the work; borrowed. Its progress of "cases" is that of all ranks. */
const volt_callbacks *volt_reports_callbacks(const volt_reports *r);
/* After the work, which ended with `st`: waits until all messages are passed on, on rank 0
 * until the others have ended too, and frees *r. Returns `st`, or what ended another rank. */
VOLT_MUST_USE volt_status volt_reports_close(volt_reports **r, volt_status st);

VOLT_END_DECLS
#endif
