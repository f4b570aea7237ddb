/* Winograd's convolution in blocks of tiles.
 *
 * Why F(2,3)  a tile of 4^3 inputs gives 2^3 outputs with 64 products instead of 216. F(4,3)
 *             would save more (216 products instead of 1728), but its transforms multiply by
 *             numbers up to 8 whose products nearly cancel, once per dimension. Those of F(2,3)
 *             are sums, differences and halves: errors stay near those of a direct convolution.
 * Order       transform a block of tiles, multiply it point by point by the weights (64 small
 *             matrix products), transform back. Inputs and outputs of a block should stay in
 *             the second-level cache, because memory traffic limits the transforms.
 */
#include "nets3d/cpu/winograd.h"

#include <omp.h>
#include <string.h>

#include "base/threads.h"
#include "nets3d/cpu/winograd_internal.h"

static const winograd_kernels *kernels(void)
{
    switch (volt_cpu_isa()) {
#if defined(__x86_64__)
    case VOLT_ISA_AVX512:
        return volt_winograd_kernels_avx512();
    case VOLT_ISA_AVX2:
        return volt_winograd_kernels_avx2();
#endif
    default:
        return volt_winograd_kernels_base();
    }
}

int64_t volt_winograd_block(void)
{
    return kernels()->block;
}

size_t volt_winograd_packed_floats(int64_t ic, int64_t oc)
{
    return (size_t)(WINOGRAD_POINTS * ic * oc);
}

void volt_winograd_pack(float *packed, const volt_winograd_shape *s, const float *weights,
                        int64_t oc_real, int64_t ic_real, bool backward)
{
    kernels()->pack(packed, s, weights, oc_real, ic_real, backward);
}

static winograd_tiling tile(int64_t n, const int64_t extent[3])
{
    winograd_tiling t = {.total = n};

    for (int i = 0; i < 3; i++) {
        t.count[i] = (extent[i] + 1) / 2;
        t.total *= t.count[i];
    }
    return t;
}

static int64_t round_up(int64_t value, int64_t multiple)
{
    return (value + multiple - 1) / multiple * multiple;
}

/* Tiles per block of the forward pass: inputs and outputs of a block should stay in the second
 * cache together with the weights of a point, and every thread should get equally many blocks.
 */
static int64_t block_rows(const volt_winograd_shape *s, int64_t tiles)
{
    const int64_t cached = ((int64_t)640 << 10) / (WINOGRAD_POINTS * 4 * (s->ic + s->oc));
    const int64_t reused = s->ic * s->oc > 128 * 128 ? 48 : 24; /* rows per visit of weights */
    const int64_t wanted = cached > reused ? cached : reused;
    const int64_t blocks = round_up((tiles + wanted - 1) / wanted, s->threads);

    return round_up((tiles + blocks - 1) / blocks, WINOGRAD_ROWS);
}

static size_t point_bytes(int64_t rows, int64_t channels)
{
    return (size_t)(WINOGRAD_POINTS * winograd_point_stride(rows, channels)) * sizeof(float);
}

size_t volt_winograd_scratch(const volt_winograd_shape *s, const int64_t out_extent[3])
{
    const winograd_tiling t = tile(s->n, out_extent);
    const int64_t rows = block_rows(s, t.total);

    return (size_t)s->threads * (point_bytes(rows, s->ic) + point_bytes(rows, s->oc));
}

/* Rows beyond the tiles of the last block multiply as zeros. */
static void clear_rows(float *v, int64_t from, int64_t rows, int64_t channels)
{
    const int64_t stride = winograd_point_stride(rows, channels);

    for (int f = 0; from < rows && f < WINOGRAD_POINTS; f++)
        memset(v + f * stride + from * winograd_row_stride(channels), 0,
               (size_t)((rows - from) * winograd_row_stride(channels)) * sizeof(float));
}

void volt_winograd_run(const volt_winograd_shape *s, const volt_winograd_tensor *src,
                       const float *packed, const float *bias, const volt_winograd_tensor *dst,
                       void *scratch)
{
    const winograd_kernels *k = kernels();
    const winograd_tiling t = tile(s->n, dst->extent);
    const int64_t rows = block_rows(s, t.total), blocks = (t.total + rows - 1) / rows;
    const int64_t v_stride = winograd_point_stride(rows, s->ic);
    const int64_t m_stride = winograd_point_stride(rows, s->oc);
    const int64_t per_thread = WINOGRAD_POINTS * (v_stride + m_stride);

#pragma omp parallel for num_threads(s->threads) schedule(dynamic, 1)
    for (int64_t b = 0; b < blocks; b++) {
        float *v = (float *)scratch + omp_get_thread_num() * per_thread;
        float *m = v + WINOGRAD_POINTS * v_stride;
        const int64_t first = b * rows, left = t.total - first;
        const winograd_rows r = {&t, first, left < rows ? left : rows, rows, 0};
        const int64_t used = round_up(r.count, WINOGRAD_ROWS);

        k->transform_input(v, s, src, &r);
        clear_rows(v, r.count, rows, s->ic);
        for (int f = 0; f < WINOGRAD_POINTS; f++)
            k->multiply(m + f * m_stride, v + f * v_stride, packed + f * s->ic * s->oc, used,
                        s->ic, s->oc);
        k->transform_output(dst, s, m, bias, &r);
    }
}

/* How the weight gradient is summed. None of it depends on the thread count, so neither do the
 * bits. Few channels: `parts` ranges of tiles, each summed by one thread into its own copy.
 * Many channels: one copy; chunks of `rows` tiles are transformed, then multiplied point by
 * point. A chunk is long enough for its two barriers not to matter. */
typedef struct gradient_plan {
    int64_t parts, rows;
    int64_t v_stride, d_stride; /* floats from one point to the next */
    int64_t sum_floats;         /* of one copy */
} gradient_plan;

static gradient_plan plan_gradient(const volt_winograd_shape *s, int64_t tiles)
{
    const int64_t copies = ((int64_t)48 << 20) / (WINOGRAD_POINTS * 4 * s->ic * s->oc);
    const int64_t cached =
        ((int64_t)(copies < 16 ? 2048 : 640) << 10) / (WINOGRAD_POINTS * 4 * (s->ic + s->oc));
    const int64_t least = copies < 16 ? 96 : 24;
    gradient_plan g = {.sum_floats = WINOGRAD_POINTS * s->ic * s->oc};

    g.parts = copies < 16 ? 1 : 16;
    g.rows = g.parts == 1 ? 4 * cached : cached;
    g.rows = round_up(g.rows > least ? g.rows : least, WINOGRAD_ROWS);
    if (g.parts > 1 && tiles < 16 * g.rows)
        g.parts = (tiles + g.rows - 1) / g.rows;
    if (g.rows > round_up(tiles, WINOGRAD_ROWS))
        g.rows = round_up(tiles, WINOGRAD_ROWS);
    g.v_stride = winograd_point_stride(g.rows, s->ic);
    g.d_stride = winograd_point_stride(g.rows, s->oc);
    return g;
}

static int64_t gradient_working_set(const gradient_plan *g)
{
    return WINOGRAD_POINTS * (g->v_stride + g->d_stride);
}

size_t volt_winograd_gradient_scratch(const volt_winograd_shape *s, const int64_t out_extent[3])
{
    const gradient_plan g = plan_gradient(s, tile(s->n, out_extent).total);
    const int64_t sets = g.parts == 1 ? 1 : s->threads;

    return (size_t)(sets * gradient_working_set(&g) + g.parts * g.sum_floats) * sizeof(float) +
           (size_t)(g.parts * s->oc) * sizeof(double);
}

/* One problem of volt_winograd_gradient. */
typedef struct gradient_job {
    const volt_winograd_shape *s;
    const volt_winograd_tensor *src, *diff_dst;
    const winograd_kernels *k;
    winograd_tiling t;
    gradient_plan g;
    float *sums;  /* parts copies, then the working sets */
    double *bias; /* parts times oc, or NULL */
} gradient_job;

/* The point whose value is the sum of a gradient tile's eight voxels. */
#define SUM_POINT 21

/* Adds `rows` tiles to the bias gradient of part `p`. */
static void sum_bias(const gradient_job *j, int64_t p, const float *d, int64_t rows, bool fresh)
{
    const int64_t oc = j->s->oc;
    double *sum;

    if (!j->bias)
        return;
    sum = j->bias + p * oc;
    d += SUM_POINT * j->g.d_stride;
    for (int64_t o = 0; fresh && o < oc; o++)
        sum[o] = 0;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t o = 0; o < oc; o++)
            sum[o] += (double)d[r * winograd_row_stride(oc) + o];
}

/* Sums of tiles [first, last), part `p`, by one thread. */
static void sum_part(const gradient_job *j, int64_t p, int64_t first, int64_t last, float *v)
{
    const gradient_plan *g = &j->g;
    float *sum = j->sums + p * g->sum_floats, *d = v + WINOGRAD_POINTS * g->v_stride;

    for (int64_t at = first; at < last; at += g->rows) {
        const int64_t count = last - at < g->rows ? last - at : g->rows;
        const winograd_rows r = {&j->t, at, count, g->rows, 0};
        j->k->transform_input(v, j->s, j->src, &r);
        j->k->transform_gradient(d, j->s, j->diff_dst, &r);
        sum_bias(j, p, d, count, at == first);
        for (int f = 0; f < WINOGRAD_POINTS; f++)
            j->k->accumulate(sum + f * j->s->ic * j->s->oc, v + f * g->v_stride,
                             d + f * g->d_stride, count, j->s->ic, j->s->oc, at == first);
    }
}

static void sum_in_parts(const gradient_job *j)
{
    const gradient_plan *g = &j->g;
    float *sets = j->sums + g->parts * g->sum_floats;

#pragma omp parallel num_threads(j->s->threads)
    {
        float *v = sets + omp_get_thread_num() * gradient_working_set(g);
#pragma omp for schedule(dynamic, 1)
        for (int64_t p = 0; p < g->parts; p++)
            sum_part(j, p, p * j->t.total / g->parts, (p + 1) * j->t.total / g->parts, v);
#pragma omp for schedule(static)
        for (int64_t i = 0; i < g->sum_floats; i++) {
            for (int64_t p = 1; p < g->parts; p++)
                j->sums[i] += j->sums[p * g->sum_floats + i];
        }
    }
}

static void sum_by_points(const gradient_job *j)
{
    const gradient_plan *g = &j->g;
    float *v = j->sums + g->sum_floats, *d = v + WINOGRAD_POINTS * g->v_stride;

#pragma omp parallel num_threads(j->s->threads)
    for (int64_t first = 0; first < j->t.total; first += g->rows) {
        const int64_t count = j->t.total - first < g->rows ? j->t.total - first : g->rows;
#pragma omp for schedule(dynamic, 1)
        for (int64_t i = 0; i < count; i += WINOGRAD_ROWS) {
            const int64_t left = count - i;
            const winograd_rows r = {&j->t, first + i,
                                     left < WINOGRAD_ROWS ? left : WINOGRAD_ROWS, g->rows, i};
            j->k->transform_input(v, j->s, j->src, &r);
            j->k->transform_gradient(d, j->s, j->diff_dst, &r);
        }
#pragma omp single nowait
        sum_bias(j, 0, d, count, first == 0);
#pragma omp for schedule(dynamic, 1)
        for (int f = 0; f < WINOGRAD_POINTS; f++)
            j->k->accumulate(j->sums + f * j->s->ic * j->s->oc, v + f * g->v_stride,
                             d + f * g->d_stride, count, j->s->ic, j->s->oc, first == 0);
    }
}

void volt_winograd_gradient(const volt_winograd_shape *s, const volt_winograd_tensor *src,
                            const volt_winograd_tensor *diff_dst, float *diff_weights,
                            float *diff_bias, int64_t oc_real, int64_t ic_real, void *scratch)
{
    gradient_job j = {.s = s, .src = src, .diff_dst = diff_dst, .k = kernels()};

    j.sums = scratch;
    j.t = tile(s->n, diff_dst->extent);
    j.g = plan_gradient(s, j.t.total);
    if (diff_bias)
        j.bias =
            (double *)(void *)(j.sums + j.g.parts * j.g.sum_floats +
                               (j.g.parts == 1 ? 1 : s->threads) * gradient_working_set(&j.g));
    if (j.g.parts == 1)
        sum_by_points(&j);
    else
        sum_in_parts(&j);
#pragma omp parallel for num_threads(s->threads) schedule(static)
    for (int64_t i = 0; i < ic_real; i++)
        j.k->unpack(diff_weights, j.sums, s, oc_real, ic_real, i);
    for (int64_t o = 0; diff_bias && o < oc_real; o++) {
        double total = 0;
        for (int64_t p = 0; p < j.g.parts; p++)
            total += j.bias[p * s->oc + o];
        diff_bias[o] = (float)total;
    }
}
