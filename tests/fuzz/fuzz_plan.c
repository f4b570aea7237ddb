/* Any bytes as a plan: refused, or a plan that is written and read back the same. */
#include "tests/fuzz/fuzz.h"

#include "base/mem.h"
#include "nets3d/plan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char *channel[] = {"CT"};
    static volt_label label[] = {{"background", 0}, {"a", 1}, {"b", 2}};
    static const volt_dataset_info info = {.name = "fuzz",
                                           .channels = 1,
                                           .channel_name = channel,
                                           .labels = 3,
                                           .label = label,
                                           .ignore_label = VOLT_NO_IGNORE_LABEL,
                                           .file_ending = ".nii.gz"};
    volt_plan *plan = NULL, *again = NULL;
    char *text = NULL, *twice = NULL;

    if (volt_plan_parse(&plan, (const char *)data, size, "fuzz", &info) != VOLT_OK)
        return 0;
    fuzz_require(volt_plan_text(&text, plan) == VOLT_OK);
    fuzz_require(volt_plan_parse(&again, text, strlen(text), "again", &info) == VOLT_OK);
    fuzz_require(volt_plan_text(&twice, again) == VOLT_OK);
    fuzz_require(strcmp(text, twice) == 0);
    volt_free(text);
    volt_free(twice);
    volt_plan_free(plan);
    volt_plan_free(again);
    return 0;
}
