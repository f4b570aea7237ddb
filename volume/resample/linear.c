/* Linear and nearest resampling of images, row by row. */
#include "volume/resample/resample_internal.h"

#include <omp.h>
#include <string.h>

#include "base/core/alloc.h"
#include "base/threads.h"

const float *volt_linear_row(const volt_resample_kernels *k, float *out, float *mixed,
                             const float *image, const volt_taps taps[3], int64_t z, int64_t y)
{
    const volt_taps *tz = &taps[0], *ty = &taps[1], *tx = &taps[2];
    const float wz[2] = {tz->weight[z], tz->weight[tz->to + z]};
    const float wy[2] = {ty->weight[y], ty->weight[ty->to + y]};
    const int64_t at[2] = {tz->at[z], tz->next[z]}, line[2] = {ty->at[y], ty->next[y]};
    const float *rows[4];
    float weight[4];

    for (int i = 0; i < 4; i++) {
        rows[i] = image + (at[i / 2] * ty->from + line[i % 2]) * tx->from;
        weight[i] = wz[i / 2] * wy[i % 2];
    }
    if (weight[0] != 1) {
        k->blend(mixed, rows, weight, tx->from);
        rows[0] = mixed;
    }
    if (tx->kind == VOLT_TAPS_KEEP)
        return rows[0];
    k->linear(out, rows[0], tx);
    return out;
}

/* Floats that one thread needs: a row before. Whole cache lines: threads share none. */
static int64_t row_work(int64_t from)
{
    return (from + 63) / 64 * 64;
}

size_t volt_resample_linear_bytes(const int64_t from[3], int threads)
{
    return (size_t)threads * (size_t)row_work(from[2]) * sizeof(float);
}

volt_status volt_resample_linear(float *dst, const volt_volume *src, const volt_taps taps[3],
                                 int threads)
{
    const volt_resample_kernels *kernels = volt_resample_kernels_here();
    const int64_t ny = taps[1].to, nx = taps[2].to;
    const int64_t rows = taps[0].to * ny, each = row_work(taps[2].from);
    float *work;
    volt_status st =
        volt_alloc(&work, (size_t)threads * (size_t)each * sizeof *work, "rows of resampling");

    if (st != VOLT_OK)
        return st;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t r = 0; r < src->grid.channels * rows; r++) {
        const float *image = (const float *)src->data + r / rows * volt_grid_voxels(&src->grid);
        float *mixed = work + omp_get_thread_num() * each;
        const float *row =
            volt_linear_row(kernels, dst + r * nx, mixed, image, taps, r % rows / ny, r % ny);
        if (row != dst + r * nx)
            memcpy(dst + r * nx, row, (size_t)nx * sizeof *row);
    }
    volt_free(work);
    return VOLT_OK;
}
