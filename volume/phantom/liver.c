/* An abdomen in CT with contrast agent (portal phase): liver with veins and tumours. */
#include <math.h>
#include "volume/phantom/phantom_internal.h"

#define TUMOURS 6

typedef struct tumour {
    double centre[3], axes[3];
    double contrast; /* HU relative to the liver */
    double rim;      /* HU of the outer fifth relative to the inside */
} tumour;

typedef struct abdomen {
    double body[2]; /* semi-axes y, x, mm */
    double fat;     /* thickness below the skin, fraction of the radius */
    double dome;    /* z of the diaphragm's top, mm */
    double liver_axes[3], liver_hu, spleen_hu, kidney_hu, vessel_hu, noise;
    tumour tumour[TUMOURS];
    int tumours;
    phantom_field shape, bowel, texture, vein[2], edge;
} abdomen;

/* 0 in the centre of the trunk, 1 on the skin. */
static double trunk_radius(const abdomen *s, const double p[3])
{
    const double y = fabs(p[1] / s->body[0]), x = fabs(p[2] / s->body[1]);

    return pow(pow(y, 2.5) + pow(x, 2.5), 0.4);
}

/* Above the diaphragm. */
static bool is_chest(const abdomen *s, const double p[3], double radius)
{
    return p[0] > s->dome - 75 * radius * radius + 10 * phantom_field_at(&s->shape, p);
}

/* HU of the great vessels and the kidneys, behind the liver; 0 elsewhere. */
static double look_behind_liver(const abdomen *s, const double p[3])
{
    static const double kidney[3] = {-55, -55, 58}, axes[3] = {52, 27, 27};
    const double sides[3] = {p[0], p[1], fabs(p[2])};
    const double renal = phantom_ellipsoid(sides, kidney, axes);

    if (hypot(p[1] + 38, p[2] + 14) < 11 || hypot(p[1] + 36, p[2] - 16) < 12)
        return s->vessel_hu + 20; /* aorta and inferior vena cava */
    if (renal + 0.15 * phantom_field_at(&s->shape, p) < 1)
        return renal < 0.45 ? 20 : s->kidney_hu;
    return 0;
}

static bool is_liver(const abdomen *s, const double p[3])
{
    static const double centre[3] = {5, 8, 62}, stomach[3] = {-35, 55, -30};
    const double radius = trunk_radius(s, p);

    if (radius > 0.97 - s->fat - 0.09 || is_chest(s, p, radius))
        return false;
    if (phantom_ellipsoid(p, stomach, (const double[3]){62, 60, 62}) < 1 ||
        look_behind_liver(s, p) != 0)
        return false;
    return phantom_ellipsoid(p, centre, s->liver_axes) + 0.22 * phantom_field_at(&s->shape, p) <
           1;
}

static void make_tumours(abdomen *s, double smallest, volt_rng *rng)
{
    const int wanted = 1 + (int)volt_rng_below(rng, TUMOURS);

    s->tumours = 0;
    for (int attempt = 0; attempt < 400 && s->tumours < wanted; attempt++) {
        tumour *t = &s->tumour[s->tumours];
        const double u = volt_rng_uniform(rng);
        const double radius = smallest + (32 - smallest) * u * u; /* small ones are common */

        t->centre[0] = volt_rng_range(rng, -70, 80);
        t->centre[1] = volt_rng_range(rng, -80, 90);
        t->centre[2] = volt_rng_range(rng, -40, 150);
        for (int a = 0; a < 3; a++)
            t->axes[a] = radius * volt_rng_range(rng, 0.8, 1.25);
        t->contrast = -volt_rng_range(rng, 35, 75);
        t->rim = volt_rng_uniform(rng) < 0.4 ? volt_rng_range(rng, 10, 40) : 0;
        s->tumours += is_liver(s, t->centre);
    }
}

static void make(void *scene, volt_grid *grid, int64_t size, volt_rng *rng)
{
    const double mm = volt_rng_range(rng, 350, 410) / (double)size;
    const double slice = mm * volt_rng_range(rng, 1.6, 2.6);
    const int64_t slices = (int64_t)rint(240 / slice), n[3] = {slices, size, size};
    abdomen *s = scene;

    *grid = volt_grid_make(n, 1, (const double[3]){slice, mm, mm});
    s->body[0] = volt_rng_range(rng, 105, 130);
    s->body[1] = volt_rng_range(rng, 145, 170);
    s->fat = volt_rng_range(rng, 0.05, 0.14);
    s->dome = volt_rng_range(rng, 85, 110);
    s->liver_axes[0] = volt_rng_range(rng, 75, 95);
    s->liver_axes[1] = volt_rng_range(rng, 75, 90);
    s->liver_axes[2] = volt_rng_range(rng, 85, 105);
    s->liver_hu = volt_rng_range(rng, 85, 130);
    s->spleen_hu = s->liver_hu + volt_rng_range(rng, -15, 25);
    s->kidney_hu = volt_rng_range(rng, 130, 200);
    s->vessel_hu = s->liver_hu + volt_rng_range(rng, 25, 70);
    s->noise = volt_rng_range(rng, 14, 30);
    phantom_field_make(&s->shape, 60, rng);
    phantom_field_make(&s->bowel, 24, rng);
    phantom_field_make(&s->texture, 14, rng);
    phantom_field_make(&s->vein[0], 34, rng);
    phantom_field_make(&s->vein[1], 34, rng);
    phantom_field_make(&s->edge, 12, rng);
    make_tumours(s, fmax(6, 1.6 * mm), rng);
}

/* HU relative to the liver in the first tumour that contains p; false if none does. */
static bool look_at_tumours(const abdomen *s, const double p[3], double *hu)
{
    for (int i = 0; i < s->tumours; i++) {
        const tumour *t = &s->tumour[i];
        const double r = phantom_ellipsoid(p, t->centre, t->axes);

        if (r > 1.5)
            continue;
        const double edge = r + 0.2 * phantom_field_at(&s->edge, p);
        if (edge < 1) {
            *hu = t->contrast + (edge > 0.75 ? t->rim : 0);
            return true;
        }
    }
    return false;
}

static double look_at_liver(const abdomen *s, const double p[3], int *label)
{
    const double a = phantom_field_at(&s->vein[0], p), b = phantom_field_at(&s->vein[1], p);
    double hu = 0;

    *label = look_at_tumours(s, p, &hu) ? 2 : 1;
    if (*label == 2)
        return s->liver_hu + hu + 8 * phantom_field_at(&s->texture, p);
    return (a * a + b * b < 0.02 ? s->vessel_hu : s->liver_hu) +
           4 * phantom_field_at(&s->texture, p); /* veins run where both fields vanish */
}

static double look_at_chest(const abdomen *s, const double p[3])
{
    static const double heart[3] = {110, 30, -25}, axes[3] = {50, 50, 55};

    if (phantom_ellipsoid(p, heart, axes) < 1)
        return s->vessel_hu;
    return -850 + 60 * phantom_field_at(&s->texture, p);
}

/* Vertebrae with discs between them, and the spinal canal; 0 elsewhere. */
static double look_at_spine(const double p[3], double texture)
{
    const double r = hypot(p[1] + 72, p[2]) / 23;
    const double along = p[0] - 34 * floor(p[0] / 34);

    if (r < 1 && along < 8)
        return 95;
    if (r < 1)
        return r > 0.85 || along < 11 || along > 31 ? 480 : 190 + 50 * texture;
    if (hypot(p[1] + 101, p[2]) < 9)
        return 25;
    if (hypot(p[1] + 101, p[2]) < 15 || (fabs(p[2]) < 4 && p[1] < -101 && p[1] > -125))
        return 420;
    return 0;
}

/* Everything inside the abdominal wall except the liver. */
static double look_at_organs(const abdomen *s, const double p[3])
{
    static const double spleen[3] = {20, -45, -98}, stomach[3] = {10, 40, -60};
    const double shape = 0.15 * phantom_field_at(&s->shape, p);
    const double behind = look_behind_liver(s, p), bowel = phantom_field_at(&s->bowel, p);

    if (behind != 0)
        return behind;
    if (phantom_ellipsoid(p, spleen, (const double[3]){48, 40, 26}) + shape < 1)
        return s->spleen_hu;
    if (phantom_ellipsoid(p, stomach, (const double[3]){48, 44, 40}) + shape < 1)
        return p[1] > 62 ? -900 : 25;
    if (bowel > 0.25)
        return bowel > 1.0 ? -850 : 45;
    return -100;
}

/* HU inside the skin. */
static double look_inside(const abdomen *s, const double p[3], double radius, int *label)
{
    const double wall = 0.97 - s->fat, texture = phantom_field_at(&s->texture, p);
    const double spine = look_at_spine(p, texture), tilted = p[0] + 0.35 * p[1];
    const bool rib = tilted - 30 * floor(tilted / 30) < 9 && p[0] > -40;

    if (radius > 0.97)
        return 20; /* skin */
    if (spine != 0)
        return spine;
    if (radius > wall)
        return -105 + 10 * texture; /* fat */
    if (radius > wall - 0.09)
        return rib && radius > wall - 0.065 && radius < wall - 0.02 ? 350 : 60 + 12 * texture;
    if (is_chest(s, p, radius))
        return look_at_chest(s, p);
    return is_liver(s, p) ? look_at_liver(s, p, label) : look_at_organs(s, p);
}

static bool look(const void *scene, const double p[3], float *value, int *label)
{
    const abdomen *s = scene;
    const double radius = trunk_radius(s, p);

    *label = 0;
    value[0] = radius < 1 ? (float)look_inside(s, p, radius, label) : -1000;
    return true;
}

static float measure(const void *scene, int channel, float clean, const double noise[2])
{
    const abdomen *s = scene;

    (void)channel;
    return clean + (float)(s->noise * noise[0]);
}

const phantom_type phantom_liver = {
    .name = "liver",
    .channel = {"CT"},
    .label = {"background", "liver", "tumor"},
    .scene_bytes = sizeof(abdomen),
    .make = make,
    .look = look,
    .measure = measure,
    .blur_before = {0.1f, 0.15f, 0.15f},
    .blur_after = {0, 0.15f, 0.15f}, /* noise of a reconstruction is not white */
};
