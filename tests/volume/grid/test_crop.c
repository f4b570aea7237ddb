#include "tests/kit/measure.h"
#include "tests/kit/fixture.h"
#include "base/core/alloc.h"
#include "volume/grid/crop.h"
#include "volume/grid/patch.h"

static volt_volume *volume_of(volt_dtype dtype, int32_t channels, int64_t z, int64_t y,
                              int64_t x)
{
    const volt_grid g = volt_grid_make((int64_t[]){z, y, x}, channels, (double[]){3, 2, 1});
    volt_volume *v = NULL;

    assert_ok(volt_volume_create(&v, &g, dtype));
    return v;
}

static void masks_join_all_channels(void **state)
{
    volt_volume *v = volume_of(VOLT_F32, 2, 2, 3, 4), *mask = NULL;
    float *x = v->data;
    const uint8_t expected[24] = {[1] = 1, [5] = 1, [17] = 1, [23] = 1};
    volt_box box;

    (void)state;
    x[1] = NAN;
    x[5] = -0.5f;
    x[7] = -0.0f;
    x[24 + 5] = 2;
    x[24 + 17] = -INFINITY;
    x[24 + 23] = 1e-30f;
    assert_ok(volt_mask_nonzero(&mask, v, 2));
    assert_int_equal(mask->grid.channels, 1);
    assert_memory_equal(mask->data, expected, 24);
    box = volt_mask_box(mask, 2);
    assert_memory_equal(&box, (&(volt_box){{0, 0, 1}, {2, 3, 4}}), sizeof box);
    memset(mask->data, 0, 24);
    box = volt_mask_box(mask, 1); /* nothing: the whole volume */
    assert_memory_equal(&box, (&(volt_box){{0, 0, 0}, {2, 3, 4}}), sizeof box);
    ((uint8_t *)mask->data)[18] = 1;
    box = volt_mask_box(mask, 3);
    assert_memory_equal(&box, (&(volt_box){{1, 1, 2}, {2, 2, 3}}), sizeof box);
    volt_volume_free(mask);
    volt_volume_free(v);
}

static void every_type_can_be_zero(void **state)
{
    int types = 0;

    (void)state;
    for (int t = VOLT_U8; t <= VOLT_F64; t++, types++) {
        volt_volume *bytes = volume_of(VOLT_U8, 1, 1, 1, 5), *v = NULL, *mask = NULL;
        memcpy(bytes->data, (uint8_t[]){0, 3, 0, 0, 1}, 5);
        assert_ok(volt_volume_convert(&v, bytes, (volt_dtype)t, NULL, 1));
        assert_ok(volt_mask_nonzero(&mask, v, 1));
        assert_memory_equal(mask->data, ((uint8_t[]){0, 1, 0, 0, 1}), 5);
        volt_volume_free(mask);
        volt_volume_free(v);
        volt_volume_free(bytes);
    }
    assert_int_equal(types, 10);
}

static void holes_are_filled_as_scipy_does(void **state)
{
    npy in = npy_read("volume/holes_in", "|u1"), out = npy_read("volume/holes_out", "|u1");
    volt_volume *v = volume_of(VOLT_U8, 1, in.shape[0], in.shape[1], in.shape[2]);

    (void)state;
    memcpy(v->data, in.data, (size_t)in.count);
    assert_true(memcmp(in.data, out.data, (size_t)in.count) != 0); /* there are holes */
    volt_mem_fail_after(1);
    assert_int_equal(volt_mask_fill_holes(v), VOLT_ENOMEM);
    volt_mem_fail_after(0);
    assert_memory_equal(v->data, in.data, (size_t)in.count);
    assert_ok(volt_mask_fill_holes(v));
    assert_memory_equal(v->data, out.data, (size_t)in.count);
    v->dtype = VOLT_I8;
    assert_fails(volt_mask_fill_holes(v), VOLT_EINVAL, "int8");
    free(in.data);
    free(out.data);
    volt_volume_free(v);
}

static void a_tunnel_is_no_hole_and_a_corner_no_tunnel(void **state)
{
    volt_volume *v = volume_of(VOLT_U8, 1, 9, 9, 9);
    uint8_t *m = v->data;
    const int64_t centre = (4 * 9 + 4) * 9 + 4;

    (void)state;
    for (int i = 0; i < 729; i++) {
        const int z = i / 81, y = i / 9 % 9, x = i % 9;
        m[i] = z > 1 && z < 7 && y > 1 && y < 7 && x > 1 && x < 7;
    }
    m[centre] = 0;
    m[centre + 9 + 1] = 0; /* touches the hole along an edge only */
    assert_ok(volt_mask_fill_holes(v));
    assert_true(m[centre] == 1 && m[centre + 10] == 1);
    for (int y = 0; y <= 4; y++)
        m[(4 * 9 + y) * 9 + 4] = 0;
    assert_ok(volt_mask_fill_holes(v));
    assert_true(m[centre] == 0 && m[centre - 9] == 0 && m[centre + 1] == 1);
    volt_volume_free(v);
}

/* One winding hole of a million runs: more than are kept in mind. */
static void large_outsides_need_little_memory(void **state)
{
    enum { SIDE = 1100 };
    volt_volume *v = volume_of(VOLT_U8, 1, SIDE, SIDE, 3);
    uint8_t *m = v->data;
    const int64_t hole = (500 * SIDE + 500) * 3 + 1;
    const size_t before = volt_mem_current(),
                 most = volt_mask_fill_holes_bytes(SIDE * SIDE * 3);
    int64_t outside = 0;

    (void)state;
    memset(m, 1, volt_volume_bytes(v));
    for (int64_t z = 1; z < SIDE - 1; z++) {
        for (int64_t y = 1; y < SIDE - 1; y++)
            m[(z * SIDE + y) * 3 + 1] = 0;
    }
    m[(SIDE / 2) * 3 + 1] = 0; /* the way in: slice 0 */
    for (int64_t i = 0; i < 9; i++)
        m[hole + (i / 3 - 1) * SIDE * 3 + (i % 3 - 1) * 3] =
            i != 4; /* closed around 500, 500 */
    measure_start();
    assert_ok(volt_mask_fill_holes(v));
    assert_int_equal(measure_peak() - before, most); /* all of it was used */
    assert_int_equal(most, 3 << 20);
    for (int64_t i = 0; i < SIDE * SIDE * 3; i++)
        outside += !m[i];
    assert_int_equal(outside, (SIDE - 2) * (SIDE - 2) + 1 - 9);
    volt_volume_free(v);
}

static void crops_stay_where_they_were(void **state)
{
    volt_volume *v = volume_of(VOLT_I16, 2, 4, 5, 6);
    const volt_grid whole = v->grid;
    const volt_box box = {{1, 0, 2}, {3, 4, 6}};
    double here[3], there[3];

    (void)state;
    for (int i = 0; i < 240; i++)
        ((int16_t *)v->data)[i] = (int16_t)i;
    assert_fails(volt_volume_crop_in_place(v, (volt_box){{1, 0, 2}, {1, 4, 6}}), VOLT_EINVAL,
                 "empty");
    assert_fails(volt_volume_crop_in_place(v, (volt_box){{1, 0, 2}, {3, 6, 6}}), VOLT_EINVAL,
                 "exceeds");
    assert_true(volt_grid_same(&v->grid, &whole, 0));
    assert_ok(volt_volume_crop_in_place(v, box));
    assert_true(v->grid.n[0] == 2 && v->grid.n[1] == 4 && v->grid.n[2] == 4);
    for (int i = 0; i < 64; i++) {
        const int c = i / 32, z = 1 + i / 16 % 2, y = i / 4 % 4, x = 2 + i % 4;
        assert_int_equal(((int16_t *)v->data)[i], ((c * 4 + z) * 5 + y) * 6 + x);
    }
    volt_grid_world(here, &v->grid, (double[]){1, 2, 3});
    volt_grid_world(there, &whole, (double[]){2, 2, 5});
    assert_memory_equal(here, there, sizeof here);
    volt_volume_free(v);
}

static void labels_outside_become_minus_one(void **state)
{
    volt_volume *v = volume_of(VOLT_I8, 1, 1, 2, 3), *mask = volume_of(VOLT_U8, 1, 1, 2, 3);
    volt_volume *inside = NULL;

    (void)state;
    memcpy(v->data, (int8_t[]){0, 1, 0, 2, 0, 0}, 6);
    memcpy(mask->data, (uint8_t[]){1, 1, 0, 0, 0, 1}, 6);
    assert_ok(volt_labels_mark_outside(v, mask, 2));
    assert_memory_equal(v->data, ((int8_t[]){0, 1, -1, 2, -1, 0}), 6);
    assert_ok(volt_mask_inside(&inside, v, 1));
    assert_memory_equal(inside->data, ((uint8_t[]){1, 1, 0, 1, 0, 1}), 6);
    mask->grid.n[1] = 3;
    assert_fails(volt_labels_mark_outside(v, mask, 1), VOLT_EINVAL, "belong together");
    v->dtype = VOLT_U8;
    assert_fails(volt_labels_mark_outside(v, mask, 1), VOLT_EINVAL, "uint8");
    volt_volume_free(inside);
    volt_volume_free(mask);
    volt_volume_free(v);
}

static void patches_may_stick_out(void **state)
{
    static const volt_box boxes[] = {
        {{0, 0, 0}, {3, 4, 5}},    {{-2, -1, -3}, {2, 3, 4}}, {{1, 2, 3}, {6, 7, 9}},
        {{-1, -1, -1}, {5, 6, 7}}, {{9, 0, 0}, {11, 2, 2}},   {{0, -9, 0}, {2, -5, 3}},
        {{1, 1, -4}, {2, 2, 0}},   {{1, 1, 1}, {2, 2, 2}},    {{0, 0, 2}, {3, 4, 2}}};
    volt_volume *v = volume_of(VOLT_F32, 2, 3, 4, 5), *labels = volume_of(VOLT_I8, 1, 3, 4, 5);
    float image[2 * 400];
    int16_t marks[400];
    int compared = 0;

    (void)state;
    for (int i = 0; i < 120; i++)
        ((float *)v->data)[i] = (float)i + 1;
    for (int i = 0; i < 60; i++)
        ((int8_t *)labels->data)[i] = (int8_t)(i - 30);
    for (size_t b = 0; b < sizeof boxes / sizeof *boxes; b++) {
        const volt_box box = boxes[b];
        const int64_t count = volt_box_voxels(box);
        int64_t i = 0;
        assert_ok(volt_patch_read(image, box, v, -7));
        assert_ok(volt_patch_read_labels(marks, box, labels, -99));
        for (int64_t z = box.low[0]; z < box.high[0]; z++) {
            for (int64_t y = box.low[1]; y < box.high[1]; y++) {
                for (int64_t x = box.low[2]; x < box.high[2]; x++, i++, compared++) {
                    const bool in = z >= 0 && y >= 0 && x >= 0 && z < 3 && y < 4 && x < 5;
                    const int64_t at = (z * 4 + y) * 5 + x;
                    assert_true(image[i] == (in ? (float)at + 1 : -7));
                    assert_true(image[count + i] == (in ? (float)at + 61 : -7));
                    assert_int_equal(marks[i], in ? at - 30 : -99);
                }
            }
        }
    }
    assert_true(compared > 300);
    assert_fails(volt_patch_read(image, boxes[0], labels, 0), VOLT_EINVAL, "int8");
    assert_fails(volt_patch_read_labels(marks, boxes[0], v, 0), VOLT_EINVAL, "1 channel");
    volt_volume_free(labels);
    volt_volume_free(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(masks_join_all_channels),
        cmocka_unit_test(every_type_can_be_zero),
        cmocka_unit_test(holes_are_filled_as_scipy_does),
        cmocka_unit_test(a_tunnel_is_no_hole_and_a_corner_no_tunnel),
        cmocka_unit_test(large_outsides_need_little_memory),
        cmocka_unit_test(crops_stay_where_they_were),
        cmocka_unit_test(labels_outside_become_minus_one),
        cmocka_unit_test(patches_may_stick_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
