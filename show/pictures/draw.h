/* draw.h - drawing into a picture. Whatever lies outside it is clipped; no call can fail. */
#ifndef VOLT_SHOW_PICTURES_DRAW_H
#define VOLT_SHOW_PICTURES_DRAW_H
#include <stdint.h>
#include "base/core/checked.h"
#include "show/picture.h"

void volt_picture_set(volt_picture *p, int64_t x, int64_t y, volt_color c);
/* A filled rectangle with its upper left corner at (x, y). */
void volt_picture_box(volt_picture *p, int64_t x, int64_t y, int64_t width, int64_t height,
                      volt_color c);

/* Mixes the colour in: 0 = not at all, 1 = opaque. */
void volt_picture_blend(volt_picture *p, int64_t x, int64_t y, volt_color c, double coverage);
/* A line with round ends, anti-aliased. */
void volt_picture_segment(volt_picture *p, const double a[2], const double b[2], double width,
                          volt_color c, double opacity);

#endif
