/* resample_to_grid.h - a volume on another grid of the same world: what lies where, read off
 * anew.
 *
 * For bringing a scan onto a reference's voxels. Changing the spacing of one scan is the
 * business of resample.h, changing its axes that of orient.h.
 */
#ifndef VOLT_VOLUME_RESAMPLE_TO_GRID_H
#define VOLT_VOLUME_RESAMPLE_TO_GRID_H
#include "../base/status.h"
#include "resample.h"
#include "volume.h"
VOLT_BEGIN_DECLS

/* Reads `src` at the world position of every voxel of `grid` (its channel count is ignored, the
 * result has src's). VOLT_NEAREST keeps the type (halves round up); VOLT_LINEAR needs and gives
 * VOLT_F32. Positions more than half a voxel outside `src` get `outside`, in the unit of its
 * voxels. Where voxels coincide within 1e-6 of a voxel they are copied exactly. The caller owns
 * *out. VOLT_EINVAL (order, type, grid), VOLT_ENOMEM. Same bits for any thread count. */
VOLT_CALL volt_resample_to_grid(volt_volume **out, const volt_volume *src,
                                const volt_grid *grid, volt_interpolation order, double outside,
                                int threads);

VOLT_END_DECLS
#endif
