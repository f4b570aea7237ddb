/* layout_kit.h - small BraTS and LiTS folders for tests, in the working folder. */
#ifndef VOLT_TESTS_LAYOUT_KIT_H
#define VOLT_TESTS_LAYOUT_KIT_H
#include "io/dataset.h"
#include "tests/kit/dataset_kit.h"

/* Removes `top` and makes the folders. */
void make_folders(const char *top, const char *const *inside);

bool noted(const volt_dataset *ds, const char *words);

bool found(const volt_findings *f, volt_severity severity, const char *words);

/* A label file with these values in turn. */
void write_labels(const char *path, const float *values, int count);

/* A case's folder; `seg` NULL: no labels. */
void brats_case(const char *folder, const char *id, const char *const names[4], const char *seg,
                const float values[4]);

#define TOP   "brats"
#define TRAIN TOP "/MICCAI_BraTS2020_TrainingData"

void make_brats(void);

#define LITS "lits"

void make_lits(void);

#endif
