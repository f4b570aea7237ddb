#include "nets3d/models/monai_plan.h"

#include <string.h>
#include <strings.h>

enum { MAX_FEATURES = 8192, MAX_KERNEL = 15, MAX_STRIDE = 16, MAX_UNITS = 16 };

bool volt_plan_monai_class(volt_unet_spec *net, const char *class_name)
{
    const char *dot = strrchr(class_name, '.');
    const char *name = dot ? dot + 1 : class_name;

    if (strncmp(class_name, "monai.", 6) != 0)
        return false;
    if (strcmp(name, "UNet") == 0 || strcmp(name, "Unet") == 0)
        net->family = VOLT_FAMILY_MONAI_UNET;
    else if (strcasecmp(name, "DynUNet") == 0)
        net->family = VOLT_FAMILY_DYNUNET;
    else
        return false;
    return true;
}

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
            return volt_json_fail(&at, "is no argument of the class");
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

/* A kernel under `key`, 3 where there is none. */
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

static volt_status read_norm(volt_unet_norm *out, const volt_json_at *at)
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
        return refuse(at, "is a norm that this build does not have; there are INSTANCE, BATCH "
                          "(of trained models) and null");
    *out = affine ? VOLT_UNET_NORM_BATCH : VOLT_UNET_NORM_PLAIN;
    if (!args.value)
        return VOLT_OK;
    VOLT_TRY(st, done, known_only(&args, keys));
    VOLT_TRY(st, done, volt_json_optional(&v, &args, "eps"));
    if (v.value)
        VOLT_TRY(st, done, volt_json_double(&eps, &v, 0, 1));
    if (eps != 1e-5)
        return refuse(&v, "is another number than 1e-05, the only one of this build");
    VOLT_TRY(st, done, volt_json_optional(&v, &args, "track_running_stats"));
    if (v.value)
        VOLT_TRY(st, done, volt_json_bool(&running, &v));
    if (v.value && running != (*out == VOLT_UNET_NORM_BATCH))
        return refuse(&v, "is not the norm's default, the only one of this build");
    VOLT_TRY(st, done, volt_json_optional(&v, &args, "affine"));
    if (v.value)
        VOLT_TRY(st, done, volt_json_bool(&affine, &v));
    if (*out == VOLT_UNET_NORM_PLAIN && affine)
        *out = VOLT_UNET_NORM_AFFINE;
done:
    return st;
}

/* ReLU, leaky ReLU and PReLU. */
static volt_status read_act(volt_unet_spec *net, const volt_json_at *at)
{
    static const char *const keys[] = {"inplace", "negative_slope", "num_parameters", "init",
                                       NULL};
    volt_json_at args, v;
    const char *name;
    volt_status st;

    VOLT_TRY(st, done, read_named(&name, &args, at));
    net->monai.slopes = strcasecmp(name, "prelu") == 0;
    net->slope = strcasecmp(name, "leakyrelu") == 0 ? 0.01 : 0;
    if (!net->monai.slopes && net->slope == 0 && strcasecmp(name, "relu") != 0)
        return refuse(at, "is an activation that this build does not have; there are RELU, "
                          "LEAKYRELU, PRELU and null");
    if (!args.value)
        return VOLT_OK;
    VOLT_TRY(st, done, known_only(&args, keys));
    VOLT_TRY(st, done, volt_json_optional(&v, &args, "negative_slope"));
    if (v.value && net->slope > 0)
        VOLT_TRY(st, done, volt_json_double(&net->slope, &v, 0, 1));
    VOLT_TRY(st, done, volt_json_optional(&v, &args, "num_parameters"));
    if (v.value && net->monai.slopes)
        VOLT_TRY(st, done, volt_json_int(&net->monai.slopes, &v, 1, MAX_FEATURES));
done:
    return st;
}

/* Norm and activation under their keys; those absent stay, null is none. */
static volt_status read_norm_act(volt_unet_spec *net, const volt_json_at *kwargs,
                                 const char *norm_key, const char *act_key)
{
    volt_json_at at;
    volt_status st;

    VOLT_TRY(st, done, volt_json_optional(&at, kwargs, norm_key));
    if (at.value)
        VOLT_TRY(st, done, read_norm(&net->monai.norm, &at));
    else if (json_is_null(json_object_get(kwargs->value, norm_key)))
        net->monai.norm = VOLT_UNET_NORM_NONE;
    VOLT_TRY(st, done, volt_json_optional(&at, kwargs, act_key));
    if (at.value) {
        st = read_act(net, &at);
    } else if (json_is_null(json_object_get(kwargs->value, act_key))) {
        net->monai.slopes = 0;
        net->slope = 1;
    }
done:
    return st;
}

static volt_status read_flag(bool *out, const volt_json_at *kwargs, const char *key)
{
    volt_json_at at;
    volt_status st = volt_json_optional(&at, kwargs, key);

    return st == VOLT_OK && at.value ? volt_json_bool(out, &at) : st;
}

static volt_status read_count(int64_t *out, const volt_json_at *kwargs, const char *key,
                              int64_t high)
{
    volt_json_at at;
    volt_status st = volt_json_optional(&at, kwargs, key);

    return st == VOLT_OK && at.value ? volt_json_int(out, &at, 0, high) : st;
}

/* What both classes have: dimensions, channels at the ends, dropout. */
static volt_status read_common(volt_plan_config *c, const volt_json_at *kwargs)
{
    volt_unet_spec *net = &c->net;
    volt_json_at at;
    int64_t axes;
    volt_status st;

    VOLT_TRY(st, done, volt_json_member(&at, kwargs, "spatial_dims"));
    VOLT_TRY(st, done, volt_json_int(&axes, &at, 2, 3));
    if (axes != c->axes)
        return volt_json_fail(&at, "is %d, but the patch has %d axes", (int)axes, c->axes);
    VOLT_TRY(st, done, read_count(&net->in_channels, kwargs, "in_channels", MAX_FEATURES));
    VOLT_TRY(st, done, read_count(&net->out_channels, kwargs, "out_channels", MAX_FEATURES));
    VOLT_TRY(st, done, volt_json_optional(&at, kwargs, "dropout"));
    if (at.value)
        st = volt_json_double(&net->dropout, &at, 0, 0.99);
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

static volt_status read_unet(volt_plan_config *c, const volt_json_at *kwargs)
{
    static const char *const keys[] = {
        "spatial_dims", "in_channels",    "out_channels",  "channels", "strides",
        "kernel_size",  "up_kernel_size", "num_res_units", "act",      "norm",
        "dropout",      "bias",           "adn_ordering",  NULL};
    volt_unet_spec *net = &c->net;
    volt_json_at list, at;
    size_t stages, strides;
    int64_t units = 0;
    volt_status st;

    VOLT_TRY(st, done, known_only(kwargs, keys));
    VOLT_TRY(st, done, read_common(c, kwargs));
    VOLT_TRY(st, done, volt_json_member(&list, kwargs, "channels"));
    VOLT_TRY(st, done, volt_json_length(&stages, &list, 2, VOLT_UNET_MAX_STAGES));
    VOLT_TRY(st, done, volt_json_ints(net->features, &list, stages, 1, MAX_FEATURES));
    VOLT_TRY(st, done, volt_json_member(&list, kwargs, "strides"));
    VOLT_TRY(st, done, volt_json_length(&strides, &list, stages - 1, 64));
    for (size_t s = 0; s < stages; s++) {
        memcpy(net->stride[s], (int64_t[]){1, 1, 1}, sizeof net->stride[s]);
        if (s + 1 == stages)
            break; /* the bottom layer; MONAI uses no further strides either */
        VOLT_TRY(st, done, volt_json_item(&at, &list, s));
        VOLT_TRY(st, done, read_axes(net->stride[s], &at, c->axes, MAX_STRIDE));
    }
    net->stages = (int)stages;
    VOLT_TRY(st, done, read_kernel_of(net->kernel[0], kwargs, "kernel_size", c->axes));
    for (size_t s = 1; s < stages; s++)
        memcpy(net->kernel[s], net->kernel[0], sizeof net->kernel[s]);
    VOLT_TRY(st, done, read_kernel_of(net->monai.up_kernel, kwargs, "up_kernel_size", c->axes));
    VOLT_TRY(st, done, read_count(&units, kwargs, "num_res_units", MAX_UNITS));
    net->monai.res_units = (int)units;
    net->monai.norm = VOLT_UNET_NORM_PLAIN;
    net->monai.slopes = 1;
    VOLT_TRY(st, done, read_norm_act(net, kwargs, "norm", "act"));
    net->bias = true;
    VOLT_TRY(st, done, read_flag(&net->bias, kwargs, "bias"));
    st = read_order(net->monai.order, kwargs);
done:
    return st;
}

/* kernel_size, strides and upsample_kernel_size of DynUNet, each with one entry per level. */
static volt_status read_levels(volt_plan_config *c, const volt_json_at *kwargs)
{
    volt_unet_spec *net = &c->net;
    volt_json_at kernels, strides, ups, at;
    int64_t up[3];
    size_t stages;
    volt_status st;

    VOLT_TRY(st, done, volt_json_member(&kernels, kwargs, "kernel_size"));
    VOLT_TRY(st, done, volt_json_member(&strides, kwargs, "strides"));
    VOLT_TRY(st, done, volt_json_member(&ups, kwargs, "upsample_kernel_size"));
    VOLT_TRY(st, done, volt_json_length(&stages, &kernels, 3, VOLT_UNET_MAX_STAGES));
    net->stages = (int)stages;
    VOLT_TRY(st, done, volt_json_length(&stages, &strides, stages, stages));
    VOLT_TRY(st, done, volt_json_length(&stages, &ups, stages - 1, stages - 1));
    for (size_t s = 0; s < (size_t)net->stages; s++) {
        VOLT_TRY(st, done, volt_json_item(&at, &kernels, s));
        VOLT_TRY(st, done, read_kernel(net->kernel[s], &at, c->axes));
        VOLT_TRY(st, done, volt_json_item(&at, &strides, s));
        VOLT_TRY(st, done, read_axes(net->stride[s], &at, c->axes, MAX_STRIDE));
        if (s == 0)
            continue;
        VOLT_TRY(st, done, volt_json_item(&at, &ups, s - 1));
        VOLT_TRY(st, done, read_axes(up, &at, c->axes, MAX_STRIDE));
        if (memcmp(up, net->stride[s], sizeof up) != 0)
            return volt_json_fail(&at,
                                  "differs from strides[%zu], which leaves skips of other "
                                  "extents",
                                  s);
    }
done:
    return st;
}

static volt_status read_filters(volt_unet_spec *net, const volt_json_at *kwargs, int axes)
{
    const int64_t most = axes == 3 ? 320 : 512;
    int64_t all[64];
    volt_json_at at;
    size_t count;
    volt_status st;

    VOLT_TRY(st, done, volt_json_optional(&at, kwargs, "filters"));
    for (int s = 0; s < net->stages; s++)
        net->features[s] = (int64_t)32 << s < most ? (int64_t)32 << s : most;
    if (!at.value)
        return VOLT_OK;
    VOLT_TRY(st, done, volt_json_length(&count, &at, (size_t)net->stages, 64));
    VOLT_TRY(st, done, volt_json_ints(all, &at, count, 1, MAX_FEATURES));
    memcpy(net->features, all, (size_t)net->stages * sizeof *all);
done:
    return st;
}

static volt_status read_dynunet(volt_plan_config *c, const volt_json_at *kwargs)
{
    static const char *const keys[] = {
        "spatial_dims",     "in_channels",          "out_channels", "kernel_size", "strides",
        "filters",          "upsample_kernel_size", "dropout",      "norm_name",   "act_name",
        "deep_supervision", "deep_supr_num",        "res_block",    "trans_bias",  NULL};
    volt_unet_spec *net = &c->net;
    int64_t heads = 1;
    bool deep = false;
    volt_json_at at;
    volt_status st;

    VOLT_TRY(st, done, known_only(kwargs, keys));
    VOLT_TRY(st, done, read_common(c, kwargs));
    VOLT_TRY(st, done, read_levels(c, kwargs));
    VOLT_TRY(st, done, read_filters(net, kwargs, c->axes));
    net->monai.norm = VOLT_UNET_NORM_AFFINE;
    net->slope = 0.01;
    VOLT_TRY(st, done, read_norm_act(net, kwargs, "norm_name", "act_name"));
    if (net->monai.slopes) {
        VOLT_TRY(st, done, volt_json_member(&at, kwargs, "act_name"));
        return refuse(&at, "is PReLU, of which a DynUNet's blocks share one; this build has "
                           "RELU and LEAKYRELU here");
    }
    if (net->monai.norm == VOLT_UNET_NORM_BATCH) {
        VOLT_TRY(st, done, volt_json_member(&at, kwargs, "norm_name"));
        return refuse(&at, "is batch normalisation; a DynUNet's convolutions have no bias to "
                           "fold it into");
    }
    VOLT_TRY(st, done, read_flag(&deep, kwargs, "deep_supervision"));
    VOLT_TRY(st, done, read_count(&heads, kwargs, "deep_supr_num", net->stages - 2));
    net->monai.heads = deep ? (int)heads : 0;
    VOLT_TRY(st, done, read_flag(&net->monai.res_block, kwargs, "res_block"));
    st = read_flag(&net->monai.up_bias, kwargs, "trans_bias");
done:
    return st;
}

volt_status volt_plan_read_monai(volt_plan_config *c, const volt_json_at *kwargs)
{
    return c->net.family == VOLT_FAMILY_DYNUNET ? read_dynunet(c, kwargs)
                                                : read_unet(c, kwargs);
}

/* ---- writing ---- */

const char *volt_plan_monai_name(const volt_unet_spec *net)
{
    return net->family == VOLT_FAMILY_DYNUNET ? "monai.networks.nets.DynUNet"
                                              : "monai.networks.nets.UNet";
}

/* NULL after any failure on the way. */
static json_t *norm_json(volt_unet_norm norm)
{
    switch (norm) {
    case VOLT_UNET_NORM_AFFINE:
        return json_pack("[s, {s:b}]", "INSTANCE", "affine", 1);
    case VOLT_UNET_NORM_PLAIN:
        return json_string("INSTANCE");
    case VOLT_UNET_NORM_BATCH:
        return json_string("BATCH");
    case VOLT_UNET_NORM_NONE:
        break;
    }
    return json_null();
}

static json_t *act_json(const volt_unet_spec *net)
{
    if (net->monai.slopes)
        return json_pack("[s, {s:I}]", "PRELU", "num_parameters",
                         (json_int_t)net->monai.slopes);
    if (net->slope == 1)
        return json_null();
    if (net->slope == 0)
        return json_string("RELU");
    return json_pack("[s, {s:f}]", "LEAKYRELU", "negative_slope", net->slope);
}

/* Stages `first`..`end`-1, without the slice axis of 2-D networks. */
static json_t *axes_json(const int64_t (*v)[3], int first, int end, int axes)
{
    json_t *list = json_array();

    for (int s = first; s < end; s++) {
        if (json_array_append_new(
                list, volt_json_array_of_ints(v[s] + 3 - axes, (size_t)axes)) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static json_t *unet_json(const volt_plan_config *c)
{
    const volt_unet_spec *net = &c->net;
    const int64_t(*up)[3] = &net->monai.up_kernel;

    return json_pack("{s:i, s:I, s:I, s:o, s:o, s:o, s:o, s:i, s:o, s:o, s:f, s:b, s:s}",
                     "spatial_dims", c->axes, "in_channels", (json_int_t)net->in_channels,
                     "out_channels", (json_int_t)net->out_channels, "channels",
                     volt_json_array_of_ints(net->features, (size_t)net->stages), "strides",
                     axes_json(net->stride, 0, net->stages - 1, c->axes), "kernel_size",
                     volt_json_array_of_ints(net->kernel[0] + 3 - c->axes, (size_t)c->axes),
                     "up_kernel_size",
                     volt_json_array_of_ints(*up + 3 - c->axes, (size_t)c->axes),
                     "num_res_units", net->monai.res_units, "act", act_json(net), "norm",
                     norm_json(net->monai.norm), "dropout", net->dropout, "bias", net->bias,
                     "adn_ordering", net->monai.order);
}

static json_t *dynunet_json(const volt_plan_config *c)
{
    const volt_unet_spec *net = &c->net;

    return json_pack("{s:i, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:i, s:b, s:b}",
                     "spatial_dims", c->axes, "in_channels", (json_int_t)net->in_channels,
                     "out_channels", (json_int_t)net->out_channels, "kernel_size",
                     axes_json(net->kernel, 0, net->stages, c->axes), "strides",
                     axes_json(net->stride, 0, net->stages, c->axes), "upsample_kernel_size",
                     axes_json(net->stride, 1, net->stages, c->axes), "filters",
                     volt_json_array_of_ints(net->features, (size_t)net->stages), "dropout",
                     net->dropout > 0 ? json_real(net->dropout) : json_null(), "norm_name",
                     norm_json(net->monai.norm), "act_name", act_json(net), "deep_supervision",
                     net->monai.heads > 0, "deep_supr_num",
                     net->monai.heads ? net->monai.heads : 1, "res_block", net->monai.res_block,
                     "trans_bias", net->monai.up_bias);
}

json_t *volt_plan_monai_kwargs(const volt_plan_config *c)
{
    return c->net.family == VOLT_FAMILY_DYNUNET ? dynunet_json(c) : unet_json(c);
}
