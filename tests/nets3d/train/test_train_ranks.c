/* Training on several ranks, as threads of this process: the result of one rank, whatever the
 * mesh; failures of one end all. */
#include <math.h>
#include "base/core/alloc.h"
#include "base/system/owner.h"
#include "io/json/json.h"
#include "nets3d/data/loader.h"
#include "parallel/ranks.h"
#include "tests/kit/train_ranks.h"

/* 20 steps on each mesh, of 1, 2, 3, 4, 6 and 8 ranks. */
static void meshes_train_like_one_rank(void **state)
{
    static const struct {
        const char *mesh;
        int ranks;
        int loader_threads;
    } c[] = {{"data=1", 1, 1},
             {"data=2", 2, 1},
             {"data=3", 3, VOLT_LOADER_THREADS_NONE},
             {"data=4", 4, 2},
             {"z=2", 2, 1},
             {"z=3", 3, VOLT_LOADER_THREADS_NONE},
             {"y=2", 2, 2},
             {"x=4", 4, 1},
             {"z=2,y=2", 4, 1},
             {"z=2,y=3", 6, VOLT_LOADER_THREADS_NONE},
             {"y=2,x=2", 4, 2},
             {"z=2,y=2,x=2", 8, 1},
             {"data=2,z=2", 4, VOLT_LOADER_THREADS_NONE},
             {"data=3,z=2", 6, 1},
             {"data=2,z=2,x=2", 8, 1},
             {"stage=2", 2, 1},
             {"data=2,stage=3", 6, VOLT_LOADER_THREADS_NONE}};
    volt_recipe recipe;
    volt_train_options o = rank_options(&recipe, 4, 5);
    rank_task one = {.run = "ranks-one", .f = *state, .options = &o};

    recipe.batch = 5;
    remove_folder("ranks-one");
    assert_ok(train_on_ranks(1, &one));
    for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
        rank_task t = {.run = "ranks-mesh", .f = *state, .options = &o};
        o.mesh = c[i].mesh;
        o.loader_threads = c[i].loader_threads;
        remove_folder(t.run);
        assert_ok(train_on_ranks(c[i].ranks, &t));
        assert_near_runs("ranks-one", t.run, o.mesh);
        assert_true(t.result.finished && t.result.iterations == 20);
        assert_int_equal(t.result.ranks, c[i].ranks);
        remove_folder(t.run);
    }
    remove_folder("ranks-one");
}

/* Nine samples on four ranks, 3 + 2 + 2 + 2, twice. */
static void same_mesh_same_bits(void **state)
{
    static const struct {
        const char *mesh;
        int ranks;
    } c[] = {{"data=4", 4}, {"data=2,z=2", 4}};
    volt_recipe recipe;
    volt_train_options o = rank_options(&recipe, 2, 4);

    recipe.batch = 9;
    recipe.optimizer = volt_optimizer_usual(VOLT_ADAMW);
    for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
        rank_task a = {.run = "ranks-a", .f = *state, .options = &o};
        rank_task b = {.run = "ranks-b", .f = *state, .options = &o};
        remove_folder(a.run);
        remove_folder(b.run);
        o.mesh = c[i].mesh;
        o.loader_threads = 1;
        assert_ok(train_on_ranks(c[i].ranks, &a));
        o.loader_threads = 2;
        assert_ok(train_on_ranks(c[i].ranks, &b));
        assert_same_run(a.run, b.run);
        remove_folder(a.run);
        remove_folder(b.run);
    }
}

/* Batch Dice, dropout, parts, weights, clipping: what couples the samples of a batch. */
static void every_recipe_trains_like_one_rank(void **state)
{
    static const char *const mesh[] = {"data=3", "z=2", "data=2,y=2", "stage=3",
                                       "data=2,stage=2"};
    static const int ranks[] = {3, 2, 4, 3, 4};

    for (int variant = 0; variant < 5; variant++) {
        volt_recipe recipe;
        volt_train_options o = rank_options(&recipe, 2, 4);
        rank_task one = {.run = "ranks-one", .f = *state, .options = &o};

        recipe.batch = 4;
        recipe.batch_dice = variant == 0 ? VOLT_BATCH_DICE_ON : VOLT_BATCH_DICE_OFF;
        recipe.dropout = variant == 1 ? 0.3 : VOLT_DROPOUT_PLAN;
        recipe.accumulate = variant == 2 ? 3 : 1;
        recipe.class_weights = variant == 3 ? 3 : 0;
        recipe.class_weight[0] = 1;
        recipe.class_weight[1] = 2;
        recipe.class_weight[2] = 3;
        recipe.optimizer.clip_norm = variant == 4 ? 0.01 : recipe.optimizer.clip_norm;
        remove_folder(one.run);
        assert_ok(train_on_ranks(1, &one));
        if (variant == 4)
            assert_norms_above(one.run, recipe.optimizer.clip_norm);
        for (int i = 0; i < 5; i++) {
            rank_task t = {.run = "ranks-mesh", .f = *state, .options = &o};
            o.mesh = mesh[i];
            remove_folder(t.run);
            assert_ok(train_on_ranks(ranks[i], &t));
            assert_near_runs(one.run, t.run, o.mesh);
            remove_folder(t.run);
        }
        remove_folder(one.run);
    }
}

/* An ignore label and regions: ranks see different numbers of voxels that count. */
static void ignored_voxels_and_regions_count_globally(void **state)
{
    const char *const dataset[] = {fixture_ignore, fixture_regions, fixture_regions_ignore};

    (void)state;
    for (int i = 0; i < 3; i++) {
        fixture f;
        volt_recipe recipe;
        volt_train_options o = rank_options(&recipe, 2, 4);
        rank_task one = {.run = "ranks-one", .f = &f, .options = &o};
        rank_task data = {.run = "ranks-data", .f = &f, .options = &o};
        rank_task both = {.run = "ranks-both", .f = &f, .options = &o};

        fixture_open_as(&f, "ranks-other", dataset[i]);
        recipe.batch = 3;
        remove_folder(one.run);
        remove_folder(data.run);
        remove_folder(both.run);
        assert_ok(train_on_ranks(1, &one));
        o.mesh = "data=2";
        assert_ok(train_on_ranks(2, &data));
        assert_near_runs(one.run, data.run, o.mesh);
        o.mesh = "data=2,z=2";
        assert_ok(train_on_ranks(4, &both));
        assert_near_runs(one.run, both.run, o.mesh);
        remove_folder(one.run);
        remove_folder(data.run);
        remove_folder(both.run);
        fixture_close(&f);
    }
}

/* Stopped on data=4 because rank 2 was cancelled, resumed on z=2,y=2, stopped again, resumed on
 * one rank: the losses of a run that was never stopped. */
static void resumes_on_another_mesh(void **state)
{
    volt_recipe recipe;
    volt_train_options o = rank_options(&recipe, 4, 5);
    rank_task one = {.run = "ranks-one", .f = *state, .options = &o};
    rank_task t = {.run = "ranks-moved", .f = *state, .options = &o};
    stopper stop = {.at = 7}, again = {.at = 14};
    const volt_callbacks cb = callbacks_of(&stop), late = callbacks_of(&again);
    volt_callbacks watch = cb, other = cb;

    recipe.batch = 4;
    remove_folder(one.run);
    remove_folder(t.run);
    assert_ok(train_on_ranks(1, &one));
    watch.cancelled = NULL; /* rank 0 counts, rank 2 is cancelled */
    other.progress = NULL;
    t.callbacks[0] = &watch;
    t.callbacks[2] = &other;
    o.mesh = "data=4";
    assert_fails(train_on_ranks(4, &t), VOLT_ECANCELLED, "stopped after iteration");
    for (int r = 0; r < 4; r++)
        assert_int_equal(t.status[r], VOLT_ECANCELLED);
    assert_true(t.result.iterations >= 7 && t.result.iterations < 20);
    o.resume = true;
    o.mesh = "z=2,y=2";
    t.callbacks[0] = &late;
    t.callbacks[2] = NULL;
    assert_fails(train_on_ranks(4, &t), VOLT_ECANCELLED, "stopped after iteration 14");
    o.mesh = NULL;
    t.callbacks[0] = NULL;
    assert_ok(train_on_ranks(1, &t));
    assert_true(t.result.finished);
    assert_near_runs(one.run, t.run, "data=4, z=2,y=2, one rank");
    o.mesh = "data=2"; /* nothing is left to do */
    assert_ok(train_on_ranks(2, &t));
    assert_true(t.result.ended_before);
    remove_folder(one.run);
    remove_folder(t.run);
}

/* Stopped on two stages, resumed on parts of the volume, then on one rank, then on stages; the
 * log tells what the stages hold. */
static void stages_come_and_go(void **state)
{
    volt_recipe recipe;
    volt_train_options o = rank_options(&recipe, 4, 5);
    fixture_log log = {.text = ""};
    rank_task one = {.run = "ranks-one", .f = *state, .options = &o};
    rank_task t = {.run = "ranks-moved", .f = *state, .options = &o};
    stopper stop = {.at = 7}, again = {.at = 11}, last = {.at = 14};
    const volt_callbacks cb = callbacks_of(&stop), middle = callbacks_of(&again);
    const volt_callbacks late = callbacks_of(&last), listening = fixture_listen(&log);

    recipe.batch = 2;
    recipe.accumulate = 2;
    remove_folder(one.run);
    remove_folder(t.run);
    assert_ok(train_on_ranks(1, &one));
    t.callbacks[0] = &cb;
    o.mesh = "stage=2";
    assert_fails(train_on_ranks(2, &t), VOLT_ECANCELLED, "stopped after iteration 7");
    o.resume = true;
    o.mesh = "z=2";
    t.callbacks[0] = &middle;
    assert_fails(train_on_ranks(2, &t), VOLT_ECANCELLED, "stopped after iteration 11");
    o.mesh = NULL;
    t.callbacks[0] = &late;
    assert_fails(train_on_ranks(1, &t), VOLT_ECANCELLED, "stopped after iteration 14");
    o.mesh = "stage=3";
    t.callbacks[0] = &listening;
    assert_ok(train_on_ranks(3, &t));
    assert_true(t.result.finished);
    assert_near_runs(one.run, t.run, "stage=2, z=2, one rank, stage=3");
    assert_non_null(strstr(log.text, "3 stages, 2 parts of a batch under way: each stage "
                                     "waits 50 % of a step"));
    assert_non_null(strstr(log.text, "stage 2: "));
    assert_non_null(strstr(log.text, "MiB for each part"));
    remove_folder(one.run);
    remove_folder(t.run);
}

/* ---- failures ---- */

/* Flips a bit of a case's voxels. */
static void damage(const fixture *f, int i)
{
    char *path = NULL, *bytes = NULL;
    size_t count;

    assert_ok(volt_format(&path, "%s/%s" VOLT_CASE_SUFFIX, f->store, f->name[i]));
    assert_ok(volt_read_file(&bytes, &count, path, 1 << 24));
    bytes[count / 2] ^= 1;
    assert_ok(volt_write_file(path, bytes, count));
    volt_free(bytes);
    volt_free(path);
}

static void restore(const fixture *f, int i)
{
    char *path = NULL;

    assert_ok(volt_format(&path, "%s/%s" VOLT_CASE_SUFFIX, f->store, f->name[i]));
    fixture_store_case(path, (uint32_t)i, 0);
    volt_free(path);
}

/* A seed with which rank 1 of two begins with case 3 and rank 0 does not. */
static uint64_t seed_for_case_3(const fixture *f)
{
    volt_loader_options o = {.store = f->store,
                             .names = f->names,
                             .cases = 4,
                             .classes = 3,
                             .ignore = VOLT_NO_IGNORE_LABEL,
                             .batch = 2,
                             .rules = volt_augment_rules_none((int64_t[]){8, 8, 8}, 1),
                             .ring = 1};

    for (o.seed = 0;; o.seed++) {
        volt_loader *l = NULL;
        bool fits;
        assert_ok(volt_loader_open(&l, &o));
        fits = strcmp(volt_loader_case(l, 0, 0), f->name[3]) != 0 &&
               strcmp(volt_loader_case(l, 0, 1), f->name[3]) == 0;
        volt_loader_close(l);
        if (fits)
            return o.seed;
    }
}

static void a_damaged_case_of_one_rank_ends_all(void **state)
{
    const fixture *f = *state;
    volt_recipe recipe;
    volt_train_options o = rank_options(&recipe, 1, 5);

    recipe.batch = 2;
    o.loader_threads = VOLT_LOADER_THREADS_NONE;
    o.seed = seed_for_case_3(f);
    o.mesh = "data=2";
    damage(f, 3);
    for (int threads = VOLT_LOADER_THREADS_NONE; threads <= 2; threads++) {
        rank_task t = {.run = "ranks-damaged", .f = f, .options = &o};
        o.loader_threads = threads;
        remove_folder(t.run);
        assert_fails(train_on_ranks(2, &t), VOLT_EFORMAT, "tiny_3");
        assert_non_null(strstr(volt_last_error(), "rank "));
        if (threads == VOLT_LOADER_THREADS_NONE) {
            assert_non_null(strstr(volt_last_error(), "rank 1"));
            assert_int_equal(t.status[0], VOLT_EPEER);
            assert_int_equal(t.status[1], VOLT_EFORMAT);
        }
        assert_false(volt_path_exists(t.run)); /* nothing was trained */
    }
    restore(f, 3);
}

/* All ranks see that the loss is not finite; all cases of the batch are named. */
static void divergence_names_the_cases_of_all_ranks(void **state)
{
    fixture *f = *state;
    volt_recipe recipe;
    volt_train_options o = rank_options(&recipe, 2, 5);
    char *path = NULL;

    assert_ok(volt_format(&path, "%s/%s" VOLT_CASE_SUFFIX, f->store, f->name[3]));
    fixture_store_case(path, 3, 3e38f);
    recipe.batch = 2;
    recipe.augment = false;
    o.seed = seed_for_case_3(f);
    o.checkpoint_every = 1;
    for (int i = 0; i < 2; i++) {
        rank_task t = {.run = "ranks-nan", .f = f, .options = &o};
        volt_checkpoint_head head;
        const char *list;
        o.mesh = i ? "z=2" : "data=2";
        remove_folder(t.run);
        assert_fails(train_on_ranks(2, &t), VOLT_ENUMERIC, "tiny_3");
        list = strstr(volt_last_error(), "(cases ");
        assert_non_null(list);
        assert_non_null(strchr(list, ',')); /* both samples */
        assert_int_equal(t.status[0], VOLT_ENUMERIC);
        assert_int_equal(t.status[1], VOLT_ENUMERIC);
        assert_ok(volt_checkpoint_read_head(&head, "ranks-nan" LATEST));
        volt_checkpoint_head_free(&head);
        remove_folder(t.run);
    }
    volt_free(path);
    restore(f, 3);
}

/* Wherever memory runs out on one of them, all return. */
static void lack_of_memory_ends_all(void **state)
{
    volt_recipe recipe;
    volt_train_options o = rank_options(&recipe, 1, 2);
    int failed = 0;

    recipe.batch = 2;
    o.mesh = "data=2";
    o.loader_threads = 1;
    for (int n = 1; n < 2000; n += 1 + n / 6) {
        rank_task t = {.run = "ranks-memory", .f = *state, .options = &o};
        volt_status st;
        remove_folder(t.run);
        volt_mem_fail_after(n);
        st = train_on_ranks(2, &t);
        volt_mem_fail_after(0);
        failed += st != VOLT_OK;
        if (st == VOLT_OK)
            break;
        assert_int_equal(st, VOLT_ENOMEM);
    }
    assert_true(failed > 10);
    remove_folder("ranks-memory");
}

static void change_seed(int rank, volt_train_options *o, volt_train_data *data)
{
    (void)data;
    o->seed += rank == 2;
}

static void change_cases(int rank, volt_train_options *o, volt_train_data *data)
{
    (void)o;
    data->train_count -= rank == 1;
}

static void change_mesh(int rank, volt_train_options *o, volt_train_data *data)
{
    (void)data;
    o->mesh = rank == 1 ? "z=3" : o->mesh;
}

static void change_recipe(int rank, volt_train_options *o, volt_train_data *data)
{
    static volt_recipe other;

    (void)data;
    if (rank == 1) {
        other = *o->recipe;
        other.optimizer.lr *= 2;
        o->recipe = &other;
    }
}

static void ranks_that_disagree_are_told(void **state)
{
    static const struct {
        void (*change)(int rank, volt_train_options *o, volt_train_data *data);
        const char *words;
    } c[] = {{change_seed, "ranks 0 and 2 differ in the seed"},
             {change_cases, "ranks 0 and 1 differ in the list of cases"},
             {change_mesh, "ranks 0 and 1 differ in the mesh"},
             {change_recipe, "its recipe differs from that of rank 0 in 'lr'"}};
    volt_recipe recipe;
    volt_train_options o = rank_options(&recipe, 1, 2);

    recipe.batch = 3;
    o.mesh = "data=3";
    for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
        rank_task t = {
            .run = "ranks-differ", .f = *state, .options = &o, .change = c[i].change};
        remove_folder(t.run);
        assert_fails(train_on_ranks(3, &t), VOLT_EINVAL, c[i].words);
        for (int r = 0; r < 3; r++)
            assert_int_equal(t.status[r], VOLT_EINVAL);
        assert_false(volt_path_exists(t.run));
    }
}

static void ranks_with_another_run_are_told(void **state)
{
    volt_recipe recipe;
    volt_train_options o = rank_options(&recipe, 1, 2);
    rank_task t = {.run = "ranks-mine", .f = *state, .options = &o, .other_run = "ranks-yours"};

    recipe.batch = 2;
    o.mesh = "data=2";
    remove_folder(t.run);
    assert_fails(train_on_ranks(2, &t), VOLT_EINVAL,
                 "ranks 0 and 1 differ in the folder of the run");
    assert_false(volt_path_exists(t.run));
    assert_false(volt_path_exists(t.other_run));
}

static void meshes_without_sense_are_refused(void **state)
{
    const fixture *f = *state;
    volt_recipe recipe;
    volt_train_options o = rank_options(&recipe, 1, 2), check;
    rank_task t = {.run = "ranks-none", .f = f, .options = &o};

    recipe.batch = 2;
    remove_folder(t.run);
    assert_fails(train_on_ranks(2, &t), VOLT_EINVAL, "but no mesh says how");
    o.mesh = "data=4";
    assert_fails(train_on_ranks(4, &t), VOLT_EINVAL,
                 "at most data=2 can be, for these ranks data=2,z=2");
    assert_fails(train_on_ranks(3, &t), VOLT_EINVAL, "data=4");
    o.mesh = "z=2,stage=2";
    assert_fails(train_on_ranks(4, &t), VOLT_ENOTSUP, "stages cannot be combined");
    o.mesh = "data=4,stage=2";
    assert_fails(train_on_ranks(8, &t), VOLT_EINVAL, "for these ranks data=2,stage=4");
    o.mesh = "w=2";
    assert_fails(train_on_ranks(2, &t), VOLT_EINVAL, "w=2");
    o.mesh = "z=9";
    assert_fails(train_on_ranks(9, &t), VOLT_EINVAL, "z");
    assert_false(volt_path_exists(t.run));
    check = o;
    check.ranks = 4;
    check.mesh = "data=4";
    assert_fails(volt_train_check(NULL, t.run, &f->data, &check), VOLT_EINVAL, "data=2,z=2");
    check.mesh = "data=2,z=2";
    assert_ok(volt_train_check(NULL, t.run, &f->data, &check));
    check.mesh = NULL;
    assert_fails(volt_train_check(NULL, t.run, NULL, &check), VOLT_EINVAL, "no mesh says how");
    o.mesh = "data=2";
    assert_ok(train_on_ranks(2, &t));
    assert_fails(train_on_ranks(2, &t), VOLT_EDATA, "already contains a run");
    assert_null(strstr(volt_last_error(), "rank "));
    remove_folder(t.run);
}

/* summary.json, log.jsonl and the announced memory. */
static void the_ranks_are_reported(void **state)
{
    volt_recipe recipe;
    volt_train_options o = rank_options(&recipe, 2, 3);
    rank_task t = {.run = "ranks-told", .f = *state, .options = &o};
    fixture_log log = {.warnings = 0};
    const volt_callbacks cb = fixture_listen(&log);
    char *text = NULL;
    json_t *summary;

    recipe.batch = 4;
    o.mesh = "z=2,data=2";
    for (int r = 0; r < 4; r++)
        t.callbacks[r] = &cb;
    remove_folder(t.run);
    assert_ok(train_on_ranks(4, &t));
    assert_true(t.result.peak_bytes <= t.result.memory.total);
    assert_true(t.result.communication_s >= 0);
    assert_non_null(strstr(log.text, "4 ranks (threads), mesh data=2,z=2, 1 thread each"));
    assert_null(strstr(strstr(log.text, "epoch 1/2") + 1, "epoch 1/2")); /* once */
    assert_ok(volt_read_file(&text, NULL, "ranks-told/summary.json", 1 << 16));
    summary = json_loads(text, 0, NULL);
    assert_int_equal(json_integer_value(json_object_get(summary, "ranks")), 4);
    assert_string_equal(json_string_value(json_object_get(summary, "mesh")), "data=2,z=2");
    assert_true(json_is_number(json_object_get(summary, "communication_seconds")));
    json_decref(summary);
    volt_free(text);
    assert_ok(volt_read_file(&text, NULL, "ranks-told/log.jsonl", 1 << 16));
    assert_non_null(strstr(text, "\"communication_seconds\""));
    volt_free(text);
    remove_folder(t.run);
}

static void the_fastest_mesh_is_chosen(void **state)
{
    volt_recipe recipe;
    volt_train_options o = rank_options(&recipe, 1, 2), check;
    rank_task t = {.run = "ranks-auto", .f = *state, .options = &o};
    fixture_log log = {.warnings = 0};
    const volt_callbacks cb = fixture_listen(&log);

    recipe.batch = 2;
    o.mesh = "auto";
    for (int ranks = 1; ranks <= 4; ranks += ranks == 1 ? 1 : 2) { /* 4: samples are split */
        memset(&log, 0, sizeof log);
        t.callbacks[0] = &cb;
        remove_folder(t.run);
        assert_ok(train_on_ranks(ranks, &t));
        assert_true(t.result.finished);
        assert_true(ranks == 1 || strstr(log.text, "(chosen)"));
        assert_true(t.result.peak_bytes <= t.result.memory.total);
    }
    check = o;
    check.ranks = 4;
    check.resume = true;
    assert_ok(volt_train_check(NULL, t.run, &t.f->data, &check));
    remove_folder(t.run);
    assert_fails(train_on_ranks(13, &t), VOLT_EINVAL,
                 "13 ranks cannot share a batch of 2 samples");
}

/* A budget is rank 0's clock; all ranks train as long. */
static void a_budget_is_shared(void **state)
{
    volt_recipe recipe;
    volt_train_options o = rank_options(&recipe, 1, 2);
    rank_task t = {.run = "ranks-budget", .f = *state, .options = &o};

    recipe.batch = 2;
    o.mesh = "data=2";
    o.budget_s = 3;
    remove_folder(t.run);
    assert_ok(train_on_ranks(2, &t));
    assert_true(t.result.finished);
    remove_folder(t.run);
}

int main(void)
{
    struct CMUnitTest tests[] = {
        cmocka_unit_test(meshes_train_like_one_rank),
        cmocka_unit_test(same_mesh_same_bits),
        cmocka_unit_test(every_recipe_trains_like_one_rank),
        cmocka_unit_test(ignored_voxels_and_regions_count_globally),
        cmocka_unit_test(resumes_on_another_mesh),
        cmocka_unit_test(stages_come_and_go),
        cmocka_unit_test(a_damaged_case_of_one_rank_ends_all),
        cmocka_unit_test(divergence_names_the_cases_of_all_ranks),
        cmocka_unit_test(lack_of_memory_ends_all),
        cmocka_unit_test(ranks_that_disagree_are_told),
        cmocka_unit_test(ranks_with_another_run_are_told),
        cmocka_unit_test(meshes_without_sense_are_refused),
        cmocka_unit_test(the_ranks_are_reported),
        cmocka_unit_test(the_fastest_mesh_is_chosen),
        cmocka_unit_test(a_budget_is_shared),
    };

    return fixture_run_tests(tests, "ranks-store");
}
