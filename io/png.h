/* png.h - writing 8-bit PNG images, and reading them as label maps. */
#ifndef VOLT_IO_PNG_H
#define VOLT_IO_PNG_H
#include <stdint.h>
#include "../base/status.h"
#include "../volume/volume.h"
VOLT_BEGIN_DECLS

/* Writes `height` rows of `width` pixels with `channels` bytes each (1 grey, 3 RGB, 4 RGBA),
 * first row on top, no padding between rows; whole or not at all. Extents 1..65535.
 * VOLT_EINVAL, VOLT_EIO, VOLT_ENOMEM. */
VOLT_CALL volt_png_write(const char *path, const uint8_t *pixels, int64_t width, int64_t height,
                         int channels);

/* Reads a grey image or a palette's indices as uint16, (1, 1, Y, X), rows from the top, spacing
 * 1: the values as they are stored, without regard to gamma or alpha. Colours whose three
 * samples are equal count as grey. Hostile: sizes are checked against the file. The caller owns
 * *out. VOLT_EIO; VOLT_EFORMAT: no PNG, damaged, colours; VOLT_ENOMEM. */
VOLT_CALL volt_png_read(volt_volume **out, const char *path);

VOLT_END_DECLS
#endif
