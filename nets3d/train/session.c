#include "nets3d/train/session.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <errno.h>
#include <unistd.h>

#include "base/core/report.h"
#include "base/system/file.h"
#include "base/core/plural.h"
#include "base/core/alloc.h"
#include "base/core/available.h"
#include "io/archive/crc32.h"
#include "nets3d/device/device_internal.h"
#include "nets3d/run/checkpoint.h"
#include "nets3d/graph/init.h"
#include "nets3d/program/loss.h"
#include "nets3d/train/param_scales.h"
#include "nets3d/train/stages.h"
#include "nets3d/models/model_internal.h"
#include "nets3d/program/on_device.h"
#include "nets3d/run.h"
#include "nets3d/run/log.h"
#include "nets3d/train/transfer.h"

#define FIRST_LOSS_SCALE  65536.0 /* as torch.amp.GradScaler */
#define LOSS_SCALE_GROWTH 2000
#define MIB               (1.0 / (1 << 20))

double volt_session_seconds(const volt_session *s)
{
    return volt_seconds() - s->opened_at;
}

size_t volt_session_peak(const volt_session *s)
{
    return volt_mem_scope_peak(&s->scope);
}

/* ---- paths and texts ---- */

/* Plan and data set go into every checkpoint as JSON text, and a resumed run is compared with
 * its checkpoint text by text (setup.c). So the test covers every value that a plan file can
 * hold, without a comparison per field to keep up to date, and what is compared is exactly what
 * is stored. */
static volt_status make_texts(volt_session *s)
{
    volt_status st;

    VOLT_TRY(st, done, volt_path_join(&s->latest, s->run, VOLT_RUN_LATEST));
    VOLT_TRY(st, done, volt_path_join(&s->best, s->run, VOLT_RUN_BEST));
    VOLT_TRY(st, done, volt_path_join(&s->log, s->run, "log.jsonl"));
    VOLT_TRY(st, done, volt_plan_text(&s->plan_text, s->data->plan));
    VOLT_TRY(st, done, volt_dataset_info_text(&s->info_text, s->data->info));
done:
    return st;
}

/* ---- network ---- */

/* Of the program and its optimizer. */
static size_t device_bytes(const volt_session *s)
{
    volt_program_memory m;

    volt_program_memory_of(s->program, &m);
    return m.total + volt_optimizer_bytes(s->recipe.recipe.optimizer.kind,
                                          volt_graph_learned_elements(s->graph));
}

/* Without forms of weights that would take more memory than the device has. */
static volt_status create_program(volt_session *s, volt_program_options *o)
{
    size_t available;
    volt_status st;

    VOLT_TRY(st, done, volt_program_create(&s->program, s->graph, s->device, o));
    VOLT_TRY(st, done, volt_device_available(&available, s->device));
    if (o->keep_forms && device_bytes(s) > available) {
        volt_program_free(s->program);
        s->program = NULL;
        o->keep_forms = false;
        volt_report(s->cb, VOLT_LOG_DETAIL,
                    "device %s lacks memory to keep packed weights: each pass packs them",
                    s->recipe.device);
        st = volt_program_create(&s->program, s->graph, s->device, o);
    }
done:
    return st;
}

static volt_status compile(volt_session *s)
{
    const volt_train_setting setting = volt_session_setting(s);
    const volt_recipe *r = &s->recipe.recipe;
    volt_program_options po = volt_setting_program(&setting);
    bool *learns = NULL;
    volt_status st;

    po.n = s->ranks.count;
    po.samples = r->batch;
    po.mesh = s->ranks.mesh;
    po.arenas = volt_session_stage_count(s) > 1 ? (int)r->accumulate : 1;
    VOLT_TRY(st, done, volt_setting_graph(&s->graph, &setting, &s->data->config->net));
    VOLT_TRY(st, done, volt_param_rules(&s->scale, &learns, s->graph, r, s->cb));
    po.learns = learns;
    VOLT_TRY(st, done, create_program(s, &po));
    s->box = volt_program_box(s->program);
    s->loss =
        volt_loss_nnunet(volt_graph_output_count(s->graph), volt_setting_batch_dice(&setting));
    s->loss.weight_ce = r->weight_ce;
    s->loss.weight_dice = r->weight_dice;
    s->loss.sigmoid = r->sigmoid;
    s->loss.class_weight = r->class_weights ? r->class_weight : NULL;
    s->loss.ignore = s->targets.ignore;
    s->loss.regions = s->targets.regions;
    s->loss.values = s->targets.labels;
done:
    volt_free(learns);
    return st;
}

/* The loader's samples must have the channels that the network takes. */
static volt_status check_channels(const volt_session *s)
{
    const volt_loader_options train = volt_session_loader_options(s, false);
    const volt_plan_config *c = s->data->config;

    if (volt_loader_channels(&train) != volt_network_in_channels(&c->net))
        return volt_fail(
            VOLT_EINVAL, "configuration %s takes %lld channel%s; its samples have %lld",
            c->name, (long long)volt_network_in_channels(&c->net),
            volt_s(volt_network_in_channels(&c->net)), (long long)volt_loader_channels(&train));
    return VOLT_OK;
}

/* Whether voxels weigh differently in the mean over a batch's voxels: then the mean over its
 * parts is another one. */
static bool weighs_voxels(const volt_session *s)
{
    const volt_loss_options *l = &s->loss;

    if (l->ignore >= 0)
        return true;
    for (int k = 1; l->class_weight && !l->sigmoid && k < s->targets.outputs; k++) {
        if (l->class_weight[k] != l->class_weight[0])
            return true;
    }
    return false;
}

/* Says which means are those of each part of a batch, where that is not the same. */
static void note_parts(const volt_session *s)
{
    const volt_loss_options *l = &s->loss;
    const int64_t parts = s->recipe.recipe.accumulate;
    const bool dice = l->batch_dice && l->weight_dice > 0;
    const bool entropy = l->weight_ce > 0 && weighs_voxels(s);
    bool norms = false;

    for (int i = 0; i < volt_graph_node_count(s->graph); i++)
        norms |= volt_graph_node(s->graph, i)->kind == VOLT_NODE_BATCH_NORM;
    if (parts > 1 && (dice || entropy || norms))
        volt_report(s->cb, VOLT_LOG_INFO,
                    "%s%s%s%s%s %s computed for each of a batch's %lld parts: the result is "
                    "close to that of whole batches, not equal",
                    dice ? "batch Dice" : "", dice && entropy ? norms ? ", " : " and " : "",
                    entropy ? "the mean cross-entropy" : "",
                    norms && (dice || entropy) ? " and " : "",
                    norms ? "statistics of batch norms" : "",
                    dice + entropy == 1 && !norms ? "is" : "are", (long long)parts);
}

/* Fails if the device, or a host for all its ranks together, lacks memory for the run. */
static volt_status check_memory(volt_session *s)
{
    const volt_train_memory *m = &s->memory;
    const size_t there = s->device->memory ? m->program + m->optimizer : 0;
    const size_t available = volt_mem_available();
    char what[64], needed[VOLT_MEM_WORDS], left[VOLT_MEM_WORDS], ranks[48] = "";
    size_t all;
    volt_status st = volt_train_ranks_host_bytes(&s->ranks, &all, m->total - there);

    if (st != VOLT_OK)
        return st;
    snprintf(what, sizeof what, "training with batch %lld", (long long)s->recipe.recipe.batch);
    if (s->ranks.on_host > 1)
        snprintf(ranks, sizeof ranks, " for the %d ranks of this host", s->ranks.on_host);
    st = volt_device_check_memory(s->device, there, 0, what, ": use a smaller batch or patch");
    if (st == VOLT_OK && all > available)
        st = volt_fail(VOLT_ENOMEM,
                       "%s needs %s of memory%s, but only %s is available: use a smaller batch "
                       "or patch",
                       what, volt_mem_words(needed, all), ranks,
                       volt_mem_words(left, available));
    return volt_train_ranks_agree(&s->ranks, st);
}

/* Computes and logs the memory of the run; fails if it is not there. */
static volt_status announce(volt_session *s)
{
    const volt_train_setting setting = volt_session_setting(s);
    const int parts = volt_train_ranks_parts(&s->ranks);
    volt_train_memory *m = &s->memory;
    volt_program_memory pm;
    volt_box most = s->box; /* rank 0's is the largest */
    volt_status st;

    VOLT_TRY(st, done, volt_train_ranks_share(&s->ranks, &most, sizeof most));
    volt_program_memory_of(s->program, &pm);
    *m = volt_setting_memory(&setting, s->graph, &pm, s->ranks.count, parts, most);
    m->loader += volt_stages_bytes(s);
    m->total += volt_stages_bytes(s);
    volt_report(s->cb, VOLT_LOG_INFO,
                "memory: %.0f MiB at most%s (network %.0f: activations %.0f, parameters %.0f, "
                "gradients %.0f, packed %.0f, scratch %.0f; optimizer %.0f; batches %.0f)",
                (double)m->total * MIB, s->ranks.size > 1 ? " on rank 0" : "",
                (double)m->program * MIB, (double)pm.activations * MIB,
                (double)pm.parameters * MIB, (double)pm.gradients * MIB,
                (double)pm.packed * MIB, (double)pm.scratch * MIB, (double)m->optimizer * MIB,
                (double)m->loader * MIB);
    VOLT_TRY(st, done, volt_stages_report(s));
    st = check_memory(s);
done:
    return st;
}

/* ---- weights and optimizer state, to and from the device ---- */

static size_t slot_bytes(const volt_session *s)
{
    return (size_t)volt_graph_learned_elements(s->graph) * sizeof(float);
}

/* Slot i as the host sees it: the device's own memory, or its place in staging. */
static float *host_slot(const volt_session *s, int i)
{
    return s->staging ? s->staging + (i + 1) * volt_graph_param_elements(s->graph)
                      : volt_optimizer_slot(s->optimizer, i);
}

static volt_stream *stream_of(const volt_session *s)
{
    return volt_program_parameters(s->program).stream;
}

static volt_status upload_slots(volt_session *s)
{
    volt_status st = VOLT_OK;

    for (int i = 0; s->staging && i < volt_optimizer_slots(s->optimizer) && st == VOLT_OK; i++)
        st = s->device->upload(s->device, volt_optimizer_slot(s->optimizer, i), host_slot(s, i),
                               slot_bytes(s), stream_of(s));
    return st;
}

/* In fp16 gradients are those of the loss times a scale that follows them, as torch's does. */
static volt_status scale_loss(volt_session *s)
{
    const double scale = s->state.loss_scale > 0 ? s->state.loss_scale : FIRST_LOSS_SCALE;

    if (s->recipe.precision != VOLT_FP16_MIXED)
        return VOLT_OK;
    volt_program_scale_loss(s->program, volt_optimizer_loss_scale(s->optimizer));
    return volt_optimizer_set_loss_scale(s->optimizer, scale, (int64_t)s->state.loss_scale_age,
                                         LOSS_SCALE_GROWTH);
}

volt_status volt_session_loss(volt_session *s, volt_feed *feed, const volt_batch *batch,
                              bool gradient)
{
    const volt_status st = volt_program_loss(s->program, &s->loss, batch->labels, gradient);

    return st == VOLT_OK ? volt_feed_uploaded(feed, stream_of(s)) : st;
}

volt_status volt_session_update(volt_session *s, double lr)
{
    const volt_status st = volt_optimizer_step(s->optimizer, lr);

    return st == VOLT_OK ? volt_program_pack(s->program) : st;
}

volt_status volt_session_norm(volt_session *s, double *norm)
{
    volt_update_scalars last;
    volt_status st;

    VOLT_TRY(st, done, volt_optimizer_scalars(s->optimizer, &last));
    if (last.bad && (s->recipe.precision != VOLT_FP16_MIXED || last.loss_scale < 1))
        return volt_fail(VOLT_ENUMERIC, "the gradients are not finite");
    *norm = last.bad ? NAN : last.norm;
done:
    return st;
}

volt_status volt_session_clear_optimizer(volt_session *s)
{
    for (int i = 0; i < volt_optimizer_slots(s->optimizer); i++)
        memset(host_slot(s, i), 0, slot_bytes(s));
    volt_status st = volt_optimizer_set_steps(s->optimizer, 0);
    if (st == VOLT_OK)
        st = scale_loss(s);
    return st == VOLT_OK ? upload_slots(s) : st;
}

int64_t volt_session_batch_voxels(const volt_session *s)
{
    return s->ranks.count * volt_box_voxels(s->box);
}

int64_t volt_session_checkpoint_bytes(const volt_session *s)
{
    return volt_graph_param_elements(s->graph) * (int64_t)sizeof(float) +
           (int64_t)slot_bytes(s) * volt_optimizer_slots(s->optimizer);
}

/* The initial parameters of a new run. */
static volt_status first_weights(float *flat, const volt_session *s)
{
    const volt_train_options *o = s->options;

    int frozen = 0;

    volt_init_parameters(flat, s->graph, s->recipe.seed);
    if (o->init)
        return volt_transfer(flat, s->graph, o->init, (volt_transfer_mode)s->recipe.init_mode,
                             s->data->config->slices, s->scale, s->cb, NULL);
    for (int i = 0; s->scale && i < volt_graph_param_count(s->graph); i++)
        frozen += s->scale[i] == 0;
    if (frozen)
        volt_report(s->cb, VOLT_LOG_WARNING,
                    "%d parameter%s frozen at random values: no initial weights are given",
                    frozen, frozen == 1 ? " is" : "s are");
    return VOLT_OK;
}

/* The parameters that the run begins or continues with, read by rank 0. The caller owns *out
 * (volt_free). */
static volt_status read_weights(float **out, volt_session *s)
{
    const size_t count = (size_t)volt_graph_param_elements(s->graph);
    float *flat = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_alloc(&flat, count * sizeof(float), "the network's parameters"));
    if (!volt_train_ranks_lead(&s->ranks))
        ;
    else if (s->resumed) /* checks the file before the network is allocated */
        st = volt_checkpoint_read(s->latest, s->graph, flat, NULL, 0);
    else
        st = first_weights(flat, s);
    VOLT_TRY(st, done, volt_train_ranks_follow(&s->ranks, st));
    VOLT_TRY(st, done, volt_train_ranks_share(&s->ranks, flat, count * sizeof(float)));
    *out = flat;
    flat = NULL;
done:
    volt_free(flat);
    return st;
}

/* The optimizer's state of a resumed run, read by rank 0. */
static volt_status read_slots(volt_session *s)
{
    const int slots = volt_optimizer_slots(s->optimizer);
    float *slot[VOLT_CHECKPOINT_MAX_SLOTS] = {NULL, NULL};
    volt_status st = VOLT_OK;

    for (int i = 0; i < slots; i++)
        slot[i] = host_slot(s, i);
    if (volt_train_ranks_lead(&s->ranks))
        st = volt_checkpoint_read(s->latest, s->graph, NULL, slot, slots);
    VOLT_TRY(st, done, volt_train_ranks_follow(&s->ranks, st));
    for (int i = 0; i < slots; i++)
        VOLT_TRY(st, done, volt_train_ranks_share(&s->ranks, slot[i], slot_bytes(s)));
    VOLT_TRY(st, done, upload_slots(s));
    st = volt_optimizer_set_steps(s->optimizer, s->state.steps);
done:
    return st;
}

static volt_status load(volt_session *s)
{
    const size_t count = (size_t)volt_graph_param_elements(s->graph);
    float *flat = NULL;
    volt_status st;

    VOLT_TRY(st, done, read_weights(&flat, s));
    VOLT_TRY(st, done, volt_program_load(s->program, flat));
    VOLT_TRY(st, done,
             volt_optimizer_create(&s->optimizer, volt_program_parameters(s->program),
                                   &s->recipe.recipe.optimizer));
    if (s->scale)
        VOLT_TRY(st, done, volt_optimizer_set_scales(s->optimizer, s->graph, s->scale));
    VOLT_TRY(st, done, scale_loss(s));
    if (!s->device->host_memory)
        VOLT_TRY(st, done,
                 volt_alloc_zero(&s->staging, count * sizeof(float),
                                 (size_t)volt_optimizer_slots(s->optimizer) + 1,
                                 "the copy of the network for checkpoints"));
    if (s->resumed)
        st = read_slots(s);
done:
    volt_free(flat);
    return st;
}

static volt_status save(volt_session *s, const char *path, bool with_optimizer)
{
    volt_checkpoint_head head = {.plan = s->plan_text, .dataset = s->info_text};
    const int slots = with_optimizer ? volt_optimizer_slots(s->optimizer) : 0;
    float *slot[VOLT_CHECKPOINT_MAX_SLOTS] = {NULL, NULL};
    const float *weights = volt_program_parameters(s->program).weights;
    volt_update_scalars last;
    volt_status st = VOLT_OK;

    head.slots = slots;
    s->state.seconds = volt_session_seconds(s);
    VOLT_TRY(st, done, volt_optimizer_scalars(s->optimizer, &last));
    s->state.steps = last.steps;
    if (s->recipe.precision == VOLT_FP16_MIXED) {
        s->state.loss_scale = last.loss_scale;
        s->state.loss_scale_age = (double)last.since;
    }
    if (s->staging) {
        VOLT_TRY(st, done, volt_program_save(s->program, s->staging));
        weights = s->staging;
    }
    for (int i = 0; i < slots; i++) {
        slot[i] = host_slot(s, i);
        if (s->staging)
            VOLT_TRY(st, done,
                     s->device->download(s->device, slot[i],
                                         volt_optimizer_slot(s->optimizer, i), slot_bytes(s),
                                         stream_of(s)));
    }
    VOLT_TRY(st, done, volt_train_recipe_text(&head.recipe, &s->recipe));
    VOLT_TRY(st, done, volt_train_state_text(&head.state, &s->state));
    st = volt_checkpoint_write(path, &head, s->graph, weights, slot);
done:
    volt_free(head.state);
    volt_free(head.recipe);
    return st;
}

static volt_status save_by_lead(volt_session *s, const char *path, bool with_optimizer)
{
    const bool lead = volt_train_ranks_lead(&s->ranks);

    return volt_train_ranks_follow(&s->ranks, lead ? save(s, path, with_optimizer) : VOLT_OK);
}

volt_status volt_session_save_latest(volt_session *s)
{
    const volt_status st = save_by_lead(s, s->latest, true);

    s->saved_at = volt_seconds();
    return st;
}

volt_status volt_session_save_best(volt_session *s)
{
    return save_by_lead(s, s->best, false);
}

volt_status volt_session_compare_parameters(volt_session *s)
{
    const size_t bytes = (size_t)volt_graph_param_elements(s->graph) * sizeof(float);
    const float *weights = volt_program_parameters(s->program).weights;
    char what[64];
    uint32_t crc;
    volt_status st = VOLT_OK;

    if (!s->ranks.comm)
        return VOLT_OK;
    if (s->staging) {
        VOLT_TRY(st, done, volt_program_save(s->program, s->staging));
        weights = s->staging;
    }
    crc = volt_crc32(0, weights, bytes);
    snprintf(what, sizeof what, "their parameters after epoch %lld",
             (long long)s->state.epoch + 1);
    st = volt_train_ranks_same(&s->ranks, what, &crc, sizeof crc);
done:
    return st;
}

/* ---- opening and closing ---- */

static volt_status make_tables(volt_session *s)
{
    size_t outputs;
    volt_status st;

    VOLT_TRY(st, done, volt_train_targets_open(&s->targets, s->data->info));
    outputs = (size_t)s->targets.outputs;
    VOLT_TRY(st, done,
             volt_alloc_zero(&s->counts, 3 * outputs, sizeof *s->counts, "counts per class"));
    VOLT_TRY(st, done, volt_alloc_zero(&s->dice, outputs, sizeof *s->dice, "Dice per class"));
    VOLT_TRY(st, done,
             volt_alloc_zero(&s->warnings.warned_class, outputs,
                             sizeof *s->warnings.warned_class, "warned classes"));
done:
    return st;
}

static volt_status describe(const volt_session *s)
{
    char *path = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_path_join(&path, s->run, "plans.json"));
    VOLT_TRY(st, done, volt_write_file(path, s->plan_text, strlen(s->plan_text)));
    volt_free(path);
    path = NULL;
    VOLT_TRY(st, done, volt_path_join(&path, s->run, "dataset.json"));
    VOLT_TRY(st, done, volt_write_file(path, s->info_text, strlen(s->info_text)));
    st = volt_run_log_rewind(s->log, s->state.epoch);
done:
    volt_free(path);
    return st;
}

volt_status volt_session_describe(volt_session *s)
{
    return volt_train_ranks_follow(&s->ranks,
                                   volt_train_ranks_lead(&s->ranks) ? describe(s) : VOLT_OK);
}

static void begin(volt_session *s, const char *run, const volt_train_data *data,
                  const volt_train_options *options, const volt_callbacks *cb, bool alone)
{
    *s = (volt_session){.data = data, .options = options, .cb = cb, .run = run};
    volt_train_ranks_begin(&s->ranks, options, alone);
    if (!volt_train_ranks_lead(&s->ranks)) {
        if (cb)
            s->only_cancel = (volt_callbacks){.user = cb->user, .cancelled = cb->cancelled};
        s->cb = &s->only_cancel;
    }
    s->opened_at = s->saved_at = volt_seconds();
    volt_mem_scope_enter(&s->scope);
}

/* How many folders of `path` are missing. */
static volt_status count_missing(int *out, const char *path)
{
    char *at = NULL, *slash;
    int missing = 0;
    const volt_status st = volt_strdup(&at, path);

    for (; st == VOLT_OK && *at && !volt_path_exists(at); missing++) {
        slash = strrchr(at, '/');
        *(slash ? slash : at) = '\0';
    }
    *out = missing;
    volt_free(at);
    return st;
}

/* The checks of a run, cheapest first, until its network is compiled. */
static volt_status prepare(volt_session *s)
{
    volt_status st;

    VOLT_TRY(st, done, make_tables(s));
    VOLT_TRY(st, done, make_texts(s));
    VOLT_TRY(st, done, volt_session_setup(s));
    s->opened_at -= s->state.seconds;
    if (s->ended)
        goto done;
    VOLT_TRY(st, done, volt_session_place(s));
    VOLT_TRY(st, done, check_channels(s));
    if (!s->ranks.comm && s->ranks.size > 1 && !s->ranks.mesh)
        goto done; /* which mesh it will be is not known yet */
    VOLT_TRY(st, done, compile(s));
    note_parts(s);
    st = announce(s);
done:
    return st;
}

volt_status volt_session_check(volt_session *s, const char *run, const volt_train_data *data,
                               const volt_train_options *options, const volt_callbacks *cb)
{
    float *flat = NULL;
    volt_status st;

    begin(s, run, data, options, cb, true);
    VOLT_TRY(st, done, volt_owner_check(run));
    VOLT_TRY(st, done, prepare(s));
    if (!s->ended && s->graph)
        st = read_weights(&flat, s);
done:
    volt_free(flat);
    return st;
}

static volt_status check_cases(volt_session *s)
{
    const volt_loader_options train = volt_session_loader_options(s, false);
    const volt_loader_options validation = volt_session_loader_options(s, true);
    uint64_t key[2] = {0, 0};
    volt_status st = volt_loader_check_cases(&key[0], &train);

    if (st == VOLT_OK && s->data->validate_count > 0)
        st = volt_loader_check_cases(&key[1], &validation);
    VOLT_TRY(st, done, volt_train_ranks_agree(&s->ranks, st));
    st = volt_train_ranks_same(&s->ranks, "their preprocessed cases", key, sizeof key);
done:
    return st;
}

/* Rank 0 becomes the owner of the run's folder. */
static volt_status take_folder(volt_session *s)
{
    volt_status st = VOLT_OK;

    if (volt_train_ranks_lead(&s->ranks)) {
        st = count_missing(&s->missing, s->run);
        if (st == VOLT_OK)
            st = volt_owner_take(&s->owner, s->run, VOLT_OWNER_REFUSE, s->cb);
    }
    return volt_train_ranks_follow(&s->ranks, st);
}

void volt_session_discard(volt_session *s)
{
    /* The checkpoint goes last: without it, the others would be taken for a user's. */
    static const char *const files[] = {"log.jsonl", "dataset.json", "plans.json",
                                        VOLT_RUN_LATEST};
    const bool remains = !s->writing || s->resumed || s->state.iteration > 0;
    char *path = NULL, *slash;

    if (!volt_train_ranks_lead(&s->ranks))
        return;
    for (size_t i = 0; !remains && i < sizeof files / sizeof *files; i++) {
        if (volt_path_join(&path, s->run, files[i]) == VOLT_OK)
            (void)remove(path);
        volt_free(path);
        path = NULL;
    }
    volt_owner_release(&s->owner); /* may remove the folder */
    if (volt_strdup(&path, s->run) != VOLT_OK)
        return;
    for (int i = 0; i < s->missing && *path && (rmdir(path) == 0 || errno == ENOENT); i++) {
        slash = strrchr(path, '/');
        *(slash ? slash : path) = '\0';
    }
    volt_free(path);
}

volt_status volt_session_open(volt_session *s, const char *run, const volt_train_data *data,
                              const volt_train_options *options, const volt_callbacks *cb)
{
    volt_status st;

    begin(s, run, data, options, cb, false);
    VOLT_TRY(st, done, take_folder(s));
    VOLT_TRY(st, done, prepare(s));
    if (s->ended)
        goto done;
    VOLT_TRY(st, done, check_cases(s));
    VOLT_TRY(st, done, load(s));
    s->writing = true;
done:
    return st;
}

void volt_session_close(volt_session *s)
{
    volt_session_close_loaders(s);
    volt_free(s->staging);
    volt_free(s->scale);
    volt_optimizer_free(s->optimizer);
    volt_stages_close(s);
    volt_program_free(s->program);
    volt_graph_free(s->graph);
    volt_device_close(s->device);
    volt_train_ranks_end(&s->ranks);
    volt_free(s->warnings.warned_class);
    volt_free(s->dice);
    volt_free(s->counts);
    volt_train_targets_close(&s->targets);
    volt_free(s->info_text);
    volt_free(s->plan_text);
    volt_free(s->log);
    volt_free(s->best);
    volt_free(s->latest);
    volt_owner_release(&s->owner);
    volt_mem_scope_leave(&s->scope);
    *s = (volt_session){0};
}
