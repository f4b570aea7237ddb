#include <math.h>
#include <stdio.h>
#include <string.h>
#include "apps/evaluate.h"
#include "base/core/report.h"
#include "base/system/file.h"
#include "base/core/alloc.h"
#include "base/core/plural.h"
#include "io/scores.h"
#include "io/nnunet_summary.h"

typedef struct evaluate_options {
    const char *output, *report, *csv, *confusion, *labels, *layout, *images, *policy, *map;
    cli_list thresholds, ignore;
    bool no_surface, lesions, all, stacks, allow_outside, allow_shift;
    double tolerance_mm, lesion_min_mm3, lesion_penalty_mm;
    int64_t lesion_dilation, resamples, seed;
} evaluate_options;

static const cli_option options[] = {
    {"--output", 'o', CLI_TEXT, offsetof(evaluate_options, output), "JSON", NULL, 0, 0,
     "write nnU-Net's summary.json"},
    {"--report", 0, CLI_TEXT, offsetof(evaluate_options, report), "JSON", NULL, 0, 0,
     "write all scores with means and 95 % intervals, worst cases first"},
    {"--csv", 0, CLI_TEXT, offsetof(evaluate_options, csv), "CSV", NULL, 0, 0,
     "write one line per case and class, worst cases first"},
    {"--confusion", 0, CLI_TEXT, offsetof(evaluate_options, confusion), "CSV", NULL, 0, 0,
     "write the confusion matrix of all labels, in voxels"},
    {"--labels", 0, CLI_TEXT, offsetof(evaluate_options, labels), "JSON|DIR", NULL, 0, 0,
     "dataset.json, run or data set that defines the classes [found near TRUTH or PRED]"},
    {"--images", 0, CLI_TEXT, offsetof(evaluate_options, images), "DIR", NULL, 0, 0,
     "image folder, if TRUTH is a folder of labels whose names match the images but not the "
     "masks"},
    {"--layout", 0, CLI_TEXT, offsetof(evaluate_options, layout), "NAME", NULL, 0, 0,
     "layout of TRUTH if it is a data set: nnunet, brats, lits, ... [detected]"},
    {"--label-thresholds", 0, CLI_REALS, offsetof(evaluate_options, thresholds), "A[,B,...]",
     NULL, 0, 0,
     "TRUTH has grey values: label 1 from A, label 2 from B, ... [those of the masks' run]"},
    {"--label-map", 0, CLI_TEXT, offsetof(evaluate_options, map), "T=P[,...]", NULL, 0, 0,
     "label T of TRUTH is label P of PRED; P 0 counts it as background"},
    {"--ignore", 0, CLI_INTS, offsetof(evaluate_options, ignore), "LABEL", NULL, -1, 32767,
     "exclude voxels with this label in TRUTH [dataset.json's ignore label]"},
    {"--stacks", 0, CLI_FLAG, offsetof(evaluate_options, stacks), NULL, NULL, 0, 0,
     "pictures CASE_000.png, CASE_001.png, ... are the slices of one mask"},
    {"--allow-outside", 0, CLI_FLAG, offsetof(evaluate_options, allow_outside), NULL, NULL, 0,
     0, "accept paths in the dataset.json of TRUTH that leave its folder"},
    {"--allow-shift", 0, CLI_FLAG, offsetof(evaluate_options, allow_shift), NULL, NULL, 0, 0,
     "compare masks voxel by voxel that lie more than a voxel away from their truth"},
    {"--all", 0, CLI_FLAG, offsetof(evaluate_options, all), NULL, NULL, 0, 0,
     "fail if a mask of TRUTH has no prediction"},
    {"--empty", 0, CLI_WORD, offsetof(evaluate_options, policy), "nnunet|monai|brats", "nnunet",
     0, 0, "score of a class that is missing from one or both masks (see above)"},
    {"--no-surface", 0, CLI_FLAG, offsetof(evaluate_options, no_surface), NULL, NULL, 0, 0,
     "overlap scores only, no distances (faster)"},
    {"--tolerance", 0, CLI_REAL, offsetof(evaluate_options, tolerance_mm), "MM", "1", 0, 1000,
     "tolerance of the normalized surface Dice (NSD)"},
    {"--lesions", 0, CLI_FLAG, offsetof(evaluate_options, lesions), NULL, NULL, 0, 0,
     "also Dice, F1 and HD95 per lesion, as in BraTS 2023"},
    {"--lesion-dilation", 0, CLI_INT, offsetof(evaluate_options, lesion_dilation), "VOXELS",
     "3", 0, 64, "dilation that merges lesions (BraTS MEN, MET: 1)"},
    {"--lesion-min", 0, CLI_REAL, offsetof(evaluate_options, lesion_min_mm3), "MM3", "50", 0,
     1e9, "ignore smaller lesions in the truth (BraTS MET: 2)"},
    {"--lesion-penalty", 0, CLI_REAL, offsetof(evaluate_options, lesion_penalty_mm), "MM",
     "374", 0, 1e6, "HD95 of a missed or false-positive lesion"},
    {"--resamples", 0, CLI_INT, offsetof(evaluate_options, resamples), "N", "2000", 0, 1000000,
     "bootstrap resamples of the cases for the 95 % intervals of the means; 0 disables"},
    {"--seed", 0, CLI_INT, offsetof(evaluate_options, seed), "N", "0", 0, 9007199254740992.0,
     "random seed of the bootstrap"},
};

/* The evaluation; owned. */
typedef struct job {
    cli *c;
    volt_mask_pairs pairs;
    evaluate_classes classes;
    volt_metrics_options metrics;
    volt_summary *summary;
    volt_confusion *confusion;
} job;

static void free_job(job *j)
{
    volt_confusion_free(j->confusion);
    volt_summary_free(j->summary);
    evaluate_classes_free(&j->classes);
    volt_mask_pairs_clear(&j->pairs);
}

static volt_status judge_missing(const job *j)
{
    const evaluate_options *o = j->c->options;
    const volt_mask_pairs *p = &j->pairs;

    if (p->missing == 0)
        return VOLT_OK;
    if (o->all)
        return volt_fail(VOLT_EDATA, "no prediction for %lld mask%s of %s, the first is %s",
                         (long long)p->missing, volt_s(p->missing), j->c->args[1],
                         p->first_missing);
    volt_report(&j->c->callbacks, VOLT_LOG_INFO,
                "no prediction for %lld mask%s of %s: not scored (--all makes this an error)",
                (long long)p->missing, volt_s(p->missing), j->c->args[1]);
    return VOLT_OK;
}

/* Too few thresholds would leave a class without truth. */
static volt_status check_thresholds(const job *j)
{
    const evaluate_options *o = j->c->options;
    const int32_t labels = j->classes.label_count;

    if (o->thresholds.count && j->classes.source && o->thresholds.count + 1 != labels)
        return volt_fail(VOLT_EINVAL,
                         "--label-thresholds: %d threshold%s define%s %d labels; %s has %d",
                         o->thresholds.count, volt_s(o->thresholds.count),
                         o->thresholds.count == 1 ? "s" : "", o->thresholds.count + 1,
                         j->classes.source, labels);
    return VOLT_OK;
}

static volt_status choose_metrics(job *j)
{
    const evaluate_options *o = j->c->options;
    volt_metrics_options *m = &j->metrics;

    *m = volt_metrics_defaults();
    m->surface = !o->no_surface;
    m->nsd_tolerance_mm = o->tolerance_mm;
    m->lesions = o->lesions;
    m->lesion.dilation = (int)o->lesion_dilation;
    m->lesion.min_mm3 = o->lesion_min_mm3;
    m->lesion.penalty_mm = o->lesion_penalty_mm;
    m->ignore_label =
        o->ignore.count && o->ignore.v[0] >= 0 ? (int32_t)o->ignore.v[0] : j->classes.ignore;
    m->has_ignore_label = m->ignore_label >= 0;
    m->threads = (int)j->c->threads;
    return volt_empty_policy_parse(&m->policy, o->policy);
}

static volt_status score_all(job *j)
{
    const evaluate_options *o = j->c->options;
    const evaluate_classes *k = &j->classes;
    volt_status st;

    VOLT_TRY(st, done, evaluate_expect_labels(&j->pairs, k, j->metrics.ignore_label));
    VOLT_TRY(st, done, volt_confusion_create(&j->confusion, k->labels, k->label_count));
    VOLT_TRY(st, done,
             volt_mask_pairs_score(&j->summary, j->confusion, &j->pairs, k->regions, k->count,
                                   &j->metrics, &j->c->callbacks));
    if (o->resamples > 0 && j->pairs.count > 1)
        st = volt_summary_bootstrap(j->summary, o->resamples > 1 ? o->resamples : 2,
                                    (uint64_t)o->seed, (int)j->c->threads);
done:
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
    {VOLT_SCORE_DICE, "Dice", 4},        {VOLT_SCORE_IOU, "IoU", 4},
    {VOLT_SCORE_HD95, "HD95 mm", 2},     {VOLT_SCORE_ASSD, "ASSD mm", 2},
    {VOLT_SCORE_NSD, "NSD", 4},          {VOLT_SCORE_LESION_DICE, "les.Dice", 4},
    {VOLT_SCORE_LESION_F1, "les.F1", 4}, {VOLT_SCORE_LESION_HD95, "les.HD95", 2},
};
enum {
    COLUMNS = sizeof columns / sizeof columns[0],
    CASES_SHOWN = 20,
    INTERVAL_CASES = 5,
    NAME_WIDTH = 28
};

static bool is_shown(const job *j, int column)
{
    const volt_score s = columns[column].score;

    return (j->metrics.surface || !volt_score_is_surface(s)) &&
           (j->metrics.lesions || !volt_score_is_lesion(s));
}

/* Dice of the cases, worst first: all of them with -v, else the 20 worst. */
static volt_status print_cases(const job *j)
{
    const volt_summary *s = j->summary;
    const int64_t shown = j->c->verbose || s->count < CASES_SHOWN ? s->count : CASES_SHOWN;
    const int classes = j->classes.count <= 8 ? j->classes.count : 0;
    int64_t *order = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_alloc(&order, (size_t)s->count * sizeof *order, "the order"));
    VOLT_TRY(st, done, volt_summary_worst_first(order, s));
    printf("%-*s  %8s", NAME_WIDTH, "Dice, worst case first", "mean");
    for (int r = 0; r < classes && classes > 1; r++)
        printf("  %13.13s", s->region_names[r]);
    putchar('\n');
    for (int64_t i = 0; i < shown; i++) {
        const volt_summary_case *k = &s->cases[order[i]];

        printf("%-*.*s", NAME_WIDTH, NAME_WIDTH, volt_path_name(k->prediction_file));
        print_score(volt_summary_case_mean(s, order[i], VOLT_SCORE_DICE), 8, 4);
        for (int r = 0; r < classes && classes > 1; r++)
            print_score(k->metrics[r].dice, 13, 4);
        putchar('\n');
    }
    if (shown < s->count)
        printf("... and %lld more (-v lists all)\n", (long long)(s->count - shown));
    putchar('\n');
done:
    volt_free(order);
    return st;
}

/* An interval over few cases says little; only the report has it. */
static bool shows_intervals(const job *j)
{
    return j->summary->resamples > 0 && j->summary->count >= INTERVAL_CASES;
}

static void print_means(const job *j, const char *name, const double *mean,
                        const volt_interval *interval)
{
    printf("%-*.*s", NAME_WIDTH, NAME_WIDTH, name);
    for (int k = 0; k < COLUMNS; k++) {
        if (!is_shown(j, k))
            continue;
        print_score(mean[columns[k].score], 8, columns[k].decimals);
        if (k == 0 && shows_intervals(j) && isfinite(interval[VOLT_SCORE_DICE].low))
            printf("  %.4f to %.4f", interval[VOLT_SCORE_DICE].low,
                   interval[VOLT_SCORE_DICE].high);
        else if (k == 0 && shows_intervals(j))
            printf("  %16s", "-");
    }
    putchar('\n');
}

/* What the means leave out, and why, by the rule of --empty. */
static void print_undefined(const job *j)
{
    const volt_summary *s = j->summary;
    const bool monai = j->metrics.policy == VOLT_EMPTY_MONAI;
    int64_t undefined = 0, infinite = 0;

    for (int32_t r = 0; r < s->regions; r++)
        undefined += s->undefined[r][VOLT_SCORE_DICE];
    for (int64_t i = 0; i < s->count && j->metrics.surface; i++) {
        for (int32_t r = 0; r < s->regions; r++)
            infinite += isinf(s->cases[i].metrics[r].hd95_mm) ? 1 : 0;
    }
    if (undefined)
        printf("; %lld undefined Dice score%s (class %s)", (long long)undefined,
               volt_s(undefined), monai ? "not in the truth" : "in neither mask");
    if (infinite)
        printf("; %lld infinite distance%s (class in one mask only)", (long long)infinite,
               volt_s(infinite));
}

static volt_status print_table(const job *j)
{
    const volt_summary *s = j->summary;
    volt_status st = VOLT_OK;

    if (s->count > 1)
        st = print_cases(j);
    if (st != VOLT_OK)
        return st;
    printf("%-*s", NAME_WIDTH, "mean over cases");
    for (int k = 0; k < COLUMNS; k++) {
        if (is_shown(j, k))
            printf("  %8s", columns[k].title);
        if (k == 0 && shows_intervals(j))
            printf("  %16s", "95 % interval");
    }
    putchar('\n');
    for (int r = 0; r < s->regions; r++)
        print_means(j, s->region_names[r], s->mean[r], s->interval[r]);
    print_means(j, "mean over classes", s->foreground_mean, s->foreground_interval);
    printf("%lld case%s", (long long)s->count, volt_s(s->count));
    print_undefined(j);
    putchar('\n');
    return VOLT_OK;
}

static volt_status write_files(const job *j, const volt_scores *scores)
{
    const evaluate_options *o = j->c->options;
    volt_status st = VOLT_OK;

    if (o->output)
        VOLT_TRY(st, done, volt_summary_write(o->output, j->summary));
    if (o->report)
        VOLT_TRY(st, done, volt_scores_write(o->report, scores));
    if (o->csv)
        VOLT_TRY(st, done, volt_scores_write_csv(o->csv, j->summary));
    if (o->confusion)
        st = volt_confusion_write_csv(o->confusion, j->confusion);
done:
    return st;
}

static volt_status print_json(const volt_scores *scores)
{
    char *text = NULL;
    const volt_status st = volt_scores_text(&text, scores);

    if (st == VOLT_OK)
        printf("%s\n", text);
    volt_free(text);
    return st;
}

/* After a failure about values that are no labels. */
static volt_status add_remedy(void)
{
    char sentence[1024];

    snprintf(sentence, sizeof sentence, "%s", volt_last_error());
    return volt_fail(VOLT_EDATA,
                     "%s; give the values of TRUTH with --label-map T=P,..., or "
                     "--label-thresholds for grey values, or the data set of the masks with "
                     "--labels",
                     sentence);
}

static volt_status check_outputs(const cli *c)
{
    const evaluate_options *o = c->options;
    volt_status st;

    VOLT_TRY(st, done, cli_check_output(c, o->output, "json"));
    VOLT_TRY(st, done, cli_check_output(c, o->report, "json"));
    VOLT_TRY(st, done, cli_check_output(c, o->csv, "csv"));
    st = cli_check_output(c, o->confusion, "csv");
done:
    return st;
}

static volt_status find_stacks(volt_mask_pairs *pairs, const cli *c)
{
    const evaluate_options *o = c->options;
    volt_status st;

    if (o->layout || o->images)
        return volt_fail(VOLT_EINVAL, "--stacks is for plain folders; drop --layout, --images");
    st = volt_mask_pairs_find_stacks(pairs, c->args[0], c->args[1]);
    if (st == VOLT_OK && o->thresholds.count)
        st = volt_mask_pairs_threshold(pairs, o->thresholds.v, o->thresholds.count);
    return st;
}

static volt_status run(cli *c)
{
    const evaluate_options *o = c->options;
    job j = {.c = c};
    volt_dataset_options dataset = volt_dataset_defaults();
    volt_scores scores;
    volt_status st;

    VOLT_TRY(st, done, check_outputs(c));
    VOLT_TRY(st, done, cli_check_inputs(c->args, c->args_count));
    dataset.layout = o->layout;
    dataset.images = o->images;
    dataset.labels = o->images ? c->args[1] : NULL;
    dataset.allow_outside = o->allow_outside;
    dataset.threshold = o->thresholds.v;
    dataset.thresholds = o->thresholds.count;
    dataset.threads = (int)c->threads;
    dataset.callbacks = &c->callbacks;
    VOLT_TRY(st, done,
             o->stacks ? find_stacks(&j.pairs, c)
                       : volt_mask_pairs_find(&j.pairs, c->args[0], c->args[1], &dataset));
    VOLT_TRY(st, done, judge_missing(&j));
    j.pairs.refuse_shift = !o->allow_shift;
    VOLT_TRY(st, done, evaluate_number_truth(&j.pairs, c, o->map));
    VOLT_TRY(st, done, evaluate_find_classes(&j.classes, c, o->labels, o->map, &j.pairs));
    VOLT_TRY(st, done, check_thresholds(&j));
    VOLT_TRY(st, done, choose_metrics(&j));
    VOLT_TRY(st, done, score_all(&j));
    cli_end_progress(c);
    if (!o->map)
        evaluate_warn_of_swaps(c, j.confusion);
    scores = (volt_scores){j.summary, &j.metrics, j.confusion, (uint64_t)o->seed};
    VOLT_TRY(st, done, write_files(&j, &scores));
    st = c->json ? print_json(&scores) : print_table(&j);
done:
    if (st == VOLT_EDATA && volt_mask_pairs_foreign(&j.pairs))
        st = add_remedy();
    free_job(&j);
    return st;
}

const cli_command cmd_evaluate = {
    .name = "evaluate",
    .section = CLI_EVALUATION,
    .one_line = "score masks against the ground truth",
    .args = "PRED TRUTH",
    .min_args = 2,
    .max_args = 2,
    .about =
        "Compares every mask in folder PRED with the file of the same name in TRUTH, a folder "
        "of masks or a data set (or one file with another); a mask can be a folder of slices: "
        "Dice, IoU, Hausdorff distances, "
        "mean surface distance and surface Dice per class, with 95 % intervals over the cases "
        "and the worst cases first. Classes and regions are those of the nearest "
        "dataset.json. Masks and truth must number the labels alike: values that are no label "
        "of the classes are refused, with the option that translates them.\n\n"
        "How --empty scores a class that is missing from a mask:\n"
        "  nnunet  both: excluded from the means\n"
        "          one: Dice, IoU, NSD 0; distances excluded\n"
        "  monai   both: excluded from the means\n"
        "          truth: Dice, IoU excluded; NSD 0; HD, HD95, ASSD infinite\n"
        "          prediction: Dice, IoU, NSD 0; HD, HD95, ASSD infinite\n"
        "  brats   both: Dice, IoU, NSD 1; distances 0\n"
        "          one: Dice, IoU, NSD 0; distances the volume's diagonal",
    .example = "volt evaluate masks Dataset004/labelsTr -o summary.json --csv scores.csv",
    .common = CLI_THREADS | CLI_JSON,
    CLI_OPTIONS(options, evaluate_options),
    .run = run,
};
