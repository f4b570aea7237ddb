#include <stdio.h>
#include "tests/kit/test.h"
#include "base/mem.h"
#include "show/charts/axes.h"

static void axes_have_round_ticks(void **state)
{
    const struct {
        double low, high;
        int ticks;
        double want_low, want_high, step;
        const char *first, *last;
    } rows[] = {
        {0, 999, 6, 0, 1000, 200, "0", "1000"},
        {0.13, 0.87, 6, 0, 1, 0.2, "0", "1.0"},
        {-0.71, 1.6, 6, -1, 2, 1, "-1", "2"},
        {0, 0.01, 6, 0, 0.01, 0.002, "0", "0.010"},
        {0, 3e-5, 4, 0, 3e-5, 1e-5, "0", "3.0e-05"},
        {5, 5, 5, 2, 8, 2, "2", "8"},
        {0, 0, 3, -0.5, 0.5, 0.5, "-0.5", "0.5"},
        {1, 250000, 6, 0, 250000, 50000, "0", "250000"},
        {0, 4e-324, 3, -0.5, 0.5, 0.5, "-0.5", "0.5"},
        {-1e300, 1e300, 3, -1e300, 1e300, 1e300, "-1.0e+300", "1.0e+300"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const volt_axis a = volt_axis_for(rows[i].low, rows[i].high, rows[i].ticks);
        char first[VOLT_AXIS_LABEL], last[VOLT_AXIS_LABEL];

        volt_axis_label(first, &a, 0);
        volt_axis_label(last, &a, a.ticks - 1);
        if (fabs(a.low - rows[i].want_low) > 1e-9 * a.step ||
            fabs(a.high - rows[i].want_high) > 1e-9 * a.step ||
            fabs(a.step - rows[i].step) > 1e-9 * a.step || strcmp(first, rows[i].first) != 0 ||
            strcmp(last, rows[i].last) != 0)
            fail_msg("%g..%g: %g to %g by %g, '%s' to '%s'", rows[i].low, rows[i].high, a.low,
                     a.high, a.step, first, last);
        assert_true(a.ticks >= 2 && a.ticks <= rows[i].ticks);
        assert_true(a.low <= rows[i].low + 1e-9 && a.high >= rows[i].high - 1e-9);
    }
}

/* What a painter was asked to do. */
typedef struct record {
    int boxes, paths, dashed, texts;
    double skips;
    int64_t points;
    double low[2], high[2];
    char all[16384];
} record;

static void record_box(void *user, double x, double y, double w, double h, volt_color c)
{
    record *r = user;

    (void)x, (void)y, (void)w, (void)h, (void)c;
    r->boxes++;
}

static void record_path(void *user, const double (*xy)[2], int64_t points, double width,
                        const volt_dash *dash, volt_color c)
{
    record *r = user;

    (void)width, (void)c;
    r->paths++;
    r->dashed += dash != NULL;
    if (dash)
        r->skips += dash->skip;
    r->points += points;
    for (int64_t i = 0; i < points; i++) {
        for (int k = 0; k < 2; k++) {
            r->low[k] = fmin(r->low[k], xy[i][k]);
            r->high[k] = fmax(r->high[k], xy[i][k]);
        }
    }
}

static double record_text_width(void *user, const char *text, volt_text_size size)
{
    (void)user;
    return (double)strlen(text) * 0.55 * size;
}

static void record_text(void *user, const char *text, double x, double y, volt_text_size size,
                        volt_text_anchor anchor, volt_color c)
{
    record *r = user;

    (void)c;
    x -= anchor == VOLT_ANCHOR_LEFT     ? 0
         : anchor == VOLT_ANCHOR_MIDDLE ? record_text_width(user, text, size) / 2
                                        : record_text_width(user, text, size);
    assert_true(x >= 0 && x + record_text_width(user, text, size) <= 800 && y >= 6 && y <= 594);
    r->texts++;
    strncat(r->all, text, sizeof r->all - strlen(r->all) - 2);
    strcat(r->all, "\n");
}

static const double epochs[6] = {1, 2, 3, 4, 5, 6};
static const double falling[6] = {1.5, 1.0, 0.7, 0.5, 0.4, 0.35};
static const double broken[6] = {0.2, 0.4, NAN, 0.6, INFINITY, 0.7};

static volt_chart_panel two_lines(volt_chart_line line[2])
{
    line[0] = (volt_chart_line){"training", epochs, falling, 6, volt_chart_color(0), 2, 0};
    line[1] =
        (volt_chart_line){"Dice of <edema>", epochs, broken, 6, volt_chart_color(1), 2, 0};
    return (volt_chart_panel){"loss & Dice", line, 2, 0, NAN, NAN, false};
}

/* Everything lies inside the picture; a missing value breaks its line in two. */
static void charts_are_laid_out_inside_their_frame(void **state)
{
    record r = {.low = {INFINITY, INFINITY}, .high = {-INFINITY, -INFINITY}};
    const volt_painter p = {&r, record_box, record_path, record_text, record_text_width};
    volt_chart_line line[2];
    const volt_chart_panel panel = two_lines(line), panels[3] = {panel, panel, panel};
    volt_chart chart = {"a run", "epoch", true, panels, 3, 2};

    (void)state;
    assert_ok(volt_chart_draw(&p, &chart, 800, 600));
    assert_int_equal(r.paths, 3 * (2 + 1 + 3)); /* legend, whole line, broken line */
    assert_int_equal(r.points, 3 * (4 + 6 + 4));
    assert_true(r.low[0] > 0 && r.low[1] > 0 && r.high[0] < 800 && r.high[1] < 600);
    assert_non_null(strstr(r.all, "a run\n"));
    assert_non_null(strstr(r.all, "loss & Dice\n"));
    assert_non_null(strstr(r.all, "Dice of <edema>\n"));
    assert_non_null(strstr(r.all, "epoch\n"));
    assert_non_null(strstr(r.all, "1.5\n"));
    assert_fails(volt_chart_draw(&p, &chart, 400, 600), VOLT_EINVAL, "too few");
    chart.panels = 0;
    assert_fails(volt_chart_draw(&p, &chart, 800, 600), VOLT_EINVAL, "0 panels");
}

static void pictures_show_the_lines_colour(void **state)
{
    volt_chart_line line[2];
    const volt_chart_panel panel = two_lines(line);
    const volt_chart chart = {NULL, "epoch", true, &panel, 1, 1};
    volt_picture *p;
    int64_t white = 0, blue = 0;

    (void)state;
    assert_ok(volt_chart_picture(&p, &chart, 500, 300));
    for (int64_t i = 0; i < p->width * p->height; i++) {
        const uint8_t *c = p->rgb + 3 * i;

        white += c[0] == 255 && c[1] == 255 && c[2] == 255;
        blue += c[0] == line[0].color.r && c[1] == line[0].color.g && c[2] == line[0].color.b;
    }
    assert_true(white > 100000 && white < 148000);
    assert_true(blue > 200);
    volt_picture_free(p);
}

/* To the character: rising by a diagonal, one symbol per line, labels at their ticks. */
static void terminals_get_symbols_or_dots(void **state)
{
    static const double x[3] = {0, 1, 2}, up[3] = {0, 1, 2};
    const volt_chart_line line = {"up", x, up, 3, {255, 0, 0}, 2, 0};
    const volt_chart_panel panel = {"title", &line, 1, NAN, NAN, NAN, false};
    const volt_chart chart = {NULL, "epoch", true, &panel, 1, 1};
    volt_chart_text_options o = volt_chart_text_defaults();
    char *text;

    (void)state;
    o.columns = 40;
    o.rows = 5;
    o.ascii = true;
    assert_ok(volt_chart_text(&text, &chart, &o));
    assert_string_equal(text, "   title\n"
                              "   * up\n"
                              "2 +                                *****\n"
                              "  |                       *********\n"
                              "1 +              *********\n"
                              "  |     *********\n"
                              "0 +*****\n"
                              "  +-------------------------------------\n"
                              "   0                 1                 2\n"
                              "                   epoch\n");
    volt_free(text);
    o.ascii = false;
    o.color = true;
    assert_ok(volt_chart_text(&text, &chart, &o));
    assert_non_null(strstr(text, "\033[38;2;255;0;0m\xe2\xa1\xa0\033[0m"));
    assert_null(strstr(text, "*"));
    volt_free(text);
    o.columns = 20;
    assert_fails(volt_chart_text(&text, &chart, &o), VOLT_EINVAL, "20 columns");
}

/* Epochs are counted: no 1.5, and nothing to the left of the first. */
static void counts_have_ticks_at_integers(void **state)
{
    const struct {
        double low, high;
        int ticks;
        double want_low, want_high, first, step;
        int want_ticks;
    } rows[] = {
        {1, 1, 5, 0.5, 1.5, 1, 1, 1},       {1, 2, 6, 1, 2, 1, 1, 2},
        {1, 3, 6, 1, 3, 1, 1, 3},           {1, 30, 7, 1, 30, 5, 5, 6},
        {1, 1000, 6, 1, 1000, 200, 200, 5}, {250, 250000, 5, 250, 250000, 50000, 50000, 5},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const volt_axis a = volt_axis_for_integers(rows[i].low, rows[i].high, rows[i].ticks);

        if (a.low != rows[i].want_low || a.high != rows[i].want_high ||
            a.first != rows[i].first || a.step != rows[i].step || a.ticks != rows[i].want_ticks)
            fail_msg("%g..%g: %g to %g, %d ticks from %g by %g", rows[i].low, rows[i].high,
                     a.low, a.high, a.ticks, a.first, a.step);
    }
}

static volt_axis y_axis_of(const double *y, int64_t points, bool may_be_log)
{
    double x[64];
    const volt_chart_line line = {"y", x, y, points, {0, 0, 0}, 2, 0};
    const volt_chart_panel panel = {"y", &line, 1, NAN, 0, 1, may_be_log};
    const volt_chart chart = {NULL, "x", true, &panel, 1, 1};
    volt_axis ax, ay;

    for (int64_t i = 0; i < points; i++)
        x[i] = (double)i + 1;
    volt_chart_axes(&ax, &ay, &chart, &panel, 6, 6);
    return ay;
}

/* The axis of a constant ends where its values must; decades call for a logarithmic one. */
static void axes_suit_their_values(void **state)
{
    double decay[40], same[40];
    volt_axis a;

    (void)state;
    for (int i = 0; i < 40; i++) {
        decay[i] = pow(0.7, i);
        same[i] = 1;
    }
    a = y_axis_of(same, 40, true);
    assert_true(!a.log && a.high == 1 && a.low >= 0 && a.low < 1);
    memset(same, 0, sizeof same);
    a = y_axis_of(same, 40, true);
    assert_true(!a.log && a.low == 0 && a.high > 0 && a.high <= 1);
    a = y_axis_of(decay, 40, false);
    assert_false(a.log);
    a = y_axis_of(decay, 40, true);
    assert_true(a.log && a.low <= decay[39] && a.high >= 1);
    assert_true(fabs(volt_axis_at(&a, a.low)) < 1e-9 &&
                fabs(volt_axis_at(&a, a.high) - 1) < 1e-9);
    for (int i = 0; i < 40; i++) /* nnU-Net's schedule falls to 0 and is read linearly */
        decay[i] = pow(1 - i / 40.0, 0.9);
    assert_false(y_axis_of(decay, 40, true).log);
}

/* Lines that coincide take turns: each is drawn in dashes that begin where the last ones end.
 */
static void equal_lines_all_show(void **state)
{
    record r = {.low = {INFINITY, INFINITY}, .high = {-INFINITY, -INFINITY}};
    const volt_painter p = {&r, record_box, record_path, record_text, record_text_width};
    static const double half[6] = {1.5, 1.0, 0.7, 1.5, 1.4, 1.35};
    const volt_chart_line line[3] = {
        {"a", epochs, falling, 6, {255, 0, 0}, 2, 0},
        {"b", epochs, falling, 6, {0, 0, 255}, 2, 0},
        {"c", epochs, half, 6, {0, 255, 0}, 2, 0},
    };
    const volt_chart_panel panel = {"y", line, 2, NAN, NAN, NAN, false};
    volt_chart_panel three = panel;
    const volt_chart chart = {NULL, "epoch", true, &panel, 1, 1};
    const volt_chart partly = {NULL, "epoch", true, &three, 1, 1};
    volt_picture *picture;
    int64_t red = 0, blue = 0;

    (void)state;
    assert_ok(volt_chart_draw(&p, &chart, 800, 600));
    assert_int_equal(r.paths, 2 + 2); /* legend, lines */
    assert_int_equal(r.dashed, 2);
    assert_true(r.skips > 0);
    assert_ok(volt_chart_picture(&picture, &chart, 800, 600));
    for (int64_t i = 0; i < picture->width * picture->height; i++) {
        const uint8_t *c = picture->rgb + 3 * i;

        red += c[0] == 255 && c[1] == 0 && c[2] == 0;
        blue += c[0] == 0 && c[1] == 0 && c[2] == 255;
    }
    assert_true(red > 200 && blue > 200);
    assert_true(red < 2 * blue && blue < 2 * red);
    volt_picture_free(picture);
    three.lines = 3; /* the third leaves them after three points */
    r.paths = r.dashed = 0;
    assert_ok(volt_chart_draw(&p, &partly, 800, 600));
    assert_int_equal(r.dashed, 3 + 2);
}

/* Names are wrapped, not cut; where there is no room for all, the rest is counted. */
static void legends_stand_next_to_the_plot(void **state)
{
    record r = {.low = {INFINITY, INFINITY}, .high = {-INFINITY, -INFINITY}};
    const volt_painter p = {&r, record_box, record_path, record_text, record_text_width};
    volt_chart_line line[80];
    char names[80][64];
    volt_chart_panel panel = {"Dice", line, 80, NAN, 0, 1, false};
    const volt_chart chart = {NULL, "epoch", true, &panel, 1, 1};
    int64_t width, height;

    (void)state;
    for (int i = 0; i < 80; i++) {
        snprintf(names[i], sizeof names[i], "number %d of a long row of classes", i);
        line[i] = (volt_chart_line){
            names[i], epochs, falling, 6, volt_chart_color(i), 2, volt_chart_style(i)};
    }
    assert_ok(volt_chart_draw(&p, &chart, 800, 600));
    assert_non_null(strstr(r.all, "more\n"));
    panel.lines = 6;
    r.all[0] = '\0';
    assert_ok(volt_chart_draw(&p, &chart, 800, 600));
    assert_null(strstr(r.all, "more\n"));
    assert_null(strstr(r.all, "\xe2\x80\xa6"));
    volt_chart_size(&width, &height, &chart);
    assert_true(width > 560 && height >= 400);
    panel.lines = 80;
    volt_chart_size(&width, &height, &chart);
    assert_true(width > 1100 && height > 800);
}

static void panels_without_values_say_so(void **state)
{
    record r = {.low = {INFINITY, INFINITY}, .high = {-INFINITY, -INFINITY}};
    const volt_painter p = {&r, record_box, record_path, record_text, record_text_width};
    static const double nothing[6] = {NAN, NAN, INFINITY, NAN, -INFINITY, NAN};
    const volt_chart_line line = {"never", epochs, nothing, 6, {0, 0, 0}, 2, 0};
    const volt_chart_panel panel = {"y", &line, 1, NAN, NAN, NAN, true};
    const volt_chart chart = {NULL, "epoch", true, &panel, 1, 1};

    (void)state;
    assert_ok(volt_chart_draw(&p, &chart, 800, 600));
    assert_non_null(strstr(r.all, "no finite values\n"));
}

/* Names cannot act on the terminal, and legends do not run beyond its width. */
static void terminals_are_safe_from_names(void **state)
{
    volt_chart_line line[12];
    const volt_chart_panel panel = {"title\033[2J", line, 12, NAN, NAN, NAN, false};
    const volt_chart chart = {"run\007", "epoch", true, &panel, 1, 1};
    volt_chart_text_options o = volt_chart_text_defaults();
    char *text, *at;

    (void)state;
    for (int i = 0; i < 12; i++)
        line[i] = (volt_chart_line){
            "\033]0;name\007 of a class", epochs, falling, 6, {0, 0, 0}, 2, 0};
    o.columns = 60;
    o.ascii = true;
    assert_ok(volt_chart_text(&text, &chart, &o));
    assert_non_null(strstr(text, "~ ?]0;name? of a class")); /* ten signs, then letters */
    assert_non_null(strstr(text, "B ?]0;name? of a class"));
    for (at = text; *at; at++)
        assert_true(*at == '\n' || (*at >= ' ' && *at < 0x7f));
    for (at = text; at; at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL)
        assert_true(strcspn(at, "\n") <= 60);
    volt_free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(axes_have_round_ticks),
        cmocka_unit_test(charts_are_laid_out_inside_their_frame),
        cmocka_unit_test(pictures_show_the_lines_colour),
        cmocka_unit_test(terminals_get_symbols_or_dots),
        cmocka_unit_test(counts_have_ticks_at_integers),
        cmocka_unit_test(axes_suit_their_values),
        cmocka_unit_test(equal_lines_all_show),
        cmocka_unit_test(legends_stand_next_to_the_plot),
        cmocka_unit_test(panels_without_values_say_so),
        cmocka_unit_test(terminals_are_safe_from_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
