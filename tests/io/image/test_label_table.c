/* Names of labels: in masks, next to them, and in files for viewers. */
#include "tests/kit/test.h"

#include <stdio.h>

#include "base/core/alloc.h"
#include "base/system/file.h"
#include "io/dataset.h"
#include "io/image.h"
#include "io/image/label_text.h"
#include "io/label_table.h"

static void put(const char *path, const char *text)
{
    assert_ok(volt_write_file(path, text, strlen(text)));
}

static void assert_name(const char *mask, int64_t value, const char *name)
{
    volt_label_table t = {0};

    assert_ok(volt_label_table_read(mask, &t));
    if (name)
        assert_string_equal(volt_label_table_name(&t, value), name);
    else
        assert_null(volt_label_table_name(&t, value));
    volt_label_table_clear(&t);
}

static void snap_files_are_read(void **state)
{
    volt_label_table t = {0};

    (void)state;
    assert_ok(volt_make_dirs("snap"));
    put("snap/a.label", "################\n# IDX -R- -G- -B- -A-- VIS MSH LABEL\n\n"
                        "    0     0    0    0        0  0  0    \"Clear Label\"\n"
                        "    1   255    0    7        0.5  1  1    \"left \"kidney\"\"\r\n"
                        "  300  1 2 3 1 0 0 \"Leber \xc3\xbc\x1b[31m\"");
    assert_ok(volt_label_table_read("snap/a.nii.gz", &t));
    assert_int_equal(t.count, 3);
    assert_string_equal(volt_label_table_name(&t, 1), "left \"kidney\"");
    assert_string_equal(volt_label_table_name(&t, 300), "Leber \xc3\xbc [31m");
    assert_null(volt_label_table_name(&t, 2));
    assert_int_equal(t.entries[1].red, 255);
    assert_int_equal(t.entries[1].blue, 7);
    volt_label_table_clear(&t);
    assert_name("snap/b.nii.gz", 1, NULL); /* the file belongs to a.nii.gz */

    put("snap/a.label", "1 2 3 \"short\"\n");
    assert_fails(volt_label_table_read("snap/a.nii.gz", &t), VOLT_EFORMAT,
                 "snap/a.label: line 1 is not a label");
    put("snap/a.label", "1 0 0 0 1 1 1 \"a\"\n1 0 0 0 1 1 1 \"b\"\n");
    assert_fails(volt_label_table_read("snap/a.nii.gz", &t), VOLT_EFORMAT,
                 "line 2 names label 1 again");
    put("snap/b.txt", "Dear reader,\n");
    assert_name("snap/b.nii.gz", 1, NULL); /* a text that is no table */
    put("snap/b.txt", "4 0 0 0 1 1 1 \"spleen\"\n");
    assert_name("snap/b.nii.gz", 4, "spleen");
}

static void slicer_tables_are_read(void **state)
{
    volt_label_table t = {0};

    (void)state;
    assert_ok(volt_make_dirs("slicer"));
    put("slicer/labels.ctbl", "# Color table file x.ctbl\n0 Background 0 0 0 0\n"
                              "1 left_kidney 10 20 30 255\n2 \"right kidney\" 1 2 3 255\n");
    assert_ok(volt_label_table_read("slicer/case.mha", &t));
    assert_int_equal(t.count, 3);
    assert_string_equal(volt_label_table_name(&t, 1), "left kidney");
    assert_string_equal(volt_label_table_name(&t, 2), "right kidney");
    assert_int_equal(t.entries[1].green, 20);
    volt_label_table_clear(&t);
    put("slicer/labels.ctbl", "1 kidney 10 20 3000 255\n");
    assert_fails(volt_label_table_read("slicer/case.mha", &t), VOLT_EFORMAT,
                 "labels.ctbl: line 1");
}

static void segments_are_read(void **state)
{
    volt_label_table t = {0};

    (void)state;
    put("a.seg.nrrd", "NRRD0004\ntype: unsigned char\ndimension: 3\n"
                      "Segment0_Color:=0.5 0.2 1\nSegment0_LabelValue:=3\n"
                      "Segment0_Name:=liver\nSegment0_Layer:=0\n"
                      "Segment1_Name:=tumor\nSegment1_LabelValue:=7\n"
                      "Segment2_Name:=other\nSegment2_LabelValue:=3\nSegment2_Layer:=1\n\n"
                      "Segment3_Name:=voxels\nSegment3_LabelValue:=9\n");
    assert_ok(volt_label_table_read("a.seg.nrrd", &t));
    assert_int_equal(t.count, 2);
    assert_string_equal(volt_label_table_name(&t, 3), "liver");
    assert_string_equal(volt_label_table_name(&t, 7), "tumor");
    assert_int_equal(t.entries[0].red, 128);
    volt_label_table_clear(&t);
    put("b.seg.nrrd", "NRRD0004\nSegment0_Name:=liver\nSegment0_LabelValue:=x\n\n");
    assert_fails(volt_label_table_read("b.seg.nrrd", &t), VOLT_EFORMAT, "b.seg.nrrd");
    put("b.seg.nrrd", "NRRD0004\nSegment99999999_Name:=liver\n\n");
    assert_fails(volt_label_table_read("b.seg.nrrd", &t), VOLT_EFORMAT, "99999999");
}

static void dataset_json_names_masks(void **state)
{
    static const char info[] = "{\"channel_names\": {\"0\": \"CT\"}, \"labels\": "
                               "{\"background\": 0, \"liver\": 1, \"ignore\": 2}, "
                               "\"file_ending\": \".nii.gz\", \"numTraining\": 1}";

    (void)state;
    assert_ok(volt_make_dirs("set/labelsTr"));
    assert_ok(volt_make_dirs("set/other"));
    put("set/dataset.json", info);
    assert_name("set/case.nii.gz", 1, "liver");
    assert_name("set/labelsTr/case.nii.gz", 1, "liver");
    assert_name("set/labelsTr/case.nii.gz", 2, "ignore");
    assert_name("set/other/case.nii.gz", 1, NULL);
    put("set/dataset.json", "{");
    assert_name("set/case.nii.gz", 1, NULL);
}

static void regions_name_painted_values(void **state)
{
    static const char text[] =
        "{\"channel_names\": {\"0\": \"T1\"}, \"labels\": {\"background\": 0, "
        "\"whole\": [1, 2, 3], \"core\": [2, 3], \"enhancing\": 3}, "
        "\"regions_class_order\": [1, 2, 3], \"file_ending\": \".nii.gz\"}";
    volt_dataset_info info = {0};
    volt_label_table t = {0};

    (void)state;
    assert_ok(volt_dataset_info_parse(&info, text, strlen(text), "text"));
    assert_ok(volt_label_table_from(&t, &info));
    assert_int_equal(t.count, 4);
    assert_string_equal(volt_label_table_name(&t, 1), "whole");
    assert_string_equal(volt_label_table_name(&t, 3), "enhancing");
    volt_label_table_clear(&t);
    volt_dataset_info_clear(&info);
}

static void written_tables_read_back(void **state)
{
    static const char *const ending[] = {"label", "ctbl"};
    volt_label_table t = {0}, back = {0};
    char path[32];

    (void)state;
    assert_ok(volt_make_dirs("back"));
    for (int64_t value = 0; value < 20; value++)
        assert_ok(volt_label_table_set(&t, value * value, "left kidney"));
    assert_ok(volt_label_table_set(&t, 0, "background"));
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "back/m%d.%s", i, ending[i]);
        assert_ok(volt_label_table_write(path, &t));
        snprintf(path, sizeof path, "back/m%d.nii.gz", i);
        assert_ok(volt_label_table_read(path, &back));
        assert_int_equal(back.count, 20);
        for (int k = 0; k < 20; k++) {
            assert_int_equal(back.entries[k].value, t.entries[k].value);
            assert_string_equal(back.entries[k].name, t.entries[k].name);
            assert_int_equal(back.entries[k].green, t.entries[k].green);
        }
        volt_label_table_clear(&back);
    }
    volt_label_table_clear(&t);
}

/* A mask of 4 x 3 x 2 voxels, oblique. */
static volt_volume *make_mask(void)
{
    const int64_t n[3] = {2, 3, 4};
    const volt_grid grid = volt_grid_make(n, 1, (const double[3]){3, 2, 1});
    volt_volume *v = NULL;

    assert_ok(volt_volume_create(&v, &grid, VOLT_U8));
    for (int i = 0; i < 24; i++)
        ((uint8_t *)v->data)[i] = (uint8_t)(i % 3);
    v->grid.to_world[0][3] = -7;
    return v;
}

static void masks_hold_their_names(void **state)
{
    static const char *const path[] = {"own/a.nii", "own/a.nii.gz", "own/a.seg.nrrd"};
    volt_image_write_options o = volt_image_write_labels(1);
    volt_label_table t = {0}, back = {0};
    volt_image_header *header = NULL;
    volt_volume *v = make_mask(), *again = NULL;

    (void)state;
    assert_ok(volt_make_dirs("own"));
    assert_ok(volt_label_table_set(&t, 0, "background"));
    assert_ok(volt_label_table_set(&t, 1, "left \"big\" kidney"));
    assert_ok(volt_label_table_set(&t, 2, "Leber \xc3\xbc"));
    o.names = &t;
    for (int i = 0; i < 3; i++) {
        assert_ok(volt_image_write(path[i], v, NULL, &o));
        assert_ok(volt_label_table_read(path[i], &back));
        assert_int_equal(back.count, i == 2 ? 2 : 3); /* segments have no background */
        assert_string_equal(volt_label_table_name(&back, 2), "Leber \xc3\xbc");
        assert_int_equal(back.entries[back.count - 1].red, t.entries[2].red);
        assert_int_equal(back.entries[back.count - 1].blue, t.entries[2].blue);
        volt_label_table_clear(&back);
    }
    assert_ok(volt_image_read(&again, &header, path[0], NULL));
    assert_memory_equal(again->data, v->data, 24);
    assert_int_equal(header->intent_code, 1002);
    assert_int_equal(header->warning_count, 0);
    volt_volume_free(again);

    /* Written again with other names, the old table is gone; without names, it stays. */
    assert_ok(volt_label_table_set(&t, 2, "spleen"));
    assert_ok(volt_image_write("own/b.nii.gz", v, header, &o));
    assert_ok(volt_label_table_read("own/b.nii.gz", &back));
    assert_int_equal(back.count, 3);
    assert_string_equal(volt_label_table_name(&back, 2), "spleen");
    volt_label_table_clear(&back);
    assert_ok(volt_image_write("own/b.nii.gz", v, header, NULL));
    assert_name("own/b.nii.gz", 2, "Leber \xc3\xbc");
    volt_image_header_free(header);
    volt_label_table_clear(&t);
    volt_volume_free(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(snap_files_are_read),
        cmocka_unit_test(slicer_tables_are_read),
        cmocka_unit_test(segments_are_read),
        cmocka_unit_test(dataset_json_names_masks),
        cmocka_unit_test(regions_name_painted_values),
        cmocka_unit_test(written_tables_read_back),
        cmocka_unit_test(masks_hold_their_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
