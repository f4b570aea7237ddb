#include "nets3d/predict/pass.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "nets3d/plan/plan_internal.h"
#include "base/mem.h"
#include "volume/orient.h"

void volt_segmentation_drop_logits(volt_segmentation *f)
{
    for (int i = 0; i < VOLT_PREDICT_MAX_SETS; i++)
        volt_stitch_close(&f->logits[i]);
    volt_decoder_free(f->decoder);
    volt_free(f->norms);
    volt_free(f->first);
    f->decoder = NULL;
    f->norms = NULL;
    f->first = NULL;
}

void volt_segmentation_clear(volt_segmentation *f)
{
    volt_segmentation_drop_logits(f);
    volt_volume_free(f->labels);
    volt_volume_free(f->regions);
    volt_preprocessed_clear(&f->frame);
    *f = (volt_segmentation){0};
}

volt_status volt_scan_axes_of(volt_scan_axes *out, const volt_preprocessed *frame)
{
    volt_scan_axes a = {.own = frame->source};
    const volt_status st = volt_orientation_transpose(&a.order, frame->transpose_forward);

    if (st != VOLT_OK)
        return st;
    a.own.channels = 1;
    a.permuted = volt_orientation_grid(a.order, &a.own);
    *out = a;
    return VOLT_OK;
}

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

volt_box volt_pass_part(const volt_scan_axes *axes, volt_box crop, const volt_box *roi)
{
    volt_box box = volt_box_of_shape(axes->permuted.n);

    for (int a = 0; roi && a < 3; a++) {
        box.low[a] = roi->low[axes->order.from[a]];
        box.high[a] = roi->high[axes->order.from[a]];
    }
    box = volt_box_intersect(box, crop);
    return volt_box_shift(box, (int64_t[3]){-crop.low[0], -crop.low[1], -crop.low[2]});
}

volt_box volt_pass_source(volt_box part, const int64_t shape[3], const int64_t crop[3],
                          const int axis[3])
{
    volt_box box;

    for (int a = 0; a < 3; a++) {
        const int b = axis[a];
        source_range(&box.low[b], &box.high[b], part.low[a], part.high[a], shape[b], crop[a]);
    }
    return box;
}

void volt_pass_decoder_options(volt_decode_options *out, const volt_segmenter *seg,
                               const volt_preprocessed_scan *scan, const int64_t *shape)
{
    volt_decode_options o = volt_decode_defaults();
    int axis[3];

    o.classes = seg->outputs;
    o.regions = volt_segmenter_has_regions(seg);
    o.value = seg->value;
    o.sets = seg->sets;
    o.threads = seg->threads;
    volt_box_shape(o.to, scan->set[0].crop);
    for (int g = 0; g < seg->sets; g++) {
        const volt_preprocessed *s = &scan->set[g];
        const int separate = volt_plan_separate_axis(&seg->set[g].config->probabilities,
                                                     s->spacing, s->spacing_before);
        volt_net_set_axes(axis, &seg->set[0], &seg->set[g]);
        o.set[g].separate_axis = VOLT_NO_AXIS;
        for (int a = 0; a < 3; a++) {
            o.set[g].shape[a] = shape[3 * g + axis[a]];
            if (axis[a] == separate)
                o.set[g].separate_axis = a;
        }
    }
    *out = o;
}

volt_status volt_pass_permute(volt_stitch *s, const int axis[3], int threads)
{
    const volt_grid grid = volt_grid_make(s->shape, 1, (double[]){1, 1, 1});
    volt_volume one = {.grid = grid, .dtype = s->half ? VOLT_U16 : VOLT_F32};
    const size_t bytes = volt_volume_bytes(&one);
    volt_volume *permuted = NULL;
    volt_orientation o;
    volt_status st;

    VOLT_TRY(st, done, volt_orientation_transpose(&o, axis));
    if (volt_orientation_is_identity(o))
        goto done;
    assert(s->room == s->shape[0] && s->finished == s->room);
    for (int64_t c = 0; c < s->channels; c++) {
        one.data = (s->half ? (char *)s->half : (char *)s->sum) + (size_t)c * bytes;
        VOLT_TRY(st, done, volt_volume_reorient(&permuted, &one, o, threads));
        memcpy(one.data, permuted->data, bytes);
        volt_volume_free(permuted);
    }
    for (int a = 0; a < 3; a++)
        s->shape[a] = grid.n[axis[a]];
    s->room = s->finished = s->shape[0];
done:
    return st;
}

size_t volt_pass_permute_bytes(const volt_segmenter *seg, int g, const int64_t part[3],
                               size_t sums)
{
    const bool half = sums == volt_stitch_bytes(seg->outputs, part, part[0], true);
    int axis[3];

    volt_net_set_axes(axis, &seg->set[0], &seg->set[g]);
    if (axis[0] == 0 && axis[1] == 1)
        return 0;
    return volt_patch_voxels(part) * (half ? sizeof(uint16_t) : sizeof(float)) +
           sizeof(volt_volume);
}
