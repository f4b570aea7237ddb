#include "nets3d/pipeline.h"

#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "io/workspace.h"

void volt_pipeline_clear(volt_pipeline *p)
{
    volt_free(p->cases);
    volt_plan_free(p->plan);
    volt_fingerprint_clear(&p->fingerprint);
    volt_free(p->work);
    volt_dataset_close(p->dataset);
    *p = (volt_pipeline){0};
}

/* Logs the findings; VOLT_EDATA when one of them is an error. */
static volt_status check(const volt_dataset *ds, const volt_pipeline_options *o)
{
    volt_findings found = {0};
    volt_status st;

    volt_report(o->callbacks, VOLT_LOG_INFO, "checking %lld cases of %s",
                (long long)ds->cases.count, ds->folder);
    VOLT_TRY(st, done, volt_dataset_check(&found, ds, o->threads, o->callbacks));
    for (int64_t i = 0; i < found.count; i++)
        volt_report(o->callbacks, VOLT_LOG_WARNING, "%s: %s",
                    found.item[i].severity == VOLT_ERROR ? "error" : "warning",
                    found.item[i].sentence);
    st = volt_findings_judge(&found);
done:
    volt_findings_clear(&found);
    return st;
}

/* Whether the fingerprint at `path` is of this data set; then it is in *out. */
static bool fits(volt_fingerprint *out, const char *path, const volt_dataset *ds)
{
    volt_fingerprint fp = {0};

    if (!volt_path_exists(path) || volt_fingerprint_read(&fp, path) != VOLT_OK)
        return false;
    if (fp.cases != ds->cases.count || fp.channels != ds->info.channels) {
        volt_fingerprint_clear(&fp);
        return false;
    }
    *out = fp;
    return true;
}

static volt_status fingerprint(volt_pipeline *p, const volt_pipeline_options *o)
{
    char *path = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_path_join(&path, p->work, VOLT_WORK_FINGERPRINT));
    if (!o->replan && fits(&p->fingerprint, path, p->dataset)) {
        volt_report(o->callbacks, VOLT_LOG_INFO, "fingerprint: %s", path);
        goto done;
    }
    VOLT_TRY(st, done, check(p->dataset, o));
    volt_report(o->callbacks, VOLT_LOG_INFO, "taking the fingerprint of %lld cases",
                (long long)p->dataset->cases.count);
    VOLT_TRY(st, done,
             volt_fingerprint_extract(&p->fingerprint, p->dataset, o->threads, o->callbacks));
    st = volt_fingerprint_write(path, &p->fingerprint);
done:
    volt_free(path);
    return st;
}

static volt_status plan(volt_pipeline *p, const volt_pipeline_options *o)
{
    char *path = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_path_join(&path, p->work, VOLT_WORK_PLANS));
    if (!o->replan && volt_path_exists(path)) {
        VOLT_TRY(st, done, volt_plan_read(&p->plan, path, &p->dataset->info));
        volt_report(o->callbacks, VOLT_LOG_INFO, "plan: %s", path);
        goto done;
    }
    VOLT_TRY(st, done,
             volt_plan_make(&p->plan, &p->fingerprint, &p->dataset->info, &o->planner));
    VOLT_TRY(st, done, volt_plan_write(path, p->plan));
    volt_report(o->callbacks, VOLT_LOG_INFO, "planned: %s", path);
done:
    volt_free(path);
    return st;
}

/* The configuration asked for, else 3d_fullres, else 2d. */
static volt_status choose(volt_pipeline *p, const char *name)
{
    volt_status st = volt_plan_find(&p->config, p->plan, name ? name : "3d_fullres");

    if (st != VOLT_OK && !name)
        st = volt_plan_find(&p->config, p->plan, "2d");
    if (st == VOLT_OK && p->config->previous_stage)
        st = volt_fail(VOLT_ENOTSUP,
                       "configuration %s refines the masks of %s; this build has no cascades",
                       p->config->name, p->config->previous_stage);
    return st;
}

static volt_status preprocess(volt_pipeline *p, const volt_pipeline_options *o)
{
    const volt_preprocess_options options = {
        .threads = o->threads, .overwrite = o->overwrite, .callbacks = o->callbacks};
    volt_status st;

    volt_report(o->callbacks, VOLT_LOG_INFO, "preparing %lld cases for %s in %s",
                (long long)p->dataset->cases.count, p->config->name, p->cases);
    VOLT_TRY(
        st, done,
        volt_preprocess(&p->preprocessed, p->cases, p->dataset, p->plan, p->config, &options));
    volt_report(o->callbacks, VOLT_LOG_INFO, "%lld cases prepared, %lld were ready",
                (long long)p->preprocessed.made, (long long)p->preprocessed.kept);
done:
    return st;
}

static void describe(const volt_dataset *ds, const volt_callbacks *cb)
{
    volt_report(cb, VOLT_LOG_INFO, "%s: %s, %lld cases", ds->folder, ds->layout,
                (long long)ds->cases.count);
    for (int64_t i = 0; i < ds->notes; i++)
        volt_report(cb, VOLT_LOG_INFO, "%s", ds->note[i]);
}

volt_status volt_pipeline_run(volt_pipeline *out, const volt_pipeline_options *options)
{
    volt_pipeline p = {0};
    volt_status st;

    VOLT_TRY(st, done, volt_dataset_open(&p.dataset, options->dataset, &options->data));
    describe(p.dataset, options->callbacks);
    VOLT_TRY(
        st, done,
        volt_workspace_open(&p.work, p.dataset->folder, options->work, options->callbacks));
    VOLT_TRY(st, done, fingerprint(&p, options));
    VOLT_TRY(st, done, plan(&p, options));
    VOLT_TRY(st, done, choose(&p, options->configuration));
    VOLT_TRY(st, done, volt_path_join(&p.cases, p.work, p.config->data_identifier));
    if (options->until >= VOLT_STAGE_PREPROCESS)
        VOLT_TRY(st, done, preprocess(&p, options));
    *out = p;
    p = (volt_pipeline){0};
done:
    volt_pipeline_clear(&p);
    return st;
}
