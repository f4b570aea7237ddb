#include "volume/box.h"
#include "base/core/checked.h"

volt_box volt_box_of_shape(const int64_t shape[3])
{
    return (volt_box){{0, 0, 0}, {shape[0], shape[1], shape[2]}};
}

volt_box volt_box_at(const int64_t low[3], const int64_t shape[3])
{
    return volt_box_shift(volt_box_of_shape(shape), low);
}

volt_box volt_box_intersect(volt_box a, volt_box b)
{
    for (int i = 0; i < 3; i++) {
        a.low[i] = volt_max_i64(a.low[i], b.low[i]);
        a.high[i] = volt_min_i64(a.high[i], b.high[i]);
    }
    return a;
}

volt_box volt_box_hull(volt_box a, volt_box b)
{
    for (int i = 0; i < 3; i++) {
        a.low[i] = volt_min_i64(a.low[i], b.low[i]);
        a.high[i] = volt_max_i64(a.high[i], b.high[i]);
    }
    return a;
}

volt_box volt_box_grow(volt_box a, const int64_t margin[3])
{
    for (int i = 0; i < 3; i++) {
        a.low[i] -= margin[i];
        a.high[i] += margin[i];
    }
    return a;
}

volt_box volt_box_shift(volt_box a, const int64_t by[3])
{
    for (int i = 0; i < 3; i++) {
        a.low[i] += by[i];
        a.high[i] += by[i];
    }
    return a;
}

bool volt_box_contains(volt_box outer, volt_box inner)
{
    for (int i = 0; i < 3; i++) {
        if (inner.low[i] < outer.low[i] || inner.high[i] > outer.high[i])
            return false;
    }
    return true;
}

bool volt_box_is_empty(volt_box a)
{
    return a.high[0] <= a.low[0] || a.high[1] <= a.low[1] || a.high[2] <= a.low[2];
}

int64_t volt_box_voxels(volt_box a)
{
    if (volt_box_is_empty(a))
        return 0;
    return (a.high[0] - a.low[0]) * (a.high[1] - a.low[1]) * (a.high[2] - a.low[2]);
}

void volt_box_shape(int64_t out[3], volt_box a)
{
    for (int i = 0; i < 3; i++)
        out[i] = a.high[i] - a.low[i];
}
