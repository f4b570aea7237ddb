/* png_read.c - PNG: 1 to 16 bits, grey, palettes and colours, with or without alpha. */
#include <stdio.h>
#include <string.h>

#include "base/core/alloc.h"
#include "base/system/file.h"
#include "io/image/format.h"
#include "io/image/pixels.h"
#include "io/image/png_internal.h"

enum { MAX_EXTENT = 65535, DEFLATE_RATIO = 1032 };

/* One file being decoded. libpng points into it, so it stays where it is. */
typedef struct decoding {
    png_report report;
    volt_map map;
    const unsigned char *data; /* what libpng has not read yet */
    size_t left;
    png_structp png;
    png_infop info;
    volt_pixels_want want;
} decoding;

static void on_read(png_structp png, png_bytep data, size_t bytes)
{
    decoding *d = png_get_io_ptr(png);

    if (bytes > d->left)
        png_error(png, "it ends too early");
    memcpy(data, d->data, bytes);
    d->data += bytes;
    d->left -= bytes;
}

/* libpng may jump back into this function and the next: neither allocates, and what they need
 * after the jump is not changed after setjmp. */
static void read_header(const decoding *d)
{
    if (setjmp(png_jmpbuf(d->png)))
        return;
    png_read_info(d->png, d->info);
    if (png_get_bit_depth(d->png, d->info) < 8) {
        if (d->want != VOLT_PIXELS_LABELS &&
            png_get_color_type(d->png, d->info) == PNG_COLOR_TYPE_GRAY)
            png_set_expand_gray_1_2_4_to_8(d->png);
        else
            png_set_packing(d->png); /* one byte a pixel, the value as it is */
    }
    if (png_get_bit_depth(d->png, d->info) == 16)
        png_set_swap(d->png);
    png_set_interlace_handling(d->png);
    png_read_update_info(d->png, d->info);
}

static void read_rows(const decoding *d, png_bytepp rows)
{
    if (setjmp(png_jmpbuf(d->png)))
        return;
    png_read_image(d->png, rows);
    png_read_end(d->png, NULL);
}

static volt_status open_png(decoding *d, const char *path, volt_pixels_want want)
{
    volt_status st;

    *d = (decoding){.report = {.path = path}, .want = want};
    if ((st = volt_map_open(&d->map, path)) != VOLT_OK)
        return st;
    if (d->map.bytes < 8 || png_sig_cmp(d->map.data, 0, 8) != 0)
        return volt_fail(VOLT_EFORMAT, "%s is not a PNG image", path);
    d->data = d->map.data;
    d->left = d->map.bytes;
    d->png =
        png_create_read_struct(PNG_LIBPNG_VER_STRING, &d->report, png_on_error, png_on_warning);
    d->info = d->png ? png_create_info_struct(d->png) : NULL;
    if (!d->info)
        return volt_fail(VOLT_ENOMEM, "out of memory for %s", path);
    png_set_read_fn(d->png, d, on_read);
    png_set_user_limits(d->png, MAX_EXTENT, MAX_EXTENT);
    read_header(d);
    return d->report.st;
}

static volt_status read_pixels(volt_pixels *p, decoding *d, const char *path)
{
    const size_t height = (size_t)p->height, row_bytes = png_get_rowbytes(d->png, d->info);
    png_bytepp rows = NULL;
    volt_status st;

    if (row_bytes != (size_t)p->width * (size_t)(p->samples * p->bytes))
        return volt_fail(VOLT_EINTERNAL, "%s: rows of %zu bytes", path, row_bytes);
    VOLT_TRY(st, done, volt_alloc(&rows, height * sizeof *rows, "a picture"));
    for (size_t y = 0; y < height; y++)
        rows[y] = p->data + y * row_bytes;
    read_rows(d, rows);
    st = d->report.st;
done:
    volt_free(rows);
    return st;
}

static volt_status paint(volt_pixels *p, const decoding *d, const char *path)
{
    volt_palette palette = {0};
    png_colorp colours = NULL;

    png_get_PLTE(d->png, d->info, &colours, &palette.count);
    if (palette.count < 1 || palette.count > 256)
        return volt_fail(VOLT_EFORMAT, "%s is damaged: it has no palette", path);
    for (int i = 0; i < palette.count; i++)
        memcpy(palette.rgb[i],
               (unsigned char[3]){colours[i].red, colours[i].green, colours[i].blue}, 3);
    return volt_pixels_paint(p, &palette, path, d->want);
}

static volt_status decode_png(volt_pixels *out, const char *path, volt_pixels_want want)
{
    decoding d;
    volt_status st;

    VOLT_TRY(st, done, open_png(&d, path, want));
    out->format = "PNG";
    out->width = png_get_image_width(d.png, d.info);
    out->height = png_get_image_height(d.png, d.info);
    out->samples = png_get_channels(d.png, d.info);
    out->bytes = png_get_bit_depth(d.png, d.info) == 16 ? 2 : 1;
    if (png_get_valid(d.png, d.info, PNG_INFO_tRNS))
        snprintf(out->note, sizeof out->note, "transparent colours are taken as opaque");
    /* packed pixels unfold to at most 8 times their bytes */
    VOLT_TRY(st, done, volt_pixels_fit(out, path, d.map.bytes, 8 * DEFLATE_RATIO));
    VOLT_TRY(st, done, volt_pixels_allocate(out, path, want));
    if (want != VOLT_PIXELS_HEADER)
        VOLT_TRY(st, done, read_pixels(out, &d, path));
    if (png_get_color_type(d.png, d.info) == PNG_COLOR_TYPE_PALETTE)
        st = paint(out, &d, path);
done:
    png_destroy_read_struct(&d.png, &d.info, NULL);
    volt_map_close(&d.map);
    return st;
}

static volt_status png_image_read(volt_volume **out, volt_image_header **header,
                                  const char *path, const volt_image_read_options *options)
{
    return volt_pixels_read(out, header, path, options, decode_png);
}

static volt_status png_image_info(volt_image_header **out, const char *path)
{
    return volt_pixels_read(NULL, out, path, NULL, decode_png);
}

const volt_image_format volt_format_png = {
    .info = png_image_info,
    .read = png_image_read,
    .write = volt_png_image_write,
};
