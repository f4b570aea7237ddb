/* layout.c - shared by the layouts. */
#include "io/dataset/layout.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/core/alloc.h"
#include "io/image/names.h"

enum { MAX_PATH = 4096 };

volt_status volt_layout_note(opening *o, const char *fmt, ...)
{
    volt_dataset *ds = o->ds;
    const size_t used = (size_t)ds->notes * sizeof *ds->note;
    char text[1024];
    va_list args;
    volt_status st;

    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    VOLT_TRY(st, done,
             volt_realloc(&ds->note, used, used + sizeof *ds->note, "a data set's notes"));
    VOLT_TRY(st, done, volt_strdup(&ds->note[ds->notes], text));
    ds->notes++;
done:
    return st;
}

/* -- Names -------------------------------------------------------------------------------- */

/* Whether a part of the path is "..", between slashes of any kind. */
static bool has_parent(const char *path)
{
    for (const char *at = path; (at = strstr(at, "..")) != NULL; at += 2) {
        if ((at == path || strchr("/\\", at[-1])) && (!at[2] || strchr("/\\", at[2])))
            return true;
    }
    return false;
}

/* One note per data set, for each of the two reasons. */
static volt_status note_once(opening *o, bool *noted, const char *text, const char *why)
{
    if (*noted)
        return VOLT_OK;
    *noted = true;
    return volt_layout_note(o, "dataset.json has paths that %s, such as %.300s", why, text);
}

/* A path that starts with an environment variable. */
static volt_status expand(char **out, opening *o, const volt_json_at *at, const char *text)
{
    const bool braced = text[1] == '{';
    const char *rest = text + 1 + braced, *value;
    const size_t length = strcspn(rest, braced ? "}" : "/");
    char name[128] = "";
    volt_status st;

    if (length == 0 || length >= sizeof name || (braced && rest[length] != '}'))
        return volt_json_fail(at, "is \"%.200s\"; a variable name is expected", text);
    memcpy(name, rest, length);
    value = getenv(name);
    if (!value)
        return volt_json_fail(at, "needs the environment variable %s, which is not set", name);
    st = note_once(o, &o->noted_variable, text, "start with an environment variable");
    return st == VOLT_OK ? volt_format(out, "%s%s", value, rest + length + braced) : st;
}

volt_status volt_layout_resolve(char **out, opening *o, const volt_json_at *at)
{
    const char *text;
    volt_status st;

    VOLT_TRY(st, done, volt_json_text(&text, at, MAX_PATH));
    if (*text == '$')
        return expand(out, o, at, text);
    if (*text == '/' || has_parent(text)) {
        if (!o->options->allow_outside) {
            (void)volt_json_fail(at, "is \"%.300s\", which leaves the data set's folder", text);
            return VOLT_EDATA;
        }
        VOLT_TRY(st, done, note_once(o, &o->noted_outside, text, "leave its folder"));
    }
    if (*text == '/')
        return volt_strdup(out, text);
    while (text[0] == '.' && text[1] == '/')
        text += 2;
    st = volt_path_join(out, o->ds->folder, text);
done:
    return st;
}

volt_status volt_layout_id(char **out, const char *path)
{
    const char *name = volt_path_name(path), *ending = volt_image_ending(name);

    return volt_format(out, "%.*s", (int)(strlen(name) - strlen(ending)), name);
}

/* -- Fixed descriptions ------------------------------------------------------------------- */

volt_status volt_layout_set_regions(volt_dataset_info *info, const known_region *region,
                                    int count)
{
    volt_status st;

    if (count == 0)
        return VOLT_OK;
    VOLT_TRY(st, done,
             volt_alloc_zero(&info->region, (size_t)count, sizeof *info->region, "regions"));
    for (int r = 0; r < count; r++) {
        volt_label_region *made = &info->region[r];
        const size_t bytes = (size_t)region[r].values * sizeof *made->value;
        info->regions++;
        made->is_list = true;
        made->painted = region[r].painted;
        VOLT_TRY(st, done, volt_strdup(&made->name, region[r].name));
        VOLT_TRY(st, done, volt_alloc(&made->value, bytes, "a region"));
        memcpy(made->value, region[r].value, bytes);
        made->values = region[r].values;
    }
done:
    return st;
}

volt_status volt_layout_describe(volt_dataset_info *info, const known_set *known)
{
    const size_t labels = (size_t)known->labels;
    volt_status st;

    info->ignore_label = VOLT_NO_IGNORE_LABEL;
    info->num_training = -1;
    VOLT_TRY(st, done, volt_strdup(&info->name, ""));
    VOLT_TRY(st, done, volt_strdup(&info->file_ending, ".nii.gz"));
    VOLT_TRY(st, done,
             volt_alloc_zero(&info->channel_name, (size_t)known->channels, sizeof(char *),
                             "channel names"));
    for (; info->channels < known->channels; info->channels++)
        VOLT_TRY(
            st, done,
            volt_strdup(&info->channel_name[info->channels], known->channel[info->channels]));
    VOLT_TRY(st, done, volt_alloc_zero(&info->label, labels, sizeof *info->label, "labels"));
    VOLT_TRY(st, done, volt_alloc(&info->stored, labels * sizeof *info->stored, "labels"));
    for (; info->labels < known->labels; info->labels++) {
        const int l = info->labels;
        info->label[l].value = l;
        info->stored[l] = known->stored[l];
        VOLT_TRY(st, done, volt_strdup(&info->label[l].name, known->label[l]));
    }
    volt_stored_simplify(info);
    st = volt_layout_set_regions(info, known->region, known->regions);
done:
    return st;
}

/* -- Folders ------------------------------------------------------------------------------ */

static volt_status walk_into(folder_walk *walk, const char *folder, int depth)
{
    volt_names names = {0};
    volt_status st;

    if (--walk->limit < 0)
        return volt_fail(VOLT_EFORMAT, "%s: too many folders to search for scans", folder);
    VOLT_TRY(st, done, volt_list_dir(&names, folder));
    VOLT_TRY(st, done, walk->visit(walk, folder, &names));
    for (size_t i = 0; i < names.count && depth > 0 && !walk->stop; i++) {
        const char *name = names.name[i];
        char *path;
        if (volt_is_hidden_file(name) || strcmp(name, "volt") == 0)
            continue;
        VOLT_TRY(st, done, volt_path_join(&path, folder, name));
        if (volt_path_is_dir(path))
            st = walk_into(walk, path, depth - 1);
        volt_free(path);
        if (st != VOLT_OK)
            goto done;
    }
done:
    volt_names_free(&names);
    return st;
}

volt_status volt_layout_walk(folder_walk *walk, const char *folder)
{
    return walk_into(walk, folder, walk->depth);
}
