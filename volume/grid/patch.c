#include "volume/grid/patch.h"

#include <string.h>

/* Copies a box of one channel, type S to type D. */
#define READ_BOX(name, S, D)                                                                   \
    static void name(D *out, volt_box box, const S *src, const int64_t n[3], D outside)        \
    {                                                                                          \
        const volt_box in = volt_box_intersect(box, volt_box_of_shape(n));                     \
        const int64_t width = box.high[2] - box.low[2];                                        \
        const int64_t left = in.low[2] - box.low[2], right = in.high[2] - box.low[2];          \
        const bool empty = volt_box_is_empty(in);                                              \
        for (int64_t z = box.low[0]; z < box.high[0]; z++) {                                   \
            for (int64_t y = box.low[1]; y < box.high[1]; y++, out += width) {                 \
                const bool beyond = empty || z < in.low[0] || z >= in.high[0] ||               \
                                    y < in.low[1] || y >= in.high[1];                          \
                const int64_t from = beyond ? width : left, to = beyond ? width : right;       \
                const S *row = beyond ? src : src + (z * n[1] + y) * n[2] + in.low[2];         \
                for (int64_t x = 0; x < from; x++)                                             \
                    out[x] = outside;                                                          \
                for (int64_t x = from; x < to; x++)                                            \
                    out[x] = (D)row[x - from];                                                 \
                for (int64_t x = to; x < width; x++)                                           \
                    out[x] = outside;                                                          \
            }                                                                                  \
        }                                                                                      \
    }

READ_BOX(read_f32, float, float)
READ_BOX(read_u8, uint8_t, int16_t)
READ_BOX(read_i8, int8_t, int16_t)
READ_BOX(read_i16, int16_t, int16_t)

volt_status volt_patch_read(float *out, volt_box box, const volt_volume *src, float outside)
{
    const int64_t voxels = volt_grid_voxels(&src->grid);
    int64_t shape[3];

    if (src->dtype != VOLT_F32)
        return volt_fail(VOLT_EINVAL, "patches are read from float32, not %s",
                         volt_dtype_name(src->dtype));
    volt_box_shape(shape, box);
    for (int64_t c = 0; c < src->grid.channels; c++)
        read_f32(out + c * shape[0] * shape[1] * shape[2], box,
                 (const float *)src->data + c * voxels, src->grid.n, outside);
    return VOLT_OK;
}

volt_status volt_patch_read_labels(int16_t *out, volt_box box, const volt_volume *labels,
                                   int16_t outside)
{
    const int64_t *n = labels->grid.n;

    if (labels->grid.channels != 1)
        return volt_fail(VOLT_EINVAL, "labels have 1 channel, not %d",
                         (int)labels->grid.channels);
    if (labels->dtype == VOLT_U8)
        read_u8(out, box, labels->data, n, outside);
    else if (labels->dtype == VOLT_I8)
        read_i8(out, box, labels->data, n, outside);
    else if (labels->dtype == VOLT_I16)
        read_i16(out, box, labels->data, n, outside);
    else
        return volt_fail(VOLT_EINVAL, "labels are uint8, int8 or int16, not %s",
                         volt_dtype_name(labels->dtype));
    return VOLT_OK;
}
