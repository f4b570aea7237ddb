/* optimizer.h - SGD, Adam and AdamW on flat arrays of parameters in a device's memory.
 *
 * A step reads nothing back: norm, clipping and what to do about bad gradients are decided on
 * the device (device/update.h). The host may ask afterwards.
 *
 * Threads  an optimizer is used by one thread at a time, the one that runs its program.
 */
#ifndef VOLT_NETS3D_PROGRAM_OPTIMIZER_H
#define VOLT_NETS3D_PROGRAM_OPTIMIZER_H
#include "nets3d/optimizer.h"
#include "nets3d/device.h"
#include "nets3d/device/update.h"
#include "nets3d/graph.h"
VOLT_BEGIN_DECLS

typedef struct volt_optimizer volt_optimizer;

/* Allocates the state (zeros) for `parameters`, which must outlive the optimizer. The
 * caller owns *out (volt_optimizer_free). VOLT_EINVAL: an option is out of range, or there are
 * no gradients; VOLT_ENOMEM. */
VOLT_MUST_USE volt_status volt_optimizer_create(volt_optimizer **out,
                                                volt_parameters parameters,
                                                const volt_optimizer_settings *options);
void volt_optimizer_free(volt_optimizer *o); /* NULL is allowed */
/* Of the state for so many parameters. */
size_t volt_optimizer_bytes(volt_optimizer_kind kind, int64_t parameters);

/* Parameter i of `graph`, whose parameters these are, learns at scale[i] times the rate. 0
 * freezes it: no weight decay either, and its gradient counts in no norm. Scales of state do
 * nothing. Copied. VOLT_EINVAL: a scale is negative or not finite; VOLT_ENOMEM. */
VOLT_MUST_USE volt_status volt_optimizer_set_scales(volt_optimizer *o, const volt_graph *graph,
                                                    const double *scale);
/* Learning rate at progress `t` in [0,1]. */
double volt_optimizer_rate(const volt_optimizer_settings *options, double t);
/* Starts one step at rate `lr`. If the gradients are not finite it leaves weights and state as
 * they are, and running statistics as they were before the forward passes of this step. The
 * parameters' program is to pack them next (volt_program_pack). */
VOLT_MUST_USE volt_status volt_optimizer_step(volt_optimizer *o, double lr);
/* Waits for the last step; `norm` (NULL allowed) gets the gradients' norm before clipping.
 * VOLT_ENUMERIC: it is not finite, and the step left everything as it was. */
VOLT_MUST_USE volt_status volt_optimizer_norm(const volt_optimizer *o, double *norm);
/* Waits for the last step and copies the scalars. */
VOLT_MUST_USE volt_status volt_optimizer_scalars(const volt_optimizer *o,
                                                 volt_update_scalars *out);
/* What gradients come multiplied with from now on (1 at first); it halves with each step that
 * is left out and doubles after `growth` updates in a row, `age` of which have been made; 0 =
 * it stays. VOLT_EINVAL: a number is out of range. */
VOLT_MUST_USE volt_status volt_optimizer_set_loss_scale(volt_optimizer *o, double scale,
                                                        int64_t age, int64_t growth);
/* Where the loss finds this number, in device memory. */
const double *volt_optimizer_loss_scale(const volt_optimizer *o);

/* State for checkpoints: 1 array (SGD) or 2 (Adam) of the parameters' size, on the device. */
int volt_optimizer_slots(const volt_optimizer *o);
float *volt_optimizer_slot(volt_optimizer *o, int i);
/* The next step is the one after so many updates. */
VOLT_MUST_USE volt_status volt_optimizer_set_steps(volt_optimizer *o, int64_t steps);

VOLT_END_DECLS
#endif
