#include "apps/train_recipe.h"

#include <stdlib.h>
#include <string.h>

#define FAST_BUDGET_S 1800.0

enum { RECIPE_NNUNET, RECIPE_FAST };
enum { LOSS_CE, LOSS_DICE, LOSS_DICE_CE, LOSS_BCE_DICE };

static void take(double *to, const cli_list *given)
{
    if (given->count)
        *to = given->v[0];
}

/* Another optimiser than the recipe's comes with its usual numbers; schedule and clipping stay.
 */
static void set_optimizer(volt_optimizer_options *to, const train_options *o)
{
    const volt_optimizer_kind kind =
        o->optimizer < 0 ? to->kind : (volt_optimizer_kind)(o->optimizer + VOLT_SGD);

    if (kind != to->kind) {
        const volt_optimizer_options usual = volt_optimizer_usual(kind);
        to->kind = kind;
        to->lr = usual.lr;
        to->weight_decay = usual.weight_decay;
        to->momentum = usual.momentum;
    }
    if (o->schedule >= 0)
        to->schedule = (volt_schedule)(o->schedule + VOLT_SCHEDULE_POLY);
    take(&to->lr, &o->lr);
    take(&to->warmup, &o->warmup);
    take(&to->weight_decay, &o->weight_decay);
    take(&to->momentum, &o->momentum);
    take(&to->clip_norm, &o->clip);
}

static volt_status set_class_weights(volt_recipe *r, const char *text)
{
    char *end;

    for (const char *at = text;; at = end + 1) {
        if (r->class_weights == VOLT_MAX_CLASSES)
            return volt_fail(VOLT_EINVAL, "--class-weights: more than %d numbers",
                             VOLT_MAX_CLASSES);
        r->class_weight[r->class_weights++] = strtod(at, &end);
        if (end == at || (*end != ',' && *end != '\0'))
            return volt_fail(VOLT_EINVAL,
                             "--class-weights: '%s' is no list of numbers such as 1,2,5", text);
        if (!*end)
            return VOLT_OK;
    }
}

static volt_status set_loss(volt_recipe *r, const train_options *o,
                            const volt_dataset_info *info)
{
    if (info && info->regions && (o->loss == LOSS_CE || o->loss == LOSS_DICE_CE))
        return volt_fail(VOLT_EINVAL,
                         "--loss %s: the data set's %d regions may overlap, so they have no "
                         "softmax; use bce_dice or dice",
                         o->loss == LOSS_CE ? "ce" : "dice_ce", info->regions);
    if (o->loss < 0)
        return VOLT_OK;
    r->weight_ce = o->loss == LOSS_DICE ? 0 : 1;
    r->weight_dice = o->loss == LOSS_CE ? 0 : 1;
    r->sigmoid = o->loss == LOSS_BCE_DICE;
    return VOLT_OK;
}

static volt_status set_recipe(volt_recipe *r, const train_options *o,
                              const volt_plan_config *config, const volt_dataset_info *info)
{
    const int named =
        o->recipe < 0 ? (o->budget_s > 0 ? RECIPE_FAST : RECIPE_NNUNET) : o->recipe;
    volt_status st;

    *r = named == RECIPE_FAST ? volt_recipe_budget(config ? config->batch : 1)
                              : volt_recipe_nnunet();
    if (o->epochs)
        r->epochs = o->epochs;
    if (o->iterations)
        r->iterations = o->iterations;
    if (o->validation)
        r->validation_iterations = o->validation;
    if (o->batch)
        r->batch = o->batch;
    if (o->batch_dice >= 0)
        r->batch_dice = o->batch_dice;
    for (int a = 0; o->mirror >= 0 && a < 3; a++)
        r->mirror[a] = o->mirror == 1;
    r->deep_supervision = r->deep_supervision && !o->no_deep_supervision;
    r->augment = r->augment && !o->no_augment;
    take(&r->foreground, &o->foreground);
    take(&r->dropout, &o->dropout);
    set_optimizer(&r->optimizer, o);
    VOLT_TRY(st, done, set_loss(r, o, info));
    if (o->class_weights)
        VOLT_TRY(st, done, set_class_weights(r, o->class_weights));
    if (o->lr_scale)
        VOLT_TRY(st, done, volt_param_rules_add(r, o->lr_scale, -1));
    if (o->freeze)
        VOLT_TRY(st, done, volt_param_rules_add(r, o->freeze, 0));
done:
    return st;
}

volt_status train_options_to_library(volt_train_options *out, const cli *c,
                                     const volt_plan_config *config,
                                     const volt_dataset_info *info)
{
    const train_options *o = c->options;
    volt_train_options t = volt_train_defaults();
    volt_status st = set_recipe(&t.recipe, o, config, info);

    if (st != VOLT_OK)
        return st;
    t.precision = (volt_precision)o->precision;
    t.seed = (uint64_t)o->seed;
    t.threads = (int)c->threads;
    t.loader_threads = (int)o->loader_threads;
    t.resume = o->resume;
    t.change_length = o->resume && (o->epochs || o->budget_s > 0);
    t.budget_s = o->budget_s;
    if (o->recipe == RECIPE_FAST && o->budget_s == 0 && !o->epochs)
        t.budget_s = FAST_BUDGET_S;
    t.init = o->init;
    t.init_mode = (volt_transfer_mode)o->init_mode;
    *out = t;
    return VOLT_OK;
}

/* Marks "K", "K-L" or "all", `length` bytes at `text`. */
static bool mark_folds(bool marked[VOLT_FOLDS + 1], const char *text, size_t length)
{
    const int low = text[0] - '0', high = length == 3 ? text[2] - '0' : low;

    if (length == 3 && strncmp(text, "all", 3) == 0) {
        marked[VOLT_FOLDS] = true;
        return true;
    }
    if ((length != 1 && (length != 3 || text[1] != '-')) || low < 0 || high < low ||
        high >= VOLT_FOLDS)
        return false;
    for (int k = low; k <= high; k++)
        marked[k] = true;
    return true;
}

volt_status train_folds_parse(train_folds *out, const char *text)
{
    bool marked[VOLT_FOLDS + 1] = {false};
    train_folds folds = {0};

    for (const char *at = text;; at++) {
        const size_t length = strcspn(at, ",");
        if (!mark_folds(marked, at, length))
            return volt_fail(VOLT_EINVAL,
                             "--folds: '%s' is no list of folds from 0 to %d, such as 0-4 or "
                             "0,2,all",
                             text, VOLT_FOLDS - 1);
        at += length;
        if (!*at)
            break;
    }
    for (int k = 0; k <= VOLT_FOLDS; k++) {
        if (marked[k])
            folds.fold[folds.count++] = k;
    }
    *out = folds;
    return VOLT_OK;
}
