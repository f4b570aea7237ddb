/* params.h - what only the models of model.c need: order and start of a graph's parameters.
 *
 * Threads  as graph.h.
 */
#ifndef VOLT_NETS3D_GRAPH_PARAMS_H
#define VOLT_NETS3D_GRAPH_PARAMS_H
#include "nets3d/graph.h"
VOLT_BEGIN_DECLS

/* Regroups the parameters: first those whose names begin with prefix[0], then prefix[1], ...;
 * the rest last. The order within a group stays; offsets and indices follow. */
VOLT_MUST_USE volt_status volt_graph_group_params(volt_graph *g, const char *const *prefix,
                                                  int count);
/* The parameter called `name` starts at 0: the scale of a residual block's last norm, so that
 * the block starts as its skip. VOLT_EINVAL: no such parameter. */
VOLT_MUST_USE volt_status volt_graph_start_at_zero(volt_graph *g, const char *name);

VOLT_END_DECLS
#endif
