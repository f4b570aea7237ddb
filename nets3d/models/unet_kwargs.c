/* nnU-Net's networks in a plan, as nnU-Net describes them now and as it did before 2.3. */
#include <stdio.h>
#include <string.h>

#include "nets3d/models/unet.h"

enum { MAX_FEATURES = 8192, MAX_KERNEL = 15, MAX_STRIDE = 16, MAX_CONVS = 16 };

static volt_status read_kernels(volt_unet_spec *spec, const volt_json_at *list, int axes)
{
    volt_status st =
        volt_kwargs_triples(spec->base.kernel, list, spec->base.stages, axes, MAX_KERNEL);

    for (int s = 0; st == VOLT_OK && s < spec->base.stages; s++) {
        for (int a = 3 - axes; a < 3; a++) {
            if (spec->base.kernel[s][a] % 2 == 0)
                return volt_json_fail(list, "has [%d][%d] = %lld; odd numbers are expected", s,
                                      a - 3 + axes, (long long)spec->base.kernel[s][a]);
        }
    }
    return st;
}

/* The first stage keeps the patch's size, or the output would not have it. */
static volt_status read_strides(volt_unet_spec *spec, const volt_json_at *list, int axes)
{
    volt_status st =
        volt_kwargs_triples(spec->base.stride, list, spec->base.stages, axes, MAX_STRIDE);

    for (int a = 3 - axes; st == VOLT_OK && a < 3; a++) {
        if (spec->base.stride[0][a] != 1)
            return volt_json_fail(list, "has [0][%d] = %lld; the first stage has stride 1",
                                  a - 3 + axes, (long long)spec->base.stride[0][a]);
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
    volt_json_fail(at, "is \"%s\"; torch.nn.%s is expected", text, wanted);
    return VOLT_ENOTSUP;
}

/* The residual encoder counts blocks. */
static const char *counts_key(const volt_network *net)
{
    return volt_unet_is_residual(net) ? "n_blocks_per_stage" : "n_conv_per_stage";
}

/* Convolutions or blocks of the encoder's stages, convolutions of the decoder's. */
static volt_status read_counts(volt_unet_spec *spec, const volt_json_at *encoder,
                               const volt_json_at *decoder)
{
    int64_t counts[VOLT_MAX_STAGES];
    const size_t stages = (size_t)spec->base.stages;
    volt_status st;

    VOLT_TRY(st, done, volt_json_ints(counts, encoder, stages, 1, MAX_CONVS));
    for (size_t s = 0; s < stages; s++)
        spec->convs_encoder[s] = (int)counts[s];
    VOLT_TRY(st, done, volt_json_ints(counts, decoder, stages - 1, 1, MAX_CONVS));
    for (size_t s = 0; s < stages - 1; s++)
        spec->convs_decoder[stages - 2 - s] = (int)counts[s]; /* nnU-Net: lowest first */
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
             volt_kwargs_expect(&at, axes == 3
                                         ? "torch.nn.modules.instancenorm.InstanceNorm3d"
                                         : "torch.nn.modules.instancenorm.InstanceNorm2d"));
    VOLT_TRY(st, done, volt_json_member(&norm, kwargs, "norm_op_kwargs"));
    VOLT_TRY(st, done, volt_json_member(&at, &norm, "eps"));
    VOLT_TRY(st, done, volt_json_double(&eps, &at, 0, 1));
    if (eps != 1e-5) {
        volt_json_fail(&at, "is %g; only 1e-05 is supported", eps);
        return VOLT_ENOTSUP;
    }
    VOLT_TRY(st, done, volt_json_member(&at, &norm, "affine"));
    VOLT_TRY(st, done, volt_json_bool(&affine, &at));
    if (!affine) {
        volt_json_fail(&at, "is false; only true is supported");
        return VOLT_ENOTSUP;
    }
done:
    return st;
}

static volt_status read_activation(volt_unet_spec *spec, const volt_json_at *kwargs)
{
    volt_json_at at, nonlin;
    const char *text;
    volt_status st;

    VOLT_TRY(st, done, volt_json_member(&at, kwargs, "nonlin"));
    VOLT_TRY(st, done, volt_json_text(&text, &at, 1024));
    if (strcmp(text, "torch.nn.LeakyReLU") != 0 && strcmp(text, "torch.nn.ReLU") != 0) {
        volt_json_fail(&at, "is \"%s\"; supported are torch.nn.LeakyReLU and torch.nn.ReLU",
                       text);
        return VOLT_ENOTSUP;
    }
    spec->slope = strstr(text, "Leaky") ? 0.01 : 0;
    VOLT_TRY(st, done, volt_json_optional(&nonlin, kwargs, "nonlin_kwargs"));
    if (nonlin.value && spec->slope > 0) {
        VOLT_TRY(st, done, volt_json_optional(&at, &nonlin, "negative_slope"));
        if (at.value)
            VOLT_TRY(st, done, volt_json_double(&spec->slope, &at, 0, 1));
    }
done:
    return st;
}

static volt_status read_dropout(volt_unet_spec *spec, const volt_json_at *kwargs, int axes)
{
    volt_json_at op, at;
    volt_status st;

    VOLT_TRY(st, done, volt_json_optional(&op, kwargs, "dropout_op"));
    if (op.value) {
        VOLT_TRY(st, done, expect_class(&op, "Dropout", axes));
        VOLT_TRY(st, done, volt_json_member(&at, kwargs, "dropout_op_kwargs"));
        VOLT_TRY(st, done, volt_json_member(&at, &at, "p"));
        VOLT_TRY(st, done, volt_json_double(&spec->base.dropout, &at, 0, 0.99));
    }
done:
    return st;
}

/* Arguments that no planner sets; only their defaults are supported. */
static volt_status refuse_variants(const volt_json_at *kwargs)
{
    static const char *const keys[] = {"bottleneck_channels", "stem_channels"};
    volt_json_at at;
    bool flag = false;
    volt_status st;

    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        VOLT_TRY(st, done, volt_json_optional(&at, kwargs, keys[i]));
        if (at.value) {
            volt_json_fail(&at, "is set; only the default, null, is supported");
            return VOLT_ENOTSUP;
        }
    }
    VOLT_TRY(st, done, volt_json_optional(&at, kwargs, "block"));
    if (at.value)
        VOLT_TRY(
            st, done,
            volt_kwargs_expect(
                &at, "dynamic_network_architectures.building_blocks.residual.BasicBlockD"));
    VOLT_TRY(st, done, volt_json_optional(&at, kwargs, "nonlin_first"));
    if (at.value)
        VOLT_TRY(st, done, volt_json_bool(&flag, &at));
    if (flag) {
        volt_json_fail(&at, "is true; the norm must precede the activation");
        return VOLT_ENOTSUP;
    }
done:
    return st;
}

volt_status volt_unet_read(const volt_network *net, const volt_json_at *kwargs, int axes)
{
    volt_unet_spec *spec = net->spec;
    volt_json_at at, decoder;
    int64_t stages;
    volt_status st;

    VOLT_TRY(st, done, volt_json_member(&at, kwargs, "n_stages"));
    VOLT_TRY(st, done, volt_json_int(&stages, &at, 2, VOLT_MAX_STAGES));
    spec->base.stages = (int)stages;
    VOLT_TRY(st, done, volt_json_member(&at, kwargs, "features_per_stage"));
    VOLT_TRY(st, done,
             volt_json_ints(spec->base.features, &at, (size_t)stages, 1, MAX_FEATURES));
    VOLT_TRY(st, done, volt_json_member(&at, kwargs, "kernel_sizes"));
    VOLT_TRY(st, done, read_kernels(spec, &at, axes));
    VOLT_TRY(st, done, volt_json_member(&at, kwargs, "strides"));
    VOLT_TRY(st, done, read_strides(spec, &at, axes));
    VOLT_TRY(st, done, volt_json_member(&at, kwargs, counts_key(net)));
    VOLT_TRY(st, done, volt_json_member(&decoder, kwargs, "n_conv_per_stage_decoder"));
    VOLT_TRY(st, done, read_counts(spec, &at, &decoder));
    VOLT_TRY(st, done, volt_json_member(&at, kwargs, "conv_op"));
    VOLT_TRY(st, done, expect_class(&at, "Conv", axes));
    VOLT_TRY(st, done, volt_json_member(&at, kwargs, "conv_bias"));
    VOLT_TRY(st, done, volt_json_bool(&spec->bias, &at));
    VOLT_TRY(st, done, check_norm(kwargs, axes));
    VOLT_TRY(st, done, read_activation(spec, kwargs));
    VOLT_TRY(st, done, read_dropout(spec, kwargs, axes));
    st = refuse_variants(kwargs);
done:
    return st;
}

/* As nnU-Net converts old plans: what their keys leave out had one value then. */
volt_status volt_unet_read_legacy(const volt_network *net, const volt_inherited *config,
                                  int axes)
{
    volt_unet_spec *spec = net->spec;
    int64_t base, most;
    volt_json_at at, decoder;
    size_t stages;
    volt_status st;

    VOLT_TRY(st, done, volt_inherited_member(&at, config, "UNet_base_num_features"));
    VOLT_TRY(st, done, volt_json_int(&base, &at, 1, MAX_FEATURES));
    VOLT_TRY(st, done, volt_inherited_member(&at, config, "unet_max_num_features"));
    VOLT_TRY(st, done, volt_json_int(&most, &at, 1, MAX_FEATURES));
    VOLT_TRY(st, done, volt_inherited_member(&at, config, "n_conv_per_stage_encoder"));
    VOLT_TRY(st, done, volt_inherited_member(&decoder, config, "n_conv_per_stage_decoder"));
    VOLT_TRY(st, done, volt_json_length(&stages, &at, 2, VOLT_MAX_STAGES));
    spec->base.stages = (int)stages;
    VOLT_TRY(st, done, read_counts(spec, &at, &decoder));
    for (size_t s = 0; s < stages; s++)
        spec->base.features[s] = base << s < most ? base << s : most;
    VOLT_TRY(st, done, volt_inherited_member(&at, config, "conv_kernel_sizes"));
    VOLT_TRY(st, done, read_kernels(spec, &at, axes));
    VOLT_TRY(st, done, volt_inherited_member(&at, config, "pool_op_kernel_sizes"));
    VOLT_TRY(st, done, read_strides(spec, &at, axes));
    spec->bias = true;
    spec->slope = 0.01;
done:
    return st;
}

/* ---- writing ---- */

/* Sets `key` in `object`; a NULL value (out of memory) makes *ok false. */
static void set(bool *ok, json_t *object, const char *key, json_t *value)
{
    if (json_object_set_new(object, key, value) != 0)
        *ok = false;
}

static json_t *encoder_counts(const volt_unet_spec *spec)
{
    int64_t counts[VOLT_MAX_STAGES];

    for (int s = 0; s < spec->base.stages; s++)
        counts[s] = spec->convs_encoder[s];
    return volt_json_array_of_ints(counts, (size_t)spec->base.stages);
}

static json_t *decoder_counts(const volt_unet_spec *spec)
{
    const int steps = spec->base.stages - 1;
    int64_t counts[VOLT_MAX_STAGES];

    for (int s = 0; s < steps; s++)
        counts[steps - 1 - s] = spec->convs_decoder[s]; /* nnU-Net: lowest first */
    return volt_json_array_of_ints(counts, (size_t)steps);
}

static json_t *activation_kwargs(bool *ok, const volt_unet_spec *spec)
{
    json_t *o = json_object();

    set(ok, o, "inplace", json_true());
    if (spec->slope != 0.01)
        set(ok, o, "negative_slope", json_real(spec->slope));
    return o;
}

json_t *volt_unet_write(const volt_network *net, int axes)
{
    const volt_unet_spec *spec = net->spec;
    const int stages = spec->base.stages;
    const bool dropout = spec->base.dropout > 0;
    json_t *o = json_object();
    bool ok = true;

    set(&ok, o, "n_stages", json_integer(stages));
    set(&ok, o, "features_per_stage",
        volt_json_array_of_ints(spec->base.features, (size_t)stages));
    set(&ok, o, "conv_op", json_sprintf("torch.nn.modules.conv.Conv%dd", axes));
    set(&ok, o, "kernel_sizes", volt_kwargs_triples_json(spec->base.kernel, 0, stages, axes));
    set(&ok, o, "strides", volt_kwargs_triples_json(spec->base.stride, 0, stages, axes));
    set(&ok, o, counts_key(net), encoder_counts(spec));
    set(&ok, o, "n_conv_per_stage_decoder", decoder_counts(spec));
    set(&ok, o, "conv_bias", json_boolean(spec->bias));
    set(&ok, o, "norm_op", json_sprintf("torch.nn.modules.instancenorm.InstanceNorm%dd", axes));
    set(&ok, o, "norm_op_kwargs", json_pack("{s:f, s:b}", "eps", 1e-5, "affine", 1));
    set(&ok, o, "dropout_op",
        dropout ? json_sprintf("torch.nn.modules.dropout.Dropout%dd", axes) : json_null());
    set(&ok, o, "dropout_op_kwargs",
        dropout ? json_pack("{s:f}", "p", spec->base.dropout) : json_null());
    set(&ok, o, "nonlin", json_string("torch.nn.LeakyReLU"));
    set(&ok, o, "nonlin_kwargs", activation_kwargs(&ok, spec));
    if (!ok) {
        json_decref(o);
        o = NULL;
    }
    return o;
}
