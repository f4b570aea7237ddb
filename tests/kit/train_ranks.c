#include "tests/kit/train_ranks.h"

#include <math.h>

#include "base/core/alloc.h"
#include "io/json/json.h"
#include "parallel/ranks.h"

#define MOST_EPOCHS 8

static volt_status train_one(volt_comm *comm, void *context)
{
    rank_task *t = context;
    const int rank = volt_comm_rank(comm);
    volt_train_options o = *t->options;
    volt_train_data data = t->f->data;
    volt_train_result result = {0};

    o.comm = comm;
    if (t->change)
        t->change(rank, &o, &data);
    t->status[rank] = volt_train(rank == 1 && t->other_run ? t->other_run : t->run, &data, &o,
                                 t->callbacks[rank], &result);
    t->announced[rank] = result.memory.total;
    if (rank == 0)
        t->result = result;
    return t->status[rank];
}

volt_status train_on_ranks(int ranks, rank_task *t)
{
    if (ranks == 1)
        return volt_train(t->run, &t->f->data, t->options, t->callbacks[0], &t->result);
    return volt_ranks_run(ranks, train_one, t);
}

/* What log.jsonl says of each epoch. */
typedef struct logged {
    int count;
    double train[MOST_EPOCHS], validation[MOST_EPOCHS], dice[MOST_EPOCHS], norm[MOST_EPOCHS];
} logged;

static double number_of(const json_t *line, const char *key)
{
    const json_t *value = json_object_get(line, key);

    return json_is_number(value) ? json_number_value(value) : NAN;
}

static void read_epochs(logged *out, const char *run)
{
    char path[128], *text = NULL;

    out->count = 0;
    snprintf(path, sizeof path, "%s/log.jsonl", run);
    assert_ok(volt_read_file(&text, NULL, path, 1 << 20));
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        json_t *object = json_loads(line, 0, NULL);
        const int i = out->count++;
        assert_in_range(i, 0, MOST_EPOCHS - 1);
        out->train[i] = number_of(object, "train_loss");
        out->validation[i] = number_of(object, "validation_loss");
        out->dice[i] = number_of(object, "mean_dice");
        out->norm[i] = number_of(object, "gradient_norm");
        json_decref(object);
    }
    volt_free(text);
}

static void assert_near(double a, double b, double within, const char *what, const char *mesh)
{
    if (!(fabs(a - b) <= within * fmax(fabs(a), 0.1)))
        fail_msg("mesh %s: %s %.9g and %.9g", mesh, what, a, b);
}

void assert_runs_within(double loss, double norm, const char *one, const char *run,
                        const char *mesh)
{
    logged a, b;

    read_epochs(&a, one);
    read_epochs(&b, run);
    assert_int_equal(a.count, b.count);
    assert_true(a.count > 0);
    for (int i = 0; i < a.count; i++) {
        assert_near(a.train[i], b.train[i], loss, "loss", mesh);
        assert_near(a.norm[i], b.norm[i], norm, "norm", mesh);
        assert_near(a.validation[i], b.validation[i], loss, "validation loss", mesh);
        assert_near(a.dice[i], b.dice[i], 1e-2, "Dice", mesh);
    }
}

void assert_near_runs(const char *one, const char *run, const char *mesh)
{
    assert_runs_within(1e-4, 1e-3, one, run, mesh);
}

void assert_norms_above(const char *run, double limit)
{
    logged e;

    read_epochs(&e, run);
    assert_true(e.count > 0);
    for (int i = 0; i < e.count; i++)
        assert_true(e.norm[i] > limit);
}

volt_train_options rank_options(volt_recipe *recipe, int64_t epochs, int64_t iterations)
{
    volt_train_options o = fixture_options(recipe, epochs, iterations);

    o.device = "cpu";
    recipe->optimizer = volt_optimizer_usual(VOLT_SGD);
    recipe->optimizer.momentum = 0.9;
    return o;
}
