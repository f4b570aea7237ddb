#include "nets3d/best.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/core/options.h"
#include "base/core/report.h"
#include "base/system/file.h"
#include "base/system/owner.h"
#include "base/core/alloc.h"
#include "base/core/plural.h"
#include "io/image/label_files.h"
#include "io/image/names.h"
#include "io/json/json.h"
#include "io/image.h"
#include "io/nnunet_summary.h"
#include "nets3d/ensemble.h"
#include "nets3d/jobs/postprocess_score.h"
#include "nets3d/run.h"
#include "nets3d/validation.h"

#define LARGEST_MASK ((size_t)1 << 34)

void volt_best_result_clear(volt_best_result *r)
{
    for (int i = 0; i < r->candidates; i++) {
        volt_free(r->candidate[i].name);
        volt_free(r->candidate[i].folder);
    }
    volt_free(r->candidate);
    volt_postprocess_result_clear(&r->post);
    *r = (volt_best_result){0};
}

typedef struct model {
    const char *run;
    const char *name;      /* last part of `run`; borrowed from it */
    volt_names validation; /* folders of its folds' predictions */
} model;

typedef struct job {
    const volt_best_options *o;
    model *models;
    int count;
    volt_dataset_info info; /* of the first */
    volt_best_result *result;
    bool again; /* after an interruption */
} job;

/* ---- models ---- */

static bool has_validation(const char *fold)
{
    char *path = NULL;
    const bool has = volt_path_join(&path, fold, VOLT_VALIDATION_FOLDER) == VOLT_OK &&
                     volt_path_is_dir(path);

    volt_free(path);
    return has;
}

static const volt_fold_rule validated = {.fits = has_validation,
                                         .what = "validation predictions"};

static volt_status open_model(model *m, const char *run, const char *asked)
{
    volt_names folds = {0};
    volt_status st;

    m->run = run;
    m->name = volt_path_name(run);
    VOLT_TRY(st, done, volt_fold_folders(&folds, run, asked, &validated));
    if (folds.count == 0 && !asked && has_validation(run)) { /* a run of one fold */
        volt_names_free(&folds);
        VOLT_TRY(st, done, volt_alloc_zero(&folds.name, 1, sizeof *folds.name, "folds"));
        VOLT_TRY(st, done, volt_strdup(&folds.name[0], run));
        folds.count = 1;
    }
    if (folds.count == 0) {
        st = volt_fail(VOLT_EDATA, "%s has no predictions in fold_K/validation", run);
        goto done;
    }
    VOLT_TRY(
        st, done,
        volt_alloc_zero(&m->validation.name, folds.count, sizeof *m->validation.name, "folds"));
    for (size_t i = 0; i < folds.count; i++) {
        VOLT_TRY(st, done,
                 volt_path_join(&m->validation.name[i], folds.name[i], VOLT_VALIDATION_FOLDER));
        m->validation.count++;
    }
done:
    volt_names_free(&folds);
    return st;
}

/* The run's own description, or the one next to its predictions. */
static volt_status read_info(volt_dataset_info *out, const model *m)
{
    char *path = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_path_join(&path, m->run, "dataset.json"));
    if (!volt_path_exists(path)) {
        volt_free(path);
        path = NULL;
        VOLT_TRY(st, done, volt_path_join(&path, m->validation.name[0], "dataset.json"));
    }
    st = volt_dataset_info_read(out, path);
done:
    volt_free(path);
    return st;
}

static volt_status open_models(job *j, const char *const *runs, int count)
{
    volt_dataset_info other = {0};
    volt_status st;

    VOLT_TRY(st, done, volt_alloc_zero(&j->models, (size_t)count, sizeof *j->models, "models"));
    for (j->count = 0; j->count < count; j->count++) {
        VOLT_TRY(st, done, open_model(&j->models[j->count], runs[j->count], j->o->folds));
        for (int k = 0; k < j->count; k++) {
            if (strcmp(j->models[k].name, j->models[j->count].name) == 0) {
                st = volt_fail(VOLT_EDATA, "%s and %s have the same name", runs[k],
                               runs[j->count]);
                goto done;
            }
        }
    }
    VOLT_TRY(st, done, read_info(&j->info, &j->models[0]));
    for (int i = 1; i < count; i++) {
        VOLT_TRY(st, done, read_info(&other, &j->models[i]));
        if (other.labels != j->info.labels) {
            st = volt_fail(VOLT_EDATA, "%s has %d label%s, %s has %d", runs[0], j->info.labels,
                           volt_s(j->info.labels), runs[i], other.labels);
            goto done;
        }
        volt_dataset_info_clear(&other);
    }
done:
    volt_dataset_info_clear(&other);
    return st;
}

/* ---- the folder ---- */

#define UNFINISHED ".volt-best" /* names the runs of a comparison that has not ended */

/* One line per run; the caller owns *out. */
static volt_status list_runs(char **out, const job *j)
{
    char *text = NULL;
    volt_status st = volt_strdup(&text, "volt best\n");

    for (int i = 0; i < j->count && st == VOLT_OK; i++) {
        char *longer = NULL;
        st = volt_format(&longer, "%s%s\n", text, j->models[i].run);
        volt_free(text);
        text = longer;
    }
    if (st == VOLT_OK)
        *out = text;
    else
        volt_free(text);
    return st;
}

/* The folder of run a, or of the runs a and b together; the caller owns *out. */
static volt_status candidate_folder(char **out, const job *j, int a, int b)
{
    const char *output = j->o->output;

    return a == b ? volt_path_join(out, output, j->models[a].name)
                  : volt_format(out, "%s/%s+%s", output, j->models[a].name, j->models[b].name);
}

/* Calls `each` for the folder of every candidate. */
static volt_status for_candidates(const job *j, volt_status (*each)(const char *folder))
{
    char *folder = NULL;
    volt_status st = VOLT_OK;

    for (int a = 0; a < j->count && st == VOLT_OK; a++) {
        const int last = j->o->ensembles ? j->count - 1 : a;
        for (int b = a; b <= last && st == VOLT_OK; b++) {
            st = candidate_folder(&folder, j, a, b);
            if (st == VOLT_OK)
                st = each(folder);
            volt_free(folder);
            folder = NULL;
        }
    }
    return st;
}

/* Fails if a candidate would be mixed with what is there already. */
static volt_status check_new(const char *folder)
{
    if (volt_path_exists(folder))
        return volt_fail(VOLT_EDATA, "%s exists already; the output folder must be new",
                         folder);
    return VOLT_OK;
}

static volt_status remove_candidate(const char *folder)
{
    volt_remove_folder(folder);
    return VOLT_OK;
}

/* A comparison that was interrupted starts again: its candidates are removed one by one before
 * they are written (new_folder). */
static volt_status begin(job *j)
{
    char *path = NULL, *runs = NULL, *before = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_path_join(&path, j->o->output, UNFINISHED));
    VOLT_TRY(st, done, list_runs(&runs, j));
    j->again = volt_path_exists(path);
    if (j->again) {
        VOLT_TRY(st, done, volt_read_file(&before, NULL, path, 1 << 20));
        if (strcmp(before, runs) != 0)
            st = volt_fail(VOLT_EDATA,
                           "%s holds an unfinished comparison of other runs (%s); remove it or "
                           "give a new folder",
                           j->o->output, path);
        goto done;
    }
    VOLT_TRY(st, done, for_candidates(j, check_new));
    st = volt_write_file(path, runs, strlen(runs));
done:
    volt_free(before);
    volt_free(runs);
    volt_free(path);
    return st;
}

static volt_status end(const job *j)
{
    char *path = NULL;
    volt_status st = volt_path_join(&path, j->o->output, UNFINISHED);

    if (st == VOLT_OK && unlink(path) != 0)
        st = volt_fail(VOLT_EIO, "cannot remove %s: %s", path, strerror(errno));
    volt_free(path);
    return st;
}

/* After a failure: the folder is as it was before, so that it can be used for other runs. */
static void give_up(const job *j)
{
    char *path = NULL;

    (void)for_candidates(j, remove_candidate);
    if (volt_path_join(&path, j->o->output, UNFINISHED) == VOLT_OK)
        (void)unlink(path);
    volt_free(path);
}

/* OUT/NAME, which is empty; the caller owns *out. */
static volt_status new_folder(char **out, const job *j, const char *name)
{
    volt_status st = volt_path_join(out, j->o->output, name);

    if (st == VOLT_OK && j->again)
        volt_remove_folder(*out);
    return st == VOLT_OK ? volt_make_dirs(*out) : st;
}

/* ---- candidates ---- */

static volt_status copy_file(const char *from, const char *to)
{
    char *data = NULL;
    size_t bytes = 0;
    volt_status st = volt_read_file(&data, &bytes, from, LARGEST_MASK);

    if (st == VOLT_OK)
        st = volt_write_file(to, data, bytes);
    volt_free(data);
    return st;
}

/* Copies the masks of one fold to the folder of all. */
static volt_status copy_masks(const char *from, const char *to)
{
    volt_names names = {0};
    char *source = NULL, *target = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_image_list(&names, from));
    for (size_t i = 0; i < names.count; i++) {
        volt_free(source);
        volt_free(target);
        source = target = NULL;
        VOLT_TRY(st, done, volt_path_join(&source, from, names.name[i]));
        VOLT_TRY(st, done, volt_path_join(&target, to, names.name[i]));
        if (volt_path_exists(target)) {
            st = volt_fail(VOLT_EDATA, "%s exists already: the case is in two folds", target);
            goto done;
        }
        VOLT_TRY(st, done, copy_file(source, target));
    }
    st = volt_label_files_copy(from, to);
done:
    volt_free(target);
    volt_free(source);
    volt_names_free(&names);
    return st;
}

/* Scores the masks in the candidate's folder and adds it; takes `c` on success. */
static volt_status add_candidate(job *j, volt_best_candidate *c)
{
    volt_best_result *r = j->result;
    volt_summary *summary = NULL;
    char *path = NULL;
    volt_status st;

    VOLT_TRY(st, done,
             volt_postprocess_score(&summary, c->folder, j->o->truth, &j->info, NULL,
                                    j->o->threads, j->o->callbacks));
    VOLT_TRY(st, done, volt_path_join(&path, c->folder, "summary.json"));
    VOLT_TRY(st, done, volt_summary_write(path, summary));
    c->dice = summary->foreground_mean[VOLT_SCORE_DICE];
    volt_report(j->o->callbacks, VOLT_LOG_INFO, "%s: mean Dice %.4f", c->name, c->dice);
    r->candidate[r->candidates] = *c;
    *c = (volt_best_candidate){0};
    if (r->candidate[r->candidates].dice > r->candidate[r->best].dice)
        r->best = r->candidates;
    r->candidates++;
done:
    volt_free(path);
    volt_summary_free(summary);
    return st;
}

static volt_status add_model(job *j, int i)
{
    const model *m = &j->models[i];
    volt_best_candidate c = {.model = {i, VOLT_NO_MODEL}};
    volt_status st;

    VOLT_TRY(st, done, volt_strdup(&c.name, m->name));
    VOLT_TRY(st, done, new_folder(&c.folder, j, m->name));
    for (size_t k = 0; k < m->validation.count; k++)
        VOLT_TRY(st, done, copy_masks(m->validation.name[k], c.folder));
    st = add_candidate(j, &c);
done:
    volt_free(c.folder);
    volt_free(c.name);
    return st;
}

static volt_status add_pair(job *j, int a, int b)
{
    const model *m[2] = {&j->models[a], &j->models[b]};
    volt_best_candidate c = {.model = {a, b}};
    volt_ensemble_member members[2];
    volt_ensemble_options o = volt_ensemble_defaults();
    volt_status st;

    o.info = &j->info;
    o.threads = j->o->threads;
    VOLT_TRY(st, done, volt_format(&c.name, "%s+%s", m[0]->name, m[1]->name));
    VOLT_TRY(st, done, new_folder(&c.folder, j, c.name));
    for (int i = 0; i < 2; i++)
        members[i] = (volt_ensemble_member){(const char *const *)m[i]->validation.name,
                                            (int)m[i]->validation.count};
    o.output = c.folder;
    VOLT_TRY(st, done, volt_ensemble(NULL, members, 2, &o, j->o->callbacks));
    st = add_candidate(j, &c);
done:
    volt_free(c.folder);
    volt_free(c.name);
    return st;
}

static volt_status write_result(const job *j)
{
    const volt_best_result *r = j->result;
    const volt_best_candidate *best = &r->candidate[r->best];
    json_t *root = json_object(), *all = json_object(), *models = json_array();
    char *path = NULL, *steps = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_path_join(&path, j->o->output, "best.json"));
    VOLT_TRY(st, done, volt_path_join(&steps, best->folder, "postprocessing.json"));
    for (int i = 0; i < r->candidates; i++)
        volt_json_set(all, r->candidate[i].name, volt_json_number(r->candidate[i].dice));
    for (int i = 0; i < 2; i++) {
        if (best->model[i] != VOLT_NO_MODEL)
            json_array_append_new(models, volt_json_string(j->models[best->model[i]].run));
    }
    json_object_set(root, "all_results", all);
    json_object_set_new(root, "best", volt_json_string(best->name));
    json_object_set(root, "selected_model_or_models", models);
    json_object_set_new(root, "result_on_crossval_pre_pp", volt_json_number(best->dice));
    json_object_set_new(root, "result_on_crossval_post_pp", volt_json_number(r->post.after));
    json_object_set_new(root, "postprocessing_file", volt_json_string(steps));
    st = volt_json_save(path, root);
done:
    volt_free(steps);
    volt_free(path);
    json_decref(models);
    json_decref(all);
    json_decref(root);
    return st;
}

void volt_best_options_init(volt_best_options *o, size_t size)
{
    const volt_best_options defaults = {.ensembles = false};

    volt_options_init(o, size, &defaults, sizeof defaults);
}

volt_status volt_best_find(volt_best_result *out, const char *const *runs, int count,
                           const volt_best_options *options)
{
    volt_best_result r = {0};
    volt_best_options o = volt_best_defaults();
    job j = {.o = &o, .result = &r};
    volt_owner *owner = NULL;
    bool begun = false;
    volt_status st;

    if (count < 1)
        return volt_fail(VOLT_EINVAL, "no runs to compare");
    VOLT_TRY(st, done, volt_options_take(&o, sizeof o, options, "volt_best_options"));
    VOLT_TRY(st, done, open_models(&j, runs, count));
    VOLT_TRY(st, done, volt_owner_take(&owner, o.output, VOLT_OWNER_REFUSE, o.callbacks));
    VOLT_TRY(st, done, begin(&j));
    begun = true;
    VOLT_TRY(st, done,
             volt_alloc_zero(&r.candidate, (size_t)count * (size_t)(count + 1) / 2,
                             sizeof *r.candidate, "candidates"));
    for (int i = 0; i < count; i++)
        VOLT_TRY(st, done, add_model(&j, i));
    for (int a = 0; o.ensembles && a < count; a++) {
        for (int b = a + 1; b < count; b++)
            VOLT_TRY(st, done, add_pair(&j, a, b));
    }
    VOLT_TRY(st, done,
             volt_postprocess_find(&r.post, r.candidate[r.best].folder, o.truth, &j.info,
                                   o.threads, o.callbacks));
    VOLT_TRY(st, done, write_result(&j));
    VOLT_TRY(st, done, end(&j));
    *out = r;
    r = (volt_best_result){0};
done:
    if (st != VOLT_OK && begun)
        give_up(&j);
    volt_best_result_clear(&r);
    for (int i = 0; j.models && i < count; i++)
        volt_names_free(&j.models[i].validation);
    volt_free(j.models);
    volt_dataset_info_clear(&j.info);
    volt_owner_release(&owner);
    return st;
}
