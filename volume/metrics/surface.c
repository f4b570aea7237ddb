#include "volume/metrics/surface.h"

#include <math.h>
#include "base/core/alloc.h"
#include "volume/distance.h"

/* Rearranges v so that v[k] is the k-th smallest, with none larger before it and none smaller
 * after it (Hoare's FIND). */
static double select_kth(double *v, int64_t n, int64_t k)
{
    int64_t low = 0, high = n - 1;

    while (low < high) {
        const double pivot = v[low + (high - low) / 2];
        int64_t i = low, j = high;

        while (i <= j) {
            while (v[i] < pivot)
                i++;
            while (v[j] > pivot)
                j--;
            if (i <= j) {
                const double t = v[i];
                v[i++] = v[j];
                v[j--] = t;
            }
        }
        if (k <= j)
            high = j;
        else if (k >= i)
            low = i;
        else
            break;
    }
    return v[k];
}

double volt_quantile(double *v, int64_t n, double q)
{
    const double at = q * (double)(n - 1);
    const int64_t k = (int64_t)at;
    const double low = select_kth(v, n, k);
    double high = low;

    if (k + 1 < n) {
        high = v[k + 1];
        for (int64_t i = k + 2; i < n; i++)
            high = v[i] < high ? v[i] : high;
    }
    return low + (at - (double)k) * (high - low);
}

typedef struct direction {
    double max, p95, sum;
    int64_t count, within;
} direction;

/* Reorders v. */
static direction summarize(double *v, int64_t n, double tolerance)
{
    direction d = {.count = n};

    for (int64_t i = 0; i < n; i++) {
        d.max = v[i] > d.max ? v[i] : d.max;
        d.sum += v[i];
        d.within +=
            (float)v[i] <= (float)tolerance; /* so that 0.7 mm is within 0.7 mm, as in MONAI */
    }
    d.p95 = volt_quantile(v, n, 0.95);
    return d;
}

/* Distances from the surface `from` to the surface `to`. */
static volt_status measure(direction *out, const uint8_t *from, int64_t count,
                           const uint8_t *to, const volt_surfaces *s, double tolerance,
                           int threads)
{
    double *distance = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_alloc(&distance, (size_t)count * sizeof *distance, "distances"));
    VOLT_TRY(st, done, volt_distance_at(distance, from, to, s->n, s->spacing, threads));
    *out = summarize(distance, count, tolerance);
done:
    volt_free(distance);
    return st;
}

volt_status volt_surface_compare(volt_surface_scores *out, const volt_surfaces *s,
                                 double nsd_tolerance_mm, int threads)
{
    direction to_ref, to_pred;
    double both;
    volt_status st;

    if (s->n_pred < 1 || s->n_ref < 1)
        return volt_fail(VOLT_EINVAL, "surfaces of %lld and %lld voxels cannot be compared",
                         (long long)s->n_pred, (long long)s->n_ref);
    VOLT_TRY(st, done,
             measure(&to_ref, s->pred, s->n_pred, s->ref, s, nsd_tolerance_mm, threads));
    VOLT_TRY(st, done,
             measure(&to_pred, s->ref, s->n_ref, s->pred, s, nsd_tolerance_mm, threads));
    both = (double)(s->n_pred + s->n_ref);
    out->hd_mm = fmax(to_ref.max, to_pred.max);
    out->hd95_mm = fmax(to_ref.p95, to_pred.p95);
    out->assd_mm = (to_ref.sum + to_pred.sum) / both;
    out->nsd = (double)(to_ref.within + to_pred.within) / both;
done:
    return st;
}
