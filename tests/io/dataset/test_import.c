/* Data sets of any layout as inputs of a prediction, and written as nnU-Net raw. */
#include "tests/kit/layout_kit.h"
#include "io/import_dataset.h"

#include <unistd.h>

/* -- What is to be predicted -------------------------------------------------------------- */

static void data_sets_are_inputs(void **state)
{
    const char *brats[] = {TOP}, *one[] = {TRAIN "/BraTS20_Training_001"};
    const char *lits[] = {LITS}, *raw[] = {"layout-inputs"};
    volt_case_list list = {0};

    (void)state;
    make_brats();
    make_lits();
    kit_folder("layout-inputs");
    kit_text("layout-inputs/dataset.json", KIT_JSON("\"0\": \"CT\"", "1"));
    kit_write("layout-inputs/imagesTr/a_0000.nii.gz", (kit_scan){0});
    kit_write("layout-inputs/labelsTr/a.nii.gz", (kit_scan){.label_high = 2});
    assert_ok(volt_make_dirs("layout-inputs/imagesTs"));
    kit_write("layout-inputs/imagesTs/t_0000.nii.gz", (kit_scan){0});
    assert_ok(volt_inputs_list(&list, brats, 1, 4, NULL));
    assert_int_equal(list.count, 1);
    assert_string_equal(list.item[0].id, "BraTS20_Validation_001");
    volt_case_list_clear(&list);
    assert_ok(volt_inputs_list(&list, one, 1, 4, NULL));
    assert_int_equal(list.count, 1);
    assert_int_equal(list.item[0].files, 4);
    assert_null(list.item[0].label_file);
    volt_case_list_clear(&list);
    assert_ok(volt_inputs_list(&list, lits, 1, 1, NULL));
    assert_string_equal(list.item[0].id, "test-volume-3");
    volt_case_list_clear(&list);
    assert_ok(volt_inputs_list(&list, raw, 1, 1, NULL));
    assert_string_equal(list.item[0].id, "t");
    volt_case_list_clear(&list);
    kit_write(LITS "/scan.nii", (kit_scan){0}); /* scans of its own come first */
    unlink(LITS "/test-volume-3.nii");
    assert_ok(volt_inputs_list(&list, lits, 1, 1, NULL));
    assert_int_equal(list.count, 1);
    assert_string_equal(list.item[0].id, "scan");
    volt_case_list_clear(&list);
    assert_fails(volt_inputs_list(&list, brats, 1, 2, NULL), VOLT_EDATA, "takes 2 channels");
    unlink(TRAIN "/BraTS20_Training_001/BraTS20_Training_001_t2.nii.gz");
    assert_fails(volt_inputs_list(&list, one, 1, 4, NULL), VOLT_EDATA, "_t2.nii.gz");
}

/* -- Import ------------------------------------------------------------------------------- */

static void brats_becomes_nnunet_raw(void **state)
{
    static const int16_t trained[] = {0, 2, 1, 3};
    volt_dataset *ds = NULL, *raw = NULL;
    volt_dataset_import_result r;
    volt_findings f = {0};
    volt_case_data d = {0};
    char target[512] = "";

    (void)state;
    make_brats();
    assert_int_equal(system("rm -rf layout-import"), 0);
    assert_ok(volt_dataset_open(&ds, TOP, NULL));
    assert_ok(volt_dataset_import(ds, "layout-import", NULL, &r));
    assert_int_equal(r.cases, 2);
    assert_int_equal(r.tests, 1);
    assert_int_equal(r.taken, 12);
    assert_int_equal(r.written, 2);
    assert_true(
        readlink("layout-import/imagesTr/BraTS20_Training_001_0001.nii.gz", target, 511) > 0);
    assert_non_null(strstr(target, "_t1ce.nii.gz"));
    assert_ok(volt_dataset_open(&raw, "layout-import", NULL));
    assert_string_equal(raw->layout, "nnU-Net raw");
    assert_int_equal(raw->info.regions, 3);
    assert_null(raw->info.stored);
    assert_int_equal(raw->info.num_training, 2);
    assert_int_equal(raw->tests.count, 1);
    assert_ok(volt_dataset_check(&f, raw, 1, NULL));
    assert_int_equal(f.count, 0);
    volt_findings_clear(&f);
    assert_ok(volt_case_read(&d, &raw->cases.item[1], &raw->info, 1));
    assert_memory_equal(d.labels->data, trained, sizeof trained);
    volt_case_data_clear(&d);
    volt_dataset_close(raw);
    assert_fails(volt_dataset_import(ds, "layout-import", NULL, NULL), VOLT_EDATA,
                 "already holds dataset.json");
    volt_dataset_close(ds);
}

static void an_import_cut_off_is_finished_by_the_next(void **state)
{
    volt_dataset_import_options copies = volt_dataset_import_defaults();
    volt_dataset *ds = NULL, *raw = NULL;
    volt_dataset_import_result r;
    char target[16];

    (void)state;
    copies.copy = true;
    make_lits();
    assert_int_equal(system("rm -rf layout-import && mkdir -p layout-import/imagesTr"), 0);
    assert_int_equal(symlink("/gone", "layout-import/imagesTr/volume-0_0000.nii"), 0);
    assert_fails(volt_dataset_open(&raw, "layout-import", NULL), VOLT_EDATA, "no dataset.json");
    assert_ok(volt_dataset_open(&ds, LITS, NULL));
    assert_ok(volt_dataset_import(ds, "layout-import", &copies, &r));
    assert_int_equal(readlink("layout-import/imagesTr/volume-0_0000.nii", target, 15), -1);
    assert_int_equal(r.taken, 4); /* volumes; labels are stored as fractions here */
    assert_ok(volt_dataset_open(&raw, "layout-import", NULL));
    assert_string_equal(raw->info.file_ending, ".nii");
    volt_dataset_close(raw);
    raw = NULL;

    unlink("layout-import/dataset.json");
    kit_text("layout-import/imagesTr/other_0000.nii", "of another import");
    assert_fails(volt_dataset_import(ds, "layout-import", NULL, &r), VOLT_EDATA,
                 "holds 4 files, 3 of them");
    assert_false(volt_path_exists("layout-import/dataset.json"));
    volt_dataset_close(ds);
}

static void four_dimensions_are_split(void **state)
{
    volt_dataset *ds = NULL, *raw = NULL;
    volt_case_data a = {0}, b = {0};
    volt_dataset_import_result r;

    (void)state;
    kit_folder("layout-4d");
    kit_text(
        "layout-4d/dataset.json",
        "{\"modality\": {\"0\": \"T2\", \"1\": \"ADC\"}, \"labels\": {\"0\": \"background\", "
        "\"1\": \"PZ\", \"2\": \"TZ\"}, \"numTraining\": 1, \"training\": [{\"image\": "
        "\"./imagesTr/a.nii.gz\", \"label\": \"./labelsTr/a.nii.gz\"}]}");
    kit_write("layout-4d/imagesTr/a.nii.gz", (kit_scan){.channels = 2});
    kit_write("layout-4d/labelsTr/a.nii.gz", (kit_scan){.label_high = 2});
    assert_int_equal(system("rm -rf layout-import"), 0);
    assert_ok(volt_dataset_open(&ds, "layout-4d", NULL));
    assert_ok(volt_dataset_import(ds, "layout-import", NULL, &r));
    assert_int_equal(r.written, 3);
    assert_ok(volt_dataset_open(&raw, "layout-import", NULL));
    assert_int_equal(raw->cases.item[0].files, 2);
    assert_ok(volt_case_read(&a, &ds->cases.item[0], &ds->info, 1));
    assert_ok(volt_case_read(&b, &raw->cases.item[0], &raw->info, 1));
    assert_true(volt_grid_same(&a.image->grid, &b.image->grid, 0));
    assert_memory_equal(a.image->data, b.image->data, volt_volume_bytes(a.image));
    assert_memory_equal(a.labels->data, b.labels->data, volt_volume_bytes(a.labels));
    volt_case_data_clear(&a);
    volt_case_data_clear(&b);
    volt_dataset_close(ds);
    volt_dataset_close(raw);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(data_sets_are_inputs),
        cmocka_unit_test(brats_becomes_nnunet_raw),
        cmocka_unit_test(an_import_cut_off_is_finished_by_the_next),
        cmocka_unit_test(four_dimensions_are_split),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
