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

static void choose_labels(volt_axis *a)
{
    const double most = fmax(fabs(a->low), fabs(a->high));

    a->power = most >= 1e7 || most < 1e-3;
    a->digits = (int)fmax(0, -floor(log10(a->step) + 1e-9));
    if (a->power) /* enough to tell neighbours apart */
        a->digits = (int)fmin(9, fmax(1, floor(log10(most)) - floor(log10(a->step) + 1e-9)));
}

volt_axis volt_axis_for(double low, double high, int ticks)
{
    const double least = fmax(fmax(fabs(low), fabs(high)) * 1e-6, TINY);
    volt_axis a = {0};

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
    a.first = a.low;
    choose_labels(&a);
    return a;
}

volt_axis volt_axis_for_integers(double low, double high, int ticks)
{
    volt_axis a = {.low = low, .high = high, .step = 1};
    double last;

    if (high - low < 1) { /* one value: in the middle */
        a.low -= 0.5;
        a.high += 0.5;
    }
    while (floor(a.high / a.step) - ceil(a.low / a.step) + 1 > ticks)
        a.step = nice_step(a.step * 1.5);
    a.first = ceil(a.low / a.step - 1e-9) * a.step;
    last = floor(a.high / a.step + 1e-9) * a.step;
    a.ticks = (int)fmax(1, lround((last - a.first) / a.step) + 1);
    choose_labels(&a);
    return a;
}

volt_axis volt_axis_for_log(double low, double high, int ticks)
{
    volt_axis a = {.log = true, .step = 1, .first = floor(log10(low) + 1e-9)};
    const double last = ceil(log10(high) - 1e-9);

    while ((last - a.first) / a.step + 1 > ticks)
        a.step++;
    a.ticks = (int)ceil((last - a.first) / a.step) + 1;
    a.low = pow(10, a.first);
    a.high = pow(10, a.first + (a.ticks - 1) * a.step);
    return a;
}

double volt_axis_at(const volt_axis *a, double value)
{
    if (a->log)
        return (log10(value) - log10(a->low)) / (log10(a->high) - log10(a->low));
    return (value - a->low) / (a->high - a->low);
}

double volt_axis_tick(const volt_axis *a, int n)
{
    const double v = a->first + n * a->step;

    if (a->log)
        return pow(10, v);
    return fabs(v) < a->step * 1e-6 ? 0 : v; /* no -0 and no 1e-17 */
}

void volt_axis_label(char *text, const volt_axis *a, int n)
{
    const double v = volt_axis_tick(a, n);

    if (a->log)
        snprintf(text, VOLT_AXIS_LABEL, "%g", v);
    else if (v == 0)
        snprintf(text, VOLT_AXIS_LABEL, "0");
    else
        snprintf(text, VOLT_AXIS_LABEL, a->power ? "%.*e" : "%.*f", a->digits, v);
}

/* What the finite points of a panel cover. */
typedef struct extent {
    double low[2], high[2];
    int64_t points;
} extent;

static extent extent_of(const volt_chart_panel *p)
{
    extent e = {{INFINITY, INFINITY}, {-INFINITY, -INFINITY}, 0};

    for (int l = 0; l < p->lines; l++) {
        for (int64_t i = 0; i < p->line[l].points; i++) {
            const double v[2] = {p->line[l].x[i], p->line[l].y[i]};

            if (!isfinite(v[0]) || !isfinite(v[1]))
                continue;
            e.points++;
            for (int k = 0; k < 2; k++) {
                e.low[k] = fmin(e.low[k], v[k]);
                e.high[k] = fmax(e.high[k], v[k]);
            }
        }
    }
    return e;
}

/* True when a linear axis would hide most values at its foot: they span two decades and nine in
 * ten lie below a tenth of the largest, or half of them below a hundredth. */
static bool calls_for_log(const volt_chart_panel *p, const extent *e)
{
    int64_t tenth = 0, hundredth = 0;

    if (!p->may_be_log || !(e->low[1] > TINY) || e->high[1] < 100 * e->low[1])
        return false;
    for (int l = 0; l < p->lines; l++) {
        for (int64_t i = 0; i < p->line[l].points; i++) {
            if (isfinite(p->line[l].x[i]) && isfinite(p->line[l].y[i])) {
                tenth += p->line[l].y[i] < e->high[1] / 10;
                hundredth += p->line[l].y[i] < e->high[1] / 100;
            }
        }
    }
    return tenth * 10 >= e->points * 9 || hundredth * 2 >= e->points;
}

/* The y axis ends where the values' own range ends, when room around them went beyond. */
static void keep_bounds(volt_axis *y, const volt_chart_panel *p, const extent *e)
{
    while (isfinite(p->upper) && e->high[1] <= p->upper && y->ticks > 2 &&
           y->high > p->upper + 1e-9 * y->step) {
        y->high -= y->step;
        y->ticks--;
    }
    while (isfinite(p->lower) && e->low[1] >= p->lower && y->ticks > 2 &&
           y->low < p->lower - 1e-9 * y->step) {
        y->low += y->step;
        y->first += y->step;
        y->ticks--;
    }
}

bool volt_chart_axes(volt_axis *x, volt_axis *y, const volt_chart *chart,
                     const volt_chart_panel *p, int x_ticks, int y_ticks)
{
    extent e = extent_of(p);
    const bool any = e.points > 0, log_y = any && calls_for_log(p, &e);

    if (!any) {
        e.low[0] = e.low[1] = 0;
        e.high[0] = e.high[1] = 1;
    }
    if (isfinite(p->include) && !log_y) {
        e.low[1] = fmin(e.low[1], p->include);
        e.high[1] = fmax(e.high[1], p->include);
    }
    *x = chart->x_integers ? volt_axis_for_integers(e.low[0], e.high[0], x_ticks)
                           : volt_axis_for(e.low[0], e.high[0], x_ticks);
    *y = log_y ? volt_axis_for_log(e.low[1], e.high[1], y_ticks)
               : volt_axis_for(e.low[1], e.high[1], y_ticks);
    if (!log_y)
        keep_bounds(y, p, &e);
    return any;
}
