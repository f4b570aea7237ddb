#include "nets3d/predict/volume_pass.h"

#include <string.h>

#include "base/core/alloc.h"
#include "base/core/report.h"
#include "base/system/file.h"
#include "nets3d/predict/deal.h"
#include "nets3d/program/on_device.h"

volt_status volt_volume_pass_open(volt_volume_pass *v)
{
    volt_tiles tile = {0}; /* one, larger than the scan */
    volt_status st;

    VOLT_TRY(st, done, volt_net_set_compile(v->seg, v->set, v->shape));
    VOLT_TRY(st, done, volt_net_set_place(&tile, v->seg, v->set, v->shape));
    for (int a = 0; a < 3; a++)
        v->start[a] = tile.start[a][0];
done:
    volt_tiles_free(&tile);
    return st;
}

volt_status volt_volume_pass_boxes(const volt_volume_pass *v, volt_box box[])
{
    const volt_box own = volt_box_shift(volt_program_box(v->set->program), v->start);

    return volt_comm_all_gather(v->sp->comm, box, &own, sizeof own);
}

/* One combination of mirrorings along split axes. */
typedef struct group {
    volt_volume_pass *v;
    volt_box *place;  /* (ranks): what each rank's box is in the scan, padding included */
    volt_box *image;  /* the same without padding */
    volt_volume *own; /* ranks > 0: the part of the scan */
    volt_sums sums;
    bool first; /* the weights are counted once */
} group;

/* Passes so far, for progress. */
typedef struct passes {
    int64_t done, total;
} passes;

static volt_status run_pass(group *g, int network, int f, passes *count)
{
    const volt_volume_pass *v = g->v;
    const volt_net_set *set = v->set;
    const int me = v->sp->rank;
    const volt_box part = me == 0 ? volt_box_of_shape(v->shape) : g->image[me];
    const volt_volume *image = me == 0 ? v->whole : g->own;
    const int64_t back[3] = {-part.low[0], -part.low[1], -part.low[2]};
    const int64_t *at = g->sums.box.low;
    const float scale = g->sums.stitch.half ? 1.0f / (float)(set->flips * set->networks) : 1;
    const double start = volt_seconds();
    const float *logits;
    volt_status st;

    VOLT_TRY(st, done, volt_check_cancelled(v->cb));
    if (image)
        volt_tile_read(set->input, volt_box_shift(g->place[me], back), image->data,
                       v->grid->channels, image->grid.n, set->flip[f], v->seg->threads);
    else /* nothing but padding */
        memset(set->input, 0,
               (size_t)volt_box_voxels(g->place[me]) * (size_t)v->grid->channels *
                   sizeof *set->input);
    VOLT_TRY(st, done, volt_program_forward(set->program, set->input, 0));
    logits = set->scores ? set->scores : volt_program_output_address(set->program, 0);
    if (set->scores)
        VOLT_TRY(st, done, volt_program_download(set->program, 0, set->scores));
    v->seg->network_s += volt_seconds() - start;
    if (!volt_box_is_empty(g->image[me]))
        volt_stitch_add(
            &g->sums.stitch,
            &(volt_stitch_tile){
                .box = volt_box_shift(g->place[me], (int64_t[3]){-at[0], -at[1], -at[2]}),
                .values = logits,
                .flip = set->flip[f],
                .scale = scale,
                .again = !g->first || network > 0 || f > 0},
            v->seg->threads);
    volt_report_progress(v->cb, "tiles", ++count->done, count->total);
done:
    return st;
}

/* Whether mirroring f is like `kind` along the axes that the mesh splits. */
static bool is_alike(const volt_volume_pass *v, int f, int kind)
{
    const int *size = v->sp->mesh->size + VOLT_MESH_Z;

    for (int a = 0; a < 3; a++) {
        if (size[a] > 1 && v->set->flip[f][a] != v->set->flip[kind][a])
            return false;
    }
    return true;
}

static volt_status open_group(group *g, const volt_box box[], int kind)
{
    const volt_volume_pass *v = g->v;
    const volt_box all = volt_box_of_shape(v->shape);
    volt_box own;
    int64_t n[3];
    volt_status st;

    for (int r = 0; r < v->sp->ranks; r++) {
        g->place[r] = volt_deal_mirrored(box[r], v->start, v->set->patch, v->set->flip[kind]);
        g->image[r] = volt_box_intersect(g->place[r], all);
        if (volt_box_is_empty(g->image[r]))
            g->image[r] = (volt_box){{0, 0, 0}, {0, 0, 0}};
    }
    own = g->image[v->sp->rank];
    if (volt_box_is_empty(own))
        own = (volt_box){{0, 0, 0}, {1, 1, 1}};
    g->sums.box = own;
    volt_box_shape(n, own);
    VOLT_TRY(st, done, volt_segmenter_open_part(&g->sums.stitch, v->seg, n, v->shape, v->room));
    if (g->sums.stitch.half)
        volt_stitch_expect(&g->sums.stitch, volt_box_of_shape(n), NULL);
done:
    return st;
}

/* All mirrorings that are like `kind`. */
static volt_status run_group(group *g, const volt_box box[], int kind, passes *count)
{
    volt_volume_pass *v = g->v;
    volt_status st;

    VOLT_TRY(st, done, open_group(g, box, kind));
    VOLT_TRY(st, done, volt_exchange_scatter(v->sp, &g->own, v->whole, v->grid, g->image));
    for (int k = 0; k < v->set->networks; k++) {
        VOLT_TRY(st, done, volt_net_set_load(v->set, k));
        for (int f = kind; f < v->set->flips; f++) {
            if (is_alike(v, f, kind))
                VOLT_TRY(st, done, run_pass(g, k, f, count));
        }
    }
    volt_volume_free(g->own);
    g->own = NULL;
    st = volt_exchange_add(v->sp, v->sums, &g->sums, g->image, v->need, v->seg->threads);
done:
    volt_volume_free(g->own);
    g->own = NULL;
    volt_stitch_close(&g->sums.stitch);
    return st;
}

volt_status volt_volume_pass_run(volt_volume_pass *v, const volt_box box[])
{
    const size_t ranks = (size_t)v->sp->ranks;
    group g = {.v = v, .first = true};
    passes count = {0, (int64_t)v->set->flips * v->set->networks};
    volt_status st;

    VOLT_TRY(st, done, volt_alloc_zero(&g.place, ranks, sizeof *g.place, "ranks"));
    VOLT_TRY(st, done, volt_alloc_zero(&g.image, ranks, sizeof *g.image, "ranks"));
    for (int f = 0; f < v->set->flips; f++) {
        bool seen = false;
        for (int before = 0; before < f; before++)
            seen = seen || is_alike(v, before, f);
        if (seen)
            continue;
        VOLT_TRY(st, done, run_group(&g, box, f, &count));
        g.first = false;
    }
done:
    volt_free(g.image);
    volt_free(g.place);
    return st;
}
