/* Where images lie: every space, axis order, sign and key of the formats, read and written, and
 * what formats without orientation do. testdata/scripts/make_geometry.py says what SimpleITK
 * and nibabel see. */
#include "tests/kit/itk.h"

#include "base/core/alloc.h"
#include "base/system/file.h"
#include "io/image.h"
#include "volume/orient.h"

#define FILES VOLT_TESTDATA "/geometry/"

/* -- Reading ------------------------------------------------------------------------------ */

typedef struct expected {
    char name[64];
    size_t at, bytes;
    long long n[3];
    int channels;
    double matrix[12], sum;
} expected;

static bool read_expected(expected *e, char **text)
{
    double *m = e->matrix;
    int used = 0;

    if (sscanf(*text,
               "%63s %zu %zu %lld %lld %lld %d %lf %lf %lf %lf %lf %lf %lf %lf %lf %lf %lf %lf "
               "%lf\n%n",
               e->name, &e->at, &e->bytes, &e->n[0], &e->n[1], &e->n[2], &e->channels, m, m + 1,
               m + 2, m + 3, m + 4, m + 5, m + 6, m + 7, m + 8, m + 9, m + 10, m + 11, &e->sum,
               &used) != 20)
        return false;
    *text += used;
    return true;
}

static void check_file(const expected *e)
{
    const volt_image_read_options options = volt_image_read_as(VOLT_F64, 1);
    const double tolerance = strstr(e->name, ".nii") || strstr(e->name, ".gipl") ? 1e-5 : 1e-12;
    volt_image_header *header = NULL;
    volt_volume *v = NULL;

    assert_ok(volt_image_read(&v, &header, e->name, &options));
    if (v->grid.channels != e->channels)
        fail_msg("%s: %d channels, not %d", e->name, v->grid.channels, e->channels);
    for (int a = 0; a < 3; a++) {
        assert_int_equal(v->grid.n[2 - a], e->n[a]);
        for (int c = 0; c < 4; c++) {
            if (!(fabs(v->grid.to_world[a][c] - e->matrix[4 * a + c]) <= tolerance))
                fail_msg("%s: entry %d %d of the matrix is %.17g, not %.17g", e->name, a, c,
                         v->grid.to_world[a][c], e->matrix[4 * a + c]);
        }
    }
    if (weighted_sum(v) != e->sum)
        fail_msg("%s: its voxels are in another order", e->name);
    volt_image_header_free(header);
    volt_volume_free(v);
}

static void files_lie_where_other_readers_see_them(void **state)
{
    char *all = read_fixture("geometry/index.txt", 0), *text = all, *data;
    const bool helper = has_helper();
    size_t bytes;
    int seen = 0;
    expected e;

    (void)state;
    assert_ok(volt_read_file(&data, &bytes, FILES "files.bin", (size_t)1 << 20));
    while (read_expected(&e, &text)) {
        if (!helper && !strstr(e.name, ".nii"))
            continue;
        assert_true(e.at + e.bytes <= bytes);
        assert_ok(volt_write_file(e.name, data + e.at, e.bytes));
        check_file(&e);
        seen++;
    }
    assert_int_equal(seen, helper ? 378 : 98);
    volt_free(data);
    volt_free(all);
}

static void warnings_of(const char *name, volt_geometry_source source, const char *words)
{
    volt_image_header *h = NULL;
    bool found = !words;

    assert_ok(volt_image_info(&h, name));
    if (h->geometry_source != source)
        fail_msg("%s: source %d, not %d", name, h->geometry_source, source);
    for (size_t i = 0; i < h->warning_count; i++)
        found = words ? found || strstr(h->warnings[i], words) : false;
    if (!found)
        fail_msg("%s: %s", name, words ? words : h->warnings[0]);
    volt_image_header_free(h);
}

/* The files of the first test. */
static void unknown_orientations_are_reported(void **state)
{
    (void)state;
    if (!has_helper())
        skip_because("volt-itk was not built");
    warnings_of("nrrd-LAS-01.nrrd", VOLT_GEOMETRY_HEADER, NULL);
    warnings_of("nrrd-LAST.nrrd", VOLT_GEOMETRY_HEADER, "SimpleITK takes");
    warnings_of("nrrd-LPST.nrrd", VOLT_GEOMETRY_HEADER, NULL);
    warnings_of("nrrd-scanner-xyz.nrrd", VOLT_GEOMETRY_NOFORM, "which side is left");
    warnings_of("nrrd-3D-left-handed.nrrd", VOLT_GEOMETRY_NOFORM, "which side is left");
    warnings_of("nrrd-dimension.nrrd", VOLT_GEOMETRY_NOFORM, "names no space");
    warnings_of("nrrd-spacings.nrrd", VOLT_GEOMETRY_NOFORM, "names no space");
    warnings_of("nrrd-nothing.nrrd", VOLT_GEOMETRY_NONE, "names no space");
    warnings_of("nrrd-LAS-nodir.nrrd", VOLT_GEOMETRY_NONE, "no space directions");
    warnings_of("meta-RAI.mha", VOLT_GEOMETRY_HEADER, NULL);
    warnings_of("meta-LPS.mha", VOLT_GEOMETRY_HEADER, "contradicts");
    warnings_of("meta-both-RAI.mha", VOLT_GEOMETRY_HEADER, NULL);
    warnings_of("meta-both-RAS.mha", VOLT_GEOMETRY_HEADER, "contradicts");
    warnings_of("meta-qqq.mha", VOLT_GEOMETRY_HEADER, NULL);
    warnings_of("plain.gipl", VOLT_GEOMETRY_NOFORM, NULL);
}

/* -- Writing ------------------------------------------------------------------------------ */

/* A volume of 2 x 3 x 4 voxels with this permutation and these signs; number 48 is oblique. */
static volt_volume *oriented(int number)
{
    static const int orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                     {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    static const double turn[3][3] = {{0.8, -0.6, 0}, {0.48, 0.64, -0.6}, {0.36, 0.48, 0.8}};
    static const double mm[3] = {0.75, 1.5, 2.25}, origin[3] = {-11.5, 20.25, 33.125};
    volt_grid g = {.n = {2, 3, 4}, .channels = 1};
    volt_volume *v = NULL;

    for (int r = 0; r < 3; r++)
        g.to_world[r][3] = origin[r];
    for (int a = 0; a < 3; a++) {
        for (int r = 0; number == 48 && r < 3; r++)
            g.to_world[r][a] = turn[r][a] * mm[a];
        if (number < 48)
            g.to_world[orders[number / 8][a]][a] = number >> a & 1 ? -mm[a] : mm[a];
    }
    assert_ok(volt_volume_create(&v, &g, VOLT_U8));
    for (int i = 0; i < 24; i++)
        ((uint8_t *)v->data)[i] = (uint8_t)(i * 7);
    return v;
}

static const char *field(const char *text, const char *key)
{
    const char *at = strstr(text, key);

    if (!at)
        fail_msg("the header has no %s", key);
    return at + strlen(key);
}

/* The matrix in a written header, by the format's definition, RAS. */
static void matrix_in(double m[3][4], const char *text, bool meta)
{
    static const char *const formats[2] = {" (%lf,%lf,%lf) (%lf,%lf,%lf) (%lf,%lf,%lf)",
                                           " %lf %lf %lf %lf %lf %lf %lf %lf %lf"};
    double axis[9], origin[3], mm[3] = {1, 1, 1};

    assert_int_equal(sscanf(field(text, meta ? "TransformMatrix =" : "space directions:"),
                            formats[meta], &axis[0], &axis[1], &axis[2], &axis[3], &axis[4],
                            &axis[5], &axis[6], &axis[7], &axis[8]),
                     9);
    assert_int_equal(sscanf(field(text, meta ? "Offset =" : "space origin:"),
                            meta ? " %lf %lf %lf" : " (%lf,%lf,%lf)", &origin[0], &origin[1],
                            &origin[2]),
                     3);
    if (meta)
        assert_int_equal(
            sscanf(field(text, "ElementSpacing ="), " %lf %lf %lf", &mm[0], &mm[1], &mm[2]), 3);
    else
        assert_memory_equal(field(text, "space:"), " left-posterior-superior", 24);
    for (int r = 0; r < 3; r++) {
        const double sign = r < 2 ? -1 : 1;
        for (int a = 0; a < 3; a++)
            m[r][a] = sign * axis[3 * a + r] * mm[a];
        m[r][3] = sign * origin[r];
    }
}

static void check_written(const volt_volume *v, const char *path)
{
    volt_volume *again = NULL;
    double m[3][4];
    size_t bytes;
    char *text;

    assert_ok(volt_image_write(path, v, NULL, NULL));
    assert_ok(volt_read_file(&text, &bytes, path, (size_t)1 << 20));
    matrix_in(m, text, strstr(path, ".mh") != NULL);
    volt_free(text);
    for (int i = 0; i < 12; i++) {
        if (!(fabs(m[i / 4][i % 4] - v->grid.to_world[i / 4][i % 4]) <= 1e-5))
            fail_msg("%s: entry %d %d of the matrix is written as %g, not %g", path, i / 4,
                     i % 4, m[i / 4][i % 4], v->grid.to_world[i / 4][i % 4]);
    }
    assert_ok(volt_image_read(&again, NULL, path, NULL));
    assert_true(volt_grid_same(&again->grid, &v->grid, 1e-12));
    assert_memory_equal(again->data, v->data, 24);
    volt_volume_free(again);
}

static void every_orientation_is_written(void **state)
{
    static const char *const paths[] = {"w.mha", "w.nrrd", "w.mhd", "w.nhdr"};

    (void)state;
    for (int number = 0; number <= 48; number++) {
        volt_volume *v = oriented(number), *again = NULL;
        assert_ok(volt_image_write("w.nii", v, NULL, NULL));
        assert_ok(volt_image_read(&again, NULL, "w.nii", NULL));
        assert_true(volt_grid_same(&again->grid, &v->grid, 1e-5));
        assert_memory_equal(again->data, v->data, 24);
        volt_volume_free(again);
        for (int i = 0; has_helper() && i < (number % 12 == 0 ? 4 : 2); i++)
            check_written(v, paths[i]);
        volt_volume_free(v);
    }
}

static void lost_geometry_is_refused(void **state)
{
    static const char *const pictures[] = {"l.png", "l.bmp", "l.jpg", "l.tif", "l.tiff"};
    volt_image_write_options drop = volt_image_write_defaults();
    volt_volume *v = oriented(0), *lps = oriented(3), *turned = oriented(48);

    (void)state;
    drop.drop_geometry = true;
    assert_fails(volt_image_write("l.gipl", v, NULL, NULL), VOLT_EINVAL,
                 "l.gipl: GIPL cannot store the orientation RAS, only LPS");
    assert_fails(volt_image_write("l.gipl.gz", v, NULL, NULL), VOLT_EINVAL, "only LPS");
    turned->grid.to_world[0][0] *= -1;
    assert_fails(volt_image_write("l.gipl", turned, NULL, NULL), VOLT_EINVAL, "l.gipl: GIPL");
    v->grid.n[0] = lps->grid.n[0] = 1;
    for (size_t i = 0; i < sizeof pictures / sizeof *pictures; i++) {
        char words[80];
        (void)remove(pictures[i]);
        snprintf(words, sizeof words, "%s: %s cannot store where the image lies", pictures[i],
                 volt_image_format_name(pictures[i]));
        assert_fails(volt_image_write(pictures[i], v, NULL, NULL), VOLT_EINVAL, words);
        assert_fails(volt_image_write(pictures[i], lps, NULL, NULL), VOLT_EINVAL, words);
        assert_false(volt_path_exists(pictures[i]));
    }
    assert_ok(volt_image_write("l.png", v, NULL, &drop));
    if (has_helper()) {
        volt_image_header *header = NULL;
        volt_volume *again = NULL;
        lps->grid.n[0] = 2;
        assert_ok(volt_image_write("l.gipl", lps, NULL, NULL));
        assert_ok(volt_image_read(&again, &header, "l.gipl", NULL));
        assert_true(volt_grid_same(&again->grid, &lps->grid, 1e-5));
        assert_ok(volt_image_write("m.gipl", again, header, NULL));
        (void)remove("l.gipl");
        lps->grid.n[2] = lps->grid.channels = 2;
        assert_fails(volt_image_write("l.gipl", lps, NULL, NULL), VOLT_EINVAL,
                     "l.gipl: GIPL stores 1 channel; there are 2");
        lps->grid.n[0] = lps->grid.n[2] = lps->grid.channels = 1;
        lps->dtype = VOLT_I32;
        assert_fails(volt_image_write("l.gipl", lps, NULL, NULL), VOLT_EINVAL,
                     "16-bit integers and floating-point values; int32 needs another");
        assert_fails(volt_image_write("l.tif", lps, NULL, &drop), VOLT_EINVAL, "int32 needs");
        assert_false(volt_path_exists("l.gipl") || volt_path_exists("l.tif"));
        volt_image_header_free(header);
        volt_volume_free(again);
    }
    volt_volume_free(turned);
    volt_volume_free(lps);
    volt_volume_free(v);
}

/* What a source did not know cannot be lost. */
static void pictures_are_written_from_pictures(void **state)
{
    volt_image_header *header = NULL;
    volt_volume *v = NULL;

    (void)state;
    assert_ok(volt_image_read(&v, &header, VOLT_TESTDATA "/images/deep.png", NULL));
    assert_false(volt_image_knows_spacing(header));
    assert_ok(volt_image_write("again.png", v, header, NULL));
    volt_image_header_free(header);
    volt_volume_free(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_lie_where_other_readers_see_them),
        cmocka_unit_test(unknown_orientations_are_reported),
        cmocka_unit_test(every_orientation_is_written),
        cmocka_unit_test(lost_geometry_is_refused),
        cmocka_unit_test(pictures_are_written_from_pictures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
