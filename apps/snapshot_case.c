/* The files of a case. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include "apps/snapshot.h"
#include "base/core/alloc.h"
#include "base/system/file.h"
#include "io/image.h"

/* Where the ending of an image file's name begins, with ".gz". */
static size_t stem_bytes(const char *name)
{
    const char *dot = strrchr(name, '.');
    size_t bytes = dot && dot > name ? (size_t)(dot - name) : strlen(name);

    if (dot && strcasecmp(dot, ".gz") == 0) {
        while (bytes > 1 && name[bytes - 1] != '.')
            bytes--;
        bytes = bytes > 1 ? bytes - 1 : (size_t)(dot - name);
    }
    return bytes;
}

/* Bytes before "_0000" in a stem of `bytes` bytes; 0 if it does not end so. */
static size_t case_bytes(const char *name, size_t bytes)
{
    if (bytes < 6 || name[bytes - 5] != '_')
        return 0;
    for (size_t i = bytes - 4; i < bytes; i++) {
        if (!isdigit((unsigned char)name[i]))
            return 0;
    }
    return bytes - 5;
}

static volt_status add_file(volt_names *files, const char *folder, const char *name)
{
    volt_status st = volt_realloc(&files->name, files->count * sizeof *files->name,
                                  (files->count + 1) * sizeof *files->name, "files");

    if (st != VOLT_OK)
        return st;
    files->name[files->count] = NULL;
    st = folder ? volt_path_join(&files->name[files->count], folder, name)
                : volt_strdup(&files->name[files->count], name);
    files->count += st == VOLT_OK;
    return st;
}

/* Adds CASE_0000.EXT, CASE_0001.EXT, ... of `folder`; `id` has `bytes` bytes. */
static volt_status add_channels(volt_names *files, const char *folder, const char *id,
                                size_t bytes)
{
    volt_names found = {0};
    volt_status st = volt_list_dir(&found, *folder ? folder : ".");

    for (size_t i = 0; i < found.count && st == VOLT_OK; i++) {
        const char *name = found.name[i];

        if (strncmp(name, id, bytes) == 0 && volt_image_named(name) &&
            case_bytes(name, stem_bytes(name)) == bytes)
            st = add_file(files, *folder ? folder : NULL, name);
    }
    volt_names_free(&found);
    return st;
}

/* The folder part of a path ("" for none, "/" for the root); owned. */
static volt_status folder_of(char **out, const char *path)
{
    const char *name = volt_path_name(path);
    const size_t bytes = (size_t)(name - path);

    return volt_format(out, "%.*s", bytes > 1 ? (int)bytes - 1 : (int)bytes, path);
}

static bool has_dataset_json(const char *folder)
{
    char *path = NULL;
    const bool has = volt_path_join(&path, *folder ? folder : ".", "dataset.json") == VOLT_OK &&
                     volt_path_exists(path);

    volt_free(path);
    return has;
}

volt_status snapshot_info_near(volt_dataset_info *out, const char *mask)
{
    char *folder = NULL, *path = NULL;
    volt_status st;

    VOLT_TRY(st, done, folder_of(&folder, mask));
    VOLT_TRY(st, done, volt_path_join(&path, *folder ? folder : ".", "dataset.json"));
    if (!volt_path_exists(path) && strncmp(volt_path_name(folder), "labelsT", 7) == 0) {
        volt_free(path);
        path = NULL;
        VOLT_TRY(st, done, volt_path_join(&path, folder, "../dataset.json"));
    }
    if (volt_path_exists(path))
        st = volt_dataset_info_read(out, path);
    if (st != VOLT_OK && st != VOLT_ENOMEM) /* a mask does not depend on it */
        st = VOLT_OK;
done:
    volt_free(path);
    volt_free(folder);
    return st;
}

bool snapshot_same_file(const char *a, const char *b)
{
    char *real_a = NULL, *real_b = NULL;
    const bool same = volt_path_real(&real_a, a) == VOLT_OK &&
                      volt_path_real(&real_b, b) == VOLT_OK && strcmp(real_a, real_b) == 0;

    volt_free(real_a);
    volt_free(real_b);
    return same;
}

/* Whether `path` is a file of the case, its folder or its name. */
static bool means(const volt_case *c, const char *path)
{
    const char *name = volt_path_name(path);
    const size_t bytes = case_bytes(name, strlen(name));

    if (strcmp(c->id, name) == 0 ||
        (bytes == strlen(c->id) && strncmp(c->id, name, bytes) == 0))
        return true;
    for (int i = 0; i < c->files; i++) {
        if (snapshot_same_file(c->file[i], path))
            return true;
    }
    return false;
}

static volt_status take_case(snapshot_case *out, const volt_case *c)
{
    volt_status st;

    VOLT_TRY(st, done, volt_strdup(&out->name, c->id));
    if (c->label_file)
        VOLT_TRY(st, done, volt_strdup(&out->truth, c->label_file));
    for (int i = 0; i < c->files; i++)
        VOLT_TRY(st, done, add_file(&out->files, NULL, c->file[i]));
done:
    return st;
}

/* Looks for the case in the data set `folder`. A folder that is none is not an error; then
 * out->name stays NULL. */
static volt_status find_in(snapshot_case *out, const char *folder, const char *path)
{
    volt_dataset *set = NULL;
    const volt_case *found = NULL;
    volt_status st = volt_dataset_open(&set, *folder ? folder : ".", NULL);

    if (st != VOLT_OK)
        return st == VOLT_ENOMEM ? st : VOLT_OK;
    for (int k = 0; k < 2 && !found; k++) {
        const volt_case_list *list = k ? &set->tests : &set->cases;

        for (int64_t i = 0; i < list->count && !found; i++)
            found = means(&list->item[i], path) ? &list->item[i] : NULL;
    }
    if (found)
        st = take_case(out, found);
    if (st == VOLT_OK && found) {
        out->set = set;
        set = NULL;
    }
    volt_dataset_close(set);
    return st;
}

/* The data sets that may hold `path`: its folder and the one above. */
static volt_status find_around(snapshot_case *out, const char *path)
{
    char *folder = NULL, *above = NULL;
    volt_status st;

    VOLT_TRY(st, done, folder_of(&folder, path));
    VOLT_TRY(st, done, find_in(out, folder, path));
    if (out->name || !*volt_path_name(folder))
        goto done;
    VOLT_TRY(st, done, folder_of(&above, folder));
    /* A case's folder in BraTS has the name that its files begin with. */
    if (has_dataset_json(above) || strncmp(volt_path_name(path), volt_path_name(folder),
                                           strlen(volt_path_name(folder))) == 0)
        st = find_in(out, above, path);
done:
    volt_free(above);
    volt_free(folder);
    return st;
}

static volt_status find_files(snapshot_case *out, const char *path)
{
    const char *name = volt_path_name(path);
    const bool exists = volt_path_exists(path);
    const size_t stem = exists ? stem_bytes(name) : strlen(name);
    const size_t numbered = case_bytes(name, stem);
    const size_t bytes = numbered ? numbered : stem;
    char *folder = NULL;
    volt_status st;

    VOLT_TRY(st, done, folder_of(&folder, path));
    if (bytes > 0 && (numbered || !exists) && volt_path_is_dir(*folder ? folder : "."))
        VOLT_TRY(st, done, add_channels(&out->files, folder, name, bytes));
    if (out->files.count == 0)
        VOLT_TRY(st, done, add_file(&out->files, NULL, path));
    st = volt_format(&out->name, "%.*s", (int)bytes, name);
done:
    volt_free(folder);
    return st;
}

/* A folder that is a data set itself names no case, unless it has only one. */
static volt_status find_only_case(snapshot_case *out, const char *path)
{
    volt_dataset *set = NULL;
    volt_status st;

    VOLT_TRY(st, done, cli_check_dataset(path));
    VOLT_TRY(st, done, volt_dataset_open(&set, path, NULL));
    if (set->cases.count == 0)
        st = volt_fail(VOLT_EINVAL, "%s is a data set without cases", path);
    else if (set->cases.count > 1)
        st = volt_fail(VOLT_EINVAL, "%s is a data set with %lld cases: name one, such as %s/%s",
                       path, (long long)set->cases.count, path, set->cases.item[0].id);
    else
        st = take_case(out, &set->cases.item[0]);
    if (st == VOLT_OK) {
        out->set = set;
        set = NULL;
    }
done:
    volt_dataset_close(set);
    return st;
}

volt_status snapshot_case_find(snapshot_case *out, const char *path, bool whole)
{
    /* A missing file is no case: nothing is searched for it. */
    const bool folder = volt_path_is_dir(path);
    const bool exists = volt_path_exists(path) || volt_image_named(path);
    const bool stack = volt_image_is_stack(path) && !has_dataset_json(path);
    snapshot_case found = {.named = !stack && (folder || !exists)};
    size_t bytes = strlen(path);
    char *plain = NULL;
    volt_status st;

    while (bytes > 1 && path[bytes - 1] == '/')
        bytes--;
    VOLT_TRY(st, done, volt_format(&plain, "%.*s", (int)bytes, path));
    if (!stack && (folder || !exists || whole))
        VOLT_TRY(st, done, find_around(&found, plain));
    if (!found.name && folder && !stack)
        VOLT_TRY(st, done, find_only_case(&found, plain));
    if (!found.name && !stack && (whole || !exists))
        VOLT_TRY(st, done, find_files(&found, plain));
    if (!found.name) {
        VOLT_TRY(st, done, add_file(&found.files, NULL, plain));
        VOLT_TRY(st, done, volt_strdup(&found.name, volt_path_name(plain)));
    }
    *out = found;
    found = (snapshot_case){0};
done:
    volt_free(plain);
    snapshot_case_free(&found);
    return st;
}

void snapshot_case_free(snapshot_case *c)
{
    volt_free(c->name);
    volt_free(c->truth);
    volt_names_free(&c->files);
    volt_dataset_close(c->set);
    *c = (snapshot_case){0};
}

/* ---- names of columns ---- */

/* Bytes that all stems share at their start, up to a separator. */
static size_t shared_start(char *const *files, int count)
{
    const char *first = volt_path_name(files[0]);
    size_t shared = 0, i = 0;

    for (;; i++) {
        if (i >= stem_bytes(first))
            return shared;
        for (int k = 1; k < count; k++) {
            const char *name = volt_path_name(files[k]);

            if (i >= stem_bytes(name) || name[i] != first[i])
                return shared;
        }
        if (strchr("_-. ", first[i]))
            shared = i + 1;
    }
}

/* The same at their end, from a separator on. */
static size_t shared_end(char *const *files, int count)
{
    const char *first = volt_path_name(files[0]);
    const size_t bytes = stem_bytes(first);
    size_t shared = 0;

    for (size_t i = 1; i <= bytes; i++) {
        for (int k = 1; k < count; k++) {
            const char *name = volt_path_name(files[k]);
            const size_t other = stem_bytes(name);

            if (i > other || name[other - i] != first[bytes - i])
                return shared;
        }
        if (strchr("_-. ", first[bytes - i]))
            shared = i;
    }
    return shared;
}

/* The part of file `i`'s stem that is not shared; false if it says nothing. */
static bool own_part(const char **part, size_t *bytes, char *const *files, int count, int i)
{
    const size_t start = count > 1 ? shared_start(files, count) : 0;
    const size_t end = count > 1 ? shared_end(files, count) : 0;
    const char *name = volt_path_name(files[i]);
    const size_t stem = stem_bytes(name);
    bool letters = false;

    if (start + end >= stem)
        return false;
    *part = name + start;
    *bytes = stem - start - end;
    for (size_t k = 0; k < *bytes; k++)
        letters = letters || isalpha((unsigned char)(*part)[k]);
    return letters;
}

volt_status snapshot_names(char **out, const snapshot_case *c, char *const *files, int count)
{
    const bool known = c->set && c->set->info.channels == (int)c->files.count;
    volt_status st = VOLT_OK;

    for (int i = 0; i < count && st == VOLT_OK; i++) {
        const char *part = volt_path_name(files[i]);
        size_t bytes = stem_bytes(part);

        if (known && i < c->set->info.channels) {
            st = volt_strdup(&out[i], c->set->info.channel_name[i]);
            continue;
        }
        own_part(&part, &bytes, files, count, i);
        st = volt_format(&out[i], "%.*s", (int)bytes, part);
    }
    return st;
}

/* A stem with its folder where another mask has the same. */
static void stem_of(const char **part, size_t *bytes, char *const *masks, int count, int m)
{
    const char *name = volt_path_name(masks[m]);

    *part = name;
    *bytes = stem_bytes(name);
    for (int k = 0; k < count; k++) {
        if (k == m || strcmp(volt_path_name(masks[k]), name) != 0)
            continue;
        while (*part > masks[m] && (*part)[-1] == '/')
            (*part)--;
        while (*part > masks[m] && (*part)[-1] != '/')
            (*part)--;
        *bytes += (size_t)(name - *part);
        return;
    }
}

volt_status snapshot_mask_names(char **out, char *const *files, int images, int masks)
{
    char *const *mask = files + images;
    volt_status st = VOLT_OK;

    for (int m = 0; m < masks && st == VOLT_OK; m++) {
        const char *part;
        size_t bytes;

        if (!(masks > 1 && own_part(&part, &bytes, mask, masks, m)) &&
            !(masks == 1 && own_part(&part, &bytes, files, images + masks, images + m)))
            stem_of(&part, &bytes, mask, masks, m);
        st = volt_format(&out[m], "%.*s", (int)bytes, part);
    }
    return st;
}

/* The name of the folder of all files, unless that only says what they are. */
static volt_status shared_folder(char **out, char *const *files, int count)
{
    const size_t bytes = (size_t)(volt_path_name(files[0]) - files[0]);
    char *folder = NULL;
    const char *name;
    volt_status st = VOLT_OK;

    for (int k = 1; k < count; k++) {
        if ((size_t)(volt_path_name(files[k]) - files[k]) != bytes ||
            strncmp(files[k], files[0], bytes) != 0)
            return VOLT_OK;
    }
    if (bytes < 2)
        return VOLT_OK;
    VOLT_TRY(st, done, volt_format(&folder, "%.*s", (int)bytes - 1, files[0]));
    name = volt_path_name(folder);
    if (*name != '.' && strncmp(name, "images", 6) != 0)
        st = volt_strdup(out, name);
done:
    volt_free(folder);
    return st;
}

volt_status snapshot_title(char **out, char *const *files, int count)
{
    const char *first = volt_path_name(files[0]);
    size_t bytes = shared_start(files, count);

    while (bytes > 0 && strchr("_-. ", first[bytes - 1]))
        bytes--;
    *out = NULL;
    return bytes ? volt_format(out, "%.*s", (int)bytes, first)
                 : shared_folder(out, files, count);
}
