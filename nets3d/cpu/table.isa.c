/* The table of own kernels of this instruction set. */
#include "nets3d/cpu/kernels.h"

const cpu_kernels VOLT_ISA_NAME(cpu_kernels) = {
#define CPU_ENTRY(name) .name = VOLT_ISA_NAME(cpu_##name),
    CPU_RUN_KERNELS(CPU_ENTRY)
#undef CPU_ENTRY
        .loss_sums = VOLT_ISA_NAME(cpu_loss_sums),
    .loss_gradient = VOLT_ISA_NAME(cpu_loss_gradient),
    .sgd = VOLT_ISA_NAME(cpu_sgd),
    .adam = VOLT_ISA_NAME(cpu_adam),
    .accumulate = VOLT_ISA_NAME(cpu_accumulate),
    .sum_squares = VOLT_ISA_NAME(cpu_sum_squares),
};
