/* init.h - nnU-Net's starting weights (He et al., ICCV 2015). */
#ifndef VOLT_NETS3D_GRAPH_INIT_H
#define VOLT_NETS3D_GRAPH_INIT_H
#include <stdint.h>
#include "nets3d/graph.h"
VOLT_BEGIN_DECLS

/* Fills flat[volt_graph_param_elements(g)]: weights normal with standard deviation
 * sqrt(2 / (1 + 0.01^2)) / sqrt(fan_in) (torch's kaiming_normal_ with a = 0.01), norm scales 1;
 * everything else, and what volt_graph_start_at_zero() named, 0. Random stream of a weight:
 * (seed, 0, parameter index, VOLT_RNG_INIT). */
void volt_init_parameters(float *flat, const volt_graph *g, uint64_t seed);

VOLT_END_DECLS
#endif
