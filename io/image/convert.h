/* convert.h - stored voxels of any type, scale and byte order to the type a reader wants. */
#ifndef VOLT_IO_IMAGE_CONVERT_H
#define VOLT_IO_IMAGE_CONVERT_H
#include <stdbool.h>
#include <stdint.h>
#include "volume/volume.h"

/* How to convert stored voxels. */
typedef struct volt_image_conversion {
    volt_dtype from, to;
    bool swap;
    double slope, inter; /* 1 and 0: unscaled */
} volt_image_conversion;

/* Converts `count` elements; `to` and `from` must not overlap, unless they are the same
 * address and both types have the same size. *bad (in: count) becomes the smallest index of a
 * value that an integer target cannot hold, *value that value. */
void volt_image_convert(void *to, const void *from, int64_t count,
                        const volt_image_conversion *how, int threads, int64_t *bad,
                        double *value);

/* The same if the source is the tail of the target's own buffer: `from` is at least
 * count * (bytes of to - bytes of from) behind `to`, which has the wider type. */
void volt_image_convert_in_place(void *to, const void *from, int64_t count,
                                 const volt_image_conversion *how, int threads, int64_t *bad,
                                 double *value);

#endif
