#include <unistd.h>
#include "tests/volume/fixture.h"
#include "io/json.h"
#include "io/summary.h"

static const int32_t one[] = {1}, two[] = {2}, one_three[] = {1, 3}, four[] = {4}, five[] = {5},
                     six[] = {6};
static const volt_region regions[6] = {{"1", one, 1},  {"2", two, 1},  {"(1, 3)", one_three, 2},
                                       {"4", four, 1}, {"5", five, 1}, {"6", six, 1}};

static volt_summary *summary_of_fixture(bool surface)
{
    const int64_t n[3] = {21, 34, 29};
    const volt_grid grid = volt_grid_make(n, 1, (const double[3]){1, 1, 1});
    volt_volume pred = {grid, VOLT_U8, read_fixture("volume/masks_pred.u8", 21 * 34 * 29)};
    volt_volume ref = {grid, VOLT_U8, read_fixture("volume/masks_ref.u8", 21 * 34 * 29)};
    volt_metrics_options o = volt_metrics_defaults();
    volt_metrics m[6];
    volt_summary *s;

    o.surface = surface;
    assert_ok(volt_summary_create(&s, regions, 6, surface));
    assert_ok(volt_metrics_evaluate(m, &pred, &ref, regions, 6, &o));
    assert_ok(volt_summary_add(s, "p/a.u8", "r/a.u8", m));
    assert_ok(volt_metrics_evaluate(m, &ref, &pred, regions, 6, &o));
    assert_ok(volt_summary_add(s, "p/b\"null.u8", "r/b\"null.u8", m));
    volt_summary_finish(s);
    volt_free(ref.data);
    volt_free(pred.data);
    return s;
}

/* Byte for byte what nnU-Net wrote for the same masks. */
static void summary_equals_nnunet_s(void **state)
{
    char *want = read_fixture("volume/summary.json", 0), *got;
    volt_summary *s = summary_of_fixture(false);
    size_t bytes;

    (void)state;
    assert_ok(volt_summary_write("summary_test.json", s));
    assert_ok(volt_read_file(&got, &bytes, "summary_test.json", 1 << 20));
    assert_string_equal(got, want);
    unlink("summary_test.json");
    volt_free(got);
    volt_free(want);
    volt_summary_free(s);
}

static void surface_scores_are_added_when_computed(void **state)
{
    volt_summary *s = summary_of_fixture(true);
    char *got;
    size_t bytes;

    (void)state;
    assert_ok(volt_summary_write("summary_test.json", s));
    assert_ok(volt_read_file(&got, &bytes, "summary_test.json", 1 << 20));
    assert_non_null(strstr(got, "\"HD95\": "));
    assert_non_null(strstr(got, "\"ASSD\": NaN,\n"));
    assert_null(strstr(got, "null\n"));
    assert_null(strstr(got, "null,\n"));
    unlink("summary_test.json");
    volt_free(got);
    volt_summary_free(s);
}

static void an_unwritable_place_is_named(void **state)
{
    volt_summary *s = summary_of_fixture(false);

    (void)state;
    assert_fails(volt_summary_write("/nowhere/at/all/summary.json", s), VOLT_EIO,
                 "/nowhere/at/all");
    volt_summary_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(summary_equals_nnunet_s),
        cmocka_unit_test(surface_scores_are_added_when_computed),
        cmocka_unit_test(an_unwritable_place_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
