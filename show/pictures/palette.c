/* Colours of labels. */
#include <math.h>
#include <stdbool.h>
#include <string.h>
#include "io/label_table.h"
#include "show/picture.h"

#define NEAREST 0.11 /* OKLab distance of neighbours in a list of labels */

volt_color volt_label_color(int64_t label)
{
    uint8_t rgb[3];

    volt_label_rgb(rgb, label);
    return (volt_color){rgb[0], rgb[1], rgb[2]};
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

/* The palette's entry of a label, from 0. */
static int entry_of(int64_t label)
{
    const int64_t n = VOLT_LABEL_COLORS;

    return (int)(((label % n - 1) % n + n) % n);
}

/* The first unused entry from `own` on that differs clearly from the colour before it; if there
 * is none, the unused one that differs most. */
static int choose_entry(const bool *used, int own, const volt_color *before)
{
    double most = -1;
    int best = own;

    for (int k = 0; k < VOLT_LABEL_COLORS; k++) {
        const int entry = (own + k) % VOLT_LABEL_COLORS;
        const double away = before ? distance(volt_label_color(entry + 1), *before) : NEAREST;

        if (used[entry] || away <= most)
            continue;
        most = away;
        best = entry;
        if (away >= NEAREST)
            break;
    }
    return best;
}

void volt_label_colors(volt_color *out, const int64_t *label, int64_t count)
{
    bool used[VOLT_LABEL_COLORS] = {false};

    for (int64_t i = 0; i < count; i++) {
        int entry;

        if (i > 0 && i % VOLT_LABEL_COLORS == 0)
            memset(used, 0, sizeof used); /* all are taken: start again */
        entry = choose_entry(used, entry_of(label[i]), i ? &out[i - 1] : NULL);
        used[entry] = true;
        out[i] = volt_label_color(entry + 1);
    }
}
