/* Smooth random fields and ellipsoids, of which the phantoms are built. */
#include "volume/phantom/phantom_internal.h"

#include <math.h>

void phantom_field_make(phantom_field *f, double cell_mm, volt_rng *rng)
{
    float *v = &f->value[0][0][0];

    f->cell_mm = cell_mm;
    for (int i = 0; i < FIELD_SIDE * FIELD_SIDE * FIELD_SIDE; i++)
        v[i] = (float)volt_rng_normal(rng);
}

double phantom_field_at(const phantom_field *f, const double p[3])
{
    int at[3][2];
    double weight[3][2];
    double sum = 0;

    for (int a = 0; a < 3; a++) {
        const double u = p[a] / f->cell_mm, whole = floor(u), t = u - whole;

        at[a][0] = (int)whole & (FIELD_SIDE - 1);
        at[a][1] = (at[a][0] + 1) & (FIELD_SIDE - 1);
        weight[a][1] = t * t * (3 - 2 * t);
        weight[a][0] = 1 - weight[a][1];
    }
    for (int k = 0; k < 8; k++) {
        const int z = k >> 2, y = k >> 1 & 1, x = k & 1;

        sum += weight[0][z] * weight[1][y] * weight[2][x] *
               (double)f->value[at[0][z]][at[1][y]][at[2][x]];
    }
    return sum;
}

double phantom_ellipsoid(const double p[3], const double centre[3], const double axes[3])
{
    double sum = 0;

    for (int a = 0; a < 3; a++) {
        const double d = (p[a] - centre[a]) / axes[a];
        sum += d * d;
    }
    return sqrt(sum);
}
