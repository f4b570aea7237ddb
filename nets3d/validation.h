/* validation.h - the cases that a run did not learn from, predicted and scored at its end, as
 * nnU-Net's perform_actual_validation.
 *
 * RUN/validation holds the masks, dataset.json and plans.json (predictor.h), with the
 * probabilities CASE.npz and CASE.json if asked for, summary.json (written last) and
 * network.key, which tells what made them: masks of the same network and options are kept, so
 * an interrupted call is finished by the next; all others are removed first.
 */
#ifndef VOLT_NETS3D_VALIDATION_H
#define VOLT_NETS3D_VALIDATION_H
#include "../io/dataset.h"
#include "predictor.h"
#include "splits.h"
VOLT_BEGIN_DECLS

#define VOLT_VALIDATION_FOLDER "validation"

typedef struct volt_validation_options {
    volt_precision precision; /* of the network; VOLT_PRECISION_AUTO allowed */
    const char *prior_masks;  /* cascade: folder of the previous stage's masks; else NULL */
    bool probabilities;       /* also CASE.npz and CASE.json: volt_best_find averages these */
    int threads;              /* 0 = default */
} volt_validation_options;

typedef struct volt_validation_result {
    int64_t cases;
    double mean_dice; /* over cases, then classes, as summary.json's foreground_mean; NaN where
                       * no class is in any mask */
    double seconds;
    size_t announced_bytes, peak_bytes; /* of prediction; 0 when there was none to do */
} volt_validation_result;

/* Predicts the cases `split->val` of `ds` with the network of single run `run` (run_folder.h)
 * into RUN/validation, tiles and mirroring as nnU-Net's, and scores them against the labels of
 * `ds`: the very summary.json of `volt evaluate`. Without such cases nothing is done. Progress
 * and errors as volt_predict; VOLT_EDATA: a case without labels. */
VOLT_CALL volt_validate(volt_validation_result *out, const char *run, const volt_dataset *ds,
                        const volt_split *split, const volt_validation_options *options,
                        const volt_callbacks *cb);
/* Forgets what made the masks in RUN/validation, which somebody is about to replace. VOLT_EIO.
 */
VOLT_CALL volt_validation_forget(const char *run);

VOLT_END_DECLS
#endif
