/* What programs announce, that they keep to it, and that it is small. */
#include "tests/kit/loss_call.h"
#include "tests/kit/measure.h"
#include "tests/kit/test.h"
#include "base/core/alloc.h"
#include "nets3d/graph/init.h"
#include "nets3d/program/program_internal.h"
#include "nets3d/program/loss.h"
#include "tests/kit/devices.h"
#include "tests/kit/networks.h"

static double mib(size_t bytes)
{
    return (double)bytes / (1 << 20);
}

static size_t align_up(size_t bytes)
{
    return (bytes + VOLT_ALIGN_BYTES - 1) / VOLT_ALIGN_BYTES * VOLT_ALIGN_BYTES;
}

/* Scratch if each operator's weights were packed there just before it runs. */
static size_t scratch_with_packed(const volt_program *p)
{
    size_t most = p->loss_bytes;

    for (int i = 0; i < p->step_count; i++) {
        const volt_op_info *info = &p->steps[i].info;
        const size_t bytes = align_up(info->packed_bytes) + info->scratch_bytes;
        most = bytes > most ? bytes : most;
    }
    return align_up(most);
}

/* Compiles a preset and returns what it announces; the most that lives at once in *least. */
static volt_program_memory announce(const volt_device *dev, const char *name, volt_mode mode,
                                    volt_precision precision, int64_t batch, bool deep,
                                    size_t *least)
{
    volt_program_options o = volt_program_defaults();
    volt_network net = {.model = NULL};
    volt_graph *g = NULL;
    volt_program *p = NULL;
    volt_program_memory m;
    int64_t usual;

    o.n = batch;
    o.precision = precision;
    o.mode = mode;
    o.threads = 2;
    assert_ok(volt_network_preset(&net, o.extent, &usual, name));
    if (batch == 0)
        o.n = usual;
    assert_ok(volt_network_build(&g, &net, deep));
    volt_network_clear(&net);
    assert_ok(volt_program_create(&p, g, dev, &o));
    volt_program_memory_of(p, &m);
    assert_true(p->scratch_bytes <=
                scratch_with_packed(p)); /* packing in advance takes no memory */
    *least = 0;
    for (int i = 0; i < volt_program_step_count(p); i++) {
        volt_step_info info;
        volt_program_step(p, i, &info);
        *least = info.arena_bytes > *least ? info.arena_bytes : *least;
    }
    print_message(
        "%-9s %-12s %-5s %s batch %2lld%s: parameters %.0f, packed %.0f, gradients %.0f, "
        "activations %.1f (live %.1f), scratch %.1f, total %.1f MiB; %d steps, window "
        "%d\n",
        dev->name, name, mode == VOLT_TRAIN ? "train" : "infer",
        precision == VOLT_FP32 ? "fp32" : "bf16", (long long)o.n, deep ? " deep" : "",
        mib(m.parameters), mib(m.packed), mib(m.gradients), mib(m.activations), mib(*least),
        mib(m.scratch), mib(m.total), volt_program_step_count(p), p->window);
    volt_program_free(p);
    volt_graph_free(g);
    return m;
}

static void presets_fit_where_they_should(void **state)
{
    static const struct {
        const char *name;
        volt_mode mode;
        volt_precision precision;
        int64_t batch; /* 0 = the preset's */
        bool deep;
        double limit_mib; /* of the total */
    } cases[] = {
        {"brats", VOLT_INFER, VOLT_FP32, 1, false, 1024},
        {"brats", VOLT_INFER, VOLT_BF16_MIXED, 1, false, 563},
        {"brats", VOLT_TRAIN, VOLT_FP32, 1, true, 2560},
        {"brats", VOLT_TRAIN, VOLT_BF16_MIXED, 1, true, 1500},
        {"hippocampus", VOLT_TRAIN, VOLT_FP32, 0, true, 800},
        {"liver2d", VOLT_TRAIN, VOLT_FP32, 0, true, 4200},
    };

    (void)state;
    for (size_t i = 0; i < 2 * (sizeof cases / sizeof *cases); i++) {
        const volt_device *dev = i % 2 ? cpu : reference;
        volt_program_memory m;
        size_t least;

        if (!dev->supports(dev, cases[i / 2].precision))
            continue;
        m = announce(dev, cases[i / 2].name, cases[i / 2].mode, cases[i / 2].precision,
                     cases[i / 2].batch, cases[i / 2].deep, &least);
        assert_true(m.total ==
                    m.parameters + m.packed + m.gradients + m.activations + m.scratch);
        assert_true(mib(m.total) <= cases[i / 2].limit_mib);
        assert_true((double)m.activations <= 1.02 * (double)least);
    }
}

static void loading_allocates_what_was_announced(void **state)
{
    (void)state;
    for (int i = 0; i < 2 * 2 * 2; i++) {
        volt_device *dev = NULL;
        volt_graph *g = build_unet3d();
        float *flat = NULL;
        volt_program_memory m;
        volt_program *p;
        size_t before;

        assert_ok(volt_device_open(&dev, i % 2 ? "cpu" : "reference"));
        assert_ok(volt_alloc(&flat, (size_t)volt_graph_param_elements(g) * 4, "weights"));
        volt_init_parameters(flat, g, 1);
        if (i / 4 == 0 || dev->supports(dev, VOLT_BF16_MIXED)) {
            p = compiled(g, dev, &networks[0], i / 2 % 2 ? VOLT_TRAIN : VOLT_INFER,
                         i / 4 ? VOLT_BF16_MIXED : VOLT_FP32, 2);
            volt_program_memory_of(p, &m);
            before = volt_mem_current();
            measure_start();
            assert_ok(volt_program_load(p, flat));
            assert_int_equal(volt_mem_current() - before, m.total);
            assert_int_equal(measure_peak() - before, m.total);
            assert_ok(volt_program_load(p, flat)); /* other weights, same memory */
            assert_int_equal(volt_mem_current() - before, m.total);
            volt_program_free(p);
        }
        volt_free(flat);
        volt_graph_free(g);
        volt_device_close(dev);
    }
}

static void running_allocates_nothing(void **state)
{
    const volt_loss_options loss = volt_loss_nnunet(2, true);

    (void)state;
    for (int i = 0; i < 2; i++) {
        volt_safetensors *f = open_fixture("unet3d");
        const float *input = fixture_view(f, "input", "")->data;
        const int16_t *labels = fixture_view(f, "labels", "")->data;
        volt_device *dev = NULL;
        volt_graph *g = build_unet3d();
        float *weights = fixture_parameters(f, "w.", g);
        volt_loss_result r = {0};
        volt_program *p;

        assert_ok(volt_device_open(&dev, i ? "cpu" : "reference"));
        p = compiled(g, dev, &networks[0], VOLT_TRAIN, VOLT_FP32, 2);
        assert_ok(volt_program_load(p, weights));
        volt_mem_fail_after(1);
        assert_ok(volt_program_forward(p, input, 0));
        assert_ok(program_loss(p, &loss, labels, true, &r));
        assert_ok(volt_program_backward(p));
        volt_mem_fail_after(0);
        volt_program_free(p);
        volt_free(weights);
        volt_graph_free(g);
        volt_device_close(dev);
        volt_safetensors_close(f);
    }
}

static void programs_survive_every_failed_allocation(void **state)
{
    volt_program_options o = volt_program_defaults();
    volt_graph *g = build_zoo();
    float *flat = NULL;
    volt_status st = VOLT_ENOMEM;
    int64_t failures = 0;
    size_t before;

    o.n = 1;
    o.extent[0] = 4;
    o.extent[1] = 6;
    o.extent[2] = 8;
    o.precision = VOLT_FP32;
    o.mode = VOLT_TRAIN;
    o.threads = 1;
    (void)state;
    assert_ok(volt_alloc(&flat, (size_t)volt_graph_param_elements(g) * 4, "weights"));
    volt_init_parameters(flat, g, 1);
    before = volt_mem_current();
    for (; st == VOLT_ENOMEM; failures++) {
        volt_program *p = NULL;

        volt_mem_fail_after(failures + 1);
        st = volt_program_create(&p, g, reference, &o);
        if (st == VOLT_OK)
            st = volt_program_load(p, flat);
        volt_mem_fail_after(0);
        volt_program_free(p);
        assert_int_equal(volt_mem_current(), before);
    }
    assert_int_equal(st, VOLT_OK);
    assert_true(failures > 50);
    volt_free(flat);
    volt_graph_free(g);
}

/* The steps tell their cost: the convolutions of MLPerf's network are 0.955 TFLOP forward. */
static void steps_tell_their_cost(void **state)
{
    volt_program_options o = volt_program_defaults();
    volt_network net = {.model = NULL};
    volt_graph *g = NULL;
    volt_program *p = NULL;
    int64_t batch;
    double forward = 0, all = 0;

    o.n = 1;
    o.precision = VOLT_FP32;
    o.mode = VOLT_TRAIN;
    o.threads = 1;
    (void)state;
    assert_ok(volt_network_preset(&net, o.extent, &batch, "mlperf"));
    assert_ok(volt_network_build(&g, &net, false));
    volt_network_clear(&net);
    assert_ok(volt_program_create(&p, g, reference, &o));
    for (int i = 0; i < volt_program_step_count(p); i++) {
        volt_step_info info;

        volt_program_step(p, i, &info);
        assert_true(info.name && info.kernel && info.seconds == 0 && info.arena_bytes > 0);
        if (strstr(info.name, "conv")) {
            all += info.flops;
            forward += strstr(info.name, " forward") ? info.flops : 0;
        }
    }
    assert_true(fabs(forward / 0.955e12 - 1) < 0.01);
    assert_true(all > 2.9 * forward && all < 3.1 * forward);
    volt_program_free(p);
    volt_graph_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(presets_fit_where_they_should),
        cmocka_unit_test(loading_allocates_what_was_announced),
        cmocka_unit_test(running_allocates_nothing),
        cmocka_unit_test(programs_survive_every_failed_allocation),
        cmocka_unit_test(steps_tell_their_cost),
    };
    return cmocka_run_group_tests(tests, open_devices, close_devices);
}
