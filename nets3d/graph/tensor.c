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
