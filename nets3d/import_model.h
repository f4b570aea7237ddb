/* import_model.h - trained networks of others as runs that volt_predictor_open takes.
 *
 * Source   an nnU-Net v2 results folder (plans.json, dataset.json, fold_K/checkpoint_final.pth,
 *          or checkpoint_best/latest where asked); one fold_K folder of it; a single
 *          checkpoint .pth of nnU-Net, whose plans and data set then come from the checkpoint
 *          itself or from files given; weights of other programs (torch, safetensors) with
 *          plans and data set given, their names translated by a map. A plan may describe
 *          networks of MONAI (plan_monai.h); their batch norms are folded into convolutions.
 * Result   one fold: `run` is the run. Several: run/fold_0, run/fold_1, ... are runs, with
 *          copies of plans.json and dataset.json beside them. The folder appears whole.
 */
#ifndef VOLT_NETS3D_IMPORT_MODEL_H
#define VOLT_NETS3D_IMPORT_MODEL_H
#include <stdint.h>
#include "../base/callbacks.h"
#include "../base/status.h"
VOLT_BEGIN_DECLS

typedef struct volt_model_import_options {
    const char *folds;         /* "0,2", "all"; NULL = every fold folder there is */
    const char *checkpoint;    /* "final", "best", "latest"; NULL = final */
    const char *plans;         /* plans.json; NULL = beside or in the checkpoint */
    const char *dataset;       /* dataset.json; the same */
    const char *configuration; /* of the plan; NULL = the checkpoint's own */
    const char *map;           /* names, see weights.h; NULL = none, or a built-in one when the
                                * names are those of MONAI's DynUNet */
} volt_model_import_options;

typedef struct volt_model_import_result {
    int folds;
    int64_t parameters;                     /* elements of one network */
    int64_t taken, aliases, filled, unused; /* tensors, of the last fold */
    char configuration[64], trainer[64];
} volt_model_import_result;

/* Imports `source` into folder `run`, which must not exist or be empty. Logs what was found and
 * every tensor left over. `result` may be NULL. VOLT_EIO, VOLT_EFORMAT (damaged, or names or
 * shapes that do not fit), VOLT_ENOTSUP (an architecture, type or opcode by name), VOLT_EDATA
 * (`run` exists), VOLT_EINVAL (no such fold or configuration). */
VOLT_CALL volt_import_model(const char *source, const char *run,
                            const volt_model_import_options *options, const volt_callbacks *cb,
                            volt_model_import_result *result);

VOLT_END_DECLS
#endif
