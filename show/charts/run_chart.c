/* Panels, lines and colours of charts of runs. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "base/core/alloc.h"
#include "base/core/plural.h"
#include "show/charts/axes.h"
#include "show/run_chart.h"
#include "nets3d/recipe.h"

#define THIN              1.5
#define THICK             2.5
#define MOST_CLASS_PANELS 12

typedef struct builder {
    volt_run_chart *out;
    const volt_run_curves *const *runs;
    int count;
    volt_curve x;
    int lines, panels;
    volt_status st;
} builder;

void volt_run_chart_free(volt_run_chart *c)
{
    if (!c)
        return;
    for (int i = 0; i < c->texts; i++)
        volt_free(c->text[i]);
    volt_free(c->text);
    volt_free(c->line);
    volt_free(c->panel);
    volt_free(c);
}

/* A text such as "%s, validation", owned by the chart; NULL when out of memory. */
static const char *keep_text(builder *b, const char *fmt, const char *name)
{
    if (b->st == VOLT_OK)
        b->st = volt_format(&b->out->text[b->out->texts], fmt, name);
    return b->st == VOLT_OK ? b->out->text[b->out->texts++] : NULL;
}

/* What a panel shows decides about its y axis. */
typedef enum kind { LOSS, FRACTION, AMOUNT } kind;

static void begin_panel(builder *b, const char *title, kind what)
{
    b->out->panel[b->panels++] = (volt_chart_panel){.title = title,
                                                    .line = b->out->line + b->lines,
                                                    .include = what == AMOUNT ? 0 : NAN,
                                                    .lower = what == LOSS ? NAN : 0,
                                                    .upper = what == FRACTION ? 1 : NAN,
                                                    .may_be_log = what != FRACTION};
}

/* Drops a panel without lines. */
static void end_panel(builder *b)
{
    if (b->out->panel[b->panels - 1].lines == 0)
        b->panels--;
}

static bool has_values(const double *v, int64_t n)
{
    for (int64_t i = 0; v && i < n; i++) {
        if (isfinite(v[i]))
            return true;
    }
    return false;
}

static void add_line(builder *b, const volt_run_curves *run, const double *y, const char *name,
                     volt_color color, double width, int style)
{
    if (b->st != VOLT_OK || !has_values(y, run->epochs))
        return;
    b->out->line[b->lines++] = (volt_chart_line){.name = name,
                                                 .x = run->value[b->x],
                                                 .y = y,
                                                 .points = run->epochs,
                                                 .color = color,
                                                 .width = width,
                                                 .style = style};
    b->out->panel[b->panels - 1].lines++;
}

/* Training thin and pale, validation on top of it. */
static void add_losses(builder *b)
{
    begin_panel(b, "loss", LOSS);
    for (int i = 0; i < b->count; i++) {
        const volt_run_curves *r = b->runs[i];
        const volt_color c = volt_chart_color(i);

        if (b->count == 1) {
            add_line(b, r, r->value[VOLT_CURVE_TRAIN_LOSS], "training", c, THICK, 0);
            add_line(b, r, r->value[VOLT_CURVE_VALIDATION_LOSS], "validation",
                     volt_chart_color(1), THICK, 0);
            continue;
        }
        add_line(b, r, r->value[VOLT_CURVE_TRAIN_LOSS], keep_text(b, "%s, training", r->name),
                 volt_color_tint(c, 0.5), THIN, volt_chart_style(i));
        add_line(b, r, r->value[VOLT_CURVE_VALIDATION_LOSS],
                 keep_text(b, "%s, validation", r->name), c, THICK, volt_chart_style(i));
    }
    end_panel(b);
}

/* A class of a single run. One that never had a Dice is named, where others had one. */
static void add_class(builder *b, int k)
{
    const volt_run_curves *r = b->runs[0];
    const char *name = r->class_name[k];

    if (!has_values(r->dice[k], r->epochs)) {
        if (b->st != VOLT_OK || !has_values(r->value[VOLT_CURVE_MEAN_DICE], r->epochs))
            return;
        b->out->line[b->lines++] =
            (volt_chart_line){.name = keep_text(b, "%s (no values)", name),
                              .x = r->value[b->x],
                              .y = r->dice[k],
                              .points = r->epochs,
                              .color = volt_chart_color(k),
                              .width = THIN,
                              .style = volt_chart_style(k)};
        b->out->panel[b->panels - 1].lines++;
        return;
    }
    add_line(b, r, r->dice[k], name, volt_chart_color(k), THIN, volt_chart_style(k));
}

/* One run: every class, the mean and its moving average in one panel. */
static void add_dice_of_one(builder *b)
{
    const volt_run_curves *r = b->runs[0];
    const volt_color ink = {20, 20, 20};

    begin_panel(b, "validation Dice", FRACTION);
    for (int k = 0; k < r->classes; k++)
        add_class(b, k);
    add_line(b, r, r->value[VOLT_CURVE_MEAN_DICE], "mean", volt_color_tint(ink, 0.5), THIN, 0);
    add_line(b, r, r->value[VOLT_CURVE_EMA_DICE], "moving average of the mean", ink, THICK, 0);
    end_panel(b);
}

static const double *dice_of(const volt_run_curves *r, const char *name)
{
    for (int k = 0; k < r->classes; k++) {
        if (strcmp(r->class_name[k], name) == 0)
            return r->dice[k];
    }
    return NULL;
}

/* One curve of every run in a panel. */
static void add_panel_of(builder *b, volt_curve curve, const char *title, kind what)
{
    begin_panel(b, title, what);
    for (int i = 0; i < b->count; i++)
        add_line(b, b->runs[i], b->runs[i]->value[curve], b->count == 1 ? "" : b->runs[i]->name,
                 volt_chart_color(i), b->count == 1 ? THICK : 2, volt_chart_style(i));
    end_panel(b);
}

/* Several runs: the mean, then class by class in the first run's order. */
static void add_dice_of_many(builder *b)
{
    const volt_run_curves *first = b->runs[0];

    add_panel_of(b, VOLT_CURVE_MEAN_DICE, "validation Dice, mean over classes", FRACTION);
    for (int k = 0; k < first->classes && k < MOST_CLASS_PANELS && first->classes > 1; k++) {
        begin_panel(b, keep_text(b, "validation Dice, %s", first->class_name[k]), FRACTION);
        for (int i = 0; i < b->count; i++)
            add_line(b, b->runs[i], dice_of(b->runs[i], first->class_name[k]), b->runs[i]->name,
                     volt_chart_color(i), 2, volt_chart_style(i));
        end_panel(b);
    }
}

static void add_seconds(builder *b)
{
    if (b->count > 1) {
        add_panel_of(b, VOLT_CURVE_SECONDS, "seconds of training in an epoch", AMOUNT);
        return;
    }
    begin_panel(b, "seconds in an epoch", AMOUNT);
    add_line(b, b->runs[0], b->runs[0]->value[VOLT_CURVE_SECONDS], "training",
             volt_chart_color(0), THICK, 0);
    add_line(b, b->runs[0], b->runs[0]->value[VOLT_CURVE_VALIDATION_SECONDS], "validation",
             volt_chart_color(1), 2, 0);
    add_line(b, b->runs[0], b->runs[0]->value[VOLT_CURVE_DATA_WAIT_SECONDS], "waiting for data",
             volt_chart_color(2), 2, 0);
    end_panel(b);
}

static volt_status make_room(builder *b)
{
    const int panels = 6 + MOST_CLASS_PANELS;
    const int lines = (7 + MOST_CLASS_PANELS) * b->count + VOLT_MAX_CLASSES + 8;
    volt_run_chart *c = b->out;
    volt_status st;

    VOLT_TRY(st, done, volt_alloc_zero(&c->panel, (size_t)panels, sizeof *c->panel, "a chart"));
    VOLT_TRY(st, done, volt_alloc_zero(&c->line, (size_t)lines, sizeof *c->line, "a chart"));
    st = volt_alloc_zero(&c->text, 2 * (size_t)b->count + MOST_CLASS_PANELS + VOLT_MAX_CLASSES,
                         sizeof *c->text, "a chart");
done:
    return st;
}

volt_status volt_run_chart_make(volt_run_chart **out, const volt_run_curves *const *runs,
                                int count, volt_curve x)
{
    static const char *const x_titles[] = {"epoch", "iterations", "hours"};
    builder b = {.runs = runs, .count = count, .x = x};

    if (count < 1 || x > VOLT_CURVE_HOURS)
        return volt_fail(VOLT_EINVAL, "cannot draw a chart of %d run%s over curve %d", count,
                         volt_s(count), (int)x);
    b.st = volt_alloc_zero(&b.out, 1, sizeof *b.out, "a chart");
    if (b.st == VOLT_OK)
        b.st = make_room(&b);
    if (b.st != VOLT_OK)
        goto done;
    add_losses(&b);
    if (count == 1)
        add_dice_of_one(&b);
    else
        add_dice_of_many(&b);
    add_panel_of(&b, VOLT_CURVE_ACCURACY, "validation accuracy", FRACTION);
    add_panel_of(&b, VOLT_CURVE_LR, "learning rate", AMOUNT);
    add_seconds(&b);
    if (b.panels == 0 && b.st == VOLT_OK)
        b.st =
            volt_fail(VOLT_EFORMAT, "the log of %s contains no values to draw", runs[0]->name);
    if (b.st != VOLT_OK)
        goto done;
    b.out->chart = (volt_chart){.x_title = x_titles[x],
                                .x_integers = x != VOLT_CURVE_HOURS,
                                .panel = b.out->panel,
                                .panels = b.panels,
                                .columns = b.panels > 1 ? 2 : 1};
    *out = b.out;
    b.out = NULL;
done:
    volt_run_chart_free(b.out);
    return b.st;
}
