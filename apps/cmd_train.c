#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "apps/train_recipe.h"
#include "base/core/report.h"
#include "base/system/file.h"
#include "base/core/alloc.h"
#include "base/core/plural.h"
#include "io/workspace.h"
#include "nets3d/pipeline.h"
#include "nets3d/predictor.h"
#include "nets3d/run.h"
#include "nets3d/validation.h"
#include "parallel/ranks.h"

#define AT(field) offsetof(train_options, field)
static const cli_option options[] = {
    {"--output", 'o', CLI_TEXT, AT(output), "RUN", NULL, 0, 0,
     "run folder: checkpoints, log and summary (required)"},
    {"--fold", 0, CLI_TEXT, AT(fold), "K|all", "0", 0, 0,
     "fold to hold out for validation; all: train on every case"},
    {"--folds", 0, CLI_TEXT, AT(folds), "LIST", NULL, 0, 0,
     "train several folds in turn (0-4, or 0,2,all), each into RUN/fold_K"},
    {"--recipe", 0, CLI_CHOICE, AT(recipe), "nnunet|fast", NULL, 0, 0,
     "nnunet: nnU-Net's; fast: for short budgets [nnunet; fast with --budget]"},
    {"--epochs", 0, CLI_INT, AT(epochs), "N", NULL, 1, 1e6,
     "number of epochs [1000]; with --resume, the run's new length"},
    {"--iterations", 0, CLI_INT, AT(iterations), "N", NULL, 1, 1e6,
     "iterations per epoch [250]"},
    {"--validation", 0, CLI_INT, AT(validation), "N", NULL, 1, 1e6,
     "validation iterations per epoch [50]"},
    {"--budget", 0, CLI_DURATION, AT(budget_s), "TIME", NULL, 10, 3e7,
     "fit each fold's schedule to this time: 90s, 30m, 8h [30m with --recipe fast]"},
    {"--batch", 0, CLI_INT, AT(batch), "N", NULL, 1, 4096,
     "samples per iteration [the plan's; fast: at most 2]"},
    {"--accumulate", 0, CLI_INT, AT(accumulate), "K", NULL, 1, 4096,
     "average the gradients of K batches in each iteration: as one of K times the samples, in "
     "the memory of one [1]"},
    {"--optimizer", 0, CLI_CHOICE, AT(optimizer), "sgd|adam|adamw", NULL, 0, 0,
     "optimizer [sgd; fast: adamw]"},
    {"--lr", 0, CLI_REALS, AT(lr), "X", NULL, 1e-12, 1e3,
     "peak learning rate [sgd 0.01; adam, adamw 0.001]"},
    {"--schedule", 0, CLI_CHOICE, AT(schedule), "poly|cosine|constant", NULL, 0, 0,
     "decay of the learning rate [poly, power 0.9; fast: cosine]"},
    {"--warmup", 0, CLI_REALS, AT(warmup), "X", NULL, 0, 0.99,
     "fraction of the run spent on warm-up [0; fast: 0.05]"},
    {"--weight-decay", 0, CLI_REALS, AT(weight_decay), "X", NULL, 0, 1e3,
     "weight decay [sgd 3e-5, adam 0, adamw 0.01]"},
    {"--momentum", 0, CLI_REALS, AT(momentum), "X", NULL, 0, 0.9999, "momentum of sgd [0.99]"},
    {"--clip", 0, CLI_REALS, AT(clip), "X", NULL, 0, 1e9,
     "clip the gradient norm to X; 0 disables [12]"},
    {"--loss", 0, CLI_CHOICE, AT(loss), "ce|dice|dice_ce|bce_dice", NULL, 0, 0,
     "loss function; bce: one sigmoid per class [dice_ce; regions: bce_dice]"},
    {"--class-weights", 0, CLI_TEXT, AT(class_weights), "W,W,...", NULL, 0, 0,
     "class weights in the loss, background first, or one per region [all 1]"},
    {"--batch-dice", 0, CLI_CHOICE, AT(batch_dice), "no|yes", NULL, 0, 0,
     "compute Dice over the batch, not per sample [the plan's]"},
    {"--foreground", 0, CLI_REALS, AT(foreground), "X", NULL, 0, 1,
     "fraction of samples that must contain foreground [0.33]"},
    {"--dropout", 0, CLI_REALS, AT(dropout), "P", NULL, 0, 0.99,
     "channel dropout rate in each block [the plan's]"},
    {"--mirror", 0, CLI_CHOICE, AT(mirror), "no|yes", NULL, 0, 0,
     "mirror samples along all axes [yes; fast: no]"},
    {"--no-augment", 0, CLI_FLAG, AT(no_augment), NULL, NULL, 0, 0,
     "no rotation, scaling or intensity augmentation"},
    {"--no-deep-supervision", 0, CLI_FLAG, AT(no_deep_supervision), NULL, NULL, 0, 0,
     "compute the loss at the finest output only"},
    {"--init", 0, CLI_TEXT, AT(init), "RUN|FILE", NULL, 0, 0,
     "initialize the weights from another network"},
    {"--init-mode", 0, CLI_CHOICE, AT(init_mode), "by-name|strict|tolerant", NULL, 0, 0,
     "by-name: load what fits; strict: require all to fit; tolerant: also load the channels "
     "that both networks have [by-name]"},
    {"--freeze", 0, CLI_TEXT, AT(freeze), "PATTERN,...", NULL, 0, 0,
     "freeze matching parameters: 'encoder.*'"},
    {"--lr-scale", 0, CLI_TEXT, AT(lr_scale), "PATTERN=X,...", NULL, 0, 0,
     "multiply the learning rate of matching parameters by X: 'encoder.*=0.1'"},
    {"--precision", 0, CLI_WORD, AT(precision), "auto|fp32|bf16|fp16|tf32", "auto", 0, 0,
     "auto: fastest on this machine; fp16 and tf32 need a GPU"},
    {"--seed", 0, CLI_INT, AT(seed), "S", "0", 0, 9e15, "random seed"},
    {"--resume", 0, CLI_FLAG, AT(resume), NULL, NULL, 0, 0,
     "continue from RUN's last checkpoint with its own recipe; --epochs or --budget change its "
     "length; other options must agree with the recipe"},
    {"--validate", 0, CLI_FLAG, AT(validate), NULL, NULL, 0, 0,
     "after training, predict the held-out cases into RUN/validation and score them"},
    {"--save-probabilities", 0, CLI_FLAG, AT(probabilities), NULL, NULL, 0, 0,
     "with --validate: also write RUN/validation/CASE.npz, for ensembles of 'volt best'"},
    {"--loader-threads", 0, CLI_INT, AT(loader_threads), "N", NULL, 0, 256,
     "threads that prepare batches, of each rank; 0: the network waits for them [1 on up to 2 "
     "cores, else 2]"},
    {"--ranks", 0, CLI_INT, AT(ranks), "N", NULL, 1, 1024,
     "train on N ranks, as threads of this process; with --mesh. mpirun starts ranks on "
     "several "
     "hosts"},
    {"--mesh", 0, CLI_TEXT, AT(mesh), "MESH", NULL, 0, 0,
     "how ranks share the work: data=4: each takes samples of a batch; z=2,y=2: each takes a "
     "part of every sample; data=2,z=2: both; stage=2: each takes some of the network's "
     "layers, "
     "with --accumulate; auto: the fastest that fits"},
    {"--configuration", 'c', CLI_TEXT, AT(configuration), "NAME", NULL, 0, 0,
     "configuration of the plan [3d_fullres]"},
    {"--previous", 0, CLI_TEXT, AT(previous), "RUN|DIR", NULL, 0, 0,
     "cascade: run of the previous stage, or folder of its masks CASE.nii.gz"},
    {"--work", 0, CLI_TEXT, AT(work), "DIR", NULL, 0, 0,
     "folder for fingerprint, plan and preprocessed cases [VOLT_WORK, else DATASET/volt]"},
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

/* Result of one fold. */
typedef struct fold_result {
    volt_train_result train;
    volt_validation_result validation; /* cases is 0 without --validate */
} fold_result;

static json_t *validation_object(const volt_validation_result *v)
{
    return v->cases == 0
               ? json_null()
               : json_pack("{s:I, s:o, s:f, s:I, s:I}", "cases", (json_int_t)v->cases,
                           "mean_dice", volt_json_number(v->mean_dice), "seconds", v->seconds,
                           "announced_bytes", (json_int_t)v->announced_bytes, "peak_bytes",
                           (json_int_t)v->peak_bytes);
}

static json_t *result_object(const char *run, const fold_result *result)
{
    const volt_train_result *r = &result->train;

    return json_pack("{s:o, s:I, s:I, s:b, s:o, s:o, s:o, s:f, s:f, s:i, s:f, s:I, s:I, s:o}",
                     "run", volt_json_string(run), "epochs", (json_int_t)r->epochs,
                     "iterations", (json_int_t)r->iterations, "finished", (int)r->finished,
                     "train_loss", volt_json_number(r->train_loss), "mean_dice",
                     volt_json_number(r->mean_dice), "best_ema", volt_json_number(r->best_ema),
                     "seconds", r->seconds, "data_wait_s", r->data_wait_s, "ranks", r->ranks,
                     "communication_s", r->communication_s, "announced_bytes",
                     (json_int_t)r->memory.total, "peak_bytes", (json_int_t)r->peak_bytes,
                     "validation", validation_object(&result->validation));
}

static void print_validation(const char *run, const volt_validation_result *v)
{
    if (v->cases > 0)
        printf("%s/" VOLT_VALIDATION_FOLDER ": %" PRId64 " case%s, mean Dice %.4f, %.1f s\n",
               run, v->cases, volt_s(v->cases), v->mean_dice, v->seconds);
}

static volt_status print_result(const cli *c, const fold_result *result)
{
    const train_options *o = c->options;
    const volt_train_result *r = &result->train;
    double mib = 1024.0 * 1024;

    if (c->json)
        return cli_print_json(result_object(o->output, result));
    if (r->ended_before)
        printf("%s has ended, nothing is left to do: ", o->output);
    printf("trained %" PRId64 " epoch%s, %" PRId64 " iteration%s in %.0f s; loss %.4f",
           r->epochs, volt_s(r->epochs), r->iterations, volt_s(r->iterations), r->seconds,
           r->train_loss);
    if (isfinite(r->mean_dice))
        printf(", validation Dice %.4f", r->mean_dice);
    if (!r->ended_before && r->ranks > 1)
        printf("\n%d ranks; rank 0 waited %.1f s for messages", r->ranks, r->communication_s);
    if (!r->ended_before)
        printf("\nwaited %.1f s for data; peak memory %.0f MiB (%.0f estimated)",
               r->data_wait_s, (double)r->peak_bytes / mib, (double)r->memory.total / mib);
    printf("\n");
    print_validation(o->output, &result->validation);
    printf("run saved in %s; use it with: volt predict ", o->output);
    cli_print_word(o->output);
    printf(" SCAN... -o OUT\n");
    return VOLT_OK;
}

/* With --validate: predicts and scores the held-out cases. */
static volt_status validate_fold(cli *c, const volt_pipeline *p, const char *run,
                                 const volt_split *split, volt_precision precision,
                                 volt_validation_result *out)
{
    const train_options *o = c->options;
    volt_validation_options how = volt_validation_defaults();
    volt_status st;

    how.precision = precision;
    how.prior_masks = p->prior_masks;
    how.probabilities = o->probabilities;
    how.threads = (int)c->threads;
    how.comm = c->comm;
    if (!o->validate)
        return VOLT_OK;
    if (split->vals == 0)
        volt_report(&c->callbacks, VOLT_LOG_WARNING, "%s has no validation cases to predict",
                    run);
    else
        volt_report(&c->callbacks, VOLT_LOG_INFO,
                    "predicting %lld validation case%s into %s/" VOLT_VALIDATION_FOLDER,
                    (long long)split->vals, volt_s(split->vals), run);
    st = volt_validate(out, run, p->dataset, split, &how, &c->callbacks);
    if (st == VOLT_ECANCELLED)
        st = volt_fail(
            VOLT_ECANCELLED,
            "stopped during validation; repeat the command with --resume to continue");
    return st;
}

/* The cases of one fold. Zero-initialized is empty. */
typedef struct fold_cases {
    volt_split split;
    const char **train, **validate; /* names, borrowed from the data set */
} fold_cases;

static void fold_cases_clear(fold_cases *f)
{
    volt_free(f->validate);
    volt_free(f->train);
    volt_split_clear(&f->split);
    *f = (fold_cases){0};
}

/* The caller owns what *out holds (fold_cases_clear), also on failure. */
static volt_status fold_cases_find(fold_cases *out, const volt_pipeline *p, int fold,
                                   const volt_callbacks *callbacks)
{
    char *splits = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_path_join(&splits, p->work, VOLT_WORK_SPLITS));
    VOLT_TRY(st, done, volt_split_for_fold(&out->split, p->dataset, splits, fold, callbacks));
    VOLT_TRY(st, done,
             case_names(&out->train, p->dataset, out->split.train, out->split.trains));
    st = case_names(&out->validate, p->dataset, out->split.val, out->split.vals);
done:
    volt_free(splits);
    return st;
}

static volt_train_data train_data(const volt_pipeline *p, const fold_cases *f)
{
    return (volt_train_data){.plan = p->plan,
                             .config = p->config,
                             .info = &p->dataset->info,
                             .store = p->cases,
                             .prior_masks = p->prior_masks,
                             .previous_run = p->previous_run,
                             .train = f->train,
                             .train_count = f->split.trains,
                             .validate = f->validate,
                             .validate_count = f->split.vals};
}

/* What the ranks of --ranks train. */
typedef struct fold_task {
    const char *run;
    const volt_train_data *data;
    const volt_train_options *options;
    const volt_callbacks *callbacks;
    volt_train_result *result;
} fold_task;

static volt_status train_rank(volt_comm *comm, void *context)
{
    const fold_task *task = context;
    const bool lead = volt_comm_rank(comm) == 0;
    volt_train_options t = *task->options;

    t.comm = comm;
    return volt_train(task->run, task->data, &t, task->callbacks, lead ? task->result : NULL);
}

/* On one rank, on threads, or as one of several processes. */
static volt_status train_on_ranks(fold_task *task, int ranks)
{
    if (ranks > 1)
        return volt_ranks_run(ranks, train_rank, task);
    return volt_train(task->run, task->data, task->options, task->callbacks, task->result);
}

/* The same on all ranks: the first one may have to write them. */
static volt_status find_cases(fold_cases *out, cli *c, const volt_pipeline *p, int fold)
{
    volt_status st = cli_leads(c) ? fold_cases_find(out, p, fold, &c->callbacks) : VOLT_OK;

    st = cli_follow(c, st);
    return st == VOLT_OK && !cli_leads(c) ? fold_cases_find(out, p, fold, NULL) : st;
}

/* Trains one fold, or VOLT_FOLD_ALL, into folder `run`. */
static volt_status train_fold(cli *c, const volt_pipeline *p, const char *run, int fold,
                              const volt_train_options *t, fold_result *out)
{
    volt_train_result *result = &out->train;
    fold_cases cases = {.train = NULL};
    volt_train_data data;
    fold_task task = {run, &data, t, &c->callbacks, result};
    volt_status st;

    VOLT_TRY(st, done, find_cases(&cases, c, p, fold));
    data = train_data(p, &cases);
    volt_report(&c->callbacks, VOLT_LOG_INFO, "training on %lld case%s, validating on %lld",
                (long long)data.train_count, volt_s(data.train_count),
                (long long)data.validate_count);
    st = train_on_ranks(&task, t->ranks);
    if (st == VOLT_ECANCELLED && result->iterations > 0)
        st = volt_fail(VOLT_ECANCELLED,
                       "stopped and saved after iteration %lld; repeat the command with "
                       "--resume to continue",
                       (long long)result->iterations);
    if (st == VOLT_OK)
        st = validate_fold(c, p, run, &cases.split, t->precision, &out->validation);
done:
    fold_cases_clear(&cases);
    return st;
}

/* ---- several folds ---- */

/* Appends the result of one fold to the list. */
static volt_status add_fold(json_t *list, const char *run, int fold, const fold_result *r)
{
    json_t *object = result_object(run, r);
    json_t *number = fold == VOLT_FOLD_ALL ? json_string("all") : json_integer(fold);

    if (json_object_set_new(object, "fold", number) != 0 ||
        json_array_append_new(list, object) != 0)
        return volt_fail(VOLT_ENOMEM, "out of memory for the results of the folds");
    return VOLT_OK;
}

static double number_or_nan(const json_t *value)
{
    return json_is_number(value) ? json_number_value(value) : NAN;
}

/* A line for each fold, and one for its validation. */
static void print_folds(const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *r = json_array_get(list, i), *v = json_object_get(r, "validation");
        const char *run = json_string_value(json_object_get(r, "run"));
        printf("%s: %lld epoch%s in %.0f s, validation Dice %.4f\n", run,
               (long long)json_integer_value(json_object_get(r, "epochs")),
               volt_s(json_integer_value(json_object_get(r, "epochs"))),
               json_number_value(json_object_get(r, "seconds")),
               number_or_nan(json_object_get(r, "mean_dice")));
        if (json_is_object(v))
            printf("%s/" VOLT_VALIDATION_FOLDER ": %lld case%s, mean Dice %.4f\n", run,
                   (long long)json_integer_value(json_object_get(v, "cases")),
                   volt_s(json_integer_value(json_object_get(v, "cases"))),
                   number_or_nan(json_object_get(v, "mean_dice")));
    }
}

/* Writes RUN/summary.json and prints the table. `ended`: all folds had ended before, so that a
 * summary stays as it is. `list` is taken over. */
static volt_status finish_folds(const cli *c, json_t *list, double mean, bool ended)
{
    const train_options *o = c->options;
    json_t *root = json_pack("{s:o, s:o, s:o}", "run", volt_json_string(o->output), "mean_dice",
                             volt_json_number(mean), "folds", list);
    char *path = NULL;
    volt_status st;

    if (!root)
        return volt_fail(VOLT_ENOMEM, "out of memory for the results of the folds");
    VOLT_TRY(st, done, volt_path_join(&path, o->output, "summary.json"));
    if (!ended || !volt_path_exists(path))
        VOLT_TRY(st, done, volt_json_save(path, root));
    if (c->json) {
        st = cli_print_json(root);
        root = NULL;
        goto done;
    }
    if (ended)
        printf("%s has ended, nothing is left to do:\n", o->output);
    print_folds(list);
    printf("mean validation Dice %.4f; use all folds as an ensemble with: volt predict ", mean);
    cli_print_word(o->output);
    printf(" SCAN... -o OUT\n");
done:
    json_decref(root);
    volt_free(path);
    return st;
}

/* ---- the command ---- */

/* The runs to train, in turn. */
typedef struct job {
    cli *c;
    train_folds folds; /* without --folds, the one of --fold */
    char *run[TRAIN_MAX_FOLDS];
    fold_result result[TRAIN_MAX_FOLDS];
    char *sibling; /* of several folds, one that had begun; NULL = none */
} job;

static void job_clear(job *j)
{
    for (int i = 0; i < j->folds.count; i++)
        volt_free(j->run[i]);
    volt_free(j->sibling);
}

static volt_status job_make(job *j)
{
    const train_options *o = j->c->options;
    volt_names begun = {0};
    volt_status st = VOLT_OK;

    VOLT_TRY(st, done, train_folds_parse(&j->folds, o));
    if (!o->folds) {
        st = volt_strdup(&j->run[0], o->output);
        goto done;
    }
    for (int i = 0; i < j->folds.count; i++)
        VOLT_TRY(st, done, train_fold_path(&j->run[i], o->output, j->folds.fold[i]));
    if (o->resume && volt_is_run(o->output)) {
        VOLT_TRY(st, done, volt_run_folds(&begun, o->output));
        VOLT_TRY(st, done, volt_strdup(&j->sibling, begun.name[0]));
    }
done:
    volt_names_free(&begun);
    return st;
}

/* The request for run i. With --resume, folds that have begun are resumed and new ones use the
 * recipe of the others. */
static volt_train_options options_of(const job *j, int i, const train_request *r)
{
    const train_options *o = j->c->options;
    volt_train_options t = r->options;

    if (o->folds) {
        t.resume = t.resume && volt_run_is_single(j->run[i]);
        t.like = t.resume ? NULL : j->sibling;
    }
    return t;
}

/* Before anything else: whether the runs can be trained as far as options and folders tell.
 * *ended: all of them have ended, and nothing is left to do. */
static volt_status check_runs(bool *ended, job *j)
{
    const train_options *o = j->c->options;
    train_request r = {.given = {{0}}};
    volt_status st;

    *ended = !o->validate;
    VOLT_TRY(st, done, train_request_make(&r, j->c, NULL, NULL));
    VOLT_TRY(st, done, train_check_kind(o));
    for (int i = 0; i < j->folds.count; i++) {
        const volt_train_options t = options_of(j, i, &r);
        st = volt_train_check(&j->result[i].train, j->run[i], NULL, &t);
        if (st == VOLT_EDATA && !o->resume && volt_run_is_single(j->run[i]))
            st = volt_fail(VOLT_EDATA, "%s already holds a run; use --resume or another folder",
                           j->run[i]);
        if (st != VOLT_OK)
            goto done;
        *ended = *ended && j->result[i].train.ended_before;
    }
done:
    return st;
}

/* The part of a data set's description that an option decides. */
static const struct {
    const char *option, *key, *own; /* `own`: in the key "volt" */
} decided[] = {
    {"--channels", "channel_names", NULL},
    {"--label-table", "labels", "stored_labels"},
    {"--target", "regions_class_order", NULL},
    {"--label-thresholds", NULL, "label_thresholds"},
    {"--label-flip", NULL, "label_flip"},
    {"--resample-channels", NULL, "resample_channels"},
    {"--allow-shift", NULL, "allow_shift"},
};

static bool member_differs(const json_t *a, const json_t *b, const char *key)
{
    const json_t *x = json_object_get(a, key), *y = json_object_get(b, key);

    return key && x != y && !json_equal(x, y);
}

/* " with --channels, --target": the options given of which the data sets differ; "" = none. */
static void name_decided(char *out, size_t bytes, const cli *c, const char *theirs,
                         const char *ours)
{
    json_t *a = json_loads(theirs, 0, NULL), *b = json_loads(ours, 0, NULL);
    const json_t *own_a = json_object_get(a, "volt"), *own_b = json_object_get(b, "volt");

    *out = '\0';
    for (size_t i = 0; i < sizeof decided / sizeof *decided; i++) {
        const size_t used = strlen(out);
        if (cli_given(c, decided[i].option) && (member_differs(a, b, decided[i].key) ||
                                                member_differs(own_a, own_b, decided[i].own)))
            snprintf(out + used, bytes - used, "%s%s", used ? ", " : " with ",
                     decided[i].option);
    }
    json_decref(b);
    json_decref(a);
}

/* Fails if the run was trained on other channels or labels than those of `ds`, or if they were
 * read in another way; its own dataset.json tells. */
static volt_status check_info(const cli *c, const volt_dataset *ds, const char *run)
{
    volt_dataset_info theirs = {0}, ours = ds->info; /* with the names and counts of theirs */
    char *path = NULL, *a = NULL, *b = NULL, given[256];
    volt_status st;

    VOLT_TRY(st, done, volt_path_join(&path, run, "dataset.json"));
    if (!volt_path_exists(path))
        goto done;
    VOLT_TRY(st, done, volt_dataset_info_read(&theirs, path));
    ours.name = theirs.name;
    ours.file_ending = theirs.file_ending;
    ours.num_training = theirs.num_training;
    VOLT_TRY(st, done, volt_dataset_info_text(&a, &theirs));
    VOLT_TRY(st, done, volt_dataset_info_text(&b, &ours));
    if (strcmp(a, b) == 0)
        goto done;
    name_decided(given, sizeof given, c, a, b);
    st = volt_fail(VOLT_EDATA,
                   "%s was trained on another data set: its channels or labels are not "
                   "those of %s%s",
                   run, ds->folder, given);
done:
    volt_free(b);
    volt_free(a);
    volt_dataset_info_clear(&theirs);
    volt_free(path);
    return st;
}

/* Both folders have a plans.json, but not the same. */
static volt_status check_not_work(const char *run, const char *work)
{
    char *own = NULL, *other = NULL;
    volt_status st;

    if (!volt_path_exists(run))
        return VOLT_OK;
    VOLT_TRY(st, done, volt_path_real(&own, run));
    VOLT_TRY(st, done, volt_path_real(&other, work));
    if (strcmp(own, other) == 0)
        st = volt_fail(VOLT_EINVAL, "%s is the work folder; a run needs a folder of its own",
                       run);
done:
    volt_free(other);
    volt_free(own);
    return st;
}

/* Before the cases are preprocessed: whether network, memory, initial weights and splits fit.
 */
static volt_status check_planned(void *user, const volt_pipeline *p)
{
    job *j = user;
    train_request r = {.given = {{0}}};
    volt_status st;

    VOLT_TRY(st, done, train_request_make(&r, j->c, p->config, &p->dataset->info));
    for (int i = 0; i < j->folds.count && st == VOLT_OK; i++) {
        const volt_train_options t = options_of(j, i, &r);
        fold_cases cases = {.train = NULL};
        volt_train_data data;
        VOLT_TRY(st, done, check_not_work(j->run[i], p->work));
        st = fold_cases_find(&cases, p, j->folds.fold[i], NULL);
        data = train_data(p, &cases);
        if (st == VOLT_OK)
            st = volt_train_check(NULL, j->run[i], &data, &t);
        fold_cases_clear(&cases);
    }
done:
    return st;
}

static volt_status train_all(job *j, const volt_pipeline *p)
{
    const train_options *o = j->c->options;
    train_request r = {.given = {{0}}};
    volt_status st;

    VOLT_TRY(st, done, train_request_make(&r, j->c, p->config, &p->dataset->info));
    for (int i = 0; i < j->folds.count; i++) {
        volt_train_options t = options_of(j, i, &r);

        t.folds_after = j->folds.count - 1 - i;
        if (o->folds)
            volt_report(&j->c->callbacks, VOLT_LOG_INFO, "fold %d of %d: %s", i + 1,
                        j->folds.count, j->run[i]);
        VOLT_TRY(st, done, train_fold(j->c, p, j->run[i], j->folds.fold[i], &t, &j->result[i]));
    }
done:
    cli_end_progress(j->c);
    return st;
}

static volt_status print_job(const job *j, bool ended)
{
    json_t *list;
    double sum = 0;
    int counted = 0;
    volt_status st = VOLT_OK;

    if (!((const train_options *)j->c->options)->folds)
        return print_result(j->c, &j->result[0]);
    list = json_array();
    for (int i = 0; i < j->folds.count; i++) {
        const double dice = j->result[i].train.mean_dice;
        VOLT_TRY(st, done, add_fold(list, j->run[i], j->folds.fold[i], &j->result[i]));
        sum += isfinite(dice) ? dice : 0;
        counted += isfinite(dice);
    }
    st = finish_folds(j->c, list, counted ? sum / counted : NAN, ended);
    list = NULL;
done:
    json_decref(list);
    return st;
}

/* Whether an option says which network or which cases are meant. */
static bool names_run(const cli *c)
{
    static const char *const naming[] = {"--configuration", "--fold", "--folds", "--previous"};

    for (size_t i = 0; i < sizeof naming / sizeof *naming; i++) {
        if (cli_given(c, naming[i]))
            return true;
    }
    return false;
}

/* Runs that are to be resumed must be those of the data set given. The work folder has not been
 * touched yet: it keeps what it has for this data set. */
static volt_status check_dataset(void *user, const volt_dataset *ds)
{
    job *j = user;
    volt_status st = VOLT_OK;

    for (int i = 0; i < j->folds.count && st == VOLT_OK; i++)
        st = check_info(j->c, ds, j->run[i]);
    return st;
}

/* The same where nothing else is to be done with the data set. */
static volt_status open_and_check(job *j)
{
    train_options *o = j->c->options;
    volt_dataset *ds = NULL;
    volt_status st;

    VOLT_TRY(st, done, cli_dataset_open(&ds, j->c, &o->data));
    st = check_dataset(j, ds);
done:
    volt_dataset_close(ds);
    return st;
}

/* Rank 0 looks at runs and data set; then all prepare the cases. */
static volt_status prepare_all(bool *ended, volt_pipeline *p, volt_pipeline_options *prepare,
                               job *j)
{
    cli *c = j->c;
    const train_options *o = c->options;
    volt_status st = VOLT_OK;

    if (cli_leads(c)) {
        st = check_runs(ended, j);
        if (st == VOLT_OK && o->resume && *ended && !names_run(c))
            st = open_and_check(j);
        if (o->resume)
            prepare->opened = check_dataset;
    }
    VOLT_TRY(st, done, cli_follow(c, st));
    VOLT_TRY(st, done, volt_comm_broadcast(c->comm, ended, sizeof *ended, 0));
    if (*ended) /* only checks that configuration and fold are those of the run */
        prepare->until = VOLT_STAGE_PLAN;
    if (*ended && !names_run(c))
        goto done;
    prepare->comm = c->comm;
    st = volt_pipeline_run(p, prepare);
done:
    return st;
}

/* Processes that a launcher started are ranks already. */
static volt_status check_ranks(const cli *c)
{
    const train_options *o = c->options;

    if (o->ranks > 0 && c->comm)
        return volt_fail(
            VOLT_EINVAL,
            "--ranks %lld makes threads of one process, but a launcher started %d; "
            "leave it out",
            (long long)o->ranks, volt_comm_size(c->comm));
    return VOLT_OK;
}

/* Fails if another process was given other folds, or something else to do after training. What
 * decides a run itself is compared by volt_train. */
static volt_status compare_ranks(cli *c, const job *j)
{
    const train_options *o = c->options;
    int facts[TRAIN_MAX_FOLDS + 3] = {j->folds.count, o->validate, o->probabilities};
    volt_status st;

    if (!c->comm)
        return VOLT_OK;
    for (int i = 0; i < j->folds.count; i++)
        facts[3 + i] = j->folds.fold[i];
    VOLT_TRY(st, done,
             volt_comm_same(c->comm, "--fold, --folds, --validate or --save-probabilities",
                            facts, sizeof facts));
    st = volt_comm_same(c->comm, "--output", o->output, strlen(o->output));
done:
    return st;
}

static volt_status run(cli *c)
{
    train_options *o = c->options;
    volt_pipeline_options prepare = volt_pipeline_defaults();
    volt_dataset_options data;
    job j = {.c = c};
    volt_pipeline p = {0};
    bool ended = false;
    volt_status st;

    prepare.work = o->work;
    prepare.data = &data;
    prepare.configuration = o->configuration;
    prepare.previous_stage = o->previous;
    prepare.until = VOLT_STAGE_PREPROCESS;
    prepare.threads = (int)c->threads;
    prepare.callbacks = &c->callbacks;
    prepare.planned = check_planned;
    prepare.user = &j;
    VOLT_TRY(st, done, check_ranks(c));
    VOLT_TRY(st, done, cli_need_output(c, o->output, NULL));
    VOLT_TRY(st, done, cli_check_work(c, o->work));
    VOLT_TRY(st, done, volt_precision_parse(&prepare.precision, o->precision));
    VOLT_TRY(st, done, cli_dataset_take(&data, &prepare.dataset, c, &o->data));
    if (o->init)
        VOLT_TRY(st, done, cli_check_run(o->init, ""));
    VOLT_TRY(st, done, job_make(&j));
    VOLT_TRY(st, done, compare_ranks(c, &j));
    prepare.fold = j.folds.fold;
    prepare.folds = j.folds.count;
    VOLT_TRY(st, done, prepare_all(&ended, &p, &prepare, &j));
    if (!ended)
        VOLT_TRY(st, done, train_all(&j, &p));
    if (cli_leads(c))
        st = print_job(&j, ended);
done:
    volt_pipeline_clear(&p);
    job_clear(&j);
    return st;
}

const cli_command cmd_train = {
    .name = "train",
    .section = CLI_TRAINING,
    .one_line = "train a network on a data set",
    .args = CLI_DATASET_ARGS " -o RUN",
    .min_args = 0,
    .max_args = 1,
    .about =
        "Trains the plan's network on DATASET, after checking, planning and preprocessing it "
        "where that has not been done. Ctrl-C finishes the iteration and saves a "
        "checkpoint; --resume continues from there with bit-identical results.",
    .example = "volt train Task04_Hippocampus -o runs/hippocampus --budget 30m\n"
               "mpirun -n 4 volt train Task04_Hippocampus -o runs/hippocampus --mesh data=4",
    .common = CLI_THREADS | CLI_JSON | CLI_RANKS,
    CLI_OPTIONS(options, train_options),
    .run = run,
};
