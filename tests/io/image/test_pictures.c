/* Pictures of every kind, as images and as label maps, against Pillow and tifffile; damaged and
 * unusual ones. TIFF is left out where volt-itk was not built, JPEG and GIF without their
 * libraries. */
#include "tests/kit/itk.h"

#include <unistd.h>

#include "base/core/alloc.h"
#include "base/system/file.h"
#include "io/figure.h"
#include "io/image.h"
#include "io/image/names.h"

#define PICTURES VOLT_TESTDATA "/pictures/"

/* Whether this build reads the file: a format that is left out says so for any file. */
static bool is_built_in(const char *path)
{
    volt_image_header *header = NULL;
    const volt_status st = volt_image_info(&header, path);

    volt_image_header_free(header);
    return st != VOLT_ENOTSUP ||
           (!strstr(volt_last_error(), "this build") && !strstr(volt_last_error(), "volt-itk"));
}

typedef struct expected {
    char name[64];
    long long width, height, pages;
    int channels;
    double image, labels; /* weighted sums; -1: refused */
} expected;

/* The image's sum and, through int32, the labels'; -1 if VOLT refuses. */
static double sum_of(const expected *e, const char *path, volt_dtype dtype, int channels)
{
    const volt_image_read_options options = volt_image_read_as(dtype, 0);
    volt_image_header *header = NULL;
    volt_volume *v = NULL, *wide = NULL;
    double sum;

    if (volt_image_read(&v, &header, path, &options) != VOLT_OK) {
        assert_non_null(strstr(volt_last_error(), path));
        return -1;
    }
    assert_int_equal(header->grid.n[0], e->pages);
    assert_int_equal(header->grid.n[1], e->height);
    assert_int_equal(header->grid.n[2], e->width);
    assert_int_equal(header->geometry_source, VOLT_GEOMETRY_NONE);
    assert_int_equal(header->grid.channels, channels);
    assert_memory_equal(&v->grid, &header->grid, sizeof v->grid);
    assert_ok(volt_volume_convert(&wide, v, VOLT_F64, NULL, 0));
    sum = weighted_sum(wide);
    volt_volume_free(wide);
    volt_volume_free(v);
    volt_image_header_free(header);
    return sum;
}

static void check_picture(const expected *e, const char *path)
{
    volt_image_header *header = NULL;
    const double image = sum_of(e, path, VOLT_F64, e->channels);
    const double labels = sum_of(e, path, VOLT_I32, 1);

    if (image != e->image)
        fail_msg("%s: the image has the sum %.17g, not %.17g", e->name, image, e->image);
    if (labels != e->labels)
        fail_msg("%s: the labels have the sum %.17g, not %.17g", e->name, labels, e->labels);
    if (image < 0)
        return;
    assert_ok(volt_image_info(&header, path));
    assert_int_equal(header->grid.channels, e->channels);
    volt_image_header_free(header);
}

static void pictures_hold_what_pillow_reads(void **state)
{
    char *all = read_fixture("pictures/expected.txt", 0), *text = all;
    int seen = 0, left_out = 0, used = 0;
    expected e;

    (void)state;
    while (sscanf(text, "%63s %lld %lld %lld %d %lf %lf\n%n", e.name, &e.width, &e.height,
                  &e.pages, &e.channels, &e.image, &e.labels, &used) == 7) {
        char *path;
        text += used;
        assert_ok(volt_format(&path, "%s%s", PICTURES, e.name));
        seen++;
        if (is_built_in(path))
            check_picture(&e, path);
        else
            left_out++;
        volt_free(path);
    }
    assert_int_equal(seen, 62);
    assert_true(left_out < 37);
    volt_free(all);
}

static void damaged_pictures_are_refused(void **state)
{
    static const char *const names[] = {"palette4i.png",  "greys1.bmp",           "runs8.bmp",
                                        "runs4.bmp",      "bits_raw.tif",         "tiles.tif",
                                        "greys.gif",      "palette_tiff_lzw.tif", "rgb.jpg",
                                        "progressive.jpg"};

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[64], *data, *from;
        size_t bytes;
        assert_ok(volt_format(&from, "%s%s", PICTURES, names[i]));
        assert_ok(volt_read_file(&data, &bytes, from, (size_t)1 << 20));
        snprintf(path, sizeof path, "cut-%s", names[i]);
        for (int part = 0; part < 16 && is_built_in(from); part++) {
            volt_volume *v = NULL;
            assert_ok(volt_write_file(path, data, bytes * (size_t)part / 16));
            if (volt_image_read(&v, NULL, path, NULL) == VOLT_OK)
                fail_msg("%s was read from %d sixteenths", names[i], part);
            if (!strstr(volt_last_error(), path))
                fail_msg("'%s' does not name %s", volt_last_error(), path);
        }
        volt_free(data);
        volt_free(from);
    }
}

/* Two bytes of a file, at `at`, replaced. */
static void write_changed(const char *path, const char *name, size_t at, const char value[2])
{
    char *data, *from;
    size_t bytes;

    assert_ok(volt_format(&from, "%s%s", PICTURES, name));
    assert_ok(volt_read_file(&data, &bytes, from, (size_t)1 << 20));
    memcpy(data + at, value, 2);
    assert_ok(volt_write_file(path, data, bytes));
    volt_free(data);
    volt_free(from);
}

static void huge_pictures_need_no_memory(void **state)
{
    volt_volume *v = NULL;

    (void)state;
    write_changed("huge.bmp", "grey.bmp", 20, "\xff\x7f"); /* the width's upper half */
    assert_fails(volt_image_read(&v, NULL, "huge.bmp", NULL), VOLT_EFORMAT, "huge.bmp");
    write_changed("huge-runs.bmp", "runs8.bmp", 20, "\xff\x7f");
    assert_fails(volt_image_read(&v, NULL, "huge-runs.bmp", NULL), VOLT_EFORMAT,
                 "more than its");
    if (is_built_in(PICTURES "greys.gif")) {
        write_changed("huge.gif", "greys.gif", 6, "\xff\xff");
        assert_fails(volt_image_read(&v, NULL, "huge.gif", NULL), VOLT_ENOTSUP, "covers");
    }
    assert_null(v);
}

static void what_is_left_out_is_said(void **state)
{
    volt_image_header *header = NULL;

    (void)state;
    if (!is_built_in(PICTURES "turned.jpg"))
        skip_because("JPEG was not built");
    assert_ok(volt_image_info(&header, PICTURES "turned.jpg"));
    assert_int_equal(header->warning_count, 1);
    assert_non_null(strstr(header->warnings[0], "EXIF orientation, 6, is ignored"));
    volt_image_header_free(header);
    assert_fails(volt_image_info(&header, PICTURES "cmyk.jpg"), VOLT_ENOTSUP,
                 "4 channels (cyan, magenta, yellow, black)");
    write_changed("deep.jpg", "grey.jpg", 93,
                  "\x0c"); /* 12 bits; the height's upper byte is 0 */
    assert_fails(volt_image_info(&header, "deep.jpg"), VOLT_ENOTSUP, "12 bits");
    assert_ok(volt_image_info(&header, PICTURES "transparent.png"));
    assert_int_equal(header->warning_count, 1);
    volt_image_header_free(header);
}

/* What VOLT writes it reads: labels up to 255 and, but for JPEG, images bit by bit. */
static void written_pictures_come_back(void **state)
{
    static const char *const endings[] = {".png", ".bmp", ".gif", ".tif", ".jpg"};
    const int64_t n[3] = {1, 5, 7};
    const double mm[3] = {1, 1, 1};
    int seen = 0;

    (void)state;
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        for (int channels = 1; channels <= 3; channels += 2) {
            const volt_grid grid = volt_grid_make(n, channels, mm);
            const bool labels = channels == 1 && volt_image_holds_masks(endings[i]);
            const volt_image_write_options write =
                labels ? volt_image_write_labels(0) : volt_image_write_with(0);
            const volt_image_read_options read =
                volt_image_read_as(labels ? VOLT_U8 : VOLT_AS_STORED, 0);
            volt_volume *v = NULL, *again = NULL;
            char path[20];
            snprintf(path, sizeof path, "again%s", endings[i]);
            assert_ok(volt_volume_create(&v, &grid, VOLT_U8));
            for (int64_t k = 0; k < 35 * channels; k++)
                ((uint8_t *)v->data)[k] = (uint8_t)(k == 3 ? 255 : k * 5);
            if (volt_image_write(path, v, NULL, &write) == VOLT_OK) {
                assert_ok(volt_image_read(&again, NULL, path, &read));
                assert_int_equal(again->grid.channels, channels);
                if (strcmp(endings[i], ".jpg") != 0 && again->dtype == VOLT_U8)
                    assert_memory_equal(again->data, v->data, volt_volume_bytes(v));
                seen++;
            } else if (channels == 3 && strcmp(endings[i], ".gif") == 0 &&
                       volt_image_holds_masks(".gif")) {
                assert_non_null(strstr(volt_last_error(), "3 channels"));
            } else {
                assert_false(is_built_in(path));
            }
            volt_volume_free(again);
            volt_volume_free(v);
        }
    }
    assert_true(seen >= 4);
}

static void figures_have_the_format_of_their_ending(void **state)
{
    const uint8_t pixels[6] = {255, 0, 0, 0, 0, 255};
    unsigned char *data;
    size_t bytes;

    (void)state;
    assert_fails(volt_figure_write("a.foo", pixels, 2, 1), VOLT_EINVAL, "a.foo");
    assert_fails(volt_figure_check(".png"), VOLT_EINVAL, ".png");
    assert_fails(volt_figure_check("a.tif"), VOLT_EINVAL, "written as .png, .jpg or .jpeg");
    assert_false(volt_path_exists("a.foo"));
    assert_ok(volt_figure_write("a.PNG", pixels, 2, 1));
    assert_ok(volt_read_file((char **)&data, &bytes, "a.PNG", 1000));
    assert_memory_equal(data, "\x89PNG", 4);
    volt_free(data);
    if (volt_figure_check("a.jpg") == VOLT_ENOTSUP)
        return;
    assert_ok(volt_figure_write("a.jpg", pixels, 2, 1));
    assert_ok(volt_read_file((char **)&data, &bytes, "a.jpg", 2000));
    assert_memory_equal(data, "\xff\xd8\xff", 3);
    volt_free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pictures_hold_what_pillow_reads),
        cmocka_unit_test(damaged_pictures_are_refused),
        cmocka_unit_test(huge_pictures_need_no_memory),
        cmocka_unit_test(what_is_left_out_is_said),
        cmocka_unit_test(written_pictures_come_back),
        cmocka_unit_test(figures_have_the_format_of_their_ending),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
