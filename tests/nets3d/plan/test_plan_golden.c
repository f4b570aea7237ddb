/* Plans beside those of nnU-Net's own planners, key by key and number by number: the plain one
 * and ResEnc M, L, XL, on fingerprints with a cascade, transposition, regions, an ignore label
 * and two dimensions (testdata/scripts/make_plans.py), and on the hippocampus.
 */
#include "tests/kit/test.h"
#include "base/core/alloc.h"
#include "io/json/json.h"
#include "nets3d/plan.h"

#define HIPPOCAMPUS VOLT_TESTDATA "/hippocampus/"

static const char *const examples[] = {"ct",    "thick", "regions", "ignore",
                                       "small", "flat",  "acdc"};
static const char *const planners[] = {"default", "resenc-m", "resenc-l", "resenc-xl"};

static int compared; /* leaves */

/* Whether both say the same; numbers count by value (nnU-Net writes some as 3, some as 3.0). */
static void same(const char *path, const json_t *a, const json_t *b)
{
    char deeper[256];
    const char *key;
    json_t *value;
    size_t i;

    if (!a || !b)
        fail_msg("%s: only %s has it", path, a ? "nnU-Net" : "this plan");
    if (json_is_object(a) && json_is_object(b)) {
        json_object_foreach((json_t *)(uintptr_t)a, key, value)
        {
            snprintf(deeper, sizeof deeper, "%s.%s", path, key);
            same(deeper, value, json_object_get(b, key));
        }
        json_object_foreach((json_t *)(uintptr_t)b, key, value)
        {
            snprintf(deeper, sizeof deeper, "%s.%s", path, key);
            same(deeper, json_object_get(a, key), value);
        }
    } else if (json_is_array(a) && json_is_array(b)) {
        if (json_array_size(a) != json_array_size(b))
            fail_msg("%s: %zu entries, nnU-Net %zu", path, json_array_size(b),
                     json_array_size(a));
        json_array_foreach(a, i, value)
        {
            snprintf(deeper, sizeof deeper, "%s[%zu]", path, i);
            same(deeper, value, json_array_get(b, i));
        }
    } else if (json_is_number(a) && json_is_number(b)) {
        if (json_number_value(a) != json_number_value(b))
            fail_msg("%s: %.17g, nnU-Net %.17g", path, json_number_value(b),
                     json_number_value(a));
        compared++;
    } else {
        if (!json_equal(a, b))
            fail_msg("%s differs", path);
        compared++;
    }
}

static void compare_plans(const char *name, const json_t *golden, const volt_plan *plan)
{
    volt_json ours = {0};
    char *text = NULL;

    assert_ok(volt_plan_text(&text, plan));
    assert_ok(volt_json_parse(&ours, text, strlen(text), "ours"));
    same(name, golden, ours.root);
    volt_json_close(&ours);
    volt_free(text);
}

static char *dumped(const json_t *root, size_t *bytes)
{
    char *text = NULL;

    assert_ok(volt_json_dump(&text, bytes, root));
    return text;
}

/* dataset.json and dataset_fingerprint.json of an example. */
static void read_example(volt_dataset_info *info, volt_fingerprint *fp, const json_t *root,
                         const json_t *plans)
{
    const char *title = json_string_value(json_object_get(plans, "dataset_name"));
    size_t bytes;
    char *text = dumped(json_object_get(root, "dataset"), &bytes);

    assert_ok(volt_dataset_info_parse(info, text, bytes, "dataset.json"));
    volt_free(text);
    volt_free(info->name);
    info->name = NULL;
    assert_ok(volt_strdup(&info->name, title));
    assert_ok(
        volt_json_save("plan-golden-fingerprint.json", json_object_get(root, "fingerprint")));
    assert_ok(volt_fingerprint_read(fp, "plan-golden-fingerprint.json"));
}

static void check_example(const char *example)
{
    char path[512], name[64];
    volt_json doc = {0};
    size_t bytes;

    snprintf(path, sizeof path, "%s/plans/%s.json", VOLT_TESTDATA, example);
    assert_ok(volt_json_load(&doc, path));
    for (size_t i = 0; i < sizeof planners / sizeof *planners; i++) {
        const json_t *golden = json_object_get(json_object_get(doc.root, "plans"), planners[i]);
        volt_planner_options options = volt_planner_defaults();
        volt_dataset_info info = {0};
        volt_fingerprint fp = {0};
        volt_plan *plan = NULL, *again = NULL;
        char *text;

        read_example(&info, &fp, doc.root, golden);
        assert_ok(volt_planner_parse(&options.planner, planners[i]));
        assert_ok(volt_plan_make(&plan, &fp, &info, &options));
        snprintf(name, sizeof name, "%s/%s", example, planners[i]);
        compare_plans(name, golden, plan);
        text = dumped(golden, &bytes); /* nnU-Net's file is read, and written as it was */
        assert_ok(volt_plan_parse(&again, text, bytes, name, &info));
        compare_plans(name, golden, again);
        volt_free(text);
        volt_plan_free(again);
        volt_plan_free(plan);
        volt_fingerprint_clear(&fp);
        volt_dataset_info_clear(&info);
    }
    volt_json_close(&doc);
}

static void plans_are_nnunets_for_every_planner(void **state)
{
    (void)state;
    compared = 0;
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++)
        check_example(examples[i]);
    assert_true(compared > 5000);
    print_message("%d values compared\n", compared);
}

static void read_hippocampus(volt_dataset_info *info, volt_fingerprint *fp)
{
    assert_ok(volt_dataset_info_read(info, HIPPOCAMPUS "dataset.json"));
    volt_free(info->name);
    info->name = NULL;
    assert_ok(volt_strdup(&info->name, "Dataset004_Hippocampus"));
    assert_ok(volt_fingerprint_read(fp, HIPPOCAMPUS "dataset_fingerprint.json"));
}

static void the_hippocampus_has_nnunets_resenc_plan(void **state)
{
    volt_planner_options options = volt_planner_defaults();
    volt_dataset_info info = {0};
    volt_fingerprint fp = {0};
    volt_plan *plan = NULL;
    volt_json golden = {0};

    (void)state;
    options.planner = VOLT_PLANNER_RESENC_M;
    read_hippocampus(&info, &fp);
    assert_ok(volt_plan_make(&plan, &fp, &info, &options));
    assert_ok(volt_json_load(&golden, HIPPOCAMPUS "nnUNetResEncUNetMPlans.json"));
    compare_plans("hippocampus", golden.root, plan);
    volt_json_close(&golden);
    volt_plan_free(plan);
    volt_fingerprint_clear(&fp);
    volt_dataset_info_clear(&info);
}

/* The keys nnU-Net wrote before the network had an object of its own. */
static void make_old(json_t *config)
{
    json_t *kwargs = json_object_get(json_object_get(config, "architecture"), "arch_kwargs");
    const bool residual = json_object_get(kwargs, "n_blocks_per_stage") != NULL;
    const size_t axes = json_array_size(json_object_get(config, "patch_size"));

    json_object_set_new(config, "UNet_class_name",
                        json_string(residual ? "ResidualEncoderUNet" : "PlainConvUNet"));
    json_object_set_new(config, "UNet_base_num_features", json_integer(32));
    json_object_set_new(config, "unet_max_num_features", json_integer(axes == 3 ? 320 : 512));
    json_object_set(
        config, "n_conv_per_stage_encoder",
        json_object_get(kwargs, residual ? "n_blocks_per_stage" : "n_conv_per_stage"));
    json_object_set(config, "n_conv_per_stage_decoder",
                    json_object_get(kwargs, "n_conv_per_stage_decoder"));
    json_object_set_new(config, "num_pool_per_axis", json_array());
    json_object_set(config, "pool_op_kernel_sizes", json_object_get(kwargs, "strides"));
    json_object_set(config, "conv_kernel_sizes", json_object_get(kwargs, "kernel_sizes"));
    json_object_del(config, "architecture");
}

static void old_plans_are_converted(void **state)
{
    static const char *const files[] = {HIPPOCAMPUS "nnUNetPlans.json",
                                        HIPPOCAMPUS "nnUNetResEncUNetMPlans.json"};
    volt_dataset_info info = {0};
    volt_fingerprint fp = {0};

    (void)state;
    read_hippocampus(&info, &fp);
    for (int i = 0; i < 2; i++) {
        volt_json doc = {0}, golden = {0};
        volt_plan *plan = NULL;
        const char *key;
        json_t *config, *stats;
        size_t bytes;
        char *text;

        assert_ok(volt_json_load(&golden, files[i]));
        assert_ok(volt_json_load(&doc, files[i]));
        json_object_foreach(json_object_get(doc.root, "configurations"), key, config)
            make_old(config);
        stats = json_object_get(doc.root, "foreground_intensity_properties_per_channel");
        json_object_set(doc.root, "foreground_intensity_properties_by_modality", stats);
        json_object_del(doc.root, "foreground_intensity_properties_per_channel");
        text = dumped(doc.root, &bytes);
        assert_ok(volt_plan_parse(&plan, text, bytes, "old.json", &info));
        compare_plans("old", golden.root, plan);
        volt_plan_free(plan);
        volt_free(text);
        volt_json_close(&doc);
        volt_json_close(&golden);
    }
    volt_fingerprint_clear(&fp);
    volt_dataset_info_clear(&info);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plans_are_nnunets_for_every_planner),
        cmocka_unit_test(the_hippocampus_has_nnunets_resenc_plan),
        cmocka_unit_test(old_plans_are_converted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
