#include "tests/kit/fixture.h"
#include "volume/metrics/lesions.h"

static const double cube[3] = {1, 1, 1}, flat[3] = {2, 0.8, 0.7};

/* Counts to the lesion, scores to rounding, against each lesion scored on its own. */
static void scores_agree_with_the_slow_way(void **state)
{
    const size_t voxels = 30 * 32 * 28;
    uint8_t *pred = read_fixture("volume/lesions_pred.u8", voxels);
    uint8_t *ref = read_fixture("volume/lesions_ref.u8", voxels);
    const struct {
        int dilation;
        double min_mm3;
    } rules[] = {{3, 50}, {1, 50}, {1, 2}, {0, 0}};
    int compared = 0;

    (void)state;
    for (int i = 0; i < 8; i++) {
        const volt_lesion_rule o = {rules[i / 2].dilation, rules[i / 2].min_mm3, 374};
        volt_lesion_masks m = {pred, ref, {30, 32, 28}, {0}};
        volt_lesion_scores s;
        double want[6];
        char name[32];

        memcpy(m.spacing, i % 2 ? flat : cube, sizeof m.spacing);
        snprintf(name, sizeof name, "%d_%g_%s", o.dilation, o.min_mm3, i % 2 ? "flat" : "cube");
        read_values(want, 6, "volume/lesions_values.txt", name);
        for (int threads = 1; threads < 4; threads++) {
            assert_ok(volt_lesions_score(&s, &m, &o, true, threads));
            assert_int_equal(s.tp, want[0]);
            assert_int_equal(s.fp, want[1]);
            assert_int_equal(s.fn, want[2]);
            assert_true(fabs(s.dice - want[3]) < 1e-12);
            assert_true(fabs(s.f1 - want[4]) < 1e-12);
            assert_true(fabs(s.hd95_mm - want[5]) < 1e-9);
            compared++;
        }
        assert_ok(volt_lesions_score(&s, &m, &o, false, 1));
        assert_true(isnan(s.hd95_mm) && fabs(s.dice - want[3]) < 1e-12);
    }
    assert_int_equal(compared, 24);
    volt_free(ref);
    volt_free(pred);
}

static volt_lesion_scores score_row(const char *pred, const char *ref, int dilation,
                                    double min_mm3)
{
    const volt_lesion_rule o = {dilation, min_mm3, 374};
    volt_lesion_masks m = {NULL, NULL, {1, 1, (int64_t)strlen(ref)}, {1, 1, 1}};
    uint8_t p[64], r[64];
    volt_lesion_scores s;

    for (size_t i = 0; i < strlen(ref); i++) {
        p[i] = pred[i] == 'x';
        r[i] = ref[i] == 'x';
    }
    m.pred = p;
    m.ref = r;
    assert_ok(volt_lesions_score(&s, &m, &o, true, 1));
    return s;
}

static void nothing_there_and_nothing_found_is_perfect(void **state)
{
    const volt_lesion_scores s = score_row("......", "......", 3, 50);

    (void)state;
    assert_true(s.dice == 1 && s.f1 == 1 && s.hd95_mm == 0);
    assert_int_equal(s.tp + s.fp + s.fn, 0);
}

static void missed_and_invented_lesions_are_penalized(void **state)
{
    volt_lesion_scores s = score_row("xx........", "........xx", 1, 0);

    (void)state;
    assert_int_equal(s.fp, 1);
    assert_int_equal(s.fn, 1);
    assert_true(s.dice == 0 && s.f1 == 0 && s.hd95_mm == 374);
    s = score_row("xx......xx", "........xx", 1, 0);
    assert_true(s.dice == 0.5 && s.hd95_mm == 187);
    assert_true(fabs(s.f1 - 2.0 / 3) < 1e-15);
}

/* Lesions two voxels apart meet when both grow by one; a prediction beside a lesion counts. */
static void dilation_joins_and_matches(void **state)
{
    volt_lesion_scores s = score_row("x.....", "x..x..", 1, 0);

    (void)state;
    assert_int_equal(s.tp, 1);
    assert_int_equal(s.fn, 0);
    s = score_row("x.....", "x..x..", 0, 0);
    assert_int_equal(s.tp, 1);
    assert_int_equal(s.fn, 1);
    s = score_row(".x....", "x.....", 1, 0);
    assert_int_equal(s.tp, 1);
    assert_int_equal(s.fp, 0);
    assert_true(s.dice == 0 && s.hd95_mm == 1);
}

/* A small lesion does not count, but what was predicted there is no invention. */
static void small_lesions_do_not_count(void **state)
{
    const volt_lesion_scores s = score_row("xx....xxx", "xx....xxx", 1, 2);

    (void)state;
    assert_int_equal(s.tp, 1);
    assert_int_equal(s.fp + s.fn, 0);
    assert_true(s.dice == 1);
}

static void impossible_options_are_refused(void **state)
{
    const volt_lesion_masks m = {
        (const uint8_t *)"", (const uint8_t *)"", {1, 1, 1}, {1, 1, 1}};
    volt_lesion_scores s = {.tp = 77};

    (void)state;
    assert_fails(volt_lesions_score(&s, &m, &(volt_lesion_rule){-1, 0, 0}, true, 1),
                 VOLT_EINVAL, "-1 voxels");
    assert_fails(volt_lesions_score(&s, &m, &(volt_lesion_rule){1, NAN, 0}, true, 1),
                 VOLT_EINVAL, "smallest volume");
    assert_int_equal(s.tp, 77);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scores_agree_with_the_slow_way),
        cmocka_unit_test(nothing_there_and_nothing_found_is_perfect),
        cmocka_unit_test(missed_and_invented_lesions_are_penalized),
        cmocka_unit_test(dilation_joins_and_matches),
        cmocka_unit_test(small_lesions_do_not_count),
        cmocka_unit_test(impossible_options_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
