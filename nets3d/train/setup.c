/* Sets up a run: the request, what the folder already contains, and which of the two applies.
 */
#include <stdio.h>
#include <string.h>

#include "base/core/alloc.h"
#include "base/core/plural.h"
#include "base/core/report.h"
#include "base/system/file.h"
#include "base/mem.h"
#include "base/version.h"
#include "io/dataset/mask_folder.h"
#include "nets3d/plan/plan_internal.h"
#include "nets3d/run.h"
#include "nets3d/train/budget.h"
#include "nets3d/train/checks.h"
#include "nets3d/train/given.h"
#include "nets3d/train/session.h"

static uint32_t names_checksum(const volt_train_data *d)
{
    return volt_run_cases_checksum(d->train, d->train_count, d->validate, d->validate_count);
}

/* ---- the request ---- */

static volt_status check_request(const volt_session *s)
{
    volt_status st;

    VOLT_TRY(st, done, volt_train_check_options(s->options));
    VOLT_TRY(st, done, volt_train_check_data(s->data, &s->targets));
    st = volt_train_check_recipe(s->options->recipe, &s->targets);
done:
    return st;
}

/* The recipe of a new run; the precision is chosen later. */
static volt_train_recipe recipe_from_request(const volt_session *s)
{
    volt_train_recipe r = {.recipe = *s->options->recipe,
                           .seed = s->options->seed,
                           .precision = s->options->precision,
                           .budget_s = s->options->budget_s,
                           .cases = names_checksum(s->data)};

    if (r.recipe.batch == 0)
        r.recipe.batch = s->data->config->batch;
    if (s->data->validate_count == 0)
        r.recipe.validation_iterations = 0;
    if (s->targets.regions)
        r.recipe.sigmoid = true;
    snprintf(r.configuration, sizeof r.configuration, "%s", s->data->config->name);
    snprintf(r.init, sizeof r.init, "%s", s->options->init ? s->options->init : "");
    r.init_mode = s->options->init_mode;
    if (s->data->previous_run && strlen(s->data->previous_run) < sizeof r.previous_run)
        snprintf(r.previous_run, sizeof r.previous_run, "%s", s->data->previous_run);
    return r;
}

/* ---- the run in the folder ---- */

/* Fails if a new run would mix with a data set's images or labels, or replace files: a data
 * set, a work folder and an imported model have such, too. A run writes its first checkpoint
 * before them. */
static volt_status check_unused(const char *run)
{
    static const char *const files[] = {VOLT_RUN_BEST, "plans.json", "dataset.json",
                                        "log.jsonl", "summary.json"};
    char *path = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_mask_folder_check_name(run));
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        VOLT_TRY(st, done, volt_path_join(&path, run, files[i]));
        if (volt_path_exists(path)) {
            st = volt_fail(VOLT_EDATA,
                           "%s would be replaced, and there is no checkpoint next to it: train "
                           "into another folder",
                           path);
            goto done;
        }
        volt_free(path);
        path = NULL;
    }
done:
    volt_free(path);
    return st;
}

volt_status volt_train_may_begin(bool *there, const char *run, bool resume)
{
    volt_run_found found = {0};
    char *latest = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_path_join(&latest, run, VOLT_RUN_LATEST));
    *there = volt_path_exists(latest);
    if (!*there)
        VOLT_TRY(st, done, check_unused(run));
    if (!*there || resume)
        goto done;
    /* What was killed before its first iteration is nothing to lose. */
    if (volt_run_found_read(&found, latest) == VOLT_OK && found.state.iteration == 0)
        *there = false;
    else
        st = volt_fail(VOLT_EDATA,
                       "%s already contains a run: resume it, or train into another folder",
                       run);
done:
    volt_run_found_clear(&found);
    volt_free(latest);
    return st;
}

/* Whether the length asked for is the one that the run has. */
static bool same_length(const volt_train_options *o, const volt_train_recipe *recipe,
                        const volt_train_state *state)
{
    if (!o->change_length)
        return true;
    return o->budget_s > 0 ? o->budget_s == recipe->budget_s
                           : recipe->budget_s == 0 && o->recipe->epochs == state->epochs;
}

volt_status volt_run_has_ended(bool *out, const char *run, const volt_train_options *o,
                               const volt_train_recipe *recipe, const volt_train_state *state)
{
    char *summary = NULL;
    const volt_status st = volt_path_join(&summary, run, "summary.json");

    if (st == VOLT_OK)
        *out = state->epoch == state->epochs && same_length(o, recipe, state) &&
               volt_path_exists(summary);
    volt_free(summary);
    return st;
}

/* Fails if the run was trained with another network: its own configuration counts, and only
 * what training uses. */
static volt_status compare_plans(const volt_session *s, const volt_run_found *f)
{
    const volt_plan_config *config;
    volt_plan *plan = NULL;
    char *theirs = NULL, *ours = NULL, where[256];
    volt_status st;

    if (strcmp(f->recipe.configuration, s->data->config->name) != 0)
        return volt_fail(VOLT_EDATA, "%s was trained as configuration %s, not %s", s->latest,
                         f->recipe.configuration, s->data->config->name);
    VOLT_TRY(st, done,
             volt_plan_parse(&plan, f->head.plan, strlen(f->head.plan), s->latest, &f->info));
    VOLT_TRY(st, done, volt_plan_find(&config, plan, f->recipe.configuration));
    VOLT_TRY(st, done, volt_plan_config_text(&theirs, plan, config));
    VOLT_TRY(st, done, volt_plan_config_text(&ours, s->data->plan, s->data->config));
    if (volt_json_texts_differ(where, sizeof where, theirs, ours))
        st = volt_fail(VOLT_EDATA, "%s was trained with another plan: %s differs", s->latest,
                       where);
done:
    volt_free(ours);
    volt_free(theirs);
    volt_plan_free(plan);
    return st;
}

/* Fails if channels, labels or how they are read differ. */
static volt_status compare_datasets(const volt_session *s, const volt_run_found *f)
{
    volt_dataset_info ours = *s->data->info; /* with the names and counts of the other */
    char *text = NULL, *own = NULL, where[256];
    volt_status st;

    ours.name = f->info.name;
    ours.file_ending = f->info.file_ending;
    ours.num_training = f->info.num_training;
    VOLT_TRY(st, done, volt_dataset_info_text(&text, &ours));
    VOLT_TRY(st, done, volt_dataset_info_text(&own, &f->info));
    if (volt_json_texts_differ(where, sizeof where, own, text))
        st = volt_fail(VOLT_EDATA, "%s was trained on another data set: %s differs", s->latest,
                       where);
done:
    volt_free(own);
    volt_free(text);
    return st;
}

/* A recipe that was read from the checkpoint `path`. */
static volt_status check_stored(const volt_recipe *r, const volt_train_targets *t,
                                const char *path)
{
    return volt_train_check_recipe(r, t) == VOLT_OK
               ? VOLT_OK
               : volt_fail(VOLT_EFORMAT, "%.300s: in its recipe, %.600s", path,
                           volt_last_error());
}

/* Takes recipe, state and texts from the latest checkpoint if it belongs to this data and
 * plan, and to what was asked for. */
static volt_status recipe_from_checkpoint(volt_session *s)
{
    volt_run_found f = {0};
    volt_status st;

    VOLT_TRY(st, done, volt_run_found_read(&f, s->latest));
    VOLT_TRY(st, done, compare_datasets(s, &f));
    VOLT_TRY(st, done, compare_plans(s, &f));
    if (f.recipe.cases != names_checksum(s->data)) {
        st = volt_fail(VOLT_EDATA, "%s was trained on other cases (another fold?)", s->latest);
        goto done;
    }
    VOLT_TRY(st, done, check_stored(&f.recipe.recipe, &s->targets, s->latest));
    VOLT_TRY(st, done, volt_train_compare_given(s->options, &f, s->run, s->data->previous_run));
    s->recipe = f.recipe;
    s->state = f.state;
    volt_free(s->plan_text);
    volt_free(s->info_text);
    s->plan_text = f.head.plan;
    s->info_text = f.head.dataset;
    f.head.plan = f.head.dataset = NULL;
    s->resumed = true;
done:
    volt_run_found_clear(&f);
    return st;
}

/* ---- changing the length ---- */

static double rate_now(const volt_session *s)
{
    return volt_train_state_rate(&s->state, &s->recipe.recipe.optimizer);
}

/* Epochs of the length asked for; 0 = to be measured because nothing was trained yet. */
static volt_status asked_epochs(int64_t *out, const volt_session *s)
{
    const volt_train_options *o = s->options;
    const volt_train_state *t = &s->state;
    const int64_t begun = t->epoch + (t->iteration > t->epoch * t->iterations);

    if (o->budget_s > 0) {
        *out = t->iteration > 0 ? volt_budget_epochs(t, o->budget_s) : 0;
        return VOLT_OK;
    }
    *out = o->recipe->epochs;
    if (*out < begun)
        return volt_fail(VOLT_EINVAL, "%s is already in epoch %lld: it cannot end after %lld",
                         s->run, (long long)begun, (long long)*out);
    return VOLT_OK;
}

/* Gives a resumed run the length asked for; its learning rate continues where a run planned
 * with that length would be. */
static volt_status change_length(volt_session *s)
{
    const volt_train_options *o = s->options;
    volt_train_state *t = &s->state;
    const int64_t before = t->epochs;
    const double rate = rate_now(s);
    int64_t epochs;
    volt_status st;

    if (same_length(o, &s->recipe, t))
        return VOLT_OK;
    st = asked_epochs(&epochs, s);
    if (st != VOLT_OK)
        return st;
    s->changed = true;
    s->recipe.budget_s = o->budget_s;
    s->unfitted = epochs == 0;
    if (s->unfitted)
        return VOLT_OK;
    if (o->budget_s == 0)
        s->recipe.recipe.epochs = epochs;
    t->epochs = epochs;
    t->anchor = 0;
    t->anchor_progress = 0;
    volt_report(s->cb, VOLT_LOG_INFO,
                "the run now takes %lld epoch%s instead of %lld (%lld done); the learning rate "
                "changes from %.3g to %.3g",
                (long long)epochs, volt_s(epochs), (long long)before, (long long)t->epoch, rate,
                rate_now(s));
    return VOLT_OK;
}

/* The recipe of a new run next to others: theirs, with the length asked for if there is one. */
static volt_status recipe_of_sibling(volt_session *s, const char *sibling)
{
    const volt_train_options *o = s->options;
    const volt_train_recipe asked = recipe_from_request(s);
    volt_run_found f = {0};
    char *path = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_path_join(&path, sibling, VOLT_RUN_LATEST));
    VOLT_TRY(st, done, volt_run_found_read(&f, path));
    VOLT_TRY(st, done, volt_train_compare_given(o, &f, sibling, s->data->previous_run));
    if (*f.recipe.init && !o->init) {
        st = volt_fail(VOLT_EINVAL,
                       "%s was started from the weights of %s; its siblings need them, too",
                       sibling, f.recipe.init);
        goto done;
    }
    s->recipe = f.recipe;
    s->recipe.cases = asked.cases;
    memcpy(s->recipe.configuration, asked.configuration, sizeof asked.configuration);
    memcpy(s->recipe.init, asked.init, sizeof asked.init);
    if (s->recipe.init_mode == VOLT_INIT_MODE_UNKNOWN)
        s->recipe.init_mode = asked.init_mode;
    if (s->data->validate_count == 0)
        s->recipe.recipe.validation_iterations = 0;
    if (o->change_length) {
        s->recipe.budget_s = o->budget_s;
        s->recipe.recipe.epochs = asked.recipe.epochs;
    }
    VOLT_TRY(st, done, check_stored(&s->recipe.recipe, &s->targets, path));
    volt_report(s->cb, VOLT_LOG_INFO, "using the recipe of %s", sibling);
done:
    volt_run_found_clear(&f);
    volt_free(path);
    return st;
}

/* A resumed run: its own recipe, perhaps with another length. */
static volt_status continue_run(volt_session *s)
{
    volt_status st;

    VOLT_TRY(st, done, recipe_from_checkpoint(s));
    VOLT_TRY(st, done,
             volt_run_has_ended(&s->ended, s->run, s->options, &s->recipe, &s->state));
    if (s->options->change_length)
        st = change_length(s);
done:
    return st;
}

/* What the run's folder and the request make of the run. */
static volt_status decide(volt_session *s)
{
    bool there;
    volt_status st;

    VOLT_TRY(st, done, volt_train_may_begin(&there, s->run, s->options->resume));
    if (there)
        return continue_run(s);
    if (s->options->resume)
        volt_report(s->cb, VOLT_LOG_WARNING, "%s contains no checkpoint: starting a new run",
                    s->run);
    if (s->options->like)
        VOLT_TRY(st, done, recipe_of_sibling(s, s->options->like));
    else
        s->recipe = recipe_from_request(s);
    s->state = volt_train_state_first(&s->recipe.recipe);
    s->unfitted = s->recipe.budget_s > 0;
done:
    return st;
}

/* ---- ranks ---- */

/* Fails unless all ranks have the recipe of rank 0; names the first setting that differs. */
static volt_status compare_recipes(volt_train_ranks *r, const char *text)
{
    char where[128], *first = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_strdup(&first, text));
    VOLT_TRY(st, done, volt_train_ranks_share_text(r, &first));
    if (volt_json_texts_differ(where, sizeof where, first, text))
        st = volt_fail(VOLT_EINVAL, "its recipe differs from that of rank 0 in '%s'", where);
    st = volt_train_ranks_agree(r, st);
done:
    volt_free(first);
    return st;
}

/* Fails unless all ranks were asked for the same. */
static volt_status compare_requests(volt_session *s)
{
    const volt_train_recipe asked = recipe_from_request(s);
    const volt_train_options *o = s->options;
    const struct {
        const char *what;
        int64_t value;
    } choices[] = {{"whether to resume", o->resume},
                   {"whether to change the run's length", o->change_length},
                   {"whether a number of loader threads was given", o->loader_threads != 0},
                   {"which settings were given", o->givens}};
    const char *mesh = o->mesh ? o->mesh : "";
    volt_train_ranks *r = &s->ranks;
    char *text = NULL;
    volt_status st;

    if (!r->comm)
        return VOLT_OK;
    VOLT_TRY(st, done, volt_train_recipe_text(&text, &asked));
    VOLT_TRY(st, done,
             volt_train_ranks_same(r, "the version of VOLT", volt_version(),
                                   strlen(volt_version()) + 1));
    VOLT_TRY(st, done,
             volt_train_ranks_same(r, "the folder of the run", s->run, strlen(s->run)));
    VOLT_TRY(st, done,
             volt_train_ranks_same(r, "the plan", s->plan_text, strlen(s->plan_text) + 1));
    VOLT_TRY(st, done,
             volt_train_ranks_same(r, "the data set", s->info_text, strlen(s->info_text) + 1));
    VOLT_TRY(st, done,
             volt_train_ranks_same(r, "the list of cases", &asked.cases, sizeof asked.cases));
    VOLT_TRY(st, done, volt_train_ranks_same(r, "the seed", &asked.seed, sizeof asked.seed));
    VOLT_TRY(st, done, compare_recipes(r, text));
    VOLT_TRY(st, done, volt_train_ranks_same(r, "the mesh", mesh, strlen(mesh) + 1));
    for (size_t i = 0; i < sizeof choices / sizeof *choices && st == VOLT_OK; i++)
        st = volt_train_ranks_same(r, choices[i].what, &choices[i].value,
                                   sizeof choices[i].value);
done:
    volt_free(text);
    return st;
}

/* All get what rank 0 has decided. */
static volt_status share_decision(volt_session *s)
{
    volt_train_ranks *r = &s->ranks;
    bool flags[] = {s->resumed, s->changed, s->ended, s->unfitted};
    volt_status st;

    VOLT_TRY(st, done, volt_train_ranks_share(r, flags, sizeof flags));
    VOLT_TRY(st, done, volt_train_ranks_share(r, &s->recipe, sizeof s->recipe));
    VOLT_TRY(st, done, volt_train_ranks_share(r, &s->state, sizeof s->state));
    VOLT_TRY(st, done, volt_train_ranks_share_text(r, &s->plan_text));
    VOLT_TRY(st, done, volt_train_ranks_share_text(r, &s->info_text));
    s->resumed = flags[0];
    s->changed = flags[1];
    s->ended = flags[2];
    s->unfitted = flags[3];
done:
    return st;
}

volt_status volt_session_setup(volt_session *s)
{
    volt_train_ranks *r = &s->ranks;
    volt_status st = volt_train_ranks_agree(r, check_request(s));

    if (st == VOLT_OK)
        st = compare_requests(s);
    if (st != VOLT_OK)
        return st;
    st = volt_train_ranks_follow(r, volt_train_ranks_lead(r) ? decide(s) : VOLT_OK);
    return st == VOLT_OK ? share_decision(s) : st;
}
