#include "apps/cli/label_files.h"

#include <math.h>
#include <string.h>
#include "io/dataset.h"
#include "io/label_table.h"

enum { INTENT_LABEL = 1002 };

volt_status cli_label_files(int *out, const char *text)
{
    static const struct {
        const char *word;
        int bit;
    } words[] = {{"snap", VOLT_LABEL_FILE_SNAP},
                 {"ctbl", VOLT_LABEL_FILE_SLICER},
                 {"seg-nrrd", VOLT_LABEL_FILE_SEG_NRRD}};
    int bits = 0;

    for (const char *at = text; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
        const size_t length = strcspn(at, ",");
        int bit = 0;

        for (int i = 0; i < 3; i++) {
            if (strlen(words[i].word) == length && strncmp(words[i].word, at, length) == 0)
                bit = words[i].bit;
        }
        if (!bit)
            return volt_fail(VOLT_EINVAL, "--label-files: '%.*s' is not snap, ctbl or seg-nrrd",
                             (int)length, at);
        bits |= bit;
    }
    *out = bits;
    return VOLT_OK;
}

volt_status cli_declares_mask(bool *out, const volt_volume *v, const volt_image_header *h,
                              const char *path)
{
    const int64_t voxels = volt_grid_voxels(&v->grid);
    volt_label_table table = {0};
    double last = 0;
    volt_status st = volt_label_table_read(path, &table);

    *out = h->intent_code == INTENT_LABEL || (st == VOLT_OK && table.own);
    if (!*out && st == VOLT_OK && table.count > 0 && v->grid.channels == 1) {
        *out = true;
        for (int64_t i = 0; i < voxels && *out; i++) {
            const double value = round(volt_voxel_value(v, i));

            if (value == last)
                continue;
            last = value;
            *out = value == 0 || (fabs(value) < 9e15 &&
                                  volt_label_table_name(&table, (int64_t)value) != NULL);
        }
    }
    volt_label_table_clear(&table);
    return st == VOLT_ENOMEM ? st
                             : VOLT_OK; /* whoever reads the names reports a damaged table */
}
