/* Any bytes as dataset_fingerprint.json: refused, or a fingerprint that a plan can be made from
 * or that is refused by the planner, and that is written and read back. */
#include "tests/fuzz/fuzz.h"

#include "nets3d/fingerprint.h"
#include "nets3d/plan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char *channel[] = {"CT", "MRI"};
    static volt_label label[] = {{"background", 0}, {"a", 1}, {"b", 2}};
    volt_dataset_info info = {.name = "fuzz",
                              .channel_name = channel,
                              .labels = 3,
                              .label = label,
                              .ignore_label = VOLT_NO_IGNORE_LABEL,
                              .file_ending = ".nii.gz"};
    static char copy[64];
    volt_fingerprint fp = {0}, again = {0};
    volt_plan *plan = NULL;

    if (volt_fingerprint_read(&fp, fuzz_file(data, size)) != VOLT_OK)
        return 0;
    snprintf(copy, sizeof copy, "/tmp/volt-fuzz-fingerprint-%d", (int)getpid());
    fuzz_require(volt_fingerprint_write(copy, &fp) == VOLT_OK);
    fuzz_require(volt_fingerprint_read(&again, copy) == VOLT_OK);
    fuzz_require(again.cases == fp.cases && again.channels == fp.channels);
    unlink(copy);
    info.channels = fp.channels;
    if (fp.channels <= 2 && volt_plan_make(&plan, &fp, &info, NULL) == VOLT_OK)
        volt_plan_free(plan);
    volt_fingerprint_clear(&fp);
    volt_fingerprint_clear(&again);
    return 0;
}
