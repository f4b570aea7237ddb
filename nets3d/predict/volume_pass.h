/* volume_pass.h - a scan without tiles on several ranks: one program over all of them.
 *
 * Each rank has a box of the padded scan. The mirrored scan's box is another box of the scan,
 * so each combination of mirrorings along split axes has an exchange of its own.
 *
 * Threads   as spread.h.
 */
#ifndef VOLT_NETS3D_PREDICT_VOLUME_PASS_H
#define VOLT_NETS3D_PREDICT_VOLUME_PASS_H
#include "nets3d/predict/exchange.h"
VOLT_BEGIN_DECLS

/* One scan and set. All but `start` is the caller's. */
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
    int64_t start[3]; /* of the padded scan in the scan, <= 0 */
} volt_volume_pass;

/* Creates the program. */
VOLT_MUST_USE volt_status volt_volume_pass_open(volt_volume_pass *v);
/* The boxes of all ranks, in voxels of the scan, padding included. */
VOLT_MUST_USE volt_status volt_volume_pass_boxes(const volt_volume_pass *v, volt_box box[]);
/* Runs all networks and mirrorings and adds the logits up where they are needed. */
VOLT_MUST_USE volt_status volt_volume_pass_run(volt_volume_pass *v, const volt_box box[]);

VOLT_END_DECLS
#endif
