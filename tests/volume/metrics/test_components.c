#include "tests/kit/fixture.h"
#include "base/rng.h"
#include "volume/components.h"

static const int64_t fixture_n[3] = {21, 34, 29};

static volt_volume label_map(void *data, const int64_t n[3], volt_dtype dtype)
{
    return (volt_volume){volt_grid_make(n, 1, (const double[3]){1, 1, 1}), dtype, data};
}

/* Connectivity 6, 18 or 26 for kind 0, 1 or 2. */
static volt_components_options options_of(int kind, bool binary, int threads)
{
    static const int connectivity[] = {6, 18, 26};
    volt_components_options o = volt_components_defaults();

    o.connectivity = connectivity[kind];
    o.binary = binary;
    o.threads = threads;
    return o;
}

static int64_t largest_of(const volt_components *c)
{
    int64_t most = 0;

    for (int64_t i = 0; i < volt_components_count(c); i++)
        most = volt_components_table(c)[i].voxels > most ? volt_components_table(c)[i].voxels
                                                         : most;
    return most;
}

/* Counts and largest sizes agree with connected-components-3d. */
static void fixture_agrees_with_cc3d(void **state)
{
    uint8_t *noise = read_fixture("volume/masks_noise.u8", 21 * 34 * 29);
    const volt_volume labels = label_map(noise, fixture_n, VOLT_U8);

    (void)state;
    for (int i = 0; i < 6; i++) {
        const volt_components_options o = options_of(i / 2, i % 2 == 1, 2);
        volt_components *c;
        char name[32];
        double want[2];

        snprintf(name, sizeof name, "components_%d_%d", o.connectivity, o.binary);
        read_values(want, 2, "volume/masks_values.txt", name);
        assert_ok(volt_components_find(&c, &labels, &o));
        assert_int_equal(volt_components_count(c), want[0]);
        assert_int_equal(largest_of(c), want[1]);
        volt_components_free(c);
    }
    volt_free(noise);
}

typedef struct fill {
    const int32_t *v;
    int32_t *part;
    const int64_t *n;
    int reach; /* how many axes may change at once */
    bool binary;
} fill;

/* Spreads a number from one voxel by an explicit stack: slow and obvious. */
static void spread(fill *f, int64_t start, int32_t number, int64_t *stack)
{
    int64_t top = 0;

    stack[top++] = start;
    f->part[start] = number;
    while (top > 0) {
        const int64_t i = stack[--top], x = i % f->n[2], y = i / f->n[2] % f->n[1],
                      z = i / f->n[2] / f->n[1];
        for (int64_t d = 0; d < 27; d++) {
            const int64_t dz = d / 9 - 1, dy = d / 3 % 3 - 1, dx = d % 3 - 1;
            const int64_t j = ((z + dz) * f->n[1] + y + dy) * f->n[2] + x + dx;
            const bool inside = z + dz >= 0 && z + dz < f->n[0] && y + dy >= 0 &&
                                y + dy < f->n[1] && x + dx >= 0 && x + dx < f->n[2];

            if (!inside || llabs(dz) + llabs(dy) + llabs(dx) > f->reach || f->part[j] ||
                !f->v[j] || (!f->binary && f->v[j] != f->v[i]))
                continue;
            f->part[j] = number;
            stack[top++] = j;
        }
    }
}

static int32_t number_slowly(fill *f, int64_t voxels)
{
    int64_t *stack = malloc((size_t)voxels * sizeof *stack);
    int32_t count = 0;

    for (int64_t i = 0; i < voxels; i++) {
        if (f->v[i] && !f->part[i])
            spread(f, i, ++count, stack);
    }
    free(stack);
    return count;
}

static int64_t map_value(const volt_volume *map, int64_t i)
{
    return map->dtype == VOLT_U8    ? ((uint8_t *)map->data)[i]
           : map->dtype == VOLT_U16 ? ((uint16_t *)map->data)[i]
                                    : ((uint32_t *)map->data)[i];
}

static void compare_map(const volt_components *c, const fill *f, int32_t count, int threads)
{
    const int64_t voxels = f->n[0] * f->n[1] * f->n[2];
    volt_volume *map;
    int64_t sum = 0;

    assert_int_equal(volt_components_count(c), count);
    assert_ok(volt_components_map(&map, c, threads));
    for (int64_t i = 0; i < voxels; i++)
        assert_int_equal(map_value(map, i), f->part[i]);
    for (int32_t k = 0; k < count; k++) {
        const volt_component *p = &volt_components_table(c)[k];
        volt_box box = {{INT64_MAX, INT64_MAX, INT64_MAX}, {0, 0, 0}};
        int64_t size = 0;

        for (int64_t i = 0; i < voxels; i++) {
            const int64_t at[3] = {i / f->n[2] / f->n[1], i / f->n[2] % f->n[1], i % f->n[2]};

            if (f->part[i] != k + 1)
                continue;
            size++;
            box = volt_box_hull(
                box, (volt_box){{at[0], at[1], at[2]}, {at[0] + 1, at[1] + 1, at[2] + 1}});
            if (!f->binary)
                assert_int_equal(p->label, f->v[i]);
        }
        assert_int_equal(p->voxels, size);
        assert_memory_equal(&p->box, &box, sizeof box);
        sum += size;
    }
    assert_true(sum > 0);
    volt_volume_free(map);
}

/* Every voxel type, connectivity and thread count against the flood fill. */
static void random_maps_agree_with_flood_fill(void **state)
{
    static const int64_t shapes[][3] = {{5, 6, 21}, {1, 9, 16}, {7, 1, 8}, {11, 4, 1}};
    static const volt_dtype types[] = {VOLT_U8,  VOLT_I8,  VOLT_U16,
                                       VOLT_I16, VOLT_U32, VOLT_I32};
    volt_rng rng = volt_rng_open(3, 0, 0, VOLT_RNG_TEST);

    (void)state;
    for (int i = 0; i < 96; i++) {
        const int64_t *n = shapes[i % 4], voxels = n[0] * n[1] * n[2];
        const volt_dtype dtype = types[i % 6];
        const volt_components_options o = options_of(i % 3, i / 3 % 2 == 1, i % 7 + 1);
        int32_t v[1024] = {0}, part[1024] = {0};
        char data[4096];
        fill f = {v, part, n, o.connectivity == 6 ? 1 : o.connectivity == 18 ? 2 : 3, o.binary};
        const double density = 0.1 + 0.8 * volt_rng_uniform(&rng);
        volt_components *c;

        for (int64_t k = 0; k < voxels; k++) {
            if (volt_rng_uniform(&rng) < density)
                v[k] = dtype == VOLT_I8 || dtype == VOLT_I16 || dtype == VOLT_I32
                           ? -1 - (int32_t)volt_rng_below(&rng, 2)
                           : 100 + (int32_t)volt_rng_below(&rng, 2);
            memcpy(data + k * (int64_t)volt_dtype_bytes(dtype), &v[k], volt_dtype_bytes(dtype));
        }
        const volt_volume labels = label_map(data, n, dtype);
        assert_ok(volt_components_find(&c, &labels, &o));
        compare_map(c, &f, number_slowly(&f, voxels), o.threads);
        volt_components_free(c);
    }
}

static void only_what_is_kept_stays(void **state)
{
    /* two blobs of label 1 (sizes 3 and 2), one of label 2 (size 4) */
    uint16_t v[2 * 3 * 5] = {1, 1, 1, 0, 2, 0, 0, 0, 0, 2, 1, 1, 0, 0, 2, [29] = 2};
    const int64_t n[3] = {2, 3, 5};
    volt_volume labels = label_map(v, n, VOLT_U16);
    volt_components *c;

    (void)state;
    assert_ok(volt_components_find(&c, &labels, NULL));
    assert_int_equal(volt_components_count(c), 3);
    assert_int_equal(largest_of(c), 4);
    assert_ok(volt_components_keep(&labels, c, (const bool[]){true, false, false}, 2));
    for (int i = 0; i < 30; i++)
        assert_int_equal(v[i], i < 3);
    volt_components_free(c);
}

static void an_empty_map_has_no_components(void **state)
{
    uint8_t v[24] = {0};
    const int64_t n[3] = {2, 3, 4};
    const volt_volume labels = label_map(v, n, VOLT_U8);
    volt_components *c;
    volt_volume *map;

    (void)state;
    assert_ok(volt_components_find(&c, &labels, NULL));
    assert_int_equal(volt_components_count(c), 0);
    assert_ok(volt_components_map(&map, c, 0));
    assert_memory_equal(map->data, v, 24);
    volt_volume_free(map);
    volt_components_free(c);
}

static void wrong_maps_are_refused(void **state)
{
    float v[8] = {0};
    const int64_t n[3] = {2, 2, 2};
    volt_volume labels = label_map(v, n, VOLT_F32);
    volt_components_options o = volt_components_defaults();
    volt_components *c = NULL;

    (void)state;
    assert_fails(volt_components_find(&c, &labels, NULL), VOLT_EINVAL, "float32");
    labels.dtype = VOLT_U8;
    labels.grid.channels = 2;
    assert_fails(volt_components_find(&c, &labels, NULL), VOLT_EINVAL, "2 channels");
    labels.grid.channels = 1;
    o.connectivity = 8;
    assert_fails(volt_components_find(&c, &labels, &o), VOLT_EINVAL, "connectivity 8");
    o.size = 0;
    assert_fails(volt_components_find(&c, &labels, &o), VOLT_EINVAL, "start from its defaults");
    assert_null(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fixture_agrees_with_cc3d),
        cmocka_unit_test(random_maps_agree_with_flood_fill),
        cmocka_unit_test(only_what_is_kept_stays),
        cmocka_unit_test(an_empty_map_has_no_components),
        cmocka_unit_test(wrong_maps_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
