#include "show/chart.h"

#include <math.h>
#include "base/core/checked.h"
#include "base/core/alloc.h"
#include "base/core/plural.h"
#include "show/charts/axes.h"
#include "show/pictures/draw.h"

static const volt_color ink = {34, 34, 34}, pale = {226, 226, 226}, frame = {120, 120, 120};

volt_color volt_chart_color(int n)
{
    static const volt_color first[] = {
        {0, 105, 190},  {220, 90, 0},   {0, 145, 85},  {190, 60, 150}, {140, 95, 20},
        {30, 175, 210}, {120, 70, 200}, {200, 30, 40}, {130, 150, 0},  {80, 80, 80},
    };
    const int count = (int)(sizeof first / sizeof first[0]);
    volt_color c;

    if (n < count)
        return first[n];
    c = volt_label_color(n + 1);
    return (volt_color){(uint8_t)(c.r * 3 / 4), (uint8_t)(c.g * 3 / 4), (uint8_t)(c.b * 3 / 4)};
}

/* Layout of a panel, in pixels. */
typedef struct place {
    double left, top, right, bottom; /* of the plot inside its axes */
    volt_axis x, y;
} place;

static double to_x(const place *at, double v)
{
    return at->left + (v - at->x.low) / (at->x.high - at->x.low) * (at->right - at->left);
}

static double to_y(const place *at, double v)
{
    return at->bottom - (v - at->y.low) / (at->y.high - at->y.low) * (at->bottom - at->top);
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
    p->text(p->user, x_title, (at->left + at->right) / 2, at->bottom + 42, VOLT_TEXT_NORMAL,
            VOLT_ANCHOR_MIDDLE, ink);
}

#define LEGEND_ROW    22.0
#define LEGEND_SWATCH 26.0
#define LEGEND_GAP    20.0

/* Lays out the legend in rows from (left, top) and draws it if `paint`. Returns its height. */
static double draw_legend(const volt_painter *p, const volt_chart_panel *panel, double left,
                          double right, double top, bool paint)
{
    double x = left, y = top + LEGEND_ROW / 2;

    for (int i = 0; i < panel->lines; i++) {
        const volt_chart_line *l = &panel->line[i];
        const double width =
            LEGEND_SWATCH + 6 + p->text_width(p->user, l->name, VOLT_TEXT_NORMAL);

        if (x > left && x + width > right) {
            x = left;
            y += LEGEND_ROW;
        }
        if (paint) {
            const double xy[2][2] = {{x, y}, {x + LEGEND_SWATCH, y}};

            p->path(p->user, xy, 2, fmax(l->width, 2), l->color);
            p->text(p->user, l->name, x + LEGEND_SWATCH + 6, y, VOLT_TEXT_NORMAL,
                    VOLT_ANCHOR_LEFT, ink);
        }
        x += width + LEGEND_GAP;
    }
    return y + LEGEND_ROW / 2 - top;
}

/* `xy` has room for the line's points. */
static void draw_line(const volt_painter *p, const place *at, const volt_chart_line *l,
                      double (*xy)[2])
{
    int64_t points = 0;

    for (int64_t i = 0; i <= l->points; i++) {
        if (i < l->points && isfinite(l->x[i]) && isfinite(l->y[i])) {
            xy[points][0] = to_x(at, l->x[i]);
            xy[points++][1] = to_y(at, l->y[i]);
        } else if (points > 0) {
            p->path(p->user, (const double(*)[2])xy, points, l->width, l->color);
            points = 0;
        }
    }
}

static void draw_panel(const volt_painter *p, const volt_chart *chart,
                       const volt_chart_panel *panel, const double box[4], double (*xy)[2])
{
    const double top = box[1] + 40;
    double labels = 0;
    place at = {.right = box[0] + box[2] - 28, .bottom = box[1] + box[3] - 62};
    char label[VOLT_AXIS_LABEL];

    volt_chart_axes(&at.x, &at.y, panel, (int)fmax(3, box[2] / 85), (int)fmax(3, box[3] / 55));
    for (int i = 0; i < at.y.ticks; i++) {
        volt_axis_label(label, &at.y, i);
        labels = fmax(labels, p->text_width(p->user, label, VOLT_TEXT_NORMAL));
    }
    at.left = box[0] + labels + 26;
    p->text(p->user, panel->title, at.left, box[1] + 20, VOLT_TEXT_TITLE, VOLT_ANCHOR_LEFT,
            ink);
    at.top = top + draw_legend(p, panel, at.left, at.right, top, true) + 12;
    if (at.top > at.bottom - 40)
        at.top = at.bottom - 40; /* a long legend must not leave the plot without space */
    draw_axes(p, &at, chart->x_title);
    for (int i = 0; i < panel->lines; i++)
        draw_line(p, &at, &panel->line[i], xy);
}

volt_status volt_chart_draw(const volt_painter *p, const volt_chart *chart, double width,
                            double height)
{
    const double title = chart->title ? 48 : 8;
    const int columns = chart->columns < chart->panels ? chart->columns : chart->panels;
    double(*xy)[2] = NULL;
    double box[4];
    int64_t most = 1;
    int rows;
    volt_status st;

    if (chart->panels < 1 || chart->columns < 1)
        return volt_fail(VOLT_EINVAL, "a chart of %d panel%s in %d column%s cannot be drawn",
                         chart->panels, volt_s(chart->panels), chart->columns,
                         volt_s(chart->columns));
    rows = (chart->panels + columns - 1) / columns;
    box[2] = width / columns;
    box[3] = (height - title) / rows;
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
        p->text(p->user, chart->title, width / 2, 28, VOLT_TEXT_TITLE, VOLT_ANCHOR_MIDDLE, ink);
    for (int i = 0; i < chart->panels; i++) {
        box[0] = i % columns * box[2];
        box[1] = title + i / columns * box[3];
        draw_panel(p, chart, &chart->panel[i], box, xy);
    }
    volt_free(xy);
    return VOLT_OK;
}

static uint8_t mix(uint8_t under, uint8_t over, double coverage)
{
    return (uint8_t)(under + (over - under) * coverage + 0.5);
}

static void blend(volt_picture *p, int64_t x, int64_t y, volt_color c, double coverage)
{
    uint8_t *at;

    if (x < 0 || y < 0 || x >= p->width || y >= p->height || coverage <= 0)
        return;
    at = p->rgb + 3 * (y * p->width + x);
    at[0] = mix(at[0], c.r, coverage);
    at[1] = mix(at[1], c.g, coverage);
    at[2] = mix(at[2], c.b, coverage);
}

static void picture_box(void *user, double x, double y, double width, double height,
                        volt_color c)
{
    volt_picture_box(user, lround(x), lround(y), (int64_t)fmax(1, round(width)),
                     (int64_t)fmax(1, round(height)), c);
}

/* A segment with round ends, antialiased: coverage falls off with the distance of a pixel's
 * centre from the segment. */
static void paint_segment(volt_picture *p, const double a[2], const double b[2], double width,
                          volt_color c)
{
    const double dx = b[0] - a[0], dy = b[1] - a[1], square = dx * dx + dy * dy;
    const double reach = width / 2 + 0.5;
    const int64_t x1 = (int64_t)ceil(fmax(a[0], b[0]) + reach);
    const int64_t y1 = (int64_t)ceil(fmax(a[1], b[1]) + reach);

    for (int64_t y = (int64_t)floor(fmin(a[1], b[1]) - reach); y <= y1; y++) {
        for (int64_t x = (int64_t)floor(fmin(a[0], b[0]) - reach); x <= x1; x++) {
            const double px = (double)x + 0.5 - a[0], py = (double)y + 0.5 - a[1];
            const double t = square > 0 ? fmin(1, fmax(0, (px * dx + py * dy) / square)) : 0;
            const double away = hypot(px - t * dx, py - t * dy);

            blend(p, x, y, c, fmin(1, reach - away));
        }
    }
}

static void picture_path(void *user, const double (*xy)[2], int64_t points, double width,
                         volt_color c)
{
    if (points == 1)
        paint_segment(user, xy[0], xy[0], width + 3, c);
    for (int64_t i = 0; i + 1 < points; i++)
        paint_segment(user, xy[i], xy[i + 1], width, c);
}

static double picture_text_width(void *user, const char *text, volt_text_size size)
{
    (void)user;
    return (double)volt_picture_text_width(text, (int)size);
}

static void picture_text(void *user, const char *text, double x, double y, volt_text_size size,
                         volt_text_anchor anchor, volt_color c)
{
    const double before = anchor == VOLT_ANCHOR_LEFT     ? 0
                          : anchor == VOLT_ANCHOR_MIDDLE ? 0.5
                                                         : 1;

    volt_picture_text(user, lround(x - before * picture_text_width(user, text, size)),
                      lround(y - 3.5 * size), (int)size, c, text);
}

volt_status volt_chart_picture(volt_picture **out, const volt_chart *chart, int64_t width,
                               int64_t height)
{
    volt_painter painter = {.box = picture_box,
                            .path = picture_path,
                            .text = picture_text,
                            .text_width = picture_text_width};
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
