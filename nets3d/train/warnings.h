/* warnings.h - warns as early as possible about training that cannot succeed. Each warning is
 * given at most once per call of volt_train.
 */
#ifndef VOLT_NETS3D_TRAIN_WARNINGS_H
#define VOLT_NETS3D_TRAIN_WARNINGS_H
#include <stdbool.h>
#include <stdint.h>
#include "base/status.h"
VOLT_BEGIN_DECLS

struct volt_session;

typedef struct volt_train_warnings {
    int64_t from;  /* first iteration of this epoch whose batch was checked */
    bool all_seen; /* every class was in a batch since */
    bool warned_wait, warned_disk;
    bool *warned_class; /* (outputs) */
} volt_train_warnings;

/* Before the first iteration: disk. */
void volt_train_warnings_start(struct volt_session *s);
/* Checks the labels of a training batch. */
void volt_train_warnings_batch(struct volt_session *s, const int16_t *labels, int64_t voxels);
/* At the end of an epoch: classes, in the batches of all ranks; data, disk. */
VOLT_MUST_USE volt_status volt_train_warnings_epoch(struct volt_session *s);

VOLT_END_DECLS
#endif
