/* validation.h - predicts and scores the validation cases of a run, as nnU-Net's
 * perform_actual_validation.
 *
 * RUN/validation contains the masks, dataset.json and plans.json (predictor.h), the
 * probabilities CASE.npz and CASE.json if asked for, summary.json (written last) and
 * network.key, which identifies the network and options: masks of the same ones are kept, so
 * the next call completes an interrupted one; all others are removed first.
 *
 * Threads   calls may run in several threads at once, each for a run of its own.
 */
#ifndef VOLT_NETS3D_VALIDATION_H
#define VOLT_NETS3D_VALIDATION_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "../base/callbacks.h"
#include "../base/status.h"
#include "../io/dataset.h"
#include "../parallel/comm.h"
#include "precision.h"
#include "splits.h"
VOLT_BEGIN_DECLS

#define VOLT_VALIDATION_FOLDER "validation"

typedef struct volt_validation_options {
    size_t size;              /* set by volt_validation_defaults() */
    volt_precision precision; /* of the network; VOLT_PRECISION_AUTO allowed */
    const char *prior_masks;  /* cascade: folder of the previous stage's masks; else NULL */
    bool probabilities;       /* also CASE.npz and CASE.json, which volt_best_find averages */
    int threads;              /* 0 = default */
    volt_comm *comm; /* ranks that share the cases; borrowed; NULL = one. All call with the same
                      * run, cases and options; rank 0 reports, scores and gets the result. A
                      * failure of one ends the others' calls */
} volt_validation_options;

VOLT_API void volt_validation_options_init(volt_validation_options *o, size_t size);
static inline volt_validation_options volt_validation_defaults(void)
{
    volt_validation_options o;

    volt_validation_options_init(&o, sizeof o);
    return o;
}

typedef struct volt_validation_result {
    int64_t cases;
    double mean_dice; /* over cases, then classes, as summary.json's foreground_mean; NaN if no
                       * class is in any mask */
    double seconds;
    size_t announced_bytes, peak_bytes; /* of prediction; 0 if there was nothing to predict */
} volt_validation_result;

/* Predicts the cases `split->val` of `ds` with the network of single run `run` (run.h) into
 * RUN/validation, with nnU-Net's tiles and mirroring, and scores them against the labels of
 * `ds`: the summary.json of `volt evaluate`. Does nothing without such cases. `options` NULL =
 * defaults. Progress and errors as volt_predict; VOLT_EDATA: a case without labels. */
VOLT_CALL volt_validate(volt_validation_result *out, const char *run, const volt_dataset *ds,
                        const volt_split *split, const volt_validation_options *options,
                        const volt_callbacks *cb);
/* The split of fold `fold` of `ds` by the file `path`, as volt_split_for_fold, but nothing is
 * written. VOLT_EDATA if `run` was trained on another split, as its training cases may then be
 * among the validation cases. *known (NULL: not wanted) is false if the run cannot tell, as an
 * imported network. The caller owns what *out holds (volt_split_clear). VOLT_EIO, VOLT_EFORMAT,
 * VOLT_ENOMEM. */
VOLT_CALL volt_validation_split(volt_split *out, bool *known, const char *run,
                                const volt_dataset *ds, const char *path, int fold,
                                const volt_callbacks *callbacks);
/* Removes network.key from RUN/validation; call it before you replace the masks there.
 * VOLT_EIO. */
VOLT_CALL volt_validation_forget(const char *run);

VOLT_END_DECLS
#endif
