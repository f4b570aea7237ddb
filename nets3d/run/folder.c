#include "nets3d/run/folder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/core/alloc.h"
#include "base/system/file.h"
#include "nets3d/run/checkpoint.h"
#include "nets3d/run/state.h"

#define LAST_FOLD 999
#define ENDING    ".safetensors"

/* "FOLDER/NAME" exists. */
static bool holds(const char *folder, const char *name)
{
    char *path = NULL;
    const bool there = volt_path_join(&path, folder, name) == VOLT_OK && volt_path_exists(path);

    volt_free(path);
    return there;
}

bool volt_run_is_single(const char *folder)
{
    return holds(folder, VOLT_RUN_LATEST) || holds(folder, VOLT_RUN_BEST);
}

/* ---- folds ---- */

int volt_fold_number(const char *path)
{
    const char *name = volt_path_name(path);
    char *end;
    long number;

    if (strncmp(name, "fold_", 5) != 0)
        return VOLT_FOLD_NONE;
    if (strcmp(name, "fold_all") == 0)
        return VOLT_FOLD_ALL;
    if (name[5] < '0' || name[5] > '9')
        return VOLT_FOLD_NONE;
    number = strtol(name + 5, &end, 10);
    return *end || number > LAST_FOLD ? VOLT_FOLD_NONE : (int)number;
}

volt_status volt_fold_list_next(int *low, int *high, const char **text, const char *whole)
{
    const char *at = *text;
    char *end;

    if (strncmp(at, "all", 3) == 0) {
        *low = *high = VOLT_FOLD_ALL;
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
            return volt_fail(
                VOLT_EINVAL,
                "folds '%s': numbers, ranges or 'all' are expected, such as 0-4 or "
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

/* Marks the folds of the list at 0 .. LAST_FOLD, fold_all at LAST_FOLD + 1. */
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

/* Fails if one that was asked for was not found. */
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

/* By number, fold_all last. */
static int by_fold(const void *a, const void *b)
{
    const char *const *x = a, *const *y = b;
    const int m = volt_fold_number(*x), n = volt_fold_number(*y);

    return (m < 0 ? LAST_FOLD + 1 : m) - (n < 0 ? LAST_FOLD + 1 : n);
}

volt_status volt_fold_folders(volt_names *out, const char *run, const char *asked,
                              const volt_fold_rule *rule)
{
    bool missing[LAST_FOLD + 2] = {false};
    volt_names names = {0}, found = {0};
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
        if (number == VOLT_FOLD_NONE || (asked && !missing[index]))
            continue;
        VOLT_TRY(st, done, volt_path_join(&path, run, names.name[i]));
        if (rule->fits(path)) {
            found.name[found.count++] = path;
            missing[index] = false;
        } else {
            volt_free(path);
        }
    }
    VOLT_TRY(st, done, check_found(missing, run, rule->what));
    qsort(found.name, found.count, sizeof *found.name, by_fold);
    if (!asked && !rule->every && found.count > 1 &&
        volt_fold_number(found.name[found.count - 1]) == VOLT_FOLD_ALL)
        volt_free(found.name[--found.count]);
    *out = found;
    found = (volt_names){0};
done:
    volt_names_free(&found);
    volt_names_free(&names);
    return st;
}

static volt_status fail_no_run(const char *path)
{
    if (volt_path_is_dir(path))
        return volt_fail(VOLT_EDATA,
                         "%s is not a run: it contains no checkpoint, and neither do folders "
                         "fold_0, fold_1, ... in it",
                         path);
    return volt_fail(VOLT_EIO, "there is no run %s: %s", path,
                     volt_path_exists(path) ? "it is a file, not a folder" : "no such folder");
}

volt_status volt_run_folds(volt_names *out, const char *run)
{
    static const volt_fold_rule rule = {
        .fits = volt_run_is_single, .what = "a checkpoint", .every = true};
    volt_names names = {0};
    volt_status st = VOLT_OK;

    if (volt_run_is_single(run)) {
        VOLT_TRY(st, done, volt_alloc_zero(&names.name, 1, sizeof *names.name, "folds"));
        VOLT_TRY(st, done, volt_strdup(&names.name[0], run));
        names.count = 1;
    } else if (volt_path_is_dir(run)) {
        VOLT_TRY(st, done, volt_fold_folders(&names, run, NULL, &rule));
    }
    if (names.count == 0) {
        st = fail_no_run(run);
        goto done;
    }
    *out = names;
    names = (volt_names){0};
done:
    volt_names_free(&names);
    return st;
}

bool volt_is_run(const char *path)
{
    static const volt_fold_rule trained = {.fits = volt_run_is_single, .what = "a checkpoint"};
    const size_t length = strlen(path), ending = strlen(ENDING);
    volt_names folds = {0};
    bool is = false;

    if (!volt_path_is_dir(path))
        return length > ending && strcmp(path + length - ending, ENDING) == 0;
    if (volt_run_is_single(path))
        return true;
    if (volt_fold_folders(&folds, path, NULL, &trained) == VOLT_OK)
        is = folds.count > 0;
    volt_names_free(&folds);
    return is;
}

/* ---- checkpoints ---- */

/* Whether the run of checkpoint `latest` has reached its end. */
static volt_status is_finished(bool *out, const char *latest)
{
    volt_checkpoint_head head = {0};
    volt_train_state state;
    volt_status st;

    VOLT_TRY(st, done, volt_checkpoint_read_head(&head, latest));
    VOLT_TRY(st, done, volt_train_state_parse(&state, head.state, latest));
    *out = state.epoch == state.epochs;
done:
    volt_checkpoint_head_free(&head);
    return st;
}

volt_status volt_run_checkpoint(char **out, const char *run, const char *asked)
{
    char *latest = NULL, *best = NULL, **chosen = &latest;
    bool finished = false;
    volt_status st;

    if (asked && strcmp(asked, "best") != 0 && strcmp(asked, "latest") != 0)
        return volt_fail(VOLT_EINVAL, "checkpoint '%s'; 'best' or 'latest' is expected", asked);
    VOLT_TRY(st, done, volt_path_join(&latest, run, VOLT_RUN_LATEST));
    VOLT_TRY(st, done, volt_path_join(&best, run, VOLT_RUN_BEST));
    if (asked) {
        chosen = strcmp(asked, "best") == 0 ? &best : &latest;
    } else if (volt_path_exists(best)) {
        if (volt_path_exists(latest))
            VOLT_TRY(st, done, is_finished(&finished, latest));
        chosen = finished ? &latest : &best;
    }
    if (!volt_path_exists(*chosen)) {
        st = asked ? volt_fail(VOLT_EIO, "%s does not exist", *chosen) : fail_no_run(run);
        goto done;
    }
    *out = *chosen;
    *chosen = NULL;
    st = VOLT_OK;
done:
    volt_free(best);
    volt_free(latest);
    return st;
}
