/* loss_call.h - both calls of a loss, with the memory that they need. */
#ifndef VOLT_TESTS_LOSS_CALL_H
#define VOLT_TESTS_LOSS_CALL_H
#include "nets3d/device/device_internal.h"
#include "nets3d/program.h"

/* Runs `call` on a device with host memory, in exactly as much memory as it asks for, between
 * guards. The caller owns the result (volt_free). */
volt_loss_block *loss_call_run(const volt_device *dev, volt_loss_call *call);
/* The first call alone: *sums and *result belong to the caller. */
void loss_call_sums(const volt_device *dev, volt_loss_call *call);
/* The second one, with sums that the caller has; frees them. */
volt_loss_block *loss_call_gradient(const volt_device *dev, volt_loss_call *call);

/* volt_program_loss and its result. */
volt_status program_loss(volt_program *p, const volt_loss_options *options,
                         const int16_t *labels, bool gradient, volt_loss_result *result);
/* Output i (volt_free); `shape` may be NULL. */
float *program_output(volt_program *p, int i, int64_t shape[5]);

#endif
