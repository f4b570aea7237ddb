/* warnings.h - warnings about a training that will come to nothing, as early as they can be
 * given. Each is given once per call of volt_train.
 */
#ifndef VOLT_NETS3D_TRAIN_WARNINGS_H
#define VOLT_NETS3D_TRAIN_WARNINGS_H
#include <stdbool.h>
#include <stdint.h>
#include "base/status.h"
VOLT_BEGIN_DECLS

struct volt_session;

typedef struct volt_train_warnings {
    int64_t from; /* iteration since which batches of this epoch were looked at */
    bool all_met; /* every class was in one of them */
    bool told_rate, told_wait, told_disk;
    bool *told_class; /* (outputs) */
} volt_train_warnings;

/* Before the first iteration: learning rate, disk. */
void volt_train_warnings_start(struct volt_session *s);
/* Looks at the labels of a training batch. */
void volt_train_warnings_batch(struct volt_session *s, const int16_t *labels, int64_t voxels);
/* At the end of an epoch, whose last rate was `lr`: classes, learning rate, data, disk. */
void volt_train_warnings_epoch(struct volt_session *s, double lr);

VOLT_END_DECLS
#endif
