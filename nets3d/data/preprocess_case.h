/* preprocess_case.h - preprocessing of one scan to the network's input.
 *
 * For the order of steps see nets3d/preprocess.h.
 */
#ifndef VOLT_NETS3D_DATA_PREPROCESS_CASE_H
#define VOLT_NETS3D_DATA_PREPROCESS_CASE_H
#include <stdint.h>
#include "base/status.h"
#include "nets3d/plan.h"
#include "volume/box.h"
#include "volume/volume.h"
VOLT_BEGIN_DECLS

/* A preprocessed scan and everything needed to bring a result back to the scan's own grid:
 * resample to the crop's shape, paste into `crop` of an empty volume of shape_before_crop,
 * transpose back to the grid `source`. Axes d, h, w are the transposed ones. */
typedef struct volt_preprocessed {
    volt_volume *image;  /* float32, (C, D, H, W); its grid is the resampled, transposed one */
    volt_volume *labels; /* int8 or int16, (1, D, H, W); -1 outside the non-zero mask. NULL if
                          * none were given */
    volt_grid source;    /* the scan's */
    int transpose_forward[3]; /* source axis (0 z, 1 y, 2 x) of d, h, w */
    int64_t shape_before_crop[3];
    volt_box crop;
    double spacing_before[3]; /* mm along d, h, w, before resampling */
    double spacing[3];        /* after */
} volt_preprocessed;
void volt_preprocessed_clear(volt_preprocessed *p);

/* Preprocesses one scan. *image (float32) and *labels (int16; NULL or pointing to NULL: none)
 * are taken: freed as soon as they are no longer needed and set to NULL, also on failure. The
 * caller owns what *out holds. Messages start with `what` (a case's name). VOLT_EDATA: channels
 * that do not match the plan, NaN or infinite voxels; VOLT_ENOMEM. Same bits for any number of
 * threads. */
VOLT_MUST_USE volt_status volt_preprocess_case(volt_preprocessed *out, volt_volume **image,
                                               volt_volume **labels, const volt_plan *plan,
                                               const volt_plan_config *config, const char *what,
                                               int threads);

/* Appends one-hot masks of p->labels' values 1 .. classes - 1 to the image's channels, as a
 * cascade's second network takes them, and frees the labels. VOLT_ENOMEM: `p` is unchanged. */
VOLT_MUST_USE volt_status volt_preprocessed_add_masks(volt_preprocessed *p, int classes,
                                                      int threads);

/* Brings a prior mask on the scan's own grid to the preprocessed one: *mask (int16, taken: NULL
 * on failure) becomes int8 or int16 labels from 0 to classes - 1 with extents `shape`. `frame`:
 * how the scan was preprocessed (its voxels are not used). Messages start with `what`.
 * VOLT_EDATA: another number of voxels, a label that is not one of the classes; VOLT_ENOMEM. */
VOLT_MUST_USE volt_status volt_preprocess_mask(volt_volume **mask,
                                               const volt_preprocessed *frame,
                                               const int64_t shape[3],
                                               const volt_plan_config *config, int classes,
                                               const char *what, int threads);

/* FOLDER/CASE.voltcase; the caller owns *out (volt_free). */
VOLT_MUST_USE volt_status volt_preprocessed_path(char **out, const char *folder,
                                                 const char *case_id);

VOLT_END_DECLS
#endif
