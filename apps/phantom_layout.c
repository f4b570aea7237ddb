#include "apps/phantom_layout.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/core/alloc.h"
#include "base/system/file.h"
#include "io/image.h"

/* Grey values of labels 1 to 3, and of 1 and 2 alone. */
static const double grey_of_two[] = {40, 230}, grey_of_three[] = {40, 135, 230};
/* Window of a CT in pictures, HU. */
static const double ct_window[2] = {-160, 240};

volt_status phantom_layout_check(const phantom_target *t)
{
    const char *kind = volt_phantom_name(t->kind);

    if (t->layout == PHANTOM_BRATS && t->kind != VOLT_PHANTOM_BRATS)
        return volt_fail(VOLT_EINVAL, "--layout brats holds MR of brains, not %s", kind);
    if (t->layout == PHANTOM_LITS && t->kind != VOLT_PHANTOM_LIVER)
        return volt_fail(VOLT_EINVAL, "--layout lits holds CT of livers, not %s", kind);
    if (t->layout != PHANTOM_NNUNET && t->layout != PHANTOM_BRATS && t->brats_labels)
        return volt_fail(VOLT_EINVAL, "--brats-labels needs --layout nnunet or brats");
    return VOLT_OK;
}

bool phantom_layout_has_info(const phantom_target *t)
{
    return t->layout != PHANTOM_BRATS && t->layout != PHANTOM_LITS;
}

static const double *grey_values(const phantom_target *t, int *count)
{
    *count = t->kind == VOLT_PHANTOM_BRATS ? 3 : 2;
    return t->kind == VOLT_PHANTOM_BRATS ? grey_of_three : grey_of_two;
}

void phantom_layout_describe(volt_dataset_info *info, const phantom_target *t)
{
    if (t->layout == PHANTOM_PNG)
        info->file_ending = ".png";
    if (t->layout == PHANTOM_GREY)
        info->threshold = (double *)(uintptr_t)grey_values(t, &info->thresholds);
}

/* ---- names ---- */

static void case_name(char name[80], const phantom_target *t, int64_t number)
{
    if (t->layout == PHANTOM_BRATS)
        snprintf(name, 80, "BraTS20_Training_%03lld", (long long)number + 1);
    else
        snprintf(name, 80, "%s_%03lld", volt_phantom_name(t->kind), (long long)number + 1);
}

/* The file of a channel, or with -1 of the labels. */
static volt_status path_of(char **out, const phantom_target *t, int64_t number, int channel)
{
    static const char *const brats[] = {"_t1", "_t1ce", "_t2", "_flair"};
    const char *ending = t->layout == PHANTOM_PNG ? ".png" : ".nii.gz";
    char name[80];

    case_name(name, t, number);
    if (t->layout == PHANTOM_BRATS)
        return volt_format(out, "%s/%s/%s%s%s", t->folder, name, name,
                           channel < 0 ? "_seg" : brats[channel], ending);
    if (t->layout == PHANTOM_LITS)
        return volt_format(out, "%s/%s-%lld.nii", t->folder,
                           channel < 0 ? "segmentation" : "volume", (long long)number);
    if (channel < 0)
        return volt_format(out, "%s/labelsTr/%s%s", t->folder, name, ending);
    return volt_format(out, "%s/imagesTr/%s_%04d%s", t->folder, name, channel, ending);
}

volt_status phantom_label_path(char **out, const phantom_target *t, int64_t number)
{
    return path_of(out, t, number, -1);
}

/* ---- files ---- */

static volt_status write_volume(const phantom_target *t, int64_t number, int channel,
                                const volt_volume *v, int threads)
{
    volt_image_write_options write = volt_image_write_with(threads);
    char *path = NULL, *slash;
    volt_status st = path_of(&path, t, number, channel);

    write.drop_geometry = t->layout == PHANTOM_PNG; /* pictures have none */
    if (st == VOLT_OK) {
        slash = strrchr(path, '/');
        *slash = '\0';
        st = volt_make_dirs(path);
        *slash = '/';
    }
    if (st == VOLT_OK)
        st = volt_image_write(path, v, NULL, &write);
    volt_free(path);
    return st;
}

/* The slice with most labelled voxels. */
static int64_t fullest_slice(const volt_volume *labels)
{
    const int64_t slice = labels->grid.n[1] * labels->grid.n[2];
    const uint8_t *v = labels->data;
    int64_t best = labels->grid.n[0] / 2, most = 0;

    for (int64_t z = 0; z < labels->grid.n[0]; z++) {
        int64_t count = 0;
        for (int64_t i = 0; i < slice; i++)
            count += v[z * slice + i] != 0;
        if (count > most) {
            most = count;
            best = z;
        }
    }
    return best;
}

/* Grey values of a slice: CT through a window, MR from 0 to its maximum. */
static void make_picture(uint8_t *to, const int16_t *from, int64_t n, const phantom_target *t)
{
    double low = ct_window[0], high = ct_window[1];

    if (t->kind == VOLT_PHANTOM_BRATS) {
        low = 0;
        high = 1;
        for (int64_t i = 0; i < n; i++)
            high = fmax(high, from[i]);
    }
    for (int64_t i = 0; i < n; i++)
        to[i] = (uint8_t)rint(255 * fmin(fmax((from[i] - low) / (high - low), 0), 1));
}

static volt_status write_pictures(const phantom_target *t, int64_t number,
                                  const volt_volume *image, const volt_volume *labels,
                                  int threads)
{
    const int64_t slice = image->grid.n[1] * image->grid.n[2], z = fullest_slice(labels);
    volt_grid g = labels->grid;
    volt_volume *picture = NULL;
    volt_status st;

    g.n[0] = 1;
    VOLT_TRY(st, done, volt_volume_create(&picture, &g, VOLT_U8));
    for (int c = 0; c < image->grid.channels; c++) {
        const int16_t *from = (const int16_t *)image->data + (c * image->grid.n[0] + z) * slice;
        make_picture(picture->data, from, slice, t);
        VOLT_TRY(st, done, write_volume(t, number, c, picture, threads));
    }
    memcpy(picture->data, (const uint8_t *)labels->data + z * slice, (size_t)slice);
    st = write_volume(t, number, -1, picture, threads);
done:
    volt_volume_free(picture);
    return st;
}

static void make_grey(volt_volume *labels, const phantom_target *t)
{
    uint8_t *v = labels->data;
    int count;
    const double *grey = grey_values(t, &count);

    for (int64_t i = 0; i < volt_grid_voxels(&labels->grid); i++)
        v[i] = v[i] ? (uint8_t)grey[v[i] - 1] : 0;
}

volt_status phantom_write_case(const phantom_target *t, int64_t number,
                               const volt_volume *image, volt_volume *labels, int threads)
{
    const size_t bytes =
        (size_t)volt_grid_voxels(&image->grid) * volt_dtype_bytes(image->dtype);

    if (t->layout == PHANTOM_PNG)
        return write_pictures(t, number, image, labels, threads);
    if (t->layout == PHANTOM_GREY)
        make_grey(labels, t);
    for (int c = 0; c < image->grid.channels; c++) {
        volt_volume channel = *image; /* a view of one channel */
        volt_status st;

        channel.grid.channels = 1;
        channel.data = (char *)image->data + (size_t)c * bytes;
        st = write_volume(t, number, c, &channel, threads);
        if (st != VOLT_OK)
            return st;
    }
    return write_volume(t, number, -1, labels, threads);
}
