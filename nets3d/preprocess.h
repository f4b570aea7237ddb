/* preprocess.h - from a scan to what the network sees, as nnU-Net v2's DefaultPreprocessor.
 *
 * Order: float32, transpose_forward, crop to the non-zero region, normalise, resample image and
 * labels to the configuration's spacing, collect where each class lies.
 */
#ifndef VOLT_NETS3D_PREPROCESS_H
#define VOLT_NETS3D_PREPROCESS_H
#include <stdint.h>
#include "../base/callbacks.h"
#include "../base/status.h"
#include "../io/case_store.h"
#include "../io/dataset.h"
#include "plan.h"
#include "../volume/box.h"
#include "../volume/volume.h"
VOLT_BEGIN_DECLS

/* One prepared scan and all that is needed to bring a result back to the scan's own grid:
 * resample to the crop's shape, paste into `crop` of an empty volume of shape_before_crop,
 * transpose back, on `source`. Axes d, h, w are the transposed ones. */
typedef struct volt_preprocessed {
    volt_volume *image;  /* float32, (C, D, H, W); its grid is the resampled, transposed one */
    volt_volume *labels; /* int8 or int16, (1, D, H, W); -1 outside the non-zero mask. NULL when
                          * none were given */
    volt_grid source;    /* the scan's */
    int transpose_forward[3]; /* source axis (0 z, 1 y, 2 x) of d, h, w */
    int64_t shape_before_crop[3];
    volt_box crop;
    double spacing_before[3]; /* mm along d, h, w, before resampling */
    double spacing[3];        /* after */
} volt_preprocessed;
VOLT_API void volt_preprocessed_clear(volt_preprocessed *p);

/* Prepares one scan. *image (float32) and *labels (int16; NULL or pointing to NULL: none) are
 * taken: freed as soon as they are no longer needed and set to NULL, also on failure. The
 * caller owns what *out holds. `what` (a case's name) starts messages. VOLT_EDATA: channels
 * that do not match the plan, NaN or infinite voxels; VOLT_ENOMEM. Same bits for any thread
 * count. */
VOLT_CALL volt_preprocess_case(volt_preprocessed *out, volt_volume **image,
                               volt_volume **labels, const volt_plan *plan,
                               const volt_plan_config *config, const char *what, int threads);

/* Puts one-hot masks of p->labels' values 1 .. classes - 1 after the image's channels, as a
 * cascade's second network sees them, and frees the labels. VOLT_ENOMEM: `p` is unchanged. */
VOLT_CALL volt_preprocessed_add_masks(volt_preprocessed *p, int classes, int threads);

/* Brings a mask on the scan's own grid (the prediction of a cascade's previous stage) to the
 * prepared one: *mask (int16, taken: NULL on failure) becomes int8 or int16 labels from 0 to
 * classes - 1 with extents `shape`. `frame` is how the scan was prepared (its voxels are not
 * used), `what` starts messages. VOLT_EDATA: another number of voxels, a label that is none of
 * the classes; VOLT_ENOMEM. */
VOLT_CALL volt_preprocess_mask(volt_volume **mask, const volt_preprocessed *frame,
                               const int64_t shape[3], const volt_plan_config *config,
                               int classes, const char *what, int threads);

typedef struct volt_preprocess_result {
    int64_t cases, made, kept; /* kept: finished earlier from the same plan and files */
} volt_preprocess_result;

typedef struct volt_preprocess_options {
    int threads;    /* 0 = default */
    bool overwrite; /* also those that are finished */
    const volt_callbacks *callbacks;
} volt_preprocess_options;

/* Prepares every case of `ds` into FOLDER/CASE.voltcase (FOLDER is created), in parallel over
 * as many cases as memory allows. A case whose file is whole and was made from the same plan
 * and the same image and label files (path, size, time of change) is kept, so an interrupted
 * run is continued by the next. Fails with the first failing case's error; files of finished
 * cases stay. VOLT_ECANCELLED. `result` may be NULL. */
VOLT_CALL volt_preprocess(volt_preprocess_result *result, const char *folder,
                          const volt_dataset *ds, const volt_plan *plan,
                          const volt_plan_config *config,
                          const volt_preprocess_options *options);
/* FOLDER/CASE.voltcase; the caller owns *out (volt_free). */
VOLT_CALL volt_preprocessed_path(char **out, const char *folder, const char *case_id);

/* What of `plan` decides the preprocessed voxels, as a hash. */
VOLT_API uint64_t volt_preprocess_hash(const volt_plan *plan, const volt_plan_config *config);

VOLT_END_DECLS
#endif
