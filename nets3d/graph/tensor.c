#include "nets3d/graph/tensor.h"

volt_tensor volt_tensor_make(const int64_t ncdhw[5], volt_dtype dtype,
                             volt_tensor_layout layout)
{
    const volt_tensor t = {.n = ncdhw[0],
                           .c = ncdhw[1],
                           .d = ncdhw[2],
                           .h = ncdhw[3],
                           .w = ncdhw[4],
                           .dtype = dtype,
                           .layout = layout,
                           .buffer_c = ncdhw[1],
                           .c_offset = 0};
    return t;
}

int64_t volt_tensor_elements(const volt_tensor *t)
{
    return t->n * t->c * t->d * t->h * t->w;
}

void volt_tensor_stored(int64_t out[3], const volt_tensor *t)
{
    const int64_t box[3] = {t->d, t->h, t->w};

    for (int axis = 0; axis < 3; axis++)
        out[axis] = t->margin_low[axis] + box[axis] + t->margin_high[axis];
}

bool volt_tensor_has_margins(const volt_tensor *t)
{
    for (int axis = 0; axis < 3; axis++) {
        if (t->margin_low[axis] || t->margin_high[axis])
            return true;
    }
    return false;
}

volt_tensor volt_tensor_grown(const volt_tensor *t, const int64_t low[3], const int64_t high[3])
{
    volt_tensor out = *t;

    out.d += low[0] + high[0];
    out.h += low[1] + high[1];
    out.w += low[2] + high[2];
    for (int axis = 0; axis < 3; axis++) {
        out.margin_low[axis] -= low[axis];
        out.margin_high[axis] -= high[axis];
    }
    return out;
}
