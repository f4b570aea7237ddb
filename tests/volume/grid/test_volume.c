#include "tests/kit/test.h"
#include "base/core/alloc.h"
#include "volume/volume.h"

static volt_grid small_grid(int64_t z, int64_t y, int64_t x, int32_t channels)
{
    return volt_grid_make((int64_t[]){z, y, x}, channels, (double[]){3, 2, 0.5});
}

static void dtypes_have_sizes_and_names(void **state)
{
    volt_dtype t = VOLT_U8;

    (void)state;
    assert_int_equal(volt_dtype_bytes(VOLT_I64), 8);
    assert_int_equal(volt_dtype_bytes((volt_dtype)99), 0);
    assert_string_equal(volt_dtype_name((volt_dtype)0), "unknown type");
    for (int i = VOLT_U8; i <= VOLT_BF16; i++) {
        assert_ok(volt_dtype_parse(&t, volt_dtype_name((volt_dtype)i)));
        assert_int_equal(t, i);
    }
    assert_fails(volt_dtype_parse(&t, "float16"), VOLT_EINVAL, "'float16'");
}

static void grids_know_spacing_and_world(void **state)
{
    volt_grid g = small_grid(4, 5, 6, 1);
    double spacing[3], world[3];

    (void)state;
    volt_grid_spacing(spacing, &g);
    assert_true(spacing[0] == 3 && spacing[1] == 2 && spacing[2] == 0.5);
    g.to_world[0][3] = 10;
    volt_grid_world(world, &g, (double[]){1, 2, 4});
    assert_true(world[0] == 12 && world[1] == 4 && world[2] == 3);
    assert_true(volt_grid_same(&g, &g, 0));
    volt_grid other = g;
    other.to_world[2][3] += 0.01;
    assert_false(volt_grid_same(&g, &other, 0.001));
    assert_true(volt_grid_same(&g, &other, 0.02));
    other.n[1]++;
    assert_false(volt_grid_same(&g, &other, 1));
}

static void broken_grids_are_refused_by_name(void **state)
{
    volt_grid g;

    (void)state;
    assert_ok(volt_grid_check(&(volt_grid){{1, 1, 1}, 1, {{1}, {0, 1}, {0, 0, 1}}}, "a.nii"));
    g = small_grid(4, 0, 6, 1);
    assert_fails(volt_grid_check(&g, "a.nii"), VOLT_EINVAL, "a.nii: 0 voxels along y");
    g = small_grid(4, 5, 6, 0);
    assert_fails(volt_grid_check(&g, "a.nii"), VOLT_EINVAL, "0 channels");
    g = small_grid(INT64_C(1) << 31, INT64_C(1) << 31, 6, 1);
    assert_fails(volt_grid_check(&g, "a.nii"), VOLT_EINVAL, "too many");
    g = small_grid(INT64_C(1) << 30, INT64_C(1) << 29, 1, 4); /* 2^64 bytes */
    assert_fails(volt_grid_check(&g, "a.nii"), VOLT_EINVAL, "too many");
    g = small_grid(4, 5, 6, 1);
    g.to_world[1][3] = NAN;
    assert_fails(volt_grid_check(&g, "a.nii"), VOLT_EINVAL, "row 2, column 4");
    g = small_grid(4, 5, 6, 1);
    g.to_world[1][1] = 0;
    assert_fails(volt_grid_check(&g, "a.nii"), VOLT_EINVAL, "spacing along y is 0");
    g = small_grid(4, 5, 6, 1);
    for (int r = 0; r < 3; r++)
        g.to_world[r][2] = g.to_world[r][0] + g.to_world[r][1];
    assert_fails(volt_grid_check(&g, "a.nii"), VOLT_EINVAL, "singular");
    /* Tiny but sound: spacing in metres. */
    g = volt_grid_make((int64_t[]){2, 2, 2}, 1, (double[]){1e-6, 1e-6, 1e-6});
    assert_ok(volt_grid_check(&g, "a.nii"));
}

static void volumes_are_zeroed_and_accounted(void **state)
{
    const volt_grid g = small_grid(2, 3, 4, 2);
    const size_t before = volt_mem_current();
    volt_volume *v = NULL;

    (void)state;
    assert_ok(volt_volume_create(&v, &g, VOLT_I16));
    assert_int_equal(volt_volume_bytes(v), 2 * 3 * 4 * 2 * 2);
    for (int i = 0; i < 48; i++)
        assert_int_equal(((int16_t *)v->data)[i], 0);
    volt_volume_free(v);
    v = NULL;
    assert_fails(volt_volume_create(&v, &g, VOLT_BF16), VOLT_EINVAL, "bfloat16");
    for (int n = 1; n <= 2; n++) {
        volt_mem_fail_after(n);
        assert_int_equal(volt_volume_create(&v, &g, VOLT_I16), VOLT_ENOMEM);
        volt_mem_fail_after(0);
    }
    assert_null(v);
    assert_int_equal(volt_mem_current(), before);
}

/* Converts n values of `from` and compares with `expected` and `exact`. */
static void check_conversion(volt_dtype from, const void *values, volt_dtype to,
                             const void *expected, int n, bool exact)
{
    const volt_grid g = small_grid(1, 1, n, 1);
    volt_volume *v = NULL, *w = NULL;
    bool is_exact = !exact;

    assert_ok(volt_volume_create(&v, &g, from));
    memcpy(v->data, values, volt_volume_bytes(v));
    assert_ok(volt_volume_convert(&w, v, to, &is_exact, 2));
    assert_memory_equal(w->data, expected, volt_volume_bytes(w));
    assert_int_equal(is_exact, exact);
    volt_volume_free(w);
    volt_volume_free(v);
}

static void reals_round_half_to_even_and_saturate(void **state)
{
    const float f[] = {0.5f, 1.5f, 2.5f, -0.5f, -1.5f, 254.5f, 300, -7, NAN, INFINITY};
    const double big[] = {9.3e18, -9.3e18, 9223372036854775808.0, 4503599627370497.5, -0.5};
    const double ok[] = {-9223372036854775808.0, 4611686018427387904.0};

    (void)state;
    check_conversion(VOLT_F32, f, VOLT_U8, (uint8_t[]){0, 2, 2, 0, 0, 254, 255, 0, 0, 255}, 10,
                     false);
    check_conversion(VOLT_F32, f, VOLT_I16,
                     (int16_t[]){0, 2, 2, 0, -2, 254, 300, -7, 0, INT16_MAX}, 10, false);
    check_conversion(VOLT_F64, big, VOLT_I64,
                     (int64_t[]){INT64_MAX, INT64_MIN, INT64_MAX, 4503599627370498, 0}, 5,
                     false);
    check_conversion(
        VOLT_F64, big, VOLT_U64,
        (uint64_t[]){9300000000000000000u, 0, 9223372036854775808u, 4503599627370498u, 0}, 5,
        false);
    check_conversion(VOLT_F64, ok, VOLT_I64, (int64_t[]){INT64_MIN, INT64_C(1) << 62}, 2, true);
    check_conversion(VOLT_F64, big + 2, VOLT_I64, (int64_t[]){INT64_MAX}, 1, false);
    check_conversion(VOLT_F64, (double[]){4294967295.0, 4294967295.5}, VOLT_U32,
                     (uint32_t[]){UINT32_MAX, UINT32_MAX}, 2, false);
    check_conversion(VOLT_F32, (float[]){1, 0, 4}, VOLT_I8, (int8_t[]){1, 0, 4}, 3, true);
    check_conversion(VOLT_F64, (double[]){0.5, NAN}, VOLT_F32, (float[]){0.5f, NAN}, 2, true);
    check_conversion(VOLT_F64, (double[]){0.1, 1e300}, VOLT_F32, (float[]){0.1f, INFINITY}, 2,
                     false);
}

static void whole_numbers_saturate(void **state)
{
    const int64_t big[] = {INT64_MAX, INT64_MIN, 16777217};

    (void)state;
    check_conversion(VOLT_I16, (int16_t[]){-1, 300, 7}, VOLT_U8, (uint8_t[]){0, 255, 7}, 3,
                     false);
    check_conversion(VOLT_U64, (uint64_t[]){UINT64_MAX, 5}, VOLT_I64, (int64_t[]){INT64_MAX, 5},
                     2, false);
    check_conversion(VOLT_I64, big, VOLT_I32, (int32_t[]){INT32_MAX, INT32_MIN, 16777217}, 3,
                     false);
    check_conversion(VOLT_I64, big, VOLT_U64, (uint64_t[]){INT64_MAX, 0, 16777217}, 3, false);
    check_conversion(VOLT_I64, big, VOLT_F32,
                     (float[]){9223372036854775808.0f, -9223372036854775808.0f, 16777216.0f}, 3,
                     false);
    check_conversion(VOLT_I64, (int64_t[]){INT64_MAX}, VOLT_F64,
                     (double[]){9223372036854775808.0}, 1, false);
    check_conversion(VOLT_I32, (int32_t[]){16777217}, VOLT_F32, (float[]){16777216}, 1, false);
    check_conversion(VOLT_I32, (int32_t[]){16777217}, VOLT_F64, (double[]){16777217}, 1, true);
    check_conversion(VOLT_I16, (int16_t[]){-32768, 9}, VOLT_F32, (float[]){-32768, 9}, 2, true);
}

/* Many chunks, every pair of types: what fits comes back. */
static void small_numbers_survive_every_pair(void **state)
{
    const volt_grid g = small_grid(3, 100, 500, 1);
    volt_volume *bytes = NULL;

    (void)state;
    assert_ok(volt_volume_create(&bytes, &g, VOLT_U8));
    for (int i = 0; i < 150000; i++)
        ((uint8_t *)bytes->data)[i] = (uint8_t)(i * 7 % 128);
    for (int from = VOLT_U8; from <= VOLT_F64; from++) {
        volt_volume *v = NULL;
        assert_ok(volt_volume_convert(&v, bytes, (volt_dtype)from, NULL, 1));
        for (int to = VOLT_U8; to <= VOLT_F64; to++) {
            volt_volume *w = NULL, *back = NULL;
            bool exact = false;
            assert_ok(volt_volume_convert(&w, v, (volt_dtype)to, &exact, 3));
            assert_true(exact);
            assert_ok(volt_volume_convert(&back, w, VOLT_U8, NULL, 2));
            assert_memory_equal(back->data, bytes->data, 150000);
            volt_volume_free(back);
            volt_volume_free(w);
        }
        volt_volume_free(v);
    }
    volt_volume_free(bytes);
}

static void ranges_leave_out_what_is_not_finite(void **state)
{
    const volt_grid g = small_grid(2, 1, 3, 1);
    const float values[6] = {NAN, -2, 7.5f, INFINITY, -INFINITY, 1};
    volt_volume *v = NULL;
    volt_value_range r;

    (void)state;
    assert_ok(volt_volume_create(&v, &g, VOLT_F32));
    memcpy(v->data, values, sizeof values);
    r = volt_volume_range(v, 2);
    assert_true(r.min == -2 && r.max == 7.5 && r.not_finite == 3);
    for (int i = 0; i < 6; i++)
        ((float *)v->data)[i] = NAN;
    r = volt_volume_range(v, 1);
    assert_true(r.min == 0 && r.max == 0 && r.not_finite == 6);
    volt_volume_free(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dtypes_have_sizes_and_names),
        cmocka_unit_test(grids_know_spacing_and_world),
        cmocka_unit_test(broken_grids_are_refused_by_name),
        cmocka_unit_test(volumes_are_zeroed_and_accounted),
        cmocka_unit_test(reals_round_half_to_even_and_saturate),
        cmocka_unit_test(whole_numbers_saturate),
        cmocka_unit_test(small_numbers_survive_every_pair),
        cmocka_unit_test(ranges_leave_out_what_is_not_finite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
