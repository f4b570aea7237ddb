/* tensor.h - what a tensor is to a graph, a program and a device.
 *
 * Extents are always five, in the order n c d h w; 2-D is d = 1. Spatial triples are d, h, w.
 *
 * Threads  any thread may call these at any time.
 */
#ifndef VOLT_NETS3D_TENSOR_H
#define VOLT_NETS3D_TENSOR_H
#include <stdint.h>
#include "../base/status.h"
#include "../volume/volume.h" /* volt_dtype: VOLT_F32 or VOLT_BF16 here */
VOLT_BEGIN_DECLS

typedef enum volt_precision {
    VOLT_PRECISION_AUTO = 0, /* in options: the one that is faster on this machine */
    VOLT_FP32 = 1,
    VOLT_BF16_MIXED = 2
} volt_precision;

typedef enum volt_layout {
    VOLT_PLAIN = 1, /* (n,c,d,h,w), w fastest, dense */
    VOLT_NATIVE = 2 /* the device's own layout for activations, e.g. channels in blocks of 16 */
} volt_layout;

/* A tensor as an operator sees it: a whole buffer, or a range of its channels, so that parts of
 * a concatenation are written in place. Plain value. */
typedef struct volt_tensor {
    int64_t n, c, d, h, w;
    volt_dtype dtype;
    volt_layout layout;
    int64_t buffer_c; /* channels of its buffer; = c when it is the whole buffer */
    int64_t c_offset; /* its first channel there; a multiple of the device's channel block
                       * (only VOLT_OP_COPY takes any) */
} volt_tensor;

/* A whole-buffer tensor. */
VOLT_API volt_tensor volt_tensor_make(const int64_t ncdhw[5], volt_dtype dtype,
                                      volt_layout layout);
VOLT_API int64_t volt_tensor_elements(const volt_tensor *t); /* n*c*d*h*w */

/* Convolution along d, h, w: out = floor((in + pad_low + pad_high - kernel) / stride) + 1.
 * Low and high padding differ where a side is padded by halos instead. */
typedef struct volt_conv {
    int64_t kernel[3], stride[3], pad_low[3], pad_high[3];
} volt_conv;

VOLT_END_DECLS
#endif
