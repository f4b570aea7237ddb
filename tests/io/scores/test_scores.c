/* Scores of real masks: published ones, and those of MONAI and SimpleITK. */
#include <stdio.h>
#include "base/core/alloc.h"
#include "tests/kit/fixture.h"
#include "tests/kit/shared.h"
#include "io/image/nifti.h"
#include "volume/metrics.h"

#define LIVER "/chaos_liver_ct/nifti/liver-"
#define TUMOUR                                                                                 \
    "/brats_4modality/BraTS-Toolkit/data/OtherEXampleFromTCIA/"                                \
    "OtherEXampleFromTCIA_brainles/"
#define VALUES "volume/real_scores.txt"

static volt_volume *read_mask(const char *name)
{
    const volt_image_read_options o = volt_image_read_as(VOLT_I16, 0);
    volt_volume *v;
    char *path;

    assert_ok(volt_format(&path, "%s%s", VOLT_SHARED_DATA, name));
    assert_ok(volt_nifti_read(&v, NULL, path, &o));
    volt_free(path);
    return v;
}

static void chaos_sample_scores_as_published(void **state)
{
    static const int32_t one[] = {1};
    const volt_region liver = {"liver", one, 1, false};
    volt_volume *pred = read_mask(LIVER "segmentation-chaos3.nii.gz");
    volt_volume *ref = read_mask(LIVER "ground-chaos3.nii.gz");
    volt_metrics m;

    (void)state;
    assert_ok(volt_metrics_evaluate(&m, pred, ref, &liver, 1, NULL));
    assert_true(fabs(m.dice - 0.978) < 0.001);
    assert_true(fabs(100 * m.volume_difference_relative - 0.665) < 0.001);
    assert_true(m.hd95_mm > 0 && m.hd95_mm < m.hd_mm && m.hd_mm < 20);
    volt_volume_free(ref);
    volt_volume_free(pred);
}

/* Within 1e-6 of the value, or of 1 if that is smaller. */
static void near(double got, double want, const char *pair, const char *region,
                 const char *what)
{
    if (!(fabs(got - want) <= 1e-6 * fmax(1, fabs(want))))
        fail_msg("%s of %s %s: %.9g instead of %.9g", what, pair, region, got, want);
}

static void compare_region(const volt_metrics *m, const char *pair, const char *region)
{
    static const char *const suffix[] = {"", "_monai", "_itk", "_hd95", "_lesions"};
    static const int count[] = {4, 6, 3, 1, 6};
    double v[5][6];
    char name[48];

    for (int i = 0; i < 5; i++) {
        snprintf(name, sizeof name, "%s_%s%s", pair, region, suffix[i]);
        read_values(v[i], count[i], VALUES, name);
    }
    assert_int_equal(m->tp, v[0][0]);
    assert_int_equal(m->fp, v[0][1]);
    assert_int_equal(m->fn, v[0][2]);
    assert_int_equal(m->tn, v[0][3]);
    near(m->dice, v[1][0], pair, region, "Dice");
    near(m->iou, v[1][1], pair, region, "IoU");
    near(m->hd_mm, v[1][2], pair, region, "HD");
    near(m->hd95_mm, v[1][3], pair, region, "HD95");
    near(m->assd_mm, v[1][4], pair, region, "ASSD");
    near(m->nsd, v[1][5], pair, region, "NSD");
    near(m->dice, v[2][0], pair, region, "SimpleITK's Dice");
    near(m->iou, v[2][1], pair, region, "SimpleITK's Jaccard");
    near(m->volume_similarity, v[2][2], pair, region, "volume similarity");
    near(m->hd95_mm, v[3][0], pair, region, "HD95 by numpy");
    assert_int_equal(m->lesion.tp, v[4][0]);
    assert_int_equal(m->lesion.fp, v[4][1]);
    assert_int_equal(m->lesion.fn, v[4][2]);
    near(m->lesion.dice, v[4][3], pair, region, "lesion Dice");
    near(m->lesion.f1, v[4][4], pair, region, "lesion F1");
    near(m->lesion.hd95_mm, v[4][5], pair, region, "lesion HD95");
}

static void real_masks_score_as_in_monai_and_simpleitk(void **state)
{
    static const int32_t wt[] = {1, 2, 4}, tc[] = {1, 4}, et[] = {4}, one[] = {1};
    static const volt_region tumour[3] = {
        {"WT", wt, 3, true}, {"TC", tc, 2, true}, {"ET", et, 1, true}};
    static const volt_region liver = {"liver", one, 1, false};
    const struct {
        const char *name, *pred, *ref;
        const volt_region *regions;
        int count;
    } pairs[] = {
        {"liver", LIVER "segmentation-chaos3.nii.gz", LIVER "ground-chaos3.nii.gz", &liver, 1},
        {"isen", TUMOUR "segmentation/isen-20.nii.gz", TUMOUR "fusion/simple.nii.gz", tumour,
         3},
        {"scan", TUMOUR "segmentation/scan-20.nii.gz", TUMOUR "fusion/mav.nii.gz", tumour, 3},
    };
    volt_metrics_options o = volt_metrics_defaults();

    (void)state;
    o.nsd_tolerance_mm = 2;
    o.lesions = true;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        volt_volume *pred = read_mask(pairs[i].pred), *ref = read_mask(pairs[i].ref);
        volt_metrics m[3];

        assert_ok(volt_metrics_evaluate(m, pred, ref, pairs[i].regions, pairs[i].count, &o));
        for (int r = 0; r < pairs[i].count; r++)
            compare_region(&m[r], pairs[i].name, pairs[i].regions[r].name);
        volt_volume_free(ref);
        volt_volume_free(pred);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chaos_sample_scores_as_published),
        cmocka_unit_test(real_masks_score_as_in_monai_and_simpleitk),
    };

    if (!has_shared("chaos_liver_ct") || !has_shared("brats_4modality"))
        return VOLT_TEST_SKIP;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
