/* import_dataset.h - conversion of data sets in any supported layout to nnU-Net raw.
 *
 * Threads   different target folders may be written at the same time; a target has one writer.
 */
#ifndef VOLT_IO_IMPORT_DATASET_H
#define VOLT_IO_IMPORT_DATASET_H
#include "../base/callbacks.h"
#include "dataset.h"
VOLT_BEGIN_DECLS

typedef struct volt_dataset_import_options {
    size_t size; /* set by volt_dataset_import_defaults() */
    bool copy;   /* copy files that could be symbolic links (to absolute paths) */
    int threads; /* 0 = default */
    const volt_callbacks *callbacks;
} volt_dataset_import_options;
/* For other languages: fills in the defaults, links and default threads. */
VOLT_API void volt_dataset_import_options_init(volt_dataset_import_options *o, size_t size);
static inline volt_dataset_import_options volt_dataset_import_defaults(void)
{
    volt_dataset_import_options o;

    volt_dataset_import_options_init(&o, sizeof o);
    return o;
}

typedef struct volt_dataset_import_result {
    int64_t cases, tests; /* with labels, in imagesTr; without, in imagesTs */
    int64_t taken;        /* files linked or copied unchanged */
    int64_t written;      /* files converted */
} volt_dataset_import_result;

/* Writes imagesTr, labelsTr, imagesTs (if there are cases to predict) and, last of all,
 * dataset.json into `folder`, which is created. Until dataset.json exists nothing takes the
 * folder for a data set, and running the same import again completes it. Files that nnU-Net raw
 * can use are linked or copied; converted are channels of 4-D files, channels to be resampled,
 * files with another ending than the common one, and labels that have other values than in
 * training, hold grey values, are stored as floats, or are not on their image's grid. Networks
 * trained on `folder` predict masks in the label values of training. Orientations are kept.
 * `options` NULL: the defaults; `result` may be NULL. VOLT_EDATA: `folder` holds other files;
 * VOLT_EDATA, VOLT_EFORMAT, VOLT_EIO name the file; VOLT_ECANCELLED. */
VOLT_CALL volt_dataset_import(const volt_dataset *ds, const char *folder,
                              const volt_dataset_import_options *options,
                              volt_dataset_import_result *result);

VOLT_END_DECLS
#endif
