#include <dirent.h>
#include <string.h>
#include "base/core/alloc.h"
#include "tests/kit/train_fixture.h"
#include "io/store/case_store_internal.h"

const char fixture_dataset[] =
    "{\"channel_names\": {\"0\": \"MRI\"}, \"labels\": {\"background\": 0, \"ball\": 1, "
    "\"cube\": 2}, \"numTraining\": 6, \"file_ending\": \".nii.gz\"}";

const char fixture_regions[] =
    "{\"channel_names\": {\"0\": \"MRI\"}, \"labels\": {\"background\": 0, \"any\": [1, 2], "
    "\"cube\": [2]}, \"regions_class_order\": [1, 2], \"numTraining\": 6, "
    "\"file_ending\": \".nii.gz\"}";
const char fixture_ignore[] =
    "{\"channel_names\": {\"0\": \"MRI\"}, \"labels\": {\"background\": 0, \"ball\": 1, "
    "\"cube\": 2, \"ignore\": 3}, \"numTraining\": 6, \"file_ending\": \".nii.gz\"}";
const char fixture_regions_ignore[] =
    "{\"channel_names\": {\"0\": \"MRI\"}, \"labels\": {\"background\": 0, \"any\": [1, 2], "
    "\"cube\": [2], \"ignore\": 3}, \"regions_class_order\": [1, 2], \"numTraining\": 6, "
    "\"file_ending\": \".nii.gz\"}";
const char fixture_ghost[] =
    "{\"channel_names\": {\"0\": \"MRI\"}, \"labels\": {\"background\": 0, \"ball\": 1, "
    "\"cube\": 2, \"ghost\": 3}, \"numTraining\": 6, \"file_ending\": \".nii.gz\"}";

const char fixture_plan[] =
    "{\"dataset_name\": \"Tiny\", \"plans_name\": \"nnUNetPlans\","
    "\"original_median_spacing_after_transp\": [1, 1, 1],"
    "\"original_median_shape_after_transp\": [12, 14, 16],"
    "\"image_reader_writer\": \"SimpleITKIO\", \"transpose_forward\": [%s],"
    "\"transpose_backward\": [%s], \"configurations\": {\"3d_fullres\": {"
    "\"data_identifier\": \"tiny\", \"preprocessor_name\": \"DefaultPreprocessor\","
    "\"batch_size\": 2, \"patch_size\": [%s], \"median_image_size_in_voxels\": [12, 14, 16],"
    "\"spacing\": [%s], \"normalization_schemes\": [\"ZScoreNormalization\"],"
    "\"use_mask_for_norm\": [false],"
    "\"resampling_fn_data\": \"resample_data_or_seg_to_shape\","
    "\"resampling_fn_seg\": \"resample_data_or_seg_to_shape\","
    "\"resampling_fn_probabilities\": \"resample_data_or_seg_to_shape\","
    "\"resampling_fn_data_kwargs\": {\"is_seg\": false, \"order\": 3, \"order_z\": 0,"
    "\"force_separate_z\": null},"
    "\"resampling_fn_seg_kwargs\": {\"is_seg\": true, \"order\": 1, \"order_z\": 0,"
    "\"force_separate_z\": null},"
    "\"resampling_fn_probabilities_kwargs\": {\"is_seg\": false, \"order\": 1, \"order_z\": 0,"
    "\"force_separate_z\": null},"
    "\"architecture\": {\"network_class_name\":"
    "\"dynamic_network_architectures.architectures.unet.PlainConvUNet\","
    "\"arch_kwargs\": {\"n_stages\": 2, \"features_per_stage\": [4, 8],"
    "\"conv_op\": \"torch.nn.modules.conv.Conv3d\","
    "\"kernel_sizes\": [[3, 3, 3], [3, 3, 3]], \"strides\": [[1, 1, 1], [2, 2, 2]],"
    "\"n_conv_per_stage\": [1, 1], \"n_conv_per_stage_decoder\": [1], \"conv_bias\": true,"
    "\"norm_op\": \"torch.nn.modules.instancenorm.InstanceNorm3d\","
    "\"norm_op_kwargs\": {\"eps\": 1e-05, \"affine\": true}, \"dropout_op\": null,"
    "\"dropout_op_kwargs\": null, \"nonlin\": \"torch.nn.LeakyReLU\","
    "\"nonlin_kwargs\": {\"inplace\": true}},"
    "\"_kw_requires_import\": [\"conv_op\", \"norm_op\", \"dropout_op\", \"nonlin\"]},"
    "\"batch_dice\": false}},"
    "\"experiment_planner_used\": \"ExperimentPlanner\", \"label_manager\": \"LabelManager\","
    "\"foreground_intensity_properties_per_channel\": {\"0\": {\"max\": 9, \"mean\": 0,"
    "\"median\": 0, \"min\": -9, \"percentile_00_5\": -8, \"percentile_99_5\": 8, \"std\": "
    "1}}}";

void remove_folder(const char *folder)
{
    DIR *dir = opendir(folder);

    if (!dir)
        return;
    for (const struct dirent *e = readdir(dir); e; e = readdir(dir)) { /* hidden files, too */
        char *path = NULL;
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        assert_ok(volt_path_join(&path, folder, e->d_name));
        assert_int_equal(remove(path), 0);
        volt_free(path);
    }
    closedir(dir);
    assert_int_equal(remove(folder), 0);
}

void fixture_voxels(float *image, int8_t *labels, const int64_t shape[3], uint32_t number)
{
    volt_rng rng = volt_rng_open(7, 0, number, VOLT_RNG_TEST);
    double ball[3], cube[3];

    for (int a = 0; a < 3; a++) {
        ball[a] = volt_rng_range(&rng, 0.3, 0.5) * (double)shape[a];
        cube[a] = volt_rng_range(&rng, 0.65, 0.8) * (double)shape[a];
    }
    for (int64_t i = 0; i < shape[0] * shape[1] * shape[2]; i++) {
        const double at[3] = {(double)(i / (shape[1] * shape[2])),
                              (double)(i / shape[2] % shape[1]), (double)(i % shape[2])};
        double distance = 0, reach = 0;
        int label;
        for (int a = 0; a < 3; a++) {
            distance += (at[a] - ball[a]) * (at[a] - ball[a]);
            reach = fmax(reach, fabs(at[a] - cube[a]));
        }
        label = reach < 2.2 ? 2 : distance < 12 ? 1 : 0;
        image[i] = (float)(0.3 * volt_rng_normal(&rng) + (label == 1) * 3 - (label == 2) * 3);
        if (labels)
            labels[i] = (int8_t)label;
    }
}

/* Where the voxels of `label` lie. */
static volt_class_locations fixture_locations(const int8_t *labels, int64_t voxels, int label)
{
    uint64_t *where;
    int64_t count = 0;

    assert_ok(volt_alloc(&where, (size_t)voxels * sizeof *where, "a test"));
    for (int64_t i = 0; i < voxels; i++) {
        if (labels[i] == label)
            where[count++] = (uint64_t)i;
    }
    return (volt_class_locations){
        .label = label, .voxels = count, .count = count, .location = where};
}

/* With an `ignore` label >= 0, two voxels of three carry it. */
static void fixture_store_labelled(const char *path, uint32_t number, float spike, int ignore)
{
    const int64_t shape[3] = {12 + number % 3, 14, 16 - number % 2};
    const int64_t voxels = shape[0] * shape[1] * shape[2];
    const double spacing[3] = {1, 1, 1};
    const int first = ignore < 0 ? 1 : 0;
    volt_class_locations locations[3];
    float *image;
    int8_t *labels;
    volt_stored_case c = {.key = 1,
                          .channels = 1,
                          .label_dtype = VOLT_I8,
                          .classes = 3 - first,
                          .transpose_forward = {0, 1, 2},
                          .locations = locations};

    assert_ok(volt_alloc(&image, (size_t)voxels * sizeof *image, "a test"));
    assert_ok(volt_alloc(&labels, (size_t)voxels, "a test"));
    fixture_voxels(image, labels, shape, number);
    for (int64_t i = 0; spike != 0 && i < voxels; i += 2)
        image[i] = spike;
    for (int64_t i = 0; ignore >= 0 && i < voxels; i++)
        labels[i] = i % 3 ? (int8_t)ignore : labels[i];
    for (int k = first; k < 3; k++)
        locations[k - first] = fixture_locations(labels, voxels, k);
    memcpy(c.shape, shape, sizeof shape);
    memcpy(c.spacing, spacing, sizeof spacing);
    c.data = image;
    c.labels = labels;
    c.source = volt_grid_make(shape, 1, spacing);
    c.crop = volt_box_of_shape(shape);
    assert_ok(volt_stored_case_write(path, &c));
    for (int k = first; k < 3; k++)
        volt_free((void *)(uintptr_t)locations[k - first].location);
    volt_free(labels);
    volt_free(image);
}

void fixture_store_case(const char *path, uint32_t number, float spike)
{
    fixture_store_labelled(path, number, spike, -1);
}

void fixture_open_as(fixture *f, const char *store, const char *dataset)
{
    char text[8192];
    const int length =
        snprintf(text, sizeof text, fixture_plan, "0, 1, 2", "0, 1, 2", "8, 8, 8", "1, 1, 1");

    *f = (fixture){0};
    assert_true(length > 0 && (size_t)length < sizeof text);
    assert_ok(volt_dataset_info_parse(&f->info, dataset, strlen(dataset), "dataset.json"));
    assert_ok(volt_plan_parse(&f->plan, text, strlen(text), "plans.json", &f->info));
    snprintf(f->store, sizeof f->store, "%s", store);
    remove_folder(store);
    assert_ok(volt_make_dirs(store));
    for (uint32_t i = 0; i < FIXTURE_CASES; i++) {
        char *path = NULL;
        snprintf(f->name[i], sizeof f->name[i], "tiny_%u", (unsigned)i);
        f->names[i] = f->name[i];
        assert_ok(volt_format(&path, "%s/%s" VOLT_CASE_SUFFIX, store, f->name[i]));
        fixture_store_labelled(path, i, 0, f->info.ignore_label);
        volt_free(path);
    }
    f->data = (volt_train_data){.plan = f->plan,
                                .info = &f->info,
                                .store = f->store,
                                .train = f->names,
                                .train_count = 4,
                                .validate = f->names + 4,
                                .validate_count = 2};
    assert_ok(volt_plan_find(&f->data.config, f->plan, "3d_fullres"));
}

void fixture_open(fixture *f, const char *store)
{
    fixture_open_as(f, store, fixture_dataset);
}

void fixture_close(fixture *f)
{
    remove_folder(f->store);
    volt_plan_free(f->plan);
    volt_dataset_info_clear(&f->info);
}

volt_train_options fixture_options(volt_recipe *recipe, int64_t epochs, int64_t iterations)
{
    volt_train_options o = volt_train_defaults();

    o.device = "reference";
    o.precision = VOLT_FP32;
    *recipe = volt_recipe_budget(2);
    recipe->mirror[0] = recipe->mirror[1] = recipe->mirror[2] = true;
    recipe->epochs = epochs;
    recipe->iterations = iterations;
    recipe->validation_iterations = 2;
    o.recipe = recipe;
    o.threads = 1;
    o.seed = 11;
    return o;
}

int fixture_run_group(struct CMUnitTest *tests, size_t count, const char *store)
{
    static fixture f;
    int failed;

    fixture_open(&f, store);
    for (size_t i = 0; i < count; i++)
        tests[i].initial_state = &f;
    failed = _cmocka_run_group_tests(store, tests, count, NULL, NULL);
    fixture_close(&f);
    return failed;
}

static void on_log(void *user, volt_log_level level, const char *line)
{
    fixture_log *log = user;
    const size_t used = strlen(log->text);

    log->warnings += level == VOLT_LOG_WARNING;
    snprintf(log->text + used, sizeof log->text - used, "%s\n", line);
}

volt_callbacks fixture_listen(fixture_log *log)
{
    return (volt_callbacks){.user = log, .log = on_log};
}
