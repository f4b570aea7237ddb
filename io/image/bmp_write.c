#include "io/image/bmp.h"

#include <string.h>

#include "base/core/alloc.h"
#include "base/system/file.h"
#include "io/image/pixels.h"

enum { HEADERS = 54, PALETTE = 4 * 256, PER_METRE = 2835 };

static void put(unsigned char *at, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        at[i] = (unsigned char)(value >> 8 * i);
}

static void put_headers(unsigned char *file, const volt_pixels *p, size_t offset, size_t pixels)
{
    memcpy(file, "BM", 2);
    put(file + 2, offset + pixels, 4);
    put(file + 10, offset, 4);
    put(file + 14, HEADERS - 14, 4);
    put(file + 18, (uint64_t)p->width, 4);
    put(file + 22, (uint64_t)p->height, 4);
    put(file + 26, 1, 2); /* planes */
    put(file + 28, 8 * (uint64_t)p->samples, 2);
    put(file + 34, pixels, 4);
    put(file + 38, PER_METRE, 4);
    put(file + 42, PER_METRE, 4);
    for (int i = 0; p->samples == 1 && i < 256; i++)
        memset(file + HEADERS + 4 * i, i, 3);
}

/* Rows from the bottom, padded to 4 bytes; blue first. */
static void put_rows(unsigned char *to, const volt_pixels *p, size_t row)
{
    for (int64_t y = 0; y < p->height; y++, to += row) {
        const unsigned char *from = p->data + (p->height - 1 - y) * p->width * p->samples;
        if (p->samples == 1) {
            memcpy(to, from, (size_t)p->width);
            continue;
        }
        for (int64_t x = 0; x < p->width; x++)
            for (int c = 0; c < 3; c++)
                to[3 * x + c] = from[3 * x + 2 - c];
    }
}

volt_status volt_bmp_write(const char *path, const volt_volume *volume,
                           const volt_image_header *source,
                           const volt_image_write_options *options)
{
    volt_pixels p = {.format = "BMP"};
    unsigned char *file = NULL;
    size_t row, bytes, offset;
    volt_status st;

    (void)source; /* a BMP has no spatial metadata */
    VOLT_TRY(st, done, volt_pixels_of_volume(&p, path, volume, false, "13", options));
    row = ((size_t)p.width * (size_t)p.samples + 3) / 4 * 4;
    bytes = row * (size_t)p.height;
    offset = HEADERS + (p.samples == 1 ? PALETTE : 0);
    if (p.width > INT32_MAX || p.height > INT32_MAX || bytes > UINT32_MAX - offset) {
        st = volt_fail(VOLT_EINVAL, "%s: %lld x %lld pixels; a BMP file holds 4 GiB", path,
                       (long long)p.width, (long long)p.height);
        goto done;
    }
    VOLT_TRY(st, done, volt_alloc_zero(&file, offset + bytes, 1, "a BMP file"));
    put_headers(file, &p, offset, bytes);
    put_rows(file + offset, &p, row);
    st = volt_write_file(path, file, offset + bytes);
done:
    volt_free(file);
    volt_free(p.data);
    return st;
}
