#include "nets3d/fingerprint.h"

#include <stdlib.h>
#include <string.h>

#include "base/core/alloc.h"
#include "base/system/tasks.h"
#include "io/dataset/case_workers.h"
#include "nets3d/plan/data_key.h"
#include "nets3d/plan/intensity_samples.h"
#include "volume/grid/crop.h"

typedef struct case_part {
    double spacing[3], relative_size;
    int64_t shape[3];
} case_part;

typedef struct extraction {
    const volt_dataset *ds;
    case_part *cases;
    volt_intensity_samples *samples;
    int64_t per_case; /* samples per channel */
} extraction;

/* The foreground inside `box`: counted, or with `values` collected from one channel. */
static int64_t foreground(float *values, const float *image, const volt_volume *labels,
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
                    values[count] = image[x];
                count++;
            }
        }
    }
    return count;
}

/* nnU-Net draws from the voxels in the order z, y, x of the box. */
static volt_status sample_channels(volt_intensity_samples *out, const volt_case_data *d,
                                   volt_box box, int64_t each)
{
    const int64_t voxels = volt_grid_voxels(&d->image->grid),
                  n = foreground(NULL, NULL, d->labels, box);
    const int channels = d->image->grid.channels;
    volt_mersenne random;
    float *values = NULL;
    volt_status st = VOLT_OK;

    if (n == 0)
        goto done;
    VOLT_TRY(st, done, volt_intensity_samples_begin(out, &random, channels, n, each));
    VOLT_TRY(st, done, volt_alloc(&values, (size_t)n * sizeof *values, "intensities"));
    for (int c = 0; c < channels; c++) {
        foreground(values, (const float *)d->image->data + c * voxels, d->labels, box);
        VOLT_TRY(st, done, volt_intensity_samples_add(out, &random, c, values, each));
    }
done:
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
    volt_box box;
    volt_status st;

    if (!c->label_file)
        return volt_fail(VOLT_EDATA, "%s: case %s has no labels", e->ds->folder, c->id);
    VOLT_TRY(st, done, volt_case_read(&d, c, &e->ds->info, threads));
    VOLT_TRY(st, done, volt_case_check_finite(c, d.image, threads));
    VOLT_TRY(st, done, volt_mask_nonzero(&mask, d.image, threads));
    box = volt_mask_box(mask, threads); /* holes do not change it */
    volt_box_shape(part->shape, box);
    volt_grid_spacing(part->spacing, &d.image->grid);
    part->relative_size =
        (double)volt_box_voxels(box) / (double)volt_grid_voxels(&d.image->grid);
    st = sample_channels(&e->samples[index], &d, box, e->per_case);
done:
    volt_volume_free(mask);
    volt_case_data_clear(&d);
    return st;
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

static volt_status pool(volt_fingerprint *fp, const extraction *e, int threads)
{
    bool any = false;
    volt_status st;

    for (int64_t i = 0; i < fp->cases; i++)
        any = any || e->samples[i].foreground > 0;
    if (!any)
        return volt_fail(VOLT_EDATA, "%s: no case has a foreground voxel (label above 0)",
                         e->ds->folder);
    VOLT_TRY(st, done, pool_cases(fp, e));
    VOLT_TRY(st, done,
             volt_alloc_zero(&fp->intensities, (size_t)fp->channels, sizeof *fp->intensities,
                             "a fingerprint"));
    st = volt_intensity_stats(fp->intensities, e->samples, fp->cases, fp->channels, e->per_case,
                              threads);
done:
    return st;
}

static void clear_parts(extraction *e)
{
    for (int64_t i = 0; e->samples && i < e->ds->cases.count; i++)
        volt_intensity_samples_clear(&e->samples[i]);
    volt_free(e->samples);
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
    volt_case_cost cost;
    volt_status st;

    if (cases < 1)
        return volt_fail(VOLT_EDATA, "%s has no training case", ds->folder);
    if (cases > VOLT_SAMPLES)
        return volt_fail(VOLT_ENOTSUP, "%s has %lld cases; %d are supported", ds->folder,
                         (long long)cases, VOLT_SAMPLES);
    e.per_case = VOLT_SAMPLES / cases;
    /* first: if a file is changed while it is read, the key no longer fits */
    VOLT_TRY(st, done, volt_data_key(&fp.data_key, ds));
    /* the image; labels, a mask, and up to 12 bytes for each foreground voxel */
    cost = (volt_case_cost){.image_copies = 1, .label_bytes = 2 + 1 + 12};
    VOLT_TRY(st, done, volt_case_workers(&tasks.workers, ds, &cost, threads));
    VOLT_TRY(st, done,
             volt_alloc_zero(&e.cases, (size_t)cases, sizeof *e.cases, "a fingerprint"));
    VOLT_TRY(st, done,
             volt_alloc_zero(&e.samples, (size_t)cases, sizeof *e.samples, "a fingerprint"));
    VOLT_TRY(st, done, volt_tasks_run(&tasks));
    VOLT_TRY(st, done, pool(&fp, &e, threads));
    *out = fp;
    fp = (volt_fingerprint){0};
done:
    clear_parts(&e);
    volt_fingerprint_clear(&fp);
    return st;
}
