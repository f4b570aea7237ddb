/* PNG images: as label maps (grey values or palette indices, untouched) and as photographs. */
#include <stdlib.h>
#include <string.h>

#include "base/system/file.h"
#include "base/core/plural.h"
#include "base/core/alloc.h"
#include "io/image/convert.h"
#include "io/image/format.h"
#include "io/image/header.h"
#include "io/image/options.h"
#include "io/image/png_internal.h"

enum { MAX_EXTENT = 65535, DEFLATE_RATIO = 1032 };

typedef struct source {
    png_report report;
    const unsigned char *data;
    size_t left;
} source;

static void on_read(png_structp png, png_bytep data, size_t bytes)
{
    source *s = png_get_io_ptr(png);

    if (bytes > s->left)
        png_error(png, "it ends too early");
    memcpy(data, s->data, bytes);
    s->data += bytes;
    s->left -= bytes;
}

/* libpng may jump back into this function and the next: neither allocates, and what they need
 * after the jump is not changed after setjmp. */
static void read_header(png_structp png, png_infop info, bool colours)
{
    if (setjmp(png_jmpbuf(png)))
        return;
    png_read_info(png, info);
    if (colours && png_get_color_type(png, info) == PNG_COLOR_TYPE_PALETTE)
        png_set_palette_to_rgb(png);
    else if (png_get_bit_depth(png, info) < 8)
        png_set_packing(png); /* one byte a pixel, the value as it is */
    if (png_get_bit_depth(png, info) == 16)
        png_set_swap(png);
    png_set_interlace_handling(png);
    png_read_update_info(png, info);
}

static void read_rows(png_structp png, png_bytepp rows)
{
    if (setjmp(png_jmpbuf(png)))
        return;
    png_read_image(png, rows);
    png_read_end(png, NULL);
}

/* -- Opening ------------------------------------------------------------------------------ */

typedef struct opened {
    volt_map map;
    source s;
    png_structp png;
    png_infop info;
    volt_grid grid; /* all samples of a pixel are channels */
    int bytes;      /* of a sample */
} opened;

static void close_opened(opened *o)
{
    png_destroy_read_struct(&o->png, &o->info, NULL);
    volt_map_close(&o->map);
}

/* Reads the header; sizes are checked against the file. With `colours` a palette becomes
 * colours. `o` stays where it is until it is closed: libpng points into it. */
static volt_status open_png(opened *o, const char *path, bool colours)
{
    const double mm[3] = {1, 1, 1};
    size_t row_bytes;
    volt_status st;

    *o = (opened){.s = {.report = {.path = path}}};
    if ((st = volt_map_open(&o->map, path)) != VOLT_OK)
        return st;
    if (o->map.bytes < 8 || png_sig_cmp(o->map.data, 0, 8) != 0)
        return volt_fail(VOLT_EFORMAT, "%s is not a PNG image", path);
    o->s.data = o->map.data;
    o->s.left = o->map.bytes;
    o->png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &o->s.report, png_on_error,
                                    png_on_warning);
    o->info = o->png ? png_create_info_struct(o->png) : NULL;
    if (!o->info)
        return volt_fail(VOLT_ENOMEM, "out of memory for %s", path);
    png_set_read_fn(o->png, &o->s, on_read);
    png_set_user_limits(o->png, MAX_EXTENT, MAX_EXTENT);
    read_header(o->png, o->info, colours);
    if (o->s.report.st != VOLT_OK)
        return o->s.report.st;
    o->grid = volt_grid_make((int64_t[3]){1, png_get_image_height(o->png, o->info),
                                          png_get_image_width(o->png, o->info)},
                             png_get_channels(o->png, o->info), mm);
    o->grid.to_world[0][0] = o->grid.to_world[1][1] = -1; /* columns to the left, rows back */
    o->bytes = png_get_bit_depth(o->png, o->info) == 16 ? 2 : 1;
    /* packed pixels unfold to at most 8 times their bytes, indices to 32 */
    row_bytes = png_get_rowbytes(o->png, o->info) / (colours ? 32 : 8);
    if (row_bytes > (size_t)DEFLATE_RATIO * o->map.bytes / (size_t)o->grid.n[1])
        return volt_fail(VOLT_EFORMAT,
                         "%s declares %lld x %lld pixels, more than its %zu byte%s can hold",
                         path, (long long)o->grid.n[2], (long long)o->grid.n[1], o->map.bytes,
                         volt_s((int64_t)o->map.bytes));
    return VOLT_OK;
}

/* All rows, one behind the other without padding. */
static volt_status read_pixels(unsigned char **out, opened *o)
{
    const size_t height = (size_t)o->grid.n[1], row_bytes = png_get_rowbytes(o->png, o->info);
    unsigned char *pixels = NULL;
    png_bytepp rows = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_alloc_zero(&pixels, height, row_bytes, "an image"));
    VOLT_TRY(st, done, volt_alloc(&rows, height * sizeof *rows, "an image"));
    for (size_t y = 0; y < height; y++)
        rows[y] = pixels + y * row_bytes;
    read_rows(o->png, rows);
    if ((st = o->s.report.st) == VOLT_OK) {
        *out = pixels;
        pixels = NULL;
    }
done:
    volt_free(rows);
    volt_free(pixels);
    return st;
}

/* Element `at` of the samples. */
static uint16_t sample(const unsigned char *pixels, int64_t at, int bytes)
{
    uint16_t value;

    if (bytes == 1)
        return pixels[at];
    memcpy(&value, pixels + 2 * at, sizeof value);
    return value;
}

/* -- Label maps --------------------------------------------------------------------------- */

/* The first sample of each pixel; of colours all three must be the same. */
static volt_status take_grey(volt_volume *out, const opened *o, const unsigned char *pixels)
{
    const int64_t count = volt_grid_voxels(&out->grid), samples = o->grid.channels;
    uint16_t *to = out->data;

    for (int64_t i = 0; i < count; i++) {
        to[i] = sample(pixels, i * samples, o->bytes);
        if (samples >= 3 && (sample(pixels, i * samples + 1, o->bytes) != to[i] ||
                             sample(pixels, i * samples + 2, o->bytes) != to[i]))
            return volt_fail(VOLT_EFORMAT,
                             "%s has colours (row %lld, column %lld); labels are grey "
                             "values or palette indices",
                             o->s.report.path, (long long)(i / o->grid.n[2]),
                             (long long)(i % o->grid.n[2]));
    }
    return VOLT_OK;
}

static volt_status read_grey(volt_volume **out, opened *o)
{
    unsigned char *pixels = NULL;
    volt_volume *v = NULL;
    volt_grid grid = o->grid;
    volt_status st;

    grid.channels = 1;
    VOLT_TRY(st, done, volt_volume_create(&v, &grid, VOLT_U16));
    VOLT_TRY(st, done, read_pixels(&pixels, o));
    VOLT_TRY(st, done, take_grey(v, o, pixels));
    *out = v;
    v = NULL;
done:
    volt_volume_free(v);
    volt_free(pixels);
    return st;
}

volt_status volt_png_read(volt_volume **out, const char *path)
{
    opened o;
    volt_status st = open_png(&o, path, false);

    if (st == VOLT_OK)
        st = read_grey(out, &o);
    close_opened(&o);
    return st;
}

/* -- Photographs -------------------------------------------------------------------------- */

/* The samples of each pixel become channels. */
static volt_status read_colours(volt_volume **out, opened *o)
{
    const int64_t count = volt_grid_voxels(&o->grid), samples = o->grid.channels;
    unsigned char *pixels = NULL;
    volt_volume *v = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_volume_create(&v, &o->grid, o->bytes == 2 ? VOLT_U16 : VOLT_U8));
    VOLT_TRY(st, done, read_pixels(&pixels, o));
    for (int64_t c = 0; c < samples; c++) {
        for (int64_t i = 0; i < count; i++) {
            const uint16_t value = sample(pixels, i * samples + c, o->bytes);
            if (o->bytes == 2)
                ((uint16_t *)v->data)[c * count + i] = value;
            else
                ((uint8_t *)v->data)[c * count + i] = (uint8_t)value;
        }
    }
    *out = v;
    v = NULL;
done:
    volt_volume_free(v);
    volt_free(pixels);
    return st;
}

static volt_status describe(volt_image_header **out, const opened *o)
{
    volt_image_header *h;
    const volt_status st = volt_alloc_zero(&h, 1, sizeof *h, "an image's header");

    if (st != VOLT_OK)
        return st;
    strcpy(h->format, "PNG");
    h->dim[0] = o->grid.channels > 1 ? 3 : 2;
    for (int i = 1; i < 8; i++)
        h->dim[i] = 1;
    h->dim[1] = o->grid.n[2];
    h->dim[2] = o->grid.n[1];
    h->dim[3] = o->grid.channels;
    h->is_2d = true;
    h->dtype = o->bytes == 2 ? VOLT_U16 : VOLT_U8;
    h->slope = h->unit_mm = 1;
    h->grid = o->grid;
    h->geometry_source = VOLT_GEOMETRY_NONE;
    *out = h;
    return VOLT_OK;
}

/* Replaces *v by a converted copy; label values are checked. */
static volt_status convert(volt_volume **v, volt_dtype to, const char *path, int threads)
{
    const volt_image_conversion how = {.from = (*v)->dtype, .to = to, .slope = 1};
    const int64_t count = volt_grid_voxels(&(*v)->grid) * (*v)->grid.channels;
    int64_t bad = count;
    double value = 0;
    volt_volume *made;
    volt_status st;

    if (to == 0 || to == (*v)->dtype)
        return VOLT_OK;
    if ((st = volt_volume_create(&made, &(*v)->grid, to)) != VOLT_OK)
        return st;
    volt_image_convert(made->data, (*v)->data, count, &how, threads, &bad, &value);
    if (bad < count) {
        volt_volume_free(made);
        return volt_image_fail_label(path, &(*v)->grid, bad, value, to);
    }
    volt_volume_free(*v);
    *v = made;
    return VOLT_OK;
}

/* `out` NULL: the header alone. */
static volt_status png_read(volt_volume **out, volt_image_header **header, const char *path,
                            const volt_image_read_options *options)
{
    volt_image_read_options opt;
    bool labels;
    volt_image_header *h = NULL;
    volt_volume *v = NULL;
    opened o = {0};
    volt_status st;

    VOLT_TRY(st, done, volt_image_read_take(&opt, options, path));
    labels = opt.dtype != VOLT_AS_STORED && opt.dtype != VOLT_F32 && opt.dtype != VOLT_F64;
    VOLT_TRY(st, done, open_png(&o, path, !labels));
    VOLT_TRY(st, done, describe(&h, &o));
    if (out) {
        VOLT_TRY(st, done, volt_image_check_memory(h, VOLT_F64, path));
        VOLT_TRY(st, done, labels ? read_grey(&v, &o) : read_colours(&v, &o));
        VOLT_TRY(st, done, convert(&v, opt.dtype, path, opt.threads));
        VOLT_TRY(st, done, volt_map_check(o.map.data, path));
        *out = v;
        v = NULL;
    }
    if (header) {
        h->grid.channels = labels ? 1 : h->grid.channels;
        *header = h;
        h = NULL;
    }
done:
    volt_volume_free(v);
    volt_image_header_free(h);
    close_opened(&o);
    return st;
}

static volt_status png_header_info(volt_image_header **out, const char *path)
{
    return png_read(NULL, out, path, NULL);
}

const volt_image_format volt_format_png = {
    .info = png_header_info,
    .read = png_read,
    .write = volt_png_image_write,
};
