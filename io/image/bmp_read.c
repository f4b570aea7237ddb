/* bmp_read.c - BMP: palettes of 1, 2, 4 and 8 bits (plain or run-length encoded), 16, 24 and 32
 * bits. */
#include <stdlib.h>
#include <string.h>

#include "base/core/alloc.h"
#include "base/core/plural.h"
#include "base/system/file.h"
#include "io/image/bmp.h"
#include "io/image/format.h"
#include "io/image/pixels.h"

enum {
    FILE_HEADER = 14,
    CORE_HEADER = 12,
    INFO_HEADER = 40,
    MASKS_HEADER = 52,
    ALPHA_HEADER = 56
};
enum { RUNS_RATIO = 4096 }; /* pixels a byte: 128 in runs, more where rows are skipped */
enum { PLAIN, RLE8, RLE4, BIT_FIELDS, JPEG, PNG, ALPHA_FIELDS };

typedef struct bitmap {
    const char *path;
    const unsigned char *file;
    size_t bytes, voxels; /* of the file; where the pixels begin */
    int64_t width, height;
    bool top_down;
    int bits; /* of a pixel */
    uint32_t compression;
    uint32_t mask[4]; /* red, green, blue, alpha; of 16 and 32 bits */
    volt_palette palette;
} bitmap;

static uint32_t u16(const unsigned char *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8;
}

static uint32_t u32(const unsigned char *at)
{
    return u16(at) | u16(at + 2) << 16;
}

/* -- Headers ------------------------------------------------------------------------------ */

static volt_status read_palette(bitmap *b, size_t at, size_t each, uint32_t used)
{
    const int most = 1 << b->bits;
    size_t room = b->voxels > at ? (b->voxels - at) / each : 0;

    b->palette.count = used && used < (uint32_t)most ? (int)used : most;
    if (room < (size_t)b->palette.count && !used)
        b->palette.count = (int)room; /* some writers leave out what they do not use */
    if (b->palette.count < 1 || room < (size_t)b->palette.count)
        return volt_fail(VOLT_EFORMAT, "%s is damaged: its palette is cut", b->path);
    for (int i = 0; i < b->palette.count; i++, at += each) {
        for (int c = 0; c < 3; c++)
            b->palette.rgb[i][c] = b->file[at + 2 - (size_t)c];
    }
    return VOLT_OK;
}

/* The bits of each colour in a pixel of 16 or 32 bits. */
static volt_status read_masks(bitmap *b, size_t header)
{
    static const uint32_t plain[2][3] = {{0x7c00, 0x03e0, 0x001f}, {0xff0000, 0xff00, 0xff}};
    const bool told = b->compression == BIT_FIELDS || b->compression == ALPHA_FIELDS;
    const bool alpha = header >= ALPHA_HEADER || b->compression == ALPHA_FIELDS;
    const size_t at = FILE_HEADER + INFO_HEADER; /* inside of larger headers, else behind it */

    if (!told) {
        memcpy(b->mask, plain[b->bits == 32], sizeof plain[0]);
        return VOLT_OK;
    }
    if (at + 16 > b->bytes)
        return volt_fail(VOLT_EFORMAT, "%s is damaged: its header is cut", b->path);
    for (size_t c = 0; c < (alpha ? 4 : 3); c++)
        b->mask[c] = u32(b->file + at + 4 * c);
    for (int c = 0; c < 3; c++) {
        if (b->mask[c] == 0 || (b->bits == 16 && b->mask[c] > 0xffff))
            return volt_fail(VOLT_EFORMAT, "%s is damaged: no bits for a colour", b->path);
    }
    return VOLT_OK;
}

static volt_status check_kind(const bitmap *b)
{
    static const struct {
        int bits;
        uint32_t compression;
    } known[] = {{1, PLAIN},        {2, PLAIN},       {4, PLAIN},       {8, PLAIN},
                 {16, PLAIN},       {24, PLAIN},      {32, PLAIN},      {8, RLE8},
                 {4, RLE4},         {16, BIT_FIELDS}, {32, BIT_FIELDS}, {16, ALPHA_FIELDS},
                 {32, ALPHA_FIELDS}};

    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (known[i].bits == b->bits && known[i].compression == b->compression)
            return b->top_down && (b->compression == RLE8 || b->compression == RLE4)
                       ? volt_fail(VOLT_EFORMAT, "%s is damaged: run lengths from the top",
                                   b->path)
                       : VOLT_OK;
    }
    return volt_fail(VOLT_ENOTSUP,
                     "%s: a BMP of %d bits a pixel with compression %u; 1, 2, 4, 8, 16, 24 or "
                     "32 bits, plain or run-length encoded, are supported",
                     b->path, b->bits, b->compression);
}

static volt_status read_headers(bitmap *b)
{
    const unsigned char *f = b->file;
    uint32_t header, used = 0;

    if (b->bytes < FILE_HEADER + CORE_HEADER || f[0] != 'B' || f[1] != 'M')
        return volt_fail(VOLT_EFORMAT, "%s is not a BMP file", b->path);
    b->voxels = u32(f + 10);
    header = u32(f + FILE_HEADER);
    if (header == CORE_HEADER) {
        b->width = u16(f + 18);
        b->height = u16(f + 20);
        b->bits = (int)u16(f + 24);
    } else if (header >= INFO_HEADER && b->bytes >= FILE_HEADER + INFO_HEADER) {
        b->width = (int32_t)u32(f + 18);
        b->height = (int32_t)u32(f + 22);
        b->bits = (int)u16(f + 28);
        b->compression = u32(f + 30);
        used = u32(f + 46);
    } else {
        return volt_fail(VOLT_EFORMAT, "%s is not a BMP file: a header of %u bytes", b->path,
                         header);
    }
    b->top_down = b->height < 0;
    b->height = llabs(b->height);
    if (b->voxels < FILE_HEADER + (size_t)CORE_HEADER || b->voxels > b->bytes)
        return volt_fail(VOLT_EFORMAT, "%s is damaged: its pixels begin at byte %zu of %zu",
                         b->path, b->voxels, b->bytes);
    const volt_status st = check_kind(b);
    if (st != VOLT_OK)
        return st;
    if (b->bits > 8)
        return b->bits == 24 ? VOLT_OK : read_masks(b, header);
    return read_palette(b, FILE_HEADER + (size_t)header, header == CORE_HEADER ? 3 : 4, used);
}

/* -- Pixels ------------------------------------------------------------------------------- */

/* The bits of `pixel` in `mask` as 0..255. */
static unsigned char field(uint32_t pixel, uint32_t mask)
{
    const int shift = __builtin_ctz(mask);
    const uint64_t most = mask >> shift;

    return (unsigned char)((uint64_t)((pixel & mask) >> shift) * 255 / most);
}

static void unpack_row(unsigned char *to, const unsigned char *row, const bitmap *b,
                       int samples)
{
    for (int64_t x = 0; x < b->width; x++, to += samples) {
        if (b->bits <= 8) {
            const int64_t bit = x * b->bits;
            *to =
                (unsigned char)(row[bit / 8] >> (8 - b->bits - bit % 8) & ((1 << b->bits) - 1));
        } else if (b->bits == 24) {
            for (int c = 0; c < 3; c++)
                to[c] = row[3 * x + 2 - c];
        } else {
            const uint32_t pixel = b->bits == 16 ? u16(row + 2 * x) : u32(row + 4 * x);
            for (int c = 0; c < samples; c++)
                to[c] = field(pixel, b->mask[c]);
        }
    }
}

static volt_status unpack_rows(unsigned char *to, const bitmap *b, int samples)
{
    const uint64_t row = ((uint64_t)b->width * (uint64_t)b->bits + 31) / 32 * 4;

    if (row * (uint64_t)b->height > b->bytes - b->voxels) /* both at most 2^31 before */
        return volt_fail(VOLT_EFORMAT, "%s is damaged: it ends before its last row", b->path);
    for (int64_t y = 0; y < b->height; y++) {
        const int64_t place = b->top_down ? y : b->height - 1 - y;
        unpack_row(to + place * b->width * samples, b->file + b->voxels + (uint64_t)y * row, b,
                   samples);
    }
    return VOLT_OK;
}

/* Run lengths: what they skip stays 0. Rows from the bottom. */
typedef struct runs {
    const bitmap *b;
    unsigned char *to;
    size_t at;
    int64_t x, y;
} runs;

static volt_status cut(const runs *r)
{
    return volt_fail(VOLT_EFORMAT, "%s is damaged: its runs leave the picture or end early",
                     r->b->path);
}

/* The value of pixel `i` of a run or of a literal: 4 or 8 bits at `from`. */
static unsigned char run_value(const bitmap *b, const unsigned char *from, int64_t i)
{
    return b->bits == 8 ? from[i] : from[i / 2] >> (i % 2 ? 0 : 4) & 15;
}

static volt_status put_run(runs *r, int count, const unsigned char *from, bool repeated)
{
    if (count > r->b->width - r->x || r->y >= r->b->height)
        return cut(r);
    for (int i = 0; i < count; i++, r->x++)
        r->to[(r->b->height - 1 - r->y) * r->b->width + r->x] =
            run_value(r->b, from, repeated ? (r->b->bits == 8 ? 0 : i % 2) : i);
    return VOLT_OK;
}

/* Literal pixels, padded to two bytes; or a jump. */
static volt_status escape(runs *r, int code)
{
    const size_t left = r->b->bytes - r->at;
    const size_t packed = r->b->bits == 8 ? (size_t)code : ((size_t)code + 1) / 2;
    volt_status st;

    if (code == 0) { /* end of a row */
        r->x = 0;
        r->y++;
        return VOLT_OK;
    }
    if (code == 2) {
        if (left < 2)
            return cut(r);
        r->x += r->b->file[r->at];
        r->y += r->b->file[r->at + 1];
        r->at += 2;
        return r->x > r->b->width || r->y > r->b->height ? cut(r) : VOLT_OK;
    }
    if (left < packed)
        return cut(r);
    st = put_run(r, code, r->b->file + r->at, false);
    r->at += (packed + 1) / 2 * 2;
    r->at = r->at < r->b->bytes ? r->at : r->b->bytes;
    return st;
}

static volt_status unpack_runs(unsigned char *to, const bitmap *b)
{
    runs r = {.b = b, .to = to, .at = b->voxels};
    volt_status st = VOLT_OK;

    while (st == VOLT_OK && b->bytes - r.at >= 2) {
        const int count = b->file[r.at], code = b->file[r.at + 1];
        r.at += 2;
        if (count == 0 && code == 1)
            return VOLT_OK; /* end of the picture */
        if (count == 0)
            st = escape(&r, code);
        else
            st = put_run(&r, count, b->file + r.at - 1, true);
    }
    if (st == VOLT_OK && (r.y < b->height - 1 || (r.y == b->height - 1 && r.x < b->width)))
        st = cut(&r);
    return st;
}

/* -- The file ----------------------------------------------------------------------------- */

static volt_status decode_bmp(volt_pixels *out, const char *path, volt_pixels_want want)
{
    bitmap b = {.path = path};
    volt_map map = {0};
    bool packed;
    volt_status st;

    VOLT_TRY(st, done, volt_map_open(&map, path));
    b.file = map.data;
    b.bytes = map.bytes;
    VOLT_TRY(st, done, read_headers(&b));
    packed = b.compression == RLE8 || b.compression == RLE4;
    out->format = "BMP";
    out->width = b.width;
    out->height = b.height;
    out->samples = b.bits <= 8 ? 1 : (b.mask[3] ? 4 : 3);
    out->bytes = 1;
    VOLT_TRY(st, done, volt_pixels_fit(out, path, map.bytes, packed ? RUNS_RATIO : 8));
    VOLT_TRY(st, done, volt_pixels_allocate(out, path, want));
    if (want != VOLT_PIXELS_HEADER)
        VOLT_TRY(st, done,
                 packed ? unpack_runs(out->data, &b)
                        : unpack_rows(out->data, &b, out->samples));
    if (b.bits <= 8)
        st = volt_pixels_paint(out, &b.palette, path, want);
done:
    volt_map_close(&map);
    return st;
}

static volt_status bmp_read(volt_volume **out, volt_image_header **header, const char *path,
                            const volt_image_read_options *options)
{
    return volt_pixels_read(out, header, path, options, decode_bmp);
}

static volt_status bmp_info(volt_image_header **out, const char *path)
{
    return volt_pixels_read(NULL, out, path, NULL, decode_bmp);
}

const volt_image_format volt_format_bmp = {
    .info = bmp_info,
    .read = bmp_read,
    .write = volt_bmp_write,
};
