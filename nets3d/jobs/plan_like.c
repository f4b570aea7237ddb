#include "nets3d/jobs/plan_like.h"

#include "base/core/alloc.h"
#include "base/core/plural.h"
#include "base/names.h"
#include "base/system/file.h"
#include "nets3d/plan/plan_internal.h"
#include "nets3d/run.h"

/* Plan and data set of the first fold. */
static volt_status read_run(volt_plan **plan, volt_dataset_info *info, const char *run)
{
    volt_names folds = {0};
    char *plans = NULL, *dataset = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_run_folds(&folds, run));
    VOLT_TRY(st, done, volt_path_join(&plans, folds.name[0], "plans.json"));
    VOLT_TRY(st, done, volt_path_join(&dataset, folds.name[0], "dataset.json"));
    VOLT_TRY(st, done, volt_dataset_info_read(info, dataset));
    st = volt_plan_read(plan, plans, info);
done:
    volt_free(dataset);
    volt_free(plans);
    volt_names_free(&folds);
    return st;
}

static volt_status rename_to(char **name, const char *to)
{
    char *copy = NULL;
    const volt_status st = volt_strdup(&copy, to);

    if (st == VOLT_OK) {
        volt_free(*name);
        *name = copy;
    }
    return st;
}

volt_status volt_plan_like(volt_plan **out, const char *run, const volt_dataset_info *info)
{
    volt_dataset_info theirs = {0};
    volt_plan *plan = NULL;
    volt_status st;

    VOLT_TRY(st, done, read_run(&plan, &theirs, run));
    if (plan->channels != info->channels) {
        st = volt_fail(
            VOLT_EINVAL,
            "the network of %s takes %d channel%s, but %s has %d: its plan does not fit", run,
            plan->channels, volt_s(plan->channels), info->name, info->channels);
        goto done;
    }
    VOLT_TRY(st, done, rename_to(&plan->dataset_name, info->name));
    VOLT_TRY(st, done, rename_to(&plan->reader, volt_plan_reader_of(info->file_ending)));
    plan->classes = info->labels;
    plan->regions = info->regions;
    for (int i = 0; i < plan->configs; i++)
        volt_plan_set_channels(plan, &plan->config[i]);
    *out = plan;
    plan = NULL;
done:
    volt_plan_free(plan);
    volt_dataset_info_clear(&theirs);
    return st;
}
