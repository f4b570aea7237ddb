/* checks.h - ranges of everything that a training can be asked for. */
#ifndef VOLT_NETS3D_TRAIN_CHECKS_H
#define VOLT_NETS3D_TRAIN_CHECKS_H
#include "base/status.h"
#include "nets3d/train/targets.h"
#include "nets3d/trainer.h"
VOLT_BEGIN_DECLS

/* VOLT_EINVAL names the first value that is out of range or not finite. */
VOLT_MUST_USE volt_status volt_train_check_options(const volt_train_options *o);
/* The same for a recipe. `t` NULL: without what depends on the classes. */
VOLT_MUST_USE volt_status volt_train_check_recipe(const volt_recipe *r,
                                                  const volt_train_targets *t);
/* Plan, description and cases: VOLT_EINVAL if something is missing or they contradict each
 * other; VOLT_ENOTSUP: more channels or labels than can be trained. */
VOLT_MUST_USE volt_status volt_train_check_data(const volt_train_data *d,
                                                const volt_train_targets *t);

VOLT_END_DECLS
#endif
