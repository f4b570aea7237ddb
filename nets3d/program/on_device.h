/* on_device.h - a program for callers that work in its device's memory.
 *
 * Threads  as for programs.
 */
#ifndef VOLT_NETS3D_PROGRAM_ON_DEVICE_H
#define VOLT_NETS3D_PROGRAM_ON_DEVICE_H
#include "nets3d/program.h"
VOLT_BEGIN_DECLS

/* Output `i`, an existing one, of a loaded program: PLAIN (n,c,d,h,w) float32 in device memory,
 * valid until the next forward pass; after a loss with gradient it is that. */
const float *volt_program_output_address(const volt_program *p, int i);
/* The program's own: what reads an output or writes an input on the device is given to it. */
volt_stream *volt_program_stream(const volt_program *p);
/* From now on gradients are those of the loss times *scale: device memory, borrowed, an
 * optimizer's (volt_optimizer_loss_scale). NULL = 1. */
void volt_program_scale_loss(volt_program *p, const double *scale);

VOLT_END_DECLS
#endif
