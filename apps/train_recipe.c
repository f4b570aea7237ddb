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
    double weight[VOLT_MAX_CLASSES];
    int count;
    const volt_status st =
        cli_read_numbers(weight, &count, VOLT_MAX_CLASSES, "--class-weights", text);

    if (st != VOLT_OK)
        return st;
    for (int i = 0; i < count; i++)
        r->class_weight[i] = weight[i];
    r->class_weights = count;
    return VOLT_OK;
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
    if (o->accumulate)
        r->accumulate = o->accumulate;
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

/* The options that a resumed run cannot take, unless they are what it has. */
static const struct {
    const char *name;
    volt_train_field field;
} fixed[] = {
    {"--recipe", VOLT_TRAIN_PRESET},
    {"--iterations", VOLT_TRAIN_ITERATIONS},
    {"--validation", VOLT_TRAIN_VALIDATION},
    {"--batch", VOLT_TRAIN_BATCH},
    {"--accumulate", VOLT_TRAIN_ACCUMULATE},
    {"--optimizer", VOLT_TRAIN_OPTIMIZER},
    {"--lr", VOLT_TRAIN_LR},
    {"--schedule", VOLT_TRAIN_SCHEDULE},
    {"--warmup", VOLT_TRAIN_WARMUP},
    {"--weight-decay", VOLT_TRAIN_WEIGHT_DECAY},
    {"--momentum", VOLT_TRAIN_MOMENTUM},
    {"--clip", VOLT_TRAIN_CLIP},
    {"--loss", VOLT_TRAIN_LOSS},
    {"--class-weights", VOLT_TRAIN_CLASS_WEIGHTS},
    {"--batch-dice", VOLT_TRAIN_BATCH_DICE},
    {"--foreground", VOLT_TRAIN_FOREGROUND},
    {"--dropout", VOLT_TRAIN_DROPOUT},
    {"--mirror", VOLT_TRAIN_MIRROR},
    {"--no-augment", VOLT_TRAIN_AUGMENT},
    {"--no-deep-supervision", VOLT_TRAIN_DEEP_SUPERVISION},
    {"--init", VOLT_TRAIN_INIT},
    {"--init-mode", VOLT_TRAIN_INIT_MODE},
    {"--freeze", VOLT_TRAIN_FREEZE},
    {"--lr-scale", VOLT_TRAIN_LR_SCALE},
    {"--precision", VOLT_TRAIN_PRECISION},
    {"--seed", VOLT_TRAIN_SEED},
    {"--previous", VOLT_TRAIN_PREVIOUS_RUN},
};

static void list_given(train_request *r, const cli *c)
{
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++) {
        if (cli_given(c, fixed[i].name))
            r->given[r->options.givens++] =
                (volt_train_given){.field = fixed[i].field, .name = fixed[i].name};
    }
    r->options.given = r->given;
}

/* Options of which one would silently have no effect next to the other. */
static volt_status check_pairs(const cli *c, const train_request *r)
{
    static const char *const lengths[] = {"--epochs", "--iterations", "--validation"};
    const train_options *o = c->options;
    const bool resumes = o->resume && volt_is_run(o->output); /* else a new run starts */

    for (int i = 0; r->options.budget_s > 0 && i < 3; i++) {
        if (cli_given(c, lengths[i]) && (!resumes || i == 0))
            return volt_fail(VOLT_EINVAL,
                             "%s has no effect with %s, which sets the length; leave one of "
                             "them out%s",
                             lengths[i],
                             cli_given(c, "--budget") ? "--budget"
                                                      : "the budget of --recipe fast",
                             cli_given(c, "--budget") ? "" : ", or give --epochs");
    }
    if (o->folds && cli_given(c, "--fold"))
        return volt_fail(VOLT_EINVAL,
                         "--fold and --folds are both given; leave one of them out");
    if (o->init_mode >= 0 && !o->init)
        return volt_fail(VOLT_EINVAL, "--init-mode requires --init");
    if (cli_given(c, "--momentum") && r->recipe.optimizer.kind != VOLT_SGD && !resumes)
        return volt_fail(VOLT_EINVAL,
                         "--momentum has no effect with --optimizer %s; it is an "
                         "option of sgd",
                         r->recipe.optimizer.kind == VOLT_ADAM ? "adam" : "adamw");
    if (o->probabilities && !o->validate)
        return volt_fail(VOLT_EINVAL, "--save-probabilities requires --validate");
    return VOLT_OK;
}

volt_status train_request_make(train_request *out, const cli *c, const volt_plan_config *config,
                               const volt_dataset_info *info)
{
    const train_options *o = c->options;
    volt_train_options *t = &out->options;
    volt_status st;

    *t = volt_train_defaults();
    VOLT_TRY(st, done, set_recipe(&out->recipe, o, config, info));
    t->recipe = &out->recipe;
    VOLT_TRY(st, done, volt_precision_parse(&t->precision, o->precision));
    t->seed = (uint64_t)o->seed;
    t->threads = (int)c->threads;
    t->loader_threads = (int)o->loader_threads;
    if (o->loader_threads == 0 && cli_given(c, "--loader-threads"))
        t->loader_threads = VOLT_LOADER_THREADS_NONE;
    t->comm = c->comm;
    t->ranks = (int)o->ranks;
    t->mesh = o->mesh;
    t->resume = o->resume;
    t->change_length = o->resume && (o->epochs || o->budget_s > 0);
    t->budget_s = o->budget_s;
    if (o->recipe == RECIPE_FAST && o->budget_s == 0 && !o->epochs)
        t->budget_s = FAST_BUDGET_S;
    t->init = o->init;
    t->init_mode = o->init_mode < 0 ? VOLT_TRANSFER_BY_NAME : (volt_transfer_mode)o->init_mode;
    list_given(out, c);
    st = check_pairs(c, out);
done:
    return st;
}

volt_status train_folds_parse(train_folds *out, const train_options *o)
{
    const char *text = o->folds ? o->folds : o->fold;
    bool marked[TRAIN_MAX_FOLDS] = {false};
    int low = 0, high = 0, count = 0;

    for (const char *at = text; at == text || *at;) {
        const volt_status st = volt_fold_list_next(&low, &high, &at, text);
        if (st != VOLT_OK)
            return st;
        for (int k = low; k <= high; k++)
            marked[k < 0 ? TRAIN_MAX_FOLDS - 1 : k] = true;
    }
    for (int k = 0; k < TRAIN_MAX_FOLDS; k++) {
        if (marked[k])
            out->fold[count++] = k < TRAIN_MAX_FOLDS - 1 ? k : VOLT_FOLD_ALL;
    }
    if (!o->folds && count != 1)
        return volt_fail(VOLT_EINVAL, "--fold %s: one fold is expected; --folds takes several",
                         text);
    out->count = count;
    return VOLT_OK;
}

volt_status train_fold_path(char **out, const char *folder, int fold)
{
    return fold == VOLT_FOLD_ALL ? volt_format(out, "%s/fold_all", folder)
                                 : volt_format(out, "%s/fold_%d", folder, fold);
}

volt_status train_check_kind(const train_options *o)
{
    const bool single = volt_run_is_single(o->output);
    volt_status st = volt_owner_check(o->output);

    if (st != VOLT_OK)
        return st;
    if (!o->folds && !single && volt_is_run(o->output))
        return volt_fail(VOLT_EDATA, "%s holds several folds; use --folds or another folder",
                         o->output);
    if (o->folds && single)
        return volt_fail(VOLT_EDATA, "%s holds a single run, not folds; use another folder",
                         o->output);
    return VOLT_OK;
}
