/* label_names.c - the names of a mask's labels, also from the data set it belongs to. */
#include <stdio.h>
#include <string.h>

#include "base/core/alloc.h"
#include "base/system/file.h"
#include "io/dataset.h"
#include "io/image/label_text.h"

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

    VOLT_TRY(st, done, volt_label_table_of_mask(&t, mask_path));
    for (int up = 0; t.count == 0 && up < (in_labels_folder(mask_path) ? 2 : 1); up++) {
        VOLT_TRY(st, done,
                 volt_format(&name, "%.*s%sdataset.json",
                             (int)(volt_path_name(mask_path) - mask_path), mask_path,
                             up ? "../" : ""));
        VOLT_TRY(st, done, of_dataset_json(&t, name));
    }
    *out = t;
    t = (volt_label_table){0};
done:
    volt_label_table_clear(&t);
    return st;
}
