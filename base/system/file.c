#define _GNU_SOURCE
#include "base/system/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "base/core/alloc.h"
#include "base/system/open_regular.h"

static volt_status fail_errno(const char *verb, const char *path)
{
    return volt_fail(VOLT_EIO, "cannot %s %s: %s", verb, path, strerror(errno));
}

volt_status volt_open_regular(int *out, size_t *bytes, const char *path)
{
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe must not block here */

    if (fd < 0)
        return fail_errno("open", path);
    if (fstat(fd, &info) != 0) {
        volt_status st = fail_errno("examine", path);
        close(fd);
        return st;
    }
    if (!S_ISREG(info.st_mode)) {
        close(fd);
        return volt_fail(VOLT_EFORMAT, "%s is %s, not a regular file", path,
                         S_ISDIR(info.st_mode) ? "a folder" : "a device or pipe");
    }
    *out = fd;
    *bytes = (size_t)info.st_size;
    return VOLT_OK;
}

/* Reads exactly `bytes`, or fails. */
static volt_status read_exactly(int fd, char *to, size_t bytes, const char *path)
{
    while (bytes) {
        const ssize_t got = read(fd, to, bytes);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fail_errno("read", path);
        if (got == 0)
            return volt_fail(VOLT_EIO, "%s was truncated while it was read", path);
        to += got;
        bytes -= (size_t)got;
    }
    return VOLT_OK;
}

volt_status volt_read_file(char **out, size_t *bytes, const char *path, size_t limit)
{
    char *text = NULL;
    size_t size = 0;
    int fd = -1;
    volt_status st = volt_open_regular(&fd, &size, path);

    if (st != VOLT_OK)
        return st;
    if (size > limit) {
        st = volt_fail(VOLT_EFORMAT, "%s has %zu bytes, more than the %zu expected here", path,
                       size, limit);
        goto done;
    }
    VOLT_TRY(st, done, volt_alloc(&text, size + 1, path));
    VOLT_TRY(st, done, read_exactly(fd, text, size, path));
    text[size] = '\0';
    *out = text;
    text = NULL;
    if (bytes)
        *bytes = size;
done:
    volt_free(text);
    close(fd);
    return st;
}

#define UNIQUE    "XXXXXX"          /* replaced in names of temporary files and folders */
#define TEMPORARY "." UNIQUE ".tmp" /* appended to the target's name */

/* Creating a file or folder that must not exist (O_EXCL, mkdir) is safe whatever its name, so
 * the name need not be secret. mkstemp() and mkdtemp() would also find one, but give it to its
 * owner alone; finding out which permissions a shared file should have then takes umask(),
 * which changes the mask of every thread for a moment. */
static void fill_in(char unique[])
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
    const size_t count = strlen(UNIQUE);
    unsigned char bytes[sizeof UNIQUE];

    if (getrandom(bytes, count, GRND_NONBLOCK) != (ssize_t)count) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        const uint64_t mixed = (uint64_t)now.tv_nsec * 0x9E3779B97F4A7C15u + (uint64_t)getpid();
        memcpy(bytes, &mixed, count);
    }
    for (size_t i = 0; i < count; i++)
        unique[i] = letters[bytes[i] % (sizeof letters - 1)];
}

#define MOST_TRIES 100 /* of names: more than ever needed among 64^6 */

/* Creates a file in place of `path`, whose UNIQUE starts at `unique`; -1 and errno. */
static int create_unique(char *path, char *unique)
{
    int fd = -1;

    for (int i = 0; i < MOST_TRIES && fd < 0; i++) {
        fill_in(unique);
        fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd < 0 && errno != EEXIST)
            break;
    }
    return fd;
}

volt_status volt_make_unique_dir(char *path)
{
    const size_t length = strlen(path), unique = strlen(UNIQUE);

    for (int i = 0; i < MOST_TRIES; i++) {
        fill_in(path + length - unique);
        if (mkdir(path, 0777) == 0)
            return VOLT_OK;
        if (errno != EEXIST)
            break;
    }
    return fail_errno("create folder", path);
}

struct volt_out {
    int fd;
    char *path, *temporary;
};

volt_status volt_out_open(volt_out **out, const char *path)
{
    volt_out *f = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_alloc_zero(&f, 1, sizeof *f, "an output file"));
    f->fd = -1;
    VOLT_TRY(st, done, volt_strdup(&f->path, path));
    VOLT_TRY(st, done, volt_format(&f->temporary, "%s" TEMPORARY, path));
    f->fd = create_unique(f->temporary, f->temporary + strlen(path) + 1);
    if (f->fd < 0) {
        st = volt_fail(VOLT_EIO, "cannot create a file next to %s: %s", path, strerror(errno));
        volt_free(f->temporary);
        f->temporary = NULL; /* nothing to remove */
        goto done;
    }
    *out = f;
    f = NULL;
done:
    volt_out_abort(&f);
    return st;
}

volt_status volt_out_write(volt_out *f, const void *data, size_t bytes)
{
    const char *from = data;

    while (bytes) {
        const ssize_t put = write(f->fd, from, bytes);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return fail_errno("write", f->path);
        from += put;
        bytes -= (size_t)put;
    }
    return VOLT_OK;
}

volt_status volt_out_patch(volt_out *f, uint64_t offset, const void *data, size_t bytes)
{
    const char *from = data;

    while (bytes) {
        const ssize_t put = pwrite(f->fd, from, bytes, (off_t)offset);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return fail_errno("write", f->path);
        from += put;
        offset += (uint64_t)put;
        bytes -= (size_t)put;
    }
    return VOLT_OK;
}

/* Makes a rename in the folder of `path` survive a power failure. File systems that cannot do
 * it (some network mounts) are no error: the data itself is already on disk. */
static void sync_folder_of(const char *path)
{
    char folder[4096];
    const char *slash = strrchr(path, '/');
    const size_t length = slash ? (size_t)(slash - path) : 0;
    int fd;

    if (length >= sizeof folder)
        return;
    memcpy(folder, path, length);
    folder[length] = '\0';
    fd = open(slash ? (length ? folder : "/") : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd);
        close(fd);
    }
}

volt_status volt_out_commit(volt_out **file)
{
    volt_out *f = *file;
    volt_status st = VOLT_OK;

    if (fsync(f->fd) != 0)
        st = fail_errno("finish", f->path);
    if (close(f->fd) != 0 && st == VOLT_OK)
        st = fail_errno("close", f->path);
    f->fd = -1;
    if (st == VOLT_OK && rename(f->temporary, f->path) != 0)
        st = fail_errno("rename the finished file to", f->path);
    if (st == VOLT_OK) {
        sync_folder_of(f->path);
        volt_free(f->temporary);
        f->temporary = NULL;
    }
    volt_out_abort(file);
    return st;
}

void volt_out_abort(volt_out **file)
{
    volt_out *f = *file;

    if (!f)
        return;
    if (f->fd >= 0)
        close(f->fd);
    if (f->temporary)
        unlink(f->temporary);
    volt_free(f->temporary);
    volt_free(f->path);
    volt_free(f);
    *file = NULL;
}

/* Whether `name` is the temporary one of a file whose name matches `pattern`. */
static bool is_temporary_of(const char *name, const char *pattern)
{
    const size_t bytes = strlen(name), added = strlen(TEMPORARY);
    char *target = NULL;
    bool is = false;

    if (bytes <= added || name[bytes - added] != '.' ||
        strcmp(name + bytes - strlen(".tmp"), ".tmp") != 0)
        return false;
    if (volt_format(&target, "%.*s", (int)(bytes - added), name) == VOLT_OK)
        is = fnmatch(pattern, target, 0) == 0;
    volt_free(target);
    return is;
}

volt_status volt_out_remove_stale(int64_t *removed, const char *folder, const char *pattern)
{
    volt_names names = {0};
    char *path = NULL;
    int64_t count = 0;
    volt_status st = VOLT_OK;

    if (volt_path_is_dir(folder))
        VOLT_TRY(st, done, volt_list_dir(&names, folder));
    for (size_t i = 0; i < names.count; i++) {
        if (!is_temporary_of(names.name[i], pattern))
            continue;
        volt_free(path);
        path = NULL;
        VOLT_TRY(st, done, volt_path_join(&path, folder, names.name[i]));
        if (unlink(path) != 0 && errno != ENOENT) {
            st = fail_errno("remove", path);
            goto done;
        }
        count++;
    }
    if (removed)
        *removed = count;
done:
    volt_free(path);
    volt_names_free(&names);
    return st;
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

volt_status volt_write_file(const char *path, const void *data, size_t bytes)
{
    volt_out *f = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_out_open(&f, path));
    VOLT_TRY(st, done, volt_out_write(f, data, bytes));
    st = volt_out_commit(&f);
done:
    volt_out_abort(&f);
    return st;
}

volt_status volt_append_file(const char *path, const void *data, size_t bytes)
{
    volt_out f = {.fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666),
                  .path = (char *)path};
    volt_status st;

    if (f.fd < 0)
        return fail_errno("open", path);
    st = volt_out_write(&f, data, bytes);
    if (close(f.fd) != 0 && st == VOLT_OK)
        st = fail_errno("close", path);
    return st;
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

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static volt_status add_name(volt_names *names, size_t *room, const char *name)
{
    volt_status st;

    if (names->count == *room) {
        const size_t more = *room ? 2 * *room : 64;
        st = volt_realloc(&names->name, names->count * sizeof *names->name,
                          more * sizeof *names->name, "a list of file names");
        if (st != VOLT_OK)
            return st;
        *room = more;
    }
    st = volt_strdup(&names->name[names->count], name);
    if (st == VOLT_OK)
        names->count++;
    return st;
}

volt_status volt_list_dir(volt_names *out, const char *folder)
{
    volt_names names = {0};
    size_t room = 0;
    volt_status st = VOLT_OK;
    DIR *dir = opendir(folder);

    if (!dir)
        return fail_errno("list folder", folder);
    for (;;) {
        const struct dirent *entry;
        errno = 0;
        entry = readdir(dir);
        if (!entry) {
            if (errno)
                st = fail_errno("list folder", folder);
            break;
        }
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
            (st = add_name(&names, &room, entry->d_name)) != VOLT_OK)
            break;
    }
    closedir(dir);
    if (st != VOLT_OK) {
        volt_names_free(&names);
        return st;
    }
    if (names.count)
        qsort(names.name, names.count, sizeof *names.name, compare_names);
    *out = names;
    return VOLT_OK;
}

void volt_names_free(volt_names *names)
{
    for (size_t i = 0; i < names->count; i++)
        volt_free(names->name[i]);
    volt_free(names->name);
    *names = (volt_names){0};
}

double volt_seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}
