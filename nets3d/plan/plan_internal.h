/* plan_internal.h - declarations that the planner and the plan's files share. */
#ifndef VOLT_NETS3D_PLAN_PLAN_INTERNAL_H
#define VOLT_NETS3D_PLAN_PLAN_INTERNAL_H
#include "io/json/json.h"
#include "nets3d/plan.h"

/* The axis that a resampling from `spacing` to `target` (mm) treats separately, or
 * VOLT_NO_AXIS. */
int volt_plan_separate_axis(const volt_plan_resampling *r, const double spacing[3],
                            const double target[3]);

/* VOLT_EINVAL: no such configuration can be added to any plan. */
volt_status volt_plan_extra_check(const volt_plan_extra *e);
/* Removes the last configuration. */
void volt_plan_drop_last(volt_plan *plan);
/* Sets the channels of the configuration's network from the plan and its own kind. */
void volt_plan_set_channels(const volt_plan *plan, volt_plan_config *c);

/* As JSON text, what a network of configuration `c` depends on: not other configurations,
 * names, medians. So two plans that give the same text train and run the same network. The
 * caller owns *out (volt_free). */
volt_status volt_plan_config_text(char **out, const volt_plan *plan, const volt_plan_config *c);

/* nnU-Net's first reader that takes the file ending; never NULL. */
const char *volt_plan_reader_of(const char *ending);
/* nnU-Net's rule: the scheme that a channel's name asks for; z-score for any other name. */
volt_normalization volt_norm_for_channel(const char *channel);
/* nnU-Net's class name of a scheme; never NULL. */
const char *volt_norm_class(volt_normalization scheme);

/* foreground_intensity_properties_per_channel, in plans and fingerprints: an object of
 * {"0": {"max", "mean", "median", "min", "percentile_00_5", "percentile_99_5", "std"}}. The
 * caller owns the reference; NULL when out of memory. */
json_t *volt_stats_json(const volt_foreground_stats *v, int channels);
/* Reads it; exactly `channels` entries. The caller owns *out (volt_free). */
volt_status volt_stats_parse(volt_foreground_stats **out, const volt_json_at *object,
                             int channels);

#endif
