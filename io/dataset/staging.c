#define _GNU_SOURCE
#include "io/dataset/staging.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/system/file.h"
#include "base/core/alloc.h"

#define TEMPORARY ".tmp.XXXXXX" /* after the target's name */

struct volt_staging {
    char *target;
    char *path; /* the temporary folder; NULL before it exists */
};

static volt_status check_target(const char *target)
{
    volt_names names = {0};
    volt_status st;

    if (!volt_path_exists(target))
        return VOLT_OK;
    if (!volt_path_is_dir(target))
        return volt_fail(VOLT_EDATA, "%s exists and is not a folder", target);
    st = volt_list_dir(&names, target);
    if (st == VOLT_OK && names.count)
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

/* Removes what killed programs with the same target left behind. */
static volt_status remove_leftovers(const volt_staging *s)
{
    const char *name = volt_path_name(s->target);
    const size_t bytes = strlen(name);
    volt_names names = {0};
    char *parent = NULL, *path = NULL;
    volt_status st;

    VOLT_TRY(st, done,
             name == s->target
                 ? volt_strdup(&parent, ".")
                 : volt_format(&parent, "%.*s", (int)(name - s->target), s->target));
    VOLT_TRY(st, done, volt_list_dir(&names, parent));
    for (size_t i = 0; i < names.count; i++) {
        const char *other = names.name[i];
        if (strlen(other) != bytes + strlen(TEMPORARY) || strncmp(other, name, bytes) != 0 ||
            strncmp(other + bytes, TEMPORARY, strlen(".tmp.")) != 0)
            continue;
        VOLT_TRY(st, done, volt_path_join(&path, parent, other));
        volt_remove_folder(path);
        volt_free(path);
        path = NULL;
    }
done:
    volt_free(path);
    volt_free(parent);
    volt_names_free(&names);
    return st;
}

volt_status volt_staging_open(volt_staging **out, const char *target)
{
    volt_staging *s = NULL;
    volt_status st;

    if (!*target)
        return volt_fail(VOLT_EINVAL, "the name of the output folder is empty");
    VOLT_TRY(st, done, check_target(target));
    VOLT_TRY(st, done, volt_alloc_zero(&s, 1, sizeof *s, "a folder's name"));
    VOLT_TRY(st, done, set_target(s, target));
    VOLT_TRY(st, done, remove_leftovers(s));
    VOLT_TRY(st, done, volt_format(&s->path, "%s" TEMPORARY, s->target));
    st = volt_make_unique_dir(s->path);
    if (st != VOLT_OK) {
        volt_free(s->path);
        s->path = NULL; /* nothing to remove */
        goto done;
    }
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

volt_status volt_staging_commit(volt_staging **staging)
{
    volt_staging *s = *staging;
    volt_status st = VOLT_OK;

    if (rename(s->path, s->target) != 0) { /* replaces an empty folder */
        st = volt_fail(VOLT_EIO, "cannot rename %s to %s: %s", s->path, s->target,
                       strerror(errno));
    } else {
        volt_free(s->path);
        s->path = NULL;
    }
    volt_staging_abort(staging);
    return st;
}

void volt_staging_abort(volt_staging **staging)
{
    volt_staging *s = *staging;

    *staging = NULL;
    if (!s)
        return;
    if (s->path)
        volt_remove_folder(s->path);
    volt_free(s->path);
    volt_free(s->target);
    volt_free(s);
}
