/* device_suite.h - all operators, losses and updates of a device, compared with the reference
 * device. A new device needs no more than tests/nets3d/cpu/test_cpu.c does.
 */
#ifndef VOLT_TESTS_DEVICE_SUITE_H
#define VOLT_TESTS_DEVICE_SUITE_H
#include <stdbool.h>

typedef struct suite_options {
    const char *device;
    double conv_tolerance;   /* fp32 convolutions: |a - b| <= tolerance * (|b| + rms(b)) */
    bool weights_by_threads; /* weight gradients may differ in the last bits by threads */
    bool
        every_precision; /* also run what the device's operators know, but no program may use */
    bool complete;       /* every operator without margins must be supported; only sums of a
                          * convolution's output may be refused */
} suite_options;

/* Runs everything on one device; returns what main() should. Fails when nothing was compared;
 * prints what the device does not support. */
int suite_main(const suite_options *options);

#endif
