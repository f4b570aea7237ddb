/* postprocess.h - removing all but the largest component, where that helps, as nnU-Net v2.
 *
 * Step     of the voxels whose label is in a list, only the largest connected component stays
 *          (26 neighbours; all of equally large ones), the rest becomes background.
 * Finding  the first candidate is all foreground labels together: it is taken when the mean
 * Dice over classes rises and no class falls. Then, with more than one class or region, each in
 * the order of dataset.json, on top of what was taken: taken when its own Dice rises. Dice as
 * nnU-Net's summary.json; a class that is nowhere has no Dice, and comparisons with that are
 * false. File     postprocessing.json, nnU-Net's keys: postprocessing_fns,
 * postprocessing_kwargs (labels_or_regions), and the scores before and after.
 */
#ifndef VOLT_NETS3D_POSTPROCESS_H
#define VOLT_NETS3D_POSTPROCESS_H
#include <stdint.h>
#include "../base/callbacks.h"
#include "../base/status.h"
#include "../io/dataset.h"
#include "../volume/metrics.h"
#include "../volume/volume.h"
VOLT_BEGIN_DECLS

typedef struct volt_postprocess_step {
    int32_t *label; /* owned by the list */
    int count;
} volt_postprocess_step;

/* In the order of application. Zero-initialised is none. */
typedef struct volt_postprocess {
    volt_postprocess_step *step;
    int count;
} volt_postprocess;
VOLT_API void volt_postprocess_clear(volt_postprocess *p);

/* Applies all steps to `labels` (one channel, an integer type of at most 32 bits). VOLT_EINVAL,
 * VOLT_ENOMEM. */
VOLT_CALL volt_postprocess_apply(volt_volume *labels, const volt_postprocess *p, int threads);

/* Scores the masks of folder `predictions`, each with its namesake in `truth`, after `steps`
 * (NULL = as they are) were applied, for the classes of `info`: nnU-Net's counts and Dice, no
 * surface metrics. The caller owns *out (volt_summary_free). Progress: "cases". VOLT_EDATA: a
 * mask without truth, no masks, sizes that differ; VOLT_EIO. */
VOLT_CALL volt_postprocess_score(volt_summary **out, const char *predictions, const char *truth,
                                 const volt_dataset_info *info, const volt_postprocess *steps,
                                 int threads, const volt_callbacks *cb);

/* What happened to a candidate. */
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

/* Finds the steps for the masks of folder `predictions` (each with its namesake in `truth`),
 * writes `predictions`/summary.json, `predictions`/postprocessing.json and the processed masks
 * with their summary.json into `predictions`/postprocessed. The caller owns what *out holds.
 * Progress: "cases". VOLT_EDATA: a mask without truth, no masks, sizes that differ; VOLT_EIO.
 */
VOLT_CALL volt_postprocess_find(volt_postprocess_result *out, const char *predictions,
                                const char *truth, const volt_dataset_info *info, int threads,
                                const volt_callbacks *cb);
/* Reads postprocessing.json (VOLT's or nnU-Net's). VOLT_EIO, VOLT_EFORMAT; VOLT_ENOTSUP: a
 * function other than the one above. The caller owns what *out holds. */
VOLT_CALL volt_postprocess_read(volt_postprocess *out, const char *path);
/* Applies the steps to every mask of folder `from` and writes them to folder `to` (created).
 * `cases` (NULL allowed) gets their number. Progress: "cases". */
VOLT_CALL volt_postprocess_folder(int64_t *cases, const char *from, const char *to,
                                  const volt_postprocess *p, int threads,
                                  const volt_callbacks *cb);

VOLT_END_DECLS
#endif
