/* log.h - log.jsonl of a run: one JSON object per line, one line per epoch.
 *
 * Values that are not finite are written as null. A line is on disk, complete, when the call
 * returns. A resumed run cuts off the lines of epochs that it is about to repeat.
 */
#ifndef VOLT_NETS3D_RUN_LOG_H
#define VOLT_NETS3D_RUN_LOG_H
#include <stdint.h>
#include "base/status.h"
VOLT_BEGIN_DECLS

/* One epoch. Plain value; the arrays are borrowed. */
typedef struct volt_epoch_log {
    int64_t epoch;      /* 0 = the first */
    int64_t iterations; /* training iterations done since the start of the run */
    double train_loss, validation_loss;
    double lr; /* of the last iteration */
    double mean_dice, ema_dice;
    int classes;                   /* that have a Dice */
    const double *dice;            /* (classes) */
    const char *const *class_name; /* (classes) */
    double accuracy;      /* fraction of validation voxels with the right label; with regions,
                           * of (voxel, region) pairs that agree */
    double gradient_norm; /* mean over the iterations, before clipping */
    double seconds, validation_seconds;
    double data_wait_s;     /* the network waiting for batches */
    int ranks;              /* if more than 1, the line holds them and */
    double communication_s; /* what rank 0 waited for messages */
    int64_t peak_bytes;     /* of this process so far */
    double iterations_per_second;
    double elapsed_s; /* of the whole run */
    int64_t time;     /* when the epoch ended, s since 1970 */
} volt_epoch_log;

VOLT_MUST_USE volt_status volt_run_log_append(const char *path, const volt_epoch_log *line);
/* Keeps the lines of epochs < `epoch` and drops the rest, an unreadable last line included. The
 * file may be missing. */
VOLT_MUST_USE volt_status volt_run_log_rewind(const char *path, int64_t epoch);

VOLT_END_DECLS
#endif
