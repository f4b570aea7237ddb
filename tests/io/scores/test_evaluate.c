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

/* Masks in `folder`: one of three voxels with these values. */
static void write_three(const char *path, int a, int b, int c)
{
    const int64_t n[3] = {1, 1, 3};
    const volt_grid grid = volt_grid_make(n, 1, (const double[3]){1, 1, 1});
    volt_volume *v;

    assert_ok(volt_volume_create(&v, &grid, VOLT_I16));
    ((int16_t *)v->data)[0] = (int16_t)a;
    ((int16_t *)v->data)[1] = (int16_t)b;
    ((int16_t *)v->data)[2] = (int16_t)c;
    assert_ok(volt_nifti_write(path, v, NULL, NULL));
    volt_volume_free(v);
}

static volt_status score_two(double *dice, const volt_mask_pairs *p)
{
    static const int32_t two[] = {2};
    const volt_region region = {"two", two, 1, false};
    volt_summary *s = NULL;
    const volt_status st = volt_mask_pairs_score(&s, NULL, p, &region, 1, NULL, NULL);

    if (st == VOLT_OK)
        *dice = s->mean[0][VOLT_SCORE_DICE];
    volt_summary_free(s);
    return st;
}

static void other_numberings_are_refused(void **state)
{
    static const int32_t known[] = {0, 2, 1}, from[] = {40, 230}, to[] = {1, 2};
    volt_mask_pairs p = {0};
    int32_t *labels = NULL, count;
    double dice = 0;

    (void)state;
    write_three("p.nii", 0, 1, 2);
    write_three("t.nii", 0, 40, 230);
    assert_ok(volt_mask_pairs_find(&p, "p.nii", "t.nii", NULL));
    assert_false(volt_mask_pairs_foreign(&p));
    assert_fails(volt_mask_pairs_labels(&labels, &count, &p, 1, NULL), VOLT_EDATA,
                 "the masks have the values 1, 2, the truth has 40, 230");
    assert_true(volt_mask_pairs_foreign(&p));
    assert_ok(volt_mask_pairs_expect(&p, known, 3, "somewhere"));
    assert_fails(score_two(&dice, &p), VOLT_EDATA,
                 "t.nii has the values 40, 230; the labels of somewhere are 0, 1, 2");
    assert_ok(volt_mask_pairs_map(&p, from, to, 2));
    assert_ok(score_two(&dice, &p));
    assert_true(dice == 1);
    assert_fails(volt_mask_pairs_map(&p, (const int32_t[]){4, 4}, to, 2), VOLT_EINVAL,
                 "label 4 is to become 1 and 2");
    volt_mask_pairs_clear(&p);

    assert_ok(volt_mask_pairs_find(&p, "t.nii", "p.nii", NULL)); /* the mask is the odd one */
    assert_ok(volt_mask_pairs_expect(&p, known, 3, "somewhere"));
    assert_fails(score_two(&dice, &p), VOLT_EDATA, "t.nii has the values 40, 230");
    volt_mask_pairs_clear(&p);

    write_three("t.nii", 0, 0, 0); /* an empty truth is legitimate */
    assert_ok(volt_mask_pairs_find(&p, "p.nii", "t.nii", NULL));
    assert_ok(volt_mask_pairs_labels(&labels, &count, &p, 1, NULL));
    volt_free(labels);
    assert_ok(volt_mask_pairs_expect(&p, known, 3, "somewhere"));
    assert_ok(score_two(&dice, &p));
    assert_true(dice == 0);
    volt_mask_pairs_clear(&p);

    write_three("t.nii", 0, -1, 1);
    assert_ok(volt_mask_pairs_find(&p, "p.nii", "t.nii", NULL));
    assert_fails(volt_mask_pairs_labels(&labels, &count, &p, 1, NULL), VOLT_EDATA,
                 "t.nii has the value -1");
    volt_mask_pairs_clear(&p);
}

static void grey_truths_follow_the_masks(void **state)
{
    static double threshold[] = {40, 230};
    static const double falling[] = {230, 40};
    const volt_dataset_info info = {.thresholds = 2, .threshold = threshold};
    volt_mask_pairs p = {0};
    double dice = 0;

    (void)state;
    write_three("p.nii", 0, 1, 2);
    write_three("t.nii", 3, 44, 255);
    assert_ok(volt_mask_pairs_find(&p, "p.nii", "t.nii", NULL));
    assert_ok(volt_mask_pairs_follow(&p, &info, 1, NULL));
    assert_ok(score_two(&dice, &p));
    assert_true(dice == 1);
    assert_fails(volt_mask_pairs_threshold(&p, falling, 2), VOLT_EINVAL, "number 2 is 40");
    volt_mask_pairs_clear(&p);

    write_three("t.nii", 0, 1, 2); /* already labels */
    assert_ok(volt_mask_pairs_find(&p, "p.nii", "t.nii", NULL));
    assert_ok(volt_mask_pairs_follow(&p, &info, 1, NULL));
    dice = 0;
    assert_ok(score_two(&dice, &p));
    assert_true(dice == 1);
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
        cmocka_unit_test(other_numberings_are_refused),
        cmocka_unit_test(grey_truths_follow_the_masks),
    };
    return cmocka_run_group_tests(tests, NULL, remove_files);
}
