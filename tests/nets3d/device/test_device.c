/* Devices by name and number, and what they refuse. */
#include "nets3d/device/device_internal.h"
#include "nets3d/precision.h"
#include "nets3d/program.h"
#include "tests/kit/test.h"

static void devices_have_names_and_numbers(void **state)
{
    static const char *const good[] = {"cpu", "cpu:0", "reference", "reference:0", "cpu:000"};
    static const struct {
        const char *name;
        volt_status status;
        const char *words;
    } bad[] = {{"cpu:1", VOLT_EINVAL, "cpu:1"},
               {"reference:7", VOLT_EINVAL, "reference:7"},
               {"cpu:", VOLT_EINVAL, "'cpu:'"},
               {"cpu:x", VOLT_EINVAL, "cpu:x"},
               {"cpu:-1", VOLT_EINVAL, "cpu:-1"},
               {"cpu:0 ", VOLT_EINVAL, "'cpu:0 '"},
               {"cpu:99999999999999999999", VOLT_EINVAL, "cpu:9999"},
               {"cpu0", VOLT_EINVAL, "cpu0"},
               {"", VOLT_EINVAL, "''"},
               {"abacus:0", VOLT_EINVAL, "abacus:0"},
               {"cuda", VOLT_ENOTSUP, "cuda"},
               {"CUDA:1", VOLT_ENOTSUP, "CUDA:1"}};

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        volt_device *dev = NULL;
        assert_ok(volt_device_open(&dev, good[i]));
        assert_int_equal(dev->index, 0);
        assert_int_equal(strncmp(dev->name, good[i], strlen(dev->name)), 0);
        volt_device_close(dev);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        volt_device *dev = NULL;
        assert_fails(volt_device_open(&dev, bad[i].name), bad[i].status, bad[i].words);
        assert_null(dev);
    }
}

/* Both devices lack the precisions of GPUs, and programs say which. */
static void precisions_of_gpus_are_refused(void **state)
{
    static const char *const names[] = {"reference", "cpu"};
    const volt_conv one = {.kernel = {1, 1, 1}, .stride = {1, 1, 1}};
    volt_graph *g = NULL;
    volt_value v;

    (void)state;
    assert_ok(volt_graph_create(&g));
    assert_ok(volt_graph_input(g, &v, 1));
    assert_ok(volt_graph_conv(g, &v, v, "head", 2, &one, true));
    assert_ok(volt_graph_output(g, v));
    for (int i = 0; i < 2; i++) {
        volt_device *dev = NULL;
        assert_ok(volt_device_open(&dev, names[i]));
        for (volt_precision k = VOLT_FP16_MIXED; k <= VOLT_TF32; k++) {
            volt_program_options o = volt_program_defaults();
            volt_program *p = NULL;
            o.precision = k;
            o.extent[0] = o.extent[1] = o.extent[2] = 4;
            assert_false(dev->supports(dev, k));
            assert_fails(volt_program_create(&p, g, dev, &o), VOLT_ENOTSUP,
                         volt_precision_name(k));
            assert_null(p);
        }
        volt_device_close(dev);
    }
    volt_graph_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(devices_have_names_and_numbers),
        cmocka_unit_test(precisions_of_gpus_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
