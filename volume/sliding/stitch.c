/* The accumulator of a sliding window.
 *
 * Only the slices that tiles still change are held: tiles come in ascending order of z, so
 * after the last tile of a layer everything below the next layer is final. The buffer is a
 * window [low, low + room) over the slices; dropping finished slices moves the rest to its
 * front and clears what becomes free, so tiles always find plain contiguous rows. A parallel
 * loop over rows adds each tile; rows never overlap within a tile, so the order of additions,
 * and with it every bit, is that of the tiles.
 *
 * In half precision a weighted sum would lose what small weights contribute (they span four
 * orders of magnitude, a half has 11 bits). There the weights of all tiles are summed up in
 * advance, and each tile adds value * weight / total: the accumulator holds partial means, of
 * the same size as the result.
 */
#include "volume/sliding/stitch.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "base/core/checked.h"
#include "base/core/alloc.h"
#include "base/threads.h"
#include "volume/resample/resample_internal.h"

int64_t volt_stitch_room(int64_t slices, int64_t patch)
{
    return volt_min_i64(slices, patch + 1);
}

static size_t plane_floats(const int64_t shape[3], int64_t room)
{
    return (size_t)room * (size_t)shape[1] * (size_t)shape[2];
}

size_t volt_stitch_bytes(int64_t channels, const int64_t shape[3], int64_t room, bool half)
{
    const size_t plane = plane_floats(shape, room);

    return half ? (size_t)channels * plane * sizeof(uint16_t) +
                      plane_floats(shape, shape[0]) * sizeof(float)
                : (size_t)(channels + 1) * plane * sizeof(float);
}

volt_status volt_stitch_open(volt_stitch *out, int64_t channels, const int64_t shape[3],
                             int64_t room, bool half)
{
    volt_stitch s = {.channels = channels, .room = room};
    const size_t plane = plane_floats(shape, room);
    volt_status st;

    memcpy(s.shape, shape, sizeof s.shape);
    if (half)
        st = volt_alloc_zero(&s.half, (size_t)channels * plane, sizeof *s.half,
                             "the sums of logits");
    else
        st = volt_alloc_zero(&s.sum, (size_t)channels * plane, sizeof *s.sum,
                             "the sums of logits");
    if (st != VOLT_OK)
        goto done;
    VOLT_TRY(st, done,
             volt_alloc_zero(&s.total, half ? plane_floats(shape, shape[0]) : plane,
                             sizeof *s.total, "the sums of weights"));
    *out = s;
    s = (volt_stitch){.sum = NULL};
done:
    volt_stitch_close(&s);
    return st;
}

void volt_stitch_close(volt_stitch *s)
{
    volt_free(s->sum);
    volt_free(s->half);
    volt_free(s->total);
    *s = (volt_stitch){.sum = NULL};
}

/* sum[i] += scale * weight[i] * values[i * step]; weight NULL = 1, step 1 or -1. */
static void add_row(float *restrict sum, const float *restrict values, int step,
                    const float *restrict weight, float scale, int64_t n)
{
    if (weight && step == 1) {
        for (int64_t i = 0; i < n; i++)
            sum[i] += scale * weight[i] * values[i];
    } else if (weight) {
        for (int64_t i = 0; i < n; i++)
            sum[i] += scale * weight[i] * values[-i];
    } else if (step == 1) {
        for (int64_t i = 0; i < n; i++)
            sum[i] += scale * values[i];
    } else {
        for (int64_t i = 0; i < n; i++)
            sum[i] += scale * values[-i];
    }
}

enum { PIECE = 256 }; /* halves of a row that are widened at a time, on the stack */

/* The same with weight / total. */
static void add_half_row(uint16_t *sum, const float *values, int step, const float *weight,
                         const float *total, float scale, int64_t n)
{
    const volt_resample_kernels *k = volt_resample_kernels_here();
    float wide[PIECE], fraction[PIECE];

    for (int64_t i = 0; i < n; i += PIECE) {
        const int64_t count = volt_min_i64(n - i, PIECE);
        for (int64_t x = 0; x < count; x++)
            fraction[x] = (weight ? weight[i + x] : 1) / total[i + x];
        k->widen(wide, sum + i, count);
        add_row(wide, values + step * i, step, fraction, scale, count);
        k->narrow(sum + i, wide, count);
    }
}

/* total[i] += weight[i]. */
static void add_weights(float *restrict total, const float *restrict weight, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        total[i] += weight ? weight[i] : 1;
}

void volt_stitch_expect(volt_stitch *s, volt_box box, const float *weight)
{
    const volt_box inside = volt_box_intersect(box, volt_box_of_shape(s->shape));
    int64_t n[3];

    if (volt_box_is_empty(inside))
        return;
    assert(s->half);
    volt_box_shape(n, box);
    for (int64_t z = inside.low[0]; z < inside.high[0]; z++) {
        for (int64_t y = inside.low[1]; y < inside.high[1]; y++) {
            const int64_t from =
                ((z - box.low[0]) * n[1] + y - box.low[1]) * n[2] + inside.low[2] - box.low[2];
            add_weights(s->total + (z * s->shape[1] + y) * s->shape[2] + inside.low[2],
                        weight ? weight + from : NULL, inside.high[2] - inside.low[2]);
        }
    }
}

void volt_stitch_add(volt_stitch *s, const volt_stitch_tile *tile, int threads)
{
    const volt_box inside = volt_box_intersect(tile->box, volt_box_of_shape(s->shape));
    const int64_t planes =
        s->channels + (tile->again || s->half ? 0 : 1); /* and their weights */
    const int64_t ny = s->shape[1], nx = s->shape[2], *low = tile->box.low;
    const float scale = tile->scale > 0 ? tile->scale : 1;
    int64_t n[3], part[3];
    bool flip[3] = {false, false, false};

    if (volt_box_is_empty(inside))
        return;
    assert(inside.low[0] >= s->low && inside.high[0] <= s->low + s->room);
    assert(inside.low[0] >= s->finished);
    if (tile->flip)
        memcpy(flip, tile->flip, sizeof flip);
    volt_box_shape(n, tile->box);
    volt_box_shape(part, inside);
    threads = volt_threads_or_default(threads);
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t row = 0; row < planes * part[0] * part[1]; row++) {
        const int64_t c = row / (part[0] * part[1]);
        const int64_t z = inside.low[0] + row / part[1] % part[0],
                      y = inside.low[1] + row % part[1];
        const int64_t at[3] = {z - low[0], y - low[1], inside.low[2] - low[2]};
        const int64_t from = (at[0] * n[1] + at[1]) * n[2] + at[2];
        const int64_t to = ((z - s->low) * ny + y) * nx + inside.low[2];
        const float *weight = tile->weight ? tile->weight + from : NULL;

        if (c == s->channels) {
            add_weights(s->total + to, weight, part[2]);
            continue;
        }
        const int64_t value = ((c * n[0] + (flip[0] ? n[0] - 1 - at[0] : at[0])) * n[1] +
                               (flip[1] ? n[1] - 1 - at[1] : at[1])) *
                                  n[2] +
                              (flip[2] ? n[2] - 1 - at[2] : at[2]);
        const int64_t at_sum = c * s->room * ny * nx + to;
        if (s->half)
            add_half_row(s->half + at_sum, tile->values + value, flip[2] ? -1 : 1, weight,
                         s->total + (z * ny + y) * nx + inside.low[2], scale, part[2]);
        else
            add_row(s->sum + at_sum, tile->values + value, flip[2] ? -1 : 1, weight, scale,
                    part[2]);
    }
}

/* row[i] /= total[i], 0 where nothing was added; whether all are finite. */
static bool divide_row(float *restrict row, const float *restrict total, int64_t n)
{
    bool finite = true;

    for (int64_t i = 0; i < n; i++) {
        row[i] = total[i] > 0 ? row[i] / total[i] : 0;
        finite = finite && isfinite(row[i]);
    }
    return finite;
}

static bool finite_half_row(const uint16_t *row, int64_t n)
{
    bool finite = true;

    for (int64_t i = 0; i < n; i++)
        finite = finite && (row[i] & 0x7c00) != 0x7c00;
    return finite;
}

bool volt_stitch_finish(volt_stitch *s, int64_t to, int threads)
{
    const int64_t ny = s->shape[1], nx = s->shape[2], plane = s->room * ny * nx;
    const int64_t from = (s->finished - s->low) * ny, rows = (to - s->finished) * ny;
    bool finite = true;

    assert(to >= s->finished && to <= s->low + s->room);
    threads = volt_threads_or_default(threads);
#pragma omp parallel for num_threads(threads) schedule(static) reduction(&& : finite)
    for (int64_t i = 0; i < s->channels * rows; i++) {
        const int64_t row = (from + i % rows) * nx, at = i / rows * plane + row;
        const bool ok = s->half ? finite_half_row(s->half + at, nx)
                                : divide_row(s->sum + at, s->total + row, nx);
        finite = finite && ok;
    }
    s->finished = to;
    return finite;
}

void volt_stitch_drop(volt_stitch *s, int64_t keep, int threads)
{
    const int64_t slice = s->shape[1] * s->shape[2], plane = s->room * slice;
    const int64_t gone = (keep - s->low) * slice;

    assert(keep <= s->finished);
    if (gone <= 0)
        return;
    threads = volt_threads_or_default(threads);
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t c = 0; c < s->channels + (s->half ? 0 : 1); c++) {
        const bool half = s->half && c < s->channels;
        const size_t each = half ? sizeof(uint16_t) : sizeof(float);
        char *p = half              ? (char *)(s->half + c * plane)
                  : c < s->channels ? (char *)(s->sum + c * plane)
                                    : (char *)s->total;
        memmove(p, p + (size_t)gone * each, (size_t)(plane - gone) * each);
        memset(p + (size_t)(plane - gone) * each, 0, (size_t)gone * each);
    }
    s->low = keep;
}
