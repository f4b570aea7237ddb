/* chart.h - line charts of one or more panels: axes with ticks, legend, titles.
 *
 * One layout for every medium: volt_chart_draw() lays a chart out and calls a painter, which
 * knows only boxes, paths and text. Painters: a picture (here), SVG (io/svg.h). Terminals have
 * too few cells for that and get volt_chart_text().
 * Lines    a point whose x or y is not finite breaks its line.
 * Units    of painters: pixels, from the upper left corner, y downwards.
 */
#ifndef VOLT_SHOW_CHART_H
#define VOLT_SHOW_CHART_H
#include <stdbool.h>
#include <stdint.h>
#include "../base/status.h"
#include "picture.h"
VOLT_BEGIN_DECLS

/* All of these are borrowed for the call. */
typedef struct volt_chart_line {
    const char *name;    /* in the legend */
    const double *x, *y; /* (points) */
    int64_t points;
    volt_color color;
    double width; /* pixels */
} volt_chart_line;

typedef struct volt_chart_panel {
    const char *title;
    const volt_chart_line *line;
    int lines;
    double include; /* a value that the y axis must hold; NaN: none */
} volt_chart_panel;

typedef struct volt_chart {
    const char *title;   /* over all panels; NULL: none */
    const char *x_title; /* below every panel */
    const volt_chart_panel *panel;
    int panels;  /* >= 1 */
    int columns; /* >= 1; panels fill rows from left to right */
} volt_chart;

/* The colour of the n-th line (from 0) on white; distinct for the first ten. */
VOLT_API volt_color volt_chart_color(int n);
/* `c` mixed with white: 0 = c, 1 = white. */
VOLT_API volt_color volt_color_tint(volt_color c, double white);

/* A scale whose ends and ticks are 1, 2 or 5 times a power of ten. */
typedef struct volt_axis {
    double low, high, step;
    int ticks;  /* low, low + step, .., high; >= 2 */
    bool power; /* labels as 2e-04 */
    int digits; /* after the point */
} volt_axis;

/* The axis that holds low..high with at most `ticks` (>= 3) ticks. */
VOLT_API volt_axis volt_axis_for(double low, double high, int ticks);
/* The n-th tick's value, and its label; `text` has room for VOLT_AXIS_LABEL bytes. */
#define VOLT_AXIS_LABEL 32
VOLT_API double volt_axis_tick(const volt_axis *a, int n);
VOLT_API void volt_axis_label(char *text, const volt_axis *a, int n);
/* The axes of a panel: over the finite points of all its lines. */
VOLT_API void volt_chart_axes(volt_axis *x, volt_axis *y, const volt_chart_panel *p,
                              int x_ticks, int y_ticks);

typedef enum volt_anchor { VOLT_LEFT, VOLT_MIDDLE, VOLT_RIGHT } volt_anchor;
typedef enum volt_text_size { VOLT_TEXT_NORMAL = 2, VOLT_TEXT_TITLE = 3 } volt_text_size;

typedef struct volt_painter {
    void *user;
    void (*box)(void *user, double x, double y, double width, double height, volt_color c);
    /* Connects `points` >= 1 points; one alone is a dot. */
    void (*path)(void *user, const double (*xy)[2], int64_t points, double width, volt_color c);
    /* `x` is where `anchor` says, `y` the middle of a capital letter's height. */
    void (*text)(void *user, const char *text, double x, double y, volt_text_size size,
                 volt_anchor anchor, volt_color c);
    double (*text_width)(void *user, const char *text, volt_text_size size);
} volt_painter;

/* VOLT_EINVAL: no panel, or too small for its panels (240 x 160 each); VOLT_ENOMEM. */
VOLT_CALL volt_chart_draw(const volt_painter *p, const volt_chart *chart, double width,
                          double height);

/* The chart on white. The caller owns *out (volt_picture_free). As above, and
 * volt_picture_create's errors. */
VOLT_CALL volt_chart_picture(volt_picture **out, const volt_chart *chart, int64_t width,
                             int64_t height);

typedef struct volt_chart_text_options {
    int columns; /* of characters, >= 40 */
    int rows;    /* of one panel's plot, >= 4 */
    bool ascii;  /* one symbol per line; else 2 x 4 braille dots in a cell */
    bool color;  /* ANSI escape sequences */
} volt_chart_text_options;

/* The panels below each other. The caller owns *out (volt_free). VOLT_EINVAL, VOLT_ENOMEM. */
VOLT_CALL volt_chart_text(char **out, const volt_chart *chart,
                          const volt_chart_text_options *options);

VOLT_END_DECLS
#endif
