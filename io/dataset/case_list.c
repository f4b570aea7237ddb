/* case_list.c - lists of cases, and the files they are built from. */
#include "io/dataset.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/system/file.h"
#include "base/core/alloc.h"
#include "base/core/plural.h"
#include "io/dataset/layout.h"
#include "io/image/names.h"

static void clear_case(volt_case *c)
{
    for (int i = 0; i < c->files; i++)
        volt_free(c->file[i]);
    volt_free(c->file);
    volt_free(c->id);
    volt_free(c->label_file);
    volt_free(c->fault);
}

void volt_case_list_clear(volt_case_list *list)
{
    for (int64_t i = 0; i < list->count; i++)
        clear_case(&list->item[i]);
    volt_free(list->item);
    *list = (volt_case_list){0};
}

void volt_case_list_keep_part(volt_case_list *list, int64_t part, int64_t parts)
{
    int64_t kept = 0;

    for (int64_t i = 0; i < list->count; i++) {
        if (i % parts == part - 1)
            list->item[kept++] = list->item[i];
        else
            clear_case(&list->item[i]);
    }
    list->count = kept;
}

volt_status volt_cases_append(volt_case **out, case_builder *b, const char *id)
{
    volt_case_list *list = &b->list;
    volt_case *c;
    volt_status st;

    if ((size_t)list->count == b->room) {
        const size_t room = b->room ? 2 * b->room : 64;
        st = volt_realloc(&list->item, b->room * sizeof *list->item, room * sizeof *list->item,
                          "a list of cases");
        if (st != VOLT_OK)
            return st;
        b->room = room;
    }
    c = &list->item[list->count];
    *c = (volt_case){0};
    st = volt_strdup(&c->id, id);
    if (st == VOLT_OK) {
        list->count++;
        *out = c;
    }
    return st;
}

volt_status volt_case_add_file(volt_case *c, char *path)
{
    const size_t used = (size_t)c->files * sizeof *c->file;
    const volt_status st =
        volt_realloc(&c->file, used, used + sizeof *c->file, "a case's files");

    if (st != VOLT_OK)
        volt_free(path);
    else
        c->file[c->files++] = path;
    return st;
}

static int by_id(const void *a, const void *b)
{
    return strcmp(((const volt_case *)a)->id, ((const volt_case *)b)->id);
}

volt_status volt_cases_finish(volt_case_list *list, volt_status code, const char *where)
{
    if (list->count)
        qsort(list->item, (size_t)list->count, sizeof *list->item, by_id);
    for (int64_t i = 1; i < list->count; i++) {
        const volt_case *a = &list->item[i - 1], *b = &list->item[i];
        if (strcmp(a->id, b->id) == 0)
            return volt_fail(code, "%s: case %s occurs twice, as %s and as %s", where, a->id,
                             a->files ? a->file[0] : "nothing",
                             b->files ? b->file[0] : "nothing");
    }
    return VOLT_OK;
}

bool volt_case_name(const char *name, const char *ending, size_t *id_bytes, int *channel)
{
    const size_t bytes = strlen(name), tail = strlen(ending);
    size_t stem;
    const char *digits;

    if (*name == '.' || *name == '_' || bytes <= tail ||
        strcmp(name + bytes - tail, ending) != 0)
        return false;
    stem = bytes - tail;
    *id_bytes = stem;
    *channel = -1;
    if (stem > 5 && name[stem - 5] == '_') {
        digits = name + stem - 4;
        if (strspn(digits, "0123456789") >= 4) {
            *channel = atoi(digits); /* stops at the dot */
            *id_bytes = stem - 5;
        }
    }
    return true;
}

/* -- Files of images ---------------------------------------------------------------------- */

void volt_files_clear(input_files *files)
{
    for (size_t i = 0; i < files->count; i++) {
        volt_free(files->item[i].path);
        volt_free(files->item[i].id);
    }
    volt_free(files->item);
    *files = (input_files){0};
}

volt_status volt_files_add(input_files *files, const char *path, const char *ending,
                           bool numbered)
{
    const char *name = volt_path_name(path);
    input_file f = {.channel = -1};
    size_t id_bytes = 0;
    volt_status st;

    if (files->count == files->room) {
        const size_t room = files->room ? 2 * files->room : 64;
        VOLT_TRY(st, done,
                 volt_realloc(&files->item, files->count * sizeof *files->item,
                              room * sizeof *files->item, "a list of files"));
        files->room = room;
    }
    if (!volt_case_name(name, ending, &id_bytes, &f.channel))
        id_bytes = strlen(name) - strlen(volt_image_ending(name));
    if (!numbered && f.channel > 0) {
        f.channel = -1;
        id_bytes += 5; /* the number belongs to the name */
    }
    VOLT_TRY(st, done, volt_strdup(&f.path, path));
    VOLT_TRY(st, done, volt_format(&f.id, "%.*s", (int)id_bytes, name));
    files->item[files->count++] = f;
    f = (input_file){0};
done:
    volt_free(f.path);
    return st;
}

static int by_id_and_channel(const void *a, const void *b)
{
    const input_file *x = a, *y = b;
    const int order = strcmp(x->id, y->id);

    if (order)
        return order;
    if (x->channel != y->channel)
        return x->channel < y->channel ? -1 : 1;
    return strcmp(x->path, y->path);
}

void volt_files_sort(input_files *files)
{
    if (files->count)
        qsort(files->item, files->count, sizeof *files->item, by_id_and_channel);
}

volt_status volt_files_add_folder(input_files *files, const char *folder, const char *ending,
                                  bool numbered)
{
    volt_names names = {0};
    volt_status st;

    VOLT_TRY(st, done,
             ending ? volt_list_dir(&names, folder) : volt_image_list(&names, folder));
    for (size_t i = 0; i < names.count; i++) {
        const char *name = names.name[i], *end = ending ? ending : volt_image_ending(name);
        char *path = NULL;
        size_t id_bytes;
        int channel;
        if (!*end || !volt_case_name(name, end, &id_bytes, &channel) ||
            (!ending && strncasecmp(end, ".img", 4) == 0))
            continue; /* the .hdr represents a pair */
        VOLT_TRY(st, done, volt_path_join(&path, folder, name));
        st = volt_files_add(files, path, end, numbered);
        volt_free(path);
        if (st != VOLT_OK)
            goto done;
    }
    volt_files_sort(files);
done:
    volt_names_free(&names);
    return st;
}

size_t volt_files_group(const input_files *files, size_t first)
{
    size_t n = 1;

    while (first + n < files->count &&
           strcmp(files->item[first + n].id, files->item[first].id) == 0)
        n++;
    return n;
}
