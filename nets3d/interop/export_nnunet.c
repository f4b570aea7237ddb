/* nnU-Net's checkpoint. Its modules stand in several places, so most tensors have several keys:
 * a block's convolution and norm again under all_modules.N, and the whole encoder again under
 * decoder.encoder. nnU-Net loads strictly and wants them all. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/core/alloc.h"
#include "io/json/json.h"
#include "io/tensors/pickle_write.h"
#include "nets3d/interop/export_internal.h"
#include "nets3d/models/model_internal.h"

#define TRAINER "nnUNetTrainer"

volt_tensor_view volt_export_view(const volt_export_run *r, int index)
{
    const volt_param *p = volt_graph_param(r->graph, index);
    volt_tensor_view v = {.name = p->name,
                          .type = VOLT_TENSOR_F32,
                          .rank = p->ndim,
                          .data = r->flat + p->offset,
                          .bytes = (size_t)p->count * sizeof(float)};

    memcpy(v.shape, p->dims, (size_t)p->ndim * sizeof *v.shape);
    if (r->config->axes == 2 && p->ndim == 5) { /* (oc, ic, 1, h, w) */
        v.rank = 4;
        v.shape[2] = p->dims[3];
        v.shape[3] = p->dims[4];
    }
    return v;
}

volt_status volt_export_check_nnunet(const volt_export_run *r)
{
    const volt_plan_config *c = r->config;

    if (!c->net.model->nnunet)
        return volt_fail(VOLT_ENOTSUP,
                         "%s: configuration %s is a %s, which nnU-Net's trainer does not build",
                         r->path, c->name, volt_model_title(c->net.model));
    if (c->slices > 1 || c->whole)
        return volt_fail(VOLT_ENOTSUP,
                         "%s: configuration %s is VOLT's own; nnU-Net has no input of %s",
                         r->path, c->name, c->whole ? "whole cases" : "neighbouring slices");
    if (memcmp(c->transpose_forward, r->plan->transpose_forward, sizeof c->transpose_forward) !=
        0)
        return volt_fail(VOLT_ENOTSUP,
                         "%s: configuration %s orders its axes differently from the plan; "
                         "nnU-Net does not support that",
                         r->path, c->name);
    return VOLT_OK;
}

/* ---- keys ---- */

/* The key under all_modules, or NULL. With dropout the norm is the third. */
static const char *second_name(char room[256], const char *name, bool dropout)
{
    static const char *const parts[2] = {".conv.", ".norm."};

    for (int i = 0; i < 2; i++) {
        const char *at = strstr(name, parts[i]);
        if (at) {
            snprintf(room, 256, "%.*s.all_modules.%d.%s", (int)(at - name), name,
                     i && dropout ? 2 : i, at + strlen(parts[i]));
            return room;
        }
    }
    return NULL;
}

static void put_key(volt_pickle_writer *w, const volt_export_run *r, const char *prefix,
                    const char *name, int index)
{
    const volt_tensor_view view = volt_export_view(r, index);
    char key[300];

    snprintf(key, sizeof key, "%s%s", prefix, name);
    volt_pickle_put_text(w, key);
    volt_pickle_put_tensor(w, &view, (size_t)index);
}

/* All keys of the parameters that are (or are not) the encoder's. */
static int64_t put_keys(volt_pickle_writer *w, const volt_export_run *r, bool encoder,
                        const char *prefix)
{
    const bool dropout = volt_network_spec(&r->config->net)->dropout > 0;
    int64_t keys = 0;
    char room[256];

    for (int i = 0; i < volt_graph_param_count(r->graph); i++) {
        const char *name = volt_graph_param(r->graph, i)->name;
        const char *second = second_name(room, name, dropout);
        if ((strncmp(name, "encoder.", 8) == 0) != encoder)
            continue;
        put_key(w, r, prefix, name, i);
        if (second)
            put_key(w, r, prefix, second, i);
        keys += second ? 2 : 1;
    }
    return keys;
}

/* ---- the rest of the checkpoint ---- */

static void put_empty_lists(volt_pickle_writer *w)
{
    static const char *const names[] = {
        "mean_fg_dice", "ema_fg_dice", "dice_per_class_or_region", "train_losses",
        "val_losses",   "lrs",         "epoch_start_timestamps",   "epoch_end_timestamps"};

    volt_pickle_open_dict(w);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        volt_pickle_put_text(w, names[i]);
        volt_pickle_open_list(w);
        volt_pickle_close_list(w);
    }
    volt_pickle_close_dict(w);
}

/* {"plans", "configuration", "fold", "dataset_json", "device"} */
static volt_status put_init(volt_pickle_writer *w, const volt_export_run *r, const char *fold)
{
    volt_json plans = {0}, dataset = {0};
    volt_status st;

    VOLT_TRY(st, done, volt_json_parse(&plans, r->head.plan, strlen(r->head.plan), r->path));
    VOLT_TRY(st, done,
             volt_json_parse(&dataset, r->head.dataset, strlen(r->head.dataset), r->path));
    volt_pickle_open_dict(w);
    volt_pickle_put_text(w, "plans");
    volt_pickle_put_json(w, plans.root);
    volt_pickle_put_text(w, "configuration");
    volt_pickle_put_text(w, r->config->name);
    volt_pickle_put_text(w, "fold");
    if (strcmp(fold, "all") == 0)
        volt_pickle_put_text(w, fold);
    else
        volt_pickle_put_int(w, strtol(fold, NULL, 10));
    volt_pickle_put_text(w, "dataset_json");
    volt_pickle_put_json(w, dataset.root);
    volt_pickle_put_text(w, "device");
    volt_pickle_put_device(w, "cpu");
    volt_pickle_close_dict(w);
done:
    volt_json_close(&dataset);
    volt_json_close(&plans);
    return st;
}

/* Axes of the patch, counted from its first one; None when none was mirrored. */
static void put_mirroring(volt_pickle_writer *w, const volt_export_run *r)
{
    const bool *mirror = r->recipe.recipe.mirror;
    const int first = 3 - r->config->axes;

    if (!mirror[1] && !mirror[2] && (first || !mirror[0])) {
        volt_pickle_put_none(w);
        return;
    }
    volt_pickle_open_tuple(w);
    for (int a = first; a < 3; a++) {
        if (mirror[a])
            volt_pickle_put_int(w, a - first);
    }
    volt_pickle_close_tuple(w);
}

static volt_status put_checkpoint(volt_pickle_writer *w, const volt_export_run *r,
                                  const char *fold, int64_t *tensors)
{
    volt_status st;

    volt_pickle_open_dict(w);
    volt_pickle_put_text(w, "network_weights");
    volt_pickle_open_dict(w);
    *tensors = put_keys(w, r, true, "");
    *tensors += put_keys(w, r, true, "decoder.");
    *tensors += put_keys(w, r, false, "");
    volt_pickle_close_dict(w);
    volt_pickle_put_text(w, "optimizer_state");
    volt_pickle_put_none(w);
    volt_pickle_put_text(w, "grad_scaler_state");
    volt_pickle_put_none(w);
    volt_pickle_put_text(w, "logging");
    put_empty_lists(w);
    volt_pickle_put_text(w, "_best_ema");
    volt_pickle_put_none(w);
    volt_pickle_put_text(w, "current_epoch");
    volt_pickle_put_int(w, r->state.epoch);
    volt_pickle_put_text(w, "init_args");
    st = put_init(w, r, fold);
    volt_pickle_put_text(w, "trainer_name");
    volt_pickle_put_text(w, TRAINER);
    volt_pickle_put_text(w, "inference_allowed_mirroring_axes");
    put_mirroring(w, r);
    volt_pickle_close_dict(w);
    return st;
}

volt_status volt_export_torch(const char *path, const volt_export_run *r, const char *fold,
                              int64_t *tensors)
{
    const int params = volt_graph_param_count(r->graph);
    volt_pickle_writer *w = NULL;
    volt_tensor_view *view = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_pickle_create_writer(&w));
    VOLT_TRY(st, done,
             volt_alloc_zero(&view, (size_t)params, sizeof *view, "a list of weights"));
    for (int i = 0; i < params; i++)
        view[i] = volt_export_view(r, i);
    VOLT_TRY(st, done, put_checkpoint(w, r, fold, tensors));
    st = volt_torch_write(path, w, view, (size_t)params);
done:
    volt_free(view);
    volt_pickle_free_writer(w);
    return st;
}
