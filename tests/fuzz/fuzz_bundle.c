/* A MONAI bundle's inference config: refused by a sentence, or a plan and a data set that VOLT
 * reads or refuses by a sentence. */
#include "tests/fuzz/fuzz.h"

#include "base/system/file.h"
#include "nets3d/interop/bundle.h"
#include "nets3d/plan.h"

static const char metadata[] =
    "{\"network_data_format\": {\"inputs\": {\"image\": {\"spatial_shape\": [16, 16, 16], "
    "\"channel_def\": {\"0\": \"CT\"}}}, \"outputs\": {\"pred\": {\"channel_def\": {\"0\": "
    "\"background\", \"1\": \"spleen\"}}}}}";

static const char *scratch(void)
{
    static char folder[64];
    char path[128];

    if (!*folder) {
        snprintf(folder, sizeof folder, "/tmp/volt-fuzz-bundle-%d", (int)getpid());
        snprintf(path, sizeof path, "%s/configs", folder);
        fuzz_require(volt_make_dirs(path) == VOLT_OK);
        snprintf(path, sizeof path, "%s/models", folder);
        fuzz_require(volt_make_dirs(path) == VOLT_OK);
        snprintf(path, sizeof path, "%s/models/model.pt", folder);
        fuzz_require(volt_write_file(path, "x", 1) == VOLT_OK);
        snprintf(path, sizeof path, "%s/configs/metadata.json", folder);
        fuzz_require(volt_write_file(path, metadata, strlen(metadata)) == VOLT_OK);
    }
    return folder;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    volt_dataset_info info = {0};
    volt_plan *plan = NULL;
    volt_bundle b = {0};
    char path[128];

    snprintf(path, sizeof path, "%s/configs/inference.json", scratch());
    fuzz_require(volt_write_file(path, data, size) == VOLT_OK);
    if (volt_bundle_read(&b, scratch(), NULL) != VOLT_OK) {
        fuzz_require(!b.plans && strstr(volt_last_error(), "inference.json") != NULL);
        return 0;
    }
    if (volt_dataset_info_parse(&info, b.dataset, strlen(b.dataset), "a bundle") == VOLT_OK &&
        volt_plan_parse(&plan, b.plans, strlen(b.plans), "a bundle", &info) != VOLT_OK)
        fuzz_require(*volt_last_error());
    volt_plan_free(plan);
    volt_dataset_info_clear(&info);
    volt_bundle_clear(&b);
    return 0;
}
