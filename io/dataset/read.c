/* read.c - the voxels of a case. */
#include "io/dataset.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/core/alloc.h"
#include "base/core/plural.h"
#include "base/threads.h"
#include "io/dataset/dataset_internal.h"
#include "io/image/names.h"
#include "volume/orient.h"
#include "volume/resample_to_grid.h"

enum { VALUES = 65536, THICKNESS_2D = 999 }; /* of int16; nnU-Net's */
static const double same_grid_mm = 1e-3;

void volt_case_data_clear(volt_case_data *data)
{
    volt_volume_free(data->image);
    volt_volume_free(data->labels);
    volt_image_header_free(data->header);
    *data = (volt_case_data){0};
}

volt_status volt_grids_match(const volt_grid *a, const char *a_file, const volt_grid *b,
                             const char *b_file)
{
    double mm_a[3], mm_b[3];

    for (int i = 0; i < 3; i++) {
        const char axis = "zyx"[i];
        if (a->n[i] != b->n[i])
            return volt_fail(
                VOLT_EDATA, "%s has %lld voxel%s along %c, %s has %lld: they must agree",
                b_file, (long long)b->n[i], volt_s(b->n[i]), axis, a_file, (long long)a->n[i]);
    }
    volt_grid_spacing(mm_a, a);
    volt_grid_spacing(mm_b, b);
    for (int i = 0; i < 3; i++) {
        const char axis = "zyx"[i];
        if (fabs(mm_a[i] - mm_b[i]) > 1e-8 + 1e-5 * fabs(mm_a[i])) /* numpy's allclose */
            return volt_fail(
                VOLT_EDATA,
                "%s has a spacing of %.9g mm along %c, %s has %.9g: they must agree", b_file,
                mm_b[i], axis, a_file, mm_a[i]);
    }
    return VOLT_OK;
}

/* Row r of the displacement of corner `corner` from a to b, in mm. */
static double displacement(const volt_grid *a, const volt_grid *b, int corner, int r)
{
    double mm = b->to_world[r][3] - a->to_world[r][3];

    for (int x = 0; x < 3; x++) {
        const double at = corner >> x & 1 ? (double)(a->n[2 - x] - 1) : 0;
        mm += at * (b->to_world[r][x] - a->to_world[r][x]);
    }
    return mm;
}

bool volt_grids_shifted(double *mm, const volt_grid *a, const volt_grid *b)
{
    double spacing[3]; /* z, y, x; columns are x, y, z */
    bool shifted = false;

    *mm = 0;
    volt_grid_spacing(spacing, a);
    for (int corner = 0; corner < 8; corner++) {
        double d[3];
        for (int r = 0; r < 3; r++)
            d[r] = displacement(a, b, corner, r);
        *mm = fmax(*mm, sqrt(d[0] * d[0] + d[1] * d[1] + d[2] * d[2]));
        for (int x = 0; x < 3; x++) {
            const double along =
                d[0] * a->to_world[0][x] + d[1] * a->to_world[1][x] + d[2] * a->to_world[2][x];
            shifted = shifted || fabs(along) > 1.001 * spacing[2 - x] * spacing[2 - x];
        }
    }
    return shifted;
}

static volt_status refuse_shift(const volt_grid *a, const char *a_file, const volt_grid *b,
                                const char *b_file)
{
    double mm;

    if (volt_image_is_picture(a_file) || !volt_grids_shifted(&mm, a, b))
        return VOLT_OK;
    return volt_fail(VOLT_EDATA, "%s lies %.4g mm away from %s", b_file, mm, a_file);
}

volt_grid volt_case_grid(const volt_image_header *header)
{
    volt_grid grid = header->grid;
    double mm[3];

    volt_grid_spacing(mm, &grid);
    for (int r = 0; header->is_2d && r < 3; r++)
        grid.to_world[r][2] *= THICKNESS_2D * fmax(mm[1], mm[2]) / mm[0];
    return grid;
}

/* Moves a volume that was read with `header` to volt_case_grid. */
static void thicken(volt_volume *v, const volt_image_header *header)
{
    const volt_grid grid = volt_case_grid(header);

    if (header->is_2d)
        memcpy(v->grid.to_world, grid.to_world, sizeof grid.to_world);
}

/* One file with all channels. */
static volt_status read_whole(volt_case_data *data, const volt_case *c, int channels,
                              int threads)
{
    const volt_image_read_options options = volt_image_read_as(VOLT_F32, threads);
    char expected[40];
    volt_status st = volt_image_read(&data->image, &data->header, c->file[0], &options);

    snprintf(expected, sizeof expected, "%d %s expected", channels,
             channels == 1 ? "is" : "are");
    if (st == VOLT_OK)
        st = volt_channels_fit(data->image, data->header, c->file[0], channels, expected);
    return st;
}

/* Another channel, which must be on the grid of the first one or is resampled to it. */
static volt_status fit_channel(volt_volume **one, const char *file, const volt_volume *image,
                               const char *first, const volt_dataset_info *info, int threads)
{
    volt_grid grid = image->grid;
    volt_volume *moved;
    volt_status st;

    if (!info->resample_channels)
        return volt_grids_match(&grid, first, &(*one)->grid, file);
    grid.channels = 1;
    if (volt_grid_same(&grid, &(*one)->grid, same_grid_mm))
        return VOLT_OK;
    st = volt_resample_to_grid(&moved, *one, &grid, VOLT_LINEAR, 0, threads);
    if (st == VOLT_OK) {
        volt_volume_free(*one);
        *one = moved;
    }
    return st;
}

/* Records that channel `i`, of the same size as the image, lies elsewhere. */
static void note_shift(volt_case_data *data, int i, const volt_grid *grid, const char *file)
{
    double mm;

    if (volt_image_is_picture(file) || !volt_grids_shifted(&mm, &data->image->grid, grid))
        return;
    data->shifted = i;
    data->shift_mm = mm;
}

/* One file per channel. */
static volt_status read_channels(volt_case_data *data, const volt_case *c,
                                 const volt_dataset_info *info, int threads)
{
    const volt_image_read_options options = volt_image_read_as(VOLT_F32, threads);
    volt_image_header *header = NULL;
    volt_volume *one = NULL;
    char expected[60];
    volt_grid grid;
    volt_status st = VOLT_OK;

    snprintf(expected, sizeof expected, "a single channel of %d is expected", c->files);
    if (c->files != info->channels)
        return volt_fail(VOLT_EDATA, "case %s has %d file%s for %d channel%s: %s ...", c->id,
                         c->files, volt_s(c->files), info->channels, volt_s(info->channels),
                         c->file[0]);
    for (int i = 0; i < c->files; i++) {
        VOLT_TRY(st, done, volt_image_read(&one, &header, c->file[i], &options));
        VOLT_TRY(st, done, volt_channels_fit(one, header, c->file[i], 1, expected));
        if (i == 0) {
            data->header = header;
            header = NULL;
        }
        volt_image_header_free(header);
        header = NULL;
        if (i == 0) {
            grid = one->grid;
            grid.channels = c->files;
            VOLT_TRY(st, done, volt_volume_create(&data->image, &grid, VOLT_F32));
        } else {
            VOLT_TRY(st, done,
                     fit_channel(&one, c->file[i], data->image, c->file[0], info, threads));
        }
        note_shift(data, i, &one->grid, c->file[i]);
        memcpy((float *)data->image->data + i * volt_grid_voxels(&one->grid), one->data,
               volt_volume_bytes(one));
        volt_volume_free(one);
        one = NULL;
    }
done:
    volt_image_header_free(header);
    volt_volume_free(one);
    return st;
}

/* -- Labels ------------------------------------------------------------------------------- */

/* The value in training of each value of the label files; -1: the data set has labels, but not
 * this one. Its label values are not negative, so no file can hold one that is taken for -1. */
static void trained_of(int32_t *to, const volt_dataset_info *info)
{
    for (int i = 0; i < VALUES; i++)
        to[i] = info->labels > 0 || i > INT16_MAX ? -1 : i;
    for (int l = 0; l < info->labels; l++)
        to[info->stored ? info->stored[l] : info->label[l].value] = info->label[l].value;
    if (info->ignore_label >= 0)
        to[info->stored ? info->stored_ignore : info->ignore_label] = info->ignore_label;
}

static volt_status fail_unnamed(const volt_volume *labels, int16_t value, const char *file)
{
    const int64_t voxels = volt_grid_voxels(&labels->grid);
    const int16_t *voxel = labels->data;
    int64_t n = 0;

    for (int64_t i = 0; i < voxels; i++)
        n += voxel[i] == value;
    return volt_fail(VOLT_EDATA,
                     "%s has label %d in %lld voxel%s, which the data set's labels do not name",
                     file, value, (long long)n, volt_s(n));
}

/* Translates the values of the label files to those of training. */
static volt_status translate(volt_volume *labels, const volt_dataset_info *info,
                             const char *file, int threads)
{
    const int64_t voxels = volt_grid_voxels(&labels->grid);
    int16_t *voxel = labels->data;
    int32_t *to = NULL;
    int64_t unknown = voxels;
    volt_status st;

    VOLT_TRY(st, done, volt_alloc(&to, VALUES * sizeof *to, "a table of labels"));
    trained_of(to, info);
#pragma omp parallel for num_threads(threads) schedule(static) reduction(min : unknown)
    for (int64_t i = 0; i < voxels; i++) {
        const int32_t value = to[(uint16_t)voxel[i]];
        if (value < 0)
            unknown = i < unknown ? i : unknown;
        else if (info->stored)
            voxel[i] = (int16_t)value;
    }
    if (unknown < voxels)
        st = fail_unnamed(labels, voxel[unknown], file);
done:
    volt_free(to);
    return st;
}

volt_status volt_label_grid_match(const volt_grid *image, const char *image_file,
                                  const volt_grid *labels, const char *label_file,
                                  const volt_dataset_info *info)
{
    volt_grid of_image = *image;

    if (!info->labels_follow_image && !volt_labels_lack_geometry(label_file)) {
        const volt_status st = volt_grids_match(image, image_file, labels, label_file);
        return st == VOLT_OK && !info->allow_shift
                   ? refuse_shift(image, image_file, labels, label_file)
                   : st;
    }
    memcpy(of_image.n, labels->n, sizeof of_image.n); /* only sizes must agree */
    return memcmp(of_image.n, image->n, sizeof of_image.n) == 0
               ? VOLT_OK
               : volt_grids_match(image, image_file, &of_image, label_file);
}

/* `grid` is the image's as read. */
static volt_status read_labels(volt_case_data *data, const volt_case *c, volt_grid grid,
                               const volt_dataset_info *info, int threads)
{
    volt_status st;

    VOLT_TRY(st, done, volt_labels_load(&data->labels, c->label_file, info, threads));
    if (data->labels->grid.channels != 1) {
        st = volt_fail(VOLT_EDATA, "%s has %d channels; labels have one", c->label_file,
                       data->labels->grid.channels);
        goto done;
    }
    VOLT_TRY(
        st, done,
        volt_label_grid_match(&grid, c->file[0], &data->labels->grid, c->label_file, info));
    grid.channels = 1; /* voxel by voxel, whatever the matrix of their file */
    data->labels->grid = grid;
    st = translate(data->labels, info, c->label_file, volt_threads_or_default(threads));
done:
    return st;
}

/* -- Orientation -------------------------------------------------------------------------- */

static volt_status turn(volt_volume **v, volt_orientation o, int threads)
{
    volt_volume *turned;
    volt_status st;

    if (!*v || volt_orientation_is_identity(o))
        return VOLT_OK;
    st = volt_volume_reorient(&turned, *v, o, threads);
    if (st == VOLT_OK) {
        volt_volume_free(*v);
        *v = turned;
    }
    return st;
}

/* Reorients a volume read on `grid` to the data set's common orientation, if any. */
static volt_status turn_to(volt_volume **v, const volt_grid *grid, const char *codes,
                           int threads)
{
    volt_orientation o;
    volt_status st;

    if (!*codes)
        return VOLT_OK;
    st = volt_orientation_to(&o, grid, codes);
    return st == VOLT_OK ? turn(v, o, threads) : st;
}

/* -- Both --------------------------------------------------------------------------------- */

volt_status volt_case_read(volt_case_data *out, const volt_case *c,
                           const volt_dataset_info *info, int threads)
{
    volt_case_data data = {0};
    volt_grid grid;
    volt_status st;

    if (c->files < 1)
        return volt_fail(VOLT_EDATA, "case %s has no image", c->id);
    if (c->files == 1)
        VOLT_TRY(st, done, read_whole(&data, c, info->channels, threads));
    else
        VOLT_TRY(st, done, read_channels(&data, c, info, threads));
    grid = data.image->grid;
    thicken(data.image, data.header);
    /* In sequence, so that no labels are in memory while the image is copied. */
    VOLT_TRY(st, done, turn_to(&data.image, &grid, info->orientation, threads));
    if (c->label_file) {
        VOLT_TRY(st, done, read_labels(&data, c, grid, info, threads));
        thicken(data.labels, data.header);
        VOLT_TRY(st, done, turn_to(&data.labels, &grid, info->orientation, threads));
    }
    *out = data;
    data = (volt_case_data){0};
done:
    volt_case_data_clear(&data);
    return st;
}

volt_status volt_case_check_finite(const volt_case *c, const volt_volume *image, int threads)
{
    const size_t bytes = volt_volume_bytes(image) / (size_t)image->grid.channels;
    volt_volume channel = *image;

    channel.grid.channels = 1;
    for (int i = 0; i < image->grid.channels; i++) {
        volt_value_range range;

        channel.data = (char *)image->data + (size_t)i * bytes;
        range = volt_volume_range(&channel, threads);
        if (range.not_finite > 0)
            return volt_fail(VOLT_EDATA, "%s is NaN or infinite in %lld voxel%s",
                             c->file[i < c->files ? i : 0], (long long)range.not_finite,
                             volt_s(range.not_finite));
    }
    return VOLT_OK;
}

/* -- Masks to write --------------------------------------------------------------- */

const char *volt_mask_ending(const volt_dataset_info *info)
{
    if (volt_image_holds_masks(info->file_ending))
        return info->file_ending;
    return volt_image_is_picture(info->file_ending) ? ".png" : ".nii.gz";
}

/* The stored value of each label; -1: not a label. */
static void stored_of(int32_t *to, const volt_dataset_info *info)
{
    for (int i = 0; i < VALUES; i++)
        to[i] = -1;
    for (int l = 0; l < info->labels; l++)
        to[info->label[l].value] = info->stored[l];
}

/* Label `i` of a mask of uint8, uint16 or int16. */
static int32_t mask_value(const volt_volume *mask, int64_t i)
{
    if (mask->dtype == VOLT_U8)
        return ((const uint8_t *)mask->data)[i];
    if (mask->dtype == VOLT_U16)
        return ((const uint16_t *)mask->data)[i];
    return ((const int16_t *)mask->data)[i];
}

static volt_status store_labels(volt_volume **mask, const volt_dataset_info *info, int threads)
{
    const int64_t voxels = volt_grid_voxels(&(*mask)->grid);
    const volt_volume *from = *mask;
    volt_volume *made = NULL;
    int32_t *to = NULL, highest = 0;
    int64_t unknown = voxels;
    volt_status st;

    if (from->dtype != VOLT_U8 && from->dtype != VOLT_U16 && from->dtype != VOLT_I16)
        return volt_fail(VOLT_EINVAL, "the mask is %s; uint8, uint16 or int16 is expected",
                         volt_dtype_name(from->dtype));
    for (int l = 0; l < info->labels; l++)
        highest = info->stored[l] > highest ? info->stored[l] : highest;
    VOLT_TRY(st, done, volt_alloc(&to, VALUES * sizeof *to, "a table of labels"));
    stored_of(to, info);
    VOLT_TRY(st, done,
             volt_volume_create(&made, &from->grid, highest < 256 ? VOLT_U8 : VOLT_U16));
#pragma omp parallel for num_threads(threads) schedule(static) reduction(min : unknown)
    for (int64_t i = 0; i < voxels; i++) {
        const int32_t value = mask_value(from, i);
        const int32_t stored = value < 0 ? -1 : to[value];
        if (stored == -1 && i < unknown)
            unknown = i;
        if (made->dtype == VOLT_U8)
            ((uint8_t *)made->data)[i] = (uint8_t)stored;
        else
            ((uint16_t *)made->data)[i] = (uint16_t)stored;
    }
    if (unknown < voxels) {
        st = volt_fail(VOLT_EINVAL, "the mask has the value %d, which is not a label",
                       mask_value(from, unknown));
        goto done;
    }
    volt_volume_free(*mask);
    *mask = made;
    made = NULL;
done:
    volt_free(to);
    volt_volume_free(made);
    return st;
}

/* Undoes turn_to for a mask. */
static volt_status turn_back(volt_volume **mask, const char *codes,
                             const volt_image_header *header, int threads)
{
    volt_grid own = header->grid;
    volt_orientation o;
    volt_volume *back;
    volt_status st;

    VOLT_TRY(st, done, volt_orientation_to(&o, &own, codes));
    if (volt_orientation_is_identity(o))
        goto done;
    own.channels = (*mask)->grid.channels;
    VOLT_TRY(st, done, volt_volume_reorient_back(&back, *mask, o, &own, threads));
    volt_volume_free(*mask);
    *mask = back;
done:
    return st;
}

volt_status volt_mask_restore(volt_volume **mask, const volt_dataset_info *info,
                              const volt_image_header *header, int threads)
{
    volt_status st = VOLT_OK;

    threads = volt_threads_or_default(threads);
    if (*info->orientation)
        st = turn_back(mask, info->orientation, header, threads);
    if (st == VOLT_OK) /* the grid of a 2-D image was thicker */
        memcpy((*mask)->grid.to_world, header->grid.to_world, sizeof header->grid.to_world);
    if (st == VOLT_OK && info->stored)
        st = store_labels(mask, info, threads);
    return st;
}
