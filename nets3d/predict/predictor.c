/* The public predictor: one stage, or the two stages of a cascade, on voxels in memory. */
#include "nets3d/predictor.h"

#include <string.h>

#include "base/core/checked.h"
#include "base/core/options.h"
#include "base/core/plural.h"
#include "base/core/alloc.h"
#include "base/core/report.h"
#include "base/threads.h"
#include "io/store/case_key.h"
#include "nets3d/predict/predictor_internal.h"
#include "nets3d/run.h"

static const volt_predict_options defaults = {.device = "cpu", .mirror = true, .step = 0.5};

void volt_predict_options_init(volt_predict_options *o, size_t size)
{
    volt_options_init(o, size, &defaults, sizeof defaults);
}

const volt_dataset_info *volt_predictor_info(const volt_predictor *p)
{
    return &p->stage->info;
}

int volt_predictor_networks(const volt_predictor *p)
{
    return volt_segmenter_networks(p->stage);
}

/* ---- opening ---- */

/* The networks of the previous stage must predict what this one refines. */
static volt_status check_previous(const volt_predictor *p, const volt_plan_config *config)
{
    const volt_segmenter *previous = p->previous;
    const volt_dataset_info *own = &p->stage->info, *info = &previous->info;

    for (int g = 0; g < previous->sets; g++) {
        const char *name = previous->set[g].config->name;
        if (strcmp(name, config->previous_stage) != 0)
            return volt_fail(VOLT_EDATA, "%s was trained as %s; %s refines the masks of %s",
                             p->prior, name, config->name, config->previous_stage);
    }
    if (info->channels != own->channels || info->labels != own->labels)
        return volt_fail(VOLT_EDATA,
                         "%s has %d channel%s and %d label%s, the network that refines its "
                         "masks %d and %d",
                         p->prior, info->channels, volt_s(info->channels), info->labels,
                         volt_s(info->labels), own->channels, own->labels);
    return VOLT_OK;
}

/* The networks of the previous stage, without their programs. */
static volt_status open_previous_run(volt_predictor *p, const volt_plan_config *config,
                                     const volt_predict_options *options,
                                     const volt_callbacks *cb)
{
    const char *run = p->prior;
    volt_predict_options own = *options;
    volt_status st;

    own.checkpoint = own.folds = NULL;
    VOLT_TRY(st, done, volt_segmenter_open(&p->previous, &run, 1, &own, cb));
    VOLT_TRY(st, done, volt_spread_give(p->spread, p->previous));
    st = check_previous(p, config);
done:
    return st;
}

/* Takes options->previous_stage, or the run that training was given if it still exists. */
static volt_status open_previous(volt_predictor *p, const volt_predict_options *options,
                                 const volt_callbacks *cb)
{
    const volt_net_set *g = volt_segmenter_cascade(p->stage);
    const char *path = options->previous_stage;
    volt_status st = VOLT_OK;

    if (!g && path)
        return volt_fail(VOLT_EINVAL,
                         "%s: a previous stage is given (%s), but no network refines its masks",
                         p->stage->set[0].path[0], path);
    if (g && !path && volt_is_run(g->recipe.previous_run)) {
        path = g->recipe.previous_run;
        volt_report(cb, VOLT_LOG_INFO, "previous stage: %s, as in training", path);
    }
    if (!g || !path)
        return VOLT_OK;
    VOLT_TRY(st, done, volt_strdup(&p->prior, path));
    if (volt_is_run(path))
        st = open_previous_run(p, g->config, options, cb);
done:
    return st;
}

/* The ranks, if there are several. Axes of a mesh mean that scans are taken whole. */
static volt_status open_spread(volt_predictor *p, volt_predict_options *o)
{
    bool whole;
    volt_status st = volt_spread_open(&p->spread, &whole, o->comm, o->mesh);

    if (st == VOLT_OK)
        o->whole = o->whole || whole;
    if (st == VOLT_OK && p->spread)
        st = volt_spread_threads(p->spread, &o->threads);
    return st;
}

static volt_status mix_networks(uint64_t *key, const volt_segmenter *seg)
{
    volt_status st = VOLT_OK;

    for (int g = 0; seg && g < seg->sets; g++) {
        for (int i = 0; i < seg->set[g].networks && st == VOLT_OK; i++)
            st = volt_key_mix_content(key, seg->set[g].path[i]);
    }
    return st;
}

/* Whatever decides on voxels must be the same on all ranks. */
static volt_status compare_ranks(const volt_predictor *p, const volt_predict_options *o)
{
    const double options[] = {o->step,  o->mirror, (double)o->tiles,    o->constant,
                              o->whole, o->batch,  (double)o->precision};
    const int32_t isa = (int32_t)volt_cpu_isa();
    volt_comm *comm = p->spread->comm;
    uint64_t key = VOLT_KEY_START;
    volt_status st = mix_networks(&key, p->stage);

    if (st == VOLT_OK)
        st = mix_networks(&key, p->previous);
    VOLT_TRY(st, done, volt_spread_agree(p->spread, st));
    VOLT_TRY(st, done, volt_comm_same(comm, "their networks", &key, sizeof key));
    VOLT_TRY(st, done, volt_comm_same(comm, "their options", options, sizeof options));
    st = volt_comm_same(comm, "their processors' instructions (VOLT_ISA makes them alike)",
                        &isa, sizeof isa);
done:
    return st;
}

static volt_status open_networks(volt_predictor *p, const char *const *runs, int count,
                                 const volt_predict_options *options, const volt_callbacks *cb)
{
    volt_predict_options o = *options;
    volt_status st;

    if (p->spread && p->spread->rank > 0 && o.precision == VOLT_PRECISION_AUTO)
        o.precision = VOLT_FP32; /* rank 0 measures, see agree_on_precision() */
    VOLT_TRY(st, done, volt_segmenter_open(&p->stage, runs, count, &o, cb));
    VOLT_TRY(st, done, volt_spread_give(p->spread, p->stage));
    st = open_previous(p, &o, cb);
done:
    return st;
}

/* All ranks compute in the precisions of rank 0. */
static volt_status agree_on_precision(volt_predictor *p)
{
    volt_segmenter *const stage[2] = {p->stage, p->previous};
    volt_precision chosen[2][VOLT_PREDICT_MAX_SETS] = {{VOLT_FP32}};
    volt_status st;

    if (!p->spread)
        return VOLT_OK;
    for (int i = 0; i < 2; i++) {
        for (int g = 0; stage[i] && g < stage[i]->sets; g++)
            chosen[i][g] = stage[i]->set[g].precision;
    }
    VOLT_TRY(st, done, volt_comm_broadcast(p->spread->comm, chosen, sizeof chosen, 0));
    for (int i = 0; i < 2; i++) {
        for (int g = 0; stage[i] && g < stage[i]->sets; g++)
            stage[i]->set[g].precision = chosen[i][g];
    }
done:
    return st;
}

/* Those of a previous stage are created once, so that damaged weights fail here, and again when
 * they have something to do. */
static volt_status open_programs(volt_predictor *p)
{
    volt_status st = VOLT_OK;

    if (p->previous) {
        VOLT_TRY(st, done, volt_segmenter_restore_programs(p->previous));
        volt_segmenter_release_programs(p->previous);
        p->stage->base_bytes += p->previous->base_bytes;
        p->stage->held_bytes += p->previous->base_bytes;
    }
    st = volt_segmenter_restore_programs(p->stage);
done:
    return st;
}

volt_status volt_predictor_open(volt_predictor **out, const char *const *runs, int count,
                                const volt_predict_options *options, const volt_callbacks *cb)
{
    volt_predict_options o = defaults;
    volt_predictor *p = NULL;
    volt_callbacks own;
    volt_status st;

    if (count < 1 || !runs)
        return volt_fail(VOLT_EINVAL, "%d runs to predict with; at least 1 is expected",
                         runs ? count : 0);
    for (int i = 0; i < count; i++) {
        if (!runs[i] || !*runs[i])
            return volt_fail(VOLT_EINVAL, "run %d of %d has no path", i, count);
    }
    VOLT_TRY(st, done, volt_options_take(&o, sizeof o, options, "volt_predict_options"));
    VOLT_TRY(st, done, volt_alloc_zero(&p, 1, sizeof *p, "a predictor"));
    VOLT_TRY(st, done, open_spread(p, &o));
    own = volt_spread_callbacks(p->spread, cb);
    st = open_networks(p, runs, count, &o, &own);
    VOLT_TRY(st, done, volt_spread_agree(p->spread, st));
    if (p->spread)
        VOLT_TRY(st, done, compare_ranks(p, &o));
    VOLT_TRY(st, done, agree_on_precision(p));
    VOLT_TRY(st, done, volt_spread_agree(p->spread, open_programs(p)));
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
    volt_segmenter_free(p->previous);
    volt_segmenter_free(p->stage);
    volt_spread_close(p->spread);
    volt_free(p->prior);
    volt_free(p);
}

/* ---- prior masks ---- */

volt_status volt_predictor_set_prior(volt_predictor *p, const char *masks)
{
    char *copy = NULL;
    const volt_status st = volt_strdup(&copy, masks);

    if (st != VOLT_OK)
        return st;
    if (p->previous) {
        p->stage->base_bytes -= p->previous->base_bytes;
        p->stage->held_bytes -= p->previous->base_bytes;
    }
    volt_segmenter_free(p->previous);
    p->previous = NULL;
    volt_free(p->prior);
    p->prior = copy;
    return VOLT_OK;
}

volt_status volt_predictor_need_prior(const volt_predictor *p)
{
    const volt_net_set *g = volt_segmenter_cascade(p->stage);

    if (!g || p->prior)
        return VOLT_OK;
    if (*g->recipe.previous_run)
        return volt_fail(VOLT_EINVAL,
                         "%s refines the masks of %s; the run it was trained with, %s, no "
                         "longer exists: another one, or a folder of its masks is "
                         "needed",
                         g->config->name, g->config->previous_stage, g->recipe.previous_run);
    return volt_fail(VOLT_EINVAL,
                     "%s refines the masks of %s: a run of it, or a folder of its masks is "
                     "needed",
                     g->config->name, g->config->previous_stage);
}

/* Whether `mask` can be the prior mask of `image`. */
static volt_status check_prior(const volt_predictor *p, const volt_volume *image,
                               const volt_volume *mask)
{
    const volt_segmenter *stage = p->stage;
    volt_value_range range;

    if (!volt_segmenter_cascade(stage))
        return volt_fail(VOLT_EINVAL, "%s does not refine masks", stage->set[0].path[0]);
    if (mask->grid.channels != 1 ||
        memcmp(mask->grid.n, image->grid.n, sizeof mask->grid.n) != 0)
        return volt_fail(
            VOLT_EINVAL,
            "the mask has %d channel%s of %lld x %lld x %lld voxels (z, y, x), the "
            "image %lld x %lld x %lld",
            (int)mask->grid.channels, volt_s(mask->grid.channels), (long long)mask->grid.n[0],
            (long long)mask->grid.n[1], (long long)mask->grid.n[2], (long long)image->grid.n[0],
            (long long)image->grid.n[1], (long long)image->grid.n[2]);
    range = volt_volume_range(mask, stage->threads);
    if (range.not_finite > 0 || range.min < 0 || range.max >= stage->info.labels)
        return volt_fail(VOLT_EDATA,
                         "the mask has labels from %g to %g; the network has 0 to %d",
                         range.min, range.max, stage->info.labels - 1);
    return VOLT_OK;
}

/* ---- voxels in memory ---- */

static volt_status check_channels(const volt_predictor *p, const volt_grid *grid)
{
    const int channels = p->stage->info.channels;

    if (grid->channels != channels)
        return volt_fail(VOLT_EINVAL, "the image has %d channel%s; the network takes %d",
                         (int)grid->channels, volt_s(grid->channels), channels);
    return VOLT_OK;
}

/* One stage on this rank, or led by it. `mask`: the prior mask, for cascades. */
static volt_status lead_stage(volt_segmenter *seg, const volt_volume *image,
                              const volt_volume *mask, volt_volume **labels,
                              const volt_callbacks *cb)
{
    const volt_prior_mask prior = {.mask = mask};
    const volt_segment_request wanted = {0};
    volt_volume *copy = NULL;
    volt_preprocessed_scan scan = {0};
    volt_segmentation f = {0};
    volt_status st;

    VOLT_TRY(st, done, volt_volume_convert(&copy, image, VOLT_F32, NULL, seg->threads));
    VOLT_TRY(st, done,
             volt_preprocess_scan(&scan, seg, &copy, &prior, "the image", seg->threads));
    VOLT_TRY(st, done, volt_segmenter_run(seg, &f, &scan, &wanted, "the image", cb));
    *labels = f.labels;
    f.labels = NULL;
done:
    volt_segmentation_clear(&f);
    volt_volume_free(copy);
    return st;
}

static volt_status run_stage(volt_segmenter *seg, const volt_volume *image,
                             const volt_volume *mask, volt_volume **labels,
                             const volt_callbacks *cb)
{
    const volt_spread *sp = seg->spread;
    const volt_segment_request wanted = {0};
    const volt_callbacks own = volt_spread_callbacks(sp, cb);
    const bool joint = volt_spread_is_joint(sp);
    volt_volume *made = NULL;
    volt_status st = volt_segmenter_restore_programs(seg);

    if (joint && (st = volt_spread_agree(sp, st)) != VOLT_OK)
        return st;
    if (joint && sp->rank > 0)
        st = volt_spread_follow(seg, &wanted, NULL, &own);
    else if (st == VOLT_OK)
        st = lead_stage(seg, image, mask, &made, &own);
    if (joint && sp->rank == 0)
        st = volt_spread_end(sp, st);
    if (st == VOLT_OK)
        *labels = made;
    else
        volt_volume_free(made);
    return st;
}

/* What the ranks that compute a scan together check together. */
static volt_status check_image(const volt_predictor *p, const volt_volume *image)
{
    const volt_spread *sp = p->spread;

    if (volt_spread_is_joint(sp))
        return volt_spread_agree(sp, sp->rank > 0 ? VOLT_OK : check_channels(p, &image->grid));
    return check_channels(p, &image->grid);
}

volt_status volt_predictor_run(volt_predictor *p, const volt_volume *image,
                               volt_volume **labels, const volt_callbacks *cb)
{
    volt_volume *mask = NULL;
    volt_status st;

    volt_spread_settle(p->spread, p->stage, 0);
    VOLT_TRY(st, done, check_image(p, image));
    VOLT_TRY(st, done, volt_predictor_need_prior(p));
    if (p->prior && !p->previous)
        return volt_fail(VOLT_EINVAL,
                         "%s contains masks of files; for voxels in memory give the run of the "
                         "previous stage, or its mask (volt_predictor_run_with_prior)",
                         p->prior);
    if (p->previous)
        VOLT_TRY(st, done, run_stage(p->previous, image, NULL, &mask, cb));
    st = run_stage(p->stage, image, mask, labels, cb);
done:
    volt_volume_free(mask);
    return st;
}

volt_status volt_predictor_run_with_prior(volt_predictor *p, const volt_volume *image,
                                          const volt_volume *mask, volt_volume **labels,
                                          const volt_callbacks *cb)
{
    volt_status st;

    volt_spread_settle(p->spread, p->stage, 0);
    VOLT_TRY(st, done, check_image(p, image));
    st = volt_spread_is_joint(p->spread) && p->spread->rank > 0 ? VOLT_OK
                                                                : check_prior(p, image, mask);
    if (volt_spread_is_joint(p->spread))
        st = volt_spread_agree(p->spread, st);
    VOLT_TRY(st, done, st);
    st = run_stage(p->stage, image, mask, labels, cb);
done:
    return st;
}

/* Of one stage; *peak: from the image to the labels on this rank. */
static volt_status stage_memory(volt_predict_memory *out, size_t *peak, volt_segmenter *seg,
                                const volt_grid *grid)
{
    const volt_segment_request wanted = {0};
    volt_predict_memory m;
    volt_status st;

    volt_predict_memory_start(seg);
    VOLT_TRY(st, done, volt_predict_memory_of(&m, seg, grid, &wanted, "the image"));
    m.write = 0;
    *peak = volt_spread_is_joint(seg->spread) && seg->spread->rank > 0
                ? m.pass
                : volt_predict_memory_alone(&m);
    *peak += m.device;
    *out = m;
done:
    return st;
}

volt_status volt_predictor_memory(volt_predictor *p, const volt_grid *grid, size_t *out)
{
    volt_predict_memory m, first;
    size_t all, before;
    volt_status st;

    VOLT_TRY(st, done, check_channels(p, grid));
    VOLT_TRY(st, done, stage_memory(&m, &all, p->stage, grid));
    if (p->previous) { /* its programs stay, and its mask while the second stage works */
        VOLT_TRY(st, done, stage_memory(&first, &before, p->previous, grid));
        all = volt_max_size(before + m.network + m.device,
                            first.network + first.device + first.ready + all);
    }
    *out = all;
done:
    return st;
}
