/* monai_plan.h - MONAI's networks in a plan: "architecture" names the class and its
 * constructor's arguments, as nnU-Net does for its own. What MONAI has a default for may be
 * left out; an argument that the class does not have is refused.
 */
#ifndef VOLT_NETS3D_MODELS_MONAI_PLAN_H
#define VOLT_NETS3D_MODELS_MONAI_PLAN_H
#include "nets3d/plan/read.h"

/* Sets net->family where the class is MONAI's UNet or DynUNet; says whether it is. */
bool volt_plan_monai_class(volt_unet_spec *net, const char *class_name);
/* Reads arch_kwargs. in_channels and out_channels are set where they are given, else 0. */
volt_status volt_plan_read_monai(volt_plan_config *c, const volt_json_at *kwargs);
/* The class's name and arch_kwargs; the caller owns the reference, NULL when out of memory. */
const char *volt_plan_monai_name(const volt_unet_spec *net);
json_t *volt_plan_monai_kwargs(const volt_plan_config *c);

#endif
