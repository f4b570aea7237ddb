#include "nets3d/train/checks.h"

#include <math.h>
#include <string.h>

#include "base/core/plural.h"
#include "base/threads.h"
#include "volume/augment.h"

#define MAX_COUNT          1000000000
#define MAX_BATCH          (1 << 24)
#define MAX_ACCUMULATE     (1 << 16)
#define MAX_LOADER_THREADS 256
#define MAX_RANKS          65536
#define MAX_SECONDS        1e12

/* ---- ranges ---- */

/* A number and the range that it must lie in; `open`: above `low`, not at it. */
typedef struct real {
    const char *what;
    double value, low, high;
    bool open;
} real;

static volt_status check_reals(const real *v, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!(v[i].value >= v[i].low && v[i].value <= v[i].high) ||
            (v[i].open && v[i].value == v[i].low))
            return volt_fail(VOLT_EINVAL, "%s %g; a number %s %g %s %g is expected", v[i].what,
                             v[i].value, v[i].open ? "above" : "from", v[i].low,
                             v[i].open ? "and up to" : "to", v[i].high);
    }
    return VOLT_OK;
}

/* An integer, or the number of an enumerator, from low to high. */
typedef struct whole {
    const char *what;
    int64_t value, low, high;
} whole;

static volt_status check_wholes(const whole *v, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (v[i].value < v[i].low || v[i].value > v[i].high)
            return volt_fail(VOLT_EINVAL, "%s %lld; %lld to %lld are expected", v[i].what,
                             (long long)v[i].value, (long long)v[i].low, (long long)v[i].high);
    }
    return VOLT_OK;
}

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

/* ---- options ---- */

volt_status volt_train_check_options(const volt_train_options *o)
{
    const whole wholes[] = {
        {"precision", o->precision, VOLT_PRECISION_AUTO, VOLT_TF32},
        {"threads", o->threads, 0, VOLT_MAX_THREADS},
        {"loader threads", o->loader_threads, VOLT_LOADER_THREADS_NONE, MAX_LOADER_THREADS},
        {"ranks", o->ranks, 0, MAX_RANKS},
        {"mode of initial weights", o->init_mode, VOLT_TRANSFER_BY_NAME,
         VOLT_TRANSFER_TOLERANT},
        {"iterations between checkpoints", o->checkpoint_every, 0, INT64_MAX},
        {"number of fields given", o->givens, 0, VOLT_TRAIN_FIELDS},
    };
    const real reals[] = {
        {"a budget of", o->budget_s, 0, MAX_SECONDS, false},
        {"seconds between checkpoints", o->checkpoint_s, 0, MAX_SECONDS, false},
    };
    volt_status st;

    VOLT_TRY(st, done, check_wholes(wholes, COUNT_OF(wholes)));
    VOLT_TRY(st, done, check_reals(reals, COUNT_OF(reals)));
    if (o->givens > 0 && !o->given)
        return volt_fail(VOLT_EINVAL, "%d fields are given, but there is no list", o->givens);
    for (int i = 0; i < o->givens; i++) {
        if ((int)o->given[i].field < 0 || o->given[i].field >= VOLT_TRAIN_FIELDS)
            return volt_fail(VOLT_EINVAL, "field %d is given; 0 to %d are expected",
                             (int)o->given[i].field, VOLT_TRAIN_FIELDS - 1);
    }
    if (o->init && !*o->init)
        return volt_fail(VOLT_EINVAL, "the source of the initial weights is an empty text");
done:
    return st;
}

/* ---- the recipe ---- */

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

static volt_status check_optimizer(const volt_optimizer_settings *o)
{
    const double below_one = nextafter(1, 0);
    const whole wholes[] = {
        {"optimizer", o->kind, VOLT_SGD, VOLT_ADAMW},
        {"schedule", o->schedule, VOLT_SCHEDULE_POLY, VOLT_SCHEDULE_CONSTANT},
    };
    const real reals[] = {
        {"learning rate", o->lr, 0, 1e3, true},
        {"momentum", o->momentum, 0, below_one, false},
        {"beta1", o->beta1, 0, below_one, false},
        {"beta2", o->beta2, 0, below_one, false},
        {"eps", o->eps, 0, 1, o->kind != VOLT_SGD},
        {"weight decay", o->weight_decay, 0, 1e3, false},
        {"gradient norm to clip at", o->clip_norm, 0, 1e9, false},
        {"warm-up", o->warmup, 0, below_one, false},
    };
    volt_status st = check_wholes(wholes, COUNT_OF(wholes));

    return st == VOLT_OK ? check_reals(reals, COUNT_OF(reals)) : st;
}

static volt_status check_rules(const volt_recipe *r)
{
    for (int i = 0; i < r->rules; i++) {
        const volt_param_rule *rule = &r->rule[i];
        const real scale = {"factor of a learning rate", rule->scale, 0, 1e6, false};
        volt_status st = check_reals(&scale, 1);
        if (st != VOLT_OK)
            return st;
        if (!*rule->pattern || !memchr(rule->pattern, '\0', sizeof rule->pattern))
            return volt_fail(VOLT_EINVAL,
                             "the pattern of parameter rule %d has no end or is "
                             "empty",
                             i);
    }
    return VOLT_OK;
}

volt_status volt_train_check_recipe(const volt_recipe *r, const volt_train_targets *t)
{
    const whole wholes[] = {
        {"epochs", r->epochs, 1, MAX_COUNT},
        {"iterations", r->iterations, 1, MAX_COUNT},
        {"validation iterations", r->validation_iterations, 0, MAX_COUNT},
        {"batch", r->batch, 0, MAX_BATCH},
        {"number of accumulated batches", r->accumulate, 1, MAX_ACCUMULATE},
        {"batch Dice", r->batch_dice, VOLT_BATCH_DICE_PLAN, VOLT_BATCH_DICE_ON},
        {"number of parameter rules", r->rules, 0, VOLT_MAX_PARAM_RULES},
        {"number of class weights", r->class_weights, 0, VOLT_MAX_CLASSES},
    };
    const real reals[] = {
        {"weight of cross-entropy", r->weight_ce, 0, 1e6, false},
        {"weight of Dice", r->weight_dice, 0, 1e6, false},
        {"fraction of samples with foreground", r->foreground, 0, 1, false},
        {"dropout", r->dropout == VOLT_DROPOUT_PLAN ? 0 : r->dropout, 0, 0.99, false},
    };
    volt_status st;

    VOLT_TRY(st, done, check_wholes(wholes, COUNT_OF(wholes)));
    VOLT_TRY(st, done, check_reals(reals, COUNT_OF(reals)));
    VOLT_TRY(st, done, check_optimizer(&r->optimizer));
    VOLT_TRY(st, done, check_rules(r));
    if (!(r->weight_ce + r->weight_dice > 0))
        return volt_fail(VOLT_EINVAL,
                         "weights of 0 for cross-entropy and 0 for Dice: one must be above 0");
    if (t)
        st = check_class_weights(r, t);
done:
    return st;
}

/* ---- data ---- */

/* No NULL among `count` names. */
static volt_status check_names(const char *const *name, int64_t count, const char *what)
{
    if (count < 0 || (count > 0 && !name))
        return volt_fail(VOLT_EINVAL, "%lld %s cases, but no names are given", (long long)count,
                         what);
    for (int64_t i = 0; i < count; i++) {
        if (!name[i] || !*name[i])
            return volt_fail(VOLT_EINVAL, "%s case %lld has no name", what, (long long)i);
    }
    return VOLT_OK;
}

volt_status volt_train_check_data(const volt_train_data *d, const volt_train_targets *t)
{
    volt_status st = check_names(d->train, d->train_count, "training");

    if (st == VOLT_OK)
        st = check_names(d->validate, d->validate_count, "validation");
    if (st != VOLT_OK)
        return st;
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
