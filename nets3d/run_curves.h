/* run_curves.h - reads the curves in log.jsonl of runs.
 *
 * A log may be hostile. Missing keys and null become NaN and unknown keys are skipped, so logs
 * of older and later versions can be read. An incomplete last line is ignored.
 *
 * Threads   all functions may be called from any thread; threads may share curves that none of
 *           them frees.
 */
#ifndef VOLT_NETS3D_RUN_CURVES_H
#define VOLT_NETS3D_RUN_CURVES_H
#include <stdbool.h>
#include <stdint.h>
#include "../base/status.h"
VOLT_BEGIN_DECLS

typedef enum volt_curve {
    VOLT_CURVE_EPOCH, /* counted from 1 */
    VOLT_CURVE_ITERATIONS,
    VOLT_CURVE_HOURS, /* since the start of the run */
    VOLT_CURVE_TRAIN_LOSS,
    VOLT_CURVE_VALIDATION_LOSS,
    VOLT_CURVE_MEAN_DICE,
    VOLT_CURVE_EMA_DICE,
    VOLT_CURVE_ACCURACY,
    VOLT_CURVE_LR,
    VOLT_CURVE_SECONDS,
    VOLT_CURVE_VALIDATION_SECONDS,
    VOLT_CURVE_DATA_WAIT_SECONDS,
    VOLT_CURVE_COUNT
} volt_curve;

typedef struct volt_run_curves {
    char *name; /* of the run, given by the caller */
    int64_t epochs;
    double *value[VOLT_CURVE_COUNT]; /* (epochs) each */
    int classes;                     /* that have a Dice */
    char **class_name;
    double **dice; /* per class: (epochs) */
} volt_run_curves;

/* Reads the log of `run`, a run's folder or the file itself. The caller owns *out
 * (volt_run_curves_free). VOLT_EIO; VOLT_EFORMAT names file, line and value, or the log has no
 * lines; VOLT_ENOMEM. */
VOLT_CALL volt_run_curves_read(volt_run_curves **out, const char *run, const char *name);
VOLT_API void volt_run_curves_free(volt_run_curves *c); /* NULL is allowed */
/* The greatest (or least) finite value of a curve and its epoch, counted from 1; NaN and 0 if
 * there is none. */
VOLT_API double volt_run_curves_best(int64_t *epoch, const volt_run_curves *c, volt_curve curve,
                                     bool least);

VOLT_END_DECLS
#endif
