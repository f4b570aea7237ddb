#include <unistd.h>
#include "tests/kit/fixture.h"
#include "io/json/json.h"
#include "io/nnunet_summary.h"

static const int32_t one[] = {1}, two[] = {2}, one_three[] = {1, 3}, four[] = {4}, five[] = {5},
                     six[] = {6};
static const volt_region regions[6] = {
    {"1", one, 1, false},  {"2", two, 1, false},  {"1 or 3", one_three, 2, false},
    {"4", four, 1, false}, {"5", five, 1, false}, {"6", six, 1, false}};

static volt_summary *summary_of_fixture(void)
{
    const int64_t n[3] = {21, 34, 29};
    const volt_grid grid = volt_grid_make(n, 1, (const double[3]){1, 1, 1});
    volt_volume pred = {grid, VOLT_U8, read_fixture("volume/masks_pred.u8", 21 * 34 * 29)};
    volt_volume ref = {grid, VOLT_U8, read_fixture("volume/masks_ref.u8", 21 * 34 * 29)};
    const volt_metrics_options o = volt_metrics_defaults();
    volt_metrics m[6];
    volt_summary *s;

    assert_ok(volt_summary_create(&s, regions, 6, &o));
    assert_ok(volt_metrics_evaluate(m, &pred, &ref, regions, 6, &o));
    assert_ok(volt_summary_add(s, "p/a.u8", "r/a.u8", m));
    assert_ok(volt_metrics_evaluate(m, &ref, &pred, regions, 6, &o));
    assert_ok(volt_summary_add(s, "p/b\"null.u8", "r/b\"null.u8", m));
    volt_summary_finish(s);
    volt_free(ref.data);
    volt_free(pred.data);
    return s;
}

/* The first `cases` of many.u8, with the ignore label 11. */
static volt_summary *summary_of_many(int cases, const volt_region *classes, int count)
{
    enum { VOXELS = 3 * 4 * 5, ALL = 150 };
    const volt_grid grid =
        volt_grid_make((const int64_t[3]){3, 4, 5}, 1, (const double[3]){1, 1, 1});
    uint8_t *many = read_fixture("volume/many.u8", (size_t)ALL * 2 * VOXELS);
    volt_metrics_options o = volt_metrics_defaults();
    volt_metrics m[10];
    volt_summary *s;

    o.has_ignore_label = true;
    o.ignore_label = 11;
    assert_ok(volt_summary_create(&s, classes, count, &o));
    for (int i = 0; i < cases; i++) {
        const volt_volume pred = {grid, VOLT_U8, many + 2 * i * VOXELS};
        const volt_volume ref = {grid, VOLT_U8, many + (2 * i + 1) * VOXELS};
        char p[16], r[16];

        snprintf(p, sizeof p, "p/c%03d.u8", i);
        snprintf(r, sizeof r, "r/c%03d.u8", i);
        assert_ok(volt_metrics_evaluate(m, &pred, &ref, classes, count, &o));
        assert_ok(volt_summary_add(s, p, r, m));
    }
    volt_summary_finish(s);
    volt_free(many);
    return s;
}

/* Byte for byte what nnU-Net wrote for the same masks. Frees `s`. */
static void assert_written_as(volt_summary *s, const char *fixture)
{
    char *want = read_fixture(fixture, 0), *got;
    size_t bytes;

    assert_ok(volt_summary_write("summary_test.json", s));
    assert_ok(volt_read_file(&got, &bytes, "summary_test.json", 1 << 20));
    assert_string_equal(got, want);
    unlink("summary_test.json");
    volt_free(got);
    volt_free(want);
    volt_summary_free(s);
}

static void summary_equals_nnunet_s(void **state)
{
    (void)state;
    assert_written_as(summary_of_fixture(), "volume/summary.json");
}

/* Ten classes and an ignore label: sums of eight or more numbers are taken pairwise. */
static void an_ignore_label_is_left_out_as_nnunet_does(void **state)
{
    int32_t value[10];
    volt_region classes[10];

    (void)state;
    for (int i = 0; i < 10; i++) {
        value[i] = i + 1;
        classes[i] = (volt_region){"class", &value[i], 1, false};
    }
    assert_written_as(summary_of_many(12, classes, 10), "volume/summary_ignore.json");
}

/* 150 cases: numpy splits sums of more than 128 numbers. */
static void regions_are_named_as_nnunet_does(void **state)
{
    static const int32_t whole[] = {1, 2, 3}, three[] = {3};
    const volt_region classes[2] = {{"whole", whole, 3, true}, {"enhancing", three, 1, true}};

    (void)state;
    assert_written_as(summary_of_many(150, classes, 2), "volume/summary_regions.json");
}

static void an_unwritable_place_is_named(void **state)
{
    volt_summary *s = summary_of_fixture();

    (void)state;
    assert_fails(volt_summary_write("/nowhere/at/all/summary.json", s), VOLT_EIO,
                 "/nowhere/at/all");
    volt_summary_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(summary_equals_nnunet_s),
        cmocka_unit_test(an_ignore_label_is_left_out_as_nnunet_does),
        cmocka_unit_test(regions_are_named_as_nnunet_does),
        cmocka_unit_test(an_unwritable_place_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
