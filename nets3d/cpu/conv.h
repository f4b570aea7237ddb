/* conv.h - convolutions through oneDNN, in native layout. */
#ifndef VOLT_NETS3D_CPU_CONV_H
#define VOLT_NETS3D_CPU_CONV_H
#include "nets3d/cpu/cpu.h"

/* Fills op->conv and op->info for CONV_FWD, CONV_BWD_DATA, CONV_BWD_WEIGHTS. VOLT_ENOTSUP. */
volt_status cpu_conv_create(volt_op *op);
void cpu_conv_free(cpu_conv *conv); /* NULL is allowed */
volt_status cpu_conv_pack(volt_op *op, void *packed, const float *weights);
/* Whether both take weights in the same layout; both are convolutions with packed weights. */
bool cpu_conv_same_form(const volt_op *a, const volt_op *b);
volt_status cpu_conv_run(volt_op *op, void *const *operand, void *scratch);

#endif
