#include "io/workspace.h"

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
                       "%s is not writable and neither XDG_CACHE_HOME nor HOME names a "
                       "folder; choose one with --work",
                       dataset_folder);
    volt_free(cache);
    free(real);
    return st;
}

volt_status volt_workspace_open(char **out, const char *dataset_folder, const char *asked,
                                const volt_callbacks *callbacks)
{
    char *folder = NULL;
    volt_status st;

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
    VOLT_TRY(st, done, volt_make_dirs(folder));
    if (!volt_path_is_writable_dir(folder)) {
        st = volt_fail(VOLT_EIO, "%s is not writable; choose another folder with --work",
                       folder);
        goto done;
    }
    volt_report(callbacks, VOLT_LOG_INFO, "work folder: %s", folder);
    *out = folder;
    folder = NULL;
done:
    volt_free(folder);
    return st;
}
