/* A head after skull stripping, in four MR contrasts, with one or two gliomas. */
#include <math.h>
#include "volume/phantom/phantom_internal.h"

#define LESIONS 2

typedef enum tissue {
    CSF,
    GREY,
    WHITE,
    VESSEL, /* enhances like tumour */
    AGED,   /* white matter, bright on T2 and FLAIR like oedema */
    OEDEMA,
    NECROSIS,
    ENHANCING,
    TISSUES
} tissue;

typedef struct lesion {
    double centre[3], axes[3];           /* the whole tumour, mm */
    double core_centre[3], core_axes[3]; /* necrosis and enhancing rim */
    double necrosis;                     /* fraction of the core's radius */
} lesion;

typedef struct head {
    double axes[3];    /* of the brain, mm */
    double ventricles; /* size */
    lesion lesion[LESIONS];
    int lesions;
    double mean[4][TISSUES], gain[4], noise[4];
    phantom_field shape, folds, texture, spread, core, bias[4];
} head;

/* T1, T1 with contrast agent, T2, FLAIR; white matter on T1 is about 0.8. */
static const double usual[4][TISSUES] = {
    /* CSF  grey  white vessel aged  oedema necrosis enhancing */
    {0.28, 0.60, 0.80, 0.55, 0.72, 0.58, 0.42, 0.60},
    {0.28, 0.63, 0.83, 1.20, 0.75, 0.60, 0.45, 1.12},
    {1.30, 0.78, 0.60, 0.45, 0.85, 1.02, 1.10, 0.88},
    {0.32, 0.78, 0.65, 0.50, 0.98, 1.05, 0.75, 0.95}};

static void make_lesion(lesion *l, const head *h, volt_rng *rng)
{
    const double radius = volt_rng_range(rng, 22, 36);
    double direction[3], length = 0;

    for (int a = 0; a < 3; a++) {
        direction[a] = volt_rng_normal(rng);
        length += direction[a] * direction[a];
    }
    const double depth = volt_rng_range(rng, 0.3, 0.6) / sqrt(length + 1e-9);
    for (int a = 0; a < 3; a++) {
        l->centre[a] = direction[a] * depth * h->axes[a];
        l->axes[a] = radius * volt_rng_range(rng, 0.8, 1.2);
        l->core_centre[a] = l->centre[a] + volt_rng_range(rng, -0.2, 0.2) * radius;
        l->core_axes[a] = radius * volt_rng_range(rng, 0.6, 0.8);
    }
    l->necrosis = volt_rng_range(rng, 0.6, 0.8);
}

static void make_contrasts(head *h, volt_rng *rng)
{
    for (int c = 0; c < 4; c++) {
        for (int t = 0; t < TISSUES; t++)
            h->mean[c][t] = usual[c][t] + volt_rng_range(rng, -0.07, 0.07);
        h->gain[c] = exp(volt_rng_range(rng, log(150), log(1500)));
        h->noise[c] = volt_rng_range(rng, 0.04, 0.08);
        phantom_field_make(&h->bias[c], 110, rng);
    }
}

static void make(void *scene, volt_grid *grid, int64_t size, volt_rng *rng)
{
    const int64_t n[3] = {(int64_t)rint((double)size * 155 / 240), size, size};
    const double mm = 240 / (double)size;
    head *h = scene;

    *grid = volt_grid_make(n, 4, (const double[3]){mm, mm, mm});
    h->axes[0] = volt_rng_range(rng, 60, 69);
    h->axes[1] = volt_rng_range(rng, 80, 92);
    h->axes[2] = volt_rng_range(rng, 65, 74);
    h->ventricles = volt_rng_range(rng, 0.8, 1.5);
    phantom_field_make(&h->shape, 45, rng);
    phantom_field_make(&h->folds, 11, rng);
    phantom_field_make(&h->texture, 7, rng);
    phantom_field_make(&h->spread, 17, rng);
    phantom_field_make(&h->core, 10, rng);
    h->lesions = volt_rng_uniform(rng) < 0.25 ? 2 : 1;
    for (int i = 0; i < h->lesions; i++)
        make_lesion(&h->lesion[i], h, rng);
    make_contrasts(h, rng);
}

/* Tumour tissue at p, or TISSUES outside tumours. */
static tissue look_at_lesion(const head *h, const lesion *l, const double p[3])
{
    const double whole = phantom_ellipsoid(p, l->centre, l->axes);

    if (whole > 2 || whole + 0.4 * phantom_field_at(&h->spread, p) >= 1)
        return TISSUES;
    const double core = phantom_ellipsoid(p, l->core_centre, l->core_axes) +
                        0.25 * phantom_field_at(&h->core, p);
    return core >= 1 ? OEDEMA : core < l->necrosis ? NECROSIS : ENHANCING;
}

/* Healthy tissue; `radius` is 0 in the middle and 1 on the surface of the brain. */
static tissue look_at_brain(const head *h, const double p[3], double radius)
{
    const double mirrored[3] = {p[0], p[1], fabs(p[2])}; /* both hemispheres */
    const double v = h->ventricles;
    const double shape = 0.2 * phantom_field_at(&h->shape, p);
    const double folds = phantom_field_at(&h->folds, p);
    const double texture = phantom_field_at(&h->texture, p);
    const double ventricle = phantom_ellipsoid(mirrored, (const double[3]){6, -4, 9},
                                               (const double[3]){11 * v, 30 * v, 6 * v});

    if (ventricle + shape < 1 || (mirrored[2] < 1.6 && p[0] > 12))
        return CSF;
    if (phantom_ellipsoid(mirrored, (const double[3]){-2, 4, 24},
                          (const double[3]){13, 20, 9}) +
            shape <
        1)
        return GREY;
    if (1 - radius < 0.05 + 0.04 * folds && folds < -0.35)
        return CSF;
    if (texture > 1.15 && 1 - radius < 0.35)
        return VESSEL;
    if (1 - radius < 0.17 + 0.10 * folds)
        return GREY;
    return texture + 0.6 * folds > 0.9 + ventricle * 0.25 ? AGED : WHITE;
}

static bool look(const void *scene, const double p[3], float *value, int *label)
{
    static const int numbers[TISSUES] = {[OEDEMA] = 1, [NECROSIS] = 2, [ENHANCING] = 3};
    const head *h = scene;
    const double radius = phantom_ellipsoid(p, (const double[3]){0, 0, 0}, h->axes) +
                          0.05 * phantom_field_at(&h->shape, p);
    tissue t = TISSUES;

    if (radius >= 1)
        return false;
    for (int i = 0; i < h->lesions; i++) {
        const tissue found = look_at_lesion(h, &h->lesion[i], p);

        if (found != TISSUES && (t == TISSUES || found > t))
            t = found; /* the more severe tissue where two tumours overlap */
    }
    if (t == TISSUES)
        t = look_at_brain(h, p, radius);
    const double grain = (t >= OEDEMA ? 0.09 : 0.04) * phantom_field_at(&h->texture, p);
    for (int c = 0; c < 4; c++)
        value[c] =
            (float)((h->mean[c][t] + grain) * exp(0.22 * phantom_field_at(&h->bias[c], p)));
    *label = numbers[t];
    return true;
}

/* Magnitude of a complex signal with noise in both parts: Rician. */
static float measure(const void *scene, int channel, float clean, const double noise[2])
{
    const head *h = scene;
    const double sd = h->noise[channel];

    return (float)(h->gain[channel] * hypot((double)clean + sd * noise[0], sd * noise[1]));
}

const phantom_type phantom_brats = {
    .name = "brats",
    .channel = {"T1", "T1ce", "T2", "FLAIR"},
    .label = {"background", "edema", "non-enhancing tumor", "enhancing tumor"},
    .scene_bytes = sizeof(head),
    .make = make,
    .look = look,
    .measure = measure,
    .blur_before = {0.15f, 0.15f, 0.15f},
};
