/* files.c - label files: images, pictures, stacks of slices; labels or grey values. */
#include <math.h>
#include <string.h>

#include "base/system/file.h"
#include "base/core/alloc.h"
#include "base/core/plural.h"
#include "base/threads.h"
#include "io/dataset/dataset_internal.h"
#include "io/image.h"
#include "io/image/names.h"
#include "volume/orient.h"

bool volt_labels_lack_geometry(const char *path)
{
    return volt_image_is_picture(path) || volt_path_is_dir(path);
}

/* One image or stack. Grey values (a float type) are one channel; of pictures in colour those
 * are the samples, if all agree, or the indices of the palette. */
static volt_status read_file(volt_volume **out, const char *path, volt_dtype dtype, int threads)
{
    volt_image_read_options options = volt_image_read_as(dtype, threads);
    volt_volume *v = NULL, *floats = NULL;
    volt_status st;

    st = volt_image_read(&v, NULL, path, &options);
    if (st != VOLT_OK && !(dtype == VOLT_F32 && st == VOLT_EDATA && volt_image_is_stack(path)))
        goto done;
    if (dtype == VOLT_F32 && (!v || v->grid.channels > 1) && volt_labels_lack_geometry(path)) {
        volt_volume_free(v);
        v = NULL;
        options.dtype = VOLT_U16;
        VOLT_TRY(st, done, volt_image_read(&v, NULL, path, &options));
        VOLT_TRY(st, done, volt_volume_convert(&floats, v, VOLT_F32, NULL, threads));
    }
    *out = floats ? floats : v;
    if (!floats)
        v = NULL;
    floats = NULL;
done:
    volt_volume_free(floats);
    volt_volume_free(v);
    return st;
}

/* -- Values ------------------------------------------------------------------------------- */

/* Replaces *v, float32 grey values, by int16 labels. */
static volt_status apply_thresholds(volt_volume **v, const volt_dataset_info *info,
                                    const char *path, int threads)
{
    const volt_volume *grey = *v;
    const int64_t voxels = volt_grid_voxels(&grey->grid) * grey->grid.channels;
    const float *value = grey->data;
    volt_volume *labels = NULL;
    int64_t bad = 0;
    int16_t *label;
    volt_status st;

    VOLT_TRY(st, done, volt_volume_create(&labels, &grey->grid, VOLT_I16));
    label = labels->data;
#pragma omp parallel for num_threads(threads) schedule(static) reduction(+ : bad)
    for (int64_t i = 0; i < voxels; i++) {
        int16_t reached = 0;
        while (reached < info->thresholds && (double)value[i] >= info->threshold[reached])
            reached++;
        label[i] = reached;
        bad += !isfinite(value[i]);
    }
    if (bad) {
        st = volt_fail(VOLT_EFORMAT, "%s is NaN or infinite in %lld voxel%s", path,
                       (long long)bad, volt_s(bad));
        goto done;
    }
    volt_volume_free(*v);
    *v = labels;
    labels = NULL;
done:
    volt_volume_free(labels);
    return st;
}

/* Replaces *v by a copy with reversed axes. */
static volt_status flip(volt_volume **v, const bool axes[3], int threads)
{
    volt_orientation o = {.from = {0, 1, 2}};
    volt_volume *turned;
    volt_status st;

    memcpy(o.flip, axes, sizeof o.flip);
    if (volt_orientation_is_identity(o))
        return VOLT_OK;
    st = volt_volume_reorient(&turned, *v, o, threads);
    if (st == VOLT_OK) {
        volt_volume_free(*v);
        *v = turned;
    }
    return st;
}

volt_status volt_labels_load(volt_volume **out, const char *path, const volt_dataset_info *info,
                             int threads)
{
    const volt_dtype dtype = info && info->thresholds ? VOLT_F32 : VOLT_I16;
    volt_volume *v = NULL;
    volt_status st;

    threads = volt_threads_or_default(threads);
    VOLT_TRY(st, done, read_file(&v, path, dtype, threads));
    if (info && volt_labels_lack_geometry(path))
        VOLT_TRY(st, done, flip(&v, info->label_flip, threads));
    if (info && info->thresholds)
        VOLT_TRY(st, done, apply_thresholds(&v, info, path, threads));
    *out = v;
    v = NULL;
done:
    volt_volume_free(v);
    return st;
}
