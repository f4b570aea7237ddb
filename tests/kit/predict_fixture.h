/* predict_fixture.h - a run folder with a network that nobody trained: good enough to see where
 * masks land and whether they are the arg-max they should be. */
#ifndef VOLT_TESTS_PREDICT_FIXTURE_H
#define VOLT_TESTS_PREDICT_FIXTURE_H
#include "nets3d/run/checkpoint.h"
#include "nets3d/graph/init.h"
#include "nets3d/predict/predictor_internal.h"
#include "tests/kit/train_fixture.h"

/* Recipe and state of a finished run that mirrored along all axes. */
void write_model(const char *path, const volt_plan *plan, const volt_dataset_info *info,
                 const volt_graph *g, const float *weights);

/* `plan_text` is a JSON plan for `info`; weights are drawn from `seed`. Biases of the heads are
 * drawn too, so that all classes appear. */
void write_seeded_run(const char *run, const char *plan_text, const volt_dataset_info *info,
                      uint64_t seed);

void write_random_run(const char *run, const char *plan_text, const volt_dataset_info *info);

#endif
