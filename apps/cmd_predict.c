#include <stdio.h>
#include "apps/cli/cli.h"
#include "apps/cli/label_files.h"
#include "base/system/file.h"
#include "base/core/alloc.h"
#include "base/core/plural.h"
#include "base/core/report.h"
#include "io/dataset.h"
#include "io/image.h"
#include "io/workspace.h"
#include "nets3d/cascade.h"
#include "nets3d/precision.h"
#include "nets3d/predictor.h"
#include "nets3d/run.h"
#include "nets3d/validation.h"
#include "parallel/ranks.h"

typedef struct predict_options {
    const char *output, *checkpoint, *folds, *validation, *work, *previous, *part, *precision;
    int tiles; /* volt_tile_rule */
    int blend; /* 1: constant */
    bool no_mirror, whole, regions, probabilities, probability_nifti, skip_existing;
    bool allow_outside;
    const char *ending, *label_files;
    double step; /* 0: not given */
    int64_t batch, ranks;
    const char *mesh;
    cli_list roi, overlap;
} predict_options;

static const cli_option options[] = {
    {"--output", 'o', CLI_TEXT, offsetof(predict_options, output), "OUT", NULL, 0, 0,
     "folder for the masks (required)"},
    {"--ending", 0, CLI_TEXT, offsetof(predict_options, ending), "EXT", NULL, 0, 0,
     "format of the masks: .nii.gz, .nrrd, .mha, .png, ... [the data set's own]"},
    CLI_LABEL_FILES_OPTION(predict_options, label_files),
    {"--folds", 0, CLI_TEXT, offsetof(predict_options, folds), "LIST", NULL, 0, 0,
     "folds fold_K of a multi-fold RUN to use: 0-4, or 0,2,all [all present]"},
    {"--previous", 0, CLI_TEXT, offsetof(predict_options, previous), "RUN|DIR", NULL, 0, 0,
     "cascade: run of the previous stage (its masks go to OUT/previous_stage), or folder of "
     "its masks CASE.nii.gz [the run given to training]"},
    {"--no-mirror", 0, CLI_FLAG, offsetof(predict_options, no_mirror), NULL, NULL, 0, 0,
     "no test-time mirroring: up to 8 times faster"},
    {"--tiles", 0, CLI_CHOICE, offsetof(predict_options, tiles), "nnunet|monai", "nnunet", 0, 0,
     "placement of tiles; nnunet: evenly spaced; monai: at a fixed distance, the last one "
     "shifted back"},
    {"--step", 0, CLI_REAL, offsetof(predict_options, step), "S", NULL, 0.05, 1,
     "distance between tiles as a fraction of the patch [0.5]"},
    {"--overlap", 0, CLI_REALS, offsetof(predict_options, overlap), "V", NULL, 0, 0.95,
     "tile overlap, as in MONAI (equals 1 - step)"},
    {"--blend", 0, CLI_CHOICE, offsetof(predict_options, blend), "gaussian|constant",
     "gaussian", 0, 0, "weights of a tile's voxels: less towards its border, or all equal"},
    {"--whole", 0, CLI_FLAG, offsetof(predict_options, whole), NULL, NULL, 0, 0,
     "no tiles: process each scan in one pass where memory allows"},
    {"--roi", 0, CLI_INTS, offsetof(predict_options, roi), "Z0,Z1,Y0,Y1,X0,X1", NULL, 0, 1e6,
     "segment only the voxels Z0 <= z < Z1 and so on; the rest is background, with probability "
     "1"},
    {"--batch", 0, CLI_INT, offsetof(predict_options, batch), "N", NULL, 0, 64,
     "tiles per forward pass [chosen by their size]"},
    {"--mesh", 0, CLI_TEXT, offsetof(predict_options, mesh), "MESH", NULL, 0, 0,
     "how ranks share the work: cases: each takes whole cases; tiles: rows of tiles of each "
     "scan; z=4 or z=2,y=2: a part of each scan, in one pass without tiles [cases, or tiles "
     "where there are fewer cases than ranks]"},
    {"--ranks", 0, CLI_INT, offsetof(predict_options, ranks), "N", NULL, 1, 1024,
     "predict on N ranks, as threads of this process; mpirun starts ranks on several hosts"},
    {"--separate-regions", 0, CLI_FLAG, offsetof(predict_options, regions), NULL, NULL, 0, 0,
     "also write OUT/NAME/CASE.nii.gz for every region or label NAME"},
    {"--save-probabilities", 0, CLI_FLAG, offsetof(predict_options, probabilities), NULL, NULL,
     0, 0, "also write OUT/CASE.npz (\"probabilities\") and CASE.json"},
    {"--probability-nifti", 0, CLI_FLAG, offsetof(predict_options, probability_nifti), NULL,
     NULL, 0, 0, "also write OUT/probabilities/CASE_0000.nii.gz, one file per class"},
    {"--skip-existing", 0, CLI_FLAG, offsetof(predict_options, skip_existing), NULL, NULL, 0, 0,
     "skip cases whose output already exists"},
    {"--part", 0, CLI_TEXT, offsetof(predict_options, part), "I/N", NULL, 0, 0,
     "every N-th case, starting with the I-th: N machines with I from 1 to N split the work"},
    {"--validation", 0, CLI_TEXT, offsetof(predict_options, validation), "DATASET", NULL, 0, 0,
     "predict the cases that each RUN/fold_K did not train on, into fold_K/validation"},
    {"--work", 0, CLI_TEXT, offsetof(predict_options, work), "DIR", NULL, 0, 0,
     "with --validation: folder of the splits [VOLT_WORK, else DATASET/volt]"},
    {"--allow-outside", 0, CLI_FLAG, offsetof(predict_options, allow_outside), NULL, NULL, 0, 0,
     "accept paths in the dataset.json of a data set that leave its folder"},
    {"--checkpoint", 0, CLI_WORD, offsetof(predict_options, checkpoint), "best|latest", NULL, 0,
     0, "checkpoint to use [latest of a finished run, else best]"},
    {"--precision", 0, CLI_WORD, offsetof(predict_options, precision),
     "auto|fp32|bf16|fp16|tf32", "auto", 0, 0,
     "auto: fastest on this machine; fp16 and tf32 need a GPU"},
};

static json_t *failures_json(const volt_predict_failures *f)
{
    json_t *list = json_array();

    for (int64_t i = 0; list && i < f->count; i++) {
        if (json_array_append_new(list, json_pack("{s:o, s:o}", "case",
                                                  volt_json_string(f->item[i].id), "error",
                                                  volt_json_string(f->item[i].sentence)))) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static volt_status print_result(const cli *c, const char *folder, const volt_predict_result *r,
                                const volt_predict_failures *failed)
{
    double mib = 1024.0 * 1024;

    if (c->json)
        return cli_print_json(json_pack(
            "{s:o, s:I, s:I, s:o, s:f, s:f, s:f, s:I, s:I}", "output", volt_json_string(folder),
            "cases", (json_int_t)r->cases, "skipped", (json_int_t)r->skipped, "failed",
            failures_json(failed), "seconds", r->seconds, "network_s", r->network_s,
            "read_wait_s", r->read_wait_s, "announced_bytes", (json_int_t)r->announced_bytes,
            "peak_bytes", (json_int_t)r->peak_bytes));
    printf("%lld mask%s in %s, %.1f s (%.1f s in the network); peak memory %.0f MiB "
           "(%.0f estimated)\n",
           (long long)r->cases, volt_s(r->cases), folder, r->seconds, r->network_s,
           (double)r->peak_bytes / mib, (double)r->announced_bytes / mib);
    return VOLT_OK;
}

/* The status of all of them; VOLT_EFORMAT if they differ. */
static volt_status common_status(const volt_predict_failures *f)
{
    for (int64_t i = 1; i < f->count; i++) {
        if (f->item[i].status != f->item[0].status)
            return VOLT_EFORMAT;
    }
    return f->item[0].status;
}

/* After everything else: lists the cases without masks. Where no case has masks, their status
 * is the call's; else it is VOLT_EFORMAT, whatever ails them. */
static volt_status judge_failures(const volt_predict_failures *f, int64_t asked)
{
    enum { SHOWN = 10 };

    if (f->count == 0)
        return VOLT_OK;
    if (asked == 1)
        return volt_fail(f->item[0].status, "%s", f->item[0].sentence);
    if (f->count == asked)
        return volt_fail(common_status(f), "none of the %lld cases was predicted; %s: %s",
                         (long long)asked, f->item[0].id, f->item[0].sentence);
    fflush(stdout);
    fputs("not predicted:\n", stderr);
    for (int64_t i = 0; i < f->count && i < SHOWN; i++)
        fprintf(stderr, "  %s: %s\n", f->item[i].id, f->item[i].sentence);
    if (f->count > SHOWN)
        fprintf(stderr, "  and %lld more\n", (long long)(f->count - SHOWN));
    return volt_fail(VOLT_EFORMAT,
                     "%lld of %lld cases %s not predicted; the others are complete",
                     (long long)f->count, (long long)asked, f->count == 1 ? "was" : "were");
}

/* What ranks predict together: inputs, or the cases of --validation. */
typedef struct task {
    cli *c;
    const char *const *runs;
    int count;
    const volt_predict_output *output;
    const char *const *inputs;
    int given;
    long long part, parts;
    const struct validation *validation;
    const volt_case_list *cases;
    /* From rank 0. */
    volt_predict_result result;
    volt_predict_failures failed;
    int64_t asked;
} task;

/* Prints the result and the cases that failed. */
static volt_status print_task(task *t)
{
    cli *c = t->c;
    volt_status st;

    cli_end_progress(c);
    if (c->json || t->failed.count == 0 || t->failed.count < t->asked)
        VOLT_TRY(st, done, print_result(c, t->output->folder, &t->result, &t->failed));
    st = judge_failures(&t->failed, t->asked);
done:
    return st;
}

/* The first arguments that are runs; at least one, and at least one input must be left. */
static int count_runs(const cli *c)
{
    int runs = 1;

    while (runs < c->args_count - 1 && volt_is_run(c->args[runs]))
        runs++;
    return runs;
}

static volt_status predictor_options_of(volt_predict_options *out, const cli *c)
{
    const predict_options *o = c->options;
    volt_predict_options p = volt_predict_defaults();
    volt_status st = volt_precision_parse(&p.precision, o->precision);

    if (st != VOLT_OK)
        return st;
    if (o->step > 0 && o->overlap.count)
        return volt_fail(VOLT_EINVAL, "--step and --overlap cannot be combined");
    if (o->step > 0)
        p.step = o->step;
    if (o->overlap.count)
        p.step = 1 - o->overlap.v[0];
    p.checkpoint = o->checkpoint;
    p.folds = o->validation ? NULL : o->folds; /* with --validation each fold is opened alone */
    p.previous_stage = o->previous;
    p.mirror = !o->no_mirror;
    p.tiles = (volt_tile_rule)o->tiles;
    p.constant = o->blend == 1;
    p.whole = o->whole;
    p.batch = (int)o->batch;
    p.mesh = o->mesh;
    p.threads = (int)c->threads;
    *out = p;
    return VOLT_OK;
}

static volt_status read_roi(volt_box *out, const cli_list *roi)
{
    for (int a = 0; a < 3; a++) {
        out->low[a] = (int64_t)roi->v[2 * a];
        out->high[a] = (int64_t)roi->v[2 * a + 1];
        if (out->high[a] <= out->low[a])
            return volt_fail(VOLT_EINVAL, "--roi: %lld to %lld along %c is empty",
                             (long long)out->low[a], (long long)out->high[a], "zyx"[a]);
    }
    return VOLT_OK;
}

/* CASE_0012 alone may be a case or, wrongly, channel 12 of one. */
static void warn_of_numbers(const volt_case_list *cases, const volt_callbacks *cb)
{
    const volt_case *first = NULL;
    long long count = 0;

    for (int64_t i = 0; i < cases->count; i++) {
        if (cases->item[i].numbered && count++ == 0)
            first = &cases->item[i];
    }
    if (first)
        volt_report(cb, VOLT_LOG_WARNING,
                    "%s is taken as a case of its own, not as a channel of one%s",
                    first->file[0],
                    count > 1 ? ", and so are other files with a number and no _0000" : "");
}

static volt_dataset_options dataset_options_of(const cli *c)
{
    const predict_options *o = c->options;
    volt_dataset_options d = volt_dataset_defaults();

    d.allow_outside = o->allow_outside;
    d.threads = (int)c->threads;
    d.callbacks = &c->callbacks;
    return d;
}

/* --part I/N; 1 of 1 without it. */
static volt_status read_part(long long *part, long long *parts, const char *text)
{
    int end = 0;

    *part = *parts = 1;
    if (text && (sscanf(text, "%9lld/%9lld%n", part, parts, &end) != 2 || text[end] != '\0' ||
                 *part < 1 || *part > *parts))
        return volt_fail(VOLT_EINVAL, "--part: '%s' is not I/N with I from 1 to N, such as 1/4",
                         text);
    return VOLT_OK;
}

/* ---- ranks ---- */

/* The data set to validate on, its work folder and the output options. */
typedef struct validation {
    volt_dataset *ds;
    char *work, *splits;
    volt_predict_output output; /* all but the folder */
} validation;

/* For --validation of a cascade. One rank after the other: the first one predicts masks that do
 * not exist, and the others find them. */
static volt_status find_prior_masks(const task *t, volt_predictor *predictor, volt_comm *comm)
{
    const validation *v = t->validation;
    volt_cascade_options cascade = volt_cascade_defaults();
    volt_status st = VOLT_OK;

    cascade.threads = (int)t->c->threads;
    if (volt_comm_rank(comm) == 0)
        cascade.callbacks = &t->c->callbacks;
    VOLT_TRY(st, done,
             volt_precision_parse(&cascade.precision,
                                  ((const predict_options *)t->c->options)->precision));
    for (int r = 0; r < volt_comm_size(comm); r++) {
        if (r == volt_comm_rank(comm))
            st = volt_cascade_for_validation(predictor, v->work, v->splits, v->ds, &cascade);
        VOLT_TRY(st, done, volt_comm_agree(comm, st));
    }
done:
    return st;
}

static volt_status predict_cases(task *t, volt_predictor *predictor,
                                 const volt_case_list *cases, bool leads)
{
    volt_predict_failures failed = {0};
    volt_predict_output o = *t->output;
    volt_predict_result result = {0};
    volt_status st;

    o.failures = &failed;
    VOLT_TRY(st, done, volt_predict(predictor, cases, &o, &t->c->callbacks, &result));
    if (leads) {
        t->result = result;
        t->failed = failed;
        t->asked = cases->count;
        failed = (volt_predict_failures){0};
    }
done:
    volt_predict_failures_clear(&failed);
    return st;
}

/* One rank of several, or the only one (`comm` NULL). */
static volt_status predict_rank(volt_comm *comm, void *context)
{
    task *t = context;
    const bool leads = volt_comm_rank(comm) == 0;
    volt_dataset_options dataset = dataset_options_of(t->c);
    volt_predict_options predict;
    volt_predictor *predictor = NULL;
    volt_case_list cases = {0};
    volt_status st;

    if (!leads)
        dataset.callbacks = NULL;
    VOLT_TRY(st, done, predictor_options_of(&predict, t->c));
    predict.comm = comm;
    VOLT_TRY(st, done,
             volt_predictor_open(&predictor, t->runs, t->count, &predict, &t->c->callbacks));
    if (t->validation) {
        VOLT_TRY(st, done, find_prior_masks(t, predictor, comm));
        st = predict_cases(t, predictor, t->cases, leads);
        goto done;
    }
    VOLT_TRY(st, done,
             volt_inputs_list_all(&cases, t->inputs, t->given,
                                  volt_predictor_info(predictor)->channels, &dataset));
    if (leads)
        warn_of_numbers(&cases, &t->c->callbacks);
    volt_case_list_keep_part(&cases, t->part, t->parts);
    st = predict_cases(t, predictor, &cases, leads);
done:
    volt_case_list_clear(&cases);
    volt_predictor_free(predictor);
    return st;
}

/* On one rank, on threads, or as one of several processes, of which the first prints. */
static volt_status run_task(task *t)
{
    const predict_options *o = t->c->options;
    volt_status st;

    VOLT_TRY(st, done,
             o->ranks > 1 ? volt_ranks_run((int)o->ranks, predict_rank, t)
                          : predict_rank(t->c->comm, t));
    st = cli_follow(t->c, cli_leads(t->c) ? print_task(t) : VOLT_OK);
done:
    volt_predict_failures_clear(&t->failed);
    return st;
}

/* Predicts the inputs after `count` runs. */
static volt_status predict(cli *c, const char *const *runs, int count,
                           const volt_predict_output *output)
{
    task t = {.c = c,
              .runs = runs,
              .count = count,
              .output = output,
              .inputs = c->args + count,
              .given = c->args_count - count};
    volt_predict_options unused;
    volt_status st;

    VOLT_TRY(st, done, predictor_options_of(&unused, c));
    VOLT_TRY(st, done,
             read_part(&t.part, &t.parts, ((const predict_options *)c->options)->part));
    VOLT_TRY(st, done, volt_inputs_check(t.inputs, t.given));
    st = run_task(&t);
done:
    return st;
}

/* ---- --validation ---- */

/* The split of fold `number`, which must be the one that the network in folder `fold` was
 * trained on. */
static volt_status find_split(volt_split *out, cli *c, const validation *v, const char *fold,
                              int number)
{
    const char *from = volt_path_exists(v->splits) ? v->splits : v->ds->folder;
    bool known = true;
    const volt_status st =
        volt_validation_split(out, &known, fold, v->ds, v->splits, number, &c->callbacks);

    if (st == VOLT_EDATA)
        return volt_fail(VOLT_EDATA,
                         "%s was trained on another split than fold %d of %s; give the work "
                         "folder of the training with --work",
                         fold, number, from);
    if (!known)
        volt_report(&c->callbacks, VOLT_LOG_WARNING,
                    "%s does not record its training cases: the cases held out are those of "
                    "fold %d of %s",
                    fold, number, from);
    return st;
}

/* Predicts the held-out cases of folder `fold` with its network. */
static volt_status predict_fold(cli *c, const validation *v, const char *fold)
{
    const int number = volt_fold_number(fold);
    volt_predict_output output = v->output;
    volt_case_list cases = {0}; /* the items are borrowed */
    task t = {
        .c = c, .runs = &fold, .count = 1, .output = &output, .validation = v, .cases = &cases};
    volt_split split = {0};
    char *folder = NULL;
    volt_status st;

    if (number < 0)
        return volt_fail(
            VOLT_EINVAL,
            "%s: --validation needs a folder fold_K, whose network has held-out cases", fold);
    VOLT_TRY(st, done, find_split(&split, c, v, fold, number));
    VOLT_TRY(st, done,
             volt_alloc_zero(&cases.item, (size_t)split.vals + 1, sizeof *cases.item, "cases"));
    for (; cases.count < split.vals; cases.count++)
        cases.item[cases.count] = v->ds->cases.item[split.val[cases.count]];
    VOLT_TRY(st, done, volt_path_join(&folder, fold, VOLT_VALIDATION_FOLDER));
    output.folder = folder;
    if (cli_leads(c))
        VOLT_TRY(st, done, volt_validation_forget(fold));
    st = run_task(&t);
done:
    volt_free(folder);
    volt_free(cases.item);
    volt_split_clear(&split);
    return st;
}

static volt_status predict_validation(cli *c, const volt_predict_output *output)
{
    static const volt_fold_rule trained = {.fits = volt_is_run, .what = "a checkpoint"};
    const predict_options *o = c->options;
    const volt_dataset_options dataset = dataset_options_of(c);
    validation v = {.output = *output};
    volt_names folds = {0};
    volt_status st;

    VOLT_TRY(st, done, volt_dataset_open(&v.ds, o->validation, &dataset));
    VOLT_TRY(st, done, volt_workspace_choose(&v.work, o->validation, o->work));
    VOLT_TRY(st, done, volt_path_join(&v.splits, v.work, VOLT_WORK_SPLITS));
    for (int i = 0; i < c->args_count; i++) {
        if (volt_fold_number(c->args[i]) >= 0) {
            VOLT_TRY(st, done, predict_fold(c, &v, c->args[i]));
            continue;
        }
        VOLT_TRY(st, done, volt_fold_folders(&folds, c->args[i], o->folds, &trained));
        if (folds.count == 0)
            VOLT_TRY(st, done, predict_fold(c, &v, c->args[i]));
        for (size_t k = 0; k < folds.count; k++)
            VOLT_TRY(st, done, predict_fold(c, &v, folds.name[k]));
        volt_names_free(&folds);
    }
done:
    volt_names_free(&folds);
    volt_free(v.splits);
    volt_free(v.work);
    volt_dataset_close(v.ds);
    return st;
}

/* Whether the first argument, which must be a run, is something else. */
static volt_status check_run(const cli *c)
{
    const char *first = c->args[0];
    const char *out = ((const predict_options *)c->options)->output;
    volt_names folds = {0};
    char *remedy = NULL;
    volt_status st;

    VOLT_TRY(st, done,
             volt_format(&remedy,
                         "; the trained network comes first: volt predict RUN %s -o %s", first,
                         out ? out : "OUT"));
    VOLT_TRY(st, done, cli_check_run(first, remedy));
    if (volt_path_is_dir(first))
        st = volt_run_folds(&folds, first);
done:
    volt_names_free(&folds);
    volt_free(remedy);
    return st;
}

/* Processes that a launcher started are ranks already. */
static volt_status check_ranks(const cli *c)
{
    const predict_options *o = c->options;

    if (o->ranks > 0 && c->comm)
        return volt_fail(VOLT_EINVAL,
                         "--ranks %lld makes threads of one process, but a launcher started "
                         "%d; leave it out",
                         (long long)o->ranks, volt_comm_size(c->comm));
    return VOLT_OK;
}

static volt_status run(cli *c)
{
    const predict_options *o = c->options;
    volt_predict_output output = volt_predict_output_defaults();
    volt_box roi;
    volt_status st;

    output.folder = o->output;
    output.regions = o->regions;
    output.probabilities = o->probabilities;
    output.probability_nifti = o->probability_nifti;
    output.skip_existing = o->skip_existing;
    output.ending = o->ending;
    VOLT_TRY(st, done, cli_label_files(&output.label_files, o->label_files));
    if (o->roi.count > 0) {
        VOLT_TRY(st, done, read_roi(&roi, &o->roi));
        output.roi = &roi;
    }
    VOLT_TRY(st, done, cli_follow(c, check_ranks(c)));
    if (o->validation && o->part)
        return volt_fail(VOLT_EINVAL, "--part and --validation cannot be combined");
    VOLT_TRY(st, done, check_run(c));
    if (o->validation)
        return predict_validation(c, &output);
    if (c->args_count < 2)
        return volt_fail(VOLT_EINVAL, "too few arguments; usage: volt predict [options] %s",
                         c->command->args);
    VOLT_TRY(st, done, cli_need_output(c, o->output, NULL));
    VOLT_TRY(st, done, cli_check_inputs(c->args, c->args_count));
    st = predict(c, c->args, count_runs(c), &output);
done:
    return st;
}

const cli_command cmd_predict = {
    .name = "predict",
    .section = CLI_PREDICTION,
    .one_line = "segment scans with one or more trained networks",
    .args = "RUN... INPUT... -o OUT",
    .min_args = 1,
    .max_args = -1,
    .about =
        "Segments scans with the network in folder RUN and writes one mask per case to OUT, "
        "named CASE with the ending of the training data, on the grid of its scan. INPUT is a "
        "file, a folder of files (NIfTI, .mha, .nrrd, .tif, .png, ...) or a data set, of which "
        "imagesTs is predicted if it has one, else all cases. The channels of a case "
        "are CASE_0000.nii.gz, CASE_0001.nii.gz, ...; single-channel networks also accept "
        "CASE.nii.gz; 4-D files and pictures hold all channels. A case that cannot be "
        "predicted, such as a damaged file, is left out and listed at the end, and the exit "
        "code is 5; the others are complete.\n\nSeveral networks "
        "are averaged: a RUN with folders fold_0, fold_1, ... stands for all of them (see "
        "--folds), and several RUNs may be given. Logits are averaged over the folds of "
        "one plan and configuration, probabilities over different ones, whose plans may "
        "order the axes differently.\n\n--validation DATASET takes no INPUT and no OUT; "
        "it writes the predictions that 'volt best' compares.\n\nThe second network of a "
        "cascade (3d_cascade_fullres) refines the masks of the run it was trained after, "
        "or of --previous. With --validation, each case's mask is predicted by the "
        "fold of that run that held the case out, as in training.\n\nSeveral ranks share the "
        "work: processes that mpirun or srun started, on one host or many, or with --ranks "
        "threads of this process. Each takes cases of its own, with the same masks as on one "
        "rank; or all work on one case at a time (--mesh), each in a part of the memory.",
    .example = "volt predict runs/hippocampus scans/ -o masks\n"
               "mpirun -n 4 volt predict runs/brats scans/ -o masks --mesh tiles\n"
               "volt predict runs/brats_2d runs/brats_3d scans/ -o masks",
    .common = CLI_THREADS | CLI_JSON | CLI_RANKS,
    CLI_OPTIONS(options, predict_options),
    .run = run,
};
