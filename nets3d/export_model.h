/* export_model.h - export of runs to the formats of other programs.
 *
 * nnunet       a folder that nnU-Net v2 opens (plans.json, dataset.json, fold_K/
 *              checkpoint_final.pth with every alias key); one for each fold of the run
 * safetensors  one file: parameters under nnU-Net's or MONAI's names; plan and data set as
 *              metadata
 * onnx         one file: opset 17, input (batch, channels, patch) with a free batch, output
 *              logits of the finest level; plan and data set as metadata_props
 * Threads      calls with different `out` may run at the same time.
 */
#ifndef VOLT_NETS3D_EXPORT_MODEL_H
#define VOLT_NETS3D_EXPORT_MODEL_H
#include <stddef.h>
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
    size_t size;            /* set by volt_model_export_defaults() */
    const char *checkpoint; /* "latest" or "best"; NULL = as volt_predictor_open chooses */
} volt_model_export_options;
/* For other languages: fills in the defaults; `size` is the struct's in the caller. */
VOLT_API void volt_model_export_options_init(volt_model_export_options *o, size_t size);
static inline volt_model_export_options volt_model_export_defaults(void)
{
    volt_model_export_options o;

    volt_model_export_options_init(&o, sizeof o);
    return o;
}

typedef struct volt_model_export_result {
    int folds;
    int64_t parameters; /* elements of one network */
    int64_t tensors;    /* written, aliases included, of one network */
} volt_model_export_result;

/* Exports `run` to `out`: a folder (nnunet), else a file; it appears whole or not at all.
 * `options` NULL = defaults; `cb`, `result` may be NULL. VOLT_EIO; VOLT_EFORMAT: damaged run;
 * VOLT_EDATA: `out` is a folder that is not empty, or a run of several folds for a format of
 * one network; VOLT_ENOTSUP: the format cannot hold the network; VOLT_EINVAL: no such format.
 */
VOLT_CALL volt_export_model(const char *run, const char *out, volt_export_format format,
                            const volt_model_export_options *options, const volt_callbacks *cb,
                            volt_model_export_result *result);

VOLT_END_DECLS
#endif
