#include "nets3d/validation.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/core/options.h"
#include "base/system/file.h"
#include "base/system/owner.h"
#include "base/core/alloc.h"
#include "base/threads.h"
#include "io/scores/mask_pairs.h"
#include "io/nnunet_summary.h"
#include "io/store/case_key.h"
#include "nets3d/jobs/classes.h"
#include "nets3d/plan/splits.h"
#include "nets3d/predictor.h"
#include "nets3d/run/folder.h"
#include "nets3d/run/found.h"

#define KEY_FILE "network.key"
#define SCORES   "summary.json"
enum { METHOD = 1 }; /* increased whenever the same network gives other masks */

typedef struct job {
    const char *run;
    const volt_dataset *ds;
    const volt_split *split;
    const volt_validation_options *o;
    const volt_callbacks *cb;
    char *folder, *key_path;
    volt_case_list cases; /* the items are borrowed */
} job;

static volt_status remove_file(const char *path)
{
    if (remove(path) != 0 && errno != ENOENT)
        return volt_fail(VOLT_EIO, "cannot remove %s: %s", path, strerror(errno));
    return VOLT_OK;
}

/* ---- the key of the masks ---- */

/* Sixteen hex digits: a hash of the checkpoint and all options that change a voxel. */
static volt_status key_of(char key[17], const job *j)
{
    uint64_t number = VOLT_KEY_START;
    char *path = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_run_checkpoint(&path, j->run, NULL));
    volt_key_mix_int(&number, METHOD);
    VOLT_TRY(st, done, volt_key_mix_file(&number, path));
    volt_key_mix_int(&number, j->o->precision);
    if (j->o->prior_masks)
        VOLT_TRY(st, done, volt_key_mix_file(&number, j->o->prior_masks));
    snprintf(key, 17, "%016llx", (unsigned long long)number);
done:
    volt_free(path);
    return st;
}

static bool has_key(const char *path, const char *key)
{
    char *found = NULL;
    const bool same = volt_path_exists(path) &&
                      volt_read_file(&found, NULL, path, 64) == VOLT_OK &&
                      strcmp(found, key) == 0;

    volt_free(found);
    return same;
}

/* Whether `name` is a file that another network left: masks of any case, scores,
 * postprocessing. */
static bool is_stale(const char *name, const job *j)
{
    if (strcmp(name, SCORES) == 0 || strcmp(name, "postprocessing.json") == 0)
        return true;
    for (int64_t i = 0; i < j->ds->cases.count; i++) {
        const size_t bytes = strlen(j->ds->cases.item[i].id);
        if (strncmp(name, j->ds->cases.item[i].id, bytes) == 0 && name[bytes] == '.')
            return true;
    }
    return false;
}

static volt_status remove_stale(const job *j)
{
    volt_names names = {0};
    char *path = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_list_dir(&names, j->folder));
    for (size_t i = 0; i < names.count; i++) {
        if (!is_stale(names.name[i], j))
            continue;
        volt_free(path);
        path = NULL;
        VOLT_TRY(st, done, volt_path_join(&path, j->folder, names.name[i]));
        VOLT_TRY(st, done, remove_file(path));
    }
done:
    volt_free(path);
    volt_names_free(&names);
    return st;
}

/* Removes masks of other networks from the folder. The key is written afterwards, so that after
 * an interruption the next call starts here again. */
static volt_status claim_folder(const job *j)
{
    char key[17];
    volt_status st;

    VOLT_TRY(st, done, key_of(key, j));
    if (has_key(j->key_path, key))
        goto done;
    VOLT_TRY(st, done, volt_make_dirs(j->folder));
    VOLT_TRY(st, done, remove_stale(j));
    st = volt_write_file(j->key_path, key, strlen(key));
done:
    return st;
}

volt_status volt_validation_forget(const char *run)
{
    char *path = NULL;
    volt_status st = volt_format(&path, "%s/" VOLT_VALIDATION_FOLDER "/" KEY_FILE, run);

    if (st == VOLT_OK)
        st = remove_file(path);
    volt_free(path);
    return st;
}

/* ---- the split ---- */

/* The names of `count` cases; the list is owned, the names are borrowed. */
static volt_status names_of(const char ***out, const volt_dataset *ds, const int64_t *index,
                            int64_t count)
{
    volt_status st = volt_alloc_zero(out, (size_t)count + 1, sizeof **out, "names of cases");

    for (int64_t i = 0; st == VOLT_OK && i < count; i++)
        (*out)[i] = ds->cases.item[index[i]].id;
    return st;
}

/* Fails if `run` was trained on another split. */
static volt_status check_split(bool *known, const char *run, const volt_dataset *ds,
                               const volt_split *split)
{
    const char **train = NULL, **val = NULL;
    volt_run_found found = {0};
    char *path = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_run_checkpoint(&path, run, NULL));
    VOLT_TRY(st, done, volt_run_found_read(&found, path));
    VOLT_TRY(st, done, names_of(&train, ds, split->train, split->trains));
    VOLT_TRY(st, done, names_of(&val, ds, split->val, split->vals));
    if (known)
        *known = found.recipe.cases != 0;
    if (found.recipe.cases != 0 &&
        found.recipe.cases != volt_run_cases_checksum(train, split->trains, val, split->vals))
        st = volt_fail(VOLT_EDATA, "%s was trained on another split of the cases of %s", run,
                       ds->folder);
done:
    volt_free(val);
    volt_free(train);
    volt_run_found_clear(&found);
    volt_free(path);
    return st;
}

volt_status volt_validation_split(volt_split *out, bool *known, const char *run,
                                  const volt_dataset *ds, const char *path, int fold,
                                  const volt_callbacks *callbacks)
{
    volt_split split = {0};
    volt_status st;

    VOLT_TRY(st, done, volt_split_find(&split, ds, path, fold, callbacks));
    VOLT_TRY(st, done, check_split(known, run, ds, &split));
    *out = split;
    split = (volt_split){0};
done:
    volt_split_clear(&split);
    return st;
}

/* ---- masks and scores ---- */

static volt_status list_cases(job *j)
{
    volt_status st = volt_alloc_zero(&j->cases.item, (size_t)j->split->vals + 1,
                                     sizeof *j->cases.item, "cases");

    for (; st == VOLT_OK && j->cases.count < j->split->vals; j->cases.count++) {
        const volt_case *c = &j->ds->cases.item[j->split->val[j->cases.count]];
        if (!c->label_file)
            return volt_fail(VOLT_EDATA, "case %s has no labels for validation", c->id);
        j->cases.item[j->cases.count] = *c;
    }
    return st;
}

static volt_status predict(const job *j, volt_validation_result *out)
{
    volt_predict_output output = volt_predict_output_defaults();
    volt_predict_options options = volt_predict_defaults();
    volt_predictor *predictor = NULL;
    volt_predict_result result = {0};
    volt_status st;

    output.folder = j->folder;
    output.probabilities = j->o->probabilities;
    output.skip_existing = true;
    options.precision = j->o->precision;
    options.previous_stage = j->o->prior_masks;
    options.threads = j->o->threads;
    options.comm = j->o->comm;
    if (options.comm)
        options.mesh = "cases"; /* the masks of one rank */
    VOLT_TRY(st, done, volt_predictor_open(&predictor, &j->run, 1, &options, j->cb));
    VOLT_TRY(st, done, volt_predict(predictor, &j->cases, &output, j->cb, &result));
    if (result.cases > 0) {
        out->announced_bytes = result.announced_bytes;
        out->peak_bytes = result.peak_bytes;
    }
done:
    volt_predictor_free(predictor);
    return st;
}

static volt_status score(const job *j, volt_validation_result *out)
{
    volt_metrics_options metrics = volt_metrics_defaults();
    volt_mask_pairs pairs = {0};
    volt_classes classes = {0};
    volt_summary *summary = NULL;
    char *path = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_mask_pairs_of_dataset(&pairs, j->folder, j->ds));
    VOLT_TRY(st, done, volt_classes_of(&classes, &j->ds->info));
    metrics.surface = false; /* summary.json holds counts and overlaps */
    metrics.ignore_label = classes.ignore;
    metrics.has_ignore_label = classes.ignore >= 0;
    metrics.threads = j->o->threads;
    VOLT_TRY(st, done,
             volt_mask_pairs_score(&summary, NULL, &pairs, classes.region, classes.count,
                                   &metrics, j->cb));
    VOLT_TRY(st, done, volt_path_join(&path, j->folder, SCORES));
    VOLT_TRY(st, done, volt_summary_write(path, summary));
    out->cases = summary->count;
    out->mean_dice = summary->foreground_mean[VOLT_SCORE_DICE];
done:
    volt_free(path);
    volt_summary_free(summary);
    volt_classes_clear(&classes);
    volt_mask_pairs_clear(&pairs);
    return st;
}

void volt_validation_options_init(volt_validation_options *o, size_t size)
{
    const volt_validation_options defaults = {.precision = VOLT_PRECISION_AUTO};

    volt_options_init(o, size, &defaults, sizeof defaults);
}

static volt_status check_request(const job *j)
{
    if (!j->run || !*j->run || !j->ds || !j->split)
        return volt_fail(VOLT_EINVAL, "a validation needs a run, a data set and a split");
    if ((int)j->o->precision < VOLT_PRECISION_AUTO || j->o->precision > VOLT_TF32 ||
        j->o->threads < 0 || j->o->threads > VOLT_MAX_THREADS)
        return volt_fail(VOLT_EINVAL,
                         "precision %d, %d threads: one is out of range (0 to %d, 0 to %d)",
                         (int)j->o->precision, j->o->threads, VOLT_TF32, VOLT_MAX_THREADS);
    for (int64_t i = 0; i < j->split->vals; i++) {
        if (j->split->val[i] < 0 || j->split->val[i] >= j->ds->cases.count)
            return volt_fail(VOLT_EINVAL, "the split names case %lld; the data set has %lld",
                             (long long)j->split->val[i], (long long)j->ds->cases.count);
    }
    return VOLT_OK;
}

/* What rank 0 does before all predict. */
static volt_status claim(job *j, volt_owner **owner)
{
    volt_status st;

    VOLT_TRY(st, done, volt_owner_take(owner, j->run, VOLT_OWNER_REFUSE, j->cb));
    st = claim_folder(j);
done:
    return st;
}

static volt_status validate(job *j, volt_owner **owner, volt_validation_result *out)
{
    const bool lead = volt_comm_rank(j->o->comm) == 0;
    volt_status st;

    VOLT_TRY(st, done, volt_path_join(&j->folder, j->run, VOLT_VALIDATION_FOLDER));
    VOLT_TRY(st, done, volt_path_join(&j->key_path, j->folder, KEY_FILE));
    VOLT_TRY(st, done, list_cases(j));
    VOLT_TRY(st, done, volt_comm_follow(j->o->comm, lead ? claim(j, owner) : VOLT_OK));
    VOLT_TRY(st, done, predict(j, out));
    if (lead)
        st = score(j, out);
done:
    return st;
}

volt_status volt_validate(volt_validation_result *out, const char *run, const volt_dataset *ds,
                          const volt_split *split, const volt_validation_options *options,
                          const volt_callbacks *cb)
{
    volt_validation_options o = volt_validation_defaults();
    job j = {.run = run, .ds = ds, .split = split, .o = &o, .cb = cb};
    volt_validation_result result = {.mean_dice = NAN};
    const double start = volt_seconds();
    volt_owner *owner = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_options_take(&o, sizeof o, options, "volt_validation_options"));
    VOLT_TRY(st, done, check_request(&j));
    if (split->vals > 0) {
        VOLT_TRY(st, done, validate(&j, &owner, &result));
        result.seconds = volt_seconds() - start;
    }
    *out = result;
done:
    volt_owner_release(&owner);
    volt_free(j.cases.item);
    volt_free(j.key_path);
    volt_free(j.folder);
    return st;
}
