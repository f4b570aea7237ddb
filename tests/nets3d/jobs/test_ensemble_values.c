/* Values that are no probabilities are not averaged. */
#include "tests/kit/test.h"

#include <stdio.h>

#include "base/system/file.h"
#include "io/image.h"
#include "io/tensors/npz.h"
#include "nets3d/ensemble.h"

enum { VOXELS = 24, CLASSES = 3 };

static const char softmax[] =
    "{\"channel_names\": {\"0\": \"CT\"}, \"labels\": {\"background\": 0, "
    "\"a\": 1, \"b\": 2}, \"file_ending\": \".nii.gz\"}";
static const char regions[] =
    "{\"channel_names\": {\"0\": \"CT\"}, \"labels\": {\"background\": 0, "
    "\"a\": [1, 2], \"b\": [2], \"c\": 3}, \"regions_class_order\": "
    "[1, 2, 3], \"file_ending\": \".nii.gz\"}";

/* FOLDER/c.npz, whose voxel 7 (z 0, y 1, x 3) has these probabilities, and its mask. */
static void write_member(const char *folder, float p0, float p1, float p2)
{
    const int64_t shape[4] = {CLASSES, 2, 3, 4};
    const volt_grid grid = volt_grid_make(shape + 1, 1, (double[]){1, 1, 1});
    float p[CLASSES][VOXELS];
    volt_zip_writer *zip = NULL;
    volt_volume *mask = NULL;
    char path[64];

    for (int i = 0; i < VOXELS; i++) {
        p[0][i] = 0.25f;
        p[1][i] = 0.5f;
        p[2][i] = 0.25f;
    }
    p[0][7] = p0;
    p[1][7] = p1;
    p[2][7] = p2;
    assert_ok(volt_make_dirs(folder));
    snprintf(path, sizeof path, "%s/c.npz", folder);
    assert_ok(volt_zip_create(&zip, path));
    assert_ok(volt_npz_begin(zip, "probabilities", shape, 4, 1));
    assert_ok(volt_zip_write(zip, p, sizeof p));
    assert_ok(volt_zip_end(zip));
    assert_ok(volt_zip_commit(&zip));
    assert_ok(volt_volume_create(&mask, &grid, VOLT_U8));
    snprintf(path, sizeof path, "%s/c.nii.gz", folder);
    assert_ok(volt_image_write(path, mask, NULL, NULL));
    volt_volume_free(mask);
}

static volt_status ensemble(const char *labels, int count)
{
    static const char *const folder[] = {"one", "two"};
    const volt_ensemble_member members[2] = {{&folder[0], 1}, {&folder[1], 1}};
    volt_ensemble_options o = volt_ensemble_defaults();
    volt_dataset_info info = {0};
    volt_status st;

    assert_ok(volt_dataset_info_parse(&info, labels, strlen(labels), "dataset.json"));
    o.output = "out";
    o.info = &info;
    st = volt_ensemble(NULL, members, count, &o, NULL);
    volt_dataset_info_clear(&info);
    return st;
}

static void values_that_are_no_probabilities_are_named(void **state)
{
    static const struct {
        float p[3];
        const char *says;
    } rows[] = {
        {{0.5f, 0.7f, -0.2f}, "one/c.npz: the probability of class 2 is -0.2 at voxel 0, 1, 3"},
        {{0, 1.5f, 0}, "the probability of class 1 is 1.5 at"},
        {{0, NAN, 0}, "the probability of class 1 is nan at"},
        {{0, INFINITY, 0}, "the probability of class 1 is inf at"},
        {{0, 0, 0}, "one/c.npz: the probabilities sum to 0 at voxel 0, 1, 3 (z, y, x); 1 is"},
        {{0.5f, 0.25f, 0.2f}, "the probabilities sum to 0.95 at"},
        {{0.5f, 0.5f, 0.5f}, "the probabilities sum to 1.5 at"},
    };

    (void)state;
    assert_int_equal(system("rm -rf one two out"), 0);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (int members = 1; members <= 2; members++) {
            write_member("one", rows[i].p[0], rows[i].p[1], rows[i].p[2]);
            write_member("two", 0.25f, 0.5f, 0.25f);
            assert_fails(ensemble(softmax, members), VOLT_EDATA, rows[i].says);
            assert_false(volt_path_exists("out/c.nii.gz"));
        }
    }
}

static void deviations_of_two_members_do_not_cancel(void **state)
{
    (void)state;
    write_member("one", 0.5f, 0.5f, 0.5f);
    write_member("two", 0.5f, 0, 0);
    assert_fails(ensemble(softmax, 2), VOLT_EDATA, "one/c.npz: the probabilities sum to 1.5");
    write_member("one", 0.25f, 0.5f, 0.25f);
    assert_fails(ensemble(softmax, 2), VOLT_EDATA, "two/c.npz: the probabilities sum to 0.5");
}

static void rounding_and_regions_pass(void **state)
{
    (void)state;
    write_member("one", 0.333f, 0.333f, 0.333f); /* as float16 would have it */
    write_member("two", 0, 1.0005f, -0.0004f);
    assert_ok(ensemble(softmax, 2));
    write_member("one", 0, 0, 0);
    write_member("two", 1, 1, 1);
    assert_ok(ensemble(regions, 2)); /* regions overlap: they have no sum */
    write_member("one", 0, 1.2f, 0);
    assert_fails(ensemble(regions, 2), VOLT_EDATA, "class 1 is 1.2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_that_are_no_probabilities_are_named),
        cmocka_unit_test(deviations_of_two_members_do_not_cancel),
        cmocka_unit_test(rounding_and_regions_pass),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
