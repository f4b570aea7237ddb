/* A MONAI bundle as nnU-Net's plans.json and dataset.json. */
#include "nets3d/interop/bundle.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/core/alloc.h"
#include "base/core/plural.h"
#include "base/core/report.h"
#include "base/system/file.h"
#include "io/json/yaml.h"
#include "nets3d/interop/bundle_transforms.h"
#include "nets3d/interop/bundle_values.h"

enum { MAX_CHANNELS = VOLT_BUNDLE_MAX_CHANNELS, MAX_NAME = 200 };
#define METADATA "configs/metadata.json"

/* A bundle being read. */
typedef struct reading {
    const volt_callbacks *cb;
    volt_json metadata, config;
    json_t *network; /* "_target_" and arguments, resolved; owned */
    const char *class_name;
    int outputs;
    int64_t patch[3]; /* x, y, z; with 2 axes x, y */
    volt_bundle_pipeline pipeline;
} reading;

bool volt_bundle_is(const char *folder)
{
    char *path = NULL;
    const bool is =
        volt_path_join(&path, folder, METADATA) == VOLT_OK && volt_path_exists(path);

    volt_free(path);
    return is;
}

void volt_bundle_clear(volt_bundle *b)
{
    volt_free(b->dataset);
    volt_free(b->plans);
    volt_free(b->weights);
    volt_free(b->inference);
    *b = (volt_bundle){0};
}

/* ---- files ---- */

/* FOLDER/NAME of the first name that exists; VOLT_EFORMAT lists what was looked for. */
static volt_status find_one(char **out, const char *folder, const char *const *names,
                            const char *what)
{
    for (int i = 0; names[i]; i++) {
        char *path = NULL;
        const volt_status st = volt_path_join(&path, folder, names[i]);
        if (st != VOLT_OK)
            return st;
        if (volt_path_exists(path)) {
            *out = path;
            return VOLT_OK;
        }
        volt_free(path);
    }
    return volt_fail(VOLT_EFORMAT, "%s is a MONAI bundle without %s (%s)", folder, what,
                     names[0]);
}

static bool holds_weights(const char *name)
{
    const char *dot = strrchr(name, '.');

    return dot && *name != '.' && (strcmp(dot, ".pt") == 0 || strcmp(dot, ".pth") == 0);
}

/* The weights of a bundle under a name of their own, if it has no others; *out NULL = none. */
static volt_status find_only_weights(char **out, const char *folder)
{
    const char *only = NULL;
    volt_names names = {0};
    char *models = NULL;
    int count = 0;
    volt_status st;

    VOLT_TRY(st, done, volt_path_join(&models, folder, "models"));
    if (!volt_path_is_dir(models))
        goto done;
    VOLT_TRY(st, done, volt_list_dir(&names, models));
    for (size_t i = 0; i < names.count; i++) {
        if (holds_weights(names.name[i])) {
            only = names.name[i];
            count++;
        }
    }
    if (count == 1)
        st = volt_path_join(out, models, only);
done:
    volt_names_free(&names);
    volt_free(models);
    return st;
}

static volt_status find_files(volt_bundle *b, const char *folder)
{
    static const char *const configs[] = {"configs/inference.json", "configs/inference.yaml",
                                          "configs/inference.yml", NULL};
    static const char *const weights[] = {"models/model.pt", "models/model.pth",
                                          "models/model.safetensors", NULL};
    char *script = NULL;
    volt_status st;

    VOLT_TRY(st, done, find_one(&b->inference, folder, configs, "an inference config"));
    VOLT_TRY(st, done, volt_path_join(&script, folder, "models/model.ts"));
    VOLT_TRY(st, done, find_only_weights(&b->weights, folder));
    if (b->weights)
        goto done;
    st = find_one(&b->weights, folder, weights, "weights");
    if (st != VOLT_OK && volt_path_exists(script))
        st =
            volt_fail(VOLT_ENOTSUP,
                      "%s is a TorchScript program; the bundle's weights, models/model.pt, are "
                      "needed",
                      script);
done:
    volt_free(script);
    return st;
}

/* ---- network ---- */

/* The top-level entry with one of the names that is an object with a class; else value NULL. */
static volt_status find_object(volt_json_at *out, const reading *r, const char *const *names)
{
    const volt_json_at root = volt_json_root(&r->config);

    out->value = NULL;
    for (int i = 0; names[i]; i++) {
        volt_json_at at;
        volt_status st = volt_json_optional(&at, &root, names[i]);
        if (st != VOLT_OK)
            return st;
        if (at.value && (json_is_object(at.value) || json_is_array(at.value))) {
            *out = at;
            return VOLT_OK;
        }
    }
    return VOLT_OK;
}

static volt_status read_class(reading *r, const volt_json_at *at)
{
    static const struct {
        const char *name, *class_name;
    } known[] = {{"UNet", "monai.networks.nets.UNet"},
                 {"DynUNet", "monai.networks.nets.DynUNet"}};
    volt_json_at target;
    const char *text, *dot;
    volt_status st;

    VOLT_TRY(st, done, volt_json_member(&target, at, "_target_"));
    VOLT_TRY(st, done, volt_json_text(&text, &target, 256));
    dot = strrchr(text, '.');
    for (int i = 0; i < 2; i++) {
        if (strcasecmp(dot ? dot + 1 : text, known[i].name) == 0 &&
            (!dot || strncmp(text, "monai.", 6) == 0)) {
            r->class_name = known[i].class_name;
            return VOLT_OK;
        }
    }
    volt_json_fail(&target, "is \"%.120s\"; MONAI's UNet and DynUNet are supported", text);
    st = VOLT_ENOTSUP;
done:
    return st;
}

static volt_status read_network(reading *r)
{
    static const char *const names[] = {"network_def", "network", "net", "model", NULL};
    volt_json_at at, inner;
    json_t *own;
    int64_t n;
    volt_status st;

    VOLT_TRY(st, done, find_object(&at, r, names));
    if (!at.value)
        return volt_fail(VOLT_EFORMAT, "%s defines no network (\"network_def\")",
                         r->config.file);
    VOLT_TRY(st, done, read_class(r, &at));
    VOLT_TRY(st, done, volt_bundle_resolve(&r->network, &r->config, &at));
    at.value = own = r->network;
    if (json_object_get(own, "dimensions") && !json_object_get(own, "spatial_dims"))
        json_object_set(own, "spatial_dims", json_object_get(own, "dimensions"));
    json_object_del(own, "dimensions"); /* the name before MONAI 0.8 */
    json_object_del(own, "_target_");
    json_object_del(own, "_desc_");
    json_object_del(own, "_mode_");
    json_object_del(own, "_requires_");
    VOLT_TRY(st, done, volt_json_member(&inner, &at, "spatial_dims"));
    VOLT_TRY(st, done, volt_json_int(&n, &inner, 2, 3));
    r->pipeline.axes = (int)n;
    VOLT_TRY(st, done, volt_json_member(&inner, &at, "in_channels"));
    VOLT_TRY(st, done, volt_json_int(&n, &inner, 1, MAX_CHANNELS));
    r->pipeline.channels = (int)n;
    VOLT_TRY(st, done, volt_json_member(&inner, &at, "out_channels"));
    VOLT_TRY(st, done, volt_json_int(&n, &inner, 1, MAX_CHANNELS));
    r->outputs = (int)n;
done:
    return st;
}

/* ---- window ---- */

/* network_data_format.KIND.NAME of the metadata, of the first name; value NULL if absent. */
static volt_status data_format(volt_json_at *out, const reading *r, const char *kind)
{
    const volt_json_at root = volt_json_root(&r->metadata);
    const char *key;
    size_t count;
    volt_status st;

    VOLT_TRY(st, done, volt_json_optional(out, &root, "network_data_format"));
    if (out->value)
        VOLT_TRY(st, done, volt_json_optional(out, out, kind));
    if (!out->value)
        return VOLT_OK;
    VOLT_TRY(st, done, volt_json_count(&count, out));
    if (count == 0)
        out->value = NULL;
    else
        st = volt_json_entry(&key, out, out, 0);
done:
    return st;
}

/* The window of the sliding window, or the shape that the metadata gives. */
static volt_status read_patch(reading *r)
{
    static const char *const names[] = {"inferer", NULL};
    volt_json_at at, roi = {.value = NULL};
    json_t *own = NULL;
    volt_status st;

    VOLT_TRY(st, done, find_object(&at, r, names));
    if (json_is_object(at.value))
        VOLT_TRY(st, done, volt_json_optional(&roi, &at, "roi_size"));
    if (roi.value) {
        VOLT_TRY(st, done, volt_bundle_resolve(&own, &r->config, &roi));
        roi.value = own;
    } else {
        VOLT_TRY(st, done, data_format(&roi, r, "inputs"));
        if (roi.value)
            VOLT_TRY(st, done, volt_json_optional(&roi, &roi, "spatial_shape"));
    }
    if (!roi.value) {
        st = volt_fail(VOLT_EFORMAT, "%s gives no window (inferer.roi_size), and %s no shape",
                       r->config.file, r->metadata.file);
        goto done;
    }
    if (json_is_integer(roi.value)) {
        VOLT_TRY(st, done, volt_json_int(&r->patch[0], &roi, 1, 4096));
        r->patch[1] = r->patch[2] = r->patch[0];
    } else {
        st = volt_json_ints(r->patch, &roi, (size_t)r->pipeline.axes, 1, 4096);
    }
done:
    json_decref(own);
    return st;
}

/* ---- documents ---- */

static json_t *reals(const double *v, int n)
{
    return volt_json_array_of_doubles(v, (size_t)n);
}

static json_t *resampling(bool is_seg, int order)
{
    return json_pack("{s:b, s:i, s:i, s:b}", "is_seg", is_seg, "order", order, "order_z", 0,
                     "force_separate_z", 0);
}

static json_t *norms_json(const reading *r, bool masks)
{
    static const char *const classes[] = {"NoNormalization", "ZScoreNormalization",
                                          "CTNormalization", "RescaleTo01Normalization"};
    const volt_bundle_pipeline *p = &r->pipeline;
    json_t *list = json_array();

    for (int c = 0; c < p->channels; c++)
        json_array_append_new(list, masks ? json_boolean(p->masked)
                                          : json_string(classes[p->scheme]));
    return list;
}

static json_t *intensities_json(const reading *r)
{
    json_t *all = json_object();

    for (int c = 0; c < r->pipeline.channels; c++) {
        const volt_intensity *i = &r->pipeline.intensity[c];
        char key[16];
        snprintf(key, sizeof key, "%d", c);
        json_object_set_new(all, key,
                            json_pack("{s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "max",
                                      i->percentile_99_5, "mean", i->mean, "median", i->mean,
                                      "min", i->percentile_00_5, "percentile_00_5",
                                      i->percentile_00_5, "percentile_99_5", i->percentile_99_5,
                                      "std", i->std));
    }
    return all;
}

static json_t *configuration_json(const reading *r)
{
    const volt_bundle_pipeline *p = &r->pipeline;
    const int axes = p->axes;
    const double shape[3] = {(double)r->patch[0], (double)r->patch[1], (double)r->patch[2]};
    const char *function = "resample_data_or_seg_to_shape";

    return json_pack(
        "{s:s, s:s, s:i, s:o, s:o, s:o, s:o, s:o, s:s, s:o, s:s, s:o, s:s, s:o, "
        "s:{s:s, s:O, s:[]}, s:b}",
        "data_identifier", "MONAIBundle", "preprocessor_name", "DefaultPreprocessor",
        "batch_size", 1, "patch_size", volt_json_array_of_ints(r->patch, (size_t)axes),
        "median_image_size_in_voxels", reals(shape, axes), "spacing", reals(p->spacing, axes),
        "normalization_schemes", norms_json(r, false), "use_mask_for_norm", norms_json(r, true),
        "resampling_fn_data", function, "resampling_fn_data_kwargs",
        resampling(false, (int)p->order), "resampling_fn_seg", function,
        "resampling_fn_seg_kwargs", resampling(true, 1), "resampling_fn_probabilities",
        function, "resampling_fn_probabilities_kwargs", resampling(false, 1), "architecture",
        "network_class_name", r->class_name, "arch_kwargs", r->network, "_kw_requires_import",
        "batch_dice", 0);
}

static const char *bundle_name(const reading *r)
{
    const char *name = json_string_value(json_object_get(r->metadata.root, "name"));

    return name && *name && strlen(name) <= MAX_NAME ? name : "MONAI bundle";
}

/* Axes d, h, w are MONAI's x, y, z; those of a slice x, y. */
static json_t *plans_json(const reading *r)
{
    const int axes = r->pipeline.axes;
    const int64_t order[2][3] = {{0, 2, 1}, {2, 1, 0}};
    const double thick[3] = {999, r->pipeline.spacing[0], r->pipeline.spacing[1]};
    const int64_t slice[3] = {1, r->patch[0], r->patch[1]};
    const char *name = axes == 3 ? "3d_fullres" : "2d";

    return json_pack(
        "{s:s, s:s, s:o, s:o, s:s, s:o, s:o, s:{s:o}, s:s, s:s, s:o}", "dataset_name",
        bundle_name(r), "plans_name", "MONAIBundle", "original_median_spacing_after_transp",
        reals(axes == 3 ? r->pipeline.spacing : thick, 3), "original_median_shape_after_transp",
        volt_json_array_of_ints(axes == 3 ? r->patch : slice, 3), "image_reader_writer",
        "SimpleITKIO", "transpose_forward", volt_json_array_of_ints(order[axes - 2], 3),
        "transpose_backward", volt_json_array_of_ints(order[axes - 2], 3), "configurations",
        name, configuration_json(r), "experiment_planner_used", "MONAI", "label_manager",
        "LabelManager", "foreground_intensity_properties_per_channel", intensities_json(r));
}

/* Name `index` of network_data_format.KIND.channel_def, else DEFAULT and its number. */
static volt_status channel_name(char out[MAX_NAME + 1], const reading *r, const char *kind,
                                int index, const char *fallback)
{
    volt_json_at at, name;
    const char *text;
    char key[16];
    volt_status st;

    snprintf(out, MAX_NAME + 1, "%s %d", fallback, index);
    snprintf(key, sizeof key, "%d", index);
    VOLT_TRY(st, done, data_format(&at, r, kind));
    if (!at.value)
        return VOLT_OK;
    VOLT_TRY(st, done, volt_json_optional(&at, &at, "channel_def"));
    if (!json_is_object(at.value))
        return VOLT_OK;
    VOLT_TRY(st, done, volt_json_optional(&name, &at, key));
    if (!name.value)
        return VOLT_OK;
    VOLT_TRY(st, done, volt_json_text(&text, &name, MAX_NAME));
    if (*text)
        snprintf(out, MAX_NAME + 1, "%s", text);
done:
    return st;
}

/* Sets `name` to `value`, which it takes over; a name used before gets its number. */
static void set_unique(json_t *object, char name[MAX_NAME + 1], int index, json_t *value)
{
    char other[MAX_NAME + 16];

    snprintf(other, sizeof other, json_object_get(object, name) ? "%s %d" : "%s", name, index);
    json_object_set_new(object, other, value);
}

/* A region of the values first..last. nnU-Net has regions only where one unites two values, so
 * the only region of a network unites 1 and 2, although masks hold 1 alone. */
static json_t *region_json(int first, int last)
{
    json_t *values = json_array();

    if (first == 1 && last == 1)
        last = 2;
    for (int v = first; v <= last; v++)
        json_array_append_new(values, json_integer(v));
    return values;
}

/* With softmax, channel 0 is the background. With sigmoids, each channel is a region, painted
 * over the earlier ones: nothing says what they unite, so each is taken to contain the later
 * ones. */
static volt_status labels_json(json_t **out, const reading *r)
{
    const bool sigmoid = r->pipeline.sigmoid || r->outputs == 1;
    json_t *labels = json_object();
    char name[MAX_NAME + 1];
    volt_status st = VOLT_OK;

    json_object_set_new(labels, "background", json_integer(0));
    for (int i = sigmoid ? 0 : 1; i < r->outputs; i++) {
        const int value = sigmoid ? i + 1 : i;
        VOLT_TRY(st, done, channel_name(name, r, "outputs", i, "label"));
        set_unique(labels, name, value,
                   sigmoid ? region_json(value, r->outputs) : json_integer(value));
    }
    *out = json_incref(labels);
done:
    json_decref(labels);
    return st;
}

static volt_status dataset_json(json_t **out, const reading *r)
{
    const bool sigmoid = r->pipeline.sigmoid || r->outputs == 1;
    json_t *root = json_object(), *channels = json_object(), *labels = NULL, *order;
    char name[MAX_NAME + 1], key[16];
    volt_status st = VOLT_OK;

    for (int c = 0; c < r->pipeline.channels; c++) {
        VOLT_TRY(st, done, channel_name(name, r, "inputs", c, "channel"));
        snprintf(key, sizeof key, "%d", c);
        json_object_set_new(channels, key, json_string(name));
    }
    VOLT_TRY(st, done, labels_json(&labels, r));
    json_object_set_new(root, "name", json_string(bundle_name(r)));
    json_object_set(root, "channel_names", channels);
    json_object_set(root, "labels", labels);
    if (sigmoid) {
        json_object_set_new(root, "regions_class_order", order = json_array());
        for (int i = 1; i <= r->outputs; i++)
            json_array_append_new(order, json_integer(i));
    }
    json_object_set_new(root, "file_ending", json_string(".nii.gz"));
    if (*r->pipeline.orientation)
        json_object_set_new(root, "volt",
                            json_pack("{s:s}", "orientation", r->pipeline.orientation));
    *out = json_incref(root);
done:
    json_decref(labels);
    json_decref(channels);
    json_decref(root);
    return st;
}

/* ---- reading ---- */

static volt_status read_pipeline(reading *r)
{
    static const char *const before[] = {"preprocessing", "test_transforms", "transforms",
                                         NULL};
    static const char *const after[] = {"postprocessing", "post_transforms", NULL};
    volt_json_at at;
    volt_status st;

    VOLT_TRY(st, done, find_object(&at, r, before));
    if (!at.value)
        return volt_fail(VOLT_EFORMAT, "%s has no \"preprocessing\"", r->config.file);
    VOLT_TRY(st, done, volt_bundle_read_preprocessing(&r->pipeline, &r->config, &at, r->cb));
    if (!r->pipeline.resampled)
        return volt_fail(VOLT_ENOTSUP,
                         "%s resamples to no spacing (Spacingd), which VOLT needs; import the "
                         "weights alone, with a plan and data set of your own",
                         r->config.file);
    VOLT_TRY(st, done, find_object(&at, r, after));
    if (at.value)
        st = volt_bundle_read_postprocessing(&r->pipeline, &r->config, &at, r->cb);
done:
    return st;
}

static void report(const reading *r)
{
    const volt_bundle_pipeline *p = &r->pipeline;
    static const char *const schemes[] = {"unchanged", "z-scores", "scaled by constants",
                                          "scaled to 0..1"};
    const char *name = strrchr(r->class_name, '.') + 1;

    volt_report(
        r->cb, VOLT_LOG_INFO,
        "%s: MONAI %s, %d channel%s, %d output%s; orientation %s, spacing %g x %g%s%.6g "
        "mm, intensities %s",
        r->config.file, name, p->channels, volt_s(p->channels), r->outputs, volt_s(r->outputs),
        *p->orientation ? p->orientation : "of the file", p->spacing[0], p->spacing[1],
        p->axes == 3 ? " x " : ", slices as stored; ",
        p->axes == 3 ? p->spacing[2] : p->spacing[1], schemes[p->scheme]);
    if (p->sigmoid && r->outputs > 1)
        volt_report(
            r->cb, VOLT_LOG_WARNING,
            "%s: %d sigmoid outputs may overlap; masks hold 1 to %d, later outputs over "
            "earlier ones",
            r->config.file, r->outputs, r->outputs);
    volt_report(r->cb, VOLT_LOG_INFO,
                "%s: resampled as in nnU-Net, whose voxel centres differ from MONAI's by a "
                "fraction of a voxel",
                r->config.file);
}

static volt_status load_config(volt_json *out, const char *path)
{
    const char *ending = strrchr(path, '.');

    return strcmp(ending, ".json") == 0 ? volt_json_load(out, path) : volt_yaml_load(out, path);
}

static volt_status make_documents(volt_bundle *b, const reading *r)
{
    json_t *plans = plans_json(r), *dataset = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_json_dump(&b->plans, NULL, plans));
    VOLT_TRY(st, done, dataset_json(&dataset, r));
    st = volt_json_dump(&b->dataset, NULL, dataset);
done:
    json_decref(dataset);
    json_decref(plans);
    return st;
}

volt_status volt_bundle_read(volt_bundle *out, const char *folder, const volt_callbacks *cb)
{
    volt_bundle b = {0};
    reading r = {.cb = cb};
    char *metadata = NULL;
    volt_status st;

    VOLT_TRY(st, done, find_files(&b, folder));
    VOLT_TRY(st, done, volt_path_join(&metadata, folder, METADATA));
    VOLT_TRY(st, done, volt_json_load(&r.metadata, metadata));
    VOLT_TRY(st, done, load_config(&r.config, b.inference));
    VOLT_TRY(st, done, read_network(&r));
    VOLT_TRY(st, done, read_pipeline(&r));
    VOLT_TRY(st, done, read_patch(&r));
    VOLT_TRY(st, done, make_documents(&b, &r));
    report(&r);
    *out = b;
    b = (volt_bundle){0};
done:
    json_decref(r.network);
    volt_json_close(&r.config);
    volt_json_close(&r.metadata);
    volt_free(metadata);
    volt_bundle_clear(&b);
    return st;
}
