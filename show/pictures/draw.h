/* draw.h - drawing into a picture. Whatever lies outside it is clipped; no call can fail. */
#ifndef VOLT_SHOW_PICTURES_DRAW_H
#define VOLT_SHOW_PICTURES_DRAW_H
#include <stdint.h>
#include "show/picture.h"

void volt_picture_set(volt_picture *p, int64_t x, int64_t y, volt_color c);
/* A filled rectangle with its upper left corner at (x, y). */
void volt_picture_box(volt_picture *p, int64_t x, int64_t y, int64_t width, int64_t height,
                      volt_color c);

/* Text in a 5 x 8 bitmap font, each font pixel `scale` pixels wide; (x, y) is the upper left
 * corner. Bytes that are not printable ASCII show as '?', a UTF-8 sequence as one '?'. */
void volt_picture_text(volt_picture *p, int64_t x, int64_t y, int scale, volt_color c,
                       const char *text);
int64_t volt_picture_text_width(const char *text, int scale); /* pixels */
#define VOLT_TEXT_HEIGHT 8 /* font pixels, including the row of descenders */

#endif
