/* Any answer of volt-itk: refused, or a header that keeps its promises. */
#include "tests/fuzz/fuzz.h"

#include "io/image/itk_call.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const paths[] = {"a.mha", "a.tif"};
    volt_itk_message m;
    volt_image_header *h = NULL;
    volt_status st;

    memset(&m, 0, sizeof m);
    memcpy(&m, data, size < sizeof m ? size : sizeof m);
    st = volt_itk_parse(&h, &m, paths[size % 2]);
    if (st != VOLT_OK) {
        fuzz_require(!h && *volt_last_error());
        return 0;
    }
    fuzz_require(volt_grid_check(&h->grid, "fuzz") == VOLT_OK);
    fuzz_require((uint64_t)volt_grid_voxels(&h->grid) * (uint64_t)h->grid.channels *
                     volt_dtype_bytes(h->dtype) ==
                 m.bytes);
    fuzz_require(memchr(h->format, 0, sizeof h->format) != NULL);
    volt_image_header_free(h);
    return 0;
}
