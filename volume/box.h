/* box.h - half-open boxes of voxels: patches, tiles, crops, halos and slabs.
 *
 * Axes are in memory order: 0 = z (d), 1 = y (h), 2 = x (w). A box is empty when some
 * high <= low. Boxes are plain values: nothing here fails or allocates.
 *
 * Threads   boxes are plain values; all functions may be called from any thread at any time.
 */
#ifndef VOLT_VOLUME_BOX_H
#define VOLT_VOLUME_BOX_H
#include <stdbool.h>
#include <stdint.h>
#include "../base/status.h"
VOLT_BEGIN_DECLS

typedef struct volt_box {
    int64_t low[3], high[3]; /* voxels; low <= v < high */
} volt_box;

VOLT_API volt_box volt_box_of_shape(const int64_t shape[3]); /* [0, shape) */
VOLT_API volt_box volt_box_at(const int64_t low[3], const int64_t shape[3]);
VOLT_API volt_box volt_box_intersect(volt_box a, volt_box b);
VOLT_API volt_box volt_box_hull(volt_box a, volt_box b); /* smallest box that holds both */
/* Larger by `margin` on both sides. */
VOLT_API volt_box volt_box_grow(volt_box a, const int64_t margin[3]);
VOLT_API volt_box volt_box_shift(volt_box a, const int64_t by[3]);
VOLT_API bool volt_box_contains(volt_box outer, volt_box inner);
VOLT_API bool volt_box_is_empty(volt_box a);
VOLT_API int64_t volt_box_voxels(volt_box a); /* 0 when empty */
VOLT_API void volt_box_shape(int64_t out[3], volt_box a);

VOLT_END_DECLS
#endif
