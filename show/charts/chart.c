#include "show/chart.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/core/checked.h"
#include "base/core/alloc.h"
#include "base/core/plural.h"
#include "show/charts/axes.h"
#include "show/pictures/draw.h"
#include "show/pictures/text.h"

#define COLORS     10    /* of the first lines */
#define NAME_WIDTH 260.0 /* of a legend, at most */
#define ROWS_MOST  4     /* of one name */
#define LINE_BYTES 1024
#define TURN       15.0 /* pixels of a dash of lines that coincide */
#define TOP        42.0 /* of a panel, above the plot */
#define FRAME      98.0 /* above and below the plot */

static const volt_color ink = {34, 34, 34}, pale = {226, 226, 226}, frame = {120, 120, 120};

volt_color volt_chart_color(int n)
{
    static const volt_color first[COLORS] = {
        {0, 105, 190},  {220, 90, 0},   {0, 145, 85},  {190, 60, 150}, {140, 95, 20},
        {30, 175, 210}, {120, 70, 200}, {200, 30, 40}, {130, 150, 0},  {80, 80, 80},
    };
    volt_color c;

    if (n < COLORS)
        return first[n];
    c = volt_label_color(n + 1);
    return (volt_color){(uint8_t)(c.r * 3 / 4), (uint8_t)(c.g * 3 / 4), (uint8_t)(c.b * 3 / 4)};
}

int volt_chart_style(int n)
{
    return n / COLORS % 4;
}

/* The dashes of a style, or of the `turn`-th of `turns` lines that coincide. False: solid. */
static bool dash_of(volt_dash *dash, int style, double width, int turn, int turns)
{
    static const double on[4] = {0, 5, 0.6, 3}, off[4] = {0, 3, 2.2, 1.5};

    if (turns > 1) {
        *dash = (volt_dash){TURN, TURN * turns, TURN * turn};
        return true;
    }
    if (style < 1 || style > 3)
        return false;
    *dash = (volt_dash){on[style] * width, (on[style] + off[style]) * width, 0};
    return true;
}

/* Layout of a panel, in pixels. */
typedef struct place {
    double left, top, right, bottom; /* of the plot inside its axes */
    double legend;                   /* left end of the legend; its width reaches to the end */
    double end;
    volt_axis x, y;
    bool any; /* a value to draw */
} place;

static double to_x(const place *at, double v)
{
    return at->left + volt_axis_at(&at->x, v) * (at->right - at->left);
}

static double to_y(const place *at, double v)
{
    return at->bottom - volt_axis_at(&at->y, v) * (at->bottom - at->top);
}

static void draw_axes(const volt_painter *p, const place *at, const char *x_title)
{
    const double right = at->right - at->left, down = at->bottom - at->top;
    char label[VOLT_AXIS_LABEL];

    for (int i = 0; i < at->y.ticks; i++) {
        const double y = to_y(at, volt_axis_tick(&at->y, i));

        volt_axis_label(label, &at->y, i);
        p->box(p->user, at->left, y - 0.5, right, 1, pale);
        p->box(p->user, at->left - 5, y - 0.5, 5, 1, frame);
        p->text(p->user, label, at->left - 10, y, VOLT_TEXT_NORMAL, VOLT_ANCHOR_RIGHT, ink);
    }
    for (int i = 0; i < at->x.ticks; i++) {
        const double x = to_x(at, volt_axis_tick(&at->x, i));

        volt_axis_label(label, &at->x, i);
        p->box(p->user, x - 0.5, at->top, 1, down, pale);
        p->box(p->user, x - 0.5, at->bottom, 1, 5, frame);
        p->text(p->user, label, x, at->bottom + 17, VOLT_TEXT_NORMAL, VOLT_ANCHOR_MIDDLE, ink);
    }
    p->box(p->user, at->left - 0.5, at->top, 1, down, frame);
    p->box(p->user, at->left - 0.5, at->bottom - 0.5, right + 1, 1, frame);
    p->text(p->user, x_title, (at->left + at->right) / 2, at->bottom + 38, VOLT_TEXT_NORMAL,
            VOLT_ANCHOR_MIDDLE, ink);
    if (!at->any)
        p->text(p->user, "no finite values", (at->left + at->right) / 2,
                (at->top + at->bottom) / 2, VOLT_TEXT_NORMAL, VOLT_ANCHOR_MIDDLE, frame);
}

#define LEGEND_ROW    19.0
#define LEGEND_SWATCH 28.0
#define LEGEND_TALL   900.0 /* of a column, in a picture of a size of its own */
#define LEGEND_LEFT   22.0  /* between plot and legend */
#define LEGEND_TEXT   (LEGEND_SWATCH + 7)

/* Bytes of `text` that fit into `width`, broken at a blank, slash or comma where possible. */
static size_t fit(const volt_painter *p, const char *text, double width, volt_text_size size)
{
    char part[LINE_BYTES];
    size_t fits = 0, gap = 0;

    while (text[fits]) {
        size_t n = fits + 1;

        while (((unsigned char)text[n] & 0xc0) == 0x80)
            n++;
        if (n >= sizeof part)
            break;
        memcpy(part, text, n);
        part[n] = '\0';
        if (fits > 0 && p->text_width(p->user, part, size) > width)
            break;
        fits = n;
        if (strchr(" /,", text[fits - 1]))
            gap = fits;
    }
    return text[fits] && gap ? gap : fits;
}

/* Writes `text` in lines of at most `width`, ROWS_MOST at most, from the middle of the first at
 * `y` on, or with `paint` false counts them. */
static int put_wrapped(const volt_painter *p, const char *text, double x, double y,
                       double width, bool paint)
{
    int rows = 0;

    do {
        const size_t bytes = fit(p, text, width, VOLT_TEXT_NORMAL);
        const bool last = rows + 1 == ROWS_MOST && text[bytes];
        char line[LINE_BYTES + 4];

        snprintf(line, sizeof line, "%.*s%s", (int)bytes, text, last ? "\xe2\x80\xa6" : "");
        if (paint)
            p->text(p->user, line, x, y + rows * LEGEND_ROW, VOLT_TEXT_NORMAL, VOLT_ANCHOR_LEFT,
                    ink);
        rows++;
        text += bytes;
    } while (*text && rows < ROWS_MOST);
    return rows;
}

/* The longest name in one line, at most `most`. */
static double names_width(const volt_painter *p, const volt_chart_panel *panel, double most)
{
    double width = 0;

    for (int i = 0; i < panel->lines; i++)
        width = fmax(width, p->text_width(p->user, panel->line[i].name, VOLT_TEXT_NORMAL));
    return ceil(fmin(width, most)) + 1;
}

static int legend_rows(const volt_painter *p, const volt_chart_panel *panel, double width)
{
    int rows = 0;

    for (int i = 0; i < panel->lines; i++)
        rows += put_wrapped(p, panel->line[i].name, 0, 0, width, false);
    return rows;
}

/* In as many columns as the width allows; the last row of the last one counts the names for
 * which there is no room. */
static void draw_legend(const volt_painter *p, const place *at, const volt_chart_panel *panel)
{
    const double names =
        names_width(p, panel, fmin(NAME_WIDTH, at->end - at->legend - LEGEND_TEXT));
    const double column = LEGEND_TEXT + names + LEGEND_LEFT;
    const int most = (int)fmax(1, (at->bottom - at->top + 40) / LEGEND_ROW);
    double x = at->legend;
    int row = 0;

    for (int i = 0; i < panel->lines; i++) {
        const volt_chart_line *l = &panel->line[i];
        const int rows = put_wrapped(p, l->name, 0, 0, names, false);
        const bool next_fits = x + 2 * column - LEGEND_LEFT <= at->end + 1;
        const double y = at->top + 8 + row * LEGEND_ROW;
        volt_dash dash;

        if (row > 0 && row + rows > most && next_fits) {
            row = 0;
            x += column;
            i--;
            continue;
        }
        if (row + rows > most - (next_fits || i + 1 == panel->lines ? 0 : 1) && row > 0) {
            char more[48];

            snprintf(more, sizeof more, "and %d more", panel->lines - i);
            p->text(p->user, more, x, y, VOLT_TEXT_NORMAL, VOLT_ANCHOR_LEFT, ink);
            return;
        }
        p->path(p->user, (const double[2][2]){{x, y}, {x + LEGEND_SWATCH, y}}, 2,
                fmax(l->width, 2),
                dash_of(&dash, l->style, fmax(l->width, 2), 0, 1) ? &dash : NULL, l->color);
        put_wrapped(p, l->name, x + LEGEND_TEXT, y, names, true);
        row += rows;
    }
}

/* Whether line `l` has the points i and i + 1 (only i, if `i` is its last or stands alone) at
 * the same pixels as `to`. */
static bool coincides(const place *at, const volt_chart_line *l, const volt_chart_line *to,
                      int64_t i, int64_t points)
{
    for (int64_t k = i; k < i + points; k++) {
        if (k >= l->points || !isfinite(l->x[k]) || !isfinite(l->y[k]) ||
            fabs(to_x(at, l->x[k]) - to_x(at, to->x[k])) > 0.75 ||
            fabs(to_y(at, l->y[k]) - to_y(at, to->y[k])) > 0.75)
            return false;
    }
    return true;
}

/* How many lines of the panel share this piece, and the line's turn among them. */
static int turns_of(int *turn, const place *at, const volt_chart_panel *panel, int line,
                    int64_t i, int64_t points)
{
    int turns = 0;

    *turn = 0;
    for (int l = 0; l < panel->lines; l++) {
        if (l == line)
            *turn = turns++;
        else
            turns += coincides(at, &panel->line[l], &panel->line[line], i, points);
    }
    return turns;
}

static bool is_drawn(const volt_chart_line *l, int64_t i)
{
    return i >= 0 && i < l->points && isfinite(l->x[i]) && isfinite(l->y[i]);
}

/* Pieces between neighbouring points, joined as long as they take the same turns. `xy` has room
 * for the line's points. */
static void draw_line(const volt_painter *p, const place *at, const volt_chart_panel *panel,
                      int line, double (*xy)[2])
{
    const volt_chart_line *l = &panel->line[line];
    int turn = 0, turns = 1, next_turn = 0, next_turns;
    int64_t points = 0;
    volt_dash dash;

    for (int64_t i = 0; i < l->points; i++) {
        const bool goes_on = is_drawn(l, i + 1);

        if (!is_drawn(l, i))
            continue;
        xy[points][0] = to_x(at, l->x[i]);
        xy[points++][1] = to_y(at, l->y[i]);
        if (points == 1)
            turns = turns_of(&turn, at, panel, line, i, goes_on ? 2 : 1);
        if (points == 1 && !goes_on) { /* dots that coincide become rings */
            p->path(p->user, (const double(*)[2])xy, 1, l->width + 3 + 5 * (turns - 1 - turn),
                    NULL, l->color);
            points = 0;
            continue;
        }
        next_turns = goes_on ? turns_of(&next_turn, at, panel, line, i, 2) : 0;
        if (goes_on && next_turns == turns && next_turn == turn)
            continue;
        p->path(p->user, (const double(*)[2])xy, points, l->width,
                dash_of(&dash, l->style, l->width, turn, turns) ? &dash : NULL, l->color);
        points = 0;
        if (goes_on) {
            xy[points][0] = to_x(at, l->x[i]);
            xy[points++][1] = to_y(at, l->y[i]);
            turns = next_turns;
            turn = next_turn;
        }
    }
}

/* One line, shortened in the middle where it is wider than `width`. */
static void put_title(const volt_painter *p, const char *text, double x, double y, double width,
                      volt_text_anchor anchor)
{
    const size_t bytes = strlen(text);
    size_t head = bytes, tail = bytes;
    char line[LINE_BYTES];

    snprintf(line, sizeof line, "%s", text);
    while (head > 0 &&
           (bytes >= sizeof line || p->text_width(p->user, line, VOLT_TEXT_TITLE) > width)) {
        do
            head--;
        while (head > 0 && ((unsigned char)text[head] & 0xc0) == 0x80);
        tail = bytes - head; /* as many bytes at the end as at the start */
        while (tail < bytes && ((unsigned char)text[tail] & 0xc0) == 0x80)
            tail++;
        if (tail < head || head + (bytes - tail) + 4 > sizeof line)
            continue;
        snprintf(line, sizeof line, "%.*s\xe2\x80\xa6%s", (int)head, text, text + tail);
        if (p->text_width(p->user, line, VOLT_TEXT_TITLE) <= width)
            break;
    }
    p->text(p->user, line, x, y, VOLT_TEXT_TITLE, anchor, ink);
}

/* What a panel needs left and right of its plot. Panels of one column share the largest. */
typedef struct margins {
    double labels, legend;
} margins;

static bool has_legend(const volt_chart_panel *panel)
{
    for (int i = 0; i < panel->lines; i++) {
        if (*panel->line[i].name)
            return true;
    }
    return false;
}

static int y_ticks(const double box[4])
{
    return (int)fmin(11, fmax(3, box[3] / 55));
}

static void widen(margins *m, const volt_painter *p, const volt_chart *chart,
                  const volt_chart_panel *panel, const double box[4])
{
    const double names = names_width(p, panel, fmin(NAME_WIDTH, 0.4 * box[2] - LEGEND_TEXT));
    const double column = LEGEND_TEXT + names + LEGEND_LEFT;
    const double fits = fmax(1, floor((box[3] - FRAME + 40) / LEGEND_ROW));
    const double rows = legend_rows(p, panel, names);
    char label[VOLT_AXIS_LABEL];
    double columns = 1;
    volt_axis x, y;

    while (columns * fits < rows && (columns + 1) * column < 0.75 * box[2] - 160)
        columns++;
    if (has_legend(panel))
        m->legend = fmax(m->legend, columns * column);
    volt_chart_axes(&x, &y, chart, panel, 3, y_ticks(box));
    for (int i = 0; i < y.ticks; i++) {
        volt_axis_label(label, &y, i);
        m->labels = fmax(m->labels, p->text_width(p->user, label, VOLT_TEXT_NORMAL));
    }
}

static place place_panel(const margins *m, const volt_chart *chart,
                         const volt_chart_panel *panel, const double box[4])
{
    place at = {.top = box[1] + TOP, .bottom = box[1] + box[3] - FRAME + TOP};

    at.end = box[0] + box[2] - 14;
    at.right = at.end - m->legend;
    at.legend = at.right + LEGEND_LEFT;
    at.left = box[0] + m->labels + 26;
    at.any = volt_chart_axes(&at.x, &at.y, chart, panel,
                             (int)fmax(3, (at.right - at.left) / 80), y_ticks(box));
    return at;
}

static void draw_panel(const volt_painter *p, const volt_chart *chart,
                       const volt_chart_panel *panel, const margins *m, const double box[4],
                       double (*xy)[2])
{
    const place at = place_panel(m, chart, panel, box);
    char title[LINE_BYTES];

    snprintf(title, sizeof title, "%s%s", panel->title, at.y.log ? " (logarithmic)" : "");
    put_title(p, title, at.left, box[1] + 20, at.end - at.left, VOLT_ANCHOR_LEFT);
    draw_axes(p, &at, chart->x_title);
    for (int i = 0; i < panel->lines; i++)
        draw_line(p, &at, panel, i, xy);
    if (has_legend(panel))
        draw_legend(p, &at, panel);
}

#define HEADING(chart) ((chart)->title ? 48.0 : 8.0)

static double font_width(void *user, const char *text, volt_text_size size)
{
    (void)user;
    return volt_text_width(text, size);
}

void volt_chart_size(int64_t *width, int64_t *height, const volt_chart *chart)
{
    const volt_painter p = {.text_width = font_width};
    const int columns = chart->columns < chart->panels ? chart->columns : chart->panels;
    const int rows = columns > 0 ? (chart->panels + columns - 1) / columns : 1;
    double wide = 0, high = 420;

    for (int i = 0; i < chart->panels; i++) {
        const volt_chart_panel *panel = &chart->panel[i];
        const double names = names_width(&p, panel, NAME_WIDTH);
        const double legend = legend_rows(&p, panel, names) * LEGEND_ROW;
        const double side = fmax(1, ceil(legend / LEGEND_TALL)); /* columns */

        wide = fmax(wide, side * (names + LEGEND_TEXT + LEGEND_LEFT));
        high = fmax(high, legend / side + 4 * LEGEND_ROW + FRAME - 40);
    }
    *width = (int64_t)(fmax(columns, 1) * fmax(560 + wide, 1.4 * (wide + 170)));
    *height = (int64_t)(HEADING(chart) + rows * high);
}

volt_status volt_chart_draw(const volt_painter *p, const volt_chart *chart, double width,
                            double height)
{
    const int columns = chart->columns < chart->panels ? chart->columns : chart->panels;
    double(*xy)[2] = NULL;
    double box[4] = {0};
    int64_t most = 1;
    int rows;
    volt_status st;

    if (chart->panels < 1 || chart->columns < 1)
        return volt_fail(VOLT_EINVAL, "a chart of %d panel%s in %d column%s cannot be drawn",
                         chart->panels, volt_s(chart->panels), chart->columns,
                         volt_s(chart->columns));
    rows = (chart->panels + columns - 1) / columns;
    box[2] = width / columns;
    box[3] = (height - HEADING(chart)) / rows;
    if (box[2] < 240 || box[3] < 160)
        return volt_fail(VOLT_EINVAL,
                         "%.0f x %.0f pixels are too few for %d x %d panels of 240 x 160",
                         width, height, columns, rows);
    for (int i = 0; i < chart->panels; i++) {
        for (int l = 0; l < chart->panel[i].lines; l++)
            most = volt_max_i64(most, chart->panel[i].line[l].points);
    }
    st = volt_alloc(&xy, (size_t)most * sizeof *xy, "a chart's points");
    if (st != VOLT_OK)
        return st;
    if (chart->title)
        put_title(p, chart->title, width / 2, 28, width - 40, VOLT_ANCHOR_MIDDLE);
    for (int c = 0; c < columns; c++) {
        margins m = {0, LEGEND_LEFT};

        for (int i = c; i < chart->panels; i += columns)
            widen(&m, p, chart, &chart->panel[i], box);
        for (int i = c; i < chart->panels; i += columns) {
            box[0] = c * box[2];
            box[1] = HEADING(chart) + i / columns * box[3];
            draw_panel(p, chart, &chart->panel[i], &m, box, xy);
        }
    }
    volt_free(xy);
    return VOLT_OK;
}

static void picture_box(void *user, double x, double y, double width, double height,
                        volt_color c)
{
    volt_picture_box(user, lround(x), lround(y), (int64_t)fmax(1, round(width)),
                     (int64_t)fmax(1, round(height)), c);
}

/* The part from..to (fractions) of a segment. */
static void paint_part(volt_picture *p, const double a[2], const double b[2], double from,
                       double to, double width, volt_color c)
{
    const double u[2] = {a[0] + from * (b[0] - a[0]), a[1] + from * (b[1] - a[1])};
    const double v[2] = {a[0] + to * (b[0] - a[0]), a[1] + to * (b[1] - a[1])};

    volt_picture_segment(p, u, v, width, c, 1);
}

/* The dashes of a segment that begins `*along` pixels behind the start of its path. */
static void paint_dashes(volt_picture *p, const double a[2], const double b[2], double width,
                         const volt_dash *dash, double *along, volt_color c)
{
    const double length = hypot(b[0] - a[0], b[1] - a[1]);
    const double start = *along, end = start + length;

    *along = end;
    if (length <= 0)
        return;
    for (int64_t i = (int64_t)floor((start - dash->skip) / dash->period);
         (double)i * dash->period + dash->skip < end; i++) {
        const double at = (double)i * dash->period + dash->skip;
        const double from = fmax(at, start), to = fmin(at + dash->on, end);

        if (from < to)
            paint_part(p, a, b, (from - start) / length, (to - start) / length, width, c);
    }
}

static void picture_path(void *user, const double (*xy)[2], int64_t points, double width,
                         const volt_dash *dash, volt_color c)
{
    double along = 0;

    if (points == 1)
        volt_picture_segment(user, xy[0], xy[0], width, c, 1);
    for (int64_t i = 0; i + 1 < points; i++) {
        if (dash)
            paint_dashes(user, xy[i], xy[i + 1], width, dash, &along, c);
        else
            volt_picture_segment(user, xy[i], xy[i + 1], width, c, 1);
    }
}

static void picture_text(void *user, const char *text, double x, double y, volt_text_size size,
                         volt_text_anchor anchor, volt_color c)
{
    const double before = anchor == VOLT_ANCHOR_LEFT     ? 0
                          : anchor == VOLT_ANCHOR_MIDDLE ? 0.5
                                                         : 1;

    volt_picture_text(user, x - before * volt_text_width(text, size),
                      y - VOLT_TEXT_CAPITAL * size / 2, size, c, text);
}

volt_status volt_chart_picture(volt_picture **out, const volt_chart *chart, int64_t width,
                               int64_t height)
{
    volt_painter painter = {.box = picture_box,
                            .path = picture_path,
                            .text = picture_text,
                            .text_width = font_width};
    volt_picture *p = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_picture_create(&p, width, height, (volt_color){255, 255, 255}));
    painter.user = p;
    VOLT_TRY(st, done, volt_chart_draw(&painter, chart, (double)width, (double)height));
    *out = p;
    p = NULL;
done:
    volt_picture_free(p);
    return st;
}
