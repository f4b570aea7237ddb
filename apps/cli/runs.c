/* runs.c - what people give in place of a run, or of the masks of one: what helps. */
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include "apps/cli/cli.h"
#include "base/core/alloc.h"
#include "base/system/file.h"
#include "io/image.h"
#include "nets3d/run.h"

static bool holds(const char *folder, const char *name)
{
    char *path = NULL;
    const bool there = volt_path_join(&path, folder, name) == VOLT_OK && volt_path_exists(path);

    volt_free(path);
    return there;
}

static bool holds_scans(const char *folder)
{
    volt_names names = {0};
    bool scans = false;

    if (volt_list_dir(&names, folder) == VOLT_OK) {
        for (size_t i = 0; i < names.count; i++)
            scans = scans || volt_image_named(names.name[i]);
    }
    volt_names_free(&names);
    return scans;
}

static bool is_nnunet(const char *folder)
{
    return holds(folder, "plans.json") && (holds(folder, "fold_0/checkpoint_final.pth") ||
                                           holds(folder, "fold_all/checkpoint_final.pth"));
}

/* A file that 'volt import model' may read, unlike the commands that take a run. */
static bool is_foreign_file(const char *path)
{
    static const char *const endings[] = {".zip", ".pth", ".pt", ".ckpt", ".bin", ".model"};
    const size_t length = strlen(path);

    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        const size_t n = strlen(endings[i]);
        if (length > n && strcasecmp(path + length - n, endings[i]) == 0)
            return volt_path_exists(path) && !volt_path_is_dir(path);
    }
    return false;
}

/* What `path` is, if it is something else that commands take; else NULL. */
static const char *other_kind(const char *path)
{
    if (!volt_path_is_dir(path))
        return volt_image_named(path) && volt_path_exists(path) ? "a scan" : NULL;
    if (holds(path, "imagesTr") || holds(path, "imagesTs"))
        return "a data set";
    if (holds_scans(path))
        return "a folder of scans";
    return holds(path, "dataset.json") && !holds(path, "fold_0") ? "a data set" : NULL;
}

volt_status cli_check_run(const char *path, const char *remedy)
{
    const char *kind;

    if (volt_is_run(path))
        return VOLT_OK;
    if (is_nnunet(path))
        return volt_fail(VOLT_EINVAL,
                         "%s is nnU-Net's; convert it once: volt import model %s RUN", path,
                         path);
    if (is_foreign_file(path))
        return volt_fail(VOLT_EINVAL,
                         "%s is a file of another program, not a run; convert it once: volt "
                         "import model %s RUN",
                         path, path);
    kind = other_kind(path);
    return kind ? volt_fail(VOLT_EINVAL, "%s is %s, not a run%s", path, kind, remedy) : VOLT_OK;
}

volt_status cli_check_dataset(const char *path)
{
    if (!volt_path_is_dir(path) || !volt_is_run(path) || holds(path, "imagesTr") ||
        holds(path, "imagesTs"))
        return VOLT_OK;
    return volt_fail(VOLT_EDATA, "%s is a run, not a data set", path);
}

volt_status cli_find_dataset_json(char **out, const char *folder, const char *given)
{
    char *path = NULL;
    volt_status st;

    if (given)
        return volt_strdup(out, given);
    if (!volt_path_is_dir(folder))
        return volt_fail(VOLT_EIO, "there is no folder %s: %s", folder,
                         volt_path_exists(folder) ? "it is a file, not a folder"
                                                  : "no such folder");
    VOLT_TRY(st, done, volt_path_join(&path, folder, "dataset.json"));
    if (volt_path_exists(path)) {
        *out = path;
        path = NULL;
    } else {
        st = volt_fail(VOLT_EDATA,
                       "%s holds no dataset.json, which 'volt predict' writes next to its "
                       "masks; name one with --dataset JSON",
                       folder);
    }
done:
    volt_free(path);
    return st;
}
