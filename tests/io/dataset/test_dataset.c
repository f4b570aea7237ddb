#include "tests/kit/dataset_kit.h"
#include "base/core/alloc.h"
#include "io/dataset.h"

#include <math.h>
#include <unistd.h>

#define RAW "dataset-raw"

/* Two channels, three cases. */
static void make_raw(void)
{
    kit_folder(RAW);
    kit_text(RAW "/dataset.json", KIT_JSON("\"0\": \"T1\", \"1\": \"T2\"", "3"));
    for (int i = 0; i < 3; i++) {
        char path[100];
        for (int c = 0; c < 2; c++) {
            snprintf(path, sizeof path, RAW "/imagesTr/case_%d_%04d.nii.gz", i, c);
            kit_write(path, (kit_scan){.base = (float)(10 * i + c + 1)});
        }
        snprintf(path, sizeof path, RAW "/labelsTr/case_%d.nii.gz", i);
        kit_write(path, (kit_scan){.label_high = 2});
    }
    kit_text(RAW "/imagesTr/._case_0_0000.nii.gz", "litter");
    kit_text(RAW "/imagesTr/notes.txt", "not a scan");
}

static void a_raw_data_set_is_listed_and_read(void **state)
{
    volt_dataset *ds = NULL;
    volt_case_data d = {0};
    volt_dataset_info three;
    const float *voxel;

    (void)state;
    make_raw();
    assert_ok(volt_dataset_open(&ds, RAW, NULL));
    assert_string_equal(ds->layout, "nnU-Net raw");
    assert_string_equal(ds->info.name, RAW);
    assert_int_equal(ds->info.channels, 2);
    assert_string_equal(ds->info.channel_name[1], "T2");
    assert_int_equal(ds->info.labels, 3);
    assert_int_equal(ds->info.ignore_label, -1);
    assert_int_equal(ds->cases.count, 3);
    assert_int_equal(volt_dataset_find(ds, "case_1"), 1);
    assert_int_equal(volt_dataset_find(ds, "case_9"), -1);
    assert_ok(volt_case_read(&d, &ds->cases.item[1], &ds->info, 1));
    assert_int_equal(d.image->grid.channels, 2);
    assert_int_equal(d.image->grid.n[2], 6);
    voxel = d.image->data;
    assert_true(voxel[0] == 11 && voxel[1] == 12 && voxel[4 * 5 * 6] == 12);
    assert_int_equal(d.labels->dtype, VOLT_I16);
    assert_int_equal(((int16_t *)d.labels->data)[2], 2);
    assert_non_null(d.header);
    volt_case_data_clear(&d);
    three = ds->info;
    three.channels = 3;
    assert_fails(volt_case_read(&d, &ds->cases.item[1], &three, 1), VOLT_EDATA, "3 channels");
    volt_dataset_close(ds);
}

static void channels_on_different_grids_are_refused(void **state)
{
    volt_dataset *ds = NULL;
    volt_case_data d = {0};

    (void)state;
    make_raw();
    kit_write(RAW "/imagesTr/case_0_0001.nii.gz", (kit_scan){.n = {4, 7, 6}});
    kit_write(RAW "/imagesTr/case_1_0001.nii.gz", (kit_scan){.spacing = {2, 1, 1}});
    kit_write(RAW "/labelsTr/case_2.nii.gz", (kit_scan){.n = {4, 5, 8}});
    assert_ok(volt_dataset_open(&ds, RAW, NULL));
    assert_fails(volt_case_read(&d, &ds->cases.item[0], &ds->info, 1), VOLT_EDATA,
                 "7 voxels along y");
    assert_fails(volt_case_read(&d, &ds->cases.item[1], &ds->info, 1), VOLT_EDATA,
                 "2 mm along z");
    assert_fails(volt_case_read(&d, &ds->cases.item[2], &ds->info, 1), VOLT_EDATA,
                 "8 voxels along x");
    assert_null(d.image);
    volt_dataset_close(ds);
}

static void a_decathlon_set_with_four_dimensions_is_read(void **state)
{
    volt_dataset *ds = NULL;
    volt_case_data d = {0};

    (void)state;
    kit_folder("dataset-msd");
    kit_text("dataset-msd/dataset.json",
             "{\"name\": \"Two\", \"relase\": \"1.0\", \"modality\": {\"1\": \"T2\", \"0\": "
             "\"FLAIR\"}, \"labels\": {\"0\": \"background\", \"2\": \"core\", \"1\": "
             "\"edema\"}, \"numTraining\": 2, \"training\": ["
             "{\"image\": \"./imagesTr/b.nii.gz\", \"label\": \"./labelsTr/b.nii.gz\"},"
             "{\"image\": \"./imagesTr/._b.nii.gz\", \"label\": \"./labelsTr/._b.nii.gz\"},"
             "{\"image\": \"./imagesTr/a.nii.gz\", \"label\": \"./labelsTr/a.nii.gz\"}],"
             "\"test\": [\"./imagesTs/c.nii.gz\"]}");
    kit_write("dataset-msd/imagesTr/a.nii.gz", (kit_scan){.channels = 2});
    kit_write("dataset-msd/imagesTr/b.nii.gz", (kit_scan){.channels = 1});
    kit_write("dataset-msd/labelsTr/a.nii.gz", (kit_scan){.label_high = 2});
    kit_write("dataset-msd/labelsTr/b.nii.gz", (kit_scan){.label_high = 2});
    assert_ok(volt_dataset_open(&ds, "dataset-msd", NULL));
    assert_string_equal(ds->layout, "Medical Segmentation Decathlon");
    assert_string_equal(ds->info.name, "Two");
    assert_string_equal(ds->info.channel_name[0], "FLAIR");
    assert_string_equal(ds->info.label[1].name, "edema");
    assert_int_equal(ds->cases.count, 2);
    assert_string_equal(ds->cases.item[0].id, "a");
    assert_ok(volt_case_read(&d, &ds->cases.item[0], &ds->info, 1));
    assert_int_equal(d.image->grid.channels, 2);
    volt_case_data_clear(&d);
    assert_fails(volt_case_read(&d, &ds->cases.item[1], &ds->info, 1), VOLT_EDATA,
                 "has 1 channel");
    volt_dataset_close(ds);
}

static void listed_cases_of_nnunet_are_found(void **state)
{
    volt_dataset_options o = volt_dataset_defaults();
    volt_dataset *ds = NULL;

    (void)state;
    kit_folder("dataset-listed");
    setenv("VOLT_TEST_SCANS", "/somewhere", 1);
    kit_text(
        "dataset-listed/dataset.json",
        "{\"channel_names\": {\"0\": \"CT\"}, \"labels\": {\"background\": 0, \"a\": [1], "
        "\"ignore\": 2}, \"numTraining\": 2, \"file_ending\": \".nii.gz\", \"dataset\": {"
        "\"y\": {\"images\": [\"x/y.nii.gz\"], \"label\": \"../other/l/y.nii.gz\"},"
        "\"x\": {\"images\": [\"${VOLT_TEST_SCANS}/x.nii.gz\"], \"label\": \"/l/x.nii\"}}}");
    assert_fails(volt_dataset_open(&ds, "dataset-listed", NULL), VOLT_EDATA,
                 "\"../other/l/y.nii.gz\", which leaves the data set's folder");
    o.allow_outside = true;
    assert_ok(volt_dataset_open(&ds, "dataset-listed", &o));
    assert_int_equal(ds->cases.count, 2);
    assert_int_equal(ds->notes, 2); /* once each, for three paths */
    assert_non_null(strstr(ds->note[0], "leave its folder"));
    assert_non_null(strstr(ds->note[1], "environment variable"));
    assert_string_equal(ds->cases.item[0].file[0], "/somewhere/x.nii.gz");
    assert_string_equal(ds->cases.item[0].label_file, "/l/x.nii");
    assert_string_equal(ds->cases.item[1].file[0], "dataset-listed/x/y.nii.gz");
    assert_string_equal(ds->cases.item[1].label_file, "dataset-listed/../other/l/y.nii.gz");
    assert_int_equal(ds->info.labels, 2);
    assert_int_equal(ds->info.ignore_label, 2);
    volt_dataset_close(ds);
}

static void paths_out_of_the_data_set_are_refused(void **state)
{
    static const char *const paths[] = {"/etc/x.nii.gz", "../x.nii.gz", "a/../../x.nii.gz",
                                        "..", "a\\\\..\\\\x.nii.gz"};
    static const char *const inside[] = {"a..b/x.nii.gz", "./x..nii.gz", "...nii.gz"};
    char json[500];

    (void)state;
    kit_folder("dataset-outside");
    for (size_t i = 0; i < 16; i++) {
        const bool bad = i < 10, label = i % 2;
        const char *path = bad ? paths[i / 2] : inside[(i - 10) / 2];
        volt_dataset *ds = NULL;
        for (int listed = 0; listed < 2; listed++) {
            snprintf(
                json, sizeof json,
                listed ? "{\"channel_names\": {\"0\": \"CT\"}, \"labels\": {\"background\": 0, "
                         "\"a\": 1}, \"dataset\": {\"x\": {\"images\": [\"%s\"], \"label\": "
                         "\"%s\"}}}"
                       : "{\"modality\": {\"0\": \"CT\"}, \"labels\": {\"0\": \"background\", "
                         "\"1\": \"a\"}, \"training\": [{\"image\": \"%s\", \"label\": "
                         "\"%s\"}]}",
                label ? "l.nii" : path, label ? path : "l.nii");
            kit_text("dataset-outside/dataset.json", json);
            if (bad)
                assert_fails(volt_dataset_open(&ds, "dataset-outside", NULL), VOLT_EDATA,
                             "leaves the data set's folder");
            else
                assert_ok(volt_dataset_open(&ds, "dataset-outside", NULL));
            volt_dataset_close(ds);
            ds = NULL;
        }
    }
}

/* -- The check ---------------------------------------------------------------------------- */

/* Finds the finding of `severity` whose sentence holds both words. */
static bool holds(const volt_findings *f, volt_severity severity, const char *a, const char *b)
{
    for (int64_t i = 0; i < f->count; i++) {
        if (f->item[i].severity == severity && strstr(f->item[i].sentence, a) &&
            strstr(f->item[i].sentence, b))
            return true;
    }
    return false;
}

static void print_findings(const volt_findings *f)
{
    for (int64_t i = 0; i < f->count; i++)
        print_message("%s: %s\n", f->item[i].severity == VOLT_ERROR ? "error" : "warning",
                      f->item[i].sentence);
}

static void a_sound_data_set_has_no_findings(void **state)
{
    volt_dataset *ds = NULL;
    volt_findings f = {0};

    (void)state;
    make_raw();
    assert_ok(volt_dataset_open(&ds, RAW, NULL));
    assert_ok(volt_dataset_check(&f, ds, 2, NULL));
    print_findings(&f);
    assert_int_equal(f.count, 0);
    assert_ok(volt_findings_judge(&f));
    volt_findings_clear(&f);
    volt_dataset_close(ds);
}

static void every_broken_rule_is_found_in_one_run(void **state)
{
    static const char *const errors[][2] = {
        {"numTraining is 12", "training cases is 11"},
        {"consecutive", "\"b\" is 4 after 1"},
        {"nan_0001", "NaN or infinite in 1 voxel"},
        {"shape_0001", "7 voxels along y"},
        {"spacing_0000", "2.5: they must agree"},
        {"lacks_0001", "cannot open"},
        {"extra", "3 image files"},
        {"labels_3", "label 3 in"},
        {"nolabel.nii.gz", "cannot open"},
        {"broken_0000", ""},
        {"half.nii.gz", "0.5"},
        {"alone_0000", "cannot open"},
    };
    static const char *const names[] = {"nan",      "shape",   "spacing", "lacks", "extra",
                                        "labels_3", "nolabel", "broken",  "half",  "moved"};
    volt_dataset *ds = NULL;
    volt_findings f = {0};
    char path[100];

    (void)state;
    kit_folder(RAW);
    kit_text(RAW "/dataset.json",
             "{\"channel_names\": {\"0\": \"T1\", \"1\": \"T2\"}, \"labels\": {\"background\": "
             "0, \"a\": 1, \"b\": 4}, \"numTraining\": 12, \"file_ending\": \".nii.gz\"}");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        for (int c = 0; c < 2; c++) {
            snprintf(path, sizeof path, RAW "/imagesTr/%s_%04d.nii.gz", names[i], c);
            kit_write(path, (kit_scan){.base = 1});
        }
        snprintf(path, sizeof path, RAW "/labelsTr/%s.nii.gz", names[i]);
        kit_write(path, (kit_scan){.label_high = 1});
    }
    kit_write(RAW "/imagesTr/nan_0001.nii.gz", (kit_scan){.odd_value = NAN});
    kit_write(RAW "/imagesTr/shape_0001.nii.gz", (kit_scan){.n = {4, 7, 6}});
    kit_write(RAW "/imagesTr/spacing_0000.nii.gz", (kit_scan){.spacing = {2.5, 1, 1}});
    unlink(RAW "/imagesTr/lacks_0001.nii.gz");
    kit_write(RAW "/imagesTr/extra_0002.nii.gz", (kit_scan){.base = 1});
    kit_write(RAW "/labelsTr/labels_3.nii.gz", (kit_scan){.label_high = 3});
    unlink(RAW "/labelsTr/nolabel.nii.gz");
    kit_text(RAW "/imagesTr/broken_0000.nii.gz", "this is no scan");
    kit_write(RAW "/labelsTr/half.nii.gz", (kit_scan){.label_high = 1, .odd_value = 0.5f});
    kit_write(RAW "/labelsTr/moved.nii.gz", (kit_scan){.label_high = 1, .shift_mm = 0.5});
    kit_write(RAW "/labelsTr/alone.nii.gz", (kit_scan){.label_high = 1});
    assert_ok(volt_dataset_open(&ds, RAW, NULL));
    assert_int_equal(ds->cases.count, 11);
    assert_ok(volt_dataset_check(&f, ds, 2, NULL));
    print_findings(&f);
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        if (!holds(&f, VOLT_ERROR, errors[i][0], errors[i][1]))
            fail_msg("no error with '%s' and '%s'", errors[i][0], errors[i][1]);
    }
    assert_true(holds(&f, VOLT_WARNING, "moved.nii.gz", "origin at x"));
    assert_true(holds(&f, VOLT_WARNING, "no case has label 4", "\"b\""));
    assert_fails(volt_findings_judge(&f), VOLT_EDATA, "more errors");
    volt_findings_clear(&f);
    volt_dataset_close(ds);
}

static void flat_images_and_empty_labels_are_warned_of(void **state)
{
    volt_dataset *ds = NULL;
    volt_findings f = {0};
    const int64_t n[3] = {4, 5, 6};
    const double mm[3] = {1.5, 1, 1};
    const volt_grid grid = volt_grid_make(n, 1, mm);
    volt_volume *empty = NULL;

    (void)state;
    make_raw();
    assert_ok(volt_volume_create(&empty, &grid, VOLT_U8));
    assert_ok(volt_nifti_write(RAW "/imagesTr/case_0_0001.nii.gz", empty, NULL, NULL));
    assert_ok(volt_nifti_write(RAW "/labelsTr/case_0.nii.gz", empty, NULL, NULL));
    volt_volume_free(empty);
    assert_ok(volt_dataset_open(&ds, RAW, NULL));
    assert_ok(volt_dataset_check(&f, ds, 2, NULL));
    assert_true(holds(&f, VOLT_WARNING, "case_0_0001", "0 everywhere"));
    assert_true(holds(&f, VOLT_WARNING, "labelsTr/case_0", "no foreground"));
    assert_int_equal(f.errors, 0);
    assert_ok(volt_findings_judge(&f));
    volt_findings_clear(&f);
    volt_dataset_close(ds);
}

static void empty_data_sets_are_errors(void **state)
{
    volt_dataset *ds = NULL;
    volt_findings f = {0};

    (void)state;
    kit_folder("dataset-empty");
    assert_fails(volt_dataset_open(&ds, "dataset-empty", NULL), VOLT_EDATA, "no dataset.json");
    assert_fails(volt_dataset_open(&ds, "no-such-folder", NULL), VOLT_EIO, "no-such-folder");
    kit_text("dataset-empty/dataset.json", KIT_JSON("\"0\": \"CT\"", "0"));
    assert_ok(volt_dataset_open(&ds, "dataset-empty", NULL));
    assert_ok(volt_dataset_check(&f, ds, 0, NULL));
    assert_int_equal(f.errors, 1);
    assert_fails(volt_findings_judge(&f), VOLT_EDATA, "no training case");
    volt_findings_clear(&f);
    volt_dataset_close(ds);
}

static void nonsense_in_dataset_json_is_refused_by_key(void **state)
{
#define HEAD    "{\"channel_names\": {\"0\": \"CT\"}, "
#define REGIONS "\"labels\": {\"a\": 0, \"wt\": [1, 2], \"tc\": 2}, "
#define TAIL    "\"numTraining\": 1, \"file_ending\": \".nii.gz\"}"
    static const struct {
        const char *json;
        volt_status status;
        const char *words;
    } tries[] = {
        {"{}", VOLT_EFORMAT, "channel_names"},
        {"[]", VOLT_EFORMAT, "object"},
        {"{\"channel_names\": {}, \"labels\": {}}", VOLT_EFORMAT, "0 entries"},
        {"{\"channel_names\": {\"1\": \"CT\"}}", VOLT_EFORMAT, "\"0\" to \"0\""},
        {"{\"channel_names\": {\"0\": \"CT\", \"00\": \"MR\"}}", VOLT_EFORMAT, "again"},
        {HEAD TAIL, VOLT_EFORMAT, "labels"},
        {HEAD "\"labels\": {\"background\": 0}, " TAIL, VOLT_EFORMAT, "1 entries"},
        {HEAD "\"labels\": {\"a\": 1, \"b\": 2}, " TAIL, VOLT_EFORMAT, "background must be 0"},
        {HEAD "\"labels\": {\"a\": 0, \"b\": -2}, " TAIL, VOLT_EFORMAT, "labels.b is -2"},
        {HEAD "\"labels\": {\"a\": 0, \"b\": 40000}, " TAIL, VOLT_EFORMAT, "40000"},
        {HEAD "\"labels\": {\"a\": 0, \"b\": 1, \"c\": 1}, " TAIL, VOLT_EFORMAT, "gives 1 to"},
        {HEAD "\"labels\": {\"0\": \"x\", \"1\": \"x\"}, " TAIL, VOLT_EFORMAT, "two labels"},
        {HEAD "\"labels\": {\"a\": 0, \"wt\": [1, 2], \"tc\": 2}, " TAIL, VOLT_EFORMAT,
         "regions_class_order"},
        {HEAD REGIONS "\"regions_class_order\": [1], " TAIL, VOLT_EFORMAT, "2"},
        {HEAD REGIONS "\"regions_class_order\": [1, 7], " TAIL, VOLT_EFORMAT, "[1] is 7"},
        {HEAD REGIONS "\"regions_class_order\": [0, 1], " TAIL, VOLT_EFORMAT, "[0] is 0"},
        {HEAD "\"labels\": {\"a\": 0, \"wt\": [1, 1]}, " TAIL, VOLT_EFORMAT, "1 twice"},
        {HEAD "\"labels\": {\"a\": 0, \"wt\": []}, " TAIL, VOLT_EFORMAT, "labels.wt"},
        {HEAD "\"labels\": {\"a\": 0, \"wt\": [0, 1]}, " TAIL, VOLT_EFORMAT, "background, 0"},
        {HEAD "\"labels\": {\"a\": 0, \"w\": [1, 3], \"ignore\": 3}, " TAIL, VOLT_EFORMAT,
         "gives 3 to \"label 3\" and to \"ignore\""},
        {HEAD "\"labels\": {\"a\": 0, \"w\": 1, \"ignore\": [2, 3]}, " TAIL, VOLT_EFORMAT,
         "2 values to the ignore label"},
        {HEAD "\"labels\": {\"a\": 0, \"w\": 1}, \"volt\": {\"stored_labels\": [0, 0]}, " TAIL,
         VOLT_EFORMAT, "has 0 twice"},
        {HEAD "\"labels\": {\"a\": 0, \"ignore\": 1}, " TAIL, VOLT_EFORMAT,
         "no label besides background"},
        {HEAD "\"labels\": {\"a\": 0, \"b\": 1}, \"file_ending\": \".mgz\"}", VOLT_ENOTSUP,
         "is \".mgz\""},
        {HEAD "\"labels\": {\"a\": 0, \"b\": 1}, \"training\": [7], " TAIL, VOLT_EFORMAT,
         "training[0]"},
        {HEAD "\"labels\": {\"a\": 0, \"b\": 1}, \"training\": [{\"image\": \"a.nii\"}, "
              "{\"image\": \"b/a.nii\"}], " TAIL,
         VOLT_EFORMAT, "occurs twice"},
        {HEAD "\"labels\": {\"a\": 0, \"b\": 1}, \"dataset\": {\"../x\": {\"images\": "
              "[\"a.nii\"]}}, " TAIL,
         VOLT_EFORMAT, "not a valid case id"},
        {HEAD "\"labels\": {\"a\": 0, \"b\": 1}, \"dataset\": {\"x\": {\"images\": "
              "[\"$VOLT_TEST_UNSET/a.nii\"]}}, " TAIL,
         VOLT_EFORMAT, "VOLT_TEST_UNSET"},
    };

    (void)state;
    kit_folder("dataset-hostile");
    for (size_t i = 0; i < sizeof tries / sizeof *tries; i++) {
        volt_dataset *ds = NULL;
        kit_text("dataset-hostile/dataset.json", tries[i].json);
        if (volt_dataset_open(&ds, "dataset-hostile", NULL) != tries[i].status ||
            !strstr(volt_last_error(), tries[i].words) || ds)
            fail_msg("%s: '%s' lacks '%s'", tries[i].json, volt_last_error(), tries[i].words);
    }
}

/* A copy, by way of text as in a checkpoint. */
static void copy_info(volt_dataset_info *out, const volt_dataset_info *info)
{
    char *text = NULL;

    assert_ok(volt_dataset_info_text(&text, info));
    assert_ok(volt_dataset_info_parse(out, text, strlen(text), "copy"));
    volt_free(text);
}

static void label_values_may_be_in_quotes(void **state)
{
    static const char json[] =
        "{\"channel_names\": {\"0\": \"CT\"}, \"labels\": {\"background\": \"0\", "
        "\"2nd\": \"1\"}, \"numTraining\": 4, \"file_ending\": \".nii.gz\"}";
    volt_dataset_info a = {0};

    (void)state;
    assert_ok(volt_dataset_info_parse(&a, json, strlen(json), "text"));
    assert_int_equal(a.labels, 2);
    assert_int_equal(a.label[1].value, 1);
    assert_string_equal(a.label[1].name, "2nd");
    volt_dataset_info_clear(&a);
}

static void info_travels_through_its_own_file(void **state)
{
    volt_dataset_info a = {0}, b = {0}, c = {0};
    char *text = NULL;
    static const char json[] =
        "{\"name\": \"N\", \"modality\": {\"0\": \"CT\"}, \"labels\": {\"0\": \"background\", "
        "\"1\": \"a\", \"2\": \"ignore\"}, \"numTraining\": 4}";

    (void)state;
    assert_ok(volt_dataset_info_parse(&a, json, strlen(json), "text"));
    assert_ok(volt_dataset_info_write("dataset-info.json", &a));
    assert_ok(volt_dataset_info_read(&b, "dataset-info.json"));
    copy_info(&c, &b);
    assert_string_equal(c.name, "N");
    assert_int_equal(c.labels, 2);
    assert_int_equal(c.ignore_label, 2);
    assert_int_equal(c.num_training, 4);
    assert_string_equal(c.label[1].name, "a");
    assert_string_equal(c.file_ending, ".nii.gz");
    assert_ok(volt_dataset_info_text(&text, &c));
    assert_non_null(strstr(text, "\"ignore\": 2"));
    volt_free(text);
    volt_dataset_info_clear(&a);
    volt_dataset_info_clear(&b);
    volt_dataset_info_clear(&c);
}

static void regions_keep_their_order_and_form(void **state)
{
    static const char json[] =
        "{\"channel_names\": {\"0\": \"T1\"}, \"labels\": {\"bg\": 0, \"whole\": [2, 1, 3], "
        "\"core\": [2, 3], \"enhancing\": [3], \"ignore\": 4}, \"regions_class_order\": [1, 2, "
        "3], "
        "\"volt\": {\"stored_labels\": [0, 2, 1, 4], \"stored_ignore\": 9}}";
    volt_dataset_info a = {0}, b = {0}, c = {0};
    char *text = NULL, *again = NULL;

    (void)state;
    assert_ok(volt_dataset_info_parse(&a, json, strlen(json), "text"));
    assert_ok(volt_dataset_info_text(&text, &a));
    assert_ok(volt_dataset_info_parse(&b, text, strlen(text), "again"));
    copy_info(&c, &b);
    assert_ok(volt_dataset_info_text(&again, &c));
    assert_string_equal(text, again);
    assert_int_equal(volt_dataset_info_outputs(&c), 3);
    assert_int_equal(c.labels, 4);
    assert_string_equal(c.label[1].name, "label 1");
    assert_string_equal(c.label[3].name, "enhancing");
    assert_int_equal(c.ignore_label, 4);
    assert_string_equal(c.region[0].name, "whole");
    assert_int_equal(c.region[0].values, 3);
    assert_int_equal(c.region[0].value[0], 2);
    assert_true(c.region[2].is_list);
    assert_int_equal(c.region[2].values, 1);
    assert_int_equal(c.region[1].painted, 2);
    assert_int_equal(c.stored[3], 4);
    assert_int_equal(c.stored_ignore, 9);
    volt_free(again);
    volt_free(text);
    volt_dataset_info_clear(&a);
    volt_dataset_info_clear(&b);
    volt_dataset_info_clear(&c);
}

static void masks_get_the_data_sets_own_numbers(void **state)
{
    volt_label label[] = {{"bg", 0}, {"a", 1}, {"b", 2}, {"c", 3}};
    int32_t stored[] = {0, 2, 1, 400};
    const volt_dataset_info info = {
        .label = label, .labels = 4, .stored = stored, .ignore_label = VOLT_NO_IGNORE_LABEL};
    const int64_t n[3] = {1, 1, 4};
    const double mm[3] = {1, 1, 1};
    const volt_grid grid = volt_grid_make(n, 1, mm);
    const uint8_t values[2][4] = {{3, 2, 1, 0}, {0, 0, 9, 0}};
    static const uint16_t wanted[] = {400, 1, 2, 0};
    volt_image_header header = {.grid = grid};
    volt_volume *v = NULL;

    (void)state;
    for (int t = 0; t < 2; t++) {
        assert_ok(volt_volume_create(&v, &grid, VOLT_U8));
        memcpy(v->data, values[t], 4);
        if (t) {
            assert_fails(volt_mask_restore(&v, &info, &header, 1), VOLT_EINVAL, "value 9");
            assert_int_equal(v->dtype, VOLT_U8);
        } else {
            assert_ok(volt_mask_restore(&v, &info, &header, 1));
            assert_int_equal(v->dtype, VOLT_U16);
            assert_memory_equal(v->data, wanted, sizeof wanted);
        }
        volt_volume_free(v);
    }
}

static void inputs_become_cases(void **state)
{
    const char *raw[] = {RAW "/imagesTr"}, *one[] = {"inputs/scan_0012.nii.gz"};
    const char *both[] = {"inputs", "inputs/other.nii"}, *none[] = {"dataset-empty"};
    const char *gone[] = {"inputs/gone.nii"};
    volt_case_list list = {0};

    (void)state;
    make_raw();
    assert_ok(volt_inputs_list(&list, raw, 1, 2, NULL));
    assert_int_equal(list.count, 3);
    assert_int_equal(list.item[2].files, 2);
    assert_string_equal(list.item[2].id, "case_2");
    assert_null(list.item[2].label_file);
    volt_case_list_clear(&list);
    assert_fails(volt_inputs_list(&list, raw, 1, 3, NULL), VOLT_EDATA, "lacks channel 2");
    unlink(RAW "/imagesTr/case_1_0000.nii.gz");
    assert_fails(volt_inputs_list(&list, raw, 1, 2, NULL), VOLT_EDATA,
                 "case_1 lacks channel 0");

    kit_folder("inputs");
    kit_write("inputs/scan_0012.nii.gz", (kit_scan){0});
    kit_write("inputs/other.nii", (kit_scan){0});
    kit_text("inputs/_litter.nii.gz", "");
    assert_ok(volt_inputs_list(&list, one, 1, 1, NULL));
    assert_string_equal(list.item[0].id, "scan_0012");
    assert_true(list.item[0].numbered);
    volt_case_list_clear(&list);
    assert_fails(volt_inputs_list(&list, both, 2, 1, NULL), VOLT_EINVAL, "other");
    assert_ok(volt_inputs_list(&list, both, 1, 1, NULL));
    assert_int_equal(list.count, 2);
    volt_case_list_clear(&list);
    kit_folder("dataset-empty");
    assert_fails(volt_inputs_list(&list, none, 1, 1, NULL), VOLT_EDATA, "no scan");
    assert_fails(volt_inputs_list(&list, gone, 1, 1, NULL), VOLT_EIO, "gone.nii");
    assert_fails(volt_inputs_list(&list, one, 1, 2, NULL), VOLT_EDATA, "channel 12");
}

static void input(const char *name)
{
    char path[100];

    snprintf(path, sizeof path, "grouped/%s", name);
    kit_write(path, (kit_scan){0});
}

static void channels_of_a_case_are_never_cases(void **state)
{
    static const struct {
        const char *name[4];
        int channels;
        const char *words; /* NULL: accepted */
    } t[] = {
        {{"a_0000.nii", "a_0001.nii", "a_0002.nii", "a_0003.nii"},
         1,
         "a_0003.nii is channel 3"},
        {{"a_0000.nii", "a_0001.nii", "b_0000.nii"}, 1, "a_0001.nii is channel 1 of case a"},
        {{"a_0000.nii", "a_0007.nii"}, 1, "a_0007.nii is channel 7"},
        {{"a_0001.nii", "a_0002.nii"}, 1, "a_0002.nii is channel 2"},
        {{"a_0000.nii", "b_0000.nii"}, 1, NULL},
        {{"a_0001.nii", "b_0001.nii", "c.nii"}, 1, NULL},
        {{"a.nii", "a_0000.nii"}, 1, "both give case a"},
        {{"a.nii", "a_0001.nii"}, 1, "both give case a"},
        {{"a_0000.nii", "a_0000.nii.gz"}, 1, "both give case a"},
        {{"a_0000.nii", "a_0001.nii"}, 2, NULL},
        {{"a_0000.nii", "a_0002.nii"}, 2, "a_0002.nii is channel 2"},
        {{"a_0000.nii", "a_0002.nii"}, 3, "lacks channel 1"},
        {{"a_0000.nii", "a_0001.nii"}, 3, "lacks channel 2"},
        {{"a_0000.nii", "a_0001.nii", "b_0000.nii"}, 2, "case b lacks channel 1"},
        {{"a_0000.nii", "a_0001.nii", "a_0002.nii"}, 2, "a_0002.nii is channel 2"},
        {{"a_0001.nii"}, 2, "lacks channel 0"},
        {{"a_0000.nii"}, 4, "lacks channel 1"},
    };
    const char *folder[] = {"grouped"};

    (void)state;
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        volt_case_list list = {0};
        kit_folder("grouped");
        for (int k = 0; k < 4 && t[i].name[k]; k++)
            input(t[i].name[k]);
        print_message("row %zu\n", i);
        if (!t[i].words)
            assert_ok(volt_inputs_list(&list, folder, 1, t[i].channels, NULL));
        else if (volt_inputs_list(&list, folder, 1, t[i].channels, NULL) == VOLT_OK ||
                 !strstr(volt_last_error(), t[i].words))
            fail_msg("row %zu: %s", i, volt_last_error());
        volt_case_list_clear(&list);
    }
}

static void faulty_cases_are_listed_on_request(void **state)
{
    const char *folder[] = {"grouped"};
    volt_case_list list = {0};

    (void)state;
    kit_folder("grouped");
    input("a_0000.nii");
    input("a_0001.nii");
    input("b_0000.nii");
    assert_ok(volt_inputs_list_all(&list, folder, 1, 2, NULL));
    assert_int_equal(list.count, 2);
    assert_null(list.item[0].fault);
    assert_int_equal(list.item[0].files, 2);
    assert_non_null(strstr(list.item[1].fault, "case b lacks channel 1"));
    assert_int_equal(list.item[1].fault_status, VOLT_EDATA);
    assert_int_equal(list.item[1].files, 0);
    volt_case_list_clear(&list);
    assert_fails(volt_inputs_list_all(&list, folder, 1, 3, NULL), VOLT_EDATA,
                 "case a lacks channel 2");
}

static void stop_after_two(void *user, const char *what, int64_t done, int64_t total)
{
    (void)what;
    (void)total;
    *(bool *)user = done >= 2;
}

static bool is_stopped(void *user)
{
    return *(bool *)user;
}

static void a_check_can_be_stopped(void **state)
{
    bool stop = false;
    const volt_callbacks cb = {
        .user = &stop, .progress = stop_after_two, .cancelled = is_stopped};
    volt_dataset *ds = NULL;
    volt_findings f = {0};

    (void)state;
    make_raw();
    assert_ok(volt_dataset_open(&ds, RAW, NULL));
    assert_int_equal(volt_dataset_check(&f, ds, 1, &cb), VOLT_ECANCELLED);
    assert_null(f.item);
    volt_dataset_close(ds);
}

static void data_sets_survive_every_failed_allocation(void **state)
{
    const size_t before = volt_mem_current();
    volt_status st = VOLT_ENOMEM;
    int tries = 0;

    (void)state;
    make_raw();
    for (int64_t n = 1; st == VOLT_ENOMEM && n < 10000; n++, tries++) {
        volt_dataset *ds = NULL;
        volt_findings f = {0};
        volt_mem_fail_after(n);
        st = volt_dataset_open(&ds, RAW, NULL);
        if (st == VOLT_OK)
            st = volt_dataset_check(&f, ds, 1, NULL);
        volt_mem_fail_after(0);
        volt_findings_clear(&f);
        volt_dataset_close(ds);
        assert_int_equal(volt_mem_current(), before);
    }
    assert_int_equal(st, VOLT_OK);
    assert_true(tries > 20);
}

static void values_that_are_not_finite_name_their_file(void **state)
{
    char *file[] = {(char *)"a_0000.nii", (char *)"a_0001.nii"};
    volt_case c = {.id = (char *)"a", .files = 2, .file = file};
    const volt_grid grid = volt_grid_make((int64_t[]){2, 3, 4}, 2, (double[]){1, 1, 1});
    volt_volume *v;

    (void)state;
    assert_ok(volt_volume_create(&v, &grid, VOLT_F32));
    memset(v->data, 0, volt_volume_bytes(v));
    assert_ok(volt_case_check_finite(&c, v, 1));
    ((float *)v->data)[24 + 5] = NAN;
    ((float *)v->data)[24 + 7] = INFINITY;
    assert_fails(volt_case_check_finite(&c, v, 1), VOLT_EDATA,
                 "a_0001.nii is NaN or infinite in 2 voxels");
    c.files = 1; /* of both channels */
    assert_fails(volt_case_check_finite(&c, v, 1), VOLT_EDATA, "a_0000.nii is NaN");
    volt_volume_free(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(label_values_may_be_in_quotes),
        cmocka_unit_test(values_that_are_not_finite_name_their_file),
        cmocka_unit_test(a_raw_data_set_is_listed_and_read),
        cmocka_unit_test(channels_on_different_grids_are_refused),
        cmocka_unit_test(a_decathlon_set_with_four_dimensions_is_read),
        cmocka_unit_test(listed_cases_of_nnunet_are_found),
        cmocka_unit_test(paths_out_of_the_data_set_are_refused),
        cmocka_unit_test(a_sound_data_set_has_no_findings),
        cmocka_unit_test(every_broken_rule_is_found_in_one_run),
        cmocka_unit_test(flat_images_and_empty_labels_are_warned_of),
        cmocka_unit_test(empty_data_sets_are_errors),
        cmocka_unit_test(nonsense_in_dataset_json_is_refused_by_key),
        cmocka_unit_test(info_travels_through_its_own_file),
        cmocka_unit_test(regions_keep_their_order_and_form),
        cmocka_unit_test(masks_get_the_data_sets_own_numbers),
        cmocka_unit_test(inputs_become_cases),
        cmocka_unit_test(faulty_cases_are_listed_on_request),
        cmocka_unit_test(channels_of_a_case_are_never_cases),
        cmocka_unit_test(a_check_can_be_stopped),
        cmocka_unit_test(data_sets_survive_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
