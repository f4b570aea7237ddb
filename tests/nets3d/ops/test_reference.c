/* The reference device against itself: ranges, types and in-place runs against whole plain
 * buffers. test_reference_gradients.c checks what the operators mean. */
#include "tests/kit/device_suite.h"

int main(void)
{
    const suite_options options = {.device = "reference",
                                   .conv_tolerance = 1e-6,
                                   .every_precision = true,
                                   .complete = true};

    return suite_main(&options);
}
