/* Colours of labels. */
#include <math.h>
#include <stdbool.h>
#include "show/picture.h"

#define NEAREST 0.11 /* OKLab distance of neighbours in a list of labels */

/* Light and saturated enough to stand out on any grey. Each colour was chosen as far as
 * possible (CIEDE2000) from the six before it, and less strictly from all: neighbours are at
 * least 20 apart, any two at least 6. */
// clang-format off
static const volt_color palette[VOLT_LABEL_COLORS] = {
    {255, 64, 64}, {64, 220, 64}, {80, 150, 255}, {255, 210, 40}, {255, 90, 230},
    {40, 225, 225}, {255, 140, 30}, {170, 110, 255}, {150, 235, 60}, {255, 160, 170},
    {120, 120, 60}, {0, 135, 180}, {135, 255, 240}, {255, 180, 15}, {180, 30, 240},
    {210, 60, 0}, {255, 195, 255}, {0, 135, 0}, {0, 120, 210}, {180, 255, 195},
    {255, 195, 135}, {225, 0, 135}, {0, 210, 240}, {210, 195, 255}, {0, 135, 90},
    {45, 105, 255}, {75, 255, 150}, {195, 105, 0}, {255, 0, 105}, {255, 225, 165},
    {0, 195, 255}, {105, 135, 0}, {120, 105, 210}, {15, 240, 195}, {240, 105, 15},
    {255, 105, 150}, {255, 240, 120}, {0, 165, 195}, {90, 135, 75}, {180, 165, 255},
    {135, 225, 180}, {195, 135, 75}, {195, 75, 105}, {210, 210, 0}, {0, 165, 225},
    {0, 135, 120}, {225, 150, 255}, {45, 210, 120}, {255, 165, 120}, {225, 30, 60},
    {150, 135, 0}, {135, 195, 255}, {15, 150, 150}, {240, 150, 210}, {210, 255, 0},
    {0, 180, 60}, {195, 105, 75}, {195, 150, 0}, {120, 135, 255}, {0, 180, 180},
    {210, 0, 180}, {225, 240, 165}, {90, 165, 0}, {255, 135, 120}, {165, 120, 30},
    {135, 135, 195}, {120, 240, 255}, {255, 15, 180}, {225, 210, 120}, {0, 165, 105},
    {255, 60, 0}, {0, 255, 15}, {90, 120, 195}, {195, 165, 225}, {180, 75, 150},
    {210, 180, 120}, {0, 180, 150}, {255, 120, 75}, {180, 255, 150}, {120, 120, 0},
    {180, 195, 255}, {210, 105, 165}, {135, 75, 255}, {60, 150, 120}, {210, 135, 105},
    {180, 210, 105}, {150, 135, 75}, {135, 165, 225}, {195, 135, 180}, {225, 0, 105},
    {90, 195, 180}, {180, 90, 30}, {105, 195, 0}, {225, 165, 75}, {255, 240, 0},
    {120, 105, 165}, {210, 120, 135}, {240, 0, 255}, {240, 0, 15}, {120, 180, 135},
    {210, 135, 0}, {180, 180, 0}, {45, 165, 255}, {240, 165, 150}, {180, 105, 195},
    {195, 75, 60}, {60, 150, 60}, {150, 225, 150}, {210, 180, 60}, {225, 120, 0},
    {255, 165, 195}, {150, 90, 195}, {180, 90, 90}, {0, 135, 60}, {60, 210, 165},
    {180, 165, 90}, {165, 105, 30}, {255, 135, 240}, {255, 165, 90}, {180, 105, 135},
};
// clang-format on

/* The entry of a label. */
static int entry_of(int64_t label)
{
    const int64_t n = VOLT_LABEL_COLORS;

    return (int)(((label % n - 1) % n + n) % n);
}

volt_color volt_label_color(int64_t label)
{
    return palette[entry_of(label)];
}

static double linear(uint8_t v)
{
    const double s = v / 255.0;

    return s <= 0.04045 ? s / 12.92 : pow((s + 0.055) / 1.055, 2.4);
}

/* OKLab (Ottosson 2020). */
static void to_oklab(double out[3], volt_color c)
{
    const double r = linear(c.r), g = linear(c.g), b = linear(c.b);
    const double l = cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
    const double m = cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
    const double s = cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);

    out[0] = 0.2104542553 * l + 0.7936177850 * m - 0.0040720468 * s;
    out[1] = 1.9779984951 * l - 2.4285922050 * m + 0.4505937099 * s;
    out[2] = 0.0259040371 * l + 0.7827717662 * m - 0.8086757660 * s;
}

static double distance(volt_color a, volt_color b)
{
    double p[3], q[3];

    to_oklab(p, a);
    to_oklab(q, b);
    return hypot(hypot(p[0] - q[0], p[1] - q[1]), p[2] - q[2]);
}

void volt_label_colors(volt_color *out, const int64_t *label, int64_t count)
{
    bool used[VOLT_LABEL_COLORS] = {false};

    for (int64_t i = 0; i < count; i++) {
        const int own = entry_of(label[i]);
        int best = own;

        for (int k = 0; k < VOLT_LABEL_COLORS; k++) {
            const int entry = (own + k) % VOLT_LABEL_COLORS;

            if ((i >= VOLT_LABEL_COLORS || !used[entry]) &&
                (i == 0 || distance(palette[entry], out[i - 1]) >= NEAREST)) {
                best = entry;
                break;
            }
        }
        used[best] = true;
        out[i] = palette[best];
    }
}
