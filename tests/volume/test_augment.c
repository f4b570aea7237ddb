#include "tests/volume/fixture.h"
#include "base/rng.h"
#include "volume/augment.h"

#define CASES         13
#define SOURCE_VOXELS (12 * 19 * 20)
#define VOXELS        (9 * 12 * 13)

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
    int used = 0;
    double v[30];

    assert_int_equal(sscanf(*line, "%31s%n", name, &used), 1);
    *line += used;
    for (int i = 0; i < 30; i++)
        v[i] = strtod(*line, line);
    assert_int_equal(*(*line)++, '\n');
    memset(d, 0, sizeof *d);
    *r = volt_augment_rules_nnunet(patch, 2);
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
                         const float *want, const int16_t *want_labels)
{
    int differ = 0;
    double worst = 0;

    for (int i = 0; i < 2 * VOXELS; i++)
        worst = fmax(worst, fabs((double)image[i] - (double)want[i]));
    if (!(worst < 5e-5))
        fail_msg("%s: an intensity differs by %g", name, worst);
    for (int i = 0; i < VOXELS; i++)
        differ += labels[i] != (want_labels[i] < 0 ? 0 : want_labels[i]);
    if (differ > VOXELS / 500) /* the peer rounds positions to single precision */
        fail_msg("%s: %d labels of %d differ", name, differ, VOXELS);
}

/* Every transform, alone and all together, against batchgeneratorsv2. Also with plain C and
 * AVX2 loops where the machine has better ones. */
static void transforms_agree_with_batchgenerators(void **state)
{
    float *source = read_fixture("volume/augment_image.f32", 2 * SOURCE_VOXELS * 4);
    int16_t *source_labels = read_fixture("volume/augment_labels.i16", SOURCE_VOXELS * 2);
    float *want = read_fixture("volume/augment_want.f32", (size_t)CASES * 2 * VOXELS * 4);
    int16_t *want_labels = read_fixture("volume/augment_want.i16", CASES * VOXELS * 2);
    char *text = read_fixture("volume/augment_cases.txt", 0), *line = text, name[32];
    const volt_augment_source s = {source, source_labels, {12, 19, 20}};
    float image[2 * VOXELS];
    int16_t labels[VOXELS];

    (void)state;
    for (int i = 0; i < CASES; i++) {
        volt_augment_rules rules;
        volt_augment_draw draw;

        read_case(&draw, &rules, name, &line);
        void *scratch = scratch_of(&rules);
        for (int isa = 0; isa < 3; isa++) {
            setenv("VOLT_ISA", (const char *[]){"base", "avx2", "avx512"}[isa], 1);
            assert_ok(volt_augment_apply(image, labels, &s, &rules, &draw, scratch));
            compare_case(name, image, labels, want + (ptrdiff_t)i * 2 * VOXELS,
                         want_labels + (ptrdiff_t)i * VOXELS);
        }
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
    const volt_augment_source s = {zero, NULL, {3, 5, 7}};

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
                                     &(volt_augment_source){image, labels, {n[0], n[1], n[2]}},
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
    assert_ok(volt_augment_apply(out, out_labels,
                                 &(volt_augment_source){image, labels, {1, 1, 4}}, &rules,
                                 &draw, scratch));
    assert_memory_equal(out, want, sizeof want);
    assert_memory_equal(out_labels, want_labels, sizeof want_labels);
    volt_free(scratch);
}

static void wrong_sources_are_refused(void **state)
{
    volt_augment_rules rules = volt_augment_rules_nnunet(patch, 1);
    volt_augment_draw draw = no_change(1);
    volt_augment_source s = {NULL, NULL, {9, 11, 13}};

    (void)state;
    assert_fails(volt_augment_apply(NULL, NULL, &s, &rules, &draw, NULL), VOLT_EINVAL,
                 "11 voxels along y");
    s.shape[1] = INT64_C(1) << 40;
    assert_fails(volt_augment_apply(NULL, NULL, &s, &rules, &draw, NULL), VOLT_EINVAL,
                 "too large");
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
        cmocka_unit_test(flat_patches_stay_in_their_plane),
        cmocka_unit_test(any_draw_works_on_any_shape),
        cmocka_unit_test(masked_channels_are_zero_outside),
        cmocka_unit_test(wrong_sources_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
