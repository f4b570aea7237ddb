#include "tests/kit/devices.h"

const char *const device_names[DEVICE_COUNT] = {"reference", "cpu"};
volt_device *devices[DEVICE_COUNT], *reference, *cpu;

int open_devices(void **state)
{
    (void)state;
    for (int i = 0; i < DEVICE_COUNT; i++) {
        if (volt_device_open(&devices[i], device_names[i]) != VOLT_OK)
            return -1;
    }
    reference = devices[0];
    cpu = devices[1];
    return 0;
}

int close_devices(void **state)
{
    (void)state;
    for (int i = 0; i < DEVICE_COUNT; i++)
        volt_device_close(devices[i]);
    return 0;
}
