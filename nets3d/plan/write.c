/* A plan as nnU-Net's JSON. */
#include "nets3d/plan.h"

#include <string.h>

#include "base/mem.h"
#include "io/json/json.h"
#include "nets3d/models/model_internal.h"
#include "nets3d/plan/data_key.h"
#include "nets3d/plan/plan_internal.h"

const char *volt_norm_class(volt_normalization scheme)
{
    static const char *const names[] = {[VOLT_NORMALIZE_NONE] = "NoNormalization",
                                        [VOLT_NORMALIZE_ZSCORE] = "ZScoreNormalization",
                                        [VOLT_NORMALIZE_CT] = "CTNormalization",
                                        [VOLT_NORMALIZE_RESCALE_01] =
                                            "RescaleTo01Normalization",
                                        [VOLT_NORMALIZE_RGB_01] = "RGBTo01Normalization"};

    return names[scheme];
}

/* Sets `key` in `object`; any NULL on the way (out of memory) makes *ok false. */
static void set(bool *ok, json_t *object, const char *key, json_t *value)
{
    if (json_object_set_new(object, key, value) != 0)
        *ok = false;
}

static void append(bool *ok, json_t *array, json_t *value)
{
    if (json_array_append_new(array, value) != 0)
        *ok = false;
}

static json_t *ints_of(const int *values, size_t count)
{
    int64_t wide[3];

    for (size_t i = 0; i < count; i++)
        wide[i] = values[i];
    return volt_json_array_of_ints(wide, count);
}

static json_t *resampling_of(bool *ok, const volt_plan_resampling *r, bool is_seg)
{
    json_t *o = json_object();

    set(ok, o, "is_seg", json_boolean(is_seg));
    set(ok, o, "order", json_integer(r->order));
    set(ok, o, "order_z", json_integer(0));
    set(ok, o, "force_separate_z",
        r->separate_z == VOLT_SEPARATE_Z_AUTO
            ? json_null()
            : json_boolean(r->separate_z == VOLT_SEPARATE_Z_ALWAYS));
    return o;
}

static json_t *config_of(bool *ok, const volt_plan *plan, const volt_plan_config *c)
{
    static const char *const resampler = "resample_data_or_seg_to_shape";
    const int first = 3 - c->axes;
    json_t *o = json_object(), *norms = json_array(), *masks = json_array();

    for (int i = 0; i < plan->channels; i++) {
        append(ok, norms, json_string(volt_norm_class(c->norm[i])));
        append(ok, masks, json_boolean(c->use_mask_for_norm[i]));
    }
    set(ok, o, "data_identifier", json_string(c->data_identifier));
    set(ok, o, "preprocessor_name", json_string("DefaultPreprocessor"));
    set(ok, o, "batch_size", json_integer(c->batch));
    set(ok, o, "patch_size", volt_json_array_of_ints(c->patch + first, (size_t)c->axes));
    set(ok, o, "median_image_size_in_voxels",
        volt_json_array_of_doubles(c->median_shape + first, (size_t)c->axes));
    set(ok, o, "spacing", volt_json_array_of_doubles(c->spacing + first, (size_t)c->axes));
    set(ok, o, "normalization_schemes", norms);
    set(ok, o, "use_mask_for_norm", masks);
    set(ok, o, "resampling_fn_data", json_string(resampler));
    set(ok, o, "resampling_fn_seg", json_string(resampler));
    set(ok, o, "resampling_fn_data_kwargs", resampling_of(ok, &c->data, false));
    set(ok, o, "resampling_fn_seg_kwargs", resampling_of(ok, &c->seg, true));
    set(ok, o, "resampling_fn_probabilities", json_string(resampler));
    set(ok, o, "resampling_fn_probabilities_kwargs",
        resampling_of(ok, &c->probabilities, false));
    set(ok, o, "architecture", volt_network_json(&c->net, c->axes));
    set(ok, o, "batch_dice", json_boolean(c->batch_dice));
    if (c->slices > 1)
        set(ok, o, "slices", json_integer(c->slices));
    if (c->whole)
        set(ok, o, "whole_volume", json_true());
    if (memcmp(c->transpose_forward, plan->transpose_forward, sizeof c->transpose_forward) !=
        0) {
        set(ok, o, "transpose_forward", ints_of(c->transpose_forward, 3));
        set(ok, o, "transpose_backward", ints_of(c->transpose_backward, 3));
    }
    if (c->previous_stage)
        set(ok, o, "previous_stage", json_string(c->previous_stage));
    if (c->next_stage)
        set(ok, o, "next_stage", json_string(c->next_stage));
    return o;
}

/* Of a configuration that inherits, only what differs. A key that only its parent has cannot be
 * taken back by the file: then everything is written. */
static json_t *short_config_of(bool *ok, const volt_plan *plan, const volt_plan_config *c)
{
    const volt_plan_config *parent = NULL;
    json_t *whole = config_of(ok, plan, c), *base, *o;
    const char *key;
    json_t *value;

    for (int i = 0; i < plan->configs && c->inherits_from; i++) {
        if (strcmp(plan->config[i].name, c->inherits_from) == 0)
            parent = &plan->config[i];
    }
    if (!parent)
        return whole;
    base = config_of(ok, plan, parent);
    json_object_foreach(base, key, value)
    {
        if (!json_object_get(whole, key)) {
            json_decref(base);
            return whole;
        }
    }
    o = json_object();
    set(ok, o, "inherits_from", json_string(c->inherits_from));
    json_object_foreach(whole, key, value)
    {
        if (!json_equal(value, json_object_get(base, key)))
            set(ok, o, key, json_incref(value));
    }
    json_decref(base);
    json_decref(whole);
    return o;
}

volt_status volt_plan_config_text(char **out, const volt_plan *plan, const volt_plan_config *c)
{
    static const char *const unused[] = {"data_identifier", "median_image_size_in_voxels",
                                         "next_stage"};
    json_t *root = json_object(), *configs = json_object(), *config;
    bool ok = true, ct = false;
    size_t bytes;
    volt_status st;

    config = config_of(&ok, plan, c);
    for (size_t i = 0; i < sizeof unused / sizeof *unused; i++)
        json_object_del(config, unused[i]);
    set(&ok, configs, c->name, config);
    set(&ok, root, "configurations", configs);
    set(&ok, root, "transpose_forward", ints_of(plan->transpose_forward, 3));
    set(&ok, root, "transpose_backward", ints_of(plan->transpose_backward, 3));
    for (int i = 0; i < plan->channels; i++)
        ct = ct || c->norm[i] == VOLT_NORMALIZE_CT;
    if (ct) /* the only scheme that reads them */
        set(&ok, root, "foreground_intensity_properties_per_channel",
            volt_stats_json(plan->intensities, plan->channels));
    st = ok ? volt_json_dump(out, &bytes, root)
            : volt_fail(VOLT_ENOMEM, "out of memory for a plan's text");
    json_decref(root);
    return st;
}

/* NULL when out of memory; the caller owns the reference. */
static json_t *plan_json(const volt_plan *plan)
{
    bool ok = true;
    json_t *root = json_object(), *configs = json_object();

    for (int i = 0; i < plan->configs; i++)
        set(&ok, configs, plan->config[i].name, short_config_of(&ok, plan, &plan->config[i]));
    set(&ok, root, "dataset_name", volt_json_string(plan->dataset_name));
    set(&ok, root, "plans_name", json_string(plan->plans_name));
    ok = ok && volt_data_key_add(root, plan->data_key);
    set(&ok, root, "original_median_spacing_after_transp",
        volt_json_array_of_doubles(plan->original_median_spacing, 3));
    set(&ok, root, "original_median_shape_after_transp",
        volt_json_array_of_ints(plan->original_median_shape, 3));
    set(&ok, root, "image_reader_writer", json_string(plan->reader));
    set(&ok, root, "transpose_forward", ints_of(plan->transpose_forward, 3));
    set(&ok, root, "transpose_backward", ints_of(plan->transpose_backward, 3));
    set(&ok, root, "configurations", configs);
    set(&ok, root, "experiment_planner_used", json_string(plan->planner));
    set(&ok, root, "label_manager", json_string("LabelManager"));
    set(&ok, root, "foreground_intensity_properties_per_channel",
        volt_stats_json(plan->intensities, plan->channels));
    if (!ok) {
        json_decref(root);
        root = NULL;
    }
    return root;
}

volt_status volt_plan_write(const char *path, const volt_plan *plan)
{
    json_t *root = plan_json(plan);
    volt_status st = root ? volt_json_save(path, root)
                          : volt_fail(VOLT_ENOMEM, "out of memory for %s", path);

    json_decref(root);
    return st;
}

volt_status volt_plan_text(char **out, const volt_plan *plan)
{
    json_t *root = plan_json(plan);
    size_t bytes;
    volt_status st = root ? volt_json_dump(out, &bytes, root)
                          : volt_fail(VOLT_ENOMEM, "out of memory for a plan's text");

    json_decref(root);
    return st;
}
