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

/* 1 where any channel of `image` (any type) differs from 0, NaN included, on its grid; holes
 * are left. The caller owns *out. VOLT_ENOMEM. */
VOLT_MUST_USE volt_status volt_mask_nonzero(volt_volume **out, const volt_volume *image,
                                            int threads);
/* 1 where `labels` (any type, one channel) is 0 or more: what volt_labels_mark_outside left.
 * The caller owns *out. VOLT_EINVAL (channels), VOLT_ENOMEM. */
VOLT_MUST_USE volt_status volt_mask_inside(volt_volume **out, const volt_volume *labels,
                                           int threads);
/* Fills, in place, zeros that no path over faces connects with the volume's border (as
 * scipy.ndimage.binary_fill_holes). VOLT_EINVAL: no mask; VOLT_ENOMEM: `mask` is unchanged. */
VOLT_MUST_USE volt_status volt_mask_fill_holes(volt_volume *mask);
/* Most that it allocates: at most 3 MiB. */
size_t volt_mask_fill_holes_bytes(int64_t voxels);
/* Smallest box around the ones; the whole volume when there is none, as nnU-Net does. */
volt_box volt_mask_box(const volt_volume *mask, int threads);

/* Reduces `v` (any type, all channels) to `box`, in place; its voxels stay where they are in
 * the world, and the memory that is no longer needed is released. VOLT_EINVAL: the box is empty
 * or exceeds the volume; `v` is unchanged. */
VOLT_MUST_USE volt_status volt_volume_crop_in_place(volt_volume *v, volt_box box);
/* nnU-Net's -1: sets labels (a signed or floating type, one channel) that are 0 where `mask` is
 * 0 to -1. VOLT_EINVAL: type, channels or sizes. */
VOLT_MUST_USE volt_status volt_labels_mark_outside(volt_volume *labels, const volt_volume *mask,
                                                   int threads);

VOLT_END_DECLS
#endif
