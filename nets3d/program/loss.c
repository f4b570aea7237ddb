#include "nets3d/program/loss.h"

volt_loss_options volt_loss_nnunet(int levels, bool batch_dice)
{
    volt_loss_options o = {.weight_ce = 1,
                           .weight_dice = 1,
                           .smooth = 1e-5,
                           .batch_dice = batch_dice,
                           .ignore = -1};
    double sum = 0, weight = 1;

    for (int i = 0; i < levels && i < 16; i++, weight /= 2) {
        o.level_weight[i] = levels > 1 && i == levels - 1 ? 0 : weight;
        sum += o.level_weight[i];
    }
    for (int i = 0; i < levels && i < 16; i++)
        o.level_weight[i] /= sum;
    return o;
}
