/* predictor.h - applies trained networks to scans.
 *
 * As in nnU-Net v2: tiles half a patch apart, Gaussian weights, logits averaged over all
 * mirrorings and over the folds of a run, and resampled linearly to the scan. Sums are float32
 * (half precision where they would take more than a GiB). MONAI's tiles and weights can be
 * chosen instead. Logits are decoded slab by slab: only the slices that tiles still add to are
 * held.
 *
 * Ensembles. Runs of the same plan and configuration share one network's memory; their logits
 * are averaged. Runs of different plans or configurations (2d and 3d_fullres, ...) are averaged
 * as probabilities on the scan's own grid, as nnU-Net's ensembles.
 *
 * Cascades. Networks that refine the masks of a previous stage (3d_cascade_fullres) take them
 * as nnU-Net's -prev_stage_predictions: on the scan's own grid, then cropped and resampled like
 * labels. With the run of the previous stage (options.previous_stage), a predictor computes
 * these prior masks itself; the two stages then take turns in memory.
 *
 * Regions. Networks of data sets with regions predict overlapping regions: each, where its
 * probability is above 1/2, paints its label, later regions over earlier ones.
 *
 * Ranks. With options.comm several ranks predict together; each opens a predictor of its own
 * with the same runs and options, and makes the same calls in the same order, with the same
 * cases and outputs: opening, volt_predict and volt_predictor_run are collective.
 *
 * With the mesh "cases" each case is one rank's, as if that rank were alone: the same bytes.
 * Ranks get about as many voxels each.
 *
 * With "tiles" every scan is shared out: each rank computes some rows of tiles along the first
 * axis, holds their logits only, and decodes some slices. Logits to which tiles of two ranks
 * add are added in another order: equal to rounding. The same ranks give the same bits.
 *
 * With axes, "z=2,y=2", every scan goes through in one piece, split along these, without tiles.
 *
 * Rank 0 reports, logs and returns results and failures of all, the others at most their own;
 * their callbacks are only asked whether they are cancelled. A rank that fails ends the others'
 * calls (VOLT_EPEER).
 *
 * Threads   a predictor is used by one thread at a time; two predictors may run in two threads.
 *           Callbacks are called from the calling thread.
 */
#ifndef VOLT_NETS3D_PREDICTOR_H
#define VOLT_NETS3D_PREDICTOR_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "../base/callbacks.h"
#include "../base/status.h"
#include "../io/dataset.h"
#include "../io/label_table.h"
#include "../parallel/comm.h"
#include "../volume/box.h"
#include "../volume/tiles.h"
#include "../volume/volume.h"
#include "precision.h"
VOLT_BEGIN_DECLS

typedef struct volt_predictor volt_predictor;

typedef struct volt_predict_options {
    size_t size;            /* set by volt_predict_defaults() */
    const char *checkpoint; /* "latest" or "best"; NULL = latest of a finished run, else best,
                             * else latest */
    const char *folds;      /* of runs with several: "0,2,4"; NULL = all that exist */
    const char *previous_stage; /* cascades: a run of the previous stage, or a folder of its
                                 * masks (ID.nii.gz, or ID.voltcase from a pipeline); NULL = the
                                 * run that training was given, if it still exists */
    const char *device;         /* "cpu"; NULL = "cpu" */
    volt_precision precision;   /* VOLT_PRECISION_AUTO allowed */
    bool mirror;                /* average over the axes mirrored in training */
    volt_tile_rule tiles;       /* nnU-Net's or MONAI's positions and Gaussian */
    bool constant;              /* the same weight for all voxels of a tile: no Gaussian */
    double step;                /* distance of tiles as a fraction of the patch: 0.5 */
    bool whole;                 /* no tiles: the whole preprocessed scan in one pass */
    int batch;                  /* tiles per forward pass; 0 = chosen by the patch's size */
    int threads;                /* 0 = default */
    const char *cache;          /* folder for measured speeds; NULL = the user's */
    volt_comm *comm; /* ranks that predict together; NULL = one. Borrowed: must outlive
                      * the predictor */
    /* How they do: "cases", "tiles", or axes as "z=2,y=2", which imply `whole`. NULL: whole
     * cases if there are at least as many as ranks, else tiles. */
    const char *mesh;
} volt_predict_options;

/* Device "cpu", precision auto, mirroring on, nnU-Net's tiles, step 0.5. */
VOLT_API void volt_predict_options_init(volt_predict_options *o, size_t size);
static inline volt_predict_options volt_predict_defaults(void)
{
    volt_predict_options o;

    volt_predict_options_init(&o, sizeof o);
    return o;
}

/* Opens the networks of `count` >= 1 runs (volt_is_run; a folder of folds counts as all of
 * them). `options` NULL = defaults. The caller owns *out (volt_predictor_free). VOLT_EINVAL: an
 * option; VOLT_EIO: no such folder; VOLT_EFORMAT: damaged; VOLT_EDATA: no checkpoint, or runs
 * of data sets with different channels or labels; VOLT_ENOTSUP: too many networks; VOLT_ENOMEM.
 */
VOLT_CALL volt_predictor_open(volt_predictor **out, const char *const *runs, int count,
                              const volt_predict_options *options, const volt_callbacks *cb);
VOLT_API void volt_predictor_free(volt_predictor *p); /* NULL is allowed */

/* Channels and labels of the training set; borrowed. */
VOLT_API const volt_dataset_info *volt_predictor_info(const volt_predictor *p);
/* Number of networks, without those of a previous stage. */
VOLT_API int volt_predictor_networks(const volt_predictor *p);

/* Peak bytes (mem.h), with several ranks of this one, of volt_predictor_run on an image of this
 * grid: network, preprocessed image, sums and masks, without the caller's image. Exact for
 * images without empty borders, which are cropped. Collective if ranks work on an image
 * together. VOLT_EINVAL: another number of channels; sizes that overflow. */
VOLT_CALL volt_predictor_memory(volt_predictor *p, const volt_grid *grid, size_t *out);

/* Segments voxels in memory: `image` (any dtype, channels in the network's order) is converted
 * and preprocessed here. *labels (the caller owns it) has the image's grid with one channel and
 * type uint8, or uint16 if the network knows a label above 254. A cascade runs both stages.
 * Ranks: with "cases" each segments an image of its own; else rank 0's image counts, the others
 * may give NULL, and get NULL. Progress: "tiles". VOLT_EINVAL: wrong number of channels, or a
 * cascade without a run of its previous stage; VOLT_EDATA: NaN voxels; VOLT_ENOMEM,
 * VOLT_ECANCELLED. */
VOLT_CALL volt_predictor_run(volt_predictor *p, const volt_volume *image, volt_volume **labels,
                             const volt_callbacks *cb);
/* Runs only the second stage of a cascade: `mask` (any integer type, one channel, the image's
 * extents) is the prior mask, with labels as volt_predictor_run returns them. VOLT_EINVAL: not
 * a cascade, other extents; VOLT_EDATA: a label that the network does not have; else as above.
 */
VOLT_CALL volt_predictor_run_with_prior(volt_predictor *p, const volt_volume *image,
                                        const volt_volume *mask, volt_volume **labels,
                                        const volt_callbacks *cb);

/* A case without masks. */
typedef struct volt_predict_failure {
    char *id;
    volt_status status;
    char *sentence; /* names its file */
} volt_predict_failure;

typedef struct volt_predict_failures {
    volt_predict_failure *item; /* by id */
    int64_t count;
} volt_predict_failures;
VOLT_API void volt_predict_failures_clear(volt_predict_failures *f);

/* What volt_predict writes for each case ID. */
typedef struct volt_predict_output {
    size_t size;        /* set by volt_predict_output_defaults() */
    const char *folder; /* created; gets the labels, ID with volt_mask_ending, and dataset.json
                         * and plans.json */
    bool regions;       /* also NAME/ID.nii.gz: 0 and 1 for every region (or label) NAME */
    bool probabilities; /* also ID.npz: "probabilities", float32 (C, Z, Y, X) as numpy loads it,
                         * and ID.json: nnU-Net's properties of the scan */
    /* Also probabilities/ID_0000.nii.gz, one file per class or region. */
    bool probability_nifti;
    bool skip_existing;  /* skip cases whose files all exist */
    const volt_box *roi; /* voxels of the scan (z, y, x) to segment; NULL = all. Inside, labels
                          * and probabilities equal those of the whole scan; outside is
                          * background: label 0 with probability 1 (regions: 0). Only tiles
                          * that touch it are computed */
    const char *ending;  /* of the masks, ".nrrd"; NULL = volt_mask_ending, the data set's */
    /* NULL: the first failure ends the call. Else a case whose files are missing, damaged, too
     * large for this machine or do not fit the network is left out, logged as a warning (the
     * first ten) and added here; the others go on. Files of such a case from an earlier call
     * stay, with a warning. The caller owns what it holds
     * (volt_predict_failures_clear). */
    volt_predict_failures *failures;
    int label_files; /* for viewers: volt_label_files, or-ed. The masks hold their names anyway
                      * where their format can */
} volt_predict_output;

VOLT_API void volt_predict_output_init(volt_predict_output *o, size_t size);
static inline volt_predict_output volt_predict_output_defaults(void)
{
    volt_predict_output o;

    volt_predict_output_init(&o, sizeof o);
    return o;
}

typedef struct volt_predict_result {
    int64_t cases;      /* written */
    int64_t skipped;    /* existed already */
    double seconds;     /* in total */
    double network_s;   /* of them: forward passes */
    double read_wait_s; /* of them: waiting for a scan to be read and preprocessed */
    /* Network included. The first is exact for a single scan without empty borders; of several
     * scans that are read, computed and written at the same time, it is the sum at most. */
    size_t announced_bytes, peak_bytes;
} volt_predict_result;

/* Segments `cases` (volt_inputs_list). The next case is read and preprocessed and the previous
 * one written while the network computes. Logs the peak memory before it starts, and how long
 * the network will take once the first scan is cropped; it corrects that as cases go. The first
 * failure ends the call (the message names case and file) unless output->failures collects
 * them; files written before it stay, each complete. A case's labels are written last, so that
 * a case with labels has all its files. The previous stage of a cascade runs first: its masks
 * are written to FOLDER/previous_stage. `result` may be NULL. Progress: "cases" and "tiles".
 * VOLT_EINVAL: an option, or a cascade without prior masks; VOLT_EDATA: the folder holds a data
 * set or a run, or a mask would replace what is no earlier mask, such as its scan; VOLT_EDATA,
 * VOLT_EFORMAT, VOLT_EIO: a case; VOLT_ENOMEM, VOLT_ECANCELLED. */
VOLT_CALL volt_predict(volt_predictor *p, const volt_case_list *cases,
                       const volt_predict_output *output, const volt_callbacks *cb,
                       volt_predict_result *result);

VOLT_END_DECLS
#endif
