/* label_table.c - tables of label names: finding those of a mask, and writing them. */
#include "io/label_table.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/core/alloc.h"
#include "base/system/file.h"
#include "io/image/label_text.h"
#include "io/image/names.h"
#include "io/image/nifti_raw.h"

enum { NRRD_HEADER = 1 << 20, NIFTI_COMMENT = 6 };

void volt_label_table_clear(volt_label_table *table)
{
    for (int64_t i = 0; i < table->count; i++)
        volt_free(table->entries[i].name);
    volt_free(table->entries);
    *table = (volt_label_table){0};
}

static volt_label_entry *find(const volt_label_table *table, int64_t value)
{
    for (int64_t i = 0; i < table->count; i++) {
        if (table->entries[i].value == value)
            return &table->entries[i];
    }
    return NULL;
}

const char *volt_label_table_name(const volt_label_table *table, int64_t value)
{
    const volt_label_entry *e = find(table, value);

    return e ? e->name : NULL;
}

volt_status volt_label_table_set(volt_label_table *table, int64_t value, const char *name)
{
    volt_label_entry *e = find(table, value);
    uint8_t rgb[3];
    char *copy;
    volt_status st;

    volt_label_rgb(rgb, value);
    if (!e)
        return volt_label_table_add(table, value, name, strlen(name), rgb);
    if ((st = volt_strdup(&copy, name)) != VOLT_OK)
        return st;
    volt_free(e->name);
    e->name = copy;
    return VOLT_OK;
}

/* The name of label `l` in masks. A label that only regions contain has none of its own; where
 * a region paints it, that region's is the closest. */
static const char *name_in_masks(const volt_dataset_info *info, int l)
{
    const int32_t value = info->label[l].value;
    char generic[24];

    snprintf(generic, sizeof generic, "label %d", value);
    for (int r = 0; r < info->regions && strcmp(info->label[l].name, generic) == 0; r++) {
        if (info->region[r].painted == value)
            return info->region[r].name;
    }
    return info->label[l].name;
}

volt_status volt_label_table_from(volt_label_table *out, const volt_dataset_info *info)
{
    volt_label_table t = {0};
    volt_status st = VOLT_OK;

    for (int l = 0; l < info->labels; l++) {
        const int32_t value = info->stored ? info->stored[l] : info->label[l].value;
        VOLT_TRY(st, done, volt_label_table_set(&t, value, name_in_masks(info, l)));
    }
    if (info->ignore_label >= 0)
        VOLT_TRY(st, done,
                 volt_label_table_set(
                     &t, info->stored ? info->stored_ignore : info->ignore_label, "ignore"));
    *out = t;
    t = (volt_label_table){0};
done:
    volt_label_table_clear(&t);
    return st;
}

volt_status volt_label_table_write(const char *path, const volt_label_table *table)
{
    const size_t bytes = strlen(path);
    const bool slicer = bytes > 5 && strcasecmp(path + bytes - 5, ".ctbl") == 0;
    char *text = NULL;
    volt_status st;

    VOLT_TRY(
        st, done,
        volt_label_text_make(&text, table, slicer ? VOLT_LABELS_SLICER : VOLT_LABELS_SNAP));
    st = volt_write_file(path, text, strlen(text));
done:
    volt_free(text);
    return st;
}

/* ---- in the mask ---- */

/* The extensions are a valid chain: size, code, text, in multiples of 16 bytes. */
static volt_status of_extensions(volt_label_table *out, const volt_image_header *header,
                                 const char *path)
{
    const struct volt_nifti_raw *raw = header->raw;
    const size_t mark = strlen(VOLT_LABEL_COMMENT);

    for (size_t at = 0; at + 16 <= raw->extension_bytes;) {
        const char *text = (const char *)raw->extensions + at + 8;
        uint32_t words[2];

        memcpy(words, raw->extensions + at, sizeof words);
        if (words[1] == NIFTI_COMMENT && words[0] > 8 + mark &&
            memcmp(text, VOLT_LABEL_COMMENT, mark) == 0)
            return volt_label_text_parse(out, text, strnlen(text, words[0] - 8),
                                         VOLT_LABELS_SNAP, path);
        at += words[0];
    }
    return VOLT_OK;
}

static volt_status of_nifti(volt_label_table *out, const char *path)
{
    volt_image_header *header = NULL;
    volt_status st = volt_nifti_info(&header, path);

    if (st != VOLT_OK) /* whoever reads the mask reports it */
        return st == VOLT_ENOMEM ? st : VOLT_OK;
    st = of_extensions(out, header, path);
    volt_image_header_free(header);
    return st;
}

static volt_status of_nrrd(volt_label_table *out, const char *path)
{
    volt_map map = {0};
    volt_status st = volt_map_open(&map, path);

    if (st != VOLT_OK)
        return st == VOLT_ENOMEM ? st : VOLT_OK;
    if (map.bytes > 4 && memcmp(map.data, "NRRD", 4) == 0)
        st = volt_label_segments_parse(out, (const char *)map.data,
                                       map.bytes < NRRD_HEADER ? map.bytes : NRRD_HEADER, path);
    volt_map_close(&map);
    return st;
}

static volt_status in_mask(volt_label_table *out, const char *path)
{
    const volt_image_rule *rule = volt_image_rule_of(path);

    if (!rule || !volt_path_exists(path) || volt_path_is_dir(path))
        return VOLT_OK;
    if (rule->format == VOLT_FORMAT_NIFTI)
        return of_nifti(out, path);
    return strcmp(rule->ending, ".nrrd") == 0 || strcmp(rule->ending, ".nhdr") == 0
               ? of_nrrd(out, path)
               : VOLT_OK;
}

/* ---- next to it ---- */

/* Reads the file `path`, which is owned here, if it exists. A .txt that is no table is no
 * error: people write other texts. */
static volt_status of_companion(volt_label_table *out, char *path)
{
    const char *dot = strrchr(path, '.');
    char *text = NULL;
    size_t bytes;
    volt_status st = VOLT_OK;

    if (volt_path_exists(path) && !volt_path_is_dir(path)) {
        VOLT_TRY(st, done, volt_read_file(&text, &bytes, path, VOLT_LABEL_TABLE_MAX));
        st = volt_label_text_parse(
            out, text, bytes, strcmp(dot, ".ctbl") == 0 ? VOLT_LABELS_SLICER : VOLT_LABELS_SNAP,
            path);
        if (st == VOLT_EFORMAT && strcmp(dot, ".txt") == 0)
            st = VOLT_OK;
    }
done:
    volt_free(text);
    volt_free(path);
    return st;
}

/* A dataset.json that cannot be read names nothing: a mask does not depend on it. */
static volt_status of_dataset_json(volt_label_table *out, char *path)
{
    volt_dataset_info info = {0};
    volt_status st = VOLT_OK;

    if (volt_path_exists(path)) {
        st = volt_dataset_info_read(&info, path);
        if (st == VOLT_OK)
            st = volt_label_table_from(out, &info);
        else if (st != VOLT_ENOMEM)
            st = VOLT_OK;
    }
    volt_dataset_info_clear(&info);
    volt_free(path);
    return st;
}

static volt_status next_to(volt_label_table *out, const char *path)
{
    static const char *const own[] = {".label", ".txt", ".ctbl"};
    static const char *const common[] = {"labels.label", "labels.ctbl"};
    const size_t folder = (size_t)(volt_path_name(path) - path);
    const size_t stem = strlen(path) - strlen(volt_image_ending(path));
    char *name;
    volt_status st = VOLT_OK;

    for (size_t i = 0; i < 3 && st == VOLT_OK && out->count == 0; i++) {
        st = volt_format(&name, "%.*s%s", (int)stem, path, own[i]);
        if (st == VOLT_OK)
            st = of_companion(out, name);
    }
    for (size_t i = 0; i < 2 && st == VOLT_OK && out->count == 0; i++) {
        st = volt_format(&name, "%.*s%s", (int)folder, path, common[i]);
        if (st == VOLT_OK)
            st = of_companion(out, name);
    }
    if (st == VOLT_OK && out->count == 0) {
        st = volt_format(&name, "%.*sdataset.json", (int)folder, path);
        if (st == VOLT_OK)
            st = of_dataset_json(out, name);
    }
    return st;
}

/* True for .../labelsTr/MASK and .../labelsTs/MASK, whose dataset.json lies one folder up. */
static bool in_labels_folder(const char *path)
{
    const size_t folder = (size_t)(volt_path_name(path) - path);

    return folder >= 9 && (folder == 9 || path[folder - 10] == '/') &&
           strncmp(path + folder - 9, "labelsT", 7) == 0;
}

volt_status volt_label_table_read(const char *mask_path, volt_label_table *out)
{
    volt_label_table t = {0};
    char *name;
    volt_status st;

    VOLT_TRY(st, done, in_mask(&t, mask_path));
    if (t.count == 0)
        VOLT_TRY(st, done, next_to(&t, mask_path));
    if (t.count == 0 && in_labels_folder(mask_path)) {
        VOLT_TRY(st, done,
                 volt_format(&name, "%.*s../dataset.json",
                             (int)(volt_path_name(mask_path) - mask_path), mask_path));
        VOLT_TRY(st, done, of_dataset_json(&t, name));
    }
    *out = t;
    t = (volt_label_table){0};
done:
    volt_label_table_clear(&t);
    return st;
}
