#include "tests/kit/fixture.h"
#include "base/core/alloc.h"
#include "base/rng.h"
#include "volume/grid/half.h"
#include "volume/sliding/stitch.h"
#include "volume/tiles.h"

#define VALUES "volume/tiles_values.txt"

static void positions_agree_with_peers(void **state)
{
    static const struct {
        int64_t image[3], patch[3];
        double step;
    } cases[] = {{{110, 64, 65}, {64, 64, 64}, 0.5},
                 {{155, 240, 240}, {128, 128, 128}, 0.5},
                 {{78, 410, 410}, {56, 192, 160}, 0.5},
                 {{41, 97, 200}, {20, 31, 64}, 0.3},
                 {{33, 35, 37}, {32, 32, 32}, 1.0}};

    (void)state;
    for (int i = 0; i < 30; i++) {
        const int k = i / 6, a = i / 2 % 3;
        const volt_tile_rule rule = i % 2 ? VOLT_TILES_MONAI : VOLT_TILES_NNUNET;
        volt_tiles t;
        double want[16];
        char name[32];

        assert_ok(volt_tiles_plan(&t, cases[k].image, cases[k].patch, cases[k].step, rule));
        snprintf(name, sizeof name, "%s_%d_%d", i % 2 ? "monai" : "nnunet", k, a);
        read_values(want, (int)t.per_axis[a] + 1, VALUES, name);
        assert_int_equal(t.per_axis[a], want[0]);
        for (int64_t j = 0; j < t.per_axis[a]; j++)
            assert_int_equal(t.start[a][j], want[j + 1]);
        volt_tiles_free(&t);
    }
}

static void maps_agree_with_peers(void **state)
{
    const int64_t patch[3] = {12, 20, 9}, cube[3] = {128, 128, 128};
    const int voxels = 12 * 20 * 9;
    float *nnunet = read_fixture("volume/tiles_map_nnunet.f32", (size_t)voxels * 4);
    float *monai = read_fixture("volume/tiles_map_monai.f32", (size_t)voxels * 4);
    float *map;
    double want[3], sum = 0;
    int64_t smallest = 0;

    (void)state;
    assert_ok(volt_alloc(&map, 128 * 128 * 128 * 4, "a map"));
    assert_ok(volt_importance_map(map, patch, VOLT_TILES_NNUNET));
    assert_memory_equal(map, nnunet, (size_t)voxels * 4);
    assert_ok(volt_importance_map(map, patch, VOLT_TILES_MONAI));
    for (int i = 0; i < voxels; i++)
        assert_true(fabsf(map[i] - monai[i]) <= 1e-6f * monai[i]);

    read_values(want, 3, VALUES, "nnunet_128");
    assert_ok(volt_importance_map(map, cube, VOLT_TILES_NNUNET));
    for (int i = 0; i < 128 * 128 * 128; i++) {
        sum += map[i];
        smallest += map[i] == (float)want[1];
        assert_true(map[i] >= (float)want[1]);
    }
    assert_true(fabs(sum - want[0]) < 1e-9 * want[0]);
    assert_int_equal(smallest, want[2]);
    volt_free(map);
    volt_free(monai);
    volt_free(nnunet);
}

/* Tiles that are the image itself give the image back, whatever sticks out or is mirrored, and
 * however few slices are held; `room` 0 = all. */
static void stitch(const int64_t n[3], int flips, bool rolling, bool half)
{
    const int64_t patch[3] = {4, 8, 8}, voxels = n[0] * n[1] * n[2];
    volt_rng rng = volt_rng_open(1, 0, 0, VOLT_RNG_TEST);
    float weight[4 * 8 * 8], tile[2 * 4 * 8 * 8];
    int64_t seen = 0;
    float *image;
    volt_stitch s;
    volt_tiles t;

    assert_ok(volt_importance_map(weight, patch, VOLT_TILES_NNUNET));
    assert_ok(volt_alloc(&image, (size_t)voxels * 8, "an image"));
    for (int64_t i = 0; i < 2 * voxels; i++)
        image[i] = (float)volt_rng_normal(&rng);
    assert_ok(volt_tiles_plan(&t, n, patch, 0.5, VOLT_TILES_NNUNET));
    assert_ok(volt_stitch_open(&s, 2, n, rolling ? volt_stitch_room(n[0], 4) : n[0], half));
    for (int64_t i = 0; half && i < t.count; i++)
        volt_stitch_expect(&s, volt_tiles_box(&t, i), weight);
    for (int64_t z = 0; z < t.per_axis[0]; z++) {
        const int64_t row = t.per_axis[1] * t.per_axis[2];
        const int64_t done = z + 1 < t.per_axis[0] ? t.start[0][z + 1] : n[0];
        for (int64_t i = z * row; i < (z + 1) * row; i++) {
            const volt_box box = volt_tiles_box(&t, i);
            for (int f = 0; f < flips; f++) {
                const bool flip[3] = {f & 1, f >> 1 & 1, f >> 2 & 1};
                volt_tile_read(tile, box, image, 2, n, flip, 2);
                volt_stitch_add(&s,
                                &(volt_stitch_tile){.box = box,
                                                    .values = tile,
                                                    .flip = flip,
                                                    .weight = weight,
                                                    .again = f > 0},
                                2);
            }
        }
        assert_true(volt_stitch_finish(&s, done, 2));
        for (; seen < done * n[1] * n[2]; seen++) {
            for (int64_t c = 0; c < 2; c++) {
                const int64_t at = seen + (c * s.room - s.low) * n[1] * n[2];
                const double want = (double)image[c * voxels + seen];
                const double mean =
                    (double)(half ? volt_half_to_float(s.half[at]) : s.sum[at]) / flips;
                assert_true(fabs(mean - want) < (half ? 0.02 * (0.1 + fabs(want)) : 1e-5));
            }
        }
        if (rolling)
            volt_stitch_drop(&s, done > 0 ? done - 1 : 0, 2);
    }
    assert_int_equal(seen, voxels);
    volt_stitch_close(&s);
    volt_tiles_free(&t);
    volt_free(image);
}

static void stitched_tiles_give_the_image_back(void **state)
{
    static const int64_t images[][3] = {{9, 17, 23}, {3, 30, 8}, {1, 5, 40}, {23, 8, 9}};

    (void)state;
    for (int k = 0; k < 4; k++) {
        stitch(images[k], 1, false, false);
        stitch(images[k], 8, false, false);
        stitch(images[k], 8, true, false);
        stitch(images[k], 8, true, true);
    }
}

/* Every half there is comes back; between two of them the nearer is taken, ties to even. */
static void halves_come_back(void **state)
{
    int64_t checked = 0;

    (void)state;
    for (uint32_t h = 0; h < 0x7c00; h++) {
        const float x = volt_half_to_float((uint16_t)h);
        const float next = volt_half_to_float((uint16_t)(h + 1));
        assert_int_equal(volt_float_to_half(x), h);
        assert_int_equal(volt_float_to_half(-x), h | 0x8000);
        if (h + 1 < 0x7c00) {
            assert_int_equal(volt_float_to_half(0.5f * (x + next)), h % 2 ? h + 1 : h);
            assert_int_equal(volt_float_to_half(0.75f * x + 0.25f * next), h);
            checked++;
        }
    }
    assert_true(volt_half_to_float(0x3c00) == 1 && volt_half_to_float(0x7bff) == 65504);
    assert_int_equal(volt_float_to_half(65519), 0x7bff);
    assert_int_equal(volt_float_to_half(65520), 0x7c00);
    assert_true(isinf(volt_half_to_float(0x7c00)) && isnan(volt_half_to_float(0x7e00)));
    assert_int_equal(volt_float_to_half(NAN) & 0x7c00, 0x7c00);
    assert_int_equal(checked, 0x7bff);
}

static void a_score_that_is_not_finite_is_noticed(void **state)
{
    const int64_t n[3] = {2, 2, 2};
    const float values[8] = {1, 2, 3, 4, 5, INFINITY, 7, 8};
    volt_stitch s;

    (void)state;
    assert_ok(volt_stitch_open(&s, 1, n, 2, false));
    volt_stitch_add(&s, &(volt_stitch_tile){.box = volt_box_of_shape(n), .values = values}, 1);
    assert_true(volt_stitch_finish(&s, 1, 2));
    assert_false(volt_stitch_finish(&s, 2, 2));
    volt_stitch_close(&s);
}

/* The patch is larger: the image lies in its middle, the odd voxel at the high end. */
static void a_small_image_is_padded_around(void **state)
{
    const int64_t image_shape[3] = {1, 2, 3}, patch[3] = {1, 5, 6};
    const float image[6] = {1, 2, 3, 4, 5, 6};
    float tile[30];
    volt_stitch s;
    volt_tiles t;

    (void)state;
    assert_ok(volt_tiles_plan(&t, image_shape, patch, 0.5, VOLT_TILES_NNUNET));
    assert_int_equal(t.count, 1);
    const volt_box box = volt_tiles_box(&t, 0);
    assert_int_equal(box.low[1], -1);
    assert_int_equal(box.low[2], -1);
    memset(tile, 0xff, sizeof tile);
    volt_tile_read(tile, box, image, 1, image_shape, NULL, 1);
    for (int y = 0; y < 5; y++) {
        for (int x = 0; x < 6; x++)
            assert_true(
                tile[y * 6 + x] ==
                (y >= 1 && y <= 2 && x >= 1 && x <= 3 ? image[(y - 1) * 3 + x - 1] : 0));
    }
    assert_ok(volt_stitch_open(&s, 1, image_shape, 1, false));
    volt_stitch_add(&s, &(volt_stitch_tile){.box = box, .values = tile}, 1);
    volt_stitch_add(&s, &(volt_stitch_tile){.box = box, .values = tile, .again = true}, 1);
    for (int i = 0; i < 6; i++) {
        assert_true(s.sum[i] == 2 * image[i]);
        assert_true(s.total[i] == 1);
    }
    volt_stitch_close(&s);
    volt_tiles_free(&t);
}

static void bits_do_not_depend_on_threads(void **state)
{
    const int64_t n[3] = {6, 7, 9};
    const volt_box box = {{-1, 2, 3}, {5, 8, 12}};
    float values[2 * 6 * 6 * 9], weight[6 * 6 * 9], first[2 * 378];
    volt_rng rng = volt_rng_open(2, 0, 0, VOLT_RNG_TEST);

    (void)state;
    for (int i = 0; i < 648; i++)
        values[i] = (float)volt_rng_normal(&rng);
    for (int i = 0; i < 324; i++)
        weight[i] = 1 + (float)volt_rng_uniform(&rng);
    for (int threads = 1; threads < 6; threads++) {
        volt_stitch s;
        assert_ok(volt_stitch_open(&s, 2, n, n[0], false));
        volt_stitch_add(&s, &(volt_stitch_tile){.box = box, .values = values, .weight = weight},
                        threads);
        if (threads == 1)
            memcpy(first, s.sum, sizeof first);
        assert_memory_equal(first, s.sum, sizeof first);
        volt_stitch_close(&s);
    }
}

static void impossible_tiles_are_refused(void **state)
{
    const int64_t n[3] = {4, 4, 4}, zero[3] = {4, 0, 4};
    volt_tiles t = {.count = 7};

    (void)state;
    assert_fails(volt_tiles_plan(&t, n, n, 0, VOLT_TILES_NNUNET), VOLT_EINVAL, "step 0");
    assert_fails(volt_tiles_plan(&t, n, n, 1.5, VOLT_TILES_NNUNET), VOLT_EINVAL, "step 1.5");
    assert_fails(volt_tiles_plan(&t, n, n, NAN, VOLT_TILES_NNUNET), VOLT_EINVAL, "step");
    assert_fails(volt_tiles_plan(&t, n, zero, 0.5, VOLT_TILES_NNUNET), VOLT_EINVAL, "along y");
    assert_int_equal(t.count, 7);
    volt_mem_fail_after(2);
    assert_int_equal(volt_tiles_plan(&t, n, n, 0.5, VOLT_TILES_NNUNET), VOLT_ENOMEM);
    volt_mem_fail_after(0);
    assert_ok(volt_tiles_plan(&t, n, n, 1e-300, VOLT_TILES_NNUNET));
    volt_tiles_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(positions_agree_with_peers),
        cmocka_unit_test(maps_agree_with_peers),
        cmocka_unit_test(stitched_tiles_give_the_image_back),
        cmocka_unit_test(halves_come_back),
        cmocka_unit_test(a_score_that_is_not_finite_is_noticed),
        cmocka_unit_test(a_small_image_is_padded_around),
        cmocka_unit_test(bits_do_not_depend_on_threads),
        cmocka_unit_test(impossible_tiles_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
