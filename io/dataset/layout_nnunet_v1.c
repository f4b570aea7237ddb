/* layout_nnunet_v1.c - dataset.json of nnU-Net v1: its list `training` names the cases.
 *
 * The list has the Decathlon's form, but its paths lack the channel: "./imagesTr/CASE.nii.gz"
 * stands for imagesTr/CASE_0000.nii.gz and so on. As in nnU-Net v1, only file names count. */
#include <stdlib.h>
#include <string.h>

#include "base/core/alloc.h"
#include "base/core/plural.h"
#include "io/dataset/layout.h"
#include "io/image/names.h"

enum { MAX_CASES = 10000000, MAX_PATH = 4096 };

/* A case of the list; both point into dataset.json. */
typedef struct listed {
    const char *image, *label; /* file names; label NULL: not named */
    char *id;
    bool found; /* its image is in imagesTr */
} listed;

typedef struct listing {
    listed *item;
    size_t count;
} listing;

static void clear(listing *l)
{
    for (size_t i = 0; i < l->count; i++)
        volt_free(l->item[i].id);
    volt_free(l->item);
    *l = (listing){0};
}

/* The last part of a path, which may come from Windows. */
static const char *file_name(const char *path)
{
    const char *slash = strrchr(path, '/'), *back = strrchr(path, '\\');
    const char *last = !slash || (back && back > slash) ? back : slash;

    return last ? last + 1 : path;
}

/* Whether the name is CASE_0000 with a known ending; *bytes: of CASE, else without ending. */
static bool is_first_channel(const char *name, size_t *bytes)
{
    const char *ending = volt_image_ending(name);
    int channel = -1;

    *bytes = strlen(name) - strlen(ending);
    return *ending && volt_case_name(name, ending, bytes, &channel) && channel == 0;
}

static volt_status file_of(const char **out, const volt_json_at *entry, const char *key)
{
    volt_json_at at = *entry;
    volt_status st = VOLT_OK;

    *out = NULL;
    if (!json_is_string(entry->value))
        st = volt_json_optional(&at, entry, key);
    else if (strcmp(key, "image") != 0)
        at.value = NULL;
    if (st == VOLT_OK && at.value)
        st = volt_json_text(out, &at, MAX_PATH);
    if (st == VOLT_OK && *out)
        *out = file_name(*out);
    return st;
}

static int by_id(const void *a, const void *b)
{
    return strcmp(((const listed *)a)->id, ((const listed *)b)->id);
}

/* The list, by id, without hidden files. */
static volt_status read_list(listing *out, const opening *o)
{
    volt_json_at list, at;
    listing l = {0};
    size_t count;
    volt_status st;

    VOLT_TRY(st, done, volt_json_member(&list, o->root, "training"));
    VOLT_TRY(st, done, volt_json_length(&count, &list, 0, MAX_CASES));
    VOLT_TRY(st, done, volt_alloc_zero(&l.item, count, sizeof *l.item, "the list of cases"));
    for (size_t i = 0; i < count; i++) {
        listed *c = &l.item[l.count];
        size_t bytes;
        VOLT_TRY(st, done, volt_json_item(&at, &list, i));
        VOLT_TRY(st, done, file_of(&c->image, &at, "image"));
        VOLT_TRY(st, done, file_of(&c->label, &at, "label"));
        if (!c->image) {
            st = volt_json_fail(&at, "has no \"image\"");
            goto done;
        }
        if (volt_is_hidden_file(c->image))
            continue;
        is_first_channel(c->image, &bytes);
        VOLT_TRY(st, done, volt_format(&c->id, "%.*s", (int)bytes, c->image));
        l.count++;
    }
    if (l.count)
        qsort(l.item, l.count, sizeof *l.item, by_id);
    *out = l;
    l = (listing){0};
done:
    clear(&l);
    return st;
}

/* Whether imagesTr has a file CASE_0000. */
static volt_status has_numbered(bool *out, const opening *o)
{
    volt_names names = {0};
    char *path = NULL;
    size_t bytes;
    volt_status st = volt_path_join(&path, o->ds->folder, "imagesTr");

    *out = false;
    if (st == VOLT_OK && volt_path_is_dir(path))
        st = volt_list_dir(&names, path);
    for (size_t i = 0; i < names.count && !*out; i++)
        *out = !volt_is_hidden_file(names.name[i]) && is_first_channel(names.name[i], &bytes);
    volt_names_free(&names);
    volt_free(path);
    return st == VOLT_ENOMEM ? st : VOLT_OK;
}

/* Whether imagesTr has this file. */
static volt_status has_file(bool *out, const opening *o, const char *name)
{
    char *path = NULL;
    const volt_status st = volt_format(&path, "%s/imagesTr/%s", o->ds->folder, name);

    *out = st == VOLT_OK && volt_path_exists(path);
    volt_free(path);
    return st;
}

/* Whether the image is CASE_0000 and its label CASE: a Decathlon's label has the image's name.
 */
static bool is_numbered(const listed *c)
{
    size_t image, label;

    if (!is_first_channel(c->image, &image))
        return false;
    if (!c->label)
        return true;
    return !is_first_channel(c->label, &label) || label != image ||
           strncmp(c->image, c->label, image) != 0;
}

volt_status volt_nnunet_v1_fits(bool *out, const opening *o)
{
    const json_t *list = o->root ? json_object_get(o->root->value, "training") : NULL;
    listing l = {0};
    bool whole = false, numbered = false;
    volt_status st = VOLT_OK;

    *out = false;
    if (!json_is_array(list))
        return VOLT_OK;
    if (read_list(&l, o) != VOLT_OK) /* the layout that is taken says what is wrong */
        return VOLT_OK;
    for (size_t i = 0; i < l.count && !whole && !numbered; i++) {
        VOLT_TRY(st, done, has_file(&whole, o, l.item[i].image));
        numbered = whole && is_numbered(&l.item[i]);
    }
    if (!whole)
        VOLT_TRY(st, done, has_numbered(&numbered, o));
    *out = numbered;
done:
    clear(&l);
    return st;
}

/* The listed label file, where it exists and CASE.nii.gz does not. */
static volt_status take_label(const opening *o, volt_case *c, const listed *from)
{
    char *path = NULL;
    volt_status st = VOLT_OK;

    if (!from->label || !*from->label || !c->label_file || volt_path_exists(c->label_file))
        return VOLT_OK;
    st = volt_format(&path, "%s/labelsTr/%s", o->ds->folder, from->label);
    if (st == VOLT_OK && volt_path_exists(path)) {
        volt_free(c->label_file);
        c->label_file = path;
        path = NULL;
    }
    volt_free(path);
    return st;
}

/* A listed case without any file: the check then names what is missing. */
static volt_status add_missing(opening *o, const listed *from)
{
    volt_case *c;
    char *path;
    volt_status st;

    VOLT_TRY(st, done, volt_cases_append(&c, &o->cases, from->id));
    VOLT_TRY(st, done,
             volt_format(&path, "%s/imagesTr/%s_0000%s", o->ds->folder, from->id,
                         o->ds->info.file_ending));
    VOLT_TRY(st, done, volt_case_add_file(c, path));
    st = volt_format(&c->label_file, "%s/labelsTr/%s%s", o->ds->folder, from->id,
                     o->ds->info.file_ending);
done:
    return st;
}

/* Whether the list names the label file of `c`, for an image of another name. */
static bool has_label(const listing *l, const volt_case *c)
{
    for (size_t i = 0; c->label_file && i < l->count; i++) {
        if (l->item[i].label && strcmp(l->item[i].label, volt_path_name(c->label_file)) == 0)
            return true;
    }
    return false;
}

static volt_status note_left(opening *o, const volt_case_list *left, const listing *l)
{
    const char *first = NULL;
    long long count = 0;

    for (int64_t i = 0; i < left->count; i++) {
        if (!has_label(l, &left->item[i]) && count++ == 0)
            first = left->item[i].id;
    }
    if (count == 0)
        return VOLT_OK;
    return volt_layout_note(
        o,
        "%lld case%s of imagesTr and labelsTr (%.100s%s) %s not in the list "
        "\"training\" of dataset.json and %s left out",
        count, volt_s(count), first, count > 1 ? ", ..." : "", count > 1 ? "are" : "is",
        count > 1 ? "are" : "is");
}

volt_status volt_nnunet_v1_select(opening *o)
{
    volt_case_list *list = &o->cases.list, left = {0};
    int64_t kept = 0;
    listing l = {0};
    volt_status st;

    VOLT_TRY(st, done, read_list(&l, o));
    if (l.count == 0)
        goto done; /* an empty list: the folders decide, as in nnU-Net v2 */
    VOLT_TRY(st, done,
             volt_alloc(&left.item, ((size_t)list->count + 1) * sizeof *left.item, "cases"));
    for (int64_t i = 0; i < list->count; i++) {
        const listed key = {.id = list->item[i].id};
        listed *from = bsearch(&key, l.item, l.count, sizeof *l.item, by_id);
        if (!from) {
            left.item[left.count++] = list->item[i];
            continue;
        }
        from->found = true;
        list->item[kept++] = list->item[i];
    }
    list->count = kept;
    for (int64_t i = 0; i < kept; i++) {
        const listed key = {.id = list->item[i].id};
        VOLT_TRY(st, done,
                 take_label(o, &list->item[i],
                            bsearch(&key, l.item, l.count, sizeof *l.item, by_id)));
    }
    for (size_t i = 0; i < l.count; i++) {
        if (!l.item[i].found && (i == 0 || by_id(&l.item[i], &l.item[i - 1]) != 0))
            VOLT_TRY(st, done, add_missing(o, &l.item[i]));
    }
    st = note_left(o, &left, &l);
done:
    volt_case_list_clear(&left);
    clear(&l);
    return st;
}
