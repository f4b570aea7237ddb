#include "tests/kit/measure.h"
#include "io/image.h"
#include "tests/kit/nifti_make.h"

static const int16_t sixty[60] = {-7, 100, 32767, -32768, 5};

static volt_volume *read_as(const char *path, volt_dtype dtype, volt_image_header **header)
{
    const volt_image_read_options options = volt_image_read_as(dtype, 2);
    volt_volume *v = NULL;

    assert_ok(volt_nifti_read(&v, header, path, &options));
    return v;
}

/* Every stored type, byte order, version, compression and target, against a plain C cast. */
static const struct {
    volt_dtype dtype;
    short code;
    size_t bytes;
} types[] = {{VOLT_U8, 2, 1},    {VOLT_I8, 256, 1}, {VOLT_U16, 512, 2},  {VOLT_I16, 4, 2},
             {VOLT_U32, 768, 4}, {VOLT_I32, 8, 4},  {VOLT_U64, 1280, 8}, {VOLT_I64, 1024, 8},
             {VOLT_F32, 16, 4},  {VOLT_F64, 64, 8}};

enum { TYPES = sizeof types / sizeof *types };

static double element(const void *data, int64_t i, volt_dtype dtype)
{
    switch (dtype) {
    case VOLT_U8:
        return ((const uint8_t *)data)[i];
    case VOLT_I8:
        return ((const int8_t *)data)[i];
    case VOLT_U16:
        return ((const uint16_t *)data)[i];
    case VOLT_I16:
        return ((const int16_t *)data)[i];
    case VOLT_U32:
        return ((const uint32_t *)data)[i];
    case VOLT_I32:
        return ((const int32_t *)data)[i];
    case VOLT_U64:
        return (double)((const uint64_t *)data)[i];
    case VOLT_I64:
        return (double)((const int64_t *)data)[i];
    case VOLT_F32:
        return (double)((const float *)data)[i];
    default:
        return ((const double *)data)[i];
    }
}

static void put_element(void *data, int64_t i, volt_dtype dtype, int value)
{
    switch (dtype) {
    case VOLT_U8:
    case VOLT_I8:
        ((int8_t *)data)[i] = (int8_t)value;
        break;
    case VOLT_U16:
    case VOLT_I16:
        ((int16_t *)data)[i] = (int16_t)value;
        break;
    case VOLT_U32:
    case VOLT_I32:
        ((int32_t *)data)[i] = value;
        break;
    case VOLT_U64:
    case VOLT_I64:
        ((int64_t *)data)[i] = value;
        break;
    case VOLT_F32:
        ((float *)data)[i] = (float)value;
        break;
    default:
        ((double *)data)[i] = value;
        break;
    }
}

static void swap_each(void *data, int64_t count, size_t bytes)
{
    unsigned char *p = data;

    for (int64_t i = 0; i < count; i++, p += bytes) {
        for (size_t b = 0; b < bytes / 2; b++) {
            const unsigned char t = p[b];
            p[b] = p[bytes - 1 - b];
            p[bytes - 1 - b] = t;
        }
    }
}

enum { WIDE = 61, TALL = 53, DEEP = 11, VOXELS = WIDE * TALL * DEEP };

static void write_type(const char *path, int type, int version, bool swap, double slope)
{
    static double voxels[VOXELS];
    nifti_1_header h1 = make_header1();
    nifti_2_header h2 = make_header2();

    for (int64_t i = 0; i < VOXELS; i++)
        put_element(voxels, i, types[type].dtype, (int)(i % 101));
    h1.dim[1] = WIDE, h1.dim[2] = TALL, h1.dim[3] = DEEP;
    h2.dim[1] = WIDE, h2.dim[2] = TALL, h2.dim[3] = DEEP;
    h1.datatype = h2.datatype = types[type].code;
    h1.bitpix = h2.bitpix = (short)(8 * types[type].bytes);
    h2.scl_slope = slope;
    h1.scl_slope = (float)slope;
    h1.scl_inter = slope != 1 ? -3 : 0;
    h2.scl_inter = h1.scl_inter;
    if (swap) {
        swap_each(voxels, VOXELS, types[type].bytes);
        swap_nifti_header(&h1, 1);
        swap_nifti_header(&h2, 2);
    }
    if (version == 1)
        write_nifti(path, &h1, 348, 352, voxels, VOXELS * types[type].bytes);
    else
        write_nifti(path, &h2, 540, 544, voxels, VOXELS * types[type].bytes);
}

static void check_type(const char *path, int type, int target, bool swap, double slope)
{
    const volt_dtype to = target < 0 ? 0 : types[target].dtype;
    volt_image_header *header = NULL;
    volt_volume *v = read_as(path, to, &header);

    assert_int_equal(v->grid.n[2], WIDE);
    assert_int_equal(v->grid.n[0], DEEP);
    assert_int_equal(header->dtype, types[type].dtype);
    assert_int_equal(header->swapped, swap);
    if (to)
        assert_int_equal(v->dtype, to);
    else if (slope == 1)
        assert_int_equal(v->dtype, types[type].dtype);
    for (int64_t i = 0; i < VOXELS; i++) {
        const double expected = slope == 1 ? (double)(i % 101) : (double)(i % 101) * slope - 3;
        if (element(v->data, i, v->dtype) != expected)
            fail_msg("%s, type %d to %d: voxel %d is %g, not %g", path, type, target, (int)i,
                     element(v->data, i, v->dtype), expected);
    }
    volt_image_header_free(header);
    volt_volume_free(v);
}

static void every_type_order_version_and_target(void **state)
{
    (void)state;
    for (int type = 0; type < TYPES; type++) {
        for (int way = 0; way < 8; way++) {
            const char *path = way & 1 ? "types.nii.gz" : "types.nii";
            write_type(path, type, way & 2 ? 2 : 1, way & 4, 1);
            for (int target = -1; target < TYPES; target++)
                check_type(path, type, target, way & 4, 1);
        }
        write_type("types.nii.gz", type, 1, true, 0.5);
        check_type("types.nii.gz", type, -1, true, 0.5);
        check_type("types.nii.gz", type, 8, true, 0.5);
        write_type("types.nii", type, 2, false, 4); /* whole after scaling, but -3 */
        check_type("types.nii", type, 5, false, 4);
    }
    unlink("types.nii");
    unlink("types.nii.gz");
}

static void threads_do_not_change_a_voxel(void **state)
{
    const volt_image_read_options one = volt_image_read_as(VOLT_F32, 1);
    const volt_image_read_options many = volt_image_read_as(VOLT_F32, 5);
    nifti_1_header h = make_header1();
    const size_t count = 97 * 89 * 83;
    int16_t *voxels = malloc(2 * count);
    volt_volume *a = NULL, *b = NULL;
    (void)state;

    for (size_t i = 0; i < count; i++)
        voxels[i] = (int16_t)(i * 7919);
    h.dim[1] = 97, h.dim[2] = 89, h.dim[3] = 83;
    h.scl_slope = 0.1f;
    write_nifti1("threads.nii.gz", &h, voxels, 2 * count);
    assert_ok(volt_nifti_read(&a, NULL, "threads.nii.gz", &one));
    assert_ok(volt_nifti_read(&b, NULL, "threads.nii.gz", &many));
    assert_memory_equal(a->data, b->data, 4 * count);
    for (size_t i = 0; i < count; i++)
        assert_true(((float *)a->data)[i] == (float)(voxels[i] * (double)0.1f));
    volt_volume_free(a);
    volt_volume_free(b);
    free(voxels);
    unlink("threads.nii.gz");
}

static void check_affine(const nifti_1_header *h, const double expected[12],
                         volt_geometry_source geometry, const char *note)
{
    volt_image_header *header = NULL;

    write_nifti1("affine.nii", h, sixty, sizeof sixty);
    assert_ok(volt_nifti_info(&header, "affine.nii"));
    assert_int_equal(header->geometry_source, geometry);
    for (int i = 0; i < 12; i++)
        assert_true(fabs(header->grid.to_world[i / 4][i % 4] - expected[i]) < 1e-9);
    if (note)
        assert_true(is_noted(header, note));
    else
        assert_int_equal(header->warning_count, 0);
    volt_image_header_free(header);
    unlink("affine.nii");
}

static void geometry_follows_the_rules(void **state)
{
    const double plain[12] = {2, 0, 0, -10, 0, 3, 0, -20, 0, 0, 4, -30};
    const double shifted[12] = {2, 0, 0, -10, 0, 3, 0, -20, 0, 0, 4, -25};
    const double qfac[12] = {2, 0, 0, -10, 0, 3, 0, -20, 0, 0, -4, -30};
    const double nibabel[12] = {-2, 0, 0, 2, 0, 3, 0, -4.5, 0, 0, 4, -8};
    const double micron[12] = {2e-3, 0, 0, -1e-2, 0, 3e-3, 0, -2e-2, 0, 0, 4e-3, -3e-2};
    const double sheared[12] = {2, 1, 0, -10, 0, 3, 0, -20, 0, 0, 4, -30};
    nifti_1_header h = make_header1();
    (void)state;

    check_affine(&h, plain, VOLT_GEOMETRY_SFORM, NULL);
    h.srow_z[3] = -25; /* both forms are there, and differ: the sform is taken */
    check_affine(&h, shifted, VOLT_GEOMETRY_SFORM, "place corners up to 5 apart");
    h.sform_code = 0;
    check_affine(&h, plain, VOLT_GEOMETRY_QFORM, NULL);
    h.pixdim[0] = -1;
    check_affine(&h, qfac, VOLT_GEOMETRY_QFORM, NULL);
    h.pixdim[0] = 0;
    check_affine(&h, plain, VOLT_GEOMETRY_QFORM, "pixdim[0] is 0");
    h.qform_code = 0;
    check_affine(&h, nibabel, VOLT_GEOMETRY_NOFORM, "which side is left");
    h = make_header1();
    h.xyzt_units = 3;
    check_affine(&h, micron, VOLT_GEOMETRY_SFORM, "micrometres");
    h.xyzt_units = 0;
    check_affine(&h, plain, VOLT_GEOMETRY_SFORM, "mm is assumed");
    h = make_header1();
    h.srow_x[1] = 1;
    h.qform_code = 0;
    h.pixdim[2] = sqrtf(10);
    check_affine(&h, sheared, VOLT_GEOMETRY_SFORM, "not at right angles");
    h = make_header1();
    h.pixdim[1] = h.pixdim[2] = h.pixdim[3] = 1;
    check_affine(&h, plain, VOLT_GEOMETRY_SFORM, "pixdim[1] is 1");
    h.pixdim[2] = 0;
    check_affine(&h, plain, VOLT_GEOMETRY_SFORM, "the qform is unusable");
}

static void scaling_and_its_odd_cases(void **state)
{
    static const struct {
        float slope, inter;
        bool scaled;
        const char *note;
    } rows[] = {
        {1, 0, false, NULL},   {0, 0, false, NULL},        {NAN, NAN, false, NULL},
        {NAN, 0, false, NULL}, {0, 7, false, "scl_inter"}, {INFINITY, 0, false, "infinite"},
        {2, 0, true, NULL},    {1, -1024, true, NULL},     {-0.25f, 3, true, NULL}};
    nifti_1_header h = make_header1();
    (void)state;

    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        volt_image_header *header = NULL;
        volt_volume *v;
        h.scl_slope = rows[r].slope;
        h.scl_inter = rows[r].inter;
        write_nifti1("scale.nii", &h, sixty, sizeof sixty);
        v = read_as("scale.nii", 0, &header);
        assert_int_equal(header->scaled, rows[r].scaled);
        assert_int_equal(v->dtype, rows[r].scaled ? VOLT_F32 : VOLT_I16);
        if (rows[r].note)
            assert_true(is_noted(header, rows[r].note));
        else
            assert_int_equal(header->warning_count, 0);
        for (int i = 0; i < 60; i++)
            assert_true(element(v->data, i, v->dtype) ==
                        (rows[r].scaled
                             ? (float)(sixty[i] * (double)rows[r].slope + rows[r].inter)
                             : sixty[i]));
        volt_volume_free(v);
        volt_image_header_free(header);
    }
    h.scl_slope = 1;
    h.scl_inter = NAN;
    write_nifti1("scale.nii", &h, sixty, sizeof sixty);
    volt_volume *v = NULL;
    assert_fails(volt_nifti_read(&v, NULL, "scale.nii", NULL), VOLT_EFORMAT,
                 "scale.nii: scl_slope is 1, but scl_inter is nan");
    unlink("scale.nii");
}

static void values_that_are_not_finite_are_kept(void **state)
{
    float voxels[60] = {NAN, INFINITY, -INFINITY, 1};
    nifti_1_header h = make_header1();
    const volt_image_read_options labels = volt_image_read_as(VOLT_U8, 0);
    volt_volume *v, *none = NULL;
    (void)state;

    h.datatype = 16;
    h.bitpix = 32;
    write_nifti1("nan.nii.gz", &h, voxels, sizeof voxels);
    v = read_as("nan.nii.gz", 0, NULL);
    assert_memory_equal(v->data, voxels, sizeof voxels);
    volt_volume_free(v);
    v = read_as("nan.nii.gz", VOLT_F64, NULL);
    assert_true(isnan(((double *)v->data)[0]) && isinf(((double *)v->data)[1]));
    volt_volume_free(v);
    assert_fails(volt_nifti_read(&none, NULL, "nan.nii.gz", &labels), VOLT_EFORMAT,
                 "voxel (x 0, y 0, z 0) is nan; an integer in the range of uint8");
    unlink("nan.nii.gz");
}

static void labels_must_be_whole(void **state)
{
    float voxels[60] = {0};
    nifti_1_header h = make_header1();
    const volt_image_read_options options = volt_image_read_as(VOLT_U8, 2);
    volt_volume *v = NULL;
    (void)state;

    h.datatype = 16;
    h.bitpix = 32;
    voxels[5] = 254.9999f; /* passed through a scale factor */
    write_nifti1("labels.nii", &h, voxels, sizeof voxels);
    v = read_as("labels.nii", VOLT_U8, NULL);
    assert_int_equal(((uint8_t *)v->data)[5], 255);
    volt_volume_free(v);
    v = NULL;
    voxels[17] = 2.5f;
    voxels[40] = 300;
    write_nifti1("labels.nii", &h, voxels, sizeof voxels);
    assert_fails(volt_nifti_read(&v, NULL, "labels.nii", &options), VOLT_EFORMAT,
                 "voxel (x 2, y 1, z 1) is 2.5;");
    voxels[17] = 0;
    write_nifti1("labels.nii.gz", &h, voxels, sizeof voxels);
    assert_fails(volt_nifti_read(&v, NULL, "labels.nii.gz", &options), VOLT_EFORMAT,
                 "voxel (x 1, y 1, z 3) is 300;");
    assert_null(v);
    unlink("labels.nii");
    unlink("labels.nii.gz");
}

/* Compressed doubles become narrower voxels without being held as doubles. */
static void wide_voxels_are_narrowed_piece_by_piece(void **state)
{
    static const volt_dtype types_read[3] = {VOLT_F32, VOLT_I16, VOLT_U8};
    const int64_t n[3] = {70, 80, 91}, voxels = 70 * 80 * 91;
    const volt_grid grid = volt_grid_make(n, 1, (double[]){1, 1, 1});
    const volt_image_read_options labels = volt_image_read_as(VOLT_I16, 2);
    volt_volume *wide = NULL, *v = NULL;

    (void)state;
    assert_ok(volt_volume_create(&wide, &grid, VOLT_F64));
    for (int64_t i = 0; i < voxels; i++)
        ((double *)wide->data)[i] = (double)(i * 7919 % 251);
    assert_ok(volt_nifti_write("wide.nii.gz", wide, NULL, NULL));
    for (int k = 0; k < 3; k++) {
        const size_t before = volt_mem_current();
        measure_start();
        v = read_as("wide.nii.gz", types_read[k], NULL);
        assert_true(measure_peak() - before < volt_volume_bytes(v) + ((size_t)5 << 18));
        for (int64_t i = 0; i < voxels; i++)
            assert_true(element(v->data, i, types_read[k]) == (double)(i * 7919 % 251));
        volt_volume_free(v);
    }
    v = NULL;
    ((double *)wide->data)[300000] = ((double *)wide->data)[voxels - 1] = 0.5;
    assert_ok(volt_nifti_write("wide.nii.gz", wide, NULL, NULL));
    assert_fails(volt_nifti_read(&v, NULL, "wide.nii.gz", &labels), VOLT_EFORMAT,
                 "(x 64, y 16, z 41)");
    assert_null(v);
    volt_volume_free(wide);
    assert_int_equal(remove("wide.nii.gz"), 0);
}

static void axes_beyond_z_are_channels(void **state)
{
    static const struct {
        short dim[8];
        int channels;
        int64_t nz, ny;
    } rows[] = {{{1, 60, 9, 9, 9, 9, 9, 9}, 1, 1, 1}, {{2, 12, 5, 0, 0, 0, 0, 0}, 1, 1, 5},
                {{3, 3, 4, 5, 0, -1, 0, 0}, 1, 5, 4}, {{4, 3, 4, 1, 5, 1, 1, 1}, 5, 1, 4},
                {{5, 3, 4, 1, 1, 5, 1, 1}, 5, 1, 4},  {{7, 3, 4, 5, 1, 1, 1, 1}, 1, 5, 4}};
    nifti_1_header h = make_header1();
    volt_volume *v = NULL;
    (void)state;

    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        memcpy(h.dim, rows[r].dim, sizeof h.dim);
        write_nifti1("axes.nii", &h, sixty, sizeof sixty);
        v = read_as("axes.nii", 0, NULL);
        assert_int_equal(v->grid.channels, rows[r].channels);
        assert_int_equal(v->grid.n[0], rows[r].nz);
        assert_int_equal(v->grid.n[1], rows[r].ny);
        assert_memory_equal(v->data, sixty, sizeof sixty);
        volt_volume_free(v);
        v = NULL;
    }
    memcpy(h.dim, (short[8]){5, 3, 2, 1, 2, 5, 1, 1}, sizeof h.dim);
    write_nifti1("axes.nii", &h, sixty, sizeof sixty);
    assert_fails(volt_nifti_read(&v, NULL, "axes.nii", NULL), VOLT_ENOTSUP,
                 "more than one axis beyond z (extents 2, 5, 1, 1)");
    unlink("axes.nii");
}

static void a_slice_without_a_third_axis(void **state)
{
    nifti_1_header h = make_header1();
    volt_image_header *header = NULL;
    (void)state;

    h.dim[0] = 2;
    h.pixdim[3] = 0;
    h.srow_z[2] = 0;
    write_nifti1("slice.nii", &h, sixty, sizeof sixty);
    assert_ok(volt_nifti_info(&header, "slice.nii"));
    assert_true(header->grid.to_world[2][2] == 1);
    assert_true(is_noted(header, "gives no direction of the z axis"));
    volt_image_header_free(header);
    h.sform_code = 0; /* the same through the qform */
    write_nifti1("slice.nii", &h, sixty, sizeof sixty);
    assert_ok(volt_nifti_info(&header, "slice.nii"));
    assert_true(header->grid.to_world[2][2] == 1);
    volt_image_header_free(header);
    unlink("slice.nii");
}

static void pairs_in_every_combination(void **state)
{
    nifti_1_header h = make_header1();
    volt_image_header *header = NULL;
    volt_volume *v = NULL;
    (void)state;

    memcpy(h.magic, "ni1", 4);
    h.vox_offset = 0;
    for (int way = 0; way < 4; way++) {
        const char *head = way & 1 ? "pair.hdr.gz" : "pair.hdr";
        const char *body = way & 2 ? "pair.img.gz" : "pair.img";
        write_nifti(head, &h, 348, 352, "", 0);
        write_nifti(body, "", 0, 0, sixty, sizeof sixty);
        for (int by = 0; by < 2; by++) {
            v = read_as(by ? body : head, 0, &header);
            assert_true(header->pair);
            assert_int_equal(header->gzip, (way & 2) != 0);
            assert_memory_equal(v->data, sixty, sizeof sixty);
            volt_volume_free(v);
            volt_image_header_free(header);
            v = NULL;
        }
        if (way == 3) {
            unlink(body);
            assert_fails(volt_nifti_read(&v, NULL, head, NULL), VOLT_EIO,
                         "pair.hdr.gz: the file with its voxels");
            assert_ok(volt_nifti_info(&header, head));
            assert_true(is_noted(header, "file with the voxels (.img) is missing"));
            volt_image_header_free(header);
        }
        unlink(head);
        if (way == 0)
            assert_fails(volt_nifti_read(&v, NULL, body, NULL), VOLT_EIO,
                         "pair.img: its header file");
        unlink(body);
    }
}

static void the_file_named_is_the_file_read(void **state)
{
    nifti_1_header h = make_header1();
    int16_t other[60] = {0};
    volt_volume *v;
    (void)state;

    /* Other libraries take x.nii.gz's voxels from x.nii, and go by names. */
    write_nifti1("twin.nii.gz", &h, sixty, sizeof sixty);
    write_nifti1("twin.nii", &h, other, sizeof other);
    v = read_as("twin.nii.gz", 0, NULL);
    assert_memory_equal(v->data, sixty, sizeof sixty);
    volt_volume_free(v);
    assert_int_equal(rename("twin.nii.gz", "twin.nii"), 0); /* gzip in a .nii */
    v = read_as("twin.nii", 0, NULL);
    assert_memory_equal(v->data, sixty, sizeof sixty);
    volt_volume_free(v);
    unlink("twin.nii");
    assert_true(volt_image_named("a/b.NII.GZ") && volt_image_named("x.hdr"));
    assert_false(volt_image_named("x.nii.bz2") || volt_image_named(".nii"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_order_version_and_target),
        cmocka_unit_test(threads_do_not_change_a_voxel),
        cmocka_unit_test(geometry_follows_the_rules),
        cmocka_unit_test(scaling_and_its_odd_cases),
        cmocka_unit_test(values_that_are_not_finite_are_kept),
        cmocka_unit_test(labels_must_be_whole),
        cmocka_unit_test(wide_voxels_are_narrowed_piece_by_piece),
        cmocka_unit_test(axes_beyond_z_are_channels),
        cmocka_unit_test(a_slice_without_a_third_axis),
        cmocka_unit_test(pairs_in_every_combination),
        cmocka_unit_test(the_file_named_is_the_file_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
