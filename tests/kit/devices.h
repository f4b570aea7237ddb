/* devices.h - the devices of this machine, opened once for a group of tests. */
#ifndef VOLT_TESTS_DEVICES_H
#define VOLT_TESTS_DEVICES_H
#include "nets3d/device.h"

#define DEVICE_COUNT 2
extern const char *const device_names[DEVICE_COUNT];
extern volt_device *devices[DEVICE_COUNT]; /* in that order; and by name: */
extern volt_device *reference, *cpu;

/* A group's fixtures. */
int open_devices(void **state);
int close_devices(void **state);

#endif
