#include "tests/kit/fixture.h"
#include "base/mem.h"
#include "volume/orient.h"

static void codes_are_those_of_nibabel(void **state)
{
    npy affines = npy_read("volume/orient_affines", "<f8");
    npy codes = npy_read("volume/orient_codes", "|u1");
    const int64_t count = affines.shape[0];

    (void)state;
    assert_true(count >= 100 && codes.count == 3 * count);
    for (int64_t i = 0; i < count; i++) {
        volt_grid g = {.n = {2, 3, 4}, .channels = 1};
        char found[4], expected[4] = "";
        memcpy(g.to_world, (double *)affines.data + 12 * i, sizeof g.to_world);
        memcpy(expected, (char *)codes.data + 3 * i, 3);
        volt_orientation_codes(found, &g);
        assert_string_equal(found, expected);
    }
    free(affines.data);
    free(codes.data);
}

static volt_grid oblique(void)
{
    const volt_grid g = {
        {4, 5, 6}, 2, {{-0.9, 0.1, 0.7, 10}, {0.2, 0.1, 2.9, -20.5}, {0.05, 1.8, -0.3, 3}}};

    return g;
}

static void the_world_stays_put(void **state)
{
    static const char *const targets[] = {"RAS", "LPS", "sal", "PIR", "ARS", "IPL"};
    const volt_grid g = oblique();
    volt_volume *v = NULL;
    char codes[4];

    (void)state;
    assert_ok(volt_volume_create(&v, &g, VOLT_F64));
    for (int i = 0; i < 240; i++)
        ((double *)v->data)[i] = i;
    for (size_t t = 0; t < sizeof targets / sizeof *targets; t++) {
        volt_orientation o;
        volt_volume *w = NULL;
        assert_ok(volt_orientation_to(&o, &g, targets[t]));
        assert_ok(volt_volume_reorient(&w, v, o, 2));
        volt_orientation_codes(codes, &w->grid);
        for (int i = 0; i < 3; i++)
            assert_int_equal(codes[i], targets[t][i] & ~0x20);
        for (int64_t z = 0; z < w->grid.n[0]; z++) {
            for (int64_t y = 0; y < w->grid.n[1]; y++) {
                for (int64_t x = 0; x < w->grid.n[2]; x++) {
                    const int64_t voxels = 120, at[3] = {z, y, x};
                    const int64_t i = (z * w->grid.n[1] + y) * w->grid.n[2] + x;
                    const double index[3] = {(double)z, (double)y, (double)x};
                    double source[3], here[3], there[3];
                    for (int a = 0; a < 3; a++)
                        source[o.from[a]] =
                            (double)(o.flip[a] ? w->grid.n[a] - 1 - at[a] : at[a]);
                    const double value = (source[0] * 5 + source[1]) * 6 + source[2];
                    assert_true(((double *)w->data)[i] == value);
                    assert_true(((double *)w->data)[voxels + i] == voxels + value);
                    volt_grid_world(here, &w->grid, index);
                    volt_grid_world(there, &g, source);
                    for (int a = 0; a < 3; a++)
                        assert_true(fabs(here[a] - there[a]) < 1e-12);
                }
            }
        }
        volt_volume_free(w);
    }
    volt_volume_free(v);
}

/* Every permutation and flip of every element size comes back bit for bit, matrix included. */
static void all_48_are_undone_exactly(void **state)
{
    static const volt_dtype types[] = {VOLT_U8, VOLT_I16, VOLT_F32, VOLT_F64};
    const volt_grid g = oblique();
    int tried = 0;

    (void)state;
    for (int code = 0; code < 27 * 8; code++) {
        const int order[3] = {code % 3, code / 3 % 3, code / 9 % 3};
        volt_orientation o;
        if (volt_orientation_transpose(&o, order) != VOLT_OK)
            continue;
        for (int a = 0; a < 3; a++)
            o.flip[a] = code / 27 >> a & 1;
        tried++;
        const volt_orientation inverse = volt_orientation_inverse(o);
        const volt_orientation again = volt_orientation_inverse(inverse);
        assert_true(memcmp(again.from, o.from, sizeof o.from) == 0 &&
                    memcmp(again.flip, o.flip, sizeof o.flip) == 0);
        assert_int_equal(volt_orientation_is_identity(o), code == 0 + 3 * 1 + 9 * 2);
        for (int t = 0; t < 4; t++) {
            volt_volume *v = NULL, *w = NULL, *back = NULL;
            assert_ok(volt_volume_create(&v, &g, types[t]));
            for (size_t i = 0; i < volt_volume_bytes(v); i++)
                ((unsigned char *)v->data)[i] = (unsigned char)(i * 37 % 251);
            assert_ok(volt_volume_reorient(&w, v, o, 1));
            assert_ok(volt_volume_reorient_back(&back, w, o, &g, 2));
            assert_memory_equal(back->data, v->data, volt_volume_bytes(v));
            assert_memory_equal(&back->grid, &g, sizeof g);
            volt_volume_free(back);
            volt_volume_free(w);
            volt_volume_free(v);
        }
    }
    assert_int_equal(tried, 48);
}

/* Beyond one block of the transposing copy. */
static void large_planes_are_transposed(void **state)
{
    const volt_grid g = volt_grid_make((int64_t[]){3, 300, 270}, 1, (double[]){1, 1, 1});
    volt_volume *v = NULL, *w = NULL;
    volt_orientation o;

    (void)state;
    assert_ok(volt_volume_create(&v, &g, VOLT_I32));
    for (int i = 0; i < 3 * 300 * 270; i++)
        ((int32_t *)v->data)[i] = i;
    assert_ok(volt_orientation_transpose(&o, (int[]){2, 1, 0}));
    assert_ok(volt_volume_reorient(&w, v, o, 0));
    for (int z = 0; z < 270; z++) {
        for (int y = 0; y < 300; y++) {
            for (int x = 0; x < 3; x++)
                assert_int_equal(((int32_t *)w->data)[(z * 300 + y) * 3 + x],
                                 (x * 300 + y) * 270 + z);
        }
    }
    volt_volume_free(w);
    volt_volume_free(v);
}

static void nonsense_is_refused(void **state)
{
    static const char *const wrong[] = {"", "RA", "RASS", "RRS", "RLS", "XYZ", "R S"};
    const volt_grid g = oblique();
    volt_orientation o, untouched = {{7, 7, 7}, {true, true, true}};
    volt_volume *v = NULL, *back = NULL;
    int refused = 0;

    (void)state;
    o = untouched;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++, refused++)
        assert_fails(volt_orientation_to(&o, &g, wrong[i]), VOLT_EINVAL, "not an orientation");
    assert_int_equal(refused, 7);
    assert_fails(volt_orientation_transpose(&o, (int[]){0, 1, 1}), VOLT_EINVAL, "(0, 1, 1)");
    assert_fails(volt_orientation_transpose(&o, (int[]){0, 1, 3}), VOLT_EINVAL, "(0, 1, 3)");
    assert_memory_equal(&o, &untouched, sizeof o);
    assert_ok(volt_orientation_transpose(&o, (int[]){2, 1, 0}));
    assert_ok(volt_volume_create(&v, &g, VOLT_U8));
    assert_fails(volt_volume_reorient_back(&back, v, o, &g, 1), VOLT_EINVAL,
                 "cannot be reoriented");
    volt_volume_free(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codes_are_those_of_nibabel),
        cmocka_unit_test(the_world_stays_put),
        cmocka_unit_test(all_48_are_undone_exactly),
        cmocka_unit_test(large_planes_are_transposed),
        cmocka_unit_test(nonsense_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
