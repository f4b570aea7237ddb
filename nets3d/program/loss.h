/* loss.h - nnU-Net's loss: cross-entropy + soft Dice with deep supervision. The formulas are
 * in nets3d/program.h.
 */
#ifndef VOLT_NETS3D_PROGRAM_LOSS_H
#define VOLT_NETS3D_PROGRAM_LOSS_H
#include "nets3d/program.h"
VOLT_BEGIN_DECLS

/* nnU-Net's defaults for `levels` outputs: labels, softmax, no ignore label. Levels weigh
 * 1/2^i, the last (coarsest) 0, normalized to sum 1. */
volt_loss_options volt_loss_nnunet(int levels, bool batch_dice);

VOLT_END_DECLS
#endif
