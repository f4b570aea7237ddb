/* segmenter.h - networks applied to one scan after another: an ensemble of folds or runs.
 *
 * A segmenter is one stage. The public predictor holds one, or two for a cascade
 * (predictor_internal.h).
 *
 *   segmenter.c    opens and closes the networks of runs
 *   net_set.c      the networks of one plan and configuration, and their program
 *   scan.c         preprocesses a scan for every set
 *   tiles.c        runs the tiles of a scan through a set and sums the logits
 *   segment.c      the whole pass of a scan
 *   export.c       results on the scan's own grid: labels, regions, probabilities
 *   next_stage.c   labels on the grid of a cascade's next stage
 *   memory.c       how much memory a scan takes; memory_ranks.c: on several ranks
 *
 * On several ranks spread.h says how they share the work.
 *
 * Terms     a set is the networks of one plan and configuration; an output is a class or, for
 *           data sets with regions, a region.
 * Threads   a segmenter is used by one thread at a time; reading its description (info, sets'
 *           plans) is allowed to others meanwhile.
 */
#ifndef VOLT_NETS3D_PREDICT_SEGMENTER_H
#define VOLT_NETS3D_PREDICT_SEGMENTER_H
#include "io/case_store.h"
#include "nets3d/data/preprocess_case.h"
#include "nets3d/device/scores.h"
#include "nets3d/device/stream.h"
#include "nets3d/plan.h"
#include "nets3d/predictor.h"
#include "nets3d/program.h"
#include "nets3d/run/state.h"
#include "volume/sliding/decode.h"
#include "volume/orient.h"
#include "volume/sliding/stitch.h"
VOLT_BEGIN_DECLS

#define VOLT_PREDICT_MAX_NETWORKS 64 /* of one set */
#define VOLT_PREDICT_MAX_BATCH    64
#define VOLT_PREDICT_MAX_SETS     VOLT_DECODE_MAX_SETS

/* Networks of one configuration (plans may differ in others): they take the same preprocessed
 * scan and take turns in one program; their logits are averaged. */
typedef struct volt_net_set {
    char *config_text; /* volt_plan_config_text */
    volt_plan *plan;
    const volt_plan_config *config; /* of `plan` */
    volt_train_recipe recipe;       /* of the first network */
    char *path[VOLT_PREDICT_MAX_NETWORKS];
    int networks;
    int loaded;      /* network whose weights the program has; -1 = none */
    int flips;       /* 1, 2, 4 or 8 */
    bool flip[8][3]; /* along d, h, w; the first is none */
    volt_precision precision;

    int64_t patch[3]; /* of the program: the plan's, or the whole scan's */
    int batch;        /* tiles per pass */
    volt_graph *graph;
    volt_program *program;
    size_t program_bytes; /* without its tensors */
    /* Of programs that depend on the scan: the most bytes that one of those takes that
     * volt_predict_memory_of was asked about since volt_predict_memory_start. */
    size_t most_bytes;
    float *weight; /* (d, h, w) of the patch; NULL = constant */
    float *input;  /* (batch, channels, d, h, w); read by the device until */
    volt_event *uploaded;
    /* Where the device's memory is not the host's: the weights on the device, for its own sums;
     * (batch, outputs, d, h, w) on the host, for those of the host. Else NULL. */
    float *device_weight, *scores;
} volt_net_set;

typedef struct volt_segmenter {
    volt_predict_options options; /* strings are not valid */
    volt_dataset_info info;
    int threads;
    const struct volt_spread *spread; /* several ranks (spread.h); NULL = one. Borrowed */
    int outputs;                      /* of the networks */
    uint16_t *value;                  /* (outputs) label that each writes */
    volt_dtype dtype;                 /* of label maps: VOLT_U8 or VOLT_U16 */
    volt_device *device;
    volt_net_set set[VOLT_PREDICT_MAX_SETS];
    int sets;
    double network_s;
    size_t float_sums_bytes; /* sums of logits that take more are held in half precision */
    size_t base_bytes;       /* held, through mem.h, without programs */
    size_t held_bytes;       /* with the programs that exist before any scan */
    size_t other_bytes; /* of held_bytes, what volt_net_set_bytes omits: graphs, plans, lists */
    size_t held_there;  /* in the device's own memory, of these programs */
} volt_segmenter;

/* Opens the networks of `count` runs, as volt_predictor_open, without their programs. The
 * caller owns *out. */
VOLT_MUST_USE volt_status volt_segmenter_open(volt_segmenter **out, const char *const *runs,
                                              int count, const volt_predict_options *options,
                                              const volt_callbacks *cb);
void volt_segmenter_free(volt_segmenter *seg); /* NULL is allowed */
/* Creates the programs with the first networks' weights, except those that depend on a scan;
 * does nothing for those that exist. Release frees them and the weights. */
VOLT_MUST_USE volt_status volt_segmenter_restore_programs(volt_segmenter *seg);
void volt_segmenter_release_programs(volt_segmenter *seg);
/* Whether outputs are regions, which may overlap. */
bool volt_segmenter_has_regions(const volt_segmenter *seg);
/* Number of networks. */
int volt_segmenter_networks(const volt_segmenter *seg);
/* The first set whose networks refine the masks of a previous stage, or NULL; borrowed. */
const volt_net_set *volt_segmenter_cascade(const volt_segmenter *seg);

/* ---- a scan ---- */

/* A scan, preprocessed for each set. */
typedef struct volt_preprocessed_scan {
    volt_preprocessed set[VOLT_PREDICT_MAX_SETS];
} volt_preprocessed_scan;
void volt_preprocessed_scan_clear(volt_preprocessed_scan *s, const volt_segmenter *seg);
/* The mask of a cascade's previous stage; one of the two. */
typedef struct volt_prior_mask {
    const volt_volume *mask;        /* on the scan's own grid, in the network's numbering */
    const volt_stored_case *stored; /* preprocessed */
} volt_prior_mask;
/* The region of interest `box` of the scan as it was read, in the orientation of the data set.
 * VOLT_EINVAL: it exceeds the scan. */
VOLT_MUST_USE volt_status volt_scan_roi(volt_box *out, const volt_box *box,
                                        const volt_segmenter *seg,
                                        const volt_image_header *header, const char *file);
/* The grid of a scan that was read on `grid`, in the orientation of the data set; *turned: that
 * is another one. */
VOLT_MUST_USE volt_status volt_scan_grid(volt_grid *out, bool *turned,
                                         const volt_segmenter *seg, const volt_grid *grid);
/* Warns that a scan, which is no picture, does not say which side is left. */
void volt_report_orientation(const volt_callbacks *cb, const volt_image_header *header,
                             const char *file);
/* *image (float32) is taken: freed as soon as it is no longer needed and set to NULL, also on
 * failure. `prior`: for cascades; NULL otherwise. Messages start with `what`. */
VOLT_MUST_USE volt_status volt_preprocess_scan(volt_preprocessed_scan *out,
                                               const volt_segmenter *seg, volt_volume **image,
                                               const volt_prior_mask *prior, const char *what,
                                               int threads);

/* ---- the pass ---- */

/* What is wanted besides labels. */
typedef struct volt_segment_request {
    bool regions;        /* every region as a mask of its own */
    bool probabilities;  /* keep the logits, for volt_export_probability */
    bool packed;         /* probabilities are written in a format that threads pack */
    const volt_box *roi; /* of the scan's grid; NULL = all */
} volt_segment_request;

/* A segmented scan. Grids are the scan's own. */
typedef struct volt_segmentation {
    volt_volume *labels;
    volt_volume *regions;    /* VOLT_U8, one channel per region; NULL unless wanted */
    volt_preprocessed frame; /* of the first set, without voxels: how to return to the scan */
    volt_stitch logits[VOLT_PREDICT_MAX_SETS]; /* empty unless probabilities are wanted */
    volt_decoder *decoder;                     /* the same */
    float *norms;  /* (sets, crop): volt_decode_norms; NULL for regions */
    volt_box part; /* of the crop: what was asked for; with logits */
    /* On several ranks: (ranks + 1) rank r has decoded slices first[r] <= z < first[r + 1] of
     * the crop, and holds what this takes; owned. `part` counts from its own first slice. */
    int64_t *first;
} volt_segmentation;
void volt_segmentation_clear(volt_segmentation *f);
/* Releases what only volt_export_probability needs. */
void volt_segmentation_drop_logits(volt_segmentation *f);

/* Segments a preprocessed scan, which is cleared, also on failure. The caller owns what *out
 * holds (volt_segmentation_clear). Messages start with `what`. Progress: "tiles". */
VOLT_MUST_USE volt_status volt_segmenter_run(volt_segmenter *seg, volt_segmentation *out,
                                             volt_preprocessed_scan *scan,
                                             const volt_segment_request *wanted,
                                             const char *what, const volt_callbacks *cb);
/* What the next stage of a cascade is trained on: the logits of a preprocessed scan (cleared
 * here, also on failure), resampled over the crop to `shape` (in the plan's order of axes) and
 * decoded there, as nnU-Net's resample_and_save. *out (the caller owns it) is VOLT_I8 or
 * VOLT_I16 with the index of the label in each voxel. Progress: "tiles". */
VOLT_MUST_USE volt_status volt_segmenter_next_stage(volt_volume **out, volt_segmenter *seg,
                                                    volt_preprocessed_scan *scan,
                                                    const int64_t shape[3], const char *what,
                                                    const volt_callbacks *cb);

/* ---- export ---- */

/* Grids of a scan with one channel: its own, and with the axes in the plan's order. */
typedef struct volt_scan_axes {
    volt_orientation order; /* from `own` to `permuted` */
    volt_grid own, permuted;
} volt_scan_axes;
VOLT_MUST_USE volt_status volt_scan_axes_of(volt_scan_axes *out,
                                            const volt_preprocessed *frame);
/* Permutes labels and regions to the scan's own axes and paints labels from regions. */
VOLT_MUST_USE volt_status volt_export_masks(volt_segmentation *f, const volt_segmenter *seg);
/* Probability of output `c` on the scan's own grid, float32; where nothing was computed the
 * background has 1. The caller owns *out. */
VOLT_MUST_USE volt_status volt_export_probability(volt_volume **out, const volt_segmenter *seg,
                                                  const volt_segmentation *f, int64_t c);

/* ---- sets ---- */

size_t volt_patch_voxels(const int64_t patch[3]);
/* Channels of the set's preprocessed scans: the image's, and one-hot masks in a cascade. */
int volt_net_set_channels(const volt_segmenter *seg, const volt_net_set *g);
/* Axis a of scans preprocessed for `first` is axis out[a] of those preprocessed for `g`. */
void volt_net_set_axes(int out[3], const volt_net_set *first, const volt_net_set *g);
/* Extents of the preprocessed image if nothing is cropped, and before resampling. */
VOLT_MUST_USE volt_status volt_net_set_shape(int64_t out[3], int64_t before[3],
                                             const volt_net_set *g, const volt_grid *grid);
/* Whether a scan goes through in one piece. */
bool volt_net_set_is_whole(const volt_segmenter *seg, const volt_net_set *g);
/* Extents of the program for a preprocessed scan of `shape`. */
void volt_net_set_patch(int64_t out[3], const volt_segmenter *seg, const volt_net_set *g,
                        const int64_t shape[3]);
/* Creates the program for preprocessed scans of `shape`, unless it exists, and its buffers.
 * Without `whole`, only the first call does anything. */
VOLT_MUST_USE volt_status volt_net_set_compile(volt_segmenter *seg, volt_net_set *g,
                                               const int64_t shape[3]);
/* The same, and loads the first network's weights. */
VOLT_MUST_USE volt_status volt_net_set_open(volt_segmenter *seg, volt_net_set *g,
                                            const int64_t shape[3]);
/* Loads network i's weights into the program. */
VOLT_MUST_USE volt_status volt_net_set_load(volt_net_set *g, int i);
void volt_net_set_release(const volt_segmenter *seg, volt_net_set *g);
/* Bytes of program and tile buffers for a preprocessed scan of `shape`: those on the host, and
 * in the device's own memory (0 where that is the host's); *box (NULL allowed): the part of its
 * input that the program has on this rank. Collective where one program runs on several. */
VOLT_MUST_USE volt_status volt_net_set_bytes(size_t *host, size_t *device, volt_box *box,
                                             const volt_segmenter *seg, const volt_net_set *g,
                                             const int64_t shape[3]);

/* ---- tiles ---- */

/* Rows of tiles that go through together: in 2-D as many slices as a batch takes, so that
 * batches are full however few tiles a slice has; 1 in 3-D. */
int64_t volt_net_set_rows(const volt_net_set *g);
/* Number of slices that sums are held for. */
int64_t volt_net_set_room(const volt_net_set *g, int64_t slices, int64_t patch);
/* Where sums of logits are held and decoded: the device's table if it takes `options`, else,
 * or with options NULL, the host's. */
const volt_scores_table *volt_segmenter_scores(const volt_segmenter *seg,
                                               const volt_decode_options *options);
/* Opens the sums of logits over `room` slices of a preprocessed scan of `shape` (close of the
 * table), and their bytes. */
VOLT_MUST_USE volt_status volt_segmenter_open_sums(volt_stitch *out, const volt_segmenter *seg,
                                                   const volt_scores_table *scores,
                                                   const int64_t shape[3], int64_t room);
size_t volt_segmenter_sums_bytes(const volt_segmenter *seg, const int64_t shape[3],
                                 int64_t room);
/* The same, on the host, for a part of the scan, all slices of which are held: in float32 or
 * halves as one rank would sum the scan up with this room. Close with volt_stitch_close. */
VOLT_MUST_USE volt_status volt_segmenter_open_part(volt_stitch *out, const volt_segmenter *seg,
                                                   const int64_t part[3],
                                                   const int64_t shape[3], int64_t room);
size_t volt_segmenter_part_bytes(const volt_segmenter *seg, const int64_t part[3],
                                 const int64_t shape[3], int64_t room);
/* Sums as the decoder takes them. */
volt_logits volt_net_set_logits(const volt_net_set *g, const volt_stitch *s);

/* Where the logits of tiles go. `slab` (NULL allowed) is called whenever more slices are
 * complete. */
typedef struct volt_tiling {
    const volt_scores_table *scores; /* where the sums lie */
    volt_stitch *stitch;
    const volt_box *part; /* of the preprocessed scan: tiles outside are skipped; NULL = all */
    volt_status (*slab)(void *context);
    void *context;
    int64_t done, total; /* tiles, for progress: over all sets */
    const char *what;
} volt_tiling;
/* Number of tiles of all networks of the set. */
VOLT_MUST_USE volt_status volt_net_set_tiles(int64_t *out, const volt_segmenter *seg,
                                             const volt_net_set *g, const int64_t shape[3],
                                             const volt_box *part);
VOLT_MUST_USE volt_status volt_net_set_run(volt_segmenter *seg, volt_net_set *g,
                                           const volt_volume *image, volt_tiling *tiling,
                                           const volt_callbacks *cb);
/* Where the set's tiles lie in a preprocessed scan of `shape`. Release with volt_tiles_free. */
VOLT_MUST_USE volt_status volt_net_set_place(volt_tiles *out, const volt_segmenter *seg,
                                             const volt_net_set *g, const int64_t shape[3]);
/* What one of several ranks computes of a scan: some rows of tiles. */
typedef struct volt_scan_piece {
    int64_t shape[3]; /* of the preprocessed scan */
    volt_box image;   /* the part of it that the rank has */
    volt_box sums;    /* the slices that the stitch has, as if they were a scan of their own */
    int64_t row, row_end; /* rows of tiles */
} volt_scan_piece;
/* A part of a preprocessed scan. Borrowed. */
typedef struct volt_scan_view {
    const volt_volume *image;
    const int64_t *from, *shape; /* its first voxel in the scan; the scan's extents */
} volt_scan_view;
/* Reads the scan at `box`, mirrored, into the network's input: sample `slot` of the batch, all
 * of which have boxes of this size. Voxels beyond the part become 0; slices beyond the scan
 * are its first and last ones. */
void volt_net_set_gather(const volt_segmenter *seg, const volt_net_set *g,
                         const volt_scan_view *v, int slot, volt_box box, const bool flip[3]);
/* Runs the tiles of these rows; `image` is the part `piece->image`. Adds sums, but finishes
 * nothing: other ranks may have something to add. */
VOLT_MUST_USE volt_status volt_net_set_run_piece(volt_segmenter *seg, volt_net_set *g,
                                                 const volt_volume *image,
                                                 const volt_scan_piece *piece,
                                                 volt_tiling *tiling, const volt_callbacks *cb);
/* Fails with VOLT_ENUMERIC for the scan `what`. */
VOLT_MUST_USE volt_status volt_net_set_not_finite(const char *what);

/* ---- memory ---- */

/* Bytes that one scan takes on this rank; memory.c says what each holds. */
typedef struct volt_predict_memory {
    size_t device;  /* in the device's own memory; the rest is the host's */
    size_t network; /* programs, tile buffers and what is held anyway */
    /* Where this rank reads the scan, in addition to the network: */
    size_t preprocess; /* reading and preprocessing, the preprocessed images included */
    size_t compute;    /* from the preprocessed images to the results, these included */
    size_t ready;      /* the results: labels and regions */
    size_t write;      /* writing them, in addition */
    /* The network included, which may come to be and change on the way: */
    size_t before; /* of `network`, what is there while the scan is preprocessed */
    size_t pass;   /* from the preprocessed images to the results; without reading: all */
} volt_predict_memory;

/* The next scans that volt_predict_memory_of is asked about are the first ones of a call. */
void volt_predict_memory_start(volt_segmenter *seg);
/* For a scan that was read on `grid`. Exact, but for 256 KiB of lists and strings, with
 * these exceptions: nothing is taken to be cropped, since headers do not show what is zero,
 * so scans with empty borders need less (of several ranks one may get a stride more than it
 * would have of the whole scan, and another one less); reading and writing count buffers of a
 * format at their most; scans of several shapes, each with a program of its own, come after any
 * of the earlier ones. Collective where ranks work on a scan together: all get the same
 * failure, and seg->spread->need. VOLT_EINVAL. */
VOLT_MUST_USE volt_status volt_predict_memory_of(volt_predict_memory *out, volt_segmenter *seg,
                                                 const volt_grid *grid,
                                                 const volt_segment_request *wanted,
                                                 const char *what);
/* Logs what ranks 1 to ranks - 1 need: `needs` has (ranks), those of rank 0 left out. */
void volt_predict_memory_report(const volt_callbacks *cb, const size_t needs[], int ranks);
/* The host's peak if nothing overlaps. */
size_t volt_predict_memory_alone(const volt_predict_memory *m);
/* What the stages may use: the memory available, with the networks that `seg` holds already; of
 * ranks on one host, each gets the same. */
size_t volt_predict_memory_left(const volt_segmenter *seg);
/* VOLT_ENOMEM if a scan, named in the sentence, needs more memory than a host has for its
 * ranks.
 */
VOLT_MUST_USE volt_status volt_predict_memory_check(const volt_segmenter *seg,
                                                    const volt_predict_memory *m,
                                                    const char *what);

VOLT_END_DECLS
#endif
