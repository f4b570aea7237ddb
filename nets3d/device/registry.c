/* The devices by name. This file alone of its folder knows them; everything else here lies
 * below them. */
#include "nets3d/device/device_internal.h"

#include <string.h>
#include <strings.h>

#include "nets3d/cpu/cpu.h"
#include "nets3d/ops/reference.h"

static const struct {
    const char *name;
    volt_status (*open)(volt_device **out);
} devices[] = {
    {"cpu", volt_device_open_cpu},
    {"reference", volt_device_open_reference},
};

/* Devices that other programs have, and this build does not. */
static const char *const elsewhere[] = {"cuda", "gpu", "mps", "rocm", "hip", "xpu", "opencl"};

volt_status volt_device_open(volt_device **out, const char *name)
{
    for (size_t i = 0; i < sizeof devices / sizeof *devices; i++) {
        if (strcmp(devices[i].name, name) == 0)
            return devices[i].open(out);
    }
    for (size_t i = 0; i < sizeof elsewhere / sizeof *elsewhere; i++) {
        const size_t n = strlen(elsewhere[i]);
        if (strncasecmp(name, elsewhere[i], n) == 0 && (name[n] == '\0' || name[n] == ':'))
            return volt_fail(VOLT_ENOTSUP,
                             "this build has no device '%s'; there are cpu and reference",
                             name);
    }
    return volt_fail(VOLT_EINVAL, "no device is called '%s'; there are cpu and reference",
                     name);
}

void volt_device_close(volt_device *dev)
{
    if (dev)
        dev->close(dev);
}
