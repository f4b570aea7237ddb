/* conv_winograd.h - convolutions through nets3d/cpu/winograd.h. */
#ifndef VOLT_NETS3D_CPU_CONV_WINOGRAD_H
#define VOLT_NETS3D_CPU_CONV_WINOGRAD_H
#include "nets3d/cpu/cpu.h"

/* Takes over `op` (a convolution) where Winograd's algorithm applies and pays; true if so. */
bool cpu_winograd_create(volt_op *op);

#endif
