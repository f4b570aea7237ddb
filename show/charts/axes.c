#include "show/charts/axes.h"

#include <math.h>
#include <stdio.h>

volt_color volt_color_tint(volt_color c, double white)
{
    return (volt_color){(uint8_t)(c.r + (255 - c.r) * white),
                        (uint8_t)(c.g + (255 - c.g) * white),
                        (uint8_t)(c.b + (255 - c.b) * white)};
}

#define TINY 1e-290 /* smaller steps would lose their digits */

/* The smallest of 1, 2, 5 times a power of ten that is at least `least`. */
static double nice_step(double least)
{
    const double power = pow(10, floor(log10(least))), leading = least / power;

    /* A little slack: 0.1 / 5 must not become 0.05 by rounding. */
    if (leading <= 1 + 1e-9)
        return power;
    return (leading <= 2 + 1e-9 ? 2 : leading <= 5 + 1e-9 ? 5 : 10) * power;
}

volt_axis volt_axis_for(double low, double high, int ticks)
{
    const double least = fmax(fmax(fabs(low), fabs(high)) * 1e-6, TINY);
    volt_axis a = {0};
    double most;

    if (!(high - low > least)) { /* one value only: some room around it */
        const double room = fabs(low) < TINY ? 0.5 : fabs(low) / 2;

        low -= room;
        high += room;
    }
    for (a.step = nice_step((high - low) / (ticks - 1));; a.step = nice_step(a.step * 1.5)) {
        a.low = floor(low / a.step + 1e-9) * a.step;
        a.high = ceil(high / a.step - 1e-9) * a.step;
        a.ticks = (int)lround((a.high - a.low) / a.step) + 1;
        if (a.ticks <= ticks)
            break;
    }
    most = fmax(fabs(a.low), fabs(a.high));
    a.power = most >= 1e7 || most < 1e-3;
    a.digits = a.power ? 1 : (int)fmax(0, -floor(log10(a.step) + 1e-9));
    return a;
}

double volt_axis_tick(const volt_axis *a, int n)
{
    const double v = a->low + n * a->step;

    return fabs(v) < a->step * 1e-6 ? 0 : v; /* no -0 and no 1e-17 */
}

void volt_axis_label(char *text, const volt_axis *a, int n)
{
    const double v = volt_axis_tick(a, n);

    if (v == 0)
        snprintf(text, VOLT_AXIS_LABEL, "0");
    else
        snprintf(text, VOLT_AXIS_LABEL, a->power ? "%.*e" : "%.*f", a->digits, v);
}

void volt_chart_axes(volt_axis *x, volt_axis *y, const volt_chart_panel *p, int x_ticks,
                     int y_ticks)
{
    double low[2] = {INFINITY, INFINITY}, high[2] = {-INFINITY, -INFINITY};

    for (int l = 0; l < p->lines; l++) {
        for (int64_t i = 0; i < p->line[l].points; i++) {
            const double v[2] = {p->line[l].x[i], p->line[l].y[i]};

            for (int k = 0; k < 2 && isfinite(v[0]) && isfinite(v[1]); k++) {
                low[k] = fmin(low[k], v[k]);
                high[k] = fmax(high[k], v[k]);
            }
        }
    }
    if (low[0] > high[0]) { /* nothing to see */
        low[0] = low[1] = 0;
        high[0] = high[1] = 1;
    }
    if (isfinite(p->include)) {
        low[1] = fmin(low[1], p->include);
        high[1] = fmax(high[1], p->include);
    }
    *x = volt_axis_for(low[0], high[0], x_ticks);
    *y = volt_axis_for(low[1], high[1], y_ticks);
}
