#include "io/dataset/mask_folder.h"

#include <string.h>

#include "base/core/alloc.h"
#include "base/system/file.h"

/* What a folder of masks never holds, and what does. A '*' ends a prefix. */
static const struct {
    const char *name, *holder;
} foreign[] = {
    {"imagesTr", "a data set"},      {"imagesTs", "a data set"},
    {"labelsTr", "a data set"},      {"checkpoint_*", "a trained network"},
    {"fold_*", "a trained network"}, {"dataset_fingerprint.json", "a data set's plan"},
};

static bool matches(const char *name, const char *pattern)
{
    const size_t n = strcspn(pattern, "*");

    return pattern[n] ? strncmp(name, pattern, n) == 0 : strcmp(name, pattern) == 0;
}

/* The last part of a real path, where links and dots are resolved. */
volt_status volt_mask_folder_check_name(const char *folder)
{
    static const char *const taken[] = {"imagesTr", "imagesTs", "labelsTr", "labelsTs"};
    char *real = NULL;
    volt_status st = VOLT_OK;

    if (!volt_path_exists(folder))
        return VOLT_OK;
    VOLT_TRY(st, done, volt_path_real(&real, folder));
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++) {
        if (strcmp(volt_path_name(real), taken[i]) == 0)
            st = volt_fail(VOLT_EDATA,
                           "%s is the folder of a data set's %s; write into another folder",
                           folder, i < 2 ? "scans" : "labels");
    }
done:
    volt_free(real);
    return st;
}

volt_status volt_mask_folder_check(const char *folder)
{
    volt_names names = {0};
    volt_status st = VOLT_OK;

    if (!volt_path_is_dir(folder))
        goto done;
    VOLT_TRY(st, done, volt_mask_folder_check_name(folder));
    VOLT_TRY(st, done, volt_list_dir(&names, folder));
    for (size_t i = 0; i < names.count; i++) {
        for (size_t k = 0; k < sizeof foreign / sizeof *foreign; k++) {
            if (!matches(names.name[i], foreign[k].name))
                continue;
            st = volt_fail(VOLT_EDATA, "%s holds %s (%s); write into another folder", folder,
                           foreign[k].holder, names.name[i]);
            goto done;
        }
    }
done:
    volt_names_free(&names);
    return st;
}

volt_status volt_mask_folder_check_file(const char *path)
{
    const size_t length = strlen(path) - strlen(volt_path_name(path));
    char *info = NULL;
    volt_status st;

    if (!volt_path_exists(path))
        return VOLT_OK;
    VOLT_TRY(st, done, volt_format(&info, "%.*sdataset.json", (int)length, path));
    if (!volt_path_exists(info))
        st =
            volt_fail(VOLT_EDATA,
                      "%s would be replaced, and no dataset.json next to it says that it is an "
                      "earlier mask; write into another folder",
                      path);
done:
    volt_free(info);
    return st;
}

/* `path` exists and would be replaced. */
static volt_status check_case(const volt_case *c, const char *path)
{
    for (int i = 0; i < c->files; i++) {
        if (volt_path_is_same(c->file[i], path))
            return volt_fail(VOLT_EDATA,
                             "the mask of %s would replace its scan, %s; write into another "
                             "folder",
                             c->id, path);
    }
    if (c->label_file && volt_path_is_same(c->label_file, path))
        return volt_fail(VOLT_EDATA,
                         "the mask of %s would replace its true labels, %s; write into another "
                         "folder",
                         c->id, path);
    return volt_mask_folder_check_file(path);
}

volt_status volt_mask_folder_check_cases(const char *folder, const volt_case_list *cases,
                                         const char *ending)
{
    char *path = NULL;
    volt_status st = VOLT_OK;

    for (int64_t i = 0; i < cases->count; i++) {
        volt_free(path);
        path = NULL;
        VOLT_TRY(st, done, volt_format(&path, "%s/%s%s", folder, cases->item[i].id, ending));
        if (volt_path_exists(path))
            VOLT_TRY(st, done, check_case(&cases->item[i], path));
    }
done:
    volt_free(path);
    return st;
}
