/* What the table of meshes promises (mesh_plan.h) is what training on these meshes holds and
 * sends; and recipes and data that ranks had not trained on elsewhere. */
#include "nets3d/mesh_plan.h"
#include "tests/kit/train_ranks.h"

enum { COUNTED = 12 }; /* steps */

/* What a rank had sent when it was asked for the n-th time whether it is cancelled: that is
 * after every step. */
typedef struct counter {
    volt_comm *comm;
    int asked;
    volt_traffic sent[COUNTED];
} counter;

static bool count_messages(void *user)
{
    counter *c = user;

    if (c->comm && c->asked < COUNTED)
        volt_comm_counts(c->comm, &c->sent[c->asked].messages, &c->sent[c->asked].bytes);
    c->asked++;
    return false;
}

static counter counters[MOST_RANKS];

static void give_counter(int rank, volt_train_options *o, volt_train_data *data)
{
    (void)data;
    counters[rank] = (counter){.comm = o->comm};
}

static const volt_mesh_row *row_of(const volt_mesh_plan *plan, const char *mesh)
{
    char text[VOLT_MESH_TEXT];

    for (int i = 0; i < plan->rows; i++) {
        if (strcmp(volt_mesh_text(text, plan->row[i].size), mesh) == 0)
            return &plan->row[i];
    }
    fail_msg("no row %s", mesh);
    return NULL;
}

/* As `volt mesh` and "auto" ask for it. */
static volt_mesh_plan *plan_meshes(const fixture *f, const volt_train_options *o, int ranks)
{
    volt_mesh_plan_options q = volt_mesh_plan_defaults();
    volt_mesh_plan *plan = NULL;

    q.ranks = ranks;
    memcpy(q.patch, f->data.config->patch, sizeof q.patch);
    q.batch = o->recipe->batch;
    q.recipe = o->recipe;
    q.data = &f->data;
    q.threads = o->threads;
    q.loader_threads = o->loader_threads;
    q.rate = 1e9;
    assert_ok(volt_mesh_choose(&plan, &f->data.config->net, &q));
    return plan;
}

/* A window of steps in which each rank has had as many turns as any other. */
static void assert_sent(const volt_mesh_row *row, int64_t accumulate, const char *mesh)
{
    const counter *c = &counters[row->rank];
    const int steps = row->turns;
    const volt_traffic *from = &c->sent[COUNTED - 1 - steps], *to = &c->sent[COUNTED - 1];
    const volt_traffic all = volt_mesh_row_sent(row), boxes = row->boxes;

    assert_true(c->asked >= COUNTED);
    assert_int_equal(to->messages - from->messages,
                     steps * (all.messages - boxes.messages) + accumulate * boxes.messages);
    if (to->bytes - from->bytes != steps * (all.bytes - boxes.bytes) + accumulate * boxes.bytes)
        fail_msg("mesh %s: other bytes than its row says", mesh);
}

/* Memory announced, messages and bytes of steps. */
static void the_table_of_meshes_is_exact(void **state)
{
    static const struct {
        const char *mesh;
        int ranks;
    } c[] = {{"data=2", 2}, {"data=3", 3},     {"z=2", 2},
             {"y=3", 3},    {"data=2,z=2", 4}, {"z=2,y=2", 4}};
    const fixture *f = *state;
    volt_recipe recipe;
    volt_train_options o = rank_options(&recipe, 1, COUNTED + 1);
    volt_callbacks cb[MOST_RANKS];

    recipe.batch = 3;
    for (int accumulate = 1; accumulate <= 2; accumulate++) {
        recipe.accumulate = accumulate;
        for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
            rank_task t = {.run = "ranks-table", .f = f, .options = &o, .change = give_counter};
            volt_mesh_plan *plan;
            const volt_mesh_row *row;
            size_t most = 0;
            o.mesh = c[i].mesh;
            o.loader_threads = (int)i % 2;
            for (int r = 0; r < c[i].ranks; r++) {
                cb[r] = (volt_callbacks){.user = &counters[r], .cancelled = count_messages};
                t.callbacks[r] = &cb[r];
            }
            remove_folder(t.run);
            assert_ok(train_on_ranks(c[i].ranks, &t));
            plan = plan_meshes(f, &o, c[i].ranks);
            row = row_of(plan, o.mesh);
            for (int r = 0; r < c[i].ranks; r++)
                most = t.announced[r] > most ? t.announced[r] : most;
            assert_true(row->memory.loader > 0);
            assert_int_equal(row->memory.total, t.announced[row->rank]);
            assert_true(most <= row->memory.total + row->memory.total / 64);
            assert_sent(row, accumulate, o.mesh);
            volt_mesh_plan_free(plan);
        }
    }
    remove_folder("ranks-table");
}

/* ---- recipes ---- */

/* Averages of bf16 gradients, summed over ranks once. */
static void parts_in_bf16_train_like_one_rank(void **state)
{
    static const struct {
        const char *mesh;
        int ranks;
    } c[] = {{"data=2", 2}, {"z=2", 2}, {"data=2,z=2", 4}};
    volt_recipe recipe;
    volt_train_options o = rank_options(&recipe, 2, 4);
    rank_task one = {.run = "meshes-one", .f = *state, .options = &o};

    recipe.batch = 2;
    recipe.accumulate = 2;
    o.precision = VOLT_BF16_MIXED;
    remove_folder(one.run);
    assert_ok(train_on_ranks(1, &one));
    for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
        rank_task t = {.run = "meshes-bf16", .f = *state, .options = &o};
        o.mesh = c[i].mesh;
        remove_folder(t.run);
        assert_ok(train_on_ranks(c[i].ranks, &t));
        assert_runs_within(1e-2, 2e-2, one.run, t.run, o.mesh);
        remove_folder(t.run);
    }
    remove_folder(one.run);
}

/* A run with a budget that is stopped on one mesh has the same end on another. */
static void a_budget_goes_on_with_another_mesh(void **state)
{
    volt_recipe recipe;
    volt_train_options o = rank_options(&recipe, 1, 2);
    stopper stop = {.at = 2};
    const volt_callbacks cb = callbacks_of(&stop);
    rank_task t = {.run = "meshes-budget", .f = *state, .options = &o, .callbacks = {&cb}};

    recipe.batch = 2;
    o.mesh = "data=2";
    o.budget_s = 3;
    remove_folder(t.run);
    assert_fails(train_on_ranks(2, &t), VOLT_ECANCELLED, "stopped after iteration");
    o.mesh = "z=2,y=2";
    o.resume = true;
    t.callbacks[0] = NULL;
    assert_ok(train_on_ranks(4, &t));
    assert_true(t.result.finished && t.result.iterations > 2);
    o.mesh = "z=2"; /* longer, on a third one */
    o.change_length = true;
    o.budget_s = 4;
    assert_ok(train_on_ranks(2, &t));
    assert_true(t.result.finished);
    remove_folder(t.run);
}

int main(void)
{
    struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_of_meshes_is_exact),
        cmocka_unit_test(parts_in_bf16_train_like_one_rank),
        cmocka_unit_test(a_budget_goes_on_with_another_mesh),
    };

    return fixture_run_tests(tests, "meshes-store");
}
