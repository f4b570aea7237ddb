/* The pass of one scan on all ranks: every rank computes a part of the logits, gets what it
 * needs of the others' to decode some slices of the result, and rank 0 collects these.
 *
 * Logits to which tiles of two ranks add are sums of two sums, so they equal those of one rank
 * to rounding, not in every bit. The same ranks give the same bits.
 */
#include <string.h>

#include "base/core/alloc.h"
#include "base/core/report.h"
#include "nets3d/predict/exchange.h"
#include "nets3d/predict/shares.h"
#include "nets3d/predict/volume_pass.h"
#include "volume/orient.h"

/* One scan at work. */
typedef struct pass {
    volt_segmenter *seg;
    const volt_spread *sp;
    const volt_note *note;
    const volt_segment_request *wanted;
    const volt_callbacks *cb;
    volt_segmentation *out;
    volt_preprocessed_scan *scan; /* rank 0: the images */
    bool known;                   /* a failure is known to all ranks */
    volt_shares shares;
    volt_sums sums[VOLT_PREDICT_MAX_SETS]; /* with boxes in the first set's axes at the end */
    volt_decode_options options;
} pass;

/* Where all ranks meet. */
static volt_status meet(pass *p, volt_status mine)
{
    const volt_status st = volt_spread_agree(p->sp, mine);

    p->known = st != VOLT_OK;
    return st;
}

static volt_status open_pass(pass *p)
{
    volt_preprocessed_scan frames = {0}; /* without voxels */
    volt_status st;

    p->out->frame = p->note->frame[0];
    VOLT_TRY(st, done,
             volt_shares_open(&p->shares, p->seg, &p->note->frame[0], p->note->shape,
                              p->wanted->roi));
    for (int g = 0; g < p->seg->sets; g++)
        frames.set[g] = p->note->frame[g];
    volt_pass_decoder_options(&p->options, p->seg, &frames, p->note->shape[0]);
done:
    return st;
}

/* ---- logits ---- */

static volt_status open_sums(volt_sums *out, const pass *p, int g, volt_box box)
{
    const int64_t *shape = p->note->shape[g];
    int64_t n[3];

    volt_box_shape(n, box);
    out->box = box;
    return volt_segmenter_open_part(&out->stitch, p->seg, n, shape,
                                    volt_shares_room(p->seg, g, shape, p->wanted));
}

/* This rank's rows of tiles. */
static volt_status run_rows(pass *p, int g, const volt_tiles *tiles, volt_sums *sums,
                            volt_volume *image, volt_box source)
{
    const int me = p->sp->rank;
    const volt_shares *s = &p->shares;
    const volt_box all = volt_box_of_shape(p->note->shape[g]);
    volt_scan_piece piece = {.image = me == 0 ? all : s->image[me],
                             .sums = sums->box,
                             .row = s->row[me],
                             .row_end = s->row[me + 1]};
    volt_tiling tiling = {.scores = &volt_host_scores,
                          .stitch = &sums->stitch,
                          .part = &source,
                          .what = p->note->what};
    const int64_t plane = tiles->per_axis[1] * tiles->per_axis[2];

    memcpy(piece.shape, p->note->shape[g], sizeof piece.shape);
    tiling.total = (piece.row_end - piece.row) * plane * p->seg->set[g].networks;
    if (piece.row == piece.row_end)
        return VOLT_OK;
    return volt_net_set_run_piece(p->seg, &p->seg->set[g],
                                  me == 0 ? p->scan->set[g].image : image, &piece, &tiling,
                                  p->cb);
}

/* Failures after which no other scan is tried. */
static bool ends_call(volt_status st)
{
    return st == VOLT_ECANCELLED || st == VOLT_ENOMEM || st == VOLT_EPEER ||
           st == VOLT_ETIMEOUT || st == VOLT_ECOMM;
}

/* The image of set g goes to those who compute it; rank 0 has it. */
static volt_status scatter(pass *p, int g, volt_volume **image)
{
    return volt_exchange_scatter(p->sp, image, p->sp->rank == 0 ? p->scan->set[g].image : NULL,
                                 &p->note->grid[g], p->shares.image);
}

static void drop_image(pass *p, int g)
{
    volt_volume_free(p->scan->set[g].image);
    p->scan->set[g].image = NULL;
}

/* Sums of set g over what this rank decodes, from the tiles of all. */
static volt_status sum_tiles(pass *p, int g)
{
    const int me = p->sp->rank;
    volt_shares *s = &p->shares;
    const bool is_turned = volt_shares_is_turned(s, g);
    volt_sums turned = {.stitch = {.sum = NULL}}, *own = &p->sums[g];
    volt_volume *image = NULL;
    volt_tiles tiles = {0};
    volt_status st;

    st = volt_net_set_place(&tiles, p->seg, &p->seg->set[g], p->note->shape[g]);
    if (st == VOLT_OK) {
        volt_shares_tiles(s, g, &tiles);
        st = open_sums(own, p, g, volt_shares_sums(s, g, me));
    }
    if (st == VOLT_OK && is_turned) {
        st = open_sums(&turned, p, g, volt_shares_held(s->have[me]));
        own = &turned;
    }
    VOLT_TRY(st, done, meet(p, st));
    VOLT_TRY(st, done, scatter(p, g, &image));
    st = run_rows(p, g, &tiles, own, image, volt_shares_source(s, g));
    if (ends_call(st)) /* the others are told at once, not when they have run their tiles */
        goto done;
    VOLT_TRY(st, done, meet(p, st));
    volt_volume_free(image);
    image = NULL;
    drop_image(p, g);
    st = volt_exchange_add(p->sp, &p->sums[g], own, s->have, s->need, p->seg->threads);
done:
    volt_volume_free(image);
    volt_tiles_free(&tiles);
    volt_stitch_close(&turned.stitch);
    return st;
}

/* The same with one program over all ranks. */
static volt_status sum_volume(pass *p, int g)
{
    volt_shares *s = &p->shares;
    volt_volume_pass v = {.seg = p->seg,
                          .sp = p->sp,
                          .set = &p->seg->set[g],
                          .whole = p->sp->rank == 0 ? p->scan->set[g].image : NULL,
                          .grid = &p->note->grid[g],
                          .shape = p->note->shape[g],
                          .room = volt_shares_room(p->seg, g, p->note->shape[g], p->wanted),
                          .need = s->need,
                          .sums = &p->sums[g],
                          .cb = p->cb};
    volt_status st;

    VOLT_TRY(st, done, meet(p, volt_volume_pass_open(&v)));
    VOLT_TRY(
        st, done,
        volt_volume_boxes(p->sp, v.set, volt_program_box(v.set->program), &v.layout, s->have));
    volt_shares_boxes(s, g);
    VOLT_TRY(st, done,
             meet(p, open_sums(&p->sums[g], p, g, volt_shares_sums(s, g, p->sp->rank))));
    VOLT_TRY(st, done, volt_volume_pass_run(&v, s->have));
    drop_image(p, g);
done:
    return st;
}

/* Logits of set g with the first set's axes. */
static volt_status finish_set(pass *p, int g)
{
    const int *axis = p->shares.axis[g];
    volt_sums *s = &p->sums[g];
    const volt_box box = s->box;
    bool finite = volt_stitch_finish(&s->stitch, s->stitch.shape[0], p->seg->threads);
    volt_status st;

    VOLT_TRY(st, done, volt_spread_all(p->sp, &finite, finite));
    if (!finite) { /* known to all */
        p->known = true;
        return volt_net_set_not_finite(p->note->what);
    }
    VOLT_TRY(st, done, volt_pass_permute(&s->stitch, axis, p->seg->threads));
    for (int a = 0; a < 3; a++) {
        s->box.low[a] = box.low[axis[a]];
        s->box.high[a] = box.high[axis[a]];
    }
    s->stitch.low = s->box.low[0];
done:
    return st;
}

/* ---- results ---- */

/* What this rank decodes: `part`, counted from its own first slice. */
static volt_box own_part(const pass *p)
{
    const int64_t *first = p->out->first + p->sp->rank;
    volt_box part = p->shares.part;

    part.low[0] = 0;
    part.high[0] = first[1] - first[0];
    return part;
}

/* Slices of a result of this rank, zeros; `data` is the caller's. */
static volt_status open_slices(volt_volume *out, const volt_segmentation *f,
                               const volt_spread *sp, int channels, volt_dtype type)
{
    int64_t n[3];
    volt_status st;

    volt_box_shape(n, f->frame.crop);
    n[0] = f->first[sp->rank + 1] - f->first[sp->rank];
    *out =
        (volt_volume){.grid = volt_grid_make(n, channels, (double[]){1, 1, 1}), .dtype = type};
    st = volt_alloc_zero(&out->data, volt_volume_bytes(out) + 1, 1, "slices of a result");
    return st;
}

static void list_logits(volt_logits out[], const volt_segmenter *seg, const volt_stitch s[])
{
    for (int g = 0; g < seg->sets; g++)
        out[g] = volt_net_set_logits(&seg->set[g], &s[g]);
}

static volt_status decode(pass *p, volt_volume *slices)
{
    static const int64_t origin[3] = {0, 0, 0};
    const int64_t *crop = p->shares.crop;
    volt_segmentation *f = p->out;
    volt_logits logits[VOLT_PREDICT_MAX_SETS];
    const bool masks = p->wanted->regions && volt_segmenter_has_regions(p->seg);
    volt_status st;

    VOLT_TRY(st, done,
             open_slices(slices, f, p->sp, masks ? p->seg->outputs : 1,
                         masks ? VOLT_U8 : p->seg->dtype));
    f->part = own_part(p);
    if (volt_box_is_empty(f->part))
        goto done;
    p->options.first = f->first[p->sp->rank];
    p->options.slices = f->part.high[0];
    VOLT_TRY(st, done, volt_decoder_open(&f->decoder, &p->options));
    for (int g = 0; g < p->seg->sets; g++)
        logits[g] = volt_net_set_logits(&p->seg->set[g], &p->sums[g].stitch);
    VOLT_TRY(st, done,
             masks ? volt_decode_masks(f->decoder, slices, origin, f->part, logits)
                   : volt_decode_labels(f->decoder, slices, origin, f->part, logits));
    if (p->wanted->probabilities && !volt_segmenter_has_regions(p->seg)) {
        const size_t voxels = (size_t)(f->part.high[0] * crop[1] * crop[2] * p->seg->sets);
        VOLT_TRY(st, done,
                 volt_alloc(&f->norms, voxels * sizeof *f->norms, "the sums of probabilities"));
        volt_decode_norms(f->decoder, f->norms, f->part, logits);
    }
done:
    return st;
}

/* Rank 0's masks, still with the plan's axes. */
static volt_status create_masks(pass *p, volt_volume **whole)
{
    volt_segmentation *f = p->out;
    volt_scan_axes axes;
    volt_grid grid;
    volt_status st;

    if (p->sp->rank > 0)
        return VOLT_OK;
    VOLT_TRY(st, done, volt_scan_axes_of(&axes, &f->frame));
    grid = axes.permuted;
    if (p->wanted->regions && volt_segmenter_has_regions(p->seg)) {
        grid.channels = p->seg->outputs;
        st = volt_volume_create(&f->regions, &grid, VOLT_U8);
    } else {
        st = volt_volume_create(&f->labels, &grid, p->seg->dtype);
    }
    *whole = f->regions ? f->regions : f->labels;
done:
    return st;
}

/* Slices of all ranks to rank 0; what probabilities need stays. */
static volt_status finish(pass *p)
{
    volt_segmentation *f = p->out;
    volt_volume slices = {.data = NULL}, *whole = NULL;
    volt_status st;

    f->first = p->shares.first;
    p->shares.first = NULL;
    st = decode(p, &slices);
    if (st == VOLT_OK)
        st = create_masks(p, &whole);
    VOLT_TRY(st, done, meet(p, st));
    VOLT_TRY(st, done,
             volt_exchange_collect(p->sp, whole, f->frame.crop.low, &slices, f->first,
                                   p->shares.part));
    for (int g = 0; p->wanted->probabilities && g < p->seg->sets; g++) {
        f->logits[g] = p->sums[g].stitch;
        p->sums[g].stitch = (volt_stitch){.sum = NULL};
    }
    if (!p->wanted->probabilities)
        volt_segmentation_drop_logits(f);
done:
    volt_free(slices.data);
    return st;
}

/* ---- the pass ---- */

static void close_pass(pass *p)
{
    for (int g = 0; g < p->seg->sets; g++)
        volt_stitch_close(&p->sums[g].stitch);
    volt_shares_close(&p->shares);
}

volt_status volt_segment_jointly(volt_segmenter *seg, volt_segmentation *out,
                                 volt_preprocessed_scan *scan, const volt_note *note,
                                 const volt_segment_request *wanted, const volt_callbacks *cb)
{
    volt_segmentation f = {0};
    pass p = {.seg = seg,
              .sp = seg->spread,
              .note = note,
              .wanted = wanted,
              .cb = cb,
              .out = &f,
              .scan = scan};
    volt_status st;

    VOLT_TRY(st, done, meet(&p, open_pass(&p)));
    for (int g = 0; g < seg->sets; g++) {
        VOLT_TRY(st, done,
                 p.sp->kind == VOLT_SPREAD_VOLUME ? sum_volume(&p, g) : sum_tiles(&p, g));
        VOLT_TRY(st, done, finish_set(&p, g));
    }
    VOLT_TRY(st, done, finish(&p));
    *out = f;
    f = (volt_segmentation){0};
done:
    if (st != VOLT_OK && !p.known)
        volt_comm_fail(p.sp->comm, st);
    close_pass(&p);
    volt_segmentation_clear(&f);
    volt_preprocessed_scan_clear(scan, seg);
    return st;
}

volt_status volt_probability_jointly(volt_volume **out, const volt_segmenter *seg,
                                     const volt_segmentation *f, int64_t c)
{
    static const int64_t origin[3] = {0, 0, 0};
    const volt_spread *sp = seg->spread;
    volt_logits logits[VOLT_PREDICT_MAX_SETS];
    volt_volume slices = {.data = NULL}, *v = NULL;
    volt_scan_axes axes;
    volt_box part = f->part;
    volt_status st;

    VOLT_TRY(st, done, volt_scan_axes_of(&axes, &f->frame));
    VOLT_TRY(st, done, open_slices(&slices, f, sp, 1, VOLT_F32));
    if (sp->rank == 0)
        VOLT_TRY(st, done, volt_volume_create(&v, &axes.permuted, VOLT_F32));
    for (int64_t i = 0;
         v && c == 0 && !volt_segmenter_has_regions(seg) && i < volt_grid_voxels(&v->grid); i++)
        ((float *)v->data)[i] = 1;
    list_logits(logits, seg, f->logits);
    if (f->decoder)
        VOLT_TRY(
            st, done,
            volt_decode_probability(f->decoder, &slices, origin, part, c, logits, f->norms));
    part.low[0] = f->first[0];
    part.high[0] = f->first[sp->ranks];
    VOLT_TRY(st, done,
             volt_exchange_collect(sp, v, f->frame.crop.low, &slices, f->first, part));
    *out = v;
    v = NULL;
done:
    if (st != VOLT_OK)
        volt_comm_fail(sp->comm, st);
    volt_volume_free(v);
    volt_free(slices.data);
    return st;
}
