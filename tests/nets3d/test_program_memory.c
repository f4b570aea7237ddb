/* What programs announce, that they keep to it, and that it is small. */
#include "tests/test.h"
#include "base/mem.h"
#include "nets3d/init.h"
#include "nets3d/program_internal.h"
#include "nets3d/unet.h"

static volt_device *device;

static int open_device(void **state)
{
    (void)state;
    return volt_device_open(&device, "reference");
}

static int close_device(void **state)
{
    (void)state;
    volt_device_close(device);
    return 0;
}

static double mib(size_t bytes)
{
    return (double)bytes / (1 << 20);
}

/* Compiles a preset and returns what it announces; the most that lives at once in *least. */
static volt_program_memory announce(const char *name, volt_mode mode, volt_precision precision,
                                    int64_t batch, bool deep, size_t *least)
{
    volt_program_options o = {.n = batch, .precision = precision, .mode = mode, .threads = 2};
    volt_unet_spec spec;
    volt_graph *g = NULL;
    volt_program *p = NULL;
    volt_program_memory m;
    int64_t usual;

    assert_ok(volt_unet_preset(&spec, o.extent, &usual, name));
    if (batch == 0)
        o.n = usual;
    spec.deep_supervision = deep;
    assert_ok(volt_unet_build(&g, &spec));
    assert_ok(volt_program_create(&p, g, device, &o));
    volt_program_memory_of(p, &m);
    *least = 0;
    for (int i = 0; i < volt_program_step_count(p); i++) {
        volt_step_info info;
        volt_program_step(p, i, &info);
        *least = info.arena_bytes > *least ? info.arena_bytes : *least;
    }
    print_message(
        "%-12s %-5s %s batch %2lld%s: parameters %.0f, packed %.0f, gradients %.0f, "
        "activations %.1f (live %.1f), scratch %.1f, total %.1f MiB; %d steps, window "
        "%d\n",
        name, mode == VOLT_TRAIN ? "train" : "infer", precision == VOLT_FP32 ? "fp32" : "bf16",
        (long long)o.n, deep ? " deep" : "", mib(m.parameters), mib(m.packed), mib(m.gradients),
        mib(m.activations), mib(*least), mib(m.scratch), mib(m.total),
        volt_program_step_count(p), p->window);
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
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t least;
        const volt_program_memory m = announce(cases[i].name, cases[i].mode, cases[i].precision,
                                               cases[i].batch, cases[i].deep, &least);
        assert_true(m.total ==
                    m.parameters + m.packed + m.gradients + m.activations + m.scratch);
        assert_true(mib(m.total) <= cases[i].limit_mib);
        assert_true((double)m.activations <= 1.02 * (double)least);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(presets_fit_where_they_should),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
