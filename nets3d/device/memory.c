#include "base/core/available.h"
#include "nets3d/device/device_internal.h"

volt_status volt_device_available(size_t *out, const volt_device *dev)
{
    size_t total;

    if (dev->memory)
        return dev->memory(dev, out, &total);
    *out = volt_mem_available();
    return VOLT_OK;
}

volt_status volt_device_check_memory(const volt_device *dev, size_t bytes, size_t held,
                                     const char *what, const char *ending)
{
    char needed[VOLT_MEM_WORDS], left[VOLT_MEM_WORDS], name[64];
    size_t available;
    const volt_status st = volt_device_available(&available, dev);

    if (st != VOLT_OK || bytes <= held || bytes - held <= available)
        return st;
    volt_device_words(name, sizeof name, dev);
    return volt_fail(
        VOLT_ENOMEM, "%s needs %s of memory on device %s, but only %s is available%s", what,
        volt_mem_words(needed, bytes), name, volt_mem_words(left, available + held), ending);
}
