/* optimizer.h - SGD, Adam and AdamW on flat arrays of parameters.
 *
 * Threads  an optimizer is used by one thread at a time, the one that runs its program.
 */
#ifndef VOLT_NETS3D_PROGRAM_OPTIMIZER_H
#define VOLT_NETS3D_PROGRAM_OPTIMIZER_H
#include "nets3d/optimizer.h"
#include "nets3d/program.h"
VOLT_BEGIN_DECLS

typedef struct volt_optimizer volt_optimizer;

/* Allocates the state (zeros) for `parameters`, whose program must outlive the optimizer. The
 * caller owns *out (volt_optimizer_free). VOLT_EINVAL: an option is out of range, or there are
 * no gradients; VOLT_ENOMEM. */
VOLT_MUST_USE volt_status volt_optimizer_create(volt_optimizer **out,
                                                volt_parameters parameters,
                                                const volt_optimizer_settings *options);
void volt_optimizer_free(volt_optimizer *o); /* NULL is allowed */
/* Of the state for so many parameters. */
size_t volt_optimizer_bytes(volt_optimizer_kind kind, int64_t parameters);

/* Parameter i of `graph`, the program's, learns at scale[i] times the rate. 0 freezes it: no
 * weight decay either, and its gradient counts in no norm. Scales of state do nothing. Copied.
 * VOLT_EINVAL: a scale is negative or not finite; VOLT_ENOMEM. */
VOLT_MUST_USE volt_status volt_optimizer_set_scales(volt_optimizer *o, const volt_graph *graph,
                                                    const double *scale);
/* Learning rate at progress `t` in [0,1]. */
double volt_optimizer_rate(const volt_optimizer_settings *options, double t);
/* One step at rate `lr`. `gradient_norm` (NULL allowed) gets the norm before clipping.
 * VOLT_ENUMERIC: the norm is not finite; weights are unchanged then. */
VOLT_MUST_USE volt_status volt_optimizer_step(volt_optimizer *o, double lr,
                                              double *gradient_norm);

/* State for checkpoints: 1 array (SGD) or 2 (Adam) of the parameters' size, on the device. */
int volt_optimizer_slots(const volt_optimizer *o);
float *volt_optimizer_slot(volt_optimizer *o, int i);
int64_t volt_optimizer_steps(const volt_optimizer *o);
void volt_optimizer_set_steps(volt_optimizer *o, int64_t steps);

VOLT_END_DECLS
#endif
