/* device_packing.h - packing of weights by a device. */
#ifndef VOLT_TESTS_DEVICE_PACKING_H
#define VOLT_TESTS_DEVICE_PACKING_H

void packing_fp32(void **state);
void packing_bf16(void **state);

#endif
