/* seg_nrrd.h - masks as 3D Slicer's segmentations: NRRD with the fields of each segment. */
#ifndef VOLT_IO_IMAGE_SEG_NRRD_H
#define VOLT_IO_IMAGE_SEG_NRRD_H
#include <stdbool.h>
#include "io/image.h"

/* True for names that end in .seg.nrrd, in any case. */
bool volt_is_seg_nrrd(const char *path);
/* As volt_image_write; masks of other types than uint8 and uint16 as with `options->labels`.
 * Labels that options->names does not name become
 * segments "label VALUE". VOLT_EINVAL: more than one channel, labels that are not integers. */
VOLT_MUST_USE volt_status volt_seg_nrrd_write(const char *path, const volt_volume *volume,
                                              const volt_image_write_options *options);

#endif
