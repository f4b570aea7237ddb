#ifdef __F16C__
#include <immintrin.h>
#endif
#include "volume/grid/half.h"
#include "base/core/isa.h"
#include "volume/resample/resample_internal.h"

#include <string.h>

#define LANES  VOLT_SPLINE_LANES
#define MARGIN VOLT_SPLINE_MARGIN

/* Pole of the cubic B-spline, sqrt(3) - 2. */
#define POLE (-0.26794919243112270647)

// clang-format off
/* The prefilter. Turns samples s[k], k = 0..n-1 (rows of LANES), into spline coefficients, in
 * place and including the margin beyond both ends. The edge value continues for ever, so that
 * both recursions start from the exact limit of a geometric series instead of a truncated sum:
 *     p[k] = 6 s[k] + z p[k-1],    p[-1]    = 6 s[0] / (1 - z)
 *     c[k] = z (c[k+1] - p[k]),    c[n-1+j] = -z (r / (1 - z) + z^j (p[n-1] - r) / (1 - z z))
 * where z is the pole and r = 6 s[n-1] / (1 - z) the limit of p to the right. */
// clang-format on
static void filter(float *c, int64_t n)
{
    const float z = (float)POLE, edge = (float)(6 / (1 - POLE));
    const float steady = (float)(-POLE / (1 - POLE));
    const float decay = (float)(-POLE / (1 - POLE * POLE));
    float *last = c + (n - 1) * LANES;
    float left[LANES], right[LANES];

    for (int l = 0; l < LANES; l++) {
        left[l] = edge * c[l];
        right[l] = edge * last[l];
        c[l] = 6 * c[l] + z * left[l];
    }
    for (int64_t k = 1; k < n; k++) {
        float *row = c + k * LANES;
#pragma omp simd
        for (int l = 0; l < LANES; l++)
            row[l] = 6 * row[l] + z * row[l - LANES];
    }
    for (int l = 0; l < LANES; l++) {
        const float off = decay * (last[l] - right[l]), mean = steady * right[l];
        last[l] = mean + off;
        last[LANES + l] = mean + z * off;
        last[2 * LANES + l] = mean + z * z * off;
    }
    for (int64_t k = n - 2; k >= 0; k--) {
        float *row = c + k * LANES;
#pragma omp simd
        for (int l = 0; l < LANES; l++)
            row[l] = z * (row[LANES + l] - row[l]);
    }
    for (int l = 0; l < LANES; l++) {
        c[l - LANES] = z * (c[l] - left[l]);
        c[l - 2 * LANES] = z * (c[l - LANES] - left[l]);
    }
}

/* dst[i * stride + l] from the four coefficients of voxel i. */
static void apply(float *dst, int64_t stride, int64_t lines, const float *coefficients,
                  const volt_taps *taps)
{
    for (int64_t i = 0; i < taps->to; i++) {
        const float *restrict c = coefficients + taps->at[i] * (int64_t)LANES;
        const float *w = taps->weight + 4 * i;
        const float w0 = w[0], w1 = w[1], w2 = w[2], w3 = w[3];
        float *restrict out = dst + i * stride;
        for (int64_t l = 0; l < lines; l++)
            out[l] =
                w0 * c[l] + w1 * c[LANES + l] + w2 * c[2 * LANES + l] + w3 * c[3 * LANES + l];
    }
}

static void columns(const volt_spline_block *b, const volt_taps *taps, float *work)
{
    float *samples = work + MARGIN * LANES;

    for (int64_t k = 0; k < taps->from; k++) {
        float *row = samples + k * LANES;
        memcpy(row, b->src + k * b->src_stride, (size_t)b->lines * sizeof *row);
        memset(row + b->lines, 0, (size_t)(LANES - b->lines) * sizeof *row);
    }
    filter(samples, taps->from);
    apply(b->dst, b->dst_stride, b->lines, work, taps);
}

/* Rows are transposed to columns and back in tiles of TILE samples, which stay in the cache. */
#define TILE 16

static void transpose_in(float *samples, const volt_spline_block *b, int64_t n)
{
    for (int64_t k0 = 0; k0 < n; k0 += TILE) {
        const int64_t k1 = k0 + TILE < n ? k0 + TILE : n;
        for (int64_t l = 0; l < b->lines; l++) {
            const float *row = b->src + l * b->src_stride;
            for (int64_t k = k0; k < k1; k++)
                samples[k * LANES + l] = row[k];
        }
        for (int64_t k = k0; k < k1 && b->lines < LANES; k++)
            memset(samples + k * LANES + b->lines, 0,
                   (size_t)(LANES - b->lines) * sizeof *samples);
    }
}

static void transpose_out(const volt_spline_block *b, const float *values, int64_t n)
{
    for (int64_t k0 = 0; k0 < n; k0 += TILE) {
        const int64_t k1 = k0 + TILE < n ? k0 + TILE : n;
        for (int64_t l = 0; l < b->lines; l++) {
            float *row = b->dst + l * b->dst_stride;
            for (int64_t k = k0; k < k1; k++)
                row[k] = values[k * LANES + l];
        }
    }
}

static void rows(const volt_spline_block *b, const volt_taps *taps, float *work)
{
    float *samples = work + MARGIN * LANES;
    float *values = work + (taps->from + 2 * MARGIN) * LANES;

    transpose_in(samples, b, taps->from);
    filter(samples, taps->from);
    apply(values, LANES, LANES, work, taps);
    transpose_out(b, values, taps->to);
}

static void blend(float *out, const float *const in[4], const float weight[4], int64_t n)
{
    const float *a = in[0], *b = in[1], *c = in[2], *d = in[3];
    const float w0 = weight[0], w1 = weight[1], w2 = weight[2], w3 = weight[3];

#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        out[i] = w0 * a[i] + w1 * b[i] + w2 * c[i] + w3 * d[i];
}

static void linear(float *out, const float *row, const volt_taps *taps)
{
    const int32_t *at = taps->at, *next = taps->next;
    const float *low = taps->weight, *high = taps->weight + taps->to;

#pragma omp simd
    for (int64_t i = 0; i < taps->to; i++)
        out[i] = low[i] * row[at[i]] + high[i] * row[next[i]];
}

static void larger(float *best, uint16_t *which, const float *value, uint16_t label, int64_t n)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        which[i] = value[i] > best[i] ? label : which[i];
        best[i] = value[i] > best[i] ? value[i] : best[i];
    }
}

static void widen(float *out, const uint16_t *in, int64_t n)
{
    int64_t i = 0;

#ifdef __F16C__
    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(
            out + i, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)(in + i))));
#endif
    for (; i < n; i++)
        out[i] = volt_half_to_float(in[i]);
}

static void narrow(uint16_t *out, const float *in, int64_t n)
{
    int64_t i = 0;

#ifdef __F16C__
    for (; i + 8 <= n; i += 8)
        _mm_storeu_si128((__m128i *)(void *)(out + i),
                         _mm256_cvtps_ph(_mm256_loadu_ps(in + i), _MM_FROUND_TO_NEAREST_INT));
#endif
    for (; i < n; i++)
        out[i] = volt_float_to_half(in[i]);
}

extern const volt_resample_kernels VOLT_ISA_NAME(volt_resample_kernels);
const volt_resample_kernels VOLT_ISA_NAME(volt_resample_kernels) = {
    columns, rows, blend, linear, larger, widen, narrow};
