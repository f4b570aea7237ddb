/* What a recipe may ask for: losses of regions, ignore labels, class weights, frozen
 * parameters, weights to start from, other lengths; each resumed bit-identically. And the
 * warnings.
 */
#include "base/system/temporary.h"
#include "io/json/json.h"
#include "nets3d/models/model_internal.h"
#include "nets3d/recipe.h"
#include "nets3d/run.h"
#include "nets3d/train/session.h"
#include "tests/kit/train_compare.h"

#define NO_RATE 1e-30 /* above 0, and too small to change a weight */

/* Lines of the log that hold a word. */
typedef struct listener {
    const char *words;
    int heard;
    volt_log_level level; /* of the last */
} listener;

static void on_log(void *user, volt_log_level level, const char *line)
{
    listener *l = user;

    if (strstr(line, l->words)) {
        l->heard++;
        l->level = level;
    }
}

static volt_callbacks listening(listener *l)
{
    return (volt_callbacks){.user = l, .log = on_log};
}

/* A fixture whose network has as many outputs as its description needs. */
static void open_as(fixture *f, const char *dataset)
{
    fixture_open_as(f, "store-recipes", dataset);
    volt_network_spec(&f->data.config->net)->out_channels = volt_dataset_info_outputs(&f->info);
}

/* One line of log.jsonl; the caller releases it. */
static json_t *last_line(const char *run)
{
    char *text = NULL, *path = NULL, *line, *last = NULL;
    json_t *object;

    assert_ok(volt_path_join(&path, run, "log.jsonl"));
    assert_ok(volt_read_file(&text, NULL, path, 1 << 20));
    for (line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
        last = line;
    assert_non_null(last);
    object = json_loads(last, 0, NULL);
    assert_non_null(object);
    volt_free(path);
    volt_free(text);
    return object;
}

static double dice_in_log(const char *run, const char *name)
{
    json_t *line = last_line(run);
    const json_t *value = json_object_get(json_object_get(line, "dice"), name);
    const double dice = json_is_number(value) ? json_number_value(value) : NAN;

    json_decref(line);
    return dice;
}

/* ---- losses ---- */

/* Nested regions are learned by a network with one sigmoid for each, all voxels labelled or
 * one in three only. */
static void regions_are_learned(void **state)
{
    static const char *const texts[2] = {fixture_regions, fixture_regions_ignore};

    (void)state;
    for (int i = 0; i < 2; i++) {
        volt_recipe recipe;
        volt_train_options o = fixture_options(&recipe, 6, 25);
        volt_train_result r;
        json_t *line;
        fixture f;
        open_as(&f, texts[i]);
        recipe.optimizer.lr = 1e-2;
        recipe.augment = false;
        remove_folder("run-regions");
        assert_ok(volt_train("run-regions", &f.data, &o, NULL, &r));
        assert_true(r.mean_dice > 0.5);
        assert_true(dice_in_log("run-regions", "any") > 0.5);
        assert_true(dice_in_log("run-regions", "cube") > 0.3);
        line = last_line("run-regions");
        assert_int_equal(json_object_size(json_object_get(line, "dice")), 2);
        assert_true(json_number_value(json_object_get(line, "accuracy")) > 0.9);
        json_decref(line);
        remove_folder("run-regions");
        fixture_close(&f);
    }
}

/* Every option that decides results, killed twice and resumed. */
static void odd_recipes_resume_to_the_bit(void **state)
{
    static const char *const texts[3] = {fixture_regions, fixture_ignore,
                                         fixture_regions_ignore};

    (void)state;
    for (int i = 0; i < 3; i++) {
        volt_recipe recipe;
        volt_train_options o = fixture_options(&recipe, 3, 5);
        fixture f;
        open_as(&f, texts[i]);
        recipe.optimizer = volt_optimizer_usual(i == 0   ? VOLT_ADAM
                                                : i == 1 ? VOLT_ADAMW
                                                         : VOLT_SGD);
        recipe.optimizer.schedule = (volt_schedule)(i + 1);
        recipe.batch_dice = i % 2;
        recipe.dropout = 0.2;
        recipe.sigmoid = i == 1;
        recipe.class_weights = volt_dataset_info_outputs(&f.info);
        for (int k = 0; k < recipe.class_weights; k++)
            recipe.class_weight[k] = 0.5 + k;
        assert_ok(volt_recipe_freeze(&recipe, "encoder.stages.0.*"));
        assert_ok(volt_recipe_add_scales(&recipe, "*.norm.weight=0.1,*.norm.bias=3"));
        remove_folder("run-whole");
        remove_folder("run-killed");
        assert_ok(volt_train("run-whole", &f.data, &o, NULL, NULL));
        o.checkpoint_every = 2;
        train_and_kill("run-killed", &f, &o, 8);
        o.resume = true;
        o.recipe = NULL; /* nnU-Net's; the run's own holds */
        train_and_kill("run-killed", &f, &o, 12);
        assert_ok(volt_train("run-killed", &f.data, &o, NULL, NULL));
        assert_same_run("run-whole", "run-killed");
        remove_folder("run-killed");
        remove_folder("run-whole");
        fixture_close(&f);
    }
}

/* A weight of 0 takes a class out of the loss: it is not learned while the other is. */
static void class_weights_decide_what_is_learned(void **state)
{
    volt_recipe recipe;
    volt_train_options o = fixture_options(&recipe, 5, 25);
    fixture f;

    (void)state;
    open_as(&f, fixture_regions);
    recipe.optimizer.lr = 1e-2;
    recipe.augment = false;
    recipe.class_weights = 2;
    recipe.class_weight[0] = 1;
    remove_folder("run-weights");
    assert_ok(volt_train("run-weights", &f.data, &o, NULL, NULL));
    assert_true(dice_in_log("run-weights", "any") > 0.5);
    assert_true(dice_in_log("run-weights", "cube") < 0.3);
    remove_folder("run-weights");
    fixture_close(&f);
}

static void contradictions_are_refused(void **state)
{
    volt_recipe recipe;
    volt_train_options o = fixture_options(&recipe, 1, 2);
    const volt_recipe good = recipe;
    fixture f;

    (void)state;
    open_as(&f, fixture_dataset);
    recipe.class_weights = 2;
    recipe.class_weight[0] = recipe.class_weight[1] = 1;
    assert_fails(volt_train("run-none", &f.data, &o, NULL, NULL), VOLT_EINVAL,
                 "2 class weights");
    recipe.class_weights = 3;
    recipe.class_weight[2] = -1;
    assert_fails(volt_train("run-none", &f.data, &o, NULL, NULL), VOLT_EINVAL, "class cube");
    memset(recipe.class_weight, 0, sizeof recipe.class_weight);
    assert_fails(volt_train("run-none", &f.data, &o, NULL, NULL), VOLT_EINVAL, "are 0");
    recipe = good;
    recipe.weight_ce = recipe.weight_dice = 0;
    assert_fails(volt_train("run-none", &f.data, &o, NULL, NULL), VOLT_EINVAL, "0 for Dice");
    recipe = good;
    recipe.dropout = 1;
    assert_fails(volt_train("run-none", &f.data, &o, NULL, NULL), VOLT_EINVAL, "dropout 1");
    recipe = good;
    assert_ok(volt_recipe_freeze(&recipe, "encoder.*,decoder.nonsense.*"));
    assert_fails(volt_train("run-none", &f.data, &o, NULL, NULL), VOLT_EINVAL, "nonsense");
    recipe = good;
    recipe.size = 0;
    assert_fails(volt_train("run-none", &f.data, &o, NULL, NULL), VOLT_EINVAL,
                 "volt_recipe has size 0");
    assert_fails(volt_recipe_freeze(&recipe, "*"), VOLT_EINVAL, "volt_recipe has size 0");
    recipe = good;
    assert_ok(volt_recipe_freeze(&recipe, "*"));
    assert_fails(volt_train("run-none", &f.data, &o, NULL, NULL), VOLT_EINVAL, "frozen");
    volt_network_spec(&f.data.config->net)->out_channels = 5;
    recipe = good;
    assert_fails(volt_train("run-none", &f.data, &o, NULL, NULL), VOLT_EINVAL, "3 outputs");
    remove_folder("run-none");
    fixture_close(&f);
}

static void rules_are_read_as_written(void **state)
{
    volt_recipe r = volt_recipe_nnunet();

    (void)state;
    assert_ok(volt_recipe_add_scales(&r, "a.*=0.5,b=2"));
    assert_ok(volt_recipe_freeze(&r, "c?,d"));
    assert_int_equal(r.rules, 4);
    assert_string_equal(r.rule[0].pattern, "a.*");
    assert_true(r.rule[0].scale == 0.5 && r.rule[1].scale == 2 && r.rule[3].scale == 0);
    assert_fails(volt_recipe_add_scales(&r, "a"), VOLT_EINVAL, "factor");
    assert_fails(volt_recipe_add_scales(&r, "a=x"), VOLT_EINVAL, "a=x");
    assert_fails(volt_recipe_add_scales(&r, "a=-1"), VOLT_EINVAL, "a=-1");
    assert_fails(volt_recipe_add_scales(&r, "a=nan"), VOLT_EINVAL, "a=nan");
    assert_fails(volt_recipe_freeze(&r, "a=1"), VOLT_EINVAL, "without a factor");
    assert_fails(volt_recipe_freeze(&r, "a,,b"), VOLT_EINVAL, "pattern");
    assert_fails(volt_recipe_freeze(&r, ""), VOLT_EINVAL, "pattern");
    assert_fails(volt_recipe_add_scales(&r, "a=1e7"), VOLT_EINVAL, "a=1e7");
    r.rules = VOLT_MAX_PARAM_RULES;
    assert_fails(volt_recipe_freeze(&r, "a"), VOLT_EINVAL, "more than");
}

/* ---- rates of parameters ---- */

/* Tensor `name` of a run's checkpoint; the file must stay open. */
static const volt_tensor_view *tensor_of(volt_safetensors **file, const char *run,
                                         const char *name)
{
    const volt_tensor_view *v;
    char path[128];

    snprintf(path, sizeof path, "%s" LATEST, run);
    assert_ok(volt_safetensors_open(file, path));
    v = volt_safetensors_find(*file, name);
    assert_non_null(v);
    return v;
}

static double largest_change(const char *a, const char *b, const char *name)
{
    volt_safetensors *file[2];
    const volt_tensor_view *x = tensor_of(&file[0], a, name), *y = tensor_of(&file[1], b, name);
    double most = 0;

    assert_int_equal(x->bytes, y->bytes);
    for (size_t i = 0; i < x->bytes / sizeof(float); i++)
        most = fmax(most, fabs((double)((const float *)x->data)[i] -
                               (double)((const float *)y->data)[i]));
    volt_safetensors_close(file[1]);
    volt_safetensors_close(file[0]);
    return most;
}

#define FIRST  "encoder.stages.0.0.convs.0.conv.weight"
#define SECOND "encoder.stages.1.0.convs.0.conv.weight"
#define HEAD   "decoder.seg_layers.0.weight"

/* After one step of AdamW each weight has moved by about the rate: nothing where frozen, a
 * tenth where scaled by it. */
static void frozen_parameters_stay_scaled_ones_move_less(void **state)
{
    volt_recipe recipe;
    volt_train_options o = fixture_options(&recipe, 1, 1);
    fixture f;

    (void)state;
    open_as(&f, fixture_dataset);
    recipe.optimizer.warmup = 0;
    recipe.optimizer.schedule = VOLT_SCHEDULE_CONSTANT;
    recipe.optimizer.lr = NO_RATE;
    remove_folder("run-start");
    remove_folder("run-rules");
    assert_ok(volt_train("run-start", &f.data, &o, NULL, NULL));
    recipe.optimizer.lr = 1e-3;
    recipe.optimizer.weight_decay = 0.5;
    assert_ok(volt_recipe_freeze(&recipe, "*.stages.0.*,decoder.seg_layers.*"));
    assert_ok(volt_recipe_add_scales(&recipe, "decoder.seg_layers.*=0.1"));
    assert_ok(volt_train("run-rules", &f.data, &o, NULL, NULL));
    assert_true(largest_change("run-start", "run-rules", FIRST) == 0);
    assert_true(largest_change("run-start", "run-rules", SECOND) > 0.9e-3);
    assert_true(largest_change("run-start", "run-rules", HEAD) > 0.9e-4);
    assert_true(largest_change("run-start", "run-rules", HEAD) < 1.6e-4);
    remove_folder("run-rules");
    remove_folder("run-start");
    fixture_close(&f);
}

/* ---- dropout ---- */

/* Validation is evaluated as prediction is: without dropout, whatever its probability. */
static void validation_has_no_dropout(void **state)
{
    double loss[3], dice[3];
    fixture f;

    (void)state;
    open_as(&f, fixture_dataset);
    for (int i = 0; i < 3; i++) {
        volt_recipe recipe;
        volt_train_options o = fixture_options(&recipe, 2, 2);
        json_t *line;
        recipe.optimizer.lr = NO_RATE;
        recipe.dropout = 0.25 * i;
        remove_folder("run-dropout");
        assert_ok(volt_train("run-dropout", &f.data, &o, NULL, NULL));
        line = last_line("run-dropout");
        loss[i] = json_number_value(json_object_get(line, "validation_loss"));
        dice[i] = json_number_value(json_object_get(line, "mean_dice"));
        json_decref(line);
        assert_true(isfinite(loss[i]) && loss[i] != 0);
    }
    assert_true(loss[1] == loss[0] && loss[2] == loss[0]);
    assert_true(dice[1] == dice[0] && dice[2] == dice[0]);
    remove_folder("run-dropout");
    fixture_close(&f);
}

/* ---- another length ---- */

/* With a constant rate a run of 2 epochs that is extended to 4 is the run of 4 epochs. */
static void an_extended_run_is_the_longer_run(void **state)
{
    volt_recipe recipe;
    volt_train_options o = fixture_options(&recipe, 4, 3);
    listener l = {.words = "4 epochs instead of 2"};
    const volt_callbacks cb = listening(&l);
    volt_train_result r;
    fixture f;

    (void)state;
    open_as(&f, fixture_dataset);
    recipe.optimizer.schedule = VOLT_SCHEDULE_CONSTANT;
    recipe.optimizer.warmup = 0;
    remove_folder("run-long");
    remove_folder("run-short");
    assert_ok(volt_train("run-long", &f.data, &o, NULL, NULL));
    recipe.epochs = 2;
    assert_ok(volt_train("run-short", &f.data, &o, NULL, &r));
    assert_true(r.finished && r.epochs == 2);
    o.resume = true;
    recipe.epochs = 4; /* without a word nothing changes */
    assert_ok(volt_train("run-short", &f.data, &o, NULL, &r));
    assert_true(r.finished && r.epochs == 2);
    o.change_length = true;
    assert_ok(volt_train("run-short", &f.data, &o, &cb, &r));
    assert_true(r.finished && r.epochs == 4);
    assert_int_equal(l.heard, 1);
    assert_same_run("run-long", "run-short");
    recipe.epochs = 3;
    assert_fails(volt_train("run-short", &f.data, &o, NULL, NULL), VOLT_EINVAL,
                 "cannot end after 3");
    remove_folder("run-short");
    remove_folder("run-long");
    fixture_close(&f);
}

/* Under a falling rate it continues as a longer run would, and bit-identically when killed
 * after the change. */
static void changed_lengths_move_the_rate_and_resume(void **state)
{
    volt_recipe recipe;
    volt_train_options o = fixture_options(&recipe, 4, 4);
    stopper s = {.at = 6};
    const volt_callbacks cb = callbacks_of(&s);
    volt_train_result r;
    json_t *line;
    fixture f;

    (void)state;
    open_as(&f, fixture_dataset);
    recipe.optimizer = volt_optimizer_nnunet();
    for (int i = 0; i < 2; i++) {
        const char *run = i ? "run-killed" : "run-whole";
        remove_folder(run);
        o.resume = o.change_length = false;
        recipe.epochs = 4;
        s.reached = false;
        assert_int_equal(volt_train(run, &f.data, &o, &cb, NULL), VOLT_ECANCELLED);
        o.resume = o.change_length = true;
        recipe.epochs = 3;
        if (i) {
            o.checkpoint_every = 1;
            train_and_kill(run, &f, &o, 9);
            o.change_length = false; /* it is the run's own by now */
        }
        assert_ok(volt_train(run, &f.data, &o, NULL, &r));
        assert_true(r.finished && r.epochs == 3);
    }
    assert_same_run("run-whole", "run-killed");
    line = last_line("run-whole");
    assert_true(fabs(json_number_value(json_object_get(line, "lr")) -
                     0.01 * pow(1 - 2.0 / 3, 0.9)) < 1e-12);
    json_decref(line);
    remove_folder("run-killed");
    remove_folder("run-whole");
    fixture_close(&f);
}

static void budgets_may_be_extended(void **state)
{
    volt_recipe recipe;
    volt_train_options o = fixture_options(&recipe, 1, 1);
    volt_train_result r, more;
    fixture f;

    (void)state;
    open_as(&f, fixture_dataset);
    o.budget_s = 2;
    remove_folder("run-budget");
    assert_ok(volt_train("run-budget", &f.data, &o, NULL, &r));
    o.resume = o.change_length = true;
    assert_ok(volt_train("run-budget", &f.data, &o, NULL, &more)); /* the same: nothing to do */
    assert_int_equal(more.epochs, r.epochs);
    o.budget_s = 4;
    assert_ok(volt_train("run-budget", &f.data, &o, NULL, &more));
    assert_true(more.finished && more.epochs > r.epochs);
    assert_true(more.seconds < 6);
    remove_folder("run-budget");
    fixture_close(&f);
}

/* ---- warnings ---- */

static void classes_that_never_come_are_named(void **state)
{
    volt_recipe recipe;
    volt_train_options o = fixture_options(&recipe, 3, 4);
    listener l = {.words = "class ghost is in no training batch of epoch 1 (4 batches)"};
    const volt_callbacks cb = listening(&l);
    fixture f;

    (void)state;
    open_as(&f, fixture_ghost);
    recipe.foreground = 1;
    remove_folder("run-ghost");
    assert_ok(volt_train("run-ghost", &f.data, &o, &cb, NULL));
    assert_int_equal(l.heard, 1);
    assert_int_equal(l.level, VOLT_LOG_WARNING);
    l = (listener){.words = "class cube is in no training batch"};
    remove_folder("run-ghost");
    assert_ok(volt_train("run-ghost", &f.data, &o, &cb, NULL));
    assert_int_equal(l.heard, 0);
    l = (listener){.words = "class ghost is in no training batch of epoch 1 (8 batches)"};
    recipe.accumulate = 2;
    remove_folder("run-ghost");
    assert_ok(volt_train("run-ghost", &f.data, &o, &cb, NULL));
    assert_int_equal(l.heard, 1);
    remove_folder("run-ghost");
    fixture_close(&f);
}

/* How often a run with two batches per iteration says that its result is not that of a whole
 * batch, in these words. */
static int notes_of_parts(const char *dataset, const volt_train_options *o, const char *words)
{
    listener all = {.words = "computed for each of a batch's 2 parts"}, l = {.words = words};
    const volt_callbacks cb = listening(&all), named = listening(&l);
    fixture f;

    open_as(&f, dataset);
    for (int i = 0; i < 2; i++) {
        remove_folder("run-parts");
        assert_ok(volt_train("run-parts", &f.data, o, i ? &named : &cb, NULL));
    }
    assert_int_equal(all.heard, l.heard);
    remove_folder("run-parts");
    fixture_close(&f);
    return all.heard;
}

static void means_over_parts_are_noted(void **state)
{
    static const char dice[] = "batch Dice is computed",
                      entropy[] = "the mean cross-entropy is computed",
                      both[] = "batch Dice and the mean cross-entropy are computed",
                      none[] = "of a batch's 2 parts";
    volt_recipe recipe;
    volt_train_options o = fixture_options(&recipe, 1, 1);

    (void)state;
    recipe.accumulate = 2;
    assert_int_equal(notes_of_parts(fixture_dataset, &o, none), 0);
    assert_int_equal(notes_of_parts(fixture_regions, &o, none), 0);
    assert_int_equal(notes_of_parts(fixture_ignore, &o, entropy), 1);
    recipe.batch_dice = VOLT_BATCH_DICE_ON;
    assert_int_equal(notes_of_parts(fixture_dataset, &o, dice), 1);
    assert_int_equal(notes_of_parts(fixture_regions_ignore, &o, both), 1);
    recipe.weight_ce = 0;
    assert_int_equal(notes_of_parts(fixture_ignore, &o, dice), 1);
    recipe.weight_ce = 1;
    recipe.weight_dice = 0;
    assert_int_equal(notes_of_parts(fixture_dataset, &o, none), 0);
    recipe.class_weights = 3;
    recipe.class_weight[0] = recipe.class_weight[1] = recipe.class_weight[2] = 2;
    assert_int_equal(notes_of_parts(fixture_dataset, &o, none), 0);
    recipe.class_weight[0] = recipe.class_weight[2] = 1;
    assert_int_equal(notes_of_parts(fixture_dataset, &o, entropy), 1);
    recipe.sigmoid = true; /* its class weights have the same sum in each voxel */
    assert_int_equal(notes_of_parts(fixture_dataset, &o, none), 0);
    recipe.sigmoid = false;
    recipe.accumulate = 1;
    assert_int_equal(notes_of_parts(fixture_dataset, &o, none), 0);
}

/* The number of threads is a part of the checkpoint. */
static void other_threads_are_warned_of(void **state)
{
    volt_recipe recipe;
    volt_train_options o = fixture_options(&recipe, 2, 2);
    fixture f;

    (void)state;
    open_as(&f, fixture_dataset);
    for (int threads = 1; threads <= 2; threads++) {
        listener l = {.words = "another number of threads (2, before 1): the last bits"};
        const volt_callbacks cb = listening(&l);
        stopper s = {.at = 1};
        const volt_callbacks stopping = callbacks_of(&s);

        remove_folder("run-threads");
        o.resume = false;
        o.threads = 1;
        assert_fails(volt_train("run-threads", &f.data, &o, &stopping, NULL), VOLT_ECANCELLED,
                     "stopped");
        o.resume = true;
        o.threads = threads;
        assert_ok(volt_train("run-threads", &f.data, &o, &cb, NULL));
        assert_int_equal(l.heard, threads == 2);
        assert_true(threads == 1 || l.level == VOLT_LOG_WARNING);
    }
    remove_folder("run-threads");
    fixture_close(&f);
}

static void slow_data_is_warned_once(void **state)
{
    listener l = {.words = "loading data is slower than the network"};
    const volt_callbacks cb = listening(&l);
    volt_session s = {.cb = &cb, .run = "."};
    int64_t free_bytes = 0;

    (void)state;
    assert_ok(volt_disk_free(&free_bytes, "."));
    assert_true(free_bytes > 0);
    assert_fails(volt_disk_free(&free_bytes, "no-such-folder"), VOLT_EIO, "no-such-folder");
    s.warnings.warned_disk = true; /* there is no network to ask for its size */
    s.state =
        (volt_train_state){.epochs = 9, .iterations = 5, .epoch_s = 100, .epoch_wait_s = 10};
    assert_ok(volt_train_warnings_epoch(&s));
    assert_int_equal(l.heard, 0);
    s.state.epoch_wait_s = 30;
    assert_ok(volt_train_warnings_epoch(&s));
    assert_ok(volt_train_warnings_epoch(&s));
    assert_int_equal(l.heard, 1);
}

/* ---- killed at any time ---- */

/* Nothing half-written of a checkpoint is left. */
static void assert_no_half_checkpoint(const char *run)
{
    volt_names names = {0};

    assert_ok(volt_list_dir(&names, run));
    assert_true(names.count >= 5);
    for (size_t i = 0; i < names.count; i++)
        assert_false(strstr(names.name[i], "safetensors."));
    volt_names_free(&names);
    assert_int_equal(volt_temporaries_remove(run, 3), 0);
}

/* A run that is killed after random times, wherever it stands (opening, training, validating,
 * writing), ends as one that was left alone. */
static void killed_at_any_time_ends_the_same(void **state)
{
    volt_recipe recipe;
    volt_train_options o = fixture_options(&recipe, 4, 6);
    volt_rng rng = volt_rng_open(5, 0, 0, VOLT_RNG_TEST);
    int kills = 0, status = 0;
    fixture f;

    (void)state;
    open_as(&f, fixture_regions_ignore);
    o.loader_threads = 2;
    o.checkpoint_every = 1;
    remove_folder("run-whole");
    remove_folder("run-killed");
    assert_ok(volt_train("run-whole", &f.data, &o, NULL, NULL));
    o.resume = true;
    for (double longest = 0.02; longest < 60; longest *= 1.25) {
        const double wait_s = volt_rng_range(&rng, 0, longest);
        const pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0)
            _exit(volt_train("run-killed", &f.data, &o, NULL, NULL) == VOLT_OK ? 0 : 1);
        usleep((useconds_t)(wait_s * 1e6));
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, &status, 0), child);
        if (WIFEXITED(status))
            break;
        kills++;
    }
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_true(kills >= 3);
    assert_ok(volt_write_file("run-killed/.volt-tmp-00000000-1-1-0", "x", 1));
    assert_ok(volt_write_file("run-killed/notes.tmp", "x", 1));
    assert_ok(volt_train("run-killed", &f.data, &o, NULL, NULL));
    assert_no_half_checkpoint("run-killed");
    assert_true(volt_path_exists("run-killed/notes.tmp"));
    assert_same_run("run-whole", "run-killed");
    remove_folder("run-killed");
    remove_folder("run-whole");
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(regions_are_learned),
        cmocka_unit_test(odd_recipes_resume_to_the_bit),
        cmocka_unit_test(class_weights_decide_what_is_learned),
        cmocka_unit_test(contradictions_are_refused),
        cmocka_unit_test(rules_are_read_as_written),
        cmocka_unit_test(frozen_parameters_stay_scaled_ones_move_less),
        cmocka_unit_test(validation_has_no_dropout),
        cmocka_unit_test(an_extended_run_is_the_longer_run),
        cmocka_unit_test(changed_lengths_move_the_rate_and_resume),
        cmocka_unit_test(budgets_may_be_extended),
        cmocka_unit_test(classes_that_never_come_are_named),
        cmocka_unit_test(means_over_parts_are_noted),
        cmocka_unit_test(other_threads_are_warned_of),
        cmocka_unit_test(slow_data_is_warned_once),
        cmocka_unit_test(killed_at_any_time_ends_the_same),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
