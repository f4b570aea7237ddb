/* The devices by name. This file alone of its folder knows them; everything else here lies
 * below them. */
#include "nets3d/device/device_internal.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
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

/* Whether `name` is `device` in any case, with or without an index behind it. */
static bool is_called(const char *name, const char *device)
{
    const size_t n = strlen(device);

    return strncasecmp(name, device, n) == 0 && !isalpha((unsigned char)name[n]);
}

/* The index in `name` behind `bytes` of it, with or without leading zeros; 0 where there is
 * none. */
static volt_status parse_index(int *out, const char *name, size_t bytes)
{
    const char *text = name[bytes] ? name + bytes + 1 : "0";
    const size_t digits = strspn(text, "0123456789");

    if (digits == 0 || digits > 4 || text[digits] != '\0')
        return volt_fail(VOLT_EINVAL,
                         "device '%.40s': an index is expected behind the colon, as in cpu:0",
                         name);
    *out = (int)strtol(text, NULL, 10);
    return VOLT_OK;
}

/* The one parser of devices' names: the row of the table and the index. */
static volt_status parse(size_t *which, int *index, const char *name)
{
    for (size_t i = 0; i < sizeof devices / sizeof *devices; i++) {
        const char *const device = devices[i].name;
        const size_t n = strlen(device);
        volt_status st;

        if (strncmp(name, device, n) != 0 || (name[n] != '\0' && name[n] != ':'))
            continue;
        *which = i;
        st = parse_index(index, name, n);
        if (st == VOLT_OK && *index != 0)
            st = volt_fail(VOLT_EINVAL, "device '%.40s': there is only one %s, number 0", name,
                           device);
        return st;
    }
    for (size_t i = 0; i < sizeof elsewhere / sizeof *elsewhere; i++) {
        if (is_called(name, elsewhere[i]))
            return volt_fail(VOLT_ENOTSUP,
                             "this build has no device '%.40s'; there are cpu and reference",
                             name);
    }
    return volt_fail(VOLT_EINVAL, "no device is called '%.40s'; there are cpu and reference",
                     name);
}

volt_status volt_device_open(volt_device **out, const char *name)
{
    size_t which = 0;
    int index = 0;
    const volt_status st = parse(&which, &index, name);

    return st == VOLT_OK ? devices[which].open(out) : st;
}

void volt_device_words(char *out, size_t bytes, const volt_device *dev)
{
    if (dev->index == 0)
        snprintf(out, bytes, "%s", dev->name);
    else
        snprintf(out, bytes, "%s:%d", dev->name, dev->index);
}

void volt_device_close(volt_device *dev)
{
    if (dev)
        dev->close(dev);
}
