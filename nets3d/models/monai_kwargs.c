/* MONAI's networks in a plan: "architecture" names the class and its constructor's arguments,
 * as nnU-Net does for its own. Arguments with a default in MONAI may be left out; unknown ones
 * are refused. */
#include "nets3d/models/monai.h"

#include <string.h>
#include <strings.h>

enum { MAX_FEATURES = 8192, MAX_KERNEL = 15, MAX_STRIDE = 16, MAX_UNITS = 16 };

/* ---- reading ---- */

static volt_status refuse(const volt_json_at *at, const char *why)
{
    volt_json_fail(at, "%s", why);
    return VOLT_ENOTSUP;
}

static volt_status known_only(const volt_json_at *kwargs, const char *const *keys)
{
    volt_json_at at;
    const char *key;
    size_t count;
    volt_status st;

    VOLT_TRY(st, done, volt_json_count(&count, kwargs));
    for (size_t i = 0; i < count; i++) {
        const char *const *k = keys;
        VOLT_TRY(st, done, volt_json_entry(&key, &at, kwargs, i));
        while (*k && strcmp(*k, key) != 0)
            k++;
        if (!*k)
            return volt_json_fail(&at, "is not an argument of the class");
    }
done:
    return st;
}

/* One number for every axis, or one per axis; 1 along the slice axis of 2-D networks. */
static volt_status read_axes(int64_t out[3], const volt_json_at *at, int axes, int64_t high)
{
    int64_t v[3] = {1, 1, 1};
    volt_status st;

    if (json_is_array(at->value)) {
        VOLT_TRY(st, done, volt_json_ints(v + 3 - axes, at, (size_t)axes, 1, high));
    } else {
        VOLT_TRY(st, done, volt_json_int(&v[2], at, 1, high));
        v[1] = v[2];
        v[0] = axes == 3 ? v[2] : 1;
    }
    memcpy(out, v, sizeof v);
done:
    return st;
}

static volt_status read_kernel(int64_t out[3], const volt_json_at *at, int axes)
{
    volt_status st = read_axes(out, at, axes, MAX_KERNEL);

    for (int a = 0; st == VOLT_OK && a < 3; a++) {
        if (out[a] % 2 == 0)
            return volt_json_fail(at, "has %lld along %c; odd numbers are expected",
                                  (long long)out[a], "dhw"[a]);
    }
    return st;
}

/* A kernel under `key`, 3 where it is absent. */
static volt_status read_kernel_of(int64_t out[3], const volt_json_at *kwargs, const char *key,
                                  int axes)
{
    volt_json_at at;
    volt_status st = volt_json_optional(&at, kwargs, key);

    if (st != VOLT_OK)
        return st;
    out[0] = axes == 3 ? 3 : 1;
    out[1] = out[2] = 3;
    return at.value ? read_kernel(out, &at, axes) : VOLT_OK;
}

/* "NAME", or ["NAME", {arguments}]; args->value is NULL without arguments. */
static volt_status read_named(const char **name, volt_json_at *args, const volt_json_at *at)
{
    volt_json_at first;
    size_t count;
    volt_status st;

    *args = *at;
    args->value = NULL;
    if (!json_is_array(at->value))
        return volt_json_text(name, at, 64);
    VOLT_TRY(st, done, volt_json_length(&count, at, 1, 2));
    VOLT_TRY(st, done, volt_json_item(&first, at, 0));
    VOLT_TRY(st, done, volt_json_text(name, &first, 64));
    if (count == 2) {
        VOLT_TRY(st, done, volt_json_item(args, at, 1));
        st = volt_json_count(&count, args);
    }
done:
    return st;
}

static volt_status read_norm(volt_monai_norm *out, const volt_json_at *at)
{
    static const char *const keys[] = {"affine", "eps", "momentum", "track_running_stats",
                                       NULL};
    volt_json_at args, v;
    const char *name;
    bool affine, running = false;
    double eps = 1e-5;
    volt_status st;

    VOLT_TRY(st, done, read_named(&name, &args, at));
    affine = strcasecmp(name, "batch") == 0;
    if (!affine && strcasecmp(name, "instance") != 0)
        return refuse(at, "is not supported; supported norms are INSTANCE, BATCH (imported "
                          "models only) and null");
    *out = affine ? VOLT_MONAI_NORM_BATCH : VOLT_MONAI_NORM_PLAIN;
    if (!args.value)
        return VOLT_OK;
    VOLT_TRY(st, done, known_only(&args, keys));
    VOLT_TRY(st, done, volt_json_optional(&v, &args, "eps"));
    if (v.value)
        VOLT_TRY(st, done, volt_json_double(&eps, &v, 0, 1));
    if (eps != 1e-5)
        return refuse(&v, "is not 1e-05; only that is supported");
    VOLT_TRY(st, done, volt_json_optional(&v, &args, "track_running_stats"));
    if (v.value)
        VOLT_TRY(st, done, volt_json_bool(&running, &v));
    if (v.value && running != (*out == VOLT_MONAI_NORM_BATCH))
        return refuse(&v, "is not the norm's default; only that is supported");
    VOLT_TRY(st, done, volt_json_optional(&v, &args, "affine"));
    if (v.value)
        VOLT_TRY(st, done, volt_json_bool(&affine, &v));
    if (*out == VOLT_MONAI_NORM_PLAIN && affine)
        *out = VOLT_MONAI_NORM_AFFINE;
done:
    return st;
}

/* ReLU, leaky ReLU and PReLU. */
static volt_status read_act(volt_monai_spec *spec, const volt_json_at *at)
{
    static const char *const keys[] = {"inplace", "negative_slope", "num_parameters", "init",
                                       NULL};
    volt_json_at args, v;
    const char *name;
    volt_status st;

    VOLT_TRY(st, done, read_named(&name, &args, at));
    spec->slopes = strcasecmp(name, "prelu") == 0;
    spec->slope = strcasecmp(name, "leakyrelu") == 0 ? 0.01 : 0;
    if (!spec->slopes && spec->slope == 0 && strcasecmp(name, "relu") != 0)
        return refuse(at, "is not supported; supported activations are RELU, LEAKYRELU, PRELU "
                          "and null");
    if (!args.value)
        return VOLT_OK;
    VOLT_TRY(st, done, known_only(&args, keys));
    VOLT_TRY(st, done, volt_json_optional(&v, &args, "negative_slope"));
    if (v.value && spec->slope > 0)
        VOLT_TRY(st, done, volt_json_double(&spec->slope, &v, 0, 1));
    VOLT_TRY(st, done, volt_json_optional(&v, &args, "num_parameters"));
    if (v.value && spec->slopes)
        VOLT_TRY(st, done, volt_json_int(&spec->slopes, &v, 1, MAX_FEATURES));
done:
    return st;
}

/* Norm and activation under their keys; those absent stay, null is none. */
static volt_status read_norm_act(volt_monai_spec *spec, const volt_json_at *kwargs,
                                 const char *norm_key, const char *act_key)
{
    volt_json_at at;
    volt_status st;

    VOLT_TRY(st, done, volt_json_optional(&at, kwargs, norm_key));
    if (at.value)
        VOLT_TRY(st, done, read_norm(&spec->norm, &at));
    else if (json_is_null(json_object_get(kwargs->value, norm_key)))
        spec->norm = VOLT_MONAI_NORM_NONE;
    VOLT_TRY(st, done, volt_json_optional(&at, kwargs, act_key));
    if (at.value) {
        st = read_act(spec, &at);
    } else if (json_is_null(json_object_get(kwargs->value, act_key))) {
        spec->slopes = 0;
        spec->slope = 1;
    }
done:
    return st;
}

/* What both classes have: dimensions, channels at the ends, dropout. */
static volt_status read_common(const volt_network *net, const volt_json_at *kwargs, int axes)
{
    volt_monai_spec *spec = net->spec;
    volt_json_at at;
    int64_t dims;
    volt_status st;

    VOLT_TRY(st, done, volt_json_member(&at, kwargs, "spatial_dims"));
    VOLT_TRY(st, done, volt_json_int(&dims, &at, 2, 3));
    if (dims != axes)
        return volt_json_fail(&at, "is %d, but the patch has %d axes", (int)dims, axes);
    VOLT_TRY(st, done,
             volt_kwargs_int(&spec->base.in_channels, kwargs, "in_channels", MAX_FEATURES));
    VOLT_TRY(st, done,
             volt_kwargs_int(&spec->base.out_channels, kwargs, "out_channels", MAX_FEATURES));
    VOLT_TRY(st, done, volt_json_optional(&at, kwargs, "dropout"));
    if (at.value)
        st = volt_json_double(&spec->base.dropout, &at, 0, 0.99);
done:
    return st;
}

static volt_status read_order(char out[4], const volt_json_at *kwargs)
{
    volt_json_at at;
    const char *text = "NDA";
    volt_status st;

    VOLT_TRY(st, done, volt_json_optional(&at, kwargs, "adn_ordering"));
    if (at.value)
        VOLT_TRY(st, done, volt_json_text(&text, &at, 64));
    for (size_t i = 0; text[i]; i++) {
        if (i == 3 || !strchr("NDA", text[i]) || strchr(text + i + 1, text[i]))
            return volt_json_fail(&at, "is \"%s\"; each of N, D and A at most once is expected",
                                  text);
        out[i] = text[i];
        out[i + 1] = '\0';
    }
done:
    return st;
}

volt_status volt_monai_unet_read(const volt_network *net, const volt_json_at *kwargs, int axes)
{
    static const char *const keys[] = {
        "spatial_dims", "in_channels",    "out_channels",  "channels", "strides",
        "kernel_size",  "up_kernel_size", "num_res_units", "act",      "norm",
        "dropout",      "bias",           "adn_ordering",  NULL};
    volt_monai_spec *spec = net->spec;
    volt_json_at list, at;
    size_t stages, strides;
    int64_t units = 0;
    volt_status st;

    VOLT_TRY(st, done, known_only(kwargs, keys));
    VOLT_TRY(st, done, read_common(net, kwargs, axes));
    VOLT_TRY(st, done, volt_json_member(&list, kwargs, "channels"));
    VOLT_TRY(st, done, volt_json_length(&stages, &list, 2, VOLT_MAX_STAGES));
    VOLT_TRY(st, done, volt_json_ints(spec->base.features, &list, stages, 1, MAX_FEATURES));
    VOLT_TRY(st, done, volt_json_member(&list, kwargs, "strides"));
    VOLT_TRY(st, done, volt_json_length(&strides, &list, stages - 1, 64));
    for (size_t s = 0; s < stages; s++) {
        memcpy(spec->base.stride[s], (int64_t[]){1, 1, 1}, sizeof spec->base.stride[s]);
        if (s + 1 == stages)
            break; /* the bottom layer; MONAI uses no further strides either */
        VOLT_TRY(st, done, volt_json_item(&at, &list, s));
        VOLT_TRY(st, done, read_axes(spec->base.stride[s], &at, axes, MAX_STRIDE));
    }
    spec->base.stages = (int)stages;
    VOLT_TRY(st, done, read_kernel_of(spec->base.kernel[0], kwargs, "kernel_size", axes));
    for (size_t s = 1; s < stages; s++)
        memcpy(spec->base.kernel[s], spec->base.kernel[0], sizeof spec->base.kernel[s]);
    VOLT_TRY(st, done, read_kernel_of(spec->up_kernel, kwargs, "up_kernel_size", axes));
    VOLT_TRY(st, done, volt_kwargs_int(&units, kwargs, "num_res_units", MAX_UNITS));
    spec->res_units = (int)units;
    spec->norm = VOLT_MONAI_NORM_PLAIN;
    spec->slopes = 1;
    VOLT_TRY(st, done, read_norm_act(spec, kwargs, "norm", "act"));
    spec->bias = true;
    VOLT_TRY(st, done, volt_kwargs_bool(&spec->bias, kwargs, "bias"));
    st = read_order(spec->order, kwargs);
done:
    return st;
}

/* kernel_size, strides and upsample_kernel_size of DynUNet, each with one entry per level. */
static volt_status read_levels(const volt_network *net, const volt_json_at *kwargs, int axes)
{
    volt_monai_spec *spec = net->spec;
    volt_json_at kernels, strides, ups, at;
    int64_t up[3];
    size_t stages;
    volt_status st;

    VOLT_TRY(st, done, volt_json_member(&kernels, kwargs, "kernel_size"));
    VOLT_TRY(st, done, volt_json_member(&strides, kwargs, "strides"));
    VOLT_TRY(st, done, volt_json_member(&ups, kwargs, "upsample_kernel_size"));
    VOLT_TRY(st, done, volt_json_length(&stages, &kernels, 3, VOLT_MAX_STAGES));
    spec->base.stages = (int)stages;
    VOLT_TRY(st, done, volt_json_length(&stages, &strides, stages, stages));
    VOLT_TRY(st, done, volt_json_length(&stages, &ups, stages - 1, stages - 1));
    for (size_t s = 0; s < (size_t)spec->base.stages; s++) {
        VOLT_TRY(st, done, volt_json_item(&at, &kernels, s));
        VOLT_TRY(st, done, read_kernel(spec->base.kernel[s], &at, axes));
        VOLT_TRY(st, done, volt_json_item(&at, &strides, s));
        VOLT_TRY(st, done, read_axes(spec->base.stride[s], &at, axes, MAX_STRIDE));
        if (s == 0)
            continue;
        VOLT_TRY(st, done, volt_json_item(&at, &ups, s - 1));
        VOLT_TRY(st, done, read_axes(up, &at, axes, MAX_STRIDE));
        if (memcmp(up, spec->base.stride[s], sizeof up) != 0)
            return volt_json_fail(&at,
                                  "differs from strides[%zu], so skip connections would not "
                                  "match",
                                  s);
    }
done:
    return st;
}

static volt_status read_filters(volt_monai_spec *spec, const volt_json_at *kwargs, int axes)
{
    const int64_t most = axes == 3 ? 320 : 512;
    int64_t all[64];
    volt_json_at at;
    size_t count;
    volt_status st;

    VOLT_TRY(st, done, volt_json_optional(&at, kwargs, "filters"));
    for (int s = 0; s < spec->base.stages; s++)
        spec->base.features[s] = (int64_t)32 << s < most ? (int64_t)32 << s : most;
    if (!at.value)
        return VOLT_OK;
    VOLT_TRY(st, done, volt_json_length(&count, &at, (size_t)spec->base.stages, 64));
    VOLT_TRY(st, done, volt_json_ints(all, &at, count, 1, MAX_FEATURES));
    memcpy(spec->base.features, all, (size_t)spec->base.stages * sizeof *all);
done:
    return st;
}

volt_status volt_dynunet_read(const volt_network *net, const volt_json_at *kwargs, int axes)
{
    static const char *const keys[] = {
        "spatial_dims",     "in_channels",          "out_channels", "kernel_size", "strides",
        "filters",          "upsample_kernel_size", "dropout",      "norm_name",   "act_name",
        "deep_supervision", "deep_supr_num",        "res_block",    "trans_bias",  NULL};
    volt_monai_spec *spec = net->spec;
    int64_t coarse = 1;
    bool deep = false;
    volt_json_at at;
    volt_status st;

    VOLT_TRY(st, done, known_only(kwargs, keys));
    VOLT_TRY(st, done, read_common(net, kwargs, axes));
    VOLT_TRY(st, done, read_levels(net, kwargs, axes));
    VOLT_TRY(st, done, read_filters(spec, kwargs, axes));
    spec->norm = VOLT_MONAI_NORM_AFFINE;
    spec->slope = 0.01;
    VOLT_TRY(st, done, read_norm_act(spec, kwargs, "norm_name", "act_name"));
    if (spec->slopes) {
        VOLT_TRY(st, done, volt_json_member(&at, kwargs, "act_name"));
        return refuse(&at, "is PReLU, which a DynUNet's blocks share; only RELU and LEAKYRELU "
                           "are supported here");
    }
    if (spec->norm == VOLT_MONAI_NORM_BATCH) {
        VOLT_TRY(st, done, volt_json_member(&at, kwargs, "norm_name"));
        return refuse(&at, "is batch normalization; a DynUNet's convolutions have no bias to "
                           "fold it into");
    }
    VOLT_TRY(st, done, volt_kwargs_bool(&deep, kwargs, "deep_supervision"));
    VOLT_TRY(st, done,
             volt_kwargs_int(&coarse, kwargs, "deep_supr_num", spec->base.stages - 2));
    spec->coarse_outputs = deep ? (int)coarse : 0;
    VOLT_TRY(st, done, volt_kwargs_bool(&spec->res_block, kwargs, "res_block"));
    st = volt_kwargs_bool(&spec->up_bias, kwargs, "trans_bias");
done:
    return st;
}

/* NULL after any failure on the way. */
static json_t *norm_json(volt_monai_norm norm)
{
    switch (norm) {
    case VOLT_MONAI_NORM_AFFINE:
        return json_pack("[s, {s:b}]", "INSTANCE", "affine", 1);
    case VOLT_MONAI_NORM_PLAIN:
        return json_string("INSTANCE");
    case VOLT_MONAI_NORM_BATCH:
        return json_string("BATCH");
    case VOLT_MONAI_NORM_NONE:
        break;
    }
    return json_null();
}

static json_t *act_json(const volt_monai_spec *spec)
{
    if (spec->slopes)
        return json_pack("[s, {s:I}]", "PRELU", "num_parameters", (json_int_t)spec->slopes);
    if (spec->slope == 1)
        return json_null();
    if (spec->slope == 0)
        return json_string("RELU");
    return json_pack("[s, {s:f}]", "LEAKYRELU", "negative_slope", spec->slope);
}

json_t *volt_monai_unet_write(const volt_network *net, int axes)
{
    const volt_monai_spec *spec = net->spec;
    const int64_t(*up)[3] = &spec->up_kernel;

    return json_pack(
        "{s:i, s:I, s:I, s:o, s:o, s:o, s:o, s:i, s:o, s:o, s:f, s:b, s:s}", "spatial_dims",
        axes, "in_channels", (json_int_t)spec->base.in_channels, "out_channels",
        (json_int_t)spec->base.out_channels, "channels",
        volt_json_array_of_ints(spec->base.features, (size_t)spec->base.stages), "strides",
        volt_kwargs_triples_json(spec->base.stride, 0, spec->base.stages - 1, axes),
        "kernel_size", volt_json_array_of_ints(spec->base.kernel[0] + 3 - axes, (size_t)axes),
        "up_kernel_size", volt_json_array_of_ints(*up + 3 - axes, (size_t)axes),
        "num_res_units", spec->res_units, "act", act_json(spec), "norm", norm_json(spec->norm),
        "dropout", spec->base.dropout, "bias", spec->bias, "adn_ordering", spec->order);
}

json_t *volt_dynunet_write(const volt_network *net, int axes)
{
    const volt_monai_spec *spec = net->spec;

    return json_pack(
        "{s:i, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:i, s:b, s:b}",
        "spatial_dims", axes, "in_channels", (json_int_t)spec->base.in_channels, "out_channels",
        (json_int_t)spec->base.out_channels, "kernel_size",
        volt_kwargs_triples_json(spec->base.kernel, 0, spec->base.stages, axes), "strides",
        volt_kwargs_triples_json(spec->base.stride, 0, spec->base.stages, axes),
        "upsample_kernel_size",
        volt_kwargs_triples_json(spec->base.stride, 1, spec->base.stages, axes), "filters",
        volt_json_array_of_ints(spec->base.features, (size_t)spec->base.stages), "dropout",
        spec->base.dropout > 0 ? json_real(spec->base.dropout) : json_null(), "norm_name",
        norm_json(spec->norm), "act_name", act_json(spec), "deep_supervision",
        spec->coarse_outputs > 0, "deep_supr_num",
        spec->coarse_outputs ? spec->coarse_outputs : 1, "res_block", spec->res_block,
        "trans_bias", spec->up_bias);
}
