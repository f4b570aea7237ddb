#include "tests/kit/train_fixture.h"

#include "nets3d/data/sampler.h"

enum { Z = 7, Y = 9, X = 8, CHANNELS = 2 };

/* A case whose voxels tell where they are: channel, z, y, x as digits. Labels: z + 1 on the
 * middle column, else 0. */
typedef struct numbered {
    float image[CHANNELS * Z * Y * X];
    int8_t labels[Z * Y * X];
    uint64_t location[Z];
    volt_class_locations classes[1];
    volt_stored_case stored;
} numbered;

static float voxel_value(int c, int64_t z, int64_t y, int64_t x)
{
    return (float)(c * 1000 + z * 100 + y * 10 + x);
}

static void fill(numbered *n)
{
    memset(n, 0, sizeof *n);
    for (int i = 0; i < CHANNELS * Z * Y * X; i++)
        n->image[i] = voxel_value(i / (Z * Y * X), i / (Y * X) % Z, i / X % Y, i % X);
    for (int z = 0; z < Z; z++) {
        n->location[z] = (uint64_t)((z * Y + Y / 2) * X + X / 2);
        n->labels[n->location[z]] = 1;
    }
    n->classes[0] = (volt_class_locations){1, Z, Z, n->location};
    n->stored = (volt_stored_case){.channels = CHANNELS,
                                   .shape = {Z, Y, X},
                                   .spacing = {1, 1, 1},
                                   .data = n->image,
                                   .label_dtype = VOLT_I8,
                                   .labels = n->labels,
                                   .classes = 1,
                                   .locations = n->classes};
}

static volt_sampler_options plain_options(int64_t d, int64_t h, int64_t w)
{
    const int64_t patch[3] = {d, h, w};

    return (volt_sampler_options){.rules = volt_augment_rules_none(patch, CHANNELS),
                                  .classes = 2,
                                  .ignore = VOLT_NO_IGNORE_LABEL};
}

static volt_sample_draw draw_of(uint32_t sample, bool forced)
{
    return (volt_sample_draw){.where = volt_rng_open(3, 0, sample, VOLT_RNG_CASE),
                              .change = volt_rng_open(3, 0, sample, VOLT_RNG_AUGMENT),
                              .noise = volt_rng_open(3, 0, sample, VOLT_RNG_NOISE),
                              .forced = forced};
}

/* What the network's channel of slice `k` should hold at (y, x) of the case, by looking. */
static float expected(int c, int64_t z, int64_t y, int64_t x)
{
    z = z < 0 ? 0 : z >= Z ? Z - 1 : z;
    return y < 0 || x < 0 || y >= Y || x >= X ? 0 : voxel_value(c, z, y, x);
}

static void compare_stack(const float *image, const int16_t *labels, const int64_t corner[3],
                          const volt_sampler_options *o)
{
    const int64_t h = o->rules.patch[1], w = o->rules.patch[2], k = o->slices;

    assert_in_range(corner[0], 0, Z - 1); /* a slice of the case */
    for (int64_t i = 0; i < CHANNELS * k * h * w; i++) {
        const int c = (int)(i / (k * h * w));
        const int64_t s = i / (h * w) % k, y = i / w % h, x = i % w;
        assert_true(image[i] ==
                    expected(c, corner[0] + s - k / 2, corner[1] + y, corner[2] + x));
    }
    for (int64_t i = 0; i < h * w; i++) {
        const int64_t y = corner[1] + i / w, x = corner[2] + i % w;
        assert_int_equal(labels[i], y == Y / 2 && x == X / 2);
    }
}

/* Every slice is drawn equally often, with its neighbours as channels and the end's slice
 * repeated; forced samples have the drawn voxel in them. */
static void slices_are_drawn_with_their_neighbours(void **state)
{
    static const int counts[] = {1, 3, 5, 9}; /* 9 is more than the case has */
    static numbered n;
    float image[CHANNELS * 9 * 30];
    int16_t labels[30];

    const volt_sample_source source = {.stored = &n.stored, .name = "numbered"};

    (void)state;
    fill(&n);
    for (int k = 0; k < 4; k++) {
        volt_sampler_options o = plain_options(1, 6, 5);
        int64_t seen[Z] = {0}, corner[3];
        volt_sample_case *c = NULL;
        volt_sampler *s = NULL;

        o.slices = counts[k];
        assert_int_equal(volt_sampler_channels(&o), CHANNELS * counts[k]);
        assert_ok(volt_sample_case_make(&c, &source, &o));
        assert_ok(volt_sampler_open(&s, &o));
        for (uint32_t i = 0; i < 1400; i++) {
            const volt_sample_draw draw = draw_of(i, i % 2);
            assert_ok(volt_sampler_make(s, image, labels, corner, c, &draw));
            compare_stack(image, labels, corner, &o);
            seen[corner[0]]++;
            if (i % 2) { /* forced: the voxel is at patch / 2 */
                assert_int_equal(corner[1], Y / 2 - 3);
                assert_int_equal(corner[2], X / 2 - 2);
                assert_int_equal(labels[3 * 5 + 2], 1);
            }
        }
        for (int z = 0; z < Z; z++) /* 200 each; 5 sigma is 65 */
            assert_in_range(seen[z], 135, 265);
        volt_sampler_close(s);
        volt_sample_case_close(c);
    }
}

/* Of the previous stage's mask labels 1..previous are channels after the image's, cut where the
 * image is; a mask of another shape is refused. */
static void previous_masks_are_channels(void **state)
{
    static numbered n;
    static int8_t mask[Z * Y * X];
    volt_stored_case previous;
    volt_sampler_options o = plain_options(4, 5, 6);
    volt_sample_source source = {.stored = &n.stored, .name = "numbered"};
    float image[(CHANNELS + 2) * 120];
    int16_t labels[120];
    int64_t corner[3], ones = 0;
    volt_sample_case *c = NULL;
    volt_sampler *s = NULL;

    (void)state;
    fill(&n);
    for (int i = 0; i < Z * Y * X; i++)
        mask[i] = (int8_t)(i % 5 - 1); /* -1..3; 3 is no label of the rules */
    previous = n.stored;
    previous.channels = 0;
    previous.data = NULL;
    previous.labels = mask;
    o.rules.prior_labels = 2;
    assert_int_equal(volt_sampler_channels(&o), CHANNELS + 2);
    assert_fails(volt_sample_case_make(&c, &source, &o), VOLT_EDATA, "no mask");
    source.prior = &previous;
    previous.shape[2]--;
    assert_fails(volt_sample_case_make(&c, &source, &o), VOLT_EDATA, "7 x 9 x 7");
    previous.shape[2]++;
    assert_ok(volt_sample_case_make(&c, &source, &o));
    assert_ok(volt_sampler_open(&s, &o));
    for (uint32_t i = 0; i < 50; i++) {
        const volt_sample_draw draw = draw_of(i, i % 2);
        assert_ok(volt_sampler_make(s, image, labels, corner, c, &draw));
        for (int64_t v = 0; v < 240; v++) {
            const int64_t z = corner[0] + v / 30 % 4, y = corner[1] + v / 6 % 5,
                          x = corner[2] + v % 6;
            const bool in = z >= 0 && z < Z && y >= 0 && y < Y && x >= 0 && x < X;
            const bool want = in && mask[(z * Y + y) * X + x] == v / 120 + 1;
            assert_true(image[CHANNELS * 120 + v] == (float)want);
            ones += want;
        }
    }
    assert_true(ones > 500);
    volt_sampler_close(s);
    volt_sample_case_close(c);
}

/* Every slice of a stack brings its own masks, channel by channel as the image's. */
static void slices_bring_their_masks(void **state)
{
    enum { SLICES = 3, H = 5, W = 6 };
    static numbered n;
    static int8_t mask[Z * Y * X];
    volt_stored_case previous;
    volt_sampler_options o = plain_options(1, H, W);
    const volt_sample_source source = {
        .stored = &n.stored, .prior = &previous, .name = "numbered"};
    float image[(CHANNELS + 2) * SLICES * H * W];
    int16_t labels[H * W];
    int64_t corner[3], ones = 0;
    volt_sample_case *c = NULL;
    volt_sampler *s = NULL;

    (void)state;
    fill(&n);
    for (int i = 0; i < Z * Y * X; i++)
        mask[i] = (int8_t)(i * 7 % 11 % 4 - 1);
    previous = n.stored;
    previous.channels = 0;
    previous.data = NULL;
    previous.labels = mask;
    o.slices = SLICES;
    o.rules.prior_labels = 2;
    assert_int_equal(volt_sampler_channels(&o), (CHANNELS + 2) * SLICES);
    assert_ok(volt_sample_case_make(&c, &source, &o));
    assert_ok(volt_sampler_open(&s, &o));
    for (uint32_t i = 0; i < 60; i++) {
        const volt_sample_draw draw = draw_of(i, i % 2);
        assert_ok(volt_sampler_make(s, image, labels, corner, c, &draw));
        for (int64_t v = 0; v < 2 * SLICES * H * W; v++) {
            const int64_t at = corner[0] + v / (H * W) % SLICES - SLICES / 2;
            const int64_t z = at < 0 ? 0 : at >= Z ? Z - 1 : at;
            const int64_t y = corner[1] + v / W % H, x = corner[2] + v % W;
            const bool in = y >= 0 && y < Y && x >= 0 && x < X;
            const bool want = in && mask[(z * Y + y) * X + x] == v / (SLICES * H * W) + 1;
            assert_true(image[CHANNELS * SLICES * H * W + v] == (float)want);
            ones += want;
        }
    }
    assert_true(ones > 500);
    volt_sampler_close(s);
    volt_sample_case_close(c);
}

/* Stacks are changed in their plane alone: slices of one value keep it under any rotation,
 * scaling and resolution; the labels are those of the middle slice. */
static void stacks_stay_in_their_planes(void **state)
{
    static numbered n;
    volt_sampler_options o = plain_options(1, 6, 6);
    float image[CHANNELS * 3 * 36];
    int16_t labels[36];
    int64_t corner[3];
    volt_sample_case *c = NULL;
    volt_sampler *s = NULL;
    int changed = 0;

    const volt_sample_source source = {.stored = &n.stored, .name = "numbered"};

    (void)state;
    fill(&n);
    for (int i = 0; i < CHANNELS * Z * Y * X; i++)
        n.image[i] = (float)(i / (Y * X) % Z + 1);
    o.slices = 3;
    o.rules = volt_augment_rules_nnunet(o.rules.patch, CHANNELS);
    o.rules.p_noise = o.rules.p_brightness = o.rules.p_contrast = 0;
    o.rules.p_gamma = o.rules.p_gamma_inverted = 0;
    o.rules.p_rotation = o.rules.p_scaling = o.rules.p_blur = o.rules.p_low_resolution = 1;
    assert_ok(volt_sample_case_make(&c, &source, &o));
    assert_ok(volt_sampler_open(&s, &o));
    for (uint32_t i = 0; i < 200; i++) {
        const volt_sample_draw draw = draw_of(i, true);
        assert_ok(volt_sampler_make(s, image, labels, corner, c, &draw));
        for (int64_t v = 0; v < CHANNELS * 3 * 36; v++) {
            const int64_t z = corner[0] + v / 36 % 3 - 1;
            const float want = (float)((z < 0 ? 0 : z >= Z ? Z - 1 : z) + 1);
            assert_true(image[v] <= want * 1.0001f); /* zeros come in from outside */
            if (v % 36 == 14 + 7)                    /* the middle is far from the border */
                changed += fabsf(image[v] - want) < 1e-3f;
        }
    }
    if (changed < 600) /* of 1200; into the others zeros were blurred from outside */
        fail_msg("%d middles have their slice's value", changed);
    volt_sampler_close(s);
    volt_sample_case_close(c);
}

/* A whole case lies in the middle of the patch, forced or not; where it is larger than the
 * patch it is cut as ever. */
static void whole_cases_lie_in_the_middle(void **state)
{
    static numbered n;
    float image[CHANNELS * 10 * 9 * 5];
    int16_t labels[10 * 9 * 5];

    const volt_sample_source source = {.stored = &n.stored, .name = "numbered"};

    (void)state;
    fill(&n);
    for (int fits = 0; fits < 2; fits++) {
        volt_sampler_options o = plain_options(10, 9, fits ? 8 : 5);
        const int64_t w = o.rules.patch[2];
        volt_sample_case *c = NULL;
        volt_sampler *s = NULL;

        o.whole = true;
        assert_ok(volt_sample_case_make(&c, &source, &o));
        assert_ok(volt_sampler_open(&s, &o));
        for (uint32_t i = 0; i < (fits ? 1 : 30); i++) {
            static float large[CHANNELS * 10 * 9 * 8];
            static int16_t large_labels[10 * 9 * 8];
            const volt_sample_draw draw = draw_of(i, i % 2);
            float *x = fits ? large : image;
            int16_t *y = fits ? large_labels : labels;
            int64_t corner[3], inside = 0;

            assert_ok(volt_sampler_make(s, x, y, corner, c, &draw));
            assert_int_equal(corner[0], -1); /* 10 - 7 = 1 + 2 */
            assert_int_equal(corner[1], 0);
            if (fits)
                assert_int_equal(corner[2], 0);
            for (int64_t v = 0; v < 10 * 9 * w; v++) {
                const int64_t z = corner[0] + v / (9 * w), yy = v / w % 9,
                              xx = corner[2] + v % w;
                const bool in = z >= 0 && z < Z && xx >= 0 && xx < X;
                assert_true(x[v] == (in ? voxel_value(0, z, yy, xx) : 0));
                inside += in;
            }
            assert_true(inside >= Z * Y * 4);
        }
        volt_sampler_close(s);
        volt_sample_case_close(c);
    }
}

static void wrong_options_are_refused(void **state)
{
    volt_sampler_options o = plain_options(1, 6, 5);
    volt_sampler *s = NULL;

    (void)state;
    o.slices = 2;
    assert_fails(volt_sampler_open(&s, &o), VOLT_EINVAL, "2 slices");
    o = plain_options(4, 6, 5);
    o.slices = 3;
    assert_fails(volt_sampler_open(&s, &o), VOLT_EINVAL, "patch of 4");
    o = plain_options(1, INT64_C(1) << 40, INT64_C(1) << 40);
    assert_fails(volt_sampler_open(&s, &o), VOLT_EINVAL, "axis 2");
    o = plain_options(1, 6, 5);
    o.rules.prior_labels = 256;
    assert_fails(volt_sampler_open(&s, &o), VOLT_EINVAL, "256 labels");
    assert_null(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slices_are_drawn_with_their_neighbours),
        cmocka_unit_test(previous_masks_are_channels),
        cmocka_unit_test(slices_bring_their_masks),
        cmocka_unit_test(stacks_stay_in_their_planes),
        cmocka_unit_test(whole_cases_lie_in_the_middle),
        cmocka_unit_test(wrong_options_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
