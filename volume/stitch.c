#include "volume/stitch.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/threads.h"

int64_t volt_stitch_room(int64_t slices, int64_t patch)
{
    return slices < patch + 1 ? slices : patch + 1;
}

static size_t plane_floats(const int64_t shape[3], int64_t room)
{
    return (size_t)room * (size_t)shape[1] * (size_t)shape[2];
}

size_t volt_stitch_bytes(int64_t channels, const int64_t shape[3], int64_t room)
{
    return (size_t)(channels + 1) * plane_floats(shape, room) * sizeof(float);
}

volt_status volt_stitch_open(volt_stitch *out, int64_t channels, const int64_t shape[3],
                             int64_t room)
{
    volt_stitch s = {.channels = channels, .room = room};
    const size_t plane = plane_floats(shape, room);
    volt_status st;

    memcpy(s.shape, shape, sizeof s.shape);
    VOLT_TRY(
        st, done,
        volt_alloc_zero(&s.sum, (size_t)channels * plane, sizeof *s.sum, "the sums of scores"));
    VOLT_TRY(st, done,
             volt_alloc_zero(&s.total, plane, sizeof *s.total, "the sums of weights"));
    *out = s;
    s = (volt_stitch){.sum = NULL};
done:
    volt_stitch_close(&s);
    return st;
}

void volt_stitch_close(volt_stitch *s)
{
    volt_free(s->sum);
    volt_free(s->total);
    *s = (volt_stitch){.sum = NULL};
}

/* sum[i] += weight[i] * values[i * step]; weight NULL = 1, step 1 or -1. */
static void add_row(float *restrict sum, const float *restrict values, int step,
                    const float *restrict weight, int64_t n)
{
    if (weight && step == 1) {
        for (int64_t i = 0; i < n; i++)
            sum[i] += weight[i] * values[i];
    } else if (weight) {
        for (int64_t i = 0; i < n; i++)
            sum[i] += weight[i] * values[-i];
    } else if (step == 1) {
        for (int64_t i = 0; i < n; i++)
            sum[i] += values[i];
    } else {
        for (int64_t i = 0; i < n; i++)
            sum[i] += values[-i];
    }
}

/* total[i] += weight[i]. */
static void add_weights(float *restrict total, const float *restrict weight, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        total[i] += weight ? weight[i] : 1;
}

void volt_stitch_add(volt_stitch *s, const volt_stitch_tile *tile, int threads)
{
    const volt_box inside = volt_box_intersect(tile->box, volt_box_of_shape(s->shape));
    const int64_t planes = s->channels + (tile->again ? 0 : 1); /* weights: one more channel */
    const int64_t ny = s->shape[1], nx = s->shape[2], *low = tile->box.low;
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
        add_row(s->sum + c * s->room * ny * nx + to, tile->values + value, flip[2] ? -1 : 1,
                weight, part[2]);
    }
}

bool volt_stitch_finish(volt_stitch *s, int64_t to, int threads)
{
    const int64_t slice = s->shape[1] * s->shape[2], plane = s->room * slice;
    const int64_t from = (s->finished - s->low) * slice, count = (to - s->low) * slice;
    bool finite = true;

    assert(to >= s->finished && to <= s->low + s->room);
    threads = volt_threads_or_default(threads);
#pragma omp parallel for num_threads(threads) schedule(static) reduction(&& : finite)
    for (int64_t i = from; i < count; i++) {
        const float divisor = s->total[i];
        for (int64_t c = 0; c < s->channels; c++) {
            const float mean = divisor > 0 ? s->sum[c * plane + i] / divisor : 0;
            s->sum[c * plane + i] = mean;
            finite = finite && isfinite(mean);
        }
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
    for (int64_t c = 0; c <= s->channels; c++) {
        float *p = c < s->channels ? s->sum + c * plane : s->total;
        memmove(p, p + gone, (size_t)(plane - gone) * sizeof *p);
        memset(p + plane - gone, 0, (size_t)gone * sizeof *p);
    }
    s->low = keep;
}
