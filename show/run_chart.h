/* run_chart.h - charts of training runs.
 *
 * Threads   no shared state. Charts may be created at the same time.
 */
#ifndef VOLT_SHOW_RUN_CHART_H
#define VOLT_SHOW_RUN_CHART_H
#include "../base/status.h"
#include "../nets3d/run_curves.h"
#include "chart.h"
VOLT_BEGIN_DECLS

/* A chart of one or more runs: loss, Dice, accuracy where logged, learning rate, seconds. For
 * one run the Dice panel has a line per class next to the mean; several runs get a panel per
 * class. */
typedef struct volt_run_chart {
    volt_chart chart;
    volt_chart_panel *panel; /* these four are owned */
    volt_chart_line *line;
    char **text;
    int texts;
} volt_run_chart;

/* `x` is one of the first three curves: epoch, iterations or hours. `runs` is borrowed and must
 * outlive *out, which the caller owns (volt_run_chart_free). VOLT_EINVAL: no run, or another
 * curve; VOLT_EFORMAT: the log holds no values; VOLT_ENOMEM. */
VOLT_CALL volt_run_chart_make(volt_run_chart **out, const volt_run_curves *const *runs,
                              int count, volt_curve x);
VOLT_API void volt_run_chart_free(volt_run_chart *c); /* NULL is allowed */

VOLT_END_DECLS
#endif
