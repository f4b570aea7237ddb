/* planner.h - declarations that the planners of nnU-Net's and of VOLT's own configurations
 * share. */
#ifndef VOLT_NETS3D_PLAN_PLANNER_H
#define VOLT_NETS3D_PLAN_PLANNER_H
#include "nets3d/plan/plan_internal.h"
#include "nets3d/plan/topology.h"

/* What is common to all configurations of a plan. */
typedef struct volt_planning {
    const volt_fingerprint *fp;
    const volt_dataset_info *info;
    volt_planner planner;
    const volt_model *model; /* NULL = the planner's own */
    double memory_gb;
    volt_plan *plan; /* takes the configurations; its array has room for the next */
} volt_planning;

/* VOLT_EINVAL: the fingerprint, the data set and the options contradict each other. */
volt_status volt_planning_check(const volt_fingerprint *fp, const volt_dataset_info *info,
                                const volt_planner_options *o);
/* The full-resolution spacing (mm) and the median shape of a case at it, axes of the files. */
volt_status volt_planning_resolve(double target[3], double shape[3], const volt_fingerprint *fp,
                                  const volt_planner_options *o);
/* The next coarser spacing of nnU-Net's low-resolution series: 3 % more along the axes that are
 * more than twice as fine as the coarsest, or along all. */
void volt_planning_coarsen(double spacing[3]);

volt_topology_input volt_planning_input(const volt_planning *p, int axes,
                                        const double spacing[3], const double shape[3],
                                        double dataset_voxels);
/* The folder of a configuration's preprocessed cases. nnU-Net's residual planners share the
 * data of the default plan where they are the same. The caller owns *out. */
volt_status volt_planning_name_data(char **out, const volt_planning *p, const char *name);
/* Appends the configuration `name` with the topology `t`. */
volt_status volt_planning_add(const volt_planning *p, const char *name,
                              const volt_topology_input *in, const volt_topology *t,
                              bool batch_dice);

#endif
