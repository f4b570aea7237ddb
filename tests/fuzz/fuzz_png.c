/* Any bytes as a PNG label map: refused, or as many voxels as the image says. */
#include "tests/fuzz/fuzz.h"

#include "io/image/png_internal.h"
#include "io/png.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    volt_volume *v = NULL;

    if (volt_png_read(&v, fuzz_file(data, size)) != VOLT_OK)
        return 0;
    fuzz_require(v->dtype == VOLT_U16 && v->grid.n[0] == 1 && v->grid.channels == 1);
    volt_volume_free(v);
    return 0;
}
