/* param_scales.h - scales of the learning rate per parameter; 0 freezes it. */
#ifndef VOLT_NETS3D_TRAIN_PARAM_SCALES_H
#define VOLT_NETS3D_TRAIN_PARAM_SCALES_H
#include <stdbool.h>
#include "base/callbacks.h"
#include "nets3d/graph.h"
#include "nets3d/recipe.h"
VOLT_BEGIN_DECLS

/* scale[i] of parameter i of `graph`, from the recipe's rules (1 where none matches). Logs how
 * many are frozen or scaled. VOLT_EINVAL: a pattern matches no parameter that learns (the
 * message gives some names), or nothing is left to train. */
VOLT_MUST_USE volt_status volt_param_scales(double *scale, const volt_graph *graph,
                                            const volt_recipe *recipe,
                                            const volt_callbacks *cb);
/* If the recipe has rules: these scales, and in *learns which parameters are not frozen. The
 * caller owns both (volt_free), also after a failure. */
VOLT_MUST_USE volt_status volt_param_rules(double **scale, bool **learns,
                                           const volt_graph *graph, const volt_recipe *recipe,
                                           const volt_callbacks *cb);

VOLT_END_DECLS
#endif
