/* Summaries: the scores of several cases and their means. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/core/options.h"
#include "base/core/alloc.h"
#include "volume/metrics.h"

#define METRIC(field) offsetof(volt_metrics, field)

static const struct {
    const char *name;
    size_t offset; /* in volt_metrics */
    bool count;    /* an int64_t; else a double */
    bool surface, lesion;
} scores[VOLT_SCORE_COUNT] = {
    [VOLT_SCORE_DICE] = {"Dice", METRIC(dice), false, false, false},
    [VOLT_SCORE_IOU] = {"IoU", METRIC(iou), false, false, false},
    [VOLT_SCORE_FP] = {"FP", METRIC(fp), true, false, false},
    [VOLT_SCORE_TP] = {"TP", METRIC(tp), true, false, false},
    [VOLT_SCORE_FN] = {"FN", METRIC(fn), true, false, false},
    [VOLT_SCORE_TN] = {"TN", METRIC(tn), true, false, false},
    [VOLT_SCORE_N_PRED] = {"n_pred", METRIC(n_pred), true, false, false},
    [VOLT_SCORE_N_REF] = {"n_ref", METRIC(n_ref), true, false, false},
    [VOLT_SCORE_HD] = {"HD", METRIC(hd_mm), false, true, false},
    [VOLT_SCORE_HD95] = {"HD95", METRIC(hd95_mm), false, true, false},
    [VOLT_SCORE_ASSD] = {"ASSD", METRIC(assd_mm), false, true, false},
    [VOLT_SCORE_NSD] = {"NSD", METRIC(nsd), false, true, false},
    [VOLT_SCORE_PRECISION] = {"precision", METRIC(precision), false, false, false},
    [VOLT_SCORE_SENSITIVITY] = {"sensitivity", METRIC(sensitivity), false, false, false},
    [VOLT_SCORE_SPECIFICITY] = {"specificity", METRIC(specificity), false, false, false},
    [VOLT_SCORE_VOLUME_SIMILARITY] = {"volume_similarity", METRIC(volume_similarity), false,
                                      false, false},
    [VOLT_SCORE_VOLUME_DIFFERENCE] = {"volume_difference_mm3", METRIC(volume_difference_mm3),
                                      false, false, false},
    [VOLT_SCORE_LESION_DICE] = {"lesion_Dice", METRIC(lesion.dice), false, false, true},
    [VOLT_SCORE_LESION_F1] = {"lesion_F1", METRIC(lesion.f1), false, false, true},
    [VOLT_SCORE_LESION_HD95] = {"lesion_HD95", METRIC(lesion.hd95_mm), false, true, true},
    [VOLT_SCORE_LESION_TP] = {"lesion_TP", METRIC(lesion.tp), true, false, true},
    [VOLT_SCORE_LESION_FP] = {"lesion_FP", METRIC(lesion.fp), true, false, true},
    [VOLT_SCORE_LESION_FN] = {"lesion_FN", METRIC(lesion.fn), true, false, true},
};

const char *volt_score_name(volt_score score)
{
    return scores[score].name;
}

double volt_score_of(const volt_metrics *m, volt_score score)
{
    const char *at = (const char *)m + scores[score].offset;

    return scores[score].count ? (double)*(const int64_t *)at : *(const double *)at;
}

bool volt_score_is_count(volt_score score)
{
    return scores[score].count;
}

bool volt_score_is_surface(volt_score score)
{
    return scores[score].surface;
}

bool volt_score_is_lesion(volt_score score)
{
    return scores[score].lesion;
}

/* nnU-Net's key of a region: the number or tuple as Python prints it. */
static volt_status make_key(char **out, const volt_region *r)
{
    const size_t room = 13 * (size_t)r->count + 4;
    char *text = NULL;
    size_t at = 0;
    volt_status st = volt_alloc(&text, room, "a class's key");

    if (st != VOLT_OK)
        return st;
    if (r->count == 1 && !r->is_list) {
        snprintf(text, room, "%d", r->labels[0]);
    } else {
        for (int32_t i = 0; i < r->count; i++)
            at += (size_t)snprintf(text + at, room - at, "%s%d", i ? ", " : "(", r->labels[i]);
        snprintf(text + at, room - at, r->count == 1 ? ",)" : ")");
    }
    *out = text;
    return VOLT_OK;
}

volt_status volt_summary_create(volt_summary **out, const volt_region *regions, int32_t count,
                                const volt_metrics_options *options)
{
    const size_t n = (size_t)count;
    volt_metrics_options o = volt_metrics_defaults();
    volt_summary *s = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_options_take(&o, sizeof o, options, "volt_metrics_options"));
    VOLT_TRY(st, done, volt_alloc_zero(&s, 1, sizeof *s, "a summary"));
    s->surface = o.surface;
    s->lesions = o.lesions;
    VOLT_TRY(st, done, volt_alloc_zero(&s->region_names, n, sizeof *s->region_names, "names"));
    VOLT_TRY(st, done, volt_alloc_zero(&s->region_keys, n, sizeof *s->region_keys, "names"));
    s->regions = count;
    VOLT_TRY(st, done, volt_alloc_zero(&s->is_background, n, sizeof(bool), "classes"));
    VOLT_TRY(st, done, volt_alloc_zero(&s->mean, n, sizeof *s->mean, "means"));
    VOLT_TRY(st, done, volt_alloc_zero(&s->undefined, n, sizeof *s->undefined, "counts"));
    VOLT_TRY(st, done, volt_alloc_zero(&s->interval, n, sizeof *s->interval, "intervals"));
    for (int32_t i = 0; i < count; i++) {
        VOLT_TRY(st, done, volt_strdup(&s->region_names[i], regions[i].name));
        VOLT_TRY(st, done, make_key(&s->region_keys[i], &regions[i]));
        s->is_background[i] = regions[i].count == 1 && regions[i].labels[0] == 0;
    }
    *out = s;
    s = NULL;
done:
    volt_summary_free(s);
    return st;
}

static void case_free(volt_summary_case *c)
{
    volt_free(c->prediction_file);
    volt_free(c->reference_file);
    volt_free(c->metrics);
}

static volt_status make_room(volt_summary *s)
{
    const int64_t room = s->room ? 2 * s->room : 16;
    volt_status st;

    if (s->count < s->room)
        return VOLT_OK;
    st = volt_realloc(&s->cases, (size_t)s->count * sizeof *s->cases,
                      (size_t)room * sizeof *s->cases, "a summary's cases");
    if (st == VOLT_OK)
        s->room = room;
    return st;
}

volt_status volt_summary_add(volt_summary *s, const char *prediction_file,
                             const char *reference_file, const volt_metrics *metrics)
{
    const size_t bytes = (size_t)s->regions * sizeof *metrics;
    volt_summary_case c = {0};
    volt_status st;

    VOLT_TRY(st, failed, make_room(s));
    VOLT_TRY(st, failed, volt_strdup(&c.prediction_file, prediction_file));
    VOLT_TRY(st, failed, volt_strdup(&c.reference_file, reference_file));
    VOLT_TRY(st, failed, volt_alloc(&c.metrics, bytes, "a case's scores"));
    memcpy(c.metrics, metrics, bytes);
    s->cases[s->count++] = c;
    return VOLT_OK;
failed:
    case_free(&c);
    return st;
}

/* Numbers to be summed: one score of one class over the cases, NaN counting as 0; or, for
 * region -1, its means over the foreground classes. */
typedef struct column {
    const volt_summary *s;
    int32_t region;
    volt_score score;
} column;

static double value_at(const column *c, int64_t i)
{
    double v;

    if (c->region >= 0) {
        v = volt_score_of(&c->s->cases[i].metrics[c->region], c->score);
        return isnan(v) ? 0 : v;
    }
    for (int32_t r = 0;; r++) {
        if (!c->s->is_background[r] && i-- == 0)
            return c->s->mean[r][c->score];
    }
}

/* The sum of numbers first .. first + n in the order of numpy's pairwise summation, so that
 * means agree to the last bit. */
static double sum_of(const column *c, int64_t first, int64_t n)
{
    double r[8], sum = 0;
    int64_t i = 0, half;

    if (n > 128) {
        half = n / 2 - n / 2 % 8;
        return sum_of(c, first, half) + sum_of(c, first + half, n - half);
    }
    if (n >= 8) {
        for (; i < 8; i++)
            r[i] = value_at(c, first + i);
        for (; i < n - n % 8; i++)
            r[i % 8] += value_at(c, first + i);
        sum = ((r[0] + r[1]) + (r[2] + r[3])) + ((r[4] + r[5]) + (r[6] + r[7]));
    }
    for (; i < n; i++)
        sum += value_at(c, first + i);
    return sum;
}

static void finish_class(volt_summary *s, int32_t region, volt_score score)
{
    const column c = {s, region, score};
    int64_t valid = 0, finite = 0;

    for (int64_t i = 0; i < s->count; i++) {
        const double v = volt_score_of(&s->cases[i].metrics[region], score);

        valid += !isnan(v);
        finite += isfinite(v) != 0;
    }
    s->mean[region][score] = valid > 0 ? sum_of(&c, 0, s->count) / (double)valid : NAN;
    s->undefined[region][score] = s->count - finite;
}

void volt_summary_finish(volt_summary *s)
{
    int64_t classes = 0;

    for (int32_t r = 0; r < s->regions; r++)
        classes += !s->is_background[r];
    for (int i = 0; i < VOLT_SCORE_COUNT; i++) {
        const column c = {s, -1, (volt_score)i};

        for (int32_t r = 0; r < s->regions; r++)
            finish_class(s, r, (volt_score)i);
        s->foreground_mean[i] = classes > 0 ? sum_of(&c, 0, classes) / (double)classes : NAN;
    }
}

double volt_summary_case_mean(const volt_summary *s, int64_t index, volt_score score)
{
    double sum = 0;
    int32_t valid = 0;

    for (int32_t r = 0; r < s->regions; r++) {
        const double v = volt_score_of(&s->cases[index].metrics[r], score);

        if (s->is_background[r] || isnan(v))
            continue;
        sum += v;
        valid++;
    }
    return valid > 0 ? sum / valid : NAN;
}

typedef struct ranked {
    double dice;
    int64_t index;
} ranked;

/* Undefined ones last, ties in the order of the cases. */
static int compare_ranked(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    const bool x_known = !isnan(x->dice), y_known = !isnan(y->dice);

    if (x_known != y_known)
        return x_known ? -1 : 1;
    if (x_known && x->dice != y->dice)
        return x->dice < y->dice ? -1 : 1;
    return (x->index > y->index) - (x->index < y->index);
}

volt_status volt_summary_worst_first(int64_t *order, const volt_summary *s)
{
    ranked *cases = NULL;
    volt_status st =
        volt_alloc(&cases, (size_t)s->count * sizeof *cases, "the order of the cases");

    if (st != VOLT_OK)
        return st;
    for (int64_t i = 0; i < s->count; i++)
        cases[i] = (ranked){volt_summary_case_mean(s, i, VOLT_SCORE_DICE), i};
    if (s->count > 0)
        qsort(cases, (size_t)s->count, sizeof *cases, compare_ranked);
    for (int64_t i = 0; i < s->count; i++)
        order[i] = cases[i].index;
    volt_free(cases);
    return VOLT_OK;
}

void volt_summary_free(volt_summary *s)
{
    if (!s)
        return;
    for (int64_t i = 0; i < s->count; i++)
        case_free(&s->cases[i]);
    for (int32_t i = 0; i < s->regions; i++) {
        volt_free(s->region_keys[i]);
        volt_free(s->region_names[i]);
    }
    volt_free(s->cases);
    volt_free(s->interval);
    volt_free(s->undefined);
    volt_free(s->mean);
    volt_free(s->is_background);
    volt_free(s->region_keys);
    volt_free(s->region_names);
    volt_free(s);
}
