/* loss.h - nnU-Net's loss: CE + soft Dice with deep supervision.
 *
 *   CE    mean over voxels (not ignored) of -log softmax(label)
 *   Dice  per foreground class (2 I + s) / max(P + G + s, 1e-8) with s = 1e-5, I = sum p*g,
 *         P = sum p, G = sum g, over the batch (batch_dice) or per sample; value -mean
 *   level weights 1/2^i, the last (coarsest) 0, normalised to sum 1
 */
#ifndef VOLT_NETS3D_LOSS_H
#define VOLT_NETS3D_LOSS_H
#include "nets3d/program.h"
VOLT_BEGIN_DECLS

/* nnU-Net's defaults for `levels` outputs. */
VOLT_API volt_loss_options volt_loss_nnunet(int levels, bool batch_dice);

VOLT_END_DECLS
#endif
