/* MONAI's DynUNet is nnU-Net's plain U-Net under other names, as long as all levels have the
 * same kernel: its decoder takes each level's from the level below. */
#include <stdio.h>

#include "nets3d/interop/import_internal.h"

bool volt_dynunet_is(const volt_weights *w)
{
    return volt_weights_find(w, "input_block.conv1.conv.weight") >= 0 &&
           volt_weights_find(w, "bottleneck.conv1.conv.weight") >= 0;
}

/* One block of two convolutions with their norms. DynUNet's convolutions have no bias. */
static volt_status map_block(volt_name_map *map, const char *ours, const char *theirs)
{
    char to[160], from[160];
    volt_status st = VOLT_OK;

    for (int i = 0; i < 2 && st == VOLT_OK; i++) {
        snprintf(to, sizeof to, "%s.convs.%d.conv.bias", ours, i);
        VOLT_TRY(st, done, volt_name_map_add(map, to, "=0"));
        snprintf(to, sizeof to, "%s.convs.%d.conv.*", ours, i);
        snprintf(from, sizeof from, "%s.conv%d.conv.*", theirs, i + 1);
        VOLT_TRY(st, done, volt_name_map_add(map, to, from));
        snprintf(to, sizeof to, "%s.convs.%d.norm.*", ours, i);
        snprintf(from, sizeof from, "%s.norm%d.*", theirs, i + 1);
        VOLT_TRY(st, done, volt_name_map_add(map, to, from));
    }
done:
    return st;
}

static volt_status map_encoder(volt_name_map *map, int stages)
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
        st = map_block(map, ours, theirs);
    }
    return st;
}

/* Decoder step `d`, 0 the lowest. Output layers other than the finest are trained with deep
 * supervision only and never used in prediction. */
static volt_status map_decoder_step(volt_name_map *map, int d, int steps)
{
    char ours[96], theirs[96];
    volt_status st;

    snprintf(ours, sizeof ours, "decoder.stages.%d", d);
    snprintf(theirs, sizeof theirs, "upsamples.%d.conv_block", d);
    VOLT_TRY(st, done, map_block(map, ours, theirs));
    snprintf(ours, sizeof ours, "decoder.transpconvs.%d.bias", d);
    VOLT_TRY(st, done, volt_name_map_add(map, ours, "=0"));
    snprintf(ours, sizeof ours, "decoder.transpconvs.%d.*", d);
    snprintf(theirs, sizeof theirs, "upsamples.%d.transp_conv.conv.*", d);
    VOLT_TRY(st, done, volt_name_map_add(map, ours, theirs));
    snprintf(ours, sizeof ours, "decoder.seg_layers.%d.*", d);
    if (d == steps - 1) {
        st = volt_name_map_add(map, ours, "output_block.conv.conv.*");
    } else {
        st = volt_name_map_add(map, ours, "=0");
    }
done:
    return st;
}

volt_status volt_dynunet_map(volt_name_map *out, int stages)
{
    volt_name_map map = {0};
    volt_status st;

    VOLT_TRY(st, done, map_encoder(&map, stages));
    for (int d = 0; d < stages - 1; d++)
        VOLT_TRY(st, done, map_decoder_step(&map, d, stages - 1));
    *out = map;
    map = (volt_name_map){0};
done:
    volt_name_map_clear(&map);
    return st;
}
