#include "volume/grid/labels.h"

#include <stdlib.h>

volt_status volt_label_counts(int64_t *counts, const volt_volume *labels)
{
    const int16_t *value = labels->data;
    int64_t voxels = volt_grid_voxels(&labels->grid) * labels->grid.channels;

    if (labels->dtype != VOLT_I16)
        return volt_fail(VOLT_EINVAL, "labels are %s, expected int16",
                         volt_dtype_name(labels->dtype));
    for (int64_t i = 0; i < voxels; i++) {
        if (value[i] >= 0)
            counts[value[i]]++;
    }
    return VOLT_OK;
}

#define LOAD_ROW(T)                                                                            \
    for (int64_t i = 0; i < count; i++)                                                        \
        out[i] = (int32_t)((const T *)v->data)[first + i];                                     \
    break

void volt_label_row(int32_t *out, const volt_volume *v, int64_t first, int64_t count)
{
    switch (v->dtype) {
    case VOLT_U8:
        LOAD_ROW(uint8_t);
    case VOLT_I8:
        LOAD_ROW(int8_t);
    case VOLT_U16:
        LOAD_ROW(uint16_t);
    case VOLT_I16:
        LOAD_ROW(int16_t);
    case VOLT_U32:
        LOAD_ROW(uint32_t);
    default:
        LOAD_ROW(int32_t);
    }
}

static bool is_label_type(volt_dtype t)
{
    return t == VOLT_U8 || t == VOLT_I8 || t == VOLT_U16 || t == VOLT_I16 || t == VOLT_U32 ||
           t == VOLT_I32;
}

volt_status volt_labels_check_pair(const volt_volume *pred, const volt_volume *ref)
{
    const int64_t *p = pred->grid.n, *r = ref->grid.n;

    if (pred->grid.channels != 1 || ref->grid.channels != 1)
        return volt_fail(VOLT_EINVAL, "label maps need one channel, not %d and %d",
                         pred->grid.channels, ref->grid.channels);
    if (!is_label_type(pred->dtype) || !is_label_type(ref->dtype))
        return volt_fail(VOLT_EINVAL, "label maps need integer voxels, not %s and %s",
                         volt_dtype_name(pred->dtype), volt_dtype_name(ref->dtype));
    if (p[0] != r[0] || p[1] != r[1] || p[2] != r[2])
        return volt_fail(
            VOLT_EDATA,
            "the prediction has %lld x %lld x %lld voxels (x, y, z) and the reference "
            "%lld x %lld x %lld",
            (long long)p[2], (long long)p[1], (long long)p[0], (long long)r[2], (long long)r[1],
            (long long)r[0]);
    return VOLT_OK;
}

static int compare_values(const void *a, const void *b)
{
    const int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;

    return (x > y) - (x < y);
}

int32_t volt_labels_unique(int32_t *value, int32_t count)
{
    int32_t left = 0;

    qsort(value, (size_t)count, sizeof *value, compare_values);
    for (int32_t i = 0; i < count; i++) {
        if (i == 0 || value[i] != value[i - 1])
            value[left++] = value[i];
    }
    return left;
}

int32_t volt_labels_index(const int32_t *value, int32_t count, int32_t wanted)
{
    const int32_t *at = bsearch(&wanted, value, (size_t)count, sizeof *value, compare_values);

    return at ? (int32_t)(at - value) : -1;
}
