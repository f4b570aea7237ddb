/* components.h - connected components of a label map.
 *
 * Two passes over runs of equal voxels along x (union-find; as in Wu, Otoo, Suzuki 2009), in
 * parallel over slabs of slices. Components are numbered from 1 in the raster order (z, y, x)
 * of their first voxels, whatever the thread count.
 *
 * Threads   threads may share components in const calls; any other call needs exclusive access.
 */
#ifndef VOLT_VOLUME_COMPONENTS_H
#define VOLT_VOLUME_COMPONENTS_H
#include <stdbool.h>
#include <stddef.h>
#include "../base/status.h"
#include "box.h"
#include "volume.h"
VOLT_BEGIN_DECLS

typedef struct volt_components_options {
    size_t size;      /* set by volt_components_defaults() */
    int connectivity; /* 6 = faces, 18 = and edges, 26 = and corners */
    bool binary;      /* all non-zero voxels are one foreground; else each label separately */
    int threads;      /* 0 = default */
} volt_components_options;

/* 26-connected, each label separately, default threads. */
VOLT_API void volt_components_options_init(volt_components_options *o, size_t size);
static inline volt_components_options volt_components_defaults(void)
{
    volt_components_options o;

    volt_components_options_init(&o, sizeof o);
    return o;
}

typedef struct volt_component {
    int64_t label;  /* the voxels' value in the map; the first voxel's if binary */
    int64_t voxels; /* >= 1 */
    volt_box box;   /* bounding box */
} volt_component;

typedef struct volt_components volt_components; /* opaque: runs and the table below */

/* Finds the components of `labels` (one channel, integers of at most 32 bits; zero is
 * background). `options` NULL = defaults. The caller owns *out (volt_components_free); `labels`
 * is not needed afterwards. VOLT_EINVAL: channels, type or connectivity; VOLT_ENOTSUP: 2^32
 * runs or more; VOLT_ENOMEM. */
VOLT_CALL volt_components_find(volt_components **out, const volt_volume *labels,
                               const volt_components_options *options);
VOLT_API void volt_components_free(volt_components *c); /* NULL is allowed */

VOLT_API int64_t volt_components_count(const volt_components *c);
/* Entry i is component i + 1; borrowed until `c` is freed. */
VOLT_API const volt_component *volt_components_table(const volt_components *c);

/* The component number of every voxel on the source's grid (0 = background), in the smallest
 * of VOLT_U8, VOLT_U16, VOLT_U32 that holds the count. The caller owns *out
 * (volt_volume_free). VOLT_ENOMEM. */
VOLT_CALL volt_components_map(volt_volume **out, const volt_components *c, int threads);
/* Sets to zero the voxels of `labels` (the source, or a copy on the same grid) whose component
 * i has keep[i] == false. VOLT_EINVAL: another grid size. */
VOLT_CALL volt_components_keep(volt_volume *labels, const volt_components *c, const bool *keep,
                               int threads);

VOLT_END_DECLS
#endif
