#include "base/core/report.h"
#include "nets3d/train/param_scales.h"

#include <fnmatch.h>

/* Applies one rule; returns how many parameters matched. */
static int apply(double *scale, const volt_graph *graph, const volt_param_rule *rule)
{
    int matched = 0;

    for (int i = 0; i < volt_graph_param_count(graph); i++) {
        if (fnmatch(rule->pattern, volt_graph_param(graph, i)->name, 0) == 0) {
            scale[i] = rule->scale;
            matched++;
        }
    }
    return matched;
}

volt_status volt_param_scales(double *scale, const volt_graph *graph, const volt_recipe *recipe,
                              const volt_callbacks *cb)
{
    const int params = volt_graph_param_count(graph);
    int frozen = 0, scaled = 0;
    int64_t still = 0;

    for (int i = 0; i < params; i++)
        scale[i] = 1;
    for (int r = 0; r < recipe->rules; r++) {
        if (apply(scale, graph, &recipe->rule[r]) == 0)
            return volt_fail(VOLT_EINVAL,
                             "no parameter name matches '%s'; names are %s, ..., %s",
                             recipe->rule[r].pattern, volt_graph_param(graph, 0)->name,
                             volt_graph_param(graph, params - 1)->name);
    }
    for (int i = 0; i < params; i++) {
        frozen += scale[i] == 0;
        scaled += scale[i] != 0 && scale[i] != 1;
        still += scale[i] == 0 ? volt_graph_param(graph, i)->count : 0;
    }
    if (frozen == params)
        return volt_fail(VOLT_EINVAL, "every parameter is frozen: nothing is left to train");
    if (frozen || scaled)
        volt_report(cb, VOLT_LOG_INFO,
                    "frozen parameters: %d of %d (%lld of %lld numbers); with a learning rate "
                    "of their own: %d",
                    frozen, params, (long long)still,
                    (long long)volt_graph_param_elements(graph), scaled);
    return VOLT_OK;
}
