/* plural.h - the plural ending in messages: "1 case", "2 cases". */
#ifndef VOLT_BASE_CORE_PLURAL_H
#define VOLT_BASE_CORE_PLURAL_H
#include <stdint.h>

static inline const char *volt_s(int64_t count)
{
    return count == 1 ? "" : "s";
}

#endif
