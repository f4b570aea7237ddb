/* The network of a plan's configuration, as nnU-Net writes it now and as it once did. */
#include <stdio.h>
#include <string.h>

#include "nets3d/models/monai_plan.h"
#include "nets3d/plan/read.h"

enum { MAX_FEATURES = 8192, MAX_KERNEL = 15, MAX_STRIDE = 16, MAX_CONVS = 16 };

/* A list of `stages` lists of `axes` numbers; the slice axis of 2-D configurations becomes 1.
 */
static volt_status read_triples(int64_t (*out)[3], const volt_json_at *list, int stages,
                                int axes, int64_t high)
{
    volt_json_at at;
    size_t count;
    volt_status st;

    VOLT_TRY(st, done, volt_json_length(&count, list, (size_t)stages, (size_t)stages));
    for (size_t s = 0; s < count; s++) {
        out[s][0] = 1;
        VOLT_TRY(st, done, volt_json_item(&at, list, s));
        VOLT_TRY(st, done, volt_json_ints(out[s] + 3 - axes, &at, (size_t)axes, 1, high));
    }
done:
    return st;
}

static volt_status read_kernels(volt_unet_spec *net, const volt_json_at *list, int axes)
{
    volt_status st = read_triples(net->kernel, list, net->stages, axes, MAX_KERNEL);

    for (int s = 0; st == VOLT_OK && s < net->stages; s++) {
        for (int a = 3 - axes; a < 3; a++) {
            if (net->kernel[s][a] % 2 == 0)
                return volt_json_fail(list, "has [%d][%d] = %lld; odd numbers are expected", s,
                                      a - 3 + axes, (long long)net->kernel[s][a]);
        }
    }
    return st;
}

/* The first stage keeps the patch's size, or the output would not have it. */
static volt_status read_strides(volt_unet_spec *net, const volt_json_at *list, int axes)
{
    volt_status st = read_triples(net->stride, list, net->stages, axes, MAX_STRIDE);

    for (int a = 3 - axes; st == VOLT_OK && a < 3; a++) {
        if (net->stride[0][a] != 1)
            return volt_json_fail(list, "has [0][%d] = %lld; the first stage has stride 1",
                                  a - 3 + axes, (long long)net->stride[0][a]);
    }
    return st;
}

/* A class of torch, by its last part: its module has two names. */
static volt_status expect_class(const volt_json_at *at, const char *expected, int axes)
{
    char wanted[32];
    const char *text, *dot;
    volt_status st = volt_json_text(&text, at, 1024);

    if (st != VOLT_OK)
        return st;
    snprintf(wanted, sizeof wanted, "%s%dd", expected, axes);
    dot = strrchr(text, '.');
    if (strncmp(text, "torch.nn.", 9) == 0 && strcmp(dot + 1, wanted) == 0)
        return VOLT_OK;
    volt_json_fail(at, "is \"%s\"; this build has torch.nn.%s here", text, wanted);
    return VOLT_ENOTSUP;
}

/* Convolutions or blocks of the encoder's stages, convolutions of the decoder's. */
static volt_status read_counts(volt_unet_spec *net, const volt_json_at *encoder,
                               const volt_json_at *decoder)
{
    int64_t counts[VOLT_UNET_MAX_STAGES];
    const size_t stages = (size_t)net->stages;
    volt_status st;

    VOLT_TRY(st, done, volt_json_ints(counts, encoder, stages, 1, MAX_CONVS));
    for (size_t s = 0; s < stages; s++)
        net->convs_encoder[s] = (int)counts[s];
    VOLT_TRY(st, done, volt_json_ints(counts, decoder, stages - 1, 1, MAX_CONVS));
    for (size_t s = 0; s < stages - 1; s++)
        net->convs_decoder[stages - 2 - s] = (int)counts[s]; /* nnU-Net: lowest first */
done:
    return st;
}

/* Instance norm with eps 1e-5 and scale and shift, whatever its number of axes. */
static volt_status check_norm(const volt_json_at *kwargs, int axes)
{
    volt_json_at norm, at;
    double eps;
    bool affine;
    volt_status st;

    VOLT_TRY(st, done, volt_json_member(&at, kwargs, "norm_op"));
    VOLT_TRY(st, done,
             volt_plan_expect_text(&at, axes == 3
                                            ? "torch.nn.modules.instancenorm.InstanceNorm3d"
                                            : "torch.nn.modules.instancenorm.InstanceNorm2d"));
    VOLT_TRY(st, done, volt_json_member(&norm, kwargs, "norm_op_kwargs"));
    VOLT_TRY(st, done, volt_json_member(&at, &norm, "eps"));
    VOLT_TRY(st, done, volt_json_double(&eps, &at, 0, 1));
    if (eps != 1e-5) {
        volt_json_fail(&at, "is %g; this build has only 1e-05", eps);
        return VOLT_ENOTSUP;
    }
    VOLT_TRY(st, done, volt_json_member(&at, &norm, "affine"));
    VOLT_TRY(st, done, volt_json_bool(&affine, &at));
    if (!affine) {
        volt_json_fail(&at, "is false; this build has only true");
        return VOLT_ENOTSUP;
    }
done:
    return st;
}

static volt_status read_activation(volt_unet_spec *net, const volt_json_at *kwargs)
{
    volt_json_at at, nonlin;
    const char *text;
    volt_status st;

    VOLT_TRY(st, done, volt_json_member(&at, kwargs, "nonlin"));
    VOLT_TRY(st, done, volt_json_text(&text, &at, 1024));
    if (strcmp(text, "torch.nn.LeakyReLU") != 0 && strcmp(text, "torch.nn.ReLU") != 0) {
        volt_json_fail(&at, "is \"%s\"; this build has torch.nn.LeakyReLU and torch.nn.ReLU",
                       text);
        return VOLT_ENOTSUP;
    }
    net->slope = strstr(text, "Leaky") ? 0.01 : 0;
    VOLT_TRY(st, done, volt_json_optional(&nonlin, kwargs, "nonlin_kwargs"));
    if (nonlin.value && net->slope > 0) {
        VOLT_TRY(st, done, volt_json_optional(&at, &nonlin, "negative_slope"));
        if (at.value)
            VOLT_TRY(st, done, volt_json_double(&net->slope, &at, 0, 1));
    }
done:
    return st;
}

static volt_status read_dropout(volt_unet_spec *net, const volt_json_at *kwargs, int axes)
{
    volt_json_at op, at;
    volt_status st;

    VOLT_TRY(st, done, volt_json_optional(&op, kwargs, "dropout_op"));
    if (op.value) {
        VOLT_TRY(st, done, expect_class(&op, "Dropout", axes));
        VOLT_TRY(st, done, volt_json_member(&at, kwargs, "dropout_op_kwargs"));
        VOLT_TRY(st, done, volt_json_member(&at, &at, "p"));
        VOLT_TRY(st, done, volt_json_double(&net->dropout, &at, 0, 0.99));
    }
done:
    return st;
}

/* nnU-Net's classes go without their module, which has moved between versions. */
static volt_status read_class(volt_unet_spec *net, const volt_json_at *at)
{
    const char *text, *dot;
    volt_status st = volt_json_text(&text, at, 1024);

    if (st != VOLT_OK || volt_plan_monai_class(net, text))
        return st;
    dot = strrchr(text, '.');
    dot = dot ? dot + 1 : text;
    if (strcmp(dot, "PlainConvUNet") == 0) {
        net->encoder = VOLT_ENCODER_PLAIN;
    } else if (strcmp(dot, "ResidualEncoderUNet") == 0) {
        net->encoder = VOLT_ENCODER_RESIDUAL;
    } else {
        volt_json_fail(at,
                       "is \"%s\"; this build has PlainConvUNet, ResidualEncoderUNet, "
                       "monai.networks.nets.UNet and monai.networks.nets.DynUNet",
                       text);
        return VOLT_ENOTSUP;
    }
    return VOLT_OK;
}

/* Arguments of the classes that no planner sets: absent, null, or what is built here. */
static volt_status refuse_variants(const volt_json_at *kwargs)
{
    static const char *const keys[] = {"bottleneck_channels", "stem_channels"};
    volt_json_at at;
    bool flag = false;
    volt_status st;

    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        VOLT_TRY(st, done, volt_json_optional(&at, kwargs, keys[i]));
        if (at.value) {
            volt_json_fail(&at, "is set; this build has only the default, null");
            return VOLT_ENOTSUP;
        }
    }
    VOLT_TRY(st, done, volt_json_optional(&at, kwargs, "block"));
    if (at.value)
        VOLT_TRY(
            st, done,
            volt_plan_expect_text(
                &at, "dynamic_network_architectures.building_blocks.residual.BasicBlockD"));
    VOLT_TRY(st, done, volt_json_optional(&at, kwargs, "nonlin_first"));
    if (at.value)
        VOLT_TRY(st, done, volt_json_bool(&flag, &at));
    if (flag) {
        volt_json_fail(&at, "is true; this build has the norm before the activation");
        return VOLT_ENOTSUP;
    }
done:
    return st;
}

static volt_status read_architecture(volt_plan_config *c, const volt_json_at *arch)
{
    volt_unet_spec *net = &c->net;
    volt_json_at kwargs, at, decoder;
    int64_t stages;
    volt_status st;

    VOLT_TRY(st, done, volt_json_member(&at, arch, "network_class_name"));
    VOLT_TRY(st, done, read_class(net, &at));
    VOLT_TRY(st, done, volt_json_member(&kwargs, arch, "arch_kwargs"));
    if (net->family != VOLT_FAMILY_NNUNET)
        return volt_plan_read_monai(c, &kwargs);
    VOLT_TRY(st, done, volt_json_member(&at, &kwargs, "n_stages"));
    VOLT_TRY(st, done, volt_json_int(&stages, &at, 2, VOLT_UNET_MAX_STAGES));
    net->stages = (int)stages;
    VOLT_TRY(st, done, volt_json_member(&at, &kwargs, "features_per_stage"));
    VOLT_TRY(st, done, volt_json_ints(net->features, &at, (size_t)stages, 1, MAX_FEATURES));
    VOLT_TRY(st, done, volt_json_member(&at, &kwargs, "kernel_sizes"));
    VOLT_TRY(st, done, read_kernels(net, &at, c->axes));
    VOLT_TRY(st, done, volt_json_member(&at, &kwargs, "strides"));
    VOLT_TRY(st, done, read_strides(net, &at, c->axes));
    VOLT_TRY(st, done,
             volt_json_member(&at, &kwargs,
                              net->encoder == VOLT_ENCODER_RESIDUAL ? "n_blocks_per_stage"
                                                                    : "n_conv_per_stage"));
    VOLT_TRY(st, done, volt_json_member(&decoder, &kwargs, "n_conv_per_stage_decoder"));
    VOLT_TRY(st, done, read_counts(net, &at, &decoder));
    VOLT_TRY(st, done, volt_json_member(&at, &kwargs, "conv_op"));
    VOLT_TRY(st, done, expect_class(&at, "Conv", c->axes));
    VOLT_TRY(st, done, volt_json_member(&at, &kwargs, "conv_bias"));
    VOLT_TRY(st, done, volt_json_bool(&net->bias, &at));
    VOLT_TRY(st, done, check_norm(&kwargs, c->axes));
    VOLT_TRY(st, done, read_activation(net, &kwargs));
    VOLT_TRY(st, done, read_dropout(net, &kwargs, c->axes));
    st = refuse_variants(&kwargs);
done:
    return st;
}

/* nnU-Net's own conversion: what the old keys leave out is what was fixed then. */
static volt_status read_old(volt_plan_config *c, const volt_plan_lineage *l)
{
    volt_unet_spec *net = &c->net;
    int64_t base, most;
    volt_json_at at, decoder;
    size_t stages;
    volt_status st;

    VOLT_TRY(st, done, volt_plan_inherited(&at, l, "UNet_class_name"));
    if (!at.value)
        return volt_json_fail(&l->at[0],
                              "lacks \"architecture\" (and \"UNet_class_name\", which "
                              "old plans have instead)");
    VOLT_TRY(st, done, read_class(net, &at));
    if (net->family != VOLT_FAMILY_NNUNET)
        return volt_json_fail(&at, "is a class that only \"architecture\" can describe");
    VOLT_TRY(st, done, volt_plan_required(&at, l, "UNet_base_num_features"));
    VOLT_TRY(st, done, volt_json_int(&base, &at, 1, MAX_FEATURES));
    VOLT_TRY(st, done, volt_plan_required(&at, l, "unet_max_num_features"));
    VOLT_TRY(st, done, volt_json_int(&most, &at, 1, MAX_FEATURES));
    VOLT_TRY(st, done, volt_plan_required(&at, l, "n_conv_per_stage_encoder"));
    VOLT_TRY(st, done, volt_plan_required(&decoder, l, "n_conv_per_stage_decoder"));
    VOLT_TRY(st, done, volt_json_length(&stages, &at, 2, VOLT_UNET_MAX_STAGES));
    net->stages = (int)stages;
    VOLT_TRY(st, done, read_counts(net, &at, &decoder));
    for (size_t s = 0; s < stages; s++)
        net->features[s] = base << s < most ? base << s : most;
    VOLT_TRY(st, done, volt_plan_required(&at, l, "conv_kernel_sizes"));
    VOLT_TRY(st, done, read_kernels(net, &at, c->axes));
    VOLT_TRY(st, done, volt_plan_required(&at, l, "pool_op_kernel_sizes"));
    VOLT_TRY(st, done, read_strides(net, &at, c->axes));
    net->bias = true;
    net->slope = 0.01;
done:
    return st;
}

volt_status volt_plan_read_network(volt_plan_config *c, const volt_plan_lineage *l)
{
    volt_json_at arch;
    volt_status st = volt_plan_inherited(&arch, l, "architecture");

    if (st != VOLT_OK)
        return st;
    return arch.value ? read_architecture(c, &arch) : read_old(c, l);
}
