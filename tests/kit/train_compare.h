/* train_compare.h - comparison of runs that must be bit-identical, and ways to stop a run. */
#ifndef VOLT_TESTS_TRAIN_COMPARE_H
#define VOLT_TESTS_TRAIN_COMPARE_H
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
#include "io/tensors/safetensors.h"
#include "nets3d/run/checkpoint.h"
#include "nets3d/run/state.h"
#include "tests/kit/train_fixture.h"

#define LATEST "/checkpoint_latest.safetensors"

/* Stops a run in one way or another as soon as an iteration is reached. */
typedef struct stopper {
    int64_t at;
    bool kill; /* SIGKILL, else cancel */
    bool reached;
} stopper;

volt_callbacks callbacks_of(stopper *s);

/* All tensors and counters of two checkpoints must be bit-identical; times may differ. */
void assert_same_run(const char *a, const char *b);

/* Trains in a child that is killed at iteration `at`. */
void train_and_kill(const char *run, const fixture *f, const volt_train_options *o, int64_t at);

#endif
