/* Rules of the data set's check, and that reading a case refuses what the check refuses. */
#include <math.h>
#include <string.h>

#include "io/dataset.h"
#include "tests/kit/dataset_kit.h"

#define RAW "check-raw"

static void make(const char *json)
{
    kit_folder(RAW);
    kit_text(RAW "/dataset.json", json);
    kit_write(RAW "/imagesTr/a_0000.nii.gz", (kit_scan){.base = 1});
    kit_write(RAW "/labelsTr/a.nii.gz", (kit_scan){.label_high = 2});
}

/* Whether a finding has both words. */
static bool holds(const volt_findings *f, volt_severity severity, const char *a, const char *b)
{
    for (int64_t i = 0; i < f->count; i++) {
        const volt_finding *item = &f->item[i];
        if (item->severity == severity && strstr(item->sentence, a) &&
            strstr(item->sentence, b))
            return true;
    }
    return false;
}

static void check(volt_findings *f, const volt_dataset_options *o)
{
    volt_dataset *ds = NULL;

    assert_ok(volt_dataset_open(&ds, RAW, o));
    assert_ok(volt_dataset_check(f, ds, 1, NULL));
    volt_dataset_close(ds);
}

/* -- Label values ------------------------------------------------------------------------- */

static void put(volt_volume *v, int64_t i, double value)
{
    switch (v->dtype) {
    case VOLT_U8:
        ((uint8_t *)v->data)[i] = (uint8_t)value;
        break;
    case VOLT_I8:
        ((int8_t *)v->data)[i] = (int8_t)value;
        break;
    case VOLT_U16:
        ((uint16_t *)v->data)[i] = (uint16_t)value;
        break;
    case VOLT_I16:
        ((int16_t *)v->data)[i] = (int16_t)value;
        break;
    case VOLT_U32:
        ((uint32_t *)v->data)[i] = (uint32_t)value;
        break;
    case VOLT_I32:
        ((int32_t *)v->data)[i] = (int32_t)value;
        break;
    case VOLT_U64:
        ((uint64_t *)v->data)[i] = (uint64_t)value;
        break;
    case VOLT_I64:
        ((int64_t *)v->data)[i] = (int64_t)value;
        break;
    case VOLT_F32:
        ((float *)v->data)[i] = (float)value;
        break;
    case VOLT_F64:
        ((double *)v->data)[i] = value;
        break;
    default:
        fail_msg("labels of another type");
    }
}

/* A label file of ones and one other value. */
static void write_label(volt_dtype dtype, double value)
{
    const int64_t n[3] = {4, 5, 6};
    const double mm[3] = {1.5, 1, 1};
    const volt_grid grid = volt_grid_make(n, 1, mm);
    volt_volume *v = NULL;

    assert_ok(volt_volume_create(&v, &grid, dtype));
    for (int64_t i = 0; i < 120; i++)
        put(v, i, 1);
    put(v, 7, value);
    assert_ok(volt_nifti_write(RAW "/labelsTr/a.nii.gz", v, NULL, NULL));
    volt_volume_free(v);
}

#define JSON(labels, more)                                                                     \
    "{\"channel_names\": {\"0\": \"T1\"}, \"labels\": {" labels                                \
    "}, \"numTraining\": 1, \"file_ending\": \".nii.gz\"" more "}"
#define PLAIN     "\"background\": 0, \"a\": 1, \"b\": 2"
#define IGNORE    PLAIN ", \"ignore\": 3"
#define REGIONS   "\"background\": 0, \"whole\": [1, 2], \"core\": [2]"
#define ORDERED   ", \"regions_class_order\": [1, 2]"
#define OWN(list) ", \"volt\": {\"stored_labels\": " list "}"

static void values_that_no_label_names_are_errors(void **state)
{
    static const struct {
        volt_dtype dtype;
        double value;
    } bad[] = {
        {VOLT_I8, -1},          {VOLT_I16, -1},        {VOLT_I32, -1},
        {VOLT_I64, -1},         {VOLT_F32, -1},        {VOLT_F64, -1},
        {VOLT_I8, -128},        {VOLT_I16, INT16_MIN}, {VOLT_I16, INT16_MAX},
        {VOLT_U8, 255},         {VOLT_U16, 65535},     {VOLT_U16, 32768},
        {VOLT_U32, 4294967295}, {VOLT_I32, INT32_MIN}, {VOLT_I32, 65536},
        {VOLT_U64, 4294967297}, {VOLT_U64, 1.8e19},    {VOLT_I64, -4294967296},
        {VOLT_I64, -9e18},      {VOLT_F32, 0.5},       {VOLT_F32, 1.01},
        {VOLT_F64, 1e300},      {VOLT_F64, NAN},       {VOLT_F32, NAN},
        {VOLT_F32, INFINITY},   {VOLT_F64, -INFINITY}, {VOLT_F32, 65537},
        {VOLT_U8, 4},
    };
    static const char *const tables[] = {JSON(PLAIN, ""), JSON(IGNORE, ""),
                                         JSON(REGIONS, ORDERED)};
    (void)state;
    for (size_t t = 0; t < sizeof tables / sizeof *tables; t++) {
        make(tables[t]);
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
            volt_findings f = {0};
            volt_dataset *ds = NULL;
            volt_case_data d = {0};
            write_label(bad[i].dtype, bad[i].value);
            check(&f, NULL);
            if (f.errors != 1 || !holds(&f, VOLT_ERROR, "labelsTr/a.nii.gz", ""))
                fail_msg("table %zu: %g as %s: %d errors", t, bad[i].value,
                         volt_dtype_name(bad[i].dtype), (int)f.errors);
            volt_findings_clear(&f);
            assert_ok(volt_dataset_open(&ds, RAW, NULL));
            if (volt_case_read(&d, &ds->cases.item[0], &ds->info, 1) == VOLT_OK)
                fail_msg("table %zu: %g as %s is read", t, bad[i].value,
                         volt_dtype_name(bad[i].dtype));
            assert_null(d.labels);
            volt_dataset_close(ds);
        }
    }
}

static void values_that_labels_name_are_read(void **state)
{
    static const volt_dtype dtypes[] = {VOLT_U8,  VOLT_I8,  VOLT_U16, VOLT_I16, VOLT_U32,
                                        VOLT_I32, VOLT_U64, VOLT_I64, VOLT_F32, VOLT_F64};

    (void)state;
    make(JSON(IGNORE, ""));
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++) {
        volt_findings f = {0};
        write_label(dtypes[i], 3); /* the ignore label */
        check(&f, NULL);
        assert_int_equal(f.errors, 0);
        volt_findings_clear(&f);
    }
}

/* Without an ignore label no value is ignored, also where the files' values are translated. */
static void tables_without_their_zero_do_not_accept_zero(void **state)
{
    volt_findings f = {0};
    volt_dataset *ds = NULL;
    volt_case_data d = {0};

    (void)state;
    make(JSON(PLAIN, OWN("[5, 1, 7]")));
    write_label(VOLT_U8, 0);
    check(&f, NULL);
    assert_true(holds(&f, VOLT_ERROR, "has label 0 in 1 voxel,", "do not name"));
    assert_ok(volt_dataset_open(&ds, RAW, NULL));
    assert_fails(volt_case_read(&d, &ds->cases.item[0], &ds->info, 1), VOLT_EDATA,
                 "has label 0 in 1 voxel,");
    volt_dataset_close(ds);
    volt_findings_clear(&f);
}

static void many_unnamed_values_are_summed_up(void **state)
{
    volt_findings f = {0};

    (void)state;
    make(JSON(PLAIN, ""));
    kit_write(RAW "/labelsTr/a.nii.gz", (kit_scan){.label_high = 30});
    check(&f, NULL);
    assert_int_equal(f.errors, 11); /* 10 of 28 values, and one for the others */
    assert_true(holds(&f, VOLT_ERROR, "18 more values, in ", "do not name"));
    volt_findings_clear(&f);
}

/* -- Geometry ----------------------------------------------------------------------------- */

static void shifted_labels_are_errors_unless_allowed(void **state)
{
    volt_dataset_options o = volt_dataset_defaults();
    volt_findings f = {0};
    volt_dataset *ds = NULL;
    volt_case_data d = {0};

    (void)state;
    make(JSON(PLAIN, ""));
    kit_write(RAW "/labelsTr/a.nii.gz", (kit_scan){.label_high = 2, .shift_mm = 30});
    check(&f, NULL);
    assert_int_equal(f.errors, 1);
    assert_true(holds(&f, VOLT_ERROR, "labelsTr/a.nii.gz lies 30 mm away from ", "a_0000"));
    assert_int_equal(f.item[0].kind, VOLT_FINDING_SHIFT);
    volt_findings_clear(&f);
    assert_ok(volt_dataset_open(&ds, RAW, NULL));
    assert_fails(volt_case_read(&d, &ds->cases.item[0], &ds->info, 1), VOLT_EDATA,
                 "lies 30 mm away");
    volt_dataset_close(ds);
    o.allow_shift = true;
    check(&f, &o);
    assert_int_equal(f.errors, 0);
    assert_true(holds(&f, VOLT_WARNING, "30 mm away", "voxel by voxel"));
    volt_findings_clear(&f);
    assert_ok(volt_dataset_open(&ds, RAW, &o));
    assert_ok(volt_case_read(&d, &ds->cases.item[0], &ds->info, 1));
    assert_memory_equal(&d.labels->grid.to_world, &d.image->grid.to_world,
                        sizeof d.image->grid.to_world);
    volt_case_data_clear(&d);
    volt_dataset_close(ds);
}

static void shifted_channels_are_errors(void **state)
{
    volt_dataset_options o = volt_dataset_defaults();
    volt_findings f = {0};
    volt_dataset *ds = NULL;
    volt_case_data d = {0};

    (void)state;
    make("{\"channel_names\": {\"0\": \"T1\", \"1\": \"T2\"}, \"labels\": {\"background\": 0, "
         "\"a\": 1, \"b\": 2}, \"numTraining\": 1, \"file_ending\": \".nii.gz\"}");
    kit_write(RAW "/imagesTr/a_0001.nii.gz", (kit_scan){.base = 1, .shift_mm = 7});
    check(&f, NULL);
    assert_int_equal(f.errors, 1);
    assert_true(holds(&f, VOLT_ERROR, "a_0001.nii.gz lies 7 mm away from ", "a_0000"));
    volt_findings_clear(&f);
    assert_ok(volt_dataset_open(&ds, RAW, NULL));
    assert_ok(volt_case_read(&d, &ds->cases.item[0], &ds->info, 1)); /* to predict */
    assert_int_equal(d.shifted, 1);
    assert_true(fabs(d.shift_mm - 7) < 1e-6);
    volt_case_data_clear(&d);
    volt_dataset_close(ds);
    o.resample_channels = true;
    check(&f, &o);
    assert_int_equal(f.errors, 0);
    volt_findings_clear(&f);
    assert_ok(volt_dataset_open(&ds, RAW, &o));
    assert_ok(volt_case_read(&d, &ds->cases.item[0], &ds->info, 1));
    assert_int_equal(d.shifted, 0);
    volt_case_data_clear(&d);
    volt_dataset_close(ds);
}

static void flipped_labels_are_errors(void **state)
{
    volt_findings f = {0};

    (void)state;
    make(JSON(PLAIN, ""));
    kit_write(RAW "/labelsTr/a.nii.gz", (kit_scan){.label_high = 2, .codes = "LPS"});
    check(&f, NULL);
    assert_true(holds(&f, VOLT_ERROR, "mm away from", "labelsTr/a"));
    volt_findings_clear(&f);
    kit_write(RAW "/labelsTr/a.nii.gz", (kit_scan){.label_high = 2, .shift_mm = 0.5});
    check(&f, NULL);
    assert_int_equal(f.errors, 0);
    assert_true(holds(&f, VOLT_WARNING, "labelsTr/a", "origin at x"));
    volt_findings_clear(&f);
}

/* -- Normalization and numbering ---------------------------------------------------------- */

static void unnamed_hounsfield_units_are_warned_of(void **state)
{
    volt_dataset_options o = volt_dataset_defaults();
    volt_findings f = {0};

    (void)state;
    make(JSON(PLAIN, ""));
    kit_write(RAW "/imagesTr/a_0000.nii.gz", (kit_scan){.base = 400, .odd_value = -1000});
    check(&f, NULL);
    assert_true(holds(&f, VOLT_WARNING, "channel 0, \"T1\", has values from -1000 to 406",
                      "only the name CT"));
    volt_findings_clear(&f);
    o.channel_names = "ct";
    check(&f, &o);
    assert_int_equal(f.count, 0);
    volt_findings_clear(&f);
    kit_write(RAW "/imagesTr/a_0000.nii.gz", (kit_scan){.base = 400, .odd_value = -3});
    check(&f, NULL);
    assert_int_equal(f.count, 0);
    volt_findings_clear(&f);
}

static void class_orders_that_renumber_are_warned_of(void **state)
{
    static const struct {
        const char *json;
        bool warned;
    } t[] = {
        {JSON(REGIONS, ORDERED), false},
        {JSON(REGIONS, ", \"regions_class_order\": [2, 1]"), true},
        {JSON("\"background\": 0, \"all\": [1, 2], \"more\": 3",
              ", \"regions_class_order\": [2, 3]"),
         false}, /* 1 and 2 are not told apart */
        {JSON("\"background\": 0, \"all\": [1, 2], \"more\": 3",
              ", \"regions_class_order\": [3, 1]"),
         true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        volt_findings f = {0};
        make(t[i].json);
        check(&f, NULL);
        assert_int_equal(holds(&f, VOLT_WARNING, "regions_class_order gives label", ""),
                         t[i].warned);
        volt_findings_clear(&f);
    }
}

/* -- Lists -------------------------------------------------------------------------------- */

typedef struct lines {
    int count;
    char last[200];
} lines;

static void take_line(void *user, volt_severity severity, const char *sentence)
{
    lines *l = user;

    (void)severity;
    l->count++;
    snprintf(l->last, sizeof l->last, "%s", sentence);
}

static void lists_show_ten_of_a_kind(void **state)
{
    volt_finding item[200];
    volt_findings f = {.item = item, .count = 200, .errors = 200};
    lines l = {0};

    (void)state;
    for (int i = 0; i < 200; i++)
        item[i] = (volt_finding){.severity = VOLT_ERROR,
                                 .kind = VOLT_FINDING_UNREADABLE,
                                 .sentence = "cannot open x"};
    volt_findings_list(&f, VOLT_FINDINGS_SHOWN, take_line, &l);
    assert_int_equal(l.count, 11);
    assert_string_equal(l.last, "and 190 more of this kind (unreadable file)");
    f.count = 10;
    l = (lines){0};
    volt_findings_list(&f, VOLT_FINDINGS_SHOWN, take_line, &l);
    assert_int_equal(l.count, 10);
    assert_string_equal(l.last, "cannot open x");
    for (int k = VOLT_FINDING_DATASET; k <= VOLT_FINDING_NORMALIZATION; k++)
        assert_string_not_equal(volt_finding_kind_name((volt_finding_kind)k), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_that_no_label_names_are_errors),
        cmocka_unit_test(values_that_labels_name_are_read),
        cmocka_unit_test(tables_without_their_zero_do_not_accept_zero),
        cmocka_unit_test(many_unnamed_values_are_summed_up),
        cmocka_unit_test(shifted_labels_are_errors_unless_allowed),
        cmocka_unit_test(shifted_channels_are_errors),
        cmocka_unit_test(flipped_labels_are_errors),
        cmocka_unit_test(unnamed_hounsfield_units_are_warned_of),
        cmocka_unit_test(class_orders_that_renumber_are_warned_of),
        cmocka_unit_test(lists_show_ten_of_a_kind),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
