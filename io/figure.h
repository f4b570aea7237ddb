/* figure.h - figures: RGB pictures in the format of their file's ending.
 *
 * Threads   different paths may be written at the same time.
 */
#ifndef VOLT_IO_FIGURE_H
#define VOLT_IO_FIGURE_H
#include <stdint.h>
#include "../base/status.h"
VOLT_BEGIN_DECLS

/* VOLT_EINVAL: `path` ends in none of .png, .jpg and .jpeg; VOLT_ENOTSUP: a JPEG, which this
 * build cannot write. For callers that want to know before they draw. */
VOLT_CALL volt_figure_check(const char *path);

/* Writes `height` rows of `width` RGB pixels of 3 bytes, the top row first, without padding;
 * whole or not at all. Extents 1..65500. volt_figure_check's errors, VOLT_EIO, VOLT_ENOMEM. */
VOLT_CALL volt_figure_write(const char *path, const uint8_t *rgb, int64_t width,
                            int64_t height);

VOLT_END_DECLS
#endif
