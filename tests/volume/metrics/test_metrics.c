#include "tests/kit/fixture.h"
#include "base/core/alloc.h"
#include "base/rng.h"
#include "volume/metrics.h"

#define VALUES "volume/masks_values.txt"

static const int64_t fixture_n[3] = {21, 34, 29};
static const double fixture_spacing[3] = {2.0, 0.8, 0.7};
static const int32_t one[] = {1}, two[] = {2}, three[] = {3}, one_three[] = {3, 1},
                     four[] = {4}, five[] = {5}, six[] = {6};
static const volt_region regions[7] = {{"1", one, 1, false},   {"2", two, 1, false},
                                       {"3", three, 1, false}, {"13", one_three, 2, false},
                                       {"4", four, 1, false},  {"5", five, 1, false},
                                       {"6", six, 1, false}};

static volt_volume label_map(void *data, const int64_t n[3], volt_dtype dtype)
{
    return (volt_volume){volt_grid_make(n, 1, fixture_spacing), dtype, data};
}

static void near(double got, double want, const char *what)
{
    if (isnan(want)   ? !isnan(got)
        : isinf(want) ? got != want
                      : !(fabs(got - want) <= 1e-6 * fmax(1, fabs(want))))
        fail_msg("%s: %.9g instead of %.9g", what, got, want);
}

static void evaluate_fixture(volt_metrics out[7], volt_empty_policy policy)
{
    uint8_t *pred = read_fixture("volume/masks_pred.u8", 21 * 34 * 29);
    uint8_t *ref = read_fixture("volume/masks_ref.u8", 21 * 34 * 29);
    const volt_volume p = label_map(pred, fixture_n, VOLT_U8),
                      r = label_map(ref, fixture_n, VOLT_U8);
    volt_metrics_options o = volt_metrics_defaults();

    o.policy = policy;
    o.nsd_tolerance_mm = 1.6;
    o.threads = 2;
    assert_ok(volt_metrics_evaluate(out, &p, &r, regions, 7, &o));
    volt_free(ref);
    volt_free(pred);
}

/* Counts to the voxel, metrics within 1e-6. MONAI takes the rank of the percentile in single
 * precision, which shifts it by up to 1e-5; against numpy's double it holds to 1e-6. */
static void metrics_agree_with_monai_and_simpleitk(void **state)
{
    volt_metrics m[7];

    (void)state;
    evaluate_fixture(m, VOLT_EMPTY_MONAI);
    for (int i = 0; i < 7; i++) {
        double counts[4], monai[6], itk[3];
        char name[32];

        snprintf(name, sizeof name, "counts_%s", regions[i].name);
        read_values(counts, 4, VALUES, name);
        assert_int_equal(m[i].tp, counts[0]);
        assert_int_equal(m[i].fp, counts[1]);
        assert_int_equal(m[i].fn, counts[2]);
        assert_int_equal(m[i].tn, counts[3]);
        snprintf(name, sizeof name, "monai_%s", regions[i].name);
        read_values(monai, 6, VALUES, name);
        near(m[i].dice, monai[0], name);
        near(m[i].iou, monai[1], name);
        near(m[i].hd_mm, monai[2], name);
        if (isinf(monai[2])) /* MONAI: NaN; here like the other distances */
            assert_true(isnan(monai[3]) && isinf(m[i].hd95_mm));
        else
            assert_true(isnan(monai[3]) ? isnan(m[i].hd95_mm)
                                        : fabs(m[i].hd95_mm - monai[3]) < 1e-5);
        near(m[i].assd_mm, monai[4], name);
        near(m[i].nsd, monai[5], name);
        if (m[i].n_pred == 0 || m[i].n_ref == 0)
            continue;
        snprintf(name, sizeof name, "itk_%s", regions[i].name);
        read_values(itk, 3, VALUES, name);
        near(m[i].dice, itk[0], name);
        near(m[i].iou, itk[1], name);
        near(m[i].volume_similarity, itk[2], name);
        snprintf(name, sizeof name, "hd95_%s", regions[i].name);
        read_values(itk, 1, VALUES, name);
        near(m[i].hd95_mm, itk[0], name);
    }
}

static void empty_masks_follow_the_policy(void **state)
{
    const double diagonal = sqrt(pow(21 * 2.0, 2) + pow(34 * 0.8, 2) + pow(29 * 0.7, 2));
    const struct {
        volt_empty_policy policy;
        int region; /* 4: both empty, 5: truth empty, 6: prediction empty */
        double dice, iou, hd, hd95, assd, nsd;
    } rows[] = {
        {VOLT_EMPTY_NNUNET, 4, NAN, NAN, NAN, NAN, NAN, NAN},
        {VOLT_EMPTY_NNUNET, 5, 0, 0, NAN, NAN, NAN, 0},
        {VOLT_EMPTY_NNUNET, 6, 0, 0, NAN, NAN, NAN, 0},
        {VOLT_EMPTY_MONAI, 4, NAN, NAN, NAN, NAN, NAN, NAN},
        {VOLT_EMPTY_MONAI, 5, NAN, NAN, INFINITY, INFINITY, INFINITY, 0},
        {VOLT_EMPTY_MONAI, 6, 0, 0, INFINITY, INFINITY, INFINITY, 0},
        {VOLT_EMPTY_BRATS, 4, 1, 1, 0, 0, 0, 1},
        {VOLT_EMPTY_BRATS, 5, 0, 0, diagonal, diagonal, diagonal, 0},
        {VOLT_EMPTY_BRATS, 6, 0, 0, diagonal, diagonal, diagonal, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        volt_metrics m[7];
        const volt_metrics *r = &m[rows[i].region];

        evaluate_fixture(m, rows[i].policy);
        near(r->dice, rows[i].dice, "Dice");
        near(r->iou, rows[i].iou, "IoU");
        near(r->hd_mm, rows[i].hd, "HD");
        near(r->hd95_mm, rows[i].hd95, "HD95");
        near(r->assd_mm, rows[i].assd, "ASSD");
        near(r->nsd, rows[i].nsd, "NSD");
        near(m[0].dice, 0.75421552205471798, "Dice of a class that is there");
    }
}

/* The BraTS grid's diagonal is the challenge's penalty, 373.1287. */
static void brats_penalty_is_the_diagonal_of_its_grid(void **state)
{
    const int64_t n[3] = {155, 240, 240};
    uint8_t *zero;
    volt_metrics m;
    volt_metrics_options o = volt_metrics_defaults();

    (void)state;
    assert_ok(volt_alloc_zero(&zero, 2 * 155 * 240 * 240, 1, "maps"));
    volt_volume p = label_map(zero, n, VOLT_U8),
                r = label_map(zero + 155 * 240 * 240, n, VOLT_U8);
    p.grid = r.grid = volt_grid_make(n, 1, (const double[3]){1, 1, 1});
    zero[0] = 1;
    o.policy = VOLT_EMPTY_BRATS;
    assert_ok(volt_metrics_evaluate(&m, &p, &r, regions, 1, &o));
    assert_true(fabs(m.hd95_mm - 373.1287) < 1e-4);
    volt_free(zero);
}

static void thread_counts_and_types_change_nothing(void **state)
{
    uint8_t *p8 = read_fixture("volume/masks_pred.u8", 21 * 34 * 29);
    uint8_t *r8 = read_fixture("volume/masks_ref.u8", 21 * 34 * 29);
    int32_t *r32;
    volt_metrics first[7], other[7];
    volt_metrics_options o = volt_metrics_defaults();

    (void)state;
    assert_ok(volt_alloc(&r32, 21 * 34 * 29 * 4, "labels"));
    for (int i = 0; i < 21 * 34 * 29; i++)
        r32[i] = r8[i];
    const volt_volume p = label_map(p8, fixture_n, VOLT_I8),
                      r = label_map(r8, fixture_n, VOLT_U8),
                      wide = label_map(r32, fixture_n, VOLT_I32);
    o.policy = VOLT_EMPTY_BRATS;
    o.threads = 1;
    assert_ok(volt_metrics_evaluate(first, &p, &r, regions, 4, &o));
    for (o.threads = 2; o.threads < 6; o.threads++) {
        assert_ok(volt_metrics_evaluate(other, &p, &wide, regions, 4, &o));
        assert_memory_equal(first, other, 4 * sizeof *first);
    }
    volt_free(r32);
    volt_free(r8);
    volt_free(p8);
}

static void ignored_voxels_do_not_count(void **state)
{
    const int64_t n[3] = {1, 1, 8};
    uint8_t pred[8] = {1, 1, 0, 0, 1, 1, 0, 0}, ref[8] = {1, 0, 1, 0, 9, 9, 9, 9};
    const volt_volume p = label_map(pred, n, VOLT_U8), r = label_map(ref, n, VOLT_U8);
    volt_metrics_options o = volt_metrics_defaults();
    volt_metrics m;

    (void)state;
    o.has_ignore_label = true;
    o.ignore_label = 9;
    assert_ok(volt_metrics_evaluate(&m, &p, &r, regions, 1, &o));
    assert_int_equal(m.tp, 1);
    assert_int_equal(m.fp, 1);
    assert_int_equal(m.fn, 1);
    assert_int_equal(m.tn, 1);
    assert_true(fabs(m.hd_mm - 0.7) <
                1e-12); /* 0,1 against 0,2: the ignored 4,5 would be 1.4 */
}

/* 0.8 mm is within a tolerance of 0.8 mm although neither is exact in binary. */
static void tolerance_includes_its_own_distance(void **state)
{
    const int64_t n[3] = {1, 4, 1};
    uint8_t pred[4] = {0, 1, 0, 0}, ref[4] = {0, 0, 1, 0};
    const volt_volume p = label_map(pred, n, VOLT_U8), r = label_map(ref, n, VOLT_U8);
    volt_metrics_options o = volt_metrics_defaults();
    volt_metrics m;

    (void)state;
    o.nsd_tolerance_mm = 0.8;
    assert_ok(volt_metrics_evaluate(&m, &p, &r, regions, 1, &o));
    assert_true(m.nsd == 1);
    o.nsd_tolerance_mm = 0.79;
    assert_ok(volt_metrics_evaluate(&m, &p, &r, regions, 1, &o));
    assert_true(m.nsd == 0);
}

static void wrong_pairs_are_not_scored(void **state)
{
    const int64_t n[3] = {1, 2, 4}, m[3] = {1, 4, 2};
    uint8_t v[8] = {0};
    const volt_volume a = label_map(v, n, VOLT_U8), b = label_map(v, m, VOLT_U8);
    const volt_volume f = label_map(v, n, VOLT_F32);
    volt_metrics out;
    volt_metrics_options o = volt_metrics_defaults();

    (void)state;
    assert_fails(volt_metrics_evaluate(&out, &a, &b, regions, 1, NULL), VOLT_EDATA,
                 "4 x 2 x 1");
    assert_fails(volt_metrics_evaluate(&out, &a, &f, regions, 1, NULL), VOLT_EINVAL, "float32");
    assert_fails(volt_metrics_evaluate(&out, &a, &a, regions, 0, NULL), VOLT_EINVAL,
                 "no class");
    assert_fails(
        volt_metrics_evaluate(&out, &a, &a, &(volt_region){"x", NULL, 0, false}, 1, NULL),
        VOLT_EINVAL, "'x' has no labels");
    o.nsd_tolerance_mm = NAN;
    assert_fails(volt_metrics_evaluate(&out, &a, &a, regions, 1, &o), VOLT_EINVAL, "tolerance");
    assert_fails(volt_empty_policy_parse(&o.policy, "zero"), VOLT_EINVAL, "'zero'");
    assert_ok(volt_empty_policy_parse(&o.policy, "brats"));
    assert_int_equal(o.policy, VOLT_EMPTY_BRATS);
}

static volt_summary *summary_of(const volt_metrics *cases, int count)
{
    static const int32_t zero[] = {0};
    const volt_region classes[3] = {
        {"0", zero, 1, false}, {"1", one, 1, false}, {"2", two, 1, false}};
    volt_metrics_options o = volt_metrics_defaults();
    volt_summary *s;

    o.surface = false;
    assert_ok(volt_summary_create(&s, classes, 3, &o));
    for (int i = 0; i < count; i++)
        assert_ok(volt_summary_add(s, "p", "r", cases + 3 * i));
    volt_summary_finish(s);
    return s;
}

/* nnU-Net: means over cases leave NaN out, the mean over classes does not. */
static void summary_means_follow_nnunet(void **state)
{
    volt_metrics cases[60];
    volt_summary *s;

    (void)state;
    for (int i = 0; i < 20; i++) {
        cases[3 * i] = (volt_metrics){.dice = 1};
        cases[3 * i + 1] =
            i % 2 ? (volt_metrics){.dice = NAN, .tp = 1} : (volt_metrics){.dice = 0.5, .tp = 4};
        cases[3 * i + 2] = (volt_metrics){.dice = NAN};
    }
    s = summary_of(cases, 20);
    assert_true(s->mean[0][VOLT_SCORE_DICE] == 1);
    assert_true(s->mean[1][VOLT_SCORE_DICE] == 0.5);
    assert_true(s->mean[1][VOLT_SCORE_TP] == 2.5);
    assert_true(isnan(s->mean[2][VOLT_SCORE_DICE]));
    assert_int_equal(s->undefined[1][VOLT_SCORE_DICE], 10);
    assert_true(isnan(s->foreground_mean[VOLT_SCORE_DICE]));
    assert_true(s->foreground_mean[VOLT_SCORE_TP] == 1.25);
    assert_string_equal(s->region_keys[2], "2");
    volt_summary_free(s);
}

static void the_worst_case_comes_first(void **state)
{
    const double dice[5][2] = {{0.5, 0.7}, {NAN, NAN}, {0.1, NAN}, {0.9, 0.9}, {0.6, 0.6}};
    const int64_t want[5] = {2, 0, 4, 3, 1};
    volt_metrics cases[15] = {{.dice = 0}};
    int64_t order[5];
    volt_summary *s;

    (void)state;
    for (int i = 0; i < 10; i++)
        cases[3 * (i / 2) + 1 + i % 2].dice = dice[i / 2][i % 2];
    s = summary_of(cases, 5);
    assert_ok(volt_summary_worst_first(order, s));
    assert_memory_equal(order, want, sizeof want);
    assert_true(isnan(volt_summary_case_mean(s, 1, VOLT_SCORE_DICE)));
    volt_summary_free(s);
}

/* The bootstrap's spread of a mean is that of the central limit theorem. */
static void intervals_hold_the_mean_and_have_its_spread(void **state)
{
    enum { CASES = 200 };
    static volt_metrics cases[3 * CASES];
    volt_rng rng = volt_rng_open(8, 0, 0, VOLT_RNG_TEST);
    volt_summary *s, *again;
    volt_interval i, all;
    double sum = 0, squares = 0, mean, half;

    (void)state;
    for (int k = 0; k < CASES; k++) {
        const double v = volt_rng_uniform(&rng);

        cases[3 * k + 1].dice = v;
        cases[3 * k + 2].dice = k % 2 ? NAN : 0.25;
        sum += v;
        squares += v * v;
    }
    mean = sum / CASES;
    half = 1.959964 * sqrt((squares / CASES - mean * mean) / CASES);
    s = summary_of(cases, CASES);
    again = summary_of(cases, CASES);
    assert_fails(volt_summary_bootstrap(s, 1, 0, 1), VOLT_EINVAL, "1 resample;");
    assert_ok(volt_summary_bootstrap(s, 4000, 5, 1));
    i = s->interval[1][VOLT_SCORE_DICE];
    all = s->foreground_interval[VOLT_SCORE_DICE];
    assert_true(fabs(i.low - (mean - half)) < 0.1 * half);
    assert_true(fabs(i.high - (mean + half)) < 0.1 * half);
    assert_true(s->interval[2][VOLT_SCORE_DICE].low == 0.25);
    assert_true(fabs(all.low - (i.low + 0.25) / 2) < 1e-12);
    for (int threads = 2; threads < 4; threads++) {
        assert_ok(volt_summary_bootstrap(again, 4000, 5, threads));
        assert_memory_equal(s->interval, again->interval, 3 * sizeof *s->interval);
    }
    assert_ok(volt_summary_bootstrap(again, 4000, 6, 1));
    assert_true(again->interval[1][VOLT_SCORE_DICE].low != i.low);
    volt_summary_free(again);
    volt_summary_free(s);
}

/* A mean that no case has no interval either. */
static void undefined_means_have_no_interval(void **state)
{
    const volt_metrics cases[6] = {{.dice = 1}, {.dice = 0.5}, {.dice = NAN},
                                   {.dice = 1}, {.dice = NAN}, {.dice = NAN}};
    volt_summary *s = summary_of(cases, 2);

    (void)state;
    assert_ok(volt_summary_bootstrap(s, 50, 0, 1));
    assert_true(s->interval[1][VOLT_SCORE_DICE].low == 0.5);
    assert_true(s->interval[1][VOLT_SCORE_DICE].high == 0.5);
    assert_true(isnan(s->interval[2][VOLT_SCORE_DICE].low));
    assert_true(isnan(s->foreground_interval[VOLT_SCORE_DICE].high));
    volt_summary_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(metrics_agree_with_monai_and_simpleitk),
        cmocka_unit_test(empty_masks_follow_the_policy),
        cmocka_unit_test(brats_penalty_is_the_diagonal_of_its_grid),
        cmocka_unit_test(thread_counts_and_types_change_nothing),
        cmocka_unit_test(ignored_voxels_do_not_count),
        cmocka_unit_test(tolerance_includes_its_own_distance),
        cmocka_unit_test(wrong_pairs_are_not_scored),
        cmocka_unit_test(summary_means_follow_nnunet),
        cmocka_unit_test(the_worst_case_comes_first),
        cmocka_unit_test(intervals_hold_the_mean_and_have_its_spread),
        cmocka_unit_test(undefined_means_have_no_interval),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
