#include "nets3d/models/monai.h"
#include "nets3d/graph/params.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define NORM_EPS 1e-5

/* The longest prefix, that of the bottom layer of 16 stages, has 185 letters. */
enum { NAME = 288 };
#define PREFIX "%.240s"

/* A network being built. */
typedef struct builder {
    volt_graph *g;
    const volt_monai_spec *spec;
} builder;

static const int64_t one[3] = {1, 1, 1};

static volt_status add_norm(const builder *b, volt_value *v, const char *name)
{
    switch (b->spec->norm) {
    case VOLT_MONAI_NORM_AFFINE:
        return volt_graph_instance_norm(b->g, v, *v, name, NORM_EPS);
    case VOLT_MONAI_NORM_PLAIN:
        return volt_graph_instance_norm(b->g, v, *v, NULL, NORM_EPS);
    case VOLT_MONAI_NORM_NONE:
        return VOLT_OK;
    case VOLT_MONAI_NORM_BATCH:
        break;
    }
    return volt_fail(
        VOLT_ENOTSUP,
        "%s: batch normalization is supported only in imported models, where it is "
        "folded into convolutions",
        name);
}

/* ---- UNet ---- */

/* NAME.adn: norm, dropout and activation in their order. */
static volt_status add_adn(const builder *b, volt_value *v, const char *name)
{
    const volt_monai_spec *spec = b->spec;
    char full[NAME];
    volt_status st = VOLT_OK;

    for (const char *letter = spec->order; *letter && st == VOLT_OK; letter++) {
        snprintf(full, sizeof full, PREFIX ".adn.%c", name, *letter);
        if (*letter == 'N')
            st = add_norm(b, v, full);
        else if (*letter == 'D')
            st = spec->base.dropout > 0 ? volt_graph_dropout(b->g, v, *v, spec->base.dropout)
                                        : VOLT_OK;
        else if (spec->slopes)
            st = volt_graph_prelu(b->g, v, *v, full, spec->slopes);
        else
            st = volt_graph_activation(b->g, v, *v, spec->slope);
    }
    return st;
}

/* One convolution of a layer. */
typedef struct unit {
    int64_t channels; /* out */
    const int64_t *kernel, *stride;
    bool only; /* without norm, dropout, activation */
} unit;

static volt_conv same_padding(const unit *u)
{
    volt_conv c = {.kernel = {0}};

    for (int a = 0; a < 3; a++) {
        c.kernel[a] = u->kernel[a];
        c.stride[a] = u->stride[a];
        c.pad_low[a] = c.pad_high[a] = (u->kernel[a] - 1) / 2;
    }
    return c;
}

/* MONAI's Convolution: NAME.conv and NAME.adn. */
static volt_status add_convolution(const builder *b, volt_value *v, const char *name,
                                   const unit *u, bool transposed)
{
    const volt_conv conv = same_padding(u);
    char full[NAME];
    volt_status st;

    snprintf(full, sizeof full, PREFIX ".conv", name);
    st = (transposed ? volt_graph_tconv : volt_graph_conv)(b->g, v, *v, full, u->channels,
                                                           &conv, b->spec->bias);
    return st == VOLT_OK && !u->only ? add_adn(b, v, name) : st;
}

static bool is_strided(const int64_t stride[3])
{
    return stride[0] * stride[1] * stride[2] != 1;
}

/* MONAI's ResidualUnit: NAME.conv.unitK and, where the input does not fit, NAME.residual. `u`
 * describes the first convolution; its `only` counts for the last. */
static volt_status add_residual_unit(const builder *b, volt_value *v, const char *name,
                                     const unit *u, int units)
{
    const bool strided = is_strided(u->stride);
    const unit way = {
        .channels = u->channels, .kernel = strided ? u->kernel : one, .stride = u->stride};
    const volt_conv residual = same_padding(&way);
    volt_value main = *v, skip = *v;
    char full[NAME];
    volt_status st = VOLT_OK;

    for (int i = 0; i < units; i++) {
        const unit k = {.channels = u->channels,
                        .kernel = u->kernel,
                        .stride = i ? one : u->stride,
                        .only = u->only && i == units - 1};
        snprintf(full, sizeof full, PREFIX ".conv.unit%d", name, i);
        VOLT_TRY(st, done, add_convolution(b, &main, full, &k, false));
    }
    if (strided || volt_graph_channels(b->g, skip) != u->channels) {
        snprintf(full, sizeof full, PREFIX ".residual", name);
        VOLT_TRY(
            st, done,
            volt_graph_conv(b->g, &skip, skip, full, u->channels, &residual, b->spec->bias));
    }
    st = volt_graph_add(b->g, v, main, skip);
done:
    return st;
}

/* The layer down to stage s. */
static volt_status add_down(const builder *b, volt_value *v, const char *name, int s)
{
    const volt_monai_spec *spec = b->spec;
    const unit u = {.channels = spec->base.features[s],
                    .kernel = spec->base.kernel[s],
                    .stride = spec->base.stride[s]};

    return spec->res_units ? add_residual_unit(b, v, name, &u, spec->res_units)
                           : add_convolution(b, v, name, &u, false);
}

/* The layer up from stage s. */
static volt_status add_up(const builder *b, volt_value *v, const char *name, int s)
{
    const volt_monai_spec *spec = b->spec;
    const bool units = spec->res_units > 0;
    const unit up = {.channels = s ? spec->base.features[s - 1] : spec->base.out_channels,
                     .kernel = spec->up_kernel,
                     .stride = spec->base.stride[s],
                     .only = s == 0 && !units};
    const unit last = {
        .channels = up.channels, .kernel = spec->base.kernel[s], .stride = one, .only = s == 0};
    char full[NAME];
    volt_status st;

    snprintf(full, sizeof full, units ? PREFIX ".0" : PREFIX, name);
    VOLT_TRY(st, done, add_convolution(b, v, full, &up, true));
    if (units) {
        snprintf(full, sizeof full, PREFIX ".1", name);
        st = add_residual_unit(b, v, full, &last, 1);
    }
done:
    return st;
}

/* "model.1.submodule.1.submodule" + `suffix`: the connection of stage s. */
static void connection_name(char name[NAME], int s, const char *suffix)
{
    int at = snprintf(name, NAME, "model");

    for (; s > 0; s--)
        at += snprintf(name + at, NAME - (size_t)at, ".1.submodule");
    snprintf(name + at, NAME - (size_t)at, "%s", suffix);
}

static volt_status build_unet(volt_graph *g, const volt_network *net, bool deep_supervision)
{
    const builder own = {.g = g, .spec = net->spec}, *b = &own;
    const int stages = b->spec->base.stages;
    volt_value skip[VOLT_MAX_STAGES] = {0}, v;
    char name[NAME];
    volt_status st;

    (void)deep_supervision; /* it has one output */
    VOLT_TRY(st, done, volt_graph_input(b->g, &v, b->spec->base.in_channels));
    for (int s = 0; s < stages; s++) {
        connection_name(name, s, s < stages - 1 ? ".0" : ""); /* the bottom is a layer alone */
        VOLT_TRY(st, done, add_down(b, &v, name, s));
        skip[s] = v;
    }
    for (int s = stages - 2; s >= 0; s--) {
        VOLT_TRY(st, done, volt_graph_concat(b->g, &v, (volt_value[]){skip[s], v}, 2));
        connection_name(name, s, ".2");
        VOLT_TRY(st, done, add_up(b, &v, name, s));
    }
    st = volt_graph_output(b->g, v);
done:
    return st;
}

/* ---- DynUNet ---- */

/* A block of two convolutions. */
typedef struct block {
    int64_t channels;
    const int64_t *kernel, *stride;
    bool residual;
} block;

/* PREFIX.convI.conv, [dropout], PREFIX.normI. */
static volt_status add_conv_norm(const builder *b, volt_value *v, const char *prefix, int i,
                                 const block *k)
{
    volt_conv conv = {.kernel = {0}};
    char full[NAME];
    volt_status st;

    for (int a = 0; a < 3; a++) {
        conv.kernel[a] = i == 3 ? 1 : k->kernel[a];
        conv.stride[a] = i == 2 ? 1 : k->stride[a];
        if (conv.kernel[a] + 1 < conv.stride[a])
            return volt_fail(VOLT_EINVAL,
                             "%s: stride %lld is too large for kernel %lld along %c", prefix,
                             (long long)conv.stride[a], (long long)conv.kernel[a], "dhw"[a]);
        conv.pad_low[a] = conv.pad_high[a] = (conv.kernel[a] - conv.stride[a] + 1) / 2;
    }
    snprintf(full, sizeof full, PREFIX ".conv%d.conv", prefix, i);
    VOLT_TRY(st, done, volt_graph_conv(b->g, v, *v, full, k->channels, &conv, b->spec->bias));
    if (b->spec->base.dropout > 0)
        VOLT_TRY(st, done, volt_graph_dropout(b->g, v, *v, b->spec->base.dropout));
    snprintf(full, sizeof full, PREFIX ".norm%d", prefix, i);
    st = add_norm(b, v, full);
done:
    return st;
}

/* UnetBasicBlock, or UnetResBlock. */
static volt_status add_block(const builder *b, volt_value *v, const char *prefix,
                             const block *k)
{
    const double slope = b->spec->slope;
    volt_value main = *v, skip = *v;
    volt_status st;

    VOLT_TRY(st, done, add_conv_norm(b, &main, prefix, 1, k));
    VOLT_TRY(st, done, volt_graph_activation(b->g, &main, main, slope));
    VOLT_TRY(st, done, add_conv_norm(b, &main, prefix, 2, k));
    if (k->residual) {
        if (is_strided(k->stride) || volt_graph_channels(b->g, skip) != k->channels)
            VOLT_TRY(st, done, add_conv_norm(b, &skip, prefix, 3, k));
        VOLT_TRY(st, done, volt_graph_add(b->g, &main, main, skip));
    }
    st = volt_graph_activation(b->g, v, main, slope);
done:
    return st;
}

static volt_status add_encoder(const builder *b, volt_value skip[])
{
    const volt_monai_spec *spec = b->spec;
    char name[64];
    volt_value v;
    volt_status st;

    VOLT_TRY(st, done, volt_graph_input(b->g, &v, spec->base.in_channels));
    for (int s = 0; s < spec->base.stages; s++) {
        const block k = {.channels = spec->base.features[s],
                         .kernel = spec->base.kernel[s],
                         .stride = spec->base.stride[s],
                         .residual = spec->res_block};
        if (s == 0 || s == spec->base.stages - 1)
            snprintf(name, sizeof name, s ? "bottleneck" : "input_block");
        else
            snprintf(name, sizeof name, "downsamples.%d", s - 1);
        VOLT_TRY(st, done, add_block(b, &v, name, &k));
        skip[s] = v;
    }
done:
    return st;
}

/* The decoder's step to stage s. */
static volt_status add_step(const builder *b, volt_value *v, volt_value skip, int s)
{
    const volt_monai_spec *spec = b->spec;
    const int i = spec->base.stages - 2 - s;
    const block k = {
        .channels = spec->base.features[s], .kernel = spec->base.kernel[s + 1], .stride = one};
    volt_conv up = {.pad_low = {0}};
    char name[64];
    volt_status st;

    memcpy(up.kernel, spec->base.stride[s + 1], sizeof up.kernel);
    memcpy(up.stride, spec->base.stride[s + 1], sizeof up.stride);
    snprintf(name, sizeof name, "upsamples.%d.transp_conv.conv", i);
    VOLT_TRY(st, done, volt_graph_tconv(b->g, v, *v, name, k.channels, &up, spec->up_bias));
    if (spec->base.dropout > 0)
        VOLT_TRY(st, done, volt_graph_dropout(b->g, v, *v, spec->base.dropout));
    VOLT_TRY(st, done, volt_graph_concat(b->g, v, (volt_value[]){*v, skip}, 2));
    snprintf(name, sizeof name, "upsamples.%d.conv_block", i);
    st = add_block(b, v, name, &k);
done:
    return st;
}

static volt_status add_output_layer(const builder *b, volt_value *out, volt_value v,
                                    const char *name)
{
    const volt_conv voxel = {.kernel = {1, 1, 1}, .stride = {1, 1, 1}};
    volt_status st;

    VOLT_TRY(st, done,
             volt_graph_conv(b->g, out, v, name, b->spec->base.out_channels, &voxel, true));
    if (b->spec->base.dropout > 0)
        st = volt_graph_dropout(b->g, out, *out, b->spec->base.dropout);
done:
    return st;
}

static volt_status build_dynunet(volt_graph *g, const volt_network *net, bool deep_supervision)
{
    static const char *const order[] = {"input_block.", "downsamples.", "bottleneck.",
                                        "upsamples.", "output_block."};
    const volt_monai_spec *spec = net->spec;
    const builder own = {.g = g, .spec = spec}, *b = &own;
    volt_value skip[VOLT_MAX_STAGES] = {0}, logits[VOLT_MAX_STAGES] = {0}, v;
    char name[64];
    volt_status st;

    VOLT_TRY(st, done, add_encoder(b, skip));
    v = skip[spec->base.stages - 1];
    for (int s = spec->base.stages - 2; s >= 0; s--) {
        VOLT_TRY(st, done, add_step(b, &v, skip[s], s));
        if (s > spec->coarse_outputs)
            continue;
        snprintf(name, sizeof name, "deep_supervision_heads.%d.conv.conv", s - 1);
        VOLT_TRY(st, done,
                 add_output_layer(b, &logits[s], v, s ? name : "output_block.conv.conv"));
    }
    for (int s = 0; s <= (deep_supervision ? spec->coarse_outputs : 0); s++)
        VOLT_TRY(st, done, volt_graph_output(g, logits[s]));
    st = volt_graph_group_params(g, order, 5);
done:
    return st;
}

/* ---- the models ---- */

/* The class's own name, where its module is one of MONAI's; NULL otherwise. */
static const char *monai_class(const char *class_name)
{
    const char *dot = strrchr(class_name, '.');

    return strncmp(class_name, "monai.", 6) == 0 ? dot + 1 : NULL;
}

static bool is_unet(const char *class_name)
{
    const char *name = monai_class(class_name);

    return name && (strcmp(name, "UNet") == 0 || strcmp(name, "Unet") == 0);
}

static bool is_dynunet(const char *class_name)
{
    const char *name = monai_class(class_name);

    return name && strcasecmp(name, "DynUNet") == 0;
}

/* How many norms the UNet has; it is built with instance norms for the count. */
static volt_status count_norms(int *out, const volt_network *net)
{
    volt_monai_spec spec = *(const volt_monai_spec *)net->spec;
    volt_graph *g = NULL;
    int norms = 0;
    volt_status st;

    spec.norm = VOLT_MONAI_NORM_AFFINE;
    VOLT_TRY(
        st, done,
        volt_network_build(&g, &(volt_network){.model = net->model, .spec = &spec}, false));
    for (int i = 0; i < volt_graph_node_count(g); i++)
        norms += volt_graph_node(g, i)->kind == VOLT_NODE_INSTANCE_NORM;
    *out = norms;
done:
    volt_graph_free(g);
    return st;
}

static volt_status drop_batch_norms(const volt_network *net, int *norms, const char *file)
{
    volt_monai_spec *spec = net->spec;
    const char *act = strchr(spec->order, 'A'), *norm = strchr(spec->order, 'N');
    volt_status st;

    *norms = 0;
    if (spec->norm != VOLT_MONAI_NORM_BATCH)
        return VOLT_OK;
    if (!norm || (act && act < norm))
        return volt_fail(VOLT_ENOTSUP,
                         "%s: batch normalization after the activation (adn_ordering %s) "
                         "cannot be folded into a convolution",
                         file, spec->order);
    if ((st = count_norms(norms, net)) != VOLT_OK)
        return st;
    spec->norm = VOLT_MONAI_NORM_NONE;
    spec->bias = true;
    return VOLT_OK;
}

static const char *const unet_names[] = {"model.0.conv.weight",
                                         "model.0.conv.unit0.conv.weight", NULL};

const volt_model volt_model_monai_unet = {
    .name = "monai.networks.nets.UNet",
    .title = "MONAI UNet",
    .class_name = "monai.networks.nets.UNet",
    .spec_bytes = sizeof(volt_monai_spec),
    .is_class = is_unet,
    .read = volt_monai_unet_read,
    .write = volt_monai_unet_write,
    .build = build_unet,
    .divisor = volt_spec_divisor,
    .drop_batch_norms = drop_batch_norms,
    .own_names = unet_names,
};

const volt_model volt_model_dynunet = {
    .name = "monai.networks.nets.DynUNet",
    .title = "MONAI DynUNet",
    .class_name = "monai.networks.nets.DynUNet",
    .spec_bytes = sizeof(volt_monai_spec),
    .is_class = is_dynunet,
    .read = volt_dynunet_read,
    .write = volt_dynunet_write,
    .build = build_dynunet,
    .divisor = volt_spec_divisor,
};
