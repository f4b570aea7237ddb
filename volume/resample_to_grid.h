/* resample_to_grid.h - resampling of a volume onto another grid in the same world.
 *
 * Brings a scan onto a reference's grid. To change a scan's spacing use resample.h, to permute
 * or flip its axes orient.h.
 *
 * Threads   no shared state. Calls may share sources.
 */
#ifndef VOLT_VOLUME_RESAMPLE_TO_GRID_H
#define VOLT_VOLUME_RESAMPLE_TO_GRID_H
#include "../base/status.h"
#include "resample.h"
#include "volume.h"
VOLT_BEGIN_DECLS

/* Samples `src` at the world position of every voxel of `grid`; the result has src's channels,
 * whatever grid->channels. VOLT_NEAREST keeps the type (halves round up); VOLT_LINEAR takes and
 * gives VOLT_F32. Positions more than half a voxel outside `src` become `outside`, in the unit
 * of its voxels. Voxels that coincide within 1e-6 of a voxel are copied exactly. The caller
 * owns *out (volt_volume_free). VOLT_EINVAL: order, type or grid; VOLT_ENOMEM. Same bits for
 * any thread count. */
VOLT_CALL volt_resample_to_grid(volt_volume **out, const volt_volume *src,
                                const volt_grid *grid, volt_interpolation order, double outside,
                                int threads);

VOLT_END_DECLS
#endif
