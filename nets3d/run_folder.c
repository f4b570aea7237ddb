#include "nets3d/run_folder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "nets3d/checkpoint.h"
#include "nets3d/run_folds.h"
#include "nets3d/train_state.h"

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

/* K of "fold_K", 1000 of "fold_all", -1 of another name. */
static int fold_of(const char *name)
{
    const int number = volt_fold_number(name);

    return number == -1 ? 1000 : number < 0 ? -1 : number;
}

static int by_fold(const void *a, const void *b)
{
    const char *const *x = a, *const *y = b;

    return fold_of(volt_path_name(*x)) - fold_of(volt_path_name(*y));
}

/* Appends `path` (taken over); there is room. */
static void append(volt_names *names, char *path)
{
    names->name[names->count++] = path;
}

volt_status volt_run_folds(volt_names *out, const char *run)
{
    volt_names names = {0}, inside = {0};
    char *path = NULL;
    volt_status st;

    if (volt_path_is_dir(run))
        VOLT_TRY(st, done, volt_list_dir(&inside, run));
    VOLT_TRY(st, done,
             volt_alloc_zero(&names.name, inside.count + 1, sizeof *names.name,
                             "the folds of a run"));
    if (volt_run_is_single(run)) {
        VOLT_TRY(st, done, volt_strdup(&path, run));
        append(&names, path);
    }
    for (size_t i = 0; i < inside.count && !volt_run_is_single(run); i++) {
        if (fold_of(inside.name[i]) < 0)
            continue;
        VOLT_TRY(st, done, volt_path_join(&path, run, inside.name[i]));
        if (volt_run_is_single(path))
            append(&names, path);
        else
            volt_free(path);
    }
    if (names.count == 0) {
        st = volt_fail(VOLT_EIO,
                       "%s holds no checkpoint, nor do folders fold_0, fold_1, ... "
                       "in it",
                       run);
        goto done;
    }
    qsort(names.name, names.count, sizeof *names.name, by_fold);
    *out = names;
    names = (volt_names){0};
    st = VOLT_OK;
done:
    volt_names_free(&inside);
    volt_names_free(&names);
    return st;
}

/* Whether the run that `latest` is of has reached its end. */
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
        st = volt_fail(VOLT_EIO, "%s does not exist", *chosen);
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
