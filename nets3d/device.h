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

/* How a network computes. Parameters are float32 in all of them. */
typedef enum volt_precision {
    VOLT_PRECISION_AUTO = 0, /* in options: the one that is faster on this machine */
    VOLT_FP32 = 1,           /* float32 throughout */
    VOLT_BF16_MIXED = 2,     /* bfloat16 activations */
    VOLT_FP16_MIXED = 3,     /* float16 activations, with a scaled loss; GPUs only */
    VOLT_TF32 = 4            /* float32, but products of 10-bit mantissas; GPUs only */
} volt_precision;

typedef struct volt_device volt_device;
typedef struct volt_stream volt_stream; /* a queue of work of a device */

/* The parameters of a training program that learn, and their gradients. */
typedef struct volt_parameters {
    const volt_device *device;
    float *weights, *gradients; /* in the device's memory, in flat order; NULL in inference
                                 * programs and before volt_program_load. Programs with
                                 * `accumulate`: the average of gradients */
    int64_t count;              /* of each, without state, which lies behind `weights` and has
                                 * no gradients */
    float *state, *next_state;  /* running statistics, and what they become when an update is
                                 * made */
    int64_t state_count;
    int threads;
    volt_stream *stream; /* their program's: what touches them is given to it */
} volt_parameters;

/* Opens a device by name, NAME[:INDEX]: "reference" or "cpu", of which there is one each,
 * number 0. The caller owns *out. VOLT_EINVAL: an unknown name or index; VOLT_ENOTSUP: a GPU.
 */
VOLT_CALL volt_device_open(volt_device **out, const char *name);
VOLT_API void volt_device_close(volt_device *dev); /* NULL is allowed */

VOLT_END_DECLS
#endif
