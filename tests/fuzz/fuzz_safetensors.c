/* A safetensors file: every view of an accepted one lies inside it. */
#include "tests/fuzz/fuzz.h"

#include "io/tensors/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    volt_safetensors *file = NULL;
    size_t total = 0;
    unsigned sum = 0;

    if (volt_safetensors_open(&file, fuzz_file(data, size)) != VOLT_OK) {
        fuzz_require(!file && *volt_last_error());
        return 0;
    }
    for (size_t i = 0; i < volt_safetensors_count(file); i++) {
        const volt_tensor_view *view = volt_safetensors_at(file, i);
        for (size_t b = 0; b < view->bytes; b++)
            sum += ((const unsigned char *)view->data)[b];
        total += view->bytes;
        fuzz_require(volt_safetensors_find(file, view->name) == view);
    }
    fuzz_require(total <= size && sum <= 255 * total);
    volt_safetensors_metadata(file, "volt_crc32");
    volt_safetensors_close(file);
    return 0;
}
