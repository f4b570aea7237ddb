#include <stdio.h>
#include "tests/kit/test.h"
#include "base/system/file.h"
#include "base/mem.h"
#include "io/json/json.h"
#include "io/scores.h"

static const int32_t one[] = {1}, two[] = {2};
static const volt_region classes[2] = {{"liver, left", one, 1, false},
                                       {"tumour", two, 1, false}};

static volt_summary *summary_of_two(const volt_metrics_options *o)
{
    const volt_metrics good[2] = {{.dice = 0.5, .tp = 3, .hd95_mm = 1.0 / 3},
                                  {.dice = NAN, .hd95_mm = NAN}};
    const volt_metrics bad[2] = {{.dice = 0.25, .hd95_mm = INFINITY}, {.dice = 1e-5}};
    volt_summary *s;

    assert_ok(volt_summary_create(&s, classes, 2, o));
    assert_ok(volt_summary_add(s, "p/good.nii.gz", "r/good.nii.gz", good));
    assert_ok(volt_summary_add(s, "p/bad.nii.gz", "r/bad.nii.gz", bad));
    volt_summary_finish(s);
    return s;
}

static void read_back(char **text, const char *path)
{
    assert_ok(volt_read_file(text, NULL, path, 1 << 20));
    remove(path);
}

/* Worst case first, quoted names, nothing for NaN. */
static void a_table_has_a_line_per_case_and_class(void **state)
{
    volt_metrics_options o = volt_metrics_defaults();
    volt_summary *s = summary_of_two(&o);
    char *text, *line;

    (void)state;
    assert_ok(volt_scores_write_csv("scores_test.csv", s));
    read_back(&text, "scores_test.csv");
    assert_memory_equal(text, "case,class,Dice,IoU,FP,TP,FN,TN,n_pred,n_ref,HD,HD95,", 53);
    assert_null(strstr(text, "lesion"));
    line = strchr(text, '\n') + 1;
    assert_memory_equal(line, "bad.nii.gz,\"liver, left\",0.25,0.0,0,0,0,0,0,0,0.0,inf,", 54);
    assert_non_null(strstr(text, "\nbad.nii.gz,tumour,1e-05,"));
    assert_non_null(strstr(text, "\ngood.nii.gz,\"liver, left\",0.5,0.0,0,3,"));
    assert_non_null(strstr(text, ",0.3333333333333333,"));
    assert_non_null(strstr(text, "\ngood.nii.gz,tumour,,"));
    volt_free(text);
    volt_summary_free(s);
}

static void a_report_tells_rules_means_and_cases(void **state)
{
    static const int32_t values[] = {0, 1};
    volt_metrics_options o = volt_metrics_defaults();
    volt_confusion *c;
    volt_summary *s;
    volt_scores scores;
    json_t *root, *at;
    char *text;

    (void)state;
    o.lesions = true;
    o.policy = VOLT_EMPTY_BRATS;
    s = summary_of_two(&o);
    assert_ok(volt_summary_bootstrap(s, 20, 7, 1));
    assert_ok(volt_confusion_create(&c, values, 2));
    c->voxels[5] = 12;
    scores = (volt_scores){s, &o, c, 7};
    assert_ok(volt_scores_write("scores_test.json", &scores));
    root = json_load_file("scores_test.json", 0, NULL);
    remove("scores_test.json");
    assert_non_null(root);
    assert_string_equal(json_string_value(json_object_get(root, "policy")), "brats");
    at = json_object_get(json_object_get(root, "mean"), "liver, left");
    at = json_object_get(at, "Dice");
    assert_true(json_number_value(json_object_get(at, "mean")) == 0.375);
    assert_true(json_number_value(json_object_get(at, "low")) == 0.25);
    at = json_object_get(json_object_get(root, "mean"), "tumour");
    assert_int_equal(
        json_integer_value(json_object_get(json_object_get(at, "Dice"), "undefined")), 1);
    at = json_array_get(json_object_get(root, "worst_first"), 0);
    assert_string_equal(json_string_value(json_object_get(at, "prediction_file")),
                        "p/bad.nii.gz");
    at = json_object_get(json_object_get(at, "classes"), "liver, left");
    assert_true(json_is_null(json_object_get(at, "HD95")));
    at = json_object_get(json_object_get(root, "confusion"), "voxels");
    assert_int_equal(json_integer_value(json_array_get(json_array_get(at, 1), 2)), 12);
    json_decref(root);
    assert_ok(volt_confusion_write_csv("scores_test.csv", c));
    read_back(&text, "scores_test.csv");
    assert_string_equal(text, "truth,0,1,other\n0,0,0,0\n1,0,0,12\nother,0,0,0\n");
    volt_free(text);
    volt_confusion_free(c);
    volt_summary_free(s);
}

static void rules_of_older_callers_are_completed(void **state)
{
    const size_t bytes = offsetof(volt_metrics_options, lesion);
    volt_metrics_options full = volt_metrics_defaults(), *older = malloc(bytes);
    volt_scores scores = {0};
    char *text, *expected;

    (void)state;
    assert_non_null(older);
    full.lesions = true;
    volt_metrics_options_init(older, bytes);
    memcpy((char *)older + offsetof(volt_metrics_options, lesions), &full.lesions,
           sizeof full.lesions); /* gcc knows that no whole struct is there */
    scores.summary = summary_of_two(&full);
    scores.options = &full;
    assert_ok(volt_scores_text(&expected, &scores));
    scores.options = older;
    assert_ok(volt_scores_text(&text, &scores));
    assert_string_equal(text, expected);
    full.policy = (volt_empty_policy)3;
    scores.options = &full;
    assert_fails(volt_scores_text(&text, &scores), VOLT_EINVAL, "policy 3");
    volt_free(expected);
    volt_free(text);
    volt_summary_free((volt_summary *)scores.summary);
    free(older);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_table_has_a_line_per_case_and_class),
        cmocka_unit_test(a_report_tells_rules_means_and_cases),
        cmocka_unit_test(rules_of_older_callers_are_completed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
