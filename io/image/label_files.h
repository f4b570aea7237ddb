/* label_files.h - what a prediction or an ensemble writes for viewers besides its masks. */
#ifndef VOLT_IO_IMAGE_LABEL_FILES_H
#define VOLT_IO_IMAGE_LABEL_FILES_H
#include "io/label_table.h"
#include "volume/volume.h"

/* Writes the tables among `which` (volt_label_files, or-ed) and creates the folder of the
 * segmentations. VOLT_EIO, VOLT_ENOMEM. */
VOLT_MUST_USE volt_status volt_label_files_create(const char *folder, int which,
                                                  const volt_label_table *names);
/* The same for the mask of one case. */
VOLT_MUST_USE volt_status volt_label_files_mask(const char *folder, int which, const char *id,
                                                const volt_volume *mask,
                                                const volt_label_table *names, int threads);
/* Copies the tables for all masks of a folder, dataset.json among them. VOLT_EIO, VOLT_ENOMEM.
 */
VOLT_MUST_USE volt_status volt_label_files_copy(const char *from, const char *to);

#endif
