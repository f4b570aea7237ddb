/* predictor.h - a trained run applied to scans: sliding windows, mirroring, logits resampled
 * slab by slab straight into the arg-max on the scan's own grid.
 *
 * As nnU-Net v2 (tiles half a patch apart, Gaussian weights, average of the logits over all
 * allowed mirrorings, linear resampling of logits), but with fp32 sums.
 *
 * Threads  a predictor is used by one thread at a time.
 */
#ifndef VOLT_NETS3D_PREDICTOR_H
#define VOLT_NETS3D_PREDICTOR_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/callbacks.h"
#include "io/dataset.h"
#include "nets3d/precision.h"
#include "volume/volume.h"
VOLT_BEGIN_DECLS

typedef struct volt_predictor volt_predictor;

typedef struct volt_predict_options {
    const char *checkpoint;   /* "latest" or "best"; NULL = latest of a finished run, else best,
                               * else latest */
    const char *device;       /* "cpu" */
    volt_precision precision; /* VOLT_PRECISION_AUTO allowed */
    bool mirror;              /* average over the axes mirrored in training */
    double step;              /* distance of tiles as a share of the patch: 0.5 */
    int threads;              /* 0 = default */
    const char *cache;        /* folder for measured speeds; NULL = the user's */
} volt_predict_options;

/* Device "cpu", precision auto, mirroring on, step 0.5. */
VOLT_API volt_predict_options volt_predict_defaults(void);

/* Opens folder `run`, or one checkpoint file. The caller owns *out (volt_predictor_free).
 * VOLT_EIO (no checkpoint), VOLT_EFORMAT (damaged), VOLT_ENOTSUP, VOLT_ENOMEM. */
VOLT_CALL volt_predictor_open(volt_predictor **out, const char *run,
                              const volt_predict_options *options, const volt_callbacks *cb);
VOLT_API void volt_predictor_free(volt_predictor *p); /* NULL is allowed */

/* Channels and labels of the training set; borrowed. */
VOLT_API const volt_dataset_info *volt_predictor_info(const volt_predictor *p);

/* Most bytes (mem.h) held while volt_predictor_run works on an image of this grid: network,
 * prepared image, sums and masks, without the caller's image. Exact for images without empty
 * borders, which are cropped. VOLT_EINVAL: another number of channels; sizes that overflow. */
VOLT_CALL volt_predictor_memory(const volt_predictor *p, const volt_grid *grid, size_t *out);

/* Segments voxels in memory: `image` (any dtype, channels in the network's order) is converted
 * and preprocessed here. *labels (the caller owns it) has the image's grid with one channel and
 * the smallest of uint8, uint16 that holds all labels. Progress: "tiles".
 * VOLT_EINVAL: wrong number of channels; VOLT_EDATA: NaN voxels; VOLT_ENOMEM, VOLT_ECANCELLED.
 */
VOLT_CALL volt_predictor_run(volt_predictor *p, const volt_volume *image, volt_volume **labels,
                             const volt_callbacks *cb);

typedef struct volt_predict_result {
    int64_t cases;      /* written */
    double seconds;     /* in all */
    double network_s;   /* of it: forward passes */
    double read_wait_s; /* of it: the network waiting for a scan to be read and preprocessed */
    size_t announced_bytes, peak_bytes; /* network included */
} volt_predict_result;

/* Segments `cases` (volt_inputs_list) into OUT/ID.nii.gz (`out` is created), reading and
 * preparing the next case and writing the previous one while the network computes. The most
 * memory it will need is logged before it starts. The first failure ends the call (the sentence
 * names case and file); masks written before it stay, each whole. `result` may be NULL.
 * Resets volt_mem_peak(). Progress: "cases" and "tiles". */
VOLT_CALL volt_predict(volt_predictor *p, const volt_case_list *cases, const char *out,
                       const volt_callbacks *cb, volt_predict_result *result);

VOLT_END_DECLS
#endif
