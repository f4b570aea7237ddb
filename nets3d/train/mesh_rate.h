/* mesh_rate.h - how fast this machine trains a network.
 *
 * Threads  one measurement at a time, or they disturb each other.
 */
#ifndef VOLT_NETS3D_TRAIN_MESH_RATE_H
#define VOLT_NETS3D_TRAIN_MESH_RATE_H
#include "nets3d/mesh_plan.h"
#include "nets3d/program.h"
VOLT_BEGIN_DECLS

typedef struct volt_mesh_rate {
    double rate;     /* flop/s of forward pass, loss and backward pass */
    double update_s; /* of the optimizer */
} volt_mesh_rate;

/* Trains one sample on a patch as large as `options` say or, if that takes long, a smaller one
 * of the same network. VOLT_ENOMEM. */
VOLT_MUST_USE volt_status volt_mesh_measure(volt_mesh_rate *out, const volt_graph *graph,
                                            const volt_device *device, const volt_network *net,
                                            const volt_program_options *options,
                                            volt_optimizer_kind optimizer);

VOLT_END_DECLS
#endif
