#define _GNU_SOURCE
#include "base/system/temporary.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/core/alloc.h"
#include "base/system/file.h"
#include "base/system/process.h"

#define NAME_BYTES 96  /* of a temporary name, with its terminator */
#define MOST_TRIES 100 /* of names */
#define DAY_S      86400

static atomic_uint created; /* by this process: the number in the name */

bool volt_is_temporary(const char *name)
{
    return strncmp(name, VOLT_TEMPORARY_PREFIX, strlen(VOLT_TEMPORARY_PREFIX)) == 0;
}

/* ---- removing ---- */

/* Whether the owner of `name` is known to live, or known to have ended. */
static volt_process_state owner_of(const char *name)
{
    volt_process p = {0};

    if (sscanf(name, VOLT_TEMPORARY_PREFIX "%8" SCNx32 "-%lx-%" SCNx64, &p.machine,
               (unsigned long *)&p.pid, &p.started) != 3)
        return VOLT_PROCESS_ELSEWHERE;
    return volt_process_look_up(&p);
}

/* Whether nobody owns `name` in the open folder `at` any more; then *fd holds its lock, or is
 * -1 where there are no locks. */
static bool is_stale(int *fd, int at, const char *name)
{
    const volt_process_state owner = owner_of(name);
    struct stat info;

    *fd = -1;
    if (owner == VOLT_PROCESS_LIVES || fstatat(at, name, &info, AT_SYMLINK_NOFOLLOW) != 0 ||
        !(S_ISREG(info.st_mode) || S_ISDIR(info.st_mode)))
        return false;
    if (owner == VOLT_PROCESS_ENDED)
        return true;
    *fd =
        openat(at, name, (S_ISDIR(info.st_mode) ? O_RDONLY : O_RDWR) | O_NOFOLLOW | O_CLOEXEC);
    if (*fd < 0)
        return false;
    if (flock(*fd, LOCK_EX | LOCK_NB) == 0)
        return true;
    if (errno != EWOULDBLOCK && time(NULL) - info.st_mtime > DAY_S)
        return true;
    close(*fd);
    *fd = -1;
    return false;
}

static bool remove_if_stale(const char *folder, int at, const char *name)
{
    char path[4096];
    int fd = -1;
    bool removed = false;

    if (!is_stale(&fd, at, name))
        return false;
    if (unlinkat(at, name, 0) == 0)
        removed = true;
    else if (snprintf(path, sizeof path, "%s/%s", folder, name) < (int)sizeof path) {
        volt_remove_folder(path);
        removed = access(path, F_OK) != 0;
    }
    if (fd >= 0)
        close(fd);
    return removed;
}

int64_t volt_temporaries_remove(const char *folder, int depth)
{
    DIR *dir = opendir(folder);
    const struct dirent *entry;
    int64_t removed = 0;
    char path[4096];
    struct stat info;

    if (!dir)
        return 0;
    while ((entry = readdir(dir)) != NULL) {
        const char *name = entry->d_name;

        if (volt_is_temporary(name))
            removed += remove_if_stale(folder, dirfd(dir), name);
        else if (depth > 0 && name[0] != '.' &&
                 (entry->d_type == DT_DIR || entry->d_type == DT_UNKNOWN) &&
                 fstatat(dirfd(dir), name, &info, AT_SYMLINK_NOFOLLOW) == 0 &&
                 S_ISDIR(info.st_mode) &&
                 snprintf(path, sizeof path, "%s/%s", folder, name) < (int)sizeof path)
            removed += volt_temporaries_remove(path, depth - 1);
    }
    closedir(dir);
    return removed;
}

/* Folders that this process looked through in the last minute: a writer of thousands of files
 * must not list their folder for each. */
static void remove_now_and_then(const char *folder)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static struct {
        dev_t device;
        ino_t inode;
        double at;
    } seen[64];
    static unsigned next;
    const double now = volt_seconds();
    bool recent = false;
    struct stat info;

    if (stat(folder, &info) != 0)
        return;
    pthread_mutex_lock(&lock);
    for (int i = 0; i < 64 && !recent; i++)
        recent = seen[i].at > 0 && now - seen[i].at < 60 && seen[i].device == info.st_dev &&
                 seen[i].inode == info.st_ino;
    if (!recent) {
        seen[next].device = info.st_dev;
        seen[next].inode = info.st_ino;
        seen[next].at = now;
        next = (next + 1) % 64;
    }
    pthread_mutex_unlock(&lock);
    if (!recent)
        (void)volt_temporaries_remove(folder, 0);
}

/* ---- creating ---- */

static void fill_in(char *name)
{
    const volt_process self = volt_process_self();

    snprintf(name, NAME_BYTES, VOLT_TEMPORARY_PREFIX "%08" PRIx32 "-%lx-%" PRIx64 "-%x",
             self.machine, (unsigned long)self.pid, self.started,
             atomic_fetch_add(&created, 1));
}

/* Opens `path`, which must be new; -1 and errno. */
static int create_one(const char *path, bool folder)
{
    if (!folder)
        return open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (mkdir(path, 0777) != 0)
        return -1;
    return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* A sweeper may have taken the lock, or removed the name, before this process locked it. Where
 * there are no locks the name alone protects. */
static bool secure(int fd, const char *path)
{
    struct stat mine, there;

    if (flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
        return false;
    return fstat(fd, &mine) == 0 && stat(path, &there) == 0 && mine.st_ino == there.st_ino;
}

/* The folder that contains `target`, with a slash; the caller owns *out (volt_free). */
static volt_status parent_of(char **out, const char *target)
{
    const char *own = volt_path_name(target);

    return own == target ? volt_strdup(out, "./")
                         : volt_format(out, "%.*s", (int)(own - target), target);
}

void volt_temporaries_remove_near(const char *target)
{
    char *parent = NULL;

    if (parent_of(&parent, target) == VOLT_OK)
        remove_now_and_then(parent);
    volt_free(parent);
}

static volt_status create(char **out, int *out_fd, const char *target, bool folder)
{
    char *parent = NULL, *path = NULL, name[NAME_BYTES];
    int fd = -1;
    volt_status st;

    VOLT_TRY(st, done, parent_of(&parent, target));
    remove_now_and_then(parent);
    for (int i = 0; i < MOST_TRIES && fd < 0; i++) {
        fill_in(name);
        volt_free(path);
        path = NULL;
        VOLT_TRY(st, done, volt_path_join(&path, parent, name));
        fd = create_one(path, folder);
        if (fd < 0 && errno != EEXIST)
            break;
        if (fd >= 0 && !secure(fd, path)) {
            close(fd);
            fd = -1;
            errno = EEXIST;
        }
    }
    if (fd < 0) {
        st = volt_fail(VOLT_EIO, "cannot create a %s next to %s: %s",
                       folder ? "folder" : "file", target, strerror(errno));
        goto done;
    }
    *out = path;
    path = NULL;
    *out_fd = fd;
done:
    volt_free(path);
    volt_free(parent);
    return st;
}

volt_status volt_temporary_file(char **path, int *fd, const char *target)
{
    return create(path, fd, target, false);
}

volt_status volt_temporary_folder(char **path, int *fd, const char *target)
{
    return create(path, fd, target, true);
}
