/* ciede.h - how different two colours look: CIEDE2000, about 1 where eyes begin to see it. */
#ifndef VOLT_TESTS_CIEDE_H
#define VOLT_TESTS_CIEDE_H
#include <math.h>
#include "show/picture.h"

static void ciede_lab(double out[3], volt_color c)
{
    static const double m[3][3] = {{0.4124564, 0.3575761, 0.1804375},
                                   {0.2126729, 0.7151522, 0.0721750},
                                   {0.0193339, 0.1191920, 0.9503041}};
    static const double white[3] = {0.95047, 1, 1.08883};
    const double rgb[3] = {c.r / 255.0, c.g / 255.0, c.b / 255.0};
    double f[3], linear[3];

    for (int i = 0; i < 3; i++)
        linear[i] = rgb[i] <= 0.04045 ? rgb[i] / 12.92 : pow((rgb[i] + 0.055) / 1.055, 2.4);
    for (int i = 0; i < 3; i++) {
        const double t =
            (m[i][0] * linear[0] + m[i][1] * linear[1] + m[i][2] * linear[2]) / white[i];

        f[i] = t > 216.0 / 24389 ? cbrt(t) : (24389.0 / 27 * t + 16) / 116;
    }
    out[0] = 116 * f[1] - 16;
    out[1] = 500 * (f[0] - f[1]);
    out[2] = 200 * (f[1] - f[2]);
}

static double ciede2000(volt_color one, volt_color other)
{
    const double rad = acos(-1) / 180, far = pow(25, 7);
    double p[3], q[3];

    ciede_lab(p, one);
    ciede_lab(q, other);
    const double mean = (hypot(p[1], p[2]) + hypot(q[1], q[2])) / 2;
    const double g = 0.5 * (1 - sqrt(pow(mean, 7) / (pow(mean, 7) + far)));
    const double a1 = (1 + g) * p[1], a2 = (1 + g) * q[1];
    const double c1 = hypot(a1, p[2]), c2 = hypot(a2, q[2]);
    const double h1 = fmod(atan2(p[2], a1) / rad + 360, 360);
    const double h2 = fmod(atan2(q[2], a2) / rad + 360, 360);
    const double dl = q[0] - p[0], dc = c2 - c1, dh = fmod(h2 - h1 + 540, 360) - 180;
    const double dhh = 2 * sqrt(c1 * c2) * sin(dh * rad / 2);
    const double l = (p[0] + q[0]) / 2, c = (c1 + c2) / 2;
    const double h = fmod(fabs(h1 - h2) > 180 ? (h1 + h2 + 360) / 2 : (h1 + h2) / 2, 360);
    const double t = 1 - 0.17 * cos((h - 30) * rad) + 0.24 * cos(2 * h * rad) +
                     0.32 * cos((3 * h + 6) * rad) - 0.2 * cos((4 * h - 63) * rad);
    const double rc = 2 * sqrt(pow(c, 7) / (pow(c, 7) + far));
    const double rt = -sin(60 * exp(-pow((h - 275) / 25, 2)) * rad) * rc;
    const double sl = 1 + 0.015 * pow(l - 50, 2) / sqrt(20 + pow(l - 50, 2));
    const double x = dl / sl, y = dc / (1 + 0.045 * c), z = dhh / (1 + 0.015 * c * t);

    return sqrt(x * x + y * y + z * z + rt * y * z);
}

#endif
