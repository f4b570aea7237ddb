#include "nets3d/plan.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "nets3d/models/model_internal.h"
#include "nets3d/plan/plan_internal.h"
#include "volume/resample.h"

void volt_plan_drop_last(volt_plan *plan)
{
    volt_plan_config *c = &plan->config[--plan->configs];

    volt_free(c->name);
    volt_free(c->inherits_from);
    volt_free(c->data_identifier);
    volt_free(c->norm);
    volt_free(c->use_mask_for_norm);
    volt_free(c->previous_stage);
    volt_free(c->next_stage);
    volt_network_clear(&c->net);
}

void volt_plan_free(volt_plan *plan)
{
    if (!plan)
        return;
    while (plan->configs)
        volt_plan_drop_last(plan);
    volt_free(plan->config);
    volt_free(plan->intensities);
    volt_free(plan->dataset_name);
    volt_free(plan->plans_name);
    volt_free(plan->planner);
    volt_free(plan->reader);
    volt_free(plan);
}

static int output_channels(const volt_plan *plan)
{
    return plan->regions ? plan->regions : plan->classes;
}

void volt_plan_set_channels(const volt_plan *plan, volt_plan_config *c)
{
    const int masks = c->previous_stage ? plan->classes - 1 : 0;

    volt_network_set_channels(&c->net, (int64_t)(plan->channels + masks) * c->slices,
                              output_channels(plan));
}

volt_status volt_plan_find(const volt_plan_config **out, const volt_plan *plan,
                           const char *name)
{
    char names[256] = "";
    size_t used = 0;

    for (int i = 0; i < plan->configs; i++) {
        if (strcmp(plan->config[i].name, name) == 0) {
            *out = &plan->config[i];
            return VOLT_OK;
        }
        if (used < sizeof names)
            used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", i ? ", " : "",
                                     plan->config[i].name);
    }
    return volt_fail(VOLT_EINVAL, "the plan has no configuration '%s'; it has: %s", name,
                     names);
}

int volt_plan_separate_axis(const volt_plan_resampling *r, const double spacing[3],
                            const double target[3])
{
    int coarsest = 0, ties = 0;

    if (r->separate_z == VOLT_SEPARATE_Z_AUTO)
        return volt_resample_separate_axis(spacing, target);
    for (int a = 1; a < 3; a++) {
        if (spacing[a] > spacing[coarsest])
            coarsest = a;
    }
    for (int a = 0; a < 3; a++)
        ties += spacing[a] == spacing[coarsest];
    return r->separate_z == VOLT_SEPARATE_Z_ALWAYS && ties == 1 ? coarsest : VOLT_NO_AXIS;
}
