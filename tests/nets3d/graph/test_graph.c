#include "base/core/alloc.h"
#include "tests/kit/networks.h"
#include "nets3d/graph/init.h"
#include "nets3d/graph/params.h"

static volt_graph *preset_graph(const char *name)
{
    volt_network net = {.model = NULL};
    volt_graph *g = NULL;
    int64_t patch[3], batch;

    assert_ok(volt_network_preset(&net, patch, &batch, name));
    assert_ok(volt_network_build(&g, &net, false));
    volt_network_clear(&net);
    return g;
}

/* Counts of dynamic_network_architectures' PlainConvUNet. */
static void presets_have_nnunets_parameter_counts(void **state)
{
    static const struct {
        const char *name;
        int64_t count;
    } nets[] = {{"mlperf", 31196399},
                {"brats", 31199796},
                {"brats_whole", 16551152},
                {"liver2d", 46326581},
                {"hippocampus", 5603177}};

    (void)state;
    for (size_t i = 0; i < sizeof nets / sizeof *nets; i++) {
        volt_graph *g = preset_graph(nets[i].name);
        assert_int_equal(volt_graph_param_elements(g), nets[i].count);
        volt_graph_free(g);
    }
}

/* Counts of ResidualEncoderUNet as nnU-Net's ResEnc planners make it, 1 channel, 3 classes. */
static void residual_networks_have_nnunets_counts(void **state)
{
    static const int blocks[] = {1, 3, 4, 6, 6, 6, 6, 6};
    static const struct {
        int stages, dims;
        int64_t most, count;
    } nets[] = {{6, 3, 320, 102350575}, {8, 2, 512, 140019061}};

    (void)state;
    for (size_t i = 0; i < sizeof nets / sizeof *nets; i++) {
        volt_unet_spec spec = {
            .base = {.stages = nets[i].stages, .in_channels = 1, .out_channels = 3},
            .slope = 0.01,
            .bias = true};
        volt_graph *g;
        for (int s = 0; s < spec.base.stages; s++) {
            const int64_t grown = (int64_t)32 << s;
            spec.base.features[s] = grown < nets[i].most ? grown : nets[i].most;
            spec.convs_encoder[s] = blocks[s];
            spec.convs_decoder[s] = s < spec.base.stages - 1;
            for (int a = 0; a < 3; a++) {
                spec.base.kernel[s][a] = a > 0 || nets[i].dims == 3 ? 3 : 1;
                spec.base.stride[s][a] = s > 0 && (a > 0 || nets[i].dims == 3) ? 2 : 1;
            }
        }
        g = built(&volt_model_residual_unet, &spec, false);
        assert_int_equal(volt_graph_param_elements(g), nets[i].count);
        volt_graph_free(g);
    }
}

/* Order and names of ResidualEncoderUNet.named_parameters(); the last norm of a block starts at
 * zero, all other scales at one. */
static void residual_parameters_have_nnunets_names(void **state)
{
    static const struct {
        int index;
        const char *name;
    } some[] = {{0, "encoder.stem.convs.0.conv.weight"},
                {3, "encoder.stem.convs.0.norm.bias"},
                {4, "encoder.stages.0.blocks.0.conv1.conv.weight"},
                {8, "encoder.stages.0.blocks.0.conv2.conv.weight"},
                {12, "encoder.stages.1.blocks.0.conv1.conv.weight"},
                {20, "encoder.stages.1.blocks.0.skip.1.conv.weight"},
                {21, "encoder.stages.1.blocks.0.skip.1.norm.weight"},
                {23, "encoder.stages.1.blocks.1.conv1.conv.weight"},
                {30, "encoder.stages.1.blocks.1.conv2.norm.bias"},
                {31, "encoder.stages.2.blocks.0.conv1.conv.weight"},
                {39, "encoder.stages.2.blocks.1.conv1.conv.weight"},
                {47, "decoder.stages.0.convs.0.conv.weight"},
                {55, "decoder.transpconvs.0.weight"},
                {62, "decoder.seg_layers.1.bias"}};
    volt_graph *g = build_residual();
    float *flat = NULL;

    (void)state;
    assert_int_equal(volt_graph_param_count(g), 63);
    for (size_t i = 0; i < sizeof some / sizeof *some; i++)
        assert_string_equal(volt_graph_param(g, some[i].index)->name, some[i].name);
    assert_ok(
        volt_alloc(&flat, (size_t)volt_graph_param_elements(g) * sizeof *flat, "weights"));
    volt_init_parameters(flat, g, 1);
    for (int i = 0; i < volt_graph_param_count(g); i++) {
        const volt_param *p = volt_graph_param(g, i);
        const bool last = strstr(p->name, "conv2.norm.weight") != NULL;
        if (p->role == VOLT_PARAM_NORM_SCALE)
            assert_true(flat[p->offset] == (last ? 0.0f : 1.0f));
    }
    assert_fails(volt_graph_start_at_zero(g, "nothing"), VOLT_EINVAL, "'nothing'");
    volt_free(flat);
    volt_graph_free(g);
}

/* 2, 1 and 3 blocks in the encoder, 1 and 2 in the decoder: names, shapes and order as
 * PlainConvUNet.named_parameters() prints them. */
static void parameters_have_nnunets_names_and_order(void **state)
{
    volt_unet_spec spec = {.base = {.stages = 3,
                                    .in_channels = 1,
                                    .out_channels = 3,
                                    .features = {2, 3, 4},
                                    .kernel = {{3, 3, 3}, {3, 3, 3}, {3, 3, 3}},
                                    .stride = {{1, 1, 1}, {2, 2, 2}, {2, 2, 2}}},
                           .convs_encoder = {2, 1, 2},
                           .convs_decoder = {2, 1},
                           .slope = 0.01,
                           .bias = true};
    static const struct {
        int index;
        const char *name;
        int64_t first, second;
    } some[] = {{0, "encoder.stages.0.0.convs.0.conv.weight", 2, 1},
                {3, "encoder.stages.0.0.convs.0.norm.bias", 2, 0},
                {8, "encoder.stages.1.0.convs.0.conv.weight", 3, 2},
                {16, "encoder.stages.2.0.convs.1.conv.weight", 4, 4},
                {20, "decoder.stages.0.convs.0.conv.weight", 3, 6},
                {24, "decoder.stages.1.convs.0.conv.weight", 2, 4},
                {28, "decoder.stages.1.convs.1.conv.weight", 2, 2},
                {32, "decoder.transpconvs.0.weight", 4, 3},
                {34, "decoder.transpconvs.1.weight", 3, 2},
                {36, "decoder.seg_layers.0.weight", 3, 3},
                {39, "decoder.seg_layers.1.bias", 3, 0}};
    volt_graph *g = built(&volt_model_plain_unet, &spec, true);
    int64_t offset = 0;

    (void)state;
    assert_int_equal(volt_graph_param_count(g), 40);
    assert_int_equal(volt_graph_output_count(g), 2);
    for (size_t i = 0; i < sizeof some / sizeof *some; i++) {
        const volt_param *p = volt_graph_param(g, some[i].index);
        assert_string_equal(p->name, some[i].name);
        assert_int_equal(p->dims[0], some[i].first);
        assert_int_equal(p->dims[1], some[i].second);
        assert_int_equal(volt_graph_find_param(g, some[i].name), some[i].index);
    }
    for (int i = 0; i < volt_graph_param_count(g); i++) {
        assert_int_equal(volt_graph_param(g, i)->offset, offset);
        offset += volt_graph_param(g, i)->count;
    }
    for (int i = 0; i < volt_graph_node_count(g); i++) {
        const volt_node *node = volt_graph_node(g, i);
        if (node->kind == VOLT_NODE_TCONV)
            assert_non_null(strstr(volt_graph_param(g, node->weight)->name, "transpconvs"));
    }
    volt_graph_free(g);
}

static void wrong_arguments_leave_the_graph_unchanged(void **state)
{
    const volt_conv bad = {.kernel = {3, 0, 3}, .stride = {1, 1, 1}};
    const volt_conv good = {.kernel = {3, 3, 3}, .stride = {1, 1, 1}};
    volt_network net = {.model = NULL};
    volt_graph *g = NULL, *other = NULL;
    volt_value v, w;
    int64_t patch[3], batch;

    (void)state;
    assert_ok(volt_graph_create(&g));
    assert_ok(volt_graph_input(g, &v, 2));
    assert_fails(volt_graph_conv(g, &w, v, "x", 4, &bad, true), VOLT_EINVAL,
                 "kernel along h is 0");
    assert_fails(volt_graph_conv(g, &w, 7, "x", 4, &good, true), VOLT_EINVAL, "value 7");
    assert_fails(volt_graph_conv(g, &w, v, "x", 0, &good, true), VOLT_EINVAL, "0 channels");
    assert_ok(volt_graph_conv(g, &w, v, "x", 4, &good, true));
    assert_fails(volt_graph_conv(g, &w, v, "x", 4, &good, true), VOLT_EINVAL, "twice");
    assert_fails(volt_graph_add(g, &w, v, w), VOLT_EINVAL, "2 and 4 channels");
    assert_fails(volt_graph_dropout(g, &w, v, 1.0), VOLT_EINVAL, "probability");
    assert_int_equal(volt_graph_node_count(g), 2);
    assert_int_equal(volt_graph_param_count(g), 2);
    volt_graph_free(g);

    assert_fails(volt_network_preset(&net, patch, &batch, "alexnet"), VOLT_EINVAL, "alexnet");
    assert_null(net.spec);
    assert_ok(volt_network_preset(&net, patch, &batch, "hippocampus"));
    volt_network_spec(&net)->kernel[1][2] = 2;
    assert_fails(volt_network_build(&other, &net, false), VOLT_EINVAL,
                 "kernel[1] along w is 2");
    assert_null(other);
    volt_network_clear(&net);
}

static void building_survives_every_failed_allocation(void **state)
{
    volt_network net = {.model = NULL};
    size_t before;
    int64_t patch[3], batch;
    volt_status st = VOLT_ENOMEM;
    int64_t n = 0;

    (void)state;
    assert_ok(volt_network_preset(&net, patch, &batch, "hippocampus"));
    before = volt_mem_current();
    while (st == VOLT_ENOMEM) {
        volt_graph *g = NULL;
        volt_mem_fail_after(++n);
        st = volt_network_build(&g, &net, false);
        volt_mem_fail_after(0);
        volt_graph_free(g);
        assert_int_equal(volt_mem_current(), before);
    }
    assert_int_equal(st, VOLT_OK);
    assert_true(n > 10);
    volt_network_clear(&net);
}

static void weights_start_as_he_et_al(void **state)
{
    volt_graph *g = preset_graph("hippocampus");
    float *flat = NULL, *again = NULL;
    const size_t bytes = (size_t)volt_graph_param_elements(g) * sizeof *flat;

    (void)state;
    assert_ok(volt_alloc(&flat, bytes, "weights"));
    assert_ok(volt_alloc(&again, bytes, "weights"));
    volt_init_parameters(flat, g, 1);
    volt_init_parameters(again, g, 1);
    assert_memory_equal(flat, again, bytes);
    volt_init_parameters(again, g, 2);
    for (int i = 0; i < volt_graph_param_count(g); i++) {
        const volt_param *p = volt_graph_param(g, i);
        const float *x = flat + p->offset;
        double sum = 0, square = 0;
        for (int64_t j = 0; j < p->count; j++) {
            sum += x[j];
            square += (double)x[j] * x[j];
        }
        if (p->role == VOLT_PARAM_WEIGHT) {
            const double sd = sqrt(2 / 1.0001 / (double)p->fan_in), n = (double)p->count;
            assert_true(fabs(sum / n) < 5 * sd / sqrt(n));
            assert_true(fabs(square / n / (sd * sd) - 1) < 8 / sqrt(n));
            assert_memory_not_equal(x, again + p->offset, (size_t)p->count * sizeof *x);
        } else {
            assert_true(sum == (p->role == VOLT_PARAM_NORM_SCALE ? (double)p->count : 0.0));
        }
    }
    volt_free(again);
    volt_free(flat);
    volt_graph_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(presets_have_nnunets_parameter_counts),
        cmocka_unit_test(residual_networks_have_nnunets_counts),
        cmocka_unit_test(residual_parameters_have_nnunets_names),
        cmocka_unit_test(parameters_have_nnunets_names_and_order),
        cmocka_unit_test(wrong_arguments_leave_the_graph_unchanged),
        cmocka_unit_test(building_survives_every_failed_allocation),
        cmocka_unit_test(weights_start_as_he_et_al),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
