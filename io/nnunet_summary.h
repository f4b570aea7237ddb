/* nnunet_summary.h - the scores of a set of cases as nnU-Net's summary.json.
 *
 * Keys      foreground_mean, mean {class}, metric_per_case [{metrics {class}, prediction_file,
 *           reference_file}], sorted; Dice, FN, FP, IoU, TN, TP, n_pred, n_ref for each class,
 *           named as in nnU-Net: "1", "(1, 2, 3)". The file equals nnU-Net v2's byte for byte
 *           when it scores the same masks and uses its rule for empty ones (VOLT_EMPTY_NNUNET).
 *           scores.h writes the other scores.
 * Undefined values are written as NaN, as Python's json does and nnU-Net reads.
 * Threads   different files may be written at the same time.
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
