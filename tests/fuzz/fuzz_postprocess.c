/* Any bytes as postprocessing.json: refused, or steps with labels that masks can have. */
#include "tests/fuzz/fuzz.h"

#include "nets3d/postprocess.h"

enum { MOST_STEPS = 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int64_t n[3] = {3, 4, 5};
    const volt_grid grid = volt_grid_make(n, 1, (const double[3]){1, 1, 1});
    volt_postprocess steps = {0};
    volt_volume *mask = NULL;

    if (volt_postprocess_read(&steps, fuzz_file(data, size)) != VOLT_OK) {
        fuzz_require(steps.count == 0 && *volt_last_error());
        return 0;
    }
    for (int i = 0; i < steps.count; i++) {
        fuzz_require(steps.step[i].count >= 1);
        for (int k = 0; k < steps.step[i].count; k++)
            fuzz_require(steps.step[i].label[k] >= 0 && steps.step[i].label[k] <= INT16_MAX);
    }
    fuzz_require(volt_volume_create(&mask, &grid, VOLT_I16) == VOLT_OK);
    for (int i = 0; i < 60; i++)
        ((int16_t *)mask->data)[i] = (int16_t)(i * 7 % 4);
    if (steps.count <= MOST_STEPS)
        fuzz_require(volt_postprocess_apply(mask, &steps, 1) == VOLT_OK);
    volt_volume_free(mask);
    volt_postprocess_clear(&steps);
    return 0;
}
