#include "io/image/pixels.h"

#include <stdio.h>
#include <string.h>

#include "base/core/alloc.h"
#include "base/core/available.h"
#include "base/core/checked.h"
#include "base/core/plural.h"
#include "io/image/convert.h"
#include "io/image/header.h"
#include "io/image/options.h"

#define MAX_EXTENT ((int64_t)1 << 31)
enum { DARK = 32 };

/* -- Sizes -------------------------------------------------------------------------------- */

volt_status volt_pixels_allocate(volt_pixels *p, const char *path, volt_pixels_want want)
{
    const int64_t extents[3] = {p->width, p->height, p->samples};
    char *what = NULL;
    size_t bytes;
    volt_status st;

    if (p->width < 1 || p->width > MAX_EXTENT || p->height < 1 || p->height > MAX_EXTENT)
        return volt_fail(VOLT_EFORMAT, "%s: %lld x %lld pixels; 1 to 2^31 each are expected",
                         path, (long long)p->width, (long long)p->height);
    /* 8 bytes: what any sample may become */
    if (volt_extent_bytes(&bytes, extents, 3, 8))
        return volt_fail(
            VOLT_EFORMAT,
            "%s: %lld x %lld pixels of %d channel%s are more than any machine holds", path,
            (long long)p->width, (long long)p->height, p->samples, volt_s(p->samples));
    if (want == VOLT_PIXELS_HEADER)
        return VOLT_OK;
    /* these samples, a volume of them and one of float32 */
    VOLT_TRY(st, done, volt_format(&what, "%s: reading it", path));
    VOLT_TRY(st, done, volt_mem_check(bytes / 8 * (2 * (size_t)p->bytes + 4), what));
    st = volt_alloc_zero(&p->data, bytes / 8, (size_t)p->bytes, what);
done:
    volt_free(what);
    return st;
}

volt_status volt_pixels_fit(const volt_pixels *p, const char *path, uint64_t packed,
                            uint64_t most)
{
    const double pixels = (double)p->width * (double)p->height;

    if (pixels <= (double)packed * (double)most)
        return VOLT_OK;
    return volt_fail(VOLT_EFORMAT,
                     "%s declares %lld x %lld pixels, more than its %llu byte%s can hold", path,
                     (long long)p->width, (long long)p->height, (unsigned long long)packed,
                     volt_s((int64_t)packed));
}

/* -- Palettes ----------------------------------------------------------------------------- */

static bool is_grey(const volt_palette *palette)
{
    for (int i = 0; i < palette->count; i++) {
        const unsigned char *c = palette->rgb[i];
        if (c[0] != c[1] || c[1] != c[2])
            return false;
    }
    return true;
}

/* The number of greys below DARK that ascend; what follows them is black. 0: other palettes. */
static int dark_greys(const volt_palette *palette)
{
    int count = 1;

    if (!is_grey(palette) || palette->rgb[0][0] >= DARK)
        return 0;
    while (count < palette->count && palette->rgb[count][0] > palette->rgb[count - 1][0]) {
        if (palette->rgb[count++][0] >= DARK)
            return 0;
    }
    for (int i = count; i < palette->count; i++) {
        if (palette->rgb[i][0] != 0)
            return 0;
    }
    return count;
}

/* Indices become the labels that they stand for. */
static void paint_labels(volt_pixels *p, const volt_palette *palette)
{
    const int64_t pixels = p->width * p->height;
    const int greys = dark_greys(palette);

    for (int64_t i = 0; i < pixels; i++) {
        if (p->data[i] >= greys)
            return;
    }
    for (int64_t i = 0; i < pixels; i++)
        p->data[i] = palette->rgb[p->data[i]][0];
}

volt_status volt_pixels_paint(volt_pixels *p, const volt_palette *palette, const char *path,
                              volt_pixels_want want)
{
    const bool grey = is_grey(palette);
    volt_pixels painted = *p;
    volt_status st;

    if (want == VOLT_PIXELS_LABELS) {
        paint_labels(p, palette);
        return VOLT_OK;
    }
    painted.samples = grey ? 1 : 3;
    painted.data = NULL;
    VOLT_TRY(st, done, volt_pixels_allocate(&painted, path, want));
    for (int64_t i = 0; painted.data && i < p->width * p->height; i++) {
        const int index = p->data[i];
        if (index >= palette->count) {
            st = volt_fail(VOLT_EFORMAT,
                           "%s: row %lld, column %lld has colour %d of a palette of %d", path,
                           (long long)(i / p->width), (long long)(i % p->width), index,
                           palette->count);
            goto done;
        }
        memcpy(painted.data + i * painted.samples, palette->rgb[index],
               (size_t)painted.samples);
    }
    volt_free(p->data);
    *p = painted;
    painted.data = NULL;
done:
    volt_free(painted.data);
    return st;
}

/* -- To a volume -------------------------------------------------------------------------- */

/* Sample `at` of the picture. */
static uint16_t sample(const volt_pixels *p, int64_t at)
{
    uint16_t value;

    if (p->bytes == 1)
        return p->data[at];
    memcpy(&value, p->data + 2 * at, sizeof value);
    return value;
}

/* Leaves the first sample of each pixel; of colours all three must be the same. */
static volt_status one_channel(volt_pixels *p, const char *path)
{
    const int n = p->samples;

    for (int64_t i = 0; i < p->width * p->height; i++) {
        const uint16_t value = sample(p, i * n);
        if (n >= 3 && (sample(p, i * n + 1) != value || sample(p, i * n + 2) != value))
            return volt_fail(VOLT_EFORMAT,
                             "%s has colours (row %lld, column %lld); labels are grey values "
                             "or palette indices",
                             path, (long long)(i / p->width), (long long)(i % p->width));
        memmove(p->data + i * p->bytes, p->data + i * n * p->bytes, (size_t)p->bytes);
    }
    p->samples = 1;
    return VOLT_OK;
}

static volt_grid grid_of(const volt_pixels *p)
{
    const double mm[3] = {1, 1, 1};
    const int64_t n[3] = {1, p->height, p->width};
    volt_grid grid = volt_grid_make(n, p->samples, mm);

    grid.to_world[0][0] = grid.to_world[1][1] = -1; /* columns to the left, rows back */
    return grid;
}

static volt_status describe(volt_image_header **out, const volt_pixels *p)
{
    volt_image_header *h = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_alloc_zero(&h, 1, sizeof *h, "an image's header"));
    snprintf(h->format, sizeof h->format, "%s", p->format);
    h->dim[0] = p->samples > 1 ? 3 : 2;
    for (int i = 1; i < 8; i++)
        h->dim[i] = 1;
    h->dim[1] = p->width;
    h->dim[2] = p->height;
    h->dim[3] = p->samples;
    h->is_2d = true;
    h->dtype = p->bytes == 2 ? VOLT_U16 : VOLT_U8;
    h->slope = h->unit_mm = 1;
    h->grid = grid_of(p);
    h->geometry_source = VOLT_GEOMETRY_NONE;
    if (*p->note)
        VOLT_TRY(st, done, volt_image_warn(h, "%s", p->note));
    *out = h;
    h = NULL;
done:
    volt_image_header_free(h);
    return st;
}

/* The samples of each pixel become channels of the type `to` (0: as stored). */
static volt_status to_volume(volt_volume **out, const volt_pixels *p, volt_dtype to,
                             const char *path, int threads)
{
    const volt_grid grid = grid_of(p);
    const volt_dtype stored = p->bytes == 2 ? VOLT_U16 : VOLT_U8;
    const volt_image_conversion how = {.from = stored, .to = to, .slope = 1};
    const int64_t pixels = p->width * p->height, count = pixels * p->samples;
    volt_volume *v = NULL, *converted = NULL;
    int64_t bad = count;
    double value = 0;
    volt_status st;

    VOLT_TRY(st, done, volt_volume_create(&v, &grid, stored));
    for (int64_t c = 0; c < p->samples; c++) {
        for (int64_t i = 0; i < pixels; i++) {
            if (p->bytes == 2)
                ((uint16_t *)v->data)[c * pixels + i] = sample(p, i * p->samples + c);
            else
                ((uint8_t *)v->data)[c * pixels + i] = p->data[i * p->samples + c];
        }
    }
    if (to != VOLT_AS_STORED && to != stored) {
        VOLT_TRY(st, done, volt_volume_create(&converted, &grid, to));
        volt_image_convert(converted->data, v->data, count, &how, threads, &bad, &value);
        if (bad < count) {
            st = volt_image_fail_label(path, &grid, bad, value, to);
            goto done;
        }
    }
    *out = converted ? converted : v;
    if (!converted)
        v = NULL;
    converted = NULL;
done:
    volt_volume_free(converted);
    volt_volume_free(v);
    return st;
}

volt_status volt_pixels_read(volt_volume **out, volt_image_header **header, const char *path,
                             const volt_image_read_options *options, volt_pixels_decode *decode)
{
    volt_image_read_options opt;
    volt_pixels_want want = VOLT_PIXELS_HEADER;
    volt_image_header *h = NULL;
    volt_volume *v = NULL;
    volt_pixels p = {0};
    volt_status st;

    VOLT_TRY(st, done, volt_image_read_take(&opt, options, path));
    if (out)
        want = opt.dtype == VOLT_AS_STORED || opt.dtype == VOLT_F32 || opt.dtype == VOLT_F64
                   ? VOLT_PIXELS_IMAGE
                   : VOLT_PIXELS_LABELS;
    VOLT_TRY(st, done, decode(&p, path, want));
    if (want == VOLT_PIXELS_LABELS && p.samples > 1)
        VOLT_TRY(st, done, one_channel(&p, path));
    if (header)
        VOLT_TRY(st, done, describe(&h, &p));
    if (out)
        VOLT_TRY(st, done, to_volume(&v, &p, opt.dtype, path, opt.threads));
    if (out)
        *out = v;
    if (header)
        *header = h;
    v = NULL;
    h = NULL;
done:
    volt_free(p.data);
    volt_volume_free(v);
    volt_image_header_free(h);
    return st;
}

/* -- From a volume ------------------------------------------------------------------------ */

/* Whether `count` is one of the digits of `channels`, "13". */
static bool holds(const char *channels, int count)
{
    return count > 0 && count < 10 && strchr(channels, '0' + count) != NULL;
}

volt_status volt_pixels_of_volume(volt_pixels *out, const char *path, const volt_volume *volume,
                                  bool wide, const char *channels,
                                  const volt_image_write_options *options)
{
    static const volt_dtype labels[] = {VOLT_U8, VOLT_U16};
    const volt_grid *g = &volume->grid;
    const int64_t count = g->n[1] * g->n[2];
    volt_image_write_options opt;
    const volt_volume *voxels = NULL;
    volt_volume *converted = NULL;
    size_t each;
    volt_status st;

    VOLT_TRY(st, done, volt_image_write_take(&opt, options));
    if (g->n[0] != 1 || !holds(channels, g->channels)) {
        const size_t last = strlen(channels) - 1;
        st = volt_fail(
            VOLT_EINVAL,
            "%s: %lld slice%s of %d channel%s; a %s file holds one slice of %.1s%s%.1s "
            "channel%s",
            path, (long long)g->n[0], volt_s(g->n[0]), g->channels, volt_s(g->channels),
            out->format, channels, last == 0 ? "" : (last > 1 ? " to " : " or "),
            last ? channels + last : "", last ? "s" : "");
        goto done;
    }
    VOLT_TRY(st, done,
             volt_image_voxels(&voxels, &converted, path, volume, labels, wide ? 2 : 1, &opt));
    if (voxels->dtype != VOLT_U8 && !(wide && voxels->dtype == VOLT_U16)) {
        st = volt_fail(VOLT_EINVAL, "%s: voxels of %s; a %s file holds %s", path,
                       volt_dtype_name(voxels->dtype), out->format,
                       wide ? "uint8 or uint16" : "uint8");
        goto done;
    }
    each = volt_dtype_bytes(voxels->dtype);
    VOLT_TRY(st, done, volt_alloc(&out->data, volt_volume_bytes(voxels), "a picture"));
    for (int64_t at = 0; at < count; at++)
        for (int c = 0; c < g->channels; c++)
            memcpy(out->data + (size_t)(at * g->channels + c) * each,
                   (const uint8_t *)voxels->data + (size_t)(c * count + at) * each, each);
    out->width = g->n[2];
    out->height = g->n[1];
    out->samples = g->channels;
    out->bytes = (int)each;
done:
    volt_volume_free(converted);
    return st;
}
