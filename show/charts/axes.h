/* axes.h - the scales of a chart's axes. */
#ifndef VOLT_SHOW_CHARTS_AXES_H
#define VOLT_SHOW_CHARTS_AXES_H
#include <stdbool.h>
#include "show/chart.h"

/* A scale whose step is 1, 2 or 5 times a power of ten; on a logarithmic one, of decades. */
typedef struct volt_axis {
    double low, high;   /* ends of the scale */
    double first, step; /* ticks at first, first + step, ..; as exponents when `log` */
    int ticks;          /* >= 1 */
    bool log;
    bool power; /* labels as 2e-04 */
    int digits; /* after the decimal point */
} volt_axis;

/* The axis that covers low..high with at most `ticks` (>= 3) ticks and ends at ticks. */
volt_axis volt_axis_for(double low, double high, int ticks);
/* The same for counts: the axis ends at the values (or around a single one), with ticks at
 * integers only. */
volt_axis volt_axis_for_integers(double low, double high, int ticks);
/* A logarithmic axis for 0 < low < high. */
volt_axis volt_axis_for_log(double low, double high, int ticks);
/* The axes of a panel, over the finite points of all its lines. False: there are none, and the
 * axes are arbitrary. */
bool volt_chart_axes(volt_axis *x, volt_axis *y, const volt_chart *chart,
                     const volt_chart_panel *p, int x_ticks, int y_ticks);

/* Where a value lies: 0 = low, 1 = high. */
double volt_axis_at(const volt_axis *a, double value);
/* Value and label of tick n; `text` has room for VOLT_AXIS_LABEL bytes. */
#define VOLT_AXIS_LABEL 32
double volt_axis_tick(const volt_axis *a, int n);
void volt_axis_label(char *text, const volt_axis *a, int n);

/* `c` mixed with white: 0 = c, 1 = white. */
volt_color volt_color_tint(volt_color c, double white);

#endif
