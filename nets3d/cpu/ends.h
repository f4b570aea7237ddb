/* ends.h - own kernels for the two ends of a network: the first convolution (few plain input
 * channels) and the head (1x1x1, few plain output channels).
 *
 * Packed weights, float32, output channels padded to pairs of blocks (first) or fours (head):
 *   first  (oc/2B, ic, kd, kh, kw, 2, B)
 *   head   (oc/4, ic/B * B, 4), backward data (oc, ic/B * B)
 */
#ifndef VOLT_NETS3D_CPU_ENDS_H
#define VOLT_NETS3D_CPU_ENDS_H
#include "nets3d/cpu/cpu.h"

#define CPU_END_SLICES 32

/* Takes over `op` (a convolution) if one of these kernels suits it; true if so. */
bool cpu_end_create(volt_op *op);

/* The first layer reads zero-padded rows: kd x rows x pitch floats per input channel for
 * CPU_FIRST_ROWS rows of output. */
#define CPU_FIRST_ROWS 8
#define CPU_FIRST_TILE 8 /* outputs along w computed at once, at most */

typedef struct cpu_first {
    int64_t ic, kd, kh, kw; /* of the kernel */
    int64_t rows, pitch;    /* input rows held per kd; floats per row */
    int64_t groups;         /* of CPU_FIRST_ROWS output rows, per sample */
    int64_t pairs;          /* pairs of output channel blocks */
    size_t stage_floats;    /* of one thread's rows */
} cpu_first;

cpu_first cpu_first_of(const volt_op *op);

#endif
