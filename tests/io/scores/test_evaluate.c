#include <stdio.h>
#include "tests/kit/test.h"
#include "base/system/file.h"
#include "base/mem.h"
#include "io/evaluate.h"
#include "io/image/nifti.h"

#define PRED  "evaluate-test/pred"
#define TRUTH "evaluate-test/truth"

static void write_mask(const char *folder, const char *name, int64_t nx, uint8_t value)
{
    const int64_t n[3] = {2, 3, nx};
    const volt_grid grid = volt_grid_make(n, 1, (const double[3]){1, 1, 1});
    volt_volume *v;
    char *path;

    assert_ok(volt_make_dirs(folder));
    assert_ok(volt_volume_create(&v, &grid, VOLT_U8));
    ((uint8_t *)v->data)[7] = value;
    assert_ok(volt_path_join(&path, folder, name));
    assert_ok(volt_nifti_write(path, v, NULL, NULL));
    volt_free(path);
    volt_volume_free(v);
}

static void masks_are_paired_by_name(void **state)
{
    volt_mask_pairs p = {0};

    (void)state;
    write_mask(PRED, "a.nii.gz", 4, 2);
    write_mask(PRED, "b.nii.gz", 4, 0);
    write_mask(TRUTH, "a.nii.gz", 4, 2);
    write_mask(TRUTH, "b.nii.gz", 4, 5);
    write_mask(TRUTH, "c.nii.gz", 4, 1);
    assert_ok(volt_mask_pairs_find(&p, PRED, TRUTH, NULL));
    assert_int_equal(p.count, 2);
    assert_string_equal(p.item[1].pred, PRED "/b.nii.gz");
    assert_string_equal(p.item[1].truth, TRUTH "/b.nii.gz");
    assert_int_equal(p.missing, 1);
    assert_string_equal(p.first_missing, TRUTH "/c.nii.gz");
    assert_null(p.dataset);
    volt_mask_pairs_clear(&p);
    assert_ok(volt_mask_pairs_find(&p, PRED "/a.nii.gz", TRUTH "/b.nii.gz", NULL));
    assert_int_equal(p.count, 1);
    volt_mask_pairs_clear(&p);
    assert_fails(volt_mask_pairs_find(&p, PRED, TRUTH "/b.nii.gz", NULL), VOLT_EINVAL,
                 "two folders");
    assert_fails(volt_mask_pairs_find(&p, TRUTH, PRED, NULL), VOLT_EDATA,
                 "c.nii.gz has no truth");
    assert_null(p.item);
}

static void pairs_are_scored_in_their_order(void **state)
{
    static const int32_t two[] = {2}, five[] = {5}, values[] = {0, 2, 5};
    const volt_region regions[2] = {{"two", two, 1, false}, {"five", five, 1, false}};
    volt_mask_pairs p = {0};
    volt_confusion *c = NULL;
    volt_summary *s = NULL;
    int32_t *labels = NULL, count = 0;

    (void)state;
    assert_ok(volt_mask_pairs_find(&p, PRED, TRUTH, NULL));
    assert_ok(volt_mask_pairs_labels(&labels, &count, &p, 1, NULL));
    assert_int_equal(count, 2);
    assert_int_equal(labels[0], 2);
    assert_int_equal(labels[1], 5);
    assert_ok(volt_confusion_create(&c, values, 3));
    assert_ok(volt_mask_pairs_score(&s, c, &p, regions, 2, NULL, NULL));
    assert_int_equal(s->count, 2);
    assert_true(s->cases[0].metrics[0].dice == 1);
    assert_true(isnan(s->cases[0].metrics[1].dice));
    assert_true(s->cases[1].metrics[1].dice == 0);
    assert_true(s->mean[0][VOLT_SCORE_DICE] == 1);
    assert_int_equal(c->voxels[2 * 4 + 0], 1); /* 5 in the truth, nothing predicted */
    volt_summary_free(s);
    volt_confusion_free(c);
    volt_free(labels);
    volt_mask_pairs_clear(&p);
}

static void a_mask_of_another_size_is_named(void **state)
{
    static const int32_t two[] = {2};
    const volt_region region = {"two", two, 1, false};
    volt_mask_pairs p = {0};
    volt_summary *s = NULL;

    (void)state;
    write_mask(PRED, "b.nii.gz", 5, 1);
    assert_ok(volt_mask_pairs_find(&p, PRED, TRUTH, NULL));
    assert_fails(volt_mask_pairs_score(&s, NULL, &p, &region, 1, NULL, NULL), VOLT_EDATA,
                 PRED "/b.nii.gz has 5 voxels along x");
    assert_null(s);
    volt_mask_pairs_clear(&p);
}

static int remove_files(void **state)
{
    static const char *const names[] = {PRED "/a.nii.gz",
                                        PRED "/b.nii.gz",
                                        TRUTH "/a.nii.gz",
                                        TRUTH "/b.nii.gz",
                                        TRUTH "/c.nii.gz",
                                        PRED,
                                        TRUTH,
                                        "evaluate-test"};

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        remove(names[i]);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(masks_are_paired_by_name),
        cmocka_unit_test(pairs_are_scored_in_their_order),
        cmocka_unit_test(a_mask_of_another_size_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, remove_files);
}
