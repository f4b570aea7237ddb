/* Batches in parts: averaged gradients are those of the whole batch, dropout included, and
 * activations of several batches are held in arenas of their own. */
#include "base/core/alloc.h"
#include "base/rng.h"
#include "nets3d/device/device_internal.h"
#include "nets3d/graph/init.h"
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

static double forward_and_loss(volt_program *p, const batch *b, int64_t first)
{
    const volt_loss_options loss = volt_loss_nnunet(2, false);
    volt_loss_result r = {0};

    volt_program_set_first_sample(p, first);
    assert_ok(volt_program_forward(p, b->input + first * b->values, 7));
    assert_ok(volt_program_loss(p, &loss, b->labels + first * b->values, true));
    assert_ok(volt_program_loss_result(p, &r));
    return r.total;
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
        cmocka_unit_test(arenas_hold_several_batches),
        cmocka_unit_test(wrong_calls_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
