/* import_model.h - import of networks that other programs trained, as runs of VOLT.
 *
 * Source   an nnU-Net v2 results folder (plans.json, dataset.json, fold_K/checkpoint_final.pth,
 *          or checkpoint_best/latest where asked); one fold_K folder of it; a single
 *          checkpoint .pth of nnU-Net, whose plans and data set then come from the checkpoint
 *          itself or from the files given; weights of other programs (torch, safetensors) with
 *          plans and data set given, their names translated by a map. A plan may describe
 *          networks of MONAI; their batch norms are folded into convolutions. MONAI bundles of
 *          UNet and DynUNet (configs/metadata.json, configs/inference.json, models/model.pt),
 *          whose configs are read as data. A zip archive of a results folder or of a bundle.
 * Result   one fold: `run` is the run. Several: run/fold_0, run/fold_1, ... are runs, with
 *          copies of plans.json and dataset.json next to them. The folder appears whole.
 * Threads  calls with different `run` folders may run at the same time.
 */
#ifndef VOLT_NETS3D_IMPORT_MODEL_H
#define VOLT_NETS3D_IMPORT_MODEL_H
#include <stddef.h>
#include <stdint.h>
#include "../base/callbacks.h"
#include "../base/status.h"
VOLT_BEGIN_DECLS

typedef struct volt_model_import_options {
    size_t size;               /* set by volt_model_import_defaults() */
    const char *folds;         /* "0,2", "all"; NULL = every fold folder of the source */
    const char *checkpoint;    /* "final", "best", "latest"; NULL = final */
    const char *plans;         /* plans.json; NULL = next to the checkpoint or inside it */
    const char *dataset;       /* dataset.json; NULL = the same */
    const char *configuration; /* of the plan; NULL = the checkpoint's own. Chooses among the
                                * results folders in a zip archive */
    const char *map;           /* JSON file that translates names; NULL = none, or the built-in
                                * map when the names are those of MONAI's DynUNet */
} volt_model_import_options;
/* For other languages: fills in the defaults; `size` is the struct's in the caller. */
VOLT_API void volt_model_import_options_init(volt_model_import_options *o, size_t size);
static inline volt_model_import_options volt_model_import_defaults(void)
{
    volt_model_import_options o;

    volt_model_import_options_init(&o, sizeof o);
    return o;
}

typedef struct volt_model_import_result {
    int folds;
    int64_t parameters;                     /* elements of one network */
    int64_t taken, aliases, filled, unused; /* tensors, of the last fold */
    char configuration[64], trainer[64];
} volt_model_import_result;

/* Imports `source` into the folder `run`, which must be absent or empty. Logs what was found
 * and every tensor left over. `options` NULL = defaults; `cb`, `result` may be NULL. VOLT_EIO;
 * VOLT_EFORMAT: damaged, or names or shapes do not fit; VOLT_ENOTSUP: an architecture, type or
 * opcode, by name; VOLT_EDATA: `run` exists, or `source` is a folder without a model;
 * VOLT_EINVAL: no such fold or configuration. */
VOLT_CALL volt_import_model(const char *source, const char *run,
                            const volt_model_import_options *options, const volt_callbacks *cb,
                            volt_model_import_result *result);

VOLT_END_DECLS
#endif
