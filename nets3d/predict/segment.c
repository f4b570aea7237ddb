/* From a preprocessed scan to labels, regions and logits: the pass that drives tiles, decoder
 * and export.
 */
#include <string.h>

#include "base/core/alloc.h"
#include "nets3d/predict/pass.h"
#include "nets3d/predict/segmenter.h"
#include "nets3d/predict/spread.h"
#include "nets3d/program/on_device.h"

/* One scan at work. */
typedef struct job {
    volt_segmenter *seg;
    const volt_segment_request *wanted;
    volt_segmentation *out;
    volt_scan_axes axes;
    volt_box part; /* of the crop: what is asked for */
    /* Axis a of the first set's scans, and of everything here, is axis [g][a] of set g's. */
    int axis[VOLT_PREDICT_MAX_SETS][3];
    bool rolling; /* slices are decoded, and their logits dropped, while tiles go on */
    volt_decoder *decoder;
    volt_decode_options options;     /* of the decoder */
    const volt_scores_table *scores; /* where the sums lie and are decoded */
    volt_stitch stitch[VOLT_PREDICT_MAX_SETS];
    int64_t decoded; /* slices of the crop */
} job;

/* ---- decoding ---- */

static void list_logits(volt_logits out[], const job *j)
{
    for (int g = 0; g < j->seg->sets; g++)
        out[g] = volt_net_set_logits(&j->seg->set[g], &j->stitch[g]);
}

/* Where the first set's sums lie on the device, they are used in its program's stream. */
static volt_stream *stream_of(const job *j)
{
    const volt_program *p = j->seg->set[0].program;

    return p ? volt_program_stream(p) : NULL;
}

/* Slices `low` <= z < `high` of the crop. */
static volt_status decode(job *j, int64_t low, int64_t high)
{
    const int64_t *at = j->out->frame.crop.low;
    volt_logits logits[VOLT_PREDICT_MAX_SETS];
    volt_box box = j->part;

    box.low[0] = low > box.low[0] ? low : box.low[0];
    box.high[0] = high < box.high[0] ? high : box.high[0];
    if (volt_box_is_empty(box))
        return VOLT_OK;
    list_logits(logits, j);
    return j->scores->decode(
        j->seg->device,
        &(volt_decode_call){j->decoder, &j->options,
                            j->out->regions ? j->out->regions : j->out->labels,
                            j->out->regions != NULL, at, box, logits},
        stream_of(j));
}

/* Called when more slices of the first set's logits are complete. */
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
    if (s->finished == s->shape[0])
        return VOLT_OK;
    return j->scores->drop(j->seg->device, s, keep < s->finished ? keep : s->finished,
                           j->seg->threads, stream_of(j));
}

static volt_status open_decoder(job *j, const volt_preprocessed_scan *scan)
{
    int64_t shape[VOLT_PREDICT_MAX_SETS][3];

    for (int g = 0; g < j->seg->sets; g++)
        memcpy(shape[g], scan->set[g].image->grid.n, sizeof shape[g]);
    volt_pass_decoder_options(&j->options, j->seg, scan, shape[0]);
    /* Probabilities and transposed logits of several sets are the host's. */
    j->scores = volt_segmenter_scores(j->seg, j->rolling ? &j->options : NULL);
    return volt_decoder_open(&j->decoder, &j->options);
}

/* ---- the pass ---- */

static volt_status create_masks(job *j)
{
    volt_grid grid = j->axes.permuted;

    if (!j->wanted->regions || !volt_segmenter_has_regions(j->seg))
        return volt_volume_create(&j->out->labels, &grid, j->seg->dtype);
    grid.channels = j->seg->outputs;
    return volt_volume_create(&j->out->regions, &grid, VOLT_U8);
}

static volt_status open_job(job *j, const volt_preprocessed_scan *scan, volt_tiling *tiling,
                            volt_box part[], const char *what)
{
    const volt_preprocessed *first = &scan->set[0];
    const volt_segmenter *seg = j->seg;
    int64_t crop[3];
    volt_status st;

    j->out->frame = *first;
    j->out->frame.image = j->out->frame.labels = NULL;
    VOLT_TRY(st, done, volt_scan_axes_of(&j->axes, first));
    j->part = volt_pass_part(&j->axes, first->crop, j->wanted->roi);
    j->rolling = seg->sets == 1 && !j->wanted->probabilities;
    volt_box_shape(crop, first->crop);
    *tiling = (volt_tiling){.what = what};
    for (int g = 0; g < seg->sets; g++)
        volt_net_set_axes(j->axis[g], &seg->set[0], &seg->set[g]);
    for (int g = 0; g < seg->sets; g++) {
        const int64_t *shape = scan->set[g].image->grid.n;
        int64_t tiles, patch[3], room;
        part[g] = volt_pass_source(j->part, shape, crop, j->axis[g]);
        VOLT_TRY(st, done, volt_net_set_tiles(&tiles, seg, &seg->set[g], shape, &part[g]));
        tiling->total += tiles;
        volt_net_set_patch(patch, seg, &seg->set[g], shape);
        if (g == 0)
            VOLT_TRY(st, done, open_decoder(j, scan));
        room = j->rolling ? volt_net_set_room(&seg->set[g], shape[0], patch[0]) : shape[0];
        VOLT_TRY(st, done,
                 volt_segmenter_open_sums(&j->stitch[g], seg, j->scores, shape, room));
    }
    st = create_masks(j);
done:
    return st;
}

/* The decoder and all logits stay with the result. */
static volt_status keep_logits(job *j)
{
    volt_segmentation *f = j->out;
    volt_logits logits[VOLT_PREDICT_MAX_SETS];
    const size_t voxels = (size_t)volt_box_voxels(f->frame.crop) * (size_t)j->seg->sets;
    volt_status st = VOLT_OK;

    if (!volt_segmenter_has_regions(j->seg)) {
        VOLT_TRY(st, done,
                 volt_alloc(&f->norms, voxels * sizeof *f->norms, "the sums of probabilities"));
        list_logits(logits, j);
        if (!volt_box_is_empty(j->part))
            volt_decode_norms(j->decoder, f->norms, j->part, logits);
    }
    f->part = j->part;
    for (int g = 0; g < j->seg->sets; g++) {
        f->logits[g] = j->stitch[g];
        j->stitch[g] = (volt_stitch){.sum = NULL};
    }
    f->decoder = j->decoder;
    j->decoder = NULL;
done:
    return st;
}

static void close_sums(job *j)
{
    for (int g = 0; j->scores && g < j->seg->sets; g++)
        j->scores->close(j->seg->device, &j->stitch[g]);
}

static volt_status finish(job *j)
{
    volt_status st;

    if (j->wanted->probabilities)
        VOLT_TRY(st, done, keep_logits(j));
    close_sums(j);
    st = volt_export_masks(j->out, j->seg);
done:
    return st;
}

static volt_status segment_alone(volt_segmenter *seg, volt_segmentation *out,
                                 volt_preprocessed_scan *scan,
                                 const volt_segment_request *wanted, const char *what,
                                 const volt_callbacks *cb)
{
    volt_segmentation f = {0};
    job j = {.seg = seg, .wanted = wanted, .out = &f};
    volt_box part[VOLT_PREDICT_MAX_SETS];
    volt_tiling tiling;
    volt_status st;

    VOLT_TRY(st, done, open_job(&j, scan, &tiling, part, what));
    for (int g = 0; g < seg->sets; g++) {
        tiling.scores = j.scores;
        tiling.stitch = &j.stitch[g];
        tiling.part = wanted->roi ? &part[g] : NULL;
        tiling.slab = j.rolling ? on_slab : NULL;
        tiling.context = &j;
        VOLT_TRY(st, done,
                 volt_net_set_run(seg, &seg->set[g], scan->set[g].image, &tiling, cb));
        volt_volume_free(scan->set[g].image);
        scan->set[g].image = NULL;
        VOLT_TRY(st, done, volt_pass_permute(&j.stitch[g], j.axis[g], seg->threads));
    }
    if (!j.rolling)
        VOLT_TRY(st, done, decode(&j, 0, j.axes.permuted.n[0]));
    VOLT_TRY(st, done, finish(&j));
    *out = f;
    f = (volt_segmentation){0};
done:
    close_sums(&j);
    volt_decoder_free(j.decoder);
    volt_segmentation_clear(&f);
    volt_preprocessed_scan_clear(scan, seg);
    return st;
}

volt_status volt_segmenter_run(volt_segmenter *seg, volt_segmentation *out,
                               volt_preprocessed_scan *scan, const volt_segment_request *wanted,
                               const char *what, const volt_callbacks *cb)
{
    volt_segmentation f = {0};
    volt_status st;

    if (!volt_spread_is_joint(seg->spread))
        return segment_alone(seg, out, scan, wanted, what, cb);
    VOLT_TRY(st, done, volt_spread_segment(seg, &f, scan, wanted, what, cb));
    VOLT_TRY(st, done, volt_export_masks(&f, seg));
    *out = f;
    f = (volt_segmentation){0};
done:
    volt_segmentation_clear(&f);
    return st;
}
