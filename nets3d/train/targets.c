#include "nets3d/train/targets.h"

#include <string.h>

#include "base/core/alloc.h"

static volt_status mark_regions(volt_train_targets *t, const volt_dataset_info *info)
{
    const size_t cells = (size_t)t->labels * (size_t)t->outputs;
    const volt_status st = volt_alloc_zero(&t->regions, cells, 1, "labels of regions");

    if (st != VOLT_OK)
        return st;
    for (int r = 0; r < info->regions; r++) {
        const volt_label_region *region = &info->region[r];
        for (int i = 0; i < region->values; i++) {
            if (region->value[i] < 0 || region->value[i] >= t->labels)
                return volt_fail(VOLT_EINVAL, "region %s contains label %d; labels are 0 to %d",
                                 region->name, region->value[i], t->labels - 1);
            t->regions[region->value[i] * t->outputs + r] = 1;
        }
    }
    return VOLT_OK;
}

volt_status volt_train_targets_open(volt_train_targets *out, const volt_dataset_info *info)
{
    volt_train_targets t = {.labels = info->labels,
                            .ignore = info->ignore_label,
                            .outputs = volt_dataset_info_outputs(info),
                            .first = info->regions ? 0 : 1};
    volt_status st;

    VOLT_TRY(st, done,
             volt_alloc_zero(&t.name, (size_t)t.outputs, sizeof *t.name, "names of classes"));
    for (int k = 0; k < t.outputs; k++)
        t.name[k] = info->regions ? info->region[k].name : info->label[k].name;
    VOLT_TRY(st, done,
             volt_alloc_zero(&t.seen, (size_t)t.labels, sizeof *t.seen, "labels seen"));
    if (info->regions)
        VOLT_TRY(st, done, mark_regions(&t, info));
    *out = t;
    t = (volt_train_targets){0};
done:
    volt_train_targets_close(&t);
    return st;
}

void volt_train_targets_close(volt_train_targets *t)
{
    volt_free(t->seen);
    volt_free((void *)t->name);
    volt_free(t->regions);
    *t = (volt_train_targets){0};
}

void volt_train_targets_note(volt_train_targets *t, const int16_t *labels, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        if (labels[i] >= 0 && labels[i] < t->labels)
            t->seen[labels[i]] = true;
    }
}

void volt_train_targets_forget(volt_train_targets *t)
{
    for (int l = 0; l < t->labels; l++)
        t->seen[l] = false;
}

bool volt_train_targets_seen(const volt_train_targets *t, int k)
{
    if (!t->regions)
        return t->seen[k];
    for (int l = 0; l < t->labels; l++) {
        if (t->seen[l] && t->regions[l * t->outputs + k])
            return true;
    }
    return false;
}

bool volt_train_targets_all_seen(const volt_train_targets *t)
{
    for (int k = t->first; k < t->outputs; k++) {
        if (!volt_train_targets_seen(t, k))
            return false;
    }
    return true;
}
