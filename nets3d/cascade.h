/* cascade.h - validates the second network of a cascade.
 *
 * As in nnU-Net's 3d_cascade_fullres, the labels that 3d_lowres predicts, brought to the full
 * resolution, are one-hot channels after the image's. A case that trains the second network
 * must be segmented by a first network that was not trained on it: each fold's network segments
 * the cases that it was validated on. volt_pipeline_run does that for training.
 *
 * Threads   calls for different predictors and work folders may run at the same time.
 */
#ifndef VOLT_NETS3D_CASCADE_H
#define VOLT_NETS3D_CASCADE_H
#include <stdbool.h>
#include <stddef.h>
#include "../base/callbacks.h"
#include "../base/status.h"
#include "../io/dataset.h"
#include "../parallel/comm.h"
#include "precision.h"
#include "predictor.h"
VOLT_BEGIN_DECLS

typedef struct volt_cascade_options {
    size_t size;              /* set by volt_cascade_defaults() */
    volt_precision precision; /* of the previous stage; VOLT_PRECISION_AUTO allowed */
    int threads;              /* 0 = default */
    bool overwrite;           /* predict up-to-date masks again */
    const volt_callbacks *callbacks;
    volt_comm *comm; /* ranks that share the cases: this one takes each whose turn is its own,
                      * and leaves out those that its host lacks memory for. No messages are
                      * sent. NULL = one */
} volt_cascade_options;

VOLT_API void volt_cascade_options_init(volt_cascade_options *o, size_t size);
static inline volt_cascade_options volt_cascade_defaults(void)
{
    volt_cascade_options o;

    volt_cascade_options_init(&o, sizeof o);
    return o;
}

/* Call this before `p` predicts cases of `ds` that its networks were validated on. If the
 * previous stage is a run, it is replaced with masks of all cases: of a run with folds, fold
 * K's network segments its validation cases in the file `splits` (nnU-Net's splits_final.json).
 * The masks are stored in the work folder `work`; those that exist from training are reused.
 * Other predictors stay as they are. `options` NULL = defaults. Progress: "cases". VOLT_EIO;
 * VOLT_EDATA: networks of another configuration than the previous stage, or with other channels
 * or labels; volt_predictor_open's errors; VOLT_ECANCELLED. */
VOLT_CALL volt_cascade_for_validation(volt_predictor *p, const char *work, const char *splits,
                                      const volt_dataset *ds,
                                      const volt_cascade_options *options);

VOLT_END_DECLS
#endif
