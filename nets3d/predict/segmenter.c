/* Opens and closes the networks of runs. */
#include <string.h>

#include "base/core/plural.h"
#include "base/core/alloc.h"
#include "base/core/report.h"
#include "base/system/file.h"
#include "base/threads.h"
#include "nets3d/plan/plan_internal.h"
#include "nets3d/predict/segmenter.h"
#include "nets3d/program/precision.h"
#include "nets3d/run/folder.h"
#include "nets3d/run/checkpoint.h"

/* Logits are summed in half precision where float32 would take more than a GiB. This depends on
 * the network and the scan only, never on the machine. */
#define FLOAT_SUMS_BYTES ((size_t)1 << 30)

int volt_segmenter_networks(const volt_segmenter *seg)
{
    int count = 0;

    for (int g = 0; g < seg->sets; g++)
        count += seg->set[g].networks;
    return count;
}

const volt_net_set *volt_segmenter_cascade(const volt_segmenter *seg)
{
    for (int g = 0; g < seg->sets; g++) {
        if (seg->set[g].config->previous_stage)
            return &seg->set[g];
    }
    return NULL;
}

/* ---- opening ---- */

static const volt_fold_rule trained = {.fits = volt_run_is_single, .what = "a checkpoint"};

/* The description in one checkpoint, before its network has a set. Owned. */
typedef struct described {
    char *path;
    volt_plan *plan;
    const volt_plan_config *config; /* of `plan` */
    char *config_text;              /* what its network depends on */
    volt_train_recipe recipe;
    volt_dataset_info info;
} described;

static void described_clear(described *d)
{
    volt_free(d->path);
    volt_free(d->config_text);
    volt_plan_free(d->plan);
    volt_dataset_info_clear(&d->info);
}

static volt_status describe(described *d, const char *run, const char *checkpoint)
{
    volt_checkpoint_head head = {0};
    volt_status st;

    VOLT_TRY(st, done,
             volt_path_is_dir(run) ? volt_run_checkpoint(&d->path, run, checkpoint)
                                   : volt_strdup(&d->path, run));
    VOLT_TRY(st, done, volt_checkpoint_read_head(&head, d->path));
    VOLT_TRY(st, done, volt_train_recipe_parse(&d->recipe, head.recipe, d->path));
    VOLT_TRY(st, done,
             volt_dataset_info_parse(&d->info, head.dataset, strlen(head.dataset), d->path));
    VOLT_TRY(st, done,
             volt_plan_parse(&d->plan, head.plan, strlen(head.plan), d->path, &d->info));
    VOLT_TRY(st, done, volt_plan_find(&d->config, d->plan, d->recipe.configuration));
    st = volt_plan_config_text(&d->config_text, d->plan, d->config);
done:
    volt_checkpoint_head_free(&head);
    return st;
}

/* The first difference between the inputs and outputs of two networks, in words; NULL = none.
 */
static const char *info_difference(const volt_dataset_info *a, const volt_dataset_info *b)
{
    if (a->channels != b->channels)
        return "the number of channels";
    if (a->labels != b->labels)
        return "the number of labels";
    for (int i = 0; i < a->labels; i++) {
        if (a->label[i].value != b->label[i].value ||
            strcmp(a->label[i].name, b->label[i].name) != 0)
            return "a label";
    }
    if (a->regions != b->regions)
        return "the number of regions";
    for (int i = 0; i < a->regions; i++) {
        const volt_label_region *r = &a->region[i], *q = &b->region[i];
        if (strcmp(r->name, q->name) != 0 || r->painted != q->painted)
            return "a region";
    }
    return NULL;
}

/* Takes the labels of the first network; later ones must agree. */
static volt_status agree_on_labels(volt_segmenter *seg, described *d)
{
    const char *difference;
    int32_t most = 0;
    volt_status st;

    if (seg->info.labels > 0) {
        difference = info_difference(&seg->info, &d->info);
        if (difference)
            return volt_fail(VOLT_EDATA, "%s and %s cannot be combined: %s differs",
                             seg->set[0].path[0], d->path, difference);
        return VOLT_OK;
    }
    seg->info = d->info;
    d->info = (volt_dataset_info){0};
    seg->outputs = volt_dataset_info_outputs(&seg->info);
    VOLT_TRY(
        st, done,
        volt_alloc(&seg->value, (size_t)seg->outputs * sizeof *seg->value, "label values"));
    for (int i = 0; i < seg->outputs; i++) {
        const int32_t value =
            seg->info.regions ? seg->info.region[i].painted : seg->info.label[i].value;
        seg->value[i] = (uint16_t)value;
        most = value > most ? value : most;
    }
    seg->dtype = most < 255 ? VOLT_U8 : VOLT_U16;
done:
    return st;
}

/* All combinations of the axes mirrored in training; the first is none. */
static void list_flips(volt_net_set *g, bool mirrored)
{
    for (int f = 0; f < 8; f++) {
        bool allowed = true;
        for (int a = 0; a < 3; a++) {
            g->flip[g->flips][a] = f >> a & 1;
            allowed = allowed && (!(f >> a & 1) || (mirrored && g->recipe.recipe.mirror[a] &&
                                                    g->config->patch[a] > 1));
        }
        g->flips += allowed;
    }
}

/* The set to which this network belongs, or NULL. */
static volt_net_set *find_set(volt_segmenter *seg, const described *d)
{
    char where[256];

    for (int i = 0; i < seg->sets; i++) {
        volt_net_set *g = &seg->set[i];
        if (strcmp(g->recipe.configuration, d->recipe.configuration) == 0 &&
            memcmp(g->recipe.recipe.mirror, d->recipe.recipe.mirror,
                   sizeof d->recipe.recipe.mirror) == 0 &&
            !volt_json_texts_differ(where, sizeof where, g->config_text, d->config_text))
            return g;
    }
    return NULL;
}

static volt_status choose_precision(volt_segmenter *seg, volt_net_set *g,
                                    const volt_predict_options *o, const volt_callbacks *cb)
{
    volt_precision_query query = {.device = seg->device,
                                  .net = &g->config->net,
                                  .batch = 1,
                                  .mode = VOLT_INFER,
                                  .threads = seg->threads,
                                  .cache = o->cache};

    memcpy(query.patch, g->config->patch, sizeof query.patch);
    return volt_precision_choose(&g->precision, o->precision, &query, cb);
}

/* Single small slices leave threads idle; volumes do not. */
static int usual_batch(const volt_plan_config *config)
{
    const int64_t enough = 65536 / (config->patch[1] * config->patch[2]); /* voxels of a pass */

    if (config->axes != 2 || config->whole || enough < 2)
        return 1;
    return enough < 8 ? (int)enough : 8;
}

/* Creates a set for this network. */
static volt_status add_set(volt_segmenter *seg, described *d, const volt_predict_options *o,
                           const volt_callbacks *cb)
{
    volt_net_set *g = &seg->set[seg->sets];
    volt_status st;

    if (seg->sets == VOLT_PREDICT_MAX_SETS)
        return volt_fail(VOLT_ENOTSUP, "more than %d different configurations in an ensemble",
                         VOLT_PREDICT_MAX_SETS);
    seg->sets++; /* before anything is owned, so that volt_segmenter_free releases it */
    g->loaded = -1;
    g->recipe = d->recipe;
    g->plan = d->plan;
    g->config = d->config;
    g->config_text = d->config_text;
    d->plan = NULL;
    d->config_text = NULL;
    g->batch = o->batch > 0 ? o->batch : usual_batch(g->config);
    list_flips(g, o->mirror);
    VOLT_TRY(st, done, choose_precision(seg, g, o, cb));
    st = volt_network_build(&g->graph, &g->config->net, false);
done:
    return st;
}

static volt_status add_network(volt_segmenter *seg, const char *run,
                               const volt_predict_options *o, const volt_callbacks *cb)
{
    described d = {0};
    volt_net_set *g;
    volt_status st;

    VOLT_TRY(st, done, describe(&d, run, o->checkpoint));
    VOLT_TRY(st, done, agree_on_labels(seg, &d));
    g = find_set(seg, &d);
    if (!g) {
        VOLT_TRY(st, done, add_set(seg, &d, o, cb));
        g = &seg->set[seg->sets - 1];
    }
    if (g->networks == VOLT_PREDICT_MAX_NETWORKS) {
        st = volt_fail(VOLT_ENOTSUP, "more than %d networks of one configuration",
                       VOLT_PREDICT_MAX_NETWORKS);
        goto done;
    }
    volt_report(cb, VOLT_LOG_INFO, "%s: %s, %s, %s mirroring", d.path, g->config->name,
                volt_precision_name(g->precision), g->flips > 1 ? "with" : "without");
    g->path[g->networks++] = d.path;
    d.path = NULL;
done:
    described_clear(&d);
    return st;
}

/* One run: a checkpoint, or all folds of a folder. */
static volt_status add_run(volt_segmenter *seg, const char *run, const volt_predict_options *o,
                           const volt_callbacks *cb)
{
    const bool single = !volt_path_is_dir(run) || volt_run_is_single(run);
    volt_names folds = {0};
    volt_status st = VOLT_OK;

    if (single && o->folds)
        return volt_fail(VOLT_EINVAL, "%s is a single network: it has no folds %s", run,
                         o->folds);
    if (!single)
        VOLT_TRY(st, done, volt_fold_folders(&folds, run, o->folds, &trained));
    for (size_t i = 0; i < folds.count; i++)
        VOLT_TRY(st, done, add_network(seg, folds.name[i], o, cb));
    if (folds.count == 0)
        st = add_network(seg, run, o, cb);
done:
    volt_names_free(&folds);
    return st;
}

static volt_status check_options(const volt_predict_options *o)
{
    if (!(o->step > 0) || o->step > 1)
        return volt_fail(VOLT_EINVAL,
                         "a tile step of %g; a fraction of the patch in (0, 1] is expected",
                         o->step);
    if (o->tiles != VOLT_TILES_NNUNET && o->tiles != VOLT_TILES_MONAI)
        return volt_fail(VOLT_EINVAL, "tile rule %d; %d or %d is expected", (int)o->tiles,
                         VOLT_TILES_NNUNET, VOLT_TILES_MONAI);
    if ((int)o->precision < VOLT_PRECISION_AUTO || o->precision > VOLT_TF32)
        return volt_fail(VOLT_EINVAL, "precision %d; %d to %d are expected", (int)o->precision,
                         VOLT_PRECISION_AUTO, VOLT_TF32);
    if (o->threads < 0 || o->threads > VOLT_MAX_THREADS)
        return volt_fail(VOLT_EINVAL, "%d threads; 0 to %d are expected", o->threads,
                         VOLT_MAX_THREADS);
    if (o->batch < 0 || o->batch > VOLT_PREDICT_MAX_BATCH)
        return volt_fail(VOLT_EINVAL, "%d tiles at a time; 0 to %d are expected", o->batch,
                         VOLT_PREDICT_MAX_BATCH);
    return VOLT_OK;
}

volt_status volt_segmenter_open(volt_segmenter **out, const char *const *runs, int count,
                                const volt_predict_options *options, const volt_callbacks *cb)
{
    volt_segmenter *seg = NULL;
    volt_mem_scope scope;
    volt_status st;

    volt_mem_scope_enter(&scope);
    VOLT_TRY(st, done, check_options(options));
    VOLT_TRY(st, done, volt_alloc_zero(&seg, 1, sizeof *seg, "a predictor"));
    seg->options = *options;
    seg->threads = volt_threads_or_default(options->threads);
    seg->float_sums_bytes = FLOAT_SUMS_BYTES;
    VOLT_TRY(st, done,
             volt_device_open(&seg->device, options->device ? options->device : "cpu"));
    for (int i = 0; i < count; i++)
        VOLT_TRY(st, done, add_run(seg, runs[i], options, cb));
    if (volt_segmenter_networks(seg) > 1)
        volt_report(cb, VOLT_LOG_INFO, "an ensemble of %d networks",
                    volt_segmenter_networks(seg));
    seg->base_bytes = seg->held_bytes = (size_t)volt_mem_scope_held(&scope);
    *out = seg;
    seg = NULL;
done:
    volt_segmenter_free(seg);
    volt_mem_scope_leave(&scope);
    return st;
}

void volt_segmenter_free(volt_segmenter *seg)
{
    if (!seg)
        return;
    for (int i = 0; i < seg->sets; i++) {
        volt_net_set *g = &seg->set[i];
        volt_net_set_release(seg, g);
        volt_graph_free(g->graph);
        for (int k = 0; k < g->networks; k++)
            volt_free(g->path[k]);
        volt_plan_free(g->plan);
        volt_free(g->config_text);
    }
    volt_device_close(seg->device);
    volt_free(seg->value);
    volt_dataset_info_clear(&seg->info);
    volt_free(seg);
}

/* ---- programs ---- */

void volt_segmenter_release_programs(volt_segmenter *seg)
{
    for (int g = 0; g < seg->sets; g++)
        volt_net_set_release(seg, &seg->set[g]);
    seg->held_bytes = seg->base_bytes;
    seg->held_there = 0;
}

volt_status volt_segmenter_restore_programs(volt_segmenter *seg)
{
    size_t opened = 0, there = 0, host, device; /* bytes of the sets */
    volt_mem_scope scope;
    volt_status st = VOLT_OK;

    volt_mem_scope_enter(&scope);
    for (int g = 0; g < seg->sets; g++) {
        const int64_t *patch = seg->set[g].config->patch;
        if (volt_net_set_is_whole(seg, &seg->set[g]))
            continue;
        VOLT_TRY(st, done, volt_net_set_open(seg, &seg->set[g], patch));
        VOLT_TRY(st, done, volt_net_set_bytes(&host, &device, NULL, seg, &seg->set[g], patch));
        opened += host;
        there += device;
    }
    seg->held_there = there;
    seg->held_bytes += (size_t)volt_mem_scope_held(&scope);
    seg->other_bytes = seg->held_bytes > opened ? seg->held_bytes - opened : 0;
done:
    volt_mem_scope_leave(&scope);
    return st;
}
