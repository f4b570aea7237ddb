/* Runs the tiles of a preprocessed scan through the networks of a set and sums their logits.
 *
 * Tiles are visited slice by slice along d. When all networks and mirrorings have seen a row of
 * tiles, the slices below the next row are complete: nothing will be added to them. So a scan
 * with one network set needs sums for about two patches of slices, whatever its length: the
 * caller's `slab` decodes complete slices and drops them. That is why networks take turns
 * inside a row and not scan by scan, although each turn then reads weights from the checkpoint
 * again where there are several networks.
 */
#include <string.h>

#include "base/core/report.h"
#include "base/system/file.h"
#include "base/mem.h"
#include "nets3d/device/device_internal.h"
#include "nets3d/predict/segmenter.h"
#include "nets3d/predict/spread.h"
#include "nets3d/program/on_device.h"

/* ---- sums ---- */

static bool sums_are_halves(const volt_segmenter *seg, const int64_t shape[3], int64_t room)
{
    return volt_stitch_bytes(seg->outputs, shape, room, false) > seg->float_sums_bytes;
}

const volt_scores_table *volt_segmenter_scores(const volt_segmenter *seg,
                                               const volt_decode_options *options)
{
    const volt_scores_table *own = seg->device->scores;

    return own && options && own->takes(seg->device, options) ? own : &volt_host_scores;
}

volt_status volt_segmenter_open_sums(volt_stitch *out, const volt_segmenter *seg,
                                     const volt_scores_table *scores, const int64_t shape[3],
                                     int64_t room)
{
    return scores->open(seg->device, out, seg->outputs, shape, room,
                        sums_are_halves(seg, shape, room));
}

volt_status volt_segmenter_open_part(volt_stitch *out, const volt_segmenter *seg,
                                     const int64_t part[3], const int64_t shape[3],
                                     int64_t room)
{
    return volt_stitch_open(out, seg->outputs, part, part[0],
                            sums_are_halves(seg, shape, room));
}

size_t volt_segmenter_part_bytes(const volt_segmenter *seg, const int64_t part[3],
                                 const int64_t shape[3], int64_t room)
{
    return volt_stitch_bytes(seg->outputs, part, part[0], sums_are_halves(seg, shape, room));
}

size_t volt_segmenter_sums_bytes(const volt_segmenter *seg, const int64_t shape[3],
                                 int64_t room)
{
    return volt_stitch_bytes(seg->outputs, shape, room, sums_are_halves(seg, shape, room));
}

/* Halves are scaled while they are summed: the sum of 8 flips and several networks might not
 * fit into a half. */
volt_logits volt_net_set_logits(const volt_net_set *g, const volt_stitch *s)
{
    return (volt_logits){s->sum, s->low, s->room,
                         s->half ? 1 : 1.0f / (float)(g->flips * g->networks), s->half};
}

int64_t volt_net_set_rows(const volt_net_set *g)
{
    return g->config->axes == 2 ? g->batch : 1;
}

int64_t volt_net_set_room(const volt_net_set *g, int64_t slices, int64_t patch)
{
    return volt_stitch_room(slices, patch + volt_net_set_rows(g) - 1);
}

/* ---- tiles ---- */

/* The tiles of a scan, visited row by row; those that `part` does not need are left out. */
typedef struct walk {
    volt_segmenter *seg;
    volt_net_set *g;
    const volt_volume *image;
    volt_tiling *t;
    const volt_callbacks *cb;
    int64_t shape[3]; /* of the scan, of which `image` may be a part */
    int64_t from[3];  /* the part's first voxel */
    int64_t low;      /* first slice of the sums */
    volt_tiles tiles;
    int network;
    /* Passes that wait until the batch is full. */
    int waiting;
    volt_box box[VOLT_PREDICT_MAX_BATCH];
    int flip[VOLT_PREDICT_MAX_BATCH];
} walk;

static bool is_wanted(const volt_box *part, volt_box box)
{
    return !part || !volt_box_is_empty(volt_box_intersect(*part, box));
}

/* The slices around `box` as channels; beyond the scan its first or last slice is repeated. */
static void gather_slices(const volt_segmenter *seg, const volt_net_set *g,
                          const volt_scan_view *v, float *input, volt_box box,
                          const bool flip[3])
{
    const int64_t *n = v->shape, *part = v->image->grid.n;
    const int64_t back[3] = {-v->from[0], -v->from[1], -v->from[2]};
    const int slices = g->config->slices;
    const int64_t voxels = volt_grid_voxels(&v->image->grid);
    const int64_t plane = volt_box_voxels(box);

    for (int k = 0; k < slices; k++) {
        const int64_t at = box.low[0] + k - slices / 2;
        volt_box slice = box;

        slice.low[0] = at < 0 ? 0 : at >= n[0] ? n[0] - 1 : at;
        slice.high[0] = slice.low[0] + 1;
        for (int c = 0; c < v->image->grid.channels; c++)
            volt_tile_read(input + (c * slices + k) * plane, volt_box_shift(slice, back),
                           (const float *)v->image->data + c * voxels, 1, part, flip,
                           seg->threads);
    }
}

void volt_net_set_gather(const volt_segmenter *seg, const volt_net_set *g,
                         const volt_scan_view *v, int slot, volt_box box, const bool flip[3])
{
    const int64_t size = volt_network_in_channels(&g->config->net) * volt_box_voxels(box);
    const int64_t back[3] = {-v->from[0], -v->from[1], -v->from[2]};
    float *input = g->input + slot * size;

    if (g->config->slices > 1)
        gather_slices(seg, g, v, input, box, flip);
    else
        volt_tile_read(input, volt_box_shift(box, back), v->image->data,
                       v->image->grid.channels, v->image->grid.n, flip, seg->threads);
}

/* Whether sums are held in memory that is only the device's. */
static bool sums_are_away(const walk *w)
{
    return w->t->scores != &volt_host_scores && !w->seg->device->host_memory;
}

/* The logits of the batch, where the sums are. */
static volt_status fetch_logits(const float **out, const walk *w)
{
    if (w->g->scores && !sums_are_away(w)) {
        *out = w->g->scores;
        return volt_program_download(w->g->program, 0, w->g->scores);
    }
    *out = volt_program_output_address(w->g->program, 0);
    return VOLT_OK;
}

/* Runs the waiting passes and sums their logits. */
static volt_status run_batch(walk *w)
{
    const size_t size = (size_t)w->seg->outputs * volt_patch_voxels(w->g->patch);
    const double start = volt_seconds();
    const float *logits;
    volt_status st;

    if (w->waiting == 0)
        return VOLT_OK;
    VOLT_TRY(st, done, volt_program_forward(w->g->program, w->g->input, 0));
    VOLT_TRY(
        st, done,
        volt_event_record(w->seg->device, w->g->uploaded, volt_program_stream(w->g->program)));
    VOLT_TRY(st, done, fetch_logits(&logits, w));
    w->seg->network_s += volt_seconds() - start;
    for (int i = 0; i < w->waiting; i++) {
        const volt_stitch_tile tile = {
            .box = volt_box_shift(w->box[i], (int64_t[3]){-w->low, 0, 0}),
            .values = logits + (size_t)i * size,
            .flip = w->g->flip[w->flip[i]],
            .weight = sums_are_away(w) ? w->g->device_weight : w->g->weight,
            .scale = w->t->stitch->half ? 1.0f / (float)(w->g->flips * w->g->networks) : 1,
            .again = w->flip[i] > 0 || w->network > 0};
        VOLT_TRY(st, done,
                 w->t->scores->add(w->seg->device, w->t->stitch, &tile, w->seg->threads,
                                   volt_program_stream(w->g->program)));
        if (w->flip[i] == w->g->flips - 1)
            volt_report_progress(w->cb, "tiles", ++w->t->done, w->t->total);
    }
    w->waiting = 0;
done:
    return st;
}

static bool row_is_wanted(const walk *w, int64_t z)
{
    const volt_box *part = w->t->part;
    const int64_t low = w->tiles.start[0][z];

    return !part || (low < part->high[0] && low + w->tiles.patch[0] > part->low[0]);
}

/* Runs all tiles of rows `first` <= z < `end` through network w->network. */
static volt_status run_rows(walk *w, int64_t first, int64_t end)
{
    const int64_t row = w->tiles.per_axis[1] * w->tiles.per_axis[2];
    volt_status st;

    VOLT_TRY(st, done, volt_net_set_load(w->g, w->network));
    for (int64_t i = first * row; i < end * row; i++) {
        const volt_box box = volt_tiles_box(&w->tiles, i);
        if (!is_wanted(w->t->part, box))
            continue;
        VOLT_TRY(st, done, volt_check_cancelled(w->cb));
        VOLT_TRY(st, done, volt_spread_check(w->seg->spread));
        for (int f = 0; f < w->g->flips; f++) {
            if (w->waiting == 0) /* the last batch may still be read */
                VOLT_TRY(st, done, volt_event_sync(w->seg->device, w->g->uploaded));
            volt_net_set_gather(w->seg, w->g, &(volt_scan_view){w->image, w->from, w->shape},
                                w->waiting, box, w->g->flip[f]);
            w->box[w->waiting] = box;
            w->flip[w->waiting++] = f;
            if (w->waiting == w->g->batch)
                VOLT_TRY(st, done, run_batch(w));
        }
    }
    st = run_batch(w);
done:
    return st;
}

volt_status volt_net_set_place(volt_tiles *out, const volt_segmenter *seg,
                               const volt_net_set *g, const int64_t shape[3])
{
    int64_t patch[3];

    volt_net_set_patch(patch, seg, g, shape);
    return volt_tiles_plan(out, shape, patch, seg->options.step, seg->options.tiles);
}

volt_status volt_net_set_tiles(int64_t *out, const volt_segmenter *seg, const volt_net_set *g,
                               const int64_t shape[3], const volt_box *part)
{
    volt_tiles tiles = {0};
    int64_t count = 0;
    volt_status st = volt_net_set_place(&tiles, seg, g, shape);

    for (int64_t i = 0; st == VOLT_OK && i < tiles.count; i++)
        count += is_wanted(part, volt_tiles_box(&tiles, i));
    if (st == VOLT_OK)
        *out = count * g->networks;
    volt_tiles_free(&tiles);
    return st;
}

/* The whole scan, or the part of it that `piece` says. */
static volt_status open_walk(walk *w, const volt_scan_piece *piece)
{
    volt_status st;

    memcpy(w->shape, piece ? piece->shape : w->image->grid.n, sizeof w->shape);
    if (piece) {
        memcpy(w->from, piece->image.low, sizeof w->from);
        w->low = piece->sums.low[0];
    }
    VOLT_TRY(st, done, volt_net_set_compile(w->seg, w->g, w->shape));
    VOLT_TRY(st, done, volt_net_set_place(&w->tiles, w->seg, w->g, w->shape));
    for (int64_t i = 0; w->t->stitch->half && i < w->tiles.count; i++) {
        const volt_box box = volt_tiles_box(&w->tiles, i);
        if (is_wanted(w->t->part, box))
            VOLT_TRY(st, done,
                     w->t->scores->expect(w->seg->device, w->t->stitch,
                                          volt_box_shift(box, (int64_t[3]){-w->low, 0, 0}),
                                          sums_are_away(w) ? w->g->device_weight : w->g->weight,
                                          volt_program_stream(w->g->program)));
    }
done:
    return st;
}

/* Runs rows `first` <= z < `end` of tiles through all networks. */
static volt_status run_networks(walk *w, int64_t first, int64_t end)
{
    bool wanted = false;
    volt_status st = VOLT_OK;

    for (int64_t i = first; i < end; i++)
        wanted = wanted || row_is_wanted(w, i);
    for (w->network = 0; wanted && w->network < w->g->networks; w->network++)
        VOLT_TRY(st, done, run_rows(w, first, end));
done:
    return st;
}

volt_status volt_net_set_run(volt_segmenter *seg, volt_net_set *g, const volt_volume *image,
                             volt_tiling *tiling, const volt_callbacks *cb)
{
    walk w = {.seg = seg, .g = g, .image = image, .t = tiling, .cb = cb};
    volt_status st;

    VOLT_TRY(st, done, open_walk(&w, NULL));
    for (int64_t z = 0, next; z < w.tiles.per_axis[0]; z = next) {
        bool finite = true, last;
        int64_t done;

        next = z + volt_net_set_rows(g);
        last = next >= w.tiles.per_axis[0];
        next = last ? w.tiles.per_axis[0] : next;
        done = last ? w.shape[0] : w.tiles.start[0][next];
        VOLT_TRY(st, done, run_networks(&w, z, next));
        VOLT_TRY(st, done,
                 tiling->scores->finish(seg->device, tiling->stitch, done, seg->threads,
                                        &finite, volt_program_stream(g->program)));
        if (!finite) {
            st = volt_net_set_not_finite(tiling->what);
            goto done;
        }
        if (tiling->slab)
            VOLT_TRY(st, done, tiling->slab(tiling->context));
    }
done:
    volt_tiles_free(&w.tiles);
    return st;
}

volt_status volt_net_set_not_finite(const char *what)
{
    return volt_fail(VOLT_ENUMERIC, "%s: the network's logits are not finite", what);
}

volt_status volt_net_set_run_piece(volt_segmenter *seg, volt_net_set *g,
                                   const volt_volume *image, const volt_scan_piece *piece,
                                   volt_tiling *tiling, const volt_callbacks *cb)
{
    walk w = {.seg = seg, .g = g, .image = image, .t = tiling, .cb = cb};
    volt_status st;

    VOLT_TRY(st, done, open_walk(&w, piece));
    for (int64_t z = piece->row, next; z < piece->row_end; z = next) {
        next = z + volt_net_set_rows(g);
        next = next < piece->row_end ? next : piece->row_end;
        VOLT_TRY(st, done, run_networks(&w, z, next));
    }
done:
    volt_tiles_free(&w.tiles);
    return st;
}
