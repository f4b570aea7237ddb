/* params.h - what only the models of model.c need: order and start of a graph's parameters.
 *
 * Threads  as graph.h.
 */
#ifndef VOLT_NETS3D_GRAPH_PARAMS_H
#define VOLT_NETS3D_GRAPH_PARAMS_H
#include "nets3d/graph.h"
VOLT_BEGIN_DECLS

/* Declares a parameter of role VOLT_PARAM_STATE; *out (NULL allowed) gets its index.
 * VOLT_EINVAL: the name is taken, or count < 1. */
VOLT_MUST_USE volt_status volt_graph_state(volt_graph *g, int *out, const char *name,
                                           int64_t count);
static inline bool volt_param_learns(const volt_param *p)
{
    return p->role != VOLT_PARAM_STATE;
}

/* Regroups the parameters: first those whose names begin with prefix[0], then prefix[1], ...;
 * the rest last. The order within a group stays; offsets and indices follow. */
VOLT_MUST_USE volt_status volt_graph_group_params(volt_graph *g, const char *const *prefix,
                                                  int count);
/* The parameter called `name` starts at 0: the scale of a residual block's last norm, so that
 * the block starts as its skip. VOLT_EINVAL: no such parameter. */
VOLT_MUST_USE volt_status volt_graph_start_at_zero(volt_graph *g, const char *name);

VOLT_END_DECLS
#endif
