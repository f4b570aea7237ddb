#include <stdio.h>
#include "tests/kit/test.h"
#include "base/system/file.h"
#include "nets3d/run_curves.h"
#include "show/run_chart.h"

#define LOG "run-chart-test.jsonl"

static volt_run_curves *read_log(const char *text)
{
    volt_run_curves *c = NULL;

    assert_ok(volt_write_file(LOG, text, strlen(text)));
    assert_ok(volt_run_curves_read(&c, LOG, "a run"));
    remove(LOG);
    return c;
}

static const char logged[] =
    "{\"epoch\":0,\"iterations\":50,\"train_loss\":1,\"validation_loss\":0.9,\"lr\":0.01,"
    "\"mean_dice\":0.5,\"ema_dice\":0.5,\"dice\":{\"a\":0.4,\"b\":0.6},\"seconds\":20,"
    "\"accuracy\":0.9}\n";

/* One run: all Dice in a panel; two: a panel for the mean and for each class. */
static void panels_depend_on_the_number_of_runs(void **state)
{
    volt_run_curves *a = read_log(logged), *b = read_log("{\"epoch\":0,\"mean_dice\":0.3}\n");
    const volt_run_curves *const runs[2] = {a, b};
    volt_run_chart *one = NULL, *two = NULL;

    (void)state;
    assert_ok(volt_run_chart_make(&one, runs, 1, VOLT_CURVE_EPOCH));
    assert_int_equal(one->chart.panels, 5);
    assert_string_equal(one->chart.panel[1].title, "validation Dice");
    assert_int_equal(one->chart.panel[1].lines, 4);
    assert_string_equal(one->chart.panel[2].title, "validation accuracy");
    assert_ok(volt_run_chart_make(&two, runs, 2, VOLT_CURVE_HOURS));
    assert_int_equal(two->chart.panels, 7);
    assert_int_equal(two->chart.panel[0].lines, 2);
    assert_string_equal(two->chart.panel[0].line[1].name, "a run, validation");
    assert_int_equal(two->chart.panel[1].lines, 2);
    assert_string_equal(two->chart.panel[3].title, "validation Dice, b");
    assert_int_equal(two->chart.panel[3].lines, 1);
    assert_string_equal(two->chart.x_title, "hours");
    volt_run_chart_free(two);
    volt_run_chart_free(one);
    volt_run_curves_free(b);
    volt_run_curves_free(a);
}

static void an_empty_log_cannot_be_drawn(void **state)
{
    volt_run_curves *a = read_log("{\"epoch\":0,\"train_loss\":null}\n");
    const volt_run_curves *const runs[1] = {a};
    volt_run_chart *chart = NULL;

    (void)state;
    assert_fails(volt_run_chart_make(&chart, runs, 1, VOLT_CURVE_EPOCH), VOLT_EFORMAT,
                 "no values to draw");
    assert_null(chart);
    volt_run_curves_free(a);
}

/* A class that never had a Dice is named; a single run needs no legend for its learning rate.
 */
static void single_runs_name_every_class(void **state)
{
    volt_run_curves *a = read_log("{\"epoch\":0,\"lr\":0.1,\"mean_dice\":0.5,"
                                  "\"dice\":{\"liver\":0.5,\"tumour\":null}}\n");
    const volt_run_curves *const runs[1] = {a};
    volt_run_chart *chart = NULL;

    (void)state;
    assert_ok(volt_run_chart_make(&chart, runs, 1, VOLT_CURVE_EPOCH));
    assert_int_equal(chart->chart.panels, 2);
    assert_string_equal(chart->chart.panel[0].line[0].name, "liver");
    assert_string_equal(chart->chart.panel[0].line[1].name, "tumour (no values)");
    assert_string_equal(chart->chart.panel[1].line[0].name, "");
    assert_true(chart->chart.x_integers);
    assert_true(chart->chart.panel[0].lower == 0 && chart->chart.panel[0].upper == 1);
    volt_run_chart_free(chart);
    volt_run_curves_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(panels_depend_on_the_number_of_runs),
        cmocka_unit_test(an_empty_log_cannot_be_drawn),
        cmocka_unit_test(single_runs_name_every_class),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
