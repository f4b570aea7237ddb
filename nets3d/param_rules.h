/* param_rules.h - which parameters of a network learn slower, faster or not at all. */
#ifndef VOLT_NETS3D_PARAM_RULES_H
#define VOLT_NETS3D_PARAM_RULES_H
#include "../base/callbacks.h"
#include "graph.h"
#include "trainer.h"
VOLT_BEGIN_DECLS

/* scale[i] of parameter i of `graph`, as the recipe's rules say (1 where none does). Logs what
 * is frozen or scaled. VOLT_EINVAL: a pattern that no parameter's name matches (some names are
 * given), or nothing is left to learn. */
VOLT_CALL volt_param_scales(double *scale, const volt_graph *graph, const volt_recipe *recipe,
                            const volt_callbacks *cb);
/* Appends rules from a list "PATTERN,..." of that `scale`, or with scale < 0 from a list
 * "PATTERN=SCALE,...". VOLT_EINVAL names the part that is wrong. */
VOLT_CALL volt_param_rules_add(volt_recipe *recipe, const char *list, double scale);

VOLT_END_DECLS
#endif
