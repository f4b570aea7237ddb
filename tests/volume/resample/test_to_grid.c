#include "tests/kit/test.h"
#include "volume/orient.h"
#include "volume/resample_to_grid.h"

/* An oblique, anisotropic grid whose voxel i holds the value i. */
static volt_volume *numbered(volt_dtype dtype)
{
    volt_grid g = volt_grid_make((int64_t[3]){3, 4, 5}, 2, (double[3]){2.5, 1, 0.7});
    volt_volume *v = NULL;
    const double angle = 0.3;

    g.to_world[0][0] = 0.7 * cos(angle);
    g.to_world[1][0] = 0.7 * sin(angle);
    g.to_world[0][1] = -sin(angle);
    g.to_world[1][1] = cos(angle);
    g.to_world[0][3] = -31.25;
    g.to_world[2][3] = 1600.1;
    assert_ok(volt_volume_create(&v, &g, dtype));
    for (int i = 0; i < 120; i++) {
        if (dtype == VOLT_F32)
            ((float *)v->data)[i] = (float)i;
        else
            ((int16_t *)v->data)[i] = (int16_t)i;
    }
    return v;
}

/* Onto the same voxels in another order and back: the same bits, both ways of reading. */
static void test_same_voxels(void **state)
{
    (void)state;
    for (int pass = 0; pass < 2; pass++) {
        volt_volume *v = numbered(pass ? VOLT_F32 : VOLT_I16), *turned = NULL, *by_grid = NULL;
        volt_orientation o;

        assert_ok(volt_orientation_to(&o, &v->grid, "PSL"));
        assert_ok(volt_volume_reorient(&turned, v, o, 2));
        for (int threads = 1; threads <= 3; threads++) {
            assert_ok(volt_resample_to_grid(&by_grid, v, &turned->grid,
                                            pass ? VOLT_LINEAR : VOLT_NEAREST, -7, threads));
            assert_int_equal(by_grid->dtype, v->dtype);
            assert_true(volt_grid_same(&by_grid->grid, &turned->grid, 0));
            assert_memory_equal(by_grid->data, turned->data, volt_volume_bytes(turned));
            volt_volume_free(by_grid);
            by_grid = NULL;
        }
        volt_volume_free(turned);
        volt_volume_free(v);
    }
}

/* A ramp along x is read exactly between voxels; far outside there is `outside`. */
static void test_between(void **state)
{
    volt_grid g = volt_grid_make((int64_t[3]){1, 1, 4}, 1, (double[3]){1, 1, 1}), fine;
    volt_volume *v = NULL, *out = NULL;
    const float wanted[] = {-9, 0, 0, 0.5f, 1, 1.5f, 2, 2.5f, 3, -9, -9};

    (void)state;
    assert_ok(volt_volume_create(&v, &g, VOLT_F32));
    for (int i = 0; i < 4; i++)
        ((float *)v->data)[i] = (float)i;
    fine = volt_grid_make((int64_t[3]){1, 1, 11}, 1, (double[3]){1, 1, 0.5});
    fine.to_world[0][3] = -1; /* positions -1, -0.5, 0, ... 4 */
    assert_ok(volt_resample_to_grid(&out, v, &fine, VOLT_LINEAR, -9, 1));
    for (int i = 0; i < 11; i++)
        assert_true(((float *)out->data)[i] == wanted[i]);
    volt_volume_free(out);
    out = NULL;
    assert_fails(volt_resample_to_grid(&out, v, &fine, VOLT_CUBIC, 0, 1), VOLT_EINVAL,
                 "order 3");
    assert_null(out);
    volt_volume_free(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_same_voxels),
                                       cmocka_unit_test(test_between)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
