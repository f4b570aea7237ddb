#include <png.h>
#include <unistd.h>

#include "tests/kit/test.h"
#include "base/system/file.h"
#include "io/png.h"

static void pixels_survive(void **state)
{
    static const png_uint_32 formats[5] = {0, PNG_FORMAT_GRAY, 0, PNG_FORMAT_RGB,
                                           PNG_FORMAT_RGBA};
    uint8_t pixels[4 * 13 * 7], back[4 * 13 * 7];
    (void)state;

    for (size_t i = 0; i < sizeof pixels; i++)
        pixels[i] = (uint8_t)(i * 41);
    for (int channels = 1; channels <= 4; channels += channels == 1 ? 2 : 1) {
        png_image image = {.version = PNG_IMAGE_VERSION};
        assert_ok(volt_png_write("pixels.png", pixels, 13, 7, channels));
        assert_true(png_image_begin_read_from_file(&image, "pixels.png"));
        assert_int_equal(image.width, 13);
        assert_int_equal(image.height, 7);
        assert_int_equal(image.format, formats[channels]);
        assert_true(png_image_finish_read(&image, NULL, back, 0, NULL));
        assert_memory_equal(pixels, back, (size_t)(13 * 7 * channels));
    }
    unlink("pixels.png");
}

static void failures(void **state)
{
    uint8_t pixel[3] = {0};
    (void)state;

    assert_fails(volt_png_write("x.png", pixel, 0, 1, 3), VOLT_EINVAL, "0 x 1");
    assert_fails(volt_png_write("x.png", pixel, 1, 70000, 3), VOLT_EINVAL, "70000");
    assert_fails(volt_png_write("x.png", pixel, 1, 1, 2), VOLT_EINVAL, "2 channels");
    assert_fails(volt_png_write("/nonexistent/x.png", pixel, 1, 1, 3), VOLT_EIO,
                 "/nonexistent/x.png");
    assert_false(volt_path_exists("x.png"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pixels_survive),
        cmocka_unit_test(failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
