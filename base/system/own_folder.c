#include "base/system/own_folder.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/core/alloc.h"

/* The file that this address was loaded from, as the kernel knows it: the loader may have been
 * given a relative path, and the current folder may have changed. NULL: unknown. */
static char *loaded_from(const void *address)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    char line[PATH_MAX + 128], *path = NULL;

    while (maps && !path && fgets(line, sizeof line, maps)) {
        unsigned long low, high;
        int at = 0;
        line[strcspn(line, "\n")] = '\0';
        if (sscanf(line, "%lx-%lx %*s %*s %*s %*s %n", &low, &high, &at) == 2 && at > 0 &&
            (unsigned long)address >= low && (unsigned long)address < high && line[at] == '/')
            path = realpath(line + at, NULL);
    }
    if (maps)
        fclose(maps);
    return path;
}

volt_status volt_own_folder(char **out)
{
    static const char here; /* an address in that file */
    char *path = loaded_from(&here), *slash = path ? strrchr(path, '/') : NULL;
    volt_status st = VOLT_OK;

    *out = NULL;
    if (slash)
        st = volt_format(out, "%.*s", (int)(slash - path), path);
    free(path);
    return st;
}
