/* A zip archive as a model: refused by a sentence, or unpacked into files below one folder. */
#include "tests/fuzz/fuzz.h"

#include "base/core/alloc.h"
#include "base/system/file.h"
#include "nets3d/interop/import_zip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const volt_model_import_options options = volt_model_import_defaults();
    const char *path = fuzz_file(data, size);
    char folder[64], *model = NULL;
    bool is = false;

    snprintf(folder, sizeof folder, "/tmp/volt-fuzz-model-zip-%d", (int)getpid());
    if (volt_import_is_zip(&is, path) != VOLT_OK) {
        fuzz_require(*volt_last_error());
        return 0;
    }
    if (!is)
        return 0;
    fuzz_require(volt_make_dirs(folder) == VOLT_OK);
    if (volt_import_unzip(&model, path, folder, &options) == VOLT_OK)
        fuzz_require(strncmp(model, folder, strlen(folder)) == 0 && !strstr(model, "/../"));
    else
        fuzz_require(!model && *volt_last_error());
    volt_free(model);
    volt_remove_folder(folder);
    return 0;
}
