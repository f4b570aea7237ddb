/* Every field of a NIfTI-1 header through what can happen to a volume: copying, another type,
 * another orientation, resampling, fewer channels, labels. What stays true stays, what changes
 * is computed again. */
#include "tests/kit/fixture.h"

#include "base/core/alloc.h"
#include "io/image.h"
#include "tests/kit/nifti_make.h"
#include "volume/orient.h"
#include "volume/resample.h"

static const unsigned char extension[32] = {32, 0, 0, 0, 6, 0, 0, 0, 'n', 'o', 't', 'e'};

/* 3 x 4 x 5 voxels, 2 time points; no field is 0. */
static nifti_1_header full_header(void)
{
    nifti_1_header h = {.sizeof_hdr = 348,
                        .data_type = "dt",
                        .db_name = "data base",
                        .extents = 16384,
                        .session_error = 7,
                        .regular = 'r',
                        .dim_info = (char)FPS_INTO_DIM_INFO(2, 1, 3),
                        .dim = {4, 3, 4, 5, 2, 1, 1, 1},
                        .intent_p1 = 1.5f,
                        .intent_p2 = 2.5f,
                        .intent_p3 = 3.5f,
                        .intent_code = 3,
                        .datatype = DT_INT16,
                        .bitpix = 16,
                        .slice_start = 1,
                        .pixdim = {1, 2, 3, 4, 2.5f, 6, 7, 8},
                        .vox_offset = 352 + sizeof extension,
                        .scl_slope = 1,
                        .slice_end = 4,
                        .slice_code = NIFTI_SLICE_ALT_INC2,
                        .xyzt_units = NIFTI_UNITS_MM | NIFTI_UNITS_MSEC,
                        .cal_max = 900,
                        .cal_min = -100,
                        .slice_duration = 0.25f,
                        .toffset = 12.5f,
                        .glmax = 1000,
                        .glmin = -5,
                        .descrip = "a description",
                        .aux_file = "other.nii",
                        .qform_code = 2,
                        .sform_code = 4,
                        .qoffset_x = 10,
                        .qoffset_y = 20,
                        .qoffset_z = 30,
                        .srow_x = {2, 0, 0, 10},
                        .srow_y = {0, 3, 0, 20},
                        .srow_z = {0, 0, 4, 30},
                        .intent_name = "an intent",
                        .magic = "n+1"};
    return h;
}

static volt_volume *read_full(volt_image_header **header)
{
    const nifti_1_header h = full_header();
    unsigned char file[384 + 240] = {0};
    volt_volume *v = NULL;

    memcpy(file, &h, sizeof h);
    file[348] = 1;
    memcpy(file + 352, extension, sizeof extension);
    for (int i = 0; i < 240; i += 2)
        file[384 + i] = (unsigned char)(i * 7);
    write_bytes("full.nii", file, sizeof file);
    assert_ok(volt_image_read(&v, header, "full.nii", NULL));
    return v;
}

/* Writes `v` and compares all fields with `wanted`; the forms with the volume's grid. */
static void check(const volt_volume *v, const volt_image_header *source, nifti_1_header wanted,
                  const volt_image_write_options *options)
{
    volt_image_header *again = NULL;
    nifti_1_header out;
    unsigned char *bytes;
    size_t count;

    assert_ok(volt_image_write("out.nii", v, source, options));
    assert_ok(volt_read_file((char **)&bytes, &count, "out.nii", 1 << 20));
    memcpy(&out, bytes, sizeof out);
    assert_memory_equal(bytes + 352, extension, sizeof extension);
    volt_free(bytes);
    assert_ok(volt_image_info(&again, "out.nii"));
    assert_true(volt_grid_same(&again->grid, &v->grid, 1e-5));
    volt_image_header_free(again);
    for (int i = 1; i < 4; i++) {
        const float x = out.srow_x[i - 1], y = out.srow_y[i - 1], z = out.srow_z[i - 1];
        assert_true(fabsf(out.pixdim[i] - sqrtf(x * x + y * y + z * z)) < 1e-5f);
    }
#define SAME(field)                                                                            \
    if (memcmp(&out.field, &wanted.field, sizeof out.field) != 0)                              \
    fail_msg("the field " #field " differs")
    SAME(sizeof_hdr);
    SAME(data_type);
    SAME(db_name);
    SAME(extents);
    SAME(session_error);
    SAME(regular);
    SAME(dim_info);
    SAME(dim);
    SAME(intent_p1);
    SAME(intent_p2);
    SAME(intent_p3);
    SAME(intent_code);
    SAME(datatype);
    SAME(bitpix);
    SAME(slice_start);
    SAME(pixdim[4]);
    SAME(pixdim[5]);
    SAME(pixdim[6]);
    SAME(pixdim[7]);
    SAME(vox_offset);
    SAME(scl_slope);
    SAME(scl_inter);
    SAME(slice_end);
    SAME(slice_code);
    SAME(xyzt_units);
    SAME(cal_max);
    SAME(cal_min);
    SAME(slice_duration);
    SAME(toffset);
    SAME(glmax);
    SAME(glmin);
    SAME(descrip);
    SAME(aux_file);
    SAME(qform_code);
    SAME(sform_code);
    SAME(intent_name);
    SAME(magic);
#undef SAME
}

static void copies_and_casts_keep_every_field(void **state)
{
    nifti_1_header wanted = full_header();
    volt_image_write_options options = volt_image_write_defaults();
    volt_image_header *header = NULL;
    volt_volume *v = read_full(&header);

    (void)state;
    check(v, header, wanted, NULL);
    options.dtype = VOLT_F32;
    wanted.datatype = DT_FLOAT32;
    wanted.bitpix = 32;
    check(v, header, wanted, &options);
    options = volt_image_write_labels(0);
    wanted.datatype = DT_UINT8;
    wanted.bitpix = 8;
    wanted.cal_max = wanted.cal_min = 0;
    wanted.glmax = wanted.glmin = 0;
    check(v, header, wanted, &options);
    volt_image_header_free(header);
    volt_volume_free(v);
}

static void check_turned(const char *codes, nifti_1_header wanted)
{
    volt_image_header *header = NULL;
    volt_volume *v = read_full(&header), *turned = NULL;
    volt_orientation o;

    assert_ok(volt_orientation_to(&o, &v->grid, codes));
    assert_ok(volt_volume_reorient(&turned, v, o, 1));
    for (int i = 0; i < 3; i++)
        wanted.dim[i + 1] = (short)turned->grid.n[2 - i];
    check(turned, header, wanted, NULL);
    volt_image_header_free(header);
    volt_volume_free(turned);
    volt_volume_free(v);
}

static void reorienting_renumbers_axes_and_slices(void **state)
{
    nifti_1_header wanted = full_header();

    (void)state;
    check_turned("LAS", wanted); /* slices as they were */
    check_turned("LPS", wanted);
    wanted.slice_code = NIFTI_SLICE_ALT_DEC2; /* 5 slices, of which 1 to 4 were taken */
    wanted.slice_start = 0;
    wanted.slice_end = 3;
    check_turned("RAI", wanted);
    wanted.dim_info = (char)FPS_INTO_DIM_INFO(1, 2, 3);
    check_turned("ARI", wanted);
    wanted = full_header();
    wanted.dim_info = (char)FPS_INTO_DIM_INFO(1, 3, 2); /* axes are A, S, R */
    check_turned("ASR", wanted);
}

/* The volume on another shape, over the same extent. */
static void check_resampled(int64_t nz, int64_t ny, int64_t nx, nifti_1_header wanted)
{
    const int64_t shape[3] = {nz, ny, nx};
    volt_image_header *header = NULL;
    volt_volume *v = read_full(&header), *wide = NULL, *out = NULL;

    assert_ok(volt_volume_convert(&wide, v, VOLT_F32, NULL, 1));
    assert_ok(volt_resample_image(&out, wide, shape, VOLT_LINEAR, -1, 1));
    for (int i = 0; i < 3; i++)
        wanted.dim[i + 1] = (short)shape[2 - i];
    wanted.datatype = DT_FLOAT32;
    wanted.bitpix = 32;
    check(out, header, wanted, NULL);
    volt_image_header_free(header);
    volt_volume_free(out);
    volt_volume_free(wide);
    volt_volume_free(v);
}

static void resampling_keeps_the_repetition_time(void **state)
{
    nifti_1_header wanted = full_header();

    (void)state;
    check_resampled(5, 8, 6, wanted); /* in the plane: slices as they were */
    wanted.slice_code = 0;
    wanted.slice_start = wanted.slice_end = 0;
    wanted.slice_duration = 0;
    check_resampled(10, 4, 3, wanted);
    check_resampled(7, 9, 11, wanted);
}

static void fewer_channels_have_no_repetition_time(void **state)
{
    nifti_1_header wanted = full_header();
    volt_image_header *header = NULL;
    volt_volume *v = read_full(&header);

    (void)state;
    v->grid.channels = 1;
    wanted.dim[0] = 3;
    wanted.dim[4] = 1;
    for (int i = 4; i < 8; i++)
        wanted.pixdim[i] = 0;
    check(v, header, wanted, NULL);
    volt_image_header_free(header);
    volt_volume_free(v);
}

/* Oblique to the source's axes nothing is known of slices. */
static void turned_grids_have_no_slices(void **state)
{
    nifti_1_header wanted = full_header();
    volt_image_header *header = NULL;
    volt_volume *v = read_full(&header);

    (void)state;
    v->grid.to_world[0][0] = 2 * 0.8;
    v->grid.to_world[1][0] = 2 * 0.6;
    v->grid.to_world[0][1] = 3 * -0.6;
    v->grid.to_world[1][1] = 3 * 0.8;
    wanted.dim_info = 0;
    wanted.slice_code = 0;
    wanted.slice_start = wanted.slice_end = 0;
    wanted.slice_duration = 0;
    check(v, header, wanted, NULL);
    volt_image_header_free(header);
    volt_volume_free(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copies_and_casts_keep_every_field),
        cmocka_unit_test(reorienting_renumbers_axes_and_slices),
        cmocka_unit_test(resampling_keeps_the_repetition_time),
        cmocka_unit_test(fewer_channels_have_no_repetition_time),
        cmocka_unit_test(turned_grids_have_no_slices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
