/* Exact Euclidean distance transform, one axis after the other.
 *
 * Along a line the squared distance to the nearest mask voxel is the lower envelope of
 * parabolas, one per voxel, each raised by the squared distance found along the axes before
 * (Felzenszwalb, Huttenlocher 2012). An envelope is built in one scan and read in another, so
 * the cost is linear in the number of voxels, whatever the mask.
 *
 * Passing squared distances in float from axis to axis would round them three times, which can
 * decide wrongly between nearly equal voxels of an anisotropic grid. Here a voxel holds the
 * integer offset to its nearest mask voxel so far, 16 bits for x and 16 for y, in the memory of
 * the float that will replace it. z need not be stored: the last axis gives the distance.
 */
#include "volume/distance.h"

#include <math.h>
#include <omp.h>
#include <stdbool.h>
#include <string.h>
#include "base/core/checked.h"
#include "base/core/alloc.h"
#include "base/threads.h"

/* Offset of a voxel to its nearest mask voxel so far, in voxels: y << 16 | x. */
#define NOWHERE    UINT32_MAX
#define MAX_EXTENT 65534
#define COLUMNS    16 /* adjacent along x, handled together: one cache line of offsets */

typedef struct sweep {
    int64_t n[3];
    double square[3]; /* mm^2 of one voxel's step; z, y, x */
    int threads;
    uint32_t *offsets; /* (Z, Y, X) */
    char *scratch;     /* one part per thread */
    size_t scratch_bytes;
} sweep;

/* Lower envelope of the parabolas value[i] + step^2 (q - where[i])^2 over positions q of a
 * line: parabola i is the lowest from start[i] to start[i + 1]. */
typedef struct envelope {
    double *value, *start;
    double *reciprocal; /* of 2 step^2 d for d = 1 .. length - 1 */
    uint32_t *offset;   /* of the parabola's voxel */
    int32_t *where;
    uint32_t *block; /* COLUMNS lines, one after the other */
    int64_t count, length;
} envelope;

static size_t envelope_bytes(int64_t length)
{
    return (size_t)length *
           (3 * sizeof(double) + sizeof(uint32_t) + sizeof(int32_t) + COLUMNS * 4);
}

static envelope envelope_in(void *scratch, int64_t length, double step2)
{
    envelope e = {.value = scratch, .length = length};

    e.start = e.value + length;
    e.reciprocal = e.start + length;
    e.offset = (uint32_t *)(e.reciprocal + length);
    e.where = (int32_t *)(e.offset + length);
    e.block = (uint32_t *)(e.where + length);
    for (int64_t d = 1; d < length; d++)
        e.reciprocal[d] = 1 / (2 * step2 * (double)d);
    return e;
}

/* Adds the parabola of position q; positions ascend. It removes those that it undercuts over
 * their whole range. */
static inline void envelope_add(envelope *e, int32_t q, double value, uint32_t offset)
{
    int64_t k = e->count;
    double start = -INFINITY;

    while (k > 0) {
        const int32_t p = e->where[k - 1];

        start = 0.5 * (q + p) + (value - e->value[k - 1]) * e->reciprocal[q - p];
        if (start > e->start[k - 1])
            break;
        start = -INFINITY;
        k--;
    }
    e->value[k] = value;
    e->start[k] = start;
    e->offset[k] = offset;
    e->where[k] = q;
    e->count = k + 1;
}

static double squared(int64_t voxels)
{
    return (double)(voxels * voxels);
}

static double offset_square(const sweep *s, uint32_t offset)
{
    return s->square[1] * squared(offset >> 16) + s->square[2] * squared(offset & 0xffff);
}

/* The envelope of one line of offsets. */
static void envelope_of(envelope *e, const uint32_t *line, const sweep *s)
{
    e->count = 0;
    for (int64_t q = 0; q < e->length; q++) {
        if (line[q] != NOWHERE)
            envelope_add(e, (int32_t)q, offset_square(s, line[q]), line[q]);
    }
}

/* Copies `width` lines adjacent along x, with samples `stride` apart, into e->block or back: a
 * transposition, so that each line is contiguous. */
static void gather(envelope *e, const uint32_t *from, int64_t stride, int64_t width)
{
    for (int64_t q = 0; q < e->length; q++) {
        for (int64_t c = 0; c < width; c++)
            e->block[c * e->length + q] = from[q * stride + c];
    }
}

static void scatter(uint32_t *to, const envelope *e, int64_t stride, int64_t width)
{
    for (int64_t q = 0; q < e->length; q++) {
        for (int64_t c = 0; c < width; c++)
            to[q * stride + c] = e->block[c * e->length + q];
    }
}

/* Along x: distances in voxels within one row. False if the row has no mask voxel. */
static bool sweep_row(uint32_t *offsets, const uint8_t *mask, int64_t nx)
{
    const uint32_t far = 2 * MAX_EXTENT;
    uint32_t distance = far;

    for (int64_t x = 0; x < nx; x++) {
        distance = mask[x] ? 0 : distance + 1;
        offsets[x] = distance;
    }
    if (distance > far) {
        memset(offsets, 0xff, (size_t)nx * sizeof *offsets);
        return false;
    }
    for (int64_t x = nx - 1; x >= 0; x--) {
        distance = offsets[x] < distance + 1 ? offsets[x] : distance + 1;
        offsets[x] = distance;
    }
    return true;
}

/* Along y: offsets to the nearest mask voxel of the slice. */
static void sweep_line(uint32_t *line, envelope *e, const sweep *s)
{
    int64_t k = 0;

    envelope_of(e, line, s);
    if (e->count == 0)
        return;
    for (int64_t q = 0; q < e->length; q++) {
        while (k + 1 < e->count && e->start[k + 1] <= (double)q)
            k++;
        const int64_t d = q < e->where[k] ? e->where[k] - q : q - e->where[k];
        line[q] = (uint32_t)d << 16 | e->offset[k];
    }
}

static void sweep_slice(const sweep *s, const uint8_t *mask, int64_t z, envelope *e)
{
    const int64_t ny = s->n[1], nx = s->n[2];
    uint32_t *slice = s->offsets + z * ny * nx;
    bool any = false;

    for (int64_t y = 0; y < ny; y++)
        any |= sweep_row(slice + y * nx, mask + (z * ny + y) * nx, nx);
    for (int64_t x = 0; any && x < nx; x += COLUMNS) {
        const int64_t width = volt_min_i64(nx - x, COLUMNS);

        gather(e, slice + x, nx, width);
        for (int64_t c = 0; c < width; c++)
            sweep_line(e->block + c * ny, e, s);
        scatter(slice + x, e, nx, width);
    }
}

static envelope thread_envelope(const sweep *s, int thread, int axis)
{
    return envelope_in(s->scratch + (size_t)thread * s->scratch_bytes, s->n[axis],
                       s->square[axis]);
}

static volt_status check_shape(const int64_t n[3], const double spacing[3])
{
    static const char axis[] = "zyx";

    for (int i = 0; i < 3; i++) {
        if (n[i] < 1 || n[i] > MAX_EXTENT)
            return volt_fail(VOLT_EINVAL, "distance: %lld voxels along %c are not in 1..%d",
                             (long long)n[i], axis[i], MAX_EXTENT);
        if (!(spacing[i] > 0) || !isfinite(spacing[i]))
            return volt_fail(VOLT_EINVAL, "distance: spacing %g mm along %c is not positive",
                             spacing[i], axis[i]);
    }
    return VOLT_OK;
}

/* Sweeps x and y into `offsets` and allocates scratch memory, which the caller frees. */
static volt_status sweep_open(sweep *s, uint32_t *offsets, const uint8_t *mask,
                              const int64_t n[3], const double spacing[3], int threads)
{
    const int64_t longest = volt_max_i64(n[0], n[1]);
    volt_status st = check_shape(n, spacing);

    if (st != VOLT_OK)
        return st;
    *s = (sweep){.threads = volt_threads_or_default(threads), .offsets = offsets};
    for (int i = 0; i < 3; i++) {
        s->n[i] = n[i];
        s->square[i] = spacing[i] * spacing[i];
    }
    s->scratch_bytes = (envelope_bytes(longest) + 63) / 64 * 64;
    st = volt_alloc(&s->scratch, s->scratch_bytes * (size_t)s->threads, "distance lines");
    if (st != VOLT_OK)
        return st;
#pragma omp parallel num_threads(s->threads)
    {
        envelope e = thread_envelope(s, omp_get_thread_num(), 1);
#pragma omp for schedule(static)
        for (int64_t z = 0; z < n[0]; z++)
            sweep_slice(s, mask, z, &e);
    }
    return VOLT_OK;
}

/* Along z: the distances, stored as floats in place of the offsets. */
static void finish_line(uint32_t *line, envelope *e, const sweep *s)
{
    int64_t k = 0;

    envelope_of(e, line, s);
    for (int64_t q = 0; q < e->length; q++) {
        float distance = INFINITY;

        while (k + 1 < e->count && e->start[k + 1] <= (double)q)
            k++;
        if (e->count > 0)
            distance = (float)sqrt(e->value[k] + s->square[0] * squared(q - e->where[k]));
        memcpy(&line[q], &distance, sizeof distance);
    }
}

volt_status volt_distance_to(float *out, const uint8_t *mask, const int64_t n[3],
                             const double spacing[3], int threads)
{
    const int64_t plane = n[1] * n[2];
    sweep s;
    volt_status st = sweep_open(&s, (uint32_t *)(void *)out, mask, n, spacing, threads);

    if (st != VOLT_OK)
        return st;
#pragma omp parallel num_threads(s.threads)
    {
        envelope e = thread_envelope(&s, omp_get_thread_num(), 0);
#pragma omp for schedule(static)
        for (int64_t y = 0; y < n[1]; y++) {
            for (int64_t x = 0; x < n[2]; x += COLUMNS) {
                const int64_t width = volt_min_i64(n[2] - x, COLUMNS);
                uint32_t *first = s.offsets + y * n[2] + x;

                gather(&e, first, plane, width);
                for (int64_t c = 0; c < width; c++)
                    finish_line(e.block + c * n[0], &e, &s);
                scatter(first, &e, plane, width);
            }
        }
    }
    volt_free(s.scratch);
    return VOLT_OK;
}

/* The distances wanted in one column; next[z*ny + y] is the rank of the row's next wanted
 * voxel. */
static void pick_column(double *distance, const uint8_t *at, const uint32_t *line,
                        int64_t *next, envelope *e, const sweep *s)
{
    const int64_t ny = s->n[1], plane = ny * s->n[2];
    bool swept = false;
    int64_t k = 0;

    for (int64_t z = 0; z < e->length; z++) {
        if (!at[z * plane])
            continue;
        if (!swept)
            envelope_of(e, line, s);
        swept = true;
        while (k + 1 < e->count && e->start[k + 1] <= (double)z)
            k++;
        distance[next[z * ny]++] =
            e->count == 0 ? INFINITY
                          : sqrt(e->value[k] + s->square[0] * squared(z - e->where[k]));
    }
}

/* Rank of each row's first wanted voxel among all wanted ones. */
static void rank_rows(int64_t *next, const uint8_t *at, const int64_t n[3], int threads)
{
    const int64_t rows = n[0] * n[1];
    int64_t sum = 0;

#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t r = 0; r < rows; r++) {
        int64_t count = 0;

        for (int64_t x = 0; x < n[2]; x++)
            count += at[r * n[2] + x] != 0;
        next[r] = count;
    }
    for (int64_t r = 0; r < rows; r++) {
        const int64_t count = next[r];

        next[r] = sum;
        sum += count;
    }
}

volt_status volt_distance_at(double *distance, const uint8_t *at, const uint8_t *mask,
                             const int64_t n[3], const double spacing[3], int threads)
{
    const int64_t plane = n[1] * n[2];
    uint32_t *offsets = NULL;
    int64_t *next = NULL;
    sweep s = {.scratch = NULL};
    volt_status st;

    VOLT_TRY(st, done, check_shape(n, spacing));
    VOLT_TRY(st, done, volt_alloc(&offsets, (size_t)(n[0] * plane) * 4, "distances"));
    VOLT_TRY(st, done, volt_alloc(&next, (size_t)(n[0] * n[1]) * sizeof *next, "distances"));
    VOLT_TRY(st, done, sweep_open(&s, offsets, mask, n, spacing, threads));
    rank_rows(next, at, n, s.threads);
#pragma omp parallel num_threads(s.threads)
    {
        envelope e = thread_envelope(&s, omp_get_thread_num(), 0);
#pragma omp for schedule(static)
        for (int64_t y = 0; y < n[1]; y++) {
            for (int64_t x = 0; x < n[2]; x += COLUMNS) {
                const int64_t width = volt_min_i64(n[2] - x, COLUMNS);
                const int64_t first = y * n[2] + x;

                gather(&e, s.offsets + first, plane, width);
                for (int64_t c = 0; c < width; c++)
                    pick_column(distance, at + first + c, e.block + c * n[0], next + y, &e, &s);
            }
        }
    }
done:
    volt_free(s.scratch);
    volt_free(next);
    volt_free(offsets);
    return st;
}

/* out = row minus its erosion; the five neighbour rows are NULL beyond the border. */
static int64_t boundary_row(uint8_t *restrict out, const uint8_t *row,
                            const uint8_t *const near[4], int64_t nx)
{
    int64_t count = 0;
    const bool border = !near[0] || !near[1] || !near[2] || !near[3];

    if (border) {
        for (int64_t x = 0; x < nx; x++)
            out[x] = row[x] != 0;
    } else {
        const uint8_t *a = near[0], *b = near[1], *c = near[2], *d = near[3];

        out[0] = row[0] != 0;
        out[nx - 1] = row[nx - 1] != 0;
        for (int64_t x = 1; x < nx - 1; x++)
            out[x] = (row[x] != 0) & !((row[x - 1] != 0) & (row[x + 1] != 0) & (a[x] != 0) &
                                       (b[x] != 0) & (c[x] != 0) & (d[x] != 0));
    }
    for (int64_t x = 0; x < nx; x++)
        count += out[x];
    return count;
}

int64_t volt_boundary(uint8_t *out, const uint8_t *mask, const int64_t n[3], int threads)
{
    const int64_t nx = n[2], plane = n[1] * nx;
    int64_t count = 0;

    threads = volt_threads_or_default(threads);
#pragma omp parallel for num_threads(threads) schedule(static) reduction(+ : count)
    for (int64_t r = 0; r < n[0] * n[1]; r++) {
        const int64_t z = r / n[1], y = r % n[1];
        const uint8_t *row = mask + r * nx;
        const uint8_t *const near[4] = {y > 0 ? row - nx : NULL, y + 1 < n[1] ? row + nx : NULL,
                                        z > 0 ? row - plane : NULL,
                                        z + 1 < n[0] ? row + plane : NULL};
        count += boundary_row(out + r * nx, row, near, nx);
    }
    return count;
}
