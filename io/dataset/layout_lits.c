/* layout_lits.c - LiTS: volume-N.nii, segmentation-N.nii and test-volume-N.nii, in one or
 * several folders. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/core/alloc.h"
#include "io/dataset/layout.h"
#include "io/image/names.h"

enum { DEPTH = 3, MAX_FOLDERS = 100000, FIRST_LOOK = 256 };

typedef enum lits_kind { OTHER, VOLUME, SEGMENTATION, TEST_VOLUME } lits_kind;

typedef struct lits_file {
    char *path;
    lits_kind kind;
    int number;
} lits_file;

typedef struct search {
    bool first_only;
    lits_file *item;
    size_t count, room;
} search;

static void clear_search(search *s)
{
    for (size_t i = 0; i < s->count; i++)
        volt_free(s->item[i].path);
    volt_free(s->item);
}

/* "volume-12.nii": a volume, number 12. */
static lits_kind kind_of(const char *name, int *number)
{
    static const char *const start[] = {NULL, "volume-", "segmentation-", "test-volume-"};
    const char *ending = volt_image_ending(name);

    if (!*ending || volt_image_is_picture(name) || strncasecmp(ending, ".img", 4) == 0)
        return OTHER;
    for (int k = VOLUME; k <= TEST_VOLUME; k++) {
        const size_t bytes = strlen(start[k]);
        const char *digits = name + bytes;
        if (strncmp(name, start[k], bytes) != 0 || digits == ending || ending - digits > 6 ||
            strspn(digits, "0123456789") != (size_t)(ending - digits))
            continue;
        *number = atoi(digits);
        return (lits_kind)k;
    }
    return OTHER;
}

static volt_status visit(folder_walk *walk, const char *folder, const volt_names *names)
{
    search *s = walk->context;
    volt_status st = VOLT_OK;

    for (size_t i = 0; i < names->count; i++) {
        lits_file f = {0};
        f.kind = kind_of(names->name[i], &f.number);
        if (f.kind == OTHER)
            continue;
        if (s->count == s->room) {
            const size_t room = s->room ? 2 * s->room : 64;
            VOLT_TRY(st, done,
                     volt_realloc(&s->item, s->count * sizeof f, room * sizeof f,
                                  "a list of files"));
            s->room = room;
        }
        VOLT_TRY(st, done, volt_path_join(&f.path, folder, names->name[i]));
        s->item[s->count++] = f;
        walk->stop = s->first_only && f.kind != SEGMENTATION;
    }
done:
    return st;
}

static volt_status lits_names(bool *out, const char *folder, bool deep)
{
    search s = {.first_only = true};
    folder_walk walk = {
        .visit = visit, .context = &s, .depth = deep ? DEPTH : 0, .limit = FIRST_LOOK};
    const volt_status st = volt_layout_walk(&walk, folder);

    *out = walk.stop;
    clear_search(&s);
    return st == VOLT_ENOMEM ? st : VOLT_OK; /* an unreadable folder has no LiTS */
}

static volt_status lits_fits(bool *out, const opening *o)
{
    return lits_names(out, o->ds->folder, true);
}

static volt_status lits_describe(opening *o)
{
    static const known_set set = {1,         {"CT"}, 3,    {"background", "liver", "tumor"},
                                  {0, 1, 2}, 0,      {{0}}};
    static const known_region nested[] = {{"liver", 2, {1, 2}, 1}, {"tumor", 1, {2}, 2}};
    volt_dataset_info *info = &o->ds->info;
    volt_status st;

    VOLT_TRY(st, done, volt_layout_describe(info, &set));
    info->labels_follow_image = true;
    if (o->options->target == VOLT_TARGET_REGIONS)
        st = volt_layout_set_regions(info, nested, 2);
done:
    return st;
}

static int by_number(const void *a, const void *b)
{
    const lits_file *x = a, *y = b;

    if (x->number != y->number)
        return x->number < y->number ? -1 : 1;
    if (x->kind != y->kind)
        return x->kind < y->kind ? -1 : 1;
    return strcmp(x->path, y->path);
}

/* The files of one number: at most one of each kind. */
static volt_status add_number(opening *o, lits_file *f, size_t count, bool labelled)
{
    lits_file *of[TEST_VOLUME + 1] = {0};
    volt_case *c;
    char *path;
    volt_status st = VOLT_OK;

    for (size_t i = 0; i < count; i++) {
        if (of[f[i].kind])
            return volt_fail(VOLT_EFORMAT, "%s and %s have the same number: keep one",
                             of[f[i].kind]->path, f[i].path);
        of[f[i].kind] = &f[i];
    }
    for (int k = VOLUME; k <= TEST_VOLUME; k += TEST_VOLUME - VOLUME) {
        char id[32];
        const bool test = k == TEST_VOLUME || !labelled;
        if (!of[k] && (k == TEST_VOLUME || !of[SEGMENTATION]))
            continue;
        snprintf(id, sizeof id, "%svolume-%d", k == TEST_VOLUME ? "test-" : "", f->number);
        VOLT_TRY(st, done, volt_cases_append(&c, test ? &o->tests : &o->cases, id));
        if (of[k]) {
            path = of[k]->path;
            of[k]->path = NULL;
        } else { /* the check names the missing file */
            VOLT_TRY(st, done, volt_format(&path, "%s/%s.nii", o->ds->folder, id));
        }
        VOLT_TRY(st, done, volt_case_add_file(c, path));
        if (k == VOLUME && of[SEGMENTATION]) {
            c->label_file = of[SEGMENTATION]->path;
            of[SEGMENTATION]->path = NULL;
        }
    }
done:
    return st;
}

static volt_status lits_list(opening *o)
{
    search s = {0};
    folder_walk walk = {.visit = visit, .context = &s, .depth = DEPTH, .limit = MAX_FOLDERS};
    bool labelled = false;
    volt_status st;

    VOLT_TRY(st, done, volt_layout_walk(&walk, o->ds->folder));
    if (s.count)
        qsort(s.item, s.count, sizeof *s.item, by_number);
    for (size_t i = 0; i < s.count; i++)
        labelled = labelled || s.item[i].kind == SEGMENTATION;
    for (size_t i = 0, n; i < s.count; i += n) {
        for (n = 1; i + n < s.count && s.item[i + n].number == s.item[i].number;)
            n++;
        VOLT_TRY(st, done, add_number(o, &s.item[i], n, labelled));
    }
done:
    clear_search(&s);
    return st;
}

const volt_layout volt_layout_lits = {
    .word = "lits",
    .name = "LiTS",
    .names = lits_names,
    .fits = lits_fits,
    .describe = lits_describe,
    .list = lits_list,
};
