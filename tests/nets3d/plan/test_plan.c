#include "tests/kit/test.h"
#include "base/system/file.h"
#include "base/mem.h"
#include "io/json/json.h"
#include "nets3d/plan/topology.h"

#define GOLDEN VOLT_TESTDATA "/hippocampus/"

static char *channel_names[4] = {"MRI", "T1", "T2", "FLAIR"};
static volt_label label_list[4] = {
    {"background", 0}, {"Anterior", 1}, {"Posterior", 2}, {"third", 3}};

static volt_dataset_info info_of(int channels, int labels)
{
    return (volt_dataset_info){.name = "Dataset004_Hippocampus",
                               .channels = channels,
                               .channel_name = channel_names,
                               .labels = labels,
                               .label = label_list,
                               .ignore_label = VOLT_NO_IGNORE_LABEL,
                               .file_ending = ".nii.gz",
                               .num_training = 195};
}

typedef struct vector {
    const char *name;
    volt_topology_input in;
    int64_t patch[3], batch, pools[3];
    double estimate; /* 0: not known */
} vector;

/* Published plans and recomputed ones, see nnU-Net's ExperimentPlanner. */
static const vector vectors[] = {
    {"hippocampus of 260 cases",
     {0, 3, {1, 1, 1}, {36, 50, 35}, 1, 3, 260.0 * 36 * 50 * 35, 0, NULL},
     {40, 56, 40},
     9,
     {3, 3, 3},
     19174400},
    {"large CT",
     {0, 3, {0.6, 0.34668, 0.34668}, {512, 512, 706}, 1, 3, 1e12, 0, NULL},
     {128, 112, 160},
     2,
     {5, 4, 5},
     0},
    {"low resolution CT",
     {0, 3, {2.3855, 1.5044, 1.5044}, {132, 267, 267}, 1, 3, 1e12, 0, NULL},
     {80, 192, 160},
     2,
     {4, 5, 5},
     0},
    {"BraTS",
     {0, 3, {1, 1, 1}, {138, 169, 138}, 4, 4, 1251.0 * 138 * 169 * 138, 0, NULL},
     {128, 128, 128},
     2,
     {5, 5, 5},
     454893568},
    {"BraTS 2-D",
     {0, 2, {1, 1, 1}, {138, 169, 138}, 4, 4, 1251.0 * 138 * 169 * 138, 0, NULL},
     {1, 192, 160},
     105,
     {0, 5, 5},
     0},
    {"liver",
     {0, 3, {1, 0.7676, 0.7676}, {482, 512, 512}, 1, 3, 131.0 * 482 * 512 * 512, 0, NULL},
     {128, 128, 128},
     2,
     {5, 5, 5},
     452796416},
    {"liver 2-D",
     {0, 2, {1, 0.7676, 0.7676}, {482, 512, 512}, 1, 3, 131.0 * 482 * 512 * 512, 0, NULL},
     {1, 512, 512},
     12,
     {0, 7, 7},
     82886656},
    {"prostate",
     {0, 3, {3.6, 0.62, 0.62}, {20, 320, 320}, 2, 3, 32.0 * 20 * 320 * 320, 0, NULL},
     {20, 320, 256},
     2,
     {2, 6, 6},
     0},
    {"ResEnc M, BraTS",
     {VOLT_PLANNER_RESENC_M,
      3,
      {1, 1, 1},
      {138, 169, 138},
      4,
      4,
      1251.0 * 138 * 169 * 138,
      0,
      NULL},
     {128, 128, 128},
     2,
     {5, 5, 5},
     559517696},
    {"ResEnc L, BraTS",
     {VOLT_PLANNER_RESENC_L,
      3,
      {1, 1, 1},
      {138, 169, 138},
      4,
      4,
      1251.0 * 138 * 169 * 138,
      0,
      NULL},
     {160, 192, 160},
     3,
     {5, 5, 5},
     0},
    {"ResEnc XL, liver",
     {VOLT_PLANNER_RESENC_XL,
      3,
      {1, 0.7676, 0.7676},
      {482, 512, 512},
      1,
      3,
      131.0 * 482 * 512 * 512,
      0,
      NULL},
     {224, 256, 224},
     2,
     {5, 5, 5},
     0},
};

static void published_topologies_come_out(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        const vector *v = &vectors[i];
        volt_topology t;
        print_message("%s\n", v->name);
        assert_ok(volt_plan_topology(&t, &v->in));
        for (int a = 0; a < 3; a++) {
            assert_int_equal(t.patch[a], v->patch[a]);
            assert_int_equal(t.pools[a], v->pools[a]);
        }
        assert_int_equal(t.batch, v->batch);
        if (v->estimate > 0)
            assert_true(t.estimate == v->estimate);
    }
}

static void anisotropic_data_start_with_flat_kernels(void **state)
{
    static const int64_t strides[7][3] = {{1, 1, 1}, {1, 2, 2}, {1, 2, 2}, {2, 2, 2},
                                          {2, 2, 2}, {1, 2, 2}, {1, 2, 2}};
    volt_topology t;

    (void)state;
    assert_ok(volt_plan_topology(&t, &vectors[7].in));
    assert_int_equal(t.shape.stages, 7);
    for (int s = 0; s < 7; s++) {
        for (int a = 0; a < 3; a++) {
            assert_int_equal(t.shape.stride[s][a], strides[s][a]);
            assert_int_equal(t.shape.kernel[s][a], s < 2 && a == 0 ? 1 : 3);
        }
    }
    assert_ok(volt_plan_topology(&t, &vectors[1].in));
    assert_int_equal(t.shape.stages, 6);
    assert_int_equal(t.shape.stride[5][0], 2);
    assert_int_equal(t.shape.stride[5][1], 1);
    assert_int_equal(t.shape.stride[5][2], 2);
    assert_int_equal(t.shape.max_features, 320);
}

static void the_golden_plan_is_reproduced_key_by_key(void **state)
{
    const volt_dataset_info info = info_of(1, 3);
    volt_fingerprint fp = {0};
    volt_plan *plan = NULL;
    volt_json golden = {0}, ours = {0};
    const char *key;
    json_t *value;
    int compared = 0;

    (void)state;
    assert_ok(volt_fingerprint_read(&fp, GOLDEN "dataset_fingerprint.json"));
    assert_int_equal(fp.cases, 195);
    assert_ok(volt_plan_make(&plan, &fp, &info, NULL));
    assert_ok(volt_plan_write("plan-ours.json", plan));
    assert_ok(volt_json_load(&golden, GOLDEN "nnUNetPlans.json"));
    assert_ok(volt_json_load(&ours, "plan-ours.json"));
    json_object_foreach(golden.root, key, value)
    {
        if (!json_equal(value, json_object_get(ours.root, key)))
            fail_msg("plans differ at %s", key);
        compared++;
    }
    assert_int_equal(compared, 11);
    volt_json_close(&golden);
    volt_json_close(&ours);
    volt_plan_free(plan);
    volt_fingerprint_clear(&fp);
}

static void a_plan_read_back_is_the_plan_written(void **state)
{
    const volt_dataset_info info = info_of(1, 3);
    volt_plan *plan = NULL, *again = NULL;
    const volt_plan_config *c = NULL;
    char *a = NULL, *b = NULL;

    (void)state;
    assert_ok(volt_plan_read(&plan, GOLDEN "nnUNetPlans.json", &info));
    assert_ok(volt_plan_find(&c, plan, "3d_fullres"));
    assert_int_equal(c->batch, 7);
    assert_int_equal(c->patch[1], 56);
    assert_int_equal(volt_network_stage_count(&c->net), 4);
    assert_int_equal(volt_network_out_channels(&c->net), 3);
    assert_int_equal(c->norm[0], VOLT_NORMALIZE_ZSCORE);
    assert_false(c->batch_dice);
    assert_ok(volt_plan_text(&a, plan));
    assert_ok(volt_plan_parse(&again, a, strlen(a), "text", &info));
    assert_ok(volt_plan_text(&b, again));
    assert_string_equal(a, b);
    assert_fails(volt_plan_find(&c, plan, "3d_lowres"), VOLT_EINVAL, "2d, 3d_fullres");
    volt_free(a);
    volt_free(b);
    volt_plan_free(plan);
    volt_plan_free(again);
}

/* A data set of `n` equal cases. */
static void plan_of(volt_plan **plan, const double spacing[3], const int64_t shape[3],
                    double relative_size, int channels)
{
    const volt_dataset_info info = info_of(channels, 3);
    double spacings[20][3];
    int64_t shapes[20][3];
    volt_foreground_stats intensities[4] = {{0}};
    volt_fingerprint fp = {.cases = 20,
                           .spacings = spacings,
                           .shapes_after_crop = shapes,
                           .channels = channels,
                           .intensities = intensities,
                           .median_relative_size_after_cropping = relative_size};

    for (int i = 0; i < 20; i++) {
        memcpy(spacings[i], spacing, sizeof spacings[i]);
        memcpy(shapes[i], shape, sizeof shapes[i]);
    }
    assert_ok(volt_plan_make(plan, &fp, &info, NULL));
}

static void large_cases_get_low_resolution_and_cascade(void **state)
{
    const volt_plan_config *low, *full, *cascade;
    volt_plan *plan = NULL;

    (void)state;
    plan_of(&plan, (double[]){1, 0.8, 0.8}, (int64_t[]){400, 512, 512}, 1.0, 1);
    assert_ok(volt_plan_find(&low, plan, "3d_lowres"));
    assert_ok(volt_plan_find(&full, plan, "3d_fullres"));
    assert_ok(volt_plan_find(&cascade, plan, "3d_cascade_fullres"));
    assert_true(full->batch_dice);
    assert_false(low->batch_dice);
    assert_string_equal(cascade->previous_stage, "3d_lowres");
    assert_string_equal(cascade->data_identifier, full->data_identifier);
    assert_true((double)(low->patch[0] * low->patch[1] * low->patch[2]) >=
                0.25 * (low->median_shape[0] - 1) * (low->median_shape[1] - 1) *
                    (low->median_shape[2] - 1));
    volt_plan_free(plan);
}

static void coarse_axes_come_first(void **state)
{
    const volt_plan_config *c;
    volt_plan *plan = NULL;

    (void)state;
    plan_of(&plan, (double[]){0.7, 0.7, 5}, (int64_t[]){300, 280, 20}, 0.5, 2);
    assert_int_equal(plan->transpose_forward[0], 2);
    assert_int_equal(plan->transpose_forward[1], 0);
    assert_int_equal(plan->transpose_backward[0], 1);
    assert_int_equal(plan->transpose_backward[2], 0);
    assert_ok(volt_plan_find(&c, plan, "3d_fullres"));
    assert_true(c->spacing[0] == 5 && c->spacing[1] == 0.7);
    assert_true(c->use_mask_for_norm[0] && c->use_mask_for_norm[1]);
    assert_true(c->patch[0] <= 20);
    volt_plan_free(plan);
}

/* A fingerprint of 20 equal cases; its arrays are static. */
static volt_fingerprint equal_cases(const double spacing[3], const int64_t shape[3])
{
    static double spacings[20][3];
    static int64_t shapes[20][3];
    static volt_foreground_stats intensities[4];

    for (int i = 0; i < 20; i++) {
        memcpy(spacings[i], spacing, sizeof spacings[i]);
        memcpy(shapes[i], shape, sizeof shapes[i]);
    }
    return (volt_fingerprint){.cases = 20,
                              .spacings = spacings,
                              .shapes_after_crop = shapes,
                              .channels = 2,
                              .intensities = intensities,
                              .median_relative_size_after_cropping = 1};
}

static void slices_as_channels_can_be_added(void **state)
{
    const volt_dataset_info info = info_of(2, 3);
    const volt_fingerprint fp = equal_cases((double[]){3, 1, 0.9}, (int64_t[]){40, 200, 220});
    const volt_plan_config *flat, *c;
    volt_plan *plan = NULL, *again = NULL;
    char *text = NULL, *same = NULL;

    (void)state;
    assert_ok(volt_plan_make(&plan, &fp, &info, NULL));
    assert_fails(volt_plan_add(plan, &(volt_plan_extra){"3d", 0, -1}, &fp, &info, NULL),
                 VOLT_EINVAL, "'3d'");
    assert_fails(volt_plan_add(plan, &(volt_plan_extra){"2p5d", 4, -1}, &fp, &info, NULL),
                 VOLT_EINVAL, "4 slices");
    assert_ok(volt_plan_add(plan, &(volt_plan_extra){"2p5d", 0, -1}, &fp, &info, NULL));
    assert_ok(volt_plan_find(&c, plan, "2p5d"));
    assert_ok(volt_plan_find(&flat, plan, "2d"));
    assert_int_equal(c->slices, 3); /* three times as far apart as pixels */
    assert_int_equal(c->axes, 2);
    assert_int_equal(volt_network_in_channels(&c->net), 6);
    assert_int_equal(c->batch, flat->batch);
    assert_memory_equal(c->patch, flat->patch, sizeof c->patch);
    assert_string_equal(c->data_identifier, flat->data_identifier);

    assert_ok(volt_plan_add(plan, &(volt_plan_extra){"2p5d", 0, 2}, &fp, &info, NULL));
    assert_int_equal(plan->configs, 3); /* in the place of the one before */
    assert_ok(volt_plan_find(&c, plan, "2p5d"));
    assert_int_equal(c->slices, 7); /* slices are closer than pixels */
    assert_int_equal(c->transpose_forward[0], 2);
    assert_int_equal(c->transpose_backward[2], 0);
    assert_true(c->spacing[0] == 0 && c->spacing[1] == 3 && c->spacing[2] == 1);
    assert_true(c->patch[0] == 1);
    assert_ok(volt_plan_text(&text, plan));
    assert_ok(volt_plan_parse(&again, text, strlen(text), "text", &info));
    assert_ok(volt_plan_text(&same, again));
    assert_string_equal(text, same);
    assert_ok(volt_plan_find(&c, again, "2p5d"));
    assert_int_equal(c->transpose_forward[0], 2);
    assert_int_equal(volt_network_in_channels(&c->net), 2 * c->slices);
    volt_free(same);
    volt_free(text);
    volt_plan_free(again);
    volt_plan_free(plan);
}

static void whole_cases_can_be_added(void **state)
{
    const volt_dataset_info info = info_of(2, 3);
    volt_fingerprint fp = equal_cases((double[]){1, 1, 1}, (int64_t[]){60, 100, 90});
    const volt_plan_config *c, *full;
    volt_planner_options options = volt_planner_defaults();
    volt_plan *plan = NULL;

    (void)state;
    fp.shapes_after_crop[3][1] = 130; /* the largest case must fit */
    assert_ok(volt_plan_make(&plan, &fp, &info, &options));
    assert_ok(volt_plan_add(plan, &(volt_plan_extra){"3d_whole", 0, -1}, &fp, &info, &options));
    assert_ok(volt_plan_find(&c, plan, "3d_whole"));
    assert_ok(volt_plan_find(&full, plan, "3d_fullres"));
    assert_true(c->whole);
    assert_true(c->patch[0] >= 60 && c->patch[1] >= 130 && c->patch[2] >= 90);
    assert_true(c->patch[1] < 170);
    assert_memory_equal(c->spacing, full->spacing, sizeof c->spacing);
    assert_string_equal(c->data_identifier, full->data_identifier);
    assert_true(c->batch >= 1);
    options.memory_gb = 1; /* too little: coarser */
    assert_ok(volt_plan_add(plan, &(volt_plan_extra){"3d_whole", 0, -1}, &fp, &info, &options));
    assert_ok(volt_plan_find(&c, plan, "3d_whole"));
    assert_ok(volt_plan_find(&full, plan, "3d_fullres")); /* adding moves the list */
    assert_true(c->spacing[0] > 1.02);
    assert_true((double)c->patch[1] >= 130 / c->spacing[1] - 1);
    assert_int_equal(c->batch, 1);
    assert_true(strcmp(c->data_identifier, full->data_identifier) != 0);
    fp.shapes_after_crop[3][1] = 100;
    volt_plan_free(plan);
}

static void impossible_wishes_are_refused(void **state)
{
    volt_topology_input in = vectors[3].in;
    volt_topology t;

    (void)state;
    in.memory_gb = 1e-9;
    assert_fails(volt_plan_topology(&t, &in), VOLT_ENOTSUP, "memory target");
    in = vectors[3].in;
    in.spacing[1] = 0;
    assert_fails(volt_plan_topology(&t, &in), VOLT_EINVAL, "along h is 0 mm");
    in.spacing[1] = NAN;
    assert_int_equal(volt_plan_topology(&t, &in), VOLT_EINVAL);
}

/* One place of the golden plan edited into nonsense, and words of the sentence it must give. */
typedef struct edit {
    const char *path; /* keys separated by '/' */
    const char *value;
    volt_status status;
    const char *words;
} edit;

#define FULL "configurations/3d_fullres/"
#define ARCH FULL "architecture/arch_kwargs/"
static const edit edits[] = {
    {"label_manager", "\"MyLabels\"", VOLT_ENOTSUP, "label_manager is \"MyLabels\""},
    {FULL "patch_size", "[40, -8, 40]", VOLT_EFORMAT, "3d_fullres.patch_size[1] is -8"},
    {FULL "patch_size", "[40, 57, 40]", VOLT_EFORMAT, "3d_fullres.patch_size[1] is 57"},
    {FULL "patch_size", "[40, 56.5, 40]", VOLT_EFORMAT, "patch_size[1]"},
    {FULL "patch_size", "\"large\"", VOLT_EFORMAT, "patch_size"},
    {FULL "patch_size", "[40]", VOLT_EFORMAT, "patch_size"},
    {FULL "batch_size", "0", VOLT_EFORMAT, "batch_size is 0"},
    {FULL "spacing", "[1, 0, 1]", VOLT_EFORMAT, "spacing[1] is 0"},
    {FULL "spacing", "[1, 1]", VOLT_EFORMAT, "spacing"},
    {FULL "normalization_schemes", "[\"Magic\"]", VOLT_ENOTSUP, "Magic"},
    {FULL "normalization_schemes", "[]", VOLT_EFORMAT, "normalization_schemes"},
    {FULL "use_mask_for_norm", "[1]", VOLT_EFORMAT, "use_mask_for_norm[0]"},
    {FULL "data_identifier", "\"../escape\"", VOLT_EFORMAT, "../escape"},
    {FULL "data_identifier", "\"\"", VOLT_EFORMAT, "data_identifier"},
    {FULL "resampling_fn_data", "\"other\"", VOLT_ENOTSUP, "other"},
    {FULL "resampling_fn_data_kwargs/order", "2", VOLT_ENOTSUP, "order is 2"},
    {FULL "architecture/network_class_name", "\"Other\"", VOLT_ENOTSUP, "Other"},
    {FULL "architecture/arch_kwargs/n_stages", "99", VOLT_EFORMAT, "n_stages is 99"},
    {FULL "architecture/arch_kwargs/n_stages", "3", VOLT_EFORMAT, "features_per_stage"},
    {FULL "architecture/arch_kwargs/features_per_stage", "[1,2,3,1e9]", VOLT_EFORMAT,
     "features_per_stage[3]"},
    {FULL "architecture/arch_kwargs/strides", "[[1,1,1],[2,2,2],[2,2,2],[2,2]]", VOLT_EFORMAT,
     "strides[3]"},
    {FULL "architecture/arch_kwargs/kernel_sizes", "[[3,3,3],[3,3,3],[3,4,3],[3,3,3]]",
     VOLT_EFORMAT, "kernel_sizes has [2][1] = 4"},
    {FULL "architecture/arch_kwargs/norm_op_kwargs/eps", "0.5", VOLT_ENOTSUP, "eps is 0.5"},
    {FULL "architecture/arch_kwargs/block", "\"Bottleneck\"", VOLT_ENOTSUP, "Bottleneck"},
    {FULL "architecture/arch_kwargs/stem_channels", "8", VOLT_ENOTSUP, "stem_channels is set"},
    {FULL "architecture/arch_kwargs/nonlin_first", "true", VOLT_ENOTSUP, "nonlin_first"},
    {FULL "architecture", "null", VOLT_EFORMAT, "UNet_class_name"},
    {FULL "batch_size", "null", VOLT_EFORMAT, "batch_size is null"},
    {FULL "batch_size", "-3", VOLT_EFORMAT, "batch_size is -3; 1 to"},
    {FULL "batch_size", "1000000000000", VOLT_EFORMAT, "batch_size is 1000000000000"},
    {FULL "batch_size", "2.5", VOLT_EFORMAT, "batch_size is 2.5; an integer"},
    {FULL "batch_size", "\"two\"", VOLT_EFORMAT, "batch_size is \"two\""},
    {FULL "batch_dice", "3", VOLT_EFORMAT, "batch_dice is 3; true or false"},
    {FULL "spacing", "\"fine\"", VOLT_EFORMAT, "spacing is \"fine\""},
    {FULL "spacing", "[1, 1e9, 1]", VOLT_EFORMAT, "spacing[1] is 1e+09"},
    {FULL "spacing", "[1, null, 1]", VOLT_EFORMAT, "spacing[1] is null"},
    {FULL "patch_size", "[40, 999999, 40]", VOLT_EFORMAT, "patch_size[1] is 999999"},
    {FULL "patch_size", "[40, 56, 40, 40]", VOLT_EFORMAT, "patch_size has 4 items"},
    {FULL "median_image_size_in_voxels", "[0, 1, 1]", VOLT_EFORMAT, "voxels[0] is 0"},
    {FULL "use_mask_for_norm", "[]", VOLT_EFORMAT, "use_mask_for_norm has 0 items"},
    {FULL "preprocessor_name", "\"Mine\"", VOLT_ENOTSUP, "\"Mine\""},
    {FULL "resampling_fn_data_kwargs/order", "\"3\"", VOLT_EFORMAT, "order is \"3\""},
    {FULL "resampling_fn_probabilities_kwargs", "null", VOLT_EFORMAT, "kwargs is null"},
    {ARCH "features_per_stage", "[0, 64, 128, 256]", VOLT_EFORMAT, "per_stage[0] is 0"},
    {ARCH "features_per_stage", "[32, -64, 128, 256]", VOLT_EFORMAT, "per_stage[1] is -64"},
    {ARCH "features_per_stage", "[32, 64, 128]", VOLT_EFORMAT, "per_stage has 3 items"},
    {ARCH "strides", "[[1,1,1],[2,2,2],[0,2,2],[2,2,2]]", VOLT_EFORMAT, "strides[2][0] is 0"},
    {ARCH "strides", "[[1,1,1],[3,2,2],[2,2,2],[2,2,2]]", VOLT_EFORMAT,
     "patch_size[0] is 40; a multiple of 3"},
    {ARCH "strides", "[[1,2,1],[2,2,2],[2,2,2],[1,1,1]]", VOLT_EFORMAT,
     "strides has [0][1] = 2; the first stage"},
    {ARCH "kernel_sizes", "[[17,3,3],[3,3,3],[3,3,3],[3,3,3]]", VOLT_EFORMAT,
     "kernel_sizes[0][0] is 17"},
    {ARCH "kernel_sizes", "[[3,3,3]]", VOLT_EFORMAT, "kernel_sizes has 1 item, expected 4"},
    {ARCH "n_conv_per_stage", "[2, 2, 0, 2]", VOLT_EFORMAT, "n_conv_per_stage[2] is 0"},
    {ARCH "n_conv_per_stage_decoder", "[2, 2, 2, 2]", VOLT_EFORMAT, "decoder has 4 items"},
    {ARCH "conv_bias", "\"yes\"", VOLT_EFORMAT, "conv_bias is \"yes\""},
    {ARCH "conv_op", "\"torch.nn.modules.conv.Conv2d\"", VOLT_ENOTSUP, "torch.nn.Conv3d"},
    {ARCH "norm_op", "\"torch.nn.BatchNorm3d\"", VOLT_ENOTSUP, "BatchNorm3d"},
    {ARCH "nonlin", "\"torch.nn.GELU\"", VOLT_ENOTSUP, "GELU"},
    {ARCH "nonlin_kwargs", "{\"negative_slope\": -3}", VOLT_EFORMAT, "negative_slope is -3"},
    {ARCH "dropout_op", "\"torch.nn.Dropout\"", VOLT_ENOTSUP, "torch.nn.Dropout3d"},
    {ARCH "dropout_op", "\"torch.nn.Dropout3d\"", VOLT_EFORMAT, "dropout_op_kwargs"},
    {FULL "slices", "3", VOLT_EFORMAT, "slices is 3"},
    {"configurations/2d/slices", "4", VOLT_EFORMAT, "slices is 4"},
    {"configurations/2d/slices", "33", VOLT_EFORMAT, "slices is 33"},
    {"configurations/2d/whole_volume", "true", VOLT_EFORMAT, "whole_volume"},
    {FULL "transpose_forward", "[1, 0, 2]", VOLT_EFORMAT, "transpose_backward"},
    {FULL "previous_stage", "\"3d_lowres\"", VOLT_EFORMAT, "3d_lowres"},
    {FULL "previous_stage", "\"nowhere\"", VOLT_EFORMAT, "previous_stage"},
    {FULL "previous_stage", "\"3d_fullres\"", VOLT_EFORMAT, "previous_stage"},
    {FULL "inherits_from", "\"nowhere\"", VOLT_EFORMAT, "nowhere"},
    {FULL "inherits_from", "\"3d_fullres\"", VOLT_EFORMAT, "chain"},
    {"transpose_forward", "[0, 0, 1]", VOLT_EFORMAT, "[0, 0, 1]"},
    {"transpose_backward", "[0, 2, 1]", VOLT_EFORMAT, "inverse"},
    {"transpose_forward", "[0, 1, 7]", VOLT_EFORMAT, "transpose_forward[2] is 7"},
    {"configurations", "{}", VOLT_EFORMAT, "configurations"},
    {"configurations", "[]", VOLT_EFORMAT, "configurations"},
    {"foreground_intensity_properties_per_channel", "{}", VOLT_EFORMAT, "0 channels"},
    {"foreground_intensity_properties_per_channel/0/std", "-1", VOLT_EFORMAT, "std -1"},
};

static void plans_with_nonsense_are_refused_by_key(void **state)
{
    const volt_dataset_info info = info_of(1, 3);

    (void)state;
    for (size_t i = 0; i < sizeof edits / sizeof *edits; i++) {
        volt_json doc = {0};
        volt_plan *plan = NULL;
        char path[200], *key = path, *text = NULL;
        size_t bytes;
        json_t *at;

        assert_ok(volt_json_load(&doc, GOLDEN "nnUNetPlans.json"));
        at = doc.root;
        strcpy(path, edits[i].path);
        for (char *slash; (slash = strchr(key, '/')); key = slash + 1) {
            *slash = '\0';
            at = json_object_get(at, key);
            assert_non_null(at);
        }
        json_object_set_new(at, key, json_loads(edits[i].value, JSON_DECODE_ANY, NULL));
        assert_ok(volt_json_dump(&text, &bytes, doc.root));
        if (volt_plan_parse(&plan, text, bytes, "p.json", &info) != edits[i].status ||
            !strstr(volt_last_error(), edits[i].words) || plan)
            fail_msg("%s = %s: '%s' lacks '%s'", edits[i].path, edits[i].value,
                     volt_last_error(), edits[i].words);
        volt_free(text);
        volt_json_close(&doc);
    }
}

static void a_configuration_inherits_and_overrides(void **state)
{
    const volt_dataset_info info = info_of(1, 3);
    volt_json doc = {0};
    volt_plan *plan = NULL;
    const volt_plan_config *c;
    char *text = NULL;
    size_t bytes;

    (void)state;
    assert_ok(volt_json_load(&doc, GOLDEN "nnUNetPlans.json"));
    json_object_set_new(json_object_get(doc.root, "configurations"), "small",
                        json_pack("{s:s,s:i}", "inherits_from", "3d_fullres", "batch_size", 3));
    assert_ok(volt_json_dump(&text, &bytes, doc.root));
    assert_ok(volt_plan_parse(&plan, text, bytes, "p.json", &info));
    assert_ok(volt_plan_find(&c, plan, "small"));
    assert_int_equal(c->batch, 3);
    assert_int_equal(c->patch[1], 56);
    volt_free(text);
    volt_plan_free(plan);
    volt_json_close(&doc);
}

/* A key that is null takes back what would be inherited, as nnU-Net's dict.update does; one
 * that is absent does not. What is written back reads the same. */
static void null_takes_back_what_is_inherited(void **state)
{
    const volt_dataset_info info = info_of(1, 3);
    volt_json doc = {0};
    volt_plan *plan = NULL, *again = NULL;
    const volt_plan_config *c;
    json_t *configs;
    char *text = NULL;
    size_t bytes;

    (void)state;
    assert_ok(volt_json_load(&doc, GOLDEN "nnUNetPlans.json"));
    configs = json_object_get(doc.root, "configurations");
    json_object_set_new(configs, "low", json_pack("{s:s}", "inherits_from", "3d_fullres"));
    json_object_set_new(configs, "fine",
                        json_pack("{s:s,s:s,s:b,s:i}", "inherits_from", "3d_fullres",
                                  "previous_stage", "low", "whole_volume", 1, "batch_size", 5));
    json_object_set_new(configs, "kept", json_pack("{s:s}", "inherits_from", "fine"));
    json_object_set_new(
        configs, "alone",
        json_pack("{s:s,s:n,s:n}", "inherits_from", "fine", "previous_stage", "whole_volume"));
    assert_ok(volt_json_dump(&text, &bytes, doc.root));
    assert_ok(volt_plan_parse(&plan, text, bytes, "p.json", &info));
    volt_free(text);
    assert_ok(volt_plan_text(&text, plan));
    assert_ok(volt_plan_parse(&again, text, strlen(text), "p.json", &info));
    for (int i = 0; i < 2; i++) {
        const volt_plan *p = i ? again : plan;
        assert_ok(volt_plan_find(&c, p, "kept"));
        assert_string_equal(c->previous_stage, "low");
        assert_true(c->whole);
        assert_ok(volt_plan_find(&c, p, "alone"));
        assert_null(c->previous_stage);
        assert_false(c->whole);
        assert_int_equal(c->batch, 5);
    }
    volt_free(text);
    volt_plan_free(again);
    volt_plan_free(plan);
    plan = NULL;
    json_object_set_new(json_object_get(configs, "kept"), "spacing", json_null());
    assert_ok(volt_json_dump(&text, &bytes, doc.root));
    assert_fails(volt_plan_parse(&plan, text, bytes, "p.json", &info), VOLT_EFORMAT,
                 "kept.spacing is null");
    volt_free(text);
    volt_json_close(&doc);
}

static void a_plan_of_another_data_set_is_refused(void **state)
{
    const volt_dataset_info info = info_of(2, 3);
    volt_plan *plan = NULL;

    (void)state;
    assert_fails(volt_plan_read(&plan, GOLDEN "nnUNetPlans.json", &info), VOLT_EFORMAT,
                 "1 channel, expected 2");
    assert_null(plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_topologies_come_out),
        cmocka_unit_test(anisotropic_data_start_with_flat_kernels),
        cmocka_unit_test(the_golden_plan_is_reproduced_key_by_key),
        cmocka_unit_test(a_plan_read_back_is_the_plan_written),
        cmocka_unit_test(large_cases_get_low_resolution_and_cascade),
        cmocka_unit_test(coarse_axes_come_first),
        cmocka_unit_test(slices_as_channels_can_be_added),
        cmocka_unit_test(whole_cases_can_be_added),
        cmocka_unit_test(impossible_wishes_are_refused),
        cmocka_unit_test(plans_with_nonsense_are_refused_by_key),
        cmocka_unit_test(a_configuration_inherits_and_overrides),
        cmocka_unit_test(null_takes_back_what_is_inherited),
        cmocka_unit_test(a_plan_of_another_data_set_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
