/* picture.h - an RGB picture in memory and the little drawing that reports need.
 *
 * Rows from top to bottom, x to the right, 3 bytes per pixel without padding: what io/png.h
 * writes. Drawing outside the picture is cut off. No call but the first can fail.
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

/* One colour everywhere. The caller owns *out (volt_picture_free). VOLT_EINVAL, VOLT_ENOMEM. */
VOLT_CALL volt_picture_create(volt_picture **out, int64_t width, int64_t height,
                              volt_color fill);
VOLT_API void volt_picture_free(volt_picture *p); /* NULL is allowed */
VOLT_API void volt_picture_set(volt_picture *p, int64_t x, int64_t y, volt_color c);
VOLT_API void volt_picture_box(volt_picture *p, int64_t x, int64_t y, int64_t width,
                               int64_t height, volt_color c);

/* Text in a 5 x 8 bitmap font, each font pixel `scale` pixels wide; (x, y) is the upper left
 * corner. A byte that is not printable ASCII shows as '?', a UTF-8 sequence as one '?'. */
VOLT_API void volt_picture_text(volt_picture *p, int64_t x, int64_t y, int scale, volt_color c,
                                const char *text);
VOLT_API int64_t volt_picture_text_width(const char *text, int scale); /* pixels */
#define VOLT_TEXT_HEIGHT 8 /* font pixels, the row of descenders included */

/* Colours that differ well on grey, by label value (>= 1); the same value always gets the same
 * colour. */
VOLT_API volt_color volt_label_color(int64_t label);

VOLT_END_DECLS
#endif
