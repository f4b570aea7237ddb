/* Any bytes as a case file, as they are and with the CRCs put right: refused, or a case
 * all of which may be read. */
#include "tests/fuzz/fuzz.h"

#include <libdeflate.h>
#include "base/core/alloc.h"
#include "io/case_store.h"
#include "io/store/case_store_internal.h"

static void try_view(const void *file, size_t size)
{
    const volt_stored_case *c = NULL;
    volatile uint64_t sum = 0; /* the reads must happen */

    if (volt_stored_case_view(&c, file, size, "fuzz") != VOLT_OK)
        return;
    (void)!volt_stored_case_verify(c);
    for (int k = 0; k < c->classes; k++) {
        for (int64_t i = 0; i < c->locations[k].count; i++)
            sum = sum + c->locations[k].location[i];
    }
    volt_stored_case_close(c);
}

/* The CRC in a row of the class table. */
static void fix_locations(unsigned char *file, size_t size, size_t row)
{
    uint64_t count, at;
    uint32_t crc;

    memcpy(&count, file + row + 16, 8);
    memcpy(&at, file + row + 24, 8);
    if (at > size || count > (size - at) / 8)
        return;
    crc = libdeflate_crc32(0, file + at, (size_t)count * 8);
    memcpy(file + row + 4, &crc, 4);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned char *file = NULL;
    uint32_t header, crc;

    fuzz_require(volt_alloc(&file, size, "a case") == VOLT_OK);
    memcpy(file, data, size);
    try_view(file, size);
    if (size >= 512) {
        memcpy(&header, file + 12, 4);
        for (size_t row = 512; row + 32 <= size && row < header; row += 32)
            fix_locations(file, size, row);
        memset(file + 508, 0, 4);
        crc = libdeflate_crc32(0, file, header < size ? header : size);
        memcpy(file + 508, &crc, 4);
        try_view(file, size);
    }
    volt_free(file);
    return 0;
}
