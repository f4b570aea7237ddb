/* nnU-Net's JSON as a plan. Plans are edited by hand: every value is judged on its own and
 * against the others, and what is wrong is named by its key. */
#include "nets3d/plan.h"

#include <string.h>

#include "base/mem.h"
#include "io/json.h"
#include "nets3d/plan_internal.h"

enum {
    MAX_CONFIGS = 64,
    MAX_INHERIT = 8,
    MAX_PATCH = 4096,
    MAX_BATCH = 100000,
    MAX_FEATURES = 8192,
    MAX_KERNEL = 15,
    MAX_STRIDE = 16,
    MAX_CONVS = 16,
    MAX_NAME = 200
};

/* A configuration's objects: its own, then those it inherits from. */
typedef struct lineage {
    volt_json_at at[MAX_INHERIT];
    int count;
} lineage;

/* The value of `key` in the configuration or the nearest it inherits from; value NULL without.
 */
static volt_status inherited(volt_json_at *out, const lineage *l, const char *key)
{
    volt_status st = VOLT_OK;

    out->value = NULL;
    for (int i = 0; i < l->count && st == VOLT_OK && !out->value; i++)
        st = volt_json_optional(out, &l->at[i], key);
    return st;
}

static volt_status required(volt_json_at *out, const lineage *l, const char *key)
{
    volt_status st = inherited(out, l, key);

    if (st == VOLT_OK && !out->value)
        st = volt_json_fail(&l->at[0], "lacks \"%s\"", key);
    return st;
}

static volt_status find_lineage(lineage *out, const volt_json_at *configs,
                                const volt_json_at *config)
{
    volt_json_at parent;
    const char *name;
    volt_status st;

    *out = (lineage){.at = {*config}, .count = 1};
    for (;;) {
        VOLT_TRY(st, done,
                 volt_json_optional(&parent, &out->at[out->count - 1], "inherits_from"));
        if (!parent.value)
            return VOLT_OK;
        if (out->count == MAX_INHERIT)
            return volt_json_fail(&parent, "makes a chain of more than %d configurations",
                                  MAX_INHERIT);
        VOLT_TRY(st, done, volt_json_text(&name, &parent, MAX_NAME));
        VOLT_TRY(st, done, volt_json_optional(&out->at[out->count], configs, name));
        if (!out->at[out->count].value)
            return volt_json_fail(&parent, "is \"%s\", which is no configuration", name);
        out->count++;
    }
done:
    return st;
}

/* A name that becomes a folder. */
static volt_status file_name(char **out, const volt_json_at *at)
{
    const char *text;
    volt_status st = volt_json_text(&text, at, MAX_NAME);

    if (st != VOLT_OK)
        return st;
    if (!*text || *text == '.' || strchr(text, '/'))
        return volt_json_fail(at, "is \"%s\"; a plain file name is expected", text);
    return volt_strdup(out, text);
}

static volt_status optional_text(char **out, const lineage *l, const char *key)
{
    volt_json_at at;
    const char *text;
    volt_status st;

    VOLT_TRY(st, done, volt_json_optional(&at, &l->at[0], key)); /* never inherited */
    if (at.value) {
        VOLT_TRY(st, done, volt_json_text(&text, &at, MAX_NAME));
        st = volt_strdup(out, text);
    }
done:
    return st;
}

/* Both must be those VOLT has. */
static volt_status expect_text(const volt_json_at *at, const char *expected)
{
    const char *text;
    volt_status st = volt_json_text(&text, at, 1024);

    if (st == VOLT_OK && strcmp(text, expected) != 0) {
        volt_json_fail(at, "is \"%s\"; this build has only \"%s\"", text, expected);
        st = VOLT_ENOTSUP;
    }
    return st;
}

/* One of the orders in `allowed`, a string of digits. */
static volt_status read_order(int64_t *out, const volt_json_at *kwargs, const char *key,
                              const char *allowed)
{
    volt_json_at at;
    volt_status st;

    VOLT_TRY(st, done, volt_json_member(&at, kwargs, key));
    VOLT_TRY(st, done, volt_json_int(out, &at, 0, 5));
    if (!strchr(allowed, (int)('0' + *out))) {
        volt_json_fail(&at, "is %lld; this build resamples here with order %s", (long long)*out,
                       allowed);
        st = VOLT_ENOTSUP;
    }
done:
    return st;
}

static volt_status read_resampling(volt_plan_resampling *out, const lineage *l, const char *key,
                                   const char *allowed)
{
    char kwargs_key[64] = "";
    volt_json_at at, kwargs;
    int64_t order, order_z;
    bool separate = false;
    volt_status st;

    VOLT_TRY(st, done, required(&at, l, key));
    VOLT_TRY(st, done, expect_text(&at, "resample_data_or_seg_to_shape"));
    strcat(strcpy(kwargs_key, key), "_kwargs");
    VOLT_TRY(st, done, required(&kwargs, l, kwargs_key));
    VOLT_TRY(st, done, read_order(&order, &kwargs, "order", allowed));
    VOLT_TRY(st, done, read_order(&order_z, &kwargs, "order_z", "0"));
    VOLT_TRY(st, done, volt_json_optional(&at, &kwargs, "force_separate_z"));
    if (at.value)
        VOLT_TRY(st, done, volt_json_bool(&separate, &at));
    out->order = (volt_interpolation)order;
    out->separate_z = at.value ? separate : -1;
done:
    return st;
}

static volt_status read_norms(volt_plan_config *c, const lineage *l, int channels)
{
    volt_json_at schemes, masks, at;
    const char *text;
    size_t count;
    volt_status st;

    VOLT_TRY(st, done, required(&schemes, l, "normalization_schemes"));
    VOLT_TRY(st, done, required(&masks, l, "use_mask_for_norm"));
    VOLT_TRY(st, done, volt_json_length(&count, &schemes, (size_t)channels, (size_t)channels));
    VOLT_TRY(st, done, volt_json_length(&count, &masks, (size_t)channels, (size_t)channels));
    VOLT_TRY(st, done, volt_alloc_zero(&c->norm, count, sizeof *c->norm, "a plan"));
    VOLT_TRY(st, done, volt_alloc_zero(&c->use_mask_for_norm, count, sizeof(bool), "a plan"));
    for (size_t i = 0; i < count; i++) {
        volt_normalization s = VOLT_NORMALIZE_NONE;
        VOLT_TRY(st, done, volt_json_item(&at, &schemes, i));
        VOLT_TRY(st, done, volt_json_text(&text, &at, 1024));
        while (s <= VOLT_NORMALIZE_RGB_01 && strcmp(text, volt_norm_class(s)) != 0)
            s++;
        if (s > VOLT_NORMALIZE_RGB_01) {
            volt_json_fail(&at, "is \"%s\", a normalisation this build does not have", text);
            return VOLT_ENOTSUP;
        }
        c->norm[i] = s;
        VOLT_TRY(st, done, volt_json_item(&at, &masks, i));
        VOLT_TRY(st, done, volt_json_bool(&c->use_mask_for_norm[i], &at));
    }
done:
    return st;
}

/* A list of `stages` lists of `axes` numbers; the slice axis of 2-D configurations becomes 1.
 */
static volt_status read_triples(int64_t (*out)[3], const volt_json_at *kwargs, const char *key,
                                int stages, int axes, int64_t high)
{
    volt_json_at list, at;
    size_t count;
    volt_status st;

    VOLT_TRY(st, done, volt_json_member(&list, kwargs, key));
    VOLT_TRY(st, done, volt_json_length(&count, &list, (size_t)stages, (size_t)stages));
    for (size_t s = 0; s < count; s++) {
        out[s][0] = 1;
        VOLT_TRY(st, done, volt_json_item(&at, &list, s));
        VOLT_TRY(st, done, volt_json_ints(out[s] + 3 - axes, &at, (size_t)axes, 1, high));
    }
done:
    return st;
}

static volt_status read_convs(volt_unet_spec *net, const volt_json_at *kwargs)
{
    int64_t convs[VOLT_UNET_MAX_STAGES];
    const size_t stages = (size_t)net->stages;
    volt_json_at at;
    volt_status st;

    VOLT_TRY(st, done, volt_json_member(&at, kwargs, "n_conv_per_stage"));
    VOLT_TRY(st, done, volt_json_ints(convs, &at, stages, 1, MAX_CONVS));
    for (size_t s = 0; s < stages; s++)
        net->convs_encoder[s] = (int)convs[s];
    VOLT_TRY(st, done, volt_json_member(&at, kwargs, "n_conv_per_stage_decoder"));
    VOLT_TRY(st, done, volt_json_ints(convs, &at, stages - 1, 1, MAX_CONVS));
    for (size_t s = 0; s < stages - 1; s++)
        net->convs_decoder[stages - 2 - s] = (int)convs[s]; /* nnU-Net: lowest first */
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
             expect_text(&at, axes == 3 ? "torch.nn.modules.instancenorm.InstanceNorm3d"
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

static volt_status read_dropout(volt_unet_spec *net, const volt_json_at *kwargs)
{
    volt_json_at op, at;
    volt_status st;

    VOLT_TRY(st, done, volt_json_optional(&op, kwargs, "dropout_op"));
    if (op.value) {
        VOLT_TRY(st, done, volt_json_member(&at, kwargs, "dropout_op_kwargs"));
        VOLT_TRY(st, done, volt_json_member(&at, &at, "p"));
        VOLT_TRY(st, done, volt_json_double(&net->dropout, &at, 0, 0.99));
    }
done:
    return st;
}

static volt_status read_network(volt_plan_config *c, const lineage *l)
{
    volt_unet_spec *net = &c->net;
    volt_json_at arch, kwargs, at;
    int64_t stages;
    volt_status st;

    VOLT_TRY(st, done, required(&arch, l, "architecture"));
    VOLT_TRY(st, done, volt_json_member(&at, &arch, "network_class_name"));
    VOLT_TRY(
        st, done,
        expect_text(&at, "dynamic_network_architectures.architectures.unet.PlainConvUNet"));
    VOLT_TRY(st, done, volt_json_member(&kwargs, &arch, "arch_kwargs"));
    VOLT_TRY(st, done, volt_json_member(&at, &kwargs, "n_stages"));
    VOLT_TRY(st, done, volt_json_int(&stages, &at, 2, VOLT_UNET_MAX_STAGES));
    net->stages = (int)stages;
    VOLT_TRY(st, done, volt_json_member(&at, &kwargs, "features_per_stage"));
    VOLT_TRY(st, done, volt_json_ints(net->features, &at, (size_t)stages, 1, MAX_FEATURES));
    VOLT_TRY(
        st, done,
        read_triples(net->kernel, &kwargs, "kernel_sizes", net->stages, c->axes, MAX_KERNEL));
    VOLT_TRY(st, done,
             read_triples(net->stride, &kwargs, "strides", net->stages, c->axes, MAX_STRIDE));
    for (int s = 0; s < net->stages; s++) {
        for (int a = 0; a < 3; a++) {
            if (net->kernel[s][a] % 2 == 0)
                return volt_json_fail(
                    &kwargs, "has kernel_sizes[%d][%d] = %lld; odd numbers are expected", s,
                    a - 3 + c->axes, (long long)net->kernel[s][a]);
        }
    }
    VOLT_TRY(st, done, read_convs(net, &kwargs));
    VOLT_TRY(st, done, volt_json_member(&at, &kwargs, "conv_bias"));
    VOLT_TRY(st, done, volt_json_bool(&net->bias, &at));
    VOLT_TRY(st, done, check_norm(&kwargs, c->axes));
    VOLT_TRY(st, done, read_activation(net, &kwargs));
    st = read_dropout(net, &kwargs);
done:
    return st;
}

/* The patch must survive all strides. */
static volt_status check_patch(const volt_plan_config *c, const volt_json_at *patch)
{
    volt_json_at at;
    volt_status st = VOLT_OK;

    for (int a = 3 - c->axes; a < 3; a++) {
        int64_t divisor = 1;
        for (int s = 0; s < c->net.stages; s++) {
            divisor *= c->net.stride[s][a];
            if (divisor <= c->patch[a] && c->patch[a] % divisor == 0)
                continue;
            VOLT_TRY(st, done, volt_json_item(&at, patch, (size_t)(a - 3 + c->axes)));
            return volt_json_fail(&at,
                                  "is %lld; a multiple of %lld, the product of the strides of "
                                  "%d stages, is expected",
                                  (long long)c->patch[a], (long long)divisor, s + 1);
        }
    }
done:
    return st;
}

static volt_status read_geometry(volt_plan_config *c, const lineage *l)
{
    volt_json_at at;
    size_t axes;
    volt_status st;

    VOLT_TRY(st, done, required(&at, l, "patch_size"));
    VOLT_TRY(st, done, volt_json_length(&axes, &at, 2, 3));
    c->axes = (int)axes;
    c->patch[0] = 1;
    c->median_shape[0] = 1;
    VOLT_TRY(st, done, volt_json_ints(c->patch + 3 - axes, &at, axes, 1, MAX_PATCH));
    VOLT_TRY(st, done, required(&at, l, "spacing"));
    VOLT_TRY(st, done, volt_json_doubles(c->spacing + 3 - axes, &at, axes, 1e-6, 1e6));
    VOLT_TRY(st, done, required(&at, l, "median_image_size_in_voxels"));
    VOLT_TRY(st, done, volt_json_doubles(c->median_shape + 3 - axes, &at, axes, 1, 1e9));
    VOLT_TRY(st, done, required(&at, l, "batch_size"));
    VOLT_TRY(st, done, volt_json_int(&c->batch, &at, 1, MAX_BATCH));
done:
    return st;
}

static volt_status read_config(volt_plan_config *c, const volt_json_at *configs,
                               const volt_json_at *config, const volt_dataset_info *info)
{
    lineage l;
    volt_json_at at;
    volt_status st;

    VOLT_TRY(st, done, find_lineage(&l, configs, config));
    VOLT_TRY(st, done, required(&at, &l, "data_identifier"));
    VOLT_TRY(st, done, file_name(&c->data_identifier, &at));
    VOLT_TRY(st, done, required(&at, &l, "preprocessor_name"));
    VOLT_TRY(st, done, expect_text(&at, "DefaultPreprocessor"));
    VOLT_TRY(st, done, read_geometry(c, &l));
    VOLT_TRY(st, done, read_norms(c, &l, info->channels));
    VOLT_TRY(st, done, read_resampling(&c->data, &l, "resampling_fn_data", "013"));
    VOLT_TRY(st, done, read_resampling(&c->seg, &l, "resampling_fn_seg", "01"));
    VOLT_TRY(st, done,
             read_resampling(&c->probabilities, &l, "resampling_fn_probabilities", "1"));
    VOLT_TRY(st, done, read_network(c, &l));
    VOLT_TRY(st, done, required(&at, &l, "patch_size"));
    VOLT_TRY(st, done, check_patch(c, &at));
    VOLT_TRY(st, done, required(&at, &l, "batch_dice"));
    VOLT_TRY(st, done, volt_json_bool(&c->batch_dice, &at));
    VOLT_TRY(st, done, optional_text(&c->previous_stage, &l, "previous_stage"));
    VOLT_TRY(st, done, optional_text(&c->next_stage, &l, "next_stage"));
    c->net.in_channels = info->channels;
    c->net.out_channels = info->labels;
done:
    return st;
}

static volt_status read_configs(volt_plan *plan, const volt_json_at *root,
                                const volt_dataset_info *info)
{
    volt_json_at configs, at;
    const char *name;
    size_t count;
    volt_status st;

    VOLT_TRY(st, done, volt_json_member(&configs, root, "configurations"));
    VOLT_TRY(st, done, volt_json_count(&count, &configs));
    if (count < 1 || count > MAX_CONFIGS)
        return volt_json_fail(&configs, "has %zu entries; 1 to %d are expected", count,
                              MAX_CONFIGS);
    VOLT_TRY(st, done, volt_alloc_zero(&plan->config, count, sizeof *plan->config, "a plan"));
    for (size_t i = 0; i < count; i++) {
        volt_plan_config *c = &plan->config[i];
        VOLT_TRY(st, done, volt_json_entry(&name, &at, &configs, i));
        plan->configs++; /* from here volt_plan_free sees it */
        if (strlen(name) > MAX_NAME)
            return volt_json_fail(&at, "has a name of more than %d bytes", MAX_NAME);
        VOLT_TRY(st, done, volt_strdup(&c->name, name));
        VOLT_TRY(st, done, read_config(c, &configs, &at, info));
    }
done:
    return st;
}

static volt_status read_transpose(volt_plan *plan, const volt_json_at *root)
{
    volt_json_at at;
    int64_t forward[3], backward[3];
    volt_status st;

    VOLT_TRY(st, done, volt_json_member(&at, root, "transpose_forward"));
    VOLT_TRY(st, done, volt_json_ints(forward, &at, 3, 0, 2));
    if (forward[0] == forward[1] || forward[0] == forward[2] || forward[1] == forward[2])
        return volt_json_fail(&at, "is [%d, %d, %d]; a permutation of 0, 1, 2 is expected",
                              (int)forward[0], (int)forward[1], (int)forward[2]);
    VOLT_TRY(st, done, volt_json_member(&at, root, "transpose_backward"));
    VOLT_TRY(st, done, volt_json_ints(backward, &at, 3, 0, 2));
    for (int a = 0; a < 3; a++) {
        if (backward[forward[a]] != a)
            return volt_json_fail(&at, "is not the inverse of transpose_forward");
        plan->transpose_forward[a] = (int)forward[a];
        plan->transpose_backward[a] = (int)backward[a];
    }
done:
    return st;
}

/* Reads a name that only informs: an empty one when absent. */
static volt_status read_name(char **out, const volt_json_at *root, const char *key)
{
    volt_json_at at;
    const char *text = "";
    volt_status st;

    VOLT_TRY(st, done, volt_json_optional(&at, root, key));
    if (at.value)
        VOLT_TRY(st, done, volt_json_text(&text, &at, 4096));
    st = volt_strdup(out, text);
done:
    return st;
}

static volt_status read_plan(volt_plan **out, const volt_json *doc,
                             const volt_dataset_info *info)
{
    volt_json_at root = volt_json_root(doc), at;
    volt_plan *plan = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_alloc_zero(&plan, 1, sizeof *plan, "a plan"));
    plan->channels = info->channels;
    plan->classes = info->labels;
    VOLT_TRY(st, done, read_name(&plan->dataset_name, &root, "dataset_name"));
    VOLT_TRY(st, done, read_name(&plan->plans_name, &root, "plans_name"));
    VOLT_TRY(st, done, volt_json_member(&at, &root, "original_median_spacing_after_transp"));
    VOLT_TRY(st, done, volt_json_doubles(plan->original_median_spacing, &at, 3, 1e-6, 1e6));
    VOLT_TRY(st, done, volt_json_member(&at, &root, "original_median_shape_after_transp"));
    VOLT_TRY(st, done, volt_json_ints(plan->original_median_shape, &at, 3, 1, INT32_MAX));
    VOLT_TRY(st, done, read_transpose(plan, &root));
    VOLT_TRY(st, done,
             volt_json_member(&at, &root, "foreground_intensity_properties_per_channel"));
    VOLT_TRY(st, done, volt_stats_parse(&plan->intensities, &at, info->channels));
    VOLT_TRY(st, done, read_configs(plan, &root, info));
    *out = plan;
    plan = NULL;
done:
    volt_plan_free(plan);
    return st;
}

volt_status volt_plan_read(volt_plan **out, const char *path, const volt_dataset_info *info)
{
    volt_json doc = {0};
    volt_status st = volt_json_load(&doc, path);

    if (st == VOLT_OK)
        st = read_plan(out, &doc, info);
    volt_json_close(&doc);
    return st;
}

volt_status volt_plan_parse(volt_plan **out, const char *text, size_t bytes, const char *name,
                            const volt_dataset_info *info)
{
    volt_json doc = {0};
    volt_status st = volt_json_parse(&doc, text, bytes, name);

    if (st == VOLT_OK)
        st = read_plan(out, &doc, info);
    volt_json_close(&doc);
    return st;
}
