/* Any bytes as dataset.json: refused, or cases with sorted ids whose files can be asked for. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/file.h"
#include "base/mem.h"
#include "io/dataset.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A folder of this process with one image and one label. */
static const char *scratch(void)
{
    static char folder[64], path[128];

    if (*folder)
        return folder;
    snprintf(folder, sizeof folder, "/tmp/volt-fuzz-dataset-%d", (int)getpid());
    snprintf(path, sizeof path, "%s/imagesTr", folder);
    if (volt_make_dirs(path) != VOLT_OK)
        abort();
    snprintf(path, sizeof path, "%s/imagesTr/a_0000.nii.gz", folder);
    if (volt_write_file(path, "x", 1) != VOLT_OK)
        abort();
    return folder;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[128];
    volt_dataset *ds = NULL;
    volt_dataset_info again = {0};
    char *text = NULL;
    FILE *f;

    snprintf(path, sizeof path, "%s/dataset.json", scratch());
    f = fopen(path, "wb");
    if (!f || fwrite(data, 1, size, f) != size || fclose(f) != 0)
        abort();
    if (volt_dataset_open(&ds, scratch()) != VOLT_OK)
        return 0;
    for (int64_t i = 0; i < ds->cases.count; i++) {
        if (volt_dataset_find(ds, ds->cases.item[i].id) != i)
            abort();
    }
    if (volt_dataset_info_text(&text, &ds->info) != VOLT_OK ||
        volt_dataset_info_parse(&again, text, strlen(text), "again") != VOLT_OK ||
        again.labels != ds->info.labels || again.ignore_label != ds->info.ignore_label)
        abort();
    volt_dataset_info_clear(&again);
    volt_free(text);
    volt_dataset_close(ds);
    return 0;
}
