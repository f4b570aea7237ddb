#include "io/workspace.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/core/report.h"
#include "base/system/file.h"
#include "base/core/alloc.h"
#include "io/store/case_key.h"

/* The folder for a data set that cannot be written; the caller owns *out. */
static volt_status cache_folder(char **out, const char *dataset_folder)
{
    char *real = realpath(dataset_folder, NULL), *cache = NULL;
    const char *path = real ? real : dataset_folder;
    uint64_t hash = VOLT_KEY_START;
    volt_status st = volt_cache_folder(&cache);

    volt_key_mix(&hash, path, strlen(path));
    if (st == VOLT_OK)
        st = volt_format(out, "%s/%s-%016llx", cache, volt_path_name(path),
                         (unsigned long long)hash);
    else if (st == VOLT_EIO)
        st = volt_fail(VOLT_EIO,
                       "the work folder of %s has no place: the data set is not writable, and "
                       "neither XDG_CACHE_HOME nor HOME names a folder",
                       dataset_folder);
    volt_free(cache);
    free(real);
    return st;
}

/* Fails if `folder` cannot be created or written: looks at the nearest folder that exists. */
static volt_status check_writable(const char *folder)
{
    char *at = NULL, *slash;
    const char *found;
    volt_status st = volt_strdup(&at, folder);

    if (st != VOLT_OK)
        return st;
    while (!volt_path_exists(at) && (slash = strrchr(at, '/')) != NULL)
        *slash = '\0';
    found = volt_path_exists(at) ? at : *folder == '/' ? "/" : ".";
    if (!volt_path_is_dir(found))
        st = volt_fail(VOLT_EIO, "the work folder %s is not writable: %s is not a folder",
                       folder, found);
    else if (!volt_path_is_writable_dir(found))
        st = volt_fail(VOLT_EIO, "the work folder %s is not writable", folder);
    volt_free(at);
    return st;
}

volt_status volt_workspace_choose(char **out, const char *dataset_folder, const char *asked)
{
    const char *variable = getenv(VOLT_WORK_VARIABLE);
    char *folder = NULL;
    volt_status st;

    if (!asked && variable && *variable)
        asked = variable;
    if (asked && !*asked)
        return volt_fail(VOLT_EINVAL, "the name of the work folder is empty");
    if (asked)
        VOLT_TRY(st, done, volt_strdup(&folder, asked));
    else
        VOLT_TRY(st, done, volt_path_join(&folder, dataset_folder, "volt"));
    if (!asked &&
        !volt_path_is_writable_dir(volt_path_is_dir(folder) ? folder : dataset_folder)) {
        volt_free(folder);
        folder = NULL;
        VOLT_TRY(st, done, cache_folder(&folder, dataset_folder));
    }
    VOLT_TRY(st, done, check_writable(folder));
    *out = folder;
    folder = NULL;
done:
    volt_free(folder);
    return st;
}

/* Whether `folder` is DATASET/volt. */
static bool lies_inside(const char *folder, const char *dataset_folder)
{
    const size_t bytes = strlen(dataset_folder);

    return strncmp(folder, dataset_folder, bytes) == 0 &&
           strcmp(volt_path_name(folder), "volt") == 0 &&
           strspn(folder + bytes, "/") + strlen("volt") == strlen(folder + bytes);
}

volt_status volt_workspace_open(char **out, const char *dataset_folder, const char *asked,
                                const volt_callbacks *callbacks)
{
    char *folder = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_workspace_choose(&folder, dataset_folder, asked));
    VOLT_TRY(st, done, volt_make_dirs(folder));
    if (!volt_path_is_writable_dir(folder)) {
        st = volt_fail(VOLT_EIO, "the work folder %s is not writable", folder);
        goto done;
    }
    volt_report(callbacks, VOLT_LOG_INFO, "work folder: %s%s", folder,
                !asked && lies_inside(folder, dataset_folder) ? ", inside the data set" : "");
    *out = folder;
    folder = NULL;
done:
    volt_free(folder);
    return st;
}
