#include <string.h>

#include "base/system/file.h"
#include "base/core/alloc.h"
#include "nets3d/run.h"
#include "nets3d/run/folder.h"
#include "nets3d/run/found.h"

void volt_run_plan_clear(volt_run_plan *r)
{
    volt_plan_free(r->plan);
    volt_dataset_info_clear(&r->info);
    memset(r, 0, sizeof *r);
}

/* Path of a checkpoint of the first fold. */
static volt_status find_checkpoint(char **out, const char *run)
{
    volt_names folds = {0};
    volt_status st;

    if (!volt_path_is_dir(run))
        return volt_strdup(out, run);
    VOLT_TRY(st, done, volt_run_folds(&folds, run));
    st = volt_run_checkpoint(out, folds.name[0], NULL);
done:
    volt_names_free(&folds);
    return st;
}

volt_status volt_run_plan_read(volt_run_plan *out, const char *run)
{
    volt_run_found found = {0};
    volt_run_plan r = {0};
    char *path = NULL;
    volt_status st;

    VOLT_TRY(st, done, find_checkpoint(&path, run));
    VOLT_TRY(st, done, volt_run_found_read(&found, path));
    VOLT_TRY(
        st, done,
        volt_plan_parse(&r.plan, found.head.plan, strlen(found.head.plan), path, &found.info));
    VOLT_TRY(st, done, volt_plan_find(&r.config, r.plan, found.recipe.configuration));
    r.info = found.info;
    r.recipe = found.recipe.recipe;
    r.precision = found.recipe.precision;
    memset(&found.info, 0, sizeof found.info);
    *out = r;
    memset(&r, 0, sizeof r);
done:
    volt_run_plan_clear(&r);
    volt_run_found_clear(&found);
    volt_free(path);
    return st;
}
