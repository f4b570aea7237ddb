/* jpeg.h - writing 8-bit JPEG images. */
#ifndef VOLT_IO_IMAGE_JPEG_H
#define VOLT_IO_IMAGE_JPEG_H
#include <stdint.h>
#include "base/status.h"

/* As volt_png_write, for 1 (grey) or 3 (RGB) channels; lossy. VOLT_ENOTSUP: built without. */
VOLT_MUST_USE volt_status volt_jpeg_write(const char *path, const uint8_t *pixels,
                                          int64_t width, int64_t height, int channels);

#endif
