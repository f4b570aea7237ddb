/* components.h - connected components of a label map.
 *
 * Two passes over runs of equal voxels along x (union-find; as in Wu, Otoo, Suzuki 2009),
 * threaded by slabs of slices. Components are numbered from 1 by the raster order (z, y, x)
 * of their first voxel. Same result for any thread count.
 */
#ifndef VOLT_VOLUME_COMPONENTS_H
#define VOLT_VOLUME_COMPONENTS_H
#include <stdbool.h>
#include "../base/status.h"
#include "box.h"
#include "volume.h"
VOLT_BEGIN_DECLS

typedef struct volt_components_options {
    int connectivity; /* 6 faces, 18 faces and edges, 26 also corners; 0 = 26 */
    bool binary;      /* every non-zero voxel is one foreground; else each label apart */
    int threads;      /* 0 = default */
} volt_components_options;

typedef struct volt_component {
    int64_t label;  /* the voxels' value in the map; the first voxel's when binary */
    int64_t voxels; /* size, >= 1 */
    volt_box box;   /* smallest box that holds it */
} volt_component;

typedef struct volt_components volt_components; /* opaque: runs and the table below */

/* Finds the components of `labels` (one channel, an integer dtype of at most 32 bits; zero is
 * background). `opts`
 * NULL = defaults. The caller owns *out (volt_components_free); `labels` is not kept.
 * VOLT_EINVAL: channels, dtype or connectivity; VOLT_ENOTSUP: 2^32 runs or more; VOLT_ENOMEM.
 */
VOLT_CALL volt_components_find(volt_components **out, const volt_volume *labels,
                               const volt_components_options *opts);
VOLT_API void volt_components_free(volt_components *c); /* NULL is allowed */

VOLT_API int64_t volt_components_count(const volt_components *c);
/* Entry i is component i + 1; borrowed until `c` is freed. */
VOLT_API const volt_component *volt_components_table(const volt_components *c);

/* The component number of every voxel on the source's grid (0 = background), in the smallest
 * of VOLT_U8, VOLT_U16, VOLT_U32 that holds the count. The caller owns *out. */
VOLT_CALL volt_components_map(volt_volume **out, const volt_components *c, int threads);
/* Sets to zero those voxels of `labels` (the source, or a copy on the same grid) whose
 * component i has keep[i] == false. VOLT_EINVAL: another grid size. */
VOLT_CALL volt_components_keep(volt_volume *labels, const volt_components *c, const bool *keep,
                               int threads);

VOLT_END_DECLS
#endif
