#include "tests/kit/device_suite.h"
#include "tests/kit/device_cases.h"
#include "tests/kit/device_compare.h"
#include "tests/kit/device_packing.h"
#include "tests/kit/device_training.h"

/* Fails when nothing was compared; prints what is unsupported. */
int suite_main(const suite_options *options)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(convolutions_fp32),
        cmocka_unit_test(convolutions_bf16),
        cmocka_unit_test(convolutions_fp16),
        cmocka_unit_test(convolutions_tf32),
        cmocka_unit_test(transposed_convolutions_fp32),
        cmocka_unit_test(transposed_convolutions_bf16),
        cmocka_unit_test(transposed_convolutions_fp16),
        cmocka_unit_test(transposed_convolutions_tf32),
        cmocka_unit_test(norms_fp32),
        cmocka_unit_test(norms_bf16),
        cmocka_unit_test(norms_fp16),
        cmocka_unit_test(pointwise_operators_fp32),
        cmocka_unit_test(pointwise_operators_bf16),
        cmocka_unit_test(pointwise_operators_fp16),
        cmocka_unit_test(prelus_fp32),
        cmocka_unit_test(prelus_bf16),
        cmocka_unit_test(prelus_fp16),
        cmocka_unit_test(copies_fp32),
        cmocka_unit_test(copies_bf16),
        cmocka_unit_test(copies_fp16),
        cmocka_unit_test(boxes_fp32),
        cmocka_unit_test(boxes_bf16),
        cmocka_unit_test(boxes_fp16),
        cmocka_unit_test(pools_fp32),
        cmocka_unit_test(pools_bf16),
        cmocka_unit_test(pools_fp16),
        cmocka_unit_test(upsamplings_fp32),
        cmocka_unit_test(upsamplings_bf16),
        cmocka_unit_test(upsamplings_fp16),
        cmocka_unit_test(batch_norms_fp32),
        cmocka_unit_test(batch_norms_bf16),
        cmocka_unit_test(batch_norms_fp16),
        cmocka_unit_test(packing_fp32),
        cmocka_unit_test(packing_bf16),
        cmocka_unit_test(factors),
        cmocka_unit_test(losses),
        cmocka_unit_test(bad_losses_leave_no_gradient),
        cmocka_unit_test(updates),
        cmocka_unit_test(accumulation),
        cmocka_unit_test(sums_of_squares),
        cmocka_unit_test(scalars_of_updates),
        cmocka_unit_test(updates_of_state),
    };
    const size_t before = volt_mem_current();
    int failed;

    suite_with = *options;
    suite_rng = volt_rng_open(1, 0, 0, VOLT_RNG_TEST);
    if (volt_device_open(&suite_device, options->device) != VOLT_OK ||
        volt_device_open(&suite_reference, "reference") != VOLT_OK) {
        print_error("%s\n", volt_last_error());
        return 1;
    }
    failed = cmocka_run_group_tests_name(options->device, tests, NULL, NULL);
    print_message("%s: %lld values compared, %lld cases unsupported, %lld supported without "
                  "margins of all operands\n",
                  options->device, (long long)suite_comparisons, (long long)suite_unsupported,
                  (long long)suite_dense_only);
    volt_device_close(suite_device);
    volt_device_close(suite_reference);
    if (suite_comparisons == 0 || (!failed && volt_mem_current() != before)) {
        print_error("nothing was compared, or memory was lost\n");
        return 1;
    }
    return failed;
}
