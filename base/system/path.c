/* path.c - paths, folders and what the system knows about them. */
#define _GNU_SOURCE
#include "base/system/file.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "base/core/alloc.h"

static volt_status fail_errno(const char *verb, const char *path)
{
    return volt_fail(errno == ENOMEM ? VOLT_ENOMEM : VOLT_EIO, "cannot %s %s: %s", verb, path,
                     strerror(errno));
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *walk)
{
    (void)info;
    (void)type;
    (void)walk;
    (void)remove(path);
    return 0;
}

void volt_remove_folder(const char *path)
{
    nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

volt_status volt_file_stat(int64_t *bytes, int64_t *modified_ns, const char *path)
{
    struct stat info;

    if (stat(path, &info) != 0)
        return fail_errno("examine", path);
    *bytes = info.st_size;
    *modified_ns = (int64_t)info.st_mtim.tv_sec * 1000000000 + info.st_mtim.tv_nsec;
    return VOLT_OK;
}

volt_status volt_disk_free(int64_t *bytes, const char *folder)
{
    struct statvfs fs;

    if (statvfs(folder, &fs) != 0)
        return fail_errno("query the free space of", folder);
    *bytes = fs.f_bavail > (uint64_t)INT64_MAX / fs.f_frsize
                 ? INT64_MAX
                 : (int64_t)(fs.f_bavail * fs.f_frsize);
    return VOLT_OK;
}

bool volt_path_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

bool volt_path_is_dir(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

bool volt_path_is_writable_dir(const char *path)
{
    return volt_path_is_dir(path) && access(path, W_OK | X_OK) == 0;
}

bool volt_path_is_same(const char *a, const char *b)
{
    struct stat one, other;

    return stat(a, &one) == 0 && stat(b, &other) == 0 && one.st_dev == other.st_dev &&
           one.st_ino == other.st_ino;
}

volt_status volt_path_join(char **out, const char *folder, const char *name)
{
    const size_t length = strlen(folder);
    const bool slash = length > 0 && folder[length - 1] == '/';

    return volt_format(out, "%s%s%s", folder, slash || length == 0 ? "" : "/", name);
}

const char *volt_path_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

volt_status volt_path_real(char **out, const char *path)
{
    char *real = realpath(path, NULL);
    volt_status st;

    if (!real)
        return volt_fail(VOLT_EIO, "cannot find %s: %s", path, strerror(errno));
    st = volt_strdup(out, real);
    free(real);
    return st;
}

volt_status volt_cache_folder(char **out)
{
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");

    if (cache && *cache == '/')
        return volt_format(out, "%s/volt", cache);
    if (home && *home == '/')
        return volt_format(out, "%s/.cache/volt", home);
    return volt_fail(VOLT_EIO, "neither XDG_CACHE_HOME nor HOME names a folder");
}

volt_status volt_make_dirs(const char *path)
{
    char *copy = NULL;
    volt_status st = volt_strdup(&copy, path);

    if (st != VOLT_OK)
        return st;
    for (char *p = copy + (copy[0] == '/'); st == VOLT_OK; p++) {
        const char at = *p;
        if (at != '/' && at != '\0')
            continue;
        *p = '\0';
        if (*copy && mkdir(copy, 0777) != 0) {
            const int why = errno;
            if (!volt_path_is_dir(copy)) {
                errno = why;
                st = fail_errno("create folder", copy);
            }
        }
        *p = at;
        if (at == '\0')
            break;
    }
    volt_free(copy);
    return st;
}

double volt_seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}
