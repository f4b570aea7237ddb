#include "nets3d/run/log.h"
#include "nets3d/trainer.h"

#include "base/system/file.h"
#include "base/mem.h"
#include "io/json/json.h"
#include "nets3d/run/state.h"
#include "tests/kit/test.h"

#define LOG "runlog-test.jsonl"

static void append(int64_t epoch)
{
    static const char *const names[2] = {"ball", "cube"};
    const double dice[2] = {0.5, NAN};
    const volt_epoch_log line = {.epoch = epoch,
                                 .iterations = 10 * (epoch + 1),
                                 .train_loss = 0.1 + 0.2,
                                 .validation_loss = NAN,
                                 .mean_dice = 0.5,
                                 .ema_dice = 0.25,
                                 .classes = 2,
                                 .dice = dice,
                                 .class_name = names,
                                 .accuracy = 0.75,
                                 .peak_bytes = 1 << 20,
                                 .elapsed_s = 12.5,
                                 .time = 1700000000};

    assert_ok(volt_run_log_append(LOG, &line));
}

static int64_t lines_of_log(void)
{
    char *text = NULL;
    size_t bytes = 0;
    int64_t lines = 0;

    assert_ok(volt_read_file(&text, &bytes, LOG, 1 << 20));
    for (size_t i = 0; i < bytes; i++)
        lines += text[i] == '\n';
    assert_true(bytes == 0 || text[bytes - 1] == '\n');
    volt_free(text);
    return lines;
}

static void lines_are_json_with_null_for_nan(void **state)
{
    char *text = NULL;
    json_t *line;

    (void)state;
    remove(LOG);
    append(0);
    assert_ok(volt_read_file(&text, NULL, LOG, 1 << 20));
    line = json_loads(text, 0, NULL);
    assert_non_null(line);
    assert_true(json_number_value(json_object_get(line, "train_loss")) == 0.1 + 0.2);
    assert_true(json_is_null(json_object_get(line, "validation_loss")));
    assert_true(json_number_value(json_object_get(json_object_get(line, "dice"), "ball")) ==
                0.5);
    assert_true(json_is_null(json_object_get(json_object_get(line, "dice"), "cube")));
    assert_true(json_number_value(json_object_get(line, "accuracy")) == 0.75);
    assert_true(json_number_value(json_object_get(line, "elapsed_seconds")) == 12.5);
    assert_string_equal(json_string_value(json_object_get(line, "time")),
                        "2023-11-14T22:13:20Z");
    json_decref(line);
    volt_free(text);
}

/* A resumed run repeats epochs: their old lines, and a torn last one, go. */
static void rewinding_drops_later_and_torn_lines(void **state)
{
    (void)state;
    remove(LOG);
    assert_ok(volt_run_log_rewind(LOG, 0)); /* nothing there is fine */
    for (int64_t e = 0; e < 5; e++)
        append(e);
    assert_ok(volt_append_file(LOG, "{\"epoch\": 5, \"iter", 18));
    assert_ok(volt_run_log_rewind(LOG, 9));
    assert_int_equal(lines_of_log(), 5);
    assert_ok(volt_run_log_rewind(LOG, 3));
    assert_int_equal(lines_of_log(), 3);
    assert_ok(volt_run_log_rewind(LOG, 0));
    assert_int_equal(lines_of_log(), 0);
    remove(LOG);
}

/* What is read back has the same bits, the ones of 1/3 and none included. */
static void state_and_recipe_come_back_bit_for_bit(void **state)
{
    volt_train_recipe recipe = {.seed = UINT64_MAX - 4, .precision = VOLT_BF16_MIXED}, r;
    volt_train_state first, s;
    char *text = NULL, *again = NULL;

    (void)state;
    recipe.recipe = volt_recipe_budget(7);
    recipe.recipe.batch = 2;
    recipe.recipe.epochs = 4;
    recipe.recipe.mirror[2] = true;
    recipe.recipe.optimizer.lr = 1.0 / 3;
    recipe.recipe.sigmoid = true;
    recipe.recipe.batch_dice = 1;
    recipe.recipe.dropout = 0.1;
    recipe.recipe.class_weights = 2;
    recipe.recipe.class_weight[1] = 1.0 / 7;
    recipe.recipe.rules = 2;
    recipe.recipe.rule[0] = (volt_param_rule){"encoder.*", 0};
    recipe.recipe.rule[1] = (volt_param_rule){"*.norm.*", 0.1};
    strcpy(recipe.init, "some/run");
    recipe.init_mode = VOLT_TRANSFER_TOLERANT;
    recipe.threads = 2;
    recipe.cases = 4000000000u;
    strcpy(recipe.configuration, "3d_fullres");
    strcpy(recipe.device, "cpu");
    first = volt_train_state_first(&recipe.recipe);
    first.iteration = 251;
    first.epoch = 1;
    first.loss_sum = -1.0 / 3;
    first.seconds = 1e-7 / 3;
    assert_ok(volt_train_state_text(&text, &first));
    assert_ok(volt_train_state_parse(&s, text, "test"));
    assert_true(s.loss_sum == first.loss_sum && s.seconds == first.seconds);
    assert_true(isnan(s.ema) && isnan(s.train_loss));
    assert_ok(volt_train_state_text(&again, &s));
    assert_string_equal(text, again);
    volt_free(again);
    volt_free(text);
    assert_ok(volt_train_recipe_text(&text, &recipe));
    assert_ok(volt_train_recipe_parse(&r, text, "test"));
    assert_true(r.seed == recipe.seed && r.cases == recipe.cases);
    assert_true(r.recipe.optimizer.lr == 1.0 / 3);
    assert_true(r.recipe.mirror[2] && !r.recipe.mirror[1]);
    assert_string_equal(r.configuration, "3d_fullres");
    assert_string_equal(r.recipe.rule[1].pattern, "*.norm.*");
    assert_string_equal(r.init, "some/run");
    assert_int_equal(r.init_mode, VOLT_TRANSFER_TOLERANT);
    assert_ok(volt_train_recipe_text(&again, &r));
    assert_string_equal(text, again);
    volt_free(again);
    volt_free(text);
}

/* Checkpoints from before a field was there read as if it had its default. */
static void recipes_of_older_checkpoints_are_read(void **state)
{
    static const char *const later[] = {"sigmoid",       "batch_dice",      "dropout",
                                        "class_weights", "parameter_rules", "init",
                                        "init_mode"};
    volt_train_recipe recipe = {.recipe = volt_recipe_nnunet(), .precision = VOLT_FP32}, r;
    char *text = NULL, *old;
    json_t *root;

    (void)state;
    recipe.recipe.batch = 2;
    recipe.threads = 1;
    assert_ok(volt_train_recipe_text(&text, &recipe));
    root = json_loads(text, 0, NULL);
    volt_free(text);
    for (size_t i = 0; i < sizeof later / sizeof *later; i++)
        assert_int_equal(json_object_del(root, later[i]), 0);
    old = json_dumps(root, 0);
    assert_ok(volt_train_recipe_parse(&r, old, "test"));
    free(old);
    assert_int_equal(r.recipe.batch_dice, -1);
    assert_true(r.recipe.dropout == -1);
    assert_int_equal(r.init_mode, VOLT_INIT_MODE_UNKNOWN);
    assert_false(r.recipe.sigmoid || r.recipe.class_weights || r.recipe.rules || r.init[0]);
    assert_int_equal(json_object_del(root, "lr"), 0);
    old = json_dumps(root, 0);
    assert_fails(volt_train_recipe_parse(&r, old, "test"), VOLT_EFORMAT, "lr");
    free(old);
    json_decref(root);
}

static void nonsense_in_a_state_is_refused(void **state)
{
    const volt_recipe recipe = volt_recipe_nnunet();
    volt_train_state s = volt_train_state_first(&recipe), kept = {.epoch = 77};
    char *text = NULL, *at;

    (void)state;
    s.iteration = 2000000; /* more than 1000 epochs of 250 */
    assert_ok(volt_train_state_text(&text, &s));
    assert_fails(volt_train_state_parse(&kept, text, "X"), VOLT_EFORMAT,
                 "X: iteration 2000000");
    volt_free(text);
    s.iteration = 0;
    assert_ok(volt_train_state_text(&text, &s));
    at = strstr(text, "\"epochs\":1000");
    assert_non_null(at);
    memcpy(at, "\"epochs\":-100", 13);
    assert_fails(volt_train_state_parse(&kept, text, "X"), VOLT_EFORMAT, "epochs");
    volt_free(text);
    assert_fails(volt_train_state_parse(&kept, "[]", "X"), VOLT_EFORMAT, "X");
    assert_int_equal(kept.epoch, 77);
}

static void progress_runs_from_the_anchor_to_one(void **state)
{
    volt_recipe recipe = volt_recipe_nnunet();
    volt_train_state s;

    (void)state;
    recipe.epochs = 10;
    recipe.iterations = 10;
    s = volt_train_state_first(&recipe);
    assert_true(volt_train_state_progress(&s) == 0);
    s.iteration = 50;
    assert_true(volt_train_state_progress(&s) == 0.5);
    s.anchor = 50;
    s.anchor_progress = 0.5;
    s.epochs = 7; /* 20 iterations left for the second half */
    s.iteration = 60;
    assert_true(volt_train_state_progress(&s) == 0.75);
    s.iteration = 70;
    assert_true(volt_train_state_progress(&s) == 1);
}

/* nnU-Net: lr (1 - epoch / epochs)^0.9 throughout an epoch. */
static void the_polynomial_rate_moves_at_epochs(void **state)
{
    const volt_recipe recipe = volt_recipe_nnunet();
    volt_optimizer_settings cosine = recipe.optimizer;
    volt_train_state s = volt_train_state_first(&recipe);
    double rate;

    (void)state;
    s.epoch = 300;
    s.iteration = 300 * 250;
    rate = volt_train_state_rate(&s, &recipe.optimizer);
    assert_true(fabs(rate - 0.01 * pow(1 - 0.3, 0.9)) < 1e-15);
    s.iteration += 249;
    assert_true(volt_train_state_rate(&s, &recipe.optimizer) == rate);
    s.epoch++;
    s.iteration++;
    assert_true(volt_train_state_rate(&s, &recipe.optimizer) < rate);
    s.anchor = s.iteration + 100; /* another length, asked for within the epoch */
    s.anchor_progress = 0.5;
    s.iteration += 120;
    rate = volt_train_state_rate(&s, &recipe.optimizer);
    assert_true(fabs(rate - 0.01 * pow(0.5, 0.9)) < 1e-15);
    cosine.schedule = VOLT_SCHEDULE_COSINE;
    rate = volt_train_state_rate(&s, &cosine);
    s.iteration++;
    assert_true(volt_train_state_rate(&s, &cosine) < rate);
}

static void differences_are_named_by_their_path(void **state)
{
    char where[64], tiny[8];

    (void)state;
    assert_false(volt_json_texts_differ(where, sizeof where, "{\"a\": [1, {\"b\": 2}]}",
                                        "{ \"a\":[1,{\"b\":2}] }"));
    assert_true(volt_json_texts_differ(where, sizeof where, "{\"a\": [1, {\"b\": 2}]}",
                                       "{\"a\": [1, {\"b\": 3}]}"));
    assert_string_equal(where, "a[1].b");
    assert_true(volt_json_texts_differ(where, sizeof where, "{\"a\": {}}", "{\"c\": {}}"));
    assert_string_equal(where, "a");
    assert_true(volt_json_texts_differ(where, sizeof where, "{\"a\": {\"b\": 1}}",
                                       "{\"a\": {\"b\": 1, \"d\": 2}}"));
    assert_string_equal(where, "a.d");
    assert_true(volt_json_texts_differ(tiny, sizeof tiny, "{\"longer_than_that\": 1}",
                                       "{\"longer_than_that\": 2}"));
    assert_string_equal(tiny, "longer_");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_json_with_null_for_nan),
        cmocka_unit_test(rewinding_drops_later_and_torn_lines),
        cmocka_unit_test(state_and_recipe_come_back_bit_for_bit),
        cmocka_unit_test(recipes_of_older_checkpoints_are_read),
        cmocka_unit_test(nonsense_in_a_state_is_refused),
        cmocka_unit_test(progress_runs_from_the_anchor_to_one),
        cmocka_unit_test(the_polynomial_rate_moves_at_epochs),
        cmocka_unit_test(differences_are_named_by_their_path),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
