/* The table of models: every row describes itself in a plan, builds, and keeps its promises. */
#include "nets3d/plan/topology.h"
#include "tests/kit/networks.h"

/* One network of every model: what a plan says of it, and what must come of that. */
typedef struct row {
    const char *name, *kwargs;
    int parameters, deep_outputs;
    int64_t divisor[3];
} row;

#define NNUNET(counts)                                                                         \
    "{\"n_stages\": 3, \"features_per_stage\": [4, 6, 8], \"conv_op\": "                       \
    "\"torch.nn.modules.conv.Conv3d\", \"kernel_sizes\": [[1, 3, 3], [3, 3, 3], [3, 3, 3]], "  \
    "\"strides\": [[1, 1, 1], [1, 2, 2], [2, 2, 2]], \"" counts "\": [1, 2, 1], "              \
    "\"n_conv_per_stage_decoder\": [2, 1], \"conv_bias\": true, \"norm_op\": "                 \
    "\"torch.nn.modules.instancenorm.InstanceNorm3d\", \"norm_op_kwargs\": {\"eps\": 1e-05, "  \
    "\"affine\": true}, \"dropout_op\": null, \"dropout_op_kwargs\": null, \"nonlin\": "       \
    "\"torch.nn.LeakyReLU\", \"nonlin_kwargs\": {\"inplace\": true}}"

static const row rows[] = {
    {"PlainConvUNet", NNUNET("n_conv_per_stage"), 36, 2, {2, 4, 4}},
    {"ResidualEncoderUNet", NNUNET("n_blocks_per_stage"), 62, 2, {2, 4, 4}},
    {"monai.networks.nets.UNet",
     "{\"spatial_dims\": 3, \"in_channels\": 2, \"out_channels\": 3, \"channels\": [4, 6, 8], "
     "\"strides\": [[1, 2, 2], [2, 2, 2]], \"num_res_units\": 1, \"act\": \"RELU\"}",
     20,
     1,
     {2, 4, 4}},
    {"monai.networks.nets.DynUNet",
     "{\"spatial_dims\": 3, \"in_channels\": 2, \"out_channels\": 3, \"kernel_size\": [[1, 3, "
     "3], [3, 3, 3], [3, 3, 3]], \"strides\": [[1, 1, 1], [1, 2, 2], [2, 2, 2]], "
     "\"upsample_kernel_size\": [[1, 2, 2], [2, 2, 2]], \"filters\": [4, 6, 8], "
     "\"deep_supervision\": true, \"deep_supr_num\": 1}",
     36,
     2,
     {2, 4, 4}},
};
enum { ROWS = sizeof rows / sizeof *rows };

static volt_network network_of_text(const char *architecture)
{
    volt_inherited config = {.count = 1};
    volt_network net = {.model = NULL};
    volt_json doc = {0};

    assert_ok(volt_json_parse(&doc, architecture, strlen(architecture), "row"));
    config.at[0] = volt_json_root(&doc);
    assert_ok(volt_network_read(&net, &config, 3));
    volt_json_close(&doc);
    return net;
}

static volt_network network_of(const row *r)
{
    char text[2048];
    const int length =
        snprintf(text, sizeof text,
                 "{\"architecture\": {\"network_class_name\": \"%s\", \"arch_kwargs\": %s}}",
                 r->name, r->kwargs);
    volt_network net;

    assert_true(length > 0 && (size_t)length < sizeof text);
    net = network_of_text(text);
    volt_network_set_channels(&net, 2, 3);
    return net;
}

static void every_model_has_a_row_here(void **state)
{
    const volt_model *model = NULL;

    (void)state;
    assert_int_equal(volt_model_count(), ROWS);
    for (int i = 0; i < ROWS; i++) {
        assert_ok(volt_model_find(&model, rows[i].name));
        assert_string_equal(volt_model_name(model), rows[i].name);
        assert_true(strlen(volt_model_title(model)) > 0);
        assert_ptr_equal(model, volt_model_at(i));
        for (int j = 0; j < ROWS; j++) /* a class means one model */
            assert_int_equal(volt_model_at(j)->is_class(model->class_name), i == j);
    }
    assert_fails(volt_model_find(&model, "AlexNet"), VOLT_EINVAL, "PlainConvUNet, Residual");
}

static void models_build_what_a_plan_says(void **state)
{
    (void)state;
    for (int i = 0; i < ROWS; i++) {
        const row *r = &rows[i];
        volt_network net = network_of(r);
        volt_graph *g = NULL;
        int64_t divisor[3];

        print_message("%s\n", r->name);
        assert_string_equal(volt_model_name(net.model), r->name);
        assert_int_equal(volt_network_stage_count(&net), 3);
        assert_int_equal(volt_network_stage_at(&net, 2).features, 8);
        assert_int_equal(volt_network_stage_at(&net, 0).kernel[2], 3);
        volt_network_divisor(divisor, &net);
        assert_memory_equal(divisor, r->divisor, sizeof divisor);
        for (int deep = 0; deep < 2; deep++) {
            assert_ok(volt_network_build(&g, &net, deep));
            assert_int_equal(volt_graph_param_count(g), r->parameters);
            assert_int_equal(volt_graph_output_count(g), deep ? r->deep_outputs : 1);
            assert_int_equal(volt_graph_channels(g, 0), 2);
            assert_int_equal(volt_graph_channels(g, volt_graph_output_value(g, 0)), 3);
            volt_graph_free(g);
        }
        volt_network_clear(&net);
    }
}

/* What is written is read back as the same network, and a copy is a network of its own. */
static void models_survive_a_plan(void **state)
{
    (void)state;
    for (int i = 0; i < ROWS; i++) {
        volt_network net = network_of(&rows[i]), again, copy = {.model = NULL};
        json_t *config = json_pack("{s:o}", "architecture", volt_network_json(&net, 3));
        char *text;

        assert_non_null(config);
        text = json_dumps(config, 0);
        again = network_of_text(text);
        volt_network_set_channels(&again, 2, 3);
        assert_ptr_equal(again.model, net.model);
        assert_memory_equal(again.spec, net.spec, net.model->spec_bytes);
        assert_ok(volt_network_copy(&copy, &net));
        volt_network_set_dropout(&copy, 0.5);
        assert_true(volt_network_spec(&net)->dropout == 0);
        free(text);
        json_decref(config);
        volt_network_clear(&copy);
        volt_network_clear(&again);
        volt_network_clear(&net);
    }
}

/* Any model that has the planner's two functions can be planned, under any planner. */
static void any_model_with_a_design_can_be_planned(void **state)
{
    (void)state;
    for (int i = 0; i < ROWS; i++) {
        const volt_model *model = volt_model_at(i);
        const volt_topology_input in = {.axes = 3,
                                        .spacing = {1, 1, 1},
                                        .median_shape = {138, 169, 138},
                                        .channels = 4,
                                        .labels = 4,
                                        .dataset_voxels = 1251.0 * 138 * 169 * 138,
                                        .model = model};
        volt_network net = {.model = NULL};
        volt_graph *g = NULL;
        volt_topology t;
        int64_t divisor[3];

        if (!model->design) {
            assert_fails(volt_plan_topology(&t, &in), VOLT_ENOTSUP, model->name);
            continue;
        }
        assert_ok(volt_plan_topology(&t, &in));
        assert_ok(volt_network_create(&net, model));
        model->design(&net, &t.shape);
        assert_true(model->estimate(&net, t.patch) == t.estimate);
        volt_network_divisor(divisor, &net);
        for (int a = 0; a < 3; a++)
            assert_int_equal(t.patch[a] % divisor[a], 0);
        assert_ok(volt_network_build(&g, &net, true));
        assert_int_equal(volt_graph_output_count(g), t.shape.stages - 1);
        volt_graph_free(g);
        volt_network_clear(&net);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_model_has_a_row_here),
        cmocka_unit_test(models_build_what_a_plan_says),
        cmocka_unit_test(models_survive_a_plan),
        cmocka_unit_test(any_model_with_a_design_can_be_planned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
