#include "tests/kit/fixture.h"
#include "base/core/alloc.h"
#include "base/random/philox.h"
#include "base/rng.h"
#include "volume/augment.h"

#define CASES         24
#define SOURCE_VOXELS (12 * 19 * 20)
#define VOXELS        (9 * 12 * 13)
#define PLANE         (12 * 13)

static const int64_t patch[3] = {9, 12, 13};

static void *scratch_of(const volt_augment_rules *rules)
{
    void *scratch;

    assert_ok(volt_alloc(&scratch, volt_augment_scratch_bytes(rules), "scratch"));
    return scratch;
}

/* Reads one line of augment_cases.txt (see testdata/scripts/make_augment.py). */
static void read_case(volt_augment_draw *d, volt_augment_rules *r, char name[32], char **line)
{
    const int64_t flat_patch[3] = {1, patch[1], patch[2]};
    int used = 0;
    double v[30], flat;

    assert_int_equal(sscanf(*line, "%31s%n", name, &used), 1);
    *line += used;
    flat = strtod(*line, line);
    for (int i = 0; i < 30; i++)
        v[i] = strtod(*line, line);
    assert_int_equal(*(*line)++, '\n');
    memset(d, 0, sizeof *d);
    *r = volt_augment_rules_nnunet(flat != 0 ? flat_patch : patch, 2);
    d->spatial = v[0] != 0;
    r->in_plane = v[1] != 0;
    for (int i = 0; i < 9; i++)
        d->matrix[i / 3][i % 3] = v[2 + i];
    for (int a = 0; a < 3; a++)
        d->mirror[a] = v[11 + a] != 0;
    for (int c = 0; c < 2; c++) {
        const double *w = v + 14 + 8 * c;
        d->channel[c] =
            (volt_augment_channel){{w[0], w[1], w[2]}, w[3], w[4], w[5], w[6], w[7]};
    }
}

static void compare_case(const char *name, const float *image, const int16_t *labels,
                         const float *want, const int16_t *want_labels, int voxels)
{
    int differ = 0;
    double worst = 0;

    for (int i = 0; i < 2 * voxels; i++)
        worst = fmax(worst, fabs((double)image[i] - (double)want[i]));
    if (!(worst < 5e-5))
        fail_msg("%s: an intensity differs by %g", name, worst);
    for (int i = 0; i < voxels; i++)
        differ += labels[i] != (want_labels[i] < 0 ? 0 : want_labels[i]);
    if (differ > voxels / 500 + 1) /* the peer rounds positions to single precision */
        fail_msg("%s: %d labels of %d differ", name, differ, voxels);
}

/* The fixture's source, or its slice 5 alone. */
static volt_augment_source source_of(float *slice, const float *image, const int16_t *labels,
                                     bool flat)
{
    const int at = 5 * 19 * 20;

    if (!flat)
        return (volt_augment_source){.image = image, .labels = labels, .shape = {12, 19, 20}};
    memcpy(slice, image + at, 19 * 20 * sizeof *slice);
    memcpy(slice + 19 * 20, image + SOURCE_VOXELS + at, 19 * 20 * sizeof *slice);
    return (volt_augment_source){.image = slice, .labels = labels + at, .shape = {1, 19, 20}};
}

/* Every transform, alone and all together, in 3D, in-plane and 2D, against batchgeneratorsv2.
 * Also with plain C and AVX2 loops where the machine has better ones. */
static void transforms_agree_with_batchgenerators(void **state)
{
    float *source = read_fixture("volume/augment_image.f32", 2 * SOURCE_VOXELS * 4);
    int16_t *source_labels = read_fixture("volume/augment_labels.i16", SOURCE_VOXELS * 2);
    float *want = read_fixture("volume/augment_want.f32", 0), *next = want;
    int16_t *want_labels = read_fixture("volume/augment_want.i16", 0),
            *next_labels = want_labels;
    char *text = read_fixture("volume/augment_cases.txt", 0), *line = text, name[32];
    float image[2 * VOXELS], slice[2 * 19 * 20];
    int16_t labels[VOXELS];

    (void)state;
    for (int i = 0; i < CASES; i++) {
        volt_augment_rules rules;
        volt_augment_draw draw;

        read_case(&draw, &rules, name, &line);
        const bool flat = rules.patch[0] == 1;
        const int voxels = flat ? PLANE : VOXELS;
        const volt_augment_source s = source_of(slice, source, source_labels, flat);
        void *scratch = scratch_of(&rules);
        for (int isa = 0; isa < 3; isa++) {
            setenv("VOLT_ISA", (const char *[]){"base", "avx2", "avx512"}[isa], 1);
            assert_ok(volt_augment_apply(image, labels, &s, &rules, &draw, scratch));
            compare_case(name, image, labels, next, next_labels, voxels);
        }
        next += 2 * voxels;
        next_labels += voxels;
        volt_free(scratch);
    }
    unsetenv("VOLT_ISA");
    assert_int_equal(*line, '\0');
    volt_free(text);
    volt_free(want_labels);
    volt_free(want);
    volt_free(source_labels);
    volt_free(source);
}

static volt_augment_draw no_change(int32_t channels)
{
    volt_augment_draw d = {.matrix = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}};

    for (int32_t c = 0; c < channels; c++)
        d.channel[c] =
            (volt_augment_channel){.brightness = 1, .contrast = 1, .low_resolution = 1};
    return d;
}

/* Noise is Box-Muller on the Philox stream, 24 bits a draw, and independent between channels.
 */
static void noise_is_the_stream_s_normal_numbers(void **state)
{
    const int64_t n[3] = {3, 5, 7};
    volt_augment_rules rules = volt_augment_rules_none(n, 2);
    volt_augment_draw draw = no_change(2);
    float zero[210] = {0}, out[210];
    void *scratch = scratch_of(&rules);
    const volt_augment_source s = {.image = zero, .shape = {3, 5, 7}};

    (void)state;
    draw.noise = volt_rng_open(11, 2, 3, VOLT_RNG_NOISE);
    draw.noise_sd = 0.5;
    assert_ok(volt_augment_apply(out, NULL, &s, &rules, &draw, scratch));
    for (int i = 0; i < 210; i++) {
        const int c = i / 105, k = i % 105; /* a channel takes whole groups of 64 numbers */
        const uint32_t counter[4] = {(uint32_t)(c * 32 + k / 4), VOLT_RNG_NOISE, 3, 2};
        uint32_t w[4];

        volt_philox(w, counter, draw.noise.key);
        const uint32_t *half = w + k % 4 / 2 * 2;
        const double radius = sqrt(-2 * log(((half[0] >> 8) + 0.5) / 16777216));
        const double angle = 6.283185307179586 * (half[1] >> 8) / 16777216;
        const double want = 0.5 * radius * (k % 2 ? sin(angle) : cos(angle));

        assert_true(fabs(out[i] - want) < 2e-6);
    }
    volt_free(scratch);
}

static void initial_patches_agree_with_nnunet(void **state)
{
    static const int64_t rows[][6] = {
        {128, 128, 128, 205, 205, 205}, {40, 56, 40, 73, 80, 64},
        {80, 192, 160, 194, 289, 210},  {160, 192, 160, 275, 289, 257},
        {20, 320, 256, 20, 376, 376},   {1, 192, 160, 1, 225, 225},
        {1, 512, 512, 1, 602, 602},     {1, 512, 256, 1, 659, 301}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const volt_augment_rules rules = volt_augment_rules_nnunet(rows[i], 1);
        const volt_augment_rules none = volt_augment_rules_none(rows[i], 1);
        int64_t got[3];

        volt_augment_initial_patch(got, &rules);
        assert_memory_equal(got, rows[i] + 3, sizeof got);
        volt_augment_initial_patch(got, &none);
        assert_memory_equal(got, rows[i], sizeof got);
    }
}

typedef struct tally {
    int spatial, noise, blur, bright, contrast, low, inverted, gamma, mirror[3], blur_channel;
} tally;

static void count_draw(tally *t, const volt_augment_draw *d)
{
    t->spatial += d->spatial;
    t->noise += d->noise_sd > 0;
    t->blur += d->channel[0].blur_sigma[0] > 0 || d->channel[1].blur_sigma[0] > 0;
    t->blur_channel += d->channel[0].blur_sigma[0] > 0;
    t->bright += d->channel[0].brightness != 1;
    t->contrast += d->channel[1].contrast != 1;
    t->low += d->channel[0].low_resolution != 1;
    t->inverted += d->channel[0].gamma_inverted > 0;
    t->gamma += d->channel[1].gamma > 0;
    for (int a = 0; a < 3; a++)
        t->mirror[a] += d->mirror[a];
    for (int c = 0; c < 2; c++) {
        const volt_augment_channel *k = &d->channel[c];
        assert_true(k->brightness >= 0.75 && k->brightness <= 1.25);
        assert_true(k->contrast >= 0.75 && k->contrast <= 1.25);
        assert_true(k->low_resolution >= 0.5 && k->low_resolution <= 1);
        assert_true(k->gamma == 0 || (k->gamma >= 0.7 && k->gamma <= 1.5));
        assert_true(k->blur_sigma[2] == 0 ||
                    (k->blur_sigma[2] >= 0.5 && k->blur_sigma[2] <= 1));
    }
    assert_true(d->noise_sd >= 0 && d->noise_sd <= 0.1);
}

static void frequency(int count, double p, const char *what)
{
    const int draws = 20000;

    if (fabs(count - draws * p) > 4.5 * sqrt(draws * p * (1 - p)))
        fail_msg("%s happened %d times of %d, expected %g", what, count, draws, draws * p);
}

static void draws_follow_nnunet_s_probabilities(void **state)
{
    const volt_augment_rules rules = volt_augment_rules_nnunet(patch, 2);
    tally t = {0};

    (void)state;
    assert_false(rules.in_plane);
    for (uint32_t i = 0; i < 20000; i++) {
        volt_rng rng = volt_rng_open(1, 0, i, VOLT_RNG_AUGMENT);
        const volt_rng noise = volt_rng_open(1, 0, i, VOLT_RNG_NOISE);
        volt_augment_draw d;

        volt_augment_draw_make(&d, &rules, &rng, &noise);
        count_draw(&t, &d);
    }
    frequency(t.spatial, 1 - 0.8 * 0.8, "rotation or scaling");
    frequency(t.noise, 0.1, "noise");
    frequency(t.blur, 0.2 * 0.75, "blur of a channel");
    frequency(t.blur_channel, 0.2 * 0.5, "blur of channel 0");
    frequency(t.bright, 0.15, "brightness");
    frequency(t.contrast, 0.15, "contrast");
    frequency(t.low, 0.25 * 0.5, "low resolution");
    frequency(t.inverted, 0.1, "inverted gamma");
    frequency(t.gamma, 0.3, "gamma");
    for (int a = 0; a < 3; a++)
        frequency(t.mirror[a], 0.5, "mirroring");
}

/* Sorts `x` and fails where its distribution is too far from uniform on [low, high)
 * (Kolmogorov-Smirnov; happens by chance once in 100000). */
static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void uniform(double *x, int n, double low, double high, const char *what)
{
    double worst = 0;

    assert_true(n > 500);
    qsort(x, (size_t)n, sizeof *x, ascending);
    assert_true(x[0] >= low && x[n - 1] <= high);
    for (int i = 0; i < n; i++) {
        const double share = (x[i] - low) / (high - low);

        worst = fmax(worst, fmax(share - (double)i / n, (double)(i + 1) / n - share));
    }
    if (worst > 2.47 / sqrt(n))
        fail_msg("%s: %d draws are not uniform on %g..%g: distance %g", what, n, low, high,
                 worst);
}

/* Half of the draws below 1, half above, uniform on either side. */
static void factors(const double *x, int n, double low, double high, const char *what)
{
    double *side[2];
    int count[2] = {0, 0};

    for (int k = 0; k < 2; k++)
        assert_ok(volt_alloc(&side[k], (size_t)n * sizeof **side, "a test"));
    for (int i = 0; i < n; i++)
        side[x[i] >= 1][count[x[i] >= 1]++] = x[i];
    if (fabs(count[0] - 0.5 * n) > 4.5 * sqrt(0.25 * n))
        fail_msg("%s: %d of %d are below 1", what, count[0], n);
    uniform(side[0], count[0], low, 1, what);
    uniform(side[1], count[1], 1, high, what);
    volt_free(side[1]);
    volt_free(side[0]);
}

enum { DRAWS = 20000, KINDS = 13 };

/* The draws of channel 0's parameters, and of all else, under rules that let all happen. */
static void collect(double *x[KINDS], int n[KINDS], const volt_augment_rules *rules)
{
    for (uint32_t i = 0; i < DRAWS; i++) {
        volt_rng rng = volt_rng_open(4, 1, i, VOLT_RNG_AUGMENT);
        volt_augment_draw d;

        volt_augment_draw_make(&d, rules, &rng, &rng);
        const double got[KINDS] = {d.channel[0].brightness,
                                   d.channel[0].contrast,
                                   d.channel[1].gamma,
                                   d.channel[1].gamma_inverted,
                                   d.noise_sd,
                                   d.channel[0].blur_sigma[0],
                                   d.channel[0].blur_sigma[2],
                                   d.channel[0].low_resolution,
                                   atan2(d.matrix[2][1], d.matrix[2][2]),
                                   asin(-d.matrix[2][0]),
                                   atan2(d.matrix[1][0], d.matrix[0][0]),
                                   d.matrix[1][1],
                                   d.channel[0].blur_sigma[1]};
        for (int k = 0; k < KINDS; k++)
            x[k][n[k]++] = got[k];
    }
}

/* Every range of nnU-Net is filled evenly: factors, noise, blur, resolution, gamma, angles
 * about each axis, scale. */
static void drawn_parameters_are_spread_as_nnunet_s(void **state)
{
    volt_augment_rules rules = volt_augment_rules_nnunet(patch, 2);
    double *x[KINDS];
    int n[KINDS] = {0};

    (void)state;
    for (int k = 0; k < KINDS; k++)
        assert_ok(volt_alloc(&x[k], DRAWS * sizeof **x, "a test"));
    rules.p_noise = rules.p_blur = rules.p_blur_channel = rules.p_brightness = 1;
    rules.p_contrast = rules.p_low_resolution = rules.p_low_resolution_channel = 1;
    rules.p_gamma = rules.p_gamma_inverted = rules.p_rotation = 1;
    rules.p_scaling = 0;
    collect(x, n, &rules);
    factors(x[0], DRAWS, 0.75, 1.25, "brightness");
    factors(x[1], DRAWS, 0.75, 1.25, "contrast");
    factors(x[2], DRAWS, 0.7, 1.5, "gamma");
    factors(x[3], DRAWS, 0.7, 1.5, "inverted gamma");
    uniform(x[4], DRAWS, 0, 0.1, "noise");
    uniform(x[5], DRAWS, 0.5, 1, "blur along z");
    uniform(x[6], DRAWS, 0.5, 1, "blur along x");
    uniform(x[12], DRAWS, 0.5, 1, "blur along y");
    uniform(x[7], DRAWS, 0.5, 1, "resolution");
    for (int k = 8; k < 11; k++) /* 30 degrees */
        uniform(x[k], DRAWS, -0.5235987756, 0.5235987756, "an angle");
    rules.p_rotation = 0;
    rules.p_scaling = 1;
    memset(n, 0, sizeof n);
    collect(x, n, &rules);
    uniform(x[11], DRAWS, 0.7, 1.4, "scale");
    for (int k = 0; k < KINDS; k++)
        volt_free(x[k]);
}

/* In 2D the plane turns by up to 180 degrees, by 15 where a side is 1.5 times the other. */
static void planes_turn_as_far_as_nnunet_s(void **state)
{
    static const int64_t shapes[][3] = {{1, 48, 40}, {1, 61, 40}, {10, 40, 32}};
    static const double degrees[] = {180, 15, 180};
    static double angle[4000];

    (void)state;
    for (int k = 0; k < 3; k++) {
        volt_augment_rules rules = volt_augment_rules_nnunet(shapes[k], 1);

        rules.p_rotation = 1;
        for (uint32_t i = 0; i < 4000; i++) {
            volt_rng rng = volt_rng_open(6, 0, i, VOLT_RNG_AUGMENT);
            volt_augment_draw d;

            volt_augment_draw_make(&d, &rules, &rng, &rng);
            angle[i] = atan2(d.matrix[2][1], d.matrix[1][1]) * 57.29577951308232;
        }
        uniform(angle, 4000, -degrees[k], degrees[k], "the angle in the plane");
    }
}

/* ---- the cascade's mask ---- */

#define MASK_VOXELS (11 * 14 * 70)
#define MASK_PLANE  (14 * 70)
#define MASK_CASES  19

/* Reads one line of augment_previous_cases.txt; returns whether it is 2D. */
static bool read_previous_case(volt_augment_draw *d, char name[32], char **line)
{
    int used = 0;
    bool flat;

    assert_int_equal(sscanf(*line, "%31s%n", name, &used), 1);
    *line += used;
    flat = strtod(*line, line) != 0;
    *d = no_change(1);
    d->operators = (int)strtol(*line, line, 10);
    for (int i = 0; i < d->operators; i++) {
        d->operation[i].label = (int)strtol(*line, line, 10);
        d->operation[i].kind = (volt_binary_operator)strtol(*line, line, 10);
        d->operation[i].radius = strtod(*line, line);
    }
    d->removals = (int)strtol(*line, line, 10);
    for (int i = 0; i < d->removals; i++) {
        d->removal[i].label = (int)strtol(*line, line, 10);
        d->removal[i].choice = strtod(*line, line);
    }
    assert_int_equal(*(*line)++, '\n');
    return flat;
}

/* Erosion, dilation, opening, closing by balls and disks and the loss of components, on 70
 * voxels wide rows: exactly as batchgeneratorsv2. */
static void previous_masks_change_as_in_batchgenerators(void **state)
{
    int8_t *mask = read_fixture("volume/augment_previous_mask.i8", MASK_VOXELS);
    int8_t *want = read_fixture("volume/augment_previous_want.i8", 0), *next = want;
    char *text = read_fixture("volume/augment_previous_cases.txt", 0), *line = text, name[32];
    static int16_t previous[MASK_VOXELS];
    static float image[MASK_VOXELS], out[4 * MASK_VOXELS];

    (void)state;
    for (int i = 0; i < MASK_VOXELS; i++) {
        previous[i] = mask[i];
        image[i] = (float)i;
    }
    for (int i = 0; i < MASK_CASES; i++) {
        volt_augment_draw draw;
        const bool flat = read_previous_case(&draw, name, &line);
        const int64_t n[3] = {flat ? 1 : 11, 14, 70};
        const int voxels = flat ? MASK_PLANE : MASK_VOXELS, at = flat ? 5 * MASK_PLANE : 0;
        const volt_augment_source s = {
            .image = image + at, .prior_mask = previous + at, .shape = {n[0], n[1], n[2]}};
        volt_augment_rules rules = volt_augment_rules_none(n, 1);
        int differ = 0;

        rules.prior_labels = 3;
        rules.remove_below = 0.15;
        void *scratch = scratch_of(&rules);
        assert_ok(volt_augment_apply(out, NULL, &s, &rules, &draw, scratch));
        assert_memory_equal(out, image + at, (size_t)voxels * sizeof *out);
        for (int v = 0; v < 3 * voxels; v++)
            differ += out[voxels + v] != (float)(next[v % voxels] == v / voxels + 1);
        if (differ)
            fail_msg("%s: %d of %d voxels differ", name, differ, 3 * voxels);
        next += voxels;
        volt_free(scratch);
    }
    assert_int_equal(*line, '\0');
    volt_free(text);
    volt_free(want);
    volt_free(mask);
}

/* The mask is turned, scaled and mirrored as the labels are. */
static void previous_masks_move_with_the_labels(void **state)
{
    int16_t *labels = read_fixture("volume/augment_labels.i16", SOURCE_VOXELS * 2);
    float *source = read_fixture("volume/augment_image.f32", 2 * SOURCE_VOXELS * 4);
    static float image[4 * VOXELS];
    int16_t out[VOXELS];
    int ones = 0;

    (void)state;
    for (uint32_t i = 0; i < 30; i++) {
        const volt_augment_source s = {
            .image = source, .labels = labels, .prior_mask = labels, .shape = {12, 19, 20}};
        volt_augment_rules rules = volt_augment_rules_nnunet(patch, 2);
        volt_rng rng = volt_rng_open(5, 0, i, VOLT_RNG_AUGMENT), other = rng;
        volt_augment_draw draw;

        rules.p_rotation = rules.p_scaling = 0.7;
        rules.prior_labels = 2;
        rules.p_operator = rules.p_remove = 0;
        void *scratch = scratch_of(&rules);
        volt_augment_draw_make(&draw, &rules, &rng, &other);
        assert_ok(volt_augment_apply(image, out, &s, &rules, &draw, scratch));
        for (int v = 0; v < 2 * VOXELS; v++) {
            const float hot = image[2 * VOXELS + v];
            assert_true(hot == (float)(out[v % VOXELS] == v / VOXELS + 1));
            ones += hot == 1;
        }
        volt_free(scratch);
    }
    assert_true(ones > 10000);
    volt_free(source);
    volt_free(labels);
}

static void mask_draws_follow_nnunet_s_probabilities(void **state)
{
    static double radius[80000], choice[80000];
    volt_augment_rules rules = volt_augment_rules_nnunet(patch, 1);
    int some = 0, operators = 0, kinds[4] = {0}, labels[4] = {0}, removals = 0, lost = 0;
    int first[4] = {0};

    (void)state;
    rules.prior_labels = 3;
    for (uint32_t i = 0; i < 20000; i++) {
        volt_rng rng = volt_rng_open(9, 0, i, VOLT_RNG_AUGMENT), other = rng;
        volt_augment_draw d;

        volt_augment_draw_make(&d, &rules, &rng, &other);
        some += d.operators > 0;
        lost += d.removals > 0;
        for (int k = 0; k < d.operators; k++) {
            radius[operators++] = d.operation[k].radius;
            kinds[d.operation[k].kind]++;
            labels[d.operation[k].label]++;
        }
        if (d.operators > 0)
            first[d.operation[0].label]++;
        for (int k = 0; k < d.removals; k++)
            choice[removals++] = d.removal[k].choice;
    }
    frequency(some, 0.4 * 0.875, "an operator");
    frequency(lost, 0.2 * 0.875, "a removal");
    uniform(radius, operators, 1, 8, "the radius");
    uniform(choice, removals, 0, 1, "the choice of a component");
    for (int k = 0; k < 4; k++)
        assert_true(fabs(kinds[k] - 0.25 * operators) < 4.5 * sqrt(0.1875 * operators));
    for (int l = 1; l < 4; l++) {
        frequency(labels[l], 0.4 * 0.5, "an operator on a label");
        assert_true(fabs(first[l] - some / 3.0) < 4.5 * sqrt(some * 2 / 9.0));
    }
}

/* 2D and strongly anisotropic patches turn in their plane only; 2D never flips z. */
static void flat_patches_stay_in_their_plane(void **state)
{
    static const int64_t shapes[][3] = {{1, 48, 40}, {10, 40, 32}};

    (void)state;
    for (int k = 0; k < 2; k++) {
        const volt_augment_rules rules = volt_augment_rules_nnunet(shapes[k], 1);
        int turned = 0;

        assert_true(rules.in_plane);
        assert_true(rules.p_mirror[0] == (k == 0 ? 0 : 0.5));
        for (uint32_t i = 0; i < 200; i++) {
            volt_rng rng = volt_rng_open(1, 0, i, VOLT_RNG_AUGMENT);
            volt_augment_draw d;

            volt_augment_draw_make(&d, &rules, &rng, &rng);
            assert_true(d.matrix[0][0] == 1 && d.matrix[0][1] == 0 && d.matrix[0][2] == 0 &&
                        d.matrix[1][0] == 0 && d.matrix[2][0] == 0);
            turned += d.matrix[1][1] < 0;
        }
        assert_true(turned > 5);
    }
}

/* Any draw stays inside its buffers (under the sanitizers) and in finite numbers. */
static void any_draw_works_on_any_shape(void **state)
{
    static const int64_t shapes[][3] = {{9, 12, 13}, {1, 17, 12}, {3, 12, 33}, {2, 2, 2}};
    int spatial = 0;

    (void)state;
    for (uint32_t i = 0; i < 400; i++) {
        volt_augment_rules rules = volt_augment_rules_nnunet(shapes[i % 4], 2);
        volt_rng rng = volt_rng_open(2, 0, i, VOLT_RNG_AUGMENT), other = rng;
        volt_augment_draw draw;
        int64_t n[3];

        rules.p_noise = rules.p_blur = rules.p_contrast = rules.p_low_resolution = 0.5;
        volt_augment_draw_make(&draw, &rules, &rng, &other);
        volt_augment_source_shape(n, &rules, &draw);
        const int64_t from = n[0] * n[1] * n[2];
        const int64_t to = rules.patch[0] * rules.patch[1] * rules.patch[2];
        float *image, *out;
        int16_t *labels, *out_labels;
        void *scratch = scratch_of(&rules);

        assert_ok(volt_alloc(&image, (size_t)from * 8, "image"));
        assert_ok(volt_alloc(&labels, (size_t)from * 2, "labels"));
        assert_ok(volt_alloc(&out, (size_t)to * 8, "image"));
        assert_ok(volt_alloc(&out_labels, (size_t)to * 2, "labels"));
        for (int64_t k = 0; k < 2 * from; k++)
            image[k] = (float)volt_rng_normal(&other);
        for (int64_t k = 0; k < from; k++)
            labels[k] = (int16_t)(volt_rng_below(&other, 4) - 1);
        assert_ok(volt_augment_apply(out, out_labels,
                                     &(volt_augment_source){.image = image,
                                                            .labels = labels,
                                                            .shape = {n[0], n[1], n[2]}},
                                     &rules, &draw, scratch));
        for (int64_t k = 0; k < 2 * to; k++)
            assert_true(isfinite(out[k]));
        for (int64_t k = 0; k < to; k++)
            assert_in_range(out_labels[k], 0, 2);
        spatial += draw.spatial;
        volt_free(scratch);
        volt_free(out_labels);
        volt_free(out);
        volt_free(labels);
        volt_free(image);
    }
    assert_true(spatial > 50);
}

static void draws_are_told_in_words(void **state)
{
    const volt_augment_rules rules = volt_augment_rules_nnunet(patch, 2);
    volt_augment_draw d = no_change(2);
    char text[200], small[11];

    (void)state;
    volt_augment_describe(text, sizeof text, &rules, &d);
    assert_string_equal(text, "unchanged");
    d.spatial = true; /* by 30 degrees about z, objects at half their size */
    d.matrix[0][0] = 2;
    d.matrix[1][1] = d.matrix[2][2] = 1.7320508;
    d.matrix[2][1] = 1;
    d.matrix[1][2] = -1;
    d.noise_sd = 0.05;
    d.channel[1].gamma = 1.25;
    d.mirror[0] = d.mirror[2] = true;
    volt_augment_describe(text, sizeof text, &rules, &d);
    assert_string_equal(text, "rotated 30 0 0 degrees, scaled 0.50, noise 0.050, gamma - 1.25, "
                              "mirrored z x");
    volt_augment_describe(small, sizeof small, &rules, &d);
    assert_string_equal(small, "rotated 30");
}

static void masked_channels_are_zero_outside(void **state)
{
    const int64_t n[3] = {1, 1, 4};
    volt_augment_rules rules = volt_augment_rules_none(n, 2);
    const volt_augment_draw draw = no_change(2);
    const float image[8] = {1, 2, 3, 4, 5, 6, 7, 8}, want[8] = {0, 2, 0, 4, 5, 6, 7, 8};
    const int16_t labels[4] = {-1, 0, -1, 2}, want_labels[4] = {0, 0, 0, 2};
    float out[8];
    int16_t out_labels[4];
    void *scratch = scratch_of(&rules);

    (void)state;
    rules.zero_outside[0] = true;
    assert_ok(volt_augment_apply(
        out, out_labels,
        &(volt_augment_source){.image = image, .labels = labels, .shape = {1, 1, 4}}, &rules,
        &draw, scratch));
    assert_memory_equal(out, want, sizeof want);
    assert_memory_equal(out_labels, want_labels, sizeof want_labels);
    volt_free(scratch);
}

static void wrong_sources_are_refused(void **state)
{
    volt_augment_rules rules = volt_augment_rules_nnunet(patch, 1);
    volt_augment_draw draw = no_change(1);
    volt_augment_source s = {.shape = {9, 11, 13}};

    (void)state;
    assert_fails(volt_augment_apply(NULL, NULL, &s, &rules, &draw, NULL), VOLT_EINVAL,
                 "11 voxels along y");
    s.shape[1] = INT64_C(1) << 40;
    assert_fails(volt_augment_apply(NULL, NULL, &s, &rules, &draw, NULL), VOLT_EINVAL,
                 "too large");
    s.shape[1] = 12;
    rules.prior_labels = 2;
    assert_fails(volt_augment_apply(NULL, NULL, &s, &rules, &draw, NULL), VOLT_EINVAL,
                 "no prior mask");
    rules.prior_labels = 0;
    rules.channels = 33;
    assert_fails(volt_augment_apply(NULL, NULL, &s, &rules, &draw, NULL), VOLT_EINVAL,
                 "33 channels");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(transforms_agree_with_batchgenerators),
        cmocka_unit_test(noise_is_the_stream_s_normal_numbers),
        cmocka_unit_test(initial_patches_agree_with_nnunet),
        cmocka_unit_test(draws_follow_nnunet_s_probabilities),
        cmocka_unit_test(drawn_parameters_are_spread_as_nnunet_s),
        cmocka_unit_test(planes_turn_as_far_as_nnunet_s),
        cmocka_unit_test(previous_masks_change_as_in_batchgenerators),
        cmocka_unit_test(previous_masks_move_with_the_labels),
        cmocka_unit_test(mask_draws_follow_nnunet_s_probabilities),
        cmocka_unit_test(flat_patches_stay_in_their_plane),
        cmocka_unit_test(any_draw_works_on_any_shape),
        cmocka_unit_test(draws_are_told_in_words),
        cmocka_unit_test(masked_channels_are_zero_outside),
        cmocka_unit_test(wrong_sources_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
