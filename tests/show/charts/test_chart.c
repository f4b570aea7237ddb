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
    int boxes, paths, texts;
    int64_t points;
    double low[2], high[2];
    char all[4096];
} record;

static void record_box(void *user, double x, double y, double w, double h, volt_color c)
{
    record *r = user;

    (void)x, (void)y, (void)w, (void)h, (void)c;
    r->boxes++;
}

static void record_path(void *user, const double (*xy)[2], int64_t points, double width,
                        volt_color c)
{
    record *r = user;

    (void)width, (void)c;
    r->paths++;
    r->points += points;
    for (int64_t i = 0; i < points; i++) {
        for (int k = 0; k < 2; k++) {
            r->low[k] = fmin(r->low[k], xy[i][k]);
            r->high[k] = fmax(r->high[k], xy[i][k]);
        }
    }
}

static void record_text(void *user, const char *text, double x, double y, volt_text_size size,
                        volt_text_anchor anchor, volt_color c)
{
    record *r = user;

    (void)size, (void)anchor, (void)c;
    assert_true(x >= 0 && x <= 800 && y >= 0 && y <= 600);
    r->texts++;
    strncat(r->all, text, sizeof r->all - strlen(r->all) - 2);
    strcat(r->all, "\n");
}

static double record_text_width(void *user, const char *text, volt_text_size size)
{
    (void)user;
    return (double)strlen(text) * 4 * size;
}

static const double epochs[6] = {1, 2, 3, 4, 5, 6};
static const double falling[6] = {1.5, 1.0, 0.7, 0.5, 0.4, 0.35};
static const double broken[6] = {0.2, 0.4, NAN, 0.6, INFINITY, 0.7};

static volt_chart_panel two_lines(volt_chart_line line[2])
{
    line[0] = (volt_chart_line){"training", epochs, falling, 6, volt_chart_color(0), 2};
    line[1] = (volt_chart_line){"Dice of <edema>", epochs, broken, 6, volt_chart_color(1), 2};
    return (volt_chart_panel){"loss & Dice", line, 2, 0};
}

/* Everything lies inside the picture; a missing value breaks its line in two. */
static void charts_are_laid_out_inside_their_frame(void **state)
{
    record r = {.low = {INFINITY, INFINITY}, .high = {-INFINITY, -INFINITY}};
    const volt_painter p = {&r, record_box, record_path, record_text, record_text_width};
    volt_chart_line line[2];
    const volt_chart_panel panel = two_lines(line), panels[3] = {panel, panel, panel};
    volt_chart chart = {"a run", "epoch", panels, 3, 2};

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
    const volt_chart chart = {NULL, "epoch", &panel, 1, 1};
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
    const volt_chart_line line = {"up", x, up, 3, {255, 0, 0}, 2};
    const volt_chart_panel panel = {"title", &line, 1, NAN};
    const volt_chart chart = {NULL, "epoch", &panel, 1, 1};
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(axes_have_round_ticks),
        cmocka_unit_test(charts_are_laid_out_inside_their_frame),
        cmocka_unit_test(pictures_show_the_lines_colour),
        cmocka_unit_test(terminals_get_symbols_or_dots),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
