/* transfer.h - who sends which voxels to whom.
 *
 * One plan for everything that moves between ranks: halos with their corners, gathers,
 * scatters, samples dealt out, slabs of masks. Each rank says which box it has and which it
 * needs; what it needs and does not have comes from those that have it. A halo wider than a
 * part comes from several parts.
 *
 * Boxes    are in voxels of the whole volume; empty ones are allowed. Boxes that ranks have are
 *          disjoint; those that they need are anything.
 * Order    moves are sorted by peer, one per peer: what rank r sends to s is one box, and is
 *          the one that s receives from r.
 *
 * Threads  a plan is not changed once it is made; any thread may read it.
 */
#ifndef VOLT_PARALLEL_MESH_TRANSFER_H
#define VOLT_PARALLEL_MESH_TRANSFER_H
#include <stdint.h>
#include "base/status.h"
#include "volume/box.h"
VOLT_BEGIN_DECLS

typedef struct volt_move {
    int peer;
    volt_box box;
    int64_t voxels_before; /* of the moves before it: its offset in one array of all */
} volt_move;

typedef struct volt_transfer {
    int sends, receives;
    volt_move *send, *receive;     /* owned */
    int64_t voxels_out, voxels_in; /* of all sends, of all receives */
} volt_transfer;

/* The plan of `rank`. have, need: of each of `ranks` ranks, the same on all of them; what a
 * rank needs of its own box is not moved. The caller clears *out. VOLT_EINVAL: two ranks have
 * the same voxel, or one needs a voxel that nobody has; names them, the same on all ranks. */
VOLT_MUST_USE volt_status volt_transfer_plan(volt_transfer *out, const volt_box *have,
                                             const volt_box *need, int ranks, int rank);
void volt_transfer_clear(volt_transfer *t);

VOLT_END_DECLS
#endif
