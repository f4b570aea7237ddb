/* labels.c - the labels of dataset.json: nnU-Net's, with regions and ignore label, and the
 * Decathlon's. */
#include "io/dataset.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/core/alloc.h"
#include "io/dataset/dataset_internal.h"
#include "io/json/json.h"

enum { MAX_NAME = 1024 };

bool volt_whole_key(int64_t *out, const char *key, int64_t high)
{
    char *end;

    if (!isdigit((unsigned char)*key))
        return false;
    *out = strtoll(key, &end, 10);
    return *end == '\0' && *out <= high;
}

/* -- Entries ------------------------------------------------------------------------------ */

/* The entries of `labels`, each with name and values, like a region. */
typedef struct label_entries {
    volt_label_region *item;
    int count;
} label_entries;

static void clear_entries(label_entries *e)
{
    for (int i = 0; e->item && i < e->count; i++) {
        volt_free(e->item[i].name);
        volt_free(e->item[i].value);
    }
    volt_free(e->item);
}

/* "liver": [1, 2] or [1] in nnU-Net's direction. */
static volt_status read_list(volt_label_region *out, const volt_json_at *at)
{
    size_t count;
    volt_json_at item;
    int64_t number;
    volt_status st;

    VOLT_TRY(st, done, volt_json_length(&count, at, 1, VOLT_MAX_LABELS));
    VOLT_TRY(st, done, volt_alloc(&out->value, count * sizeof *out->value, "a label"));
    out->is_list = true;
    for (size_t i = 0; i < count; i++) {
        VOLT_TRY(st, done, volt_json_item(&item, at, i));
        VOLT_TRY(st, done, volt_json_int(&number, &item, 0, INT16_MAX));
        for (size_t k = 0; k < i; k++) {
            if (out->value[k] == number)
                return volt_json_fail(at, "names label %d twice", (int)number);
        }
        out->value[i] = (int32_t)number;
        out->values++;
    }
done:
    return st;
}

/* One entry: "liver": 1, "liver": "1", "liver": [1, 2], or the Decathlon's "1": "liver". */
static volt_status read_entry(volt_label_region *out, const char *key, const volt_json_at *at)
{
    const char *name = key;
    int64_t number;
    volt_status st;

    if (json_is_array(at->value)) {
        VOLT_TRY(st, done, read_list(out, at));
    } else {
        if (json_is_string(at->value)) {
            VOLT_TRY(st, done, volt_json_text(&name, at, MAX_NAME));
            if (!volt_whole_key(&number, key, INT16_MAX) &&
                volt_whole_key(&number, name, INT16_MAX))
                name = key;
            else if (!volt_whole_key(&number, key, INT16_MAX))
                return volt_json_fail(at, "names label \"%s\"; a number in 0..%d is expected",
                                      key, INT16_MAX);
        } else {
            VOLT_TRY(st, done, volt_json_int(&number, at, 0, INT16_MAX));
        }
        VOLT_TRY(st, done, volt_alloc(&out->value, sizeof *out->value, "a label"));
        out->value[0] = (int32_t)number;
        out->values = 1;
    }
    st = volt_strdup(&out->name, name);
done:
    return st;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* No duplicate names, which the Decathlon's direction allows. */
static volt_status check_names(const label_entries *e, const volt_json_at *labels)
{
    const char **name = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_alloc(&name, (size_t)e->count * sizeof *name, "label names"));
    for (int i = 0; i < e->count; i++)
        name[i] = e->item[i].name;
    qsort(name, (size_t)e->count, sizeof *name, by_name);
    for (int i = 1; i < e->count && st == VOLT_OK; i++) {
        if (strcmp(name[i], name[i - 1]) == 0)
            st = volt_json_fail(labels, "has two labels named \"%s\"", name[i]);
    }
done:
    volt_free(name);
    return st;
}

static volt_status read_entries(label_entries *e, const volt_json_at *labels)
{
    volt_json_at at;
    const char *key;
    size_t count;
    volt_status st;

    VOLT_TRY(st, done, volt_json_count(&count, labels));
    if (count < 2 || count > VOLT_MAX_LABELS)
        return volt_json_fail(labels,
                              "has %zu entries; the background and 1 to %d more are expected",
                              count, VOLT_MAX_LABELS - 1);
    VOLT_TRY(st, done, volt_alloc_zero(&e->item, count, sizeof *e->item, "labels"));
    e->count = (int)count;
    for (size_t i = 0; i < count; i++) {
        VOLT_TRY(st, done, volt_json_entry(&key, &at, labels, i));
        VOLT_TRY(st, done, volt_json_check_key(&at, key));
        VOLT_TRY(st, done, read_entry(&e->item[i], key, &at));
    }
    st = check_names(e, labels);
done:
    return st;
}

/* Removes the entry "ignore". */
static volt_status take_ignore(volt_dataset_info *info, label_entries *e,
                               const volt_json_at *labels)
{
    for (int i = 0; i < e->count; i++) {
        if (strcmp(e->item[i].name, "ignore") != 0)
            continue;
        if (e->item[i].values != 1)
            return volt_json_fail(labels,
                                  "gives %d values to the ignore label; one is expected",
                                  e->item[i].values);
        info->ignore_label = e->item[i].value[0];
        volt_free(e->item[i].name);
        volt_free(e->item[i].value);
        e->count--;
        memmove(&e->item[i], &e->item[i + 1], (size_t)(e->count - i) * sizeof *e->item);
        break;
    }
    return VOLT_OK;
}

/* -- Labels ------------------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
    const volt_label *x = a, *y = b;

    return (x->value > y->value) - (x->value < y->value);
}

/* Labels that do not overlap: one per entry. */
static volt_status labels_of_entries(volt_dataset_info *info, const label_entries *e,
                                     const volt_json_at *labels)
{
    const size_t count = (size_t)e->count;
    volt_status st;

    VOLT_TRY(st, done, volt_alloc_zero(&info->label, count, sizeof *info->label, "labels"));
    info->labels = e->count;
    for (size_t i = 0; i < count; i++) {
        info->label[i].value = e->item[i].value[0];
        VOLT_TRY(st, done, volt_strdup(&info->label[i].name, e->item[i].name));
    }
    qsort(info->label, count, sizeof *info->label, by_value);
    for (size_t i = 1; i < count; i++) {
        if (info->label[i].value == info->label[i - 1].value)
            return volt_json_fail(labels, "gives %d to \"%s\" and to \"%s\"",
                                  info->label[i].value, info->label[i - 1].name,
                                  info->label[i].name);
    }
done:
    return st;
}

/* -- Regions ------------------------------------------------------------------------------ */

/* The name of a label in regions: of the first entry with only this value. */
static volt_status name_label(char **out, const label_entries *e, int32_t value)
{
    for (int i = 0; i < e->count; i++) {
        if (e->item[i].values == 1 && e->item[i].value[0] == value)
            return volt_strdup(out, e->item[i].name);
    }
    return volt_format(out, "label %d", value);
}

/* Every value of any entry is a label. */
static volt_status labels_of_regions(volt_dataset_info *info, const label_entries *e,
                                     const volt_json_at *labels)
{
    bool *used = NULL;
    int count = 0;
    volt_status st;

    VOLT_TRY(st, done, volt_alloc_zero(&used, INT16_MAX + 1, sizeof *used, "labels"));
    for (int i = 0; i < e->count; i++) {
        for (int k = 0; k < e->item[i].values; k++) {
            count += !used[e->item[i].value[k]];
            used[e->item[i].value[k]] = true;
        }
    }
    if (count > VOLT_MAX_LABELS) {
        st = volt_json_fail(labels, "names %d labels; at most %d are possible", count,
                            VOLT_MAX_LABELS);
        goto done;
    }
    VOLT_TRY(st, done,
             volt_alloc_zero(&info->label, (size_t)count, sizeof *info->label, "labels"));
    for (int32_t value = 0; value <= INT16_MAX; value++) {
        if (!used[value])
            continue;
        info->label[info->labels].value = value;
        VOLT_TRY(st, done, name_label(&info->label[info->labels++].name, e, value));
    }
done:
    volt_free(used);
    return st;
}

static bool has_value(const volt_label_region *r, int32_t value)
{
    for (int k = 0; k < r->values; k++) {
        if (r->value[k] == value)
            return true;
    }
    return false;
}

/* Moves the entries other than the background to info->region. */
static volt_status take_regions(volt_dataset_info *info, label_entries *e,
                                const volt_json_at *labels)
{
    volt_status st;

    VOLT_TRY(st, done,
             volt_alloc_zero(&info->region, (size_t)e->count, sizeof *info->region, "regions"));
    for (int i = 0; i < e->count; i++) {
        volt_label_region *r = &e->item[i];
        if (r->values == 1 && r->value[0] == 0)
            continue;
        if (has_value(r, 0))
            return volt_json_fail(labels, "puts the background, 0, into region \"%s\"",
                                  r->name);
        info->region[info->regions++] = *r;
        *r = (volt_label_region){0};
    }
done:
    return st;
}

static volt_status read_class_order(volt_dataset_info *info, const volt_json_at *root)
{
    volt_json_at at, item;
    size_t count;
    int64_t value;
    volt_status st;

    VOLT_TRY(st, done, volt_json_member(&at, root, "regions_class_order"));
    VOLT_TRY(st, done,
             volt_json_length(&count, &at, (size_t)info->regions, (size_t)info->regions));
    for (int r = 0; r < info->regions; r++) {
        int known = 0;
        VOLT_TRY(st, done, volt_json_item(&item, &at, (size_t)r));
        VOLT_TRY(st, done, volt_json_int(&value, &item, 1, INT16_MAX));
        while (known < info->labels && info->label[known].value != value)
            known++;
        if (known == info->labels)
            return volt_json_fail(&item, "is %d, which no entry of labels names", (int)value);
        info->region[r].painted = (int32_t)value;
    }
done:
    return st;
}

/* -- Both --------------------------------------------------------------------------------- */

volt_status volt_labels_read(volt_dataset_info *info, const volt_json_at *root)
{
    volt_json_at labels;
    label_entries e = {0};
    bool overlap = false;
    volt_status st;

    VOLT_TRY(st, done, volt_json_member(&labels, root, "labels"));
    VOLT_TRY(st, done, read_entries(&e, &labels));
    VOLT_TRY(st, done, take_ignore(info, &e, &labels));
    for (int i = 0; i < e.count; i++)
        overlap = overlap || e.item[i].values > 1;
    if (overlap)
        VOLT_TRY(st, done, labels_of_regions(info, &e, &labels));
    else
        VOLT_TRY(st, done, labels_of_entries(info, &e, &labels));
    if (e.count == 0 || info->label[0].value != 0) {
        st = volt_json_fail(&labels, "has no label 0; the background must be 0");
        goto done;
    }
    for (int l = 0; l < info->labels; l++) {
        if (info->label[l].value == info->ignore_label) {
            st = volt_json_fail(&labels, "gives %d to \"%s\" and to \"ignore\"",
                                info->ignore_label, info->label[l].name);
            goto done;
        }
    }
    if (info->labels < 2) {
        st = volt_json_fail(&labels, "has no label besides background and ignore label");
        goto done;
    }
    if (overlap) {
        VOLT_TRY(st, done, take_regions(info, &e, &labels));
        st = read_class_order(info, root);
    }
done:
    clear_entries(&e);
    return st;
}
