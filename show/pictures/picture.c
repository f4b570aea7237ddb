#include "show/pictures/draw.h"

#include <math.h>
#include <string.h>
#include "base/core/alloc.h"

static const int64_t largest = VOLT_PICTURE_LARGEST;

volt_status volt_picture_create(volt_picture **out, int64_t width, int64_t height,
                                volt_color fill)
{
    volt_picture *p = NULL;
    volt_status st;

    if (width < 1 || height < 1 || width > largest || height > largest)
        return volt_fail(VOLT_EINVAL, "a picture of %lld x %lld pixels is not in 1..%lld each",
                         (long long)width, (long long)height, (long long)largest);
    VOLT_TRY(st, done, volt_alloc_zero(&p, 1, sizeof *p, "picture"));
    VOLT_TRY(st, done, volt_alloc(&p->rgb, (size_t)(width * height) * 3, "picture"));
    p->width = width;
    p->height = height;
    volt_picture_box(p, 0, 0, width, height, fill);
    *out = p;
    p = NULL;
done:
    volt_picture_free(p);
    return st;
}

void volt_picture_free(volt_picture *p)
{
    if (!p)
        return;
    volt_free(p->rgb);
    volt_free(p);
}

void volt_picture_set(volt_picture *p, int64_t x, int64_t y, volt_color c)
{
    if (x < 0 || y < 0 || x >= p->width || y >= p->height)
        return;
    memcpy(p->rgb + 3 * (y * p->width + x), (uint8_t[]){c.r, c.g, c.b}, 3);
}

void volt_picture_box(volt_picture *p, int64_t x, int64_t y, int64_t width, int64_t height,
                      volt_color c)
{
    for (int64_t v = y; v < y + height; v++) {
        for (int64_t u = x; u < x + width; u++)
            volt_picture_set(p, u, v, c);
    }
}

void volt_picture_blend(volt_picture *p, int64_t x, int64_t y, volt_color c, double coverage)
{
    uint8_t *at;

    if (x < 0 || y < 0 || x >= p->width || y >= p->height || coverage <= 0)
        return;
    at = p->rgb + 3 * (y * p->width + x);
    at[0] = (uint8_t)(at[0] + (c.r - at[0]) * coverage + 0.5);
    at[1] = (uint8_t)(at[1] + (c.g - at[1]) * coverage + 0.5);
    at[2] = (uint8_t)(at[2] + (c.b - at[2]) * coverage + 0.5);
}

/* Coverage falls off with the distance of a pixel's centre from the segment. */
void volt_picture_segment(volt_picture *p, const double a[2], const double b[2], double width,
                          volt_color c, double opacity)
{
    const double dx = b[0] - a[0], dy = b[1] - a[1], square = dx * dx + dy * dy;
    const double reach = width / 2 + 0.5;
    const int64_t x1 = (int64_t)ceil(fmax(a[0], b[0]) + reach);
    const int64_t y1 = (int64_t)ceil(fmax(a[1], b[1]) + reach);

    for (int64_t y = (int64_t)floor(fmin(a[1], b[1]) - reach); y <= y1; y++) {
        for (int64_t x = (int64_t)floor(fmin(a[0], b[0]) - reach); x <= x1; x++) {
            const double px = (double)x + 0.5 - a[0], py = (double)y + 0.5 - a[1];
            const double t = square > 0 ? fmin(1, fmax(0, (px * dx + py * dy) / square)) : 0;
            const double away = hypot(px - t * dx, py - t * dy);

            volt_picture_blend(p, x, y, c, fmin(1, reach - away) * opacity);
        }
    }
}
