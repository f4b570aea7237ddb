/* export_internal.h - declarations that export_model.c (runs, formats) and export_nnunet.c
 * (nnU-Net's checkpoint) share.
 */
#ifndef VOLT_NETS3D_INTEROP_EXPORT_INTERNAL_H
#define VOLT_NETS3D_INTEROP_EXPORT_INTERNAL_H
#include "io/tensors/safetensors.h"
#include "nets3d/run/checkpoint.h"
#include "nets3d/export_model.h"
#include "nets3d/plan.h"
#include "nets3d/run/state.h"
VOLT_BEGIN_DECLS

/* A single run, loaded. Everything is owned. */
typedef struct volt_export_run {
    char *path; /* of the checkpoint */
    volt_checkpoint_head head;
    volt_train_recipe recipe;
    volt_train_state state;
    volt_dataset_info info;
    volt_plan *plan;
    const volt_plan_config *config; /* of `plan` */
    volt_graph *graph;
    float *flat;
} volt_export_run;
void volt_export_clear(volt_export_run *r);

/* Parameter `index` as nnU-Net stores it: kernels of 2-D networks without the axis d. */
volt_tensor_view volt_export_view(const volt_export_run *r, int index);
/* VOLT_ENOTSUP when nnU-Net has no such network. */
VOLT_MUST_USE volt_status volt_export_check_nnunet(const volt_export_run *r);
/* Writes nnU-Net's checkpoint with every alias key; `fold` is a number or "all". *tensors gets
 * the number of keys. */
VOLT_MUST_USE volt_status volt_export_torch(const char *path, const volt_export_run *r,
                                            const char *fold, int64_t *tensors);

VOLT_END_DECLS
#endif
