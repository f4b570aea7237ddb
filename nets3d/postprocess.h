/* postprocess.h - removes all but the largest component where that helps, as nnU-Net v2.
 *
 * A step keeps only the largest connected component (26 neighbours; all of equally large ones)
 * of the voxels whose label is in a list. The rest becomes background.
 *
 * The search first tries all foreground labels together: the step is taken if the mean Dice
 * over classes rises and no class falls. Then, with more than one class or region, it tries
 * each in the order of dataset.json, after the steps taken so far: a step is taken if the
 * class's own Dice rises. Dice is that of nnU-Net's summary.json; a class that does not occur
 * has no Dice, and comparisons with it are false.
 *
 * The file postprocessing.json has nnU-Net's keys: postprocessing_fns, postprocessing_kwargs
 * (labels_or_regions), and the scores before and after.
 *
 * Threads   calls may run in several threads at once if they write to different folders.
 */
#ifndef VOLT_NETS3D_POSTPROCESS_H
#define VOLT_NETS3D_POSTPROCESS_H
#include <stdbool.h>
#include <stdint.h>
#include "../base/callbacks.h"
#include "../base/status.h"
#include "../io/dataset.h"
#include "../volume/volume.h"
VOLT_BEGIN_DECLS

typedef struct volt_postprocess_step {
    int32_t *label; /* owned by the list */
    int count;
} volt_postprocess_step;

/* In the order of application. Zero-initialized is none. */
typedef struct volt_postprocess {
    volt_postprocess_step *step;
    int count;
} volt_postprocess;
VOLT_API void volt_postprocess_clear(volt_postprocess *p);

/* Applies all steps to `labels` (one channel, an integer type of at most 32 bits). VOLT_EINVAL,
 * VOLT_ENOMEM. */
VOLT_CALL volt_postprocess_apply(volt_volume *labels, const volt_postprocess *p, int threads);

/* A candidate of the search. */
typedef struct volt_postprocess_trial {
    char *name;           /* "all foreground", or the class or region; owned */
    double before, after; /* mean Dice of all classes, or of that class */
    bool taken;
} volt_postprocess_trial;

typedef struct volt_postprocess_result {
    volt_postprocess steps;
    volt_postprocess_trial *trial;
    int trials;
    int64_t cases;
    double before, after; /* mean Dice over the classes */
} volt_postprocess_result;
VOLT_API void volt_postprocess_result_clear(volt_postprocess_result *r);

/* Finds the steps for the masks of folder `predictions`, each scored against the mask with the
 * same name in `truth`. Writes `predictions`/summary.json, `predictions`/postprocessing.json
 * and the processed masks with their summary.json in `predictions`/postprocessed. The caller
 * owns what *out holds (volt_postprocess_result_clear). Progress: "cases". VOLT_EDATA: a mask
 * without ground truth, no masks, sizes that differ; VOLT_EIO. */
VOLT_CALL volt_postprocess_find(volt_postprocess_result *out, const char *predictions,
                                const char *truth, const volt_dataset_info *info, int threads,
                                const volt_callbacks *cb);
/* Reads postprocessing.json (VOLT's or nnU-Net's). The caller owns what *out holds
 * (volt_postprocess_clear). VOLT_EIO, VOLT_EFORMAT; VOLT_ENOTSUP: another function. */
VOLT_CALL volt_postprocess_read(volt_postprocess *out, const char *path);
/* Applies the steps to every mask of folder `from` and writes the results to folder `to`
 * (created), with the names of their labels and the dataset.json of `from`. *cases (NULL
 * allowed): their number. Progress: "cases". VOLT_EDATA: no masks; VOLT_EIO. */
VOLT_CALL volt_postprocess_folder(int64_t *cases, const char *from, const char *to,
                                  const volt_postprocess *p, int threads,
                                  const volt_callbacks *cb);

VOLT_END_DECLS
#endif
