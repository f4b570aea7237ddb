/* Batches in parts: averaged gradients are those of the whole batch, dropout included, and
 * activations of several batches are held in arenas of their own. */
#include "base/core/alloc.h"
#include "base/rng.h"
#include "base/threads.h"
#include "nets3d/device/device_internal.h"
#include "nets3d/graph/init.h"
#include "nets3d/models/model_internal.h"
#include "nets3d/program/loss.h"
#include "tests/kit/networks.h"

#define PARTS 3
static const int64_t edge[3] = {6, 8, 10};

/* Convolution, dropout, norm, activation, pooling, skip: what holds per sample. */
static volt_graph *build(void)
{
    volt_unet_spec spec = {.base = {.in_channels = 1,
                                    .out_channels = 3,
                                    .stages = 2,
                                    .features = {16, 32},
                                    .kernel = {{3, 3, 3}, {3, 3, 3}},
                                    .stride = {{1, 1, 1}, {2, 2, 2}},
                                    .dropout = 0.25},
                           .slope = 0.01,
                           .bias = true,
                           .convs_encoder = {1, 1},
                           .convs_decoder = {1}};

    return built(&volt_model_plain_unet, &spec, true);
}

typedef struct batch {
    float *input;
    int16_t *labels;
    int64_t values; /* of a sample */
} batch;

static batch draw(int64_t samples)
{
    batch b = {.values = edge[0] * edge[1] * edge[2]};
    volt_rng rng = volt_rng_open(1, 0, 0, VOLT_RNG_TEST);

    assert_ok(volt_alloc(&b.input, (size_t)(samples * b.values) * sizeof *b.input, "input"));
    assert_ok(volt_alloc(&b.labels, (size_t)(samples * b.values) * sizeof *b.labels, "labels"));
    for (int64_t i = 0; i < samples * b.values; i++) {
        b.input[i] = (float)volt_rng_normal(&rng);
        b.labels[i] = (int16_t)volt_rng_below(&rng, 3);
    }
    return b;
}

static void discard(batch *b)
{
    volt_free(b->input);
    volt_free(b->labels);
}

static volt_program *program(const volt_graph *g, const volt_device *dev, int64_t samples,
                             int arenas, bool accumulate)
{
    volt_program_options o = volt_program_defaults();
    float *flat = NULL;
    volt_program *p = NULL;

    o.n = samples;
    o.mode = VOLT_TRAIN;
    o.threads = 2;
    o.seed = 3;
    o.arenas = arenas;
    o.accumulate = accumulate;
    memcpy(o.extent, edge, sizeof edge);
    assert_ok(volt_program_create(&p, g, dev, &o));
    assert_ok(volt_alloc(&flat, (size_t)volt_graph_param_elements(g) * 4, "weights"));
    volt_init_parameters(flat, g, 1);
    assert_ok(volt_program_load(p, flat));
    volt_free(flat);
    return p;
}

static double forward_and_loss_of(volt_program *p, const batch *b, int64_t first,
                                  const volt_loss_options *loss)
{
    volt_loss_result r = {0};

    volt_program_set_first_sample(p, first);
    assert_ok(volt_program_forward(p, b->input + first * b->values, 7));
    assert_ok(volt_program_loss(p, loss, b->labels + first * b->values, true));
    assert_ok(volt_program_loss_result(p, &r));
    return r.total;
}

static double forward_and_loss(volt_program *p, const batch *b, int64_t first)
{
    const volt_loss_options loss = volt_loss_nnunet(2, false);

    return forward_and_loss_of(p, b, first, &loss);
}

static float *gradients_of(const volt_program *p)
{
    const volt_parameters q = volt_program_parameters(p);
    const size_t bytes = (size_t)q.count * sizeof(float);
    float *copy = NULL;

    assert_ok(volt_alloc(&copy, bytes, "gradients"));
    assert_ok(q.device->download(q.device, copy, q.gradients, bytes, NULL));
    return copy;
}

static void averaged_gradients_are_the_whole_batchs(const char *device, int64_t each)
{
    volt_graph *g = build();
    volt_device *dev = NULL;
    volt_program *whole, *parts;
    batch b = draw(PARTS * each);
    float *want, *got;
    double loss = 0, whole_loss;

    assert_ok(volt_device_open(&dev, device));
    whole = program(g, dev, PARTS * each, 1, false);
    parts = program(g, dev, each, 1, true);
    whole_loss = forward_and_loss(whole, &b, 0);
    assert_ok(volt_program_backward(whole));
    want = gradients_of(whole);
    for (int round = 0; round < 2; round++) { /* part 0 begins anew */
        loss = 0;
        for (int64_t i = 0; i < PARTS; i++) {
            loss += forward_and_loss(parts, &b, i * each) / PARTS;
            assert_ok(volt_program_backward(parts));
            assert_ok(volt_program_accumulate(parts, i, PARTS));
        }
    }
    got = gradients_of(parts);
    assert_true(fabs(loss - whole_loss) < 1e-6 * (1 + fabs(whole_loss)));
    assert_near(device, got, want, volt_graph_param_elements(g), 2e-4, 1e-5);
    volt_free(want);
    volt_free(got);
    volt_program_free(whole);
    volt_program_free(parts);
    volt_device_close(dev);
    volt_graph_free(g);
    discard(&b);
}

static void parts_add_up_to_the_batch(void **state)
{
    (void)state;
    averaged_gradients_are_the_whole_batchs("reference", 1);
    averaged_gradients_are_the_whole_batchs("cpu", 1);
    averaged_gradients_are_the_whole_batchs("cpu", 2);
}

/* The root mean square of a - b, and of b. */
static double distance(const float *a, const float *b, int64_t count, double *rms)
{
    double square = 0, sum = 0;

    for (int64_t i = 0; i < count; i++) {
        square += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
        sum += (double)b[i] * b[i];
    }
    *rms = sqrt(sum / (double)count);
    return sqrt(square / (double)count);
}

#define IGNORED 3 /* a label behind the classes */

/* With every loss the average is that of the parts, each alone in a program of its own; it is
 * the whole batch's only where no mean over the batch weighs its voxels or samples. */
static void check_average(const volt_loss_options *loss, bool whole_batchs)
{
    volt_graph *g = build();
    const int64_t count = volt_graph_param_elements(g);
    volt_device *dev = NULL;
    batch b = draw(PARTS);
    float *want, *sum = NULL, *got;
    double rms, off;

    for (int64_t i = 0; loss->ignore == IGNORED && i < PARTS * b.values; i++) {
        if (i % (2 + i / b.values) == 0) /* in each part another fraction */
            b.labels[i] = IGNORED;
    }
    assert_ok(volt_device_open(&dev, "cpu"));
    volt_program *whole = program(g, dev, PARTS, 1, false);
    volt_program *parts = program(g, dev, 1, 1, true);
    assert_ok(volt_alloc_zero(&sum, (size_t)count, sizeof *sum, "gradients"));
    for (int64_t i = 0; i < PARTS; i++) {
        volt_program *one = program(g, dev, 1, 1, false);
        const double alone = forward_and_loss_of(one, &b, i, loss);
        float *own;
        assert_true(forward_and_loss_of(parts, &b, i, loss) == alone);
        assert_ok(volt_program_backward(parts));
        assert_ok(volt_program_accumulate(parts, i, PARTS));
        assert_ok(volt_program_backward(one));
        own = gradients_of(one);
        for (int64_t k = 0; k < count; k++)
            sum[k] += own[k] / PARTS;
        volt_free(own);
        volt_program_free(one);
    }
    got = gradients_of(parts);
    assert_near("the parts' average", got, sum, count, 1e-6, 0);
    (void)forward_and_loss_of(whole, &b, 0, loss);
    assert_ok(volt_program_backward(whole));
    want = gradients_of(whole);
    off = distance(got, want, count, &rms);
    if (whole_batchs ? off > 2e-5 * rms : off < 1e-3 * rms)
        fail_msg("the average is %g of %g from the whole batch's", off, rms);
    volt_free(want);
    volt_free(got);
    volt_free(sum);
    volt_program_free(whole);
    volt_program_free(parts);
    volt_device_close(dev);
    volt_graph_free(g);
    discard(&b);
}

static void averages_are_those_of_the_parts(void **state)
{
    static const double weights[3] = {1, 4, 2}, equal[3] = {3, 3, 3};
    static const uint8_t regions[3 * 3] = {0, 0, 0, 1, 1, 0, 0, 1, 1};
    static const struct {
        bool batch_dice, sigmoid, ignore;
        const uint8_t *regions;
        const double *class_weight;
        double ce, dice;
        bool whole_batchs;
    } losses[] = {
        {.ce = 1, .dice = 1, .whole_batchs = true},
        {.ce = 1, .dice = 1, .batch_dice = true},
        {.ce = 1, .batch_dice = true, .whole_batchs = true},
        {.ce = 1, .dice = 1, .ignore = true},
        {.dice = 1, .ignore = true, .whole_batchs = true},
        {.ce = 1, .dice = 1, .class_weight = weights},
        {.ce = 1, .dice = 1, .class_weight = equal, .whole_batchs = true},
        {.dice = 1, .class_weight = weights, .whole_batchs = true},
        {.ce = 1, .dice = 1, .class_weight = weights, .sigmoid = true, .whole_batchs = true},
        {.ce = 1, .dice = 1, .sigmoid = true, .regions = regions, .whole_batchs = true},
        {.ce = 1, .dice = 1, .sigmoid = true, .regions = regions, .ignore = true},
        {.ce = 1, .dice = 1, .sigmoid = true, .regions = regions, .batch_dice = true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof losses / sizeof *losses; i++) {
        volt_loss_options o = volt_loss_nnunet(2, losses[i].batch_dice);
        o.weight_ce = losses[i].ce;
        o.weight_dice = losses[i].dice;
        o.sigmoid = losses[i].sigmoid;
        o.regions = losses[i].regions;
        o.values = 3;
        o.class_weight = losses[i].class_weight;
        o.ignore = losses[i].ignore ? IGNORED : VOLT_NO_IGNORE_LABEL;
        check_average(&o, losses[i].whole_batchs);
    }
}

/* ---- whole batches by other algorithms ---- */

#define EACH 2 /* samples of a part, of two */

/* Gradients of batches of 2 * EACH, whole or in parts; *winograd: how many steps run on it. */
static float *preset_gradients(const volt_graph *g, const volt_device *dev,
                               const int64_t extent[3], bool in_parts, int *winograd)
{
    const int64_t voxels = extent[0] * extent[1] * extent[2];
    const int64_t channels = volt_graph_channels(g, 0);
    const int64_t classes = volt_graph_channels(g, volt_graph_output_value(g, 0));
    const volt_loss_options loss = volt_loss_nnunet(volt_graph_output_count(g), false);
    volt_rng rng = volt_rng_open(1, 0, 0, VOLT_RNG_TEST);
    volt_program_options o = volt_program_defaults();
    const int parts = in_parts ? 2 : 1;
    float *input = NULL, *flat = NULL, *gradients;
    int16_t *labels = NULL;
    volt_program *p = NULL;

    o.n = 2 * EACH / parts;
    o.mode = VOLT_TRAIN;
    o.threads = 2;
    o.accumulate = true;
    memcpy(o.extent, extent, sizeof o.extent);
    assert_ok(volt_alloc(&input, (size_t)(2 * EACH * channels * voxels) * 4, "input"));
    assert_ok(volt_alloc(&labels, (size_t)(2 * EACH * voxels) * sizeof *labels, "labels"));
    for (int64_t i = 0; i < 2 * EACH * channels * voxels; i++)
        input[i] = (float)volt_rng_normal(&rng);
    for (int64_t i = 0; i < 2 * EACH * voxels; i++)
        labels[i] = (int16_t)volt_rng_below(&rng, (int)classes);
    assert_ok(volt_program_create(&p, g, dev, &o));
    assert_ok(volt_alloc(&flat, (size_t)volt_graph_param_elements(g) * 4, "weights"));
    volt_init_parameters(flat, g, 1);
    assert_ok(volt_program_load(p, flat));
    for (int i = 0; i < parts; i++) {
        assert_ok(volt_program_forward(p, input + i * o.n * channels * voxels, 0));
        assert_ok(volt_program_loss(p, &loss, labels + i * o.n * voxels, true));
        assert_ok(volt_program_backward(p));
        assert_ok(volt_program_accumulate(p, i, parts));
    }
    gradients = gradients_of(p);
    for (int i = 0; i < volt_program_step_count(p); i++) {
        volt_step_info info;
        volt_program_step(p, i, &info);
        *winograd += info.kernel && strstr(info.kernel, "winograd");
    }
    volt_free(flat);
    volt_free(labels);
    volt_free(input);
    volt_program_free(p);
    return gradients;
}

/* The preset with features by `fraction` and this slope, at this patch: all gradients of two
 * parts against those of the whole batch, relative to their root mean square. */
static double preset_distance(const char *device, const char *name, int fraction, double slope,
                              int64_t edge_length, bool *other_algorithms)
{
    const int64_t extent[3] = {edge_length, edge_length, edge_length};
    volt_network net = {.model = NULL};
    int64_t patch[3], usual;
    volt_device *dev = NULL;
    volt_graph *g = NULL;
    int winograd[2] = {0};
    float *whole, *parts;
    double rms, off;

    assert_ok(volt_network_preset(&net, patch, &usual, name));
    volt_unet_spec *spec = net.spec;
    for (int i = 0; i < spec->base.stages; i++)
        spec->base.features[i] /= fraction;
    spec->slope = slope;
    assert_ok(volt_network_build(&g, &net, true));
    assert_ok(volt_device_open(&dev, device));
    whole = preset_gradients(g, dev, extent, false, &winograd[0]);
    parts = preset_gradients(g, dev, extent, true, &winograd[1]);
    off = distance(parts, whole, volt_graph_param_elements(g), &rms);
    *other_algorithms = winograd[0] != winograd[1];
    volt_free(whole);
    volt_free(parts);
    volt_device_close(dev);
    volt_graph_free(g);
    volt_network_clear(&net);
    return off / rms;
}

/* The cpu device chooses algorithms by the number of tiles in the batch, so that values before
 * the activations differ by rounding. Gradients do not differ by more without activations; with
 * them, only by the steps at the kinks, which signs that rounding turns make. The reference has
 * one algorithm. */
static void other_algorithms_differ_at_kinks_only(void **state)
{
    static const struct {
        const char *name;
        int fraction;
        int64_t edge;
    } nets[] = {{"hippocampus", 1, 8}, {"brats", 4, 32}};
    int others = 0;

    (void)state;
    for (size_t i = 0; i < sizeof nets / sizeof *nets; i++) {
        bool other;
        const char *name = nets[i].name;
        const int fraction = nets[i].fraction;
        assert_true(preset_distance("cpu", name, fraction, 1, nets[i].edge, &other) < 1e-5);
        others += other;
        assert_true(preset_distance("cpu", name, fraction, 0.01, nets[i].edge, &other) < 1e-2);
    }
    if (volt_cpu_isa() != VOLT_ISA_BASE)
        assert_true(others > 0);
    bool other;
    assert_true(preset_distance("reference", "hippocampus", 4, 0.01, 8, &other) < 1e-6);
}

/* All parts forward, then all backward, the last one first: the same bits as one by one. */
static void arenas_hold_several_batches(void **state)
{
    volt_graph *g = build();
    volt_device *dev = NULL;
    volt_program *one, *many;
    volt_program_memory m1, m3;
    batch b = draw(PARTS);
    float *want[PARTS];
    double loss[PARTS];

    (void)state;
    assert_ok(volt_device_open(&dev, "cpu"));
    one = program(g, dev, 1, 1, false);
    many = program(g, dev, 1, PARTS, false);
    volt_program_memory_of(one, &m1);
    volt_program_memory_of(many, &m3);
    assert_int_equal(m3.activations, PARTS * m1.activations);
    assert_int_equal(m3.total - m1.total, (PARTS - 1) * m1.activations);
    for (int64_t i = 0; i < PARTS; i++) {
        loss[i] = forward_and_loss(one, &b, i);
        assert_ok(volt_program_backward(one));
        want[i] = gradients_of(one);
    }
    for (int i = 0; i < PARTS; i++) {
        assert_ok(volt_program_use(many, i));
        assert_true(forward_and_loss(many, &b, i) == loss[i]);
    }
    for (int i = PARTS - 1; i >= 0; i--) {
        float *got;

        assert_ok(volt_program_use(many, i));
        assert_ok(volt_program_backward(many));
        assert_fails(volt_program_backward(many), VOLT_EINVAL, "needs a loss");
        got = gradients_of(many);
        assert_memory_equal(got, want[i], (size_t)volt_graph_param_elements(g) * sizeof *got);
        volt_free(got);
        volt_free(want[i]);
    }
    volt_program_free(one);
    volt_program_free(many);
    volt_device_close(dev);
    volt_graph_free(g);
    discard(&b);
}

static void wrong_calls_are_refused(void **state)
{
    volt_program_options o = volt_program_defaults();
    volt_graph *g = build();
    volt_device *dev = NULL;
    volt_program *p;

    (void)state;
    assert_ok(volt_device_open(&dev, "reference"));
    p = program(g, dev, 1, 2, false);
    assert_fails(volt_program_accumulate(p, 0, 2), VOLT_EINVAL, "does not accumulate");
    assert_fails(volt_program_use(p, 2), VOLT_EINVAL, "arena 2 of 2");
    assert_fails(volt_program_use(p, -1), VOLT_EINVAL, "arena -1 of 2");
    volt_program_free(p);
    p = program(g, dev, 1, 1, true);
    assert_fails(volt_program_accumulate(p, 2, 2), VOLT_EINVAL, "part 2 of 2");
    assert_fails(volt_program_accumulate(p, -1, 2), VOLT_EINVAL, "part -1 of 2");
    volt_program_free(p);
    memcpy(o.extent, edge, sizeof edge);
    o.accumulate = true;
    assert_fails(volt_program_create(&p, g, dev, &o), VOLT_EINVAL, "only training programs");
    o.accumulate = false;
    o.arenas = -1;
    assert_fails(volt_program_create(&p, g, dev, &o), VOLT_EINVAL, "-1 arenas");
    volt_device_close(dev);
    volt_graph_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_add_up_to_the_batch),
        cmocka_unit_test(averages_are_those_of_the_parts),
        cmocka_unit_test(other_algorithms_differ_at_kinks_only),
        cmocka_unit_test(arenas_hold_several_batches),
        cmocka_unit_test(wrong_calls_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
