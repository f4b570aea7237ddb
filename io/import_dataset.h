/* import_dataset.h - any data set that volt_dataset_open takes, written as nnU-Net raw. */
#ifndef VOLT_IO_IMPORT_DATASET_H
#define VOLT_IO_IMPORT_DATASET_H
#include "../base/callbacks.h"
#include "dataset.h"
VOLT_BEGIN_DECLS

typedef struct volt_dataset_import_options {
    size_t size; /* set by volt_dataset_import_defaults() */
    bool copy;   /* copies where symbolic links (to absolute paths) would do */
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
    int64_t taken;        /* files linked or copied as they are */
    int64_t written;      /* files made anew */
} volt_dataset_import_result;

/* Writes imagesTr, labelsTr, imagesTs (where there are cases to predict) and, last of all,
 * dataset.json into `folder`, which is created: until that file is there nothing takes the
 * folder for a data set, and the same import may run again to finish it. A file that already is
 * what nnU-Net raw wants is linked or copied; written anew are channels of 4-D files, channels
 * to be resampled, files whose ending is not the common one, and labels that are numbered
 * otherwise than in training, grey, stored as fractions, or not on their image's grid. Masks of
 * `folder`'s networks are in the numbering of training. Orientations stay as they are.
 * VOLT_EINVAL: `folder` holds a data set or other files; VOLT_EDATA, VOLT_EFORMAT, VOLT_EIO
 * name the file; VOLT_ECANCELLED. `result` may be NULL. */
VOLT_CALL volt_dataset_import(const volt_dataset *ds, const char *folder,
                              const volt_dataset_import_options *options,
                              volt_dataset_import_result *result);

VOLT_END_DECLS
#endif
