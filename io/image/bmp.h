/* bmp.h - writing BMP: 8 bits with a grey palette, or 24 bits. */
#ifndef VOLT_IO_IMAGE_BMP_H
#define VOLT_IO_IMAGE_BMP_H
#include "io/image.h"

/* As volt_image_write, for one slice of 1 or 3 channels of uint8; `source` is not used. */
VOLT_MUST_USE volt_status volt_bmp_write(const char *path, const volt_volume *volume,
                                         const volt_image_header *source,
                                         const volt_image_write_options *options);

#endif
