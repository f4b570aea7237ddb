/* partition.h - a volume cut into a grid of boxes, one per rank of a mesh's space.
 *
 * Cuts lie at multiples of `align`, so that every level of a network is cut at a voxel of its
 * own. Parts are as equal as that allows; the larger ones come first. The last part may end
 * between two multiples, with the volume.
 *
 * Threads  a partition is not changed once it is made; any thread may read it.
 */
#ifndef VOLT_PARALLEL_MESH_PARTITION_H
#define VOLT_PARALLEL_MESH_PARTITION_H
#include <stdint.h>
#include "base/status.h"
#include "volume/box.h"
VOLT_BEGIN_DECLS

typedef struct volt_partition {
    int parts[3];    /* along d, h, w */
    int64_t *cut[3]; /* parts + 1 ascending voxels each, from 0 to the extent; owned */
} volt_partition;

/* Parts that an axis can have at most: its extent in units of `align`, rounded up. */
int64_t volt_partition_most(int64_t extent, int64_t align);
/* The caller clears *out. VOLT_EINVAL names the axis, its extent and alignment, and the number
 * of parts that can be. */
VOLT_MUST_USE volt_status volt_partition_make(volt_partition *out, const int64_t extent[3],
                                              const int parts[3], const int64_t align[3]);
void volt_partition_clear(volt_partition *p);
/* Number of parts; their ranks are 0 .. count - 1, w fastest. */
int volt_partition_count(const volt_partition *p);
void volt_partition_at(int at[3], const volt_partition *p, int rank);
volt_box volt_partition_box(const volt_partition *p, const int at[3]);
volt_box volt_partition_box_of(const volt_partition *p, int rank);
/* The rank `step` parts away (-1, 0 or 1, or more, per axis); -1 outside the volume. */
int volt_partition_neighbour(const volt_partition *p, int rank, const int step[3]);
/* The rank whose box has the voxel; -1 outside the volume. */
int volt_partition_owner(const volt_partition *p, const int64_t voxel[3]);

VOLT_END_DECLS
#endif
