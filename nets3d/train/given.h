/* given.h - compares what a caller asks for on purpose with the recipe of a run. */
#ifndef VOLT_NETS3D_TRAIN_GIVEN_H
#define VOLT_NETS3D_TRAIN_GIVEN_H
#include "base/status.h"
#include "nets3d/run/found.h"
#include "nets3d/trainer.h"
VOLT_BEGIN_DECLS

/* VOLT_EINVAL names every field that options->given lists and that differs from the
 * recipe of `run`, in which `found` was read. `previous_run` NULL = unknown. */
VOLT_MUST_USE volt_status volt_train_compare_given(const volt_train_options *options,
                                                   const volt_run_found *found, const char *run,
                                                   const char *previous_run);

VOLT_END_DECLS
#endif
