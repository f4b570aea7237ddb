/* bundle.h - MONAI bundles of UNet and DynUNet, read as data.
 *
 * Folder    configs/metadata.json, configs/inference.json (or .yaml, .yml), models/model.pt.
 * Network   "network_def" with MONAI's class and the arguments of its constructor.
 * Pipeline  the transforms of "preprocessing" become spacing, orientation and normalization of
 *           a plan; those without a counterpart are refused by name. The window of "inferer" is
 *           the patch, the activation in "postprocessing" decides between softmax and sigmoid.
 * Values    "@key", "@key#sub" and "@key::sub" refer to other values of the file. Of Python's
 *           expressions ("$...") only references and literals of numbers, None, True, False,
 *           tuples and lists are read; nothing is executed.
 * Axes      MONAI's arrays are (x, y, z): the plan's axes d, h, w are x, y, z.
 */
#ifndef VOLT_NETS3D_INTEROP_BUNDLE_H
#define VOLT_NETS3D_INTEROP_BUNDLE_H
#include <stdbool.h>
#include "base/callbacks.h"
#include "base/status.h"
VOLT_BEGIN_DECLS

/* Everything is owned (volt_bundle_clear). */
typedef struct volt_bundle {
    char *inference;       /* path of the inference config, for messages */
    char *weights;         /* path of models/model.pt */
    char *plans, *dataset; /* nnU-Net's JSON documents that describe the same */
} volt_bundle;

/* True when the folder has a bundle's configs/metadata.json. */
bool volt_bundle_is(const char *folder);
/* Reads `folder`; logs what was mapped and what VOLT does differently. VOLT_EIO; VOLT_EFORMAT
 * names file, key and value; VOLT_ENOTSUP: a network, transform or expression, by name. */
VOLT_MUST_USE volt_status volt_bundle_read(volt_bundle *out, const char *folder,
                                           const volt_callbacks *cb);
void volt_bundle_clear(volt_bundle *b);

VOLT_END_DECLS
#endif
