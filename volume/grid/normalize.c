#include "volume/normalize.h"

#include <math.h>

#include "base/core/checked.h"
#include "base/core/alloc.h"
#include "base/core/plural.h"
#include "base/threads.h"
#include "volume/grid/moments.h"

/* Sums are taken per chunk and the chunks added in order, so the thread count changes nothing.
 * Within a chunk there are as many partial sums as a vector has lanes. */
#define CHUNK ((int64_t)1 << 15)
#define LANES 16

typedef struct chunk_sum {
    double sum;
    int64_t count;
} chunk_sum;

/* Sum of (x - shift)^power over a chunk; power is 1 or 2. */
static chunk_sum sum_chunk(const float *x, const uint8_t *mask, int64_t n, double shift,
                           int power)
{
    double lanes[LANES] = {0};
    chunk_sum total = {0, mask ? 0 : n};
    int64_t i = 0;

    if (mask) {
        for (; i < n; i++) {
            const double d = mask[i] ? x[i] - shift : 0;
            total.count += mask[i] != 0;
            lanes[i % LANES] += power == 1 ? d : d * d;
        }
    }
    for (; i + LANES <= n; i += LANES) {
        for (int l = 0; l < LANES; l++) {
            const double d = x[i + l] - shift;
            lanes[l] += power == 1 ? d : d * d;
        }
    }
    for (; i < n; i++) {
        const double d = x[i] - shift;
        lanes[i % LANES] += power == 1 ? d : d * d;
    }
    for (int l = 0; l < LANES; l++)
        total.sum += lanes[l];
    return total;
}

static int64_t chunk_count(int64_t n)
{
    return (n + CHUNK - 1) / CHUNK;
}

static int64_t chunk_length(int64_t n, int64_t chunk)
{
    const int64_t left = n - chunk * CHUNK;

    return volt_min_i64(left, CHUNK);
}

/* Sum of (x - shift)^power over all; `parts` has one entry per chunk. */
static chunk_sum sum_all(chunk_sum *parts, const float *x, const uint8_t *mask, int64_t n,
                         double shift, int power, int threads)
{
    const int64_t chunks = chunk_count(n);
    chunk_sum total = {0, 0};

#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t c = 0; c < chunks; c++)
        parts[c] = sum_chunk(x + c * CHUNK, mask ? mask + c * CHUNK : NULL, chunk_length(n, c),
                             shift, power);
    for (int64_t c = 0; c < chunks; c++) {
        total.sum += parts[c].sum;
        total.count += parts[c].count;
    }
    return total;
}

volt_status volt_moments_of(volt_moments *out, const float *values, const uint8_t *mask,
                            int64_t n, int threads)
{
    chunk_sum *parts, first, second;
    double mean;
    volt_status st = volt_alloc_zero(&parts, (size_t)chunk_count(n), sizeof *parts,
                                     "partial sums of an image");

    if (st != VOLT_OK)
        return st;
    threads = volt_threads_or_default(threads);
    first = sum_all(parts, values, mask, n, 0, 1, threads);
    mean = first.count ? first.sum / (double)first.count : 0;
    second = sum_all(parts, values, mask, n, mean, 2, threads);
    volt_free(parts);
    *out = (volt_moments){mean, first.count ? sqrt(second.sum / (double)first.count) : 0,
                          first.count};
    return VOLT_OK;
}

typedef struct extremes {
    float low, high;
    int64_t not_finite;
} extremes;

static extremes extremes_of(const float *x, int64_t n, int threads)
{
    float low = INFINITY, high = -INFINITY;
    int64_t not_finite = 0;

#pragma omp parallel for num_threads(threads) schedule(static) reduction(min : low)            \
    reduction(max : high) reduction(+ : not_finite)
    for (int64_t i = 0; i < n; i++) {
        low = x[i] < low ? x[i] : low;
        high = x[i] > high ? x[i] : high;
        not_finite += !(fabsf(x[i]) <= 3.402823466e38f);
    }
    return (extremes){low, high, not_finite};
}

/* x = (min(max(x, low), high) - shift) / divisor, where mask is not 0. */
typedef struct affine {
    float low, high, shift, divisor;
} affine;

static void apply(float *x, const uint8_t *mask, int64_t n, affine a, int threads)
{
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t i = 0; i < n; i++) {
        const float above = x[i] > a.low ? x[i] : a.low;
        const float inside = above < a.high ? above : a.high;
        const float changed = (inside - a.shift) / a.divisor;
        x[i] = !mask || mask[i] ? changed : x[i];
    }
}

static volt_status check_intensity(const volt_intensity *ct)
{
    if (!ct)
        return volt_fail(VOLT_EINVAL,
                         "CT normalization needs the data set's intensity statistics");
    if (!isfinite(ct->mean) || !isfinite(ct->std) || !isfinite(ct->percentile_00_5) ||
        !isfinite(ct->percentile_99_5) || ct->percentile_00_5 > ct->percentile_99_5)
        return volt_fail(VOLT_EINVAL,
                         "CT normalization with mean %g, std %g, percentiles %g and %g: "
                         "expected finite numbers in order",
                         ct->mean, ct->std, ct->percentile_00_5, ct->percentile_99_5);
    return VOLT_OK;
}

volt_status volt_normalize(float *values, int64_t n, volt_normalization scheme,
                           const volt_intensity *ct, const uint8_t *mask, int threads)
{
    affine a = {-INFINITY, INFINITY, 0, 1};
    volt_moments m;
    extremes e;
    volt_status st;

    if (scheme == VOLT_NORMALIZE_NONE || n == 0)
        return VOLT_OK;
    threads = volt_threads_or_default(threads);
    e = extremes_of(values, n, threads);
    if (e.not_finite)
        return volt_fail(VOLT_EDATA, "the channel is NaN or infinite in %lld of %lld voxel%s",
                         (long long)e.not_finite, (long long)n, volt_s(n));
    switch (scheme) {
    case VOLT_NORMALIZE_ZSCORE:
        if ((st = volt_moments_of(&m, values, mask, n, threads)) != VOLT_OK)
            return st;
        a.shift = (float)m.mean;
        a.divisor = (float)fmax(m.std, 1e-8);
        break;
    case VOLT_NORMALIZE_CT:
        if ((st = check_intensity(ct)) != VOLT_OK)
            return st;
        a = (affine){(float)ct->percentile_00_5, (float)ct->percentile_99_5, (float)ct->mean,
                     (float)fmax(ct->std, 1e-8)};
        break;
    case VOLT_NORMALIZE_RESCALE_01:
        a.shift = e.low;
        a.divisor = fmaxf(e.high - e.low, 1e-8f);
        break;
    case VOLT_NORMALIZE_RGB_01:
        if (e.low < 0 || e.high > 255)
            return volt_fail(VOLT_EDATA, "RGB values are in %g..%g, expected 0..255", e.low,
                             e.high);
        a.divisor = 255;
        break;
    default:
        return volt_fail(VOLT_EINVAL, "unknown normalization %d", (int)scheme);
    }
    apply(values, scheme == VOLT_NORMALIZE_ZSCORE ? mask : NULL, n, a, threads);
    return VOLT_OK;
}
