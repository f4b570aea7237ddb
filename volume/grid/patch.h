/* patch.h - reading a box that may extend beyond its volume.
 *
 * Threads   a call runs on one thread; calls may share the source.
 */
#ifndef VOLT_VOLUME_GRID_PATCH_H
#define VOLT_VOLUME_GRID_PATCH_H
#include <stdint.h>
#include "base/status.h"
#include "volume/box.h"
#include "volume/volume.h"
VOLT_BEGIN_DECLS

/* Copies `box` of `src` (VOLT_F32) to `out` (C, D, H, W, where D, H, W are the box's extents).
 * Voxels outside the volume become `outside`; the whole box may be outside. `src` is only read
 * and may be a view of mapped memory. VOLT_EINVAL: type. */
VOLT_MUST_USE volt_status volt_patch_read(float *out, volt_box box, const volt_volume *src,
                                          float outside);
/* The same for one channel of labels of type VOLT_U8, VOLT_I8 or VOLT_I16. */
VOLT_MUST_USE volt_status volt_patch_read_labels(int16_t *out, volt_box box,
                                                 const volt_volume *labels, int16_t outside);

VOLT_END_DECLS
#endif
