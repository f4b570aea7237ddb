#define _GNU_SOURCE
#include "base/system/owner.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/core/alloc.h"
#include "base/core/report.h"
#include "base/system/file.h"
#include "base/system/process.h"
#include "base/system/temporary.h"

#define POLL_NS     100000000
#define TRIES       10 /* before it is refused: a look holds the lock for a moment */
#define NO_TEXT_S   10 /* a lock file without text: its owner has this long to write it */
#define SWEEP_DEPTH 3  /* RUN/fold_0/validation/part */

struct volt_owner {
    char *path, *folder;
    bool created; /* the folder */
    int fd;
    /* When the folder was modified, before and after the lock file was created in it: a folder
     * in which nothing else changed keeps its time. */
    struct timespec before, after;
};

/* The text of a lock file. */
typedef struct holder {
    volt_process process;
    char host[128], key[32];
    bool known;
} holder;

typedef enum outcome {
    TAKEN,
    BUSY,
    AGAIN, /* the file or the folder went away meanwhile */
    FAILED /* errno */
} outcome;

/* `key`: "-" of a single owner. */
static void write_holder(int fd, const char *key)
{
    const volt_process self = volt_process_self();
    char host[128] = "", text[256];
    int bytes;

    (void)gethostname(host, sizeof host - 1);
    bytes = snprintf(text, sizeof text, "%s %ld %" PRIx32 " %" PRIx64 " %s\n", host, self.pid,
                     self.machine, self.started, key);
    /* With locks the text is for messages only, so a full disk is no failure. */
    if (ftruncate(fd, 0) == 0 && pwrite(fd, text, (size_t)bytes, 0) != bytes)
        (void)!ftruncate(fd, 0);
}

static holder read_holder(int fd)
{
    char text[256] = "";
    holder h = {0};
    const ssize_t got = pread(fd, text, sizeof text - 1, 0);

    text[got > 0 ? got : 0] = '\0';
    h.known = sscanf(text, "%127s %ld %" SCNx32 " %" SCNx64 " %31s", h.host, &h.process.pid,
                     &h.process.machine, &h.process.started, h.key) == 5;
    return h;
}

static bool same_file(int fd, const char *path)
{
    struct stat mine, there;

    return fstat(fd, &mine) == 0 && stat(path, &there) == 0 && mine.st_ino == there.st_ino &&
           mine.st_dev == there.st_dev;
}

/* The decision on a file system without locks. `created`: by this call. */
static outcome by_content(int fd, bool created, const char *path)
{
    struct stat info;
    holder h;

    if (created)
        return TAKEN;
    h = read_holder(fd);
    if (h.known && volt_process_look_up(&h.process) != VOLT_PROCESS_ENDED)
        return BUSY;
    if (!h.known && fstat(fd, &info) == 0 && time(NULL) - info.st_mtime < NO_TEXT_S)
        return BUSY;
    if (same_file(fd, path))
        (void)unlink(path);
    return AGAIN;
}

/* One attempt; *fd is open unless it FAILED. */
static outcome attempt(int *fd, const char *path)
{
    bool created = true;

    *fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (*fd < 0 && errno == EEXIST) {
        created = false;
        *fd = open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (*fd < 0 && errno == EACCES) /* of another user: a lock needs no more */
            *fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    }
    if (*fd < 0)
        return errno == ENOENT ? AGAIN : FAILED;
    while (flock(*fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK)
            return BUSY;
        if (errno != EINTR)
            return by_content(*fd, created, path);
    }
    return same_file(*fd, path) ? TAKEN : AGAIN;
}

static void describe(char *out, size_t bytes, const holder *h)
{
    /* One of several owners may have ended since it wrote its name. */
    if (h->known && volt_process_look_up(&h->process) != VOLT_PROCESS_ENDED)
        snprintf(out, bytes, "process %ld on %s", h->process.pid, h->host);
    else
        snprintf(out, bytes, "another process");
}

static volt_status fail_busy(const char *folder, int fd)
{
    const holder h = read_holder(fd);
    char who[256];

    describe(who, sizeof who, &h);
    if (h.known && volt_process_look_up(&h.process) == VOLT_PROCESS_ELSEWHERE)
        return volt_fail(VOLT_EIO,
                         "%s is in use by %s; if that has ended, remove %s/" VOLT_LOCK_FILE,
                         folder, who, folder);
    return volt_fail(VOLT_EIO, "%s is in use by %s", folder, who);
}

/* Reports the owner, unless that was done or `tell` is false, and pauses. */
static volt_status wait_a_little(bool *told, bool tell, const char *folder, int fd,
                                 const volt_callbacks *cb)
{
    const struct timespec pause = {0, tell ? POLL_NS : POLL_NS / 10};

    if (tell && !*told) {
        const holder h = read_holder(fd);
        char who[256];

        describe(who, sizeof who, &h);
        volt_report(cb, VOLT_LOG_WARNING, "%s is in use by %s; waiting for it", folder, who);
        *told = true;
    }
    nanosleep(&pause, NULL);
    return volt_check_cancelled(cb);
}

/* Joins the owners that hold a shared lock, if they have the same key. */
static outcome join(int fd, const char *path, const char *key)
{
    if (flock(fd, LOCK_SH | LOCK_NB) != 0)
        return BUSY;
    if (!same_file(fd, path))
        return AGAIN;
    return strcmp(read_holder(fd).key, key) == 0 ? TAKEN : BUSY;
}

/* Several owners may hold the lock from here on. The change is not atomic: another may have
 * taken it in between and have written its key. */
static outcome share(int fd, const char *path, const char *key)
{
    write_holder(fd, key);
    if (flock(fd, LOCK_SH | LOCK_NB) != 0)
        return errno == EWOULDBLOCK ? BUSY : TAKEN;
    return join(fd, path, key);
}

static outcome try_once(volt_owner *o, const char *key)
{
    outcome got = attempt(&o->fd, o->path);

    if (got == TAKEN && key)
        got = share(o->fd, o->path, key);
    else if (got == TAKEN)
        write_holder(o->fd, "-");
    else if (got == BUSY && key)
        got = join(o->fd, o->path, key);
    return got;
}

static struct timespec modified(const char *folder)
{
    struct stat info;

    return stat(folder, &info) == 0 ? info.st_mtim : (struct timespec){0};
}

static bool same_time(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static volt_status become(volt_owner **out, const char *folder, volt_owner_rule rule,
                          const char *key, const volt_callbacks *cb)
{
    volt_owner *o = NULL;
    bool told = false;
    int tries = 0;
    volt_status st;

    VOLT_TRY(st, done, volt_alloc_zero(&o, 1, sizeof *o, "a lock"));
    o->fd = -1;
    VOLT_TRY(st, done, volt_strdup(&o->folder, folder));
    o->created = !volt_path_exists(folder);
    VOLT_TRY(st, done, volt_path_join(&o->path, folder, VOLT_LOCK_FILE));
    for (outcome got = AGAIN; got != TAKEN;) {
        VOLT_TRY(st, done, volt_make_dirs(folder)); /* its last owner may have removed it */
        o->before = modified(folder);
        got = try_once(o, key);
        if (got == FAILED)
            st = volt_fail(VOLT_EIO, "cannot lock %s: %s", folder, strerror(errno));
        else if (got == BUSY && rule == VOLT_OWNER_REFUSE && tries >= TRIES)
            st = fail_busy(folder, o->fd);
        else if (got == BUSY)
            st = wait_a_little(&told, tries++ >= TRIES, folder, o->fd, cb);
        if (got != TAKEN && o->fd >= 0) {
            close(o->fd);
            o->fd = -1;
        }
        VOLT_TRY(st, done, st);
    }
    o->after = modified(folder);
    (void)volt_temporaries_remove(folder, SWEEP_DEPTH);
    *out = o;
    o = NULL;
done:
    volt_owner_release(&o);
    return st;
}

volt_status volt_owner_take(volt_owner **out, const char *folder, volt_owner_rule rule,
                            const volt_callbacks *cb)
{
    return become(out, folder, rule, NULL, cb);
}

volt_status volt_owner_join(volt_owner **out, const char *folder, const char *key,
                            const volt_callbacks *cb)
{
    return become(out, folder, VOLT_OWNER_REFUSE, key, cb);
}

/* Whether the lock file of an owner that has ended was there and could be locked; then it is
 * removed. */
static outcome look(const char *path, int fd)
{
    for (int i = 0; flock(fd, LOCK_EX | LOCK_NB) != 0; i++) {
        const struct timespec pause = {0, POLL_NS / 10};
        const int why = errno;
        const holder h = read_holder(fd);

        if (why != EWOULDBLOCK && why != EINTR) { /* no locks here */
            if (h.known && volt_process_look_up(&h.process) != VOLT_PROCESS_ENDED)
                return BUSY;
            break;
        }
        if (i >= TRIES)
            return BUSY;
        nanosleep(&pause, NULL);
    }
    if (same_file(fd, path))
        (void)unlink(path);
    return AGAIN;
}

volt_status volt_owner_check(const char *folder)
{
    char *path = NULL;
    int fd = -1;
    volt_status st;

    VOLT_TRY(st, done, volt_path_join(&path, folder, VOLT_LOCK_FILE));
    fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd >= 0 && look(path, fd) == BUSY)
        st = fail_busy(folder, fd);
done:
    if (fd >= 0)
        close(fd);
    volt_free(path);
    return st;
}

void volt_owner_release(volt_owner **owner)
{
    volt_owner *o = *owner;

    *owner = NULL;
    if (!o)
        return;
    if (o->fd >= 0) { /* before the lock goes: nobody else's file can be there */
        const bool last = flock(o->fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK;

        if (last && same_file(o->fd, o->path)) {
            const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, o->before};
            const bool unchanged = same_time(modified(o->folder), o->after);

            if (unlink(o->path) == 0 && unchanged)
                (void)utimensat(AT_FDCWD, o->folder, times, 0);
        }
        if (last && o->created)
            (void)rmdir(o->folder); /* only while nothing is in it */
        close(o->fd);
    }
    volt_free(o->folder);
    volt_free(o->path);
    volt_free(o);
}
