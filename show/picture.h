/* picture.h - an RGB picture in memory.
 *
 * Rows run from top to bottom, x to the right, 3 bytes per pixel without padding: the layout
 * that io/png.h writes.
 *
 * Threads   no shared state. Calls on different pictures may run at the same time.
 */
#ifndef VOLT_SHOW_PICTURE_H
#define VOLT_SHOW_PICTURE_H
#include <stdint.h>
#include "../base/status.h"
VOLT_BEGIN_DECLS

typedef struct volt_color {
    uint8_t r, g, b;
} volt_color;

typedef struct volt_picture {
    int64_t width, height; /* pixels, 1..32768 */
    uint8_t *rgb;          /* 3 * width * height bytes; owned */
} volt_picture;

/* A picture of one colour. The caller owns *out (volt_picture_free). VOLT_EINVAL: size;
 * VOLT_ENOMEM. */
VOLT_CALL volt_picture_create(volt_picture **out, int64_t width, int64_t height,
                              volt_color fill);
VOLT_API void volt_picture_free(volt_picture *p); /* NULL is allowed */

/* The colour of a label value (>= 1), chosen to stand out on grey. A value always has the same
 * colour. */
VOLT_API volt_color volt_label_color(int64_t label);

VOLT_END_DECLS
#endif
