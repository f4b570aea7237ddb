/* pixels.h - shared by the formats of pictures: from decoded samples to an image or a label
 * map.
 *
 * Images    grey is one channel, colours are three, alpha is one more. A palette is one channel
 *           if all its colours are grey, else three; transparency of single colours is ignored.
 *           Samples of fewer than 8 bits are scaled to 0..255.
 * Labels    (an integer type was asked for) one channel: the values as stored, of a palette the
 *           indices. If a palette's colours are greys below 32 in ascending order, which nobody
 *           chooses to look at, these are the labels: writers of GIF leave out unused ones.
 *           Colours are refused unless their samples agree; alpha is ignored.
 */
#ifndef VOLT_IO_IMAGE_PIXELS_H
#define VOLT_IO_IMAGE_PIXELS_H
#include <stdbool.h>
#include <stdint.h>
#include "io/image.h"

typedef enum volt_pixels_want {
    VOLT_PIXELS_HEADER, /* no samples; the rest as for an image */
    VOLT_PIXELS_IMAGE,
    VOLT_PIXELS_LABELS,
} volt_pixels_want;

/* A decoded picture: rows from the top without padding, samples of a pixel side by side. */
typedef struct volt_pixels {
    const char *format; /* "PNG"; static */
    int64_t width, height;
    int samples;         /* of a pixel: 1 grey or indices, 2 with alpha, 3 RGB, 4 RGBA */
    int bytes;           /* of a sample: 1 or 2, in this machine's byte order */
    char note[160];      /* a warning for the header; "": none */
    unsigned char *data; /* NULL for a header; volt_free */
} volt_pixels;

/* Decodes `path`, untrusted. On failure the caller frees out->data as well. */
typedef volt_status volt_pixels_decode(volt_pixels *out, const char *path,
                                       volt_pixels_want want);

/* volt_image_read of a picture (volt_image_info with `out` NULL). */
VOLT_MUST_USE volt_status volt_pixels_read(volt_volume **out, volt_image_header **header,
                                           const char *path,
                                           const volt_image_read_options *options,
                                           volt_pixels_decode *decode);

/* Checks width, height and what they need against this machine's memory and, unless a header is
 * wanted, allocates data, zeroed, for `samples` and `bytes`. VOLT_EFORMAT, VOLT_ENOMEM. */
VOLT_MUST_USE volt_status volt_pixels_allocate(volt_pixels *p, const char *path,
                                               volt_pixels_want want);

/* Fails with VOLT_EFORMAT if `packed` bytes of a file cannot hold the picture, at `most` pixels
 * a byte. */
VOLT_MUST_USE volt_status volt_pixels_fit(const volt_pixels *p, const char *path,
                                          uint64_t packed, uint64_t most);

typedef struct volt_palette {
    int count; /* 1..256 */
    unsigned char rgb[256][3];
} volt_palette;

/* Replaces indices, samples of one byte, by grey values or colours, for labels by these.
 * For a header only `samples` changes. VOLT_EFORMAT: an index beyond the palette; VOLT_ENOMEM.
 */
VOLT_MUST_USE volt_status volt_pixels_paint(volt_pixels *p, const volt_palette *palette,
                                            const char *path, volt_pixels_want want);

/* The samples to write: `volume`, one slice of 1 to `most` channels of uint8 (uint16 too if
 * `wide`), as in volt_pixels. The caller frees out->data. VOLT_EINVAL: what the format, whose
 * name is out->format, cannot hold; VOLT_ENOMEM. */
VOLT_MUST_USE volt_status volt_pixels_of_volume(volt_pixels *out, const char *path,
                                                const volt_volume *volume, bool wide,
                                                const char *channels,
                                                const volt_image_write_options *options);

#endif
