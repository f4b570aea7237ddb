#include "nets3d/cpu/dnnl_compat.h"

#include "base/core/alloc.h"

/* Attributes with the scratchpad supplied by the caller. */
static dnnl_status_t user_scratchpad(dnnl_primitive_attr_t *out)
{
    dnnl_status_t st = dnnl_primitive_attr_create(out);

    if (st == dnnl_success)
        st = dnnl_primitive_attr_set_scratchpad_mode(*out, dnnl_scratchpad_mode_user);
    return st;
}

static void geometry(const volt_conv *c, dnnl_dims_t stride, dnnl_dims_t low, dnnl_dims_t high)
{
    for (int k = 0; k < 3; k++) {
        stride[k] = c->stride[k];
        low[k] = c->pad_low[k];
        high[k] = c->pad_high[k];
    }
}

#if DNNL_VERSION_MAJOR >= 3

dnnl_status_t cpu_md_create(cpu_md *out, int ndims, const int64_t *dims, dnnl_data_type_t type,
                            dnnl_format_tag_t tag)
{
    dnnl_memory_desc_t md;
    const dnnl_status_t st = dnnl_memory_desc_create_with_tag(&md, ndims, dims, type, tag);

    if (st == dnnl_success)
        *out = md;
    return st;
}

void cpu_md_free(cpu_md md)
{
    if (md)
        dnnl_memory_desc_destroy((dnnl_memory_desc_t)md);
}

static dnnl_status_t create_pd(dnnl_primitive_desc_t *out, const cpu_conv_desc *d,
                               dnnl_engine_t engine, dnnl_primitive_attr_t attr)
{
    const dnnl_dims_t dilation = {0};
    dnnl_dims_t s = {0}, low = {0}, high = {0}; /* the full size, as declared */
    const dnnl_prop_kind_t prop = d->inference ? dnnl_forward_inference : dnnl_forward_training;
    const dnnl_alg_kind_t alg = dnnl_convolution_direct;
    dnnl_primitive_desc_t hint = NULL;
    dnnl_status_t st;

    geometry(d->conv, s, low, high);
    if (d->kind == CPU_CONV_FWD)
        return dnnl_convolution_forward_primitive_desc_create(out, engine, prop, alg, d->src,
                                                              d->weights, d->bias, d->dst, s,
                                                              dilation, low, high, attr);
    st = dnnl_convolution_forward_primitive_desc_create(&hint, engine, dnnl_forward_training,
                                                        alg, d->src, d->hint, NULL, d->dst, s,
                                                        dilation, low, high, attr);
    if (st != dnnl_success)
        return st;
    if (d->kind == CPU_CONV_BWD_DATA)
        st = dnnl_convolution_backward_data_primitive_desc_create(
            out, engine, alg, d->src, d->weights, d->dst, s, dilation, low, high, hint, attr);
    else
        st = dnnl_convolution_backward_weights_primitive_desc_create(
            out, engine, alg, d->src, d->weights, d->bias, d->dst, s, dilation, low, high, hint,
            attr);
    dnnl_primitive_desc_destroy(hint);
    return st;
}

#else

dnnl_status_t cpu_md_create(cpu_md *out, int ndims, const int64_t *dims, dnnl_data_type_t type,
                            dnnl_format_tag_t tag)
{
    dnnl_memory_desc_t *md;
    dnnl_status_t st;

    if (volt_alloc(&md, sizeof *md, "an operator") != VOLT_OK)
        return dnnl_out_of_memory;
    st = dnnl_memory_desc_init_by_tag(md, ndims, dims, type, tag);
    if (st == dnnl_success)
        *out = md;
    else
        volt_free(md);
    return st;
}

void cpu_md_free(cpu_md md)
{
    volt_free((void *)md);
}

static dnnl_status_t create_pd(dnnl_primitive_desc_t *out, const cpu_conv_desc *d,
                               dnnl_engine_t engine, dnnl_primitive_attr_t attr)
{
    dnnl_dims_t s = {0}, low = {0}, high = {0}; /* the full size, as declared */
    const dnnl_prop_kind_t prop = d->inference ? dnnl_forward_inference : dnnl_forward_training;
    const dnnl_alg_kind_t alg = dnnl_convolution_direct;
    dnnl_convolution_desc_t forward, desc;
    dnnl_primitive_desc_t hint = NULL;
    dnnl_status_t st;

    geometry(d->conv, s, low, high);
    st = dnnl_convolution_forward_desc_init(
        &forward, prop, alg, d->src, d->kind == CPU_CONV_FWD ? d->weights : d->hint,
        d->kind == CPU_CONV_FWD ? d->bias : NULL, d->dst, s, low, high);
    if (st != dnnl_success || d->kind == CPU_CONV_FWD)
        return st != dnnl_success
                   ? st
                   : dnnl_primitive_desc_create(out, &forward, attr, engine, NULL);
    if (d->kind == CPU_CONV_BWD_DATA)
        st = dnnl_convolution_backward_data_desc_init(&desc, alg, d->src, d->weights, d->dst, s,
                                                      low, high);
    else
        st = dnnl_convolution_backward_weights_desc_init(&desc, alg, d->src, d->weights,
                                                         d->bias, d->dst, s, low, high);
    if (st == dnnl_success)
        st = dnnl_primitive_desc_create(&hint, &forward, attr, engine, NULL);
    if (st == dnnl_success)
        st = dnnl_primitive_desc_create(out, &desc, attr, engine, hint);
    dnnl_primitive_desc_destroy(hint);
    return st;
}

#endif

dnnl_status_t cpu_conv_pd(dnnl_primitive_desc_t *out, const cpu_conv_desc *desc,
                          dnnl_engine_t engine)
{
    dnnl_primitive_attr_t attr = NULL;
    dnnl_status_t st = user_scratchpad(&attr);

    if (st == dnnl_success)
        st = create_pd(out, desc, engine, attr);
    dnnl_primitive_attr_destroy(attr);
    return st;
}
