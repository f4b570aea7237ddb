/* train_recipe.h - the recipe and the folds that the options of `volt train` describe. */
#ifndef VOLT_APPS_TRAIN_RECIPE_H
#define VOLT_APPS_TRAIN_RECIPE_H
#include "apps/cli/dataset_options.h"
#include "nets3d/recipe.h"
#include "nets3d/plan.h"
#include "nets3d/splits.h"
#include "nets3d/trainer.h"

/* Options not given: choices are -1, numbers 0, lists empty, texts NULL. */
typedef struct train_options {
    const char *output, *work, *configuration, *fold, *folds, *previous, *precision;
    int64_t epochs, iterations, validation, batch, accumulate, seed, loader_threads, ranks;
    double budget_s;
    bool resume, validate, probabilities;
    int recipe, optimizer, loss, schedule, batch_dice, mirror;
    cli_list lr, warmup, weight_decay, momentum, clip, foreground, dropout;
    const char *class_weights, *init, *freeze, *lr_scale, *mesh;
    int init_mode;
    bool no_deep_supervision, no_augment;
    cli_dataset data;
} train_options;

/* The library's options, and what they point to. Must not be copied. */
typedef struct train_request {
    volt_train_options options;
    volt_recipe recipe;
    volt_train_given given[VOLT_TRAIN_FIELDS];
} train_request;
/* Translates the options for the library. `config` and `info` NULL: not yet known. VOLT_EINVAL:
 * options that contradict each other or the data set. */
volt_status train_request_make(train_request *out, const cli *c, const volt_plan_config *config,
                               const volt_dataset_info *info);

enum { TRAIN_MAX_FOLDS = 1001 }; /* 0 to 999 and all */

/* Folds to train in turn: numbers, VOLT_FOLD_ALL last. */
typedef struct train_folds {
    int count, fold[TRAIN_MAX_FOLDS];
} train_folds;
/* --folds "0-4", "0,2,all": ascending, none twice; or --fold, one of them. VOLT_EINVAL. */
volt_status train_folds_parse(train_folds *out, const train_options *o);
/* "fold_3" or "fold_all" in `folder`; the caller owns *out. */
volt_status train_fold_path(char **out, const char *folder, int fold);
/* VOLT_EDATA if RUN is a single run where --folds is given, or several folds where it is not.
 */
volt_status train_check_kind(const train_options *o);

#endif
