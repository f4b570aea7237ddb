/* best.h - finds the best model or ensemble of two over a cross-validation, as nnU-Net v2's
 * find_best_configuration.
 *
 * A model is a folder RUN with dataset.json (in RUN or next to the masks) and, for every fold,
 * RUN/fold_K/validation: the masks (and for ensembles the CASE.npz) of the cases that the fold
 * was not trained on; `volt train --validate` and `volt predict --validation` create them. Each
 * model's masks of all folds together are scored against the ground truth; then every pair's
 * probabilities are averaged and scored. The highest mean foreground Dice wins; of equal ones
 * the first, models before ensembles. Then post-processing is searched for the winner.
 *
 * Threads   calls may run in several threads at once if their output folders differ.
 */
#ifndef VOLT_NETS3D_BEST_H
#define VOLT_NETS3D_BEST_H
#include <stdbool.h>
#include <stddef.h>
#include "../base/callbacks.h"
#include "../base/status.h"
#include "postprocess.h"
VOLT_BEGIN_DECLS

#define VOLT_NO_MODEL (-1)

typedef struct volt_best_candidate {
    char *name;   /* of the run's folder, or "A+B"; owned */
    char *folder; /* of its masks and summary.json; owned */
    int model[2]; /* indices of the runs; the second is VOLT_NO_MODEL for a single model */
    double dice;  /* mean over the foreground classes */
} volt_best_candidate;

typedef struct volt_best_result {
    volt_best_candidate *candidate; /* models in the order given, then pairs */
    int candidates, best;
    volt_postprocess_result post; /* of the best */
} volt_best_result;
VOLT_API void volt_best_result_clear(volt_best_result *r);

typedef struct volt_best_options {
    size_t size;        /* set by volt_best_defaults() */
    const char *truth;  /* folder of ground-truth masks, named like the cases */
    const char *output; /* folder (created): one folder per candidate, best.json */
    const char *folds;  /* "0,1,2"; NULL = every RUN/fold_K/validation that exists */
    bool ensembles;     /* also pairs */
    int threads;        /* 0 = default */
    const volt_callbacks *callbacks;
} volt_best_options;

/* Without ensembles. `truth` and `output` must be set. */
VOLT_API void volt_best_options_init(volt_best_options *o, size_t size);
static inline volt_best_options volt_best_defaults(void)
{
    volt_best_options o;

    volt_best_options_init(&o, sizeof o);
    return o;
}

/* Compares `count` >= 1 runs. The caller owns what *out holds (volt_best_result_clear).
 * VOLT_EDATA: a run without validation predictions, a case in two folds, runs with the same
 * name or different labels; errors of scoring and averaging. */
VOLT_CALL volt_best_find(volt_best_result *out, const char *const *runs, int count,
                         const volt_best_options *options);

VOLT_END_DECLS
#endif
