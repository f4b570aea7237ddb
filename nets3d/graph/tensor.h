/* tensor.h - tensors of graphs, programs and devices.
 *
 * Extents are always five, in the order n c d h w; 2-D is d = 1. Spatial triples are d, h, w.
 *
 * Threads  any thread may call these at any time.
 */
#ifndef VOLT_NETS3D_GRAPH_TENSOR_H
#define VOLT_NETS3D_GRAPH_TENSOR_H
#include <stdbool.h>
#include <stdint.h>
#include "base/status.h"
#include "volume/volume.h" /* volt_dtype: VOLT_F32, VOLT_BF16, VOLT_F16; sums VOLT_F64 */
VOLT_BEGIN_DECLS

typedef enum volt_tensor_layout {
    VOLT_PLAIN = 1, /* (n,c,d,h,w), w fastest, dense */
    VOLT_NATIVE = 2 /* the device's own layout for activations, e.g. channels in blocks of 16 */
} volt_tensor_layout;

/* A tensor as an operator sees it: a whole buffer, or a range of its channels, so that parts of
 * a concatenation are written in place. The extents d, h, w are those of a box in the buffer;
 * the voxels around it are its margins, where neighbours' voxels are put. Plain value. */
typedef struct volt_tensor {
    int64_t n, c, d, h, w;
    volt_dtype dtype;
    volt_tensor_layout layout;
    int64_t buffer_c; /* channels of its buffer; = c when it is the whole buffer */
    int64_t c_offset; /* its first channel there; a multiple of the device's channel block
                       * (only VOLT_OP_COPY takes any) */
    int64_t margin_low[3], margin_high[3]; /* d, h, w: voxels of the buffer in front of the box
                                            * and behind it; >= 0 */
} volt_tensor;

/* A whole-buffer tensor without margins. */
volt_tensor volt_tensor_make(const int64_t ncdhw[5], volt_dtype dtype,
                             volt_tensor_layout layout);
int64_t volt_tensor_elements(const volt_tensor *t); /* n*c*d*h*w: of the box */
/* Extents d, h, w of the buffer: of the box and its margins. */
void volt_tensor_stored(int64_t out[3], const volt_tensor *t);
bool volt_tensor_has_margins(const volt_tensor *t);
/* The same memory with a box that is larger by `low` and `high` voxels of its margins (smaller
 * where they are negative). */
volt_tensor volt_tensor_grown(const volt_tensor *t, const int64_t low[3],
                              const int64_t high[3]);

VOLT_END_DECLS
#endif
