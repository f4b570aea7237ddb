#include "apps/train_recipe.h"

#include <stdlib.h>
#include <string.h>

#include "base/system/owner.h"
#include "base/system/file.h"
#include "base/core/alloc.h"
#include "nets3d/precision.h"
#include "nets3d/predictor.h"
#include "nets3d/run.h"

#define FAST_BUDGET_S 1800.0

enum { RECIPE_NNUNET, RECIPE_FAST };
enum { LOSS_CE, LOSS_DICE, LOSS_DICE_CE, LOSS_BCE_DICE };

static void take(double *to, const cli_list *given)
{
    if (given->count)
        *to = given->v[0];
}

/* An optimizer other than the recipe's brings its own defaults; schedule and clipping stay. */
static void set_optimizer(volt_optimizer_settings *to, const train_options *o)
{
    const volt_optimizer_kind kind =
        o->optimizer < 0 ? to->kind : (volt_optimizer_kind)(o->optimizer + VOLT_SGD);

    if (kind != to->kind) {
        const volt_optimizer_settings usual = volt_optimizer_usual(kind);
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
            return volt_fail(VOLT_EINVAL, "--class-weights: more than %d weights",
                             VOLT_MAX_CLASSES);
        r->class_weight[r->class_weights++] = strtod(at, &end);
        if (end == at || (*end != ',' && *end != '\0'))
            return volt_fail(VOLT_EINVAL,
                             "--class-weights: '%s' is not a list of numbers such as 1,2,5",
                             text);
        if (!*end)
            return VOLT_OK;
    }
}

static volt_status set_loss(volt_recipe *r, const train_options *o,
                            const volt_dataset_info *info)
{
    if (info && info->regions && (o->loss == LOSS_CE || o->loss == LOSS_DICE_CE))
        return volt_fail(
            VOLT_EINVAL,
            "--loss %s needs a softmax, but the data set's regions may overlap; use "
            "bce_dice or dice",
            o->loss == LOSS_CE ? "ce" : "dice_ce");
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
        VOLT_TRY(st, done, volt_recipe_add_scales(r, o->lr_scale));
    if (o->freeze)
        VOLT_TRY(st, done, volt_recipe_freeze(r, o->freeze));
done:
    return st;
}

volt_status train_options_to_library(volt_train_options *out, volt_recipe *recipe, const cli *c,
                                     const volt_plan_config *config,
                                     const volt_dataset_info *info)
{
    const train_options *o = c->options;
    volt_train_options t = volt_train_defaults();
    volt_status st;

    VOLT_TRY(st, done, set_recipe(recipe, o, config, info));
    t.recipe = recipe;
    VOLT_TRY(st, done, volt_precision_parse(&t.precision, o->precision));
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
done:
    return st;
}

volt_status train_folds_parse(train_folds *out, const char *text)
{
    bool marked[VOLT_FOLDS + 1] = {false};
    train_folds folds = {0};
    int low = 0, high = 0;

    for (const char *at = text; at == text || *at;) {
        const volt_status st = volt_fold_list_next(&low, &high, &at, text);
        if (st != VOLT_OK)
            return st;
        if (high >= VOLT_FOLDS)
            return volt_fail(VOLT_EINVAL, "--folds '%s': the folds are 0 to %d and all", text,
                             VOLT_FOLDS - 1);
        for (int k = low; k <= high; k++)
            marked[k < 0 ? VOLT_FOLDS : k] = true;
    }
    for (int k = 0; k <= VOLT_FOLDS; k++) {
        if (marked[k])
            folds.fold[folds.count++] = k;
    }
    *out = folds;
    return VOLT_OK;
}

volt_status train_check_run(const train_options *o, const train_folds *folds)
{
    const bool single = volt_run_is_single(o->output);
    char *run = NULL;
    volt_status st = volt_owner_check(o->output);

    if (st != VOLT_OK)
        return st;
    if (!o->folds && !single && volt_is_run(o->output))
        return volt_fail(VOLT_EDATA, "%s holds several folds; use --folds or another folder",
                         o->output);
    if (o->folds && single)
        return volt_fail(VOLT_EDATA, "%s holds a single run, not folds; use another folder",
                         o->output);
    if (!o->folds && single && !o->resume)
        return volt_fail(VOLT_EDATA, "%s already holds a run; use --resume or another folder",
                         o->output);
    for (int i = 0; i < folds->count; i++) {
        if (folds->fold[i] < VOLT_FOLDS)
            VOLT_TRY(st, done, volt_format(&run, "%s/fold_%d", o->output, folds->fold[i]));
        else
            VOLT_TRY(st, done, volt_format(&run, "%s/fold_all", o->output));
        VOLT_TRY(st, done, volt_owner_check(run));
        if (volt_run_is_single(run) && !o->resume) {
            st = volt_fail(VOLT_EDATA, "%s already holds a run; use --resume or another folder",
                           run);
            goto done;
        }
        volt_free(run);
        run = NULL;
    }
done:
    volt_free(run);
    return st;
}
