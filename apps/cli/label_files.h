/* label_files.h - label maps: the option --label-files, and files that say what they are. */
#ifndef VOLT_APPS_LABEL_FILES_H
#define VOLT_APPS_LABEL_FILES_H
#include "apps/cli/cli.h"
#include "io/image.h"

/* clang-format off */
#define CLI_LABEL_FILES_OPTION(type, field) \
    {"--label-files", 0, CLI_TEXT, offsetof(type, field), "snap,ctbl,seg-nrrd", NULL, 0, 0, \
     "for viewers, any of: snap (labels.label, ITK-SNAP), ctbl (labels.ctbl, 3D Slicer), " \
     "seg-nrrd (segmentations/CASE.seg.nrrd, 3D Slicer)"}
/* clang-format on */

/* volt_label_files, or-ed; `text` may be NULL. VOLT_EINVAL names the word. */
volt_status cli_label_files(int *out, const char *text);
/* Whether the file says itself that it is a label map: by NIfTI's intent code, its own table of
 * labels, or one for its folder that names all its values. VOLT_ENOMEM. */
volt_status cli_declares_mask(bool *out, const volt_volume *v, const volt_image_header *h,
                              const char *path);

#endif
