/* options.h - taking the options of a caller, for the formats. */
#ifndef VOLT_IO_IMAGE_OPTIONS_H
#define VOLT_IO_IMAGE_OPTIONS_H
#include "io/image.h"

/* Copies the caller's options (NULL: the defaults). VOLT_EINVAL: `path` cannot be read as
 * `dtype`, or the struct is of an unknown version. */
VOLT_MUST_USE volt_status volt_image_read_take(volt_image_read_options *out,
                                               const volt_image_read_options *given,
                                               const char *path);
VOLT_MUST_USE volt_status volt_image_write_take(volt_image_write_options *out,
                                                const volt_image_write_options *given);

#endif
