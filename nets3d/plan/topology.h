/* topology.h - the part of planning that needs no data set: patch, stages and batch of one
 * configuration, by the rules of nnU-Net v2's planners.
 *
 * Threads  any number of threads may call these at the same time.
 */
#ifndef VOLT_NETS3D_PLAN_TOPOLOGY_H
#define VOLT_NETS3D_PLAN_TOPOLOGY_H
#include "nets3d/models/model_internal.h"
#include "nets3d/plan.h"

/* A planner's names and constants. A reference is the memory estimate that fits memory_gb. */
typedef struct volt_planner_rules {
    const char *name, *class_name, *plans_name; /* VOLT's; nnU-Net's */
    const volt_model *model;
    bool any_batch; /* the references hold for any batch, not for nnU-Net's reference batch */
    double memory_gb, reference_3d, reference_2d;
    double covered; /* fraction of the data set's voxels that one batch may hold */
} volt_planner_rules;
/* NULL for a planner that does not exist. */
const volt_planner_rules *volt_planner_rules_of(volt_planner planner);
/* The planner with nnU-Net's class name; *out is unchanged where it's none of these. */
void volt_planner_of_class(volt_planner *out, const char *class_name);

typedef struct volt_topology_input {
    volt_planner planner;
    int axes;                /* 3 or 2 (index 0 is then ignored) */
    double spacing[3];       /* transposed, mm */
    double median_shape[3];  /* transposed, voxels */
    int channels, labels;    /* labels: entries of dataset.json's `labels` */
    double dataset_voxels;   /* of all cases together, at `spacing` */
    double memory_gb;        /* 0 = the planner's own */
    const volt_model *model; /* NULL = the planner's own */
} volt_topology_input;

typedef struct volt_topology {
    int64_t patch[3], batch;
    int64_t pools[3]; /* halvings per axis */
    double estimate;  /* the model's, for one sample */
    volt_topology_shape shape;
} volt_topology;

const volt_model *volt_topology_model(const volt_topology_input *in);
/* VOLT_EINVAL; VOLT_ENOTSUP: no patch fits, or the model cannot be planned. */
VOLT_MUST_USE volt_status volt_plan_topology(volt_topology *out, const volt_topology_input *in);
/* Of samples that hold `extent` voxels, whatever memory that takes; batch is 0 where not even
 * one sample fits the memory target. */
VOLT_MUST_USE volt_status volt_plan_topology_whole(volt_topology *out,
                                                   const volt_topology_input *in,
                                                   const double extent[3]);

#endif
