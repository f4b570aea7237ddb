/* names.h - formats of file names, and the scans of a folder.
 *
 * The ending decides the format, here and nowhere else.
 */
#ifndef VOLT_IO_IMAGE_NAMES_H
#define VOLT_IO_IMAGE_NAMES_H
#include <stdbool.h>
#include "base/status.h"
#include "base/system/file.h"

typedef enum volt_image_format_id {
    VOLT_FORMAT_NIFTI,
    VOLT_FORMAT_PNG,
    VOLT_FORMAT_BMP,
    VOLT_FORMAT_GIF,
    VOLT_FORMAT_JPEG,
    VOLT_FORMAT_ITK,
    VOLT_FORMATS
} volt_image_format_id;

typedef struct volt_image_rule {
    const char *ending;
    volt_image_format_id format;
    bool picture; /* has no spatial metadata */
    bool masks;   /* can be written, without loss */
} volt_image_rule;

/* The rule for the ending of `path`, in any case; NULL: no known ending. */
const volt_image_rule *volt_image_rule_of(const char *path);

/* The known ending (".nii.gz", ".nrrd", ...), a part of `name`; "" when it has none. */
const char *volt_image_ending(const char *name);
/* True for the names of pictures (PNG, TIFF, JPEG, BMP, GIF), which have no spatial metadata.
 */
bool volt_image_is_picture(const char *path);
/* True when masks can be written under this ending without loss. */
bool volt_image_holds_masks(const char *ending);

/* The scans in `folder`, sorted, without hidden files (names that start with a dot); pictures
 * only where there is nothing else. VOLT_EIO, VOLT_ENOMEM. */
VOLT_MUST_USE volt_status volt_image_list(volt_names *out, const char *folder);
/* FOLDER/ID.* with the first ending under which masks are written; *out is NULL when there is
 * no such file. The caller owns *out. VOLT_ENOMEM. */
VOLT_MUST_USE volt_status volt_image_find(char **out, const char *folder, const char *id);

#endif
