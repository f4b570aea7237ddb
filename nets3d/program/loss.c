#include "nets3d/program/loss.h"

#include "base/core/options.h"

void volt_loss_options_init(volt_loss_options *o, size_t size)
{
    const volt_loss_options defaults = {.weight_ce = 1,
                                        .weight_dice = 1,
                                        .smooth = 1e-5,
                                        .ignore = VOLT_NO_IGNORE_LABEL,
                                        .level_weight = {1}};

    volt_options_init(o, size, &defaults, sizeof defaults);
}

volt_loss_options volt_loss_nnunet(int levels, bool batch_dice)
{
    volt_loss_options o = volt_loss_defaults();
    double sum = 0, weight = 1;

    o.batch_dice = batch_dice;
    for (int i = 0; i < levels && i < 16; i++, weight /= 2) {
        o.level_weight[i] = levels > 1 && i == levels - 1 ? 0 : weight;
        sum += o.level_weight[i];
    }
    for (int i = 0; i < levels && i < 16; i++)
        o.level_weight[i] /= sum;
    return o;
}
