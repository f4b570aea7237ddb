#include <stdio.h>
#include <string.h>
#include "apps/evaluate.h"
#include "base/core/report.h"
#include "base/system/file.h"
#include "base/core/alloc.h"
#include "io/dataset.h"

void evaluate_classes_free(evaluate_classes *classes)
{
    for (int i = 0; i < classes->count; i++)
        volt_free(classes->names[i]);
    volt_free(classes->names);
    volt_free(classes->regions);
    volt_free(classes->values);
    volt_free(classes->labels);
    *classes = (evaluate_classes){.ignore = VOLT_NO_IGNORE_LABEL};
}

static volt_status make_room(evaluate_classes *k, size_t classes, size_t values, size_t labels)
{
    volt_status st;

    VOLT_TRY(st, done, volt_alloc_zero(&k->names, classes, sizeof *k->names, "classes"));
    VOLT_TRY(st, done, volt_alloc_zero(&k->regions, classes, sizeof *k->regions, "classes"));
    VOLT_TRY(st, done, volt_alloc_zero(&k->values, values, sizeof *k->values, "classes"));
    st = volt_alloc_zero(&k->labels, labels, sizeof *k->labels, "labels");
done:
    return st;
}

/* Adds a class, copying the labels of `r`; *used counts the values so far. */
static volt_status add_class(evaluate_classes *k, size_t *used, const volt_region *r)
{
    int32_t *values = k->values + *used;
    volt_status st = volt_strdup(&k->names[k->count], r->name);

    if (st != VOLT_OK)
        return st;
    memcpy(values, r->labels, (size_t)r->count * sizeof *values);
    k->regions[k->count] = *r;
    k->regions[k->count].name = k->names[k->count];
    k->regions[k->count++].labels = values;
    *used += (size_t)r->count;
    return VOLT_OK;
}

/* The value of a training label in the data set's files. */
static int32_t stored_value(const volt_dataset_info *info, int32_t value)
{
    for (int i = 0; info->stored && i < info->labels; i++) {
        if (info->label[i].value == value)
            return info->stored[i];
    }
    return value;
}

static volt_status add_region(evaluate_classes *k, size_t *used, const volt_dataset_info *info,
                              const volt_label_region *r)
{
    int32_t *values = k->values + *used;
    volt_status st =
        add_class(k, used, &(volt_region){r->name, r->value, r->values, r->is_list});

    for (int i = 0; st == VOLT_OK && i < r->values; i++)
        values[i] = stored_value(info, values[i]);
    return st;
}

/* The data set's regions if it has any, else its labels. */
static volt_status classes_of_info(evaluate_classes *k, const volt_dataset_info *info)
{
    size_t used = 0, values = (size_t)info->labels;
    volt_status st;

    for (int i = 0; i < info->regions; i++)
        values += (size_t)info->region[i].values;
    VOLT_TRY(
        st, done,
        make_room(k, (size_t)(info->labels + info->regions), values, (size_t)info->labels));
    for (int i = 0; i < info->regions; i++)
        VOLT_TRY(st, done, add_region(k, &used, info, &info->region[i]));
    for (int i = 0; i < info->labels; i++) {
        const int32_t value = stored_value(info, info->label[i].value);

        k->labels[k->label_count++] = value;
        if (info->regions == 0 && info->label[i].value != 0)
            VOLT_TRY(
                st, done,
                add_class(k, &used, &(volt_region){info->label[i].name, &value, 1, false}));
    }
    k->ignore =
        info->stored && info->ignore_label >= 0 ? info->stored_ignore : info->ignore_label;
done:
    return st;
}

static volt_status classes_of_file(evaluate_classes *k, const cli *c, const char *path)
{
    volt_dataset_info info = {0};
    volt_status st;

    VOLT_TRY(st, done, volt_dataset_info_read(&info, path));
    st = classes_of_info(k, &info);
    volt_report(&c->callbacks, VOLT_LOG_INFO, "classes from %s", path);
done:
    volt_dataset_info_clear(&info);
    return st;
}

static volt_status classes_of_dataset(evaluate_classes *k, const cli *c, const char *folder)
{
    volt_dataset *ds = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_dataset_open(&ds, folder, NULL));
    st = classes_of_info(k, &ds->info);
    volt_report(&c->callbacks, VOLT_LOG_INFO, "classes from %s (%s)", folder, ds->layout);
done:
    volt_dataset_close(ds);
    return st;
}

static volt_status classes_that_occur(evaluate_classes *k, const cli *c,
                                      const volt_mask_pairs *pairs)
{
    int32_t *values = NULL, count = 0;
    size_t used = 0, n;
    char name[16];
    volt_status st;

    VOLT_TRY(st, done,
             volt_mask_pairs_labels(&values, &count, pairs, (int)c->threads, &c->callbacks));
    n = (size_t)count;
    VOLT_TRY(st, done, make_room(k, n, n, n + 1));
    k->label_count = 1; /* the background */
    for (int32_t i = 0; i < count; i++) {
        snprintf(name, sizeof name, "%d", values[i]);
        k->labels[k->label_count++] = values[i];
        VOLT_TRY(st, done, add_class(k, &used, &(volt_region){name, &values[i], 1, false}));
    }
    volt_report(&c->callbacks, VOLT_LOG_INFO,
                "no dataset.json near %s or %s: every label that occurs is a class", c->args[1],
                c->args[0]);
done:
    volt_free(values);
    return st;
}

/* The dataset.json in `folder`, the folder of the file of that name, or the folder above;
 * *out NULL if there is none. */
static volt_status nearest_info(char **out, const char *path)
{
    const size_t folder_bytes = (size_t)(volt_path_name(path) - path);
    const bool is_dir = volt_path_is_dir(path);
    char *file = NULL;
    volt_status st = VOLT_OK;

    *out = NULL;
    for (int up = 0; up < 2 && st == VOLT_OK; up++) {
        st = is_dir ? volt_format(&file, "%s/%sdataset.json", path, up ? "../" : "")
                    : volt_format(&file, "%.*s%sdataset.json", (int)folder_bytes, path,
                                  up ? "../" : "");
        if (st == VOLT_OK && volt_path_exists(file)) {
            *out = file;
            return VOLT_OK;
        }
        volt_free(file);
        file = NULL;
    }
    return st;
}

static volt_status classes_given(evaluate_classes *k, const cli *c, const char *given)
{
    char *file = NULL;
    volt_status st;

    if (!volt_path_is_dir(given))
        return classes_of_file(k, c, given);
    VOLT_TRY(st, done, volt_path_join(&file, given, "dataset.json"));
    st = volt_path_exists(file) ? classes_of_file(k, c, file) : classes_of_dataset(k, c, given);
done:
    volt_free(file);
    return st;
}

volt_status evaluate_find_classes(evaluate_classes *out, const cli *c, const char *given,
                                  const volt_mask_pairs *pairs)
{
    evaluate_classes k = {.ignore = VOLT_NO_IGNORE_LABEL};
    char *file = NULL;
    volt_status st;

    if (given) {
        st = classes_given(&k, c, given);
        goto done;
    }
    if (pairs->dataset) {
        st = classes_of_info(&k, &pairs->dataset->info);
        volt_report(&c->callbacks, VOLT_LOG_INFO, "classes from %s (%s)", c->args[1],
                    pairs->dataset->layout);
        goto done;
    }
    VOLT_TRY(st, done, nearest_info(&file, c->args[1]));
    if (!file)
        VOLT_TRY(st, done, nearest_info(&file, c->args[0]));
    st = file ? classes_of_file(&k, c, file) : classes_that_occur(&k, c, pairs);
done:
    volt_free(file);
    if (st == VOLT_OK)
        *out = k;
    else
        evaluate_classes_free(&k);
    return st;
}
