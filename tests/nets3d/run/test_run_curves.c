#include <stdio.h>
#include "tests/kit/test.h"
#include "base/system/file.h"
#include "base/mem.h"
#include "nets3d/run_curves.h"
#include "nets3d/run/log.h"

#define LOG "run-curves-test.jsonl"

static volt_run_curves *read_log(const char *text)
{
    volt_run_curves *c = NULL;

    assert_ok(volt_write_file(LOG, text, strlen(text)));
    assert_ok(volt_run_curves_read(&c, LOG, "a run"));
    remove(LOG);
    return c;
}

/* What volt_run_log_append writes is read back. */
static void a_log_that_was_written_is_read(void **state)
{
    static const char *const names[2] = {"ball", "cube"};
    const double dice[2] = {0.5, NAN};
    volt_run_curves *c = NULL;

    (void)state;
    remove(LOG);
    for (int e = 0; e < 3; e++) {
        const volt_epoch_log line = {.epoch = e,
                                     .iterations = 10 * (e + 1),
                                     .train_loss = 1.0 / (e + 3),
                                     .validation_loss = e == 1 ? NAN : 0.25 * e,
                                     .mean_dice = 0.5 + 0.1 * e,
                                     .classes = 2,
                                     .dice = dice,
                                     .class_name = names,
                                     .accuracy = 0.75,
                                     .seconds = 1700,
                                     .elapsed_s = 1800.0 * (e + 1)};

        assert_ok(volt_run_log_append(LOG, &line));
    }
    assert_ok(volt_run_curves_read(&c, LOG, "a run"));
    assert_int_equal(c->epochs, 3);
    assert_true(c->value[VOLT_CURVE_EPOCH][2] == 3);
    assert_true(c->value[VOLT_CURVE_TRAIN_LOSS][1] == 0.25);
    assert_true(isnan(c->value[VOLT_CURVE_VALIDATION_LOSS][1]));
    assert_int_equal(c->classes, 2);
    assert_string_equal(c->class_name[0], "ball");
    assert_true(c->dice[0][2] == 0.5 && isnan(c->dice[1][0]));
    assert_true(c->value[VOLT_CURVE_HOURS][2] == 1.5);
    assert_true(c->value[VOLT_CURVE_ACCURACY][0] == 0.75);
    volt_run_curves_free(c);
    remove(LOG);
}

static void missing_and_torn_values_are_no_obstacle(void **state)
{
    int64_t epoch;
    volt_run_curves *c =
        read_log("{\"epoch\": 0, \"train_loss\": 3, \"new_key\": [1]}\n"
                 "{\"epoch\": 1, \"mean_dice\": 0.5, \"dice\": {\"a\": 0.5}}\n"
                 "{\"epoch\": 2, \"mean_dice\": 0.25, \"elapsed_seconds\": 7200}\n"
                 "{\"epoch\": 3, \"mean_");

    (void)state;
    assert_int_equal(c->epochs, 3);
    assert_true(isnan(c->dice[0][0]) && c->dice[0][1] == 0.5 && isnan(c->dice[0][2]));
    assert_true(c->value[VOLT_CURVE_HOURS][2] == 2);
    assert_true(volt_run_curves_best(&epoch, c, VOLT_CURVE_MEAN_DICE, false) == 0.5);
    assert_int_equal(epoch, 2);
    assert_true(isnan(volt_run_curves_best(&epoch, c, VOLT_CURVE_LR, true)));
    assert_int_equal(epoch, 0);
    volt_run_curves_free(c);
}

static void nonsense_is_refused_with_its_line(void **state)
{
    static const struct {
        const char *text, *words;
    } rows[] = {
        {"", "0 complete lines"},
        {"{\"epoch\": 0", "0 complete lines"},
        {"{\"epoch\": 0}\n[]\n", LOG " line 2"},
        {"{\"epoch\": 0}\nabc\n", LOG " line 2"},
        {"{\"epoch\": 0, \"lr\": \"high\"}\n", "lr"},
        {"{\"lr\": 1}\n", "has no epoch"},
        {"{\"epoch\": 0, \"dice\": [1]}\n", "dice"},
    };
    volt_run_curves *c = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_ok(volt_write_file(LOG, rows[i].text, strlen(rows[i].text)));
        assert_fails(volt_run_curves_read(&c, LOG, "x"), VOLT_EFORMAT, rows[i].words);
        assert_null(c);
    }
    remove(LOG);
    assert_fails(volt_run_curves_read(&c, LOG, "x"), VOLT_EIO, LOG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_log_that_was_written_is_read),
        cmocka_unit_test(missing_and_torn_values_are_no_obstacle),
        cmocka_unit_test(nonsense_is_refused_with_its_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
