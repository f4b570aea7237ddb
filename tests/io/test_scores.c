/* Published scores of a real liver segmentation (CHAOS' own sample). */
#include <stdio.h>
#include "tests/test.h"
#include "base/file.h"
#include "base/mem.h"
#include "io/nifti.h"
#include "volume/metrics.h"

#define FOLDER VOLT_SHARED_DATA "/chaos_liver_ct/nifti"

static volt_volume *read_mask(const char *name)
{
    const volt_nifti_read_options o = {.dtype = VOLT_U8};
    volt_volume *v;
    char *path;

    assert_ok(volt_path_join(&path, FOLDER, name));
    assert_ok(volt_nifti_read(&v, NULL, path, &o));
    volt_free(path);
    return v;
}

static void chaos_sample_scores_as_published(void **state)
{
    static const int32_t one[] = {1};
    const volt_region liver = {"liver", one, 1};
    volt_volume *pred = read_mask("liver-segmentation-chaos3.nii.gz");
    volt_volume *ref = read_mask("liver-ground-chaos3.nii.gz");
    volt_metrics m;

    (void)state;
    assert_ok(volt_metrics_evaluate(&m, pred, ref, &liver, 1, NULL));
    assert_true(fabs(m.dice - 0.978) < 0.001);
    assert_true(fabs(100 * m.volume_difference_relative - 0.665) < 0.001);
    assert_true(m.hd95_mm > 0 && m.hd95_mm < m.hd_mm && m.hd_mm < 20);
    volt_volume_free(ref);
    volt_volume_free(pred);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(chaos_sample_scores_as_published)};

    if (!volt_path_is_dir(FOLDER)) {
        printf("skipped: no folder %s\n", FOLDER);
        return VOLT_TEST_SKIP;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
