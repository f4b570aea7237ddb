#include <math.h>
#include <stdio.h>
#include <string.h>
#include "apps/cli.h"
#include "base/file.h"
#include "base/mem.h"
#include "io/dataset.h"
#include "io/nifti.h"
#include "io/summary.h"
#include "volume/labels.h"
#include "volume/metrics.h"

typedef struct evaluate_options {
    const char *output, *labels;
    int policy; /* volt_empty_policy */
    bool no_surface;
    double tolerance_mm;
} evaluate_options;

static const cli_option options[] = {
    {"--output", 'o', CLI_TEXT, offsetof(evaluate_options, output), "JSON", NULL, 0, 0,
     "also write nnU-Net's summary.json"},
    {"--labels", 0, CLI_TEXT, offsetof(evaluate_options, labels), "JSON", NULL, 0, 0,
     "dataset.json with the classes [beside TRUTH's folder, else the values that occur]"},
    {"--empty", 0, CLI_CHOICE, offsetof(evaluate_options, policy), "nnunet|monai|brats",
     "nnunet", 0, 0, "what a class scores that is in no mask"},
    {"--no-surface", 0, CLI_FLAG, offsetof(evaluate_options, no_surface), NULL, NULL, 0, 0,
     "overlap only, no distances (faster)"},
    {"--tolerance", 0, CLI_REAL, offsetof(evaluate_options, tolerance_mm), "MM", "1", 0, 1000,
     "of the normalised surface Dice (NSD)"},
};

/* What is compared: owned. */
typedef struct job {
    cli *c;
    int64_t cases;
    char **pred, **truth; /* paths */
    int classes;
    char **names;    /* of the classes, background left out */
    int32_t *values; /* one label each */
    volt_region *regions;
    int32_t ignore; /* -1 none */
    volt_summary *summary;
} job;

static void free_job(job *j)
{
    for (int64_t i = 0; i < j->cases; i++) {
        volt_free(j->pred[i]);
        volt_free(j->truth[i]);
    }
    for (int i = 0; i < j->classes; i++)
        volt_free(j->names[i]);
    volt_free(j->pred);
    volt_free(j->truth);
    volt_free(j->names);
    volt_free(j->values);
    volt_free(j->regions);
    volt_summary_free(j->summary);
}

/* Every NIfTI file of the folder PRED must have its namesake in TRUTH. */
static volt_status pair_folders(job *j, const char *pred, const char *truth)
{
    volt_names names = {0};
    volt_status st;

    VOLT_TRY(st, done, volt_list_dir(&names, pred));
    VOLT_TRY(st, done, volt_alloc_zero(&j->pred, names.count + 1, sizeof *j->pred, "paths"));
    VOLT_TRY(st, done, volt_alloc_zero(&j->truth, names.count + 1, sizeof *j->truth, "paths"));
    for (size_t i = 0; i < names.count; i++) {
        if (names.name[i][0] == '.' || !volt_nifti_named(names.name[i]))
            continue;
        j->cases++; /* before the paths: free_job frees what is there */
        VOLT_TRY(st, done, volt_path_join(&j->pred[j->cases - 1], pred, names.name[i]));
        VOLT_TRY(st, done, volt_path_join(&j->truth[j->cases - 1], truth, names.name[i]));
        if (!volt_path_exists(j->truth[j->cases - 1])) {
            st = volt_fail(VOLT_EDATA, "%s has no truth: %s does not exist",
                           j->pred[j->cases - 1], j->truth[j->cases - 1]);
            goto done;
        }
    }
    if (j->cases == 0)
        st = volt_fail(VOLT_EDATA, "%s holds no NIfTI file", pred);
done:
    volt_names_free(&names);
    return st;
}

static volt_status pair_files(job *j, const char *pred, const char *truth)
{
    volt_status st;

    VOLT_TRY(st, done, volt_alloc_zero(&j->pred, 1, sizeof *j->pred, "paths"));
    VOLT_TRY(st, done, volt_alloc_zero(&j->truth, 1, sizeof *j->truth, "paths"));
    j->cases = 1;
    VOLT_TRY(st, done, volt_strdup(&j->pred[0], pred));
    st = volt_strdup(&j->truth[0], truth);
done:
    return st;
}

static volt_status read_labels(volt_volume **out, const char *path, const cli *c)
{
    volt_nifti_read_options read = {.dtype = VOLT_I16, .threads = (int)c->threads};

    return volt_nifti_read(out, NULL, path, &read);
}

static volt_status make_classes(job *j, int room)
{
    volt_status st;

    VOLT_TRY(st, done, volt_alloc_zero(&j->names, (size_t)room, sizeof *j->names, "classes"));
    VOLT_TRY(st, done, volt_alloc_zero(&j->values, (size_t)room, sizeof *j->values, "classes"));
    st = volt_alloc_zero(&j->regions, (size_t)room, sizeof *j->regions, "classes");
done:
    return st;
}

static volt_status add_class(job *j, int32_t value, const char *name)
{
    int i = j->classes;
    volt_status st = volt_strdup(&j->names[i], name);

    if (st != VOLT_OK)
        return st;
    j->values[i] = value;
    j->regions[i] = (volt_region){.name = j->names[i], .labels = &j->values[i], .count = 1};
    j->classes++;
    return VOLT_OK;
}

static volt_status classes_of_info(job *j, const char *path)
{
    volt_dataset_info info = {0};
    volt_status st;

    VOLT_TRY(st, done, volt_dataset_info_read(&info, path));
    VOLT_TRY(st, done, make_classes(j, info.labels));
    for (int i = 0; i < info.labels; i++) {
        if (info.label[i].value != 0)
            VOLT_TRY(st, done, add_class(j, info.label[i].value, info.label[i].name));
    }
    j->ignore = info.ignore_label;
    volt_report(&j->c->callbacks, VOLT_LOG_INFO, "classes from %s", path);
done:
    volt_dataset_info_clear(&info);
    return st;
}

/* Without a dataset.json: the values that occur in any of the masks. */
static volt_status classes_that_occur(job *j)
{
    int64_t *counts = NULL;
    volt_volume *v = NULL;
    char name[16];
    volt_status st;

    VOLT_TRY(st, done, volt_alloc_zero(&counts, VOLT_LABEL_VALUES, sizeof *counts, "classes"));
    for (int64_t i = 0; i < 2 * j->cases; i++) {
        VOLT_TRY(st, done, volt_check_cancelled(&j->c->callbacks));
        VOLT_TRY(st, done, read_labels(&v, i % 2 ? j->truth[i / 2] : j->pred[i / 2], j->c));
        VOLT_TRY(st, done, volt_label_counts(counts, v));
        volt_volume_free(v);
        v = NULL;
    }
    VOLT_TRY(st, done, make_classes(j, VOLT_LABEL_VALUES));
    for (int32_t value = 1; value < VOLT_LABEL_VALUES; value++) {
        snprintf(name, sizeof name, "%d", value);
        if (counts[value])
            VOLT_TRY(st, done, add_class(j, value, name));
    }
    if (j->classes == 0)
        st = volt_fail(VOLT_EDATA, "all masks are empty");
done:
    volt_volume_free(v);
    volt_free(counts);
    return st;
}

/* --labels, else the dataset.json beside the folder of the truth, else what occurs. */
static volt_status choose_classes(job *j)
{
    const evaluate_options *o = j->c->options;
    char *beside = NULL;
    volt_status st;

    j->ignore = -1;
    if (o->labels)
        return classes_of_info(j, o->labels);
    st = volt_format(&beside, "%s/../dataset.json", j->c->args[1]);
    if (st == VOLT_OK && volt_path_is_dir(j->c->args[1]) && volt_path_exists(beside))
        st = classes_of_info(j, beside);
    else if (st == VOLT_OK)
        st = classes_that_occur(j);
    volt_free(beside);
    return st;
}

static volt_status score_case(job *j, int64_t i, volt_metrics *scores)
{
    const evaluate_options *o = j->c->options;
    volt_metrics_options m = volt_metrics_defaults();
    volt_volume *pred = NULL, *truth = NULL;
    volt_status st;

    m.policy = (volt_empty_policy)o->policy;
    m.surface = !o->no_surface;
    m.nsd_tolerance_mm = o->tolerance_mm;
    m.has_ignore_label = j->ignore >= 0;
    m.ignore_label = j->ignore;
    m.threads = (int)j->c->threads;
    VOLT_TRY(st, done, volt_check_cancelled(&j->c->callbacks));
    VOLT_TRY(st, done, read_labels(&pred, j->pred[i], j->c));
    VOLT_TRY(st, done, read_labels(&truth, j->truth[i], j->c));
    for (int a = 0; a < 3; a++) {
        if (pred->grid.n[a] != truth->grid.n[a]) {
            st = volt_fail(VOLT_EDATA, "%s has %lld voxels along %c, %s has %lld", j->pred[i],
                           (long long)pred->grid.n[a], "zyx"[a], j -> truth[i],
                           (long long)truth -> grid.n[a]);
            goto done;
        }
    }
    if (!volt_grid_same(&pred->grid, &truth->grid, 1e-2))
        volt_report(&j->c->callbacks, VOLT_LOG_WARNING,
                    "%s lies elsewhere in the world than %s; compared voxel by voxel",
                    j->pred[i], j->truth[i]);
    VOLT_TRY(st, done, volt_metrics_evaluate(scores, pred, truth, j->regions, j->classes, &m));
    st = volt_summary_add(j->summary, j->pred[i], j->truth[i], scores);
    volt_report_progress(&j->c->callbacks, "cases", i + 1, j->cases);
done:
    volt_volume_free(truth);
    volt_volume_free(pred);
    return st;
}

static volt_status score_all(job *j)
{
    const evaluate_options *o = j->c->options;
    volt_metrics *scores = NULL;
    volt_status st;

    VOLT_TRY(st, done,
             volt_summary_create(&j->summary, j->regions, j->classes, !o->no_surface));
    VOLT_TRY(st, done, volt_alloc_zero(&scores, (size_t)j->classes, sizeof *scores, "scores"));
    for (int64_t i = 0; i < j->cases; i++)
        VOLT_TRY(st, done, score_case(j, i, scores));
    volt_summary_finish(j->summary);
done:
    volt_free(scores);
    return st;
}

static void print_score(double v, int width, int decimals)
{
    if (isfinite(v))
        printf("  %*.*f", width, decimals, v);
    else
        printf("  %*s", width, isnan(v) ? "-" : "inf");
}

static const struct {
    volt_score score;
    const char *title;
    int decimals;
} columns[] = {
    {VOLT_SCORE_DICE, "Dice", 4},    {VOLT_SCORE_IOU, "IoU", 4},
    {VOLT_SCORE_HD95, "HD95 mm", 2}, {VOLT_SCORE_ASSD, "ASSD mm", 2},
    {VOLT_SCORE_NSD, "NSD", 4},
};
enum { COLUMNS = sizeof columns / sizeof columns[0], OVERLAP_COLUMNS = 2, CASES_SHOWN = 20 };

/* Dice of every case and class. */
static void print_cases(const job *j, int width)
{
    printf("%-*s", width, "Dice");
    for (int r = 0; r < j->classes; r++)
        printf("  %13.13s", j->names[r]);
    putchar('\n');
    for (int64_t i = 0; i < j->cases; i++) {
        const volt_summary_case *k = &j->summary->cases[i];

        printf("%-*.*s", width, width, volt_path_name(k->prediction_file));
        for (int r = 0; r < j->classes; r++)
            print_score(k->metrics[r].dice, 13, 4);
        putchar('\n');
    }
    putchar('\n');
}

static void print_table(const job *j)
{
    const evaluate_options *o = j->c->options;
    int shown = o->no_surface ? OVERLAP_COLUMNS : COLUMNS, width = 28;
    int64_t undefined = 0;

    if (j->classes <= 8 && (j->cases <= CASES_SHOWN || j->c->verbose))
        print_cases(j, width);
    printf("%-*s", width, "mean over cases");
    for (int k = 0; k < shown; k++)
        printf("  %8s", columns[k].title);
    putchar('\n');
    for (int r = 0; r < j->classes; r++) {
        printf("%-*.*s", width, width, j->names[r]);
        for (int k = 0; k < shown; k++)
            print_score(j->summary->mean[r][columns[k].score], 8, columns[k].decimals);
        undefined += j->summary->undefined[r][VOLT_SCORE_DICE];
        putchar('\n');
    }
    printf("%-*s", width, "mean over classes");
    for (int k = 0; k < shown; k++)
        print_score(j->summary->foreground_mean[columns[k].score], 8, columns[k].decimals);
    printf("\n%lld cases", (long long)j->cases);
    if (undefined)
        printf("; Dice is undefined %lld times (class in neither mask)", (long long)undefined);
    putchar('\n');
}

static volt_status print_json(const job *j)
{
    const evaluate_options *o = j->c->options;
    int shown = o->no_surface ? OVERLAP_COLUMNS : COLUMNS;
    json_t *mean = json_object();

    for (int r = 0; r <= j->classes; r++) {
        const double *scores =
            r < j->classes ? j->summary->mean[r] : j->summary->foreground_mean;
        json_t *one = json_object();

        for (int k = 0; k < shown; k++)
            json_object_set_new(one, volt_score_name(columns[k].score),
                                volt_json_number(scores[columns[k].score]));
        json_object_set_new(mean, r < j->classes ? j->names[r] : "foreground_mean", one);
    }
    return cli_print_json(json_pack("{s:I, s:o}", "cases", (json_int_t)j->cases, "mean", mean));
}

static volt_status run(cli *c)
{
    const evaluate_options *o = c->options;
    job j = {.c = c};
    bool folder = volt_path_is_dir(c->args[0]);
    volt_status st;

    if (folder != volt_path_is_dir(c->args[1]) && volt_path_exists(c->args[0]) &&
        volt_path_exists(c->args[1]))
        return volt_fail(VOLT_EINVAL, "%s and %s: give two folders or two files", c->args[0],
                         c->args[1]);
    if (folder)
        VOLT_TRY(st, done, pair_folders(&j, c->args[0], c->args[1]));
    else
        VOLT_TRY(st, done, pair_files(&j, c->args[0], c->args[1]));
    VOLT_TRY(st, done, choose_classes(&j));
    VOLT_TRY(st, done, score_all(&j));
    cli_end_progress(c);
    if (o->output)
        VOLT_TRY(st, done, volt_summary_write(o->output, j.summary));
    if (c->json)
        st = print_json(&j);
    else
        print_table(&j);
done:
    free_job(&j);
    return st;
}

const cli_command cmd_evaluate = {
    .name = "evaluate",
    .one_line = "score masks against the truth",
    .args = "PRED TRUTH",
    .min_args = 2,
    .max_args = 2,
    .about =
        "Compares every mask of the folder PRED with its namesake in the folder TRUTH (or\n"
        "one file with another): Dice, IoU, Hausdorff distances, mean surface distance and\n"
        "surface Dice per class. -o writes nnU-Net's summary.json.",
    .example = "volt evaluate masks Dataset004/labelsTr -o summary.json",
    .common = CLI_THREADS | CLI_JSON,
    CLI_OPTIONS(options, evaluate_options),
    .run = run,
};
