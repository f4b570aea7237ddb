/* Layouts of data sets: a table, and how each lists its cases. */
#include "io/dataset.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "io/dataset_internal.h"
#include "io/json.h"

enum { MAX_PATH = 4096, MAX_CASES = 10000000 };

/* A data set being opened. */
typedef struct opening {
    volt_dataset *ds;
    const volt_json_at *root; /* of dataset.json */
    case_builder cases;
} opening;

/* A path from dataset.json, which the caller owns: relative ones lead from the data set's
 * folder and must stay in it; $NAME and ${NAME} at the start are variables of the environment.
 */
static volt_status resolve(char **out, const volt_json_at *at, const char *folder)
{
    const char *text, *rest, *value;
    char name[128] = "";
    size_t length;
    volt_status st;

    VOLT_TRY(st, done, volt_json_text(&text, at, MAX_PATH));
    if (*text == '/')
        return volt_strdup(out, text);
    if (*text == '$') {
        const bool braced = text[1] == '{';
        rest = text + 1 + braced;
        length = strcspn(rest, braced ? "}" : "/");
        if (length == 0 || length >= sizeof name || (braced && rest[length] != '}'))
            return volt_json_fail(at, "is \"%.200s\"; a variable's name is expected", text);
        memcpy(name, rest, length);
        value = getenv(name);
        if (!value)
            return volt_json_fail(at, "needs the environment variable %s, which is not set",
                                  name);
        return volt_format(out, "%s%s", value, rest + length + braced);
    }
    while (text[0] == '.' && text[1] == '/')
        text += 2;
    for (const char *part = text; part; part = strchr(part, '/')) {
        part += *part == '/';
        if (strncmp(part, "..", 2) == 0 && (part[2] == '/' || part[2] == '\0'))
            return volt_json_fail(at, "is \"%.200s\", which leaves the data set's folder",
                                  text);
    }
    st = volt_path_join(out, folder, text);
done:
    return st;
}

/* The id of a file's case: its name without the NIfTI ending. The caller owns *out. */
static volt_status id_of(char **out, const char *path)
{
    const char *name = volt_path_name(path), *ending = volt_nifti_ending(name);

    return volt_format(out, "%.*s", (int)(strlen(name) - strlen(ending)), name);
}

static bool is_litter(const char *name)
{
    return *name == '.' || *name == '_';
}

/* -- Medical Segmentation Decathlon ------------------------------------------------------- */

static bool is_decathlon(const volt_json_at *root)
{
    return json_is_array(json_object_get(root->value, "training"));
}

static volt_status add_decathlon_pair(opening *o, const volt_json_at *pair)
{
    char *image = NULL, *label = NULL, *id = NULL;
    volt_json_at at;
    volt_case *c;
    volt_status st;

    VOLT_TRY(st, done, volt_json_member(&at, pair, "image"));
    VOLT_TRY(st, done, resolve(&image, &at, o->ds->folder));
    if (is_litter(volt_path_name(image)))
        goto done;
    VOLT_TRY(st, done, volt_json_optional(&at, pair, "label"));
    if (at.value)
        VOLT_TRY(st, done, resolve(&label, &at, o->ds->folder));
    VOLT_TRY(st, done, id_of(&id, image));
    VOLT_TRY(st, done, volt_cases_append(&c, &o->cases, id));
    c->label_file = label;
    label = NULL;
    st = volt_case_add_file(c, image);
    image = NULL;
done:
    volt_free(id);
    volt_free(label);
    volt_free(image);
    return st;
}

static volt_status list_decathlon(opening *o)
{
    volt_json_at list, at;
    size_t count;
    volt_status st;

    VOLT_TRY(st, done, volt_json_member(&list, o->root, "training"));
    VOLT_TRY(st, done, volt_json_length(&count, &list, 0, MAX_CASES));
    for (size_t i = 0; i < count; i++) {
        VOLT_TRY(st, done, volt_json_item(&at, &list, i));
        VOLT_TRY(st, done, add_decathlon_pair(o, &at));
    }
done:
    return st;
}

/* -- nnU-Net raw -------------------------------------------------------------------------- */

static bool is_nnunet(const volt_json_at *root)
{
    (void)root;
    return true; /* the last row of the table: anything with dataset.json */
}

/* One entry of `dataset`: {"label": path, "images": [paths]}. */
static volt_status add_listed_case(opening *o, const char *id, const volt_json_at *entry)
{
    volt_json_at images, at;
    volt_case *c;
    size_t count;
    char *path;
    volt_status st;

    VOLT_TRY(st, done, volt_cases_append(&c, &o->cases, id));
    VOLT_TRY(st, done, volt_json_member(&images, entry, "images"));
    VOLT_TRY(st, done, volt_json_length(&count, &images, 1, VOLT_MAX_CHANNELS));
    for (size_t i = 0; i < count; i++) {
        VOLT_TRY(st, done, volt_json_item(&at, &images, i));
        VOLT_TRY(st, done, resolve(&path, &at, o->ds->folder));
        VOLT_TRY(st, done, volt_case_add_file(c, path));
    }
    VOLT_TRY(st, done, volt_json_optional(&at, entry, "label"));
    if (at.value)
        st = resolve(&c->label_file, &at, o->ds->folder);
done:
    return st;
}

static volt_status list_from_json(opening *o, const volt_json_at *entries)
{
    volt_json_at at;
    const char *id;
    size_t count;
    volt_status st;

    VOLT_TRY(st, done, volt_json_count(&count, entries));
    for (size_t i = 0; i < count; i++) {
        VOLT_TRY(st, done, volt_json_entry(&id, &at, entries, i));
        if (!*id || *id == '.' || strchr(id, '/') || strlen(id) > 200)
            return volt_json_fail(&at, "is no name for a case; it becomes a file's name");
        VOLT_TRY(st, done, add_listed_case(o, id, &at));
    }
done:
    return st;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* A case of imagesTr with the files it must have: one per channel, more when a higher channel
 * number lies there. */
static volt_status add_case_files(opening *o, const char *id, int highest, bool whole)
{
    const volt_dataset_info *info = &o->ds->info;
    const int files = whole ? 1 : (highest + 1 > info->channels ? highest + 1 : info->channels);
    volt_case *c;
    char *path;
    volt_status st;

    VOLT_TRY(st, done, volt_cases_append(&c, &o->cases, id));
    for (int i = 0; i < files; i++) {
        if (whole)
            st = volt_format(&path, "%s/imagesTr/%s%s", o->ds->folder, id, info->file_ending);
        else
            st = volt_format(&path, "%s/imagesTr/%s_%04d%s", o->ds->folder, id, i,
                             info->file_ending);
        if (st == VOLT_OK)
            st = volt_case_add_file(c, path);
        if (st != VOLT_OK)
            goto done;
    }
    st = volt_format(&c->label_file, "%s/labelsTr/%s%s", o->ds->folder, id, info->file_ending);
done:
    return st;
}

static volt_status add_images(opening *o)
{
    const volt_dataset_info *info = &o->ds->info;
    input_files files = {0};
    char *folder = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_path_join(&folder, o->ds->folder, "imagesTr"));
    if (!volt_path_is_dir(folder))
        goto done; /* no image: the check says so */
    VOLT_TRY(st, done, volt_files_add_folder(&files, folder, info->file_ending, true));
    for (size_t i = 0, n; i < files.count; i += n) {
        const input_file *f = &files.item[i];
        n = volt_files_group(&files, i);
        VOLT_TRY(st, done, add_case_files(o, f->id, f[n - 1].channel, f[n - 1].channel < 0));
    }
done:
    volt_free(folder);
    volt_files_clear(&files);
    return st;
}

/* Labels without any image become cases too: the check then names what they lack. */
static volt_status add_lonely_labels(opening *o, const volt_names *labels)
{
    const char *ending = o->ds->info.file_ending;
    const int64_t with_image = o->cases.list.count;
    const char **ids = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_alloc_zero(&ids, (size_t)with_image + 1, sizeof *ids, "case ids"));
    for (int64_t i = 0; i < with_image; i++)
        ids[i] = o->cases.list.item[i].id;
    qsort(ids, (size_t)with_image, sizeof *ids, by_name);
    for (size_t i = 0; i < labels->count; i++) {
        const char *name = labels->name[i];
        const size_t bytes = strlen(name), tail = strlen(ending);
        char *id = NULL;
        if (is_litter(name) || bytes <= tail || strcmp(name + bytes - tail, ending) != 0)
            continue;
        VOLT_TRY(st, done, volt_format(&id, "%.*s", (int)(bytes - tail), name));
        if (!bsearch(&id, ids, (size_t)with_image, sizeof *ids, by_name))
            st = add_case_files(o, id, -1, false);
        volt_free(id);
        if (st != VOLT_OK)
            goto done;
    }
done:
    volt_free(ids);
    return st;
}

static volt_status list_labels(volt_names *out, const char *folder)
{
    char *path = NULL;
    volt_status st = volt_path_join(&path, folder, "labelsTr");

    if (st == VOLT_OK && volt_path_is_dir(path))
        st = volt_list_dir(out, path);
    volt_free(path);
    return st;
}

static volt_status list_nnunet(opening *o)
{
    volt_names labels = {0};
    volt_json_at entries;
    volt_status st;

    VOLT_TRY(st, done, volt_json_optional(&entries, o->root, "dataset"));
    if (entries.value) {
        st = list_from_json(o, &entries);
        goto done;
    }
    VOLT_TRY(st, done, add_images(o));
    VOLT_TRY(st, done, list_labels(&labels, o->ds->folder));
    st = add_lonely_labels(o, &labels);
done:
    volt_names_free(&labels);
    return st;
}

/* -- Opening ------------------------------------------------------------------------------ */

/* The first layout that fits is taken. */
static const struct layout {
    const char *name;
    bool (*fits)(const volt_json_at *root);
    volt_status (*list)(opening *o);
} layouts[] = {
    {"Medical Segmentation Decathlon", is_decathlon, list_decathlon},
    {"nnU-Net raw", is_nnunet, list_nnunet},
};

/* The folder's own name where dataset.json gives none. */
static volt_status name_after_folder(volt_dataset *ds)
{
    char *path = NULL, *real;
    volt_status st = VOLT_OK;

    if (*ds->info.name)
        return VOLT_OK;
    real = realpath(ds->folder, NULL);
    st = volt_strdup(&path, volt_path_name(real ? real : ds->folder));
    free(real);
    if (st == VOLT_OK) {
        volt_free(ds->info.name);
        ds->info.name = path;
    }
    return st;
}

volt_status volt_dataset_open(volt_dataset **out, const char *folder)
{
    volt_json doc = {0};
    volt_json_at root;
    volt_dataset *ds = NULL;
    opening o = {0};
    char *file = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_alloc_zero(&ds, 1, sizeof *ds, "a data set"));
    VOLT_TRY(st, done, volt_strdup(&ds->folder, folder));
    VOLT_TRY(st, done, volt_path_join(&file, folder, "dataset.json"));
    if (volt_path_is_dir(folder) && !volt_path_exists(file)) {
        st = volt_fail(VOLT_EDATA, "%s is no data set: it holds no dataset.json", folder);
        goto done;
    }
    VOLT_TRY(st, done, volt_json_load(&doc, file));
    root = volt_json_root(&doc);
    VOLT_TRY(st, done, volt_dataset_info_from(&ds->info, &doc));
    VOLT_TRY(st, done, name_after_folder(ds));
    o = (opening){.ds = ds, .root = &root};
    for (size_t i = 0; !ds->layout; i++) {
        if (layouts[i].fits(&root)) {
            ds->layout = layouts[i].name;
            VOLT_TRY(st, done, layouts[i].list(&o));
        }
    }
    VOLT_TRY(st, done, volt_cases_finish(&o.cases.list, VOLT_EFORMAT, file));
    ds->cases = o.cases.list;
    o.cases.list = (volt_case_list){0};
    *out = ds;
    ds = NULL;
done:
    volt_case_list_clear(&o.cases.list);
    volt_dataset_close(ds);
    volt_json_close(&doc);
    volt_free(file);
    return st;
}

void volt_dataset_close(volt_dataset *ds)
{
    if (!ds)
        return;
    volt_case_list_clear(&ds->cases);
    volt_dataset_info_clear(&ds->info);
    volt_free(ds->folder);
    volt_free(ds);
}

int64_t volt_dataset_find(const volt_dataset *ds, const char *id)
{
    int64_t low = 0, high = ds->cases.count;

    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        const int order = strcmp(ds->cases.item[middle].id, id);
        if (order == 0)
            return middle;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return -1;
}
