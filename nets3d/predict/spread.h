/* spread.h - prediction on several ranks: how the work is dealt out, and what ranks tell each
 * other between scans.
 *
 *   cases    each rank predicts cases of its own, as one rank would; only results and messages
 * go to rank 0 (reports.h) tiles    each rank computes some rows of tiles of every scan
 * (segment_ranks.c) volume   the whole scan is the input of one program over all ranks
 *
 * With tiles and volume rank 0 leads: it reads and writes, and its notes tell the others what
 * to do next; they follow (volt_spread_follow). What is common to both lies in the segmenters.
 *
 * Threads   one thread per rank calls what is declared here; readers and writers of a rank do
 *           not.
 */
#ifndef VOLT_NETS3D_PREDICT_SPREAD_H
#define VOLT_NETS3D_PREDICT_SPREAD_H
#include "nets3d/predict/segmenter.h"
#include "parallel/comm.h"
#include "parallel/mesh.h"
VOLT_BEGIN_DECLS

typedef enum volt_spread_kind {
    VOLT_SPREAD_CASES = 1,
    VOLT_SPREAD_TILES,
    VOLT_SPREAD_VOLUME
} volt_spread_kind;

typedef struct volt_spread {
    volt_comm *comm; /* borrowed */
    int rank, ranks; /* ranks > 1 */
    volt_spread_kind kind;
    bool given;      /* the kind was asked for; else volt_spread_settle decides */
    volt_mesh *mesh; /* volume; owned */
    /* Volume: the ranks at the same place along z, to which 2-D networks are spread; NULL: each
     * is alone. Owned. */
    volt_comm *plane_comm;
    volt_mesh *plane;
    size_t *left; /* (ranks): memory that each could have when it was measured; owned */
    /* (ranks): all that each needs for the scan that volt_predict_memory_of was asked about
     * last; owned. */
    size_t *need;
    int *owner; /* cases: (cases) the rank that predicts each; of the call under way */
} volt_spread;

/* Reads `mesh`, "cases", "tiles" or axes as "z=2,y=2"; NULL leaves the choice to
 * volt_spread_settle. *whole: axes were given, so scans go through in one piece. *out is NULL
 * on one rank. Collective. VOLT_EINVAL. */
VOLT_MUST_USE volt_status volt_spread_open(volt_spread **out, bool *whole, volt_comm *comm,
                                           const char *mesh);
void volt_spread_close(volt_spread *sp); /* NULL is allowed */
/* From now on the segmenter computes on these ranks. VOLT_EINVAL: its networks cannot. */
VOLT_MUST_USE volt_status volt_spread_give(const volt_spread *sp, volt_segmenter *seg);
/* For a call with `cases` cases; 0: one scan in memory. Whole cases go to ranks if there are at
 * least as many cases as ranks, or networks that take scans whole; else tiles. */
void volt_spread_settle(volt_spread *sp, const volt_segmenter *seg, int64_t cases);
/* Whether all ranks work on the same scan; NULL: no. */
bool volt_spread_is_joint(const volt_spread *sp);
/* This rank's part in reporting: rank 0 reports, the others only ask whether to stop. */
volt_callbacks volt_spread_callbacks(const volt_spread *sp, const volt_callbacks *cb);

/* Collective, also with NULL, which is one rank: the failure of the lowest rank, if any. Rank 0
 * keeps its own sentence as it is. */
VOLT_MUST_USE volt_status volt_spread_agree(const volt_spread *sp, volt_status mine);
/* Local, between pieces of work; NULL is allowed. Others see that this rank goes on. Fails if
 * another rank failed. */
VOLT_MUST_USE volt_status volt_spread_check(const volt_spread *sp);
/* Collective: whether `mine` is true on all ranks. */
VOLT_MUST_USE volt_status volt_spread_all(const volt_spread *sp, bool *all, bool mine);

/* Collective: `threads` if it is not 0, else this rank's part of the processors that it may
 * use: ranks of a host with the same processors share them. */
VOLT_MUST_USE volt_status volt_spread_threads(const volt_spread *sp, int *threads);
/* Collective: measures the memory that is available to the ranks: sp->left. */
VOLT_MUST_USE volt_status volt_spread_measure(const volt_spread *sp);

/* ---- cases of their own (spread_cases.c) ---- */

/* Deals the cases out: each rank gets about as many voxels, by the headers that rank 0 reads;
 * cases without anything to do are rank 0's. Collective. Sets sp->owner. */
VOLT_MUST_USE volt_status volt_spread_deal_cases(volt_spread *sp, const volt_segmenter *seg,
                                                 const volt_case_list *cases,
                                                 const volt_predict_output *o);
/* Rank 0 gets the counts of all, and the longest times and the most memory of any. Collective.
 */
VOLT_MUST_USE volt_status volt_spread_gather_result(const volt_spread *sp,
                                                    volt_predict_result *r);
/* Rank 0 adds the failures of the other ranks' cases to its own; NULL is allowed. Collective.
 */
VOLT_MUST_USE volt_status volt_spread_gather_failures(const volt_spread *sp,
                                                      volt_predict_failures *f,
                                                      const volt_case_list *cases);

/* ---- notes ---- */

typedef enum volt_note_kind {
    VOLT_NOTE_END = 1,    /* of the call: no more scans */
    VOLT_NOTE_MEMORY,     /* find out what memory a scan of grid[0] takes; `roi` counts */
    VOLT_NOTE_SCAN,       /* segment this */
    VOLT_NOTE_PROBABILITY /* decode output `output` of the last scan */
} volt_note_kind;

/* What rank 0 tells the others. */
typedef struct volt_note {
    volt_note_kind kind;
    volt_status status; /* at the end */
    int64_t output;
    bool has_roi;
    volt_box roi;                                   /* as volt_segment_request */
    volt_preprocessed frame[VOLT_PREDICT_MAX_SETS]; /* without voxels */
    int64_t shape[VOLT_PREDICT_MAX_SETS][3];        /* of the preprocessed images */
    volt_grid grid[VOLT_PREDICT_MAX_SETS];          /* theirs */
    char what[1024]; /* the scan's name in messages; at the end a failure's sentence */
} volt_note;

/* Rank 0: tells the others. They: wait for the next note. */
VOLT_MUST_USE volt_status volt_spread_tell(const volt_spread *sp, const volt_note *note);
/* Rank 0, before volt_predict_memory_of where ranks work on a scan together. */
VOLT_MUST_USE volt_status volt_spread_ask_memory(const volt_spread *sp, const volt_grid *grid,
                                                 const volt_box *roi);
VOLT_MUST_USE volt_status volt_spread_listen(const volt_spread *sp, volt_note *note);
/* Ranks other than 0: does what the notes say until VOLT_NOTE_END, and returns what ended the
 * call on rank 0. `wanted`: as on rank 0, but for the region of interest. *announced (NULL
 * allowed): the most memory that this rank needs for a scan, as far as it was asked. */
VOLT_MUST_USE volt_status volt_spread_follow(volt_segmenter *seg,
                                             const volt_segment_request *wanted,
                                             size_t *announced, const volt_callbacks *cb);
/* Rank 0: volt_segmenter_run, and volt_export_probability with the axes of the plan, on all
 * ranks: tells the others. */
VOLT_MUST_USE volt_status volt_spread_segment(volt_segmenter *seg, volt_segmentation *out,
                                              volt_preprocessed_scan *scan,
                                              const volt_segment_request *wanted,
                                              const char *what, const volt_callbacks *cb);
VOLT_MUST_USE volt_status volt_spread_probability(volt_volume **out, const volt_segmenter *seg,
                                                  const volt_segmentation *f, int64_t c);
/* Rank 0: ends the others' volt_spread_follow, after a failure `st` with it. Returns `st`. */
VOLT_MUST_USE volt_status volt_spread_end(const volt_spread *sp, volt_status st);

/* ---- the pass on all ranks (segment_ranks.c) ---- */

/* Collective: segments the scan of `note`, whose images rank 0 has in *scan, which is cleared,
 * also on failure. *out holds masks on rank 0, with the axes of the plan; on all ranks what
 * probabilities need. A failure that all ranks know of is returned by all, and they can go on.
 */
VOLT_MUST_USE volt_status volt_segment_jointly(volt_segmenter *seg, volt_segmentation *out,
                                               volt_preprocessed_scan *scan,
                                               const volt_note *note,
                                               const volt_segment_request *wanted,
                                               const volt_callbacks *cb);
/* Collective: the probability of output `c` on the grid with the axes of the plan; rank 0 owns
 * *out, the others get NULL. */
VOLT_MUST_USE volt_status volt_probability_jointly(volt_volume **out, const volt_segmenter *seg,
                                                   const volt_segmentation *f, int64_t c);

VOLT_END_DECLS
#endif
