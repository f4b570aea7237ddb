/* train_fixture.h - a tiny data set, plan and case store for tests of training and prediction:
 * bright balls (class 1) and dark cubes (class 2) in noise. */
#ifndef VOLT_TESTS_TRAIN_FIXTURE_H
#define VOLT_TESTS_TRAIN_FIXTURE_H
#include <stdio.h>
#include <sys/stat.h>
#include "base/system/file.h"
#include "base/mem.h"
#include "base/rng.h"
#include "io/case_store.h"
#include "io/dataset.h"
#include "nets3d/plan.h"
#include "nets3d/trainer.h"
#include "tests/kit/test.h"

#define FIXTURE_CASES 6

extern const char fixture_dataset[];

/* The same cases with other words: regions, an ignore label, a class that no case has. */
extern const char fixture_regions[], fixture_ignore[], fixture_regions_ignore[];
extern const char fixture_ghost[];

/* %s: transpose_forward and backward, spacing (d, h, w), patch (d, h, w). */
extern const char fixture_plan[];

typedef struct fixture {
    volt_dataset_info info;
    volt_plan *plan;
    char store[64];
    char name[FIXTURE_CASES][16];
    const char *names[FIXTURE_CASES];
    volt_train_data data; /* cases 0..3 train, 4 and 5 validate */
} fixture;

/* Removes a folder the test made; names inside are one level deep. */
void remove_folder(const char *folder);

/* A scan of `shape` with one ball and one cube; labels may be NULL. */
void fixture_voxels(float *image, int8_t *labels, const int64_t shape[3], uint32_t number);

void fixture_store_case(const char *path, uint32_t number, float spike);

/* `dataset` is one of the texts above. */
void fixture_open_as(fixture *f, const char *store, const char *dataset);

void fixture_open(fixture *f, const char *store);

void fixture_close(fixture *f);

/* Runs the tests, each with an open fixture as its state; what main() returns. */
#define fixture_run_tests(tests, store)                                                        \
    fixture_run_group(tests, sizeof(tests) / sizeof *(tests), store)
int fixture_run_group(struct CMUnitTest *tests, size_t count, const char *store);

/* What a call has logged. */
typedef struct fixture_log {
    char text[16384]; /* all lines */
    int warnings;
} fixture_log;

volt_callbacks fixture_listen(fixture_log *log);

/* Some iterations on the reference device, in fp32; they point to *recipe. */
volt_train_options fixture_options(volt_recipe *recipe, int64_t epochs, int64_t iterations);

#endif
