/* volume_pass.h - a scan without tiles on several ranks: one program over all of them.
 *
 * Each rank has a box of the padded scan. The mirrored scan's box is another box of the scan,
 * so each combination of mirrorings along split axes has an exchange of its own.
 *
 * 2-D networks take slices one by one: ranks with the same place along z have the same slices,
 * and one program over them computes these, as many at a time as its batch has.
 *
 * Threads   as spread.h.
 */
#ifndef VOLT_NETS3D_PREDICT_VOLUME_PASS_H
#define VOLT_NETS3D_PREDICT_VOLUME_PASS_H
#include "nets3d/predict/exchange.h"
VOLT_BEGIN_DECLS

/* Where a scan of `shape` lies in the program's input of `patch` voxels. */
typedef struct volt_volume_layout {
    int64_t shape[3], patch[3];
    int64_t start[3]; /* of the padded scan in the scan, <= 0 */
} volt_volume_layout;
VOLT_MUST_USE volt_status volt_volume_lay_out(volt_volume_layout *out,
                                              const volt_segmenter *seg, const volt_net_set *g,
                                              const int64_t shape[3]);
/* Collective: the boxes of all ranks in voxels of the scan, padding included. `program`: what
 * the program has of its input on this rank. */
VOLT_MUST_USE volt_status volt_volume_boxes(const volt_spread *sp, const volt_net_set *g,
                                            volt_box program, const volt_volume_layout *at,
                                            volt_box box[]);
/* Whether mirroring f is like `kind` along the axes that the mesh splits. */
bool volt_volume_is_alike(const volt_spread *sp, const volt_net_set *g, int f, int kind);
/* Whether no mirroring before f is like it. */
bool volt_volume_is_first(const volt_spread *sp, const volt_net_set *g, int f);
/* What a rank's `box` is in the scan when that is mirrored as `kind`: with padding, without,
 * and with the slices around that a 2-D network reads; the last two may be empty. */
typedef struct volt_volume_place {
    volt_box padded, inside, read;
} volt_volume_place;
volt_volume_place volt_volume_place_of(const volt_net_set *g, const volt_volume_layout *at,
                                       int kind, volt_box box);

/* One scan and set. All but `layout` is the caller's. */
typedef struct volt_volume_pass {
    volt_segmenter *seg;
    const volt_spread *sp;
    volt_net_set *set;
    const volt_volume *whole; /* rank 0: the preprocessed scan */
    const volt_grid *grid;    /* its grid */
    const int64_t *shape;     /* its extents */
    int64_t room;             /* volt_segmenter_open_part */
    const volt_box *need;     /* (ranks): the part of the scan that each decodes */
    volt_sums *sums;          /* over the own one: open when the pass runs */
    const volt_callbacks *cb;
    volt_volume_layout layout;
} volt_volume_pass;

/* Creates the program. */
VOLT_MUST_USE volt_status volt_volume_pass_open(volt_volume_pass *v);
/* Runs all networks and mirrorings and adds the logits up where they are needed. `box`:
 * volt_volume_boxes(). */
VOLT_MUST_USE volt_status volt_volume_pass_run(volt_volume_pass *v, const volt_box box[]);

VOLT_END_DECLS
#endif
