/* Cubic resampling, one pass per axis.
 *
 * A cubic B-spline interpolates its samples only after a prefilter has turned them into
 * coefficients; every voxel of the result is then a weighted sum of four coefficients. The
 * prefilter is recursive in both directions, so a voxel depends on its whole line. Both steps
 * are separable: a line is filtered and sampled in one go while it is in the cache, and no
 * volume of coefficients is ever stored. The recursion is sequential along a line; vectors
 * therefore run across VOLT_SPLINE_LANES lines.
 *
 * To need no third copy of the volume, the axis z comes last when it grows and first when it
 * shrinks, and works within the memory of the result: a column is read as a whole before it is
 * written. x and y are done slice by slice, through a buffer of a few slices.
 *
 * Splines overshoot at edges. As in skimage the result is clipped to the range of the input,
 * per slice across a separate axis, because nnU-Net resamples those slices one by one.
 */
#include "volume/resample/resample_internal.h"

#include <math.h>
#include <omp.h>
#include <string.h>

#include "base/core/checked.h"
#include "base/core/alloc.h"
#include "base/threads.h"

/* One channel while it is resampled. Slices of `slot` floats lie in `dst`. */
typedef struct job {
    const volt_taps *taps; /* z, y, x */
    int64_t shape[3];      /* before */
    const volt_resample_kernels *kernels;
    const float *src;
    float *dst;
    int64_t slot;   /* floats from one slice in dst to the next */
    int64_t batch;  /* slices at a time */
    float *between; /* (batch, Y before, X after) */
    float *work;    /* scratch of each thread, work_each floats */
    int64_t work_each;
    float *low, *high; /* range of the values, or of each slice across the separate axis */
    int32_t *slices;   /* two lists of slices */
    int separate_axis;
    int threads;
} job;

static int64_t blocks_of(int64_t lines)
{
    return (lines + VOLT_SPLINE_LANES - 1) / VOLT_SPLINE_LANES;
}

static float *my_work(const job *j)
{
    return j->work + omp_get_thread_num() * j->work_each;
}

/* Rows [first, first + lines) of one slice along x, from `src` to `dst`. */
static void pass_x(const job *j, float *dst, const float *src, int64_t block)
{
    const volt_taps *x = &j->taps[2];
    const int64_t first = block * VOLT_SPLINE_LANES;
    const int64_t lines = volt_min_i64(VOLT_SPLINE_LANES, j->taps[1].from - first);

    dst += first * x->to;
    src += first * x->from;
    if (x->kind == VOLT_TAPS_CUBIC) {
        j->kernels->rows(&(volt_spline_block){src, dst, x->from, x->to, lines}, x, my_work(j));
        return;
    }
    for (int64_t l = 0; l < lines; l++) {
        for (int64_t i = 0; i < x->to; i++)
            dst[l * x->to + i] = src[l * x->from + x->at[i]];
    }
}

/* A block of columns of one slice along y. */
static void pass_y(const job *j, float *dst, const float *src, int64_t block)
{
    const volt_taps *y = &j->taps[1];
    const int64_t width = j->taps[2].to, first = block * VOLT_SPLINE_LANES;
    const int64_t lines = volt_min_i64(VOLT_SPLINE_LANES, width - first);

    dst += first;
    src += first;
    if (y->kind == VOLT_TAPS_CUBIC) {
        j->kernels->columns(&(volt_spline_block){src, dst, width, width, lines}, y, my_work(j));
        return;
    }
    for (int64_t i = 0; i < y->to; i++)
        memcpy(dst + i * width, src + y->at[i] * width, (size_t)lines * sizeof *dst);
}

/* `count` slices within their plane: from[k] of src (slices `src_slot` floats apart) to slice
 * to[k] of dst. Each may lie where its result goes. */
static void pass_planes(const job *j, const float *src, int64_t src_slot, const int32_t *from,
                        const int32_t *to, int64_t count)
{
    const int64_t tall = blocks_of(j->taps[1].from), wide = blocks_of(j->taps[2].to);
    const int64_t plane = j->taps[1].from * j->taps[2].to;

    for (int64_t k0 = 0; k0 < count; k0 += j->batch) {
        const int64_t n = volt_min_i64(j->batch, count - k0);
#pragma omp parallel num_threads(j->threads)
        {
#pragma omp for schedule(static)
            for (int64_t i = 0; i < n * tall; i++)
                pass_x(j, j->between + i / tall * plane, src + from[k0 + i / tall] * src_slot,
                       i % tall);
#pragma omp for schedule(static)
            for (int64_t i = 0; i < n * wide; i++)
                pass_y(j, j->dst + to[k0 + i / wide] * j->slot, j->between + i / wide * plane,
                       i % wide);
        }
    }
}

/* All columns along z: `columns` of them, slices `src_slot` apart, into dst. */
static void pass_z(const job *j, const float *src, int64_t src_slot, int64_t columns)
{
#pragma omp parallel for num_threads(j->threads) schedule(static)
    for (int64_t b = 0; b < blocks_of(columns); b++) {
        const int64_t first = b * VOLT_SPLINE_LANES;
        const int64_t lines = volt_min_i64(VOLT_SPLINE_LANES, columns - first);
        j->kernels->columns(
            &(volt_spline_block){src + first, j->dst + first, src_slot, j->slot, lines},
            &j->taps[0], my_work(j));
    }
}

/* Nearest slices across z: each source slice that is needed is resampled once, into the first
 * slice of the result that takes it, and copied to the others. */
static void take_nearest_slices(const job *j)
{
    const volt_taps *z = &j->taps[0];
    int32_t *first = j->slices, *source = first + z->to;
    const int64_t before = j->taps[1].from * j->taps[2].from;
    int64_t count = 0;

    for (int64_t i = 0; i < z->to; i++) {
        if (i == 0 || z->at[i] != z->at[i - 1]) {
            first[count] = (int32_t)i;
            source[count++] = z->at[i];
        }
    }
    pass_planes(j, j->src, before, source, first, count);
#pragma omp parallel for num_threads(j->threads) schedule(static)
    for (int64_t k = 0; k < count; k++) {
        const int64_t end = k + 1 < count ? first[k + 1] : z->to;
        for (int64_t i = first[k] + 1; i < end; i++)
            memcpy(j->dst + i * j->slot, j->dst + first[k] * j->slot,
                   (size_t)j->slot * sizeof *j->dst);
    }
}

/* Smallest and largest value of one row, joined to *low and *high. */
static void bounds_of_row(float *low, float *high, const float *row, int64_t n)
{
    float least = *low, most = *high;

#pragma omp simd reduction(min : least) reduction(max : most)
    for (int64_t i = 0; i < n; i++) {
        least = row[i] < least ? row[i] : least;
        most = row[i] > most ? row[i] : most;
    }
    *low = least;
    *high = most;
}

static void find_bounds_across_x(const job *j)
{
    const int64_t rows = j->shape[0] * j->shape[1], width = j->shape[2];

#pragma omp parallel for num_threads(j->threads) schedule(static)
    for (int64_t b = 0; b < blocks_of(width); b++) {
        const int64_t first = b * VOLT_SPLINE_LANES;
        const int64_t end = volt_min_i64(first + VOLT_SPLINE_LANES, width);
        for (int64_t x = first; x < end; x++) {
            j->low[x] = INFINITY;
            j->high[x] = -INFINITY;
        }
        for (int64_t r = 0; r < rows; r++) {
            for (int64_t x = first; x < end; x++) {
                const float v = j->src[r * width + x];
                j->low[x] = v < j->low[x] ? v : j->low[x];
                j->high[x] = v > j->high[x] ? v : j->high[x];
            }
        }
    }
}

/* Bounds of every slice across the separate axis, or of the whole channel. */
static void find_bounds(const job *j)
{
    const int64_t *n = j->shape;
    const int axis = j->separate_axis == 0 ? 0 : 1; /* slices across z, else across y */
    const int64_t inner = n[1 - axis];

    if (j->separate_axis == 2) {
        find_bounds_across_x(j);
        return;
    }
#pragma omp parallel for num_threads(j->threads) schedule(static)
    for (int64_t i = 0; i < n[axis]; i++) {
        j->low[i] = INFINITY;
        j->high[i] = -INFINITY;
        for (int64_t k = 0; k < inner; k++) {
            const int64_t row = axis == 0 ? i * n[1] + k : k * n[1] + i;
            bounds_of_row(&j->low[i], &j->high[i], j->src + row * n[2], n[2]);
        }
    }
    for (int64_t i = 1; i < n[axis] && j->separate_axis == VOLT_NO_AXIS; i++) {
        j->low[0] = fminf(j->low[0], j->low[i]);
        j->high[0] = fmaxf(j->high[0], j->high[i]);
    }
}

static void clip_row(const job *j, float *row, int64_t z, int64_t y)
{
    const int64_t n = j->taps[2].to;

    if (j->separate_axis == 2) {
        const int32_t *at = j->taps[2].at;
        for (int64_t x = 0; x < n; x++)
            row[x] = fminf(fmaxf(row[x], j->low[at[x]]), j->high[at[x]]);
        return;
    }
    const int64_t i = j->separate_axis == 0   ? j->taps[0].at[z]
                      : j->separate_axis == 1 ? j->taps[1].at[y]
                                              : 0;
    const float low = j->low[i], high = j->high[i];
    for (int64_t x = 0; x < n; x++) {
        const float above = row[x] > low ? row[x] : low;
        row[x] = above < high ? above : high;
    }
}

static void clip(const job *j)
{
    const int64_t ny = j->taps[1].to, nx = j->taps[2].to, rows = j->taps[0].to * ny;

#pragma omp parallel for num_threads(j->threads) schedule(static)
    for (int64_t r = 0; r < rows; r++)
        clip_row(j, j->dst + r * nx, r / ny, r % ny);
}

/* Moves slices that became smaller in place next to each other. */
static void close_gaps(const job *j)
{
    const int64_t after = j->taps[1].to * j->taps[2].to;

    for (int64_t z = 1; z < j->taps[0].to && j->slot > after; z++)
        memmove(j->dst + z * after, j->dst + z * j->slot, (size_t)after * sizeof *j->dst);
}

/* z first or last, see above; only z if the plane does not change. */
static void resample_axes(job *j)
{
    const volt_taps *z = &j->taps[0];
    const int64_t before = j->taps[1].from * j->taps[2].from;
    const int64_t after = j->taps[1].to * j->taps[2].to;
    const bool plane_stays =
        j->taps[1].kind == VOLT_TAPS_KEEP && j->taps[2].kind == VOLT_TAPS_KEEP;
    const bool z_first = z->to < z->from || plane_stays;

    for (int64_t i = 0; i < volt_max_i64(z->from, z->to); i++)
        j->slices[i] = (int32_t)i;
    if (z_first) {
        j->slot = volt_max_i64(before, after);
        pass_z(j, j->src, before, before);
        if (!plane_stays)
            pass_planes(j, j->dst, j->slot, j->slices, j->slices, z->to);
        close_gaps(j);
        return;
    }
    pass_planes(j, j->src, before, j->slices, j->slices, z->from);
    if (z->kind == VOLT_TAPS_CUBIC)
        pass_z(j, j->dst, after, after);
}

/* Scratch memory, in floats (slice numbers have the same size). */
typedef struct scratch {
    int64_t work_each, batch;
    int64_t work, between, bounds, slices, total;
} scratch;

static scratch plan_scratch(const int64_t from[3], const int64_t to[3], int threads)
{
    scratch s = {.batch = volt_min_i64(threads, volt_max_i64(from[0], to[0]))};

    for (int a = 0; a < 3; a++) {
        s.work_each = volt_max_i64(s.work_each, volt_spline_work(from[a], to[a]));
        s.bounds = volt_max_i64(s.bounds, 2 * from[a]);
    }
    s.work = threads * s.work_each;
    s.between = s.batch * from[1] * to[2];
    s.slices = 2 * volt_max_i64(from[0], to[0]);
    s.total = s.work + s.between + s.bounds + s.slices;
    return s;
}

size_t volt_resample_cubic_bytes(const int64_t from[3], const int64_t to[3], int threads)
{
    return (size_t)plan_scratch(from, to, threads).total * sizeof(float);
}

int64_t volt_resample_room(const volt_taps taps[3], int64_t channels)
{
    const int64_t before = taps[1].from * taps[2].from, after = taps[1].to * taps[2].to;
    const bool z_first = taps[0].kind == VOLT_TAPS_CUBIC && taps[0].to < taps[0].from;
    const int64_t last = z_first ? volt_max_i64(before, after) : after;

    return taps[0].to * ((channels - 1) * after + last);
}

volt_status volt_resample_cubic(float *dst, const volt_volume *src, const volt_taps taps[3],
                                int separate_axis, int threads)
{
    const int64_t from[3] = {taps[0].from, taps[1].from, taps[2].from};
    const int64_t to[3] = {taps[0].to, taps[1].to, taps[2].to};
    const scratch s = plan_scratch(from, to, threads);
    float *memory;
    volt_status st =
        volt_alloc(&memory, (size_t)s.total * sizeof *memory, "scratch of resampling");

    if (st != VOLT_OK)
        return st;
    job j = {.taps = taps,
             .shape = {from[0], from[1], from[2]},
             .kernels = volt_resample_kernels_here(),
             .batch = s.batch,
             .work = memory,
             .work_each = s.work_each,
             .between = memory + s.work,
             .low = memory + s.work + s.between,
             .separate_axis = separate_axis,
             .threads = threads};
    j.high = j.low + s.bounds / 2;
    j.slices = (int32_t *)(void *)(j.low + s.bounds);
    for (int64_t c = 0; c < src->grid.channels; c++) {
        j.src = (const float *)src->data + c * from[0] * from[1] * from[2];
        j.dst = dst + c * to[0] * to[1] * to[2];
        j.slot = to[1] * to[2];
        find_bounds(&j);
        if (taps[0].kind == VOLT_TAPS_NEAREST)
            take_nearest_slices(&j);
        else
            resample_axes(&j);
        clip(&j);
    }
    volt_free(memory);
    return VOLT_OK;
}
