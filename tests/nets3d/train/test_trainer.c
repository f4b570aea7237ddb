#include "base/core/alloc.h"
#include "nets3d/trainer.h"

#include <stdio.h>
#include <sys/resource.h>
#include "nets3d/device/device_internal.h"
#include "io/json/json.h"
#include "nets3d/models/model_internal.h"
#include "nets3d/train/budget.h"
#include "tests/kit/measure.h"
#include "tests/kit/train_compare.h"

/* Lines of log.jsonl; each must be of the next epoch. */
static int64_t log_lines(const char *run)
{
    char path[128], *text = NULL, *line;
    int64_t count = 0;

    snprintf(path, sizeof path, "%s/log.jsonl", run);
    assert_ok(volt_read_file(&text, NULL, path, 1 << 20));
    for (line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        json_t *object = json_loads(line, 0, NULL);
        assert_non_null(object);
        assert_int_equal(json_integer_value(json_object_get(object, "epoch")), count);
        assert_true(json_is_number(json_object_get(object, "train_loss")));
        json_decref(object);
        count++;
    }
    volt_free(text);
    return count;
}

/* 3 epochs of 5 iterations at once, and killed in the middle of the second epoch with a
 * checkpoint one, two or no iteration old, and killed again. */
static void killed_and_resumed_is_the_same_to_the_bit(void **state)
{
    const fixture *f = *state;
    volt_recipe recipe;
    volt_train_options o = fixture_options(&recipe, 3, 5);
    volt_train_result whole, result;

    remove_folder("run-whole");
    assert_ok(volt_train("run-whole", &f->data, &o, NULL, &whole));
    assert_true(whole.finished && whole.iterations == 15 && whole.epochs == 3);
    assert_int_equal(log_lines("run-whole"), 3);
    for (int every = 1; every <= 4; every++) {
        remove_folder("run-killed");
        o.checkpoint_every = every;
        o.loader_threads = every;
        o.resume = false;
        train_and_kill("run-killed", f, &o, 8);
        o.resume = true;
        train_and_kill("run-killed", f, &o, 12);
        assert_ok(volt_train("run-killed", &f->data, &o, NULL, &result));
        assert_same_run("run-whole", "run-killed");
        assert_int_equal(log_lines("run-killed"), 3);
        assert_true(result.best_ema == whole.best_ema);
    }
    remove_folder("run-killed");
    remove_folder("run-whole");
}

static void cancelled_and_resumed_is_the_same(void **state)
{
    const fixture *f = *state;
    volt_recipe recipe;
    volt_train_options o = fixture_options(&recipe, 2, 4);
    volt_train_result result;

    remove_folder("run-whole");
    assert_ok(volt_train("run-whole", &f->data, &o, NULL, NULL));
    for (int64_t at = 1; at <= 8; at++) { /* in an epoch, and at its end */
        stopper s = {.at = at};
        const volt_callbacks cb = callbacks_of(&s);
        remove_folder("run-cancelled");
        o.resume = false;
        assert_fails(volt_train("run-cancelled", &f->data, &o, &cb, &result), VOLT_ECANCELLED,
                     "stopped after iteration");
        assert_int_equal(result.iterations, at);
        assert_false(result.finished);
        o.resume = true;
        o.device = at % 2 ? "reference:0" : "reference"; /* the same */
        assert_ok(volt_train("run-cancelled", &f->data, &o, NULL, &result));
        assert_true(result.finished);
        assert_same_run("run-whole", "run-cancelled");
    }
    /* A finished run has nothing left to do. */
    assert_ok(volt_train("run-cancelled", &f->data, &o, NULL, &result));
    assert_same_run("run-whole", "run-cancelled");
    remove_folder("run-cancelled");
    remove_folder("run-whole");
}

/* All tensors of two checkpoints differ by rounding at most. */
static void assert_near_run(const char *a, const char *b)
{
    char path[128];
    volt_safetensors *file_a = NULL, *file_b = NULL;

    snprintf(path, sizeof path, "%s" LATEST, a);
    assert_ok(volt_safetensors_open(&file_a, path));
    snprintf(path, sizeof path, "%s" LATEST, b);
    assert_ok(volt_safetensors_open(&file_b, path));
    assert_true(volt_safetensors_count(file_a) > 20);
    for (size_t i = 0; i < volt_safetensors_count(file_a); i++) {
        const volt_tensor_view *v = volt_safetensors_at(file_a, i);
        const float *x = v->data, *y = volt_safetensors_find(file_b, v->name)->data;

        for (size_t j = 0; j < v->bytes / sizeof *x; j++)
            if (fabsf(x[j] - y[j]) > 1e-4f * (1 + fabsf(x[j])))
                fail_msg("%s, element %zu: %g and %g", v->name, j, x[j], y[j]);
    }
    volt_safetensors_close(file_b);
    volt_safetensors_close(file_a);
}

/* Two batches of 2 in each iteration train and validate as batches of 4 do, and resume to the
 * bit. */
static void accumulated_batches_train_as_one(void **state)
{
    const fixture *f = *state;
    volt_recipe recipe;
    volt_train_options o = fixture_options(&recipe, 2, 4);
    volt_train_result whole, parts;

    recipe.dropout = 0.2;
    recipe.batch_dice = VOLT_BATCH_DICE_OFF;
    recipe.optimizer.kind = VOLT_SGD; /* Adam divides by gradients of rounding size */
    recipe.optimizer.momentum = 0.9;
    recipe.batch = 4;
    remove_folder("run-whole");
    assert_ok(volt_train("run-whole", &f->data, &o, NULL, &whole));
    recipe.batch = 2;
    recipe.accumulate = 2;
    remove_folder("run-parts");
    assert_ok(volt_train("run-parts", &f->data, &o, NULL, &parts));
    assert_near_run("run-whole", "run-parts");
    assert_true(fabs(whole.train_loss - parts.train_loss) < 1e-5);
    assert_true(fabs(whole.mean_dice - parts.mean_dice) < 1e-3);
    assert_int_equal(parts.iterations, 8);
    assert_true(parts.peak_bytes <= parts.memory.total);
    remove_folder("run-killed");
    o.checkpoint_every = 2;
    train_and_kill("run-killed", f, &o, 3);
    o.resume = true;
    assert_ok(volt_train("run-killed", &f->data, &o, NULL, &parts));
    assert_same_run("run-parts", "run-killed");
    recipe.accumulate = 0;
    assert_fails(volt_train("run-none", &f->data, &o, NULL, NULL), VOLT_EINVAL,
                 "number of accumulated batches");
    remove_folder("run-killed");
    remove_folder("run-parts");
    remove_folder("run-whole");
}

static void learns_and_reports(void **state)
{
    const fixture *f = *state;
    volt_recipe recipe;
    volt_train_options o = fixture_options(&recipe, 6, 25);
    volt_train_result r;
    size_t before;

    recipe.optimizer.lr = 1e-2;
    recipe.augment = false;
    remove_folder("run-learns");
    before = volt_mem_current();
    measure_start();
    assert_ok(volt_train("run-learns", &f->data, &o, NULL, &r));
    assert_true(r.train_loss < -0.2);
    assert_true(r.mean_dice > 0.5);
    assert_true(r.best_ema > 0 && r.best_ema <= 1);
    assert_int_equal(volt_mem_current(), before);
    assert_in_range(measure_peak() - before, r.memory.total - r.memory.other, r.memory.total);
    assert_true(volt_path_exists("run-learns/summary.json"));
    assert_true(volt_path_exists("run-learns/checkpoint_best.safetensors"));
    assert_true(volt_path_exists("run-learns/plans.json"));
    remove_folder("run-learns");
}

static void assert_finite(const char *checkpoint)
{
    volt_safetensors *f = NULL;
    int64_t count = 0;

    assert_ok(volt_safetensors_open(&f, checkpoint));
    for (size_t i = 0; i < volt_safetensors_count(f); i++) {
        const volt_tensor_view *v = volt_safetensors_at(f, i);
        for (size_t k = 0; v->type == VOLT_TENSOR_F32 && k < v->bytes / sizeof(float); k++) {
            assert_true(isfinite(((const float *)v->data)[k]));
            count++;
        }
    }
    assert_true(count > 1000);
    volt_safetensors_close(f);
}

/* Voxels that make the network overflow stop the run with the case's name; what was saved
 * before stays. */
static void divergence_stops_with_the_case(void **state)
{
    fixture *f = *state;
    volt_recipe recipe;
    volt_train_options o = fixture_options(&recipe, 4, 5);
    volt_checkpoint_head head;
    char *path = NULL;
    const char *spiked[1] = {f->name[0]};
    volt_train_data data = f->data;

    recipe.augment = false;
    o.checkpoint_every = 1;
    assert_ok(volt_format(&path, "%s/%s" VOLT_CASE_SUFFIX, f->store, f->name[0]));
    fixture_store_case(path, 0, 3e38f);
    data.train = spiked;
    data.train_count = 1;
    remove_folder("run-nan");
    for (int i = 0; i < 4; i++) {
        o.device = i % 2 ? "cpu" : "reference";
        recipe.accumulate = 1 + i % 2;
        recipe.optimizer = volt_optimizer_usual(i / 2 ? VOLT_ADAM : VOLT_SGD);
        remove_folder("run-nan");
        assert_fails(volt_train("run-nan", &data, &o, NULL, NULL), VOLT_ENUMERIC, "tiny_0");
        assert_non_null(strstr(volt_last_error(), "iteration "));
        assert_non_null(strstr(volt_last_error(), " is not finite (cases "));
        assert_ok(volt_checkpoint_read_head(&head, "run-nan" LATEST));
        volt_checkpoint_head_free(&head);
        assert_finite("run-nan" LATEST);
    }
    fixture_store_case(path, 0, 0);
    volt_free(path);
    remove_folder("run-nan");
}

static void other_runs_are_refused(void **state)
{
    const fixture *f = *state;
    volt_recipe recipe;
    volt_train_options o = fixture_options(&recipe, 1, 2);
    volt_train_data data = f->data;
    volt_plan_config *config = (volt_plan_config *)f->data.config;
    const int64_t features = volt_network_spec(&config->net)->features[1];
    const char *fold[4] = {f->names[0], f->names[1], f->names[2], f->names[5]};
    char *bytes = NULL;
    size_t count = 0;

    remove_folder("run-other");
    assert_ok(volt_train("run-other", &f->data, &o, NULL, NULL));
    assert_fails(volt_train("run-other", &f->data, &o, NULL, NULL), VOLT_EDATA,
                 "already contains a run");
    o.resume = true;
    volt_network_spec(&config->net)->features[1] = 16;
    assert_fails(volt_train("run-other", &data, &o, NULL, NULL), VOLT_EDATA,
                 "features_per_stage[1]");
    volt_network_spec(&config->net)->features[1] = features;
    data.train = fold;
    assert_fails(volt_train("run-other", &data, &o, NULL, NULL), VOLT_EDATA, "other cases");
    assert_ok(volt_read_file(&bytes, &count, "run-other" LATEST, 1 << 24));
    bytes[count / 2] ^= 1;
    assert_ok(volt_write_file("run-other" LATEST, bytes, count));
    assert_fails(volt_train("run-other", &f->data, &o, NULL, NULL), VOLT_EFORMAT,
                 "checkpoint_latest");
    assert_ok(volt_write_file("run-other" LATEST, bytes, count / 3));
    assert_fails(volt_train("run-other", &f->data, &o, NULL, NULL), VOLT_EFORMAT,
                 "checkpoint_latest");
    volt_free(bytes);
    remove_folder("run-other");
}

static void requests_without_sense_are_refused(void **state)
{
    const fixture *f = *state;
    volt_recipe recipe;
    volt_train_options o = fixture_options(&recipe, 0, 2);
    volt_train_data data = f->data;

    assert_fails(volt_train("run-none", &f->data, &o, NULL, NULL), VOLT_EINVAL, "epochs 0");
    o = fixture_options(&recipe, 1, 2);
    o.device = "abacus";
    assert_fails(volt_train("run-none", &f->data, &o, NULL, NULL), VOLT_EINVAL, "abacus");
    o = fixture_options(&recipe, 1, 2);
    recipe.batch = INT64_C(1) << 40;
    assert_true(volt_train("run-none", &f->data, &o, NULL, NULL) != VOLT_OK);
    o = fixture_options(&recipe, 1, 2);
    recipe.batch = 1 << 20; /* a million patches of 8^3 with gradients: hundreds of GiB */
    assert_fails(volt_train("run-none", &f->data, &o, NULL, NULL), VOLT_ENOMEM,
                 "a smaller batch");
    data.train_count = 0;
    o = fixture_options(&recipe, 1, 2);
    assert_fails(volt_train("run-none", &data, &o, NULL, NULL), VOLT_EINVAL, "no case");
    remove_folder("run-none");
}

/* A disk that fills up (a limit on file sizes) ends the run; the checkpoint before it is whole
 * and training goes on from it. */
static void full_disk_keeps_the_last_checkpoint(void **state)
{
    const fixture *f = *state;
    volt_recipe recipe;
    volt_train_options o = fixture_options(&recipe, 2, 4);
    struct rlimit old, small;
    volt_train_result r;
    volt_status st;
    stopper s = {.at = 3};
    const volt_callbacks cb = callbacks_of(&s);

    remove_folder("run-whole");
    assert_ok(volt_train("run-whole", &f->data, &o, NULL, NULL));
    remove_folder("run-full");
    assert_int_equal(volt_train("run-full", &f->data, &o, &cb, NULL), VOLT_ECANCELLED);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = old;
    small.rlim_cur = 4000; /* room for plans.json's like, not for a checkpoint */
    o.resume = true;
    o.checkpoint_every = 1;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    st = volt_train("run-full", &f->data, &o, NULL, NULL);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(st, VOLT_EIO);
    assert_ok(volt_train("run-full", &f->data, &o, NULL, &r));
    assert_true(r.finished);
    assert_same_run("run-whole", "run-full");
    remove_folder("run-full");
    remove_folder("run-whole");
}

static void trains_without_validation(void **state)
{
    volt_recipe recipe;
    volt_train_options o = fixture_options(&recipe, 2, 2);
    volt_train_data data = ((fixture *)*state)->data;
    volt_train_result r;

    data.validate_count = 0;
    remove_folder("run-alone");
    assert_ok(volt_train("run-alone", &data, &o, NULL, &r));
    assert_true(r.finished && isnan(r.mean_dice) && isnan(r.best_ema));
    assert_false(volt_path_exists("run-alone/checkpoint_best.safetensors"));
    remove_folder("run-alone");
}

/* ---- budgets ---- */

static void schedules_fill_the_budget(void **state)
{
    const volt_recipe recipe = volt_recipe_nnunet();
    int64_t checked = 0;

    (void)state;
    for (double seconds = 20; seconds < 40000; seconds *= 1.7) {
        for (double it = 0.01; it < 8; it *= 3) {
            const volt_speed speed = {.iteration = it, .validation = it / 3, .checkpoint = 0.2};
            volt_train_state s = volt_train_state_first(&recipe);
            assert_ok(volt_budget_schedule(&s, &speed, seconds, true));
            const double epoch_s = (double)s.iterations * it + speed.checkpoint +
                                   (double)s.validation_iterations * speed.validation;
            assert_true((double)s.epochs * epoch_s <= seconds);
            /* within one iteration per epoch of the whole budget */
            assert_true((double)s.epochs * (epoch_s + it) >= seconds * 0.999);
            assert_in_range(s.validation_iterations, 2, 50);
            checked++;
        }
    }
    assert_true(checked > 50);
    const volt_speed slow = {.iteration = 60, .validation = 20, .checkpoint = 1};
    volt_train_state s = volt_train_state_first(&recipe);
    assert_fails(volt_budget_schedule(&s, &slow, 50, true), VOLT_EINVAL, "too short");
    assert_int_equal(s.epochs, 1000);
}

static void budgets_are_kept(void **state)
{
    const fixture *f = *state;
    volt_recipe recipe;
    volt_train_options o = fixture_options(&recipe, 1, 1);
    volt_train_result r;

    o.budget_s = 3;
    remove_folder("run-budget");
    assert_ok(volt_train("run-budget", &f->data, &o, NULL, &r));
    assert_true(r.finished);
    assert_true(r.epochs >= 1 && r.iterations >= 5);
    assert_true(r.seconds < 4.5); /* other programs may slow the last epoch down */
    assert_int_equal(log_lines("run-budget"), r.epochs);
    remove_folder("run-budget");
}

/* With a budget, too, resume keeps the schedule (it lies in the checkpoint). */
static void budgets_survive_a_kill(void **state)
{
    const fixture *f = *state;
    volt_recipe recipe;
    volt_train_options o = fixture_options(&recipe, 1, 1);
    volt_train_result r;

    o.budget_s = 3;
    o.checkpoint_every = 1;
    remove_folder("run-budget");
    train_and_kill("run-budget", f, &o, 4);
    o.resume = true;
    o.budget_s = 0; /* the checkpoint's holds */
    assert_ok(volt_train("run-budget", &f->data, &o, NULL, &r));
    assert_true(r.finished && r.iterations >= 5);
    assert_true(r.seconds < 4.5);
    remove_folder("run-budget");
}

/* The same on the fast device, two threads, in both precisions. Last, since a process that has
 * used a team of threads should not fork. */
static void exact_on_the_cpu_device(void **state)
{
    const fixture *f = *state;
    volt_recipe recipe;
    volt_train_options o = fixture_options(&recipe, 2, 3);
    volt_device *cpu = NULL;
    int compared = 0;

    assert_ok(volt_device_open(&cpu, "cpu"));
    o.device = "cpu";
    o.threads = 2;
    for (o.precision = VOLT_FP32; o.precision <= VOLT_BF16_MIXED; o.precision++) {
        stopper s = {.at = 4};
        const volt_callbacks cb = callbacks_of(&s);
        if (!cpu->supports(cpu, o.precision))
            continue;
        remove_folder("run-whole");
        remove_folder("run-cancelled");
        o.resume = false;
        assert_ok(volt_train("run-whole", &f->data, &o, NULL, NULL));
        assert_int_equal(volt_train("run-cancelled", &f->data, &o, &cb, NULL), VOLT_ECANCELLED);
        o.resume = true;
        assert_ok(volt_train("run-cancelled", &f->data, &o, NULL, NULL));
        assert_same_run("run-whole", "run-cancelled");
        compared++;
    }
    assert_true(compared >= 1);
    volt_device_close(cpu);
    remove_folder("run-cancelled");
    remove_folder("run-whole");
}

int main(void)
{
    struct CMUnitTest tests[] = {
        cmocka_unit_test(killed_and_resumed_is_the_same_to_the_bit),
        cmocka_unit_test(cancelled_and_resumed_is_the_same),
        cmocka_unit_test(accumulated_batches_train_as_one),
        cmocka_unit_test(learns_and_reports),
        cmocka_unit_test(divergence_stops_with_the_case),
        cmocka_unit_test(other_runs_are_refused),
        cmocka_unit_test(requests_without_sense_are_refused),
        cmocka_unit_test(full_disk_keeps_the_last_checkpoint),
        cmocka_unit_test(trains_without_validation),
        cmocka_unit_test(schedules_fill_the_budget),
        cmocka_unit_test(budgets_are_kept),
        cmocka_unit_test(budgets_survive_a_kill),
        cmocka_unit_test(exact_on_the_cpu_device),
    };

    return fixture_run_tests(tests, "trainer-store");
}
