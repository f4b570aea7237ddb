#include "nets3d/train/budget.h"

#include <math.h>

#include "base/core/alloc.h"
#include "base/core/report.h"
#include "base/system/file.h"
#include "base/core/plural.h"
#include "nets3d/device/device_internal.h"
#include "nets3d/train/stages.h"

#define MAX_EPOCHS          30
#define MIN_ITERATIONS      5    /* of an epoch, unless time is too short even for one */
#define VALIDATION_FRACTION 0.05 /* of an epoch's time */
#define MAX_VALIDATION      50.0
#define MEASURED            3    /* iterations, after one that warms up */
#define MEASURING_FRACTION  0.03 /* of the budget, at most */

volt_status volt_budget_schedule(volt_train_state *s, const volt_speed *speed, double seconds,
                                 bool validation)
{
    int64_t epochs, iterations = 0, checks = 0;

    for (epochs = MAX_EPOCHS; epochs >= 1; epochs--) {
        const double epoch_s = seconds / (double)epochs;
        checks = 0;
        if (validation)
            checks =
                (int64_t)fmin(fmax(2, floor(VALIDATION_FRACTION * epoch_s / speed->validation)),
                              MAX_VALIDATION);
        iterations =
            (int64_t)floor((epoch_s - (double)checks * speed->validation - speed->checkpoint) /
                           speed->iteration);
        if (iterations >= MIN_ITERATIONS)
            break;
    }
    if (epochs < 1)
        epochs = 1;
    if (iterations < 1)
        return volt_fail(
            VOLT_EINVAL,
            "the budget is too short: %.1f s are left, one iteration takes %.1f s, "
            "a checkpoint %.1f s",
            seconds, speed->iteration, speed->checkpoint);
    s->epochs = epochs;
    s->iterations = iterations;
    s->validation_iterations = checks;
    return VOLT_OK;
}

int64_t volt_budget_epochs(const volt_train_state *s, double seconds)
{
    const int64_t begun = s->epoch + (s->iteration > s->epoch * s->iterations);
    const double done = (double)s->iteration / (double)s->iterations;
    const double epoch_s = (s->seconds - s->started_s) / done;
    const double fitting = floor(done + (VOLT_BUDGET_USED * seconds - s->seconds) / epoch_s);

    return fitting < (double)begun ? begun : (int64_t)fmin(fitting, 1e9);
}

/* Copies the running statistics, which forward passes move whatever the rate is, or puts them
 * back. `state`: one number or more. */
static volt_status copy_state(const volt_session *s, float *state, bool back)
{
    const volt_parameters p = volt_program_parameters(s->program);
    const size_t bytes = (size_t)p.state_count * sizeof *state;
    volt_status st;

    if (!bytes)
        return VOLT_OK;
    if (!back)
        return p.device->download(p.device, state, p.state, bytes, p.stream);
    st = p.device->upload(p.device, p.state, state, bytes, p.stream);
    return st == VOLT_OK ? p.device->upload(p.device, p.next_state, state, bytes, p.stream)
                         : st;
}

/* One training step that leaves the weights alone: rate 0. */
static volt_status dry_run(volt_session *s)
{
    volt_loss_result result = {0};
    double norm, loss;
    const int64_t parts = s->recipe.recipe.accumulate;
    const bool stages = volt_session_stage_count(s) > 1;
    volt_batch batch;
    volt_status st = VOLT_OK;

    if (stages) {
        VOLT_TRY(st, done, volt_stages_learn(s, 0, &loss, NULL, NULL));
        VOLT_TRY(st, done, volt_session_update(s, 0));
    }
    for (int64_t part = 0; !stages && part < parts; part++) {
        VOLT_TRY(st, done, volt_feed_next(s->train, &batch));
        VOLT_TRY(st, done, volt_program_forward(s->program, batch.image, 0));
        VOLT_TRY(st, done, volt_session_loss(s, s->train, &batch, true));
        VOLT_TRY(st, done, volt_program_backward(s->program));
        if (parts > 1)
            VOLT_TRY(st, done, volt_program_accumulate(s->program, part, parts));
        if (part + 1 == parts)
            VOLT_TRY(st, done, volt_session_update(s, 0));
        VOLT_TRY(st, done, volt_program_loss_result(s->program, &result));
    }
    st = volt_session_norm(s, &norm);
done:
    return st;
}

static volt_status dry_validation(volt_session *s)
{
    volt_loss_result result = {0};
    volt_batch batch;
    volt_status st = VOLT_OK;

    for (int64_t part = 0; part < s->recipe.recipe.accumulate; part++) {
        VOLT_TRY(st, done, volt_feed_next(s->validation, &batch));
        VOLT_TRY(st, done, volt_program_evaluate(s->program, batch.image));
        VOLT_TRY(st, done, volt_session_loss(s, s->validation, &batch, false));
        VOLT_TRY(st, done, volt_program_loss_result(s->program, &result));
    }
done:
    return st;
}

static volt_status measure(volt_speed *out, volt_session *s)
{
    const double most_s = MEASURING_FRACTION * s->recipe.budget_s;
    const size_t stored = s->memory.optimizer + s->memory.other;
    const int64_t states = volt_program_parameters(s->program).state_count;
    float *state = NULL;
    double start;
    int done_count = 0;
    bool more = true;
    volt_status st;

    *out = (volt_speed){.checkpoint = (double)stored / VOLT_WRITTEN_PER_S};
    VOLT_TRY(st, done,
             volt_alloc(&state, (size_t)(states + 1) * sizeof *state, "running statistics"));
    VOLT_TRY(st, done, copy_state(s, state, false));
    start = volt_seconds();
    VOLT_TRY(st, done, dry_run(s));
    out->iteration = volt_seconds() - start; /* used if there is no time for more */
    start = volt_seconds();
    while (more) { /* as rank 0's clock says */
        more = done_count < MEASURED && volt_session_seconds(s) < most_s;
        VOLT_TRY(st, done, volt_train_ranks_share(&s->ranks, &more, sizeof more));
        if (more) {
            VOLT_TRY(st, done, dry_run(s));
            out->iteration = (volt_seconds() - start) / ++done_count;
        }
    }
    if (s->validation) {
        start = volt_seconds();
        VOLT_TRY(st, done, dry_validation(s));
        out->validation = fmax(volt_seconds() - start, 1e-6);
    }
    VOLT_TRY(st, done, copy_state(s, state, true));
    st = volt_session_clear_optimizer(s);
done:
    volt_free(state);
    return st;
}

volt_status volt_budget_fit(volt_session *s)
{
    volt_train_state *t = &s->state;
    const double budget = s->recipe.budget_s;
    volt_speed speed;
    volt_status st;

    t->validation_iterations = s->data->validate_count > 0;
    VOLT_TRY(st, done, volt_session_open_loaders(s));
    VOLT_TRY(st, done, measure(&speed, s));
    if (volt_train_ranks_lead(&s->ranks))
        st =
            volt_budget_schedule(t, &speed, VOLT_BUDGET_USED * budget - volt_session_seconds(s),
                                 s->data->validate_count > 0);
    VOLT_TRY(st, done, volt_train_ranks_follow(&s->ranks, st));
    t->started_s = volt_session_seconds(s);
    VOLT_TRY(st, done, volt_train_ranks_share(&s->ranks, t, sizeof *t));
    volt_report(s->cb, VOLT_LOG_INFO,
                "budget %.0f s: %lld epoch%s of %lld iteration%s (%.2f s each) and %lld for "
                "validation (%.2f s each)",
                budget, (long long)t->epochs, volt_s(t->epochs), (long long)t->iterations,
                volt_s(t->iterations), speed.iteration, (long long)t->validation_iterations,
                speed.validation);
done:
    return st;
}

void volt_budget_refit(volt_session *s)
{
    volt_train_state *t = &s->state;
    const double now = volt_session_seconds(s);
    const double left = VOLT_BUDGET_USED * s->recipe.budget_s - now;
    const double epoch_s = (now - t->started_s) / (double)t->epoch;
    int64_t fitting = (int64_t)floor(left / epoch_s);

    if (s->recipe.budget_s <= 0 || t->epoch >= t->epochs)
        return;
    if (fitting < 0)
        fitting = 0;
    if (fitting == t->epochs - t->epoch)
        return;
    t->anchor_progress = volt_train_state_progress(t);
    t->anchor = t->iteration;
    t->epochs = t->epoch + fitting;
    volt_report(s->cb, VOLT_LOG_INFO, "budget: now %lld epoch%s; %.1f s for each, %.0f s left",
                (long long)t->epochs, volt_s(t->epochs), epoch_s, left);
}
