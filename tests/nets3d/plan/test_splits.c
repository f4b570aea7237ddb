#include "tests/kit/test.h"
#include "base/system/file.h"
#include "base/core/alloc.h"
#include "io/json/json.h"
#include "nets3d/plan/splits.h"

#include <unistd.h>

/* scikit-learn's KFold(5, shuffle=True, random_state=12345): validation indices. */
static const struct {
    int64_t cases;
    int64_t val[5][4]; /* -1 ends */
} vectors[] = {
    {10, {{0, 7, -1}, {3, 9, -1}, {4, 6, -1}, {1, 8, -1}, {2, 5, -1}}},
    {12, {{0, 3, 8, -1}, {7, 10, 11, -1}, {6, 9, -1}, {1, 4, -1}, {2, 5, -1}}},
    {20, {{3, 8, 13, 16}, {0, 10, 12, 15}, {6, 7, 11, 17}, {9, 14, 18, 19}, {1, 2, 4, 5}}},
};

static void published_folds_come_out(void **state)
{
    (void)state;
    for (size_t v = 0; v < sizeof vectors / sizeof *vectors; v++) {
        volt_splits s = {0};
        assert_ok(volt_splits_kfold(&s, vectors[v].cases));
        assert_int_equal(s.folds, 5);
        for (int f = 0; f < 5; f++) {
            const volt_split *fold = &s.fold[f];
            for (int64_t i = 0; i < fold->vals; i++)
                assert_int_equal(fold->val[i], vectors[v].val[f][i]);
            assert_true(fold->vals == 4 || vectors[v].val[f][fold->vals] == -1);
            assert_int_equal(fold->trains + fold->vals, vectors[v].cases);
        }
        volt_splits_clear(&s);
    }
}

static void assert_validates(const volt_split *split, int64_t cases, const json_t *val)
{
    assert_int_equal(split->vals, json_array_size(val));
    assert_int_equal(split->trains, cases - split->vals);
    for (int64_t i = 0; i < split->vals; i++)
        assert_int_equal(split->val[i], json_integer_value(json_array_get(val, (size_t)i)));
}

/* nnU-Net's own folds for 20 numbers of cases (testdata/scripts/make_splits.py). */
static void folds_are_nnunets_for_any_number_of_cases(void **state)
{
    volt_json doc = {0};
    const char *key;
    json_t *folds, *one;
    size_t i;
    int compared = 0;

    (void)state;
    assert_ok(volt_json_load(&doc, VOLT_TESTDATA "/splits.json"));
    json_object_foreach(json_object_get(doc.root, "kfold"), key, folds)
    {
        const int64_t cases = atoll(key);
        volt_splits s = {0};
        assert_ok(volt_splits_kfold(&s, cases));
        assert_int_equal(s.folds, json_array_size(folds));
        for (int f = 0; f < s.folds; f++, compared++)
            assert_validates(&s.fold[f], cases, json_array_get(folds, (size_t)f));
        volt_splits_clear(&s);
    }
    json_array_foreach(json_object_get(doc.root, "random"), i, one)
    {
        const int64_t cases = json_integer_value(json_object_get(one, "cases"));
        volt_split s = {0};
        assert_ok(
            volt_split_random(&s, cases, json_integer_value(json_object_get(one, "fold"))));
        assert_validates(&s, cases, json_object_get(one, "val"));
        volt_split_clear(&s);
        compared++;
    }
    assert_int_equal(compared, 112);
    volt_json_close(&doc);
}

/* numpy's RandomState(12345 + fold).choice(cases, int(cases * 0.8), replace=False): the rest.
 */
static void folds_past_the_last_are_random(void **state)
{
    static const int64_t five[2] = {1, 2}, seven[2] = {3, 5};
    volt_split s = {0};

    (void)state;
    assert_ok(volt_split_random(&s, 10, 5));
    assert_int_equal(s.trains, 8);
    assert_memory_equal(s.val, five, sizeof five);
    volt_split_clear(&s);
    assert_ok(volt_split_random(&s, 10, 7));
    assert_memory_equal(s.val, seven, sizeof seven);
    volt_split_clear(&s);
    assert_fails(volt_split_random(&s, 10, -2), VOLT_EINVAL, "fold -2");
}

static void few_cases_have_as_many_folds(void **state)
{
    volt_splits s = {0};

    (void)state;
    assert_ok(volt_splits_kfold(&s, 3));
    assert_int_equal(s.folds, 3);
    for (int f = 0; f < 3; f++)
        assert_true(s.fold[f].vals == 1 && s.fold[f].trains == 2);
    volt_splits_clear(&s);
    assert_fails(volt_splits_kfold(&s, 1), VOLT_EINVAL, "1 case cannot be split");
}

/* A data set of the golden splits' 195 cases. */
static void golden_cases(volt_dataset *ds)
{
    volt_json doc = {0};
    volt_json_at at, list;
    const char *id;
    size_t count, n = 0;

    assert_ok(volt_json_load(&doc, VOLT_TESTDATA "/hippocampus/splits_final.json"));
    *ds = (volt_dataset){.folder = "golden"};
    assert_ok(volt_alloc_zero(&ds->cases.item, 195, sizeof *ds->cases.item, "cases"));
    for (int part = 0; part < 2; part++) {
        at = volt_json_root(&doc);
        assert_ok(volt_json_item(&at, &at, 0));
        assert_ok(volt_json_member(&list, &at, part ? "val" : "train"));
        assert_ok(volt_json_length(&count, &list, 1, 195));
        for (size_t i = 0; i < count; i++) {
            assert_ok(volt_json_item(&at, &list, i));
            assert_ok(volt_json_text(&id, &at, 100));
            assert_true(n < 195);
            assert_ok(volt_strdup(&ds->cases.item[n++].id, id));
        }
    }
    assert_int_equal(n, 195);
    for (size_t i = 1; i < n; i++) { /* insertion sort by id */
        const volt_case held = ds->cases.item[i];
        size_t k = i;
        for (; k > 0 && strcmp(ds->cases.item[k - 1].id, held.id) > 0; k--)
            ds->cases.item[k] = ds->cases.item[k - 1];
        ds->cases.item[k] = held;
    }
    ds->cases.count = 195;
    volt_json_close(&doc);
}

static void the_golden_splits_are_reproduced(void **state)
{
    volt_json golden = {0}, ours = {0};
    volt_splits s = {0};
    volt_dataset ds;

    (void)state;
    golden_cases(&ds);
    assert_ok(volt_splits_kfold(&s, 195));
    assert_ok(volt_splits_write("splits-ours.json", &s, &ds));
    assert_ok(volt_json_load(&golden, VOLT_TESTDATA "/hippocampus/splits_final.json"));
    assert_ok(volt_json_load(&ours, "splits-ours.json"));
    assert_int_equal(json_array_size(golden.root), 5);
    assert_true(json_equal(golden.root, ours.root));
    volt_json_close(&golden);
    volt_json_close(&ours);
    volt_splits_clear(&s);
    volt_case_list_clear(&ds.cases);
}

static void the_file_is_made_once_and_then_obeyed(void **state)
{
    static const char own[] = "[{\"train\": [\"hippocampus_001\"], \"val\": "
                              "[\"hippocampus_004\", \"hippocampus_003\"]}]";
    volt_split s = {0};
    volt_dataset ds;

    (void)state;
    golden_cases(&ds);
    unlink("splits-made.json");
    assert_ok(volt_split_for_fold(&s, &ds, "splits-made.json", 0, NULL));
    assert_int_equal(s.vals, 39);
    volt_split_clear(&s);
    assert_true(volt_path_exists("splits-made.json"));
    assert_ok(volt_write_file("splits-made.json", own, strlen(own)));
    assert_ok(volt_split_for_fold(&s, &ds, "splits-made.json", 0, NULL));
    assert_true(s.trains == 1 && s.vals == 2 && s.val[0] == 1 && s.val[1] == 2);
    volt_split_clear(&s);
    assert_ok(volt_split_for_fold(&s, &ds, "splits-made.json", 1, NULL));
    assert_int_equal(s.vals, 39); /* past the file's only fold: random 80:20 */
    volt_split_clear(&s);
    assert_ok(volt_split_for_fold(&s, &ds, "splits-made.json", VOLT_FOLD_ALL, NULL));
    assert_true(s.trains == 195 && s.vals == 195);
    volt_split_clear(&s);
    assert_int_equal(volt_split_for_fold(&s, &ds, "splits-made.json", -7, NULL), VOLT_EINVAL);
    volt_case_list_clear(&ds.cases);
}

/* Keeps the last warning. */
static void keep_warning(void *user, volt_log_level level, const char *line)
{
    if (level == VOLT_LOG_WARNING)
        snprintf(user, 400, "%s", line);
}

static void the_data_sets_own_folds_come_before_ours(void **state)
{
    static const char own[] = "[{\"train\": [\"hippocampus_001\"], \"val\": "
                              "[\"hippocampus_004\"]}]";
    static const char edited[] = "[{\"train\": [\"hippocampus_004\"], \"val\": "
                                 "[\"hippocampus_001\"]}]";
    char last[400] = "";
    const volt_callbacks callbacks = {.log = keep_warning, .user = last};
    volt_split s = {0};
    volt_dataset ds;

    (void)state;
    golden_cases(&ds);
    ds.folder = "splits-set";
    assert_ok(volt_make_dirs(ds.folder));
    assert_ok(volt_write_file("splits-set/splits_final.json", own, strlen(own)));
    unlink("splits-own.json");
    assert_ok(volt_split_for_fold(&s, &ds, "splits-own.json", 0, NULL));
    assert_true(s.trains == 1 && s.vals == 1 && s.val[0] == 2);
    volt_split_clear(&s);
    assert_ok(volt_split_for_fold(&s, &ds, "splits-own.json", 0, &callbacks));
    assert_null(strstr(last, "is that of"));
    volt_split_clear(&s);
    assert_ok(volt_write_file("splits-set/splits_final.json", edited, strlen(edited)));
    assert_ok(volt_split_for_fold(&s, &ds, "splits-own.json", 0, &callbacks));
    assert_true(s.vals == 1 && s.val[0] == 2);
    assert_non_null(strstr(last, "fold 0 is that of splits-own.json, not that of splits-set/"));
    volt_split_clear(&s);
    unlink("splits-set/splits_final.json"); /* taken over */
    assert_ok(volt_split_for_fold(&s, &ds, "splits-own.json", 0, NULL));
    assert_int_equal(s.vals, 1);
    volt_split_clear(&s);
    volt_case_list_clear(&ds.cases);
}

static void missing_folds_and_cases_are_reported(void **state)
{
    char last[400] = "", file[3000] = "[";
    const volt_callbacks callbacks = {.log = keep_warning, .user = last};
    volt_split s = {0};
    volt_dataset ds;

    (void)state;
    golden_cases(&ds);
    unlink("splits-told.json");
    assert_ok(volt_split_check(&ds, "splits-told.json", 4));
    assert_false(volt_path_exists("splits-told.json")); /* checking writes nothing */
    assert_ok(volt_split_for_fold(&s, &ds, "splits-told.json", 4, &callbacks));
    assert_string_equal(last, "");
    volt_split_clear(&s);
    assert_ok(volt_split_for_fold(&s, &ds, "splits-told.json", 5, &callbacks));
    assert_non_null(strstr(last, "fold 5: splits-told.json has 5 folds, 0 to 4; a random"));
    assert_non_null(strstr(last, "seed 12350"));
    volt_split_clear(&s);
    for (int f = 0; f < 10; f++) {
        const size_t used = strlen(file);
        snprintf(file + used, sizeof file - used,
                 "%s{\"train\": [\"hippocampus_001\"], \"val\": [\"%s\"]}", f ? ", " : "",
                 ds.cases.item[10 + f].id);
    }
    strcat(file, "]");
    assert_ok(volt_write_file("splits-told.json", file, strlen(file)));
    *last = '\0';
    assert_ok(volt_split_for_fold(&s, &ds, "splits-told.json", 9, &callbacks));
    assert_int_equal(s.val[0], 19);
    assert_non_null(strstr(last, "fold 9: 193 of 195 cases of golden are in neither list"));
    volt_split_clear(&s);
    volt_case_list_clear(&ds.cases);
}

static void nonsense_in_a_split_is_refused(void **state)
{
    static const char *const tries[][2] = {
        {"{}", "array"},
        {"[]", "0 items"},
        {"[{\"train\": [\"hippocampus_001\"]}]", "val"},
        {"[{\"train\": [], \"val\": [\"hippocampus_001\"]}]", "train"},
        {"[{\"train\": [\"nobody\"], \"val\": [\"hippocampus_001\"]}]", "nobody"},
        {"[{\"train\": [\"hippocampus_001\"], \"val\": [\"hippocampus_001\"]}]", "already"},
        {"[{\"train\": [\"hippocampus_001\"], \"val\": []}]", "val"},
        {"[{\"train\": [\"hippocampus_001\", \"hippocampus_001\"], \"val\": "
         "[\"hippocampus_003\"]}]",
         "already"},
        {"[{\"train\": [\"hippocampus_001\", 3], \"val\": [\"hippocampus_003\"]}]", "train[1]"},
    };
    volt_splits s = {0};
    volt_dataset ds;

    (void)state;
    golden_cases(&ds);
    for (size_t i = 0; i < sizeof tries / sizeof *tries; i++) {
        assert_ok(volt_write_file("splits-bad.json", tries[i][0], strlen(tries[i][0])));
        assert_fails(volt_splits_read(&s, "splits-bad.json", &ds), VOLT_EFORMAT, tries[i][1]);
        assert_non_null(strstr(volt_last_error(), "splits-bad.json"));
        assert_null(s.fold);
        assert_int_equal(volt_split_check(&ds, "splits-bad.json", 0), VOLT_EFORMAT);
    }
    volt_case_list_clear(&ds.cases);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_folds_come_out),
        cmocka_unit_test(folds_are_nnunets_for_any_number_of_cases),
        cmocka_unit_test(folds_past_the_last_are_random),
        cmocka_unit_test(few_cases_have_as_many_folds),
        cmocka_unit_test(the_golden_splits_are_reproduced),
        cmocka_unit_test(the_file_is_made_once_and_then_obeyed),
        cmocka_unit_test(the_data_sets_own_folds_come_before_ours),
        cmocka_unit_test(missing_folds_and_cases_are_reported),
        cmocka_unit_test(nonsense_in_a_split_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
