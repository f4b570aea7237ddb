#include "nets3d/predict/shares.h"

#include <string.h>

#include "base/core/alloc.h"
#include "nets3d/predict/deal.h"

static const volt_box nothing = {{0, 0, 0}, {0, 0, 0}};

volt_status volt_shares_open(volt_shares *out, const volt_segmenter *seg,
                             const volt_preprocessed *frame, const int64_t (*shape)[3],
                             const volt_box *roi)
{
    const size_t ranks = (size_t)seg->spread->ranks;
    volt_shares s = {.seg = seg, .ranks = seg->spread->ranks};
    volt_scan_axes axes;
    volt_status st;

    VOLT_TRY(st, done, volt_scan_axes_of(&axes, frame));
    s.part = volt_pass_part(&axes, frame->crop, roi);
    volt_box_shape(s.crop, frame->crop);
    for (int g = 0; g < seg->sets; g++) {
        volt_net_set_axes(s.axis[g], &seg->set[0], &seg->set[g]);
        memcpy(s.shape[g], shape[g], sizeof s.shape[g]);
    }
    VOLT_TRY(st, done, volt_alloc_zero(&s.first, ranks + 1, sizeof *s.first, "ranks"));
    VOLT_TRY(st, done, volt_alloc_zero(&s.row, 2 * (ranks + 1), sizeof *s.row, "ranks"));
    VOLT_TRY(st, done, volt_alloc_zero(&s.image, ranks, sizeof *s.image, "ranks"));
    VOLT_TRY(st, done, volt_alloc_zero(&s.have, ranks, sizeof *s.have, "ranks"));
    VOLT_TRY(st, done, volt_alloc_zero(&s.need, ranks, sizeof *s.need, "ranks"));
    *out = s;
    s = (volt_shares){.seg = NULL};
done:
    volt_shares_close(&s);
    return st;
}

void volt_shares_close(volt_shares *s)
{
    volt_free(s->first);
    volt_free(s->row);
    volt_free(s->image);
    volt_free(s->have);
    volt_free(s->need);
    *s = (volt_shares){.seg = NULL};
}

/* The part of set g's scan on which slices low <= z < high of the result depend. Decoding reads
 * whole rows and columns, so it is cut along one axis only. */
static volt_box needed(const volt_shares *s, int g, int64_t low, int64_t high)
{
    const int64_t *shape = s->shape[g];
    const int z = s->axis[g][0];
    volt_box part = s->part, box = volt_box_of_shape(shape), source;

    if (low >= high || volt_box_is_empty(s->part))
        return nothing;
    part.low[0] = low;
    part.high[0] = high;
    source = volt_pass_source(part, shape, s->crop, s->axis[g]);
    box.low[z] = source.low[z];
    box.high[z] = source.high[z];
    return box;
}

static int64_t *cuts(const volt_shares *s)
{
    return s->row + s->ranks + 1;
}

/* Which slices of the result each rank decodes: those near which it works on the first set. */
static void deal_result(volt_shares *s, int g)
{
    if (g == 0)
        volt_deal_result(s->first, cuts(s), s->shape[0][0], s->crop[0], s->part, s->ranks);
    for (int r = 0; r < s->ranks; r++)
        s->need[r] = needed(s, g, s->first[r], s->first[r + 1]);
}

volt_box volt_shares_source(const volt_shares *s, int g)
{
    return volt_box_is_empty(s->part)
               ? s->part
               : volt_pass_source(s->part, s->shape[g], s->crop, s->axis[g]);
}

void volt_shares_tiles(volt_shares *s, int g, const volt_tiles *tiles)
{
    const volt_net_set *set = &s->seg->set[g];
    const int64_t margin[3] = {set->config->slices / 2, 0, 0};
    const int64_t *shape = s->shape[g];

    volt_deal_rows(s->row, tiles, volt_shares_source(s, g), volt_net_set_rows(set), s->ranks);
    for (int r = 0; r < s->ranks; r++) {
        s->have[r] = volt_deal_rows_box(tiles, shape, s->row[r], s->row[r + 1]);
        s->image[r] = s->have[r];
        if (!volt_box_is_empty(s->have[r]))
            s->image[r] =
                volt_box_intersect(volt_box_grow(s->have[r], margin), volt_box_of_shape(shape));
    }
    if (g == 0)
        volt_deal_slices(cuts(s), s->have, shape[0], s->ranks);
    deal_result(s, g);
}

void volt_shares_boxes(volt_shares *s, int g)
{
    if (g == 0)
        volt_deal_boxes(cuts(s), s->have, s->shape[0][0], s->ranks);
    deal_result(s, g);
}

static volt_box hull(volt_box a, volt_box b)
{
    if (volt_box_is_empty(a) || volt_box_is_empty(b))
        return volt_box_is_empty(a) ? b : a;
    return volt_box_hull(a, b);
}

bool volt_shares_is_turned(const volt_shares *s, int g)
{
    return s->axis[g][0] != 0 || s->axis[g][1] != 1;
}

volt_box volt_shares_held(volt_box box)
{
    return volt_box_is_empty(box) ? (volt_box){{0, 0, 0}, {1, 1, 1}} : box;
}

volt_box volt_shares_sums(const volt_shares *s, int g, int rank)
{
    const bool joined =
        s->seg->spread->kind == VOLT_SPREAD_TILES && !volt_shares_is_turned(s, g);

    return volt_shares_held(joined ? hull(s->have[rank], s->need[rank]) : s->need[rank]);
}

int64_t volt_shares_room(const volt_segmenter *seg, int g, const int64_t shape[3],
                         const volt_segment_request *wanted)
{
    int64_t patch[3];

    if (seg->sets > 1 || wanted->probabilities)
        return shape[0];
    volt_net_set_patch(patch, seg, &seg->set[g], shape);
    return volt_net_set_room(&seg->set[g], shape[0], patch[0]);
}
