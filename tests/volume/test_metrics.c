#include "tests/volume/fixture.h"
#include "base/rng.h"
#include "volume/metrics.h"

#define VALUES "volume/masks_values.txt"

static const int64_t fixture_n[3] = {21, 34, 29};
static const double fixture_spacing[3] = {2.0, 0.8, 0.7};
static const int32_t one[] = {1}, two[] = {2}, three[] = {3}, one_three[] = {3, 1},
                     four[] = {4}, five[] = {5}, six[] = {6};
static const volt_region regions[7] = {{"1", one, 1},        {"2", two, 1},  {"3", three, 1},
                                       {"13", one_three, 2}, {"4", four, 1}, {"5", five, 1},
                                       {"6", six, 1}};

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
        {VOLT_EMPTY_MONAI, 5, NAN, NAN, INFINITY, NAN, INFINITY, 0},
        {VOLT_EMPTY_MONAI, 6, 0, 0, INFINITY, NAN, INFINITY, 0},
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

static void wrong_pairs_are_refused(void **state)
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
    assert_fails(volt_metrics_evaluate(&out, &a, &a, &(volt_region){"x", NULL, 0}, 1, NULL),
                 VOLT_EINVAL, "'x' has no labels");
    o.nsd_tolerance_mm = NAN;
    assert_fails(volt_metrics_evaluate(&out, &a, &a, regions, 1, &o), VOLT_EINVAL, "tolerance");
    assert_fails(volt_empty_policy_parse(&o.policy, "zero"), VOLT_EINVAL, "'zero'");
    assert_ok(volt_empty_policy_parse(&o.policy, "brats"));
    assert_int_equal(o.policy, VOLT_EMPTY_BRATS);
}

/* nnU-Net: means over cases leave NaN out, the mean over classes does not. */
static void summary_means_follow_nnunet(void **state)
{
    static const int32_t zero[] = {0};
    const volt_region classes[3] = {{"0", zero, 1}, {"1", one, 1}, {"2", two, 1}};
    volt_metrics a[3] = {{.dice = 1}, {.dice = 0.5, .tp = 4}, {.dice = NAN}};
    volt_metrics b[3] = {{.dice = 1}, {.dice = NAN, .tp = 1}, {.dice = NAN}};
    volt_summary *s;

    (void)state;
    assert_ok(volt_summary_create(&s, classes, 3, false));
    for (int i = 0; i < 20; i++)
        assert_ok(volt_summary_add(s, "p", "r", i % 2 ? b : a));
    volt_summary_finish(s);
    assert_true(s->mean[0][VOLT_SCORE_DICE] == 1);
    assert_true(s->mean[1][VOLT_SCORE_DICE] == 0.5);
    assert_true(s->mean[1][VOLT_SCORE_TP] == 2.5);
    assert_true(isnan(s->mean[2][VOLT_SCORE_DICE]));
    assert_int_equal(s->undefined[1][VOLT_SCORE_DICE], 10);
    assert_true(isnan(s->foreground_mean[VOLT_SCORE_DICE]));
    assert_true(s->foreground_mean[VOLT_SCORE_TP] == 1.25);
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
        cmocka_unit_test(wrong_pairs_are_refused),
        cmocka_unit_test(summary_means_follow_nnunet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
