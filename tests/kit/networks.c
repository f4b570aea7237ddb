#include "base/core/alloc.h"
#include "tests/kit/networks.h"

const volt_conv conv_3 = {{3, 3, 3}, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}};
const volt_conv conv_3_down = {{3, 3, 3}, {2, 2, 2}, {1, 1, 1}, {1, 1, 1}};
const volt_conv conv_1 = {{1, 1, 1}, {1, 1, 1}, {0, 0, 0}, {0, 0, 0}};

volt_graph *built(const volt_model *model, void *spec, bool deep_supervision)
{
    const volt_network net = {.model = model, .spec = spec};
    volt_graph *g = NULL;

    assert_ok(volt_network_build(&g, &net, deep_supervision));
    return g;
}

volt_graph *build_unet3d(void)
{
    volt_unet_spec spec = {.base = {.stages = 3,
                                    .in_channels = 2,
                                    .out_channels = 3,
                                    .features = {4, 6, 8},
                                    .kernel = {{3, 3, 3}, {3, 3, 3}, {3, 3, 3}},
                                    .stride = {{1, 1, 1}, {2, 2, 2}, {2, 2, 2}}},
                           .convs_encoder = {2, 1, 2},
                           .convs_decoder = {2, 1},
                           .slope = 0.01,
                           .bias = true};
    return built(&volt_model_plain_unet, &spec, true);
}

volt_graph *build_two_stages(int64_t in, int64_t out, int64_t first, int64_t second)
{
    volt_unet_spec spec = {.base = {.stages = 2,
                                    .in_channels = in,
                                    .out_channels = out,
                                    .features = {first, second},
                                    .kernel = {{3, 3, 3}, {3, 3, 3}},
                                    .stride = {{1, 1, 1}, {2, 2, 2}}},
                           .convs_encoder = {1, 1},
                           .convs_decoder = {1},
                           .slope = 0.01,
                           .bias = true};

    return built(&volt_model_plain_unet, &spec, false);
}

volt_graph *build_residual(void)
{
    volt_unet_spec spec = {.base = {.stages = 3,
                                    .in_channels = 2,
                                    .out_channels = 3,
                                    .features = {4, 6, 6},
                                    .kernel = {{1, 3, 3}, {3, 3, 3}, {3, 3, 3}},
                                    .stride = {{1, 1, 1}, {1, 2, 2}, {2, 2, 2}}},
                           .convs_encoder = {1, 2, 2},
                           .convs_decoder = {1, 1},
                           .slope = 0.01,
                           .bias = true};
    return built(&volt_model_residual_unet, &spec, true);
}

static volt_graph *build_anisotropic(void)
{
    volt_unet_spec spec = {.base = {.stages = 3,
                                    .in_channels = 1,
                                    .out_channels = 3,
                                    .features = {3, 5, 4},
                                    .kernel = {{1, 3, 3}, {3, 3, 3}, {3, 3, 3}},
                                    .stride = {{1, 1, 1}, {1, 2, 2}, {2, 2, 2}}},
                           .convs_encoder = {1, 1, 1},
                           .convs_decoder = {1, 1},
                           .slope = 0.01,
                           .bias = true};
    return built(&volt_model_plain_unet, &spec, true);
}

volt_graph *build_planes(int64_t in)
{
    volt_unet_spec spec = {.base = {.stages = 3,
                                    .in_channels = in,
                                    .out_channels = 2,
                                    .features = {4, 5, 6},
                                    .kernel = {{1, 3, 3}, {1, 3, 3}, {1, 3, 3}},
                                    .stride = {{1, 1, 1}, {1, 2, 2}, {1, 2, 2}}},
                           .convs_encoder = {1, 1, 1},
                           .convs_decoder = {1, 1},
                           .slope = 0.01,
                           .bias = true};
    return built(&volt_model_plain_unet, &spec, false);
}

static volt_graph *build_unet2d(void)
{
    return build_planes(1);
}

static volt_graph *build_monai3d(void)
{
    volt_monai_spec spec = {.base = {.stages = 3,
                                     .in_channels = 2,
                                     .out_channels = 3,
                                     .features = {4, 6, 8},
                                     .kernel = {{3, 3, 3}, {3, 3, 3}, {3, 3, 3}},
                                     .stride = {{2, 2, 2}, {2, 2, 2}, {1, 1, 1}}},
                            .norm = VOLT_MONAI_NORM_PLAIN,
                            .slopes = 1,
                            .res_units = 2,
                            .up_kernel = {3, 3, 3},
                            .order = "NDA",
                            .bias = true};
    return built(&volt_model_monai_unet, &spec, false);
}

static volt_graph *build_monai2d(void)
{
    volt_monai_spec spec = {.base = {.stages = 3,
                                     .in_channels = 1,
                                     .out_channels = 2,
                                     .features = {5, 5, 5},
                                     .kernel = {{1, 5, 3}, {1, 5, 3}, {1, 5, 3}},
                                     .stride = {{1, 2, 1}, {1, 2, 4}, {1, 1, 1}}},
                            .norm = VOLT_MONAI_NORM_AFFINE,
                            .slopes = 5,
                            .up_kernel = {1, 3, 5},
                            .order = "AN"};
    return built(&volt_model_monai_unet, &spec, false);
}

static volt_graph *build_dynunet(void)
{
    volt_monai_spec spec = {.base = {.stages = 3,
                                     .in_channels = 2,
                                     .out_channels = 3,
                                     .features = {4, 6, 6},
                                     .kernel = {{1, 3, 3}, {3, 3, 3}, {3, 3, 1}},
                                     .stride = {{1, 1, 1}, {1, 2, 2}, {2, 2, 1}}},
                            .norm = VOLT_MONAI_NORM_AFFINE,
                            .res_block = true,
                            .up_bias = true,
                            .slope = 0.01};
    return built(&volt_model_dynunet, &spec, false);
}

volt_graph *build_zoo(void)
{
    static const volt_conv flat = {{1, 3, 3}, {1, 1, 1}, {0, 1, 1}, {0, 1, 1}};
    static const volt_conv plane = {.kernel = {1, 2, 2}, .stride = {1, 2, 2}};
    static const int64_t two[3] = {2, 2, 2}, depth[3] = {2, 1, 1};
    volt_value x, a, r, s, c, t, u, v, low;
    volt_graph *g = NULL;

    assert_ok(volt_graph_create(&g));
    assert_ok(volt_graph_input(g, &x, 2));
    assert_ok(volt_graph_conv(g, &a, x, "a", 5, &conv_3, true));
    assert_ok(volt_graph_instance_norm(g, &a, a, "an", 1e-5));
    assert_ok(volt_graph_activation(g, &a, a, 0.01));
    assert_ok(volt_graph_conv(g, &r, a, "b", 5, &flat, false));
    assert_ok(volt_graph_instance_norm(g, &r, r, "bn", 1e-5));
    assert_ok(volt_graph_add(g, &r, r, a));
    assert_ok(volt_graph_activation(g, &r, r, 0));
    assert_ok(volt_graph_softmax(g, &s, r));
    assert_ok(volt_graph_pool(g, &u, r, VOLT_NODE_MAX_POOL, two, two));
    assert_ok(volt_graph_pool(g, &v, s, VOLT_NODE_AVERAGE_POOL, two, two));
    assert_ok(volt_graph_concat(g, &c, (volt_value[]){u, v}, 2));
    assert_ok(volt_graph_conv(g, &c, c, "c", 4, &conv_3, true));
    assert_ok(volt_graph_activation(g, &c, c, 0.1));
    assert_ok(volt_graph_conv(g, &low, c, "d", 3, &conv_1, true));
    assert_ok(volt_graph_tconv(g, &t, c, "up", 3, &plane, true));
    assert_ok(volt_graph_upsample(g, &t, t, VOLT_NODE_UPSAMPLE_NEAREST, depth));
    assert_ok(volt_graph_upsample(g, &u, c, VOLT_NODE_UPSAMPLE_LINEAR, two));
    assert_ok(volt_graph_concat(g, &u, (volt_value[]){u, t, r}, 3));
    assert_ok(volt_graph_concat(g, &u, (volt_value[]){u, s}, 2));
    assert_ok(volt_graph_conv(g, &u, u, "e", 4, &conv_3, true));
    assert_ok(volt_graph_instance_norm(g, &u, u, "en", 1e-5));
    assert_ok(volt_graph_activation(g, &u, u, 0.01));
    assert_ok(volt_graph_add(g, &u, u, u));
    assert_ok(volt_graph_conv(g, &u, u, "head", 3, &conv_1, true));
    assert_ok(volt_graph_output(g, u));
    assert_ok(volt_graph_output(g, low));
    return g;
}

const network networks[NETWORK_COUNT] = {
    {"unet3d", build_unet3d, 2, {8, 12, 8}, 10, 0.99},
    {"anisotropic", build_anisotropic, 1, {4, 12, 20}, 0, 0.99},
    {"unet2d", build_unet2d, 3, {1, 16, 12}, 0, 0.99},
    {"zoo", build_zoo, 2, {4, 6, 8}, 0, 0.99},
    {"residual", build_residual, 2, {8, 12, 8}, 3, 0.98}, /* 16 convolutions, others 4 to 9 */
    {"monai3d", build_monai3d, 2, {8, 12, 8}, 3, 0.98},
    {"monai2d", build_monai2d, 2, {1, 16, 12}, 0, 0.99},
    {"dynunet", build_dynunet, 2, {4, 12, 10}, 0, 0.98},
};

const network *network_called(const char *name)
{
    for (int i = 0; i < NETWORK_COUNT; i++) {
        if (strcmp(networks[i].name, name) == 0)
            return &networks[i];
    }
    fail_msg("no network is called %s", name);
    return NULL;
}

volt_graph *build_batch_norm(void)
{
    static const volt_conv skip = {{1, 1, 1}, {2, 2, 2}, {0, 0, 0}, {0, 0, 0}};
    static const volt_conv up = {.kernel = {2, 2, 2}, .stride = {2, 2, 2}};
    volt_value a, r, s, u, c, d;
    volt_graph *g = NULL;

    assert_ok(volt_graph_create(&g));
    assert_ok(volt_graph_input(g, &a, 2));
    assert_ok(volt_graph_conv(g, &a, a, "a", 5, &conv_3, true));
    assert_ok(volt_graph_batch_norm(g, &a, a, "an", 1e-5, 0.1));
    assert_ok(volt_graph_activation(g, &a, a, 0.01));
    assert_ok(volt_graph_conv(g, &r, a, "b", 6, &conv_3_down, false));
    assert_ok(volt_graph_batch_norm(g, &r, r, "bn", 1e-5, 0.3));
    assert_ok(volt_graph_conv(g, &s, a, "s", 6, &skip, false));
    assert_ok(volt_graph_batch_norm(g, &s, s, "sn", 1e-3, 0.1));
    assert_ok(volt_graph_add(g, &r, r, s));
    assert_ok(volt_graph_activation(g, &r, r, 0));
    assert_ok(volt_graph_tconv(g, &u, r, "up", 5, &up, true));
    assert_ok(volt_graph_batch_norm(g, &u, u, "un", 1e-5, 0.1));
    assert_ok(volt_graph_add(g, &u, u, u));
    assert_ok(volt_graph_concat(g, &c, (volt_value[]){a, u}, 2));
    assert_ok(volt_graph_conv(g, &c, c, "c", 4, &conv_3, true));
    assert_ok(volt_graph_instance_norm(g, &d, c, "ci", 1e-5));
    assert_ok(volt_graph_activation(g, &d, d, 0.01));
    assert_ok(volt_graph_batch_norm(g, &c, c, "cn", 1e-5, 0.1));
    assert_ok(volt_graph_activation(g, &c, c, 0));
    assert_ok(volt_graph_add(g, &c, c, d));
    assert_ok(volt_graph_conv(g, &c, c, "head", 3, &conv_1, true));
    assert_ok(volt_graph_output(g, c));
    return g;
}

const network batch_norm_net = {"batch_norm", build_batch_norm, 3, {4, 6, 8}, 10, 0.98};

volt_safetensors *open_fixture(const char *name)
{
    char path[1024];
    volt_safetensors *f = NULL;

    snprintf(path, sizeof path, "%s/nets3d/%s.safetensors", VOLT_TESTDATA, name);
    assert_ok(volt_safetensors_open(&f, path));
    return f;
}

const volt_tensor_view *fixture_view(const volt_safetensors *f, const char *prefix,
                                     const char *name)
{
    char full[256];
    const volt_tensor_view *v;

    snprintf(full, sizeof full, "%s%s", prefix, name);
    v = volt_safetensors_find(f, full);
    if (!v)
        fail_msg("the fixture has no %s", full);
    return v;
}

double fixture_number(const volt_safetensors *f, const char *prefix, int i)
{
    char name[16];
    double x;

    snprintf(name, sizeof name, "%d", i);
    memcpy(&x, fixture_view(f, prefix, name)->data, sizeof x);
    return x;
}

float *fixture_parameters(const volt_safetensors *f, const char *prefix, const volt_graph *g)
{
    float *flat;

    assert_ok(
        volt_alloc(&flat, (size_t)volt_graph_param_elements(g) * sizeof *flat, "weights"));
    for (int i = 0; i < volt_graph_param_count(g); i++) {
        const volt_param *p = volt_graph_param(g, i);
        const volt_tensor_view *v = fixture_view(f, prefix, p->name);
        assert_int_equal(v->bytes, (size_t)p->count * sizeof *flat);
        memcpy(flat + p->offset, v->data, v->bytes);
    }
    return flat;
}

volt_program *compiled(const volt_graph *g, const volt_device *device, const network *net,
                       volt_mode mode, volt_precision precision, int threads)
{
    volt_program_options o = volt_program_defaults();
    volt_program *p = NULL;

    o.n = net->n;
    o.precision = precision;
    o.mode = mode;
    o.threads = threads;
    o.seed = 5;
    memcpy(o.extent, net->extent, sizeof o.extent);
    assert_ok(volt_program_create(&p, g, device, &o));
    return p;
}

void assert_near(const char *what, const float *a, const float *b, int64_t count,
                 double tolerance, double floor)
{
    double squares = 0, rms;

    for (int64_t i = 0; i < count; i++)
        squares += (double)b[i] * b[i];
    rms = sqrt(squares / (double)count) + floor;
    for (int64_t i = 0; i < count; i++) {
        if (!(fabs((double)a[i] - b[i]) <= tolerance * (fabs(b[i]) + rms)))
            fail_msg("%s: element %lld of %lld is %.8g, expected %.8g (rms %.3g)", what,
                     (long long)i, (long long)count, a[i], b[i], rms);
    }
    assert_true(count > 0);
}
