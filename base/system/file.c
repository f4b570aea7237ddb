#define _GNU_SOURCE
#include "base/system/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/core/alloc.h"
#include "base/system/open_regular.h"
#include "base/system/owner.h"
#include "base/system/temporary.h"

static volt_status fail_errno(const char *verb, const char *path)
{
    return volt_fail(errno == ENOMEM ? VOLT_ENOMEM : VOLT_EIO, "cannot %s %s: %s", verb, path,
                     strerror(errno));
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
    VOLT_TRY(st, done, volt_temporary_file(&f->temporary, &f->fd, path));
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

    /* The file stays open, and so locked, until it has its name. */
    if (fsync(f->fd) != 0)
        st = fail_errno("finish", f->path);
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
    if (f->temporary)
        unlink(f->temporary);
    if (f->fd >= 0)
        close(f->fd);
    volt_free(f->temporary);
    volt_free(f->path);
    volt_free(f);
    *file = NULL;
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
            !volt_is_temporary(entry->d_name) && strcmp(entry->d_name, VOLT_LOCK_FILE) != 0 &&
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
