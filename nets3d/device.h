/* device.h - compute devices: the CPU, and the reference in plain C that defines every
 * operator.
 *
 * Threads  threads may share an open device. It must outlive the programs compiled for it.
 */
#ifndef VOLT_NETS3D_DEVICE_H
#define VOLT_NETS3D_DEVICE_H
#include <stdint.h>
#include "../base/status.h"
VOLT_BEGIN_DECLS

/* float32 throughout, or bfloat16 activations with float32 parameters. */
typedef enum volt_precision {
    VOLT_PRECISION_AUTO = 0, /* in options: the one that is faster on this machine */
    VOLT_FP32 = 1,
    VOLT_BF16_MIXED = 2
} volt_precision;

typedef struct volt_device volt_device;

/* The parameters of a training program and their gradients. */
typedef struct volt_parameters {
    const volt_device *device;
    float *weights, *gradients; /* in the device's memory, in flat order; NULL in inference
                                 * programs and before volt_program_load */
    int64_t count;              /* elements of each */
    int threads;
} volt_parameters;

/* Opens a device by name: "reference" or "cpu". The caller owns *out. VOLT_EINVAL (unknown);
 * VOLT_ENOTSUP: a GPU. */
VOLT_CALL volt_device_open(volt_device **out, const char *name);
VOLT_API void volt_device_close(volt_device *dev); /* NULL is allowed */

VOLT_END_DECLS
#endif
