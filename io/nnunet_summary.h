/* nnunet_summary.h - scores of a set of cases as nnU-Net's summary.json.
 *
 * Keys      foreground_mean, mean {class}, metric_per_case [{metrics {class}, prediction_file,
 *           reference_file}], sorted; Dice, FN, FP, IoU, TN, TP, n_pred, n_ref for each class,
 *           which is named as nnU-Net does: "1", "(1, 2, 3)". The file equals nnU-Net v2's to
 *           the byte when it scores the same masks and empty ones by its rule
 *           (VOLT_EMPTY_NNUNET). Other scores: io/scores.h.
 * Undefined values are written as NaN, as Python's json does and nnU-Net reads.
 */
#ifndef VOLT_IO_NNUNET_SUMMARY_H
#define VOLT_IO_NNUNET_SUMMARY_H
#include "../base/status.h"
#include "../volume/metrics.h"
VOLT_BEGIN_DECLS

/* Writes `path`, whole or not at all. VOLT_EIO, VOLT_ENOMEM. */
VOLT_CALL volt_summary_write(const char *path, const volt_summary *summary);

VOLT_END_DECLS
#endif
