/* dataset.c - opening data sets: the table of layouts. */
#include "io/dataset.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/core/options.h"
#include "base/system/file.h"
#include "base/core/alloc.h"
#include "io/image/names.h"
#include "io/json/json.h"
#include "io/dataset/layout.h"

/* The first layout that fits is taken. nnunet accepts any dataset.json, so it follows the
 * others that have one; brats2023 accepts any case since 2023 that brats2024 leaves. */
static const volt_layout *const layouts[] = {
    &volt_layout_pairs,         &volt_layout_decathlon,    &volt_layout_nnunet,
    &volt_layout_brats,         &volt_layout_brats2024,    &volt_layout_brats2023,
    &volt_layout_brats_ped2024, &volt_layout_brats_men_rt, &volt_layout_lits,
};
enum { LAYOUTS = sizeof layouts / sizeof *layouts };

volt_status volt_layouts_know(bool *out, const char *folder, bool deep)
{
    volt_status st = VOLT_OK;

    *out = false;
    for (int i = 0; i < LAYOUTS && !*out && st == VOLT_OK; i++) {
        if (layouts[i]->names)
            st = layouts[i]->names(out, folder, deep);
    }
    return st;
}

static volt_status fail_unknown(const char *asked)
{
    char words[256] = "";

    for (int i = 0; i < LAYOUTS; i++) {
        const size_t used = strlen(words);
        snprintf(words + used, sizeof words - used, "%s%s", i ? ", " : "", layouts[i]->word);
    }
    return volt_fail(VOLT_EINVAL, "unknown layout '%s'; the layouts are %s", asked, words);
}

/* Uses the folder's own name if dataset.json gives none. */
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

static volt_status choose_layout(const volt_layout **out, const opening *o)
{
    const char *asked = o->options->layout, *folder = o->ds->folder;
    volt_status st;

    if (o->options->images || o->options->labels) {
        if (!o->options->images || !o->options->labels)
            return volt_fail(VOLT_EINVAL, "a folder of %s was given without a folder of %s",
                             o->options->images ? "images" : "labels",
                             o->options->images ? "labels" : "images");
        if (asked && strcmp(asked, "pairs") != 0)
            return volt_fail(VOLT_EINVAL,
                             "folders of images and labels are layout pairs, not %s", asked);
    } else if (asked && strcmp(asked, "pairs") == 0) {
        return volt_fail(VOLT_EINVAL,
                         "layout pairs needs a folder of images and one of labels");
    }
    for (int i = 0; i < LAYOUTS; i++) {
        const volt_layout *l = layouts[i];
        bool taken = asked && strcmp(asked, l->word) == 0;
        if (!asked && (st = l->fits(&taken, o)) != VOLT_OK)
            return st;
        if (!taken)
            continue;
        if (l->needs_json && !o->root)
            return volt_fail(VOLT_EDATA, "%s is not %s: it holds no dataset.json", folder,
                             l->name);
        *out = l;
        return VOLT_OK;
    }
    if (asked)
        return fail_unknown(asked);
    return volt_fail(VOLT_EDATA,
                     "%s is not a data set: it holds no dataset.json, no BraTS case "
                     "(CASE/CASE_flair.nii.gz, CASE/CASE-t2f.nii.gz) and no LiTS volume "
                     "(volume-0.nii)",
                     folder);
}

/* Loads dataset.json if it exists. */
static volt_status load_json(volt_json *doc, const char *folder)
{
    char *file = NULL;
    volt_status st = volt_path_join(&file, folder, "dataset.json");

    if (st == VOLT_OK && (volt_path_exists(file) || !volt_path_is_dir(folder)))
        st = volt_json_load(doc, file);
    volt_free(file);
    return st;
}

/* The folders must exist before anything is read in them. */
static volt_status check_folders(const char *folder, const volt_dataset_options *o)
{
    const char *const folders[] = {folder, o->images, o->labels};

    for (int i = 0; i < 3; i++) {
        if (!folders[i] || volt_path_is_dir(folders[i]))
            continue;
        return volt_fail(
            VOLT_EIO,
            i == 0 && !o->images ? "there is no data set %s: %s" : "there is no folder %s: %s",
            folders[i],
            volt_path_exists(folders[i]) ? "it is a file, not a folder" : "no such folder");
    }
    return VOLT_OK;
}

/* The ending that all these files have; NULL: they differ, or some are folders of slices. */
static const char *common_ending(const volt_case_list *cases, bool labels)
{
    const char *common = NULL;

    for (int64_t i = 0; i < cases->count; i++) {
        const volt_case *k = &cases->item[i];
        const char *file = labels ? k->label_file : k->files ? k->file[0] : NULL;
        const char *ending = file ? volt_image_ending(file) : "";
        if (!*ending || (common && strcasecmp(ending, common) != 0))
            return NULL;
        common = ending;
    }
    return common;
}

/* Masks are written as the label files are, in a layout whose files do not say: pictures only
 * where the scans are pictures, too, which have no geometry to lose. */
static volt_status choose_ending(volt_dataset *ds, const volt_layout *layout)
{
    const char *scans = common_ending(ds->cases.count ? &ds->cases : &ds->tests, false);
    const char *labels = common_ending(&ds->cases, true);
    char *ending = NULL;
    volt_status st;

    if (!labels && ds->cases.count == 0)
        labels = scans;
    if (layout->needs_json || !labels ||
        (volt_image_is_picture(labels) && !(scans && volt_image_is_picture(scans))))
        return VOLT_OK;
    st = volt_strdup(&ending, labels);
    if (st == VOLT_OK) {
        volt_free(ds->info.file_ending);
        ds->info.file_ending = ending;
    }
    return st;
}

static volt_status describe_and_list(opening *o, const volt_layout *layout)
{
    volt_dataset *ds = o->ds;
    volt_status st;

    ds->layout = layout->name;
    VOLT_TRY(st, done, layout->describe(o));
    VOLT_TRY(st, done, name_after_folder(ds));
    VOLT_TRY(st, done, layout->list(o));
    VOLT_TRY(st, done, volt_cases_finish(&o->cases.list, VOLT_EFORMAT, ds->folder));
    VOLT_TRY(st, done, volt_cases_finish(&o->tests.list, VOLT_EFORMAT, ds->folder));
    ds->cases = o->cases.list;
    ds->tests = o->tests.list;
    o->cases.list = o->tests.list = (volt_case_list){0};
    VOLT_TRY(st, done, choose_ending(ds, layout));
    VOLT_TRY(st, done, volt_labels_adapt(o));
    ds->info.resample_channels = o->options->resample_channels;
    ds->info.allow_shift = ds->info.allow_shift || o->options->allow_shift;
    st = volt_orientation_survey(o);
done:
    return st;
}

static const volt_dataset_options defaults = {.size = sizeof defaults};

void volt_dataset_options_init(volt_dataset_options *o, size_t size)
{
    volt_options_init(o, size, &defaults, sizeof defaults);
}

volt_status volt_dataset_options_take(volt_dataset_options *out,
                                      const volt_dataset_options *given)
{
    volt_dataset_options o = defaults;
    const volt_status st = volt_options_take(&o, sizeof o, given, "volt_dataset_options");

    if (st == VOLT_OK)
        *out = o;
    return st;
}

volt_status volt_dataset_open(volt_dataset **out, const char *folder,
                              const volt_dataset_options *options)
{
    volt_dataset_options asked;
    const volt_layout *layout = NULL;
    volt_json doc = {0};
    volt_json_at root;
    volt_dataset *ds = NULL;
    opening o = {.options = &asked};
    volt_status st;

    if ((st = volt_dataset_options_take(&asked, options)) != VOLT_OK)
        return st;
    if (!folder)
        folder = o.options->images;
    if (!folder)
        return volt_fail(VOLT_EINVAL, "no data set is given");
    if ((st = check_folders(folder, &asked)) != VOLT_OK)
        return st;
    VOLT_TRY(st, done, volt_alloc_zero(&ds, 1, sizeof *ds, "a data set"));
    o.ds = ds;
    VOLT_TRY(st, done, volt_strdup(&ds->folder, folder));
    if (!o.options->images)
        VOLT_TRY(st, done, load_json(&doc, folder));
    if (doc.root) {
        root = volt_json_root(&doc);
        o.root = &root;
    }
    VOLT_TRY(st, done, choose_layout(&layout, &o));
    VOLT_TRY(st, done, describe_and_list(&o, layout));
    *out = ds;
    ds = NULL;
done:
    volt_case_list_clear(&o.cases.list);
    volt_case_list_clear(&o.tests.list);
    volt_dataset_close(ds);
    volt_json_close(&doc);
    return st;
}

void volt_dataset_close(volt_dataset *ds)
{
    if (!ds)
        return;
    for (int64_t i = 0; i < ds->notes; i++)
        volt_free(ds->note[i]);
    volt_free(ds->note);
    volt_case_list_clear(&ds->cases);
    volt_case_list_clear(&ds->tests);
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
