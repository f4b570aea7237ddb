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
 * cache beside the weights of a point, and every thread should get the same number of blocks.
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
        memset(v + f * stride + from * channels, 0,
               (size_t)((rows - from) * channels) * sizeof(float));
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

/* Tiles per chunk of the weight gradient. It fixes the order of summation, so it must not
 * depend on the thread count. */
static int64_t gradient_rows_of(const volt_winograd_shape *s)
{
    const int64_t cached = ((int64_t)4 << 20) / (WINOGRAD_POINTS * 4 * (s->ic + s->oc));

    return round_up(cached > 96 ? cached : 96, WINOGRAD_ROWS);
}

size_t volt_winograd_gradient_scratch(const volt_winograd_shape *s)
{
    const int64_t rows = gradient_rows_of(s);

    return point_bytes(rows, s->ic) + point_bytes(rows, s->oc) +
           volt_winograd_packed_floats(s->ic, s->oc) * sizeof(float);
}

void volt_winograd_gradient(const volt_winograd_shape *s, const volt_winograd_tensor *src,
                            const volt_winograd_tensor *diff_dst, float *diff_weights,
                            int64_t oc_real, int64_t ic_real, void *scratch)
{
    const winograd_kernels *k = kernels();
    const winograd_tiling t = tile(s->n, diff_dst->extent);
    const int64_t rows = gradient_rows_of(s);
    const int64_t v_stride = winograd_point_stride(rows, s->ic);
    const int64_t d_stride = winograd_point_stride(rows, s->oc);
    float *v = scratch, *d = v + WINOGRAD_POINTS * v_stride;
    float *du = d + WINOGRAD_POINTS * d_stride;

#pragma omp parallel num_threads(s->threads)
    for (int64_t first = 0; first < t.total; first += rows) {
        const int64_t count = t.total - first < rows ? t.total - first : rows;
#pragma omp for schedule(static)
        for (int64_t i = 0; i < count; i += WINOGRAD_ROWS) {
            const int64_t left = count - i;
            const winograd_rows r = {&t, first + i, left < WINOGRAD_ROWS ? left : WINOGRAD_ROWS,
                                     rows, i};
            k->transform_input(v, s, src, &r);
            k->transform_gradient(d, s, diff_dst, &r);
        }
#pragma omp for schedule(static)
        for (int f = 0; f < WINOGRAD_POINTS; f++)
            k->accumulate(du + f * s->ic * s->oc, v + f * v_stride, d + f * d_stride, count,
                          s->ic, s->oc, first == 0);
    }
#pragma omp parallel for num_threads(s->threads) schedule(static)
    for (int64_t i = 0; i < ic_real; i++)
        k->unpack(diff_weights, du, s, oc_real, ic_real, i);
}
