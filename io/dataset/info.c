/* info.c - dataset.json of nnU-Net and of the Decathlon. */
#include "io/dataset.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/core/alloc.h"
#include "io/dataset/dataset_internal.h"
#include "io/json/json.h"

enum { MAX_NAME = 1024 };

void volt_dataset_info_clear(volt_dataset_info *info)
{
    for (int c = 0; info->channel_name && c < info->channels; c++)
        volt_free(info->channel_name[c]);
    for (int l = 0; info->label && l < info->labels; l++)
        volt_free(info->label[l].name);
    volt_free(info->channel_name);
    for (int r = 0; info->region && r < info->regions; r++) {
        volt_free(info->region[r].name);
        volt_free(info->region[r].value);
    }
    volt_free(info->label);
    volt_free(info->region);
    volt_free(info->stored);
    volt_free(info->threshold);
    volt_free(info->name);
    volt_free(info->file_ending);
    *info = (volt_dataset_info){.ignore_label = VOLT_NO_IGNORE_LABEL};
}

int volt_dataset_info_outputs(const volt_dataset_info *info)
{
    return info->regions ? info->regions : info->labels;
}

void volt_stored_simplify(volt_dataset_info *info)
{
    bool same = info->stored != NULL &&
                (info->ignore_label < 0 || info->stored_ignore == info->ignore_label);

    for (int l = 0; same && l < info->labels; l++)
        same = info->stored[l] == info->label[l].value;
    if (same) {
        volt_free(info->stored);
        info->stored = NULL;
    }
}

/* channel_names (or modality): {"0": "T1", ...}, each number from 0 on once. */
static volt_status read_channels(volt_dataset_info *info, const volt_json_at *root)
{
    volt_json_at names, at;
    const char *key, *text;
    size_t count;
    volt_status st;

    VOLT_TRY(st, done, volt_json_optional(&names, root, "channel_names"));
    if (!names.value)
        VOLT_TRY(st, done, volt_json_optional(&names, root, "modality"));
    if (!names.value)
        VOLT_TRY(st, done, volt_json_member(&names, root, "channel_names"));
    VOLT_TRY(st, done, volt_json_count(&count, &names));
    if (count < 1 || count > VOLT_MAX_CHANNELS)
        return volt_json_fail(&names, "has %zu entries; 1 to %d are expected", count,
                              VOLT_MAX_CHANNELS);
    VOLT_TRY(st, done,
             volt_alloc_zero(&info->channel_name, count, sizeof(char *), "channel names"));
    info->channels = (int)count;
    for (size_t i = 0; i < count; i++) {
        int64_t channel;
        VOLT_TRY(st, done, volt_json_entry(&key, &at, &names, i));
        if (!volt_whole_key(&channel, key, (int64_t)count - 1))
            return volt_json_fail(&at, "is not a channel of %zu; \"0\" to \"%zu\" are expected",
                                  count, count - 1);
        if (info->channel_name[channel])
            return volt_json_fail(&at, "names channel %lld again", (long long)channel);
        VOLT_TRY(st, done, volt_json_text(&text, &at, MAX_NAME));
        VOLT_TRY(st, done, volt_strdup(&info->channel_name[channel], text));
    }
done:
    return st;
}

static volt_status read_rest(volt_dataset_info *info, const volt_json_at *root)
{
    volt_json_at at;
    const char *text = ".nii.gz";
    char sample[40];
    volt_status st;

    VOLT_TRY(st, done, volt_json_optional(&at, root, "file_ending"));
    if (at.value) {
        VOLT_TRY(st, done, volt_json_text(&text, &at, 32));
        if (*text != '.' || strchr(text, '/'))
            return volt_json_fail(&at, "is \"%s\"; an ending such as \".nii.gz\" is expected",
                                  text);
        snprintf(sample, sizeof sample, "case%s", text);
        if (!volt_image_named(sample)) {
            volt_json_fail(
                &at,
                "is \"%s\", which is not supported; supported are .nii.gz, .nii, "
                ".mha, .mhd, .nrrd, .nhdr, .gipl, .tif, .tiff, .png, .bmp, .gif and .jpg",
                text);
            return VOLT_ENOTSUP;
        }
    }
    VOLT_TRY(st, done, volt_strdup(&info->file_ending, text));
    text = "";
    VOLT_TRY(st, done, volt_json_optional(&at, root, "name"));
    if (at.value)
        VOLT_TRY(st, done, volt_json_text(&text, &at, MAX_NAME));
    VOLT_TRY(st, done, volt_strdup(&info->name, text));
    VOLT_TRY(st, done, volt_json_optional(&at, root, "numTraining"));
    info->num_training = -1;
    if (at.value)
        VOLT_TRY(st, done, volt_json_int(&info->num_training, &at, 0, INT32_MAX));
done:
    return st;
}

volt_status volt_dataset_info_from(volt_dataset_info *out, const volt_json_at *root)
{
    volt_dataset_info info = {.ignore_label = VOLT_NO_IGNORE_LABEL};
    volt_status st;

    VOLT_TRY(st, done, read_channels(&info, root));
    VOLT_TRY(st, done, volt_labels_read(&info, root));
    VOLT_TRY(st, done, read_rest(&info, root));
    VOLT_TRY(st, done, volt_info_read_own(&info, root));
    *out = info;
    info = (volt_dataset_info){0};
done:
    volt_dataset_info_clear(&info);
    return st;
}

static volt_status info_of_document(volt_dataset_info *out, const volt_json *doc)
{
    const volt_json_at root = volt_json_root(doc);

    return volt_dataset_info_from(out, &root);
}

volt_status volt_dataset_info_read(volt_dataset_info *out, const char *path)
{
    volt_json doc = {0};
    volt_status st = volt_json_load(&doc, path);

    if (st == VOLT_OK)
        st = info_of_document(out, &doc);
    volt_json_close(&doc);
    return st;
}

volt_status volt_dataset_info_parse(volt_dataset_info *out, const char *text, size_t bytes,
                                    const char *name)
{
    volt_json doc = {0};
    volt_status st = volt_json_parse(&doc, text, bytes, name);

    if (st == VOLT_OK)
        st = info_of_document(out, &doc);
    volt_json_close(&doc);
    return st;
}

/* Labels by name as in nnU-Net: regions, if any, take the place of the labels. */
static json_t *labels_json(const volt_dataset_info *info)
{
    json_t *labels = json_object();
    int bad = 0;

    for (int l = 0; l < (info->regions ? 1 : info->labels); l++)
        bad |= json_object_set_new(labels, info->label[l].name,
                                   json_integer(info->label[l].value));
    for (int r = 0; r < info->regions; r++) {
        const volt_label_region *region = &info->region[r];
        json_t *values = region->is_list ? json_array() : json_integer(*region->value);
        for (int v = 0; region->is_list && v < region->values; v++)
            bad |= json_array_append_new(values, json_integer(region->value[v]));
        bad |= json_object_set_new(labels, region->name, values);
    }
    if (info->ignore_label >= 0)
        bad |= json_object_set_new(labels, "ignore", json_integer(info->ignore_label));
    if (bad) {
        json_decref(labels);
        labels = NULL;
    }
    return labels;
}

/* regions_class_order; NULL when out of memory. */
static json_t *class_order_json(const volt_dataset_info *info)
{
    json_t *order = json_array();

    for (int r = 0; r < info->regions; r++) {
        if (json_array_append_new(order, json_integer(info->region[r].painted))) {
            json_decref(order);
            return NULL;
        }
    }
    return order;
}

/* NULL when out of memory; the caller owns the reference. */
static json_t *info_json(const volt_dataset_info *info)
{
    json_t *root = json_object(), *channels = json_object(), *own;
    int bad = 0;

    for (int c = 0; c < info->channels; c++) {
        char key[16];
        snprintf(key, sizeof key, "%d", c);
        bad |= json_object_set_new(channels, key, json_string(info->channel_name[c]));
    }
    bad |= json_object_set_new(root, "name", json_string(info->name));
    bad |= json_object_set_new(root, "channel_names", channels);
    bad |= json_object_set_new(root, "labels", labels_json(info));
    if (info->regions)
        bad |= json_object_set_new(root, "regions_class_order", class_order_json(info));
    if (info->num_training >= 0)
        bad |= json_object_set_new(root, "numTraining", json_integer(info->num_training));
    bad |= json_object_set_new(root, "file_ending", json_string(info->file_ending));
    own = volt_info_own_json(info, &bad);
    if (own)
        bad |= json_object_set_new(root, "volt", own);
    if (bad) {
        json_decref(root);
        root = NULL;
    }
    return root;
}

volt_status volt_dataset_info_write(const char *path, const volt_dataset_info *info)
{
    json_t *root = info_json(info);
    const volt_status st = root ? volt_json_save(path, root)
                                : volt_fail(VOLT_ENOMEM, "out of memory for %s", path);

    json_decref(root);
    return st;
}

volt_status volt_dataset_info_text(char **out, const volt_dataset_info *info)
{
    json_t *root = info_json(info);
    size_t bytes;
    const volt_status st = root ? volt_json_dump(out, &bytes, root)
                                : volt_fail(VOLT_ENOMEM, "out of memory for dataset.json");

    json_decref(root);
    return st;
}
