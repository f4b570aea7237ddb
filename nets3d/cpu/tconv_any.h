/* tconv_any.h - transposed convolution of any kernel: the passes of the convolution that goes
 * the other way, with the parts of source and destination swapped. Its weights are the same
 * array: (ic,oc,...) of the one is (oc,ic,...) of the other. The bias is added, and its
 * gradient summed, by kernels of our own.
 */
#ifndef VOLT_NETS3D_CPU_TCONV_ANY_H
#define VOLT_NETS3D_CPU_TCONV_ANY_H
#include "nets3d/cpu/cpu.h"

/* Fills op->inner and op->info. VOLT_ENOTSUP. */
volt_status cpu_tconv_any_create(volt_op *op);
volt_status cpu_tconv_any_run(const volt_op *op, void *const *operand, void *scratch);

#endif
