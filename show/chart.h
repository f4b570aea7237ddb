/* chart.h - line charts with one or more panels: axes with ticks, legends, titles.
 *
 * One layout serves every medium: volt_chart_draw() lays a chart out and calls a painter, which
 * knows only boxes, paths and text. Painters exist for pictures (volt_chart_picture) and SVG
 * (svg.h); a client may add its own. Terminals are too coarse for that layout and have one of
 * their own (volt_chart_text).
 *
 * Lines     a point whose x or y is not finite interrupts its line. Where lines coincide, they
 *           take turns, dash by dash, so that each of them shows.
 * Legend    on the right of each panel. Names that are too long for it continue on further
 *           lines; where the picture is too small for all names, the last line counts the rest.
 * Units     painters work in pixels from the upper left corner, y downwards.
 * Threads   no shared state. Charts may be drawn at the same time.
 */
#ifndef VOLT_SHOW_CHART_H
#define VOLT_SHOW_CHART_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "../base/status.h"
#include "picture.h"
VOLT_BEGIN_DECLS

/* All pointers below are borrowed for the call. */
typedef struct volt_chart_line {
    const char *name;    /* in the legend; "": a single line that needs none */
    const double *x, *y; /* (points) */
    int64_t points;
    volt_color color;
    double width; /* pixels */
    int style;    /* 0: solid; 1 to 3: dashes, dots, both */
} volt_chart_line;

typedef struct volt_chart_panel {
    const char *title;
    const volt_chart_line *line;
    int lines;
    double include;      /* a value that the y axis must cover; NaN: none */
    double lower, upper; /* that no value can exceed (Dice: 0 and 1): the y axis ends there.
                          * NaN: none */
    bool may_be_log;     /* a logarithmic y axis, where the values call for it */
} volt_chart_panel;

typedef struct volt_chart {
    const char *title;   /* above all panels; NULL: none */
    const char *x_title; /* below every panel */
    bool x_integers;     /* x counts something: ticks at integers only */
    const volt_chart_panel *panel;
    int panels;  /* >= 1 */
    int columns; /* >= 1; panels fill rows from left to right */
} volt_chart;

/* The colour and the style of the n-th line (from 0) on white. The first ten colours are easy
 * to tell apart; then styles help. */
VOLT_API volt_color volt_chart_color(int n);
VOLT_API int volt_chart_style(int n);

typedef enum volt_text_anchor {
    VOLT_ANCHOR_LEFT,
    VOLT_ANCHOR_MIDDLE,
    VOLT_ANCHOR_RIGHT
} volt_text_anchor;
/* Pixels. */
typedef enum volt_text_size { VOLT_TEXT_NORMAL = 14, VOLT_TEXT_TITLE = 17 } volt_text_size;

/* Dashes along a path: `on` of every `period` pixels are drawn, the first ones after `skip`. */
typedef struct volt_dash {
    double on, period, skip;
} volt_dash;

typedef struct volt_painter {
    void *user;
    void (*box)(void *user, double x, double y, double width, double height, volt_color c);
    /* Connects `points` >= 1 points; a single one is a dot of this width. `dash` NULL: solid.
     */
    void (*path)(void *user, const double (*xy)[2], int64_t points, double width,
                 const volt_dash *dash, volt_color c);
    /* `anchor` says which end of the text is at `x`; `y` is the middle of a capital letter. */
    void (*text)(void *user, const char *text, double x, double y, volt_text_size size,
                 volt_text_anchor anchor, volt_color c);
    double (*text_width)(void *user, const char *text, volt_text_size size);
} volt_painter;

/* The size in pixels at which legends and titles fit and the plots are about 4:3. */
VOLT_API void volt_chart_size(int64_t *width, int64_t *height, const volt_chart *chart);

/* VOLT_EINVAL: no panel, or less than 240 x 160 pixels per panel; VOLT_ENOMEM. */
VOLT_CALL volt_chart_draw(const volt_painter *p, const volt_chart *chart, double width,
                          double height);

/* Draws the chart on white. The caller owns *out (volt_picture_free). Errors as for
 * volt_chart_draw and volt_picture_create. */
VOLT_CALL volt_chart_picture(volt_picture **out, const volt_chart *chart, int64_t width,
                             int64_t height);

typedef struct volt_chart_text_options {
    size_t size; /* set by volt_chart_text_defaults() */
    int columns; /* characters, >= 40 */
    int rows;    /* of one panel's plot, >= 4 */
    bool ascii;  /* one symbol per line instead of 2 x 4 Braille dots per character */
    bool color;  /* ANSI escape sequences */
} volt_chart_text_options;

/* 100 columns, 14 rows, Braille, no colour. */
VOLT_API void volt_chart_text_options_init(volt_chart_text_options *o, size_t size);
static inline volt_chart_text_options volt_chart_text_defaults(void)
{
    volt_chart_text_options o;

    volt_chart_text_options_init(&o, sizeof o);
    return o;
}

/* The chart as lines of UTF-8 text, panels below each other. `options` NULL = defaults. The
 * caller owns *out (volt_free). VOLT_EINVAL: no panel, or too few columns or rows;
 * VOLT_ENOMEM. */
VOLT_CALL volt_chart_text(char **out, const volt_chart *chart,
                          const volt_chart_text_options *options);

VOLT_END_DECLS
#endif
