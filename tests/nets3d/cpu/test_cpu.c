/* The CPU device against the reference; VOLT_ISA=base|avx2 in the environment lowers the
 * instruction set. */
#include "tests/kit/device_suite.h"

int main(void)
{
    /* oneDNN sums weight gradients by threads. */
    const suite_options options = {
        .device = "cpu", .conv_tolerance = 2e-5, .weights_by_threads = true, .complete = true};

    return suite_main(&options);
}
