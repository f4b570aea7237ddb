/* MONAI's DynUNet is nnU-Net's plain U-Net under other names, as long as all levels have the
 * same kernel: its decoder takes each level's from the level below. */
#include <stdio.h>

#include "nets3d/models/unet.h"

/* One block of two convolutions with their norms. DynUNet's convolutions have no bias. */
static volt_status map_block(const volt_name_rules *rules, const char *ours, const char *theirs)
{
    char to[160], from[160];
    volt_status st = VOLT_OK;

    for (int i = 0; i < 2 && st == VOLT_OK; i++) {
        snprintf(to, sizeof to, "%s.convs.%d.conv.bias", ours, i);
        VOLT_TRY(st, done, rules->add(rules->map, to, "=0"));
        snprintf(to, sizeof to, "%s.convs.%d.conv.*", ours, i);
        snprintf(from, sizeof from, "%s.conv%d.conv.*", theirs, i + 1);
        VOLT_TRY(st, done, rules->add(rules->map, to, from));
        snprintf(to, sizeof to, "%s.convs.%d.norm.*", ours, i);
        snprintf(from, sizeof from, "%s.norm%d.*", theirs, i + 1);
        VOLT_TRY(st, done, rules->add(rules->map, to, from));
    }
done:
    return st;
}

static volt_status map_encoder(const volt_name_rules *rules, int stages)
{
    char ours[64], theirs[64];
    volt_status st = VOLT_OK;

    for (int s = 0; s < stages && st == VOLT_OK; s++) {
        snprintf(ours, sizeof ours, "encoder.stages.%d.0", s);
        if (s == 0)
            snprintf(theirs, sizeof theirs, "input_block");
        else if (s == stages - 1)
            snprintf(theirs, sizeof theirs, "bottleneck");
        else
            snprintf(theirs, sizeof theirs, "downsamples.%d", s - 1);
        st = map_block(rules, ours, theirs);
    }
    return st;
}

/* Decoder step `d`, 0 the lowest. Output layers other than the finest are trained with deep
 * supervision only and never used in prediction. */
static volt_status map_decoder_step(const volt_name_rules *rules, int d, int steps)
{
    char ours[96], theirs[96];
    volt_status st;

    snprintf(ours, sizeof ours, "decoder.stages.%d", d);
    snprintf(theirs, sizeof theirs, "upsamples.%d.conv_block", d);
    VOLT_TRY(st, done, map_block(rules, ours, theirs));
    snprintf(ours, sizeof ours, "decoder.transpconvs.%d.bias", d);
    VOLT_TRY(st, done, rules->add(rules->map, ours, "=0"));
    snprintf(ours, sizeof ours, "decoder.transpconvs.%d.*", d);
    snprintf(theirs, sizeof theirs, "upsamples.%d.transp_conv.conv.*", d);
    VOLT_TRY(st, done, rules->add(rules->map, ours, theirs));
    snprintf(ours, sizeof ours, "decoder.seg_layers.%d.*", d);
    if (d == steps - 1) {
        st = rules->add(rules->map, ours, "output_block.conv.conv.*");
    } else {
        st = rules->add(rules->map, ours, "=0");
    }
done:
    return st;
}

static volt_status dynunet_rules(const volt_network *net, const volt_name_rules *rules)
{
    const int stages = volt_network_stage_count(net);
    volt_status st;

    VOLT_TRY(st, done, map_encoder(rules, stages));
    for (int d = 0; d < stages - 1; d++)
        VOLT_TRY(st, done, map_decoder_step(rules, d, stages - 1));
done:
    return st;
}

static const char *const present[] = {"input_block.conv1.conv.weight",
                                      "bottleneck.conv1.conv.weight", NULL};

const volt_foreign_names volt_unet_dynunet_names = {
    .title = "MONAI's DynUNet", .present = present, .rules = dynunet_rules};
