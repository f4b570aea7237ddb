/* run_log.h - log.jsonl of a run: one JSON object per line and epoch, and summary.json.
 *
 * Values that are not finite are written as null. A line reaches the disk whole before the
 * call returns; a resumed run cuts off lines of epochs it is about to repeat.
 */
#ifndef VOLT_NETS3D_RUN_LOG_H
#define VOLT_NETS3D_RUN_LOG_H
#include <stdint.h>
#include "../base/status.h"
VOLT_BEGIN_DECLS

#define VOLT_MAX_CLASSES 256 /* labels or regions of a network */

/* One epoch. Plain value; the arrays are borrowed. */
typedef struct volt_epoch_log {
    int64_t epoch;      /* 0 = the first */
    int64_t iterations; /* training iterations done since the start of the run */
    double train_loss, validation_loss;
    double lr; /* of the last iteration */
    double mean_dice, ema_dice;
    int classes;                   /* of which there is a Dice */
    const double *dice;            /* (classes) */
    const char *const *class_name; /* (classes) */
    double accuracy;      /* share of validation voxels with the right label; with regions of
                           * voxels and regions that agree */
    double gradient_norm; /* mean over the iterations, before clipping */
    double seconds, validation_seconds;
    double data_wait_s; /* network waiting for batches */
    int64_t peak_bytes; /* of this process so far */
    double iterations_per_second;
    double elapsed_s; /* of the whole run */
    int64_t time;     /* when the epoch ended, s since 1970 */
} volt_epoch_log;

VOLT_CALL volt_runlog_append(const char *path, const volt_epoch_log *line);
/* Keeps the lines of epochs < `epoch` (an unreadable last line is dropped too); a missing file
 * is fine. */
VOLT_CALL volt_runlog_rewind(const char *path, int64_t epoch);

VOLT_END_DECLS
#endif
