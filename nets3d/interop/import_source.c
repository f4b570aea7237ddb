/* Where the files of a trained model lie: nnU-Net's results folders, or a file given. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/core/report.h"
#include "base/system/file.h"
#include "base/core/alloc.h"
#include "nets3d/interop/import_internal.h"
#include "nets3d/run.h"

#define FOLD "fold_"

void volt_import_source_clear(volt_import_source *s)
{
    for (int i = 0; i < s->folds; i++) {
        volt_free(s->fold[i]);
        volt_free(s->file[i]);
    }
    volt_bundle_clear(&s->bundle);
    volt_free(s->dataset);
    volt_free(s->plans);
    *s = (volt_import_source){0};
}

static volt_status add(volt_import_source *s, const char *fold, const char *file)
{
    volt_status st;

    if (s->folds == VOLT_IMPORT_MAX_FOLDS)
        return volt_fail(VOLT_EINVAL, "%s: too many folds; at most %d can be imported", file,
                         VOLT_IMPORT_MAX_FOLDS);
    s->fold[s->folds] = s->file[s->folds] = NULL;
    s->folds++; /* from here volt_import_source_clear sees it */
    st = volt_strdup(&s->fold[s->folds - 1], fold);
    if (st == VOLT_OK)
        st = volt_strdup(&s->file[s->folds - 1], file);
    return st;
}

/* The folder a path lies in; the caller owns *out. */
static volt_status parent_of(char **out, const char *path)
{
    const char *name = volt_path_name(path);

    if (name == path)
        return volt_strdup(out, ".");
    return volt_format(out, "%.*s", name == path + 1 ? 1 : (int)(name - path - 1), path);
}

/* `asked`, or FOLDER/NAME where it exists, or NULL. */
static volt_status companion(char **out, const char *asked, const char *folder,
                             const char *name)
{
    char *path = NULL;
    volt_status st;

    if (asked)
        return volt_strdup(out, asked);
    st = volt_path_join(&path, folder, name);
    if (st == VOLT_OK && volt_path_exists(path)) {
        *out = path;
        path = NULL;
    }
    volt_free(path);
    return st;
}

static volt_status companions(volt_import_source *s, const volt_model_import_options *o,
                              const char *folder)
{
    volt_status st = companion(&s->plans, o->plans, folder, "plans.json");

    return st == VOLT_OK ? companion(&s->dataset, o->dataset, folder, "dataset.json") : st;
}

/* ---- folds ---- */

static volt_status add_fold(volt_import_source *s, const char *folder, int number,
                            const char *checkpoint, bool needed, const volt_callbacks *cb)
{
    char fold[32] = FOLD "all", *file = NULL;
    volt_status st;

    if (number >= 0)
        snprintf(fold, sizeof fold, FOLD "%d", number);
    VOLT_TRY(st, done, volt_format(&file, "%s/%s/checkpoint_%s.pth", folder, fold, checkpoint));
    for (int i = 0; i < s->folds; i++) {
        if (strcmp(s->fold[i], fold) == 0)
            goto done; /* named twice */
    }
    if (volt_path_exists(file))
        st = add(s, fold, file);
    else if (needed)
        st = volt_fail(VOLT_EINVAL, "there is no %s", file);
    else
        volt_report(cb, VOLT_LOG_WARNING, "%s is skipped: it has no checkpoint_%s.pth", fold,
                    checkpoint);
done:
    volt_free(file);
    return st;
}

static volt_status asked_folds(volt_import_source *s, const char *folder, const char *folds,
                               const char *checkpoint)
{
    const char *text = folds;
    int low = 0, high = -1;
    volt_status st;

    do {
        VOLT_TRY(st, done, volt_fold_list_next(&low, &high, &text, folds));
        for (int k = low; k <= high; k++)
            VOLT_TRY(st, done, add_fold(s, folder, k, checkpoint, true, NULL));
    } while (*text);
done:
    return st;
}

/* fold_N of a folder's names, ascending; as nnU-Net, fold_all only when it is the only one. */
static volt_status every_fold(volt_import_source *s, const char *folder, const char *checkpoint,
                              const volt_callbacks *cb)
{
    volt_names names = {0};
    bool all = false;
    volt_status st;

    VOLT_TRY(st, done, volt_list_dir(&names, folder));
    for (size_t i = 0; i < names.count; i++) {
        const char *name = names.name[i];
        const int number = volt_fold_number(name);
        all = all || number == -1;
        if (number >= 0)
            VOLT_TRY(st, done, add_fold(s, folder, number, checkpoint, false, cb));
    }
    if (!s->folds && all)
        st = add_fold(s, folder, -1, checkpoint, true, NULL);
    else if (!s->folds)
        st =
            volt_fail(VOLT_EFORMAT, "%s holds no fold_N/checkpoint_%s.pth", folder, checkpoint);
done:
    volt_names_free(&names);
    return st;
}

/* ---- sources ---- */

static bool is_fold_name(const char *name)
{
    return strncmp(name, FOLD, strlen(FOLD)) == 0;
}

/* A results folder has plans.json; one level above, several of them may lie. */
static volt_status no_results(const char *folder)
{
    volt_names names = {0};
    char *inside = NULL;
    volt_status st = volt_list_dir(&names, folder);

    for (size_t i = 0; st == VOLT_OK && i < names.count && !inside; i++) {
        st = volt_format(&inside, "%s/%s/plans.json", folder, names.name[i]);
        if (st == VOLT_OK && volt_path_exists(inside)) {
            st = volt_fail(VOLT_EDATA,
                           "%s is not an nnU-Net results folder but contains some: choose "
                           "one, such as %s/%s",
                           folder, folder, names.name[i]);
        } else {
            volt_free(inside);
            inside = NULL;
        }
    }
    if (st == VOLT_OK)
        st = volt_fail(VOLT_EDATA,
                       "%s is neither an nnU-Net results folder (it has no plans.json) nor a "
                       "MONAI bundle (no configs/metadata.json)",
                       folder);
    volt_free(inside);
    volt_names_free(&names);
    return st;
}

static volt_status find_in_folder(volt_import_source *s, const char *path,
                                  const volt_model_import_options *o, const volt_callbacks *cb)
{
    const char *checkpoint = o->checkpoint ? o->checkpoint : "final";
    char *folder = NULL, *above = NULL, *plans = NULL;
    size_t length = strlen(path);
    volt_status st;

    while (length > 1 && path[length - 1] == '/')
        length--;
    VOLT_TRY(st, done, volt_format(&folder, "%.*s", (int)length, path));
    if (is_fold_name(volt_path_name(folder))) {
        char *file = NULL;
        VOLT_TRY(st, done, volt_format(&file, "%s/checkpoint_%s.pth", folder, checkpoint));
        st = add(s, volt_path_name(folder), file);
        volt_free(file);
        if (st == VOLT_OK)
            st = parent_of(&above, folder);
        if (st == VOLT_OK)
            st = companions(s, o, above);
        goto done;
    }
    if (volt_bundle_is(folder)) {
        VOLT_TRY(st, done, volt_bundle_read(&s->bundle, folder, cb));
        if (o->plans)
            VOLT_TRY(st, done, volt_strdup(&s->plans, o->plans));
        if (o->dataset)
            VOLT_TRY(st, done, volt_strdup(&s->dataset, o->dataset));
        st = add(s, "", s->bundle.weights);
        goto done;
    }
    VOLT_TRY(st, done, volt_path_join(&plans, folder, "plans.json"));
    if (!volt_path_exists(plans)) {
        st = no_results(folder);
        goto done;
    }
    VOLT_TRY(st, done, companions(s, o, folder));
    st = o->folds ? asked_folds(s, folder, o->folds, checkpoint)
                  : every_fold(s, folder, checkpoint, cb);
done:
    volt_free(plans);
    volt_free(above);
    volt_free(folder);
    return st;
}

static volt_status find_file(volt_import_source *s, const char *path,
                             const volt_model_import_options *o)
{
    char *folder = NULL, *above = NULL;
    const char *name;
    volt_status st;

    VOLT_TRY(st, done, parent_of(&folder, path));
    name = volt_path_name(folder);
    VOLT_TRY(st, done, add(s, is_fold_name(name) ? name : "", path));
    if (is_fold_name(name)) {
        VOLT_TRY(st, done, parent_of(&above, folder));
        st = companions(s, o, above);
    } else {
        st = companions(s, o, folder);
    }
done:
    volt_free(above);
    volt_free(folder);
    return st;
}

volt_status volt_import_find(volt_import_source *out, const char *path,
                             const volt_model_import_options *options, const volt_callbacks *cb)
{
    volt_import_source s = {0};
    volt_status st = volt_path_is_dir(path) ? find_in_folder(&s, path, options, cb)
                                            : find_file(&s, path, options);

    if (st == VOLT_OK) {
        *out = s;
        s = (volt_import_source){0};
    }
    volt_import_source_clear(&s);
    return st;
}
