#include <stdio.h>
#include <string.h>

#include "nets3d/models/unet.h"

typedef struct preset {
    const char *name;
    int stages, dims;
    int64_t in_channels, out_channels;
    int64_t features[VOLT_MAX_STAGES];
    int64_t patch[3], batch;
} preset;

static const preset presets[] = {
    {"hippocampus", 4, 3, 1, 3, {32, 64, 128, 256}, {40, 56, 40}, 9},
    {"brats", 6, 3, 4, 4, {32, 64, 128, 256, 320, 320}, {128, 128, 128}, 2},
    /* For its whole scans: 240 can be halved four times. */
    {"brats_whole", 5, 3, 4, 4, {32, 64, 128, 256, 320}, {240, 240, 160}, 1},
    {"mlperf", 6, 3, 1, 3, {32, 64, 128, 256, 320, 320}, {128, 128, 128}, 2},
    {"liver2d", 8, 2, 1, 3, {32, 64, 128, 256, 512, 512, 512, 512}, {1, 512, 512}, 12},
};

enum { PRESETS = sizeof presets / sizeof *presets };

const char *volt_network_preset_name(int i)
{
    return i >= 0 && i < PRESETS ? presets[i].name : NULL;
}

static volt_status no_preset(const char *name)
{
    char names[256] = "";
    size_t used = 0;

    for (int i = 0; i < PRESETS; i++)
        used += (size_t)snprintf(names + used, sizeof names - used, "%s%s",
                                 i == 0             ? ""
                                 : i + 1 == PRESETS ? " and "
                                                    : ", ",
                                 presets[i].name);
    return volt_fail(VOLT_EINVAL, "no network is called '%s'; there are %s", name, names);
}

static void fill_spec(volt_unet_spec *out, const preset *p)
{
    out->base = (volt_spec){
        .in_channels = p->in_channels, .out_channels = p->out_channels, .stages = p->stages};
    out->slope = 0.01;
    out->bias = true;
    for (int s = 0; s < p->stages; s++) {
        out->base.features[s] = p->features[s];
        out->convs_encoder[s] = out->convs_decoder[s] = 2;
        for (int axis = 0; axis < 3; axis++) {
            const bool slice = p->dims == 2 && axis == 0;
            out->base.kernel[s][axis] = slice ? 1 : 3;
            out->base.stride[s][axis] = slice || s == 0 ? 1 : 2;
        }
    }
}

volt_status volt_network_preset(volt_network *out, int64_t patch[3], int64_t *batch,
                                const char *name)
{
    const preset *p = NULL;
    volt_status st;

    for (int i = 0; i < PRESETS; i++) {
        if (strcmp(presets[i].name, name) == 0)
            p = &presets[i];
    }
    if (!p)
        return no_preset(name);
    if ((st = volt_network_create(out, &volt_model_plain_unet)) != VOLT_OK)
        return st;
    fill_spec(out->spec, p);
    memcpy(patch, p->patch, sizeof p->patch);
    *batch = p->batch;
    return VOLT_OK;
}
