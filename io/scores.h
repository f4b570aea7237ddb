/* scores.h - all results of an evaluation, as JSON for programs and CSV for tables.
 *
 * Numbers   are written with the fewest digits that read back the same. Undefined ones are null
 *           in JSON and empty in CSV; infinite ones are null and "inf".
 * Order     of cases: worst mean Dice over the foreground classes first.
 * Files     appear whole or not at all.
 * Threads   different files may be written at the same time.
 */
#ifndef VOLT_IO_SCORES_H
#define VOLT_IO_SCORES_H
#include <stdint.h>
#include "../base/status.h"
#include "../volume/confusion.h"
#include "../volume/metrics.h"
VOLT_BEGIN_DECLS

/* Borrowed for the call. */
typedef struct volt_scores {
    const volt_summary *summary;         /* finished */
    const volt_metrics_options *options; /* with which the cases were scored; NULL = defaults */
    const volt_confusion *confusion;     /* NULL: none */
    uint64_t seed;                       /* of the summary's bootstrap intervals */
} volt_scores;

/* Writes "policy", "nsd_tolerance_mm", "lesion_rule" and "bootstrap" where they apply, "cases";
 * "mean" {class {score {mean, low, high, undefined}}}, "foreground_mean" {score {mean, low,
 * high}}; "worst_first" [{prediction_file, reference_file, Dice, classes {class {score}}}];
 * "confusion" {labels, voxels: rows by the truth}. VOLT_EIO, VOLT_ENOMEM. */
VOLT_CALL volt_scores_write(const char *path, const volt_scores *s);
/* The same as one line of text without spaces; the caller owns *out (volt_free). VOLT_ENOMEM.
 */
VOLT_CALL volt_scores_text(char **out, const volt_scores *s);
/* Writes one row per case and class: case, class, one column per score. VOLT_EIO, VOLT_ENOMEM.
 */
VOLT_CALL volt_scores_write_csv(const char *path, const volt_summary *summary);
/* Writes voxel counts by label of the truth (rows) and of the prediction (columns); the last
 * row and column are "other". VOLT_EIO, VOLT_ENOMEM. */
VOLT_CALL volt_confusion_write_csv(const char *path, const volt_confusion *c);

VOLT_END_DECLS
#endif
