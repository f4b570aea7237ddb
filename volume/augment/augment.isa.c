#include "volume/augment/augment_internal.h"

#include <math.h>
#include <string.h>
#include "base/core/isa.h"

#define LANES 16 /* values handled together */

static void reverse(float *restrict out, const float *restrict in, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        out[i] = in[n - 1 - i];
}

static void locate(const augment_row *row, const augment_line *l, int64_t first, int64_t last)
{
    int32_t *restrict base = row->base;

    for (int64_t x = first; x < last; x++)
        base[x] = l->first;
    for (int a = l->in_slice ? 1 : 0; a < 3; a++) {
        const double top = l->shape[a] > 2 ? (double)(l->shape[a] - 2) : 0;
        const int32_t stride = l->stride[a];
        const double start = l->start[a], step = l->step[a];
        float *restrict weight = row->weight[a];

        for (int64_t x = first; x < last; x++) {
            const double at = start + (double)(int32_t)x * step;
            double whole = floor(at);

            whole = whole < 0 ? 0 : whole > top ? top : whole;
            weight[x] = (float)(at - whole);
            base[x] += (int32_t)whole * stride;
        }
    }
}

static void interpolate_in_slice(float *restrict out, const float *restrict source,
                                 const augment_row *row, const int32_t stride[3], int64_t first,
                                 int64_t last)
{
    const int32_t *restrict base = row->base;
    const float *restrict wy = row->weight[1], *restrict wx = row->weight[2];
    const int32_t dy = stride[1], dx = stride[2];

    for (int64_t x = first; x < last; x++) {
        const float *s = source + base[x];
        const float a = s[0] + wx[x] * (s[dx] - s[0]);
        const float b = s[dy] + wx[x] * (s[dy + dx] - s[dy]);

        out[x] = a + wy[x] * (b - a);
    }
}

static void interpolate(float *restrict out, const float *restrict source,
                        const augment_row *row, const augment_line *line, int64_t first,
                        int64_t last)
{
    const int32_t *restrict base = row->base;
    const float *restrict wz = row->weight[0], *restrict wy = row->weight[1],
                          *restrict wx = row->weight[2];
    const int32_t dz = line->stride[0], dy = line->stride[1], dx = line->stride[2];

    if (line->in_slice) {
        interpolate_in_slice(out, source, row, line->stride, first, last);
        return;
    }
    for (int64_t x = first; x < last; x++) {
        const float *s = source + base[x];
        const float a = s[0] + wx[x] * (s[dx] - s[0]);
        const float b = s[dy] + wx[x] * (s[dy + dx] - s[dy]);
        const float c = s[dz] + wx[x] * (s[dz + dx] - s[dz]);
        const float d = s[dz + dy] + wx[x] * (s[dz + dy + dx] - s[dz + dy]);
        const float near = a + wy[x] * (b - a), far = c + wy[x] * (d - c);

        out[x] = near + wz[x] * (far - near);
    }
}

/* ln x for normal x > 0, to 2e-7: x = 2^e m, ln m = 2 artanh((m-1)/(m+1)), |..| < 0.172. */
static inline float ln(float x)
{
    uint32_t bits;
    int32_t e;
    float m;

    memcpy(&bits, &x, sizeof bits);
    e = (int32_t)(bits - 0x3f3504f3u) >> 23; /* m from sqrt(1/2) to sqrt(2) */
    bits -= (uint32_t)e << 23;
    memcpy(&m, &bits, sizeof m);
    const float s = (m - 1) / (m + 1), q = s * s;
    const float series = 1 + q * (1 / 3.0f + q * (0.2f + q * (1 / 7.0f + q * (1 / 9.0f))));
    return (float)e * 0.693147181f + 2 * s * series;
}

/* e^x for -87 < x < 88, to 3e-7: x = k ln 2 + r, Taylor series of e^r. */
static inline float power_of_e(float x)
{
    const float k = rintf(x * 1.44269504f), r = x - k * 0.693145752f - k * 1.42860677e-6f;
    const float series =
        1 + r * (1 + r * (0.5f + r * (1 / 6.0f +
                                      r * (1 / 24.0f + r * (1 / 120.0f + r * (1 / 720.0f))))));
    const uint32_t bits = (uint32_t)((int32_t)k + 127) << 23;
    float scale;

    memcpy(&scale, &bits, sizeof scale);
    return series * scale;
}

/* Sine and cosine of 2 pi v, 0 <= v < 1: Taylor series within an eighth of the circle. */
static inline void circle(float *sine, float *cosine, float v)
{
    const float quarter = rintf(4 * v), a = 6.28318531f * (v - 0.25f * quarter), q = a * a;
    const float s =
        a * (1 - q * (1 / 6.0f - q * (1 / 120.0f - q * (1 / 5040.0f - q * (1 / 362880.0f)))));
    const float c = 1 - q * (0.5f - q * (1 / 24.0f - q * (1 / 720.0f - q * (1 / 40320.0f))));
    const int32_t turn = (int32_t)quarter;
    const float first = turn & 1 ? c : s, second = turn & 1 ? s : c;

    *sine = turn & 2 ? -first : first;
    *cosine = (turn + 1) & 2 ? -second : second;
}

/* LANES Philox blocks at once: counter[0] + lane. */
static void philox_lanes(uint32_t out[4][LANES], const uint32_t counter[4],
                         const uint32_t key[2])
{
    uint32_t k0 = key[0], k1 = key[1];

    for (int i = 0; i < LANES; i++) {
        out[0][i] = counter[0] + (uint32_t)i;
        out[1][i] = counter[1];
        out[2][i] = counter[2];
        out[3][i] = counter[3];
    }
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < LANES; i++) {
            const uint64_t p0 = (uint64_t)0xD2511F53u * out[0][i];
            const uint64_t p1 = (uint64_t)0xCD9E8D57u * out[2][i];

            out[0][i] = (uint32_t)(p1 >> 32) ^ out[1][i] ^ k0;
            out[2][i] = (uint32_t)(p0 >> 32) ^ out[3][i] ^ k1;
            out[1][i] = (uint32_t)p1;
            out[3][i] = (uint32_t)p0;
        }
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
}

/* Box-Muller on each half of a block. */
static void normals(float out[4 * LANES], const uint32_t counter[4], const uint32_t key[2])
{
    uint32_t word[4][LANES];
    float z[4][LANES];

    philox_lanes(word, counter, key);
    for (int half = 0; half < 4; half += 2) {
        for (int i = 0; i < LANES; i++) {
            const float u = ((float)(word[half][i] >> 8) + 0.5f) * 0x1p-24f;
            const float v = (float)(word[half + 1][i] >> 8) * 0x1p-24f;
            const float radius = sqrtf(-2 * ln(u));
            float sine, cosine;

            circle(&sine, &cosine, v);
            z[half][i] = radius * cosine;
            z[half + 1][i] = radius * sine;
        }
    }
    for (int i = 0; i < LANES; i++) {
        for (int k = 0; k < 4; k++)
            out[4 * i + k] = z[k][i];
    }
}

static void add_noise(float *x, int64_t n, float sd, const uint32_t key[2],
                      const uint32_t counter[4])
{
    uint32_t at[4] = {counter[0], counter[1], counter[2], counter[3]};
    float z[4 * LANES];

    for (int64_t i = 0; i < n; i += 4 * LANES) {
        const int64_t count = n - i < 4 * LANES ? n - i : 4 * LANES;

        normals(z, at, key);
        for (int64_t j = 0; j < count; j++)
            x[i + j] += sd * z[j];
        at[0] += LANES;
    }
}

static void weigh(float *restrict out, const float *const *in, const float *weight, int taps,
                  int64_t n)
{
    const float *restrict first = in[0];

    for (int64_t i = 0; i < n; i++)
        out[i] = weight[0] * first[i];
    for (int k = 1; k < taps; k++) {
        const float *restrict row = in[k];
        const float w = weight[k];

        for (int64_t i = 0; i < n; i++)
            out[i] += w * row[i];
    }
}

static void stretch(float *restrict out, const float *restrict in, const int32_t *restrict low,
                    const int32_t *restrict high, const float *restrict weight, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        out[i] = in[low[i]] + weight[i] * (in[high[i]] - in[low[i]]);
}

/* Sums run in LANES strands, so that their order does not depend on the vector length and all
 * instruction sets agree. */
typedef struct strands {
    double sum[LANES], square[LANES];
    float min[LANES], max[LANES];
} strands;

static inline void add_values(strands *restrict s, const float *restrict x, double shift)
{
    for (int l = 0; l < LANES; l++) {
        const double d = (double)x[l] - shift;

        s->sum[l] += d;
        s->square[l] += d * d;
    }
    for (int l = 0; l < LANES; l++) {
        s->min[l] = x[l] < s->min[l] ? x[l] : s->min[l];
        s->max[l] = x[l] > s->max[l] ? x[l] : s->max[l];
    }
}

static augment_moments moments(const float *x, int64_t n)
{
    const double shift = x[0]; /* likely near the mean, so that squares keep their digits */
    strands s = {{0}, {0}, {0}, {0}};
    float rest[LANES];
    int64_t i = 0;

    for (int l = 0; l < LANES; l++)
        s.min[l] = s.max[l] = rest[l] = x[0];
    for (; i + LANES <= n; i += LANES)
        add_values(&s, x + i, shift);
    memcpy(rest, x + i, (size_t)(n - i) * sizeof *rest);
    add_values(&s, rest, shift); /* the padding, x[0], adds 0 */
    for (int l = 1; l < LANES; l++) {
        s.sum[0] += s.sum[l];
        s.square[0] += s.square[l];
        s.min[0] = s.min[l] < s.min[0] ? s.min[l] : s.min[0];
        s.max[0] = s.max[l] > s.max[0] ? s.max[l] : s.max[0];
    }
    const double sum = s.sum[0], count = (double)n;
    const double variance = n > 1 ? (s.square[0] - sum * sum / count) / (count - 1) : 0;
    return (augment_moments){shift + sum / count, sqrt(variance > 0 ? variance : 0), s.min[0],
                             s.max[0]};
}

static void affine(float *x, int64_t n, float scale, float offset, float min, float max)
{
    for (int64_t i = 0; i < n; i++) {
        const float y = scale * x[i] + offset, low = y < min ? min : y;

        x[i] = low > max ? max : low;
    }
}

static void power(float *x, int64_t n, float sign, float low, float reciprocal, float range,
                  float gamma)
{
    for (int64_t i = 0; i < n; i++) {
        const float t = (sign * x[i] - low) * reciprocal; /* >= 0: `low` is the lowest */
        const float p = power_of_e(gamma * ln(t + 1e-24f));

        x[i] = range * p + low;
    }
}

const augment_kernels *VOLT_ISA_NAME(volt_augment_kernels)(void)
{
    static const augment_kernels kernels = {
        .reverse = reverse,
        .locate = locate,
        .interpolate = interpolate,
        .add_noise = add_noise,
        .weigh = weigh,
        .stretch = stretch,
        .moments = moments,
        .affine = affine,
        .power = power,
    };
    return &kernels;
}
