/* fit_memory.h - finds the largest plan that can be trained in this machine's memory.
 *
 * nnU-Net estimates the memory of a GPU; here the network is compiled and reports its bytes, so
 * the largest patch that really fits is found.
 */
#ifndef VOLT_NETS3D_JOBS_FIT_MEMORY_H
#define VOLT_NETS3D_JOBS_FIT_MEMORY_H
#include <stddef.h>
#include "base/callbacks.h"
#include "nets3d/plan.h"
#include "nets3d/precision.h"
VOLT_BEGIN_DECLS

typedef struct volt_plan_memory_options {
    const char *device;       /* NULL = "cpu" */
    volt_precision precision; /* VOLT_PRECISION_AUTO allowed */
    int threads;              /* 0 = default */
    size_t limit; /* bytes that training may take; 0 = 85 % of this machine's memory */
    const volt_callbacks *callbacks;
} volt_plan_memory_options;

/* Bytes of training `config` as nnU-Net's recipe does (its batch, deep supervision, SGD with
 * momentum, augmentation): network, optimizer, batches in the ring. Compiles the network. */
VOLT_MUST_USE volt_status volt_plan_training_bytes(size_t *out, const volt_plan *plan,
                                                   const volt_plan_config *config,
                                                   const volt_plan_memory_options *options);

/* The largest memory target (GB, as volt_planner_options.memory_gb, to about 3 %) with which
 * every configuration of the plan can be trained within the limit. Logs the result as INFO.
 * VOLT_ENOMEM: not even 1/64 of the planner's own target fits. */
VOLT_MUST_USE volt_status volt_plan_memory_fit(double *gb, const volt_fingerprint *fp,
                                               const volt_dataset_info *info,
                                               const volt_planner_options *planner,
                                               const volt_plan_memory_options *options);

VOLT_END_DECLS
#endif
