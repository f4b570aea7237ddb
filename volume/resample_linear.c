/* Linear and nearest resampling row by row: images, and logits on their way into labels. */
#include "volume/resample_parts.h"

#include <omp.h>
#include <string.h>

#include "base/mem.h"
#include "base/threads.h"

/* Row (z, y) of the result from one channel at `image`. Returns `out` (taps[2].to floats), or
 * the row itself where nothing is to be computed. `mixed` is scratch of taps[2].from floats. */
static const float *linear_row(const volt_resample_kernels *k, float *out, float *mixed,
                               const float *image, const volt_taps taps[3], int64_t z,
                               int64_t y)
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

/* Floats that one thread needs: a row before, two rows after, and the classes of a row. */
static int64_t row_work(int64_t from, int64_t to)
{
    return (from + 3 * to + 63) / 64 * 64; /* whole cache lines: threads share none */
}

size_t volt_resample_linear_bytes(const int64_t from[3], const int64_t to[3], int threads)
{
    return (size_t)threads * (size_t)row_work(from[2], to[2]) * sizeof(float);
}

static volt_status alloc_rows(float **out, const volt_taps taps[3], int threads)
{
    const int64_t from[3] = {0, 0, taps[2].from}, to[3] = {0, 0, taps[2].to};

    return volt_alloc(out, volt_resample_linear_bytes(from, to, threads), "rows of resampling");
}

volt_status volt_resample_linear(float *dst, const volt_volume *src, const volt_taps taps[3],
                                 int threads)
{
    const volt_resample_kernels *kernels = volt_resample_kernels_here();
    const int64_t ny = taps[1].to, nx = taps[2].to;
    const int64_t rows = taps[0].to * ny, each = row_work(taps[2].from, nx);
    float *work;
    volt_status st = alloc_rows(&work, taps, threads);

    if (st != VOLT_OK)
        return st;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t r = 0; r < src->grid.channels * rows; r++) {
        const float *image = (const float *)src->data + r / rows * volt_grid_voxels(&src->grid);
        float *mixed = work + omp_get_thread_num() * each;
        const float *row =
            linear_row(kernels, dst + r * nx, mixed, image, taps, r % rows / ny, r % ny);
        if (row != dst + r * nx)
            memcpy(dst + r * nx, row, (size_t)nx * sizeof *row);
    }
    volt_free(work);
    return VOLT_OK;
}

/* The largest class of each voxel of row (z, y) into `which` (taps[2].to entries). */
static void argmax_row(uint16_t *which, const volt_logits *l, const volt_taps taps[3],
                       int64_t z, int64_t y, float *work)
{
    const volt_resample_kernels *kernels = volt_resample_kernels_here();
    const int64_t n = taps[2].to, voxels = l->shape[0] * l->shape[1] * l->shape[2];
    float *best = work, *value = work + n, *mixed = work + 2 * n;

    memset(which, 0, (size_t)n * sizeof *which);
    for (int64_t c = 0; c < l->classes; c++) {
        const float *row = linear_row(kernels, value, mixed, l->data + c * voxels, taps, z, y);
        if (c == 0)
            memcpy(best, row, (size_t)n * sizeof *best);
        else
            kernels->larger(best, which, row, (uint16_t)c, n);
    }
}

static void store_row(volt_volume *labels, int64_t at, const uint16_t *which, int64_t n)
{
    if (labels->dtype == VOLT_U16) {
        memcpy((uint16_t *)labels->data + at, which, (size_t)n * sizeof *which);
        return;
    }
    for (int64_t x = 0; x < n; x++)
        ((uint8_t *)labels->data)[at + x] = (uint8_t)which[x];
}

static volt_status check_argmax(const volt_volume *labels, volt_box where,
                                const volt_logits *logits)
{
    const int64_t most = labels->dtype == VOLT_U8 ? 1 << 8 : 1 << 16;

    if ((labels->dtype != VOLT_U8 && labels->dtype != VOLT_U16) || labels->grid.channels != 1)
        return volt_fail(VOLT_EINVAL,
                         "classes are written to uint8 or uint16 with 1 channel, not to %s "
                         "with %d",
                         volt_dtype_name(labels->dtype), (int)labels->grid.channels);
    if (logits->classes < 1 || logits->classes > most)
        return volt_fail(VOLT_EINVAL, "%lld classes do not fit %s", (long long)logits->classes,
                         volt_dtype_name(labels->dtype));
    if (volt_box_is_empty(where) ||
        !volt_box_contains(volt_box_of_shape(labels->grid.n), where))
        return volt_fail(VOLT_EINVAL,
                         "the box from (%lld, %lld, %lld) to (%lld, %lld, %lld) is empty or "
                         "sticks out of %lld x %lld x %lld labels (z, y, x)",
                         (long long)where.low[0], (long long)where.low[1],
                         (long long)where.low[2], (long long)where.high[0],
                         (long long)where.high[1], (long long)where.high[2],
                         (long long)labels->grid.n[0], (long long)labels->grid.n[1],
                         (long long)labels->grid.n[2]);
    return VOLT_OK;
}

volt_status volt_resample_argmax(volt_volume *labels, volt_box where, const volt_logits *logits,
                                 int separate_axis, int threads)
{
    const int64_t *n = labels->grid.n;
    volt_taps taps[3] = {{.at = NULL}, {.at = NULL}, {.at = NULL}};
    int64_t to[3];
    float *work = NULL;
    volt_status st;

    threads = volt_threads_or_default(threads);
    VOLT_TRY(st, done, check_argmax(labels, where, logits));
    volt_box_shape(to, where);
    VOLT_TRY(st, done, volt_resample_check(logits->shape, VOLT_LINEAR, separate_axis));
    VOLT_TRY(st, done, volt_resample_check(to, VOLT_LINEAR, separate_axis));
    VOLT_TRY(st, done, volt_taps_make_all(taps, logits->shape, to, VOLT_LINEAR, separate_axis));
    VOLT_TRY(st, done, alloc_rows(&work, taps, threads));
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t r = 0; r < to[0] * to[1]; r++) {
        const int64_t z = r / to[1], y = r % to[1];
        const int64_t line = (where.low[0] + z) * n[1] + where.low[1] + y;
        float *mine = work + omp_get_thread_num() * row_work(logits->shape[2], to[2]);
        uint16_t *which = (uint16_t *)(void *)(mine + logits->shape[2] + 2 * to[2]);
        argmax_row(which, logits, taps, z, y, mine);
        store_row(labels, line * n[2] + where.low[2], which, to[2]);
    }
done:
    volt_free(work);
    volt_taps_free_all(taps);
    return st;
}
