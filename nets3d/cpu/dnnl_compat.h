/* dnnl_compat.h - the few places where oneDNN 2.x and 3.x differ; no other file asks for the
 * version.
 *
 * All calls return oneDNN's own status. Memory descriptors are created and freed here; the type
 * that both versions' calls take is cpu_md.
 */
#ifndef VOLT_NETS3D_CPU_DNNL_COMPAT_H
#define VOLT_NETS3D_CPU_DNNL_COMPAT_H
#include <stdbool.h>
#include <stdint.h>
#include <oneapi/dnnl/dnnl.h>
#include "nets3d/graph.h"
#include "nets3d/graph/tensor.h"

#if DNNL_VERSION_MAJOR >= 3
typedef const_dnnl_memory_desc_t cpu_md;
#else
typedef const dnnl_memory_desc_t *cpu_md;
#endif

/* A descriptor of its own; *out is freed with cpu_md_free. */
dnnl_status_t cpu_md_create(cpu_md *out, int ndims, const int64_t *dims, dnnl_data_type_t type,
                            dnnl_format_tag_t tag);
void cpu_md_free(cpu_md md); /* NULL is allowed */

typedef enum cpu_conv_kind {
    CPU_CONV_FWD,
    CPU_CONV_BWD_DATA,
    CPU_CONV_BWD_WEIGHTS
} cpu_conv_kind;

/* Direct convolution. For the backward kinds src, weights, bias, dst are the gradients where
 * the kind computes or receives them; `hint` are the weights of the forward pass the backward
 * kinds belong to. `bias` NULL: none. Asks for a scratchpad of the user. */
typedef struct cpu_conv_desc {
    cpu_conv_kind kind;
    bool inference;
    cpu_md src, weights, hint, bias, dst;
    const volt_conv *conv;
} cpu_conv_desc;

dnnl_status_t cpu_conv_pd(dnnl_primitive_desc_t *out, const cpu_conv_desc *desc,
                          dnnl_engine_t engine);

#endif
