/* label_colors.c - the colour of each label value. */
#include "io/label_table.h"

#include <string.h>

static void set(uint8_t rgb[3], uint8_t red, uint8_t green, uint8_t blue)
{
    rgb[0] = red;
    rgb[1] = green;
    rgb[2] = blue;
}

void volt_label_rgb(uint8_t rgb[3], int64_t value)
{
    static const uint8_t first[][3] = {
        {255, 64, 64},  {64, 220, 64},  {80, 150, 255},  {255, 210, 40}, {255, 90, 230},
        {40, 225, 225}, {255, 140, 30}, {170, 110, 255}, {150, 235, 60}, {255, 160, 170},
    };
    const int64_t count = sizeof first / sizeof first[0];
    double hue, f;
    uint8_t rise, fall;

    if (value == 0) {
        set(rgb, 0, 0, 0);
        return;
    }
    if (value >= 1 && value <= count) {
        memcpy(rgb, first[value - 1], 3);
        return;
    }
    /* The hues of further labels advance by the golden ratio, so that neighbours differ. */
    hue = (double)(value & 0xffff) * 0.61803398875;
    hue = 6 * (hue - (double)(int64_t)hue);
    f = hue - (double)(int64_t)hue;
    rise = (uint8_t)(60 + 195 * f);
    fall = (uint8_t)(255 - 195 * f);
    switch ((int)hue) {
    case 0:
        set(rgb, 255, rise, 60);
        break;
    case 1:
        set(rgb, fall, 255, 60);
        break;
    case 2:
        set(rgb, 60, 255, rise);
        break;
    case 3:
        set(rgb, 60, fall, 255);
        break;
    case 4:
        set(rgb, rise, 60, 255);
        break;
    default:
        set(rgb, 255, 60, fall);
        break;
    }
}
