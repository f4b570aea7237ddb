/* export_model.h - runs of VOLT for the programs of others.
 *
 * nnunet       a folder that nnU-Net v2 opens (plans.json, dataset.json, fold_K/
 *              checkpoint_final.pth with every alias key); a run of several folds gives as many
 * safetensors  one file: parameters under nnU-Net's names; plan and data set as metadata
 * onnx         one file: opset 17, input (batch, channels, patch) with a free batch, output
 *              logits of the finest level; plan and data set as metadata_props
 */
#ifndef VOLT_NETS3D_EXPORT_MODEL_H
#define VOLT_NETS3D_EXPORT_MODEL_H
#include <stdint.h>
#include "../base/callbacks.h"
#include "../base/status.h"
VOLT_BEGIN_DECLS

typedef enum volt_export_format {
    VOLT_EXPORT_NNUNET = 1,
    VOLT_EXPORT_SAFETENSORS,
    VOLT_EXPORT_ONNX
} volt_export_format;

typedef struct volt_model_export_options {
    volt_export_format format;
    const char *checkpoint; /* "latest" or "best"; NULL = as volt_predictor_open chooses */
} volt_model_export_options;

typedef struct volt_model_export_result {
    int folds;
    int64_t parameters; /* elements of one network */
    int64_t tensors;    /* written, aliases included, of one network */
} volt_model_export_result;

/* Exports `run` to `out`: a folder (nnunet), else a file; it appears whole or not at all.
 * `result` may be NULL. VOLT_EIO, VOLT_EFORMAT (damaged run), VOLT_EDATA (`out` is a folder
 * that is not empty; a run of several folds for a format of one network), VOLT_ENOTSUP (a
 * network the format cannot hold). */
VOLT_CALL volt_export_model(const char *run, const char *out,
                            const volt_model_export_options *options, const volt_callbacks *cb,
                            volt_model_export_result *result);

VOLT_END_DECLS
#endif
