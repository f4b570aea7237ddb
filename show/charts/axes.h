/* axes.h - the scales of a chart's axes. */
#ifndef VOLT_SHOW_CHARTS_AXES_H
#define VOLT_SHOW_CHARTS_AXES_H
#include <stdbool.h>
#include "show/chart.h"

/* A scale whose step is 1, 2 or 5 times a power of ten. */
typedef struct volt_axis {
    double low, high, step;
    int ticks;  /* low, low + step, .., high; >= 2 */
    bool power; /* labels as 2e-04 */
    int digits; /* after the decimal point */
} volt_axis;

/* The axis that covers low..high with at most `ticks` (>= 3) ticks. */
volt_axis volt_axis_for(double low, double high, int ticks);
/* The axes of a panel, over the finite points of all its lines. */
void volt_chart_axes(volt_axis *x, volt_axis *y, const volt_chart_panel *p, int x_ticks,
                     int y_ticks);

/* Value and label of tick n; `text` has room for VOLT_AXIS_LABEL bytes. */
#define VOLT_AXIS_LABEL 32
double volt_axis_tick(const volt_axis *a, int n);
void volt_axis_label(char *text, const volt_axis *a, int n);

/* `c` mixed with white: 0 = c, 1 = white. */
volt_color volt_color_tint(volt_color c, double white);

#endif
