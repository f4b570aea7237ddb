#include "apps/cli/label_files.h"

#include <string.h>
#include "io/label_table.h"

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
