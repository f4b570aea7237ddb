/* import_zip.h - models in zip archives: what nnUNetv2_export_model_to_zip writes, and MONAI
 * bundles.
 *
 * The archive is untrusted (io/archive/zip.h). Only the files that an import reads are
 * unpacked, as plain files; links are refused, and so is more than the disk holds.
 */
#ifndef VOLT_NETS3D_INTEROP_IMPORT_ZIP_H
#define VOLT_NETS3D_INTEROP_IMPORT_ZIP_H
#include <stdbool.h>
#include "base/callbacks.h"
#include "base/status.h"
#include "nets3d/import_model.h"
VOLT_BEGIN_DECLS

/* *is: `path` is a zip archive other than one of torch's. VOLT_EIO, VOLT_EFORMAT. */
VOLT_MUST_USE volt_status volt_import_is_zip(bool *is, const char *path);
/* Unpacks the model in `zip` into the folder `to`, which is created. *model (owned) is the
 * model's folder. VOLT_EFORMAT: no model, or a link; VOLT_EINVAL: several models of which
 * options->configuration does not choose one; VOLT_EIO: not enough room. */
VOLT_MUST_USE volt_status volt_import_unzip(char **model, const char *zip, const char *to,
                                            const volt_model_import_options *options);

/* While it is active, messages name files in the archive instead of unpacked ones. */
typedef struct volt_import_names {
    const char *from, *to; /* "RUN.tmp.x/unpacked", "model.zip" */
    const volt_callbacks *inner;
    volt_callbacks outer; /* to be passed on */
} volt_import_names;
void volt_import_names_begin(volt_import_names *n, const char *from, const char *to,
                             const volt_callbacks *inner);
/* Rewrites this thread's last sentence. */
void volt_import_names_fix_error(const volt_import_names *n);

VOLT_END_DECLS
#endif
