/* A model trained by another program becomes a run: its plan and data set are read as VOLT's
 * own, its weights go into the graph of that plan, and the rest of VOLT's checkpoint is filled
 * in from nnU-Net's. */
#include "nets3d/import_model.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/core/report.h"
#include "base/system/file.h"
#include "base/core/options.h"
#include "base/core/plural.h"
#include "base/core/alloc.h"
#include "io/dataset.h"
#include "io/dataset/staging.h"
#include "nets3d/run/checkpoint.h"
#include "nets3d/interop/import_internal.h"
#include "nets3d/interop/import_zip.h"
#include "nets3d/models/model_internal.h"
#include "nets3d/plan.h"
#include "nets3d/run/state.h"

enum { MAX_CHAIN = 8 };

/* The import of one fold. */
typedef struct import {
    const volt_import_source *source;
    const volt_model_import_options *options;
    const volt_callbacks *cb;
    const char *file; /* the weights */
    volt_weights *weights;
    const volt_pickle_value *root, *init; /* nnU-Net's checkpoint and its init_args, or NULL */
    volt_json plans;
    volt_dataset_info info;
    volt_plan *plan;
    const volt_plan_config *config; /* of `plan` */
    int norms;                      /* batch norms to fold; the network has biases instead */
    volt_graph *graph;
    float *flat;
    volt_weights_report report;
} import;

static void import_clear(import *m)
{
    volt_weights_report_clear(&m->report);
    volt_free(m->flat);
    volt_graph_free(m->graph);
    volt_plan_free(m->plan);
    volt_dataset_info_clear(&m->info);
    volt_json_close(&m->plans);
    volt_weights_close(m->weights);
}

/* ---- plan and data set ---- */

/* A JSON document: from `path`, else a bundle's own, else from the checkpoint's entry `key`. */
static volt_status load_document(volt_json *out, const import *m, const char *path,
                                 const char *own, const char *key)
{
    const volt_pickle_value *inside = volt_pickle_get(m->init, key);
    char *text = NULL, *name = NULL;
    volt_status st;

    if (path)
        return volt_json_load(out, path);
    if (own)
        return volt_json_parse(out, own, strlen(own), m->source->bundle.inference);
    if (!inside)
        return volt_fail(VOLT_EINVAL,
                         "%s does not describe its network: it holds no '%s', and no such file "
                         "was given",
                         m->file, key);
    VOLT_TRY(st, done, volt_format(&name, "%s (%s)", m->file, key));
    VOLT_TRY(st, done, volt_pickle_json(&text, inside, name));
    st = volt_json_parse(out, text, strlen(text), name);
done:
    volt_free(name);
    volt_free(text);
    return st;
}

static volt_status read_dataset(import *m)
{
    volt_json doc = {0};
    char *text = NULL;
    volt_status st;

    VOLT_TRY(
        st, done,
        load_document(&doc, m, m->source->dataset, m->source->bundle.dataset, "dataset_json"));
    VOLT_TRY(st, done, volt_json_dump_line(&text, NULL, doc.root));
    st = volt_dataset_info_parse(&m->info, text, strlen(text), doc.file);
done:
    volt_free(text);
    volt_json_close(&doc);
    return st;
}

/* The configuration asked for, the checkpoint's, or the only one there is. */
static volt_status choose_configuration(const char **out, const import *m,
                                        const json_t *configurations)
{
    const volt_pickle_value *own = volt_pickle_get(m->init, "configuration");
    const char *name = m->options->configuration, *key;
    char names[256] = "";
    size_t used = 0;
    json_t *value;

    if (!name && own && own->kind == VOLT_PICKLE_TEXT)
        name = own->text;
    json_object_foreach((json_t *)(uintptr_t)configurations, key, value)
    {
        if ((name && strcmp(name, key) == 0) ||
            (!name && json_object_size(configurations) == 1)) {
            *out = key;
            return VOLT_OK;
        }
        if (used < sizeof names)
            used += (size_t)snprintf(names + used, sizeof names - used, "%s%.60s",
                                     used ? ", " : "", key);
    }
    if (name)
        return volt_fail(VOLT_EINVAL, "%s has no configuration '%.60s'; it has: %s",
                         m->plans.file, name, names);
    return volt_fail(VOLT_EINVAL,
                     "%s has several configurations, and %s does not say which is "
                     "its own: %s",
                     m->plans.file, m->file, names);
}

/* The plan without the configurations that this one does not need: those may be of kinds that
 * VOLT does not have. */
static volt_status reduce_plan(json_t **out, const json_t *plans, const json_t *configurations,
                               const char *name)
{
    json_t *copy = json_copy((json_t *)(uintptr_t)plans), *needed = json_object();
    const char *chain[MAX_CHAIN] = {name};
    int count = 1;

    for (int i = 0; i < count; i++) {
        static const char *const links[] = {"inherits_from", "previous_stage"};
        json_t *config = json_object_get(configurations, chain[i]);
        for (int l = 0; config && l < 2 && count < MAX_CHAIN; l++) {
            const char *next = json_string_value(json_object_get(config, links[l]));
            if (next && !json_object_get(needed, next))
                chain[count++] = next;
        }
        if (config && json_object_set(needed, chain[i], config) != 0)
            goto failed;
    }
    if (copy && json_object_set(copy, "configurations", needed) == 0) {
        json_decref(needed);
        *out = copy;
        return VOLT_OK;
    }
failed:
    json_decref(needed);
    json_decref(copy);
    return volt_fail(VOLT_ENOMEM, "out of memory for a plan");
}

static volt_status read_plan(import *m)
{
    json_t *configurations, *reduced = NULL;
    const char *name = NULL;
    char *text = NULL;
    volt_status st;

    VOLT_TRY(st, done,
             load_document(&m->plans, m, m->source->plans, m->source->bundle.plans, "plans"));
    configurations = json_object_get(m->plans.root, "configurations");
    if (!json_is_object(configurations)) {
        st = volt_fail(VOLT_EFORMAT,
                       "%s lacks \"configurations\": it is not a plan of nnU-Net v2",
                       m->plans.file);
        goto done;
    }
    VOLT_TRY(st, done, choose_configuration(&name, m, configurations));
    VOLT_TRY(st, done, reduce_plan(&reduced, m->plans.root, configurations, name));
    VOLT_TRY(st, done, volt_json_dump_line(&text, NULL, reduced));
    VOLT_TRY(st, done, volt_plan_parse(&m->plan, text, strlen(text), m->plans.file, &m->info));
    st = volt_plan_find(&m->config, m->plan, name);
done:
    volt_free(text);
    json_decref(reduced);
    return st;
}

/* ---- weights ---- */

static volt_status refuse_unused(const import *m)
{
    const volt_weights_report *r = &m->report;
    const volt_model *model = m->config->net.model;
    const char *hint = "";

    for (size_t i = 0; i < r->unused_count; i++) {
        if (!strstr(r->unused[i], "running_mean"))
            continue;
        if (model->nnunet)
            hint = "; it was trained with batch normalization, nnU-Net's networks have "
                   "instance normalization here";
        else if (model->drop_batch_norms && !m->norms)
            hint = "; it was trained with batch normalization, \"norm\": \"BATCH\"";
    }
    return volt_fail(VOLT_EFORMAT,
                     "%s does not fit the network of configuration %s: tensors that "
                     "do not belong to it: %zu, the first is %.200s%s",
                     m->file, m->config->name, r->unused_count, r->unused[0], hint);
}

/* Puts a rule for each bias of the network that the file does not have before those of `map`.
 */
static volt_status zero_missing_biases(volt_name_map *map, const volt_weights *w,
                                       const volt_network *net)
{
    volt_name_map whole = {0};
    volt_graph *g = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_network_build(&g, net, false));
    for (int i = 0; i < volt_graph_param_count(g); i++) {
        const volt_param *p = volt_graph_param(g, i);
        char room[VOLT_NAME_ROOM];
        if (p->role == VOLT_PARAM_BIAS &&
            volt_weights_find(w, volt_name_map_source(room, p->name, map)) < 0)
            VOLT_TRY(st, done, volt_name_map_add(&whole, p->name, "=0"));
    }
    for (size_t i = 0; i < map->count; i++)
        VOLT_TRY(st, done, volt_name_map_add(&whole, map->rule[i].to, map->rule[i].from));
    volt_name_map_clear(map);
    *map = whole;
    whole = (volt_name_map){0};
done:
    volt_name_map_clear(&whole);
    volt_graph_free(g);
    return st;
}

/* How many of `names` (may be NULL) the file has; *all: every one. */
static int count_present(bool *all, const volt_weights *w, const char *const *names)
{
    int present = 0, count = 0;

    for (; names && names[count]; count++)
        present += volt_weights_find(w, names[count]) >= 0;
    *all = count > 0 && present == count;
    return present;
}

/* Weights that show their model need a plan that says so. */
static volt_status check_model(const import *m)
{
    const volt_model *planned = m->config->net.model;
    bool all;

    for (int i = 0; planned->nnunet && !m->options->map && i < volt_model_count(); i++) {
        const volt_model *model = volt_model_at(i);
        if (model != planned && count_present(&all, m->weights, model->own_names) > 0)
            return volt_fail(VOLT_EFORMAT,
                             "%s has names of a %s, but configuration %s of %s is another "
                             "network: its architecture must be %s with the arguments that "
                             "the network was created with",
                             m->file, model->title, m->config->name, m->plans.file,
                             model->class_name);
    }
    return VOLT_OK;
}

static volt_status add_rule(void *map, const char *to, const char *from)
{
    return volt_name_map_add(map, to, from);
}

/* The rules for another library's names, if the file has those. */
static volt_status add_foreign_names(const import *m, volt_name_map *map)
{
    const volt_network *net = &m->config->net;
    const volt_foreign_names *foreign = net->model->foreign;
    const volt_name_rules rules = {.add = add_rule, .map = map};
    bool all = false;

    if (foreign)
        count_present(&all, m->weights, foreign->present);
    if (!all)
        return VOLT_OK;
    volt_report(m->cb, VOLT_LOG_INFO, "%s: names of %s", m->file, foreign->title);
    return foreign->rules(net, &rules);
}

/* The names in the file, where they are not those of the network. */
static volt_status prepare_names(import *m, volt_name_map *map)
{
    const volt_network *net = &m->config->net;
    volt_status st;

    VOLT_TRY(st, done, check_model(m));
    if (m->options->map)
        VOLT_TRY(st, done, volt_name_map_read(map, m->options->map));
    else
        VOLT_TRY(st, done, add_foreign_names(m, map));
    if (net->model->drop_batch_norms)
        VOLT_TRY(st, done, net->model->drop_batch_norms(net, &m->norms, m->plans.file));
    if (m->norms)
        st = zero_missing_biases(map, m->weights, net);
done:
    return st;
}

/* Strict where names are the network's own; with a map, unused tensors are listed. */
static volt_status read_weights(import *m)
{
    volt_name_map map = {0};
    volt_status st;

    VOLT_TRY(st, done, prepare_names(m, &map));
    VOLT_TRY(st, done, volt_network_build(&m->graph, &m->config->net, false));
    VOLT_TRY(st, done,
             volt_alloc(&m->flat, (size_t)volt_graph_param_elements(m->graph) * sizeof *m->flat,
                        "the network's parameters"));
    VOLT_TRY(
        st, done,
        volt_weights_fill(m->flat, &m->report, m->weights, m->graph, map.count ? &map : NULL));
    if (m->norms) {
        VOLT_TRY(
            st, done,
            volt_weights_fold_norms(m->flat, &m->report, m->weights, m->graph, &map, m->norms));
        volt_report(m->cb, VOLT_LOG_INFO,
                    "%s: folded %d batch norm%s into the preceding convolution%s", m->file,
                    m->norms, volt_s(m->norms), volt_s(m->norms));
    }
    if (m->report.unused_count && (!map.count || m->norms))
        st = refuse_unused(m);
    for (size_t i = 0; st == VOLT_OK && i < m->report.unused_count; i++)
        volt_report(m->cb, VOLT_LOG_WARNING, "%s: tensor %s is not used", m->file,
                    m->report.unused[i]);
done:
    volt_name_map_clear(&map);
    return st;
}

/* ---- the rest of a checkpoint ---- */

/* Axes d, h, w along which the network was trained on mirrored patches. */
static volt_status read_mirroring(bool mirror[3], const import *m)
{
    const volt_pickle_value *axes =
        volt_pickle_get(m->root, "inference_allowed_mirroring_axes");

    for (int a = 0; a < 3; a++)
        mirror[a] = !axes && !m->source->bundle.weights && a >= 3 - m->config->axes;
    if (!axes || axes->kind == VOLT_PICKLE_NONE)
        return VOLT_OK;
    for (size_t i = 0; i < axes->count; i++) {
        const volt_pickle_value *v = axes->item[i];
        if (v->kind != VOLT_PICKLE_INT || v->whole < 0 || v->whole >= m->config->axes)
            return volt_fail(VOLT_EFORMAT,
                             "%s: inference_allowed_mirroring_axes holds something other than "
                             "axes 0 to %d",
                             m->file, m->config->axes - 1);
        mirror[v->whole + 3 - m->config->axes] = true;
    }
    return VOLT_OK;
}

static int64_t epochs_done(const import *m)
{
    double epochs = 0;

    if (!volt_pickle_number(&epochs, volt_pickle_get(m->root, "current_epoch")) ||
        !(epochs >= 0 && epochs <= 1e6))
        return 0;
    return (int64_t)epochs;
}

static volt_status describe(volt_checkpoint_head *head, const import *m)
{
    volt_train_recipe recipe = {
        .recipe = volt_recipe_nnunet(), .precision = VOLT_FP32, .threads = 1};
    const int64_t epochs = epochs_done(m);
    volt_train_state state;
    volt_status st;

    recipe.recipe.batch = m->config->batch;
    recipe.recipe.epochs = epochs ? epochs : 1;
    snprintf(recipe.configuration, sizeof recipe.configuration, "%s", m->config->name);
    snprintf(recipe.device, sizeof recipe.device, "cpu");
    VOLT_TRY(st, done, read_mirroring(recipe.recipe.mirror, m));
    state = volt_train_state_first(&recipe.recipe);
    state.epoch = epochs;
    state.iteration = state.steps = epochs * recipe.recipe.iterations;
    VOLT_TRY(st, done, volt_plan_text(&head->plan, m->plan));
    VOLT_TRY(st, done, volt_dataset_info_text(&head->dataset, &m->info));
    VOLT_TRY(st, done, volt_train_recipe_text(&head->recipe, &recipe));
    st = volt_train_state_text(&head->state, &state);
done:
    return st;
}

/* plans.json and dataset.json into a folder, for the reader. */
static volt_status write_copies(const char *folder, const import *m)
{
    char *path = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_path_join(&path, folder, "plans.json"));
    VOLT_TRY(st, done, volt_plan_write(path, m->plan));
    volt_free(path);
    path = NULL;
    VOLT_TRY(st, done, volt_path_join(&path, folder, "dataset.json"));
    st = volt_dataset_info_write(path, &m->info);
done:
    volt_free(path);
    return st;
}

static volt_status write_run(const char *folder, const import *m)
{
    volt_checkpoint_head head = {0};
    char *path = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_make_dirs(folder));
    VOLT_TRY(st, done, write_copies(folder, m));
    VOLT_TRY(st, done, describe(&head, m));
    VOLT_TRY(st, done, volt_path_join(&path, folder, "checkpoint_latest.safetensors"));
    st = volt_checkpoint_write(path, &head, m->graph, m->flat, NULL);
done:
    volt_free(path);
    volt_checkpoint_head_free(&head);
    return st;
}

/* ---- all folds ---- */

static void set_result(volt_model_import_result *r, const import *m)
{
    const volt_pickle_value *trainer = volt_pickle_get(m->root, "trainer_name");

    r->folds++;
    r->parameters = volt_graph_param_elements(m->graph);
    r->taken = m->report.taken;
    r->aliases = m->report.aliases;
    r->filled = m->report.filled;
    r->unused = (int64_t)m->report.unused_count;
    snprintf(r->configuration, sizeof r->configuration, "%s", m->config->name);
    if (trainer && trainer->kind == VOLT_PICKLE_TEXT)
        snprintf(r->trainer, sizeof r->trainer, "%.63s", trainer->text);
    volt_report(m->cb, VOLT_LOG_INFO,
                "%s: %s%s%s, %" PRId64 " parameter%s in %" PRId64 " tensor%s, %" PRId64
                " duplicate%s merged",
                m->file, m->config->name, *r->trainer ? " by " : "", r->trainer, r->parameters,
                volt_s(r->parameters), r->taken, volt_s(r->taken), r->aliases,
                volt_s(r->aliases));
}

/* Fold `index` of the source into `folder`; the first also leaves copies in `top`, unless that
 * is NULL. */
static volt_status import_fold(const char *folder, const char *top, int index, import *m,
                               volt_model_import_result *result)
{
    volt_status st;

    m->file = m->source->file[index];
    VOLT_TRY(st, done, volt_check_cancelled(m->cb));
    VOLT_TRY(st, done, volt_weights_open(&m->weights, m->file));
    if (volt_weights_torch(m->weights)) {
        m->root = volt_torch_root(volt_weights_torch(m->weights));
        m->init = volt_pickle_get(m->root, "init_args");
    }
    VOLT_TRY(st, done, read_dataset(m));
    VOLT_TRY(st, done, read_plan(m));
    VOLT_TRY(st, done, read_weights(m));
    if (top && index == 0)
        VOLT_TRY(st, done, write_copies(top, m));
    VOLT_TRY(st, done, write_run(folder, m));
    set_result(result, m);
done:
    return st;
}

static const volt_model_import_options defaults = {.size = sizeof defaults};

void volt_model_import_options_init(volt_model_import_options *o, size_t size)
{
    volt_options_init(o, size, &defaults, sizeof defaults);
}

volt_status volt_import_model(const char *source, const char *run,
                              const volt_model_import_options *options,
                              const volt_callbacks *cb, volt_model_import_result *result)
{
    volt_model_import_options o = defaults;
    volt_import_source files = {0};
    volt_model_import_result r = {0};
    volt_staging *staging = NULL;
    volt_import_names names;
    char *unpacked = NULL, *model = NULL;
    bool zipped = false;
    volt_status st;

    VOLT_TRY(st, done, volt_options_take(&o, sizeof o, options, "volt_model_import_options"));
    VOLT_TRY(st, done, volt_import_is_zip(&zipped, source));
    if (!zipped)
        VOLT_TRY(st, done, volt_import_find(&files, source, &o, cb));
    VOLT_TRY(st, done, volt_staging_open(&staging, run));
    if (zipped) {
        VOLT_TRY(st, done, volt_path_join(&unpacked, volt_staging_path(staging), "unpacked"));
        volt_import_names_begin(&names, unpacked, source, cb);
        cb = &names.outer;
        VOLT_TRY(st, done, volt_import_unzip(&model, source, unpacked, &o));
        VOLT_TRY(st, done, volt_import_find(&files, model, &o, cb));
    }
    for (int i = 0; i < files.folds; i++) {
        const char *top = volt_staging_path(staging);
import m = {.source = & files, .options = & o, .cb = cb };
        char *folder = NULL;
        st = files.folds > 1 ? volt_path_join(&folder, top, files.fold[i])
                             : volt_strdup(&folder, top);
        if (st == VOLT_OK)
            st = import_fold(folder, files.folds > 1 ? top : NULL, i, &m, &r);
        volt_free(folder);
        import_clear(&m);
        if (st != VOLT_OK)
            goto done;
        volt_report_progress(cb, "folds", i + 1, files.folds);
    }
    if (unpacked)
        volt_remove_folder(unpacked);
    VOLT_TRY(st, done, volt_staging_commit(&staging));
    if (result)
        *result = r;
done:
    if (st != VOLT_OK && unpacked)
        volt_import_names_fix_error(&names);
    volt_staging_abort(&staging);
    volt_import_source_clear(&files);
    volt_free(model);
    volt_free(unpacked);
    return st;
}
