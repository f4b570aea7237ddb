/* run_chart.h - charts of how runs trained.
 *
 * Threads   no shared state: any number of charts at a time.
 */
#ifndef VOLT_SHOW_RUN_CHART_H
#define VOLT_SHOW_RUN_CHART_H
#include "../base/status.h"
#include "../nets3d/run_curves.h"
#include "chart.h"
VOLT_BEGIN_DECLS

/* A chart of some runs: loss, Dice, accuracy where logged, learning rate, seconds. One run
 * shows the Dice of each class beside the mean, several runs a panel per class. */
typedef struct volt_run_chart {
    volt_chart chart;
    volt_chart_panel *panel; /* all owned */
    volt_chart_line *line;
    char **text;
    int texts;
} volt_run_chart;

/* `x` is one of the first three curves. Borrows `runs`, which must outlive *out; the caller
 * owns that (volt_run_chart_free). VOLT_ENOMEM. */
VOLT_CALL volt_run_chart_make(volt_run_chart **out, const volt_run_curves *const *runs,
                              int count, volt_curve x);
VOLT_API void volt_run_chart_free(volt_run_chart *c); /* NULL is allowed */

VOLT_END_DECLS
#endif
