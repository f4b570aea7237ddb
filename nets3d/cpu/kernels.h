/* kernels.h - the CPU device's own kernels, one table per instruction set. */
#ifndef VOLT_NETS3D_CPU_KERNELS_H
#define VOLT_NETS3D_CPU_KERNELS_H
#include "base/core/isa.h"
#include "nets3d/cpu/cpu.h"

/* Own kernels by kind of operator; X(name). */
#define CPU_RUN_KERNELS(X)                                                                     \
    X(norm_sums)                                                                               \
    X(norm_finish)                                                                             \
    X(norm_running)                                                                            \
    X(norm_act_fwd)                                                                            \
    X(norm_bwd_sums)                                                                           \
    X(norm_bwd_apply)                                                                          \
    X(act_fwd)                                                                                 \
    X(act_bwd)                                                                                 \
    X(add)                                                                                     \
    X(scale_channels)                                                                          \
    X(copy)                                                                                    \
    X(max_pool_fwd)                                                                            \
    X(max_pool_bwd)                                                                            \
    X(average_pool_fwd)                                                                        \
    X(average_pool_bwd)                                                                        \
    X(upsample_fwd)                                                                            \
    X(upsample_bwd)                                                                            \
    X(softmax_fwd)                                                                             \
    X(softmax_bwd)                                                                             \
    X(prelu_fwd)                                                                               \
    X(prelu_bwd)                                                                               \
    X(bias_add)                                                                                \
    X(bias_sum)                                                                                \
    X(head_fwd)                                                                                \
    X(head_bwd_data)                                                                           \
    X(head_bwd_weights)                                                                        \
    X(tconv_fwd)                                                                               \
    X(tconv_bwd_data)                                                                          \
    X(tconv_bwd_weights)                                                                       \
    X(first_fwd)                                                                               \
    X(first_bwd_weights)

struct cpu_kernels {
#define CPU_FIELD(name) cpu_run name;
    CPU_RUN_KERNELS(CPU_FIELD)
#undef CPU_FIELD
    void (*loss_sums)(const volt_loss_call *call);
    void (*loss_gradient)(const volt_loss_call *call);
    void (*sgd)(const volt_sgd_call *call);
    void (*adam)(const volt_adam_call *call);
    void (*accumulate)(float *sum, const float *x, int64_t count, float scale, bool first,
                       int threads);
    void (*sum_squares)(const volt_squares_call *call);
};

/* Scratch of own kernels, in bytes; `block` as in cpu_context. */
size_t cpu_norm_scratch(const volt_op *op);
size_t cpu_prelu_scratch(const volt_op *op);
/* bias_sum's over operand 3. */
size_t cpu_bias_scratch(const volt_op *op);
size_t cpu_loss_scratch(const volt_loss_call *call);

extern const cpu_kernels cpu_kernels_base, cpu_kernels_avx2, cpu_kernels_avx512;

#ifdef VOLT_ISA_SUFFIX
#define CPU_DECLARE(name)                                                                      \
    void VOLT_ISA_NAME(cpu_##name)(const volt_op *, void *const *, void *);
CPU_RUN_KERNELS(CPU_DECLARE)
#undef CPU_DECLARE
void VOLT_ISA_NAME(cpu_loss_sums)(const volt_loss_call *call);
void VOLT_ISA_NAME(cpu_loss_gradient)(const volt_loss_call *call);
/* One chunk of voxels of level `l`, sample `n`: what loss.isa.c does, for sigmoids. */
struct cpu_loss_sums;
struct cpu_loss_factors;
void VOLT_ISA_NAME(cpu_sigmoid_forward)(const volt_loss_call *call, int l, int64_t n,
                                        int64_t first, int64_t count, struct cpu_loss_sums *s);
void VOLT_ISA_NAME(cpu_sigmoid_backward)(const volt_loss_call *call, int l, int64_t n,
                                         int64_t first, int64_t count,
                                         const struct cpu_loss_factors *f);
void VOLT_ISA_NAME(cpu_sgd)(const volt_sgd_call *call);
void VOLT_ISA_NAME(cpu_adam)(const volt_adam_call *call);
void VOLT_ISA_NAME(cpu_accumulate)(float *sum, const float *x, int64_t count, float scale,
                                   bool first, int threads);
void VOLT_ISA_NAME(cpu_sum_squares)(const volt_squares_call *call);
#endif

#endif
