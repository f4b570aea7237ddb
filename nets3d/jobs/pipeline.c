#include "nets3d/pipeline.h"

#include <string.h>

#include "base/core/options.h"
#include "base/core/report.h"
#include "base/system/file.h"
#include "base/system/owner.h"
#include "base/mem.h"
#include "base/threads.h"
#include "base/core/plural.h"
#include "io/store/case_key.h"
#include "io/workspace.h"
#include "nets3d/plan/data_key.h"
#include "nets3d/plan/plan_internal.h"
#include "nets3d/plan/splits.h"
#include "nets3d/plan/topology.h"
#include "nets3d/jobs/fit_memory.h"
#include "nets3d/jobs/pipeline_masks.h"
#include "nets3d/jobs/plan_like.h"
#include "nets3d/run.h"
#include "volume/orient.h"

void volt_pipeline_clear(volt_pipeline *p)
{
    volt_free(p->previous_run);
    volt_free(p->prior_masks);
    volt_free(p->cases);
    volt_plan_free(p->plan);
    volt_fingerprint_clear(&p->fingerprint);
    volt_free(p->work);
    volt_dataset_close(p->dataset);
    *p = (volt_pipeline){0};
}

static void log_finding(void *user, volt_severity severity, const char *sentence)
{
    const volt_pipeline_options *o = user;

    if (severity == VOLT_ERROR) /* the call fails with the first of them */
        volt_report(o->callbacks, VOLT_LOG_INFO, "error: %s", sentence);
    else
        volt_report(o->callbacks, VOLT_LOG_WARNING, "%s", sentence);
}

/* Logs the findings; VOLT_EDATA if one of them is an error. */
static volt_status check(const volt_dataset *ds, const volt_pipeline_options *o)
{
    volt_findings found = {0};
    volt_status st;

    volt_report(o->callbacks, VOLT_LOG_INFO, "checking %lld case%s of %s",
                (long long)ds->cases.count, volt_s(ds->cases.count), ds->folder);
    VOLT_TRY(st, done, volt_dataset_check(&found, ds, o->threads, o->callbacks));
    volt_findings_list(&found, VOLT_FINDINGS_SHOWN, log_finding, (void *)(uintptr_t)o);
    st = volt_findings_judge(&found);
done:
    volt_findings_clear(&found);
    return st;
}

/* What the fingerprint in the work folder is worth. */
typedef enum stored {
    STORED_NONE, /* or damaged */
    STORED_FITS, /* then it is in the pipeline */
    STORED_OTHER /* of another data set, or of this one before it changed */
} stored;

/* `key`: the data set's, or 0 until it is needed. A fingerprint without a key, of nnU-Net, fits
 * by its numbers of cases and channels. */
static stored find_fingerprint(volt_pipeline *p, uint64_t *key, const char *path)
{
    const volt_dataset *ds = p->dataset;
    volt_fingerprint fp = {0};
    bool fits;

    if (!volt_path_exists(path) || volt_fingerprint_read(&fp, path) != VOLT_OK)
        return STORED_NONE;
    fits = fp.cases == ds->cases.count && fp.channels == ds->info.channels;
    if (fits && fp.data_key != 0) {
        if (*key == 0 && volt_data_key(key, ds) != VOLT_OK)
            *key = 0; /* a file is missing: the check names it */
        fits = fp.data_key == *key;
    }
    if (!fits) {
        volt_fingerprint_clear(&fp);
        return STORED_OTHER;
    }
    volt_fingerprint_clear(&p->fingerprint);
    p->fingerprint = fp;
    return STORED_FITS;
}

/* Creates the work folder, which was chosen before, and waits for other processes that prepare
 * the same data set: their results are used. */
static volt_status open_work(volt_owner **owner, volt_pipeline *p,
                             const volt_pipeline_options *o)
{
    char *work = NULL;
    const volt_status st =
        volt_workspace_open(&work, p->dataset->folder, o->work, o->callbacks);

    if (st != VOLT_OK)
        return st;
    volt_free(p->work);
    p->work = work;
    return volt_owner_take(owner, work, VOLT_OWNER_WAIT, o->callbacks);
}

/* The folds that are to be trained must have a split. */
static volt_status check_folds(const volt_pipeline *p, const volt_pipeline_options *o)
{
    char *path = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_path_join(&path, p->work, VOLT_WORK_SPLITS));
    for (int i = 0; i < o->folds; i++)
        VOLT_TRY(st, done, volt_split_check(p->dataset, path, o->fold[i]));
done:
    volt_free(path);
    return st;
}

/* A configuration that no planner chooses, and that no plan has, as there is none. */
static volt_status check_name(const volt_pipeline *p, const volt_pipeline_options *o)
{
    static const char *const known[] = {
        "2d",           "3d_fullres", "3d_lowres", "3d_cascade_fullres", VOLT_PLAN_SLICES,
        VOLT_PLAN_WHOLE};
    char *path = NULL;
    bool fits = !o->configuration || p->plan;
    volt_status st = volt_path_join(&path, p->work, VOLT_WORK_PLANS);

    for (size_t i = 0; !fits && i < sizeof known / sizeof *known; i++)
        fits = strcmp(o->configuration, known[i]) == 0;
    if (st == VOLT_OK && !fits && (o->replan || !volt_path_exists(path)))
        st = volt_fail(VOLT_EINVAL,
                       "no plan has a configuration '%s'; there are 2d, 3d_fullres, 3d_lowres, "
                       "3d_cascade_fullres, " VOLT_PLAN_SLICES " and " VOLT_PLAN_WHOLE,
                       o->configuration);
    volt_free(path);
    return st;
}

/* What can be judged before the scans are read. */
static volt_status check_request(volt_pipeline *p, const volt_pipeline_options *o)
{
    volt_status st = VOLT_OK;

    for (int i = 0; i < o->extras; i++)
        VOLT_TRY(st, done, volt_plan_extra_check(&o->extra[i]));
    if (o->like)
        VOLT_TRY(st, done, volt_plan_like(&p->plan, o->like, &p->dataset->info));
    VOLT_TRY(st, done, check_name(p, o));
    if (p->dataset->cases.count > 0) /* without, the check says where they are expected */
        st = check_folds(p, o);
done:
    return st;
}

/* *changed: there was one of another data set, or of this one before it changed. */
static volt_status fingerprint(bool *changed, volt_owner **owner, volt_pipeline *p,
                               const volt_pipeline_options *o)
{
    uint64_t key = 0;
    char *path = NULL;
    stored before, now;
    volt_status st;

    VOLT_TRY(st, done, volt_path_join(&path, p->work, VOLT_WORK_FINGERPRINT));
    before = find_fingerprint(p, &key, path);
    if (before != STORED_FITS || o->replan)
        VOLT_TRY(st, done, check(p->dataset, o));
    VOLT_TRY(st, done, open_work(owner, p, o)); /* nothing is created before the check */
    now = find_fingerprint(p, &key, path);      /* another process may have replaced it */
    *changed = now == STORED_OTHER;
    if (now == STORED_FITS && !o->replan) {
        volt_report(o->callbacks, VOLT_LOG_INFO, "fingerprint: %s", path);
        goto done;
    }
    if (before == STORED_FITS && !o->replan)
        VOLT_TRY(st, done, check(p->dataset, o));
    if (*changed && !o->replan)
        volt_report(o->callbacks, VOLT_LOG_WARNING,
                    "%s is of other cases or channels than %s has; it is extracted again", path,
                    p->dataset->folder);
    volt_report(o->callbacks, VOLT_LOG_INFO, "extracting the fingerprint of %lld case%s",
                (long long)p->dataset->cases.count, volt_s(p->dataset->cases.count));
    volt_fingerprint_clear(&p->fingerprint);
    VOLT_TRY(st, done,
             volt_fingerprint_extract(&p->fingerprint, p->dataset, o->threads, o->callbacks));
    st = volt_fingerprint_write(path, &p->fingerprint);
done:
    volt_free(path);
    return st;
}

static volt_status make_plan(volt_pipeline *p, const volt_pipeline_options *o)
{
    const volt_plan_memory_options memory = {.threads = o->threads, .callbacks = o->callbacks};
    volt_planner_options planner = *o->planner;
    volt_status st;

    if (o->memory_auto)
        VOLT_TRY(st, done,
                 volt_plan_memory_fit(&planner.memory_gb, &p->fingerprint, &p->dataset->info,
                                      &planner, &memory));
    st = volt_plan_make(&p->plan, &p->fingerprint, &p->dataset->info, &planner);
done:
    return st;
}

/* p->plan is the run's; a plan that exists must be the same. */
static volt_status take_plan(const volt_pipeline *p, const char *path,
                             const volt_pipeline_options *o)
{
    volt_plan *existing = NULL;
    char *wanted = NULL, *found = NULL;
    volt_status st = VOLT_OK;

    if (o->replan || !volt_path_exists(path))
        goto done;
    VOLT_TRY(st, done, volt_plan_text(&wanted, p->plan));
    VOLT_TRY(st, done, volt_plan_read(&existing, path, &p->dataset->info));
    existing->data_key = p->plan->data_key; /* for whatever data it was taken before */
    VOLT_TRY(st, done, volt_plan_text(&found, existing));
    if (strcmp(wanted, found) != 0)
        st = volt_fail(
            VOLT_EINVAL,
            "%s exists and is another plan than that of %s: plan again, or use another "
            "work folder",
            path, o->like);
done:
    volt_free(found);
    volt_free(wanted);
    volt_plan_free(existing);
    return st;
}

static bool has_config(const volt_plan *plan, const char *name)
{
    for (int i = 0; i < plan->configs; i++) {
        if (strcmp(plan->config[i].name, name) == 0)
            return true;
    }
    return false;
}

/* The axis (0 z, 1 y, 2 x) of the first case's file that is normal to this plane. */
static volt_status axis_normal_to(int *out, volt_plane plane, const volt_dataset *ds)
{
    static const char *const directions[] = {
        [VOLT_PLANE_AXIAL] = "IS", [VOLT_PLANE_CORONAL] = "AP", [VOLT_PLANE_SAGITTAL] = "LR"};
    const char *common = ds->info.orientation; /* to which every case is reoriented */
    volt_image_header *header = NULL;
    char codes[4];
    volt_status st = volt_image_info(&header, ds->cases.item[0].file[0]);

    if (st != VOLT_OK)
        return st;
    volt_orientation_codes(codes, &header->grid); /* of x, y, z */
    if (*common)
        memcpy(codes, common, sizeof codes);
    for (int a = 0; a < 3; a++) {
        if (strchr(directions[plane], codes[2 - a]))
            *out = a;
    }
    volt_image_header_free(header);
    return VOLT_OK;
}

static volt_status add_config(volt_pipeline *p, const volt_plan_extra *extra,
                              const volt_pipeline_options *o)
{
    volt_plan_extra e = *extra;
    volt_status st = VOLT_OK;

    if (o->plane != VOLT_PLANE_NONE && strcmp(e.name, VOLT_PLAN_SLICES) == 0)
        VOLT_TRY(st, done, axis_normal_to(&e.axis, o->plane, p->dataset));
    st = volt_plan_add(p->plan, &e, &p->fingerprint, &p->dataset->info, o->planner);
done:
    return st;
}

/* Adds the configurations asked for; *changed: whether there were any. */
static volt_status extend(bool *changed, volt_pipeline *p, const volt_pipeline_options *o)
{
    const char *name = o->configuration;
    const volt_plan_extra wanted = {.name = name, .axis = VOLT_AXIS_COARSEST};
    volt_status st = VOLT_OK;

    *changed = o->extras > 0;
    for (int i = 0; i < o->extras; i++)
        VOLT_TRY(st, done, add_config(p, &o->extra[i], o));
    if (name && !has_config(p->plan, name) &&
        (strcmp(name, VOLT_PLAN_SLICES) == 0 || strcmp(name, VOLT_PLAN_WHOLE) == 0)) {
        VOLT_TRY(st, done, add_config(p, &wanted, o));
        *changed = true;
    }
done:
    return st;
}

/* Warns if a planner or memory target was asked for that the plan on disk may not have. */
static void warn_if_kept(const volt_plan *plan, const char *path,
                         const volt_pipeline_options *o)
{
    volt_planner made = VOLT_PLANNER_DEFAULT;

    volt_planner_of_class(&made, plan->planner);
    if ((o->planner->planner != VOLT_PLANNER_DEFAULT && o->planner->planner != made) ||
        ((o->planner->memory_gb > 0 || o->memory_auto) && !o->extras))
        volt_report(o->callbacks, VOLT_LOG_WARNING,
                    "%s exists and is used as it is, not with another planner or memory target",
                    path);
}

/* Warns of channels that a plan on disk normalizes otherwise than their names ask for. */
static void warn_of_normalization(const volt_pipeline *p, const char *path,
                                  const volt_pipeline_options *o)
{
    const volt_plan_config *config = p->plan->configs > 0 ? &p->plan->config[0] : NULL;

    for (int c = 0; config && c < p->plan->channels; c++) {
        const char *name = p->dataset->info.channel_name[c];
        const volt_normalization asked = volt_norm_for_channel(name);
        if (config->norm[c] != asked)
            volt_report(o->callbacks, VOLT_LOG_WARNING,
                        "%s normalizes channel %d, \"%s\", by %s, not by %s as its name asks "
                        "for; the plan is used as it is",
                        path, c, name, volt_norm_class(config->norm[c]),
                        volt_norm_class(asked));
    }
}

/* Whether an existing plan was made for other files than these. `data_changed` decides where a
 * key is unknown. */
static bool is_of_other_data(const volt_pipeline *p, bool data_changed)
{
    const uint64_t planned = p->plan->data_key, found = p->fingerprint.data_key;

    return planned != 0 && found != 0 ? planned != found : data_changed;
}

/* Warns of an existing plan of other data. A data set without a name has that of its folder, so
 * another name alone may only mean that it was moved. */
static void warn_of_other_data(const volt_pipeline *p, const char *path, bool data_changed,
                               const volt_pipeline_options *o)
{
    const uint64_t planned = p->plan->data_key;
    const char *name = p->dataset->info.name;
    const bool moved = planned != 0 && planned == p->fingerprint.data_key &&
                       strcmp(name, volt_path_name(p->dataset->folder)) == 0;

    if (is_of_other_data(p, data_changed))
        volt_report(o->callbacks, VOLT_LOG_WARNING,
                    "%s was planned for other cases or channels than %s has; the plan is used "
                    "as it is",
                    path, p->dataset->folder);
    else if (!moved && strcmp(p->plan->dataset_name, name) != 0)
        volt_report(o->callbacks, VOLT_LOG_WARNING,
                    "%s was planned for the data set %s, not for %s; the plan is used as it is",
                    path, p->plan->dataset_name, name);
}

/* Warns of folds that were written for other data: of those that this data set would not get by
 * itself. */
static volt_status warn_of_splits(const volt_pipeline *p, const volt_pipeline_options *o)
{
    bool needed = false, own = true;
    char *path = NULL;
    volt_status st;

    for (int i = 0; i < o->folds; i++)
        needed = needed || o->fold[i] != VOLT_FOLD_ALL;
    VOLT_TRY(st, done, volt_path_join(&path, p->work, VOLT_WORK_SPLITS));
    if (needed && volt_path_exists(path))
        VOLT_TRY(st, done, volt_splits_are_own(&own, path, p->dataset));
    if (!own)
        volt_report(o->callbacks, VOLT_LOG_WARNING,
                    "%s was written for other cases than %s has; its folds are used as they "
                    "are; delete it to split the cases again",
                    path, p->dataset->folder);
done:
    volt_free(path);
    return st;
}

static volt_status plan(volt_pipeline *p, bool data_changed, const volt_pipeline_options *o)
{
    bool changed, made = false, other = data_changed;
    char *path = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_path_join(&path, p->work, VOLT_WORK_PLANS));
    if (o->like) {
        p->plan->data_key = p->fingerprint.data_key; /* for this data set it is wanted */
        VOLT_TRY(st, done, take_plan(p, path, o));
        made = true;
    } else if (!o->replan && volt_path_exists(path)) {
        VOLT_TRY(st, done, volt_plan_read(&p->plan, path, &p->dataset->info));
        warn_if_kept(p->plan, path, o);
        warn_of_normalization(p, path, o);
        warn_of_other_data(p, path, data_changed, o);
        other = is_of_other_data(p, data_changed);
    } else {
        VOLT_TRY(st, done, make_plan(p, o));
        made = true;
    }
    if (other)
        VOLT_TRY(st, done, warn_of_splits(p, o));
    VOLT_TRY(st, done, extend(&changed, p, o));
    if (made || changed)
        VOLT_TRY(st, done, volt_plan_write(path, p->plan));
    volt_report(o->callbacks, VOLT_LOG_INFO, "%s: %s",
                o->like   ? "taken from the run"
                : made    ? "planned"
                : changed ? "plan extended"
                          : "plan",
                path);
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
    return st;
}

/* ---- ranks ---- */

#define PATIENCE_S 1e8 /* for what another rank does alone */

/* What decides how cases are preprocessed, in a number. */
static volt_status key_of_plan(uint64_t *out, const volt_pipeline *p)
{
    uint64_t key = VOLT_KEY_START;
    char *text = NULL;
    const volt_status st = volt_plan_text(&text, p->plan);

    if (st == VOLT_OK) {
        volt_key_mix(&key, text, strlen(text));
        volt_key_mix(&key, p->config->name, strlen(p->config->name));
        *out = key;
    }
    volt_free(text);
    return st;
}

/* This rank's part of the cases; *created: by all ranks together. Whatever a rank leaves out,
 * the next step makes. `with`: the plan is rank 0's. */
static volt_status preprocess_part(int64_t *created, volt_pipeline *p, bool with,
                                   const volt_pipeline_options *o)
{
    volt_preprocess_options options = volt_preprocess_defaults();
    volt_preprocess_result result = {0};
    double sum = 0;
    volt_status st = VOLT_OK;

    options.threads = o->threads;
    options.overwrite = o->overwrite;
    options.callbacks = o->callbacks;
    options.comm = o->comm;
    if (with)
        VOLT_TRY(st, done,
                 volt_preprocess(&result, p->cases, p->dataset, p->plan, p->config, &options));
    sum = (double)result.created;
    VOLT_TRY(st, done, volt_comm_sum_f64(o->comm, &sum, 1));
    *created = (int64_t)sum;
done:
    return st;
}

/* Rank 0, which has a plan, and with it all others. */
static volt_status share_cases(int64_t *created, volt_pipeline *p,
                               const volt_pipeline_options *o)
{
    uint64_t key = 0;
    volt_status st;

    VOLT_TRY(st, done, key_of_plan(&key, p));
    VOLT_TRY(st, done, volt_comm_broadcast(o->comm, &key, sizeof key, 0));
    st = preprocess_part(created, p, true, o);
done:
    return st;
}

/* Another rank's part in it. *with: there is a plan in its work folder, and it is rank 0's. */
static volt_status find_shared_plan(bool *with, volt_pipeline *p,
                                    const volt_pipeline_options *o)
{
    uint64_t key = 0, theirs = 0;
    char *path = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_comm_broadcast(o->comm, &theirs, sizeof theirs, 0));
    VOLT_TRY(st, done, volt_dataset_open(&p->dataset, o->dataset, o->data));
    VOLT_TRY(st, done, volt_workspace_choose(&p->work, p->dataset->folder, o->work));
    VOLT_TRY(st, done, volt_path_join(&path, p->work, VOLT_WORK_PLANS));
    if (!volt_path_exists(path))
        goto done;
    VOLT_TRY(st, done, volt_plan_read(&p->plan, path, &p->dataset->info));
    VOLT_TRY(st, done, choose(p, o->configuration));
    VOLT_TRY(st, done, volt_path_join(&p->cases, p->work, p->config->data_identifier));
    VOLT_TRY(st, done, key_of_plan(&key, p));
    *with = key == theirs;
done:
    volt_free(path);
    return st;
}

static volt_status help(const volt_pipeline_options *o)
{
    volt_pipeline p = {0};
    bool with = false;
    int64_t created;
    volt_status st;

    VOLT_TRY(st, done, find_shared_plan(&with, &p, o));
    VOLT_TRY(st, done, preprocess_part(&created, &p, with, o));
    st = volt_pipeline_help_with_masks(&p, with, o);
done:
    volt_pipeline_clear(&p);
    return st;
}

/* ---- steps ---- */

static volt_status preprocess(volt_pipeline *p, const volt_pipeline_options *o)
{
    volt_preprocess_options options = volt_preprocess_defaults();
    const bool alone = volt_comm_size(o->comm) == 1;
    int64_t created = 0;
    volt_status st = VOLT_OK;

    options.threads = o->threads;
    options.overwrite = o->overwrite && alone;
    options.callbacks = o->callbacks;
    volt_report(o->callbacks, VOLT_LOG_INFO, "preprocessing %lld case%s for %s in %s",
                (long long)p->dataset->cases.count, volt_s(p->dataset->cases.count),
                p->config->name, p->cases);
    if (!alone)
        VOLT_TRY(st, done, share_cases(&created, p, o));
    VOLT_TRY(
        st, done,
        volt_preprocess(&p->preprocessed, p->cases, p->dataset, p->plan, p->config, &options));
    p->preprocessed.created += created;
    p->preprocessed.kept -= created;
    volt_report(o->callbacks, VOLT_LOG_INFO, "%lld case%s preprocessed, %lld up to date",
                (long long)p->preprocessed.created, volt_s(p->preprocessed.created),
                (long long)p->preprocessed.kept);
done:
    return st;
}

static void describe(const volt_dataset *ds, const volt_callbacks *cb)
{
    volt_report(cb, VOLT_LOG_INFO, "%s: %s, %lld case%s", ds->folder, ds->layout,
                (long long)ds->cases.count, volt_s(ds->cases.count));
    for (int64_t i = 0; i < ds->notes; i++)
        volt_report(cb, VOLT_LOG_INFO, "%s", ds->note[i]);
}

/* VOLT_EINVAL: an option is out of range. */
static volt_status check_options(const volt_pipeline_options *o)
{
    const struct {
        const char *what;
        int64_t value, low, high;
    } ranges[] = {{"stage", o->until, VOLT_STAGE_PLAN, VOLT_STAGE_PREPROCESS},
                  {"precision", o->precision, VOLT_PRECISION_AUTO, VOLT_TF32},
                  {"plane", o->plane, VOLT_PLANE_NONE, VOLT_PLANE_SAGITTAL},
                  {"threads", o->threads, 0, VOLT_MAX_THREADS}};

    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        if (ranges[i].value < ranges[i].low || ranges[i].value > ranges[i].high)
            return volt_fail(VOLT_EINVAL, "%s %lld; %lld to %lld are expected", ranges[i].what,
                             (long long)ranges[i].value, (long long)ranges[i].low,
                             (long long)ranges[i].high);
    }
    if (o->extras < 0 || (o->extras > 0 && !o->extra))
        return volt_fail(VOLT_EINVAL, "%d configurations to add, but none are given",
                         o->extras);
    for (int i = 0; i < o->extras; i++) {
        if (!o->extra[i].name)
            return volt_fail(VOLT_EINVAL, "configuration %d to add has no name", i);
    }
    if (!o->dataset && !(o->data && o->data->images))
        return volt_fail(VOLT_EINVAL, "no folder of a data set is given");
    return VOLT_OK;
}

void volt_pipeline_options_init(volt_pipeline_options *o, size_t size)
{
    const volt_pipeline_options defaults = {.until = VOLT_STAGE_PREPROCESS};

    volt_options_init(o, size, &defaults, sizeof defaults);
}

static volt_status run_steps(volt_pipeline *out, bool *planned, const volt_pipeline_options *o)
{
    volt_owner *owner = NULL;
    volt_pipeline p = {0};
    bool changed;
    volt_status st;

    VOLT_TRY(st, done, volt_dataset_open(&p.dataset, o->dataset, o->data));
    if (o->opened)
        VOLT_TRY(st, done, o->opened(o->user, p.dataset));
    describe(p.dataset, o->callbacks);
    VOLT_TRY(st, done, volt_workspace_choose(&p.work, p.dataset->folder, o->work));
    VOLT_TRY(st, done, check_request(&p, o));
    VOLT_TRY(st, done, fingerprint(&changed, &owner, &p, o));
    VOLT_TRY(st, done, plan(&p, changed, o));
    VOLT_TRY(st, done, choose(&p, o->configuration));
    if (o->previous_stage && !p.config->previous_stage) {
        st = volt_fail(VOLT_EINVAL, "a previous stage is given (%s), but %s refines no masks",
                       o->previous_stage, p.config->name);
        goto done;
    }
    VOLT_TRY(st, done, volt_path_join(&p.cases, p.work, p.config->data_identifier));
    if ((o->until >= VOLT_STAGE_PREPROCESS || o->planned) && p.config->previous_stage)
        VOLT_TRY(st, done, volt_pipeline_find_masks(&p, o));
    if (o->planned)
        VOLT_TRY(st, done, o->planned(o->user, &p));
    VOLT_TRY(st, done, volt_comm_follow(o->comm, VOLT_OK));
    *planned = true;
    if (o->until >= VOLT_STAGE_PREPROCESS)
        VOLT_TRY(st, done, preprocess(&p, o));
    if (o->until >= VOLT_STAGE_PREPROCESS)
        VOLT_TRY(st, done, volt_pipeline_add_masks(&p, o));
    *out = p;
    p = (volt_pipeline){0};
done:
    volt_owner_release(&owner);
    volt_pipeline_clear(&p);
    return st;
}

/* Rank 0, or the only one. The others follow it twice: to a plan, and to its end. What fails in
 * between, while they work or wait, is told otherwise. */
static volt_status lead(volt_pipeline *out, const volt_pipeline_options *o)
{
    volt_pipeline p = {0};
    bool planned = false;
    volt_status st = run_steps(&p, &planned, o);

    if (st != VOLT_OK && planned)
        volt_comm_fail(o->comm, st);
    else
        st = volt_comm_follow(o->comm, st);
    if (st == VOLT_OK) {
        *out = p;
        p = (volt_pipeline){0};
    }
    volt_pipeline_clear(&p);
    return st;
}

/* Another rank. When rank 0 has ended, it makes what it lacks and opens the rest. */
static volt_status follow(volt_pipeline *out, const volt_pipeline_options *o)
{
    volt_callbacks only_cancel = {.user = NULL};
    volt_pipeline_options own = *o;
    bool planned;
    volt_status st = volt_comm_follow(o->comm, VOLT_OK); /* what all fail with */

    if (st != VOLT_OK)
        return st;
    if (o->callbacks) {
        only_cancel.user = o->callbacks->user;
        only_cancel.cancelled = o->callbacks->cancelled;
    }
    own.callbacks = &only_cancel;
    own.planned = NULL;
    own.opened = NULL;
    if (o->until >= VOLT_STAGE_PREPROCESS)
        VOLT_TRY(st, done, help(&own));
    VOLT_TRY(st, done, volt_comm_follow(o->comm, VOLT_OK));
    own.comm = NULL;
    own.overwrite = own.replan = false;
    st = run_steps(out, &planned, &own);
done:
    if (st != VOLT_OK)
        volt_comm_fail(o->comm, st);
    return st;
}

/* How the steps share work: each looks for its result in the work folder and checks that it
 * belongs to this data set. A fingerprint has a key of the cases' files; a plan has it, too,
 * but may have been edited and is taken as it is, with a warning if the key is another, and so
 * are the folds; a preprocessed case has a key of plan and files. So a plan can be changed by
 * hand, and only cases that it affects are preprocessed again. Prior masks come last because
 * they need the grids of the preprocessed cases. */
volt_status volt_pipeline_run(volt_pipeline *out, const volt_pipeline_options *options)
{
    volt_planner_options planner = volt_planner_defaults();
    volt_pipeline_options o = volt_pipeline_defaults();
    volt_status st;

    VOLT_TRY(st, done, volt_options_take(&o, sizeof o, options, "volt_pipeline_options"));
    VOLT_TRY(st, done,
             volt_options_take(&planner, sizeof planner, o.planner, "volt_planner_options"));
    o.planner = &planner;
    VOLT_TRY(st, done, check_options(&o));
    volt_comm_set_timeout(o.comm, PATIENCE_S);
    st = volt_comm_rank(o.comm) == 0 ? lead(out, &o) : follow(out, &o);
    volt_comm_set_timeout(o.comm, 0);
done:
    return st;
}
