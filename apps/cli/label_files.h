/* label_files.h - the option --label-files of the commands that write masks. */
#ifndef VOLT_APPS_LABEL_FILES_H
#define VOLT_APPS_LABEL_FILES_H
#include "apps/cli/cli.h"

/* clang-format off */
#define CLI_LABEL_FILES_OPTION(type, field) \
    {"--label-files", 0, CLI_TEXT, offsetof(type, field), "snap,ctbl,seg-nrrd", NULL, 0, 0, \
     "for viewers, any of: snap (labels.label, ITK-SNAP), ctbl (labels.ctbl, 3D Slicer), " \
     "seg-nrrd (segmentations/CASE.seg.nrrd, 3D Slicer)"}
/* clang-format on */

/* volt_label_files, or-ed; `text` may be NULL. VOLT_EINVAL names the word. */
volt_status cli_label_files(int *out, const char *text);

#endif
