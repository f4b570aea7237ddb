/* Any bytes as postprocessing.json: refused, or steps with labels that masks can have. */
#include "tests/fuzz/fuzz.h"

#include "nets3d/postprocess.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    volt_postprocess p = {0};

    if (volt_postprocess_read(&p, fuzz_file(data, size)) != VOLT_OK) {
        fuzz_require(p.count == 0 && *volt_last_error() != '\0');
        return 0;
    }
    for (int i = 0; i < p.count; i++) {
        fuzz_require(p.step[i].count >= 1);
        for (int k = 0; k < p.step[i].count; k++)
            fuzz_require(p.step[i].label[k] >= 0 && p.step[i].label[k] <= INT16_MAX);
    }
    volt_postprocess_clear(&p);
    return 0;
}
