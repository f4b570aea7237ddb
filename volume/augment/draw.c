/* The random half of volume/augment.h: rules, and draws from them. */
#include "volume/augment/augment_internal.h"

#include <math.h>

#include "base/core/options.h"
#include "base/core/checked.h"

#define PI 3.14159265358979323846

static volt_augment_rules nnunet(const int64_t patch[3])
{
    const int64_t longest = volt_max_i64(patch[1], patch[2]);
    const int64_t shortest = volt_min_i64(patch[1], patch[2]);
    const bool is_2d = patch[0] == 1;
    volt_augment_rules r = {.p_rotation = 0.2, .p_scaling = 0.2};
    double angle = 30;

    r.in_plane = is_2d || longest > 3 * patch[0];
    if (r.in_plane)
        angle = is_2d && 2 * longest > 3 * shortest ? 15 : 180;
    for (int a = 0; a < 3; a++) {
        r.rotation_rad[a] = angle / 180 * PI;
        r.p_mirror[a] = is_2d && a == 0 ? 0 : 0.5;
    }
    r.scaling = (volt_range){0.7, 1.4};
    r.p_noise = 0.1;
    r.noise_sd = (volt_range){0, 0.1};
    r.p_blur = 0.2;
    r.p_blur_channel = 0.5;
    r.blur_sigma = (volt_range){0.5, 1};
    r.p_brightness = r.p_contrast = 0.15;
    r.brightness = r.contrast = (volt_range){0.75, 1.25};
    r.p_low_resolution = 0.25;
    r.p_low_resolution_channel = 0.5;
    r.low_resolution = (volt_range){0.5, 1};
    r.p_gamma_inverted = 0.1;
    r.p_gamma = 0.3;
    r.gamma = (volt_range){0.7, 1.5};
    r.p_operator = 0.4;
    r.p_operator_label = 0.5;
    r.operator_radius = (volt_range){1, 8};
    r.p_remove = 0.2;
    r.p_remove_label = 0.5;
    r.remove_below = 0.15;
    return r;
}

void volt_augment_rules_init(volt_augment_rules *r, size_t size, volt_augment_preset preset,
                             const int64_t patch[3], int32_t channels)
{
    volt_augment_rules made = {.size = 0};

    if (preset == VOLT_AUGMENT_NNUNET)
        made = nnunet(patch);
    for (int a = 0; a < 3; a++)
        made.patch[a] = patch[a];
    made.channels = channels;
    volt_options_init(r, size, &made, sizeof made);
}

volt_status volt_augment_rules_take(volt_augment_rules *out, const volt_augment_rules *given)
{
    *out = (volt_augment_rules){.size = sizeof *out};
    return volt_options_take(out, sizeof *out, given, "volt_augment_rules");
}

volt_augment_rules volt_augment_rules_known(const volt_augment_rules *given)
{
    volt_augment_rules r;

    if (volt_augment_rules_take(&r, given) != VOLT_OK)
        return (volt_augment_rules){.size = sizeof r};
    return r;
}

/* |x'| and |y'| of the vector (x, y) rotated by `angle`; each replaces a smaller value. */
static void widen(double *x, double *y, double from_x, double from_y, double angle)
{
    const double rotated = fmin(angle, PI / 2), c = cos(rotated), s = sin(rotated);

    *x = fmax(*x, fabs(from_x * c + from_y * s));
    *y = fmax(*y, fabs(from_y * c - from_x * s));
}

void volt_augment_initial_patch(int64_t out[3], const volt_augment_rules *rules)
{
    const volt_augment_rules r = volt_augment_rules_known(rules);
    const double n[3] = {(double)r.patch[0], (double)r.patch[1], (double)r.patch[2]};
    const double smallest_scale = 0.85; /* nnU-Net's, narrower than the scaling it draws */
    double wide[3] = {n[0], n[1], n[2]};

    for (int a = 0; a < 3; a++)
        out[a] = r.patch[a];
    if (r.p_rotation == 0 && r.p_scaling == 0)
        return;
    widen(&wide[1], &wide[2], n[1], n[2], r.rotation_rad[0]);
    if (r.patch[0] > 1 && !r.slices_apart) {
        widen(&wide[2], &wide[0], n[2], n[0], r.rotation_rad[1]);
        widen(&wide[0], &wide[1], n[0], n[1], r.rotation_rad[2]);
    }
    for (int a = r.in_plane ? 1 : 0; a < 3; a++)
        out[a] = (int64_t)(wide[a] / smallest_scale);
}

static bool happens(volt_rng *rng, double probability)
{
    return volt_rng_uniform(rng) < probability;
}

static double draw_range(volt_rng *rng, volt_range r)
{
    return volt_rng_range(rng, r.low, r.high);
}

/* A factor: half of the draws below 1, half above. */
static double draw_factor(volt_rng *rng, volt_range r)
{
    if (volt_rng_uniform(rng) < 0.5 && r.low < 1)
        return volt_rng_range(rng, r.low, 1);
    return volt_rng_range(rng, fmax(r.low, 1), r.high);
}

static void multiply(double out[3][3], double a[3][3], double b[3][3])
{
    for (int i = 0; i < 3; i++) {
        for (int k = 0; k < 3; k++)
            out[i][k] = a[i][0] * b[0][k] + a[i][1] * b[1][k] + a[i][2] * b[2][k];
    }
}

/* R2 R1 R0 S, where Ri rotates about axis i (z, y, x); in-plane only R0 S, z unchanged. */
static void spatial_matrix(double out[3][3], const double angle[3], double scale, bool in_plane)
{
    const double c[3] = {cos(angle[0]), cos(angle[1]), cos(angle[2])};
    const double s[3] = {sin(angle[0]), sin(angle[1]), sin(angle[2])};
    double r0[3][3] = {{in_plane ? 1 : scale, 0, 0},
                       {0, c[0] * scale, -s[0] * scale},
                       {0, s[0] * scale, c[0] * scale}};
    double r1[3][3] = {{c[1], 0, s[1]}, {0, 1, 0}, {-s[1], 0, c[1]}};
    double r2[3][3] = {{c[2], -s[2], 0}, {s[2], c[2], 0}, {0, 0, 1}};
    double r10[3][3];

    multiply(r10, r1, r0);
    multiply(out, r2, r10);
}

static void draw_spatial(volt_augment_draw *d, const volt_augment_rules *r, volt_rng *rng)
{
    const bool rotate = happens(rng, r->p_rotation), rescale = happens(rng, r->p_scaling);
    double angle[3] = {0, 0, 0}, scale = 1;

    for (int a = 0; rotate && a < (r->in_plane ? 1 : 3); a++)
        angle[a] = volt_rng_range(rng, -r->rotation_rad[a], r->rotation_rad[a]);
    if (rescale)
        scale = draw_range(rng, r->scaling);
    d->spatial = rotate || rescale;
    spatial_matrix(d->matrix, angle, scale, r->in_plane);
}

static void draw_blur(volt_augment_draw *d, const volt_augment_rules *r, volt_rng *rng)
{
    for (int32_t c = 0; c < r->channels; c++) {
        if (!happens(rng, r->p_blur_channel))
            continue;
        for (int a = r->patch[0] == 1 || r->slices_apart ? 1 : 0; a < 3; a++)
            d->channel[c].blur_sigma[a] = draw_range(rng, r->blur_sigma);
    }
}

/* The labels 1..count in random order (Fisher-Yates). */
static void shuffle_labels(int *label, int count, volt_rng *rng)
{
    for (int i = 0; i < count; i++)
        label[i] = i + 1;
    for (int i = count - 1; i > 0; i--) {
        const int k = (int)volt_rng_below(rng, i + 1), kept = label[i];

        label[i] = label[k];
        label[k] = kept;
    }
}

/* What happens to the prior mask. */
static void draw_prior_mask(volt_augment_draw *d, const volt_augment_rules *r, volt_rng *rng)
{
    int label[VOLT_AUGMENT_MAX_PRIOR_LABELS];

    if (happens(rng, r->p_operator)) {
        shuffle_labels(label, r->prior_labels, rng);
        for (int i = 0; i < r->prior_labels; i++) {
            if (!happens(rng, r->p_operator_label))
                continue;
            d->operation[d->operators++] =
                (volt_augment_operator){.label = label[i],
                                        .kind = (volt_binary_operator)volt_rng_below(rng, 4),
                                        .radius = draw_range(rng, r->operator_radius)};
        }
    }
    if (happens(rng, r->p_remove)) {
        shuffle_labels(label, r->prior_labels, rng);
        for (int i = 0; i < r->prior_labels; i++) {
            if (happens(rng, r->p_remove_label))
                d->removal[d->removals++] =
                    (volt_augment_removal){label[i], volt_rng_uniform(rng)};
        }
    }
}

void volt_augment_draw_make(volt_augment_draw *out, const volt_augment_rules *rules,
                            volt_rng *rng, const volt_rng *noise)
{
    const volt_augment_rules known = volt_augment_rules_known(rules), *r = &known;
    volt_augment_draw d = {.noise = *noise};
    volt_augment_channel *c = d.channel;

    draw_spatial(&d, r, rng);
    for (int32_t i = 0; i < r->channels; i++)
        c[i] = (volt_augment_channel){.brightness = 1, .contrast = 1, .low_resolution = 1};
    if (happens(rng, r->p_noise))
        d.noise_sd = draw_range(rng, r->noise_sd);
    if (happens(rng, r->p_blur))
        draw_blur(&d, r, rng);
    if (happens(rng, r->p_brightness)) {
        for (int32_t i = 0; i < r->channels; i++)
            c[i].brightness = draw_factor(rng, r->brightness);
    }
    if (happens(rng, r->p_contrast)) {
        for (int32_t i = 0; i < r->channels; i++)
            c[i].contrast = draw_factor(rng, r->contrast);
    }
    if (happens(rng, r->p_low_resolution)) {
        for (int32_t i = 0; i < r->channels; i++) {
            if (happens(rng, r->p_low_resolution_channel))
                c[i].low_resolution = draw_range(rng, r->low_resolution);
        }
    }
    if (happens(rng, r->p_gamma_inverted)) {
        for (int32_t i = 0; i < r->channels; i++)
            c[i].gamma_inverted = draw_factor(rng, r->gamma);
    }
    if (happens(rng, r->p_gamma)) {
        for (int32_t i = 0; i < r->channels; i++)
            c[i].gamma = draw_factor(rng, r->gamma);
    }
    for (int a = 0; a < 3; a++)
        d.mirror[a] = happens(rng, r->p_mirror[a]);
    if (r->prior_labels > 0)
        draw_prior_mask(&d, r, rng);
    *out = d;
}

void volt_augment_source_shape(int64_t out[3], const volt_augment_rules *rules,
                               const volt_augment_draw *draw)
{
    const volt_augment_rules r = volt_augment_rules_known(rules);

    if (draw->spatial) {
        volt_augment_initial_patch(out, rules);
    } else {
        for (int a = 0; a < 3; a++)
            out[a] = r.patch[a];
    }
}
