/* Formats other than NIfTI: PNG, and what the helper volt-itk reads and writes. Its part is
 * left out where it was not built; fake helpers crash, hang and lie everywhere. */
#include "tests/kit/itk.h"

#include <errno.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/system/file.h"
#include "base/core/alloc.h"
#include "io/dataset.h"
#include "io/image.h"
#include "io/image/names.h"
#include "io/itk/protocol.h"
#include "io/image/nifti.h"

#define IMAGES VOLT_TESTDATA "/images/"

/* -- What SimpleITK reads ----------------------------------------------------------------- */

typedef struct expected {
    char name[64], type[16];
    int axes, channels;
    long long n[3];
    double matrix[12], sum;
} expected;

static void check_file(const expected *e, const char *path)
{
    const volt_image_read_options options = volt_image_read_as(VOLT_F64, 2);
    volt_image_header *header = NULL, *alone = NULL;
    volt_volume *v = NULL;

    assert_ok(volt_image_read(&v, &header, path, &options));
    assert_ok(volt_image_info(&alone, path));
    assert_memory_equal(&alone->grid, &header->grid, sizeof header->grid);
    assert_string_equal(volt_dtype_name(header->dtype), e->type);
    assert_int_equal(header->is_2d, e->axes == 2);
    assert_int_equal(v->grid.channels, e->channels);
    for (int a = 0; a < 3; a++) {
        assert_int_equal(v->grid.n[2 - a], e->n[a]);
        for (int c = 0; c < 4; c++) {
            if (fabs(v->grid.to_world[a][c] - e->matrix[4 * a + c]) > 1e-12)
                fail_msg("%s: entry %d %d of the matrix is %.17g, not %.17g", e->name, a, c,
                         v->grid.to_world[a][c], e->matrix[4 * a + c]);
        }
    }
    assert_true(weighted_sum(v) == e->sum);
    volt_image_header_free(alone);
    volt_image_header_free(header);
    volt_volume_free(v);
}

static bool read_expected(expected *e, char **text)
{
    double *m = e->matrix;
    int used = 0;

    if (sscanf(*text,
               "%63s %d %d %15s %lld %lld %lld %lf %lf %lf %lf %lf %lf %lf %lf %lf %lf %lf "
               "%lf %lf\n%n",
               e->name, &e->axes, &e->channels, e->type, &e->n[0], &e->n[1], &e->n[2], m, m + 1,
               m + 2, m + 3, m + 4, m + 5, m + 6, m + 7, m + 8, m + 9, m + 10, m + 11, &e->sum,
               &used) != 20)
        return false;
    *text += used;
    return true;
}

static void files_hold_what_simpleitk_reads(void **state)
{
    char *all = read_fixture("images/expected.txt", 0), *text = all;
    const bool helper = has_helper();
    int seen = 0;
    expected e;

    (void)state;
    while (read_expected(&e, &text)) {
        char *path;
        if (!helper && !strstr(e.name, ".png"))
            continue;
        assert_ok(volt_format(&path, "%s%s", IMAGES, e.name));
        check_file(&e, path);
        volt_free(path);
        seen++;
    }
    assert_int_equal(seen, helper ? 15 : 2);
    volt_free(all);
}

static void written_files_lie_where_their_source_lay(void **state)
{
    static const char *const endings[] = {"mha", "mhd", "nrrd", "nhdr", "nii.gz"};
    volt_image_header *source = NULL;
    volt_volume *v = NULL;

    (void)state;
    if (!has_helper())
        skip_because("volt-itk was not built");
    assert_ok(volt_image_read(&v, &source, IMAGES "oblique.mha", NULL));
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        const bool itk = strcmp(endings[i], "nii.gz") != 0;
        volt_image_header *header = NULL;
        volt_volume *again = NULL;
        char path[40];
        snprintf(path, sizeof path, "again.%s", endings[i]);
        assert_ok(volt_image_write(path, v, source, NULL));
        assert_ok(volt_image_read(&again, &header, path, NULL));
        assert_int_equal(again->dtype, v->dtype);
        assert_memory_equal(again->data, v->data, volt_volume_bytes(v));
        assert_true(volt_grid_same(&again->grid, &v->grid, itk ? 1e-14 : 1e-5));
        volt_volume_free(again);
        volt_image_header_free(header);
    }
    volt_volume_free(v);
    volt_image_header_free(source);
}

/* -- Pictures ----------------------------------------------------------------------------- */

static void labels_in_pictures_keep_their_values(void **state)
{
    static const char *const names[] = {"labels.png", "labels.tif", "labels.bmp"};
    const int64_t n[3] = {1, 5, 7};
    const double mm[3] = {1, 1, 1};
    const volt_grid grid = volt_grid_make(n, 1, mm);
    const volt_image_write_options labels = volt_image_write_labels(0);
    const volt_image_read_options read = volt_image_read_as(VOLT_I16, 0);

    (void)state;
    for (int high = 0; high < 2; high++) {
        for (int i = 0; i < (has_helper() ? 3 : 1); i++) {
            volt_volume *v = NULL, *again = NULL;
            if (high && i == 2)
                continue; /* a BMP holds bytes */
            assert_ok(volt_volume_create(&v, &grid, VOLT_I16));
            ((int16_t *)v->data)[11] = (int16_t)(high ? 300 : 254);
            assert_ok(volt_image_write(names[i], v, NULL, &labels));
            assert_ok(volt_image_read(&again, NULL, names[i], &read));
            assert_memory_equal(again->data, v->data, volt_volume_bytes(v));
            volt_volume_free(again);
            volt_volume_free(v);
        }
    }
}

static void what_a_picture_cannot_hold_is_refused(void **state)
{
    const volt_image_write_options labels = volt_image_write_labels(0);
    const int64_t n[3] = {2, 5, 7};
    const double mm[3] = {1, 1, 1};
    const volt_grid grid = volt_grid_make(n, 1, mm);
    volt_volume *v = NULL;

    (void)state;
    assert_ok(volt_volume_create(&v, &grid, VOLT_F32));
    assert_fails(volt_image_write("two.png", v, NULL, NULL), VOLT_EINVAL, "2 slices");
    v->grid.n[0] = 1;
    assert_fails(volt_image_write("two.png", v, NULL, NULL), VOLT_EINVAL, "float32");
    assert_fails(volt_image_write("two.mgz", v, NULL, NULL), VOLT_EINVAL, "two.mgz");
    assert_fails(volt_image_write("two.jpg", v, NULL, &labels), VOLT_EINVAL, "JPEG");
    v->grid.n[0] = 2;
    assert_fails(volt_image_write("two.bmp", v, NULL, NULL), VOLT_EINVAL, "one slice");
    assert_false(volt_path_exists("two.bmp"));
    volt_volume_free(v);
}

static void tiff_pages_take_spacing_from_a_json_file(void **state)
{
    volt_image_write_options drop = volt_image_write_defaults();
    volt_image_header *header = NULL;
    volt_volume *v = NULL;
    double mm[3];

    (void)state;
    if (!has_helper())
        skip_because("volt-itk was not built");
    drop.drop_geometry = true;
    assert_ok(volt_image_read(&v, &header, IMAGES "oblique.mha", NULL));
    assert_fails(volt_image_write("case_0000.tif", v, header, NULL), VOLT_EINVAL,
                 "TIFF cannot store where the image lies (its position and orientation)");
    assert_ok(volt_image_write("case_0000.tif", v, header, &drop));
    volt_image_header_free(header);
    assert_true(volt_path_exists("case_0000.json"));
    assert_ok(volt_image_info(&header, "case_0000.tif"));
    volt_grid_spacing(mm, &header->grid);
    assert_true(mm[0] == 2.5 && mm[1] == 1.25 && mm[2] == 0.7);
    volt_image_header_free(header);
    assert_int_equal(rename("case_0000.json", "case.json"), 0);
    assert_ok(volt_image_info(&header, "case_0000.tif"));
    volt_grid_spacing(mm, &header->grid);
    assert_true(mm[0] == 2.5);
    volt_image_header_free(header);
    assert_ok(volt_write_file("case.json", "{\"spacing\": [1, -1, 1]}", 23));
    assert_fails(volt_image_info(&header, "case_0000.tif"), VOLT_EFORMAT, "case.json");
    assert_int_equal(unlink("case.json"), 0);
    assert_ok(volt_image_info(&header, "case_0000.tif"));
    assert_int_equal(header->warning_count, 1);
    volt_image_header_free(header);
    volt_volume_free(v);
}

static void flat_scans_are_thick_in_training(void **state)
{
    volt_image_header *header = NULL;
    volt_grid grid;
    double mm[3];

    (void)state;
    assert_ok(volt_image_info(&header, IMAGES "picture.png"));
    grid = volt_case_grid(header);
    volt_grid_spacing(mm, &grid);
    assert_true(mm[0] == 999 && mm[1] == 1 && mm[2] == 1);
    volt_image_header_free(header);
    if (!has_helper())
        return;
    assert_ok(volt_image_info(&header, IMAGES "flat.mha"));
    grid = volt_case_grid(header);
    volt_grid_spacing(mm, &grid);
    assert_true(fabs(mm[0] - 999 * 1.25) < 1e-9 && mm[1] == 1.25);
    volt_image_header_free(header);
}

static void masks_come_out_in_the_data_set_s_ending(void **state)
{
    static const char *const pairs[][2] = {
        {".mha", ".mha"}, {".jpg", ".png"}, {".hdr", ".nii.gz"}, {".nii", ".nii"}};

    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        const volt_dataset_info info = {.file_ending = (char *)pairs[i][0]};
        assert_string_equal(volt_mask_ending(&info), pairs[i][1]);
    }
}

/* A photograph of 9 x 8 pixels, or its labels. */
static void write_picture(const char *path, int channels, int seed)
{
    const int64_t n[3] = {1, 8, 9};
    const double mm[3] = {1, 1, 1};
    const volt_grid grid = volt_grid_make(n, channels, mm);
    volt_volume *v = NULL;

    assert_ok(volt_volume_create(&v, &grid, VOLT_U8));
    for (int64_t i = 0; i < 72 * channels; i++)
        ((uint8_t *)v->data)[i] = (uint8_t)(channels > 1 ? (i * 7 + seed) % 251 : i % 2);
    assert_ok(volt_image_write(path, v, NULL, NULL));
    volt_volume_free(v);
}

static void photographs_are_cases_of_one_file(void **state)
{
    static const char json[] =
        "{\"channel_names\": {\"0\": \"R\", \"1\": \"G\", \"2\": \"B\"}, \"labels\": "
        "{\"background\": 0, \"vessel\": 1}, \"numTraining\": 2, \"file_ending\": \".png\"}";
    const char *inputs[] = {"photos/imagesTr"};
    volt_case_data data = {0};
    volt_case_list list = {0};
    volt_findings findings = {0};
    volt_dataset *ds = NULL;
    double mm[3];

    (void)state;
    assert_ok(volt_make_dirs("photos/imagesTr"));
    assert_ok(volt_make_dirs("photos/labelsTr"));
    assert_ok(volt_write_file("photos/dataset.json", json, sizeof json - 1));
    write_picture("photos/imagesTr/a_0000.png", 3, 1);
    write_picture("photos/imagesTr/b_0000.png", 3, 5);
    write_picture("photos/labelsTr/a.png", 1, 0);
    write_picture("photos/labelsTr/b.png", 1, 0);
    assert_ok(volt_dataset_open(&ds, "photos", NULL));
    assert_int_equal(ds->cases.count, 2);
    assert_int_equal(ds->cases.item[0].files, 1);
    assert_ok(volt_dataset_check(&findings, ds, 1, NULL));
    assert_int_equal(findings.count, 0);
    assert_ok(volt_case_read(&data, &ds->cases.item[1], &ds->info, 1));
    assert_int_equal(data.image->grid.channels, 3);
    assert_true(((const float *)data.image->data)[72] == (72 * 7 + 5) % 251);
    assert_int_equal(((const int16_t *)data.labels->data)[71], 1);
    volt_grid_spacing(mm, &data.image->grid);
    assert_true(mm[0] == 999 && mm[1] == 1);
    assert_ok(volt_mask_restore(&data.labels, &ds->info, data.header, 1));
    volt_grid_spacing(mm, &data.labels->grid);
    assert_true(mm[0] == 1);
    assert_ok(volt_inputs_list(&list, inputs, 1, 3, NULL));
    assert_int_equal(list.count, 2);
    assert_int_equal(list.item[0].files, 1);
    volt_case_list_clear(&list);
    assert_fails(volt_inputs_list(&list, inputs, 1, 2, NULL), VOLT_EDATA, "takes 2");
    volt_case_data_clear(&data);
    volt_findings_clear(&findings);
    volt_dataset_close(ds);
}

static void pictures_beside_scans_are_no_scans(void **state)
{
    const int64_t n[3] = {2, 3, 4};
    const double mm[3] = {1, 1, 1};
    const volt_grid grid = volt_grid_make(n, 1, mm);
    volt_names names = {0};
    volt_volume *v = NULL;

    (void)state;
    assert_ok(volt_volume_create(&v, &grid, VOLT_U8));
    assert_ok(volt_make_dirs("mixed"));
    write_picture("mixed/overlay.png", 3, 1);
    assert_ok(volt_image_list(&names, "mixed"));
    assert_int_equal(names.count, 1);
    volt_names_free(&names);
    assert_ok(volt_image_write("mixed/scan.nii.gz", v, NULL, NULL));
    assert_ok(volt_image_list(&names, "mixed"));
    assert_int_equal(names.count, 1);
    assert_string_equal(names.name[0], "scan.nii.gz");
    volt_names_free(&names);
    volt_volume_free(v);
}

/* -- Damage ------------------------------------------------------------------------------- */

static void no_children(void)
{
    errno = 0;
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

static void cut_images_are_refused(void **state)
{
    static const char *const names[] = {"oblique.mha", "flat.mha",    "plain.nrrd",
                                        "packed.nrrd", "picture.tif", "picture.bmp",
                                        "picture.png", "scan.gipl"};

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[64], *data, *from;
        size_t bytes;
        if (!has_helper() && !strstr(names[i], ".png"))
            continue;
        snprintf(path, sizeof path, "cut-%s", names[i]);
        assert_ok(volt_format(&from, "%s%s", IMAGES, names[i]));
        assert_ok(volt_read_file(&data, &bytes, from, (size_t)1 << 20));
        for (int part = 0; part < 8; part++) {
            volt_volume *v = NULL;
            assert_ok(volt_write_file(path, data, bytes * (size_t)part / 8));
            if (volt_image_read(&v, NULL, path, NULL) == VOLT_OK)
                fail_msg("%s was read from %d eighths", names[i], part);
            if (!strstr(volt_last_error(), path))
                fail_msg("'%s' does not name %s", volt_last_error(), path);
        }
        volt_free(data);
        volt_free(from);
    }
    no_children();
}

static void headers_cannot_point_elsewhere(void **state)
{
#define META                                                                                   \
    "ObjectType = Image\nNDims = 2\nDimSize = 2 2\nElementType = MET_UCHAR\n"                  \
    "ElementDataFile = "
#define NRRD                                                                                   \
    "NRRD0004\ntype: uint8\ndimension: 2\nsizes: 2 2\nencoding: raw\nspacings: 1 1\n"          \
    "data file: "
    static const char *const text[][3] = {
        {"out.mhd", META "/etc/hostname\n", "must lie next to"},
        {"up.mhd", META "../secret.raw\n", "must lie next to"},
        {"below.mhd", META "sub/secret.raw\n", "must lie next to"},
        {"here.mha", META "..\n", "must lie next to"},
        {"list.mhd", META "LIST\nsecret.raw\n/etc/passwd\n", "must lie next to"},
        {"pattern.mhd", META "/etc/%d 1 2 1\n", "must lie next to"},
        {"patterns.mhd", META "a%s 1 2 1\n", "is no pattern"},
        {"late.mhd", META "secret.raw\nElementDataFile = /etc/hostname\n", NULL},
        {"empty.mhd", META "\n", "must lie next to"},
        {"none.mhd", META "missing.raw\n", "missing.raw cannot be opened"},
        {"link.mhd", META "link.raw\n", "link.raw is a symbolic link"},
        {"folder.mhd", META "sub\n", "sub is not a regular file"},
        {"out.nhdr", NRRD "/etc/hostname\n\n", "must lie next to"},
        {"list.nhdr", NRRD "LIST\nsub/../../secret.raw\n", "must lie next to"},
        {"pattern.nhdr", NRRD "../%03d.raw 1 2 1\n\n", "must lie next to"},
        {"link.nhdr", NRRD "link.raw\n\n", "link.raw is a symbolic link"},
        {"twice.nhdr", NRRD "secret.raw\ndata file: /etc/hostname\n\n", "must lie next to"},
        {"good.mhd", META "secret.raw\n", NULL},
        {"good.nhdr", NRRD "./secret.raw\n\n", NULL},
    };

    (void)state;
    if (!has_helper())
        skip_because("volt-itk was not built");
    (void)unlink("link.raw");
    assert_ok(volt_make_dirs("sub"));
    assert_ok(volt_write_file("secret.raw", "\1\2\3\4", 4));
    assert_int_equal(symlink("secret.raw", "link.raw"), 0);
    for (size_t i = 0; i < sizeof text / sizeof *text; i++) {
        volt_volume *v = NULL;
        assert_ok(volt_write_file(text[i][0], text[i][1], strlen(text[i][1])));
        if (!text[i][2]) {
            assert_ok(volt_image_read(&v, NULL, text[i][0], NULL));
            assert_memory_equal(v->data, "\1\2\3\4", 4);
            volt_volume_free(v);
            continue;
        }
        assert_int_not_equal(volt_image_read(&v, NULL, text[i][0], NULL), VOLT_OK);
        if (!strstr(volt_last_error(), text[i][2]) || !strstr(volt_last_error(), text[i][0]))
            fail_msg("%s: '%s' lacks '%s'", text[i][0], volt_last_error(), text[i][2]);
    }
    no_children();
}

/* Slices in files of their own, by list and by pattern. */
static void lists_and_patterns_are_read(void **state)
{
    static const char *const text[][2] = {
        {"l.mhd", "ObjectType = Image\nNDims = 3\nDimSize = 2 2 3\nElementType = MET_UCHAR\n"
                  "ElementDataFile = LIST\ns01.raw\ns02.raw\ns03.raw\n"},
        {"p.mhd", "ObjectType = Image\nNDims = 3\nDimSize = 2 2 3\nElementType = MET_UCHAR\n"
                  "ElementDataFile = s%02d.raw 1 3 1\n"},
        {"l.nhdr", "NRRD0004\ntype: uint8\ndimension: 3\nsizes: 2 2 3\nencoding: raw\n"
                   "data file: LIST\ns01.raw\ns02.raw\ns03.raw\n"},
        {"p.nhdr", "NRRD0004\ntype: uint8\ndimension: 3\nsizes: 2 2 3\nencoding: raw\n"
                   "data file: s%02d.raw 1 3 1\n\n"},
    };
    static const char voxels[] = "abcdefghijkl";

    (void)state;
    if (!has_helper())
        skip_because("volt-itk was not built");
    for (int i = 0; i < 3; i++) {
        char name[16];
        snprintf(name, sizeof name, "s%02d.raw", i + 1);
        assert_ok(volt_write_file(name, voxels + 4 * i, 4));
    }
    for (size_t i = 0; i < sizeof text / sizeof *text; i++) {
        volt_volume *v = NULL;
        assert_ok(volt_write_file(text[i][0], text[i][1], strlen(text[i][1])));
        assert_ok(volt_image_read(&v, NULL, text[i][0], NULL));
        assert_memory_equal(v->data, voxels, 12);
        volt_volume_free(v);
    }
}

/* ITK never sees these. */
static void too_many_axes_are_refused(void **state)
{
    static const char *const text[][2] = {
        {"five.mha", "ObjectType = Image\nNDims = 5\nDimSize = 1 1 1 1 1\n"
                     "ElementType = MET_UCHAR\nElementDataFile = LOCAL\n."},
        {"huge.mha", "ObjectType = Image\nNDims = 100000\nDimSize = 1 1 1 1 1\n"
                     "ElementType = MET_UCHAR\nElementDataFile = LOCAL\n."},
        {"five.nrrd", "NRRD0004\ntype: uint8\ndimension: 5\nsizes: 1 1 1 1 1\n"
                      "encoding: raw\n\n."},
    };

    (void)state;
    setenv("VOLT_ITK", "/nonexistent/volt-itk", 1);
    for (size_t i = 0; i < sizeof text / sizeof *text; i++) {
        volt_image_header *h = NULL;
        assert_ok(volt_write_file(text[i][0], text[i][1], strlen(text[i][1])));
        assert_fails(volt_image_info(&h, text[i][0]), VOLT_ENOTSUP, "the number of axes is ");
    }
    unsetenv("VOLT_ITK");
}

/* -- Helpers that fail -------------------------------------------------------------------- */

static void set_helper(const char *script)
{
    char *text, *path;

    assert_ok(volt_format(&text, "#!/bin/sh\n%s\n", script));
    assert_ok(volt_write_file("fake-itk", text, strlen(text)));
    assert_int_equal(chmod("fake-itk", 0755), 0);
    assert_ok(volt_path_real(&path, "fake-itk"));
    setenv("VOLT_ITK", path, 1);
    volt_free(path);
    setenv("VOLT_ITK_TIMEOUT", "1", 1);
    volt_free(text);
}

static void unset_helper(void)
{
    unsetenv("VOLT_ITK");
    unsetenv("VOLT_ITK_TIMEOUT");
}

static void a_missing_helper_is_named(void **state)
{
    char *path = strdup(getenv("PATH"));
    volt_volume *v = NULL;

    (void)state;
    unsetenv("VOLT_ITK");
    set_helper("exit 0");
    unsetenv("VOLT_ITK");
    assert_int_equal(rename("fake-itk", "volt-itk"), 0);
    setenv("PATH", ".", 1); /* is not searched */
    assert_fails(volt_image_read(&v, NULL, IMAGES "flat.mha", NULL), VOLT_ENOTSUP,
                 "libinsighttoolkit5-dev");
    setenv("PATH", path, 1);
    assert_int_equal(unlink("volt-itk"), 0);
    setenv("VOLT_ITK", "/nonexistent/volt-itk", 1);
    assert_fails(volt_image_read(&v, NULL, IMAGES "flat.mha", NULL), VOLT_ENOTSUP,
                 "/nonexistent/volt-itk");
    setenv("VOLT_ITK", "./volt-itk", 1);
    assert_fails(volt_image_read(&v, NULL, IMAGES "flat.mha", NULL), VOLT_EINVAL,
                 "flat.mha: VOLT_ITK is \"./volt-itk\"; an absolute path is expected");
    assert_fails(volt_image_read(&v, NULL, "not-there.mha", NULL), VOLT_EIO, "not-there.mha");
    unset_helper();
    no_children();
    free(path);
}

static void helpers_that_crash_or_hang_cost_a_sentence(void **state)
{
    static const struct {
        const char *script, *words;
    } tries[] = {{"kill -SEGV $$", "crashed while reading it (Segmentation fault)"},
                 {"kill -ABRT $$", "crashed while reading it (Aborted)"},
                 {"exit 3", "exit code 3"},
                 {"exec sleep 60", "did not respond for 1 s"},
                 {"exec 0>&-; sleep 60", "crashed while reading it (Killed)"},
                 {"head -c 100 /dev/zero >&0", "ended while reading it"},
                 {"head -c 600 /dev/zero >&0", "is of another version"}};

    (void)state;
    for (size_t i = 0; i < sizeof tries / sizeof *tries; i++) {
        volt_image_header *header = NULL;
        volt_volume *v = NULL;
        set_helper(tries[i].script);
        assert_int_not_equal(volt_image_read(&v, &header, IMAGES "flat.mha", NULL), VOLT_OK);
        if (!strstr(volt_last_error(), tries[i].words) ||
            !strstr(volt_last_error(), "flat.mha"))
            fail_msg("%s: '%s' lacks '%s'", tries[i].script, volt_last_error(), tries[i].words);
        assert_null(v);
        assert_null(header);
        no_children();
    }
    unset_helper();
}

/* A right answer about 2 x 3 voxels of uint8. */
static volt_itk_message right_answer(void)
{
    volt_itk_message m = {.dtype = VOLT_U8, .axes = 2, .channels = 1, .bytes = 6};

    memcpy(m.magic, VOLT_ITK_MAGIC, sizeof m.magic);
    for (int a = 0; a < 3; a++) {
        m.n[a] = a == 2 ? 1 : 2 + a;
        m.spacing[a] = m.direction[4 * a] = 1;
    }
    strcpy(m.format, "MetaImage");
    return m;
}

static volt_status read_answer(const volt_itk_message *m, size_t voxels)
{
    unsigned char bytes[2 * sizeof *m + 16] = {0};
    volt_volume *v = NULL;
    volt_status st;

    memcpy(bytes, m, sizeof *m);
    memcpy(bytes + sizeof *m, m, sizeof *m);
    assert_ok(volt_write_file("answer", bytes, 2 * sizeof *m + voxels));
    set_helper("cat answer >&0");
    st = volt_image_read(&v, NULL, IMAGES "flat.mha", NULL);
    volt_volume_free(v);
    no_children();
    return st;
}

static void helpers_that_lie_are_found_out(void **state)
{
    volt_itk_message m = right_answer();

    (void)state;
    assert_ok(read_answer(&m, 6));
    assert_fails(read_answer(&m, 5), VOLT_EFORMAT, "ended while reading");
    assert_fails(read_answer(&m, 7), VOLT_EFORMAT, "more than it announced");
#define LIE(field, value, words)                                                               \
    m = right_answer();                                                                        \
    m.field = (value);                                                                         \
    assert_fails(read_answer(&m, 6), VOLT_EFORMAT, words)
    LIE(n[0], 0, "0 voxels along x");
    LIE(n[1], -3, "-3 voxels along y");
    LIE(n[1], ((int64_t)1 << 31) + 1, "voxels along y");
    LIE(n[1], (int64_t)1 << 31, "6 bytes of voxels");
    LIE(n[2], 2, "number of axes is 2");
    LIE(axes, 9, "number of axes is 9");
    LIE(channels, 0, "0 channels");
    LIE(channels, 1u << 30, "channels");
    LIE(dtype, VOLT_BF16, "unknown type");
    LIE(dtype, 77, "unknown type");
    LIE(bytes, 7, "7 bytes of voxels");
    LIE(spacing[0], NAN, "spacing");
    LIE(spacing[1], 0, "spacing");
    LIE(origin[0], INFINITY, "origin");
    LIE(direction[0], NAN, "directions");
    LIE(direction[0], 0, "flat.mha"); /* singular */
#undef LIE
    m = right_answer();
    m.n[0] = m.n[1] = (int64_t)1 << 31;
    assert_fails(read_answer(&m, 6), VOLT_EFORMAT, "than any machine holds");
    m = right_answer();
    m.status = VOLT_EDATA;
    memset(m.sentence, 'x', sizeof m.sentence); /* not terminated */
    m.sentence[3] = '\n';
    assert_fails(read_answer(&m, 0), VOLT_EFORMAT, "flat.mha: xxx xxx");
    unset_helper();
}

static void a_failed_write_leaves_nothing(void **state)
{
    const int64_t n[3] = {64, 64, 64};
    const double mm[3] = {1, 1, 1};
    const volt_grid grid = volt_grid_make(n, 1, mm);
    volt_names names = {0};
    volt_volume *v = NULL;

    (void)state;
    assert_ok(volt_volume_create(&v, &grid, VOLT_F32)); /* more than a socket's buffer */
    assert_ok(volt_make_dirs("target"));
    set_helper("kill -SEGV $$");
    assert_fails(volt_image_write("target/x.mha", v, NULL, NULL), VOLT_EIO,
                 "crashed while writing");
    assert_ok(volt_list_dir(&names, "target"));
    assert_int_equal(names.count, 0);
    unset_helper();
    no_children();
    volt_names_free(&names);
    volt_volume_free(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_hold_what_simpleitk_reads),
        cmocka_unit_test(written_files_lie_where_their_source_lay),
        cmocka_unit_test(labels_in_pictures_keep_their_values),
        cmocka_unit_test(what_a_picture_cannot_hold_is_refused),
        cmocka_unit_test(tiff_pages_take_spacing_from_a_json_file),
        cmocka_unit_test(flat_scans_are_thick_in_training),
        cmocka_unit_test(masks_come_out_in_the_data_set_s_ending),
        cmocka_unit_test(photographs_are_cases_of_one_file),
        cmocka_unit_test(pictures_beside_scans_are_no_scans),
        cmocka_unit_test(cut_images_are_refused),
        cmocka_unit_test(headers_cannot_point_elsewhere),
        cmocka_unit_test(lists_and_patterns_are_read),
        cmocka_unit_test(too_many_axes_are_refused),
        cmocka_unit_test(a_missing_helper_is_named),
        cmocka_unit_test(helpers_that_crash_or_hang_cost_a_sentence),
        cmocka_unit_test(helpers_that_lie_are_found_out),
        cmocka_unit_test(a_failed_write_leaves_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
