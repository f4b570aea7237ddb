/* Charts in a terminal: Braille dots, two by four in a cell, or one ASCII symbol per line. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/core/alloc.h"
#include "base/core/options.h"
#include "base/core/plural.h"
#include "show/charts/axes.h"
#include "show/pictures/text.h"

static const char symbols[] =
    "*+ox#@%&=~ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnpqrstuvwyz0123456789";
#define SYMBOLS ((int)sizeof symbols - 1)

/* Axes in ASCII, and in box drawing characters as UTF-8. */
enum { SIDE, TICK, CORNER, BOTTOM };
static const char *const frames[2][4] = {
    {"|", "+", "+", "-"},
    {"\xe2\x94\x82", "\xe2\x94\xa4", "\xe2\x94\x94", "\xe2\x94\x80"},
};

/* A growing text. After a failure nothing more is added; `st` is the first one. */
typedef struct writer {
    char *text;
    size_t bytes, room;
    volt_status st;
} writer;

static void put(writer *w, const char *fmt, ...) VOLT_PRINTF(2, 3);
static void put(writer *w, const char *fmt, ...)
{
    va_list args;
    int n;

    if (w->st != VOLT_OK)
        return;
    va_start(args, fmt);
    n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (w->bytes + (size_t)n + 1 > w->room) {
        w->room = 2 * (w->bytes + (size_t)n) + 1024;
        w->st = volt_realloc(&w->text, w->bytes, w->room, "a chart's text");
        if (w->st != VOLT_OK)
            return;
    }
    va_start(args, fmt);
    vsnprintf(w->text + w->bytes, w->room - w->bytes, fmt, args);
    va_end(args);
    w->bytes += (size_t)n;
}

/* One character of the plot. */
typedef struct cell {
    uint8_t dots;  /* Braille bits, or 1 */
    uint8_t lines; /* that came through it */
    int16_t last;  /* of them, counted from 1 */
    int16_t line;  /* whose colour or symbol it has */
} cell;

typedef struct plot {
    const volt_chart_text_options *o;
    cell *cells;
    int columns, rows;  /* cells */
    int dots_x, dots_y; /* dots in all */
    volt_axis x, y;
} plot;

static void set_dot(plot *p, int x, int y, int line)
{
    static const uint8_t bits[4][2] = {{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}};
    const int wide = p->dots_x / p->columns, high = p->dots_y / p->rows;
    cell *c = &p->cells[y / high * p->columns + x / wide];

    if (c->dots && c->line == line)
        ; /* its own already */
    else if (x / wide % (c->lines + 1) == c->lines)
        c->line = (int16_t)line; /* lines that coincide take turns */
    if (c->last != line + 1) {
        c->last = (int16_t)(line + 1);
        c->lines = (uint8_t)(c->lines < 100 ? c->lines + 1 : c->lines);
    }
    c->dots = (uint8_t)(c->dots | (p->o->ascii ? 1 : bits[y % high][x % wide]));
}

/* Bresenham's line between two dots. */
static void connect(plot *p, const int a[2], const int b[2], int line)
{
    const int dx = abs(b[0] - a[0]), dy = -abs(b[1] - a[1]);
    const int sx = a[0] < b[0] ? 1 : -1, sy = a[1] < b[1] ? 1 : -1;
    int x = a[0], y = a[1], error = dx + dy;

    for (;;) {
        const int twice = 2 * error;

        set_dot(p, x, y, line);
        if (x == b[0] && y == b[1])
            return;
        if (twice >= dy) {
            error += dy;
            x += sx;
        }
        if (twice <= dx) {
            error += dx;
            y += sy;
        }
    }
}

static void draw_line(plot *p, const volt_chart_line *l, int line)
{
    int last[2], at[2];
    bool connected = false;

    for (int64_t i = 0; i < l->points; i++) {
        if (!isfinite(l->x[i]) || !isfinite(l->y[i])) {
            connected = false;
            continue;
        }
        at[0] = (int)lround(volt_axis_at(&p->x, l->x[i]) * (p->dots_x - 1));
        at[1] = (int)lround((1 - volt_axis_at(&p->y, l->y[i])) * (p->dots_y - 1));
        connect(p, connected ? last : at, at, line);
        memcpy(last, at, sizeof last);
        connected = true;
    }
}

static void put_colored(writer *w, const plot *p, volt_color c, const char *text)
{
    if (p->o->color)
        put(w, "\033[38;2;%d;%d;%dm%s\033[0m", c.r, c.g, c.b, text);
    else
        put(w, "%s", text);
}

/* U+2800 and up as UTF-8, or the line's symbol. */
static void put_cell(writer *w, const plot *p, const volt_chart_panel *panel, const cell *c)
{
    char text[4] = {0};

    if (!c->dots) {
        put(w, " ");
        return;
    }
    if (p->o->ascii) {
        text[0] = symbols[c->line % SYMBOLS];
    } else {
        text[0] = (char)0xe2;
        text[1] = (char)(0xa0 | c->dots >> 6);
        text[2] = (char)(0x80 | (c->dots & 0x3f));
    }
    put_colored(w, p, panel->line[c->line].color, text);
}

/* Characters of a name, without those that would act on the terminal. Returns how many. */
static int put_name(writer *w, const char *name)
{
    int characters = 0;

    while (*name) {
        const char *next = name;

        if (volt_text_next(&next) == 0xfffd)
            put(w, "?");
        else
            put(w, "%.*s", (int)(next - name), name);
        name = next;
        characters++;
    }
    return characters;
}

static int characters_of(const char *name)
{
    int characters = 0;

    for (; *name; characters++)
        volt_text_next(&name);
    return characters;
}

/* In rows as wide as the plot. */
static void put_legend(writer *w, const plot *p, const volt_chart_panel *panel, int indent)
{
    int used = 0;

    if (panel->lines == 1 && !*panel->line[0].name)
        return; /* the title says it all */
    put(w, "%*s", indent, "");
    for (int i = 0; i < panel->lines; i++) {
        const char symbol[2] = {symbols[i % SYMBOLS], '\0'};
        const int needs = 2 + characters_of(panel->line[i].name);

        if (used > 0 && used + 3 + needs > p->columns) {
            put(w, "\n%*s", indent, "");
            used = 0;
        } else if (used > 0) {
            put(w, "   ");
            used += 3;
        }
        put_colored(w, p, panel->line[i].color, p->o->ascii ? symbol : "\xe2\x80\xa2");
        put(w, " ");
        put_name(w, panel->line[i].name);
        used += needs;
    }
    put(w, "\n");
}

/* The tick whose label is in this row, or -1. */
static int tick_of_row(const plot *p, int row)
{
    for (int i = 0; i < p->y.ticks; i++) {
        if (lround((1 - volt_axis_at(&p->y, volt_axis_tick(&p->y, i))) * (p->rows - 1)) == row)
            return i;
    }
    return -1;
}

/* The labels below the plot, each centred on its tick as far as it fits. */
static void put_x_labels(writer *w, const plot *p, int indent)
{
    int end = 0;

    put(w, "%*s", indent, "");
    for (int i = 0; i < p->x.ticks; i++) {
        const int at =
            (int)lround(volt_axis_at(&p->x, volt_axis_tick(&p->x, i)) * (p->columns - 1));
        char label[VOLT_AXIS_LABEL];
        int start, width;

        volt_axis_label(label, &p->x, i);
        width = (int)strlen(label);
        start = at - width / 2;
        start = start + width > p->columns ? p->columns - width : start;
        if (start < end + (end > 0))
            start = end + (end > 0);
        put(w, "%*s%s", start - end, "", label);
        end = start + width;
    }
    put(w, "\n");
}

static void put_plot(writer *w, const plot *p, const volt_chart_panel *panel, int labels)
{
    const char *const *frame = frames[!p->o->ascii];
    char label[VOLT_AXIS_LABEL];

    for (int row = 0; row < p->rows; row++) {
        const int tick = tick_of_row(p, row);

        label[0] = '\0';
        if (tick >= 0)
            volt_axis_label(label, &p->y, tick);
        put(w, "%*s %s", labels, label, frame[tick >= 0 ? TICK : SIDE]);
        for (int column = 0; column < p->columns; column++)
            put_cell(w, p, panel, &p->cells[row * p->columns + column]);
        while (w->st == VOLT_OK && w->bytes > 0 && w->text[w->bytes - 1] == ' ')
            w->text[--w->bytes] = '\0';
        put(w, "\n");
    }
    put(w, "%*s %s", labels, "", frame[CORNER]);
    for (int column = 0; column < p->columns; column++)
        put(w, "%s", frame[BOTTOM]);
    put(w, "\n");
}

static void put_panel(writer *w, const volt_chart *chart, const volt_chart_panel *panel,
                      const volt_chart_text_options *o)
{
    plot p = {.o = o, .rows = o->rows};
    char label[VOLT_AXIS_LABEL];
    int labels = 0;

    volt_chart_axes(&p.x, &p.y, chart, panel, o->columns / 12,
                    (o->rows + 3) / 3 < 3 ? 3 : (o->rows + 3) / 3);
    for (int i = 0; i < p.y.ticks; i++) {
        volt_axis_label(label, &p.y, i);
        labels = (int)strlen(label) > labels ? (int)strlen(label) : labels;
    }
    p.columns = o->columns - labels - 2;
    p.dots_x = p.columns * (o->ascii ? 1 : 2);
    p.dots_y = p.rows * (o->ascii ? 1 : 4);
    w->st = volt_alloc_zero(&p.cells, (size_t)p.columns * (size_t)p.rows, sizeof *p.cells,
                            "a chart's cells");
    if (w->st != VOLT_OK)
        return;
    for (int i = 0; i < panel->lines; i++)
        draw_line(&p, &panel->line[i], i);
    put(w, "%*s", labels + 2, "");
    put_name(w, panel->title);
    put(w, "%s\n", p.y.log ? " (logarithmic)" : "");
    put_legend(w, &p, panel, labels + 2);
    put_plot(w, &p, panel, labels);
    put_x_labels(w, &p, labels + 2);
    put(w, "%*s%s\n", labels + 2 + (p.columns - (int)strlen(chart->x_title)) / 2, "",
        chart->x_title);
    volt_free(p.cells);
}

static const volt_chart_text_options defaults = {
    .size = sizeof defaults, .columns = 100, .rows = 14};

void volt_chart_text_options_init(volt_chart_text_options *o, size_t size)
{
    volt_options_init(o, size, &defaults, sizeof defaults);
}

volt_status volt_chart_text(char **out, const volt_chart *chart,
                            const volt_chart_text_options *options)
{
    volt_chart_text_options o = defaults;
    writer w = {.st = VOLT_OK};
    volt_status st = volt_options_take(&o, sizeof o, options, "volt_chart_text_options");

    if (st != VOLT_OK)
        return st;
    if (chart->panels < 1 || o.columns < 40 || o.rows < 4)
        return volt_fail(VOLT_EINVAL,
                         "a chart of %d panel%s in %d column%s and %d row%s of characters; at "
                         "least 1, 40 and 4",
                         chart->panels, volt_s(chart->panels), o.columns, volt_s(o.columns),
                         o.rows, volt_s(o.rows));
    if (chart->title) {
        put_name(&w, chart->title);
        put(&w, "\n");
    }
    for (int i = 0; i < chart->panels && w.st == VOLT_OK; i++) {
        if (i > 0 || chart->title)
            put(&w, "\n");
        if (w.st == VOLT_OK)
            put_panel(&w, chart, &chart->panel[i], &o);
    }
    if (w.st != VOLT_OK) {
        volt_free(w.text);
        return w.st;
    }
    *out = w.text;
    return VOLT_OK;
}
