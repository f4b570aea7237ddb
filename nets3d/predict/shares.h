/* shares.h - which rank does what for one scan on which all work: what it reads, what it adds
 * to, what it decodes. The pass (segment_ranks.c) and its memory (memory_ranks.c) follow the
 * same shares.
 *
 * Boxes are in voxels of the set's preprocessed scan, in the set's own axes. All ranks get the
 * same shares.
 *
 * Threads   no shared state.
 */
#ifndef VOLT_NETS3D_PREDICT_SHARES_H
#define VOLT_NETS3D_PREDICT_SHARES_H
#include "nets3d/predict/pass.h"
#include "nets3d/predict/spread.h"
VOLT_BEGIN_DECLS

typedef struct volt_shares {
    const volt_segmenter *seg; /* borrowed */
    int ranks;
    volt_box part; /* of the crop: what is asked for */
    int64_t crop[3];
    int axis[VOLT_PREDICT_MAX_SETS][3]; /* volt_net_set_axes */
    int64_t shape[VOLT_PREDICT_MAX_SETS][3];
    int64_t *first; /* (ranks + 1): rank r decodes slices first[r] <= z < first[r + 1] */
    /* Of the set dealt last, (ranks) each. */
    int64_t *row;                  /* (ranks + 1) rows of tiles; behind them as many cuts */
    volt_box *image, *have, *need; /* what is read, added to, and needed to decode */
} volt_shares;

/* For a scan with this frame and images of shape[g]. Close with volt_shares_close. */
VOLT_MUST_USE volt_status volt_shares_open(volt_shares *out, const volt_segmenter *seg,
                                           const volt_preprocessed *frame,
                                           const int64_t (*shape)[3], const volt_box *roi);
void volt_shares_close(volt_shares *s);

/* Rows of tiles of set g; sets are dealt in ascending order. */
void volt_shares_tiles(volt_shares *s, int g, const volt_tiles *tiles);
/* The part of set g's scan on which what is asked for depends; may be empty. */
volt_box volt_shares_source(const volt_shares *s, int g);
/* Boxes that one program has on all ranks: s->have, padding included, is given. */
void volt_shares_boxes(volt_shares *s, int g);
/* The sums that a rank holds for set g: with tiles and the first set's order of axes, what it
 * adds to lies in them. At least a voxel, so that there is something to pass on. */
volt_box volt_shares_sums(const volt_shares *s, int g, int rank);
/* Whether a rank adds tiles to other sums than those that it decodes. */
bool volt_shares_is_turned(const volt_shares *s, int g);
/* `box`, or one voxel if it is empty. */
volt_box volt_shares_held(volt_box box);
/* Slices that one rank would hold; they decide how precisely sums are held. */
int64_t volt_shares_room(const volt_segmenter *seg, int g, const int64_t shape[3],
                         const volt_segment_request *wanted);

VOLT_END_DECLS
#endif
