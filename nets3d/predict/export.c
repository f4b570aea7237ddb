/* From a prepared scan to labels, regions and probabilities on the scan's own grid. */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "nets3d/predict/predictor_internal.h"
#include "volume/orient.h"

/* One scan at work. */
typedef struct job {
    volt_predictor *p;
    const volt_segment_request *wanted;
    volt_segmentation *out;
    volt_orientation turn; /* from the scan's axes to the plan's */
    volt_grid own, turned; /* one channel */
    volt_box part;         /* of the crop: what is asked for */
    /* Axis a of the first group's scans, and of everything here, is axis [g][a] of group g's.
     */
    int axis[VOLT_PREDICT_MAX_GROUPS][3];
    bool rolling;
    volt_decoder *decoder;
    volt_stitch stitch[VOLT_PREDICT_MAX_GROUPS];
    int64_t decoded; /* slices of the crop */
} job;

void volt_segmentation_drop_scores(volt_segmentation *f)
{
    for (int i = 0; i < VOLT_PREDICT_MAX_GROUPS; i++)
        volt_stitch_close(&f->scores[i]);
    volt_decoder_free(f->decoder);
    volt_free(f->norms);
    f->decoder = NULL;
    f->norms = NULL;
}

void volt_segmentation_clear(volt_segmentation *f)
{
    volt_segmentation_drop_scores(f);
    volt_volume_free(f->labels);
    volt_volume_free(f->regions);
    volt_preprocessed_clear(&f->frame);
    *f = (volt_segmentation){0};
}

/* ---- boxes ---- */

/* The voxels of a grid of `n` that linear resampling reads for `low` <= i < `high` of `to`. */
static void source_range(int64_t *from, int64_t *end, int64_t low, int64_t high, int64_t n,
                         int64_t to)
{
    const double scale = (double)n / (double)to;
    const int64_t first = (int64_t)floor(((double)low + 0.5) * scale - 0.5) - 1;
    const int64_t last = (int64_t)ceil(((double)high - 0.5) * scale - 0.5) + 1;

    *from = first > 0 ? first : 0;
    *end = last + 1 < n ? last + 1 : n;
}

/* The part of the crop that is asked for. */
static volt_box wanted_part(const job *j, const volt_preprocessed *scan)
{
    volt_box box = volt_box_of_shape(j->turned.n);
    const int64_t *low = scan->crop.low;

    for (int a = 0; j->wanted->roi && a < 3; a++) {
        box.low[a] = j->wanted->roi->low[j->turn.from[a]];
        box.high[a] = j->wanted->roi->high[j->turn.from[a]];
    }
    box = volt_box_intersect(box, scan->crop);
    return volt_box_shift(box, (int64_t[3]){-low[0], -low[1], -low[2]});
}

/* The part of a prepared scan of `shape` that decides about `part` of the crop, whose axes are
 * axis[0], [1] and [2] of the scan. */
static volt_box prepared_part(volt_box part, const int64_t shape[3], const int64_t crop[3],
                              const int axis[3])
{
    volt_box box;

    for (int a = 0; a < 3; a++) {
        const int b = axis[a];
        source_range(&box.low[b], &box.high[b], part.low[a], part.high[a], shape[b], crop[a]);
    }
    return box;
}

void volt_net_set_axes(int out[3], const volt_net_set *first, const volt_net_set *g)
{
    for (int a = 0; a < 3; a++) {
        for (int b = 0; b < 3; b++) {
            if (g->config->transpose_forward[b] == first->config->transpose_forward[a])
                out[a] = b;
        }
    }
}

/* Turns the finished scores of a group to the first group's axes, class by class. */
static volt_status turn_scores(volt_stitch *s, const int axis[3], int threads)
{
    const volt_grid grid = volt_grid_make(s->shape, 1, (double[]){1, 1, 1});
    volt_volume one = {.grid = grid, .dtype = s->half ? VOLT_U16 : VOLT_F32};
    const size_t bytes = volt_volume_bytes(&one);
    volt_volume *turned = NULL;
    volt_orientation o;
    volt_status st;

    VOLT_TRY(st, done, volt_orientation_transpose(&o, axis));
    if (volt_orientation_is_identity(o))
        goto done;
    assert(s->room == s->shape[0] && s->finished == s->room);
    for (int64_t c = 0; c < s->channels; c++) {
        one.data = (s->half ? (char *)s->half : (char *)s->sum) + (size_t)c * bytes;
        VOLT_TRY(st, done, volt_volume_reorient(&turned, &one, o, threads));
        memcpy(one.data, turned->data, bytes);
        volt_volume_free(turned);
    }
    for (int a = 0; a < 3; a++)
        s->shape[a] = grid.n[axis[a]];
    s->room = s->finished = s->shape[0];
done:
    return st;
}

/* ---- decoding ---- */

volt_logits volt_net_set_logits(const volt_net_set *g, const volt_stitch *s)
{
    return (volt_logits){s->sum, s->low, s->room,
                         s->half ? 1 : 1.0f / (float)(g->flips * g->networks), s->half};
}

/* Slices `low` <= z < `high` of the crop. */
static volt_status decode(job *j, int64_t low, int64_t high)
{
    const int64_t *at = j->out->frame.crop.low;
    volt_logits logits[VOLT_PREDICT_MAX_GROUPS];
    volt_box box = j->part;

    box.low[0] = low > box.low[0] ? low : box.low[0];
    box.high[0] = high < box.high[0] ? high : box.high[0];
    if (volt_box_is_empty(box))
        return VOLT_OK;
    for (int g = 0; g < j->p->groups; g++)
        logits[g] = volt_net_set_logits(&j->p->group[g], &j->stitch[g]);
    return j->out->regions ? volt_decode_masks(j->decoder, j->out->regions, at, box, logits)
                           : volt_decode_labels(j->decoder, j->out->labels, at, box, logits);
}

/* More slices of the first group's scores hold means. */
static volt_status on_slab(void *context)
{
    job *j = context;
    volt_stitch *s = &j->stitch[0];
    const int64_t ready = volt_decoder_ready(j->decoder, s->finished);
    volt_status st = decode(j, j->decoded, ready);
    int64_t keep;

    if (st != VOLT_OK)
        return st;
    j->decoded = ready;
    keep = volt_decoder_needs(j->decoder, ready);
    if (s->finished < s->shape[0])
        volt_stitch_drop(s, keep < s->finished ? keep : s->finished, j->p->threads);
    return VOLT_OK;
}

static volt_status open_decoder(job *j, const volt_prepared_scan *scan)
{
    const volt_predictor *p = j->p;
    volt_decode_options o = volt_decode_defaults();

    o.classes = p->scores;
    o.regions = volt_predictor_has_regions(p);
    o.value = p->value;
    o.sets = p->groups;
    o.threads = p->threads;
    volt_box_shape(o.to, j->out->frame.crop);
    for (int g = 0; g < p->groups; g++) {
        const volt_preprocessed *s = &scan->prepared[g];
        const int separate = volt_plan_separate_axis(&p->group[g].config->probabilities,
                                                     s->spacing, s->spacing_before);
        o.set[g].separate_axis = VOLT_NO_AXIS;
        for (int a = 0; a < 3; a++) {
            o.set[g].shape[a] = s->image->grid.n[j->axis[g][a]];
            if (j->axis[g][a] == separate)
                o.set[g].separate_axis = a;
        }
    }
    return volt_decoder_open(&j->decoder, &o);
}

/* ---- the scan's own axes ---- */

static volt_status turn_back(volt_volume **v, const job *j)
{
    volt_volume *back = NULL;
    volt_status st;

    if (!*v || volt_orientation_is_identity(j->turn))
        return VOLT_OK;
    st = volt_volume_reorient_back(&back, *v, j->turn, &j->own, j->p->threads);
    if (st == VOLT_OK) {
        volt_volume_free(*v);
        *v = back;
    }
    return st;
}

/* Labels from masks of regions: later ones over earlier ones. */
static void paint(const job *j)
{
    volt_volume *labels = j->out->labels;
    const int64_t voxels = volt_grid_voxels(&labels->grid);
    const uint8_t *mask = j->out->regions->data;

#pragma omp parallel for num_threads(j->p->threads) schedule(static)
    for (int64_t i = 0; i < voxels; i++) {
        for (int c = 0; c < j->p->scores; c++) {
            if (!mask[c * voxels + i])
                continue;
            if (labels->dtype == VOLT_U8)
                ((uint8_t *)labels->data)[i] = (uint8_t)j->p->value[c];
            else
                ((uint16_t *)labels->data)[i] = j->p->value[c];
        }
    }
}

/* ---- all of it ---- */

static volt_status open_job(job *j, const volt_prepared_scan *scan, volt_tiling *tiling,
                            volt_box part[], const char *what)
{
    const volt_preprocessed *first = &scan->prepared[0];
    int64_t crop[3];
    volt_status st;

    j->out->frame = *first;
    j->out->frame.image = j->out->frame.labels = NULL;
    j->own = first->source;
    j->own.channels = 1;
    VOLT_TRY(st, done, volt_orientation_transpose(&j->turn, first->transpose_forward));
    j->turned = volt_orientation_grid(j->turn, &j->own);
    j->part = wanted_part(j, first);
    j->rolling = j->p->groups == 1 && !j->wanted->probabilities;
    volt_box_shape(crop, first->crop);
    *tiling = (volt_tiling){.what = what};
    for (int g = 0; g < j->p->groups; g++)
        volt_net_set_axes(j->axis[g], &j->p->group[0], &j->p->group[g]);
    for (int g = 0; g < j->p->groups; g++) {
        const int64_t *shape = scan->prepared[g].image->grid.n;
        int64_t tiles, patch[3], room;
        part[g] = prepared_part(j->part, shape, crop, j->axis[g]);
        VOLT_TRY(st, done, volt_net_set_tiles(&tiles, j->p, &j->p->group[g], shape, &part[g]));
        tiling->total += tiles;
        volt_net_set_patch(patch, j->p, &j->p->group[g], shape);
        if (g == 0)
            VOLT_TRY(st, done, open_decoder(j, scan));
        room = j->rolling ? volt_net_set_room(&j->p->group[g], shape[0], patch[0]) : shape[0];
        VOLT_TRY(st, done,
                 volt_stitch_open(&j->stitch[g], j->p->scores, shape, room,
                                  volt_net_set_halves(j->p, shape, room)));
    }
    if (j->wanted->regions && volt_predictor_has_regions(j->p)) {
        volt_grid grid = j->turned;
        grid.channels = j->p->scores;
        st = volt_volume_create(&j->out->regions, &grid, VOLT_U8);
    } else {
        st = volt_volume_create(&j->out->labels, &j->turned, j->p->dtype);
    }
done:
    return st;
}

/* The decoder and all scores stay with the result. */
static volt_status keep_scores(job *j)
{
    volt_segmentation *f = j->out;
    volt_logits logits[VOLT_PREDICT_MAX_GROUPS];
    const size_t voxels = (size_t)volt_box_voxels(f->frame.crop) * (size_t)j->p->groups;
    volt_status st = VOLT_OK;

    if (!volt_predictor_has_regions(j->p)) {
        VOLT_TRY(st, done,
                 volt_alloc(&f->norms, voxels * sizeof *f->norms, "the sums of probabilities"));
        for (int g = 0; g < j->p->groups; g++)
            logits[g] = volt_net_set_logits(&j->p->group[g], &j->stitch[g]);
        if (!volt_box_is_empty(j->part))
            volt_decode_norms(j->decoder, f->norms, j->part, logits);
    }
    f->part = j->part;
    for (int g = 0; g < j->p->groups; g++) {
        f->scores[g] = j->stitch[g];
        j->stitch[g] = (volt_stitch){.sum = NULL};
    }
    f->decoder = j->decoder;
    j->decoder = NULL;
done:
    return st;
}

static volt_status finish(job *j)
{
    volt_status st;

    if (j->wanted->probabilities)
        VOLT_TRY(st, done, keep_scores(j));
    for (int g = 0; g < VOLT_PREDICT_MAX_GROUPS; g++)
        volt_stitch_close(&j->stitch[g]);
    VOLT_TRY(st, done, turn_back(&j->out->regions, j));
    VOLT_TRY(st, done, turn_back(&j->out->labels, j));
    if (j->out->regions) {
        VOLT_TRY(st, done, volt_volume_create(&j->out->labels, &j->own, j->p->dtype));
        paint(j);
    }
done:
    return st;
}

volt_status volt_predictor_segment(volt_predictor *p, volt_segmentation *out,
                                   volt_prepared_scan *scan, const volt_segment_request *wanted,
                                   const char *what, const volt_callbacks *cb)
{
    volt_segmentation f = {0};
    job j = {.p = p, .wanted = wanted, .out = &f};
    volt_box part[VOLT_PREDICT_MAX_GROUPS];
    volt_tiling tiling;
    volt_status st;

    VOLT_TRY(st, done, open_job(&j, scan, &tiling, part, what));
    for (int g = 0; g < p->groups; g++) {
        tiling.stitch = &j.stitch[g];
        tiling.part = wanted->roi ? &part[g] : NULL;
        tiling.slab = j.rolling ? on_slab : NULL;
        tiling.context = &j;
        VOLT_TRY(st, done,
                 volt_net_set_run(p, &p->group[g], scan->prepared[g].image, &tiling, cb));
        volt_volume_free(scan->prepared[g].image);
        scan->prepared[g].image = NULL;
        VOLT_TRY(st, done, turn_scores(&j.stitch[g], j.axis[g], p->threads));
    }
    if (!j.rolling)
        VOLT_TRY(st, done, decode(&j, 0, j.turned.n[0]));
    VOLT_TRY(st, done, finish(&j));
    *out = f;
    f = (volt_segmentation){0};
done:
    for (int g = 0; g < VOLT_PREDICT_MAX_GROUPS; g++)
        volt_stitch_close(&j.stitch[g]);
    volt_decoder_free(j.decoder);
    volt_segmentation_clear(&f);
    volt_prepared_scan_clear(scan, p);
    return st;
}

volt_status volt_export_probability(volt_volume **out, const volt_predictor *p,
                                    const volt_segmentation *f, int64_t c)
{
    job j = {.p = (volt_predictor *)p, .own = f->frame.source};
    volt_logits logits[VOLT_PREDICT_MAX_GROUPS];
    volt_volume *v = NULL;
    volt_status st;

    j.own.channels = 1;
    VOLT_TRY(st, done, volt_orientation_transpose(&j.turn, f->frame.transpose_forward));
    j.turned = volt_orientation_grid(j.turn, &j.own);
    for (int g = 0; g < p->groups; g++)
        logits[g] = volt_net_set_logits(&p->group[g], &f->scores[g]);
    VOLT_TRY(st, done, volt_volume_create(&v, &j.turned, VOLT_F32));
    if (c == 0 && !volt_predictor_has_regions(p)) {
        for (int64_t i = 0; i < volt_grid_voxels(&v->grid); i++)
            ((float *)v->data)[i] = 1;
    }
    if (!volt_box_is_empty(f->part))
        VOLT_TRY(st, done,
                 volt_decode_probability(f->decoder, v, f->frame.crop.low, f->part, c, logits,
                                         f->norms));
    VOLT_TRY(st, done, turn_back(&v, &j));
    *out = v;
    v = NULL;
done:
    volt_volume_free(v);
    return st;
}
