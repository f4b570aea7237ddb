/* loss.h - cross-entropy + soft Dice with deep supervision, nnU-Net's by default.
 *
 * Value   weight_ce * E + weight_dice * D, summed over levels with their weights
 * E       softmax: sum w_y (-log p_y) / sum w_y over voxels, y the voxel's label (torch's
 *         weighted mean). Sigmoid: binary cross-entropy per channel, weighted mean over
 *         channels, mean over voxels; with regions AND an ignore label the mean over channels
 *         times their number, as nnU-Net (DC_and_BCE_loss sums them then)
 * D       - sum w_k dice_k / sum w_k over channels and, without batch_dice, the mean over
 *         samples; dice_k = (2 I + s) / max(P + G + s, 1e-8) with s = 1e-5, I = sum p*g,
 *         P = sum p, G = sum g. The background's channel is left out; regions have none
 * Ignored voxels count nowhere. Class weights w are 1 unless given.
 * Levels  weights 1/2^i, the last (coarsest) 0, normalised to sum 1
 */
#ifndef VOLT_NETS3D_LOSS_H
#define VOLT_NETS3D_LOSS_H
#include "program.h"
VOLT_BEGIN_DECLS

/* nnU-Net's defaults for `levels` outputs: labels, softmax, no ignore label. */
VOLT_API volt_loss_options volt_loss_nnunet(int levels, bool batch_dice);

VOLT_END_DECLS
#endif
