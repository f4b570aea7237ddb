/* evaluate.h - the classes that volt evaluate scores. */
#ifndef VOLT_APPS_EVALUATE_H
#define VOLT_APPS_EVALUATE_H
#include "apps/cli/cli.h"
#include "io/evaluate.h"
#include "volume/confusion.h"

/* All owned (evaluate_classes_free). */
typedef struct evaluate_classes {
    volt_region *regions; /* names and labels point into the two below */
    int count;
    char **names;
    int32_t *values; /* the regions' labels, one region after the other */
    int32_t *labels; /* every label, the background too: rows of the confusion matrix */
    int32_t label_count;
    int32_t ignore; /* or VOLT_NO_IGNORE_LABEL */
    char *source;   /* where they are from; NULL: every label that occurs is one */
} evaluate_classes;

/* From `given` (NULL: not given), a dataset.json, a folder with one or a data set; else from
 * the data set or the dataset.json that is nearest to the truth, then to the prediction; else
 * the labels that occur. With --label-map `map` (NULL: not given) the classes are in the
 * numbering of the prediction: its dataset.json comes first, and that of the truth is
 * translated. Logs which. */
volt_status evaluate_find_classes(evaluate_classes *out, const cli *c, const char *given,
                                  const char *map, const volt_mask_pairs *pairs);
void evaluate_classes_free(evaluate_classes *classes);

/* Sets how the truth is numbered: --label-map `map` (NULL: not given), else the thresholds
 * stored with the masks. Without a map, masks and truth whose tables give one name to different
 * values are VOLT_EDATA. */
volt_status evaluate_number_truth(volt_mask_pairs *pairs, const cli *c, const char *map);
/* Refuses values that are neither a label of the classes nor `ignore` from here on. */
volt_status evaluate_expect_labels(volt_mask_pairs *pairs, const evaluate_classes *classes,
                                   int32_t ignore);
/* Warns of labels that lie where the truth has another one: numbered differently, or confused.
 */
void evaluate_warn_of_swaps(const cli *c, const volt_confusion *confusion);

#endif
