/* No network of the planners runs on a slow implementation: the list of steps of every preset
 * and of every plan in testdata is compiled for the cpu device and read. */
#include "tests/kit/test.h"
#include "base/mem.h"
#include "base/system/file.h"
#include "io/json/json.h"
#include "nets3d/device/device_internal.h"
#include "nets3d/models/model_internal.h"
#include "nets3d/plan.h"
#include "nets3d/program/program_internal.h"

static volt_device *device;
static int programs, convolutions;

static int open_device(void **state)
{
    (void)state;
    return volt_device_open(&device, "cpu");
}

static int close_device(void **state)
{
    (void)state;
    volt_device_close(device);
    return 0;
}

static bool is_convolution(const volt_step *s)
{
    return s->kind == VOLT_STEP_OPERATOR && s->spec.kind <= VOLT_OP_TCONV_BWD_WEIGHTS;
}

static void read_steps(const char *name, const volt_program *p)
{
    for (int i = 0; i < p->step_count; i++) {
        const volt_step *s = &p->steps[i];

        if (!is_convolution(s))
            continue;
        convolutions++;
        assert_non_null(s->info.kernel);
        if (strncmp(s->info.kernel, "ref", 3) == 0)
            fail_msg("%s: %s runs on %s", name, s->name, s->info.kernel);
    }
}

static void compile_network(const char *name, const volt_network *net, const int64_t patch[3],
                            int64_t batch)
{
    volt_graph *g = NULL;

    for (int i = 0; i < 4; i++) {
        volt_program_options o = volt_program_defaults();
        volt_program *p = NULL;

        o.mode = i % 2 ? VOLT_TRAIN : VOLT_INFER;
        o.precision = i / 2 ? VOLT_BF16_MIXED : VOLT_FP32;
        o.n = i % 2 ? batch : 1;
        o.threads = 2;
        memcpy(o.extent, patch, sizeof o.extent);
        if (!device->supports(device, o.precision))
            continue;
        assert_ok(volt_network_build(&g, net, o.mode == VOLT_TRAIN));
        assert_ok(volt_program_create(&p, g, device, &o));
        read_steps(name, p);
        programs++;
        volt_program_free(p);
        volt_graph_free(g);
    }
}

static void presets_run_on_fast_kernels(void **state)
{
    int count = 0;

    (void)state;
    for (; volt_network_preset_name(count); count++) {
        const char *name = volt_network_preset_name(count);
        volt_network net = {.model = NULL};
        int64_t patch[3], batch;

        assert_ok(volt_network_preset(&net, patch, &batch, name));
        compile_network(name, &net, patch, batch);
        volt_network_clear(&net);
    }
    assert_true(count >= 4);
}

static void compile_plan(const char *example, const char *planner, const json_t *golden,
                         const volt_dataset_info *info)
{
    volt_plan *plan = NULL;
    char *text = NULL, name[96];
    size_t bytes;

    assert_ok(volt_json_dump(&text, &bytes, golden));
    assert_ok(volt_plan_parse(&plan, text, bytes, planner, info));
    for (int i = 0; i < plan->configs; i++) {
        const volt_plan_config *c = &plan->config[i];

        snprintf(name, sizeof name, "%s, %s, %s", example, planner, c->name);
        compile_network(name, &c->net, c->patch, c->batch);
    }
    volt_plan_free(plan);
    volt_free(text);
}

/* All plans of one example, each by another planner. */
static void compile_example(const char *file)
{
    char path[512];
    volt_json doc = {0};
    const char *planner;
    json_t *golden;

    snprintf(path, sizeof path, "%s/plans/%s", VOLT_TESTDATA, file);
    assert_ok(volt_json_load(&doc, path));
    json_object_foreach(json_object_get(doc.root, "plans"), planner, golden)
    {
        volt_dataset_info info = {0};
        size_t bytes;
        char *text = NULL;

        assert_ok(volt_json_dump(&text, &bytes, json_object_get(doc.root, "dataset")));
        assert_ok(volt_dataset_info_parse(&info, text, bytes, "dataset.json"));
        volt_free(text);
        compile_plan(file, planner, golden, &info);
        volt_dataset_info_clear(&info);
    }
    volt_json_close(&doc);
}

static void planned_networks_run_on_fast_kernels(void **state)
{
    volt_names examples = {0};

    (void)state;
    assert_ok(volt_list_dir(&examples, VOLT_TESTDATA "/plans"));
    for (size_t i = 0; i < examples.count; i++)
        compile_example(examples.name[i]);
    assert_true(examples.count >= 7 && programs >= 40 && convolutions > 1000);
    print_message("%d programs, %d convolutions\n", programs, convolutions);
    volt_names_free(&examples);
}

/* oneDNN's fast kernels write whole buffers: no slower one takes their place, the program
 * copies. */
static void outputs_with_margins_are_refused(void **state)
{
    const int64_t in[5] = {1, 16, 8, 6, 10}, out[5] = {1, 32, 4, 3, 5};
    const int64_t weights[5] = {32, 16, 3, 3, 3};
    volt_op_spec spec = {.kind = VOLT_OP_CONV_FWD,
                         .threads = 1,
                         .conv = {.kernel = {3, 3, 3},
                                  .stride = {2, 2, 2},
                                  .pad_low = {1, 1, 1},
                                  .pad_high = {1, 1, 1}}};
    volt_op *op = NULL;

    (void)state;
    spec.tensor[0] = volt_tensor_make(in, VOLT_F32, VOLT_NATIVE);
    spec.tensor[1] = volt_tensor_make(weights, VOLT_F32, VOLT_PLAIN);
    spec.tensor[3] = volt_tensor_make(out, VOLT_F32, VOLT_NATIVE);
    spec.tensor[0].margin_low[1] = 1;
    assert_ok(device->op_create(device, &op, &spec));
    device->op_free(op);
    op = NULL;
    spec.tensor[3].margin_high[2] = 1;
    assert_fails(device->op_create(device, &op, &spec), VOLT_ENOTSUP, "without margins");
    assert_null(op);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(presets_run_on_fast_kernels),
        cmocka_unit_test(planned_networks_run_on_fast_kernels),
        cmocka_unit_test(outputs_with_margins_are_refused),
    };

    return cmocka_run_group_tests(tests, open_device, close_device);
}
