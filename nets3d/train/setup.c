/* Sets up a run: the request, what the folder already contains, and which of the two applies.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/core/plural.h"
#include "base/core/report.h"
#include "base/system/file.h"
#include "base/mem.h"
#include "io/archive/crc32.h"
#include "nets3d/run/checkpoint.h"
#include "nets3d/run.h"
#include "nets3d/train/budget.h"
#include "nets3d/train/session.h"

static uint32_t names_checksum(const volt_train_data *d)
{
    uint32_t crc = 0;

    for (int64_t i = 0; i < d->train_count; i++)
        crc = volt_crc32(crc, d->train[i], strlen(d->train[i]) + 1);
    crc = volt_crc32(crc, "", 1);
    for (int64_t i = 0; i < d->validate_count; i++)
        crc = volt_crc32(crc, d->validate[i], strlen(d->validate[i]) + 1);
    return crc;
}

/* ---- the request ---- */

static volt_status check_data(const volt_train_data *d, const volt_train_targets *t)
{
    if (d->train_count < 1)
        return volt_fail(VOLT_EINVAL, "there are no cases to train on");
    if (!d->config->previous_stage != !d->prior_masks)
        return volt_fail(VOLT_EINVAL, "configuration %s %s masks of a previous stage",
                         d->config->name, d->prior_masks ? "does not take" : "needs");
    if (d->info->labels != d->plan->classes || d->info->channels != d->plan->channels)
        return volt_fail(VOLT_EINVAL,
                         "the data set has %d channel%s and %d label%s, its plan %d and %d",
                         d->info->channels, volt_s(d->info->channels), d->info->labels,
                         volt_s(d->info->labels), d->plan->channels, d->plan->classes);
    if (t->outputs != volt_network_out_channels(&d->config->net))
        return volt_fail(
            VOLT_EINVAL,
            "the data set needs %d output%s, the network of configuration %s has %lld",
            t->outputs, volt_s(t->outputs), d->config->name,
            (long long)volt_network_out_channels(&d->config->net));
    if (d->info->channels > VOLT_AUGMENT_MAX_CHANNELS || t->labels > VOLT_MAX_CLASSES ||
        t->outputs > VOLT_MAX_CLASSES)
        return volt_fail(
            VOLT_ENOTSUP,
            "%d channel%s, %d label%s and %d output%s; at most %d, %d and %d can be trained",
            d->info->channels, volt_s(d->info->channels), t->labels, volt_s(t->labels),
            t->outputs, volt_s(t->outputs), VOLT_AUGMENT_MAX_CHANNELS, VOLT_MAX_CLASSES,
            VOLT_MAX_CLASSES);
    return VOLT_OK;
}

static volt_status check_class_weights(const volt_recipe *r, const volt_train_targets *t)
{
    double sum = 0;

    if (r->class_weights != 0 && r->class_weights != t->outputs)
        return volt_fail(VOLT_EINVAL,
                         "%d class weight%s for a network with %d output%s, %s first",
                         r->class_weights, volt_s(r->class_weights), t->outputs,
                         volt_s(t->outputs), t->name[0]);
    for (int k = 0; k < r->class_weights; k++) {
        if (!(r->class_weight[k] >= 0) || r->class_weight[k] > 1e6)
            return volt_fail(VOLT_EINVAL, "class %s has weight %g; 0 to 1e6 is expected",
                             t->name[k], r->class_weight[k]);
        sum += r->class_weight[k];
    }
    if (r->class_weights && !(sum > 0))
        return volt_fail(VOLT_EINVAL, "all class weights are 0");
    return VOLT_OK;
}

static volt_status check_recipe(const volt_recipe *r, const volt_train_targets *t)
{
    if (r->epochs < 1 || r->iterations < 1 || r->validation_iterations < 0 || r->batch < 0 ||
        r->epochs > 1000000000 || r->iterations > 1000000000 ||
        r->validation_iterations > 1000000000)
        return volt_fail(VOLT_EINVAL,
                         "epochs %lld, iterations %lld, validation iterations %lld, batch "
                         "%lld: one is out of range",
                         (long long)r->epochs, (long long)r->iterations,
                         (long long)r->validation_iterations, (long long)r->batch);
    if (!(r->weight_ce >= 0) || !(r->weight_dice >= 0) || !isfinite(r->weight_ce) ||
        !isfinite(r->weight_dice) || !(r->weight_ce + r->weight_dice > 0))
        return volt_fail(VOLT_EINVAL,
                         "weights of %g for cross-entropy and %g for Dice: both must be at "
                         "least 0 and one above",
                         r->weight_ce, r->weight_dice);
    if (!(r->foreground >= 0) || !(r->foreground <= 1))
        return volt_fail(VOLT_EINVAL,
                         "a fraction of %g of the samples with foreground; 0 to 1 is expected",
                         r->foreground);
    if (!(r->dropout == VOLT_DROPOUT_PLAN || (r->dropout >= 0 && r->dropout < 1)))
        return volt_fail(VOLT_EINVAL, "dropout %g; 0 to below 1 is expected", r->dropout);
    if (r->batch_dice < VOLT_BATCH_DICE_PLAN || r->batch_dice > VOLT_BATCH_DICE_ON ||
        r->rules < 0 || r->rules > VOLT_MAX_PARAM_RULES)
        return volt_fail(VOLT_EINVAL,
                         "batch Dice %d, number of parameter rules %d: one is out of range",
                         (int)r->batch_dice, r->rules);
    return check_class_weights(r, t);
}

static volt_status check_request(const volt_session *s)
{
    const volt_train_options *o = s->options;
    volt_status st;

    VOLT_TRY(st, done, check_data(s->data, &s->targets));
    VOLT_TRY(st, done, check_recipe(o->recipe, &s->targets));
    if (!(o->budget_s >= 0) || o->budget_s > 1e12)
        st = volt_fail(VOLT_EINVAL, "a budget of %g s; 0 to 1e12 is expected", o->budget_s);
done:
    return st;
}

/* The recipe of a new run; the precision is chosen later. */
static volt_train_recipe recipe_from_request(const volt_session *s)
{
    volt_train_recipe r = {.recipe = *s->options->recipe,
                           .seed = s->options->seed,
                           .precision = s->options->precision,
                           .budget_s = s->options->budget_s,
                           .cases = names_checksum(s->data)};

    if (r.recipe.batch == 0)
        r.recipe.batch = s->data->config->batch;
    if (s->data->validate_count == 0)
        r.recipe.validation_iterations = 0;
    if (s->targets.regions)
        r.recipe.sigmoid = true;
    snprintf(r.configuration, sizeof r.configuration, "%s", s->data->config->name);
    snprintf(r.init, sizeof r.init, "%s", s->options->init ? s->options->init : "");
    if (s->data->previous_run && strlen(s->data->previous_run) < sizeof r.previous_run)
        snprintf(r.previous_run, sizeof r.previous_run, "%s", s->data->previous_run);
    return r;
}

/* ---- the run in the folder ---- */

/* Logs where the recipe asked for differs from the run's own, which applies. */
static volt_status compare_recipes(const volt_session *s)
{
    volt_train_recipe asked = recipe_from_request(s);
    char *own_text = NULL, *text = NULL, where[256];
    volt_status st;

    asked.recipe.epochs = s->recipe.recipe.epochs; /* compared elsewhere */
    asked.budget_s = s->recipe.budget_s;
    asked.precision = s->recipe.precision;
    asked.threads = s->recipe.threads;
    memcpy(asked.device, s->recipe.device, sizeof asked.device);
    if (!s->options->init)
        memcpy(asked.init, s->recipe.init, sizeof asked.init);
    memcpy(asked.previous_run, s->recipe.previous_run, sizeof asked.previous_run);
    VOLT_TRY(st, done, volt_train_recipe_text(&own_text, &s->recipe));
    VOLT_TRY(st, done, volt_train_recipe_text(&text, &asked));
    if (volt_json_texts_differ(where, sizeof where, own_text, text))
        volt_report(s->cb, VOLT_LOG_INFO,
                    "the run keeps its own recipe; the one asked for differs in %s", where);
done:
    volt_free(text);
    volt_free(own_text);
    return st;
}

/* Takes recipe and state from the latest checkpoint if it belongs to this data and plan. */
static volt_status recipe_from_checkpoint(volt_session *s)
{
    volt_checkpoint_head head = {0};
    char where[256];
    volt_status st;

    VOLT_TRY(st, done, volt_checkpoint_read_head(&head, s->latest));
    VOLT_TRY(st, done, volt_train_recipe_parse(&s->recipe, head.recipe, s->latest));
    VOLT_TRY(st, done, volt_train_state_parse(&s->state, head.state, s->latest));
    if (volt_json_texts_differ(where, sizeof where, head.plan, s->plan_text))
        st = volt_fail(VOLT_EDATA, "%s was trained with another plan: %s differs", s->latest,
                       where);
    else if (volt_json_texts_differ(where, sizeof where, head.dataset, s->info_text))
        st = volt_fail(VOLT_EDATA, "%s was trained on another data set: %s differs", s->latest,
                       where);
    else if (strcmp(s->recipe.configuration, s->data->config->name) != 0)
        st = volt_fail(VOLT_EDATA, "%s was trained as configuration %s, not %s", s->latest,
                       s->recipe.configuration, s->data->config->name);
    else if (s->recipe.cases != names_checksum(s->data))
        st = volt_fail(VOLT_EDATA, "%s was trained on other cases (another fold?)", s->latest);
    else
        st = check_recipe(&s->recipe.recipe, &s->targets);
    if (st == VOLT_OK)
        s->resumed = true;
done:
    volt_checkpoint_head_free(&head);
    return st;
}

/* ---- changing the length ---- */

static double rate_now(const volt_session *s)
{
    return volt_train_state_rate(&s->state, &s->recipe.recipe.optimizer);
}

/* Epochs of the length asked for; 0 = to be measured because nothing was trained yet. */
static volt_status asked_epochs(int64_t *out, const volt_session *s)
{
    const volt_train_options *o = s->options;
    const volt_train_state *t = &s->state;
    const int64_t begun = t->epoch + (t->iteration > t->epoch * t->iterations);

    if (o->budget_s > 0) {
        *out = t->iteration > 0 ? volt_budget_epochs(t, o->budget_s) : 0;
        return VOLT_OK;
    }
    *out = o->recipe->epochs;
    if (*out < begun)
        return volt_fail(VOLT_EINVAL, "%s is already in epoch %lld: it cannot end after %lld",
                         s->run, (long long)begun, (long long)*out);
    return VOLT_OK;
}

/* Gives a resumed run the length asked for; its learning rate continues where a run planned
 * with that length would be. */
static volt_status change_length(volt_session *s)
{
    const volt_train_options *o = s->options;
    volt_train_state *t = &s->state;
    const int64_t before = t->epochs;
    const double rate = rate_now(s);
    int64_t epochs;
    volt_status st;

    if (o->budget_s > 0 ? o->budget_s == s->recipe.budget_s
                        : s->recipe.budget_s == 0 && o->recipe->epochs == t->epochs)
        return VOLT_OK;
    st = asked_epochs(&epochs, s);
    if (st != VOLT_OK)
        return st;
    s->changed = true;
    s->recipe.budget_s = o->budget_s;
    s->unfitted = epochs == 0;
    if (s->unfitted)
        return VOLT_OK;
    if (o->budget_s == 0)
        s->recipe.recipe.epochs = epochs;
    t->epochs = epochs;
    t->anchor = 0;
    t->anchor_progress = 0;
    volt_report(s->cb, VOLT_LOG_INFO,
                "the run now takes %lld epoch%s instead of %lld (%lld done); the learning rate "
                "changes from %.3g to %.3g",
                (long long)epochs, volt_s(epochs), (long long)before, (long long)t->epoch, rate,
                rate_now(s));
    return VOLT_OK;
}

/* The recipe of a new run next to others: theirs, with the length asked for if there is one. */
static volt_status recipe_of_sibling(volt_session *s, const char *sibling)
{
    const volt_train_options *o = s->options;
    const volt_train_recipe asked = recipe_from_request(s);
    volt_checkpoint_head head = {0};
    char *path = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_path_join(&path, sibling, VOLT_RUN_LATEST));
    VOLT_TRY(st, done, volt_checkpoint_read_head(&head, path));
    VOLT_TRY(st, done, volt_train_recipe_parse(&s->recipe, head.recipe, path));
    s->recipe.cases = asked.cases;
    memcpy(s->recipe.configuration, asked.configuration, sizeof asked.configuration);
    memcpy(s->recipe.init, asked.init, sizeof asked.init);
    if (s->data->validate_count == 0)
        s->recipe.recipe.validation_iterations = 0;
    if (o->change_length) {
        s->recipe.budget_s = o->budget_s;
        s->recipe.recipe.epochs = asked.recipe.epochs;
    }
    VOLT_TRY(st, done, check_recipe(&s->recipe.recipe, &s->targets));
    volt_report(s->cb, VOLT_LOG_INFO, "using the recipe of %s", sibling);
    st = compare_recipes(s);
done:
    volt_checkpoint_head_free(&head);
    volt_free(path);
    return st;
}

volt_status volt_session_setup(volt_session *s)
{
    const bool there = volt_path_exists(s->latest);
    volt_status st;

    VOLT_TRY(st, done, check_request(s));
    if (there && !s->options->resume)
        return volt_fail(VOLT_EDATA,
                         "%s already contains a run: resume it, or train into another folder",
                         s->run);
    if (there) {
        VOLT_TRY(st, done, recipe_from_checkpoint(s));
        VOLT_TRY(st, done, compare_recipes(s));
        return s->options->change_length ? change_length(s) : VOLT_OK;
    }
    if (s->options->resume)
        volt_report(s->cb, VOLT_LOG_WARNING, "%s contains no checkpoint: starting a new run",
                    s->run);
    if (s->options->like)
        VOLT_TRY(st, done, recipe_of_sibling(s, s->options->like));
    else
        s->recipe = recipe_from_request(s);
    s->state = volt_train_state_first(&s->recipe.recipe);
    s->unfitted = s->recipe.budget_s > 0;
done:
    return st;
}
