#define _GNU_SOURCE
/* The logits of a network that nnU-Net trained, for one patch: within 1e-4 of nnU-Net's own,
 * which are 1.4e-5 from exact. Skipped without the shared data. */
#include "tests/kit/loss_call.h"
#include "base/core/alloc.h"
#include "nets3d/device/device_internal.h"
#include "tests/kit/golden.h"
#include "tests/kit/networks.h"

/* The float32 data of an .npy member, behind its header. */
static float *npy(const char *name, int64_t count)
{
    size_t bytes, header;
    unsigned char *member = zip_member(GOLDEN "/model/network_alone.npz", name, &bytes);
    float *x;

    header = 10 + ((size_t)member[8] | (size_t)member[9] << 8);
    assert_non_null(memmem(member, header, "'<f4'", 5));
    assert_int_equal(bytes - header, (size_t)count * sizeof *x);
    assert_ok(volt_alloc(&x, bytes - header, "an array"));
    memcpy(x, member + header, bytes - header);
    volt_free(member);
    return x;
}

static void check(const char *device_name, volt_precision precision, volt_mode mode,
                  double tolerance)
{
    const network net = {"golden", NULL, 1, {24, 32, 24}, 0, 0};
    const int64_t voxels = 24 * 32 * 24;
    float *x = npy("x.npy", voxels), *want = npy("logits.npy", 3 * voxels), *weights;
    volt_network preset = {.model = NULL};
    volt_device *device = NULL;
    volt_graph *g = NULL;
    volt_program *p;
    float *got;
    int64_t patch[3], batch;
    double worst = 0;

    assert_ok(volt_device_open(&device, device_name));
    assert_ok(volt_network_preset(&preset, patch, &batch, "hippocampus"));
    assert_ok(volt_network_build(&g, &preset, false));
    volt_network_clear(&preset);
    assert_ok(volt_alloc(&weights, (size_t)volt_graph_param_elements(g) * 4, "weights"));
    golden_weights(weights, g);
    if (device->supports(device, precision)) {
        p = compiled(g, device, &net, mode, precision, 2);
        assert_ok(volt_program_load(p, weights));
        assert_ok(volt_program_forward(p, x, 0));
        got = program_output(p, 0, NULL);
        for (int64_t i = 0; i < 3 * voxels; i++) {
            if (!(fabs(got[i] - want[i]) <= worst))
                worst = fabs(got[i] - want[i]);
        }
        volt_free(got);
        print_message("%s, %s: %.2g at most from nnU-Net's logits\n", device_name,
                      precision == VOLT_FP32 ? "fp32" : "bf16", worst);
        assert_true(worst <= tolerance);
        volt_program_free(p);
    }
    volt_free(weights);
    volt_graph_free(g);
    volt_device_close(device);
    volt_free(want);
    volt_free(x);
}

static void logits_are_nnunets(void **state)
{
    (void)state;
    check("cpu", VOLT_FP32, VOLT_INFER, 1e-4);
    check("cpu", VOLT_FP32, VOLT_TRAIN, 1e-4);
}

/* bf16 keeps 8 bits: logits up to 41 carry an error of a tenth. */
static void logits_in_bf16_are_near(void **state)
{
    (void)state;
    check("cpu", VOLT_BF16_MIXED, VOLT_INFER, 0.3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logits_are_nnunets),
        cmocka_unit_test(logits_in_bf16_are_near),
    };

    if (!has_shared(GOLDEN_SHARED))
        return VOLT_TEST_SKIP;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
