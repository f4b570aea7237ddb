/* predictor.h - trained runs applied to scans: sliding windows, mirroring, ensembles; scores
 * resampled slab by slab straight into the labels on the scan's own grid.
 *
 * As nnU-Net v2 (tiles half a patch apart, Gaussian weights, average of the logits over all
 * allowed mirrorings and over the folds of a run, linear resampling of logits), but with fp32
 * sums (half precision where they would take more than a GiB); or with MONAI's tiles and
 * weights. Only the slices that tiles still change are held.
 *
 * Ensembles  runs of the same plan and configuration share one network's memory: their logits
 *            are averaged. Runs of different plans or configurations (2d and 3d_fullres, ...)
 *            are averaged as probabilities on the scan's own grid, as nnU-Net's ensembles.
 * Cascades   networks that refine the masks of a previous stage (3d_cascade_fullres) take them
 *            as nnU-Net's -prev_stage_predictions: finished on the scan's own grid, then
 * cropped and resampled as labels are. With the run of the previous stage (options.previous) a
 * predictor makes them itself; the two stages share memory in turn. Regions    networks of
 * region data sets give overlapping regions: each above 1/2 paints its label, later ones over
 * earlier ones. Threads    a predictor is used by one thread at a time.
 */
#ifndef VOLT_NETS3D_PREDICTOR_H
#define VOLT_NETS3D_PREDICTOR_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "../base/callbacks.h"
#include "../io/dataset.h"
#include "precision.h"
#include "../volume/box.h"
#include "../volume/tiles.h"
#include "../volume/volume.h"
VOLT_BEGIN_DECLS

typedef struct volt_predictor volt_predictor;

typedef struct volt_predict_options {
    const char *checkpoint;   /* "latest" or "best"; NULL = latest of a finished run, else best,
                               * else latest */
    const char *folds;        /* of folders with several: "0,2,4"; NULL = all that are there */
    const char *previous;     /* cascades: a run of the previous stage, or a folder of its
                               * masks (ID.nii.gz or prepared ones, cascade.h); NULL = the run
                               * that training was given, where it is still there */
    const char *device;       /* "cpu" */
    volt_precision precision; /* VOLT_PRECISION_AUTO allowed */
    bool mirror;              /* average over the axes mirrored in training */
    volt_tile_rule tiles;     /* nnU-Net's or MONAI's positions and Gaussian */
    bool constant;            /* all voxels of a tile weigh the same: no Gaussian */
    double step;              /* distance of tiles as a share of the patch: 0.5 */
    bool whole;               /* no tiles: the whole prepared scan in one pass */
    int batch;                /* tiles per forward pass; 0 = chosen by the patch's size */
    int threads;              /* 0 = default */
    const char *cache;        /* folder for measured speeds; NULL = the user's */
} volt_predict_options;

/* Device "cpu", precision auto, mirroring on, nnU-Net's tiles, step 0.5. */
VOLT_API volt_predict_options volt_predict_defaults(void);

/* Whether `path` can be predicted with: a checkpoint file, a folder with a checkpoint, or one
 * with folders fold_* of that kind. */
VOLT_API bool volt_is_run(const char *path);

/* Opens the networks of `count` >= 1 runs (see volt_is_run; a folder of folds counts as all of
 * them). `options` NULL = volt_predict_defaults(). The caller owns *out
 * (volt_predictor_free). VOLT_EIO (no checkpoint), VOLT_EFORMAT
 * (damaged), VOLT_EDATA: runs of data sets with different channels or labels;
 * VOLT_ENOTSUP: too many of them; VOLT_ENOMEM. */
VOLT_CALL volt_predictor_open(volt_predictor **out, const char *const *runs, int count,
                              const volt_predict_options *options, const volt_callbacks *cb);
VOLT_API void volt_predictor_free(volt_predictor *p); /* NULL is allowed */

/* Channels and labels of the training set; borrowed. */
VOLT_API const volt_dataset_info *volt_predictor_info(const volt_predictor *p);
/* Networks in it. */
VOLT_API int volt_predictor_networks(const volt_predictor *p);

/* Most bytes (mem.h) held while volt_predictor_run works on an image of this grid: network,
 * prepared image, sums and masks, without the caller's image. Exact for images without empty
 * borders, which are cropped. VOLT_EINVAL: another number of channels; sizes that overflow. */
VOLT_CALL volt_predictor_memory(volt_predictor *p, const volt_grid *grid, size_t *out);

/* Segments voxels in memory: `image` (any dtype, channels in the network's order) is converted
 * and preprocessed here. *labels (the caller owns it) has the image's grid with one channel and
 * uint8, or uint16 where the network knows a label above 254. A cascade runs both stages.
 * Progress: "tiles". VOLT_EINVAL: wrong number of channels, or a cascade without a run of its
 * previous stage; VOLT_EDATA: NaN voxels; VOLT_ENOMEM, VOLT_ECANCELLED. */
VOLT_CALL volt_predictor_run(volt_predictor *p, const volt_volume *image, volt_volume **labels,
                             const volt_callbacks *cb);
/* The second stage of a cascade alone: `mask` (any integer type, one channel, the image's
 * extents) is what the first found, or what was made of that, with labels as
 * volt_predictor_run gives them. VOLT_EINVAL: not a cascade, other extents; VOLT_EDATA: a label
 * that the network does not have; else as above. */
VOLT_CALL volt_predictor_run_with_prior(volt_predictor *p, const volt_volume *image,
                                        const volt_volume *mask, volt_volume **labels,
                                        const volt_callbacks *cb);

/* What is written for each case ID into `folder` (created). */
typedef struct volt_predict_output {
    const char
        *folder;  /* ID with volt_mask_ending: the labels; dataset.json and plans.json once */
    bool regions; /* also NAME/ID.nii.gz: 0 and 1 for every region (or label) NAME */
    bool probabilities; /* also ID.npz: "probabilities", float32 (C, Z, Y, X) as numpy loads it,
                         * and ID.json: nnU-Net's properties of the scan */
    bool
        probability_nifti; /* also probabilities/ID_0000.nii.gz, one file per class or region */
    bool skip_existing;    /* cases whose files are all there are left as they are */
    const volt_box *roi;   /* voxels of the scan (z, y, x) to segment; NULL = all. Inside it the
                            * labels and probabilities are those of the whole scan, outside is
                            * background: label 0, of probability 1 (regions: 0). Only the tiles
                            * that touch it are computed. */
} volt_predict_output;

typedef struct volt_predict_result {
    int64_t cases;      /* written */
    int64_t skipped;    /* there already */
    double seconds;     /* in all */
    double network_s;   /* of it: forward passes */
    double read_wait_s; /* of it: the network waiting for a scan to be read and preprocessed */
    size_t announced_bytes, peak_bytes; /* network included */
} volt_predict_result;

/* Segments `cases` (volt_inputs_list), reading and preparing the next case and writing the
 * previous one while the network computes. The most memory it will need is logged before it
 * starts. The first failure ends the call (the sentence names case and file); files written
 * before it stay, each whole; a case's labels are written last, so that where they are
 * everything asked for is. `result` may be NULL. Progress: "cases" and
 * "tiles". The previous stage of a cascade goes first: its masks are written to
 * FOLDER/previous_stage. */
VOLT_CALL volt_predict(volt_predictor *p, const volt_case_list *cases,
                       const volt_predict_output *output, const volt_callbacks *cb,
                       volt_predict_result *result);

VOLT_END_DECLS
#endif
