/* options.h - the options of reading and writing that most callers want, and taking them.
 *
 * Internal callers set them in one line; the formats take them from any caller.
 */
#ifndef VOLT_IO_IMAGE_OPTIONS_H
#define VOLT_IO_IMAGE_OPTIONS_H
#include "io/image.h"

/* `dtype` may be VOLT_AS_STORED; `threads` 0 = default. */
static inline volt_image_read_options volt_image_read_as(volt_dtype dtype, int threads)
{
    volt_image_read_options o = volt_image_read_defaults();

    o.dtype = dtype;
    o.threads = threads;
    return o;
}

static inline volt_image_write_options volt_image_write_with(int threads)
{
    volt_image_write_options o = volt_image_write_defaults();

    o.threads = threads;
    return o;
}

static inline volt_image_write_options volt_image_write_labels(int threads)
{
    volt_image_write_options o = volt_image_write_with(threads);

    o.labels = true;
    return o;
}

/* Copies the caller's options (NULL: the defaults). VOLT_EINVAL: `path` cannot be read as
 * `dtype`, or the struct is of an unknown version. */
VOLT_MUST_USE volt_status volt_image_read_take(volt_image_read_options *out,
                                               const volt_image_read_options *given,
                                               const char *path);
VOLT_MUST_USE volt_status volt_image_write_take(volt_image_write_options *out,
                                                const volt_image_write_options *given);

#endif
