/* Frozen parameters: the gradients of the others are bit-identical to those without frozen
 * ones, for less work and memory. */
#include <fnmatch.h>
#include "tests/kit/loss_call.h"
#include "base/core/alloc.h"
#include "tests/kit/networks.h"
#include "nets3d/program/loss.h"
#include "nets3d/program/program_internal.h"

/* Whether a parameter is left to learn: odd ones, or those that match no pattern. */
static bool is_learnt(const volt_graph *g, int param, const char *frozen)
{
    return frozen ? fnmatch(frozen, volt_graph_param(g, param)->name, 0) != 0 : param % 2 == 1;
}

static bool *learnt(const volt_graph *g, const char *frozen)
{
    bool *learns;

    assert_ok(volt_alloc_zero(&learns, (size_t)volt_graph_param_count(g), sizeof *learns, "-"));
    for (int i = 0; i < volt_graph_param_count(g); i++)
        learns[i] = is_learnt(g, i, frozen);
    return learns;
}

/* A training program of `net` after one backward pass. */
static volt_program *stepped(const volt_graph *g, const volt_device *device, const network *net,
                             volt_precision precision, const bool *learns)
{
    volt_program_options o = volt_program_defaults();
    volt_safetensors *f = open_fixture(net->name);
    volt_loss_options loss = volt_loss_nnunet(volt_graph_output_count(g), true);
    float *weights = fixture_parameters(f, "w.", g);
    volt_loss_result r = {0};
    volt_program *p = NULL;

    o.n = net->n;
    o.precision = precision;
    o.mode = VOLT_TRAIN;
    o.threads = 2;
    o.learns = learns;
    memcpy(o.extent, net->extent, sizeof o.extent);
    assert_ok(volt_program_create(&p, g, device, &o));
    assert_ok(volt_program_verify(p));
    assert_ok(volt_program_load(p, weights));
    assert_ok(volt_program_forward(p, fixture_view(f, "input", "")->data, 0));
    assert_ok(program_loss(p, &loss, fixture_view(f, "labels", "")->data, true, &r));
    assert_ok(volt_program_backward(p));
    volt_free(weights);
    volt_safetensors_close(f);
    return p;
}

static void compare(const network *net, const volt_device *device, volt_precision precision,
                    const char *frozen)
{
    volt_graph *g = net->build();
    bool *learns = learnt(g, frozen);
    volt_program *all = stepped(g, device, net, precision, NULL);
    volt_program *some = stepped(g, device, net, precision, learns);
    int64_t compared = 0;

    for (int i = 0; i < volt_graph_param_count(g); i++) {
        const volt_param *q = volt_graph_param(g, i);
        if (!learns[i])
            continue;
        if (memcmp(volt_program_parameters(all).gradients + q->offset,
                   volt_program_parameters(some).gradients + q->offset,
                   (size_t)q->count * 4) != 0)
            fail_msg("%s on %s: the gradient of %s differs", net->name, device->name, q->name);
        compared++;
    }
    assert_true(compared > 0 && compared < volt_graph_param_count(g));
    volt_program_free(some);
    volt_program_free(all);
    volt_free(learns);
    volt_graph_free(g);
}

static bool is_monai(const network *net)
{
    return strncmp(net->name, "monai", 5) == 0;
}

static const char *first_layers(const network *net)
{
    return is_monai(net)                       ? "model.0.*"
           : strcmp(net->name, "dynunet") == 0 ? "input_block.*"
                                               : "encoder.*";
}

static const char *last_layers(const network *net)
{
    return is_monai(net)                       ? "model.2.*"
           : strcmp(net->name, "dynunet") == 0 ? "output_block.*"
                                               : "decoder.seg_layers.*";
}

static void what_learns_keeps_its_gradients(void **state)
{
    static const char *const names[] = {"reference", "cpu"};

    (void)state;
    for (int d = 0; d < 2; d++) {
        volt_device *device = NULL;
        assert_ok(volt_device_open(&device, names[d]));
        for (size_t i = 0; i < NETWORK_COUNT; i++) {
            compare(&networks[i], device, VOLT_FP32, NULL);
            if (device->supports(device, VOLT_BF16_MIXED))
                compare(&networks[i], device, VOLT_BF16_MIXED, NULL);
            if (strcmp(networks[i].name, "zoo") == 0)
                continue;
            compare(&networks[i], device, VOLT_FP32, first_layers(&networks[i]));
            compare(&networks[i], device, VOLT_FP32, "*.weight");
            compare(&networks[i], device, VOLT_FP32, last_layers(&networks[i]));
        }
        volt_device_close(device);
    }
}

/* Nothing runs backward below the lowest parameter that learns, and what only that needed is
 * not kept. */
static void nothing_is_computed_for_what_is_frozen(void **state)
{
    const network *net = &networks[0];
    volt_graph *g = net->build();
    bool *learns = learnt(g, "encoder.*");
    volt_program_options o = volt_program_defaults();
    volt_program *all = NULL, *some = NULL;
    volt_program_memory before, after;
    volt_device *device = NULL;
    int weight_gradients = 0;

    o.n = net->n;
    o.precision = VOLT_FP32;
    o.mode = VOLT_TRAIN;
    o.threads = 1;
    (void)state;
    assert_ok(volt_device_open(&device, "cpu"));
    memcpy(o.extent, net->extent, sizeof o.extent);
    assert_ok(volt_program_create(&all, g, device, &o));
    o.learns = learns;
    assert_ok(volt_program_create(&some, g, device, &o));
    for (int i = 0; i < volt_program_step_count(some); i++) {
        volt_step_info step;
        volt_program_step(some, i, &step);
        weight_gradients += strstr(step.name, "weight gradient") != NULL;
        if (strncmp(step.name, "encoder.", 8) == 0 &&
            (strstr(step.name, "gradient") || strstr(step.name, "backward")))
            fail_msg("%s runs", step.name);
    }
    assert_int_equal(weight_gradients, 3 + 2 + 2); /* convolutions, transposed ones, heads */
    volt_program_memory_of(all, &before);
    volt_program_memory_of(some, &after);
    assert_true(after.activations < before.activations);
    assert_true(after.total < before.total);
    volt_program_free(some);
    volt_program_free(all);
    volt_device_close(device);
    volt_free(learns);
    volt_graph_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_learns_keeps_its_gradients),
        cmocka_unit_test(nothing_is_computed_for_what_is_frozen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
