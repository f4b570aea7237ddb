#define _GNU_SOURCE
#include "io/dataset/staging.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/system/file.h"
#include "base/system/process.h"
#include "base/system/temporary.h"
#include "base/core/alloc.h"

struct volt_staging {
    char *target;
    char *path; /* the temporary folder; NULL before it exists */
    int fd;     /* its lock, or -1 */
};

/* The last folders that this process created: what it created itself is not simultaneous. */
static pthread_mutex_t own_lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    dev_t device;
    ino_t inode;
} own[64];
static unsigned own_next;

static void remember(const char *target)
{
    struct stat info;

    if (stat(target, &info) != 0)
        return;
    pthread_mutex_lock(&own_lock);
    own[own_next % 64].device = info.st_dev;
    own[own_next++ % 64].inode = info.st_ino;
    pthread_mutex_unlock(&own_lock);
}

static bool is_own(const struct stat *info)
{
    bool found = false;

    pthread_mutex_lock(&own_lock);
    for (int i = 0; i < 64; i++)
        found |= own[i].device == info->st_dev && own[i].inode == info->st_ino;
    pthread_mutex_unlock(&own_lock);
    return found;
}

/* Whether `target` was certainly created or filled after this process began: another process
 * does the same at the same time. What it created is compared when this one is finished. */
static bool is_simultaneous(const char *target)
{
    struct timespec now;
    struct stat info;
    double then;

    if (stat(target, &info) != 0)
        return true; /* it was there a moment ago */
    if (is_own(&info))
        return false;
    clock_gettime(CLOCK_REALTIME, &now);
    then = (double)now.tv_sec + 1e-9 * (double)now.tv_nsec - volt_process_age();
    return (double)info.st_ctim.tv_sec + 1e-9 * (double)info.st_ctim.tv_nsec > then;
}

static volt_status check_target(const char *target)
{
    volt_names names = {0};
    volt_status st;

    if (!volt_path_exists(target))
        return VOLT_OK;
    if (!volt_path_is_dir(target))
        return volt_fail(VOLT_EDATA, "%s exists and is not a folder", target);
    st = volt_list_dir(&names, target);
    if (st == VOLT_OK && names.count && !is_simultaneous(target))
        st = volt_fail(VOLT_EDATA, "%s exists and is not empty: it holds %s", target,
                       names.name[0]);
    volt_names_free(&names);
    return st;
}

/* Creates the target's parents and strips trailing slashes from its name. */
static volt_status set_target(volt_staging *s, const char *target)
{
    size_t length = strlen(target);
    char *slash;
    volt_status st;

    VOLT_TRY(st, done, volt_strdup(&s->target, target));
    while (length > 1 && s->target[length - 1] == '/')
        s->target[--length] = '\0';
    slash = strrchr(s->target, '/');
    if (slash && slash != s->target) {
        *slash = '\0';
        st = volt_make_dirs(s->target);
        *slash = '/';
    }
done:
    return st;
}

volt_status volt_staging_open(volt_staging **out, const char *target)
{
    volt_staging *s = NULL;
    volt_status st;

    if (!*target)
        return volt_fail(VOLT_EINVAL, "the name of the output folder is empty");
    volt_temporaries_remove_near(target); /* even if it is refused */
    VOLT_TRY(st, done, check_target(target));
    VOLT_TRY(st, done, volt_alloc_zero(&s, 1, sizeof *s, "a folder's name"));
    s->fd = -1;
    VOLT_TRY(st, done, set_target(s, target));
    VOLT_TRY(st, done, volt_temporary_folder(&s->path, &s->fd, s->target));
    (void)volt_temporaries_remove(s->target, 0); /* or it would not be empty */
    *out = s;
    s = NULL;
done:
    volt_staging_abort(&s);
    return st;
}

const char *volt_staging_path(const volt_staging *s)
{
    return s->path;
}

static bool same_file(const char *a, const char *b)
{
    volt_map x = {0}, y = {0};
    const bool same = volt_map_open(&x, a) == VOLT_OK && volt_map_open(&y, b) == VOLT_OK &&
                      x.bytes == y.bytes &&
                      (x.bytes == 0 || memcmp(x.data, y.data, x.bytes) == 0);

    volt_map_close(&y);
    volt_map_close(&x);
    return same;
}

/* Whether both folders have the same names and contents. */
static bool same_tree(const char *a, const char *b)
{
    volt_names x = {0}, y = {0};
    bool same = volt_list_dir(&x, a) == VOLT_OK && volt_list_dir(&y, b) == VOLT_OK &&
                x.count == y.count;

    for (size_t i = 0; same && i < x.count; i++) {
        char *p = NULL, *q = NULL;

        same = strcmp(x.name[i], y.name[i]) == 0 &&
               volt_path_join(&p, a, x.name[i]) == VOLT_OK &&
               volt_path_join(&q, b, y.name[i]) == VOLT_OK &&
               (volt_path_is_dir(p) ? volt_path_is_dir(q) && same_tree(p, q) : same_file(p, q));
        volt_free(q);
        volt_free(p);
    }
    volt_names_free(&y);
    volt_names_free(&x);
    return same;
}

volt_status volt_staging_commit(volt_staging **staging)
{
    volt_staging *s = *staging;
    volt_status st = VOLT_OK;

    if (rename(s->path, s->target) == 0) { /* replaces an empty folder */
        remember(s->target);
        volt_free(s->path);
        s->path = NULL;
    } else if (errno != ENOTEMPTY && errno != EEXIST) {
        st = volt_fail(VOLT_EIO, "cannot rename %s to %s: %s", s->path, s->target,
                       strerror(errno));
    } else if (!same_tree(s->path, s->target)) {
        st = volt_fail(VOLT_EDATA,
                       "%s was created by another process at the same time, with other content",
                       s->target);
    }
    volt_staging_abort(staging);
    return st;
}

/* Names the target where the last sentence names the temporary folder, which is removed. */
static void name_target(const volt_staging *s)
{
    const char *sentence = volt_last_error();
    const char *at = strstr(sentence, s->path);

    if (at)
        (void)volt_fail(VOLT_EIO, "%.*s%s%s", (int)(at - sentence), sentence, s->target,
                        at + strlen(s->path));
}

void volt_staging_abort(volt_staging **staging)
{
    volt_staging *s = *staging;

    *staging = NULL;
    if (!s)
        return;
    if (s->path) {
        name_target(s);
        volt_remove_folder(s->path);
    }
    if (s->fd >= 0)
        close(s->fd);
    volt_free(s->path);
    volt_free(s->target);
    volt_free(s);
}
