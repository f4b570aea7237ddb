/* best.h - which model or ensemble of two is best over the cross-validation, as nnU-Net v2's
 * find_best_configuration.
 *
 * A model is a folder RUN with dataset.json (in it or beside the masks) and, for every fold,
 * RUN/fold_K/validation: the masks (and for ensembles the CASE.npz) of the cases that fold did
 * not train on; `volt train
 * --validate` and `volt predict --validation` make them. Each model's masks of all folds
 * together are scored against the truth; then every pair's probabilities are averaged and
 * scored. The highest mean foreground Dice wins, of equal ones the first (models come before
 * ensembles). For the winner post-processing is sought.
 */
#ifndef VOLT_NETS3D_BEST_H
#define VOLT_NETS3D_BEST_H
#include <stdbool.h>
#include "../base/callbacks.h"
#include "../base/status.h"
#include "postprocess.h"
VOLT_BEGIN_DECLS

typedef struct volt_best_candidate {
    char *name;   /* the run folder's, or "A+B"; owned */
    char *folder; /* of its masks and summary.json; owned */
    int model[2]; /* indices of the runs; -1: none */
    double dice;  /* mean over the foreground classes */
} volt_best_candidate;

typedef struct volt_best_result {
    volt_best_candidate *candidate; /* models in the order given, then pairs */
    int candidates, best;
    volt_postprocess_result post; /* of the best */
} volt_best_result;
VOLT_API void volt_best_result_clear(volt_best_result *r);

typedef struct volt_best_options {
    const char *truth;  /* folder of masks named as the cases */
    const char *output; /* folder (created): one folder per candidate, best.json */
    const char *folds;  /* "0,1,2"; NULL = every RUN/fold_K/validation that is there */
    bool ensembles;     /* also pairs */
    int threads;
    const volt_callbacks *callbacks;
} volt_best_options;

/* The caller owns what *out holds. VOLT_EDATA: a run without validation predictions, a case in
 * two folds, runs whose names or labels clash; failures of scoring and averaging. */
VOLT_CALL volt_best_find(volt_best_result *out, const char *const *runs, int count,
                         const volt_best_options *options);

VOLT_END_DECLS
#endif
