#define _GNU_SOURCE /* strcasestr */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "apps/cli/cli.h"
#include "base/system/file.h"
#include "base/core/alloc.h"
#include "base/core/plural.h"
#include "io/figure.h"
#include "show/svg.h"
#include "nets3d/run_curves.h"
#include "show/run_chart.h"
#include "nets3d/run.h"

#define MOST_RUNS 32

typedef struct plot_options {
    const char *output, *title;
    int x; /* volt_curve */
    cli_list size;
    bool ascii, terminal;
} plot_options;

static const cli_option options[] = {
    {"--output", 'o', CLI_TEXT, offsetof(plot_options, output), "PNG|SVG|JPG", NULL, 0, 0,
     "write a picture; the ending selects PNG, SVG or JPEG [draw in the terminal]"},
    {"--terminal", 0, CLI_FLAG, offsetof(plot_options, terminal), NULL, NULL, 0, 0,
     "also draw in the terminal"},
    {"--x", 0, CLI_CHOICE, offsetof(plot_options, x), "epoch|iterations|hours", "epoch", 0, 0,
     "quantity on the x axis"},
    {"--title", 0, CLI_TEXT, offsetof(plot_options, title), "TEXT", NULL, 0, 0,
     "title of the picture [the run's name]"},
    {"--size", 0, CLI_INTS, offsetof(plot_options, size), "W,H", NULL, 1, 32768,
     "size of the picture in pixels [what curves and legends need]"},
    {"--ascii", 0, CLI_FLAG, offsetof(plot_options, ascii), NULL, NULL, 0, 0,
     "no braille dots in the terminal, for fonts that lack them"},
};

typedef struct job {
    cli *c;
    volt_run_curves *runs[MOST_RUNS];
    int count;
    volt_run_chart *chart;
} job;

static void free_job(job *j)
{
    volt_run_chart_free(j->chart);
    for (int i = 0; i < j->count; i++)
        volt_run_curves_free(j->runs[i]);
}

static volt_status add_run(job *j, const char *run, const char *name)
{
    volt_status st;

    if (j->count == MOST_RUNS)
        return volt_fail(VOLT_EINVAL, "volt plot takes at most %d runs", MOST_RUNS);
    st = volt_run_curves_read(&j->runs[j->count], run, name);
    j->count += st == VOLT_OK;
    return st;
}

static bool has_log(const char *folder)
{
    char *path = NULL;
    const bool has =
        volt_path_join(&path, folder, "log.jsonl") == VOLT_OK && volt_path_exists(path);

    volt_free(path);
    return has;
}

/* The folds fold_K of a folder without a log of its own. */
static volt_status add_folds(job *j, const char *folder, const char *name, bool *found)
{
    static const volt_fold_rule logged = {.fits = has_log, .what = "a log", .every = true};
    volt_names folds = {0};
    char *label = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_fold_folders(&folds, folder, NULL, &logged));
    *found = folds.count > 0;
    for (size_t i = 0; i < folds.count; i++) {
        VOLT_TRY(st, done, volt_format(&label, "%s/%s", name, volt_path_name(folds.name[i])));
        VOLT_TRY(st, done, add_run(j, folds.name[i], label));
        volt_free(label);
        label = NULL;
    }
done:
    volt_free(label);
    volt_names_free(&folds);
    return st;
}

/* The last part of a path, without slashes at its end. */
static size_t last_part(const char **start, const char *path)
{
    size_t bytes = strlen(path), from;

    while (bytes > 1 && path[bytes - 1] == '/')
        bytes--;
    for (from = bytes; from > 0 && path[from - 1] != '/'; from--)
        ;
    *start = path + from;
    return bytes - from;
}

/* Name of an argument: its last path component, or the path if another one has the same. */
static volt_status name_of(char **out, const cli *c, int argument)
{
    const char *mine, *other;
    const size_t bytes = last_part(&mine, c->args[argument]);

    for (int i = 0; i < c->args_count; i++) {
        if (i != argument && last_part(&other, c->args[i]) == bytes &&
            strncmp(mine, other, bytes) == 0)
            return volt_strdup(out, c->args[argument]);
    }
    return volt_format(out, "%.*s", (int)bytes, mine);
}

/* A run's folder, a folder of folds, or a log. */
static volt_status add_argument(job *j, int argument)
{
    const char *run = j->c->args[argument];
    char *name = NULL;
    bool found = false;
    volt_status st;

    VOLT_TRY(st, done, name_of(&name, j->c, argument));
    if (volt_path_is_dir(run) && !has_log(run))
        VOLT_TRY(st, done, add_folds(j, run, name, &found));
    if (!found && !(volt_path_is_dir(run) && has_log(run)))
        VOLT_TRY(st, done, cli_check_run(run, ""));
    if (!found)
        st = add_run(j, run, name);
done:
    volt_free(name);
    return st;
}

static bool is_svg(const char *path)
{
    const char *ending = strrchr(path, '.');

    return ending && strcasecmp(ending, ".svg") == 0;
}

static volt_status draw_picture(const job *j)
{
    const plot_options *o = j->c->options;
    const volt_chart *chart = &j->chart->chart;
    int64_t width, height;
    volt_picture *picture = NULL;
    volt_status st;

    volt_chart_size(&width, &height, chart);
    if (o->size.count) {
        width = (int64_t)o->size.v[0];
        height = (int64_t)o->size.v[1];
    }
    if (is_svg(o->output))
        return volt_svg_write(o->output, chart, width, height);
    VOLT_TRY(st, done, volt_chart_picture(&picture, chart, width, height));
    st = volt_figure_write(o->output, picture->rgb, picture->width, picture->height);
done:
    volt_picture_free(picture);
    return st;
}

/* True when the locale's variables say that the terminal takes UTF-8. */
static bool is_utf8(void)
{
    static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};

    for (int i = 0; i < 3; i++) {
        const char *value = getenv(names[i]);

        if (value && *value)
            return strcasestr(value, "utf-8") || strcasestr(value, "utf8");
    }
    return false;
}

/* On a terminal as wide as it is, with colours unless NO_COLOR asks for none; elsewhere 100
 * columns and plain symbols. */
static volt_status draw_terminal(const job *j)
{
    const plot_options *o = j->c->options;
    const bool terminal = isatty(STDOUT_FILENO);
    const char *no_color = getenv("NO_COLOR");
    volt_chart_text_options t = volt_chart_text_defaults();
    struct winsize size;
    char *text = NULL;
    volt_status st;

    if (terminal && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= 40)
        t.columns = size.ws_col < 160 ? size.ws_col : 160;
    t.color = terminal && !(no_color && *no_color);
    t.ascii =
        o->ascii || !t.color || !is_utf8(); /* braille dots need colours to be told apart */
    st = volt_chart_text(&text, &j->chart->chart, &t);
    if (st == VOLT_OK)
        fputs(text, stdout);
    volt_free(text);
    return st;
}

static json_t *run_object(const volt_run_curves *r)
{
    int64_t dice_epoch, loss_epoch;
    const double dice = volt_run_curves_best(&dice_epoch, r, VOLT_CURVE_MEAN_DICE, false);
    const double loss = volt_run_curves_best(&loss_epoch, r, VOLT_CURVE_VALIDATION_LOSS, true);

    return json_pack("{s:o, s:I, s:o, s:o, s:I, s:o, s:I}", "run", volt_json_string(r->name),
                     "epochs", (json_int_t)r->epochs, "hours",
                     volt_json_number(r->value[VOLT_CURVE_HOURS][r->epochs - 1]),
                     "best_mean_dice", volt_json_number(dice), "best_mean_dice_epoch",
                     (json_int_t)dice_epoch, "least_validation_loss", volt_json_number(loss),
                     "least_validation_loss_epoch", (json_int_t)loss_epoch);
}

static volt_status print_json(const job *j)
{
    const plot_options *o = j->c->options;
    json_t *runs = json_array();

    for (int i = 0; i < j->count; i++)
        json_array_append_new(runs, run_object(j->runs[i]));
    return cli_print_json(
        json_pack("{s:o, s:o?}", "runs", runs, "output", volt_json_string(o->output)));
}

static volt_status run(cli *c)
{
    const plot_options *o = c->options;
    job j = {.c = c};
    volt_status st;

    VOLT_TRY(st, done, cli_check_output(c, o->output, "svg|" CLI_FIGURE));
    if (o->output && !is_svg(o->output))
        VOLT_TRY(st, done, volt_figure_check(o->output));
    for (int i = 0; i < c->args_count; i++)
        VOLT_TRY(st, done, add_argument(&j, i));
    VOLT_TRY(st, done,
             volt_run_chart_make(&j.chart, (const volt_run_curves *const *)j.runs, j.count,
                                 (volt_curve)o->x));
    j.chart->chart.title = o->title ? o->title : j.count == 1 ? j.runs[0]->name : NULL;
    if (o->output)
        VOLT_TRY(st, done, draw_picture(&j));
    if (c->json)
        st = print_json(&j);
    else if (o->terminal || !o->output)
        st = draw_terminal(&j);
    else if (!c->quiet)
        printf("%s: %d panel%s, %d run%s\n", o->output, j.chart->chart.panels,
               volt_s(j.chart->chart.panels), j.count, volt_s(j.count));
done:
    free_job(&j);
    return st;
}

const cli_command cmd_plot = {
    .name = "plot",
    .section = CLI_VISUALS,
    .one_line = "draw the curves of training runs",
    .args = "RUN...",
    .min_args = 1,
    .max_args = -1,
    .about =
        "Draws the curves in the log of each RUN: training and validation loss, Dice per class "
        "and its mean, accuracy if logged, learning rate and seconds per epoch; as PNG or SVG "
        "with -o, otherwise in the terminal. Several runs are overlaid, with a panel for each "
        "of "
        "the first 12 classes; a folder of folds (fold_0, fold_1, ...) stands for its folds. "
        "Curves that coincide take turns. Runs that are still training can be drawn.",
    .example = "volt plot runs/hippocampus\nvolt plot runs/a runs/b -o curves.png",
    .common = CLI_JSON,
    CLI_OPTIONS(options, plot_options),
    .run = run,
};
