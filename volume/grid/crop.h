/* crop.h - the part of an image that is not empty: mask, holes, bounding box, crop.
 *
 * A mask is a volume of type VOLT_U8 with one channel: 0 or 1.
 */
#ifndef VOLT_VOLUME_GRID_CROP_H
#define VOLT_VOLUME_GRID_CROP_H
#include "base/status.h"
#include "volume/box.h"
#include "volume/volume.h"
VOLT_BEGIN_DECLS

/* A mask of the voxels where any channel of `image` (any type) differs from 0, NaN included;
 * holes are not filled. The caller owns *out (volt_volume_free). VOLT_ENOMEM. */
VOLT_MUST_USE volt_status volt_mask_nonzero(volt_volume **out, const volt_volume *image,
                                            int threads);
/* A mask of the voxels where `labels` (any type, one channel) is 0 or more: those that
 * volt_labels_mark_outside did not mark. The caller owns *out (volt_volume_free). VOLT_EINVAL:
 * channels; VOLT_ENOMEM. */
VOLT_MUST_USE volt_status volt_mask_inside(volt_volume **out, const volt_volume *labels,
                                           int threads);
/* Fills, in place, zeros that no path over faces connects with the volume's border (as
 * scipy.ndimage.binary_fill_holes). VOLT_EINVAL: not a mask; VOLT_ENOMEM: `mask` is unchanged.
 */
VOLT_MUST_USE volt_status volt_mask_fill_holes(volt_volume *mask);
/* What it allocates at most, up to 3 MiB. */
size_t volt_mask_fill_holes_bytes(int64_t voxels);
/* The bounding box of the ones, or the whole volume if there are none, as in nnU-Net. */
volt_box volt_mask_box(const volt_volume *mask, int threads);

/* Reduces `v` (any type, all channels) to `box`, in place; its voxels stay where they are in
 * the world, and the memory that is no longer needed is released. VOLT_EINVAL: the box is empty
 * or exceeds the volume; `v` is unchanged. */
VOLT_MUST_USE volt_status volt_volume_crop_in_place(volt_volume *v, volt_box box);
/* Sets labels (a signed or floating type, one channel) that are 0 to -1 where `mask` is 0, as
 * nnU-Net marks what lies outside the nonzero region. VOLT_EINVAL: type, channels or sizes. */
VOLT_MUST_USE volt_status volt_labels_mark_outside(volt_volume *labels, const volt_volume *mask,
                                                   int threads);

VOLT_END_DECLS
#endif
