/* Any bytes as dataset.json: refused, or cases with sorted ids whose files can be asked for. */
#include "tests/fuzz/fuzz.h"

#include "base/system/file.h"
#include "base/mem.h"
#include "io/dataset.h"

/* A folder of this process with one image, whose dataset.json is the input. */
static const char *scratch(const char *input)
{
    static char folder[64];
    char path[128];

    if (*folder)
        return folder;
    snprintf(folder, sizeof folder, "/tmp/volt-fuzz-dataset-%d", (int)getpid());
    snprintf(path, sizeof path, "%s/imagesTr", folder);
    fuzz_require(volt_make_dirs(path) == VOLT_OK);
    snprintf(path, sizeof path, "%s/imagesTr/a_0000.nii.gz", folder);
    fuzz_require(volt_write_file(path, "x", 1) == VOLT_OK);
    snprintf(path, sizeof path, "%s/dataset.json", folder);
    unlink(path);
    fuzz_require(symlink(input, path) == 0);
    return folder;
}

/* Opened with paths out of the data set or without; only environment variables, written with a
 * dollar, lead out then. */
static bool try_open(const char *folder, bool outside, bool dollar)
{
    volt_dataset_options o = volt_dataset_defaults();
    volt_dataset *ds = NULL;
    volt_dataset_info again = {0};
    char *text = NULL;

    o.allow_outside = outside;
    if (volt_dataset_open(&ds, folder, &o) != VOLT_OK)
        return false;
    for (int64_t i = 0; i < ds->cases.count && !outside && !dollar; i++) {
        const volt_case *c = &ds->cases.item[i];
        for (int k = 0; k < c->files; k++)
            fuzz_require(strncmp(c->file[k], folder, strlen(folder)) == 0 &&
                         !strstr(c->file[k], "/../"));
    }
    for (int64_t i = 0; i < ds->cases.count; i++)
        fuzz_require(volt_dataset_find(ds, ds->cases.item[i].id) == i);
    fuzz_require(volt_dataset_info_text(&text, &ds->info) == VOLT_OK);
    fuzz_require(volt_dataset_info_parse(&again, text, strlen(text), "again") == VOLT_OK);
    fuzz_require(again.labels == ds->info.labels);
    fuzz_require(again.ignore_label == ds->info.ignore_label);
    fuzz_require(again.regions == ds->info.regions);
    for (int r = 0; r < again.regions; r++)
        fuzz_require(again.region[r].values == ds->info.region[r].values &&
                     again.region[r].painted == ds->info.region[r].painted);
    fuzz_require((again.stored != NULL) == (ds->info.stored != NULL));
    volt_dataset_info_clear(&again);
    volt_free(text);
    volt_dataset_close(ds);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *folder = scratch(fuzz_file(data, size));

    const bool dollar = memchr(data, '$', size) != NULL || memmem(data, size, "u0024", 5);

    if (try_open(folder, false, dollar))
        fuzz_require(try_open(folder, true, dollar));
    return 0;
}
