/* Any bytes as a case file, as they are and with the header's CRC put right: refused, or a case
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned char *file = NULL;
    uint32_t header, crc;

    fuzz_require(volt_alloc(&file, size, "a case") == VOLT_OK);
    memcpy(file, data, size);
    try_view(file, size);
    if (size >= 512) {
        memcpy(&header, file + 12, 4);
        memset(file + 508, 0, 4);
        crc = libdeflate_crc32(0, file, header < size ? header : size);
        memcpy(file + 508, &crc, 4);
        try_view(file, size);
    }
    volt_free(file);
    return 0;
}
