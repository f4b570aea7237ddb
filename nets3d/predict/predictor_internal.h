/* predictor_internal.h - what the files of the predictor share:
 *   predictor.c         opening runs, one scan from voxels to labels
 *   predictor_tiles.c   tiles of a prepared scan through a network into weighted sums
 *   predictor_export.c  scores back onto the scan's own grid: labels, regions, probabilities
 *   predictor_cascade.c the previous stage of networks that refine masks
 *   predictor_next.c    scores onto the grid of a cascade's next stage
 *   predictor_memory.c  how much all that takes
 *   predict.c           many scans, from files to files
 */
#ifndef VOLT_NETS3D_PREDICT_PREDICTOR_INTERNAL_H
#define VOLT_NETS3D_PREDICT_PREDICTOR_INTERNAL_H
#include "io/case_store.h"
#include "nets3d/plan.h"
#include "nets3d/predictor.h"
#include "nets3d/preprocess.h"
#include "nets3d/program.h"
#include "nets3d/run/state.h"
#include "volume/decode.h"
#include "volume/stitch.h"
VOLT_BEGIN_DECLS

#define VOLT_PREDICT_MAX_NETWORKS 64 /* of one group */
#define VOLT_PREDICT_MAX_BATCH    64
#define VOLT_PREDICT_MAX_GROUPS   VOLT_DECODE_MAX_SETS

/* Networks of one plan and configuration: they see the same prepared scan and take turns in one
 * program; their logits are averaged. */
typedef struct volt_net_set {
    char *plan_text;
    volt_plan *plan;
    const volt_plan_config *config; /* of `plan` */
    volt_train_recipe recipe;       /* of the first network */
    char *path[VOLT_PREDICT_MAX_NETWORKS];
    int networks;
    int loaded;      /* whose weights the program holds; -1 = nobody's */
    int flips;       /* 1, 2, 4 or 8 */
    bool flip[8][3]; /* along d, h, w; the first is none */
    volt_precision precision;

    int64_t patch[3]; /* of the program: the plan's, or the whole scan's */
    int batch;        /* tiles per pass */
    volt_graph *graph;
    volt_program *program;
    float *weight; /* (d, h, w) of the patch; NULL = constant */
    float *input;  /* (batch, channels, d, h, w) */
} volt_net_set;

struct volt_predictor {
    volt_predict_options options; /* texts are not kept */
    volt_dataset_info info;
    int threads;
    int scores;       /* per voxel: classes, or regions */
    uint16_t *value;  /* (scores) label that each writes */
    volt_dtype dtype; /* of masks: VOLT_U8 or VOLT_U16 */
    volt_device *device;
    volt_net_set group[VOLT_PREDICT_MAX_GROUPS];
    int groups;
    double network_s;
    size_t base_bytes; /* held by this predictor, through mem.h, without programs */
    size_t held_bytes; /* with those that were made ahead of any scan */
    size_t
        other_bytes; /* of these: not volt_net_set_bytes, but graphs, plans, lists of steps */
    /* Cascades: a run of the previous stage, with its predictor, which holds no networks unless
     * it works; or a folder of masks; or neither (yet). */
    char *previous;
    volt_predictor *first;
};

/* Whether scores are of overlapping regions. */
bool volt_predictor_has_regions(const volt_predictor *p);

/* One scan prepared for every group. */
typedef struct volt_prepared_scan {
    volt_preprocessed prepared[VOLT_PREDICT_MAX_GROUPS];
} volt_prepared_scan;
void volt_prepared_scan_clear(volt_prepared_scan *s, const volt_predictor *p);
/* What the previous stage of a cascade found in a scan; one of the two. */
typedef struct volt_prior_mask {
    const volt_volume *mask; /* on the scan's own grid, in the network's numbering */
    const volt_stored_case *prepared;
} volt_prior_mask;
/* *image (float32) is taken: freed as soon as it is no longer needed and set to NULL, also on
 * failure. `previous` is for cascades; NULL otherwise. `what` starts messages. */
VOLT_MUST_USE volt_status volt_prepared_scan_make(volt_prepared_scan *out,
                                                  const volt_predictor *p, volt_volume **image,
                                                  const volt_prior_mask *previous,
                                                  const char *what, int threads);
/* Channels of the group's prepared scans: the image's, and one-hot masks in a cascade. */
int volt_net_set_channels(const volt_predictor *p, const volt_net_set *g);

/* What is to be made of a scan besides labels. */
typedef struct volt_segment_request {
    bool regions;        /* every region by itself */
    bool probabilities;  /* scores stay, for volt_export_probability */
    const volt_box *roi; /* of the scan's grid; NULL = all */
} volt_segment_request;

/* A finished scan. Grids are the scan's own. */
typedef struct volt_segmentation {
    volt_volume *labels;
    volt_volume *regions;    /* VOLT_U8, one channel per region; NULL unless wanted */
    volt_preprocessed frame; /* of the first group, without voxels: how to come back */
    volt_stitch scores[VOLT_PREDICT_MAX_GROUPS]; /* empty unless wanted */
    volt_decoder *decoder;                       /* the same */
    float *norms;  /* (groups, crop): volt_decode_norms; NULL for regions */
    volt_box part; /* of the crop: what was asked for; with scores */
} volt_segmentation;
void volt_segmentation_clear(volt_segmentation *f);
/* Releases what only volt_export_probability needs. */
void volt_segmentation_drop_scores(volt_segmentation *f);

/* From a prepared scan (cleared here, also on failure) to `out` (volt_segmentation_clear).
 * `what` starts messages. Progress: "tiles". */
VOLT_MUST_USE volt_status volt_predictor_segment(volt_predictor *p, volt_segmentation *out,
                                                 volt_prepared_scan *scan,
                                                 const volt_segment_request *wanted,
                                                 const char *what, const volt_callbacks *cb);
/* Probability of class or region `c` on the scan's own grid, float32; where nothing was
 * computed the background has 1. The caller owns *out. */
VOLT_MUST_USE volt_status volt_export_probability(volt_volume **out, const volt_predictor *p,
                                                  const volt_segmentation *f, int64_t c);

/* What the next stage of a cascade is trained on: the scores of a prepared scan (cleared here,
 * also on failure), resampled over the crop to `shape` (in the plan's order of axes) and
 * decided there, as nnU-Net's resample_and_save. *out (the caller owns it) is VOLT_I8 or
 * VOLT_I16 with the number of the label in each voxel. Progress: "tiles". */
VOLT_MUST_USE volt_status volt_predictor_next_stage(volt_volume **out, volt_predictor *p,
                                                    volt_prepared_scan *scan,
                                                    const int64_t shape[3], const char *what,
                                                    const volt_callbacks *cb);

/* ---- the previous stage ---- */

/* The configuration of the networks that refine masks, or NULL; borrowed. */
const volt_plan_config *volt_predictor_cascade(const volt_predictor *p);
/* From now on masks come from the folder `masks`. */
VOLT_MUST_USE volt_status volt_predictor_set_previous(volt_predictor *p, const char *masks);
/* Takes options->previous, or the run that training was given, where it is still there. */
VOLT_MUST_USE volt_status volt_predictor_open_previous(volt_predictor *p,
                                                       const volt_predict_options *options,
                                                       const volt_callbacks *cb);
/* VOLT_EINVAL: masks are needed, and it is not known where from. */
VOLT_MUST_USE volt_status volt_predictor_need_previous(const volt_predictor *p);
/* Releases programs and weights, and makes them again. */
void volt_predictor_release_programs(volt_predictor *p);
VOLT_MUST_USE volt_status volt_predictor_restore_programs(volt_predictor *p);
/* The first stage's labels of an image in memory; the caller owns *mask. */
VOLT_MUST_USE volt_status volt_predictor_run_first(volt_volume **mask, volt_predictor *p,
                                                   const volt_volume *image,
                                                   const volt_callbacks *cb);
/* Whether `mask` can be what a previous stage found in `image`. */
VOLT_MUST_USE volt_status volt_predictor_check_mask(const volt_predictor *p,
                                                    const volt_volume *image,
                                                    const volt_volume *mask);

/* ---- tiles ---- */

/* Scores of a group as the decoder takes them; halves are summed with their share already. */
volt_logits volt_net_set_logits(const volt_net_set *g, const volt_stitch *s);

/* Rows of tiles that go through together: as many slices as a batch takes, so that batches are
 * full however few tiles a slice has; 1 in 3-D. */
int64_t volt_net_set_rows(const volt_net_set *g);
/* Slices that sums are held for. */
int64_t volt_net_set_room(const volt_net_set *g, int64_t slices, int64_t patch);
/* Whether scans go through in one piece. */
bool volt_net_set_is_whole(const volt_predictor *p, const volt_net_set *g);
/* Makes the program for prepared scans of `shape` unless it is there, and allocates buffers.
 * Nothing is done without `whole` after the first time. */
VOLT_MUST_USE volt_status volt_net_set_compile(volt_predictor *p, volt_net_set *g,
                                               const int64_t shape[3]);
/* The same, and the first network's weights. */
VOLT_MUST_USE volt_status volt_net_set_open(volt_predictor *p, volt_net_set *g,
                                            const int64_t shape[3]);
void volt_net_set_release(volt_net_set *g);
/* Extents of the program for a prepared scan of `shape`. */
void volt_net_set_patch(int64_t out[3], const volt_predictor *p, const volt_net_set *g,
                        const int64_t shape[3]);
/* A program of these extents that holds no tensors yet. */
VOLT_MUST_USE volt_status volt_net_set_program(volt_program **out, const volt_predictor *p,
                                               const volt_net_set *g, const int64_t patch[3]);

/* Where the tiles of a group go. `slab` (NULL allowed) is called whenever more slices hold
 * means. */
typedef struct volt_tiling {
    volt_stitch *stitch;
    const volt_box *part; /* of the prepared scan: tiles beside it are left out; NULL = all */
    volt_status (*slab)(void *context);
    void *context;
    int64_t done, total; /* tiles, for progress: over all groups */
    const char *what;
} volt_tiling;
/* Number of tiles of all networks of the group. */
VOLT_MUST_USE volt_status volt_net_set_tiles(int64_t *out, const volt_predictor *p,
                                             const volt_net_set *g, const int64_t shape[3],
                                             const volt_box *part);
/* Axis a of scans prepared for `first` is axis out[a] of those prepared for `g`. */
void volt_net_set_axes(int out[3], const volt_net_set *first, const volt_net_set *g);
VOLT_MUST_USE volt_status volt_net_set_run(volt_predictor *p, volt_net_set *g,
                                           const volt_volume *image, volt_tiling *tiling,
                                           const volt_callbacks *cb);

/* ---- memory ---- */

/* Whether the scores of a prepared scan are summed in half precision: where in float32 they
 * would take more than a GiB. Depends on the network and the scan alone. */
bool volt_net_set_halves(const volt_predictor *p, const int64_t shape[3], int64_t room);

/* Bytes of one scan's stages; see predictor_memory.c for what each holds. */
typedef struct volt_predict_memory {
    size_t network; /* programs and tile buffers */
    size_t prepare; /* reading and preparing, the prepared images included */
    size_t compute; /* from the prepared images to what is to be written, that included */
    size_t ready;   /* what is to be written: labels and regions */
    size_t write;   /* writing it, besides that */
} volt_predict_memory;

/* Programs and tile buffers for a prepared scan of `shape`. */
VOLT_MUST_USE volt_status volt_net_set_bytes(size_t *out, const volt_predictor *p,
                                             const volt_net_set *g, const int64_t shape[3]);
/* For a scan of `grid`, nothing cropped. VOLT_EINVAL. */
VOLT_MUST_USE volt_status volt_predict_memory_of(volt_predict_memory *out, volt_predictor *p,
                                                 const volt_grid *grid,
                                                 const volt_segment_request *wanted,
                                                 const char *what);
/* Extents of the prepared image when nothing is cropped, and before resampling. */
VOLT_MUST_USE volt_status volt_net_set_shape(int64_t out[3], int64_t before[3],
                                             const volt_net_set *g, const volt_grid *grid);

VOLT_END_DECLS
#endif
