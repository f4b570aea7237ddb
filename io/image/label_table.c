/* label_table.c - tables of label names in masks and in files next to them. */
#include "io/label_table.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/core/alloc.h"
#include "base/system/file.h"
#include "io/image/label_text.h"
#include "io/image/names.h"
#include "io/image/nifti_raw.h"

enum { NRRD_HEADER = 1 << 20, NIFTI_IGNORE = 0, NIFTI_COMMENT = 6, NIFTI_CARET = 30 };

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
        if (words[1] == NIFTI_IGNORE || words[1] == NIFTI_CARET) { /* TotalSegmentator: 0 */
            const volt_status st = volt_label_xml_parse(out, text, words[0] - 8);
            if (st != VOLT_OK || out->count)
                return st;
        }
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
    out->own = out->count > 0;
    for (size_t i = 0; i < 2 && st == VOLT_OK && out->count == 0; i++) {
        st = volt_format(&name, "%.*s%s", (int)folder, path, common[i]);
        if (st == VOLT_OK)
            st = of_companion(out, name);
    }
    return st;
}

volt_status volt_label_table_of_mask(volt_label_table *out, const char *path)
{
    volt_label_table t = {0};
    volt_status st;

    VOLT_TRY(st, done, in_mask(&t, path));
    t.own = t.count > 0;
    if (t.count == 0)
        VOLT_TRY(st, done, next_to(&t, path));
    *out = t;
    t = (volt_label_table){0};
done:
    volt_label_table_clear(&t);
    return st;
}
