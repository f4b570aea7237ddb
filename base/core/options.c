#include "base/core/options.h"

#include <string.h>

#include "base/core/checked.h"

volt_status volt_options_take(void *known, size_t known_bytes, const void *given,
                              const char *name)
{
    const unsigned char *bytes = given;
    size_t size;

    if (!given)
        return VOLT_OK;
    memcpy(&size, given, sizeof size);
    if (size < sizeof size)
        return volt_fail(VOLT_EINVAL, "%s has size %zu: start from its defaults", name, size);
    for (size_t i = known_bytes; i < size; i++) {
        if (bytes[i] != 0)
            return volt_fail(VOLT_EINVAL,
                             "%s of %zu bytes sets a field that this library, which knows %zu "
                             "bytes, does not have",
                             name, size, known_bytes);
    }
    memcpy(known, given, volt_min_size(size, known_bytes));
    memcpy(known, &known_bytes, sizeof known_bytes);
    return VOLT_OK;
}

void volt_options_init(void *out, size_t size, const void *defaults, size_t defaults_bytes)
{
    if (size < sizeof size)
        return;
    memset(out, 0, size);
    memcpy(out, defaults, volt_min_size(size, defaults_bytes));
    memcpy(out, &size, sizeof size);
}
