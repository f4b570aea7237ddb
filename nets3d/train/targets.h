/* targets.h - the classes that a network's outputs stand for: labels, or regions of labels. */
#ifndef VOLT_NETS3D_TRAIN_TARGETS_H
#define VOLT_NETS3D_TRAIN_TARGETS_H
#include <stdbool.h>
#include <stdint.h>
#include "base/status.h"
#include "io/dataset.h"
VOLT_BEGIN_DECLS

/* Zero-initialized is empty. Names are borrowed from the data set's description. */
typedef struct volt_train_targets {
    int labels;        /* voxel values: 0 .. labels - 1, or */
    int ignore;        /* this one; or VOLT_NO_IGNORE_LABEL */
    int outputs;       /* of the network: regions, or labels with the background first */
    int first;         /* first output with a Dice: 0 for regions, 1 for labels */
    uint8_t *regions;  /* (labels, outputs): 1 where the label belongs to the region; NULL
                        * without regions */
    const char **name; /* (outputs) */
    bool *seen;        /* (labels): noted by volt_train_targets_note */
} volt_train_targets;

VOLT_MUST_USE volt_status volt_train_targets_open(volt_train_targets *out,
                                                  const volt_dataset_info *info);
void volt_train_targets_close(volt_train_targets *t);
/* Notes which labels occur among `count` voxels. */
void volt_train_targets_note(volt_train_targets *t, const int16_t *labels, int64_t count);
/* Forgets the labels noted. */
void volt_train_targets_forget(volt_train_targets *t);
/* Whether a label of output k was noted since. */
bool volt_train_targets_seen(const volt_train_targets *t, int k);
/* Whether that holds for all outputs with a Dice. */
bool volt_train_targets_all_seen(const volt_train_targets *t);

VOLT_END_DECLS
#endif
