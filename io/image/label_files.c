#include "io/image/label_files.h"

#include "base/core/alloc.h"
#include "base/system/file.h"
#include "io/image.h"
#include "io/image/names.h"
#include "io/image/seg_nrrd.h"

#include <string.h>

#define LARGEST_TABLE ((size_t)1 << 26)

/* Tables for all masks of a folder; volt_label_table_read reads them. */
static const char *const common[] = {"labels.label", "labels.ctbl", "dataset.json"};
enum { COMMON = sizeof common / sizeof *common };

volt_status volt_label_files_create(const char *folder, int which,
                                    const volt_label_table *names)
{
    static const struct {
        int bit;
        const char *name;
    } files[] = {{VOLT_LABEL_FILE_SNAP, "labels.label"},
                 {VOLT_LABEL_FILE_SLICER, "labels.ctbl"}};
    char *path = NULL;
    volt_status st = VOLT_OK;

    for (int i = 0; i < 2; i++) {
        if (!(which & files[i].bit))
            continue;
        VOLT_TRY(st, done, volt_path_join(&path, folder, files[i].name));
        VOLT_TRY(st, done, volt_label_table_write(path, names));
        volt_free(path);
        path = NULL;
    }
    if (which & VOLT_LABEL_FILE_SEG_NRRD) {
        VOLT_TRY(st, done, volt_path_join(&path, folder, "segmentations"));
        st = volt_make_dirs(path);
    }
done:
    volt_free(path);
    return st;
}

volt_status volt_label_files_mask(const char *folder, int which, const char *id,
                                  const volt_volume *mask, const volt_label_table *names,
                                  int threads)
{
    volt_image_write_options options = volt_image_write_with(threads);
    char *path = NULL;
    volt_status st;

    if (!(which & VOLT_LABEL_FILE_SEG_NRRD))
        return VOLT_OK;
    options.names = names;
    VOLT_TRY(st, done, volt_format(&path, "%s/segmentations/%s.seg.nrrd", folder, id));
    st = volt_image_write(path, mask, NULL, &options);
done:
    volt_free(path);
    return st;
}

static volt_status joined_exists(bool *out, int bytes, const char *start, const char *end)
{
    char *path = NULL;
    const volt_status st = volt_format(&path, "%.*s%s", bytes, start, end);

    if (st == VOLT_OK)
        *out = *out || volt_path_exists(path);
    volt_free(path);
    return st;
}

volt_status volt_label_table_accompany(char **out, const char *path,
                                       const volt_label_table *names)
{
    static const char *const own[] = {".label", ".txt", ".ctbl"};
    const size_t folder = (size_t)(volt_path_name(path) - path);
    const volt_image_rule *rule = volt_image_rule_of(path);
    const size_t stem = strlen(path) - (rule ? strlen(rule->ending) : 0);
    char *table = NULL;
    bool there = false;
    volt_status st = VOLT_OK;

    *out = NULL;
    if (names->count == 0 || volt_is_seg_nrrd(path) ||
        strcmp(volt_image_format_name(path), "NIfTI") == 0)
        return VOLT_OK;
    for (int i = 0; i < 3; i++)
        VOLT_TRY(st, done, joined_exists(&there, (int)stem, path, own[i]));
    for (int i = 0; i < COMMON; i++)
        VOLT_TRY(st, done, joined_exists(&there, (int)folder, path, common[i]));
    if (there)
        return VOLT_OK;
    VOLT_TRY(st, done, volt_format(&table, "%.*s.label", (int)stem, path));
    VOLT_TRY(st, done, volt_label_table_write(table, names));
    *out = table;
    table = NULL;
done:
    volt_free(table);
    return st;
}

volt_status volt_label_files_copy(const char *from, const char *to)
{
    char *source = NULL, *target = NULL, *data = NULL;
    size_t bytes = 0;
    volt_status st = VOLT_OK;

    for (int i = 0; i < COMMON; i++) {
        volt_free(source);
        volt_free(target);
        volt_free(data);
        source = target = data = NULL;
        VOLT_TRY(st, done, volt_path_join(&source, from, common[i]));
        if (!volt_path_exists(source))
            continue;
        VOLT_TRY(st, done, volt_path_join(&target, to, common[i]));
        VOLT_TRY(st, done, volt_read_file(&data, &bytes, source, LARGEST_TABLE));
        VOLT_TRY(st, done, volt_write_file(target, data, bytes));
    }
done:
    volt_free(data);
    volt_free(target);
    volt_free(source);
    return st;
}
