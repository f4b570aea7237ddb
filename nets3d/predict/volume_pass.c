#include "nets3d/predict/volume_pass.h"

#include <string.h>

#include "base/core/alloc.h"
#include "base/core/checked.h"
#include "base/core/report.h"
#include "base/system/file.h"
#include "nets3d/predict/deal.h"
#include "nets3d/predict/shares.h"
#include "nets3d/program/on_device.h"

/* ---- where ranks work ---- */

volt_status volt_volume_lay_out(volt_volume_layout *out, const volt_segmenter *seg,
                                const volt_net_set *g, const int64_t shape[3])
{
    volt_volume_layout at;
    volt_tiles tile = {0}; /* one, larger than the scan, or than each slice of it */
    volt_status st;

    memcpy(at.shape, shape, sizeof at.shape);
    volt_net_set_patch(at.patch, seg, g, shape);
    VOLT_TRY(st, done, volt_net_set_place(&tile, seg, g, shape));
    for (int a = 0; a < 3; a++)
        at.start[a] = tile.start[a][0];
    *out = at;
done:
    volt_tiles_free(&tile);
    return st;
}

volt_status volt_volume_boxes(const volt_spread *sp, const volt_net_set *g, volt_box program,
                              const volt_volume_layout *at, volt_box box[])
{
    const int part = sp->mesh->at[VOLT_MESH_Z], parts = sp->mesh->size[VOLT_MESH_Z];
    volt_box own = volt_box_shift(program, at->start);

    if (g->config->axes == 2) {
        own.low[0] = at->shape[0] * part / parts;
        own.high[0] = at->shape[0] * (part + 1) / parts;
    }
    return volt_comm_all_gather(sp->comm, box, &own, sizeof own);
}

bool volt_volume_is_alike(const volt_spread *sp, const volt_net_set *g, int f, int kind)
{
    const int *size = sp->mesh->size + VOLT_MESH_Z;

    for (int a = 0; a < 3; a++) {
        if (size[a] > 1 && g->flip[f][a] != g->flip[kind][a])
            return false;
    }
    return true;
}

bool volt_volume_is_first(const volt_spread *sp, const volt_net_set *g, int f)
{
    for (int before = 0; before < f; before++) {
        if (volt_volume_is_alike(sp, g, before, f))
            return false;
    }
    return true;
}

volt_volume_place volt_volume_place_of(const volt_net_set *g, const volt_volume_layout *at,
                                       int kind, volt_box box)
{
    static const volt_box nothing = {{0, 0, 0}, {0, 0, 0}};
    const int64_t around[3] = {g->config->slices / 2, 0, 0};
    const volt_box all = volt_box_of_shape(at->shape);
    volt_volume_place p = {.read = nothing};

    p.padded = volt_deal_mirrored(box, at->start, at->patch, g->flip[kind]);
    p.inside = volt_box_intersect(p.padded, all);
    if (volt_box_is_empty(p.inside))
        p.inside = nothing;
    else
        p.read = volt_box_intersect(volt_box_grow(p.inside, around), all);
    return p;
}

/* ---- the pass ---- */

volt_status volt_volume_pass_open(volt_volume_pass *v)
{
    volt_status st = volt_net_set_compile(v->seg, v->set, v->shape);

    return st == VOLT_OK ? volt_volume_lay_out(&v->layout, v->seg, v->set, v->shape) : st;
}

/* One combination of mirrorings along split axes. */
typedef struct group {
    volt_volume_pass *v;
    volt_box padded;         /* what the own box is in the scan */
    volt_box *inside, *read; /* (ranks): as volt_volume_place */
    volt_volume *own;        /* ranks > 0: the part of the scan */
    volt_sums sums;
    bool first; /* the weights are counted once */
} group;

/* Passes so far, for progress. */
typedef struct passes {
    int64_t done, total;
} passes;

/* Slices of the own box that go through the program together: all of a volume. */
static int64_t slices_of(const volt_volume_pass *v, volt_box padded)
{
    return v->set->config->axes == 2 ? v->set->batch : padded.high[0] - padded.low[0];
}

/* The part of the own box that is sample i of the pass that starts at slice z. */
static volt_box sample_box(const group *g, int64_t z, int i)
{
    volt_box box = g->padded;

    if (g->v->set->config->axes == 2) {
        box.low[0] = z + i;
        box.high[0] = box.low[0] + 1;
    }
    return box;
}

/* The network's input of one pass. */
static void gather(const group *g, int f, int64_t z, int samples)
{
    const volt_volume_pass *v = g->v;
    const int me = v->sp->rank;
    const volt_volume *image = me == 0 ? v->whole : g->own;
    const int64_t origin[3] = {0, 0, 0}, *from = me == 0 ? origin : g->read[me].low;
    const size_t voxels = (size_t)volt_box_voxels(sample_box(g, z, 0));

    if (!image) { /* nothing but padding */
        memset(v->set->input, 0,
               voxels * (size_t)samples *
                   (size_t)volt_network_in_channels(&v->set->config->net) *
                   sizeof *v->set->input);
        return;
    }
    for (int i = 0; i < samples; i++)
        volt_net_set_gather(v->seg, v->set, &(volt_scan_view){image, from, v->shape}, i,
                            sample_box(g, z, i), v->set->flip[f]);
}

/* Network and mirroring of a pass. */
typedef struct turn {
    int network, flip;
} turn;

static void add_logits(group *g, turn t, int64_t z, int samples, const float *logits)
{
    const volt_net_set *set = g->v->set;
    const int64_t *at = g->sums.box.low;
    const float scale = g->sums.stitch.half ? 1.0f / (float)(set->flips * set->networks) : 1;

    for (int i = 0; i < samples; i++) {
        const volt_box box = sample_box(g, z, i);
        const volt_stitch_tile tile = {
            .box = volt_box_shift(box, (int64_t[3]){-at[0], -at[1], -at[2]}),
            .values = logits + i * g->v->seg->outputs * volt_box_voxels(box),
            .flip = set->flip[t.flip],
            .scale = scale,
            .again = !g->first || t.network > 0 || t.flip > 0};
        volt_stitch_add(&g->sums.stitch, &tile, g->v->seg->threads);
    }
}

/* Slices from z on. */
static volt_status run_pass(group *g, turn t, int64_t z, passes *count)
{
    const volt_volume_pass *v = g->v;
    const volt_net_set *set = v->set;
    const int64_t left = g->padded.high[0] - z;
    const int samples = (int)(set->config->axes == 2 ? volt_min_i64(set->batch, left) : 1);
    const double start = volt_seconds();
    const float *logits;
    volt_status st;

    VOLT_TRY(st, done, volt_check_cancelled(v->cb));
    gather(g, t.flip, z, samples);
    VOLT_TRY(st, done, volt_program_forward(set->program, set->input, 0));
    logits = set->scores ? set->scores : volt_program_output_address(set->program, 0);
    if (set->scores)
        VOLT_TRY(st, done, volt_program_download(set->program, 0, set->scores));
    v->seg->network_s += volt_seconds() - start;
    if (!volt_box_is_empty(g->inside[v->sp->rank]))
        add_logits(g, t, z, samples, logits);
    volt_report_progress(v->cb, "tiles", ++count->done, count->total);
done:
    return st;
}

static volt_status open_group(group *g, const volt_box box[], int kind)
{
    const volt_volume_pass *v = g->v;
    const int me = v->sp->rank;
    int64_t n[3];
    volt_status st;

    for (int r = 0; r < v->sp->ranks; r++) {
        const volt_volume_place p = volt_volume_place_of(v->set, &v->layout, kind, box[r]);
        g->inside[r] = p.inside;
        g->read[r] = p.read;
        if (r == me)
            g->padded = p.padded;
    }
    g->sums.box = volt_shares_held(g->inside[me]);
    volt_box_shape(n, g->sums.box);
    VOLT_TRY(st, done, volt_segmenter_open_part(&g->sums.stitch, v->seg, n, v->shape, v->room));
    if (g->sums.stitch.half)
        volt_stitch_expect(&g->sums.stitch, volt_box_of_shape(n), NULL);
done:
    return st;
}

/* All passes of a network with mirrorings that are like `kind`. */
static volt_status run_network(group *g, int network, int kind, passes *count)
{
    volt_volume_pass *v = g->v;
    const int64_t step = slices_of(v, g->padded);
    volt_status st;

    VOLT_TRY(st, done, volt_net_set_load(v->set, network));
    for (int f = kind; f < v->set->flips; f++) {
        if (!volt_volume_is_alike(v->sp, v->set, f, kind))
            continue;
        for (int64_t z = g->padded.low[0]; z < g->padded.high[0]; z += step)
            VOLT_TRY(st, done, run_pass(g, (turn){network, f}, z, count));
    }
done:
    return st;
}

/* All mirrorings that are like `kind`. */
static volt_status run_group(group *g, const volt_box box[], int kind, passes *count)
{
    volt_volume_pass *v = g->v;
    volt_status st;

    VOLT_TRY(st, done, open_group(g, box, kind));
    VOLT_TRY(st, done, volt_exchange_scatter(v->sp, &g->own, v->whole, v->grid, g->read));
    for (int k = 0; k < v->set->networks; k++)
        VOLT_TRY(st, done, run_network(g, k, kind, count));
    volt_volume_free(g->own);
    g->own = NULL;
    st = volt_exchange_add(v->sp, v->sums, &g->sums, g->inside, v->need, v->seg->threads);
done:
    volt_volume_free(g->own);
    g->own = NULL;
    volt_stitch_close(&g->sums.stitch);
    return st;
}

volt_status volt_volume_pass_run(volt_volume_pass *v, const volt_box box[])
{
    const size_t ranks = (size_t)v->sp->ranks;
    const volt_box own = box[v->sp->rank];
    const int64_t slices = own.high[0] - own.low[0], step = slices_of(v, own);
    group g = {.v = v, .first = true};
    passes count = {0, (int64_t)v->set->flips * v->set->networks *
                           (slices > 0 ? (slices + step - 1) / step : 0)};
    volt_status st;

    VOLT_TRY(st, done, volt_alloc_zero(&g.inside, ranks, sizeof *g.inside, "ranks"));
    VOLT_TRY(st, done, volt_alloc_zero(&g.read, ranks, sizeof *g.read, "ranks"));
    for (int f = 0; f < v->set->flips; f++) {
        if (!volt_volume_is_first(v->sp, v->set, f))
            continue;
        VOLT_TRY(st, done, run_group(&g, box, f, &count));
        g.first = false;
    }
done:
    volt_free(g.read);
    volt_free(g.inside);
    return st;
}
