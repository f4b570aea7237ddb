/* targets.h - what the outputs of a network stand for: labels, or regions made of labels.
 */
#ifndef VOLT_NETS3D_TRAIN_TARGETS_H
#define VOLT_NETS3D_TRAIN_TARGETS_H
#include <stdbool.h>
#include <stdint.h>
#include "base/status.h"
#include "io/dataset.h"
VOLT_BEGIN_DECLS

/* Zero-initialised is empty. Names are borrowed from the data set's description. */
typedef struct volt_train_targets {
    int labels;        /* values of voxels: 0..labels-1, or */
    int ignore;        /* this one; -1 = none */
    int outputs;       /* of the network: regions, or labels with the background first */
    int first;         /* first output that a Dice is taken of: 0 of regions, 1 of labels */
    uint8_t *regions;  /* (labels, outputs): 1 where the label belongs to the region; NULL
                        * without regions */
    const char **name; /* (outputs) */
    bool *seen;        /* (labels): met by volt_train_targets_look */
} volt_train_targets;

VOLT_MUST_USE volt_status volt_train_targets_open(volt_train_targets *out,
                                                  const volt_dataset_info *info);
void volt_train_targets_close(volt_train_targets *t);
/* Notes which labels are among `count` voxels. */
void volt_train_targets_look(volt_train_targets *t, const int16_t *labels, int64_t count);
/* Forgets them. */
void volt_train_targets_forget(volt_train_targets *t);
/* Whether a label of output k was met since. */
bool volt_train_targets_seen(const volt_train_targets *t, int k);
/* Whether all outputs that count were. */
bool volt_train_targets_all_seen(const volt_train_targets *t);

VOLT_END_DECLS
#endif
