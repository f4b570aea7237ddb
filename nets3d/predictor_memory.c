/* predictor_memory.c - how much a scan will need, from its grid alone. */
#include "base/checked.h"
#include "base/threads.h"
#include "nets3d/predictor_parts.h"
#include "volume/orient.h"
#include "volume/resample.h"

#define SMALL_BYTES        ((size_t)256 << 10) /* headers, lists, strings */
#define WRITE_THREAD_BYTES ((size_t)2 << 20)   /* gzip's buffers, per thread */

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* What the open predictor holds. */
static size_t network_bytes(const volt_predictor *p)
{
    const int64_t *patch = p->config->patch;
    const size_t planes = 2 * (size_t)p->info.channels + (size_t)p->info.labels + 1;
    volt_program_memory m;

    volt_program_memory_of(p->program, &m);
    return m.total + planes * (size_t)(patch[0] * patch[1] * patch[2]) * sizeof(float) +
           SMALL_BYTES;
}

/* Extents of the prepared image when nothing is cropped. */
static volt_status prepared_shape(int64_t out[3], int64_t before[3], const volt_predictor *p,
                                  const volt_grid *grid)
{
    double spacing[3], target[3];
    volt_orientation o;
    volt_grid turned;
    volt_status st = volt_orientation_transpose(&o, p->config->transpose_forward);

    if (st != VOLT_OK)
        return st;
    turned = volt_orientation_grid(o, grid);
    volt_grid_spacing(spacing, &turned);
    for (int a = 0; a < 3; a++) {
        before[a] = turned.n[a];
        target[a] = p->config->spacing[a] > 0 ? p->config->spacing[a] : spacing[a];
    }
    return volt_resample_shape(out, turned.n, spacing, target);
}

volt_status volt_predict_memory_of(volt_predict_memory *out, const volt_predictor *p,
                                   const volt_grid *grid, const char *what)
{
    const size_t pixel = (size_t)p->info.channels * sizeof(float);
    const size_t scores = (size_t)p->info.labels * sizeof(float);
    volt_predict_memory m = {.network = network_bytes(p)};
    size_t before, after, scratch, all;
    int64_t shape[3], own[3];
    volt_status st = volt_grid_check(grid, what);

    if (st != VOLT_OK || (st = prepared_shape(shape, own, p, grid)) != VOLT_OK)
        return st;
    /* With this check none of the sums below can overflow. */
    if (volt_extent_bytes(&before, own, 3, 1) || volt_extent_bytes(&after, shape, 3, 1) ||
        volt_mul_size(&all, larger(before, after), 16 * (pixel + scores)))
        return volt_fail(VOLT_EINVAL, "%s: %lld x %lld x %lld voxels are more than memory has",
                         what, (long long)shape[0], (long long)shape[1], (long long)shape[2]);
    scratch = volt_resample_scratch_bytes(own, shape, p->threads);
    m.image = after * pixel;
    m.prepare = larger(2 * before * pixel + 4 * before,
                       before * pixel + larger(before, after) * pixel + scratch) +
                SMALL_BYTES;
    m.mask = before * volt_dtype_bytes(p->dtype);
    m.compute = larger(m.image + after * (scores + sizeof(float)),
                       after * scores + 2 * m.mask +
                           volt_resample_scratch_bytes(shape, own, p->threads)) +
                SMALL_BYTES;
    m.write = (size_t)p->threads * WRITE_THREAD_BYTES + SMALL_BYTES;
    *out = m;
    return VOLT_OK;
}

volt_status volt_predictor_memory(const volt_predictor *p, const volt_grid *grid, size_t *out)
{
    volt_predict_memory m;
    volt_status st;

    if (grid->channels != p->info.channels)
        return volt_fail(VOLT_EINVAL, "the image has %d channels; the network takes %d",
                         (int)grid->channels, p->info.channels);
    st = volt_predict_memory_of(&m, p, grid, "the image");
    if (st == VOLT_OK)
        *out = m.network + larger(m.prepare, m.compute);
    return st;
}
