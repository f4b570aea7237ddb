/* A zip archive: every member of an accepted one lies inside it and can be read or is refused.
 */
#include "tests/fuzz/fuzz.h"

#include "base/mem.h"
#include "io/archive/zip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    volt_zip *zip = NULL;
    size_t packed = 0;

    if (volt_zip_open(&zip, fuzz_file(data, size)) != VOLT_OK) {
        fuzz_require(!zip && *volt_last_error());
        return 0;
    }
    for (size_t i = 0; i < volt_zip_count(zip); i++) {
        const volt_zip_member *m = volt_zip_at(zip, i);
        char *text = NULL;
        size_t bytes = 0;
        fuzz_require(volt_zip_find(zip, m->name) == m && m->name[0] != '/');
        packed += m->packed_bytes;
        if (volt_zip_read(&text, &bytes, zip, m, 1 << 20) == VOLT_OK)
            fuzz_require(bytes == m->bytes && text[bytes] == '\0');
        volt_free(text);
    }
    fuzz_require(packed <= size);
    volt_zip_close(zip);
    return 0;
}
