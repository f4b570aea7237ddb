/* Masks that are stacks of pictures, against volumes and against each other. */
#include "tests/kit/test.h"

#include <stdio.h>
#include <string.h>

#include "base/system/file.h"
#include "io/evaluate.h"
#include "io/image.h"
#include "io/png.h"

enum { SLICES = 11, ROWS = 6, COLUMNS = 8, PLANE = ROWS * COLUMNS };

/* A box of label 1 in slices 3 to 7; `moved` shifts it by one slice. */
static uint8_t label_at(int z, int y, int x, int moved)
{
    return z >= 3 + moved && z <= 7 + moved && y > 1 && y < 5 && x > 1 && x < 6;
}

/* FOLDER/PREFIX0.png, FOLDER/PREFIX1.png, ...: 10 comes before 2 in bytes. */
static void write_slices(const char *folder, const char *prefix, int moved)
{
    uint8_t pixels[PLANE];
    char path[80];

    assert_ok(volt_make_dirs(folder));
    for (int z = 0; z < SLICES; z++) {
        for (int i = 0; i < PLANE; i++)
            pixels[i] = label_at(z, i / COLUMNS, i % COLUMNS, moved);
        snprintf(path, sizeof path, "%s/%s%d.png", folder, prefix, z);
        assert_ok(volt_png_write(path, pixels, COLUMNS, ROWS, 1));
    }
}

static void write_volume(const char *path, int moved)
{
    const double mm[3] = {2.5, 1, 1};
    const int64_t n[3] = {SLICES, ROWS, COLUMNS};
    const volt_grid grid = volt_grid_make(n, 1, mm);
    volt_volume *v = NULL;

    assert_ok(volt_volume_create(&v, &grid, VOLT_U8));
    for (int i = 0; i < SLICES * PLANE; i++)
        ((uint8_t *)v->data)[i] = label_at(i / PLANE, i / COLUMNS % ROWS, i % COLUMNS, moved);
    assert_ok(volt_image_write(path, v, NULL, NULL));
    volt_volume_free(v);
}

/* The pairs' first Dice and Hausdorff distance. */
static void score(double *dice, double *hd, const volt_mask_pairs *pairs)
{
    const volt_metrics_options o = volt_metrics_defaults();
    const int32_t one = 1;
    const volt_region region = {.name = "a", .labels = &one, .count = 1};
    volt_summary *s = NULL;

    assert_ok(volt_mask_pairs_score(&s, NULL, pairs, &region, 1, &o, NULL));
    *dice = s->cases[0].metrics[0].dice;
    *hd = s->cases[0].metrics[0].hd_mm;
    volt_summary_free(s);
}

static void check_pairs(const char *pred, const char *truth, bool stacks, double mm)
{
    volt_mask_pairs pairs = {0};
    double dice, hd;

    if (stacks)
        assert_ok(volt_mask_pairs_find_stacks(&pairs, pred, truth));
    else
        assert_ok(volt_mask_pairs_find(&pairs, pred, truth, NULL));
    assert_int_equal(pairs.count, 1);
    assert_int_equal(pairs.missing, 0);
    score(&dice, &hd, &pairs);
    assert_true(fabs(dice - 0.8) < 1e-12); /* 4 of 5 slices agree */
    if (fabs(hd - mm) > 1e-9)
        fail_msg("%s and %s are %g mm apart, not %g", pred, truth, hd, mm);
    volt_mask_pairs_clear(&pairs);
}

static void folders_of_slices_are_masks(void **state)
{
    (void)state;
    assert_ok(volt_make_dirs("volumes"));
    write_volume("volumes/a.nii.gz", 0);
    write_slices("moved/a", "slice", 1);
    write_slices("still/a", "s", 0);
    check_pairs("moved", "volumes", false, 2.5); /* of the volume */
    check_pairs("volumes", "moved", false, 2.5);
    check_pairs("moved", "still", false, 1);
    check_pairs("moved/a", "volumes/a.nii.gz", false, 2.5);
    check_pairs("volumes/a.nii.gz", "moved/a", false, 2.5);
}

static void numbered_slices_are_one_mask(void **state)
{
    volt_mask_pairs pairs = {0};

    (void)state;
    write_slices("flat", "b_", 1);
    write_slices("flat-truth", "b_", 0);
    assert_ok(volt_make_dirs("one"));
    write_volume("one/b.nii.gz", 0);
    check_pairs("flat", "flat-truth", true, 1);
    check_pairs("flat", "one", true, 2.5);
    assert_ok(volt_mask_pairs_find(&pairs, "flat", "flat-truth", NULL));
    assert_int_equal(pairs.count, SLICES); /* unless it is asked for */
    volt_mask_pairs_clear(&pairs);
    write_slices("bare", "", 1);
    write_slices("bare-truth", "", 0);
    check_pairs("bare", "bare-truth", true, 1);
}

static void stacks_without_a_partner_are_named(void **state)
{
    volt_mask_pairs pairs = {0};

    (void)state;
    write_slices("lonely/c", "s", 0);
    write_slices("lonely-truth/d", "s", 0);
    assert_fails(volt_mask_pairs_find(&pairs, "lonely", "lonely-truth", NULL), VOLT_EDATA,
                 "lonely/c has no truth");
}

/* A stack named `folder` from names, all of slice 0. */
static void write_named(const char *folder, const char *const *names, int count)
{
    uint8_t pixels[PLANE] = {0};
    char path[160];

    assert_ok(volt_make_dirs(folder));
    for (int i = 0; i < count; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        assert_ok(strstr(path, ".png") ? volt_png_write(path, pixels, COLUMNS, ROWS, 1)
                                       : volt_write_file(path, "GIF89a", 6));
    }
}

static void check_refused(const char *folder, const char *const *names, int count,
                          const char *words)
{
    const volt_metrics_options o = volt_metrics_defaults();
    const int32_t one = 1;
    const volt_region region = {.name = "a", .labels = &one, .count = 1};
    volt_mask_pairs pairs = {0};
    volt_summary *s = NULL;
    char stack[80];

    snprintf(stack, sizeof stack, "%s/a", folder);
    write_named(stack, names, count);
    assert_ok(volt_mask_pairs_find(&pairs, folder, folder, NULL));
    assert_fails(volt_mask_pairs_score(&s, NULL, &pairs, &region, 1, &o, NULL), VOLT_EDATA,
                 words);
    volt_mask_pairs_clear(&pairs);
}

static void incomplete_stacks_are_refused(void **state)
{
    static const char *const gap[] = {"s2.png", "s4.png", "s8.png", "s6.png", "s12.png"};
    static const char *const twice[] = {"s1.png", "s2.png", "s02.png"};
    static const char *const two[] = {"s1.png", "s2.png", "s3.gif"};

    (void)state;
    check_refused("gap", gap, 5, "gap/a lacks a slice between s8.png and s12.png");
    check_refused("twice", twice, 3, "twice/a holds slice 2 twice");
    check_refused("two", two, 3, "two/a holds slices of two formats: s1.png and s3.gif");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(folders_of_slices_are_masks),
        cmocka_unit_test(numbered_slices_are_one_mask),
        cmocka_unit_test(incomplete_stacks_are_refused),
        cmocka_unit_test(stacks_without_a_partner_are_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
