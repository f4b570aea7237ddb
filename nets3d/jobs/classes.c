#include "nets3d/jobs/classes.h"

#include "base/core/alloc.h"

void volt_classes_clear(volt_classes *c)
{
    for (int i = 0; c->name && i < c->count; i++)
        volt_free(c->name[i]);
    volt_free(c->name);
    volt_free(c->value);
    volt_free(c->region);
    volt_free(c->foreground);
    *c = (volt_classes){0};
}

/* The value in the data set's files of the label with training value `value`. */
static int32_t in_files(const volt_dataset_info *info, int32_t value)
{
    for (int i = 0; info->stored && i < info->labels; i++) {
        if (info->label[i].value == value)
            return info->stored[i];
    }
    return value;
}

/* Every label except the background is a class. */
static volt_status from_labels(volt_classes *c)
{
    volt_status st = VOLT_OK;

    c->count = c->foreground_count;
    for (int i = 0; i < c->count && st == VOLT_OK; i++) {
        st = volt_format(&c->name[i], "%d", (int)c->foreground[i]);
        c->value[i] = c->foreground[i];
        c->region[i] = (volt_region){.name = c->name[i], .labels = &c->value[i], .count = 1};
    }
    return st;
}

/* "3", or "(1, 2, 3)" and "(3,)" for lists, as Python prints tuples. */
static volt_status region_name(char **out, const int32_t *value, int count, bool is_list)
{
    char *text = NULL, *more = NULL;
    volt_status st = volt_format(&text, is_list ? "(%d" : "%d", (int)value[0]);

    for (int i = 1; i < count && st == VOLT_OK; i++) {
        st = volt_format(&more, "%s, %d", text, (int)value[i]);
        volt_free(text);
        text = more;
        more = NULL;
    }
    if (st == VOLT_OK && is_list) {
        st = volt_format(&more, "%s%s)", text, count == 1 ? "," : "");
        volt_free(text);
        text = more;
    }
    if (st == VOLT_OK)
        *out = text;
    return st;
}

/* The values of all regions follow one another in c->value. */
static volt_status from_regions(volt_classes *c, const volt_dataset_info *info)
{
    int used = 0;
    volt_status st = VOLT_OK;

    c->count = info->regions;
    for (int i = 0; i < info->regions && st == VOLT_OK; i++) {
        const volt_label_region *r = &info->region[i];
        for (int k = 0; k < r->values; k++)
            c->value[used + k] = in_files(info, r->value[k]);
        st = region_name(&c->name[i], c->value + used, r->values, r->is_list);
        c->region[i] = (volt_region){c->name[i], c->value + used, r->values, r->is_list};
        used += r->values;
    }
    return st;
}

volt_status volt_classes_of(volt_classes *out, const volt_dataset_info *info)
{
    const size_t count = (size_t)info->labels + (size_t)info->regions + 1;
    volt_classes c = {.ignore = info->ignore_label};
    size_t values = count;
    volt_status st;

    if (info->stored && c.ignore >= 0)
        c.ignore = info->stored_ignore;
    for (int i = 0; i < info->regions; i++)
        values += (size_t)info->region[i].values;
    VOLT_TRY(st, done, volt_alloc_zero(&c.name, count, sizeof *c.name, "classes"));
    VOLT_TRY(st, done, volt_alloc_zero(&c.value, values, sizeof *c.value, "classes"));
    VOLT_TRY(st, done, volt_alloc_zero(&c.region, count, sizeof *c.region, "classes"));
    VOLT_TRY(st, done, volt_alloc_zero(&c.foreground, count, sizeof *c.foreground, "classes"));
    for (int i = 1; i < info->labels; i++)
        c.foreground[c.foreground_count++] = in_files(info, info->label[i].value);
    VOLT_TRY(st, done, info->regions ? from_regions(&c, info) : from_labels(&c));
    *out = c;
    c = (volt_classes){0};
done:
    volt_classes_clear(&c);
    return st;
}
