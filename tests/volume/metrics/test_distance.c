#include "tests/kit/fixture.h"
#include "base/core/alloc.h"
#include "base/rng.h"
#include "volume/distance.h"

static const int64_t fixture_n[3] = {21, 34, 29};
static const double fixture_spacing[3] = {2.0, 0.8, 0.7};

static void distances_agree_with_scipy(void **state)
{
    const int64_t voxels = 21 * 34 * 29;
    uint8_t *few = read_fixture("volume/masks_few.u8", (size_t)voxels);
    float *want = read_fixture("volume/masks_few_distance.f32", (size_t)voxels * 4);
    float *got;

    (void)state;
    assert_ok(volt_alloc(&got, (size_t)voxels * 4, "distances"));
    assert_ok(volt_distance_to(got, few, fixture_n, fixture_spacing, 2));
    for (int64_t i = 0; i < voxels; i++)
        assert_true(fabsf(got[i] - want[i]) <= 1e-6f * want[i]);
    volt_free(got);
    volt_free(want);
    volt_free(few);
}

/* Nearest mask voxel by trying all. */
static double nearest(const uint8_t *mask, const int64_t n[3], const double s[3], int64_t i)
{
    const int64_t x = i % n[2], y = i / n[2] % n[1], z = i / n[2] / n[1];
    double best = INFINITY;

    for (int64_t j = 0; j < n[0] * n[1] * n[2]; j++) {
        const double dz = (double)(z - j / n[2] / n[1]) * s[0];
        const double dy = (double)(y - j / n[2] % n[1]) * s[1];
        const double dx = (double)(x - j % n[2]) * s[2];

        if (mask[j])
            best = fmin(best, sqrt(dz * dz + dy * dy + dx * dx));
    }
    return best;
}

static void distances_are_exact_for_any_shape(void **state)
{
    static const int64_t shapes[][3] = {{6, 7, 19}, {1, 1, 33}, {40, 1, 2}, {1, 23, 17}};
    static const double spacings[][3] = {{1, 1, 1}, {3.2, 0.7265625, 0.9}, {0.1, 5, 0.33}};
    volt_rng rng = volt_rng_open(5, 0, 0, VOLT_RNG_TEST);

    (void)state;
    for (int k = 0; k < 48; k++) {
        const int64_t *n = shapes[k % 4], voxels = n[0] * n[1] * n[2];
        const double *s = spacings[k % 3], density = volt_rng_uniform(&rng) * 0.2;
        uint8_t mask[1024], at[1024];
        float out[1024];
        double chosen[1024];
        int64_t rank = 0;

        for (int64_t i = 0; i < voxels; i++) {
            mask[i] = volt_rng_uniform(&rng) < density ? 255 : 0;
            at[i] = volt_rng_uniform(&rng) < 0.4;
        }
        assert_ok(volt_distance_to(out, mask, n, s, k % 5 + 1));
        assert_ok(volt_distance_at(chosen, at, mask, n, s, k % 3 + 1));
        for (int64_t i = 0; i < voxels; i++) {
            const double want = nearest(mask, n, s, i);

            if (isinf(want)) {
                assert_true(isinf(out[i]));
            } else {
                assert_true(fabs(out[i] - want) <= 1e-7 * want);
            }
            if (at[i]) {
                const double got = chosen[rank++];
                assert_true(isinf(want) ? isinf(got) : fabs(got - want) <= 1e-14 * want);
            }
        }
    }
}

static void an_empty_mask_is_infinitely_far(void **state)
{
    const int64_t n[3] = {2, 3, 4};
    uint8_t mask[24] = {0};
    float out[24];

    (void)state;
    assert_ok(volt_distance_to(out, mask, n, fixture_spacing, 0));
    for (int i = 0; i < 24; i++)
        assert_true(isinf(out[i]));
}

static void impossible_shapes_are_refused(void **state)
{
    const int64_t empty[3] = {2, 0, 4}, n[3] = {1, 1, 1}, wide[3] = {1, 1, 65535};
    uint8_t mask[1] = {0};
    float out[1];

    (void)state;
    assert_fails(volt_distance_to(out, mask, empty, fixture_spacing, 0), VOLT_EINVAL,
                 "0 voxels along y");
    assert_fails(volt_distance_to(out, mask, wide, fixture_spacing, 0), VOLT_EINVAL,
                 "65535 voxels along x");
    assert_fails(volt_distance_to(out, mask, n, (const double[3]){1, 1, NAN}, 0), VOLT_EINVAL,
                 "along x");
    assert_fails(volt_distance_at(NULL, mask, mask, n, (const double[3]){0, 1, 1}, 0),
                 VOLT_EINVAL, "spacing 0 mm along z");
}

/* A voxel is boundary when one of its six neighbours is outside the mask or the volume. */
static void boundaries_are_mask_without_its_erosion(void **state)
{
    const int64_t n[3] = {5, 6, 9};
    uint8_t mask[270], out[270];
    volt_rng rng = volt_rng_open(6, 0, 0, VOLT_RNG_TEST);

    (void)state;
    for (int i = 0; i < 270; i++)
        mask[i] = volt_rng_uniform(&rng) < 0.85 ? 7 : 0;
    for (int threads = 1; threads < 4; threads++) {
        int64_t count = 0, inside = 0;
        const int64_t got = volt_boundary(out, mask, n, threads);

        for (int64_t i = 0; i < 270; i++) {
            const int64_t x = i % 9, y = i / 9 % 6, z = i / 54;
            const bool kept = x > 0 && x < 8 && y > 0 && y < 5 && z > 0 && z < 4 &&
                              mask[i - 1] && mask[i + 1] && mask[i - 9] && mask[i + 9] &&
                              mask[i - 54] && mask[i + 54];
            assert_int_equal(out[i], mask[i] && !kept);
            count += out[i];
            inside += mask[i] && kept;
        }
        assert_int_equal(got, count);
        assert_true(inside > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(distances_agree_with_scipy),
        cmocka_unit_test(distances_are_exact_for_any_shape),
        cmocka_unit_test(an_empty_mask_is_infinitely_far),
        cmocka_unit_test(impossible_shapes_are_refused),
        cmocka_unit_test(boundaries_are_mask_without_its_erosion),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
