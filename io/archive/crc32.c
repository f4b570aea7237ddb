#include "io/archive/crc32.h"

#include <libdeflate.h>

uint32_t volt_crc32(uint32_t crc, const void *data, size_t bytes)
{
    return bytes ? libdeflate_crc32(crc, data, bytes) : crc;
}
