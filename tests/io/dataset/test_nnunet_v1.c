/* The dataset.json of nnU-Net v1, and lists that look like it. */
#include "tests/kit/layout_kit.h"

#define V1 "nnunet-v1"

/* Cases a and b of two channels, and a test case. */
static void make_v1(const char *list)
{
    char json[1500];

    kit_folder(V1);
    snprintf(json, sizeof json,
             "{\"name\": \"Task500\", \"tensorImageSize\": \"4D\", \"modality\": {\"0\": "
             "\"T1\", \"1\": \"T2\"}, \"labels\": {\"0\": \"background\", \"1\": \"x\", "
             "\"2\": \"y\"}, \"numTraining\": 2, \"numTest\": 1, \"test\": "
             "[\"./imagesTs/t.nii.gz\"]%s}",
             list);
    kit_text(V1 "/dataset.json", json);
    assert_int_equal(system("mkdir -p " V1 "/imagesTs"), 0);
    for (int i = 0; i < 6; i++) {
        char path[100];
        snprintf(path, sizeof path, V1 "/images%s/%c_000%d.nii.gz", i < 4 ? "Tr" : "Ts",
                 "abt"[i / 2], i % 2);
        kit_write(path, (kit_scan){.base = 1});
    }
    kit_write(V1 "/labelsTr/a.nii.gz", (kit_scan){.label_high = 2});
    kit_write(V1 "/labelsTr/b.nii.gz", (kit_scan){.label_high = 2});
}

#define PAIR(image, label) "{\"image\": \"" image "\", \"label\": \"" label "\"}"

static void the_list_of_nnunet_v1_is_read(void **state)
{
    static const char *const lists[] = {
        "",
        ", \"training\": []",
        ", \"training\": [" PAIR("./imagesTr/a.nii.gz", "./labelsTr/a.nii.gz") "," PAIR(
            "./imagesTr/b.nii.gz", "./labelsTr/b.nii.gz") "]",
        ", \"training\": [" PAIR("imagesTr/b_0000.nii.gz", "labelsTr/b.nii.gz") "," PAIR(
            "imagesTr/a_0000.nii.gz", "labelsTr/a.nii.gz") "]",
        ", \"training\": [" PAIR("C:\\\\x\\\\a.nii.gz", "a.nii.gz") "," PAIR(
            "/old/disk/b.nii.gz", "/old/disk/b.nii.gz") "]",
        ", \"training\": [\"a.nii.gz\", \"b.nii.gz\", \"._b.nii.gz\"]",
    };

    (void)state;
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        volt_dataset *ds = NULL;
        volt_findings f = {0};
        print_message("list %zu\n", i);
        make_v1(lists[i]);
        assert_ok(volt_dataset_open(&ds, V1, NULL));
        assert_string_equal(ds->layout, "nnU-Net raw");
        assert_int_equal(ds->cases.count, 2);
        assert_int_equal(ds->cases.item[1].files, 2);
        assert_string_equal(ds->cases.item[1].id, "b");
        assert_string_equal(ds->cases.item[1].label_file, V1 "/labelsTr/b.nii.gz");
        assert_int_equal(ds->tests.count, 1);
        assert_string_equal(ds->tests.item[0].id, "t");
        assert_int_equal(ds->notes, 0);
        assert_ok(volt_dataset_check(&f, ds, 1, NULL));
        assert_int_equal(f.errors, 0);
        volt_findings_clear(&f);
        volt_dataset_close(ds);
    }
}

static void the_list_of_nnunet_v1_decides_on_the_cases(void **state)
{
    volt_dataset *ds = NULL;
    volt_findings f = {0};

    (void)state;
    make_v1(", \"training\": [" PAIR("./imagesTr/a.nii.gz", "./labelsTr/a_seg.nii.gz") "," PAIR(
        "./imagesTr/z.nii.gz", "./labelsTr/z.nii.gz") "]");
    assert_int_equal(rename(V1 "/labelsTr/a.nii.gz", V1 "/labelsTr/a_seg.nii.gz"), 0);
    assert_ok(volt_dataset_open(&ds, V1, NULL));
    assert_int_equal(ds->cases.count, 2);
    assert_string_equal(ds->cases.item[0].label_file, V1 "/labelsTr/a_seg.nii.gz");
    assert_string_equal(ds->cases.item[1].id, "z");
    assert_true(noted(ds, "1 case of imagesTr and labelsTr (b) is not"));
    assert_ok(volt_dataset_check(&f, ds, 1, NULL));
    assert_true(found(&f, VOLT_ERROR, "z_0000.nii.gz"));
    volt_findings_clear(&f);
    volt_dataset_close(ds);
}

/* A list of the Decathlon's form whose names end in four digits, as MONAI's users write it. */
static void numbered_names_stay_the_decathlons(void **state)
{
    volt_dataset *ds = NULL;

    (void)state;
    make_v1(
        ", \"training\": [" PAIR("imagesTr/a_0000.nii.gz", "labelsTr/a_0000.nii.gz") "," PAIR(
            "imagesTr/a_0001.nii.gz", "labelsTr/a_0001.nii.gz") "]");
    assert_ok(volt_dataset_open(&ds, V1, NULL));
    assert_string_equal(ds->layout, "Medical Segmentation Decathlon");
    assert_int_equal(ds->cases.count, 2);
    assert_string_equal(ds->cases.item[1].id, "a_0001");
    volt_dataset_close(ds);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_list_of_nnunet_v1_is_read),
        cmocka_unit_test(numbered_names_stay_the_decathlons),
        cmocka_unit_test(the_list_of_nnunet_v1_decides_on_the_cases),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
