/* layout_nnunet.c - nnU-Net raw: dataset.json with imagesTr, labelsTr and imagesTs, or with
 * lists of files. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/core/alloc.h"
#include "io/dataset/layout.h"
#include "io/image/names.h"

static volt_status nnunet_fits(bool *out, const opening *o)
{
    *out = o->root; /* anything with a dataset.json: this row is the last one of those */
    return VOLT_OK;
}

static volt_status nnunet_describe(opening *o)
{
    return volt_dataset_info_from(&o->ds->info, o->root);
}

/* -- The key `dataset` -------------------------------------------------------------------- */

/* One entry of `dataset`: {"label": path, "images": [paths]}. */
static volt_status add_listed_case(opening *o, const char *id, const volt_json_at *entry)
{
    volt_json_at images, label, at;
    volt_case *c;
    size_t count;
    char *path;
    volt_status st;

    VOLT_TRY(st, done, volt_json_optional(&label, entry, "label"));
    VOLT_TRY(st, done, volt_cases_append(&c, label.value ? &o->cases : &o->tests, id));
    VOLT_TRY(st, done, volt_json_member(&images, entry, "images"));
    VOLT_TRY(st, done, volt_json_length(&count, &images, 1, VOLT_MAX_CHANNELS));
    for (size_t i = 0; i < count; i++) {
        VOLT_TRY(st, done, volt_json_item(&at, &images, i));
        VOLT_TRY(st, done, volt_layout_resolve(&path, o, &at));
        VOLT_TRY(st, done, volt_case_add_file(c, path));
    }
    if (label.value)
        st = volt_layout_resolve(&c->label_file, o, &label);
done:
    return st;
}

/* Cases without a label are tests. */
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
            return volt_json_fail(&at, "is not a valid case id, which becomes a file name");
        VOLT_TRY(st, done, add_listed_case(o, id, &at));
    }
done:
    return st;
}

/* -- imagesTr, labelsTr, imagesTs --------------------------------------------------------- */

static volt_status list_folder(volt_names *out, const opening *o, const char *folder)
{
    char *path = NULL;
    volt_status st = volt_path_join(&path, o->ds->folder, folder);

    if (st == VOLT_OK && volt_path_is_dir(path))
        st = volt_list_dir(out, path);
    volt_free(path);
    return st;
}

static bool ends_in(const char *name, const char *ending)
{
    const size_t bytes = strlen(name), tail = strlen(ending);

    return !volt_is_hidden_file(name) && bytes > tail &&
           strcmp(name + bytes - tail, ending) == 0;
}

/* If no image has the ending of dataset.json, uses the ending that images have. */
static volt_status choose_ending(opening *o)
{
    volt_dataset_info *info = &o->ds->info;
    volt_names names = {0};
    const char *other = NULL;
    char *ending;
    volt_status st;

    VOLT_TRY(st, done, list_folder(&names, o, "imagesTr"));
    for (size_t i = 0; i < names.count; i++) {
        const char *own = volt_image_ending(names.name[i]);
        if (ends_in(names.name[i], info->file_ending))
            goto done;
        if (!other && *own && !volt_is_hidden_file(names.name[i]) &&
            strncasecmp(own, ".img", 4) != 0)
            other = own;
    }
    if (!other)
        goto done;
    VOLT_TRY(st, done,
             volt_layout_note(o,
                              "dataset.json says file_ending \"%s\", the images end in "
                              "\"%s\"; these are taken",
                              info->file_ending, other));
    VOLT_TRY(st, done, volt_strdup(&ending, other));
    volt_free(info->file_ending);
    info->file_ending = ending;
done:
    volt_names_free(&names);
    return st;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The label file of case `id` in labelsTr: with the images' ending, else with another ending
 * that exists. The caller owns *out. */
static volt_status label_path(char **out, const opening *o, const volt_names *labels,
                              const char *id)
{
    const char *ending[] = {o->ds->info.file_ending,
                            ".nii.gz",
                            ".nii",
                            ".hdr",
                            ".png",
                            ".tif",
                            ".tiff",
                            ".bmp",
                            ".gif"};
    volt_status st;

    for (size_t e = 0; e < sizeof ending / sizeof *ending; e++) {
        char *name;
        bool there;
        if ((st = volt_format(&name, "%s%s", id, ending[e])) != VOLT_OK)
            return st;
        there = labels->count &&
                bsearch(&name, labels->name, labels->count, sizeof *labels->name, by_name);
        volt_free(name);
        if (there)
            return volt_format(out, "%s/labelsTr/%s%s", o->ds->folder, id, ending[e]);
    }
    return volt_format(out, "%s/labelsTr/%s%s", o->ds->folder, id, ending[0]);
}

/* Whether each case has CASE_0000 alone, with several channels as in photographs: so says the
 * first one that can be read. Where none can, reading them says why, so that nobody is asked
 * for CASE_0001. */
static volt_status all_in_one(bool *out, const input_files *files, int channels)
{
    volt_status st = VOLT_OK;
    int has = 0;

    *out = channels > 1 && files->count > 0;
    for (size_t i = 0; i < files->count; i++)
        *out = *out && files->item[i].channel == 0;
    for (size_t i = 0; *out && has == 0 && i < files->count && st == VOLT_OK; i++)
        st = volt_file_channels(&has, files->item[i].path);
    *out = *out && has != 1;
    return st;
}

/* Adds the files a case of imagesTr or imagesTs must have: one per channel, more if a higher
 * channel number exists; `whole`: a single one without a number, `first`: with number 0000. */
static volt_status add_case_files(const opening *o, volt_case *c, const char *folder,
                                  int highest, bool whole, bool first)
{
    const volt_dataset_info *info = &o->ds->info;
    const int files =
        whole || first ? 1 : (highest + 1 > info->channels ? highest + 1 : info->channels);
    char *path;
    volt_status st = VOLT_OK;

    for (int i = 0; i < files && st == VOLT_OK; i++) {
        if (whole)
            st = volt_format(&path, "%s/%s/%s%s", o->ds->folder, folder, c->id,
                             info->file_ending);
        else
            st = volt_format(&path, "%s/%s/%s_%04d%s", o->ds->folder, folder, c->id, i,
                             info->file_ending);
        if (st == VOLT_OK)
            st = volt_case_add_file(c, path);
    }
    return st;
}

/* The cases of `folder`; with `labels` (of labelsTr) they are for training. */
static volt_status add_images(opening *o, const char *folder, const volt_names *labels)
{
    const volt_dataset_info *info = &o->ds->info;
    input_files files = {0};
    char *path = NULL;
    bool whole;
    volt_status st;

    VOLT_TRY(st, done, volt_path_join(&path, o->ds->folder, folder));
    if (!volt_path_is_dir(path))
        goto done; /* no image: the check reports it */
    VOLT_TRY(st, done, volt_files_add_folder(&files, path, info->file_ending, true));
    VOLT_TRY(st, done, all_in_one(&whole, &files, info->channels));
    for (size_t i = 0, n; i < files.count; i += n) {
        const input_file *f = &files.item[i];
        volt_case *c;
        n = volt_files_group(&files, i);
        VOLT_TRY(st, done, volt_cases_append(&c, labels ? &o->cases : &o->tests, f->id));
        VOLT_TRY(st, done,
                 add_case_files(o, c, folder, f[n - 1].channel, f[n - 1].channel < 0, whole));
        if (labels)
            VOLT_TRY(st, done, label_path(&c->label_file, o, labels, c->id));
    }
done:
    volt_free(path);
    volt_files_clear(&files);
    return st;
}

/* Labels without an image become cases too: the check then names the missing files. */
static volt_status add_lonely_labels(opening *o, const volt_names *labels)
{
    const int64_t with_image = o->cases.list.count;
    const char **ids = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_alloc_zero(&ids, (size_t)with_image + 1, sizeof *ids, "case ids"));
    for (int64_t i = 0; i < with_image; i++)
        ids[i] = o->cases.list.item[i].id;
    qsort(ids, (size_t)with_image, sizeof *ids, by_name);
    for (size_t i = 0; i < labels->count; i++) {
        const char *name = labels->name[i];
        char *id = NULL;
        volt_case *c;
        if (!ends_in(name, o->ds->info.file_ending))
            continue;
        VOLT_TRY(st, done, volt_layout_id(&id, name));
        if (!bsearch(&id, ids, (size_t)with_image, sizeof *ids, by_name)) {
            st = volt_cases_append(&c, &o->cases, id);
            if (st == VOLT_OK)
                st = add_case_files(o, c, "imagesTr", -1, false, false);
            if (st == VOLT_OK)
                st = label_path(&c->label_file, o, labels, id);
        }
        volt_free(id);
        if (st != VOLT_OK)
            goto done;
    }
done:
    volt_free(ids);
    return st;
}

static volt_status nnunet_list(opening *o)
{
    volt_names labels = {0};
    volt_json_at entries;
    volt_status st;

    VOLT_TRY(st, done, volt_json_optional(&entries, o->root, "dataset"));
    if (entries.value) {
        st = list_from_json(o, &entries);
        goto done;
    }
    VOLT_TRY(st, done, choose_ending(o));
    VOLT_TRY(st, done, list_folder(&labels, o, "labelsTr"));
    VOLT_TRY(st, done, add_images(o, "imagesTr", &labels));
    VOLT_TRY(st, done, add_lonely_labels(o, &labels));
    VOLT_TRY(st, done, add_images(o, "imagesTs", NULL));
    if (json_is_array(json_object_get(o->root->value, "training")))
        st = volt_nnunet_v1_select(o);
done:
    volt_names_free(&labels);
    return st;
}

const volt_layout volt_layout_nnunet = {
    .word = "nnunet",
    .name = "nnU-Net raw",
    .needs_json = true,
    .fits = nnunet_fits,
    .describe = nnunet_describe,
    .list = nnunet_list,
};
