#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include "apps/dataset_options.h"
#include "base/file.h"
#include "base/mem.h"
#include "io/workspace.h"
#include "nets3d/pipeline.h"
#include "nets3d/splits.h"
#include "nets3d/trainer.h"

typedef struct train_options {
    const char *output, *work, *configuration;
    int fold, precision; /* positions of their words: 5 is all; 0 auto, else volt_precision */
    int64_t epochs, iterations, validation, batch, seed;
    double budget_s;
    bool resume;
    cli_dataset data;
} train_options;

static const cli_option options[] = {
    {"--output", 'o', CLI_TEXT, offsetof(train_options, output), "RUN", NULL, 0, 0,
     "folder of the run: checkpoints, log, summary (required)"},
    {"--fold", 0, CLI_CHOICE, offsetof(train_options, fold), "0|1|2|3|4|all", "0", 0, 0,
     "part of the cases to leave out for validation"},
    {"--epochs", 0, CLI_INT, offsetof(train_options, epochs), "N", NULL, 1, 1e6,
     "length of the schedule [1000]"},
    {"--iterations", 0, CLI_INT, offsetof(train_options, iterations), "N", NULL, 1, 1e6,
     "iterations per epoch [250]"},
    {"--validation", 0, CLI_INT, offsetof(train_options, validation), "N", NULL, 1, 1e6,
     "validation iterations per epoch [50]"},
    {"--budget", 0, CLI_DURATION, offsetof(train_options, budget_s), "TIME", NULL, 10, 3e7,
     "fit the schedule to this time: 90s, 30m, 8h"},
    {"--batch", 0, CLI_INT, offsetof(train_options, batch), "N", NULL, 1, 4096,
     "samples per iteration [the plan's, at most 2 with --budget]"},
    {"--precision", 0, CLI_CHOICE, offsetof(train_options, precision), "auto|fp32|bf16", "auto",
     0, 0, "auto: what is faster on this machine"},
    {"--seed", 0, CLI_INT, offsetof(train_options, seed), "S", "0", 0, 9e15,
     "names the random numbers: the same seed gives the same network"},
    {"--resume", 0, CLI_FLAG, offsetof(train_options, resume), NULL, NULL, 0, 0,
     "go on from RUN's last checkpoint"},
    {"--configuration", 'c', CLI_TEXT, offsetof(train_options, configuration), "NAME", NULL, 0,
     0, "configuration of the plan [3d_fullres]"},
    {"--work", 0, CLI_TEXT, offsetof(train_options, work), "DIR", NULL, 0, 0,
     "folder for fingerprint, plan and prepared cases [DATASET/volt]"},
    CLI_DATASET_OPTIONS(train_options, data),
};

/* Names of the cases at `index`; the caller owns *out (volt_free), the names are borrowed. */
static volt_status case_names(const char ***out, const volt_dataset *ds, const int64_t *index,
                              int64_t count)
{
    const char **names = NULL;
    volt_status st = volt_alloc_zero(&names, (size_t)count + 1, sizeof *names, "case names");

    if (st != VOLT_OK)
        return st;
    for (int64_t i = 0; i < count; i++)
        names[i] = ds->cases.item[index[i]].id;
    *out = names;
    return VOLT_OK;
}

static volt_train_options train_options_of(const cli *c, const volt_plan_config *config)
{
    const train_options *o = c->options;
    volt_train_options t = volt_train_defaults();

    if (o->budget_s > 0)
        t.recipe = volt_recipe_budget(config->batch);
    if (o->epochs)
        t.recipe.epochs = o->epochs;
    if (o->iterations)
        t.recipe.iterations = o->iterations;
    if (o->validation)
        t.recipe.validation_iterations = o->validation;
    if (o->batch)
        t.recipe.batch = o->batch;
    t.precision = (volt_precision)o->precision;
    t.seed = (uint64_t)o->seed;
    t.threads = (int)c->threads;
    t.resume = o->resume;
    t.budget_s = o->budget_s;
    return t;
}

static volt_status print_result(const cli *c, const volt_train_result *r)
{
    const train_options *o = c->options;
    double mib = 1024.0 * 1024;

    if (c->json)
        return cli_print_json(
            json_pack("{s:s, s:I, s:I, s:b, s:o, s:o, s:o, s:f, s:f, s:I, s:I}", "run",
                      o->output, "epochs", (json_int_t)r->epochs, "iterations",
                      (json_int_t)r->iterations, "finished", (int)r->finished, "train_loss",
                      volt_json_number(r->train_loss), "mean_dice",
                      volt_json_number(r->mean_dice), "best_ema", volt_json_number(r->best_ema),
                      "seconds", r->seconds, "data_wait_s", r->data_wait_s, "announced_bytes",
                      (json_int_t)r->memory.total, "peak_bytes", (json_int_t)r->peak_bytes));
    printf("trained %" PRId64 " epochs, %" PRId64 " iterations in %.0f s; loss %.4f", r->epochs,
           r->iterations, r->seconds, r->train_loss);
    if (isfinite(r->mean_dice))
        printf(", validation Dice %.4f", r->mean_dice);
    printf("\nthe network waited %.1f s for data; peak memory %.0f MiB, %.0f announced\n",
           r->data_wait_s, (double)r->peak_bytes / mib, (double)r->memory.total / mib);
    printf("run saved in %s; use it with: volt predict %s SCAN... -o OUT\n", o->output,
           o->output);
    return VOLT_OK;
}

/* The split file of the work folder, the split itself and training on it. */
static volt_status train(cli *c, const volt_pipeline *p, volt_train_result *result)
{
    const train_options *o = c->options;
    volt_train_options t = train_options_of(c, p->config);
    const char **train = NULL, **validate = NULL;
    char *splits = NULL;
    volt_split split = {0};
    volt_status st;

    VOLT_TRY(st, done, volt_path_join(&splits, p->work, VOLT_WORK_SPLITS));
    VOLT_TRY(st, done,
             volt_split_for_fold(&split, p->dataset, splits,
                                 o->fold < VOLT_FOLDS ? o->fold : VOLT_FOLD_ALL));
    VOLT_TRY(st, done, case_names(&train, p->dataset, split.train, split.trains));
    VOLT_TRY(st, done, case_names(&validate, p->dataset, split.val, split.vals));
    volt_report(&c->callbacks, VOLT_LOG_INFO, "training on %lld cases, validating on %lld",
                (long long)split.trains, (long long)split.vals);
    st = volt_train(o->output,
                    &(volt_train_data){.plan = p->plan,
                                       .config = p->config,
                                       .info = &p->dataset->info,
                                       .store = p->cases,
                                       .train = train,
                                       .train_count = split.trains,
                                       .validate = validate,
                                       .validate_count = split.vals},
                    &t, &c->callbacks, result);
done:
    volt_free(validate);
    volt_free(train);
    volt_split_clear(&split);
    volt_free(splits);
    return st;
}

static volt_status run(cli *c)
{
    train_options *o = c->options;
    volt_pipeline_options prepare = {.work = o->work,
                                     .configuration = o->configuration,
                                     .until = VOLT_STAGE_PREPROCESS,
                                     .threads = (int)c->threads,
                                     .callbacks = &c->callbacks};
    volt_train_result result = {0};
    volt_pipeline p = {0};
    volt_status st;

    VOLT_TRY(st, done, cli_need_output(c, o->output));
    VOLT_TRY(st, done, cli_dataset_take(&prepare.data, &prepare.dataset, c, &o->data));
    VOLT_TRY(st, done, volt_pipeline_run(&p, &prepare));
    st = train(c, &p, &result);
    if (st == VOLT_ECANCELLED && result.iterations > 0)
        st = volt_fail(VOLT_ECANCELLED,
                       "stopped and saved after iteration %lld; the same command with --resume "
                       "goes on",
                       (long long)result.iterations);
    cli_end_progress(c);
    if (st == VOLT_OK)
        st = print_result(c, &result);
done:
    volt_pipeline_clear(&p);
    return st;
}

const cli_command cmd_train = {
    .name = "train",
    .one_line = "train a network on a data set",
    .args = CLI_DATASET_ARGS " -o RUN",
    .min_args = 0,
    .max_args = 1,
    .about = "Trains nnU-Net's U-Net on DATASET. Checks, plans and preprocesses first where\n"
             "that has not been done. Ctrl-C finishes the iteration and saves; --resume goes\n"
             "on from there, to the same bits as if nothing had happened.",
    .example = "volt train Task04_Hippocampus -o runs/hippocampus --budget 30m",
    .common = CLI_THREADS | CLI_JSON,
    CLI_OPTIONS(options, train_options),
    .run = run,
};
