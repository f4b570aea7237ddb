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

#define VOLT_PICTURE_LARGEST 32768

typedef struct volt_picture {
    int64_t width, height; /* pixels, 1..VOLT_PICTURE_LARGEST */
    uint8_t *rgb;          /* 3 * width * height bytes; owned */
} volt_picture;

/* A picture of one colour. The caller owns *out (volt_picture_free). VOLT_EINVAL: size;
 * VOLT_ENOMEM. */
VOLT_CALL volt_picture_create(volt_picture **out, int64_t width, int64_t height,
                              volt_color fill);
VOLT_API void volt_picture_free(volt_picture *p); /* NULL is allowed */

/* Colours before they repeat. */
#define VOLT_LABEL_COLORS 120

/* The colour of a label value, chosen to stand out on grey: values 1 to 120 have colours of
 * their own, and consecutive values differ clearly. */
VOLT_API volt_color volt_label_color(int64_t label);
/* Colours for a list of labels: volt_label_color of each, unless an earlier one has the same
 * colour or the one before it a similar colour; then another of the palette. `out` and `label`
 * have `count` entries. */
VOLT_API void volt_label_colors(volt_color *out, const int64_t *label, int64_t count);

VOLT_END_DECLS
#endif
