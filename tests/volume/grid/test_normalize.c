#include "tests/kit/fixture.h"
#include "base/core/alloc.h"
#include "volume/grid/moments.h"
#include "volume/normalize.h"

/* nnU-Net computes in float32 with pairwise sums; ours are double: 1e-5 of the unit scale. */
static void check_against(const char *name, volt_normalization scheme, const uint8_t *mask)
{
    const volt_intensity ct = {-60.2, 133.7, -310.5, 95.25};
    npy in = npy_read("volume/normalize_in", "<f4"), out = npy_read(name, "<f4");
    float *x = in.data;

    assert_true(in.count == out.count && in.count > 500);
    assert_ok(volt_normalize(x, in.count, scheme, &ct, mask, 2));
    for (int64_t i = 0; i < in.count; i++) {
        if (!(fabsf(x[i] - ((float *)out.data)[i]) <= 1e-5f))
            fail_msg("%s: voxel %d is %g, expected %g", name, (int)i, x[i],
                     ((float *)out.data)[i]);
    }
    free(in.data);
    free(out.data);
}

static void schemes_agree_with_numpy(void **state)
{
    npy mask = npy_read("volume/normalize_mask", "|u1");

    (void)state;
    check_against("volume/normalize_in", VOLT_NORMALIZE_NONE, NULL);
    check_against("volume/normalize_zscore", VOLT_NORMALIZE_ZSCORE, NULL);
    check_against("volume/normalize_masked", VOLT_NORMALIZE_ZSCORE, mask.data);
    check_against("volume/normalize_ct", VOLT_NORMALIZE_CT, mask.data);
    check_against("volume/normalize_rescale", VOLT_NORMALIZE_RESCALE_01, NULL);
    free(mask.data);
}

static void colours_become_shares(void **state)
{
    float x[4] = {0, 51, 255, 127.5f}, y[2] = {0, 255.5f};

    (void)state;
    assert_ok(volt_normalize(x, 4, VOLT_NORMALIZE_RGB_01, NULL, NULL, 1));
    assert_true(x[0] == 0 && x[1] == 0.2f && x[2] == 1 && x[3] == 0.5f);
    assert_fails(volt_normalize(y, 2, VOLT_NORMALIZE_RGB_01, NULL, NULL, 1), VOLT_EDATA,
                 "255.5");
    assert_true(y[1] == 255.5f);
}

static void constant_images_become_zero(void **state)
{
    float x[100];
    uint8_t nowhere[100] = {0};

    (void)state;
    for (int scheme = VOLT_NORMALIZE_ZSCORE; scheme <= VOLT_NORMALIZE_RESCALE_01; scheme += 2) {
        for (int i = 0; i < 100; i++)
            x[i] = -1024;
        assert_ok(volt_normalize(x, 100, (volt_normalization)scheme, NULL, NULL, 1));
        for (int i = 0; i < 100; i++)
            assert_true(x[i] == 0);
    }
    x[3] = 7;
    assert_ok(volt_normalize(x, 100, VOLT_NORMALIZE_ZSCORE, NULL, nowhere, 1));
    assert_true(x[3] == 7 && x[4] == 0);
    assert_ok(volt_normalize(x, 0, VOLT_NORMALIZE_ZSCORE, NULL, NULL, 1));
}

static void what_is_not_finite_is_refused(void **state)
{
    float x[3] = {1, NAN, INFINITY};
    volt_intensity ct = {0, 1, 5, -5};

    (void)state;
    assert_fails(volt_normalize(x, 3, VOLT_NORMALIZE_ZSCORE, NULL, NULL, 1), VOLT_EDATA,
                 "2 of 3 voxels");
    assert_ok(volt_normalize(x, 3, VOLT_NORMALIZE_NONE, NULL, NULL, 1));
    x[1] = x[2] = 0;
    assert_fails(volt_normalize(x, 3, VOLT_NORMALIZE_CT, NULL, NULL, 1), VOLT_EINVAL, "needs");
    assert_fails(volt_normalize(x, 3, VOLT_NORMALIZE_CT, &ct, NULL, 1), VOLT_EINVAL, "order");
    ct.percentile_99_5 = NAN;
    assert_fails(volt_normalize(x, 3, VOLT_NORMALIZE_CT, &ct, NULL, 1), VOLT_EINVAL, "nan");
    assert_fails(volt_normalize(x, 3, (volt_normalization)9, NULL, NULL, 1), VOLT_EINVAL, "9");
    assert_true(x[0] == 1 && x[1] == 0 && x[2] == 0);
}

/* A large offset ruins sums in float; the thread count must not change a bit. */
static void sums_are_exact_and_independent_of_threads(void **state)
{
    const int64_t n = 300001;
    float *x = malloc((size_t)n * 4), *y = malloc((size_t)n * 4);
    uint8_t *mask = malloc((size_t)n);
    volt_moments m, few;

    (void)state;
    for (int64_t i = 0; i < n; i++) {
        x[i] = 100000 + (float)(i % 3 - 1);
        mask[i] = i % 3 == 2;
    }
    assert_ok(volt_moments_of(&m, x, NULL, n, 3));
    assert_true(m.count == n && fabs(m.mean - 100000) < 1e-5);
    assert_true(fabs(m.std - sqrt(2.0 / 3)) < 1e-5);
    assert_ok(volt_moments_of(&few, x, mask, n, 2));
    assert_true(few.count == n / 3 && few.mean == 100001 && few.std == 0);
    for (int64_t i = 0; i < n; i++)
        x[i] = sinf((float)i) * 1000 + 0.1f;
    memcpy(y, x, (size_t)n * 4);
    assert_ok(volt_normalize(x, n, VOLT_NORMALIZE_ZSCORE, NULL, mask, 1));
    assert_ok(volt_normalize(y, n, VOLT_NORMALIZE_ZSCORE, NULL, mask, 3));
    assert_memory_equal(x, y, (size_t)n * 4);
    volt_mem_fail_after(1);
    assert_int_equal(volt_normalize(y, n, VOLT_NORMALIZE_ZSCORE, NULL, NULL, 3), VOLT_ENOMEM);
    volt_mem_fail_after(0);
    assert_memory_equal(x, y, (size_t)n * 4);
    free(mask);
    free(y);
    free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(schemes_agree_with_numpy),
        cmocka_unit_test(colours_become_shares),
        cmocka_unit_test(constant_images_become_zero),
        cmocka_unit_test(what_is_not_finite_is_refused),
        cmocka_unit_test(sums_are_exact_and_independent_of_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
