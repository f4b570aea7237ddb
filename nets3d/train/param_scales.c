#include "base/core/report.h"
#include "nets3d/train/param_scales.h"

#include <fnmatch.h>

#include "base/core/alloc.h"
#include "nets3d/graph/params.h"

/* Applies one rule to the parameters that learn and match. VOLT_EINVAL: there is none. */
static volt_status apply(double *scale, const volt_graph *graph, const volt_param_rule *rule)
{
    const int params = volt_graph_param_count(graph);
    const char *state = NULL;
    int matched = 0;

    for (int i = 0; i < params; i++) {
        const volt_param *p = volt_graph_param(graph, i);
        if (fnmatch(rule->pattern, p->name, 0) != 0)
            continue;
        if (!volt_param_learns(p)) {
            state = p->name;
            continue;
        }
        scale[i] = rule->scale;
        matched++;
    }
    if (!matched && state)
        return volt_fail(VOLT_EINVAL, "'%s' matches %s, which is not learned and has no rate",
                         rule->pattern, state);
    if (!matched)
        return volt_fail(VOLT_EINVAL, "no parameter name matches '%s'; names are %s, ..., %s",
                         rule->pattern, volt_graph_param(graph, 0)->name,
                         volt_graph_param(graph, params - 1)->name);
    return VOLT_OK;
}

volt_status volt_param_scales(double *scale, const volt_graph *graph, const volt_recipe *recipe,
                              const volt_callbacks *cb)
{
    const int params = volt_graph_param_count(graph);
    int frozen = 0, scaled = 0, learned = 0;
    int64_t still = 0;

    for (int i = 0; i < params; i++)
        scale[i] = 1;
    for (int r = 0; r < recipe->rules; r++) {
        const volt_status st = apply(scale, graph, &recipe->rule[r]);
        if (st != VOLT_OK)
            return st;
    }
    for (int i = 0; i < params; i++) {
        learned += volt_param_learns(volt_graph_param(graph, i));
        frozen += scale[i] == 0;
        scaled += scale[i] != 0 && scale[i] != 1;
        still += scale[i] == 0 ? volt_graph_param(graph, i)->count : 0;
    }
    if (frozen == learned)
        return volt_fail(VOLT_EINVAL, "every parameter is frozen: nothing is left to train");
    if (frozen || scaled)
        volt_report(cb, VOLT_LOG_INFO,
                    "frozen parameters: %d of %d (%lld of %lld numbers); with a learning rate "
                    "of their own: %d",
                    frozen, learned, (long long)still,
                    (long long)volt_graph_learned_elements(graph), scaled);
    return VOLT_OK;
}

volt_status volt_param_rules(double **scale, bool **learns, const volt_graph *graph,
                             const volt_recipe *recipe, const volt_callbacks *cb)
{
    const size_t count = (size_t)volt_graph_param_count(graph);
    volt_status st = VOLT_OK;

    if (recipe->rules == 0)
        return VOLT_OK;
    VOLT_TRY(st, done,
             volt_alloc_zero(scale, count, sizeof **scale, "learning rates of parameters"));
    VOLT_TRY(st, done, volt_param_scales(*scale, graph, recipe, cb));
    VOLT_TRY(st, done,
             volt_alloc_zero(learns, count, sizeof **learns, "learning rates of parameters"));
    for (size_t i = 0; i < count; i++)
        (*learns)[i] = (*scale)[i] > 0;
done:
    return st;
}
