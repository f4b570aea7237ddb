/* tiles.h - sliding windows over a volume: positions and weights of the tiles.
 *
 * Tiles are boxes in the image's own voxels (z, y, x). Where the image is smaller than the
 * patch, a tile extends beyond it on both sides (by one voxel more at the high end if the
 * difference is odd): volt_tile_read fills that part with zeros and volt_stitch_add ignores it,
 * so that no padded copy of the image is needed.
 *
 * Threads   no shared state. Calls may share images and tiles that no thread changes.
 */
#ifndef VOLT_VOLUME_TILES_H
#define VOLT_VOLUME_TILES_H
#include <stdbool.h>
#include <stdint.h>
#include "../base/status.h"
#include "box.h"
VOLT_BEGIN_DECLS

typedef enum volt_tile_rule {
    VOLT_TILES_NNUNET = 0, /* evenly spread, rounded half to even */
    VOLT_TILES_MONAI = 1   /* fixed stride, the last one moved back to the border */
} volt_tile_rule;

typedef struct volt_tiles {
    int64_t patch[3];
    int64_t per_axis[3]; /* number of positions along z, y, x */
    int64_t *start[3];   /* first voxel of each, ascending; owned. May be negative, see above */
    int64_t count;       /* product of per_axis; z slowest */
} volt_tiles;

/* Positions for an image and a patch (voxels, >= 1). `step` in (0, 1] is the distance between
 * neighbouring tiles as a fraction of the patch, at least one voxel (nnU-Net's default is 0.5;
 * MONAI's overlap is 1 - step). Release with volt_tiles_free. VOLT_EINVAL, VOLT_ENOMEM. */
VOLT_CALL volt_tiles_plan(volt_tiles *out, const int64_t image[3], const int64_t patch[3],
                          double step, volt_tile_rule rule);
VOLT_API void volt_tiles_free(volt_tiles *t); /* clears it */
/* Tile 0 <= i < count. */
VOLT_API volt_box volt_tiles_box(const volt_tiles *t, int64_t i);

/* Weight of every voxel of a tile, (D, H, W). VOLT_ENOMEM.
 *
 * NNUNET: a unit impulse at patch/2, filtered by a Gaussian of sigma patch/8 (cut at 4 sigma,
 * zero border), scaled to a maximum of 10, rounded to half precision; zeros become the smallest
 * positive value.
 *
 * MONAI: exp(-x^2 / 2 sigma^2) about (n-1)/2, at least max(smallest, 0.001). */
VOLT_CALL volt_importance_map(float *out, const int64_t patch[3], volt_tile_rule rule);

/* Copies the box `tile` of `image` (channels, Z, Y, X) to `out` (channels, D, H, W), mirrored
 * along the axes of `flip` (NULL = none). Voxels outside the image become 0. */
VOLT_API void volt_tile_read(float *out, volt_box tile, const float *image, int64_t channels,
                             const int64_t image_shape[3], const bool flip[3], int threads);

VOLT_END_DECLS
#endif
