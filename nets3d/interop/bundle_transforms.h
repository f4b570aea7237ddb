/* bundle_transforms.h - a bundle's transforms as the preprocessing of a plan. */
#ifndef VOLT_NETS3D_INTEROP_BUNDLE_TRANSFORMS_H
#define VOLT_NETS3D_INTEROP_BUNDLE_TRANSFORMS_H
#include "io/json/json.h"
#include "nets3d/fingerprint.h"
#include "base/callbacks.h"
#include "volume/normalize.h"
#include "volume/resample.h"
VOLT_BEGIN_DECLS

#define VOLT_BUNDLE_MAX_CHANNELS 64

/* Plain value. */
typedef struct volt_bundle_pipeline {
    int axes, channels; /* of the network: set before reading */
    bool resampled;
    double spacing[3]; /* x, y, z; with 2 axes x, y */
    volt_interpolation order;
    char orientation[4]; /* "" = as stored */
    bool normalized;
    volt_normalization scheme;
    bool masked;
    volt_intensity intensity[VOLT_BUNDLE_MAX_CHANNELS]; /* with VOLT_NORMALIZE_CT */
    bool sigmoid;
} volt_bundle_pipeline;

/* Reads the transforms of `preprocessing` (a Compose or a list). VOLT_ENOTSUP names the one
 * that has no counterpart. */
VOLT_MUST_USE volt_status volt_bundle_read_preprocessing(volt_bundle_pipeline *p,
                                                         const volt_json *config,
                                                         const volt_json_at *at,
                                                         const volt_callbacks *cb);
/* Reads the transforms of `postprocessing`: softmax or sigmoid. */
VOLT_MUST_USE volt_status volt_bundle_read_postprocessing(volt_bundle_pipeline *p,
                                                          const volt_json *config,
                                                          const volt_json_at *at,
                                                          const volt_callbacks *cb);

VOLT_END_DECLS
#endif
