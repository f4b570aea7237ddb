/* PNG images as label maps: grey values or palette indices, untouched. */
#include <png.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "io/png.h"

enum { MAX_EXTENT = 65535, DEFLATE_RATIO = 1032 };

/* What libpng's callbacks read from and report to. */
typedef struct source {
    const char *path;
    const unsigned char *data;
    size_t left;
    volt_status st; /* the first failure; its sentence is recorded */
} source;

static void on_error(png_structp png, png_const_charp words)
{
    source *s = png_get_error_ptr(png);

    if (s->st == VOLT_OK)
        s->st = volt_fail(VOLT_EFORMAT, "%s is damaged: %s", s->path, words);
    png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp words)
{
    (void)png;
    (void)words;
}

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
static void read_header(png_structp png, png_infop info)
{
    if (setjmp(png_jmpbuf(png)))
        return;
    png_read_info(png, info);
    if (png_get_bit_depth(png, info) < 8)
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

/* Samples of a pixel: 1 grey or index, 2 grey with alpha, 3 and 4 colours. */
static uint16_t sample(const unsigned char *row, int64_t at, int bytes)
{
    uint16_t value;

    if (bytes == 1)
        return row[at];
    memcpy(&value, row + 2 * at, sizeof value);
    return value;
}

static volt_status take_pixels(volt_volume *out, png_bytepp rows, int samples, int bytes,
                               const char *path)
{
    uint16_t *to = out->data;

    for (int64_t y = 0; y < out->grid.n[1]; y++) {
        for (int64_t x = 0; x < out->grid.n[2]; x++) {
            const int64_t at = x * samples;
            const uint16_t value = sample(rows[y], at, bytes);
            if (samples >= 3 && (sample(rows[y], at + 1, bytes) != value ||
                                 sample(rows[y], at + 2, bytes) != value))
                return volt_fail(VOLT_EFORMAT,
                                 "%s has colours (row %lld, column %lld); labels are grey "
                                 "values or palette indices",
                                 path, (long long)y, (long long)x);
            *to++ = value;
        }
    }
    return VOLT_OK;
}

/* After read_header: sizes are checked against the file before anything is allocated. */
static volt_status read_pixels(volt_volume **out, png_structp png, png_infop info, source *s,
                               size_t file_bytes)
{
    const int64_t n[3] = {1, png_get_image_height(png, info), png_get_image_width(png, info)};
    const size_t row_bytes = png_get_rowbytes(png, info);
    const double mm[3] = {1, 1, 1};
    const volt_grid grid = volt_grid_make(n, 1, mm);
    const int samples = png_get_channels(png, info);
    const int bytes = png_get_bit_depth(png, info) == 16 ? 2 : 1;
    volt_volume *v = NULL;
    unsigned char *pixels = NULL;
    png_bytepp rows = NULL;
    volt_status st;

    /* packed pixels unfold to at most 8 times their bytes */
    if (row_bytes / 8 > (size_t)DEFLATE_RATIO * file_bytes / (size_t)n[1])
        return volt_fail(VOLT_EFORMAT,
                         "%s says %lld x %lld pixels, more than its %zu bytes hold", s->path,
                         (long long)n[2], (long long)n[1], file_bytes);
    VOLT_TRY(st, done, volt_volume_create(&v, &grid, VOLT_U16));
    VOLT_TRY(st, done, volt_alloc_zero(&pixels, (size_t)n[1], row_bytes, "an image"));
    VOLT_TRY(st, done, volt_alloc(&rows, (size_t)n[1] * sizeof *rows, "an image"));
    for (int64_t y = 0; y < n[1]; y++)
        rows[y] = pixels + (size_t)y * row_bytes;
    read_rows(png, rows);
    if ((st = s->st) == VOLT_OK)
        st = take_pixels(v, rows, samples, bytes, s->path);
    if (st == VOLT_OK) {
        *out = v;
        v = NULL;
    }
done:
    volt_free(rows);
    volt_free(pixels);
    volt_volume_free(v);
    return st;
}

volt_status volt_png_read(volt_volume **out, const char *path)
{
    volt_map map = {0};
    source s = {.path = path, .st = VOLT_OK};
    png_structp png = NULL;
    png_infop info = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_map_open(&map, path));
    if (map.bytes < 8 || png_sig_cmp(map.data, 0, 8) != 0) {
        st = volt_fail(VOLT_EFORMAT, "%s is no PNG image", path);
        goto done;
    }
    s.data = map.data;
    s.left = map.bytes;
    png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &s, on_error, on_warning);
    info = png ? png_create_info_struct(png) : NULL;
    if (!info) {
        st = volt_fail(VOLT_ENOMEM, "out of memory for %s", path);
        goto done;
    }
    png_set_read_fn(png, &s, on_read);
    png_set_user_limits(png, MAX_EXTENT, MAX_EXTENT);
    read_header(png, info);
    if ((st = s.st) == VOLT_OK)
        st = read_pixels(out, png, info, &s, map.bytes);
done:
    png_destroy_read_struct(&png, &info, NULL);
    volt_map_close(&map);
    return st;
}
