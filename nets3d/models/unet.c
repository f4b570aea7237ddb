#include "nets3d/unet.h"

#include <stdio.h>
#include <string.h>

#include "nets3d/models/monai.h"

#define NORM_EPS 1e-5

typedef struct preset {
    const char *name;
    int stages, dims;
    int64_t in_channels, out_channels;
    int64_t features[VOLT_UNET_MAX_STAGES];
    int64_t patch[3], batch;
} preset;

static const preset presets[] = {
    {"hippocampus", 4, 3, 1, 3, {32, 64, 128, 256}, {40, 56, 40}, 9},
    {"brats", 6, 3, 4, 4, {32, 64, 128, 256, 320, 320}, {128, 128, 128}, 2},
    {"mlperf", 6, 3, 1, 3, {32, 64, 128, 256, 320, 320}, {128, 128, 128}, 2},
    {"liver2d", 8, 2, 1, 3, {32, 64, 128, 256, 512, 512, 512, 512}, {1, 512, 512}, 12},
};

volt_status volt_unet_preset(volt_unet_spec *out, int64_t patch[3], int64_t *batch,
                             const char *name)
{
    const preset *p = NULL;

    for (size_t i = 0; i < sizeof presets / sizeof *presets; i++) {
        if (strcmp(presets[i].name, name) == 0)
            p = &presets[i];
    }
    if (!p)
        return volt_fail(VOLT_EINVAL,
                         "no network is called '%s'; there are hippocampus, brats, mlperf and "
                         "liver2d",
                         name);
    *out = (volt_unet_spec){.stages = p->stages,
                            .in_channels = p->in_channels,
                            .out_channels = p->out_channels,
                            .slope = 0.01,
                            .bias = true};
    for (int s = 0; s < p->stages; s++) {
        out->features[s] = p->features[s];
        out->convs_encoder[s] = out->convs_decoder[s] = 2;
        for (int axis = 0; axis < 3; axis++) {
            const bool flat = p->dims == 2 && axis == 0;
            out->kernel[s][axis] = flat ? 1 : 3;
            out->stride[s][axis] = flat || s == 0 ? 1 : 2;
        }
    }
    memcpy(patch, p->patch, sizeof p->patch);
    *batch = p->batch;
    return VOLT_OK;
}

static volt_status check_stage(const volt_unet_spec *spec, int s)
{
    if (spec->features[s] < 1)
        return volt_fail(VOLT_EINVAL, "features[%d] is %lld, expected 1 or more", s,
                         (long long)spec->features[s]);
    if (spec->family == VOLT_FAMILY_NNUNET && spec->convs_encoder[s] < 1)
        return volt_fail(VOLT_EINVAL, "convs_encoder[%d] is %d, expected 1 or more", s,
                         spec->convs_encoder[s]);
    if (spec->family == VOLT_FAMILY_NNUNET && s < spec->stages - 1 &&
        spec->convs_decoder[s] < 1)
        return volt_fail(VOLT_EINVAL, "convs_decoder[%d] is %d, expected 1 or more", s,
                         spec->convs_decoder[s]);
    for (int axis = 0; axis < 3; axis++) {
        const int64_t k = spec->kernel[s][axis];
        if (k < 1 || k % 2 == 0)
            return volt_fail(VOLT_EINVAL, "kernel[%d] along %c is %lld, expected an odd number",
                             s, "dhw"[axis], (long long)k);
        if (spec->stride[s][axis] < 1)
            return volt_fail(VOLT_EINVAL, "stride[%d] along %c is %lld, expected 1 or more", s,
                             "dhw"[axis], (long long)spec -> stride[s][axis]);
    }
    return VOLT_OK;
}

static volt_status check_spec(const volt_unet_spec *spec)
{
    volt_status st = VOLT_OK;

    if (spec->encoder != VOLT_ENCODER_PLAIN && spec->encoder != VOLT_ENCODER_RESIDUAL)
        return volt_fail(VOLT_EINVAL, "encoder %d does not exist", (int)spec->encoder);
    if (spec->stages < 2 || spec->stages > VOLT_UNET_MAX_STAGES)
        return volt_fail(VOLT_EINVAL, "stages is %d, expected 2..%d", spec->stages,
                         VOLT_UNET_MAX_STAGES);
    if (spec->in_channels < 1 || spec->out_channels < 1)
        return volt_fail(VOLT_EINVAL,
                         "channels in and out are %lld and %lld, expected 1 or "
                         "more",
                         (long long)spec->in_channels, (long long)spec->out_channels);
    for (int s = 0; st == VOLT_OK && s < spec->stages; s++)
        st = check_stage(spec, s);
    return st;
}

/* conv and norm of one block; NAME.conv and NAME.norm. `stride` NULL is 1. */
static volt_status add_conv_norm(volt_graph *g, volt_value *v, const volt_unet_spec *spec,
                                 const char *name, int stage, const int64_t *stride,
                                 double dropout)
{
    volt_conv conv = {.stride = {1, 1, 1}};
    char full[128];
    volt_status st;

    for (int axis = 0; axis < 3; axis++) {
        conv.kernel[axis] = spec->kernel[stage][axis];
        conv.pad_low[axis] = conv.pad_high[axis] = (conv.kernel[axis] - 1) / 2;
        if (stride)
            conv.stride[axis] = stride[axis];
    }
    snprintf(full, sizeof full, "%s.conv", name);
    VOLT_TRY(st, done,
             volt_graph_conv(g, v, *v, full, spec->features[stage], &conv, spec->bias));
    if (dropout > 0)
        VOLT_TRY(st, done, volt_graph_dropout(g, v, *v, dropout));
    snprintf(full, sizeof full, "%s.norm", name);
    st = volt_graph_instance_norm(g, v, *v, full, NORM_EPS);
done:
    return st;
}

/* One block: conv, [dropout], norm, activation. */
static volt_status add_block(volt_graph *g, volt_value *v, const volt_unet_spec *spec,
                             const char *name, int stage, const int64_t *stride)
{
    volt_status st = add_conv_norm(g, v, spec, name, stage, stride, spec->dropout);

    return st == VOLT_OK ? volt_graph_activation(g, v, *v, spec->slope) : st;
}

/* The way around a residual block: pooled where it is strided, projected where channels change.
 */
static volt_status add_skip(volt_graph *g, volt_value *v, const volt_unet_spec *spec,
                            const char *block, int stage, const int64_t *stride)
{
    static const volt_conv one = {.kernel = {1, 1, 1}, .stride = {1, 1, 1}};
    const bool strided = stride && stride[0] * stride[1] * stride[2] > 1;
    char full[128];
    volt_status st = VOLT_OK;

    if (strided)
        VOLT_TRY(st, done, volt_graph_pool(g, v, *v, VOLT_NODE_AVERAGE_POOL, stride, stride));
    if (volt_graph_channels(g, *v) == spec->features[stage])
        goto done;
    snprintf(full, sizeof full, "%s.skip.%d.conv", block, strided);
    VOLT_TRY(st, done, volt_graph_conv(g, v, *v, full, spec->features[stage], &one, false));
    snprintf(full, sizeof full, "%s.skip.%d.norm", block, strided);
    st = volt_graph_instance_norm(g, v, *v, full, NORM_EPS);
done:
    return st;
}

/* BasicBlockD. Its second norm starts at zero, so that it starts as its skip. */
static volt_status add_residual_block(volt_graph *g, volt_value *v, const volt_unet_spec *spec,
                                      const char *name, int stage, const int64_t *stride)
{
    volt_value main = *v, skip = *v;
    char full[128];
    volt_status st;

    snprintf(full, sizeof full, "%s.conv1", name);
    VOLT_TRY(st, done, add_block(g, &main, spec, full, stage, stride));
    snprintf(full, sizeof full, "%s.conv2", name);
    VOLT_TRY(st, done, add_conv_norm(g, &main, spec, full, stage, NULL, 0));
    snprintf(full, sizeof full, "%s.conv2.norm.weight", name);
    VOLT_TRY(st, done, volt_graph_start_at_zero(g, full));
    VOLT_TRY(st, done, add_skip(g, &skip, spec, name, stage, stride));
    VOLT_TRY(st, done, volt_graph_add(g, v, main, skip));
    st = volt_graph_activation(g, v, *v, spec->slope);
done:
    return st;
}

static volt_status add_encoder(volt_graph *g, volt_value skip[], const volt_unet_spec *spec)
{
    const bool residual = spec->encoder == VOLT_ENCODER_RESIDUAL;
    char name[96];
    volt_value v;
    volt_status st;

    VOLT_TRY(st, done, volt_graph_input(g, &v, spec->in_channels));
    if (residual)
        VOLT_TRY(st, done, add_block(g, &v, spec, "encoder.stem.convs.0", 0, NULL));
    for (int s = 0; s < spec->stages; s++) {
        for (int i = 0; i < spec->convs_encoder[s]; i++) {
            const int64_t *stride = i == 0 ? spec->stride[s] : NULL;
            snprintf(name, sizeof name,
                     residual ? "encoder.stages.%d.blocks.%d" : "encoder.stages.%d.0.convs.%d",
                     s, i);
            VOLT_TRY(st, done,
                     (residual ? add_residual_block : add_block)(g, &v, spec, name, s, stride));
        }
        skip[s] = v;
    }
done:
    return st;
}

/* Decoder step `i` (0 is the lowest): up to the resolution of stage `stages - 2 - i`. */
static volt_status add_decoder_step(volt_graph *g, volt_value *v, volt_value *head,
                                    const volt_unet_spec *spec, volt_value skip, int i)
{
    static const volt_conv one = {.kernel = {1, 1, 1}, .stride = {1, 1, 1}};
    const int s = spec->stages - 2 - i;
    volt_conv block = {.pad_low = {0}}; /* kernel = stride */
    char name[96];
    volt_value up;
    volt_status st;

    memcpy(block.kernel, spec->stride[s + 1], sizeof block.kernel);
    memcpy(block.stride, spec->stride[s + 1], sizeof block.stride);
    snprintf(name, sizeof name, "decoder.transpconvs.%d", i);
    VOLT_TRY(st, done,
             volt_graph_tconv(g, &up, *v, name, spec->features[s], &block, spec->bias));
    VOLT_TRY(st, done, volt_graph_concat(g, v, (volt_value[]){up, skip}, 2));
    for (int j = 0; j < spec->convs_decoder[s]; j++) {
        snprintf(name, sizeof name, "decoder.stages.%d.convs.%d", i, j);
        VOLT_TRY(st, done, add_block(g, v, spec, name, s, NULL));
    }
    snprintf(name, sizeof name, "decoder.seg_layers.%d", i);
    st = volt_graph_conv(g, head, *v, name, spec->out_channels, &one, true);
done:
    return st;
}

volt_status volt_unet_build(volt_graph **out, const volt_unet_spec *spec)
{
    static const char *const order[] = {"encoder.", "decoder.stages.", "decoder.transpconvs.",
                                        "decoder.seg_layers."};
    volt_value skip[VOLT_UNET_MAX_STAGES] = {0}, head[VOLT_UNET_MAX_STAGES] = {0}, v;
    volt_graph *g = NULL;
    volt_status st;

    VOLT_TRY(st, done, check_spec(spec));
    if (spec->family != VOLT_FAMILY_NNUNET)
        return volt_monai_build(out, spec);
    VOLT_TRY(st, done, volt_graph_create(&g));
    VOLT_TRY(st, done, add_encoder(g, skip, spec));
    v = skip[spec->stages - 1];
    for (int i = 0; i < spec->stages - 1; i++)
        VOLT_TRY(st, done,
                 add_decoder_step(g, &v, &head[i], spec, skip[spec->stages - 2 - i], i));
    for (int i = spec->stages - 2; i >= (spec->deep_supervision ? 0 : spec->stages - 2); i--)
        VOLT_TRY(st, done, volt_graph_output(g, head[i]));
    VOLT_TRY(st, done, volt_graph_group_params(g, order, 4));
    *out = g;
    g = NULL;
done:
    volt_graph_free(g);
    return st;
}

void volt_unet_divisor(int64_t out[3], const volt_unet_spec *spec)
{
    for (int axis = 0; axis < 3; axis++) {
        out[axis] = 1;
        for (int s = 0; s < spec->stages; s++)
            out[axis] *= spec->stride[s][axis];
    }
}
