/* costs.h - what a training step of a program costs its rank: messages and bytes exactly,
 * seconds by a model (parallel/mesh/cost.h).
 *
 * Threads  reads the program alone.
 */
#ifndef VOLT_NETS3D_PROGRAM_COSTS_H
#define VOLT_NETS3D_PROGRAM_COSTS_H
#include "nets3d/program.h"
#include "parallel/mesh/cost.h"
VOLT_BEGIN_DECLS

/* Of forward pass, loss with gradient and backward pass, as this rank sends; zeros without a
 * mesh. In programs with `accumulate` these are of each part of a batch, but the gradients,
 * which are summed once, after the last. */
typedef struct volt_program_costs {
    volt_traffic halos;     /* margins of values and gradients */
    volt_traffic sums;      /* of statistics and the loss */
    volt_traffic gradients; /* sums of gradients */
    double flops;
    double compute_s, wait_s; /* wait_s: for messages */
    double average_s;         /* with `accumulate`: waits for the gradients, not in wait_s */
} volt_program_costs;

/* A training program, whose loss is with or without batch Dice. All of its time is that of
 * operators, at `rate` flop/s of all together; each has its part by operations and bytes.
 * VOLT_ENOMEM. */
VOLT_MUST_USE volt_status volt_program_costs_of(volt_program_costs *out, const volt_program *p,
                                                bool batch_dice, const volt_links *links,
                                                double rate);

VOLT_END_DECLS
#endif
