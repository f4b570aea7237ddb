#include "nets3d/models/unet.h"
#include "nets3d/graph/params.h"

#include <stdio.h>
#include <string.h>

#define NORM_EPS 1e-5

static bool is_class(const char *class_name, const char *own)
{
    const char *dot = strrchr(class_name, '.'); /* modules have moved between versions */

    return strcmp(dot ? dot + 1 : class_name, own) == 0;
}

static bool is_plain(const char *class_name)
{
    return is_class(class_name, "PlainConvUNet");
}

static bool is_residual(const char *class_name)
{
    return is_class(class_name, "ResidualEncoderUNet");
}

static volt_status check_counts(const volt_unet_spec *spec)
{
    for (int s = 0; s < spec->base.stages; s++) {
        if (spec->convs_encoder[s] < 1)
            return volt_fail(VOLT_EINVAL, "convs_encoder[%d] is %d, expected 1 or more", s,
                             spec->convs_encoder[s]);
        if (s < spec->base.stages - 1 && spec->convs_decoder[s] < 1)
            return volt_fail(VOLT_EINVAL, "convs_decoder[%d] is %d, expected 1 or more", s,
                             spec->convs_decoder[s]);
    }
    return VOLT_OK;
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
        conv.kernel[axis] = spec->base.kernel[stage][axis];
        conv.pad_low[axis] = conv.pad_high[axis] = (conv.kernel[axis] - 1) / 2;
        if (stride)
            conv.stride[axis] = stride[axis];
    }
    snprintf(full, sizeof full, "%s.conv", name);
    VOLT_TRY(st, done,
             volt_graph_conv(g, v, *v, full, spec->base.features[stage], &conv, spec->bias));
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
    volt_status st = add_conv_norm(g, v, spec, name, stage, stride, spec->base.dropout);

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
    if (volt_graph_channels(g, *v) == spec->base.features[stage])
        goto done;
    snprintf(full, sizeof full, "%s.skip.%d.conv", block, strided);
    VOLT_TRY(st, done,
             volt_graph_conv(g, v, *v, full, spec->base.features[stage], &one, false));
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

static volt_status add_encoder(volt_graph *g, volt_value skip[], const volt_network *net)
{
    const volt_unet_spec *spec = net->spec;
    const bool residual = volt_unet_is_residual(net);
    char name[96];
    volt_value v;
    volt_status st;

    VOLT_TRY(st, done, volt_graph_input(g, &v, spec->base.in_channels));
    if (residual)
        VOLT_TRY(st, done, add_block(g, &v, spec, "encoder.stem.convs.0", 0, NULL));
    for (int s = 0; s < spec->base.stages; s++) {
        for (int i = 0; i < spec->convs_encoder[s]; i++) {
            const int64_t *stride = i == 0 ? spec->base.stride[s] : NULL;
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
static volt_status add_decoder_step(volt_graph *g, volt_value *v, volt_value *logits,
                                    const volt_unet_spec *spec, volt_value skip, int i)
{
    static const volt_conv one = {.kernel = {1, 1, 1}, .stride = {1, 1, 1}};
    const int s = spec->base.stages - 2 - i;
    volt_conv block = {.pad_low = {0}}; /* kernel = stride */
    char name[96];
    volt_value up;
    volt_status st;

    memcpy(block.kernel, spec->base.stride[s + 1], sizeof block.kernel);
    memcpy(block.stride, spec->base.stride[s + 1], sizeof block.stride);
    snprintf(name, sizeof name, "decoder.transpconvs.%d", i);
    VOLT_TRY(st, done,
             volt_graph_tconv(g, &up, *v, name, spec->base.features[s], &block, spec->bias));
    VOLT_TRY(st, done, volt_graph_concat(g, v, (volt_value[]){up, skip}, 2));
    for (int j = 0; j < spec->convs_decoder[s]; j++) {
        snprintf(name, sizeof name, "decoder.stages.%d.convs.%d", i, j);
        VOLT_TRY(st, done, add_block(g, v, spec, name, s, NULL));
    }
    snprintf(name, sizeof name, "decoder.seg_layers.%d", i);
    st = volt_graph_conv(g, logits, *v, name, spec->base.out_channels, &one, true);
done:
    return st;
}

static volt_status build(volt_graph *g, const volt_network *net, bool deep_supervision)
{
    static const char *const order[] = {"encoder.", "decoder.stages.", "decoder.transpconvs.",
                                        "decoder.seg_layers."};
    const volt_unet_spec *spec = net->spec;
    const int steps = spec->base.stages - 1;
    volt_value skip[VOLT_MAX_STAGES] = {0}, logits[VOLT_MAX_STAGES] = {0}, v;
    volt_status st;

    VOLT_TRY(st, done, check_counts(spec));
    VOLT_TRY(st, done, add_encoder(g, skip, net));
    v = skip[steps];
    for (int i = 0; i < steps; i++)
        VOLT_TRY(st, done, add_decoder_step(g, &v, &logits[i], spec, skip[steps - 1 - i], i));
    for (int i = steps - 1; i >= (deep_supervision ? 0 : steps - 1); i--)
        VOLT_TRY(st, done, volt_graph_output(g, logits[i]));
    st = volt_graph_group_params(g, order, 4);
done:
    return st;
}

#define NNUNET(class)                                                                          \
    .name = class, .class_name = "dynamic_network_architectures.architectures.unet." class,    \
    .takes_torch_ops = true, .nnunet = true, .spec_bytes = sizeof(volt_unet_spec),             \
    .read = volt_unet_read, .read_legacy = volt_unet_read_legacy, .write = volt_unet_write,    \
    .build = build, .divisor = volt_spec_divisor, .design = volt_unet_design,                  \
    .estimate = volt_unet_estimate

const volt_model volt_model_plain_unet = {NNUNET("PlainConvUNet"), .variant = VOLT_UNET_PLAIN,
                                          .title = "plain U-Net", .is_class = is_plain,
                                          .foreign = &volt_unet_dynunet_names};
const volt_model volt_model_residual_unet = {
    NNUNET("ResidualEncoderUNet"), .variant = VOLT_UNET_RESIDUAL,
    .title = "residual encoder U-Net", .is_class = is_residual};
