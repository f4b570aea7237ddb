/* A CT of 512 x 512 x 600 voxels and 61 labels with nnU-Net's network of patch 128: what is
 * announced, network included, stays below 3 GiB. With VOLT_TEST_LARGE=1 in the environment the
 * scan is really predicted (minutes) and the peak compared with what was announced. */
#include <stdlib.h>
#include "base/core/alloc.h"
#include "nets3d/models/unet.h"
#include "tests/kit/measure.h"
#include "tests/kit/predict_fixture.h"

#define RUN    "large-run"
#define LABELS 61
#define LIMIT  ((size_t)3 << 30)

static volt_dataset_info info;

static void make_info(void)
{
    char text[4096] = "{\"channel_names\": {\"0\": \"MRI\"}, \"labels\": {\"background\": 0";
    size_t used = strlen(text);

    for (int i = 1; i < LABELS; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, ", \"organ %d\": %d", i, i);
    used += (size_t)snprintf(text + used, sizeof text - used,
                             "}, \"numTraining\": 6, \"file_ending\": \".nii.gz\"}");
    assert_ok(volt_dataset_info_parse(&info, text, used, "dataset.json"));
}

/* The fixture's plan with nnU-Net's network of six stages. */
static void make_run(void)
{
    static const int64_t features[6] = {32, 64, 128, 256, 320, 320};
    volt_plan *plan = NULL;
    volt_graph *g = NULL;
    float *weights;
    char text[8192];

    assert_true(snprintf(text, sizeof text, fixture_plan, "0, 1, 2", "0, 1, 2", "8, 8, 8",
                         "1.5, 1.5, 1.5") > 0);
    assert_ok(volt_plan_parse(&plan, text, strlen(text), "plans.json", &info));
    volt_plan_config *c = &plan->config[0];
    volt_unet_spec *spec = c->net.spec;
    spec->base.stages = 6;
    for (int s = 0; s < 6; s++) {
        spec->base.features[s] = features[s];
        spec->convs_encoder[s] = spec->convs_decoder[s] = 2;
        for (int a = 0; a < 3; a++) {
            spec->base.kernel[s][a] = 3;
            spec->base.stride[s][a] = s > 0 ? 2 : 1;
            c->patch[a] = 128;
        }
    }
    assert_ok(volt_network_build(&g, &c->net, false));
    assert_ok(
        volt_alloc(&weights, (size_t)volt_graph_param_elements(g) * sizeof *weights, "a test"));
    volt_init_parameters(weights, g, 1);
    remove_folder(RUN);
    assert_ok(volt_make_dirs(RUN));
    write_model(RUN "/checkpoint_latest.safetensors", plan, &info, g, weights);
    volt_free(weights);
    volt_graph_free(g);
    volt_plan_free(plan);
}

static void sixty_one_labels_take_what_is_announced(void **state)
{
    const int64_t n[3] = {600, 512, 512};
    const volt_grid grid = volt_grid_make(n, 1, (double[]){1, 0.8, 0.8});
    const char *run = RUN;
    volt_predict_options o = volt_predict_defaults();
    volt_volume *scan = NULL, *labels = NULL;
    volt_predictor *p = NULL;
    size_t announced, before;

    (void)state;
    o.precision = VOLT_FP32;
    o.mirror = false;
    o.step = getenv("VOLT_TEST_LARGE") ? 1 : 0.5;
    before = volt_mem_current();
    assert_ok(volt_predictor_open(&p, &run, 1, &o, NULL));
    assert_ok(volt_predictor_memory(p, &grid, &announced));
    print_message("announced: %.0f MiB\n", (double)announced / (1 << 20));
    assert_true(announced < LIMIT);
    if (getenv("VOLT_TEST_LARGE")) {
        assert_ok(volt_volume_create(&scan, &grid, VOLT_I16));
        for (int64_t i = 0; i < volt_grid_voxels(&grid); i++)
            ((int16_t *)scan->data)[i] = (int16_t)(1 + (i * 7919 >> 4) % 2000);
        measure_start();
        assert_ok(volt_predictor_run(p, scan, &labels, NULL));
        const size_t used = measure_peak() - before - volt_volume_bytes(scan);
        print_message("used: %.0f MiB; the process at most %.0f MiB with the caller's scan\n",
                      (double)used / (1 << 20), (double)volt_mem_process_peak() / (1 << 20));
        assert_true(used <= announced);
        volt_volume_free(labels);
        volt_volume_free(scan);
    }
    volt_predictor_free(p);
    remove_folder(RUN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sixty_one_labels_take_what_is_announced)};
    int failed;

    make_info();
    make_run();
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    volt_dataset_info_clear(&info);
    return failed;
}
