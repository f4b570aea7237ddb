#include "nets3d/run_folds.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

int volt_fold_number(const char *path)
{
    const char *name = volt_path_name(path);
    char *end;
    long number;

    if (strncmp(name, "fold_", 5) != 0)
        return -2;
    if (strcmp(name, "fold_all") == 0)
        return -1;
    if (name[5] < '0' || name[5] > '9')
        return -2;
    number = strtol(name + 5, &end, 10);
    return *end || number > 999 ? -2 : (int)number;
}

/* Whether `folds` ("0,2,4"; NULL: all) names this one. */
static bool is_asked(const char *folds, int number)
{
    char text[16];
    const size_t length =
        (size_t)snprintf(text, sizeof text, number < 0 ? "all" : "%d", number);

    if (!folds)
        return true;
    for (const char *at = folds; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
        if (strcspn(at, ",") == length && strncmp(at, text, length) == 0)
            return true;
    }
    return false;
}

volt_status volt_fold_folders(volt_names *out, const char *run, const char *asked,
                              bool (*fits)(const char *folder))
{
    volt_names names = {0};
    volt_names found = {0};
    bool numbered = false;
    volt_status st;

    VOLT_TRY(st, done, volt_list_dir(&names, run));
    VOLT_TRY(st, done,
             volt_alloc_zero(&found.name, names.count + 1, sizeof *found.name, "folds"));
    for (size_t i = 0; i < names.count; i++) {
        const int number = volt_fold_number(names.name[i]);
        char *path = NULL;
        if (number < -1 || !is_asked(asked, number) || (number < 0 && numbered && !asked))
            continue;
        VOLT_TRY(st, done, volt_path_join(&path, run, names.name[i]));
        if (fits(path)) {
            found.name[found.count++] = path;
            numbered = numbered || number >= 0;
        } else {
            volt_free(path);
        }
    }
    *out = found;
    found = (volt_names){0};
done:
    volt_names_free(&found);
    volt_names_free(&names);
    return st;
}
