#include <stdio.h>
#include <string.h>
#include <strings.h>
#include "apps/evaluate.h"
#include "base/core/report.h"
#include "base/system/file.h"
#include "base/core/alloc.h"
#include "io/dataset.h"
#include "io/label_table.h"

void evaluate_classes_free(evaluate_classes *classes)
{
    for (int i = 0; i < classes->count; i++)
        volt_free(classes->names[i]);
    volt_free(classes->names);
    volt_free(classes->regions);
    volt_free(classes->values);
    volt_free(classes->labels);
    volt_free(classes->source);
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
    VOLT_TRY(st, done, classes_of_info(k, &info));
    volt_report(&c->callbacks, VOLT_LOG_INFO, "classes from %s", path);
    st = volt_strdup(&k->source, path);
done:
    volt_dataset_info_clear(&info);
    return st;
}

static volt_status classes_of_dataset(evaluate_classes *k, const cli *c, const char *folder)
{
    volt_dataset *ds = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_dataset_open(&ds, folder, NULL));
    VOLT_TRY(st, done, classes_of_info(k, &ds->info));
    volt_report(&c->callbacks, VOLT_LOG_INFO, "classes from %s (%s)", folder, ds->layout);
    st = volt_strdup(&k->source, folder);
done:
    volt_dataset_close(ds);
    return st;
}

static volt_status classes_that_occur(evaluate_classes *k, const cli *c,
                                      const volt_mask_pairs *pairs)
{
    volt_label_table table = {0};
    int32_t *values = NULL, count = 0;
    size_t used = 0, n;
    char number[16];
    volt_status st;

    VOLT_TRY(st, done,
             volt_mask_pairs_labels(&values, &count, pairs, (int)c->threads, &c->callbacks));
    VOLT_TRY(st, done, volt_label_table_read(pairs->item[0].truth, &table));
    if (table.count == 0)
        VOLT_TRY(st, done, volt_label_table_read(pairs->item[0].pred, &table));
    n = (size_t)count;
    VOLT_TRY(st, done, make_room(k, n, n, n + 1));
    k->label_count = 1; /* the background */
    for (int32_t i = 0; i < count; i++) {
        const char *name = volt_label_table_name(&table, values[i]);
        snprintf(number, sizeof number, "%d", values[i]);
        k->labels[k->label_count++] = values[i];
        VOLT_TRY(
            st, done,
            add_class(k, &used, &(volt_region){name ? name : number, &values[i], 1, false}));
    }
    volt_report(&c->callbacks, VOLT_LOG_INFO,
                "no dataset.json near %s or %s: every label that occurs is a class", c->args[1],
                c->args[0]);
done:
    volt_label_table_clear(&table);
    volt_free(values);
    return st;
}

/* The length of the folder that `folder`, of `bytes` bytes, lies in, as far as the path says;
 * -1 if it does not. */
static int parent_bytes(const char *folder, size_t bytes)
{
    size_t name;

    while (bytes > 1 && folder[bytes - 1] == '/')
        bytes--;
    for (name = bytes; name > 0 && folder[name - 1] != '/'; name--)
        ;
    if (bytes == 0 || folder[bytes - 1] == '.' || folder[bytes - 1] == '/')
        return -1; /* "", ".", "..", "a/..", "/" */
    return (int)name;
}

/* The dataset.json in `folder`, the folder of the file of that name, or the folder above;
 * *out NULL if there is none. */
static volt_status nearest_info(char **out, const char *path)
{
    const bool is_dir = volt_path_is_dir(path);
    const size_t bytes = is_dir ? strlen(path) : (size_t)(volt_path_name(path) - path);
    const char *slash = bytes && path[bytes - 1] != '/' ? "/" : "";
    char *file = NULL;
    volt_status st = VOLT_OK;

    *out = NULL;
    for (int up = 0; up < 2 && st == VOLT_OK; up++) {
        const int parent = up ? parent_bytes(path, bytes) : -1;
        if (parent >= 0)
            st = volt_format(&file, "%.*sdataset.json", parent, path);
        else
            st = volt_format(&file, "%.*s%s%sdataset.json", (int)bytes, path, slash,
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

/* ---- --label-map ---- */

enum { MAPPED = 1024 };

/* --label-map T=P,...: what the values of TRUTH become. */
typedef struct label_map {
    int32_t from[MAPPED], to[MAPPED];
    int count;
} label_map;

static volt_status read_map(label_map *m, const char *text)
{
    return cli_read_pairs(m->from, m->to, &m->count, MAPPED, "--label-map", text);
}

static int32_t mapped(const label_map *m, int32_t value)
{
    for (int i = 0; i < m->count; i++) {
        if (m->from[i] == value)
            return m->to[i];
    }
    return value;
}

/* Maps the values, leaving out those that occur already and, without `zero`, the background. */
static int32_t map_list(const label_map *m, int32_t *value, int32_t count, bool zero)
{
    int32_t left = 0;

    for (int32_t i = 0; i < count; i++) {
        const int32_t v = mapped(m, value[i]);
        int32_t at = 0;

        while (at < left && value[at] != v)
            at++;
        if (at == left && (v != 0 || zero))
            value[left++] = v;
    }
    return left;
}

/* The index of an earlier class with the same values; -1 if there is none. */
static int same_class(const evaluate_classes *k, int classes, const volt_region *r)
{
    for (int i = 0; i < classes; i++) {
        if (k->regions[i].count == r->count &&
            memcmp(k->regions[i].labels, r->labels, (size_t)r->count * sizeof *r->labels) == 0)
            return i;
    }
    return -1;
}

/* The classes of TRUTH in the numbering of PRED. A class that becomes background, or the same
 * as an earlier one, is no class of its own. */
static void map_classes(evaluate_classes *k, const label_map *m)
{
    int32_t *values = k->values;
    int classes = 0;

    for (int i = 0; i < k->count; i++) {
        volt_region r = k->regions[i];
        char *name = k->names[i];
        const int32_t count = r.count;

        r.count = map_list(m, values, count, false);
        values += count;
        if (r.count == 0 || same_class(k, classes, &r) >= 0) {
            volt_free(name);
            continue;
        }
        k->names[classes] = name;
        k->regions[classes++] = r;
    }
    k->count = classes;
    k->label_count = map_list(m, k->labels, k->label_count, true);
    if (k->ignore >= 0)
        k->ignore = mapped(m, k->ignore);
}

/* Those of the dataset.json nearest to a folder, if there is one. */
static volt_status classes_near(evaluate_classes *k, const cli *c, const char *folder)
{
    char *file = NULL;
    volt_status st;

    VOLT_TRY(st, done, nearest_info(&file, folder));
    if (file)
        st = classes_of_file(k, c, file);
done:
    volt_free(file);
    return st;
}

/* The data set of TRUTH, or the dataset.json nearest to it. */
static volt_status classes_of_truth(evaluate_classes *k, const cli *c,
                                    const volt_mask_pairs *pairs)
{
    volt_status st;

    if (!pairs->dataset)
        return classes_near(k, c, c->args[1]);
    VOLT_TRY(st, done, classes_of_info(k, &pairs->dataset->info));
    volt_report(&c->callbacks, VOLT_LOG_INFO, "classes from %s (%s)", c->args[1],
                pairs->dataset->layout);
    st = volt_strdup(&k->source, c->args[1]);
done:
    return st;
}

volt_status evaluate_find_classes(evaluate_classes *out, const cli *c, const char *given,
                                  const char *map, const volt_mask_pairs *pairs)
{
    evaluate_classes k = {.ignore = VOLT_NO_IGNORE_LABEL};
    label_map m = {.count = 0};
    volt_status st = VOLT_OK;

    if (map)
        VOLT_TRY(st, done, read_map(&m, map));
    if (given)
        VOLT_TRY(st, done, classes_given(&k, c, given));
    if (!k.source && map) /* the truth is translated to their numbering */
        VOLT_TRY(st, done, classes_near(&k, c, c->args[0]));
    if (!k.source) {
        VOLT_TRY(st, done, classes_of_truth(&k, c, pairs));
        if (k.source)
            map_classes(&k, &m);
    }
    if (!k.source && !map)
        VOLT_TRY(st, done, classes_near(&k, c, c->args[0]));
    if (!k.source)
        st = classes_that_occur(&k, c, pairs);
done:
    if (st == VOLT_OK)
        *out = k;
    else
        evaluate_classes_free(&k);
    return st;
}

/* ---- numbering ---- */

/* A name that says no more than the value is no evidence. */
static bool is_generic(const char *name)
{
    return strncasecmp(name, "label ", 6) == 0 || strspn(name, "0123456789") == strlen(name);
}

static volt_status compare_names(const volt_mask_pair *p)
{
    volt_label_table pred = {0}, truth = {0};
    volt_status st;

    VOLT_TRY(st, done, volt_label_table_read(p->pred, &pred));
    VOLT_TRY(st, done, volt_label_table_read(p->truth, &truth));
    for (int64_t i = 0; i < pred.count; i++) {
        const volt_label_entry *a = &pred.entries[i];
        for (int64_t k = 0; k < truth.count && !is_generic(a->name); k++) {
            const volt_label_entry *b = &truth.entries[k];
            if (strcasecmp(a->name, b->name) != 0 || a->value == b->value)
                continue;
            st = volt_fail(VOLT_EDATA,
                           "\"%s\" is label %lld in %s and %lld in %s; translate the values of "
                           "TRUTH with --label-map %lld=%lld,...",
                           a->name, (long long)a->value, p->pred, (long long)b->value, p->truth,
                           (long long)b->value, (long long)a->value);
            goto done;
        }
    }
done:
    volt_label_table_clear(&truth);
    volt_label_table_clear(&pred);
    return st;
}

static volt_status follow_masks(volt_mask_pairs *pairs, const cli *c)
{
    volt_dataset_info info = {0};
    char *file = NULL;
    volt_status st;

    VOLT_TRY(st, done, nearest_info(&file, c->args[0]));
    if (file && volt_dataset_info_read(&info, file) == VOLT_OK) {
        pairs->refuse_shift = pairs->refuse_shift && !info.allow_shift;
        st = volt_mask_pairs_follow(pairs, &info, (int)c->threads, &c->callbacks);
    }
done:
    volt_dataset_info_clear(&info);
    volt_free(file);
    return st;
}

volt_status evaluate_number_truth(volt_mask_pairs *pairs, const cli *c, const char *map)
{
    label_map m = {.count = 0};
    volt_status st;

    if (!map) {
        st = follow_masks(pairs, c);
        return st == VOLT_OK ? compare_names(&pairs->item[0]) : st;
    }
    VOLT_TRY(st, done, read_map(&m, map));
    st = volt_mask_pairs_map(pairs, m.from, m.to, m.count);
done:
    return st;
}

/* Dice of row `truth` and column `mask` of the matrix. */
static double cross_dice(const volt_confusion *c, int32_t truth, int32_t mask)
{
    const size_t rows = (size_t)c->values + 1;
    int64_t both = 0;

    for (size_t i = 0; i < rows; i++)
        both += c->voxels[(size_t)truth * rows + i] + c->voxels[i * rows + (size_t)mask];
    return both ? 2.0 * (double)c->voxels[(size_t)truth * rows + (size_t)mask] / (double)both
                : 0;
}

/* The label of the masks that lies where this label of the truth is, but is another one; -1 if
 * there is none. */
static int32_t other_label(const volt_confusion *c, int32_t truth)
{
    const double most_of_own = 0.1, least_of_other = 0.5;
    int32_t found = -1;

    if (cross_dice(c, truth, truth) > most_of_own)
        return -1;
    for (int32_t mask = 0; mask < c->values && found < 0; mask++) {
        if (mask != truth && c->value[mask] != 0 &&
            cross_dice(c, truth, mask) >= least_of_other)
            found = mask;
    }
    return found;
}

void evaluate_warn_of_swaps(const cli *c, const volt_confusion *confusion)
{
    char text[128];
    size_t at = 0;

    for (int32_t i = 0; i < confusion->values && at < sizeof text - 32; i++) {
        const int32_t other = confusion->value[i] != 0 ? other_label(confusion, i) : -1;

        if (other >= 0)
            at += (size_t)snprintf(text + at, sizeof text - at, "%s%d=%d", at ? "," : "",
                                   confusion->value[i], confusion->value[other]);
    }
    if (at > 0)
        volt_report(&c->callbacks, VOLT_LOG_WARNING,
                    "labels of the masks lie where the truth has others, as if the two were "
                    "numbered differently; if they are, use --label-map %s",
                    text);
}

volt_status evaluate_expect_labels(volt_mask_pairs *pairs, const evaluate_classes *k,
                                   int32_t ignore)
{
    const size_t count = (size_t)k->label_count + (ignore >= 0 ? 1 : 0);
    int32_t *labels = NULL;
    volt_status st;

    if (!k->source)
        return VOLT_OK;
    VOLT_TRY(st, done, volt_alloc(&labels, (count + 1) * sizeof *labels, "labels"));
    memcpy(labels, k->labels, (size_t)k->label_count * sizeof *labels);
    if (ignore >= 0)
        labels[k->label_count] = ignore;
    st = volt_mask_pairs_expect(pairs, labels, (int)count, k->source);
done:
    volt_free(labels);
    return st;
}
