/* winograd.h - 3x3x3 convolution with stride 1 by Winograd's minimal filtering F(2^3, 3^3)
 * (Lavin and Gray, CVPR 2016, taken to three dimensions): 8 products per output voxel and
 * channel pair instead of 27.
 *
 * Tensors are blocked, (n, C/B, d, h, w, B) with B = volt_winograd_block() channels per block;
 * one may be a range of a larger buffer's channels (its samples are then further apart).
 * Arithmetic is float32 whatever the storage. Results do not depend on the thread count.
 */
#ifndef VOLT_NETS3D_CPU_WINOGRAD_H
#define VOLT_NETS3D_CPU_WINOGRAD_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One operand: `data` is the first voxel of its first channel block. */
typedef struct volt_winograd_tensor {
    void *data;
    int64_t sample_stride; /* elements from one sample to the next, */
    int64_t block_stride;  /* one channel block, */
    int64_t plane_stride;  /* one d, */
    int64_t row_stride;    /* one h; voxels of a row follow each other */
    int64_t extent[3];     /* d, h, w */
    bool bf16;             /* stored as bfloat16, else float32 */
} volt_winograd_tensor;

typedef struct volt_winograd_shape {
    int64_t n, ic, oc;  /* channels rounded up to the block */
    int64_t pad_low[3]; /* d, h, w: output voxel 0 sees input voxels -pad_low .. 2 - pad_low */
    int threads;        /* >= 1 */
} volt_winograd_shape;

int64_t volt_winograd_block(void); /* 16 with AVX-512, else 8 */
/* Floats of the transformed weights. */
size_t volt_winograd_packed_floats(int64_t ic, int64_t oc);
/* Transforms plain weights (oc_real, ic_real, 3, 3, 3). `backward` packs the filter of the data
 * gradient instead: s->ic then stands for the forward outputs, s->oc for the forward inputs. */
void volt_winograd_pack(float *packed, const volt_winograd_shape *s, const float *weights,
                        int64_t oc_real, int64_t ic_real, bool backward);
/* dst = conv(src) + bias; bias has oc floats or is NULL. `scratch`: volt_winograd_scratch
 * bytes, 64-byte aligned. */
size_t volt_winograd_scratch(const volt_winograd_shape *s, const int64_t out_extent[3]);
void volt_winograd_run(const volt_winograd_shape *s, const volt_winograd_tensor *src,
                       const float *packed, const float *bias, const volt_winograd_tensor *dst,
                       void *scratch);
/* Weight gradient into plain (oc_real, ic_real, 3, 3, 3) and, unless NULL, bias gradient into
 * (oc_real). */
size_t volt_winograd_gradient_scratch(const volt_winograd_shape *s,
                                      const int64_t out_extent[3]);
void volt_winograd_gradient(const volt_winograd_shape *s, const volt_winograd_tensor *src,
                            const volt_winograd_tensor *diff_dst, float *diff_weights,
                            float *diff_bias, int64_t oc_real, int64_t ic_real, void *scratch);

#endif
