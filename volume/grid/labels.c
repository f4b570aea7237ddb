#include "volume/grid/labels.h"

volt_status volt_label_counts(int64_t *counts, const volt_volume *labels)
{
    const int16_t *value = labels->data;
    int64_t voxels = volt_grid_voxels(&labels->grid) * labels->grid.channels;

    if (labels->dtype != VOLT_I16)
        return volt_fail(VOLT_EINVAL, "labels of type %s; int16 is expected",
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
