/* Preprocesses one scan, in nnU-Net's order. */
#include "nets3d/data/preprocess_case.h"
#include "nets3d/plan/plan_internal.h"

#include <assert.h>
#include <string.h>

#include "base/core/alloc.h"
#include "base/core/plural.h"
#include "base/threads.h"
#include "io/case_store.h"
#include "volume/grid/crop.h"
#include "volume/normalize.h"
#include "volume/orient.h"
#include "volume/resample.h"

void volt_preprocessed_clear(volt_preprocessed *p)
{
    volt_volume_free(p->image);
    volt_volume_free(p->labels);
    *p = (volt_preprocessed){0};
}

/* Frees *v and puts `with` in its place. */
static void replace(volt_volume **v, volt_volume *with)
{
    volt_volume_free(*v);
    *v = with;
}

static volt_status check_image(const volt_volume *image, const volt_volume *labels,
                               const volt_plan *plan, const char *what, int threads)
{
    volt_value_range range;

    if (image->grid.channels != plan->channels)
        return volt_fail(VOLT_EDATA, "%s has %d channel%s; the plan has %d", what,
                         image->grid.channels, volt_s(image->grid.channels), plan->channels);
    if (image->dtype != VOLT_F32 || (labels && labels->dtype != VOLT_I16))
        return volt_fail(VOLT_EINVAL,
                         "%s: %s image and %s labels; float32 and int16 are"
                         " expected",
                         what, volt_dtype_name(image->dtype),
                         labels ? volt_dtype_name(labels->dtype) : "no");
    for (int a = 0; labels && a < 3; a++) {
        if (labels->grid.n[a] != image->grid.n[a])
            return volt_fail(VOLT_EDATA,
                             "%s: the labels have %lld voxel%s along %c, the image %lld", what,
                             (long long)labels->grid.n[a], volt_s(labels->grid.n[a]), "zyx"[a],
                             (long long)image -> grid.n[a]);
    }
    range = volt_volume_range(image, threads);
    if (range.not_finite > 0)
        return volt_fail(VOLT_EDATA, "%s is NaN or infinite in %lld voxel%s", what,
                         (long long)range.not_finite, volt_s(range.not_finite));
    return VOLT_OK;
}

/* int8 unless a label needs more. */
static volt_status shrink_labels(volt_volume **labels, int threads)
{
    volt_volume *small = NULL;
    volt_value_range range;
    volt_status st;

    if (!*labels)
        return VOLT_OK;
    range = volt_volume_range(*labels, threads);
    if (range.min < INT8_MIN || range.max > INT8_MAX)
        return VOLT_OK;
    st = volt_volume_convert(&small, *labels, VOLT_I8, NULL, threads);
    if (st == VOLT_OK)
        replace(labels, small);
    return st;
}

static volt_status transpose(volt_volume **v, const int order[3], int threads)
{
    volt_orientation o;
    volt_volume *transposed = NULL;
    volt_status st = VOLT_OK;

    if (!*v)
        return VOLT_OK;
    VOLT_TRY(st, done, volt_orientation_transpose(&o, order));
    if (volt_orientation_is_identity(o))
        goto done;
    VOLT_TRY(st, done, volt_volume_reorient(&transposed, *v, o, threads));
    replace(v, transposed);
done:
    return st;
}

/* Crops image and labels to where any channel is not zero; labels become -1 outside the mask.
 * *mask (the caller owns it) is 1 where z-scores with use_mask_for_norm apply. */
static volt_status crop_to_nonzero(volt_preprocessed *p, volt_volume **mask, int threads)
{
    volt_volume *inside = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_mask_nonzero(mask, p->image, threads));
    VOLT_TRY(st, done, volt_mask_fill_holes(*mask));
    p->crop = volt_mask_box(*mask, threads);
    VOLT_TRY(st, done, volt_volume_crop_in_place(p->image, p->crop));
    VOLT_TRY(st, done, volt_volume_crop_in_place(*mask, p->crop));
    if (p->labels) {
        VOLT_TRY(st, done, volt_volume_crop_in_place(p->labels, p->crop));
        VOLT_TRY(st, done, volt_labels_mark_outside(p->labels, *mask, threads));
        VOLT_TRY(st, done, volt_mask_inside(&inside, p->labels, threads));
        replace(mask, inside);
    }
done:
    return st;
}

static volt_status normalize(volt_preprocessed *p, const volt_volume *mask,
                             const volt_plan *plan, const volt_plan_config *config, int threads)
{
    const int64_t voxels = volt_grid_voxels(&p->image->grid);
    volt_status st = VOLT_OK;

    for (int c = 0; c < plan->channels && st == VOLT_OK; c++) {
        const volt_foreground_stats *s = &plan->intensities[c];
        const volt_intensity ct = {s->mean, s->std, s->percentile_00_5, s->percentile_99_5};
        st = volt_normalize((float *)p->image->data + c * voxels, voxels, config->norm[c], &ct,
                            config->use_mask_for_norm[c] ? mask->data : NULL, threads);
    }
    return st;
}

static volt_status resample(volt_preprocessed *p, const volt_plan_config *config, int threads)
{
    const double *from = p->spacing_before;
    volt_volume *resampled = NULL;
    int64_t shape[3];
    volt_status st;

    for (int a = 0; a < 3; a++) /* 2-D configurations do not resample across slices */
        p->spacing[a] = config->axes == 2 && a == 0 ? from[0] : config->spacing[a];
    VOLT_TRY(st, done, volt_resample_shape(shape, p->image->grid.n, from, p->spacing));
    if (memcmp(shape, p->image->grid.n, sizeof shape) == 0)
        goto done;
    VOLT_TRY(st, done,
             volt_resample_image(&resampled, p->image, shape, config->data.order,
                                 volt_plan_separate_axis(&config->data, from, p->spacing),
                                 threads));
    replace(&p->image, resampled);
    if (p->labels) {
        VOLT_TRY(st, done,
                 volt_resample_labels(&resampled, p->labels, shape, config->seg.order,
                                      volt_plan_separate_axis(&config->seg, from, p->spacing),
                                      threads));
        replace(&p->labels, resampled);
    }
done:
    return st;
}

volt_status volt_preprocess_case(volt_preprocessed *out, volt_volume **image,
                                 volt_volume **labels, const volt_plan *plan,
                                 const volt_plan_config *config, const char *what, int threads)
{
    volt_preprocessed p = {.image = *image, .labels = labels ? *labels : NULL};
    volt_volume *mask = NULL;
    volt_status st;

    *image = NULL;
    if (labels)
        *labels = NULL;
    VOLT_TRY(st, done, check_image(p.image, p.labels, plan, what, threads));
    VOLT_TRY(st, done, shrink_labels(&p.labels, threads));
    p.source = p.image->grid;
    memcpy(p.transpose_forward, config->transpose_forward, sizeof p.transpose_forward);
    VOLT_TRY(st, done, transpose(&p.image, config->transpose_forward, threads));
    VOLT_TRY(st, done, transpose(&p.labels, config->transpose_forward, threads));
    memcpy(p.shape_before_crop, p.image->grid.n, sizeof p.shape_before_crop);
    volt_grid_spacing(p.spacing_before, &p.image->grid);
    VOLT_TRY(st, done, crop_to_nonzero(&p, &mask, threads));
    VOLT_TRY(st, done, normalize(&p, mask, plan, config, threads));
    volt_volume_free(mask);
    mask = NULL;
    VOLT_TRY(st, done, resample(&p, config, threads));
    *out = p;
    p = (volt_preprocessed){0};
done:
    volt_volume_free(mask);
    volt_preprocessed_clear(&p);
    return st;
}

static volt_status check_mask(const volt_volume *mask, const volt_grid *scan, int classes,
                              const char *what, int threads)
{
    const volt_value_range range = volt_volume_range(mask, threads);

    if (mask->grid.channels != 1 || mask->dtype != VOLT_I16)
        return volt_fail(VOLT_EINVAL,
                         "%s: a mask with %d channel%s of type %s; 1 of int16 is expected",
                         what, mask->grid.channels, volt_s(mask->grid.channels),
                         volt_dtype_name(mask->dtype));
    for (int a = 0; a < 3; a++) {
        if (mask->grid.n[a] != scan->n[a])
            return volt_fail(VOLT_EDATA, "%s has %lld voxel%s along %c, its scan %lld", what,
                             (long long)mask->grid.n[a], volt_s(mask->grid.n[a]), "zyx"[a],
                             (long long)scan -> n[a]);
    }
    if (range.min < 0 || range.max >= classes)
        return volt_fail(VOLT_EDATA, "%s has labels from %g to %g; the plan has 0 to %d", what,
                         range.min, range.max, classes - 1);
    return VOLT_OK;
}

volt_status volt_preprocess_mask(volt_volume **mask, const volt_preprocessed *frame,
                                 const int64_t shape[3], const volt_plan_config *config,
                                 int classes, const char *what, int threads)
{
    const int axis =
        volt_plan_separate_axis(&config->seg, frame->spacing_before, frame->spacing);
    volt_volume *v = *mask, *resampled = NULL;
    volt_status st;

    *mask = NULL;
    VOLT_TRY(st, done, check_mask(v, &frame->source, classes, what, threads));
    VOLT_TRY(st, done, shrink_labels(&v, threads));
    VOLT_TRY(st, done, transpose(&v, frame->transpose_forward, threads));
    VOLT_TRY(st, done, volt_volume_crop_in_place(v, frame->crop));
    assert(v);
    if (memcmp(shape, v->grid.n, sizeof v->grid.n) != 0) {
        VOLT_TRY(st, done,
                 volt_resample_labels(&resampled, v, shape, config->seg.order, axis, threads));
        replace(&v, resampled);
    }
    *mask = v;
    v = NULL;
done:
    volt_volume_free(v);
    return st;
}

volt_status volt_preprocessed_add_masks(volt_preprocessed *p, int classes, int threads)
{
    const int64_t voxels = volt_grid_voxels(&p->image->grid);
    const int channels = p->image->grid.channels;
    volt_grid grid = p->image->grid;
    volt_volume *all = NULL;
    float *mask;
    volt_status st;

    grid.channels = channels + classes - 1;
    st = volt_volume_create(&all, &grid, VOLT_F32);
    if (st != VOLT_OK)
        return st;
    memcpy(all->data, p->image->data, volt_volume_bytes(p->image));
    mask = (float *)all->data + channels * voxels;
    threads = volt_threads_or_default(threads);
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t i = 0; i < voxels; i++) {
        const int label = p->labels->dtype == VOLT_I8 ? ((const int8_t *)p->labels->data)[i]
                                                      : ((const int16_t *)p->labels->data)[i];
        if (label > 0 && label < classes)
            mask[(label - 1) * voxels + i] = 1;
    }
    replace(&p->image, all);
    replace(&p->labels, NULL);
    return VOLT_OK;
}

volt_status volt_preprocessed_path(char **out, const char *folder, const char *case_id)
{
    return volt_format(out, "%s/%s" VOLT_CASE_SUFFIX, folder, case_id);
}
