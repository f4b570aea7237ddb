#include <sys/resource.h>
#include <signal.h>

#include "base/core/alloc.h"
#include "io/image.h"
#include "tests/kit/nifti_make.h"

static volt_volume *ramp(int32_t channels, volt_dtype dtype)
{
    const int64_t n[3] = {5, 4, 3};
    const double spacing[3] = {4, 3, 2};
    volt_grid grid = volt_grid_make(n, channels, spacing);
    volt_volume *v = NULL;

    assert_ok(volt_volume_create(&v, &grid, dtype));
    for (size_t i = 0; i < volt_volume_bytes(v); i++)
        ((unsigned char *)v->data)[i] = (unsigned char)(i * 37);
    return v;
}

static nifti_1_header raw_header1(const char *path)
{
    nifti_1_header h;
    volt_map map = {0};

    assert_ok(volt_map_open(&map, path));
    assert_true(map.bytes >= sizeof h);
    memcpy(&h, map.data, sizeof h);
    volt_map_close(&map);
    return h;
}

static void round_trip_of_every_type(void **state)
{
    (void)state;
    for (int dtype = VOLT_U8; dtype <= VOLT_F64; dtype++) {
        for (int gz = 0; gz < 2; gz++) {
            const char *path = gz ? "trip.nii.gz" : "trip.nii";
            volt_volume *v = ramp(1 + gz * 2, (volt_dtype)dtype), *back = NULL;
            volt_image_header *header = NULL;
            assert_ok(volt_nifti_write(path, v, NULL, NULL));
            assert_ok(volt_nifti_read(&back, &header, path, NULL));
            assert_int_equal(back->dtype, dtype);
            assert_true(volt_grid_same(&v->grid, &back->grid, 0));
            assert_int_equal(back->grid.channels, v->grid.channels);
            assert_memory_equal(v->data, back->data, volt_volume_bytes(v));
            assert_int_equal(header->warning_count, 0);
            assert_int_equal(header->qform_code, 1);
            assert_int_equal(header->sform_code, 1);
            assert_int_equal(header->gzip, gz);
            volt_image_header_free(header);
            volt_volume_free(back);
            volt_volume_free(v);
            unlink(path);
        }
    }
}

static void the_bytes_of_a_plain_header(void **state)
{
    volt_volume *v = ramp(1, VOLT_I16);
    nifti_1_header h, expected = {.sizeof_hdr = 348,
                                  .regular = 'r',
                                  .dim = {3, 3, 4, 5, 1, 1, 1, 1},
                                  .datatype = 4,
                                  .bitpix = 16,
                                  .pixdim = {1, 2, 3, 4, 0, 0, 0, 0},
                                  .vox_offset = 352,
                                  .scl_slope = 1,
                                  .xyzt_units = 2,
                                  .descrip = "VOLT",
                                  .qform_code = 1,
                                  .sform_code = 1,
                                  .srow_x = {2, 0, 0, 0},
                                  .srow_y = {0, 3, 0, 0},
                                  .srow_z = {0, 0, 4, 0},
                                  .magic = "n+1"};
    volt_map map = {0};
    (void)state;

    assert_ok(volt_nifti_write("plain.nii", v, NULL, NULL));
    h = raw_header1("plain.nii");
    assert_memory_equal(&h, &expected, sizeof h);
    assert_ok(volt_map_open(&map, "plain.nii"));
    assert_int_equal(map.bytes, 352 + 120);
    assert_memory_equal(map.data + 348, "\0\0\0\0", 4);
    assert_memory_equal(map.data + 352, v->data, 120);
    volt_map_close(&map);
    volt_volume_free(v);
    unlink("plain.nii");
}

/* A scan whose header is full of things worth keeping. */
static nifti_1_header rich_header(void)
{
    nifti_1_header h = make_header1();

    h.dim_info = 57;
    h.slice_code = 3;
    h.slice_end = 4;
    h.intent_code = 1002;
    h.intent_p1 = 0.1f;
    h.cal_max = 80;
    h.toffset = 1.5f;
    h.xyzt_units = 10;
    h.sform_code = 4;
    h.qform_code = 2;
    h.quatern_b = 0.1f;
    h.quatern_c = -0.2f;
    h.quatern_d = 0.3f;
    h.srow_x[1] = 0.017f; /* neither forms nor pixdim are bit-identical */
    h.pixdim[1] = 2.0000002f;
    strcpy(h.intent_name, "labels");
    strcpy(h.aux_file, "colours");
    return h;
}

static void geometry_and_fields_of_the_source_are_kept(void **state)
{
    static const unsigned char extension[32] = {1, 0, 0, 0, 32, 0, 0, 0, 6, 0, 0, 0, 'h', 'i'};
    nifti_1_header h = rich_header(), out;
    unsigned char file[348 + 36 + 120] = {0};
    const volt_image_write_options labels = volt_image_write_labels(0);
    volt_image_header *header = NULL, *again = NULL;
    volt_volume *v = NULL, *mask = NULL;
    volt_map map = {0};
    (void)state;

    h.vox_offset = 348 + 36;
    memcpy(file, &h, sizeof h);
    memcpy(file + 348, extension, sizeof extension);
    for (int i = 0; i < 120; i++)
        file[384 + i] = (unsigned char)(i * 7);
    write_bytes("rich.nii", file, sizeof file);
    assert_ok(volt_nifti_read(&v, &header, "rich.nii", NULL));
    assert_ok(volt_nifti_write("rich2.nii", v, header, NULL));
    out = raw_header1("rich2.nii");
    h.regular = 'r';
    assert_memory_equal(&out, &h, sizeof h);
    assert_ok(volt_map_open(&map, "rich2.nii"));
    assert_int_equal(map.bytes, sizeof file);
    assert_memory_equal(map.data + 348, file + 348, sizeof file - 348);
    volt_map_close(&map);

    /* A mask on its grid: only type and display window change. */
    assert_ok(volt_volume_create(&mask, &v->grid, VOLT_F32));
    ((float *)mask->data)[7] = 3;
    assert_ok(volt_nifti_write("rich2.nii", mask, header, &labels));
    out = raw_header1("rich2.nii");
    h.datatype = 2;
    h.bitpix = 8;
    h.cal_max = 0;
    assert_memory_equal(&out, &h, sizeof h);
    assert_ok(volt_nifti_info(&again, "rich2.nii"));
    assert_memory_equal(&again->grid, &header->grid, sizeof again->grid);
    volt_image_header_free(again);
    volt_image_header_free(header);
    volt_volume_free(mask);
    volt_volume_free(v);
    unlink("rich.nii");
    unlink("rich2.nii");
}

static void big_endian_and_scaled_sources(void **state)
{
    nifti_1_header h = rich_header(), out;
    int16_t voxels[60] = {256};
    volt_image_header *header = NULL;
    volt_volume *v = NULL, *back = NULL;
    (void)state;

    h.scl_slope = 0.5f;
    h.scl_inter = 3;
    swap_nifti_header(&h, 1);
    write_nifti1("big.nii.gz", &h, voxels, sizeof voxels);
    assert_ok(volt_nifti_read(&v, &header, "big.nii.gz", NULL));
    assert_true(((float *)v->data)[0] == 3.5f); /* 256 swapped is 1 */
    assert_ok(volt_nifti_write("big2.nii", v, header, NULL));
    out = raw_header1("big2.nii");
    assert_true(out.scl_slope == 1 && out.scl_inter == 0 && out.datatype == 16);
    assert_true(out.srow_x[1] == 0.017f && out.quatern_d == 0.3f && out.xyzt_units == 10);
    assert_ok(volt_nifti_read(&back, NULL, "big2.nii", NULL));
    assert_memory_equal(&back->grid, &v->grid, sizeof v->grid);
    assert_memory_equal(back->data, v->data, volt_volume_bytes(v));
    volt_volume_free(back);
    volt_volume_free(v);
    volt_image_header_free(header);
    unlink("big.nii.gz");
    unlink("big2.nii");
}

/* Reverses x: the sform and a qform that differs from it both move along. */
static void a_changed_grid_moves_both_forms(void **state)
{
    nifti_1_header h = make_header1(), out;
    int16_t voxels[60] = {0};
    volt_image_header *header = NULL, *back = NULL;
    volt_volume *v = NULL;
    (void)state;

    h.srow_z[3] = 55; /* another space than the qform's */
    h.sform_code = 4;
    h.slice_code = 1;
    h.xyzt_units = 3 | 8;
    write_nifti1("move.nii", &h, voxels, sizeof voxels);
    assert_ok(volt_nifti_read(&v, &header, "move.nii", NULL));
    for (int i = 0; i < 3; i++) {
        v->grid.to_world[i][3] += 2 * v->grid.to_world[i][0];
        v->grid.to_world[i][0] *= -1;
    }
    assert_ok(volt_nifti_write("move2.nii", v, header, NULL));
    out = raw_header1("move2.nii");
    assert_int_equal(out.qform_code, 1);
    assert_int_equal(out.sform_code, 4);
    assert_int_equal(out.xyzt_units, 2 | 8);
    assert_int_equal(out.slice_code, 1); /* of z, which did not change */
    assert_true(fabs(out.qoffset_x - -6e-3) < 1e-8 && fabs(out.qoffset_z - -30e-3) < 1e-8);
    assert_true(fabs(out.srow_z[3] - 55e-3) < 1e-8);
    assert_ok(volt_nifti_info(&back, "move2.nii"));
    assert_true(volt_grid_same(&back->grid, &v->grid, 1e-8));
    volt_image_header_free(back);
    volt_image_header_free(header);
    volt_volume_free(v);
    unlink("move.nii");
    unlink("move2.nii");
}

static void shear_is_kept_by_the_sform(void **state)
{
    volt_volume *v = ramp(1, VOLT_U8);
    volt_image_header *header = NULL;
    (void)state;

    v->grid.to_world[0][1] = 1;
    assert_ok(volt_nifti_write("shear.nii", v, NULL, NULL));
    assert_ok(volt_nifti_info(&header, "shear.nii"));
    assert_int_equal(header->qform_code, 0);
    assert_int_equal(header->sform_code, 1);
    assert_true(volt_grid_same(&header->grid, &v->grid, 0));
    volt_image_header_free(header);
    volt_volume_free(v);
    unlink("shear.nii");
}

static void smallest_label_type(void **state)
{
    static const struct {
        double value;
        volt_dtype dtype;
    } rows[] = {{0, VOLT_U8},      {254, VOLT_U8},           {255, VOLT_U16},
                {256, VOLT_U16},   {-1, VOLT_I16},           {40000, VOLT_U16},
                {70000, VOLT_I32}, {3000000000.0, VOLT_U32}, {1e12, VOLT_I64}};
    const volt_image_write_options labels = volt_image_write_labels(0);
    volt_volume *v = ramp(1, VOLT_F64);
    (void)state;

    memset(v->data, 0, volt_volume_bytes(v));
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        volt_image_header *header = NULL;
        ((double *)v->data)[3] = rows[r].value;
        assert_ok(volt_nifti_write("small.nii", v, NULL, &labels));
        assert_ok(volt_nifti_info(&header, "small.nii"));
        assert_int_equal(header->dtype, rows[r].dtype);
        volt_image_header_free(header);
    }
    unlink("small.nii");
    ((double *)v->data)[3] = 0.5;
    assert_fails(volt_nifti_write("small.nii", v, NULL, &labels), VOLT_EINVAL,
                 "must be integers");
    ((double *)v->data)[3] = NAN;
    assert_fails(volt_nifti_write("small.nii", v, NULL, &labels), VOLT_EINVAL,
                 "must be integers");
    assert_false(volt_path_exists("small.nii"));
    volt_volume_free(v);
}

static void long_axes_need_version_2(void **state)
{
    const int64_t n[3] = {1, 2, 32768};
    const double spacing[3] = {1, 1, 0.1};
    const volt_grid grid = volt_grid_make(n, 1, spacing);
    volt_volume *v = NULL, *back = NULL;
    volt_image_header *header = NULL;
    volt_map map = {0};
    (void)state;

    assert_ok(volt_volume_create(&v, &grid, VOLT_U8));
    ((uint8_t *)v->data)[65535] = 9;
    assert_ok(volt_nifti_write("long.nii", v, NULL, NULL));
    assert_ok(volt_map_open(&map, "long.nii"));
    assert_int_equal(map.bytes, 544 + 65536);
    assert_memory_equal(map.data + 4, "n+2\0\r\n\032\n", 8);
    volt_map_close(&map);
    assert_ok(volt_nifti_read(&back, &header, "long.nii", NULL));
    assert_int_equal(header->version, 2);
    assert_int_equal(header->warning_count, 0);
    assert_true(volt_grid_same(&back->grid, &grid, 0)); /* 0.1 is kept in double */
    assert_memory_equal(v->data, back->data, 65536);
    volt_image_header_free(header);
    volt_volume_free(back);
    volt_volume_free(v);
    unlink("long.nii");
}

static void channels_come_and_go(void **state)
{
    nifti_1_header h = make_header1(), out;
    int16_t voxels[60] = {0};
    volt_image_header *header = NULL;
    volt_volume *v = NULL, *mask = NULL;
    volt_grid one;
    (void)state;

    memcpy(h.dim, (short[8]){5, 3, 4, 1, 1, 5, 1, 1}, sizeof h.dim);
    write_nifti1("many.nii", &h, voxels, sizeof voxels);
    assert_ok(volt_nifti_read(&v, &header, "many.nii", NULL));
    assert_ok(volt_nifti_write("many2.nii", v, header, NULL));
    out = raw_header1("many2.nii");
    assert_memory_equal(out.dim, h.dim, sizeof h.dim);
    one = v->grid;
    one.channels = 1;
    assert_ok(volt_volume_create(&mask, &one, VOLT_U8));
    assert_ok(volt_nifti_write("many2.nii", mask, header, NULL));
    out = raw_header1("many2.nii");
    assert_memory_equal(out.dim, ((short[8]){3, 3, 4, 1, 1, 1, 1, 1}), sizeof out.dim);
    assert_memory_equal(out.srow_x, h.srow_x, sizeof h.srow_x);
    volt_image_header_free(header);
    volt_volume_free(mask);
    volt_volume_free(v);
    unlink("many.nii");
    unlink("many2.nii");
}

static void what_no_nifti_can_hold_is_refused(void **state)
{
    volt_volume *v = ramp(1, VOLT_I16);
    volt_image_write_options both = volt_image_write_labels(0);
    (void)state;

    both.dtype = VOLT_U8;
    v->dtype = VOLT_BF16;
    assert_fails(volt_nifti_write("x.nii", v, NULL, NULL), VOLT_ENOTSUP, "bfloat16");
    v->dtype = VOLT_I16;
    assert_fails(volt_nifti_write("x.img", v, NULL, NULL), VOLT_EINVAL, "must end in .nii");
    assert_fails(volt_nifti_write("x.nii", v, NULL, &both), VOLT_EINVAL,
                 "give either a type or");
    assert_fails(volt_nifti_write("/nonexistent/x.nii", v, NULL, NULL), VOLT_EIO,
                 "/nonexistent/x.nii");
    v->grid.to_world[0][0] = 0;
    assert_fails(volt_nifti_write("x.nii", v, NULL, NULL), VOLT_EINVAL, "x.nii");
    assert_false(volt_path_exists("x.nii"));
    volt_volume_free(v);
}

/* Files of this process may not grow beyond 100 kB: as on a full disk. */
static void a_full_disk_leaves_the_old_file(void **state)
{
    const int64_t n[3] = {40, 40, 100};
    const double spacing[3] = {1, 1, 1};
    const volt_grid grid = volt_grid_make(n, 1, spacing);
    struct rlimit old, small;
    volt_volume *v = NULL;
    volt_names names = {0};
    (void)state;

    assert_ok(volt_make_dirs("full"));
    assert_ok(volt_volume_create(&v, &grid, VOLT_I32));
    for (int i = 0; i < 160000; i++)
        ((uint32_t *)v->data)[i] = (uint32_t)i * 2654435761u;
    getrlimit(RLIMIT_FSIZE, &old);
    small = old;
    small.rlim_cur = 100000;
    signal(SIGXFSZ, SIG_IGN);
    for (int gz = 0; gz < 2; gz++) {
        const char *path = gz ? "full/x.nii.gz" : "full/x.nii";
        write_bytes(path, "old", 3);
        setrlimit(RLIMIT_FSIZE, &small);
        const volt_status st = volt_nifti_write(path, v, NULL, NULL);
        setrlimit(RLIMIT_FSIZE, &old);
        assert_int_equal(st, VOLT_EIO);
        assert_non_null(strstr(volt_last_error(), path));
    }
    assert_ok(volt_list_dir(&names, "full"));
    assert_int_equal(names.count, 2); /* and no temporary */
    volt_names_free(&names);
    char *text = NULL;
    assert_ok(volt_read_file(&text, NULL, "full/x.nii", 100));
    assert_string_equal(text, "old");
    volt_free(text);
    volt_volume_free(v);
    unlink("full/x.nii");
    unlink("full/x.nii.gz");
    rmdir("full");
}

static void every_failing_allocation_is_reported(void **state)
{
    volt_volume *v = ramp(2, VOLT_F32), *back = NULL;
    volt_image_header *header = NULL;
    volt_image_write_options as_short = volt_image_write_with(1);
    bool passed = false;
    (void)state;

    as_short.dtype = VOLT_I16;
    for (int n = 1; n < 100 && !passed; n++) {
        volt_mem_fail_after(n);
        const volt_status st = volt_nifti_write("mem.nii.gz", v, NULL, &as_short);
        volt_mem_fail_after(0);
        passed = st == VOLT_OK;
        if (!passed)
            assert_int_equal(st, VOLT_ENOMEM);
    }
    assert_true(passed);
    passed = false;
    for (int n = 1; n < 100 && !passed; n++) {
        volt_mem_fail_after(n);
        const volt_status st = volt_nifti_read(&back, &header, "mem.nii.gz", NULL);
        volt_mem_fail_after(0);
        passed = st == VOLT_OK;
        if (!passed)
            assert_int_equal(st, VOLT_ENOMEM);
    }
    assert_true(passed);
    volt_image_header_free(header);
    volt_volume_free(back);
    volt_volume_free(v);
    unlink("mem.nii.gz");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip_of_every_type),
        cmocka_unit_test(the_bytes_of_a_plain_header),
        cmocka_unit_test(geometry_and_fields_of_the_source_are_kept),
        cmocka_unit_test(big_endian_and_scaled_sources),
        cmocka_unit_test(a_changed_grid_moves_both_forms),
        cmocka_unit_test(shear_is_kept_by_the_sform),
        cmocka_unit_test(smallest_label_type),
        cmocka_unit_test(long_axes_need_version_2),
        cmocka_unit_test(channels_come_and_go),
        cmocka_unit_test(what_no_nifti_can_hold_is_refused),
        cmocka_unit_test(a_full_disk_leaves_the_old_file),
        cmocka_unit_test(every_failing_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
