#include <sys/stat.h>

#include "tests/kit/measure.h"
#include "io/image.h"
#include "tests/kit/nifti_make.h"
#include "base/rng.h"

static const int16_t sixty[60] = {1, 2, 3};

static void refuse1(const nifti_1_header *h, volt_status st, const char *words)
{
    volt_volume *v = NULL;
    volt_image_header *header = NULL;

    write_nifti1("bad.nii", h, sixty, sizeof sixty);
    assert_fails(volt_nifti_read(&v, &header, "bad.nii", NULL), st, words);
    assert_non_null(strstr(volt_last_error(), "bad.nii")); /* every message names the file */
    assert_fails(volt_nifti_info(&header, "bad.nii"), st, words);
    assert_null(v);
    assert_null(header);
    unlink("bad.nii");
}

static void refuse2(const nifti_2_header *h, volt_status st, const char *words)
{
    volt_image_header *header = NULL;

    write_nifti("bad.nii", h, 540, 544, sixty, sizeof sixty);
    assert_fails(volt_nifti_info(&header, "bad.nii"), st, words);
    assert_null(header);
    unlink("bad.nii");
}

#define REFUSE1(change, st, words)                                                             \
    do {                                                                                       \
        nifti_1_header h = make_header1();                                                     \
        change;                                                                                \
        refuse1(&h, st, words);                                                                \
    } while (0)

#define REFUSE2(change, st, words)                                                             \
    do {                                                                                       \
        nifti_2_header h = make_header2();                                                     \
        change;                                                                                \
        refuse2(&h, st, words);                                                                \
    } while (0)

static void dimensions(void **state)
{
    (void)state;
    REFUSE1(h.dim[0] = 0, VOLT_EFORMAT, "dim[0] (the number of axes) is 0; 1 to 7");
    REFUSE1(h.dim[0] = 8, VOLT_EFORMAT, "is 8; 1 to 7");
    REFUSE1(h.dim[0] = -1, VOLT_EFORMAT, "is -1; 1 to 7");
    REFUSE1(h.dim[1] = 0, VOLT_EFORMAT, "dim[1] is 0; an extent of at least 1");
    REFUSE1(h.dim[3] = -7, VOLT_EFORMAT, "dim[3] is -7");
    REFUSE1((h.dim[0] = 7, h.dim[7] = 0), VOLT_EFORMAT, "dim[7] is 0");
    REFUSE1((h.dim[1] = h.dim[2] = h.dim[3] = 32767), VOLT_EFORMAT, "its header describes");
    /* A stack smash, and products that wrap to 120 and to 0, in other readers. */
    REFUSE2(h.dim[0] = 1000, VOLT_EFORMAT, "is 1000; 1 to 7");
    REFUSE2(h.dim[0] = (int64_t)1 << 40, VOLT_EFORMAT, "is 1099511627776; 1 to 7");
    REFUSE2(h.dim[0] = INT64_MIN, VOLT_EFORMAT, "1 to 7");
    REFUSE2((h.dim[1] = 8, h.dim[2] = 2305843009213693967), VOLT_EFORMAT, "are too large");
    REFUSE2((h.dim[0] = 5, h.dim[1] = h.dim[2] = h.dim[3] = h.dim[5] = 16384, h.dim[4] = 1,
             h.datatype = 64, h.bitpix = 64),
            VOLT_EFORMAT, "its header describes 576460752303423488 bytes");
    REFUSE2((h.dim[0] = 4, h.dim[4] = (int64_t)1 << 31), VOLT_EFORMAT, "are too large");
    REFUSE2(h.dim[2] = INT64_MAX, VOLT_EFORMAT, "are too large");
}

static void types_and_offsets(void **state)
{
    (void)state;
    REFUSE1(h.datatype = 0, VOLT_EFORMAT, "datatype 0 is not one");
    REFUSE1(h.datatype = 9999, VOLT_EFORMAT, "datatype 9999");
    REFUSE1(h.datatype = 1, VOLT_ENOTSUP, "1-bit");
    REFUSE1(h.datatype = 32, VOLT_ENOTSUP, "complex64");
    REFUSE1(h.datatype = 1792, VOLT_ENOTSUP, "complex128");
    REFUSE1(h.datatype = 2048, VOLT_ENOTSUP, "complex256");
    REFUSE1(h.datatype = 1536, VOLT_ENOTSUP, "float128");
    REFUSE1(h.datatype = 128, VOLT_ENOTSUP, "RGB24");
    REFUSE1(h.datatype = 2304, VOLT_ENOTSUP, "RGBA32");
    REFUSE1(h.vox_offset = NAN, VOLT_EFORMAT, "vox_offset is nan");
    REFUSE1(h.vox_offset = INFINITY, VOLT_EFORMAT, "vox_offset is inf");
    REFUSE1(h.vox_offset = 1e30f, VOLT_EFORMAT, "vox_offset is 1e+30");
    REFUSE1(h.vox_offset = 352.5f, VOLT_EFORMAT, "vox_offset is 352.5");
    REFUSE1(h.vox_offset = 348, VOLT_EFORMAT, "vox_offset is 348; 352 to");
    REFUSE1(h.vox_offset = -352, VOLT_EFORMAT, "vox_offset is -352");
    REFUSE1(h.vox_offset = 353, VOLT_EFORMAT,
            "bad.nii has 472 bytes; its header describes 120 bytes of voxels from byte 353 on");
    REFUSE2(h.vox_offset = INT64_MIN, VOLT_EFORMAT, "vox_offset is -9223372036854775808");
    REFUSE2(h.vox_offset = INT64_MAX, VOLT_EFORMAT, "vox_offset is 9223372036854775807");
    REFUSE2(h.datatype = -4, VOLT_EFORMAT, "datatype -4");
}

static void geometry(void **state)
{
    (void)state;
    REFUSE1(h.srow_x[0] = NAN, VOLT_EFORMAT, "the sform holds a number that is not finite");
    REFUSE1(h.srow_y[3] = -INFINITY, VOLT_EFORMAT, "the sform holds");
    REFUSE1(h.srow_x[0] = 0, VOLT_EFORMAT, "the sform gives a spacing of 0 mm along x");
    REFUSE1((h.srow_x[1] = 2, h.srow_y[1] = 0), VOLT_EFORMAT, "the sform is singular");
    REFUSE1(h.srow_z[2] = 1e20f, VOLT_EFORMAT, "spacing of 1e+20 mm along z");
    REFUSE1(h.srow_z[3] = 1e20f, VOLT_EFORMAT, "puts the first voxel at z = 1e+20");
    REFUSE1((memset(h.srow_x, 0, 48)), VOLT_EFORMAT, "the sform gives a spacing of 0");
    REFUSE1((h.sform_code = 0, h.pixdim[2] = 0), VOLT_EFORMAT,
            "pixdim[2] (the spacing along y) is 0; a positive number");
    REFUSE1((h.sform_code = 0, h.pixdim[1] = -2), VOLT_EFORMAT, "along x) is -2");
    REFUSE1((h.sform_code = 0, h.pixdim[3] = NAN), VOLT_EFORMAT, "along z) is nan");
    REFUSE1((h.sform_code = 0, h.pixdim[3] = INFINITY), VOLT_EFORMAT, "along z) is inf");
    REFUSE1((h.sform_code = h.qform_code = 0, h.pixdim[3] = 0), VOLT_EFORMAT, "along z) is 0");
    REFUSE1((h.sform_code = 0, h.quatern_b = h.quatern_c = h.quatern_d = 5), VOLT_EFORMAT,
            "quaternion (5, 5, 5) has squared length 75");
    REFUSE1((h.sform_code = 0, h.quatern_b = NAN), VOLT_EFORMAT, "the qform holds a number");
    REFUSE1((h.sform_code = 0, h.qoffset_z = INFINITY), VOLT_EFORMAT, "the qform holds");
    REFUSE2(h.srow_x[3] = 1e308, VOLT_EFORMAT, "puts the first voxel at x = 1e+308");
    REFUSE2(h.srow_x[0] = 1e-100, VOLT_EFORMAT, "spacing of 1e-100");
}

static void not_nifti(void **state)
{
    static const struct {
        const char *bytes, *words;
        size_t at;
        volt_status st;
    } rows[] = {{"DICM", "is DICOM, not NIfTI", 128, VOLT_ENOTSUP},
                {"NRRD0004\n", "is NRRD", 0, VOLT_ENOTSUP},
                {"<nifti_image\n", "ASCII form", 0, VOLT_ENOTSUP},
                {"ObjectType = Image", "MetaImage", 0, VOLT_ENOTSUP},
                {"hello", "starts with 68 65 6c 6c", 0, VOLT_EFORMAT}};
    unsigned char bytes[600];
    volt_image_header *header = NULL;
    (void)state;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        memset(bytes, 0, sizeof bytes);
        memcpy(bytes + rows[i].at, rows[i].bytes, strlen(rows[i].bytes));
        write_bytes("other.nii", bytes, sizeof bytes);
        assert_fails(volt_nifti_info(&header, "other.nii"), rows[i].st, rows[i].words);
    }
    write_bytes("other.nii", "", 0);
    assert_fails(volt_nifti_info(&header, "other.nii"), VOLT_EFORMAT, "has 0 bytes");
    write_bytes("other.nii", "\x5c\x01\0\0", 4);
    assert_fails(volt_nifti_info(&header, "other.nii"), VOLT_EFORMAT, "has 4 bytes");
    unlink("other.nii");
    assert_fails(volt_nifti_info(&header, "other.nii"), VOLT_EIO, "other.nii");
    assert_fails(volt_nifti_info(&header, "."), VOLT_EFORMAT, "a folder");
    assert_fails(volt_nifti_info(&header, "/dev/null"), VOLT_EFORMAT, "a device or pipe");
    REFUSE1(memset(h.magic, 0, 4), VOLT_ENOTSUP, "is ANALYZE 7.5");
    REFUSE1(memcpy(h.magic, "xyz", 4), VOLT_ENOTSUP, "is ANALYZE 7.5");
    REFUSE1(memcpy(h.magic, "n+3", 4), VOLT_ENOTSUP, "is ANALYZE 7.5");
    REFUSE2(memcpy(h.magic, "n+1", 4), VOLT_EFORMAT, "the magic is not n+2");
}

static void no_permission(void **state)
{
    const bool root = geteuid() == 0;
    nifti_1_header h = make_header1();
    volt_image_header *header = NULL;
    (void)state;

    write_nifti1("secret.nii", &h, sixty, sizeof sixty);
    assert_int_equal(chmod("secret.nii", 0), 0);
    if (root) /* who may read anything */
        assert_int_equal(seteuid(65534), 0);
    assert_fails(volt_nifti_info(&header, "secret.nii"), VOLT_EIO, "Permission denied");
    if (root)
        assert_int_equal(seteuid(0), 0);
    unlink("secret.nii");
}

static void tolerated_with_a_note(void **state)
{
    static const char *const words[] = {"bitpix is 8", "vox_offset is 0", "0 to 5 are defined",
                                        "voxels are in another file"};
    volt_image_header *header = NULL;
    (void)state;

    for (int i = 0; i < 4; i++) {
        nifti_1_header h = make_header1();
        volt_volume *v = NULL;
        if (i == 0)
            h.bitpix = 8;
        if (i == 1)
            h.vox_offset = 0;
        if (i == 2)
            h.qform_code = 77;
        if (i == 3)
            memcpy(h.magic, "ni1", 4);
        write_nifti1("odd.nii", &h, sixty, sizeof sixty);
        assert_ok(volt_nifti_read(&v, &header, "odd.nii", NULL));
        assert_true(is_noted(header, words[i]));
        assert_memory_equal(v->data, sixty, sizeof sixty);
        volt_volume_free(v);
        volt_image_header_free(header);
    }
    unlink("odd.nii");
}

/* A few hundred bytes that promise gigabytes. */
static void promises_are_checked_before_memory_is_taken(void **state)
{
    nifti_1_header h = make_header1();
    volt_volume *v = NULL;
    size_t before;
    (void)state;

    h.dim[1] = h.dim[2] = h.dim[3] = 1024;
    write_nifti1("promise.nii.gz", &h, sixty, sizeof sixty);
    measure_start();
    before = measure_peak();
    assert_fails(volt_nifti_read(&v, NULL, "promise.nii.gz", NULL), VOLT_EFORMAT,
                 "its header describes 2147483648 bytes");
    assert_true(measure_peak() < before + (1 << 20));
    h = make_header1(); /* within deflate's limit, but not there */
    h.dim[3] = 50;
    write_nifti1("promise.nii.gz", &h, sixty, sizeof sixty);
    assert_fails(volt_nifti_read(&v, NULL, "promise.nii.gz", NULL), VOLT_EFORMAT,
                 "holds 472 bytes when decompressed, expected 1552");
    unlink("promise.nii.gz");
}

static void extensions_of_any_kind(void **state)
{
    static const uint32_t sizes[] = {0, 8, 17, 16, 48, 64, 0x7fffffff, 0xffffffff, 0x80000010};
    unsigned char file[352 + 48 + 120];
    nifti_1_header h = make_header1();
    volt_image_header *header = NULL;
    (void)state;

    h.vox_offset = 352 + 48;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        memset(file, 0, sizeof file);
        memcpy(file, &h, sizeof h);
        file[348] = 1;
        memcpy(file + 352, &sizes[i], 4);
        write_bytes("ext.nii", file, sizeof file);
        assert_ok(volt_nifti_info(&header, "ext.nii"));
        assert_int_equal(header->raw->extension_bytes,
                         sizes[i] == 16 || sizes[i] == 48 ? sizes[i] : 0);
        if (sizes[i] != 0 && sizes[i] != 16 && sizes[i] != 48)
            assert_true(is_noted(header, "an extension of"));
        volt_image_header_free(header);
    }
    unlink("ext.nii");
}

static void every_truncation(void **state)
{
    nifti_1_header h = make_header1();
    volt_volume *v = NULL;
    (void)state;

    for (int gz = 0; gz < 2; gz++) {
        const char *path = gz ? "cut.nii.gz" : "cut.nii";
        char *bytes = NULL;
        size_t size = 0;
        write_nifti1(path, &h, sixty, sizeof sixty);
        assert_ok(volt_read_file(&bytes, &size, path, 10000));
        for (size_t cut = 0; cut < size; cut++) {
            write_bytes(path, bytes, cut);
            assert_int_equal(volt_nifti_read(&v, NULL, path, NULL), VOLT_EFORMAT);
            assert_non_null(strstr(volt_last_error(), path));
        }
        volt_free(bytes);
        unlink(path);
    }
}

/* A judged header's promises: the rest of the program relies on each of them. */
static void check_promises(const volt_image_header *header)
{
    int64_t product = header->grid.channels;

    assert_ok(volt_grid_check(&header->grid, "accepted header"));
    for (int i = 0; i < 3; i++)
        assert_false(__builtin_mul_overflow(product, header->grid.n[i], &product));
    assert_int_equal((size_t)product * volt_dtype_bytes(header->dtype),
                     header->raw->stored_bytes);
    assert_true(isfinite(header->slope) && isfinite(header->inter) && header->slope != 0);
    assert_true(strlen(header->description) <= 80 && strlen(header->intent_name) <= 16);
}

/* Headers with one to eight bytes changed, then parsed; those accepted are also written. */
static void mutated_headers(void **state)
{
    volt_rng rng = volt_rng_open(7, 0, 0, VOLT_RNG_TEST);
    size_t accepted = 0;
    (void)state;

    for (int i = 0; i < 40000; i++) {
        unsigned char bytes[540] = {0};
        const nifti_1_header h1 = make_header1();
        const nifti_2_header h2 = make_header2();
        const size_t size = i % 2 ? 540 : 348;
        volt_image_header *header = NULL;
        memcpy(bytes, i % 2 ? (const void *)&h2 : (const void *)&h1, size);
        if (i % 4 >= 2)
            swap_nifti_header(bytes, i % 2 ? 2 : 1);
        for (int64_t n = 1 + volt_rng_below(&rng, 8); n > 0; n--)
            bytes[volt_rng_below(&rng, (int64_t)size)] = (unsigned char)volt_rng_u32(&rng);
        if (volt_nifti_parse(&header, bytes, 540, "mutated.nii") == VOLT_OK) {
            nifti_2_header out = header->raw->h;
            volt_grid moved = header->grid;
            check_promises(header);
            moved.to_world[0][3] += 1;
            volt_nifti_write_geometry(&out, &moved, header);
            accepted++;
        } else {
            assert_true(strlen(volt_last_error()) > 0);
        }
        volt_image_header_free(header);
    }
    assert_in_range(accepted, 8000, 32000);
}

static void mutated_files(void **state)
{
    const volt_image_read_options floats = volt_image_read_as(VOLT_F32, 1);
    volt_rng rng = volt_rng_open(8, 0, 0, VOLT_RNG_TEST);
    nifti_1_header h = make_header1();
    size_t accepted = 0, refused = 0;
    (void)state;

    for (int gz = 0; gz < 2; gz++) {
        const char *path = gz ? "mutant.nii.gz" : "mutant.nii";
        char *bytes = NULL;
        size_t size = 0;
        write_nifti1(path, &h, sixty, sizeof sixty);
        assert_ok(volt_read_file(&bytes, &size, path, 10000));
        for (int i = 0; i < 1500; i++) {
            volt_volume *v = NULL;
            const size_t at = (size_t)volt_rng_below(&rng, (int64_t)size);
            const char old = bytes[at];
            bytes[at] = (char)volt_rng_u32(&rng);
            write_bytes(path, bytes, size);
            if (volt_nifti_read(&v, NULL, path, &floats) == VOLT_OK)
                accepted++;
            else
                refused++;
            volt_volume_free(v);
            bytes[at] = old;
        }
        volt_free(bytes);
        unlink(path);
    }
    assert_true(accepted > 500 && refused > 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dimensions),
        cmocka_unit_test(types_and_offsets),
        cmocka_unit_test(geometry),
        cmocka_unit_test(not_nifti),
        cmocka_unit_test(no_permission),
        cmocka_unit_test(tolerated_with_a_note),
        cmocka_unit_test(promises_are_checked_before_memory_is_taken),
        cmocka_unit_test(extensions_of_any_kind),
        cmocka_unit_test(every_truncation),
        cmocka_unit_test(mutated_headers),
        cmocka_unit_test(mutated_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
