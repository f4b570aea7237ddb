#include "nets3d/run_folds.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define LAST_FOLD 999

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
    return *end || number > LAST_FOLD ? -2 : (int)number;
}

volt_status volt_fold_list_next(int *low, int *high, const char **text, const char *whole)
{
    const char *at = *text;
    char *end;

    if (strncmp(at, "all", 3) == 0) {
        *low = *high = -1;
        at += 3;
    } else {
        long first = 0, last = 0;
        bool number = *at >= '0' && *at <= '9';
        if (number) {
            first = last = strtol(at, &end, 10);
            at = end;
        }
        if (number && *at == '-') {
            at++;
            number = *at >= '0' && *at <= '9';
            last = number ? strtol(at, &end, 10) : 0;
            at = number ? end : at;
        }
        if (!number || first > LAST_FOLD || last > LAST_FOLD || last < first)
            return volt_fail(VOLT_EINVAL,
                             "folds '%s': numbers, ranges or all are expected, such as 0-4 or "
                             "0,2,all",
                             whole);
        *low = (int)first;
        *high = (int)last;
    }
    if (*at && (*at != ',' || !at[1]))
        return volt_fail(VOLT_EINVAL, "folds '%s': a comma and a fold are expected at '%s'",
                         whole, at);
    *text = *at ? at + 1 : at;
    return VOLT_OK;
}

/* Marks the folds of the list at 0 .. LAST_FOLD, all at LAST_FOLD + 1. */
static volt_status mark_asked(bool asked[LAST_FOLD + 2], const char *list)
{
    int low = 0, high = 0;
    volt_status st = VOLT_OK;

    for (const char *at = list; st == VOLT_OK && (at == list || *at);) {
        st = volt_fold_list_next(&low, &high, &at, list);
        for (int k = low; st == VOLT_OK && k <= high; k++)
            asked[k < 0 ? LAST_FOLD + 1 : k] = true;
    }
    return st;
}

/* Those that were asked for and not found. */
static volt_status check_found(const bool asked[LAST_FOLD + 2], const char *run,
                               const char *what)
{
    char name[16] = "fold_all";
    int k = 0;

    while (k < LAST_FOLD + 2 && !asked[k])
        k++;
    if (k == LAST_FOLD + 2)
        return VOLT_OK;
    if (k <= LAST_FOLD)
        snprintf(name, sizeof name, "fold_%d", k);
    return volt_fail(VOLT_EIO, "%s has no %s with %s", run, name, what);
}

volt_status volt_fold_folders(volt_names *out, const char *run, const char *asked,
                              const volt_fold_rule *rule)
{
    bool missing[LAST_FOLD + 2] = {false};
    volt_names names = {0};
    volt_names found = {0};
    bool numbered = false;
    volt_status st = VOLT_OK;

    if (asked)
        VOLT_TRY(st, done, mark_asked(missing, asked));
    VOLT_TRY(st, done, volt_list_dir(&names, run));
    VOLT_TRY(st, done,
             volt_alloc_zero(&found.name, names.count + 1, sizeof *found.name, "folds"));
    for (size_t i = 0; i < names.count; i++) {
        const int number = volt_fold_number(names.name[i]);
        const int index = number < 0 ? LAST_FOLD + 1 : number;
        char *path = NULL;
        if (number < -1 || (asked ? !missing[index] : number < 0 && numbered))
            continue;
        VOLT_TRY(st, done, volt_path_join(&path, run, names.name[i]));
        if (rule->fits(path)) {
            found.name[found.count++] = path;
            numbered = numbered || number >= 0;
            missing[index] = false;
        } else {
            volt_free(path);
        }
    }
    VOLT_TRY(st, done, check_found(missing, run, rule->what));
    *out = found;
    found = (volt_names){0};
done:
    volt_names_free(&found);
    volt_names_free(&names);
    return st;
}
