#include "nets3d/trainer.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/core/report.h"
#include "base/system/file.h"
#include "base/core/alloc.h"
#include "base/core/options.h"
#include "base/core/plural.h"
#include "io/json/json.h"
#include "nets3d/program/precision.h"
#include "nets3d/run.h"
#include "nets3d/run/log.h"
#include "nets3d/train/budget.h"
#include "nets3d/train/checks.h"
#include "nets3d/train/given.h"
#include "nets3d/train/pace.h"
#include "nets3d/train/session.h"
#include "nets3d/train/stages.h"
#include "nets3d/train/transfer.h"

#define CHECKPOINT_SECONDS 180.0
#define EMA_DECAY          0.9 /* weight of the old moving average, as nnU-Net */
#define CASES_BYTES        400 /* of a list of cases in a message */

void volt_train_options_init(volt_train_options *o, size_t size)
{
    const volt_train_options defaults = {.device = "cpu"};

    volt_options_init(o, size, &defaults, sizeof defaults);
}

/* ---- one iteration ---- */

/* Appends the cases of one part of a batch, of all ranks, to the list; those that it has no
 * room for become "...". */
static void add_cases(char *list, size_t bytes, const volt_session *s, const volt_feed *feed,
                      const volt_batch *b)
{
    const int64_t count = s->recipe.recipe.batch;
    static const char rest[] = ", ...";

    for (int64_t k = 0; k < count; k++) {
        const char *name = volt_feed_case(feed, b->number, b->part * count + k);
        const size_t used = strlen(list);
        if (used >= strlen(rest) && strcmp(list + used - strlen(rest), rest) == 0)
            return;
        if (used + strlen(name) + strlen(rest) + 3 > bytes)
            snprintf(list + used, bytes - used, "%s", rest);
        else
            snprintf(list + used, bytes - used, "%s%s", used ? ", " : "", name);
    }
}

/* The message of a run that cannot continue. Loss and norm are those of all ranks, which all
 * see it. */
static volt_status diverged(volt_session *s, const char *cases, const char *what)
{
    s->ranks.settled = true;
    return volt_fail(VOLT_ENUMERIC, "iteration %lld: %s (cases %s)",
                     (long long)s->state.iteration, what, cases);
}

static volt_status diverged_in(volt_session *s, const volt_feed *feed, const volt_batch *b,
                               const char *what)
{
    char cases[CASES_BYTES] = "";

    add_cases(cases, sizeof cases, s, feed, b);
    return diverged(s, cases, what);
}

/* The gradients of one batch, or of one part of it, and after the last part the update; adds
 * the loss to *loss. All of it is started before the result is read: a loss or gradient that is
 * not finite, and a bad label, leave the weights as they are. */
static volt_status learn(volt_session *s, const volt_batch *b, double *loss)
{
    const volt_recipe *r = &s->recipe.recipe;
    volt_loss_result result = {0};
    volt_status st;

    volt_program_set_first_sample(s->program, b->part * r->batch + s->ranks.first);
    VOLT_TRY(st, done,
             volt_program_forward(s->program, b->image, (uint32_t)s->state.iteration));
    VOLT_TRY(st, done, volt_session_loss(s, s->train, b, true));
    VOLT_TRY(st, done, volt_program_backward(s->program));
    if (r->accumulate > 1)
        VOLT_TRY(st, done, volt_program_accumulate(s->program, b->part, r->accumulate));
    if (b->part + 1 == r->accumulate)
        VOLT_TRY(st, done,
                 volt_session_update(s, volt_train_state_rate(&s->state, &r->optimizer)));
    VOLT_TRY(st, done, volt_program_loss_result(s->program, &result));
    if (!isfinite(result.total))
        return diverged_in(s, s->train, b, "the loss is not finite");
    *loss += result.total / (double)r->accumulate;
done:
    return st;
}

static void part_seen(void *context, volt_session *s, const volt_batch *batch)
{
    volt_train_warnings_batch(s, batch->labels, volt_session_batch_voxels(s));
    add_cases(context, CASES_BYTES, s, s->train, batch);
}

/* The same on a mesh with stages. */
static volt_status learn_in_stages(volt_session *s, char *cases, double *loss)
{
    const double rate = volt_train_state_rate(&s->state, &s->recipe.recipe.optimizer);
    volt_status st;

    VOLT_TRY(st, done,
             volt_stages_learn(s, (uint32_t)s->state.iteration, loss, part_seen, cases));
    if (!isfinite(*loss))
        return diverged(s, cases, "the loss is not finite");
    st = volt_session_update(s, rate);
done:
    return st;
}

static volt_status step(volt_session *s, double *loss, double *norm)
{
    const volt_recipe *r = &s->recipe.recipe;
    const bool stages = volt_session_stage_count(s) > 1;
    char cases[CASES_BYTES] = "";
    volt_batch batch;
    volt_status st = VOLT_OK;

    if (stages)
        VOLT_TRY(st, done, learn_in_stages(s, cases, loss));
    for (int64_t part = 0; !stages && part < r->accumulate; part++) {
        VOLT_TRY(st, done, volt_feed_next(s->train, &batch));
        volt_train_warnings_batch(s, batch.labels, volt_session_batch_voxels(s));
        add_cases(cases, sizeof cases, s, s->train, &batch);
        VOLT_TRY(st, done, learn(s, &batch, loss));
    }
    st = volt_session_norm(s, norm);
    if (st == VOLT_ENUMERIC)
        return diverged(s, cases, "the gradient is not finite");
done:
    return st;
}

/* The loss is the mean of the epoch so far; Dice is that of the last validation. */
static void report_state(const volt_session *s)
{
    const volt_train_state *t = &s->state;
    const int64_t in_epoch = t->iteration - t->epoch * t->iterations;
    char dice[32] = "";

    if (isfinite(t->mean_dice))
        snprintf(dice, sizeof dice, ", Dice %.4f", t->mean_dice);
    volt_report_state(s->cb, "epoch %lld/%lld, loss %.4f%s", (long long)t->epoch + 1,
                      (long long)t->epochs, t->loss_sum / (double)(in_epoch > 0 ? in_epoch : 1),
                      dice);
}

static volt_status train_iteration(volt_session *s)
{
    const double start = volt_seconds(), waited = volt_feed_waited(s->train);
    volt_train_state *state = &s->state;
    double loss = 0, norm = 0, wait;
    volt_status st;

    VOLT_TRY(st, done, step(s, &loss, &norm));
    wait = volt_feed_waited(s->train) - waited;
    state->iteration++;
    state->loss_sum += loss;
    if (isnan(norm))
        state->skipped++;
    else
        state->norm_sum += norm;
    state->epoch_wait_s += wait;
    state->data_wait_s += wait;
    state->epoch_s += volt_seconds() - start;
    volt_pace_note(s);
    report_state(s);
    volt_report_progress(s->cb, "iterations", state->iteration,
                         state->epochs * state->iterations);
done:
    return st;
}

/* Saves everything trained so far and reports the cancellation. */
static volt_status stop_here(volt_session *s)
{
    volt_status st = volt_session_save_latest(s);

    if (st != VOLT_OK)
        return st;
    s->ranks.settled = true;
    return volt_fail(VOLT_ECANCELLED, "stopped after iteration %lld of %lld; saved in %s",
                     (long long)s->state.iteration,
                     (long long)(s->state.epochs * s->state.iterations), s->latest);
}

static bool checkpoint_is_due(const volt_session *s)
{
    const volt_train_options *o = s->options;
    const double longest = o->checkpoint_s > 0 ? o->checkpoint_s : CHECKPOINT_SECONDS;

    return volt_seconds() - s->saved_at >= longest ||
           (o->checkpoint_every > 0 && s->state.iteration % o->checkpoint_every == 0);
}

/* What follows an iteration, the same on all ranks; when to save, rank 0's clock says. */
static volt_status decide(volt_session *s, bool decision[VOLT_TRAIN_DECISIONS])
{
    decision[VOLT_TRAIN_STOP] = volt_is_cancelled(s->cb);
    decision[VOLT_TRAIN_SAVE] = volt_train_ranks_lead(&s->ranks) && checkpoint_is_due(s);
    return volt_train_ranks_merge(&s->ranks, decision, VOLT_TRAIN_DECISIONS);
}

static volt_status train_epoch(volt_session *s)
{
    const int64_t end = (s->state.epoch + 1) * s->state.iterations;
    bool decision[VOLT_TRAIN_DECISIONS];
    volt_status st = VOLT_OK;

    while (s->state.iteration < end) {
        VOLT_TRY(st, done, train_iteration(s));
        VOLT_TRY(st, done, decide(s, decision));
        if (decision[VOLT_TRAIN_STOP])
            return stop_here(s);
        if (s->state.iteration < end && decision[VOLT_TRAIN_SAVE])
            VOLT_TRY(st, done, volt_session_save_latest(s));
    }
done:
    return st;
}

/* ---- validation ---- */

/* Sums over an epoch's validation. */
typedef struct validation {
    double loss;
    int64_t voxels; /* that count */
    int64_t *sum;   /* tp, fp, fn: (3, outputs) */
} validation;

/* One batch, or one part of it. */
static volt_status validation_batch(volt_session *s, validation *v)
{
    const int outputs = s->targets.outputs;
    int64_t *tp = s->counts;
    volt_loss_result result = {.tp = tp, .fp = tp + outputs, .fn = tp + 2 * outputs};
    volt_batch batch;
    volt_status st;

    VOLT_TRY(st, done, volt_feed_next(s->validation, &batch));
    VOLT_TRY(st, done, volt_program_evaluate(s->program, batch.image));
    VOLT_TRY(st, done, volt_session_loss(s, s->validation, &batch, false));
    VOLT_TRY(st, done, volt_program_loss_result(s->program, &result));
    if (!isfinite(result.total))
        return diverged_in(s, s->validation, &batch, "the validation loss is not finite");
    v->loss += result.total;
    v->voxels += result.voxels;
    for (int i = 0; i < 3 * outputs; i++)
        v->sum[i] += s->counts[i];
done:
    return st;
}

/* Pseudo-Dice per class from the epoch's voxel counts; NaN for a class that is neither in the
 * labels nor predicted. Returns the mean of those that are not NaN. */
static double pseudo_dice(double *dice, const int64_t *sum, const volt_train_targets *t)
{
    const int64_t *tp = sum, *fp = sum + t->outputs, *fn = sum + 2 * t->outputs;
    double total = 0;
    int counted = 0;

    for (int k = t->first; k < t->outputs; k++) {
        const int64_t denominator = 2 * tp[k] + fp[k] + fn[k];
        dice[k - t->first] = denominator ? 2.0 * (double)tp[k] / (double)denominator : NAN;
        if (denominator) {
            total += dice[k - t->first];
            counted++;
        }
    }
    return counted ? total / counted : NAN;
}

/* Fraction of voxels with the right label, or of (voxel, region) pairs that agree. */
static double accuracy_of(const validation *v, const volt_train_targets *t)
{
    const double decisions = (double)v->voxels * (t->regions ? t->outputs : 1);
    double wrong = 0;

    for (int k = 0; k < t->outputs; k++)
        wrong += (double)v->sum[2 * t->outputs + k] +
                 (t->regions ? (double)v->sum[t->outputs + k] : 0);
    return v->voxels ? 1 - wrong / decisions : NAN;
}

/* Sets s->dice, accuracy, mean and moving average; *better: whether this is the best so far. */
static volt_status validate(volt_session *s, double *loss, bool *better)
{
    const int64_t batches = s->state.validation_iterations * s->recipe.recipe.accumulate;
    validation v = {0};
    bool stop;
    double ema;
    volt_status st;

    VOLT_TRY(
        st, done,
        volt_alloc_zero(&v.sum, 3 * (size_t)s->targets.outputs, sizeof *v.sum, "voxel counts"));
    for (int64_t i = 0; i < batches; i++) {
        VOLT_TRY(st, done, validation_batch(s, &v));
        VOLT_TRY(st, done, volt_train_ranks_any(&s->ranks, &stop, volt_is_cancelled(s->cb)));
        if (stop) {
            st = stop_here(s); /* resuming repeats this validation */
            goto done;
        }
    }
    *loss = v.loss / (double)batches;
    s->accuracy = accuracy_of(&v, &s->targets);
    s->state.mean_dice = pseudo_dice(s->dice, v.sum, &s->targets);
    ema = isnan(s->state.ema) ? s->state.mean_dice
                              : EMA_DECAY * s->state.ema + (1 - EMA_DECAY) * s->state.mean_dice;
    if (!isnan(ema))
        s->state.ema = ema;
    *better = !isnan(ema) && !(ema <= s->state.best_ema);
    if (*better)
        s->state.best_ema = ema;
done:
    volt_free(v.sum);
    return st;
}

/* ---- epochs ---- */

/* A line of at most 80 columns (of usual numbers), and the times for those who want details. */
static void report_epoch(const volt_session *s, const volt_epoch_log *e)
{
    const volt_train_state *t = &s->state;
    char score[96] = "", messages[48] = "";

    if (e->ranks > 1)
        snprintf(messages, sizeof messages, ", %.1f s for messages", e->communication_s);
    if (t->validation_iterations)
        snprintf(score, sizeof score, ", val %.4f, Dice %.4f (best %.4f)", e->validation_loss,
                 t->mean_dice, t->best_ema);
    volt_report(s->cb, VOLT_LOG_INFO, "epoch %lld/%lld: loss %.4f%s, %.0f s",
                (long long)t->epoch + 1, (long long)t->epochs, t->train_loss, score,
                t->epoch_s + e->validation_seconds);
    volt_report(
        s->cb, VOLT_LOG_DETAIL,
        "%lld iteration%s in %.1f s, waited %.1f s for data%s, validation %.1f s, moving "
        "average of Dice %.4f",
        (long long)t->iterations, volt_s(t->iterations), t->epoch_s, t->epoch_wait_s, messages,
        e->validation_seconds, t->ema);
}

/* In fp16: how many iterations of the epoch were skipped. */
static volt_status report_skipped(const volt_session *s)
{
    const volt_train_state *t = &s->state;
    const int64_t skipped = (int64_t)t->skipped;
    volt_update_scalars now;
    volt_status st = VOLT_OK;

    if (skipped == 0)
        return VOLT_OK;
    VOLT_TRY(st, done, volt_optimizer_scalars(s->optimizer, &now));
    volt_report(s->cb, skipped == t->iterations ? VOLT_LOG_WARNING : VOLT_LOG_INFO,
                "%lld of %lld iteration%s skipped, as gradients were too large for fp16; the "
                "loss scale is now %g",
                (long long)skipped, (long long)t->iterations,
                t->iterations == 1 ? " was" : "s were", now.loss_scale);
done:
    return st;
}

static volt_status log_epoch(volt_session *s, double validation_loss, double validation_s)
{
    const volt_train_state *t = &s->state;
    const double iterations = (double)t->iterations, updates = iterations - t->skipped;
    volt_train_state last = *t; /* the rate of the epoch's last iteration */
    volt_epoch_log line = {
        .epoch = t->epoch,
        .iterations = t->iteration,
        .train_loss = t->train_loss,
        .validation_loss = validation_loss,
        .mean_dice = t->validation_iterations ? t->mean_dice : NAN,
        .ema_dice = t->ema,
        .classes = t->validation_iterations ? s->targets.outputs - s->targets.first : 0,
        .dice = s->dice,
        .class_name = s->targets.name + s->targets.first,
        .accuracy = t->validation_iterations ? s->accuracy : NAN,
        .gradient_norm = updates > 0 ? t->norm_sum / updates : NAN,
        .seconds = t->epoch_s,
        .validation_seconds = validation_s,
        .data_wait_s = t->epoch_wait_s,
        .ranks = s->ranks.size,
        .communication_s = volt_train_ranks_waited(&s->ranks) - s->waited_from,
        .peak_bytes = (int64_t)volt_mem_process_peak(),
        .iterations_per_second = t->epoch_s > 0 ? iterations / t->epoch_s : NAN,
        .elapsed_s = volt_session_seconds(s),
        .time = (int64_t)time(NULL)};
    volt_status st;

    last.iteration--;
    line.lr = volt_train_state_rate(&last, &s->recipe.recipe.optimizer);
    report_epoch(s, &line);
    st = report_skipped(s);
    return st == VOLT_OK ? volt_run_log_append(s->log, &line) : st;
}

/* Validation, log line, checkpoints: an epoch is complete when its latest checkpoint is. */
static volt_status finish_epoch(volt_session *s)
{
    const double start = volt_seconds();
    double validation_loss = NAN;
    bool better = false;
    volt_status st;

    if (s->state.validation_iterations > 0)
        VOLT_TRY(st, done, validate(s, &validation_loss, &better));
    s->state.train_loss = s->state.loss_sum / (double)s->state.iterations;
    VOLT_TRY(st, done, volt_session_compare_parameters(s));
    if (volt_train_ranks_lead(&s->ranks))
        st = log_epoch(s, validation_loss, volt_seconds() - start);
    VOLT_TRY(st, done, volt_train_ranks_follow(&s->ranks, st));
    VOLT_TRY(st, done, volt_train_warnings_epoch(s));
    s->waited_from = volt_train_ranks_waited(&s->ranks);
    s->state.epoch++;
    s->state.loss_sum = s->state.norm_sum = s->state.skipped = 0;
    s->state.epoch_s = s->state.epoch_wait_s = 0;
    if (better)
        VOLT_TRY(st, done, volt_session_save_best(s));
    if (volt_train_ranks_lead(&s->ranks))
        volt_budget_refit(s);
    VOLT_TRY(st, done, volt_train_ranks_share(&s->ranks, &s->state, sizeof s->state));
    VOLT_TRY(st, done, volt_session_save_latest(s));
done:
    return st;
}

static volt_status train(volt_session *s)
{
    volt_status st = VOLT_OK;
    bool stop;

    while (s->state.epoch < s->state.epochs) {
        VOLT_TRY(st, done, train_epoch(s));
        VOLT_TRY(st, done, finish_epoch(s));
        VOLT_TRY(st, done, volt_train_ranks_any(&s->ranks, &stop, volt_is_cancelled(s->cb)));
        if (s->state.epoch < s->state.epochs && stop)
            return stop_here(s);
    }
done:
    return st;
}

/* ---- the result ---- */

/* What the state tells. */
static volt_train_result result_of(const volt_train_state *t)
{
    return (volt_train_result){.epochs = t->epoch,
                               .iterations = t->iteration,
                               .finished = t->epoch == t->epochs,
                               .train_loss = t->train_loss,
                               .mean_dice = t->mean_dice,
                               .best_ema = t->best_ema,
                               .seconds = t->seconds,
                               .data_wait_s = t->data_wait_s};
}

static void fill_result(volt_train_result *r, const volt_session *s)
{
    *r = result_of(&s->state);
    r->seconds = s->ended ? s->state.seconds : volt_session_seconds(s);
    r->memory = s->memory;
    r->peak_bytes = volt_session_peak(s);
    r->ended_before = s->ended;
    r->ranks = s->ranks.size;
    r->communication_s = volt_train_ranks_waited(&s->ranks);
}

static volt_status write_summary(const volt_session *s)
{
    const volt_train_state *t = &s->state;
    char mesh[VOLT_MESH_TEXT], *path = NULL;
    json_t *root;
    volt_status st;

    root = json_pack(
        "{s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:s, s:s, s:i, s:i, s:s, s:o, s:I, s:I, s:I, "
        "s:I}",
        "epochs", (json_int_t)t->epoch, "iterations", (json_int_t)t->iteration, "train_loss",
        volt_json_number(t->train_loss), "mean_dice", volt_json_number(t->mean_dice),
        "ema_dice", volt_json_number(t->ema), "best_ema_dice", volt_json_number(t->best_ema),
        "seconds", volt_json_number(volt_session_seconds(s)), "data_wait_seconds",
        volt_json_number(t->data_wait_s), "device", s->recipe.device, "precision",
        volt_precision_name(s->recipe.precision), "threads", s->recipe.threads, "ranks",
        s->ranks.size, "mesh", volt_mesh_text(mesh, s->ranks.axes), "communication_seconds",
        volt_json_number(volt_train_ranks_waited(&s->ranks)), "batch",
        (json_int_t)s->recipe.recipe.batch, "accumulate",
        (json_int_t)s->recipe.recipe.accumulate, "announced_bytes", (json_int_t)s->memory.total,
        "peak_bytes", (json_int_t)volt_session_peak(s));
    if (!root)
        return volt_fail(VOLT_ENOMEM, "no memory for the summary of %s", s->run);
    VOLT_TRY(st, done, volt_path_join(&path, s->run, "summary.json"));
    st = volt_json_save(path, root);
done:
    volt_free(path);
    json_decref(root);
    return st;
}

/* What volt_train and volt_train_check do first: complete options, with their recipe. */
static volt_status take_options(volt_train_options *o, volt_recipe *recipe, const char *run,
                                const volt_train_options *options)
{
    volt_status st;

    *o = volt_train_defaults();
    *recipe = volt_recipe_nnunet();
    VOLT_TRY(st, done, volt_options_take(o, sizeof *o, options, "volt_train_options"));
    VOLT_TRY(st, done, volt_options_take(recipe, sizeof *recipe, o->recipe, "volt_recipe"));
    o->recipe = recipe;
    if (!run || !*run)
        return volt_fail(VOLT_EINVAL, "no folder for the run is given");
    if (volt_path_exists(run) && !volt_path_is_dir(run))
        return volt_fail(VOLT_EINVAL, "%s is a file; a folder for the run is expected", run);
done:
    return st;
}

static volt_status check_pointers(const volt_train_data *data)
{
    if (!data || !data->plan || !data->config || !data->info)
        return volt_fail(VOLT_EINVAL, "the training data lack a plan, a configuration or the "
                                      "data set's description");
    return VOLT_OK;
}

/* Without data: what the options and the folder tell. */
static volt_status check_alone(volt_train_result *result, const char *run,
                               const volt_train_options *o)
{
    const char *name = o->device ? o->device : "cpu";
    const int64_t batch = o->recipe->batch > 0 ? o->recipe->batch : INT32_MAX; /* not known */
    volt_run_found found = {0};
    volt_device *device = NULL;
    volt_train_ranks ranks;
    char *path = NULL;
    bool there;
    volt_status st;

    VOLT_TRY(st, done, volt_train_check_options(o));
    VOLT_TRY(st, done, volt_train_check_recipe(o->recipe, NULL));
    volt_train_ranks_begin(&ranks, o, true);
    VOLT_TRY(st, done, volt_train_ranks_plan(&ranks, o->mesh, batch));
    VOLT_TRY(st, done, volt_owner_check(run));
    VOLT_TRY(st, done, volt_device_open(&device, name));
    if (o->precision != VOLT_PRECISION_AUTO)
        VOLT_TRY(st, done, volt_precision_check(device, o->precision));
    VOLT_TRY(st, done, volt_train_may_begin(&there, run, o->resume));
    if (there || o->like) {
        VOLT_TRY(st, done, volt_path_join(&path, there ? run : o->like, VOLT_RUN_LATEST));
        VOLT_TRY(st, done, volt_run_found_read(&found, path));
        VOLT_TRY(st, done, volt_train_compare_given(o, &found, there ? run : o->like, NULL));
    }
    if (there) {
        *result = result_of(&found.state);
        VOLT_TRY(
            st, done,
            volt_run_has_ended(&result->ended_before, run, o, &found.recipe, &found.state));
    } else if (o->init) {
        st = volt_transfer_check(o->init);
    }
done:
    volt_run_found_clear(&found);
    volt_free(path);
    volt_device_close(device);
    return st;
}

volt_status volt_train_check(volt_train_result *result, const char *run,
                             const volt_train_data *data, const volt_train_options *options)
{
    volt_train_result found = {0};
    volt_train_options o;
    volt_recipe recipe;
    volt_session s;
    volt_status st;

    VOLT_TRY(st, done, take_options(&o, &recipe, run, options));
    if (data) {
        VOLT_TRY(st, done, check_pointers(data));
        st = volt_session_check(&s, run, data, &o, NULL);
        if (st == VOLT_OK && s.resumed)
            fill_result(&found, &s);
        volt_session_close(&s);
    } else {
        st = check_alone(&found, run, &o);
    }
    if (st == VOLT_OK && result)
        *result = found;
done:
    return st;
}

static volt_status train_run(volt_session *s)
{
    volt_status st;

    if (s->unfitted)
        VOLT_TRY(st, done, volt_budget_fit(s));
    if (!s->resumed || s->changed)
        VOLT_TRY(st, done,
                 volt_session_save_latest(s)); /* so that a full disk is noticed at once */
    VOLT_TRY(st, done, volt_session_describe(s));
    volt_train_warnings_start(s);
    VOLT_TRY(st, done, volt_session_open_loaders(s));
    s->waited_from = volt_train_ranks_waited(&s->ranks);
    VOLT_TRY(st, done, train(s));
    st = volt_train_ranks_follow(&s->ranks,
                                 volt_train_ranks_lead(&s->ranks) ? write_summary(s) : VOLT_OK);
done:
    return st;
}

volt_status volt_train(const char *run, const volt_train_data *data,
                       const volt_train_options *options, const volt_callbacks *cb,
                       volt_train_result *result)
{
    volt_train_options o;
    volt_recipe recipe;
    volt_session s;
    volt_status st = take_options(&o, &recipe, run, options);

    if (st == VOLT_OK)
        st = check_pointers(data);
    if (st == VOLT_OK && !data->store)
        st = volt_fail(VOLT_EINVAL, "the training data lack the folder of cases");
    if (st != VOLT_OK) {
        volt_comm_fail(o.comm, st);
        return st;
    }
    VOLT_TRY(st, done, volt_session_open(&s, run, data, &o, cb));
    if (s.ended)
        volt_report(s.cb, VOLT_LOG_INFO,
                    "%s has ended after %lld epoch%s: nothing is left to do", run,
                    (long long)s.state.epoch, volt_s(s.state.epoch));
    else
        st = train_run(&s);
done:
    volt_train_ranks_tell(&s.ranks, st);
    if (result && (st == VOLT_OK || st == VOLT_ECANCELLED))
        fill_result(result, &s);
    if (st != VOLT_OK && st != VOLT_ENUMERIC)
        volt_session_discard(&s);
    volt_session_close(&s);
    return st;
}
