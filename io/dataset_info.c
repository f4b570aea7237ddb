/* dataset.json, nnU-Net's and the Decathlon's. */
#include "io/dataset.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "io/dataset_internal.h"
#include "io/json.h"

enum { MAX_NAME = 1024 };

void volt_dataset_info_clear(volt_dataset_info *info)
{
    for (int c = 0; info->channel_name && c < info->channels; c++)
        volt_free(info->channel_name[c]);
    for (int l = 0; info->label && l < info->labels; l++)
        volt_free(info->label[l].name);
    volt_free(info->channel_name);
    volt_free(info->label);
    volt_free(info->name);
    volt_free(info->file_ending);
    *info = (volt_dataset_info){.ignore_label = -1};
}

volt_status volt_dataset_info_copy(volt_dataset_info *out, const volt_dataset_info *info)
{
    volt_dataset_info copy = {.channels = info->channels,
                              .labels = info->labels,
                              .ignore_label = info->ignore_label,
                              .num_training = info->num_training};
    volt_status st;

    VOLT_TRY(st, done, volt_strdup(&copy.name, info->name));
    VOLT_TRY(st, done, volt_strdup(&copy.file_ending, info->file_ending));
    VOLT_TRY(st, done,
             volt_alloc_zero(&copy.channel_name, (size_t)info->channels, sizeof(char *),
                             "channel names"));
    for (int c = 0; c < info->channels; c++)
        VOLT_TRY(st, done, volt_strdup(&copy.channel_name[c], info->channel_name[c]));
    VOLT_TRY(st, done,
             volt_alloc_zero(&copy.label, (size_t)info->labels, sizeof *copy.label, "labels"));
    for (int l = 0; l < info->labels; l++) {
        copy.label[l].value = info->label[l].value;
        VOLT_TRY(st, done, volt_strdup(&copy.label[l].name, info->label[l].name));
    }
    *out = copy;
    copy = (volt_dataset_info){0};
done:
    volt_dataset_info_clear(&copy);
    return st;
}

/* A key that is a whole number in 0..high: "0", "12". */
static bool whole_key(int64_t *out, const char *key, int64_t high)
{
    char *end;

    if (!isdigit((unsigned char)*key))
        return false;
    *out = strtoll(key, &end, 10);
    return *end == '\0' && *out <= high;
}

/* channel_names (or modality): {"0": "T1", ...}, each number from 0 once. */
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
        if (!whole_key(&channel, key, (int64_t)count - 1))
            return volt_json_fail(&at, "is no channel; with %zu channels \"0\" to \"%zu\" are",
                                  count, count - 1);
        if (info->channel_name[channel])
            return volt_json_fail(&at, "names channel %lld again", (long long)channel);
        VOLT_TRY(st, done, volt_json_text(&text, &at, MAX_NAME));
        VOLT_TRY(st, done, volt_strdup(&info->channel_name[channel], text));
    }
done:
    return st;
}

/* One label in either direction: "liver": 1, "liver": [1], or the Decathlon's "1": "liver". */
static volt_status read_label(volt_label *out, const char *key, const volt_json_at *at)
{
    volt_json_at value = *at;
    const char *name = key;
    int64_t number;
    size_t count;
    volt_status st;

    if (json_is_string(at->value)) {
        VOLT_TRY(st, done, volt_json_text(&name, at, MAX_NAME));
        if (!whole_key(&number, key, INT16_MAX))
            return volt_json_fail(at, "names label \"%s\"; a number in 0..%d is expected", key,
                                  INT16_MAX);
    } else {
        if (json_is_array(at->value)) {
            VOLT_TRY(st, done, volt_json_length(&count, at, 1, VOLT_MAX_LABELS));
            if (count > 1) {
                volt_json_fail(at,
                               "is a region of %zu labels; this build trains on labels "
                               "that do not overlap",
                               count);
                return VOLT_ENOTSUP;
            }
            VOLT_TRY(st, done, volt_json_item(&value, at, 0));
        }
        VOLT_TRY(st, done, volt_json_int(&number, &value, 0, INT16_MAX));
    }
    out->value = (int32_t)number;
    st = volt_strdup(&out->name, name);
done:
    return st;
}

static int by_value(const void *a, const void *b)
{
    const volt_label *x = a, *y = b;

    return (x->value > y->value) - (x->value < y->value);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const volt_label *)a)->name, ((const volt_label *)b)->name);
}

/* Takes the entry called "ignore" out of the sorted labels. */
static void take_ignore(volt_dataset_info *info)
{
    for (int l = 0; l < info->labels; l++) {
        if (strcmp(info->label[l].name, "ignore") != 0)
            continue;
        info->ignore_label = info->label[l].value;
        volt_free(info->label[l].name);
        info->labels--;
        memmove(&info->label[l], &info->label[l + 1],
                (size_t)(info->labels - l) * sizeof *info->label);
        return;
    }
}

static volt_status read_labels(volt_dataset_info *info, const volt_json_at *root)
{
    volt_json_at labels, at;
    const char *key;
    size_t count;
    volt_status st;

    VOLT_TRY(st, done, volt_json_member(&labels, root, "labels"));
    VOLT_TRY(st, done, volt_json_count(&count, &labels));
    if (count < 2 || count > VOLT_MAX_LABELS)
        return volt_json_fail(&labels,
                              "has %zu entries; the background and 1 to %d more are expected",
                              count, VOLT_MAX_LABELS - 1);
    VOLT_TRY(st, done, volt_alloc_zero(&info->label, count, sizeof *info->label, "labels"));
    info->labels = (int)count;
    for (size_t i = 0; i < count; i++) {
        VOLT_TRY(st, done, volt_json_entry(&key, &at, &labels, i));
        VOLT_TRY(st, done, read_label(&info->label[i], key, &at));
    }
    qsort(info->label, count, sizeof *info->label, by_name);
    for (size_t i = 1; i < count; i++) {
        if (strcmp(info->label[i].name, info->label[i - 1].name) == 0)
            return volt_json_fail(&labels, "calls two labels \"%s\"", info->label[i].name);
    }
    qsort(info->label, count, sizeof *info->label, by_value);
    for (size_t i = 1; i < count; i++) {
        if (info->label[i].value == info->label[i - 1].value)
            return volt_json_fail(&labels, "gives %d to \"%s\" and to \"%s\"",
                                  info->label[i].value, info->label[i - 1].name,
                                  info->label[i].name);
    }
    if (info->label[0].value != 0)
        return volt_json_fail(&labels, "has no label 0; the background must be 0");
    take_ignore(info);
    if (info->ignore_label == 0 || info->labels < 2)
        return volt_json_fail(&labels, "has no foreground beside background and ignore label");
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
        if (!volt_nifti_named(sample)) {
            volt_json_fail(&at, "is \"%s\"; this build reads NIfTI files (.nii, .nii.gz)",
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

volt_status volt_dataset_info_from(volt_dataset_info *out, const volt_json *doc)
{
    const volt_json_at root = volt_json_root(doc);
    volt_dataset_info info = {.ignore_label = -1};
    volt_status st;

    VOLT_TRY(st, done, read_channels(&info, &root));
    VOLT_TRY(st, done, read_labels(&info, &root));
    VOLT_TRY(st, done, read_rest(&info, &root));
    *out = info;
    info = (volt_dataset_info){0};
done:
    volt_dataset_info_clear(&info);
    return st;
}

volt_status volt_dataset_info_read(volt_dataset_info *out, const char *path)
{
    volt_json doc = {0};
    volt_status st = volt_json_load(&doc, path);

    if (st == VOLT_OK)
        st = volt_dataset_info_from(out, &doc);
    volt_json_close(&doc);
    return st;
}

volt_status volt_dataset_info_parse(volt_dataset_info *out, const char *text, size_t bytes,
                                    const char *name)
{
    volt_json doc = {0};
    volt_status st = volt_json_parse(&doc, text, bytes, name);

    if (st == VOLT_OK)
        st = volt_dataset_info_from(out, &doc);
    volt_json_close(&doc);
    return st;
}

/* NULL when out of memory; the caller owns the reference. */
static json_t *info_json(const volt_dataset_info *info)
{
    json_t *root = json_object(), *channels = json_object(), *labels = json_object();
    int bad = 0;

    for (int c = 0; c < info->channels; c++) {
        char key[16];
        snprintf(key, sizeof key, "%d", c);
        bad |= json_object_set_new(channels, key, json_string(info->channel_name[c]));
    }
    for (int l = 0; l < info->labels; l++)
        bad |= json_object_set_new(labels, info->label[l].name,
                                   json_integer(info->label[l].value));
    if (info->ignore_label >= 0)
        bad |= json_object_set_new(labels, "ignore", json_integer(info->ignore_label));
    bad |= json_object_set_new(root, "name", json_string(info->name));
    bad |= json_object_set_new(root, "channel_names", channels);
    bad |= json_object_set_new(root, "labels", labels);
    if (info->num_training >= 0)
        bad |= json_object_set_new(root, "numTraining", json_integer(info->num_training));
    bad |= json_object_set_new(root, "file_ending", json_string(info->file_ending));
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
