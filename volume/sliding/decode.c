/* Labels and probabilities straight from logits.
 *
 * A prediction's logits have one channel per class, and resampled to the scan's grid they would
 * be its largest array by far: 61 classes of a 512^3 CT are 30 GiB. But a voxel's label depends
 * on the logits of that voxel alone. So every thread resamples one row of one class at a time
 * into its scratch memory, compares it with the best row so far, and keeps only the label.
 *
 * Along z the logits may be complete only up to some slice while tiles are still added (see
 * volume/sliding/stitch.h). The caller asks which slices of the result they suffice for
 * (volt_decoder_ready), decodes that slab, and drops the slices that no later one reads
 * (volt_decoder_needs).
 *
 * With one set the arguments of softmax and sigmoid order the classes as their values do, so
 * no exponential is computed for labels. Several sets lie on different grids and are averaged
 * as probabilities; a row of every class is then needed at once. Probabilities are written
 * class by class, for which the normalization of softmax is computed first (volt_decode_norms).
 */
#include "volume/sliding/decode.h"

#include <math.h>
#include <omp.h>
#include <string.h>

#include "base/core/checked.h"
#include "base/core/alloc.h"
#include "base/core/plural.h"
#include "base/threads.h"
#include "volume/resample/resample_internal.h"

struct volt_decoder {
    volt_decode_options o; /* `value` and `threads` resolved */
    uint16_t *value;       /* (classes) */
    uint16_t most;         /* largest value */
    volt_taps taps[VOLT_DECODE_MAX_SETS][3];
    int64_t each; /* floats of scratch per thread */
    float *work;
};

/* Scratch memory of a thread: five rows before resampling, three after, and with several sets
 * two rows of every class. Rounded to cache lines, so that threads share none. */
static int64_t row_floats(const volt_decode_options *o)
{
    int64_t before = 0;

    for (int s = 0; s < o->sets; s++)
        before = volt_max_i64(o->set[s].shape[2], before);
    return (5 * before + (3 + (o->sets > 1 ? 2 * o->classes : 0)) * o->to[2] + 63) / 64 * 64;
}

volt_decode_options volt_decode_defaults(void)
{
    volt_decode_options o = {.sets = 1};

    for (int s = 0; s < VOLT_DECODE_MAX_SETS; s++)
        o.set[s].separate_axis = VOLT_NO_AXIS;
    return o;
}

static volt_status check(const volt_decode_options *o)
{
    volt_status st = VOLT_OK;

    if (o->classes < 1 || o->classes > UINT16_MAX || o->sets < 1 ||
        o->sets > VOLT_DECODE_MAX_SETS)
        return volt_fail(VOLT_EINVAL,
                         "logits of %lld class%s from %d network%s cannot be decoded; at most "
                         "%d and %d are supported",
                         (long long)o->classes, o->classes == 1 ? "" : "es", o->sets,
                         volt_s(o->sets), UINT16_MAX, VOLT_DECODE_MAX_SETS);
    if (o->first < 0 || o->slices < 0 || o->first + o->slices > o->to[0])
        return volt_fail(VOLT_EINVAL, "slices %lld to %lld of %lld cannot be decoded",
                         (long long)o->first, (long long)(o->first + o->slices),
                         (long long)o->to[0]);
    for (int s = 0; s < o->sets && st == VOLT_OK; s++) {
        st = volt_resample_check(o->set[s].shape, VOLT_LINEAR, o->set[s].separate_axis);
        if (st == VOLT_OK)
            st = volt_resample_check(o->to, VOLT_LINEAR, o->set[s].separate_axis);
    }
    return st;
}

/* The caller's options, checked. */
static volt_status resolve(volt_decode_options *out, const volt_decode_options *options)
{
    volt_decode_options o = *options;
    const volt_status st = check(&o);

    if (st != VOLT_OK)
        return st;
    o.threads = volt_threads_or_default(o.threads);
    *out = o;
    return VOLT_OK;
}

size_t volt_decoder_bytes(const volt_decode_options *options)
{
    volt_decode_options o;

    if (resolve(&o, options) != VOLT_OK)
        return 0; /* cannot be opened either */
    return sizeof(volt_decoder) + (size_t)o.classes * sizeof(uint16_t) +
           (size_t)o.sets * volt_taps_bytes(o.to) +
           (size_t)o.threads * (size_t)row_floats(&o) * sizeof(float);
}

/* Leaves only the taps of voxels `first` to first + count - 1. */
static void keep_taps(volt_taps *t, int64_t first, int64_t count)
{
    memmove(t->at, t->at + first, (size_t)count * sizeof *t->at);
    memmove(t->next, t->next + first, (size_t)count * sizeof *t->next);
    memmove(t->weight, t->weight + first, (size_t)count * sizeof *t->weight);
    memmove(t->weight + count, t->weight + t->to + first, (size_t)count * sizeof *t->weight);
    t->to = count;
}

volt_status volt_decoder_open(volt_decoder **out, const volt_decode_options *options)
{
    volt_decoder *d = NULL;
    volt_decode_options o;
    volt_status st = resolve(&o, options);

    if (st != VOLT_OK)
        return st;
    VOLT_TRY(st, done, volt_alloc_zero(&d, 1, sizeof *d, "a decoder"));
    d->o = o;
    d->each = row_floats(&d->o);
    for (int s = 0; s < d->o.sets; s++)
        VOLT_TRY(st, done,
                 volt_taps_make_all(d->taps[s], d->o.set[s].shape, d->o.to, VOLT_LINEAR,
                                    d->o.set[s].separate_axis));
    if (o.slices > 0) {
        for (int s = 0; s < o.sets; s++)
            keep_taps(&d->taps[s][0], o.first, o.slices);
        d->o.to[0] = o.slices;
    }
    VOLT_TRY(st, done,
             volt_alloc(&d->value, (size_t)d->o.classes * sizeof *d->value, "labels"));
    for (int64_t c = 0; c < d->o.classes; c++) {
        d->value[c] = o.value ? o.value[c] : (uint16_t)c;
        d->most = d->value[c] > d->most ? d->value[c] : d->most;
    }
    VOLT_TRY(st, done,
             volt_alloc(&d->work, (size_t)d->o.threads * (size_t)d->each * sizeof *d->work,
                        "rows of logits"));
    *out = d;
    d = NULL;
done:
    volt_decoder_free(d);
    return st;
}

void volt_decoder_free(volt_decoder *d)
{
    if (!d)
        return;
    for (int s = 0; s < VOLT_DECODE_MAX_SETS; s++)
        volt_taps_free_all(d->taps[s]);
    volt_free(d->value);
    volt_free(d->work);
    volt_free(d);
}

int64_t volt_decoder_ready(const volt_decoder *d, int64_t slices)
{
    const volt_taps *t = &d->taps[0][0];
    int64_t z = 0;

    while (z < t->to && t->next[z] < slices && t->at[z] < slices)
        z++;
    return z;
}

int64_t volt_decoder_needs(const volt_decoder *d, int64_t z)
{
    const volt_taps *t = &d->taps[0][0];

    return z < t->to ? t->at[z] : t->from;
}

/* ---- one row ---- */

/* A thread's scratch memory. */
typedef struct rows {
    float *best, *value, *mixed; /* mixed: as long as a row before resampling */
    float *mean, *one;           /* (classes, n) each; with several sets only */
} rows;

static rows rows_of(const volt_decoder *d)
{
    const int64_t n = d->o.to[2];
    float *mine = d->work + omp_get_thread_num() * d->each;

    return (rows){mine, mine + n, mine + 3 * n + 2 * n * d->o.classes * (d->o.sets > 1),
                  mine + 3 * n, mine + 3 * n + n * d->o.classes};
}

/* volt_linear_row of logits in half precision: the rows that it reads are widened behind
 * `mixed`. */
static const float *half_row(float *out, float *mixed, const uint16_t *image,
                             const volt_taps taps[3], int64_t z, int64_t y)
{
    const volt_resample_kernels *k = volt_resample_kernels_here();
    const volt_taps *tz = &taps[0], *ty = &taps[1];
    const float wz[2] = {tz->weight[z], tz->weight[tz->to + z]};
    const float wy[2] = {ty->weight[y], ty->weight[ty->to + y]};
    const int64_t at[2] = {tz->at[z], tz->next[z]}, line[2] = {ty->at[y], ty->next[y]};
    const int64_t n = taps[2].from;
    const int used = wz[0] * wy[0] == 1 ? 1 : 4;
    const float *line_of[4];
    float weight[4];

    for (int i = 0; i < used; i++) {
        k->widen(mixed + (i + 1) * n, image + (at[i / 2] * ty->from + line[i % 2]) * n, n);
        line_of[i] = mixed + (i + 1) * n;
        weight[i] = wz[i / 2] * wy[i % 2];
    }
    if (used == 4) {
        k->blend(mixed, line_of, weight, n);
        line_of[0] = mixed;
    }
    if (taps[2].kind == VOLT_TAPS_KEEP)
        return line_of[0];
    k->linear(out, line_of[0], &taps[2]);
    return out;
}

/* The logits of class c in row (z, y) of set s, not yet scaled. */
static const float *logit_row(const volt_decoder *d, float *out, float *mixed,
                              const volt_logits *l, int s, int64_t c, int64_t z, int64_t y)
{
    const int64_t *shape = d->o.set[s].shape;
    const int64_t at = (c * l[s].held - l[s].low) * shape[1] * shape[2];

    if (l[s].half)
        return half_row(out, mixed, l[s].half + at, d->taps[s], z, y);
    return volt_linear_row(volt_resample_kernels_here(), out, mixed, l[s].data + at, d->taps[s],
                           z, y);
}

static void add_sigmoid(float *sum, const float *logit, float scale, float weight, int64_t n)
{
    for (int64_t x = 0; x < n; x++)
        sum[x] += weight / (1 + expf(-scale * logit[x]));
}

/* r->mean = the mean over all sets of every class's probability in row (z, y). */
static void mean_row(const volt_decoder *d, const rows *r, const volt_logits *l, int64_t z,
                     int64_t y)
{
    const int64_t n = d->o.to[2], classes = d->o.classes;
    const float weight = 1.0f / (float)d->o.sets;

    memset(r->mean, 0, (size_t)(classes * n) * sizeof *r->mean);
    for (int s = 0; s < d->o.sets; s++) {
        const float scale = l[s].scale;

        for (int64_t c = 0; c < classes; c++) {
            const float *row = logit_row(d, r->value, r->mixed, l, s, c, z, y);
            if (d->o.regions)
                add_sigmoid(r->mean + c * n, row, scale, weight, n);
            else
                memcpy(r->one + c * n, row, (size_t)n * sizeof *row);
        }
        for (int64_t x = 0; x < n && !d->o.regions; x++) {
            float top = r->one[x], sum = 0;
            for (int64_t c = 1; c < classes; c++)
                top = r->one[c * n + x] > top ? r->one[c * n + x] : top;
            for (int64_t c = 0; c < classes; c++) {
                r->one[c * n + x] = expf(scale * (r->one[c * n + x] - top));
                sum += r->one[c * n + x];
            }
            for (int64_t c = 0; c < classes; c++)
                r->mean[c * n + x] += weight * r->one[c * n + x] / sum;
        }
    }
}

/* The row (z, y) by which class c is compared: probabilities with several sets, else logits. */
static const float *deciding_row(const volt_decoder *d, const rows *r, const volt_logits *l,
                                 int64_t c, int64_t z, int64_t y)
{
    return d->o.sets > 1 ? r->mean + c * d->o.to[2]
                         : logit_row(d, r->value, r->mixed, l, 0, c, z, y);
}

/* What a region must exceed to be painted. */
static float threshold(const volt_decoder *d)
{
    return d->o.sets > 1 ? 0.5f : 0; /* of probabilities, of logits */
}

/* The labels of row (z, y). */
static void label_row(const volt_decoder *d, const rows *r, uint16_t *which,
                      const volt_logits *l, int64_t z, int64_t y)
{
    const volt_resample_kernels *kernels = volt_resample_kernels_here();
    const int64_t n = d->o.to[2];

    memset(which, 0, (size_t)n * sizeof *which);
    for (int64_t c = 0; c < d->o.classes; c++) {
        const float *row = deciding_row(d, r, l, c, z, y);
        if (d->o.regions) {
            for (int64_t x = 0; x < n; x++)
                which[x] = row[x] > threshold(d) ? d->value[c] : which[x];
        } else if (c == 0) {
            memcpy(r->best, row, (size_t)n * sizeof *row);
        } else {
            kernels->larger(r->best, which, row, (uint16_t)c, n);
        }
    }
    for (int64_t x = 0; x < n && !d->o.regions; x++)
        which[x] = d->value[which[x]];
}

/* ---- boxes ---- */

static volt_status check_target(const volt_decoder *d, const volt_volume *v,
                                const int64_t at[3], volt_box part)
{
    const volt_box where = volt_box_at(at, d->o.to);

    if (!volt_box_contains(volt_box_of_shape(v->grid.n), where) ||
        !volt_box_contains(volt_box_of_shape(d->o.to), part))
        return volt_fail(VOLT_EINVAL,
                         "%lld x %lld x %lld voxels from (%lld, %lld, %lld) on exceed "
                         "%lld x %lld x %lld (z, y, x)",
                         (long long)d->o.to[0], (long long)d->o.to[1], (long long)d->o.to[2],
                         (long long)at[0], (long long)at[1], (long long)at[2],
                         (long long)v->grid.n[0], (long long)v->grid.n[1],
                         (long long)v->grid.n[2]);
    return VOLT_OK;
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

volt_status volt_decode_labels(volt_decoder *d, volt_volume *labels, const int64_t at[3],
                               volt_box part, const volt_logits *logits)
{
    const int64_t *n = labels->grid.n, x0 = part.low[2], width = part.high[2] - x0;
    volt_status st = check_target(d, labels, at, part);
    int64_t size[3];

    if (st != VOLT_OK)
        return st;
    if ((labels->dtype != VOLT_U8 && labels->dtype != VOLT_U16) || labels->grid.channels != 1 ||
        (labels->dtype == VOLT_U8 && d->most > UINT8_MAX))
        return volt_fail(VOLT_EINVAL, "labels up to %d do not fit %s with %d channel%s",
                         d->most, volt_dtype_name(labels->dtype), (int)labels->grid.channels,
                         volt_s(labels->grid.channels));
    volt_box_shape(size, part);
#pragma omp parallel for num_threads(d->o.threads) schedule(static)
    for (int64_t i = 0; i < size[0] * size[1]; i++) {
        const int64_t z = part.low[0] + i / size[1], y = part.low[1] + i % size[1];
        const rows r = rows_of(d);
        uint16_t *which = (uint16_t *)(void *)(r.value + d->o.to[2]);

        if (d->o.sets > 1)
            mean_row(d, &r, logits, z, y);
        label_row(d, &r, which, logits, z, y);
        store_row(labels, ((at[0] + z) * n[1] + at[1] + y) * n[2] + at[2] + x0, which + x0,
                  width);
    }
    return VOLT_OK;
}

volt_status volt_decode_masks(volt_decoder *d, volt_volume *masks, const int64_t at[3],
                              volt_box part, const volt_logits *logits)
{
    const int64_t *n = masks->grid.n;
    volt_status st = check_target(d, masks, at, part);
    int64_t size[3];

    if (st != VOLT_OK)
        return st;
    if (masks->dtype != VOLT_U8 || masks->grid.channels != d->o.classes || !d->o.regions)
        return volt_fail(
            VOLT_EINVAL, "masks of %lld region%s do not fit a volume of %s with %d channel%s",
            (long long)d->o.classes, volt_s(d->o.classes), volt_dtype_name(masks->dtype),
            (int)masks->grid.channels, volt_s(masks->grid.channels));
    volt_box_shape(size, part);
#pragma omp parallel for num_threads(d->o.threads) schedule(static)
    for (int64_t i = 0; i < size[0] * size[1]; i++) {
        const int64_t z = part.low[0] + i / size[1], y = part.low[1] + i % size[1];
        const rows r = rows_of(d);

        if (d->o.sets > 1)
            mean_row(d, &r, logits, z, y);
        for (int64_t c = 0; c < d->o.classes; c++) {
            const float *row = deciding_row(d, &r, logits, c, z, y);
            uint8_t *to = (uint8_t *)masks->data + c * n[0] * n[1] * n[2] +
                          ((at[0] + z) * n[1] + at[1] + y) * n[2] + at[2];
            for (int64_t x = part.low[2]; x < part.high[2]; x++)
                to[x] = row[x] > threshold(d);
        }
    }
    return VOLT_OK;
}

/* ---- probabilities ---- */

void volt_decode_norms(volt_decoder *d, float *norms, volt_box part, const volt_logits *logits)
{
    const int64_t *to = d->o.to, n = to[2];
    int64_t size[3];

    volt_box_shape(size, part);
#pragma omp parallel for num_threads(d->o.threads) schedule(static)
    for (int64_t i = 0; i < d->o.sets * size[0] * size[1]; i++) {
        const int s = (int)(i / (size[0] * size[1]));
        const int64_t z = part.low[0] + i / size[1] % size[0], y = part.low[1] + i % size[1];
        const float scale = logits[s].scale;
        const rows r = rows_of(d);
        float *top = r.best, *sum = norms + ((s * to[0] + z) * to[1] + y) * n;

        /* One pass: the sum so far is relative to the largest logit so far. */
        for (int64_t c = 0; c < d->o.classes; c++) {
            const float *row = logit_row(d, r.value, r.mixed, logits, s, c, z, y);
            for (int64_t x = 0; x < n; x++) {
                const float logit = scale * row[x];
                if (c == 0) {
                    top[x] = logit;
                    sum[x] = 1;
                } else if (logit > top[x]) {
                    sum[x] = sum[x] * expf(top[x] - logit) + 1;
                    top[x] = logit;
                } else {
                    sum[x] += expf(logit - top[x]);
                }
            }
        }
        for (int64_t x = 0; x < n; x++)
            sum[x] = top[x] + logf(sum[x]);
    }
}

volt_status volt_decode_probability(volt_decoder *d, volt_volume *out, const int64_t at[3],
                                    volt_box part, int64_t c, const volt_logits *logits,
                                    const float *norms)
{
    const int64_t *to = d->o.to, *all = out->grid.n, x0 = part.low[2], n = part.high[2] - x0;
    const float weight = 1.0f / (float)d->o.sets;
    volt_status st = check_target(d, out, at, part);
    int64_t size[3];

    if (st != VOLT_OK)
        return st;
    if (out->dtype != VOLT_F32 || out->grid.channels != 1 || c < 0 || c >= d->o.classes)
        return volt_fail(VOLT_EINVAL,
                         "the probability of class %lld does not fit a volume of %s",
                         (long long)c, volt_dtype_name(out->dtype));
    volt_box_shape(size, part);
#pragma omp parallel for num_threads(d->o.threads) schedule(static)
    for (int64_t i = 0; i < size[0] * size[1]; i++) {
        const int64_t z = part.low[0] + i / size[1], y = part.low[1] + i % size[1];
        const rows r = rows_of(d);
        float *sum =
            (float *)out->data + ((at[0] + z) * all[1] + at[1] + y) * all[2] + at[2] + x0;

        memset(sum, 0, (size_t)n * sizeof *sum);
        for (int s = 0; s < d->o.sets; s++) {
            const float scale = logits[s].scale;
            const float *row = logit_row(d, r.value, r.mixed, logits, s, c, z, y) + x0;
            const int64_t norm = ((s * to[0] + z) * to[1] + y) * to[2] + x0;
            if (d->o.regions) {
                add_sigmoid(sum, row, scale, weight, n);
                continue;
            }
            for (int64_t x = 0; x < n; x++)
                sum[x] += weight * expf(scale * row[x] - norms[norm + x]);
        }
    }
    return VOLT_OK;
}
