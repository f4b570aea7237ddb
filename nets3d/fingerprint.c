#include "nets3d/fingerprint.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/tasks.h"
#include "nets3d/case_workers.h"
#include "volume/crop.h"

enum { MOST_VALUES = 65536, FEWEST_VALUES = 4096, ALL_VALUES = 1 << 23 };

/* A value with its weight; keys sort as the floats do. */
typedef struct ranked {
    uint32_t key;
    float weight;
} ranked;

static uint32_t key_of(float value)
{
    uint32_t bits;

    memcpy(&bits, &value, sizeof bits);
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

static float value_of(uint32_t key)
{
    const uint32_t bits = key & 0x80000000u ? key & 0x7fffffffu : ~key;
    float value;

    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Radix sort by key, four passes of a byte; `scratch` is as long as `items`. */
static void sort_ranked(ranked *items, ranked *scratch, int64_t count)
{
    ranked *from = items, *to = scratch;

    for (int shift = 0; shift < 32; shift += 8) {
        int64_t start[257] = {0};
        ranked *held = from;
        for (int64_t i = 0; i < count; i++)
            start[(from[i].key >> shift & 255) + 1]++;
        for (int b = 0; b < 256; b++)
            start[b + 1] += start[b];
        for (int64_t i = 0; i < count; i++)
            to[start[from[i].key >> shift & 255]++] = from[i];
        from = to;
        to = held;
    }
}

/* One channel of one case. */
typedef struct channel_part {
    double mean, variance;
    float min, max;
    int64_t kept;
    float *value; /* `kept` values, ascending, evenly ranked in the foreground */
} channel_part;

typedef struct case_part {
    double spacing[3], relative_size;
    int64_t shape[3];
    int64_t foreground;    /* voxels */
    channel_part *channel; /* NULL without foreground */
} case_part;

typedef struct extraction {
    const volt_dataset *ds;
    case_part *cases;
    int64_t keep; /* most values kept of a case and channel */
} extraction;

/* Statistics of n >= 1 values, which are sorted; `scratch` is as long. */
static volt_status describe(channel_part *out, ranked *values, ranked *scratch, int64_t n,
                            int64_t keep)
{
    double sum = 0, squares = 0;
    volt_status st;

    for (int64_t i = 0; i < n; i++)
        sum += value_of(values[i].key);
    out->mean = sum / (double)n;
    for (int64_t i = 0; i < n; i++) {
        const double d = value_of(values[i].key) - out->mean;
        squares += d * d;
    }
    out->variance = squares / (double)n;
    sort_ranked(values, scratch, n);
    out->min = value_of(values[0].key);
    out->max = value_of(values[n - 1].key);
    out->kept = n < keep ? n : keep;
    st = volt_alloc(&out->value, (size_t)out->kept * sizeof *out->value, "intensities");
    if (st != VOLT_OK)
        return st;
    for (int64_t i = 0; i < out->kept; i++) {
        const double rank = ((double)i + 0.5) * (double)n / (double)out->kept;
        out->value[i] = value_of(values[(int64_t)rank].key);
    }
    return VOLT_OK;
}

/* The foreground inside `box`: counted, or with `values` collected from one channel. */
static int64_t foreground(ranked *values, const float *image, const volt_volume *labels,
                          volt_box box)
{
    const int64_t *n = labels->grid.n;
    const int16_t *label = labels->data;
    int64_t count = 0;

    for (int64_t z = box.low[0]; z < box.high[0]; z++) {
        for (int64_t y = box.low[1]; y < box.high[1]; y++) {
            const int64_t row = (z * n[1] + y) * n[2];
            for (int64_t x = row + box.low[2]; x < row + box.high[2]; x++) {
                if (label[x] <= 0)
                    continue;
                if (values)
                    values[count].key = key_of(image[x]);
                count++;
            }
        }
    }
    return count;
}

static volt_status describe_channels(case_part *part, const volt_case_data *d, volt_box box,
                                     int64_t keep)
{
    const int64_t voxels = volt_grid_voxels(&d->image->grid), n = part->foreground;
    const int channels = d->image->grid.channels;
    ranked *values = NULL, *scratch = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_alloc(&values, (size_t)n * sizeof *values, "intensities"));
    VOLT_TRY(st, done, volt_alloc(&scratch, (size_t)n * sizeof *scratch, "intensities"));
    VOLT_TRY(st, done,
             volt_alloc_zero(&part->channel, (size_t)channels, sizeof *part->channel,
                             "intensities"));
    for (int c = 0; c < channels; c++) {
        foreground(values, (const float *)d->image->data + c * voxels, d->labels, box);
        VOLT_TRY(st, done, describe(&part->channel[c], values, scratch, n, keep));
    }
done:
    volt_free(scratch);
    volt_free(values);
    return st;
}

static volt_status extract_case(void *context, int64_t index, int threads)
{
    const extraction *e = context;
    const volt_case *c = &e->ds->cases.item[index];
    case_part *part = &e->cases[index];
    volt_case_data d = {0};
    volt_volume *mask = NULL;
    volt_value_range range;
    volt_box box;
    volt_status st;

    if (!c->label_file)
        return volt_fail(VOLT_EDATA, "case %s has no labels", c->id);
    VOLT_TRY(st, done, volt_case_read(&d, c, &e->ds->info, threads));
    range = volt_volume_range(d.image, threads);
    if (range.not_finite > 0) {
        st = volt_fail(VOLT_EDATA, "case %s has %lld voxels that are NaN or infinite", c->id,
                       (long long)range.not_finite);
        goto done;
    }
    VOLT_TRY(st, done, volt_mask_nonzero(&mask, d.image, threads));
    box = volt_mask_box(mask, threads); /* holes do not change it */
    volt_box_shape(part->shape, box);
    volt_grid_spacing(part->spacing, &d.image->grid);
    part->relative_size =
        (double)volt_box_voxels(box) / (double)volt_grid_voxels(&d.image->grid);
    part->foreground = foreground(NULL, NULL, d.labels, box);
    if (part->foreground > 0)
        st = describe_channels(part, &d, box, e->keep);
done:
    volt_volume_free(mask);
    volt_case_data_clear(&d);
    return st;
}

/* Smallest value at or below which lies `share` of the weight. */
static double weighted_quantile(const ranked *sorted, int64_t count, double total, double share)
{
    double below = 0;
    int64_t i = 0;

    for (; i < count - 1; i++) {
        below += sorted[i].weight;
        if (below >= share * total)
            break;
    }
    return value_of(sorted[i].key);
}

static volt_status pool_quantiles(volt_foreground_stats *out, const extraction *e, int channel)
{
    ranked *all = NULL, *scratch = NULL;
    int64_t count = 0;
    double total = 0;
    volt_status st;

    for (int64_t i = 0; i < e->ds->cases.count; i++)
        count += e->cases[i].channel ? e->cases[i].channel[channel].kept : 0;
    VOLT_TRY(st, done, volt_alloc(&all, (size_t)count * sizeof *all, "intensities"));
    VOLT_TRY(st, done, volt_alloc(&scratch, (size_t)count * sizeof *scratch, "intensities"));
    count = 0;
    for (int64_t i = 0; i < e->ds->cases.count; i++) {
        const channel_part *p = e->cases[i].channel ? &e->cases[i].channel[channel] : NULL;
        for (int64_t k = 0; p && k < p->kept; k++)
            all[count++] = (ranked){key_of(p->value[k]), 1.0f / (float)p->kept};
    }
    sort_ranked(all, scratch, count);
    for (int64_t i = 0; i < count; i++)
        total += all[i].weight;
    out->percentile_00_5 = weighted_quantile(all, count, total, 0.005);
    out->median = weighted_quantile(all, count, total, 0.5);
    out->percentile_99_5 = weighted_quantile(all, count, total, 0.995);
done:
    volt_free(scratch);
    volt_free(all);
    return st;
}

/* Every case with foreground weighs the same. */
static void pool_moments(volt_foreground_stats *out, const extraction *e, int channel)
{
    const int64_t cases = e->ds->cases.count;
    double mean = 0, variance = 0;
    int64_t used = 0;

    out->min = INFINITY;
    out->max = -INFINITY;
    for (int64_t i = 0; i < cases; i++) {
        const channel_part *p = e->cases[i].channel ? &e->cases[i].channel[channel] : NULL;
        if (!p)
            continue;
        used++;
        mean += p->mean;
        out->min = fmin(out->min, p->min);
        out->max = fmax(out->max, p->max);
    }
    mean /= (double)used;
    for (int64_t i = 0; i < cases; i++) {
        const channel_part *p = e->cases[i].channel ? &e->cases[i].channel[channel] : NULL;
        if (p)
            variance += p->variance + (p->mean - mean) * (p->mean - mean);
    }
    out->mean = mean;
    out->std = sqrt(variance / (double)used);
}

static int compare_doubles(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Shapes, spacings and the median of the relative sizes. */
static volt_status pool_cases(volt_fingerprint *fp, const extraction *e)
{
    const size_t cases = (size_t)fp->cases;
    double *sizes = NULL;
    volt_status st;

    VOLT_TRY(st, done,
             volt_alloc_zero(&fp->spacings, cases, sizeof *fp->spacings, "a fingerprint"));
    VOLT_TRY(st, done,
             volt_alloc_zero(&fp->shapes_after_crop, cases, sizeof *fp->shapes_after_crop,
                             "a fingerprint"));
    VOLT_TRY(st, done, volt_alloc_zero(&sizes, cases, sizeof *sizes, "a fingerprint"));
    for (size_t i = 0; i < cases; i++) {
        memcpy(fp->spacings[i], e->cases[i].spacing, sizeof fp->spacings[i]);
        memcpy(fp->shapes_after_crop[i], e->cases[i].shape, sizeof fp->shapes_after_crop[i]);
        sizes[i] = e->cases[i].relative_size;
    }
    qsort(sizes, cases, sizeof *sizes, compare_doubles);
    fp->median_relative_size_after_cropping = (sizes[(cases - 1) / 2] + sizes[cases / 2]) / 2;
done:
    volt_free(sizes);
    return st;
}

static volt_status pool(volt_fingerprint *fp, const extraction *e)
{
    bool any = false;
    volt_status st;

    for (int64_t i = 0; i < fp->cases; i++)
        any = any || e->cases[i].channel;
    if (!any)
        return volt_fail(VOLT_EDATA, "%s: no case has a foreground voxel (label above 0)",
                         e->ds->folder);
    VOLT_TRY(st, done, pool_cases(fp, e));
    VOLT_TRY(st, done,
             volt_alloc_zero(&fp->intensities, (size_t)fp->channels, sizeof *fp->intensities,
                             "a fingerprint"));
    for (int c = 0; c < fp->channels; c++) {
        pool_moments(&fp->intensities[c], e, c);
        VOLT_TRY(st, done, pool_quantiles(&fp->intensities[c], e, c));
    }
done:
    return st;
}

static void clear_parts(extraction *e)
{
    for (int64_t i = 0; e->cases && i < e->ds->cases.count; i++) {
        channel_part *channel = e->cases[i].channel;
        for (int c = 0; channel && c < e->ds->info.channels; c++)
            volt_free(channel[c].value);
        volt_free(channel);
    }
    volt_free(e->cases);
}

volt_status volt_fingerprint_extract(volt_fingerprint *out, const volt_dataset *ds, int threads,
                                     const volt_callbacks *callbacks)
{
    const int64_t cases = ds->cases.count;
    extraction e = {.ds = ds};
    volt_tasks tasks = {.run = extract_case,
                        .context = &e,
                        .count = cases,
                        .threads = threads,
                        .what = "cases",
                        .callbacks = callbacks};
    volt_fingerprint fp = {.cases = cases, .channels = ds->info.channels};
    volt_status st;

    if (cases < 1)
        return volt_fail(VOLT_EDATA, "%s has no training case", ds->folder);
    e.keep = ALL_VALUES / cases;
    e.keep = e.keep < FEWEST_VALUES ? FEWEST_VALUES
             : e.keep > MOST_VALUES ? MOST_VALUES
                                    : e.keep;
    /* the image; labels, a mask, and 16 bytes for each foreground voxel */
    tasks.workers = volt_case_workers(ds, 1, 2 + 1 + 16, NULL, threads);
    VOLT_TRY(st, done,
             volt_alloc_zero(&e.cases, (size_t)cases, sizeof *e.cases, "a fingerprint"));
    VOLT_TRY(st, done, volt_tasks_run(&tasks));
    VOLT_TRY(st, done, pool(&fp, &e));
    *out = fp;
    fp = (volt_fingerprint){0};
done:
    clear_parts(&e);
    volt_fingerprint_clear(&fp);
    return st;
}
