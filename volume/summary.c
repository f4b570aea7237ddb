/* The means of volume/metrics.h over a set of cases. */
#include <math.h>
#include <string.h>
#include "base/mem.h"
#include "volume/metrics.h"

static const char *const score_names[VOLT_SCORE_COUNT] = {
    "Dice", "IoU", "FP", "TP", "FN", "TN", "n_pred", "n_ref", "HD", "HD95", "ASSD", "NSD"};

const char *volt_score_name(volt_score score)
{
    return score_names[score];
}

double volt_score_of(const volt_metrics *m, volt_score score)
{
    switch (score) {
    case VOLT_SCORE_DICE:
        return m->dice;
    case VOLT_SCORE_IOU:
        return m->iou;
    case VOLT_SCORE_FP:
        return (double)m->fp;
    case VOLT_SCORE_TP:
        return (double)m->tp;
    case VOLT_SCORE_FN:
        return (double)m->fn;
    case VOLT_SCORE_TN:
        return (double)m->tn;
    case VOLT_SCORE_N_PRED:
        return (double)m->n_pred;
    case VOLT_SCORE_N_REF:
        return (double)m->n_ref;
    case VOLT_SCORE_HD:
        return m->hd_mm;
    case VOLT_SCORE_HD95:
        return m->hd95_mm;
    case VOLT_SCORE_ASSD:
        return m->assd_mm;
    case VOLT_SCORE_NSD:
        return m->nsd;
    case VOLT_SCORE_COUNT:
        break;
    }
    return NAN;
}

volt_status volt_summary_create(volt_summary **out, const volt_region *regions, int32_t count,
                                bool surface)
{
    const size_t n = (size_t)count;
    volt_summary *s = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_alloc_zero(&s, 1, sizeof *s, "a summary"));
    s->surface = surface;
    VOLT_TRY(st, done, volt_alloc_zero(&s->region_names, n, sizeof *s->region_names, "names"));
    s->regions = count;
    VOLT_TRY(st, done, volt_alloc_zero(&s->is_background, n, sizeof(bool), "classes"));
    VOLT_TRY(st, done, volt_alloc_zero(&s->mean, n, sizeof *s->mean, "means"));
    VOLT_TRY(st, done, volt_alloc_zero(&s->undefined, n, sizeof *s->undefined, "counts"));
    for (int32_t i = 0; i < count; i++) {
        VOLT_TRY(st, done, volt_strdup(&s->region_names[i], regions[i].name));
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

void volt_summary_finish(volt_summary *s)
{
    for (int score = 0; score < VOLT_SCORE_COUNT; score++) {
        double foreground = 0;
        int32_t classes = 0;

        for (int32_t r = 0; r < s->regions; r++) {
            double sum = 0;
            int64_t valid = 0, finite = 0;

            for (int64_t i = 0; i < s->count; i++) {
                const double v = volt_score_of(&s->cases[i].metrics[r], (volt_score)score);

                valid += !isnan(v);
                finite += isfinite(v) != 0;
                sum += isnan(v) ? 0 : v;
            }
            s->mean[r][score] = valid > 0 ? sum / (double)valid : NAN;
            s->undefined[r][score] = s->count - finite;
            if (!s->is_background[r]) {
                foreground += s->mean[r][score];
                classes++;
            }
        }
        s->foreground_mean[score] = classes > 0 ? foreground / classes : NAN;
    }
}

void volt_summary_free(volt_summary *s)
{
    if (!s)
        return;
    for (int64_t i = 0; i < s->count; i++)
        case_free(&s->cases[i]);
    for (int32_t i = 0; s->region_names && i < s->regions; i++)
        volt_free(s->region_names[i]);
    volt_free(s->cases);
    volt_free(s->undefined);
    volt_free(s->mean);
    volt_free(s->is_background);
    volt_free(s->region_names);
    volt_free(s);
}
