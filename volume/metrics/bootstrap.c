/* Confidence intervals of a summary's means: the percentile bootstrap (Efron 1979). */
#include <math.h>
#include <omp.h>
#include <string.h>
#include "base/core/alloc.h"
#include "base/core/plural.h"
#include "base/rng.h"
#include "base/threads.h"
#include "volume/metrics.h"
#include "volume/metrics/surface.h"

#define TAIL 0.025 /* on either side of a 95 % interval */

/* Every score of every class in one row: column region * VOLT_SCORE_COUNT + score. */
typedef struct table {
    const volt_summary *s;
    size_t columns;
    double *value; /* (cases, columns); 0 where undefined */
    double *valid; /* (cases, columns); 1 or 0 */
    double *mean;  /* (resamples, columns) */
    double *all;   /* (resamples, VOLT_SCORE_COUNT): means over the foreground classes */
    int64_t resamples;
} table;

static void table_free(table *t)
{
    volt_free(t->all);
    volt_free(t->mean);
    volt_free(t->valid);
    volt_free(t->value);
}

static volt_status table_make(table *t, const volt_summary *s, int64_t resamples)
{
    const size_t cases = (size_t)s->count, b = (size_t)resamples;
    volt_status st;

    *t = (table){.s = s, .resamples = resamples};
    t->columns = (size_t)s->regions * VOLT_SCORE_COUNT;
    VOLT_TRY(st, done, volt_alloc_zero(&t->value, cases * t->columns, 8, "scores"));
    VOLT_TRY(st, done, volt_alloc_zero(&t->valid, cases * t->columns, 8, "scores"));
    VOLT_TRY(st, done, volt_alloc_zero(&t->mean, b * t->columns, 8, "resampled means"));
    VOLT_TRY(st, done, volt_alloc_zero(&t->all, b * VOLT_SCORE_COUNT, 8, "resampled means"));
    for (size_t i = 0; i < cases; i++) {
        for (size_t c = 0; c < t->columns; c++) {
            const double v = volt_score_of(&s->cases[i].metrics[c / VOLT_SCORE_COUNT],
                                           (volt_score)(c % VOLT_SCORE_COUNT));

            if (isnan(v))
                continue;
            t->value[i * t->columns + c] = v;
            t->valid[i * t->columns + c] = 1;
        }
    }
done:
    return st;
}

/* Draws as many cases as there are; `valid` is scratch of t->columns. */
static void resample(const table *t, int64_t index, uint64_t seed, double *valid)
{
    volt_rng rng = volt_rng_open(seed, 0, (uint32_t)index, VOLT_RNG_BOOTSTRAP);
    double *mean = t->mean + (size_t)index * t->columns;
    double *all = t->all + index * VOLT_SCORE_COUNT;
    int32_t classes = 0;

    memset(valid, 0, t->columns * sizeof *valid);
    for (int64_t i = 0; i < t->s->count; i++) {
        const size_t row = (size_t)volt_rng_below(&rng, t->s->count) * t->columns;

        for (size_t c = 0; c < t->columns; c++) {
            mean[c] += t->value[row + c];
            valid[c] += t->valid[row + c];
        }
    }
    for (size_t c = 0; c < t->columns; c++)
        mean[c] = valid[c] > 0 ? mean[c] / valid[c] : NAN;
    for (int32_t r = 0; r < t->s->regions; r++) {
        if (t->s->is_background[r])
            continue;
        for (int k = 0; k < VOLT_SCORE_COUNT; k++)
            all[k] += mean[r * VOLT_SCORE_COUNT + k];
        classes++;
    }
    for (int k = 0; k < VOLT_SCORE_COUNT; k++)
        all[k] = classes > 0 ? all[k] / classes : NAN;
}

/* Of the defined values among v[0], v[step], ..; `sorted` is scratch of `count`. */
static volt_interval interval_of(const double *v, size_t step, int64_t count, double *sorted)
{
    int64_t defined = 0;

    for (int64_t i = 0; i < count; i++) {
        const double x = v[(size_t)i * step];

        if (!isnan(x))
            sorted[defined++] = x;
    }
    if (defined == 0)
        return (volt_interval){NAN, NAN};
    return (volt_interval){volt_quantile(sorted, defined, TAIL),
                           volt_quantile(sorted, defined, 1 - TAIL)};
}

volt_status volt_summary_bootstrap(volt_summary *s, int64_t resamples, uint64_t seed,
                                   int threads)
{
    const volt_interval none = {NAN, NAN};
    double *scratch = NULL;
    table t = {0};
    volt_status st;

    if (resamples < 2 || resamples > UINT32_MAX)
        return volt_fail(VOLT_EINVAL, "bootstrap: %lld resample%s; at least 2 are needed",
                         (long long)resamples, volt_s(resamples));
    threads = volt_threads_or_default(threads);
    VOLT_TRY(st, done, table_make(&t, s, resamples));
    VOLT_TRY(st, done,
             volt_alloc_zero(&scratch, t.columns * (size_t)threads + (size_t)resamples,
                             sizeof *scratch, "resampled means"));
#pragma omp parallel num_threads(threads)
    {
        double *valid = scratch + t.columns * (size_t)omp_get_thread_num();
#pragma omp for schedule(static)
        for (int64_t i = 0; i < resamples; i++)
            resample(&t, i, seed, valid);
    }
    for (int k = 0; k < VOLT_SCORE_COUNT; k++) {
        for (int32_t r = 0; r < s->regions; r++)
            s->interval[r][k] = isnan(s->mean[r][k])
                                    ? none
                                    : interval_of(t.mean + r * VOLT_SCORE_COUNT + k, t.columns,
                                                  resamples, scratch);
        s->foreground_interval[k] =
            isnan(s->foreground_mean[k])
                ? none
                : interval_of(t.all + k, VOLT_SCORE_COUNT, resamples, scratch);
    }
    s->resamples = resamples;
done:
    volt_free(scratch);
    table_free(&t);
    return st;
}
