/* tconv.h - transposed convolution with kernel = stride: a matrix product per input voxel whose
 * results land on their output voxels directly.
 *
 * Forward and data gradient share one inner product: TILE voxels times two vectors of outputs.
 * A voxel's factors come in segments of one channel block: the input's blocks (forward), or tap
 * by tap the output's blocks (data gradient). Packed weights, zero-padded:
 *   float32  (vectors/2, segments, B, 2, B)      bf16  (vectors/2, segments, B/2, 2, B, 2)
 * vectors: (tap, oc/B) forward, (ic/B) data gradient.
 */
#ifndef VOLT_NETS3D_CPU_TCONV_H
#define VOLT_NETS3D_CPU_TCONV_H
#include "nets3d/cpu/cpu.h"

typedef struct cpu_tconv {
    int64_t taps, stride[3];
    int64_t oc_blocks, ic_blocks;
    int64_t segments, vectors; /* forward and data gradient */
    cpu_view in, out;          /* coarse and fine side */
} cpu_tconv;

cpu_tconv cpu_tconv_of(const volt_op *op);
/* Elements of the fine side between a coarse voxel's first output and tap `tap`. */
int64_t cpu_tconv_tap(const cpu_tconv *t, int64_t block, int64_t tap);

/* Whether kernel = stride, so that every input voxel produces one block of outputs. */
bool cpu_tconv_is_block(const volt_conv *c);
volt_status cpu_tconv_create(volt_op *op);

#endif
