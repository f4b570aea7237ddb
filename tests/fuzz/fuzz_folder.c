/* Any names in a folder and one below it: refused, or cases that are told apart by their ids.
 */
#include "tests/fuzz/fuzz.h"

#include <fcntl.h>
#include "base/system/file.h"
#include "io/dataset.h"

enum { MOST_FILES = 24, MOST_BYTES = 200 };

static const char *scratch(void)
{
    static char folder[64];

    snprintf(folder, sizeof folder, "/tmp/volt-fuzz-folder-%d", (int)getpid());
    return folder;
}

/* Each line of the input is the name of an empty file; one that starts with '+' lies in "in".
 */
static void make_files(char names[MOST_FILES][MOST_BYTES + 100], int *count,
                       const uint8_t *data, size_t size)
{
    for (size_t at = 0; at < size && *count < MOST_FILES;) {
        const uint8_t *end = memchr(data + at, '\n', size - at);
        size_t bytes = end ? (size_t)(end - data) - at : size - at, skip;
        char name[MOST_BYTES + 1] = "";
        const char *below = data[at] == '+' ? "in/" : "";
        int fd;

        skip = bytes + 1;
        bytes = bytes > MOST_BYTES ? MOST_BYTES : bytes;
        memcpy(name, data + at, bytes);
        at += skip;
        if (strchr(name, '/') || !*name)
            continue;
        snprintf(names[*count], sizeof names[0], "%s/%s%s", scratch(), below,
                 name + (*below != '\0'));
        fd = open(names[*count], O_WRONLY | O_CREAT | O_TRUNC, 0600);
        if (fd < 0)
            continue;
        close(fd);
        ++*count;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char names[MOST_FILES][MOST_BYTES + 100];
    char below[128];
    volt_dataset *ds = NULL;
    int count = 0;

    snprintf(below, sizeof below, "%s/in", scratch());
    fuzz_require(volt_make_dirs(below) == VOLT_OK);
    make_files(names, &count, data, size);
    if (volt_dataset_open(&ds, scratch(), NULL) == VOLT_OK) {
        for (int64_t i = 0; i < ds->cases.count; i++)
            fuzz_require(volt_dataset_find(ds, ds->cases.item[i].id) == i &&
                         ds->cases.item[i].files > 0);
        volt_dataset_close(ds);
    }
    for (int i = 0; i < count; i++)
        unlink(names[i]);
    return 0;
}
