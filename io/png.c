#include "io/png.h"

#include <png.h>
#include <setjmp.h>
#include <string.h>

#include "base/file.h"

/* What libpng's callbacks report to. */
typedef struct target {
    volt_out *file;
    const char *path;
    volt_status st; /* the first failure; its sentence is recorded */
} target;

static void on_error(png_structp png, png_const_charp words)
{
    target *t = png_get_error_ptr(png);

    if (t->st == VOLT_OK)
        t->st = volt_fail(VOLT_EINTERNAL, "libpng cannot write %s: %s", t->path, words);
    png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp words)
{
    (void)png;
    (void)words;
}

static void on_write(png_structp png, png_bytep data, size_t bytes)
{
    target *t = png_get_io_ptr(png);

    t->st = volt_out_write(t->file, data, bytes);
    if (t->st != VOLT_OK)
        png_error(png, "write"); /* ends in on_error, which keeps the first failure */
}

static void on_flush(png_structp png)
{
    (void)png;
}

/* The one function that libpng may jump back into: it allocates nothing itself, and what it
 * needs after the jump is not changed after setjmp. */
static void write_image(png_structp png, png_infop info, const uint8_t *pixels, uint32_t width,
                        uint32_t height, int channels)
{
    static const int colour[5] = {0, PNG_COLOR_TYPE_GRAY, 0, PNG_COLOR_TYPE_RGB,
                                  PNG_COLOR_TYPE_RGB_ALPHA};

    if (setjmp(png_jmpbuf(png)))
        return;
    png_set_IHDR(png, info, width, height, 8, colour[channels], PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(png, info);
    for (uint32_t y = 0; y < height; y++)
        png_write_row(png, pixels + (size_t)y * width * (size_t)channels);
    png_write_end(png, NULL);
}

volt_status volt_png_write(const char *path, const uint8_t *pixels, int64_t width,
                           int64_t height, int channels)
{
    target t = {.path = path, .st = VOLT_OK};
    png_structp png = NULL;
    png_infop info = NULL;
    volt_status st;

    if (width < 1 || width > 65535 || height < 1 || height > 65535)
        return volt_fail(VOLT_EINVAL,
                         "%s: an image of %lld x %lld pixels; 1 to 65535 is "
                         "expected",
                         path, (long long)width, (long long)height);
    if (channels != 1 && channels != 3 && channels != 4)
        return volt_fail(VOLT_EINVAL, "%s: %d channels; 1, 3 or 4 is expected", path, channels);
    VOLT_TRY(st, done, volt_out_open(&t.file, path));
    png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &t, on_error, on_warning);
    info = png ? png_create_info_struct(png) : NULL;
    if (!info) {
        st = volt_fail(VOLT_ENOMEM, "no memory to write %s", path);
        goto done;
    }
    png_set_write_fn(png, &t, on_write, on_flush);
    write_image(png, info, pixels, (uint32_t)width, (uint32_t)height, channels);
    st = t.st;
    if (st == VOLT_OK)
        st = volt_out_commit(&t.file);
done:
    png_destroy_write_struct(&png, &info);
    volt_out_abort(&t.file);
    return st;
}
