/* cpu.h - inside the CPU device: views of operands, operators, the table of own kernels.
 *
 * Native layout: (n, c/B, d, h, w, B) with B = 16 channels on AVX-512 and 8 elsewhere. Lanes
 * past the last channel of a buffer are zero, and every kernel keeps them so. Margins lie
 * around d, h, w: they lengthen the strides, and voxels of a box follow each other by runs
 * only.
 */
#ifndef VOLT_NETS3D_CPU_CPU_H
#define VOLT_NETS3D_CPU_CPU_H
#include <stdbool.h>
#include "base/threads.h"
#include "nets3d/device/device_internal.h"

/* For volt_device_open(). */
VOLT_MUST_USE volt_status volt_device_open_cpu(volt_device **out);

/* Voxels per chunk of a reduction; fixed, so that the order of every sum is too. */
#define CPU_CHUNK 4096

/* An operand as kernels walk it. Strides and offset in elements. PLAIN: one "block" per
 * channel. */
typedef struct cpu_view {
    int64_t n, c, d, h, w;
    int64_t voxels; /* d*h*w */
    int64_t run;    /* voxels without a gap behind them: all, those of a plane or of a row */
    int64_t blocks; /* channel blocks of the range */
    int64_t row_stride, plane_stride, block_stride, sample_stride;
    int64_t
        offset;   /* of the range's first block in its buffer, at the first voxel of the box */
    int64_t lane; /* of the range's first channel in that block: 0 but in copies */
    bool last;    /* the range ends with its buffer: the rest of its last block is padding */
    bool bf16, plain;
    bool dense; /* the whole buffer, or one sample of it: samples lie back to back */
    bool margins;
} cpu_view;

typedef struct cpu_kernels cpu_kernels;
typedef struct cpu_conv cpu_conv;

typedef struct cpu_context {
    volt_isa isa;
    int64_t block;
    bool bf16; /* the processor multiplies bf16 */
    const cpu_kernels *kernels;
    void *engine;              /* dnnl_engine_t */
    const volt_device *device; /* whose context this is */
    char library[32];          /* "oneDNN 2.6.3" */
} cpu_context;

static inline int64_t cpu_round_up(int64_t x, int64_t block)
{
    return (x + block - 1) / block * block;
}

/* `t` as this device lays it out. */
void cpu_view_of(cpu_view *out, const cpu_context *ctx, const volt_tensor *t);

/* Own kernels see the operator, its operands and its scratch. */
typedef void (*cpu_run)(const volt_op *op, void *const *operand, void *scratch);
typedef size_t (*cpu_scratch)(const volt_op *op);

struct volt_op {
    const cpu_context *ctx;
    volt_op_spec spec;
    cpu_view view[VOLT_OP_MAX_TENSORS];
    int64_t run_voxels; /* without a gap in any operand; divides each operand's run */
    volt_op_info info;
    cpu_run run;    /* an own kernel, or */
    cpu_conv *conv; /* oneDNN, or */
    volt_op *inner; /* the convolution that a transposed one is, see tconv_any.h */
    void (*pack)(const volt_op *op, void *packed, const float *weights);
    int64_t slices; /* parts a weight gradient is summed in; fixed by the shape alone */
};

#endif
