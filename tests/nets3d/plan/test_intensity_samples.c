/* Samples of the foreground's intensities and their statistics, bit-identical to nnU-Net's and
 * numpy's (testdata/scripts/make_fingerprint.py).
 */
#include "tests/kit/test.h"
#include "base/core/alloc.h"
#include "io/json/json.h"
#include "nets3d/plan/intensity_samples.h"

#define SET VOLT_TESTDATA "/fingerprint/set"

enum { CASES = 4 };
static const int64_t sizes[CASES] = {5000, 37, 1, 70001};

/* Whole numbers in channel 0, multiples of 1/8 beyond 16 bits in channel 1. */
static float *made_up(int64_t which, int channel)
{
    float *v = NULL;

    assert_ok(volt_alloc(&v, (size_t)sizes[which] * sizeof *v, "values"));
    for (int64_t i = 0; i < sizes[which]; i++) {
        uint32_t n = (uint32_t)i * 2654435761u + (uint32_t)(977 * which + 31 * channel);
        n = (n >> 8) % (1u << 20);
        v[i] = channel == 0 ? (float)(n % 3001) - 1000 : (float)n / 8;
    }
    return v;
}

static void make_cases(volt_intensity_samples cases[CASES], int64_t draws, bool empty)
{
    for (int64_t i = 0; i < CASES; i++) {
        volt_mersenne random;
        cases[i] = (volt_intensity_samples){0};
        if (empty && i == 1)
            continue;
        assert_ok(volt_intensity_samples_begin(&cases[i], &random, 2, sizes[i], draws));
        for (int c = 0; c < 2; c++) {
            float *values = made_up(i, c);
            assert_ok(volt_intensity_samples_add(&cases[i], &random, c, values, draws));
            volt_free(values);
        }
    }
}

static void assert_numbers(const volt_foreground_stats *s, const json_t *numbers)
{
    const struct {
        const char *key;
        double value;
    } rows[] = {{"mean", s->mean},
                {"std", s->std},
                {"median", s->median},
                {"min", s->min},
                {"max", s->max},
                {"percentile_00_5", s->percentile_00_5},
                {"percentile_99_5", s->percentile_99_5}};

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const json_t *n = json_object_get(numbers, rows[i].key);
        assert_true(json_is_real(n));
        if (rows[i].value != json_real_value(n))
            fail_msg("%s is %.17g, nnU-Net's %.17g", rows[i].key, rows[i].value,
                     json_real_value(n));
    }
}

static void statistics_are_numpys(void **state)
{
    volt_json doc = {0};

    (void)state;
    assert_ok(volt_json_load(&doc, VOLT_TESTDATA "/fingerprint/draws.json"));
    assert_int_equal(json_array_size(doc.root), 10);
    for (size_t row = 0; row < 10; row++) {
        const json_t *r = json_array_get(doc.root, row),
                     *channels = json_object_get(r, "channels");
        const int64_t draws = json_integer_value(json_object_get(r, "draws"));
        volt_intensity_samples cases[CASES];
        volt_foreground_stats one[2], many[2];
        make_cases(cases, draws, json_is_true(json_object_get(r, "empty")));
        assert_ok(volt_intensity_stats(one, cases, CASES, 2, draws, 1));
        assert_ok(volt_intensity_stats(many, cases, CASES, 2, draws, 3));
        assert_memory_equal(one, many, sizeof one);
        for (size_t c = 0; c < 2; c++)
            assert_numbers(&one[c], json_array_get(channels, c));
        for (int i = 0; i < CASES; i++)
            volt_intensity_samples_clear(&cases[i]);
    }
    volt_json_close(&doc);
}

static void whole_numbers_are_kept_in_two_bytes(void **state)
{
    volt_intensity_samples cases[CASES];

    (void)state;
    make_cases(cases, 1003, false);
    for (int i = 0; i < CASES; i++) {
        assert_non_null(cases[i].channel[0].code);
        assert_int_equal(cases[i].count, sizes[i] < 1003 ? sizes[i] : 1003);
        assert_true(i == 2 || cases[i].channel[1].value); /* one value alone may be whole */
        volt_intensity_samples_clear(&cases[i]);
    }
}

static void every_failed_allocation_is_reported(void **state)
{
    volt_intensity_samples cases[CASES];
    volt_foreground_stats s[2];
    volt_status st = VOLT_ENOMEM;

    (void)state;
    make_cases(cases, 1003, false);
    for (int n = 1; st != VOLT_OK; n++) {
        volt_mem_fail_after(n);
        st = volt_intensity_stats(s, cases, CASES, 2, 1003, 1);
        volt_mem_fail_after(0);
        assert_true(st == VOLT_OK || st == VOLT_ENOMEM);
        assert_true(n < 100);
    }
    for (int i = 0; i < CASES; i++)
        volt_intensity_samples_clear(&cases[i]);
}

static void a_data_set_has_nnunets_fingerprint(void **state)
{
    volt_dataset *ds = NULL;
    volt_fingerprint fp = {0}, golden = {0};

    (void)state;
    assert_ok(volt_dataset_open(&ds, SET, NULL));
    assert_ok(volt_fingerprint_extract(&fp, ds, 0, NULL));
    assert_ok(volt_fingerprint_read(&golden, SET "/dataset_fingerprint.json"));
    assert_int_equal(golden.cases, 3);
    assert_int_equal(golden.channels, 2);
    assert_int_equal(fp.cases, golden.cases);
    assert_int_equal(fp.channels, golden.channels);
    assert_memory_equal(fp.shapes_after_crop, golden.shapes_after_crop,
                        3 * sizeof *fp.shapes_after_crop);
    for (int i = 0; i < 9; i++)
        assert_true(fabs(fp.spacings[i / 3][i % 3] - golden.spacings[i / 3][i % 3]) < 1e-6);
    assert_true(fp.median_relative_size_after_cropping ==
                golden.median_relative_size_after_cropping);
    assert_memory_equal(fp.intensities, golden.intensities, 2 * sizeof *fp.intensities);
    volt_fingerprint_clear(&golden);
    volt_fingerprint_clear(&fp);
    volt_dataset_close(ds);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statistics_are_numpys),
        cmocka_unit_test(whole_numbers_are_kept_in_two_bytes),
        cmocka_unit_test(every_failed_allocation_is_reported),
        cmocka_unit_test(a_data_set_has_nnunets_fingerprint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
