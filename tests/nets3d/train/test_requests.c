/* What a training may be asked for, and what it leaves behind: ranges of all options, runs
 * that have ended, plans that were extended, calls that fail before they begin. */
#include <limits.h>
#include "base/core/alloc.h"
#include "nets3d/models/model_internal.h"
#include "nets3d/pipeline.h"
#include "nets3d/postprocess.h"
#include "nets3d/predict/segmenter.h"
#include "nets3d/predictor.h"
#include "nets3d/recipe.h"
#include "nets3d/run.h"
#include "nets3d/train/pace.h"
#include "nets3d/validation.h"
#include "tests/kit/train_compare.h"

/* ---- ranges ---- */

/* Refused with a sentence that holds `words`, by the check and by the training, which creates
 * nothing. */
static void refused(const fixture *f, const volt_train_options *o, const char *words)
{
    assert_fails(volt_train_check(NULL, "run-none", NULL, o), VOLT_EINVAL, words);
    assert_fails(volt_train("run-none", &f->data, o, NULL, NULL), VOLT_EINVAL, words);
    assert_false(volt_path_exists("run-none"));
}

static void numbers_out_of_range_are_refused(void **state)
{
    static const double bad[] = {-1, NAN, INFINITY, -INFINITY, 1e300};
    volt_recipe recipe;
    const volt_train_options good = fixture_options(&recipe, 1, 2);
    const volt_recipe usual = recipe;
    const struct {
        double *value;
        const char *words;
    } reals[] = {{&recipe.optimizer.lr, "learning rate"},
                 {&recipe.optimizer.momentum, "momentum"},
                 {&recipe.optimizer.beta1, "beta1"},
                 {&recipe.optimizer.beta2, "beta2"},
                 {&recipe.optimizer.eps, "eps"},
                 {&recipe.optimizer.weight_decay, "weight decay"},
                 {&recipe.optimizer.clip_norm, "clip"},
                 {&recipe.optimizer.warmup, "warm-up"},
                 {&recipe.weight_ce, "cross-entropy"},
                 {&recipe.weight_dice, "Dice"},
                 {&recipe.foreground, "foreground"}};
    const struct {
        int64_t *value;
        const char *words;
    } wholes[] = {{&recipe.epochs, "epochs"},
                  {&recipe.iterations, "iterations"},
                  {&recipe.validation_iterations, "validation iterations"},
                  {&recipe.batch, "batch"}};
    volt_train_options o = good;

    for (size_t i = 0; i < sizeof reals / sizeof *reals; i++) {
        for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
            recipe = usual;
            *reals[i].value = bad[k];
            refused(*state, &o, reals[i].words);
        }
    }
    recipe = usual;
    recipe.optimizer.lr = 0;
    refused(*state, &o, "learning rate 0; a number above 0");
    for (size_t i = 0; i < sizeof wholes / sizeof *wholes; i++) {
        recipe = usual;
        *wholes[i].value = -1;
        refused(*state, &o, wholes[i].words);
        *wholes[i].value = INT64_MAX;
        refused(*state, &o, wholes[i].words);
    }
    recipe = usual;
    recipe.dropout = NAN;
    refused(*state, &o, "dropout");
    recipe = usual;
    recipe.class_weights = INT_MAX;
    refused(*state, &o, "class weights");
    recipe = usual;
    recipe.rules = -1;
    refused(*state, &o, "parameter rules");
    recipe.rules = 1;
    memset(recipe.rule[0].pattern, 'x', sizeof recipe.rule[0].pattern);
    recipe.rule[0].scale = 1;
    refused(*state, &o, "pattern");
    recipe = usual;
    assert_ok(volt_recipe_freeze(&recipe, "encoder.*"));
    recipe.rule[0].scale = NAN;
    refused(*state, &o, "factor");
}

static void options_out_of_range_are_refused(void **state)
{
    static const double bad[] = {-1, NAN, INFINITY};
    static const volt_train_given unknown[] = {{(volt_train_field)99, NULL}};
    volt_recipe recipe;
    const volt_train_options good = fixture_options(&recipe, 1, 2);
    const volt_recipe usual = recipe;
    volt_train_options o = good;

    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        o = good;
        o.budget_s = bad[k];
        refused(*state, &o, "budget");
        o = good;
        o.checkpoint_s = bad[k];
        refused(*state, &o, "seconds between checkpoints");
    }
    o = good;
    o.checkpoint_every = -1;
    refused(*state, &o, "iterations between checkpoints -1");
    o = good;
    o.init_mode = (volt_transfer_mode)55;
    refused(*state, &o, "mode of initial weights 55; 0 to 2");
    o = good;
    o.precision = (volt_precision)7;
    refused(*state, &o, "precision 7");
    o = good;
    o.threads = -2;
    refused(*state, &o, "threads -2");
    o.threads = INT_MAX;
    refused(*state, &o, "threads");
    o = good;
    o.loader_threads = -2;
    refused(*state, &o, "loader threads -2");
    o.loader_threads = 100000;
    refused(*state, &o, "loader threads");
    o = good;
    o.givens = 1;
    refused(*state, &o, "no list");
    o.given = unknown;
    refused(*state, &o, "field 99");
    o = good;
    recipe.optimizer.kind = (volt_optimizer_kind)9;
    refused(*state, &o, "optimizer 9; 1 to 3");
    recipe = usual;
    recipe.optimizer.schedule = (volt_schedule)0;
    refused(*state, &o, "schedule 0");
    recipe = usual;
    recipe.batch_dice = (volt_batch_dice)5;
    refused(*state, &o, "batch Dice 5");
    recipe = usual;
    o.device = "abacus";
    refused(*state, &o, "abacus");
    o.device = "cpu:1";
    refused(*state, &o, "cpu:1");
    o.device = NULL;
    assert_fails(volt_train(NULL, &((fixture *)*state)->data, &o, NULL, NULL), VOLT_EINVAL,
                 "no folder");
    assert_fails(volt_train("run-none", NULL, &o, NULL, NULL), VOLT_EINVAL, "lack");
}

static void data_without_names_are_refused(void **state)
{
    const fixture *f = *state;
    const char *names[2] = {f->names[0], NULL};
    volt_recipe recipe;
    volt_train_options o = fixture_options(&recipe, 1, 2);
    volt_train_data data = f->data;

    data.train = names;
    data.train_count = 2;
    assert_fails(volt_train("run-none", &data, &o, NULL, NULL), VOLT_EINVAL,
                 "training case 1 has no name");
    data = f->data;
    data.validate = NULL;
    assert_fails(volt_train("run-none", &data, &o, NULL, NULL), VOLT_EINVAL,
                 "validation cases");
    data.validate_count = -1;
    assert_fails(volt_train("run-none", &data, &o, NULL, NULL), VOLT_EINVAL,
                 "validation cases");
    assert_false(volt_path_exists("run-none"));
}

/* The other calls around a training. */
static void unknown_values_and_null_are_refused(void **state)
{
    static const char *const runs[2] = {"nowhere", NULL};
    const volt_dataset ds = {.folder = "nowhere"};
    const volt_split split = {.vals = 0};
    volt_pipeline_options p = volt_pipeline_defaults();
    volt_predict_options o = volt_predict_defaults();
    volt_validation_options v = volt_validation_defaults();
    volt_validation_result scores;
    volt_predictor *predictor = NULL;
    volt_pipeline out = {0};
    volt_split folds = {0};

    (void)state;
    assert_fails(volt_pipeline_run(&out, &p), VOLT_EINVAL, "no folder of a data set");
    p.dataset = "nowhere";
    p.until = (volt_stage)9;
    assert_fails(volt_pipeline_run(&out, &p), VOLT_EINVAL, "stage 9; 1 to 2");
    p.until = VOLT_STAGE_PLAN;
    p.plane = (volt_plane)44;
    assert_fails(volt_pipeline_run(&out, &p), VOLT_EINVAL, "plane 44; 0 to 3");
    p.plane = VOLT_PLANE_NONE;
    p.threads = -1;
    assert_fails(volt_pipeline_run(&out, &p), VOLT_EINVAL, "threads -1");
    assert_fails(volt_predictor_open(&predictor, &runs[1], 1, &o, NULL), VOLT_EINVAL,
                 "run 0 of 1 has no path");
    assert_fails(volt_predictor_open(&predictor, NULL, 1, &o, NULL), VOLT_EINVAL, "0 runs");
    o.tiles = (volt_tile_rule)77;
    assert_fails(volt_predictor_open(&predictor, runs, 1, &o, NULL), VOLT_EINVAL,
                 "tile rule 77");
    o = volt_predict_defaults();
    o.threads = -1;
    assert_fails(volt_predictor_open(&predictor, runs, 1, &o, NULL), VOLT_EINVAL, "-1 threads");
    o = volt_predict_defaults();
    o.precision = (volt_precision)9;
    assert_fails(volt_predictor_open(&predictor, runs, 1, &o, NULL), VOLT_EINVAL,
                 "precision 9");
    o = volt_predict_defaults();
    o.step = NAN;
    assert_fails(volt_predictor_open(&predictor, runs, 1, &o, NULL), VOLT_EINVAL, "step");
    assert_fails(volt_split_for_fold(&folds, &ds, NULL, 0, NULL), VOLT_EINVAL,
                 "path of its file");
    assert_fails(volt_split_for_fold(&folds, NULL, "x", 0, NULL), VOLT_EINVAL, "data set");
    assert_fails(volt_validate(&scores, NULL, &ds, &split, &v, NULL), VOLT_EINVAL, "a run");
    assert_fails(volt_validate(&scores, "run", &ds, NULL, &v, NULL), VOLT_EINVAL, "a split");
    v.threads = -7;
    assert_fails(volt_validate(&scores, "run", &ds, &split, &v, NULL), VOLT_EINVAL, "-7");
}

/* ---- what a failed call leaves ---- */

static void failures_at_the_start_leave_nothing(void **state)
{
    static const char *const missing[] = {"tiny_0", "no_such_case"};
    const fixture *f = *state;
    volt_recipe recipe;
    volt_train_options o = fixture_options(&recipe, 1, 2);
    const volt_train_options good = o;
    volt_train_data data = f->data;
    char *path = NULL, *bytes = NULL;
    size_t count = 0;

    data.train = missing;
    data.train_count = 2;
    assert_fails(volt_train("new/run", &data, &o, NULL, NULL), VOLT_EIO, "no_such_case");
    assert_false(volt_path_exists("new"));
    data = f->data;
    data.validate = missing;
    assert_fails(volt_train("new/run", &data, &o, NULL, NULL), VOLT_EIO, "no_such_case");
    assert_false(volt_path_exists("new"));
    o.init = "nowhere";
    assert_fails(volt_train_check(NULL, "new/run", NULL, &o), VOLT_EIO, "nowhere");
    assert_fails(volt_train("new/run", &f->data, &o, NULL, NULL), VOLT_EIO, "nowhere");
    assert_false(volt_path_exists("new"));
    o = good;
    o.budget_s = 1e-6; /* found out when iterations have been measured */
    assert_fails(volt_train("new/run", &f->data, &o, NULL, NULL), VOLT_EINVAL, "too short");
    assert_false(volt_path_exists("new"));
    o = good;
    recipe.batch = 1 << 20;
    assert_fails(volt_train_check(NULL, "new/run", &f->data, &o), VOLT_ENOMEM, "smaller batch");
    assert_fails(volt_train("new/run", &f->data, &o, NULL, NULL), VOLT_ENOMEM, "smaller batch");
    assert_false(volt_path_exists("new"));
    recipe.batch = 2;
    /* Voxels are only verified when they are used: the run has begun by then. */
    assert_ok(volt_format(&path, "%s/%s" VOLT_CASE_SUFFIX, f->store, f->name[0]));
    assert_ok(volt_read_file(&bytes, &count, path, 1 << 24));
    bytes[count / 2] ^= 1;
    assert_ok(volt_write_file(path, bytes, count));
    data = f->data;
    data.train_count = 1;
    assert_fails(volt_train("new/run", &data, &o, NULL, NULL), VOLT_EFORMAT, "tiny_0");
    assert_false(volt_path_exists("new"));
    assert_ok(volt_make_dirs("new"));
    assert_fails(volt_train("new", &data, &o, NULL, NULL), VOLT_EFORMAT, "tiny_0");
    assert_true(volt_path_is_dir("new")); /* it was there before */
    remove_folder("new");
    bytes[count / 2] ^= 1;
    assert_ok(volt_write_file(path, bytes, count));
    assert_ok(volt_train("new/run", &data, &o, NULL, NULL));
    assert_ok(volt_write_file("file", "x", 1));
    assert_fails(volt_train("file", &data, &o, NULL, NULL), VOLT_EINVAL, "file is a file");
    remove("file");
    volt_free(bytes);
    volt_free(path);
    remove_folder("new/run");
    remove_folder("new");
}

/* Killed before its first iteration, a run has nothing to lose and does not stand in the way.
 */
static void a_run_without_iterations_is_replaced(void **state)
{
    const fixture *f = *state;
    volt_recipe recipe;
    volt_train_options o = fixture_options(&recipe, 1, 2);
    volt_checkpoint_head head;
    volt_train_state first;
    volt_graph *g = NULL;
    float *weights = NULL;

    remove_folder("run-killed");
    remove_folder("run-whole");
    assert_ok(volt_train("run-whole", &f->data, &o, NULL, NULL));
    assert_ok(volt_train("run-killed", &f->data, &o, NULL, NULL));
    assert_ok(volt_checkpoint_read_head(&head, "run-killed" LATEST));
    assert_ok(volt_network_build(&g, &f->data.config->net, true));
    assert_ok(volt_alloc_zero(&weights, (size_t)volt_graph_param_elements(g), sizeof *weights,
                              "a test"));
    first = volt_train_state_first(&recipe);
    volt_free(head.state);
    assert_ok(volt_train_state_text(&head.state, &first));
    head.slots = 0;
    assert_ok(volt_checkpoint_write("run-killed" LATEST, &head, g, weights, NULL));
    assert_ok(volt_train_check(NULL, "run-killed", &f->data, &o));
    assert_ok(volt_train("run-killed", &f->data, &o, NULL, NULL));
    assert_same_run("run-whole", "run-killed");
    assert_fails(volt_train_check(NULL, "run-killed", NULL, &o), VOLT_EDATA,
                 "already contains a run");
    volt_checkpoint_head_free(&head);
    volt_free(weights);
    volt_graph_free(g);
    remove_folder("run-whole");
    remove_folder("run-killed");
}

/* A recipe or state that was damaged behind the checksum's back is refused with the file's
 * name. */
static void damaged_recipes_and_states_are_refused(void **state)
{
    static const struct {
        bool recipe;
        const char *from, *to, *words;
    } damage[] = {
        {true, "\"lr\":0.001", "\"lr\":-1.00", "lr"},
        {true, "\"lr\":0.001", "\"lr\":1e300", "learning rate 1e+300"},
        {true, "\"lr\":0.001", "\"lr\":null0", "JSON"},
        {true, "\"lr\":0.001", "\"lr\":0.000", "learning rate 0"},
        {true, "\"optimizer\":3", "\"optimizer\":9", "optimizer"},
        {true, "\"batch\":2", "\"batch\":0", "batch"},
        {true, "\"dropout\":-1.0", "\"dropout\":-0.5", "dropout"},
        {true, "\"class_weights\":[]", "\"class_weights\":[1]", "1 class weight"},
        {false, "\"iteration\":2", "\"iteration\":9", "iteration 9"},
        {false, "\"iteration\":2", "\"iteration\":-2", "iteration"},
        {false, "\"steps\":2", "\"steps\":3", "contradicts"},
        {false, "\"iterations\":2", "\"iterations\":0", "iterations"},
        {false, "\"seconds\":", "\"seconds\":-1", "seconds"},
        {false, "\"epochs\":1", "\"epochs\":[]", "epochs"},
    };
    const fixture *f = *state;
    volt_recipe recipe;
    volt_train_options o = fixture_options(&recipe, 1, 2);
    volt_checkpoint_head head;
    volt_graph *g = NULL;
    float *weights = NULL;

    remove_folder("run-damaged");
    assert_ok(volt_train("run-damaged", &f->data, &o, NULL, NULL));
    assert_ok(volt_checkpoint_read_head(&head, "run-damaged" LATEST));
    assert_ok(volt_network_build(&g, &f->data.config->net, true));
    assert_ok(volt_alloc_zero(&weights, (size_t)volt_graph_param_elements(g), sizeof *weights,
                              "a test"));
    head.slots = 0;
    o.resume = o.change_length = true;
    recipe.epochs = 2;
    for (size_t i = 0; i < sizeof damage / sizeof *damage; i++) {
        char **text = damage[i].recipe ? &head.recipe : &head.state, *whole = *text, *bad;
        const char *at = strstr(whole, damage[i].from);
        assert_non_null(at);
        assert_ok(volt_format(&bad, "%.*s%s%s", (int)(at - whole), whole, damage[i].to,
                              at + strlen(damage[i].from)));
        *text = bad;
        assert_ok(volt_checkpoint_write("run-damaged" LATEST, &head, g, weights, NULL));
        assert_fails(volt_train("run-damaged", &f->data, &o, NULL, NULL), VOLT_EFORMAT,
                     damage[i].words);
        assert_non_null(strstr(volt_last_error(), "run-damaged" LATEST));
        *text = whole;
        volt_free(bad);
    }
    volt_checkpoint_head_free(&head);
    volt_free(weights);
    volt_graph_free(g);
    remove_folder("run-damaged");
}

/* Steps of post-processing that a file should not hold. */
static void damaged_steps_are_refused(void **state)
{
#define STEPS(fns, kwargs)                                                                     \
    "{\"postprocessing_fns\": [" fns "], \"postprocessing_kwargs\": [" kwargs "]}"
#define FN "\"remove_all_but_largest_component_from_segmentation\""
    static const char *const bad[] = {"",
                                      "[]",
                                      "{",
                                      "{\"postprocessing_fns\": []}",
                                      STEPS(FN, ""),
                                      STEPS("", "{\"labels_or_regions\": 1}"),
                                      STEPS(FN, "{}"),
                                      STEPS(FN, "{\"labels_or_regions\": -1}"),
                                      STEPS(FN, "{\"labels_or_regions\": 1e99}"),
                                      STEPS(FN, "{\"labels_or_regions\": NaN}"),
                                      STEPS(FN, "{\"labels_or_regions\": []}"),
                                      STEPS(FN, "{\"labels_or_regions\": [1, \"a\"]}"),
                                      STEPS("7", "{}")};
    volt_postprocess p = {0};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_ok(volt_write_file("steps.json", bad[i], strlen(bad[i])));
        assert_int_equal(volt_postprocess_read(&p, "steps.json"), VOLT_EFORMAT);
        assert_non_null(strstr(volt_last_error(), "steps.json"));
        assert_int_equal(p.count, 0);
    }
    remove("steps.json");
#undef FN
#undef STEPS
}

/* ---- resuming ---- */

static void a_run_that_has_ended_stays_as_it_is(void **state)
{
    const fixture *f = *state;
    volt_recipe recipe;
    volt_train_options o = fixture_options(&recipe, 2, 2);
    volt_train_result r = {.epochs = 7}, before;
    char *a = NULL, *b = NULL;
    size_t bytes_a, bytes_b;

    remove_folder("run-ended");
    assert_ok(volt_train_check(&r, "run-ended", NULL, &o));
    assert_false(r.ended_before);
    assert_ok(volt_train("run-ended", &f->data, &o, NULL, &before));
    assert_false(before.ended_before);
    assert_ok(volt_read_file(&a, &bytes_a, "run-ended" LATEST, 1 << 24));
    o.resume = true;
    assert_ok(volt_train_check(&r, "run-ended", NULL, &o));
    assert_true(r.ended_before);
    assert_ok(volt_train("run-ended", &f->data, &o, NULL, &r));
    assert_true(r.ended_before && r.finished && r.epochs == 2 && r.iterations == 4);
    assert_true(r.train_loss == before.train_loss && r.best_ema == before.best_ema);
    assert_ok(volt_read_file(&b, &bytes_b, "run-ended" LATEST, 1 << 24));
    assert_int_equal(bytes_a, bytes_b);
    assert_memory_equal(a, b, bytes_a);
    o.change_length = true; /* the length that it has */
    assert_ok(volt_train_check(&r, "run-ended", NULL, &o));
    assert_true(r.ended_before);
    recipe.epochs = 3;
    assert_ok(volt_train_check(&r, "run-ended", &f->data, &o));
    assert_false(r.ended_before);
    assert_ok(volt_train("run-ended", &f->data, &o, NULL, &r));
    assert_true(!r.ended_before && r.epochs == 3);
    volt_free(b);
    volt_free(a);
    remove_folder("run-ended");
}

/* Another configuration, other names and medians in the plan: nothing that the run uses. */
static void only_the_own_configuration_counts(void **state)
{
    const fixture *f = *state;
    volt_recipe recipe;
    volt_train_options o = fixture_options(&recipe, 1, 2);
    volt_plan plan = *f->plan;
    const volt_predict_options predict = volt_predict_defaults();
    const char *const both[2] = {"run-plan", "run-later"};
    volt_segmenter *seg = NULL;
    volt_plan_config two[2] = {f->plan->config[0], f->plan->config[0]};
    volt_dataset_info info = f->info;
    volt_train_data data = f->data;
    volt_train_result r;

    remove_folder("run-plan");
    assert_ok(volt_train("run-plan", &f->data, &o, NULL, NULL));
    two[0].next_stage = "another";
    two[0].median_shape[1] += 3;
    two[1].name = "another";
    plan.config = two;
    plan.configs = 2;
    plan.dataset_name = "Renamed";
    plan.original_median_spacing[0] *= 2;
    info.name = "Renamed";
    info.num_training = 77;
    data.plan = &plan;
    data.config = &two[0];
    data.info = &info;
    o.resume = o.change_length = true;
    recipe.epochs = 2;
    assert_ok(volt_train("run-plan", &data, &o, NULL, &r));
    assert_true(r.finished && r.epochs == 2);
    /* Their logits are averaged, as those of folds of one plan. */
    remove_folder("run-later");
    o.resume = o.change_length = false;
    assert_ok(volt_train("run-later", &data, &o, NULL, NULL));
    o.resume = o.change_length = true;
    assert_ok(volt_segmenter_open(&seg, both, 2, &predict, NULL));
    assert_int_equal(seg->sets, 1);
    volt_segmenter_free(seg);
    remove_folder("run-later");
    two[0].patch[1] *= 2;
    assert_fails(volt_train("run-plan", &data, &o, NULL, NULL), VOLT_EDATA,
                 "another plan: configurations.3d_fullres.patch_size[1] differs");
    two[0].patch[1] /= 2;
    data.config = &two[1];
    assert_fails(volt_train("run-plan", &data, &o, NULL, NULL), VOLT_EDATA,
                 "trained as configuration 3d_fullres, not another");
    remove_folder("run-plan");
}

/* ---- what is told ---- */

/* The first three iterations tell how long it will take, unless that is short or a budget sets
 * it. */
static void the_pace_is_told_where_it_matters(void **state)
{
    const volt_recipe recipe = volt_recipe_nnunet();
    volt_train_state s = volt_train_state_first(&recipe);
    char line[320];

    (void)state;
    s.iteration = 3;
    volt_pace_text(line, sizeof line, &s, 0.5, 1 << 20, 0);
    assert_string_equal(line,
                        "the training will take about 37.0 h here (epochs: 1000 of 250 "
                        "iterations, 0.50 s each); a budget of 30 min would make it 30 epochs "
                        "of 111 iterations");
    volt_pace_text(line, sizeof line, &s, 1e-5, 1 << 20, 0);
    assert_string_equal(line, "");
    s.epochs = 1;
    volt_pace_text(line, sizeof line, &s, 0.5, 1 << 20, 0);
    assert_string_equal(line, "the training will take about 2 min here (epochs: 1 of 250 "
                              "iterations, 0.50 s each); a budget of 1 min would make it 20 "
                              "epochs of 5 iterations");
    volt_pace_text(line, sizeof line, &s, 0.1, 1 << 20, 4);
    assert_string_equal(line, "this fold will take about 26 s here, 2 min with the 4 folds "
                              "after it (epochs: 1 of 250 iterations, 0.10 s each)");
    s = volt_train_state_first(&recipe);
    s.epoch = 500;
    s.iteration = 500 * 250 + 3;
    volt_pace_text(line, sizeof line, &s, 2, 1 << 20, 0);
    assert_string_equal(line, "the rest will take about 3.1 days here (epochs: 500 of 250 "
                              "iterations, 2.00 s each)");
}

/* Lines of epochs fit a terminal of 80 columns. */
static void epochs_fit_a_line(void **state)
{
    const fixture *f = *state;
    volt_recipe recipe;
    volt_train_options o = fixture_options(&recipe, 12, 1);
    fixture_log l = {.warnings = 0};
    const volt_callbacks cb = fixture_listen(&l);
    int epochs = 0;

    remove_folder("run-lines");
    assert_ok(volt_train("run-lines", &f->data, &o, &cb, NULL));
    for (char *line = strtok(l.text, "\n"); line; line = strtok(NULL, "\n")) {
        if (strncmp(line, "epoch ", 6) != 0)
            continue;
        assert_true(strlen(line) <= 80 - strlen("1000/1000") + strlen("12/12"));
        assert_non_null(strstr(line, "Dice "));
        epochs++;
    }
    assert_int_equal(epochs, 12);
    remove_folder("run-lines");
}

static void freezing_random_values_is_told(void **state)
{
    const fixture *f = *state;
    volt_recipe recipe;
    volt_train_options o = fixture_options(&recipe, 1, 1);
    fixture_log l = {.warnings = 0};
    const volt_callbacks cb = fixture_listen(&l);

    remove_folder("run-frozen");
    assert_ok(volt_recipe_freeze(&recipe, "encoder.*"));
    assert_ok(volt_train("run-frozen", &f->data, &o, &cb, NULL));
    assert_non_null(strstr(l.text, "parameters are frozen at random values"));
    assert_true(l.warnings >= 1);
    remove_folder("run-frozen");
}

int main(void)
{
    struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_out_of_range_are_refused),
        cmocka_unit_test(options_out_of_range_are_refused),
        cmocka_unit_test(data_without_names_are_refused),
        cmocka_unit_test(unknown_values_and_null_are_refused),
        cmocka_unit_test(failures_at_the_start_leave_nothing),
        cmocka_unit_test(a_run_without_iterations_is_replaced),
        cmocka_unit_test(damaged_recipes_and_states_are_refused),
        cmocka_unit_test(damaged_steps_are_refused),
        cmocka_unit_test(a_run_that_has_ended_stays_as_it_is),
        cmocka_unit_test(only_the_own_configuration_counts),
        cmocka_unit_test(the_pace_is_told_where_it_matters),
        cmocka_unit_test(epochs_fit_a_line),
        cmocka_unit_test(freezing_random_values_is_told),
    };

    return fixture_run_tests(tests, "requests-store");
}
