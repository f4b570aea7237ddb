/* phantom_internal.h - declarations that the phantoms share.
 *
 * Positions are in mm from the centre of the field of view, in the order z, y, x (superior,
 * anterior, right).
 */
#ifndef VOLT_VOLUME_PHANTOM_PHANTOM_INTERNAL_H
#define VOLT_VOLUME_PHANTOM_PHANTOM_INTERNAL_H
#include "base/rng.h"
#include "volume/phantom.h"

#define FIELD_SIDE 32 /* lattice points; the field repeats beyond them */

/* A smooth random function of position: normal numbers on a lattice, smoothly interpolated.
 * Mean 0, standard deviation about 0.6. */
typedef struct phantom_field {
    double cell_mm;
    float value[FIELD_SIDE][FIELD_SIDE][FIELD_SIDE];
} phantom_field;

void phantom_field_make(phantom_field *f, double cell_mm, volt_rng *rng);
double phantom_field_at(const phantom_field *f, const double p[3]);

/* |(p - centre) / axes|: below 1 inside the ellipsoid. */
double phantom_ellipsoid(const double p[3], const double centre[3], const double axes[3]);

/* A kind of phantom. `scene` is the case, drawn from `rng` by `make`. */
typedef struct phantom_type {
    const char *name;
    const char *channel[5], *label[5]; /* NULL-terminated */
    size_t scene_bytes;
    /* Draws the case and its grid. */
    void (*make)(void *scene, volt_grid *grid, int64_t size, volt_rng *rng);
    /* The label at p and the noise-free value of every channel. False outside the object, where
     * there is not even noise. */
    bool (*look)(const void *scene, const double p[3], float *value, int *label);
    /* A voxel's final value from its noise-free one and two normal numbers. */
    float (*measure)(const void *scene, int channel, float clean, const double noise[2]);
    /* Weight of each neighbour in the blur along z, y, x, before and after noise. */
    float blur_before[3], blur_after[3];
} phantom_type;

extern const phantom_type phantom_brats, phantom_liver;

#endif
