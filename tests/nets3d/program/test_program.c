/* Programs against PyTorch: forward, loss, every gradient, ten optimizer steps; then against
 * themselves: devices, modes, threads, precisions. */
#include "tests/kit/loss_call.h"
#include "base/core/alloc.h"
#include "tests/kit/devices.h"
#include "tests/kit/networks.h"
#include "nets3d/program/loss.h"
#include "nets3d/program/on_device.h"
#include "nets3d/program/optimizer.h"
#include "nets3d/program/program_internal.h"

static volt_loss_options fixture_loss(const volt_safetensors *f)
{
    volt_loss_options o = volt_loss_nnunet(1, true);
    const volt_tensor_view *w = fixture_view(f, "weights", "");

    memcpy(o.level_weight, w->data, w->bytes);
    return o;
}

static void check_outputs(volt_program *p, const volt_safetensors *f, double tolerance)
{
    for (int i = 0; i < volt_graph_output_count(p->graph); i++) {
        const volt_tensor_view *want;
        int64_t shape[5];
        float *got;
        char name[16];

        snprintf(name, sizeof name, "%d", i);
        want = fixture_view(f, "logits.", name);
        got = program_output(p, i, shape);
        for (int axis = 0; axis < 5; axis++)
            assert_int_equal(shape[axis], want->shape[axis]);
        assert_near("logits", got, want->data, (int64_t)(want->bytes / sizeof *got), tolerance,
                    0);
        volt_free(got);
    }
}

/* Gradients as in the fixture. Those of biases that a norm takes away are zero here, and
 * rounding errors there. */
static void check_gradients(volt_program *p, const volt_safetensors *f, double tolerance)
{
    const volt_graph *g = p->graph;
    float *want = fixture_parameters(f, "g.", g);
    double squares = 0;

    for (int64_t i = 0; i < volt_graph_param_elements(g); i++)
        squares += (double)want[i] * want[i];
    for (int i = 0; i < volt_graph_param_count(g); i++) {
        const volt_param *q = volt_graph_param(g, i);
        assert_near(q->name, volt_program_parameters(p).gradients + q->offset, want + q->offset,
                    q->count, tolerance,
                    1e-3 * sqrt(squares / (double)volt_graph_param_elements(g)));
    }
    volt_free(want);
}

static void check_loss(volt_program *p, const volt_safetensors *f, double tolerance)
{
    const volt_loss_options o = fixture_loss(f);
    volt_loss_result r = {0};
    double want;

    assert_ok(program_loss(p, &o, fixture_view(f, "labels", "")->data, true, &r));
    memcpy(&want, fixture_view(f, "total", "")->data, sizeof want);
    assert_true(fabs(r.total - want) <= tolerance * fabs(want));
    for (int i = 0; i < volt_graph_output_count(p->graph); i++)
        assert_true(fabs(r.level[i] - fixture_number(f, "level.", i)) <=
                    tolerance * (1 + fabs(r.level[i])));
}

static void networks_match_pytorch(void **state)
{
    (void)state;
    for (size_t i = 0; i < NETWORK_COUNT * DEVICE_COUNT; i++) {
        const network *net = &networks[i / DEVICE_COUNT];
        const volt_device *device = devices[i % DEVICE_COUNT];
        volt_safetensors *f = open_fixture(net->name);
        volt_graph *g = net->build();
        float *weights = fixture_parameters(f, "w.", g);
        volt_program *p = compiled(g, device, net, VOLT_TRAIN, VOLT_FP32, 2);

        print_message("%s on %s: %d steps\n", net->name, device->name,
                      volt_program_step_count(p));
        assert_ok(volt_program_verify(p));
        assert_ok(volt_program_load(p, weights));
        assert_ok(volt_program_forward(p, fixture_view(f, "input", "")->data, 0));
        check_outputs(p, f, 1e-4);
        check_loss(p, f, 1e-5);
        assert_ok(volt_program_backward(p));
        check_gradients(p, f, 1e-4);
        volt_program_free(p);
        volt_free(weights);
        volt_graph_free(g);
        volt_safetensors_close(f);
    }
}

/* bf16 holds 3 digits; the loss and the large gradients must agree to about that. */
static void networks_run_in_bf16(void **state)
{
    (void)state;
    for (size_t i = 0; i < NETWORK_COUNT * DEVICE_COUNT; i++) {
        const network *net = &networks[i / DEVICE_COUNT];
        const volt_device *device = devices[i % DEVICE_COUNT];
        volt_safetensors *f = open_fixture(net->name);
        volt_graph *g = net->build();
        float *weights = fixture_parameters(f, "w.", g), *want = fixture_parameters(f, "g.", g);
        double dot = 0, ours = 0, theirs = 0;
        volt_program *p;

        if (device->supports(device, VOLT_BF16_MIXED)) {
            p = compiled(g, device, net, VOLT_TRAIN, VOLT_BF16_MIXED, 2);
            assert_ok(volt_program_verify(p));
            assert_ok(volt_program_load(p, weights));
            assert_ok(volt_program_forward(p, fixture_view(f, "input", "")->data, 0));
            check_outputs(p, f, 0.05);
            check_loss(p, f, 0.02);
            assert_ok(volt_program_backward(p));
            for (int64_t j = 0; j < volt_graph_param_elements(g); j++) {
                dot += (double)volt_program_parameters(p).gradients[j] * want[j];
                ours += (double)volt_program_parameters(p).gradients[j] *
                        volt_program_parameters(p).gradients[j];
                theirs += (double)want[j] * want[j];
            }
            print_message("%s on %s in bf16: cosine %.5f, length %.4f\n", net->name,
                          device->name, dot / sqrt(ours * theirs), sqrt(ours / theirs));
            assert_true(dot / sqrt(ours * theirs) > net->bf16_cosine);
            assert_true(fabs(sqrt(ours / theirs) - 1) < 0.05);
            volt_program_free(p);
        }
        volt_free(want);
        volt_free(weights);
        volt_graph_free(g);
        volt_safetensors_close(f);
    }
}

static void ten_training_steps_match_pytorch(void **state)
{
    (void)state;
    for (int i = 0; i < DEVICE_COUNT; i++) {
        const network *net = &networks[0];
        volt_safetensors *f = open_fixture(net->name);
        volt_graph *g = net->build();
        float *weights = fixture_parameters(f, "w.", g), *want = fixture_parameters(f, "f.", g);
        volt_program *p = compiled(g, devices[i], net, VOLT_TRAIN, VOLT_FP32, 2);
        const volt_optimizer_settings options = volt_optimizer_nnunet();
        volt_update_scalars last;
        const volt_loss_options loss = fixture_loss(f);
        volt_optimizer *o = NULL;

        assert_ok(volt_program_load(p, weights));
        assert_ok(volt_optimizer_create(&o, volt_program_parameters(p), &options));
        for (int step = 0; step < net->training_steps; step++) {
            volt_loss_result r = {0};
            double norm;

            assert_ok(volt_program_forward(p, fixture_view(f, "input", "")->data, 0));
            assert_ok(program_loss(p, &loss, fixture_view(f, "labels", "")->data, true, &r));
            assert_ok(volt_program_backward(p));
            assert_ok(volt_optimizer_step(o, options.lr));
            assert_ok(volt_optimizer_norm(o, &norm));
            assert_true(fabs(r.total - fixture_number(f, "loss.", step)) < 1e-4);
            assert_true(fabs(norm / fixture_number(f, "norm.", step) - 1) < 1e-3);
        }
        assert_ok(volt_optimizer_scalars(o, &last));
        assert_int_equal(last.steps, net->training_steps);
        assert_ok(volt_program_save(p, weights));
        for (int k = 0; k < volt_graph_param_count(g); k++) {
            const volt_param *q = volt_graph_param(g, k);
            assert_near(q->name, weights + q->offset, want + q->offset, q->count, 1e-4, 0.01);
        }
        volt_optimizer_free(o);
        volt_program_free(p);
        volt_free(want);
        volt_free(weights);
        volt_graph_free(g);
        volt_safetensors_close(f);
    }
}

/* Logits of output 0 (owned) of one forward pass. */
static float *logits_of(volt_program *p, const volt_safetensors *f, const float *weights,
                        size_t *bytes)
{
    int64_t shape[5];
    float *data;

    assert_ok(volt_program_load(p, weights));
    assert_ok(volt_program_forward(p, fixture_view(f, "input", "")->data, 3));
    data = program_output(p, 0, shape);
    *bytes = (size_t)(shape[0] * shape[1] * shape[2] * shape[3] * shape[4]) * sizeof *data;
    return data;
}

static void inference_and_threads_give_the_same_bits(void **state)
{
    (void)state;
    for (size_t i = 0; i < NETWORK_COUNT * DEVICE_COUNT; i++) {
        const network *net = &networks[i / DEVICE_COUNT];
        const volt_device *device = devices[i % DEVICE_COUNT];
        volt_safetensors *f = open_fixture(net->name);
        volt_graph *g = net->build();
        float *weights = fixture_parameters(f, "w.", g), *first = NULL;

        for (int run = 0; run < 4; run++) {
            volt_program *p = compiled(g, device, net, run < 2 ? VOLT_TRAIN : VOLT_INFER,
                                       VOLT_FP32, 1 + run % 2);
            size_t bytes;
            float *logits = logits_of(p, f, weights, &bytes);

            if (first)
                assert_memory_equal(logits, first, bytes);
            if (run == 0)
                first = logits;
            else
                volt_free(logits);
            volt_program_free(p);
        }
        volt_free(first);
        volt_free(weights);
        volt_graph_free(g);
        volt_safetensors_close(f);
    }
}

/* Two runs of a training step: the gradients are functions of the inputs alone. */
static void a_step_can_be_repeated_to_the_bit(void **state)
{
    const network *net = &networks[3];
    volt_safetensors *f = open_fixture(net->name);
    volt_graph *g = net->build();
    float *weights = fixture_parameters(f, "w.", g), *first;
    const size_t bytes = (size_t)volt_graph_param_elements(g) * sizeof *first;
    const volt_loss_options loss = fixture_loss(f);

    (void)state;
    assert_ok(volt_alloc(&first, bytes, "gradients"));
    for (int i = 0; i < DEVICE_COUNT; i++) {
        volt_program *p = compiled(g, devices[i], net, VOLT_TRAIN, VOLT_FP32, 2);

        assert_ok(volt_program_load(p, weights));
        for (int run = 0; run < 3; run++) {
            volt_loss_result r = {0};
            assert_ok(volt_program_forward(p, fixture_view(f, "input", "")->data, 0));
            assert_ok(program_loss(p, &loss, fixture_view(f, "labels", "")->data, true, &r));
            assert_ok(volt_program_backward(p));
            if (run == 0)
                memcpy(first, volt_program_parameters(p).gradients, bytes);
            assert_memory_equal(first, volt_program_parameters(p).gradients, bytes);
        }
        volt_program_free(p);
    }
    volt_free(first);
    volt_free(weights);
    volt_graph_free(g);
    volt_safetensors_close(f);
}

/* A training step; `bad` gives it a label that there is not, or a voxel that is not finite. */
static volt_status train_step(volt_program *p, volt_optimizer *o, const volt_safetensors *f,
                              int bad)
{
    const volt_tensor_view *x = fixture_view(f, "input", ""),
                           *y = fixture_view(f, "labels", "");
    const volt_loss_options loss = fixture_loss(f);
    volt_loss_result r = {0};
    int16_t *labels;
    float *input;
    volt_status st;

    assert_ok(volt_alloc(&input, x->bytes, "a test"));
    assert_ok(volt_alloc(&labels, y->bytes, "a test"));
    memcpy(input, x->data, x->bytes);
    memcpy(labels, y->data, y->bytes);
    if (bad == 1)
        labels[7] = 99;
    if (bad == 2)
        input[7] = NAN;
    assert_ok(volt_program_forward(p, input, 0));
    assert_ok(volt_program_loss(p, &loss, labels, true));
    assert_ok(volt_program_backward(p));
    assert_ok(volt_optimizer_step(o, 0.01));
    st = volt_program_loss_result(p, &r);
    assert_true(bad != 2 || !isfinite(r.total));
    if (bad)
        assert_int_equal(volt_optimizer_norm(o, NULL), VOLT_ENUMERIC);
    if (bad == 1)
        assert_fails(volt_program_loss_result(p, &r), VOLT_EINVAL, "label 99 at voxel 7 of");
    volt_free(labels);
    volt_free(input);
    return st;
}

/* Two good steps with bad ones before, between and after give the bits of two good ones. */
static void bad_steps_change_nothing(void **state)
{
    static const volt_optimizer_kind kinds[] = {VOLT_SGD, VOLT_ADAMW};
    static const int bad[] = {1, 0, 2, 1, 0, 2};

    (void)state;
    for (size_t i = 0; i < 3 * DEVICE_COUNT * 4; i++) {
        const network *net = &networks[3 * (i / 4 / DEVICE_COUNT)];
        const volt_device *device = devices[i / 4 % DEVICE_COUNT];
        const volt_precision precision = i / 2 % 2 ? VOLT_BF16_MIXED : VOLT_FP32;
        const volt_optimizer_settings options = volt_optimizer_usual(kinds[i % 2]);
        if (!device->supports(device, precision))
            continue;
        volt_safetensors *f = open_fixture(net->name);
        volt_graph *g = net->build();
        const size_t bytes = (size_t)volt_graph_param_elements(g) * sizeof(float);
        float *weights = fixture_parameters(f, "w.", g), *end[2];

        for (int run = 0; run < 2; run++) {
            volt_program *p = compiled(g, device, net, VOLT_TRAIN, precision, 2);
            volt_optimizer *o = NULL;
            volt_update_scalars s;
            assert_ok(volt_program_load(p, weights));
            assert_ok(volt_optimizer_create(&o, volt_program_parameters(p), &options));
            for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
                if (run && !bad[k])
                    assert_ok(train_step(p, o, f, 0));
                if (!run)
                    assert_int_equal(train_step(p, o, f, bad[k]),
                                     bad[k] == 1 ? VOLT_EINVAL : VOLT_OK);
            }
            assert_ok(volt_optimizer_scalars(o, &s));
            assert_int_equal(s.steps, 2);
            assert_int_equal(s.skipped, run ? 0 : 4);
            assert_ok(volt_alloc(&end[run], bytes, "a test"));
            assert_ok(volt_program_save(p, end[run]));
            volt_optimizer_free(o);
            volt_program_free(p);
        }
        assert_memory_equal(end[0], end[1], bytes);
        assert_memory_not_equal(end[0], weights, bytes);
        volt_free(end[0]);
        volt_free(end[1]);
        volt_free(weights);
        volt_graph_free(g);
        volt_safetensors_close(f);
    }
}

/* The loss's gradients come multiplied, and the optimizer takes it out again. */
static void a_loss_scale_changes_no_update(void **state)
{
    const network *net = &networks[0];
    volt_safetensors *f = open_fixture(net->name);
    volt_graph *g = net->build();
    const int64_t count = volt_graph_param_elements(g);
    float *weights = fixture_parameters(f, "w.", g), *end[2];

    (void)state;
    for (int i = 0; i < DEVICE_COUNT; i++) {
        for (int run = 0; run < 2; run++) {
            const volt_optimizer_settings options = volt_optimizer_nnunet();
            volt_program *p = compiled(g, devices[i], net, VOLT_TRAIN, VOLT_FP32, 1);
            volt_optimizer *o = NULL;
            volt_update_scalars s;
            assert_ok(volt_program_load(p, weights));
            assert_ok(volt_optimizer_create(&o, volt_program_parameters(p), &options));
            assert_fails(volt_optimizer_set_loss_scale(o, 0, 0, 0), VOLT_EINVAL, "scale of 0");
            assert_fails(volt_optimizer_set_loss_scale(o, 1, -1, 0), VOLT_EINVAL, "scale of 1");
            volt_program_scale_loss(p, volt_optimizer_loss_scale(o));
            assert_ok(volt_optimizer_set_loss_scale(o, run ? 1024 : 1, 0, run ? 2 : 0));
            for (int step = 0; step < 3; step++)
                assert_ok(train_step(p, o, f, 0));
            assert_ok(volt_optimizer_scalars(o, &s));
            assert_true(s.loss_scale == (run ? 2048 : 1));
            assert_ok(volt_alloc(&end[run], (size_t)count * sizeof(float), "a test"));
            assert_ok(volt_program_save(p, end[run]));
            volt_optimizer_free(o);
            volt_program_free(p);
        }
        assert_near("weights", end[1], end[0], count, 1e-6, 0);
        volt_free(end[0]);
        volt_free(end[1]);
    }
    volt_free(weights);
    volt_graph_free(g);
    volt_safetensors_close(f);
}

static void calls_out_of_order_are_refused(void **state)
{
    const network *net = &networks[2];
    volt_safetensors *f = open_fixture(net->name);
    volt_graph *g = net->build();
    float *weights = fixture_parameters(f, "w.", g);
    const float *input = fixture_view(f, "input", "")->data;
    const int16_t *labels = fixture_view(f, "labels", "")->data;
    const volt_loss_options loss = fixture_loss(f);
    volt_program *p = compiled(g, devices[0], net, VOLT_TRAIN, VOLT_FP32, 1);
    volt_program *q = compiled(g, devices[0], net, VOLT_INFER, VOLT_FP32, 1);
    volt_loss_result r = {0};
    float data[1];

    (void)state;
    assert_fails(volt_program_forward(p, input, 0), VOLT_EINVAL, "no parameters");
    assert_ok(volt_program_load(p, weights));
    assert_ok(volt_program_load(q, weights));
    assert_fails(volt_program_download(p, 0, data), VOLT_EINVAL, "after a forward");
    assert_fails(volt_program_backward(p), VOLT_EINVAL, "loss with gradient");
    assert_ok(volt_program_forward(p, input, 0));
    assert_fails(volt_program_download(p, 1, data), VOLT_EINVAL, "output 1 of 1");
    assert_fails(volt_program_loss_result(p, &r), VOLT_EINVAL, "needs a loss");
    assert_ok(program_loss(p, &loss, labels, false, &r));
    assert_fails(volt_program_backward(p), VOLT_EINVAL, "loss with gradient");
    assert_ok(program_loss(p, &loss, labels, true, &r));
    assert_ok(volt_program_backward(p));
    assert_fails(volt_program_download(p, 0, data), VOLT_EINVAL, "after a forward");
    assert_ok(volt_program_forward(q, input, 0));
    assert_fails(volt_program_loss(q, &loss, labels, true), VOLT_EINVAL, "training");
    for (int values = 0; values <= 257; values += 257) {
        volt_loss_options regions = loss;
        regions.sigmoid = true;
        regions.regions = (const uint8_t[257 * 8]){0};
        regions.values = values;
        assert_fails(volt_program_loss(q, &regions, labels, false), VOLT_EINVAL,
                     "1 to 256 are expected");
    }
    assert_ok(program_loss(q, &loss, labels, false, &r));
    assert_fails(volt_program_save(q, weights), VOLT_EINVAL, "training");
    volt_program_free(q);
    volt_program_free(p);
    volt_free(weights);
    volt_graph_free(g);
    volt_safetensors_close(f);
}

static void extents_that_do_not_fit_are_named(void **state)
{
    volt_program_options o = volt_program_defaults();
    volt_graph *g = build_unet3d(), *z = build_zoo();
    volt_program *p = NULL;

    o.n = 1;
    o.extent[0] = 8;
    o.extent[1] = 10;
    o.extent[2] = 8;
    o.precision = VOLT_FP32;
    o.mode = VOLT_TRAIN;
    (void)state;
    assert_fails(volt_program_create(&p, g, devices[0], &o), VOLT_EINVAL,
                 "extents 6 and 5 along h");
    o.extent[1] = 0;
    assert_fails(volt_program_create(&p, g, devices[0], &o), VOLT_EINVAL, "extent 0 along h");
    o.extent[1] = INT64_MAX / 2;
    assert_fails(volt_program_create(&p, g, devices[0], &o), VOLT_EINVAL, "too large");
    o.extent[1] = 12;
    o.n = 0;
    assert_fails(volt_program_create(&p, g, devices[0], &o), VOLT_EINVAL, "batch is 0");
    o.n = 1;
    o.extent[2] = 1;
    assert_fails(volt_program_create(&p, z, devices[0], &o), VOLT_EINVAL, "smaller than the");
    assert_null(p);
    volt_graph_free(z);
    volt_graph_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(networks_match_pytorch),
        cmocka_unit_test(networks_run_in_bf16),
        cmocka_unit_test(ten_training_steps_match_pytorch),
        cmocka_unit_test(inference_and_threads_give_the_same_bits),
        cmocka_unit_test(a_step_can_be_repeated_to_the_bit),
        cmocka_unit_test(bad_steps_change_nothing),
        cmocka_unit_test(a_loss_scale_changes_no_update),
        cmocka_unit_test(calls_out_of_order_are_refused),
        cmocka_unit_test(extents_that_do_not_fit_are_named),
    };
    return cmocka_run_group_tests(tests, open_devices, close_devices);
}
