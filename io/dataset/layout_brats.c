/* layout_brats.c - BraTS as distributed: folders of cases, one file per modality, some levels
 * down.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/core/alloc.h"
#include "base/core/plural.h"
#include "io/dataset/layout.h"
#include "io/image/names.h"

enum { MODALITIES = 4, DEPTH = 4, MAX_FOLDERS = 1000000, FIRST_LOOK = 4096 };

/* Start and ends of the file names of a case, in nnU-Net's order of channels. */
typedef struct naming {
    const char *start;
    int modalities;
    const char *modality[MODALITIES];
    const char *labels;
} naming;
static const naming until_2021 = {"", 4, {"_t1", "_t1ce", "_t2", "_flair"}, "_seg"};
static const naming since_2023 = {"", 4, {"-t1n", "-t1c", "-t2w", "-t2f"}, "-seg"};
static const naming radiotherapy = {"BraTS-MEN-RT-", 1, {"_t1c"}, "_gtv"};

/* -- Finding cases ------------------------------------------------------------------------ */

/* A case that was found; all members are owned. */
typedef struct found_case {
    char *folder, *parent, *id;
    char *file[MODALITIES]; /* names in `folder`; NULL: missing */
    char *labels;
    bool other_name; /* its labels are not named after the case */
} found_case;

/* What a walk looks for and has found. */
typedef struct search {
    const naming *names;
    bool first_only;
    found_case *item;
    size_t count, room;
} search;

static void clear_search(search *s)
{
    for (size_t i = 0; i < s->count; i++) {
        found_case *c = &s->item[i];
        for (int m = 0; m < MODALITIES; m++)
            volt_free(c->file[m]);
        volt_free(c->labels);
        volt_free(c->folder);
        volt_free(c->parent);
        volt_free(c->id);
    }
    volt_free(s->item);
}

/* The length of the case's name if `name` is one of its files and ends in `tail`; else 0. */
static size_t stem_before(const char *name, const char *tail)
{
    const char *ending = volt_image_ending(name);
    const size_t stem = (size_t)(ending - name), bytes = strlen(tail);

    if (volt_is_hidden_file(name) || !*ending || volt_image_is_picture(name) ||
        strncasecmp(ending, ".img", 4) == 0 || stem <= bytes ||
        strncasecmp(ending - bytes, tail, bytes) != 0)
        return 0;
    return stem - bytes;
}

/* The modality of a file name, with the length of the case's name in *stem; -1: none. */
static int modality_of(const naming *n, const char *name, size_t *stem)
{
    for (int m = 0; m < n->modalities; m++) {
        *stem = stem_before(name, n->modality[m]);
        if (*stem && strncasecmp(name, n->start, strlen(n->start)) == 0)
            return m;
    }
    return -1;
}

static bool has_word(const char *name, const char *word)
{
    const size_t bytes = strlen(word);

    for (; *name; name++) {
        if (strncasecmp(name, word, bytes) == 0)
            return true;
    }
    return false;
}

/* The case of `folder` named by the first `stem` bytes of `name`, created if it is new. */
static volt_status case_in_folder(found_case **out, search *s, size_t first, const char *folder,
                                  const char *name, size_t stem)
{
    found_case c = {0};
    volt_status st;

    for (size_t i = first; i < s->count; i++) {
        if (strncmp(s->item[i].id, name, stem) == 0 && s->item[i].id[stem] == '\0') {
            *out = &s->item[i];
            return VOLT_OK;
        }
    }
    if (s->count == s->room) {
        const size_t room = s->room ? 2 * s->room : 64;
        VOLT_TRY(st, done,
                 volt_realloc(&s->item, s->count * sizeof *s->item, room * sizeof *s->item,
                              "a list of cases"));
        s->room = room;
    }
    VOLT_TRY(st, done, volt_format(&c.id, "%.*s", (int)stem, name));
    VOLT_TRY(st, done, volt_strdup(&c.folder, folder));
    s->item[s->count++] = c;
    *out = &s->item[s->count - 1];
    c = (found_case){0};
done:
    volt_free(c.id);
    return st;
}

/* Finds the labels of the cases from `first` on, all in one folder. In a folder of a single
 * case any name with "seg" will do: BraTS20_Training_355 has W39_1998.09.19_Segm.nii. */
static volt_status find_labels(search *s, size_t first, const volt_names *names)
{
    found_case *c;
    volt_status st = VOLT_OK;

    for (size_t i = 0; i < names->count && st == VOLT_OK; i++) {
        const size_t stem = stem_before(names->name[i], s->names->labels);
        for (size_t k = first; stem && k < s->count && st == VOLT_OK; k++) {
            c = &s->item[k];
            if (!c->labels && strncmp(c->id, names->name[i], stem) == 0 && !c->id[stem])
                st = volt_strdup(&c->labels, names->name[i]);
        }
    }
    if (st != VOLT_OK || s->count != first + 1 || s->item[first].labels)
        return st;
    c = &s->item[first];
    for (size_t i = 0; i < names->count; i++) {
        const char *name = names->name[i], *ending = volt_image_ending(name);
        if (volt_is_hidden_file(name) || !*ending || volt_image_is_picture(name) ||
            !has_word(name, "seg"))
            continue;
        if (c->labels)
            return volt_fail(VOLT_EFORMAT,
                             "%s: %s and %s may both be the labels of case %s: keep one",
                             c->folder, c->labels, name, c->id);
        VOLT_TRY(st, done, volt_strdup(&c->labels, name));
        c->other_name = true;
    }
done:
    return st;
}

/* Keeps cases with all modalities but one, or their only one. */
static void drop_others(search *s, size_t first)
{
    size_t kept = first;

    for (size_t i = first; i < s->count; i++) {
        found_case *c = &s->item[i];
        int files = 0;
        for (int m = 0; m < MODALITIES; m++)
            files += c->file[m] != NULL;
        if (files > 0 && files >= s->names->modalities - 1) {
            s->item[kept++] = *c;
            continue;
        }
        for (int m = 0; m < MODALITIES; m++)
            volt_free(c->file[m]);
        volt_free(c->folder);
        volt_free(c->id);
    }
    s->count = kept;
}

/* The parent of cases that share a folder is that folder, else the one above. */
static volt_status set_parents(search *s, size_t first)
{
    volt_status st = VOLT_OK;

    for (size_t i = first; i < s->count && st == VOLT_OK; i++) {
        found_case *c = &s->item[i];
        const char *last = strrchr(c->folder, '/');
        if (s->count == first + 1 && last && last > c->folder)
            st = volt_format(&c->parent, "%.*s", (int)(last - c->folder), c->folder);
        else
            st = volt_strdup(&c->parent, c->folder);
    }
    return st;
}

static volt_status visit(folder_walk *walk, const char *folder, const volt_names *names)
{
    search *s = walk->context;
    const size_t first = s->count;
    volt_status st = VOLT_OK;

    for (size_t i = 0; i < names->count; i++) {
        const char *name = names->name[i];
        found_case *c;
        size_t stem;
        const int m = modality_of(s->names, name, &stem);
        if (m < 0)
            continue;
        VOLT_TRY(st, done, case_in_folder(&c, s, first, folder, name, stem));
        if (c->file[m])
            return volt_fail(VOLT_EFORMAT, "%s: %s and %s are both modality %s: keep one",
                             folder, c->file[m], name, s->names->modality[m] + 1);
        VOLT_TRY(st, done, volt_strdup(&c->file[m], name));
    }
    drop_others(s, first);
    VOLT_TRY(st, done, set_parents(s, first));
    if (s->count > first)
        st = find_labels(s, first, names);
    walk->stop = s->first_only && s->count > 0;
done:
    return st;
}

/* -- Which set ---------------------------------------------------------------------------- */

/* The sets since 2023, which share their file names. */
typedef enum edition { NO_EDITION, OF_2023, WITH_CAVITY, PAEDIATRIC } edition;

/* The first case under `folder`: its id and its folder, both owned by the caller. NULL: none.
 */
static volt_status first_case(char **id, char **where, const naming *names, const char *folder,
                              bool deep)
{
    search s = {.names = names, .first_only = true};
    folder_walk walk = {
        .visit = visit, .context = &s, .depth = deep ? DEPTH : 0, .limit = FIRST_LOOK};
    volt_status st = volt_layout_walk(&walk, folder);

    *id = *where = NULL;
    if (st != VOLT_ENOMEM) { /* other failures are reported when the cases are listed */
        st = s.count > 0 ? volt_strdup(id, s.item[0].id) : VOLT_OK;
        if (st == VOLT_OK && s.count > 0)
            st = volt_strdup(where, s.item[0].folder);
    }
    clear_search(&s);
    return st;
}

/* The year in a folder's name: "BraTS2023-PED", "BraTS26_PED"; longer numbers are not years. 0:
 * none. */
static int year_of(const char *name, size_t bytes)
{
    for (size_t i = 0, n; i < bytes; i += n ? n : 1) {
        for (n = 0; i + n < bytes && isdigit((unsigned char)name[i + n]);)
            n++;
        if (n == 4 && strncmp(name + i, "20", 2) == 0)
            return atoi(name + i);
        if (n == 2 && i >= 5 && strncasecmp(name + i - 5, "brats", 5) == 0)
            return 2000 + atoi(name + i);
    }
    return 0;
}

/* The latest year in the names of the BraTS folders around a case; "PEDs" also identifies the
 * paediatric sets since 2024. 0: none. */
static int year_around(const char *where)
{
    int year = 0;

    for (const char *part = where; *part;) {
        const size_t bytes = strcspn(part, "/");
        char name[300];
        snprintf(name, sizeof name, "%.*s", (int)bytes, part);
        if (has_word(name, "brats")) {
            const int found = year_of(name, strlen(name));
            if (!found && has_word(name, "peds") && year < 2024)
                year = 2024;
            year = found > year ? found : year;
        }
        part += bytes + (part[bytes] == '/');
    }
    return year;
}

/* BraTS-GLI-00005-101: time points of the treated cases of 2024 start at 100. */
static bool is_treated(const char *id)
{
    const char *last = strrchr(id, '-');

    return last && strspn(last + 1, "0123456789") == 3 && last[4] == '\0' && last > id &&
           isdigit((unsigned char)last[-1]) && atoi(last + 1) >= 100;
}

static edition edition_of(const char *id, int year)
{
    if (strncasecmp(id, "BraTS-PED-", 10) == 0)
        return year >= 2024 ? PAEDIATRIC : OF_2023;
    if (is_treated(id) || (year >= 2024 && (strncasecmp(id, "BraTS-GLI-", 10) == 0 ||
                                            strncasecmp(id, "BraTS-MET-", 10) == 0)))
        return WITH_CAVITY;
    return OF_2023;
}

/* The edition of the data set in `folder`, which may be a link; NO_EDITION: none since 2023. */
static volt_status find_edition(edition *out, char **id, int *year, const char *folder)
{
    char *where = NULL, *real = NULL;
    volt_status st = first_case(id, &where, &since_2023, folder, true);

    *out = NO_EDITION;
    if (st == VOLT_OK && *id) {
        real = realpath(where, NULL);
        *year = year_around(real ? real : where);
        *out = edition_of(*id, *year);
    }
    free(real);
    volt_free(where);
    return st;
}

static volt_status has_case(bool *out, const naming *names, const char *folder, bool deep)
{
    char *id, *where;
    const volt_status st = first_case(&id, &where, names, folder, deep);

    *out = id;
    volt_free(where);
    volt_free(id);
    return st;
}

static volt_status names_until_2021(bool *out, const char *folder, bool deep)
{
    return has_case(out, &until_2021, folder, deep);
}

static volt_status names_since_2023(bool *out, const char *folder, bool deep)
{
    return has_case(out, &since_2023, folder, deep);
}

static volt_status names_of_radiotherapy(bool *out, const char *folder, bool deep)
{
    return has_case(out, &radiotherapy, folder, deep);
}

static volt_status brats_fits(bool *out, const opening *o)
{
    return has_case(out, &until_2021, o->ds->folder, true);
}

static volt_status is_edition(bool *out, const opening *o, edition wanted)
{
    char *id = NULL;
    edition found;
    int year;
    const volt_status st = find_edition(&found, &id, &year, o->ds->folder);

    *out = found == wanted;
    volt_free(id);
    return st;
}

static volt_status brats2023_fits(bool *out, const opening *o)
{
    return is_edition(out, o, OF_2023);
}

static volt_status brats2024_fits(bool *out, const opening *o)
{
    return is_edition(out, o, WITH_CAVITY);
}

static volt_status brats_ped2024_fits(bool *out, const opening *o)
{
    return is_edition(out, o, PAEDIATRIC);
}

static volt_status brats_men_rt_fits(bool *out, const opening *o)
{
    return has_case(out, &radiotherapy, o->ds->folder, true);
}

/* Notes what was concluded from ambiguous names. */
static volt_status note_edition(opening *o)
{
    char *id = NULL;
    edition found;
    int year = 0;
    volt_status st;

    VOLT_TRY(st, done, find_edition(&found, &id, &year, o->ds->folder));
    if (found == PAEDIATRIC)
        st = volt_layout_note(o,
                              "%s is, by the names of its folders, of a paediatric set since "
                              "2024: 1 enhancing, 2 non-enhancing, 3 cystic, 4 edema",
                              id);
    else if (found == WITH_CAVITY)
        st = volt_layout_note(o,
                              "%s is of a set since 2024, by its %s: label 4 is the resection "
                              "cavity",
                              id, is_treated(id) ? "time point" : "folder's name");
    else if (found == OF_2023 && !year && strncasecmp(id, "BraTS-PED-", 10) == 0)
        st = volt_layout_note(o,
                              "no folder name gives the year of %s: 2023 is assumed; since "
                              "2024 paediatric labels are 1 enhancing, 2 non-enhancing, 3 "
                              "cystic, 4 edema (layout brats-ped2024)",
                              id);
done:
    volt_free(id);
    return st;
}

/* -- Meaning of the labels ---------------------------------------------------------------- */

/* Training uses nnU-Net's values for BraTS (Dataset137): 1 oedema, 2 core, 3 enhancing. */
#define NESTED                                                                                 \
    {"whole tumor", 3, {1, 2, 3}, 1}, {"tumor core", 2, {2, 3}, 2},                            \
    {                                                                                          \
        "enhancing tumor", 1, {3}, 3                                                           \
    }

static volt_status brats_describe(opening *o)
{
    static const known_set set = {4,
                                  {"T1", "T1ce", "T2", "Flair"},
                                  4,
                                  {"background", "edema", "non-enhancing core", "enhancing"},
                                  {0, 2, 1, 4},
                                  3,
                                  {NESTED}};

    return volt_layout_describe(&o->ds->info, &set);
}

static volt_status brats2023_describe(opening *o)
{
    static const known_set set = {4,
                                  {"T1n", "T1c", "T2w", "T2f"},
                                  4,
                                  {"background", "edema", "non-enhancing core", "enhancing"},
                                  {0, 2, 1, 3},
                                  3,
                                  {NESTED}};

    return volt_layout_describe(&o->ds->info, &set);
}

static volt_status brats2024_describe(opening *o)
{
    static const known_set set = {
        4,
        {"T1n", "T1c", "T2w", "T2f"},
        5,
        {"background", "edema", "non-enhancing core", "enhancing", "resection cavity"},
        {0, 2, 1, 3, 4},
        4,
        {NESTED, {"resection cavity", 1, {4}, 4}}};

    return volt_layout_describe(&o->ds->info, &set);
}

static volt_status brats_men_rt_describe(opening *o)
{
    static const known_set set = {1,      {"T1c"}, 2,    {"background", "gross tumor volume"},
                                  {0, 1}, 0,       {{0}}};

    return volt_layout_describe(&o->ds->info, &set);
}

static volt_status brats_ped2024_describe(opening *o)
{
    static const known_set set = {
        4,
        {"T1n", "T1c", "T2w", "T2f"},
        5,
        {"background", "edema", "non-enhancing", "cystic", "enhancing"},
        {0, 4, 2, 3, 1},
        4,
        {{"whole tumor", 4, {1, 2, 3, 4}, 1},
         {"tumor core", 3, {2, 3, 4}, 2},
         {"cystic", 1, {3}, 3},
         {"enhancing tumor", 1, {4}, 4}}};

    return volt_layout_describe(&o->ds->info, &set);
}

/* -- Listing ------------------------------------------------------------------------------ */

/* A missing modality is listed all the same: the check then names the missing file. */
static volt_status add_case(opening *o, const search *s, const found_case *c, bool test)
{
    volt_case *made;
    char *path;
    volt_status st;

    VOLT_TRY(st, done, volt_cases_append(&made, test ? &o->tests : &o->cases, c->id));
    for (int m = 0; m < s->names->modalities; m++) {
        if (c->file[m])
            st = volt_path_join(&path, c->folder, c->file[m]);
        else
            st = volt_format(&path, "%s/%s%s.nii.gz", c->folder, c->id, s->names->modality[m]);
        if (st == VOLT_OK)
            st = volt_case_add_file(made, path);
        if (st != VOLT_OK)
            goto done;
    }
    if (c->labels)
        VOLT_TRY(st, done, volt_path_join(&made->label_file, c->folder, c->labels));
    if (c->other_name)
        st = volt_layout_note(o,
                              "case %s: %s is taken as its labels, the only file there with "
                              "\"seg\" in its name",
                              c->id, c->labels);
done:
    return st;
}

/* Cases that share a parent; if none of them has labels they are a validation set. */
static volt_status add_group(opening *o, const search *s, size_t first, size_t count)
{
    size_t labelled = 0;
    volt_status st = VOLT_OK;

    for (size_t i = first; i < first + count; i++)
        labelled += s->item[i].labels != NULL;
    for (size_t i = first; i < first + count && st == VOLT_OK; i++)
        st = add_case(o, s, &s->item[i], labelled == 0);
    if (st == VOLT_OK && labelled == 0)
        st = volt_layout_note(o, "%s: %zu case%s without labels, taken as cases to predict",
                              s->item[first].parent, count, volt_s((int64_t)count));
    return st;
}

static int by_parent(const void *a, const void *b)
{
    const found_case *x = a, *y = b;
    const int order = strcmp(x->parent, y->parent);

    return order ? order : strcmp(x->id, y->id);
}

static volt_status list_cases(opening *o, const naming *names)
{
    search s = {.names = names};
    folder_walk walk = {.visit = visit, .context = &s, .depth = DEPTH, .limit = MAX_FOLDERS};
    volt_status st;

    VOLT_TRY(st, done, volt_layout_walk(&walk, o->ds->folder));
    if (s.count)
        qsort(s.item, s.count, sizeof *s.item, by_parent);
    for (size_t i = 0, n; i < s.count; i += n) {
        for (n = 1; i + n < s.count && strcmp(s.item[i + n].parent, s.item[i].parent) == 0;)
            n++;
        VOLT_TRY(st, done, add_group(o, &s, i, n));
    }
done:
    clear_search(&s);
    return st;
}

static volt_status brats_list(opening *o)
{
    bool early;
    volt_status st = brats_fits(&early, o);

    if (st == VOLT_OK && !early && !(o->options && o->options->layout))
        st = note_edition(o);
    return st == VOLT_OK ? list_cases(o, early ? &until_2021 : &since_2023) : st;
}

static volt_status brats_men_rt_list(opening *o)
{
    return list_cases(o, &radiotherapy);
}

/* -- The layouts; brats2023 recognizes the names of all sets since 2023 -------------------- */

const volt_layout volt_layout_brats = {
    .word = "brats",
    .name = "BraTS 2018-2021",
    .names = names_until_2021,
    .fits = brats_fits,
    .describe = brats_describe,
    .list = brats_list,
};

const volt_layout volt_layout_brats2024 = {
    .word = "brats2024",
    .name = "BraTS 2024",
    .fits = brats2024_fits,
    .describe = brats2024_describe,
    .list = brats_list,
};

const volt_layout volt_layout_brats2023 = {
    .word = "brats2023",
    .name = "BraTS 2023",
    .names = names_since_2023,
    .fits = brats2023_fits,
    .describe = brats2023_describe,
    .list = brats_list,
};

const volt_layout volt_layout_brats_ped2024 = {
    .word = "brats-ped2024",
    .name = "BraTS 2024, paediatric",
    .fits = brats_ped2024_fits,
    .describe = brats_ped2024_describe,
    .list = brats_list,
};

const volt_layout volt_layout_brats_men_rt = {
    .word = "brats-men-rt",
    .name = "BraTS 2024, meningioma radiotherapy",
    .names = names_of_radiotherapy,
    .fits = brats_men_rt_fits,
    .describe = brats_men_rt_describe,
    .list = brats_men_rt_list,
};
