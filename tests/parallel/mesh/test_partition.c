/* Cuts of volumes: every voxel in one box, cuts aligned, parts as equal as can be. */
#include "tests/kit/test.h"
#include "parallel/mesh/partition.h"

static void check_axis(const int64_t *cut, int parts, int64_t extent, int64_t align)
{
    int64_t largest = 0, smallest = extent;

    assert_int_equal(cut[0], 0);
    assert_int_equal(cut[parts], extent);
    for (int i = 0; i < parts; i++) {
        const int64_t units = (cut[i + 1] - cut[i] + align - 1) / align;

        assert_true(cut[i] < cut[i + 1]);
        assert_int_equal(cut[i] % align, 0);
        assert_true(i == 0 || units <= (cut[i] - cut[i - 1]) / align); /* larger first */
        largest = units > largest ? units : largest;
        smallest = units < smallest ? units : smallest;
    }
    assert_true(largest - smallest <= 1);
}

static void partition_every_axis(void **state)
{
    int cuts = 0;

    (void)state;
    for (int64_t extent = 1; extent <= 40; extent++) {
        for (int64_t align = 1; align <= 9; align++) {
            for (int parts = 1; parts <= 12; parts++, cuts++) {
                const int64_t most = (extent + align - 1) / align;
                volt_partition p;
                const volt_status st =
                    volt_partition_make(&p, (int64_t[]){2, extent, 3}, (int[]){1, parts, 3},
                                        (int64_t[]){1, align, 1});

                assert_int_equal(volt_partition_most(extent, align), most);
                assert_int_equal(st, parts <= most ? VOLT_OK : VOLT_EINVAL);
                if (st != VOLT_OK)
                    continue;
                check_axis(p.cut[1], parts, extent, align);
                assert_int_equal(volt_partition_count(&p), 3 * parts);
                volt_partition_clear(&p);
            }
        }
    }
    assert_int_equal(cuts, 40 * 9 * 12);
}

static void partition_known_cuts(void **state)
{
    volt_partition p;

    (void)state;
    assert_ok(volt_partition_make(&p, (int64_t[]){160, 160, 155}, (int[]){2, 3, 2},
                                  (int64_t[]){32, 32, 16}));
    assert_memory_equal(p.cut[0], ((int64_t[]){0, 96, 160}), 3 * sizeof(int64_t));
    assert_memory_equal(p.cut[1], ((int64_t[]){0, 64, 128, 160}), 4 * sizeof(int64_t));
    assert_memory_equal(p.cut[2], ((int64_t[]){0, 80, 155}), 3 * sizeof(int64_t));
    volt_partition_clear(&p);
    assert_null(p.cut[0]);
}

/* Every voxel of the volume belongs to the box of one rank. */
static void partition_boxes_cover(void **state)
{
    const int64_t extent[3] = {7, 6, 10}, align[3] = {2, 1, 3};
    const int parts[3] = {3, 2, 4};
    int owners[7][6][10] = {0};
    volt_partition p;

    (void)state;
    assert_ok(volt_partition_make(&p, extent, parts, align));
    for (int r = 0; r < volt_partition_count(&p); r++) {
        const volt_box box = volt_partition_box_of(&p, r);
        int at[3];

        volt_partition_at(at, &p, r);
        assert_int_equal((at[0] * parts[1] + at[1]) * parts[2] + at[2], r);
        for (int64_t z = box.low[0]; z < box.high[0]; z++)
            for (int64_t y = box.low[1]; y < box.high[1]; y++)
                for (int64_t x = box.low[2]; x < box.high[2]; x++) {
                    owners[z][y][x]++;
                    assert_int_equal(volt_partition_owner(&p, (int64_t[]){z, y, x}), r);
                }
    }
    for (int i = 0; i < 7 * 6 * 10; i++)
        assert_int_equal(((int *)owners)[i], 1);
    assert_int_equal(volt_partition_owner(&p, (int64_t[]){-1, 0, 0}), -1);
    assert_int_equal(volt_partition_owner(&p, (int64_t[]){0, 6, 0}), -1);
    assert_int_equal(volt_partition_owner(&p, (int64_t[]){0, 0, 10}), -1);
    volt_partition_clear(&p);
}

static void partition_neighbours(void **state)
{
    volt_partition p;
    int found = 0;

    (void)state;
    assert_ok(
        volt_partition_make(&p, (int64_t[]){6, 6, 6}, (int[]){3, 3, 3}, (int64_t[]){1, 1, 1}));
    for (int i = 0; i < 27; i++) { /* of the one in the middle: all 26 */
        const int step[3] = {i / 9 - 1, i / 3 % 3 - 1, i % 3 - 1};
        const int back[3] = {-step[0], -step[1], -step[2]};
        const int other = volt_partition_neighbour(&p, 13, step);

        assert_int_equal(other, i);
        assert_int_equal(volt_partition_neighbour(&p, other, back), 13);
        found += volt_partition_neighbour(&p, 0, step) >= 0;
    }
    assert_int_equal(found, 8); /* of a corner, itself included */
    assert_int_equal(volt_partition_neighbour(&p, 0, (int[]){2, 0, 2}), 20);
    assert_int_equal(volt_partition_neighbour(&p, 0, (int[]){3, 0, 0}), -1);
    volt_partition_clear(&p);
}

static void partition_says_what_can_be(void **state)
{
    const int64_t extent[3] = {64, 160, 96};
    volt_partition p = {{7, 7, 7}, {NULL}};

    (void)state;
    assert_fails(volt_partition_make(&p, extent, (int[]){1, 8, 1}, (int64_t[]){32, 32, 32}),
                 VOLT_EINVAL,
                 "160 voxels along y cannot be cut into 8 parts at multiples of 32, but into 5 "
                 "at most");
    assert_fails(volt_partition_make(&p, extent, (int[]){1, 1, 2}, (int64_t[]){32, 32, 128}),
                 VOLT_EINVAL, "96 voxels along x cannot be cut into 2 parts");
    assert_fails(
        volt_partition_make(&p, (int64_t[]){1, 96, 96}, (int[]){2, 1, 1}, (int64_t[]){1, 1, 1}),
        VOLT_EINVAL, "1 voxel along z cannot be cut into 2 parts");
    assert_fails(volt_partition_make(&p, extent, (int[]){0, 1, 1}, (int64_t[]){1, 1, 1}),
                 VOLT_EINVAL, "along z");
    assert_fails(volt_partition_make(&p, extent, (int[]){1, 1, 1}, (int64_t[]){1, 0, 1}),
                 VOLT_EINVAL, "along y");
    assert_fails(
        volt_partition_make(&p, (int64_t[]){1, 1, 0}, (int[]){1, 1, 1}, (int64_t[]){1, 1, 1}),
        VOLT_EINVAL, "along x");
    assert_fails(volt_partition_make(&p, (int64_t[]){1 << 20, 1 << 20, 1},
                                     (int[]){1 << 20, 1 << 20, 1}, (int64_t[]){1, 1, 1}),
                 VOLT_EINVAL, "parts");
    assert_int_equal(p.parts[0], 7); /* unchanged */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(partition_every_axis),       cmocka_unit_test(partition_known_cuts),
        cmocka_unit_test(partition_boxes_cover),      cmocka_unit_test(partition_neighbours),
        cmocka_unit_test(partition_says_what_can_be),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
