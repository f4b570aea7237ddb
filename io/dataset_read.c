/* The voxels of a case. */
#include "io/dataset.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "io/dataset_internal.h"

void volt_case_data_clear(volt_case_data *data)
{
    volt_volume_free(data->image);
    volt_volume_free(data->labels);
    volt_nifti_header_free(data->header);
    *data = (volt_case_data){0};
}

volt_status volt_grids_match(const volt_grid *a, const char *a_file, const volt_grid *b,
                             const char *b_file)
{
    double mm_a[3], mm_b[3];

    for (int i = 0; i < 3; i++) {
        if (a->n[i] != b->n[i])
            return volt_fail(
                VOLT_EDATA, "%s has %lld voxels along %c, %s has %lld: they must agree", b_file,
                (long long)b->n[i], "zyx"[i], a_file, (long long)a -> n[i]);
    }
    volt_grid_spacing(mm_a, a);
    volt_grid_spacing(mm_b, b);
    for (int i = 0; i < 3; i++) {
        if (fabs(mm_a[i] - mm_b[i]) > 1e-8 + 1e-5 * fabs(mm_a[i])) /* numpy's allclose */
            return volt_fail(
                VOLT_EDATA,
                "%s has a spacing of %.9g mm along %c, %s has %.9g: they must agree", b_file,
                mm_b[i], "zyx"[i], a_file, mm_a[i]);
    }
    return VOLT_OK;
}

/* One file with all channels. */
static volt_status read_whole(volt_case_data *data, const volt_case *c, int channels,
                              int threads)
{
    const volt_nifti_read_options options = {.dtype = VOLT_F32, .threads = threads};
    volt_status st = volt_nifti_read(&data->image, &data->header, c->file[0], &options);

    if (st == VOLT_OK && data->image->grid.channels != channels)
        st = volt_fail(VOLT_EDATA, "%s has %d channels; %d are expected", c->file[0],
                       data->image->grid.channels, channels);
    return st;
}

/* One file per channel. */
static volt_status read_channels(volt_case_data *data, const volt_case *c, int channels,
                                 int threads)
{
    const volt_nifti_read_options options = {.dtype = VOLT_F32, .threads = threads};
    volt_volume *one = NULL;
    volt_grid grid;
    volt_status st = VOLT_OK;

    if (c->files != channels)
        return volt_fail(VOLT_EDATA, "case %s has %d files; %d channels are expected", c->id,
                         c->files, channels);
    for (int i = 0; i < channels; i++) {
        VOLT_TRY(st, done,
                 volt_nifti_read(&one, i ? NULL : &data->header, c->file[i], &options));
        if (one->grid.channels != 1) {
            st = volt_fail(VOLT_EDATA, "%s has %d channels; it should be one of %d", c->file[i],
                           one->grid.channels, channels);
            goto done;
        }
        if (i == 0) {
            grid = one->grid;
            grid.channels = channels;
            VOLT_TRY(st, done, volt_volume_create(&data->image, &grid, VOLT_F32));
        } else {
            VOLT_TRY(st, done,
                     volt_grids_match(&data->image->grid, c->file[0], &one->grid, c->file[i]));
        }
        memcpy((float *)data->image->data + i * volt_grid_voxels(&one->grid), one->data,
               volt_volume_bytes(one));
        volt_volume_free(one);
        one = NULL;
    }
done:
    volt_volume_free(one);
    return st;
}

static volt_status read_labels(volt_case_data *data, const volt_case *c, int threads)
{
    const volt_nifti_read_options options = {.dtype = VOLT_I16, .threads = threads};
    volt_status st;

    VOLT_TRY(st, done, volt_nifti_read(&data->labels, NULL, c->label_file, &options));
    if (data->labels->grid.channels != 1) {
        st = volt_fail(VOLT_EDATA, "%s has %d channels; labels have one", c->label_file,
                       data->labels->grid.channels);
        goto done;
    }
    st = volt_grids_match(&data->image->grid, c->file[0], &data->labels->grid, c->label_file);
done:
    return st;
}

volt_status volt_case_read(volt_case_data *out, const volt_case *c, int channels, int threads)
{
    volt_case_data data = {0};
    volt_status st;

    if (c->files < 1)
        return volt_fail(VOLT_EDATA, "case %s has no image", c->id);
    if (c->files == 1)
        VOLT_TRY(st, done, read_whole(&data, c, channels, threads));
    else
        VOLT_TRY(st, done, read_channels(&data, c, channels, threads));
    if (c->label_file)
        VOLT_TRY(st, done, read_labels(&data, c, threads));
    *out = data;
    data = (volt_case_data){0};
done:
    volt_case_data_clear(&data);
    return st;
}
