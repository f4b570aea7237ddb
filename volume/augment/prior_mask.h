/* prior_mask.h - changes of a cascade's prior mask, the segmentation of the previous stage. */
#ifndef VOLT_VOLUME_AUGMENT_PRIOR_MASK_H
#define VOLT_VOLUME_AUGMENT_PRIOR_MASK_H
#include "volume/augment.h"

/* Scratch memory for a patch, 16-byte aligned; the map of the patch is part of it. */
size_t augment_prior_mask_bytes(const int64_t patch[3]);
int16_t *augment_prior_mask_map(void *scratch, const int64_t patch[3]);

/* Applies the draw's operators and removals to `map` (D, H, W), which is the map in `scratch`.
 * Values that are not labels of the rules become 0 first. */
void augment_prior_mask(int16_t *map, const int64_t patch[3], const volt_augment_rules *rules,
                        const volt_augment_draw *draw, void *scratch);

#endif
