/* nnU-Net's JSON as a plan. Plans are edited by hand: every value is judged on its own and
 * against the others, and what is wrong is named by its key. */
#include <string.h>

#include "base/core/alloc.h"
#include "base/core/plural.h"
#include "nets3d/models/model_internal.h"
#include "nets3d/plan/data_key.h"
#include "nets3d/plan/plan_internal.h"

enum { MAX_CONFIGS = 64, MAX_PATCH = 4096, MAX_BATCH = 100000, MAX_NAME = 200 };

static volt_status find_ancestors(volt_inherited *out, const volt_json_at *configs,
                                  const volt_json_at *config)
{
    volt_json_at parent;
    const char *name;
    volt_status st;

    *out = (volt_inherited){.at = {*config}, .count = 1};
    for (;;) {
        VOLT_TRY(st, done,
                 volt_json_optional(&parent, &out->at[out->count - 1], "inherits_from"));
        if (!parent.value)
            return VOLT_OK;
        if (out->count == VOLT_INHERITED_MAX)
            return volt_json_fail(&parent, "makes a chain of more than %d configurations",
                                  VOLT_INHERITED_MAX);
        VOLT_TRY(st, done, volt_json_text(&name, &parent, MAX_NAME));
        VOLT_TRY(st, done, volt_json_optional(&out->at[out->count], configs, name));
        if (!out->at[out->count].value)
            return volt_json_fail(&parent, "is \"%s\", which is not a configuration", name);
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

/* The name of another configuration, or the first of a list of them. */
static volt_status read_stage(char **out, const volt_inherited *l, const char *key)
{
    volt_json_at at;
    const char *text;
    size_t count;
    volt_status st;

    VOLT_TRY(st, done, volt_inherited_optional(&at, l, key));
    if (!at.value)
        goto done;
    if (json_is_array(at.value)) {
        VOLT_TRY(st, done, volt_json_length(&count, &at, 1, MAX_CONFIGS));
        VOLT_TRY(st, done, volt_json_item(&at, &at, 0));
    }
    VOLT_TRY(st, done, volt_json_text(&text, &at, MAX_NAME));
    st = volt_strdup(out, text);
done:
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
        volt_json_fail(&at, "is %lld; supported orders are %s", (long long)*out, allowed);
        st = VOLT_ENOTSUP;
    }
done:
    return st;
}

static volt_status read_resampling(volt_plan_resampling *out, const volt_inherited *l,
                                   const char *key, const char *allowed)
{
    char kwargs_key[64] = "";
    volt_json_at at, kwargs;
    int64_t order, order_z;
    bool separate = false;
    volt_status st;

    VOLT_TRY(st, done, volt_inherited_member(&at, l, key));
    VOLT_TRY(st, done, volt_kwargs_expect(&at, "resample_data_or_seg_to_shape"));
    strcat(strcpy(kwargs_key, key), "_kwargs");
    VOLT_TRY(st, done, volt_inherited_member(&kwargs, l, kwargs_key));
    VOLT_TRY(st, done, read_order(&order, &kwargs, "order", allowed));
    VOLT_TRY(st, done, read_order(&order_z, &kwargs, "order_z", "0"));
    VOLT_TRY(st, done, volt_json_optional(&at, &kwargs, "force_separate_z"));
    if (at.value)
        VOLT_TRY(st, done, volt_json_bool(&separate, &at));
    out->order = (volt_interpolation)order;
    out->separate_z = !at.value  ? VOLT_SEPARATE_Z_AUTO
                      : separate ? VOLT_SEPARATE_Z_ALWAYS
                                 : VOLT_SEPARATE_Z_NEVER;
done:
    return st;
}

static volt_status read_norms(volt_plan_config *c, const volt_inherited *l, int channels)
{
    volt_json_at schemes, masks, at;
    const char *text;
    size_t count;
    volt_status st;

    VOLT_TRY(st, done, volt_inherited_member(&schemes, l, "normalization_schemes"));
    VOLT_TRY(st, done, volt_inherited_member(&masks, l, "use_mask_for_norm"));
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
            volt_json_fail(
                &at,
                "is \"%s\"; supported are CTNormalization, NoNormalization, "
                "RGBTo01Normalization, RescaleTo01Normalization, ZScoreNormalization",
                text);
            return VOLT_ENOTSUP;
        }
        c->norm[i] = s;
        VOLT_TRY(st, done, volt_json_item(&at, &masks, i));
        VOLT_TRY(st, done, volt_json_bool(&c->use_mask_for_norm[i], &at));
    }
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
        for (int s = 0; s < volt_network_stage_count(&c->net); s++) {
            divisor *= volt_network_stage_at(&c->net, s).stride[a];
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

static volt_status read_geometry(volt_plan_config *c, const volt_inherited *l)
{
    volt_json_at at;
    size_t axes;
    volt_status st;

    VOLT_TRY(st, done, volt_inherited_member(&at, l, "patch_size"));
    VOLT_TRY(st, done, volt_json_length(&axes, &at, 2, 3));
    c->axes = (int)axes;
    c->patch[0] = 1;
    c->median_shape[0] = 1;
    VOLT_TRY(st, done, volt_json_ints(c->patch + 3 - axes, &at, axes, 1, MAX_PATCH));
    VOLT_TRY(st, done, volt_inherited_member(&at, l, "spacing"));
    VOLT_TRY(st, done, volt_json_doubles(c->spacing + 3 - axes, &at, axes, 1e-6, 1e6));
    VOLT_TRY(st, done, volt_inherited_member(&at, l, "median_image_size_in_voxels"));
    VOLT_TRY(st, done, volt_json_doubles(c->median_shape + 3 - axes, &at, axes, 1, 1e9));
    VOLT_TRY(st, done, volt_inherited_member(&at, l, "batch_size"));
    VOLT_TRY(st, done, volt_json_int(&c->batch, &at, 1, MAX_BATCH));
done:
    return st;
}

static volt_status read_transpose(int out_forward[3], int out_backward[3],
                                  const volt_json_at *forward_at,
                                  const volt_json_at *backward_at)
{
    int64_t forward[3], backward[3];
    volt_status st;

    VOLT_TRY(st, done, volt_json_ints(forward, forward_at, 3, 0, 2));
    if (forward[0] == forward[1] || forward[0] == forward[2] || forward[1] == forward[2])
        return volt_json_fail(forward_at,
                              "is [%d, %d, %d]; a permutation of 0, 1, 2 is expected",
                              (int)forward[0], (int)forward[1], (int)forward[2]);
    VOLT_TRY(st, done, volt_json_ints(backward, backward_at, 3, 0, 2));
    for (int a = 0; a < 3; a++) {
        if (backward[forward[a]] != a)
            return volt_json_fail(backward_at, "is not the inverse of transpose_forward");
        out_forward[a] = (int)forward[a];
        out_backward[a] = (int)backward[a];
    }
done:
    return st;
}

/* Of the configuration, or the plan's. */
static volt_status read_config_axes(volt_plan_config *c, const volt_plan *plan,
                                    const volt_inherited *l)
{
    volt_json_at at, backward;
    int64_t slices = 1;
    volt_status st;

    memcpy(c->transpose_forward, plan->transpose_forward, sizeof c->transpose_forward);
    memcpy(c->transpose_backward, plan->transpose_backward, sizeof c->transpose_backward);
    VOLT_TRY(st, done, volt_inherited_optional(&at, l, "transpose_forward"));
    if (at.value) {
        VOLT_TRY(st, done, volt_inherited_member(&backward, l, "transpose_backward"));
        VOLT_TRY(st, done,
                 read_transpose(c->transpose_forward, c->transpose_backward, &at, &backward));
    }
    VOLT_TRY(st, done, volt_inherited_optional(&at, l, "slices"));
    if (at.value) {
        VOLT_TRY(st, done, volt_json_int(&slices, &at, 1, VOLT_MAX_SLICES));
        if (slices % 2 == 0 || (slices > 1 && c->axes == 3))
            return volt_json_fail(&at,
                                  "is %lld; an odd number is expected, and 1 unless patch_size "
                                  "has two numbers",
                                  (long long)slices);
    }
    c->slices = (int)slices;
    VOLT_TRY(st, done, volt_inherited_optional(&at, l, "whole_volume"));
    if (at.value)
        VOLT_TRY(st, done, volt_json_bool(&c->whole, &at));
    if (c->whole && c->axes == 2)
        return volt_json_fail(&at, "is true; a configuration of slices cannot be whole");
done:
    return st;
}

/* Channels are the data set's; an architecture that names its own must agree. */
static volt_status set_channels(const volt_plan *plan, volt_plan_config *c,
                                const volt_inherited *l)
{
    const int64_t in = volt_network_in_channels(&c->net);
    const int64_t out = volt_network_out_channels(&c->net);
    int64_t data_in, data_out;
    volt_json_at at;
    volt_status st = VOLT_OK;

    volt_plan_set_channels(plan, c);
    data_in = volt_network_in_channels(&c->net);
    data_out = volt_network_out_channels(&c->net);
    if ((in && in != data_in) || (out && out != data_out)) {
        VOLT_TRY(st, done, volt_inherited_member(&at, l, "architecture"));
        st = volt_json_fail(
            &at, "has %lld channel%s in and %lld out; the data set has %lld and %lld",
            (long long)in, volt_s(in), (long long)out, (long long)data_in, (long long)data_out);
    }
done:
    return st;
}

static volt_status read_config(volt_plan_config *c, const volt_plan *plan,
                               const volt_json_at *configs, const volt_json_at *config)
{
    volt_inherited l;
    volt_json_at at;
    volt_status st;

    VOLT_TRY(st, done, find_ancestors(&l, configs, config));
    if (l.count > 1) {
        const char *parent;
        VOLT_TRY(st, done, volt_json_member(&at, config, "inherits_from"));
        VOLT_TRY(st, done, volt_json_text(&parent, &at, MAX_NAME));
        VOLT_TRY(st, done, volt_strdup(&c->inherits_from, parent));
    }
    VOLT_TRY(st, done, volt_inherited_member(&at, &l, "data_identifier"));
    VOLT_TRY(st, done, file_name(&c->data_identifier, &at));
    VOLT_TRY(st, done, volt_inherited_member(&at, &l, "preprocessor_name"));
    VOLT_TRY(st, done, volt_kwargs_expect(&at, "DefaultPreprocessor"));
    VOLT_TRY(st, done, read_geometry(c, &l));
    VOLT_TRY(st, done, read_config_axes(c, plan, &l));
    VOLT_TRY(st, done, read_norms(c, &l, plan->channels));
    VOLT_TRY(st, done, read_resampling(&c->data, &l, "resampling_fn_data", "013"));
    VOLT_TRY(st, done, read_resampling(&c->seg, &l, "resampling_fn_seg", "01"));
    VOLT_TRY(st, done,
             read_resampling(&c->probabilities, &l, "resampling_fn_probabilities", "1"));
    VOLT_TRY(st, done, volt_network_read(&c->net, &l, c->axes));
    VOLT_TRY(st, done, volt_inherited_member(&at, &l, "patch_size"));
    VOLT_TRY(st, done, check_patch(c, &at));
    VOLT_TRY(st, done, volt_inherited_member(&at, &l, "batch_dice"));
    VOLT_TRY(st, done, volt_json_bool(&c->batch_dice, &at));
    VOLT_TRY(st, done, read_stage(&c->previous_stage, &l, "previous_stage"));
    VOLT_TRY(st, done, read_stage(&c->next_stage, &l, "next_stage"));
    st = set_channels(plan, c, &l);
done:
    return st;
}

/* A previous stage must be another configuration of the plan, and not refine this one. */
static volt_status check_stages(const volt_plan *plan, const volt_json_at *configs)
{
    const volt_plan_config *c = plan->config, *before;
    volt_json_at at;
    volt_status st = VOLT_OK;

    for (int i = 0; i < plan->configs && st == VOLT_OK; i++, c++) {
        if (!c->previous_stage)
            continue;
        if (volt_plan_find(&before, plan, c->previous_stage) == VOLT_OK &&
            !before->previous_stage)
            continue;
        VOLT_TRY(st, done, volt_json_member(&at, configs, c->name));
        return volt_json_fail(&at,
                              "has previous_stage \"%s\", which is not a configuration of this "
                              "plan without a previous stage",
                              c->previous_stage);
    }
done:
    return st;
}

static volt_status read_configs(volt_plan *plan, const volt_json_at *root)
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
        VOLT_TRY(st, done, read_config(c, plan, &configs, &at));
    }
    st = check_stages(plan, &configs);
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
    volt_json_at root = volt_json_root(doc), at, backward;
    volt_plan *plan = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_alloc_zero(&plan, 1, sizeof *plan, "a plan"));
    plan->channels = info->channels;
    plan->classes = info->labels;
    plan->regions = info->regions;
    VOLT_TRY(st, done, read_name(&plan->dataset_name, &root, "dataset_name"));
    VOLT_TRY(st, done, read_name(&plan->plans_name, &root, "plans_name"));
    VOLT_TRY(st, done, volt_data_key_parse(&plan->data_key, &root));
    VOLT_TRY(st, done, read_name(&plan->planner, &root, "experiment_planner_used"));
    VOLT_TRY(st, done, read_name(&plan->reader, &root, "image_reader_writer"));
    VOLT_TRY(st, done, volt_json_optional(&at, &root, "label_manager"));
    if (at.value)
        VOLT_TRY(st, done, volt_kwargs_expect(&at, "LabelManager"));
    VOLT_TRY(st, done, volt_json_member(&at, &root, "original_median_spacing_after_transp"));
    VOLT_TRY(st, done, volt_json_doubles(plan->original_median_spacing, &at, 3, 1e-6, 1e6));
    VOLT_TRY(st, done, volt_json_member(&at, &root, "original_median_shape_after_transp"));
    VOLT_TRY(st, done, volt_json_ints(plan->original_median_shape, &at, 3, 1, INT32_MAX));
    VOLT_TRY(st, done, volt_json_member(&at, &root, "transpose_forward"));
    VOLT_TRY(st, done, volt_json_member(&backward, &root, "transpose_backward"));
    VOLT_TRY(st, done,
             read_transpose(plan->transpose_forward, plan->transpose_backward, &at, &backward));
    VOLT_TRY(st, done,
             volt_json_optional(&at, &root, "foreground_intensity_properties_per_channel"));
    if (!at.value) /* the key of the first versions */
        VOLT_TRY(st, done,
                 volt_json_member(&at, &root, "foreground_intensity_properties_by_modality"));
    VOLT_TRY(st, done, volt_stats_parse(&plan->intensities, &at, info->channels));
    VOLT_TRY(st, done, read_configs(plan, &root));
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
