#include "nets3d/param_rules.h"

#include <fnmatch.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MOST_SCALE 1e6

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
                             "no parameter's name matches '%s'; there are %s, ..., %s",
                             recipe->rule[r].pattern, volt_graph_param(graph, 0)->name,
                             volt_graph_param(graph, params - 1)->name);
    }
    for (int i = 0; i < params; i++) {
        frozen += scale[i] == 0;
        scaled += scale[i] != 0 && scale[i] != 1;
        still += scale[i] == 0 ? volt_graph_param(graph, i)->count : 0;
    }
    if (frozen == params)
        return volt_fail(VOLT_EINVAL, "all %d parameters are frozen: nothing is left to learn",
                         params);
    if (frozen || scaled)
        volt_report(cb, VOLT_LOG_INFO,
                    "of %d parameters %d are frozen (%lld of %lld numbers), %d have a learning "
                    "rate of their own",
                    params, frozen, (long long)still,
                    (long long)volt_graph_param_elements(graph), scaled);
    return VOLT_OK;
}

/* One "PATTERN[=SCALE]" of `length` bytes. */
static volt_status add_one(volt_recipe *recipe, const char *text, size_t length, double scale)
{
    const char *equals = memchr(text, '=', length);
    const size_t name = equals ? (size_t)(equals - text) : length;
    volt_param_rule *rule = &recipe->rule[recipe->rules];
    char *end = NULL;

    if (recipe->rules == VOLT_MAX_PARAM_RULES)
        return volt_fail(VOLT_EINVAL, "more than %d rules for parameters",
                         VOLT_MAX_PARAM_RULES);
    if (name == 0 || name >= sizeof rule->pattern)
        return volt_fail(VOLT_EINVAL,
                         "'%.*s' is no pattern of parameter names: 1 to %zu bytes are expected",
                         (int)length, text, sizeof rule->pattern - 1);
    if (equals && scale >= 0)
        return volt_fail(VOLT_EINVAL, "'%.*s': a pattern without a factor is expected",
                         (int)length, text);
    if (!equals && scale < 0)
        return volt_fail(VOLT_EINVAL, "'%.*s' lacks the factor: PATTERN=X is expected",
                         (int)length, text);
    rule->scale = scale;
    if (equals) {
        rule->scale = strtod(equals + 1, &end);
        if (end != text + length || end == equals + 1 || !(rule->scale >= 0) ||
            !(rule->scale <= MOST_SCALE))
            return volt_fail(VOLT_EINVAL, "'%.*s': the factor is not a number from 0 to %g",
                             (int)length, text, MOST_SCALE);
    }
    memcpy(rule->pattern, text, name);
    rule->pattern[name] = '\0';
    recipe->rules++;
    return VOLT_OK;
}

volt_status volt_param_rules_add(volt_recipe *recipe, const char *list, double scale)
{
    volt_status st = VOLT_OK;

    for (const char *at = list; st == VOLT_OK; at++) {
        const size_t length = strcspn(at, ",");
        st = add_one(recipe, at, length, scale);
        at += length;
        if (!*at)
            break;
    }
    return st;
}
