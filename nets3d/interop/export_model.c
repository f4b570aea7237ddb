/* Runs in the forms of other programs. All start from a checkpoint of VOLT, which carries plan,
 * data set and recipe. */
#include "nets3d/export_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/core/report.h"
#include "base/system/file.h"
#include "base/core/options.h"
#include "base/core/alloc.h"
#include "io/dataset/staging.h"
#include "nets3d/run/checkpoint.h"
#include "nets3d/interop/export_internal.h"
#include "nets3d/interop/onnx.h"
#include "nets3d/run/folder.h"

void volt_export_clear(volt_export_run *r)
{
    volt_free(r->flat);
    volt_graph_free(r->graph);
    volt_plan_free(r->plan);
    volt_dataset_info_clear(&r->info);
    volt_checkpoint_head_free(&r->head);
    volt_free(r->path);
}

/* The checkpoint of a single run, whole. */
static volt_status load(volt_export_run *r, const char *run, const char *asked)
{
    volt_status st;

    VOLT_TRY(st, done,
             volt_path_is_dir(run) ? volt_run_checkpoint(&r->path, run, asked)
                                   : volt_strdup(&r->path, run));
    VOLT_TRY(st, done, volt_checkpoint_read_head(&r->head, r->path));
    VOLT_TRY(st, done, volt_train_recipe_parse(&r->recipe, r->head.recipe, r->path));
    VOLT_TRY(st, done, volt_train_state_parse(&r->state, r->head.state, r->path));
    VOLT_TRY(
        st, done,
        volt_dataset_info_parse(&r->info, r->head.dataset, strlen(r->head.dataset), r->path));
    VOLT_TRY(st, done,
             volt_plan_parse(&r->plan, r->head.plan, strlen(r->head.plan), r->path, &r->info));
    VOLT_TRY(st, done, volt_plan_find(&r->config, r->plan, r->recipe.configuration));
    VOLT_TRY(st, done, volt_network_build(&r->graph, &r->config->net, false));
    VOLT_TRY(st, done,
             volt_alloc(&r->flat, (size_t)volt_graph_param_elements(r->graph) * sizeof *r->flat,
                        "the network's parameters"));
    st = volt_checkpoint_read(r->path, r->graph, r->flat, NULL, 0);
done:
    return st;
}

/* ---- one file ---- */

static volt_status write_safetensors(const char *out, const volt_export_run *r,
                                     volt_model_export_result *result)
{
    const volt_metadata metadata[] = {{"format", "pt"},
                                      {"plans", r->head.plan},
                                      {"dataset", r->head.dataset},
                                      {"configuration", r->config->name}};
    const int params = volt_graph_param_count(r->graph);
    volt_tensor_view *view = NULL;
    volt_status st;

    VOLT_TRY(st, done,
             volt_alloc_zero(&view, (size_t)params, sizeof *view, "a list of weights"));
    for (int i = 0; i < params; i++)
        view[i] = volt_export_view(r, i);
    st = volt_safetensors_write(out, view, (size_t)params, metadata, 4);
    result->tensors = params;
done:
    volt_free(view);
    return st;
}

static volt_status write_onnx(const char *out, const volt_export_run *r,
                              volt_model_export_result *result)
{
    const volt_metadata metadata[] = {{"plans", r->head.plan},
                                      {"dataset", r->head.dataset},
                                      {"configuration", r->config->name}};
    volt_onnx_options o = {.name = r->config->name,
                           .axes = r->config->axes,
                           .metadata = metadata,
                           .metadata_count = 3};

    memcpy(o.extent, r->config->patch, sizeof o.extent);
    result->tensors = volt_graph_param_count(r->graph);
    return volt_onnx_write(out, r->graph, r->flat, &o);
}

static volt_status export_one(const char *run, const char *out, volt_export_format format,
                              const volt_model_export_options *o,
                              volt_model_export_result *result)
{
    volt_export_run r = {0};
    volt_status st = load(&r, run, o->checkpoint);

    if (st == VOLT_OK) {
        result->folds = 1;
        result->parameters = volt_graph_param_elements(r.graph);
        st = format == VOLT_EXPORT_ONNX ? write_onnx(out, &r, result)
                                        : write_safetensors(out, &r, result);
    }
    volt_export_clear(&r);
    return st;
}

/* ---- a folder for nnU-Net ---- */

/* "fold_3" from a run folder's name; "fold_0" where that says nothing. */
static const char *fold_name(char room[32], const char *run)
{
    const char *name = volt_path_name(run);
    char *end;
    const long number = strncmp(name, "fold_", 5) == 0 ? strtol(name + 5, &end, 10) : -1;

    if (strcmp(name, "fold_all") == 0)
        return "fold_all";
    if (number < 0 || number > 9999 || *end)
        return "fold_0";
    snprintf(room, 32, "fold_%ld", number);
    return room;
}

/* One fold into the folder under way; the first leaves plan and data set too. */
static volt_status add_fold(const char *top, const char *run,
                            const volt_model_export_options *o, bool first,
                            volt_model_export_result *result)
{
    volt_export_run r = {0};
    char *path = NULL, room[32];
    const char *fold = fold_name(room, run);
    volt_status st;

    VOLT_TRY(st, done, load(&r, run, o->checkpoint));
    VOLT_TRY(st, done, volt_export_check_nnunet(&r));
    if (first) {
        VOLT_TRY(st, done, volt_path_join(&path, top, "plans.json"));
        VOLT_TRY(st, done, volt_plan_write(path, r.plan));
        volt_free(path);
        path = NULL;
        VOLT_TRY(st, done, volt_path_join(&path, top, "dataset.json"));
        VOLT_TRY(st, done, volt_dataset_info_write(path, &r.info));
        volt_free(path);
        path = NULL;
    }
    VOLT_TRY(st, done, volt_path_join(&path, top, fold));
    VOLT_TRY(st, done, volt_make_dirs(path));
    volt_free(path);
    path = NULL;
    VOLT_TRY(st, done, volt_format(&path, "%s/%s/checkpoint_final.pth", top, fold));
    VOLT_TRY(st, done, volt_export_torch(path, &r, fold + strlen("fold_"), &result->tensors));
    result->folds++;
    result->parameters = volt_graph_param_elements(r.graph);
done:
    volt_free(path);
    volt_export_clear(&r);
    return st;
}

static volt_status export_nnunet(const volt_names *runs, const char *out,
                                 const volt_model_export_options *o, const volt_callbacks *cb,
                                 volt_model_export_result *result)
{
    volt_staging *staging = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_staging_open(&staging, out));
    for (size_t i = 0; i < runs->count; i++) {
        VOLT_TRY(st, done, volt_check_cancelled(cb));
        VOLT_TRY(st, done,
                 add_fold(volt_staging_path(staging), runs->name[i], o, i == 0, result));
        volt_report_progress(cb, "folds", (int64_t)i + 1, (int64_t)runs->count);
    }
    st = volt_staging_commit(&staging);
done:
    volt_staging_abort(&staging);
    return st;
}

static const volt_model_export_options defaults = {.size = sizeof defaults};

void volt_model_export_options_init(volt_model_export_options *o, size_t size)
{
    volt_options_init(o, size, &defaults, sizeof defaults);
}

volt_status volt_export_model(const char *run, const char *out, volt_export_format format,
                              const volt_model_export_options *options,
                              const volt_callbacks *cb, volt_model_export_result *result)
{
    volt_model_export_options o = defaults;
    volt_model_export_result r = {0};
    char *one[] = {(char *)(uintptr_t)run};
    volt_names runs = {0}, single = {.name = one, .count = 1};
    volt_status st;

    VOLT_TRY(st, done, volt_options_take(&o, sizeof o, options, "volt_model_export_options"));
    if (format < VOLT_EXPORT_NNUNET || format > VOLT_EXPORT_ONNX) {
        st = volt_fail(VOLT_EINVAL, "export format %d does not exist", (int)format);
        goto done;
    }
    if (volt_path_is_dir(run))
        VOLT_TRY(st, done, volt_run_folds(&runs, run));
    if (format == VOLT_EXPORT_NNUNET) {
        st = export_nnunet(runs.count ? &runs : &single, out, &o, cb, &r);
    } else if (runs.count > 1) {
        st = volt_fail(VOLT_EDATA,
                       "%s holds %zu folds, but this format holds one network: give one of "
                       "them, such as %s",
                       run, runs.count, runs.name[0]);
    } else {
        st = export_one(runs.count ? runs.name[0] : run, out, format, &o, &r);
    }
    if (st == VOLT_OK && result)
        *result = r;
done:
    volt_names_free(&runs);
    return st;
}
