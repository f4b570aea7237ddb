#include "volume/labels.h"

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
