#include "io/png.h"

#include <string.h>

#include "base/system/file.h"
#include "base/core/alloc.h"
#include "io/image/pixels.h"
#include "io/image/png_internal.h"

typedef struct target {
    png_report report;
    volt_out *file;
} target;

static void on_write(png_structp png, png_bytep data, size_t bytes)
{
    target *t = png_get_io_ptr(png);

    t->report.st = volt_out_write(t->file, data, bytes);
    if (t->report.st != VOLT_OK)
        png_error(png, "write"); /* ends in png_on_error, which keeps the first failure */
}

static void on_flush(png_structp png)
{
    (void)png;
}

/* Rows from the top, without padding; samples of a pixel side by side. */
typedef struct image {
    const uint8_t *pixels;
    int64_t width, height;
    int channels; /* 1 grey, 2 grey and alpha, 3 RGB, 4 RGBA */
    int bytes;    /* of a sample: 1 or 2 */
} image;

/* The one function that libpng may jump back into: it allocates nothing itself, and what it
 * needs after the jump is not changed after setjmp. */
static void write_rows(png_structp png, png_infop info, const image *i)
{
    static const int colour[5] = {0, PNG_COLOR_TYPE_GRAY, PNG_COLOR_TYPE_GRAY_ALPHA,
                                  PNG_COLOR_TYPE_RGB, PNG_COLOR_TYPE_RGB_ALPHA};

    if (setjmp(png_jmpbuf(png)))
        return;
    png_set_IHDR(png, info, (uint32_t)i->width, (uint32_t)i->height, 8 * i->bytes,
                 colour[i->channels], PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    png_write_info(png, info);
    if (i->bytes == 2)
        png_set_swap(png);
    for (int64_t y = 0; y < i->height; y++)
        png_write_row(png, i->pixels + y * i->width * i->channels * i->bytes);
    png_write_end(png, NULL);
}

static volt_status write_image(const char *path, const image *i)
{
    target t = {.report = {.path = path, .writing = true}};
    png_structp png = NULL;
    png_infop info = NULL;
    volt_status st;

    if (i->width < 1 || i->width > 65535 || i->height < 1 || i->height > 65535)
        return volt_fail(VOLT_EINVAL,
                         "%s: an image of %lld x %lld pixels; 1 to 65535 is "
                         "expected",
                         path, (long long)i->width, (long long)i->height);
    VOLT_TRY(st, done, volt_out_open(&t.file, path));
    png =
        png_create_write_struct(PNG_LIBPNG_VER_STRING, &t.report, png_on_error, png_on_warning);
    info = png ? png_create_info_struct(png) : NULL;
    if (!info) {
        st = volt_fail(VOLT_ENOMEM, "no memory to write %s", path);
        goto done;
    }
    png_set_write_fn(png, &t, on_write, on_flush);
    write_rows(png, info, i);
    st = t.report.st;
    if (st == VOLT_OK)
        st = volt_out_commit(&t.file);
done:
    png_destroy_write_struct(&png, &info);
    volt_out_abort(&t.file);
    return st;
}

volt_status volt_png_write(const char *path, const uint8_t *pixels, int64_t width,
                           int64_t height, int channels)
{
    const image i = {pixels, width, height, channels, 1};

    if (channels != 1 && channels != 3 && channels != 4)
        return volt_fail(VOLT_EINVAL, "%s: %d channels; 1, 3 or 4 is expected", path, channels);
    return write_image(path, &i);
}

volt_status volt_png_image_write(const char *path, const volt_volume *volume,
                                 const volt_image_header *source,
                                 const volt_image_write_options *options)
{
    volt_pixels p = {.format = "PNG"};
    volt_status st;

    (void)source; /* a PNG has no spatial metadata */
    VOLT_TRY(st, done, volt_pixels_of_volume(&p, path, volume, true, "1234", options));
    st = write_image(path, &(image){p.data, p.width, p.height, p.samples, p.bytes});
done:
    volt_free(p.data);
    return st;
}
