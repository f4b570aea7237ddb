/* png.h - writing 8-bit PNG images.
 *
 * Threads   different paths may be written at the same time.
 */
#ifndef VOLT_IO_PNG_H
#define VOLT_IO_PNG_H
#include <stdint.h>
#include "../base/status.h"
VOLT_BEGIN_DECLS

/* Writes `height` rows of `width` pixels of `channels` bytes (1 grey, 3 RGB, 4 RGBA), the top
 * row first, without padding; whole or not at all. Extents 1..65535. VOLT_EINVAL, VOLT_EIO,
 * VOLT_ENOMEM. */
VOLT_CALL volt_png_write(const char *path, const uint8_t *pixels, int64_t width, int64_t height,
                         int channels);

VOLT_END_DECLS
#endif
