/* prior_mask.h - changes of the mask that a cascade's previous stage made. Private to
 * augment.c.
 */
#ifndef VOLT_VOLUME_AUGMENT_PRIOR_MASK_H
#define VOLT_VOLUME_AUGMENT_PRIOR_MASK_H
#include "volume/augment.h"

/* Scratch for a patch, 16-byte aligned; the map of the patch is part of it. */
size_t augment_previous_bytes(const int64_t patch[3]);
int16_t *augment_previous_map(void *scratch, const int64_t patch[3]);

/* Applies the draw's operators and removals to `map` (D, H, W), the map in `scratch`. What is
 * no label of the rules becomes 0 first. */
void augment_previous(int16_t *map, const int64_t patch[3], const volt_augment_rules *rules,
                      const volt_augment_draw *draw, void *scratch);

#endif
