/* Programs on devices that refuse things, on wide networks where ranges and blocks matter, and
 * with dropout. */
#include "tests/kit/loss_call.h"
#include "tests/kit/devices.h"
#include "tests/kit/networks.h"
#include "base/core/alloc.h"
#include "base/rng.h"
#include "nets3d/graph/init.h"
#include "nets3d/program/loss.h"
#include "nets3d/device/op_spec.h"
#include "nets3d/program/program_internal.h"

/* What one training step gave: loss and all gradients (owned). */
typedef struct outcome {
    double loss;
    int sums, finishes; /* steps that sum for norms, and that finish their statistics */
    float *gradients;
    int64_t count;
    unsigned restrictions;
} outcome;

static outcome train_once(const volt_graph *g, const volt_device *dev, const network *net,
                          const float *weights, const float *input, const int16_t *labels)
{
    const volt_loss_options loss = volt_loss_nnunet(volt_graph_output_count(g), true);
    volt_program *p = compiled(g, dev, net, VOLT_TRAIN, VOLT_FP32, 2);
    volt_loss_result r = {0};
    outcome out = {.count = volt_graph_param_elements(g)};
    const size_t bytes = (size_t)out.count * sizeof *out.gradients;

    assert_ok(volt_program_verify(p));
    assert_ok(volt_program_load(p, weights));
    assert_ok(volt_program_forward(p, input, 11));
    assert_ok(program_loss(p, &loss, labels, true, &r));
    assert_ok(volt_program_backward(p));
    out.loss = r.total;
    out.restrictions = p->restrictions;
    for (int i = 0; i < p->step_count; i++) {
        out.sums += p->steps[i].spec.kind == VOLT_OP_NORM_SUMS;
        out.finishes += p->steps[i].spec.kind == VOLT_OP_NORM_FINISH;
    }
    assert_ok(volt_alloc(&out.gradients, bytes, "gradients"));
    memcpy(out.gradients, volt_program_parameters(p).gradients, bytes);
    volt_program_free(p);
    return out;
}

/* A reference device that refuses forms of operators, as other devices may. */
static volt_status refusing_create(const volt_device *dev, volt_op **out,
                                   const volt_op_spec *spec)
{
    const volt_op_signature *sig = volt_op_signature_of(spec->kind);
    const bool conv = spec->kind <= VOLT_OP_CONV_BWD_WEIGHTS;
    const unsigned refused = *(const unsigned *)dev->context;

    if ((refused & VOLT_NO_CONV_SUMS) && spec->kind == VOLT_OP_CONV_FWD && spec->tensor[4].n)
        return volt_fail(VOLT_ENOTSUP, "sums of a convolution");
    for (int i = 0; i < sig->operands; i++) {
        const volt_tensor *t = &spec->tensor[i];
        const bool activation = sig->role[i] == VOLT_ROLE_IN || sig->role[i] == VOLT_ROLE_OUT;

        if (!t->n || !activation)
            continue;
        if (((refused & VOLT_NO_PLAIN_INPUT) && conv && i == 0 && t->layout == VOLT_PLAIN) ||
            ((refused & VOLT_NO_PLAIN_OUTPUT) && conv && i > 0 && t->layout == VOLT_PLAIN) ||
            ((refused & VOLT_NO_RANGES) && t->buffer_c != t->c && spec->kind != VOLT_OP_COPY) ||
            ((refused & VOLT_NO_SECOND_GRADIENT) && i == 6 &&
             (spec->kind == VOLT_OP_NORM_BWD_SUMS || spec->kind == VOLT_OP_NORM_BWD_APPLY)))
            return volt_fail(VOLT_ENOTSUP, "%s in this form", sig->name);
    }
    return reference->op_create(reference, out, spec);
}

static int64_t block_of_four(const volt_device *dev, volt_dtype dtype)
{
    (void)dev;
    (void)dtype;
    return 4;
}

static void refusals_lead_to_another_way(void **state)
{
    static const unsigned refusals[] = {VOLT_NO_PLAIN_INPUT,
                                        VOLT_NO_PLAIN_OUTPUT,
                                        VOLT_NO_RANGES,
                                        VOLT_NO_SECOND_GRADIENT,
                                        VOLT_NO_CONV_SUMS,
                                        VOLT_NO_CONV_SUMS | VOLT_NO_PLAIN_INPUT,
                                        31};

    (void)state;
    for (size_t i = 0; i < NETWORK_COUNT; i++) {
        volt_safetensors *f = open_fixture(networks[i].name);
        const float *input = fixture_view(f, "input", "")->data;
        const int16_t *labels = fixture_view(f, "labels", "")->data;
        volt_graph *g = networks[i].build();
        float *weights = fixture_parameters(f, "w.", g);
        const outcome want = train_once(g, reference, &networks[i], weights, input, labels);

        assert_true(want.restrictions == 0 && want.sums <= want.finishes);
        if (i == 0) /* a convolution before every norm */
            assert_true(want.sums == 0 && want.finishes > 0);
        for (size_t j = 0; j < sizeof refusals / sizeof *refusals; j++) {
            unsigned refused = refusals[j];
            volt_device picky = *reference;
            outcome got;

            picky.context = &refused;
            picky.op_create = refusing_create;
            if (j % 2)
                picky.channel_block = block_of_four;
            (void)volt_fail(VOLT_EIO, "an earlier failure");
            got = train_once(g, &picky, &networks[i], weights, input, labels);
            assert_string_equal(volt_last_error(), "an earlier failure");
            assert_true((got.restrictions & ~refused) == 0);
            assert_int_equal(got.finishes, want.finishes);
            if (refused & VOLT_NO_CONV_SUMS)
                assert_int_equal(got.sums, got.finishes);
            else
                assert_int_equal(got.sums, want.sums);
            if (refused == VOLT_NO_CONV_SUMS) /* the same sums from a step of their own */
                assert_memory_equal(got.gradients, want.gradients, want.count * 4);
            assert_true(fabs(got.loss - want.loss) < 1e-6);
            assert_near("gradients", got.gradients, want.gradients, want.count, 1e-5, 0);
            volt_free(got.gradients);
        }
        volt_free(want.gradients);
        volt_free(weights);
        volt_graph_free(g);
        volt_safetensors_close(f);
    }
}

static volt_status refuse_all(const volt_device *dev, volt_op **out, const volt_op_spec *spec)
{
    (void)dev;
    (void)out;
    (void)spec;
    return volt_fail(VOLT_ENOTSUP, "nothing works here");
}

static void what_cannot_be_done_is_said(void **state)
{
    volt_program_options o = volt_program_defaults();
    volt_device none = *reference;
    volt_graph *g = build_unet3d();
    volt_program *p = NULL;

    o.n = 1;
    o.extent[0] = 8;
    o.extent[1] = 12;
    o.extent[2] = 8;
    o.precision = VOLT_FP32;
    o.mode = VOLT_INFER;
    (void)state;
    none.op_create = refuse_all;
    assert_fails(volt_program_create(&p, g, &none, &o), VOLT_ENOTSUP, "nothing works");
    assert_null(p);
    volt_graph_free(g);
}

/* Channels in whole blocks: concatenations in place, gradients as ranges; with dropout between
 * convolution and norm. */
static volt_graph *build_wide(void)
{
    volt_unet_spec spec = {.base = {.stages = 3,
                                    .in_channels = 3,
                                    .out_channels = 4,
                                    .features = {16, 32, 48},
                                    .kernel = {{3, 3, 3}, {3, 3, 3}, {1, 3, 3}},
                                    .stride = {{1, 1, 1}, {2, 2, 2}, {1, 2, 2}},
                                    .dropout = 0.25},
                           .convs_encoder = {2, 2, 1},
                           .convs_decoder = {1, 2},
                           .slope = 0.01,
                           .bias = true};
    return built(&volt_model_plain_unet, &spec, true);
}

static void wide_networks_agree_between_devices(void **state)
{
    const network net = {"wide", build_wide, 2, {4, 8, 12}, 0, 0};
    volt_rng rng = volt_rng_open(9, 0, 0, VOLT_RNG_TEST);
    volt_graph *g = build_wide();
    outcome want, got;
    float input[2 * 3 * 4 * 8 * 12];
    int16_t labels[2 * 4 * 8 * 12];
    float *weights;

    (void)state;
    for (size_t i = 0; i < sizeof input / sizeof *input; i++)
        input[i] = (float)volt_rng_normal(&rng);
    for (size_t i = 0; i < sizeof labels / sizeof *labels; i++)
        labels[i] = (int16_t)volt_rng_below(&rng, 4);
    assert_ok(volt_alloc(&weights, (size_t)volt_graph_param_elements(g) * 4, "weights"));
    volt_init_parameters(weights, g, 4);
    want = train_once(g, reference, &net, weights, input, labels);
    got = train_once(g, cpu, &net, weights, input, labels);
    assert_int_equal(got.restrictions, 0);
    assert_int_equal(want.sums, want.finishes); /* dropout changes what convolutions give */
    assert_true(fabs(got.loss - want.loss) < 1e-5);
    for (int i = 0; i < volt_graph_param_count(g); i++) {
        const volt_param *q = volt_graph_param(g, i);
        assert_near(q->name, got.gradients + q->offset, want.gradients + q->offset, q->count,
                    1e-3, 1e-6);
        /* A bias that a norm takes away: exactly zero, not rounding errors. */
        for (int64_t j = 0; strstr(q->name, "conv.bias") && j < q->count; j++)
            assert_true(got.gradients[q->offset + j] == 0);
    }
    volt_free(got.gradients);
    volt_free(want.gradients);
    volt_free(weights);
    volt_graph_free(g);
}

/* Dropout: factors are 0 or 1/(1-p), follow seed and step alone, and vanish in inference. */
static void dropout_is_keyed_by_seed_and_step(void **state)
{
    const network net = {"dropout", NULL, 3, {1, 2, 2}, 0, 0};
    const volt_conv one = {.kernel = {1, 1, 1}, .stride = {1, 1, 1}};
    float weights[64 * 64] = {0}, input[3 * 64 * 4], seen[3 * 64 * 4];
    const int16_t labels[3 * 4] = {0};
    volt_loss_result loss = {0};
    float data[3 * 64 * 4];
    volt_value v;
    volt_graph *g = NULL;
    int zeros = 0;

    (void)state;
    assert_ok(volt_graph_create(&g));
    assert_ok(volt_graph_input(g, &v, 64));
    assert_ok(volt_graph_conv(g, &v, v, "identity", 64, &one, false));
    assert_ok(volt_graph_dropout(g, &v, v, 0.25));
    assert_ok(volt_graph_output(g, v));
    for (int i = 0; i < 64; i++)
        weights[65 * i] = 1;
    for (int i = 0; i < 3 * 64 * 4; i++)
        input[i] = 1;
    for (int mode = VOLT_INFER; mode <= VOLT_TRAIN; mode++) {
        volt_program *p = compiled(g, reference, &net, mode, VOLT_FP32, 1);
        volt_program *q = compiled(g, cpu, &net, mode, VOLT_FP32, 2);

        assert_ok(volt_program_load(p, weights));
        assert_ok(volt_program_load(q, weights));
        assert_ok(volt_program_forward(p, input, 7));
        assert_ok(volt_program_download(p, 0, data));
        memcpy(seen, data, sizeof seen);
        assert_ok(volt_program_forward(q, input, 7));
        assert_ok(volt_program_download(q, 0, data));
        assert_memory_equal(seen, data, sizeof seen);
        for (int i = 0; i < 3 * 64 * 4; i++) {
            assert_true(mode == VOLT_INFER ? seen[i] == 1
                                           : seen[i] == 0 || seen[i] == (float)(1 / 0.75));
            assert_true(seen[i] == seen[i / 4 * 4]); /* whole channels */
            zeros += seen[i] == 0 && i % 4 == 0;
        }
        assert_ok(volt_program_forward(p, input, 8));
        assert_ok(volt_program_download(p, 0, data));
        assert_true((memcmp(seen, data, sizeof seen) == 0) == (mode == VOLT_INFER));
        assert_ok(volt_program_evaluate(p, input)); /* in either mode: without dropout */
        assert_ok(volt_program_download(p, 0, data));
        assert_memory_equal(data, input, sizeof input);
        assert_fails(volt_program_loss(p, NULL, labels, true), VOLT_EINVAL,
                     mode == VOLT_INFER ? "only training" : "after an evaluation");
        assert_ok(program_loss(p, NULL, labels, false, &loss));
        volt_program_free(q);
        volt_program_free(p);
    }
    assert_in_range(zeros, 30, 66); /* 48 of 192 expected */
    volt_graph_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refusals_lead_to_another_way),
        cmocka_unit_test(what_cannot_be_done_is_said),
        cmocka_unit_test(wide_networks_agree_between_devices),
        cmocka_unit_test(dropout_is_keyed_by_seed_and_step),
    };
    return cmocka_run_group_tests(tests, open_devices, close_devices);
}
