/* Opening runs for prediction, and one scan from voxels to labels. */
#include "nets3d/predictor.h"

#include <string.h>

#include "base/system/file.h"
#include "base/mem.h"
#include "base/core/plural.h"
#include "base/threads.h"
#include "nets3d/run/checkpoint.h"
#include "nets3d/predict/predictor_internal.h"
#include "nets3d/program/precision.h"
#include "nets3d/run.h"

volt_predict_options volt_predict_defaults(void)
{
    return (volt_predict_options){.device = "cpu", .mirror = true, .step = 0.5};
}

const volt_dataset_info *volt_predictor_info(const volt_predictor *p)
{
    return &p->info;
}

int volt_predictor_networks(const volt_predictor *p)
{
    int count = 0;

    for (int g = 0; g < p->groups; g++)
        count += p->group[g].networks;
    return count;
}

/* ---- one scan ---- */

void volt_prepared_scan_clear(volt_prepared_scan *s, const volt_predictor *p)
{
    for (int g = 0; g < p->groups; g++)
        volt_preprocessed_clear(&s->prepared[g]);
}

int volt_net_set_channels(const volt_predictor *p, const volt_net_set *g)
{
    return p->info.channels + (g->config->previous_stage ? g->plan->classes - 1 : 0);
}

/* The labels of a prepared mask, which must lie on the very grid of the prepared scan. */
static volt_status take_prepared(volt_preprocessed *made, const volt_stored_case *mask,
                                 const char *what)
{
    const int64_t *n = made->image->grid.n;
    volt_grid grid = made->image->grid;
    volt_status st;

    if (!mask->labels || memcmp(mask->shape, n, sizeof mask->shape) != 0 ||
        memcmp(mask->transpose_forward, made->transpose_forward,
               sizeof mask->transpose_forward) != 0)
        return volt_fail(VOLT_EDATA,
                         "%s: the prepared mask has %lld x %lld x %lld voxels, the prepared "
                         "scan %lld x %lld x %lld",
                         what, (long long)mask->shape[0], (long long)mask->shape[1],
                         (long long)mask->shape[2], (long long)n[0], (long long)n[1],
                         (long long)n[2]);
    grid.channels = 1;
    VOLT_TRY(st, done, volt_stored_case_verify(mask));
    VOLT_TRY(st, done, volt_volume_create(&made->labels, &grid, mask->label_dtype));
    memcpy(made->labels->data, mask->labels, volt_volume_bytes(made->labels));
done:
    return st;
}

/* The scan as one group sees it. */
static volt_status prepare_for(volt_preprocessed *out, const volt_net_set *g,
                               volt_volume **image, const volt_prior_mask *previous,
                               const char *what, int threads)
{
    const bool refines = g->config->previous_stage;
    volt_volume *labels = NULL;
    volt_preprocessed made = {0};
    volt_status st = VOLT_OK;

    if (refines && previous->mask)
        VOLT_TRY(st, done,
                 volt_volume_convert(&labels, previous->mask, VOLT_I16, NULL, threads));
    VOLT_TRY(st, done,
             volt_preprocess_case(&made, image, &labels, g->plan, g->config, what, threads));
    if (refines && previous->prepared)
        VOLT_TRY(st, done, take_prepared(&made, previous->prepared, what));
    if (refines)
        VOLT_TRY(st, done, volt_preprocessed_add_masks(&made, g->plan->classes, threads));
    *out = made;
    made = (volt_preprocessed){0};
done:
    volt_preprocessed_clear(&made);
    volt_volume_free(labels);
    return st;
}

volt_status volt_prepared_scan_make(volt_prepared_scan *out, const volt_predictor *p,
                                    volt_volume **image, const volt_prior_mask *previous,
                                    const char *what, int threads)
{
    volt_volume *copy = NULL;
    volt_prepared_scan scan = {0};
    volt_status st = VOLT_OK;

    for (int g = 0; g < p->groups; g++) {
        const bool last = g + 1 == p->groups;
        if (!last)
            VOLT_TRY(st, done, volt_volume_convert(&copy, *image, VOLT_F32, NULL, threads));
        VOLT_TRY(st, done,
                 prepare_for(&scan.prepared[g], &p->group[g], last ? image : &copy, previous,
                             what, threads));
    }
    *out = scan;
    scan = (volt_prepared_scan){0};
done:
    volt_prepared_scan_clear(&scan, p);
    volt_volume_free(copy);
    volt_volume_free(*image);
    *image = NULL;
    return st;
}

/* `mask`: the previous stage's, for cascades. */
static volt_status run_on(volt_predictor *p, const volt_volume *image, const volt_volume *mask,
                          volt_volume **labels, const volt_callbacks *cb)
{
    const volt_prior_mask previous = {.mask = mask};
    const volt_segment_request wanted = {0};
    volt_volume *copy = NULL;
    volt_prepared_scan scan = {0};
    volt_segmentation finished = {0};
    volt_status st;

    VOLT_TRY(st, done, volt_predictor_restore_programs(p));
    VOLT_TRY(st, done, volt_volume_convert(&copy, image, VOLT_F32, NULL, p->threads));
    VOLT_TRY(st, done,
             volt_prepared_scan_make(&scan, p, &copy, &previous, "the image", p->threads));
    VOLT_TRY(st, done, volt_predictor_segment(p, &finished, &scan, &wanted, "the image", cb));
    *labels = finished.labels;
    finished.labels = NULL;
done:
    volt_segmentation_clear(&finished);
    volt_volume_free(copy);
    return st;
}

static volt_status check_channels(const volt_predictor *p, const volt_grid *grid)
{
    if (grid->channels != p->info.channels)
        return volt_fail(VOLT_EINVAL, "the image has %d channel%s; the network takes %d",
                         (int)grid->channels, volt_s(grid->channels), p->info.channels);
    return VOLT_OK;
}

volt_status volt_predictor_run(volt_predictor *p, const volt_volume *image,
                               volt_volume **labels, const volt_callbacks *cb)
{
    volt_volume *mask = NULL;
    volt_status st;

    VOLT_TRY(st, done, check_channels(p, &image->grid));
    if (volt_predictor_cascade(p))
        VOLT_TRY(st, done, volt_predictor_run_first(&mask, p, image, cb));
    st = run_on(p, image, mask, labels, cb);
done:
    volt_volume_free(mask);
    return st;
}

volt_status volt_predictor_run_with_prior(volt_predictor *p, const volt_volume *image,
                                          const volt_volume *mask, volt_volume **labels,
                                          const volt_callbacks *cb)
{
    volt_status st;

    VOLT_TRY(st, done, check_channels(p, &image->grid));
    VOLT_TRY(st, done, volt_predictor_check_mask(p, image, mask));
    st = run_on(p, image, mask, labels, cb);
done:
    return st;
}

/* ---- opening ---- */

static const volt_fold_rule trained = {.fits = volt_run_is_single, .what = "a checkpoint"};

/* What one checkpoint says, before it is known where it belongs. Owned. */
typedef struct described {
    char *path, *plan_text;
    volt_train_recipe recipe;
    volt_dataset_info info;
} described;

static void described_clear(described *d)
{
    volt_free(d->path);
    volt_free(d->plan_text);
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
    d->plan_text = head.plan;
    head.plan = NULL;
done:
    volt_checkpoint_head_free(&head);
    return st;
}

/* The first difference between what two networks take and give, in words; NULL: none. */
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

/* Takes over the labels of the first network; later ones must agree. */
static volt_status agree_on_labels(volt_predictor *p, described *d)
{
    const char *difference;
    int32_t most = 0;
    volt_status st;

    if (p->info.labels > 0) {
        difference = info_difference(&p->info, &d->info);
        if (difference)
            return volt_fail(VOLT_EDATA, "%s and %s do not fit together: %s differs",
                             p->group[0].path[0], d->path, difference);
        return VOLT_OK;
    }
    p->info = d->info;
    d->info = (volt_dataset_info){0};
    p->scores = volt_dataset_info_outputs(&p->info);
    VOLT_TRY(st, done,
             volt_alloc(&p->value, (size_t)p->scores * sizeof *p->value, "label values"));
    for (int i = 0; i < p->scores; i++) {
        const int32_t value =
            p->info.regions ? p->info.region[i].painted : p->info.label[i].value;
        p->value[i] = (uint16_t)value;
        most = value > most ? value : most;
    }
    p->dtype = most < 255 ? VOLT_U8 : VOLT_U16;
done:
    return st;
}

bool volt_predictor_has_regions(const volt_predictor *p)
{
    return p->info.regions > 0;
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

/* The group that this network belongs to, or NULL. */
static volt_net_set *find_group(volt_predictor *p, const described *d)
{
    char where[256];

    for (int i = 0; i < p->groups; i++) {
        volt_net_set *g = &p->group[i];
        if (strcmp(g->recipe.configuration, d->recipe.configuration) == 0 &&
            memcmp(g->recipe.recipe.mirror, d->recipe.recipe.mirror,
                   sizeof d->recipe.recipe.mirror) == 0 &&
            !volt_json_texts_differ(where, sizeof where, g->plan_text, d->plan_text))
            return g;
    }
    return NULL;
}

static volt_status choose_precision(volt_predictor *p, volt_net_set *g,
                                    const volt_predict_options *o, const volt_callbacks *cb)
{
    volt_precision_query query = {.device = p->device,
                                  .net = &g->config->net,
                                  .batch = 1,
                                  .mode = VOLT_INFER,
                                  .threads = p->threads,
                                  .cache = o->cache};

    memcpy(query.patch, g->config->patch, sizeof query.patch);
    return volt_precision_choose(&g->precision, o->precision, &query, cb);
}

/* Small slices leave threads idle when they go through one by one; volumes do not. */
static int usual_batch(const volt_plan_config *config)
{
    const int64_t enough = 65536 / (config->patch[1] * config->patch[2]); /* voxels of a pass */

    if (config->axes != 2 || config->whole || enough < 2)
        return 1;
    return enough < 8 ? (int)enough : 8;
}

/* A new group for this network. */
static volt_status add_group(volt_predictor *p, described *d, const volt_predict_options *o,
                             const volt_callbacks *cb)
{
    volt_net_set *g = &p->group[p->groups];
    volt_status st;

    if (p->groups == VOLT_PREDICT_MAX_GROUPS)
        return volt_fail(VOLT_ENOTSUP, "more than %d different configurations in an ensemble",
                         VOLT_PREDICT_MAX_GROUPS);
    p->groups++; /* before anything is owned: volt_predictor_free releases what is there */
    g->loaded = -1;
    g->recipe = d->recipe;
    VOLT_TRY(st, done,
             volt_plan_parse(&g->plan, d->plan_text, strlen(d->plan_text), d->path, &p->info));
    VOLT_TRY(st, done, volt_plan_find(&g->config, g->plan, d->recipe.configuration));
    g->batch = o->batch > 0 ? o->batch : usual_batch(g->config);
    g->plan_text = d->plan_text;
    d->plan_text = NULL;
    list_flips(g, o->mirror);
    VOLT_TRY(st, done, choose_precision(p, g, o, cb));
    st = volt_network_build(&g->graph, &g->config->net, false);
done:
    return st;
}

static volt_status add_network(volt_predictor *p, const char *run,
                               const volt_predict_options *o, const volt_callbacks *cb)
{
    described d = {0};
    volt_net_set *g;
    volt_status st;

    VOLT_TRY(st, done, describe(&d, run, o->checkpoint));
    VOLT_TRY(st, done, agree_on_labels(p, &d));
    g = find_group(p, &d);
    if (!g) {
        VOLT_TRY(st, done, add_group(p, &d, o, cb));
        g = &p->group[p->groups - 1];
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
static volt_status add_run(volt_predictor *p, const char *run, const volt_predict_options *o,
                           const volt_callbacks *cb)
{
    const bool single = !volt_path_is_dir(run) || volt_run_is_single(run);
    volt_names folds = {0};
    volt_status st = VOLT_OK;

    if (single && o->folds)
        return volt_fail(VOLT_EINVAL, "%s is one network: there are no folds %s in it", run,
                         o->folds);
    if (!single)
        VOLT_TRY(st, done, volt_fold_folders(&folds, run, o->folds, &trained));
    for (size_t i = 0; i < folds.count; i++)
        VOLT_TRY(st, done, add_network(p, folds.name[i], o, cb));
    if (folds.count == 0)
        st = add_network(p, run, o, cb);
done:
    volt_names_free(&folds);
    return st;
}

static volt_status check_options(const volt_predict_options *o)
{
    if (!(o->step > 0) || o->step > 1)
        return volt_fail(VOLT_EINVAL, "a tile step of %g; it is a share of the patch in (0, 1]",
                         o->step);
    if (o->batch < 0 || o->batch > VOLT_PREDICT_MAX_BATCH)
        return volt_fail(VOLT_EINVAL, "%d tiles at a time; at most %d are computed", o->batch,
                         VOLT_PREDICT_MAX_BATCH);
    return VOLT_OK;
}

volt_status volt_predictor_open(volt_predictor **out, const char *const *runs, int count,
                                const volt_predict_options *options, const volt_callbacks *cb)
{
    const volt_predict_options defaults = volt_predict_defaults();
    const size_t before = volt_mem_current();
    volt_predictor *p = NULL;
    volt_status st;

    if (!options)
        options = &defaults;
    st = check_options(options);
    if (st != VOLT_OK)
        return st;
    VOLT_TRY(st, done, volt_alloc_zero(&p, 1, sizeof *p, "a predictor"));
    p->options = *options;
    p->threads = volt_threads_or_default(options->threads);
    VOLT_TRY(st, done, volt_device_open(&p->device, options->device ? options->device : "cpu"));
    for (int i = 0; i < count; i++)
        VOLT_TRY(st, done, add_run(p, runs[i], options, cb));
    if (volt_predictor_networks(p) > 1)
        volt_report(cb, VOLT_LOG_INFO, "an ensemble of %d networks",
                    volt_predictor_networks(p));
    VOLT_TRY(st, done, volt_predictor_open_previous(p, options, cb));
    p->base_bytes = p->held_bytes = volt_mem_current() - before;
    VOLT_TRY(st, done, volt_predictor_restore_programs(p));
    *out = p;
    p = NULL;
done:
    volt_predictor_free(p);
    return st;
}

void volt_predictor_free(volt_predictor *p)
{
    if (!p)
        return;
    volt_predictor_free(p->first);
    volt_free(p->previous);
    for (int i = 0; i < p->groups; i++) {
        volt_net_set *g = &p->group[i];
        volt_net_set_release(g);
        volt_graph_free(g->graph);
        for (int k = 0; k < g->networks; k++)
            volt_free(g->path[k]);
        volt_plan_free(g->plan);
        volt_free(g->plan_text);
    }
    volt_device_close(p->device);
    volt_free(p->value);
    volt_dataset_info_clear(&p->info);
    volt_free(p);
}
