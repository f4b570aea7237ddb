/* Tiles of a prepared scan through the networks of a group into weighted sums. */
#include <string.h>

#include "base/system/file.h"
#include "base/mem.h"
#include "nets3d/run/checkpoint.h"
#include "nets3d/predict/predictor_internal.h"

static size_t voxels_of(const int64_t patch[3])
{
    return (size_t)(patch[0] * patch[1] * patch[2]);
}

/* ---- the program ---- */

int64_t volt_net_set_rows(const volt_net_set *g)
{
    return g->config->axes == 2 ? g->batch : 1;
}

int64_t volt_net_set_room(const volt_net_set *g, int64_t slices, int64_t patch)
{
    return volt_stitch_room(slices, patch + volt_net_set_rows(g) - 1);
}

bool volt_net_set_is_whole(const volt_predictor *p, const volt_net_set *g)
{
    return p->options.whole || g->config->whole;
}

void volt_net_set_patch(int64_t out[3], const volt_predictor *p, const volt_net_set *g,
                        const int64_t shape[3])
{
    int64_t divisor[3];

    memcpy(out, g->config->patch, sizeof g->config->patch);
    if (!volt_net_set_is_whole(p, g))
        return;
    volt_network_divisor(divisor, &g->config->net);
    for (int a = 0; a < 3; a++)
        out[a] = (shape[a] + divisor[a] - 1) / divisor[a] * divisor[a];
    if (g->config->axes == 2)
        out[0] = 1; /* slices stay apart */
}

volt_status volt_net_set_program(volt_program **out, const volt_predictor *p,
                                 const volt_net_set *g, const int64_t patch[3])
{
    volt_program_options o = {
        .n = g->batch, .precision = g->precision, .mode = VOLT_INFER, .threads = p->threads};

    memcpy(o.extent, patch, sizeof o.extent);
    return volt_program_create(out, g->graph, p->device, &o);
}

void volt_net_set_release(volt_net_set *g)
{
    volt_free(g->input);
    volt_free(g->weight);
    volt_program_free(g->program);
    g->input = g->weight = NULL;
    g->program = NULL;
    g->loaded = -1;
}

volt_status volt_net_set_compile(volt_predictor *p, volt_net_set *g, const int64_t shape[3])
{
    int64_t patch[3];
    volt_status st = VOLT_OK;

    volt_net_set_patch(patch, p, g, shape);
    if (g->program && memcmp(patch, g->patch, sizeof patch) == 0)
        return VOLT_OK;
    volt_net_set_release(g);
    memcpy(g->patch, patch, sizeof patch);
    VOLT_TRY(st, done, volt_net_set_program(&g->program, p, g, patch));
    VOLT_TRY(st, done,
             volt_alloc(&g->input,
                        (size_t)g->batch * (size_t)volt_network_in_channels(&g->config->net) *
                            voxels_of(patch) * sizeof *g->input,
                        "tiles"));
    if (!p->options.constant) {
        VOLT_TRY(
            st, done,
            volt_alloc(&g->weight, voxels_of(patch) * sizeof *g->weight, "the tiles' weights"));
        VOLT_TRY(st, done, volt_importance_map(g->weight, patch, p->options.tiles));
    }
done:
    if (st != VOLT_OK)
        volt_net_set_release(g);
    return st;
}

/* Network i's weights into the program. */
static volt_status load(volt_net_set *g, int i)
{
    float *flat = NULL;
    volt_status st;

    if (g->loaded == i)
        return VOLT_OK;
    g->loaded = -1;
    VOLT_TRY(st, done,
             volt_alloc(&flat, (size_t)volt_graph_param_elements(g->graph) * sizeof *flat,
                        "the network's parameters"));
    VOLT_TRY(st, done, volt_checkpoint_read(g->path[i], g->graph, flat, NULL, 0));
    VOLT_TRY(st, done, volt_program_load(g->program, flat));
    g->loaded = i;
done:
    volt_free(flat);
    return st;
}

/* ---- tiles ---- */

/* The tiles of a scan, with those that `part` needs picked row by row. */
typedef struct walk {
    volt_predictor *p;
    volt_net_set *g;
    const volt_volume *image;
    volt_tiling *t;
    const volt_callbacks *cb;
    volt_tiles tiles;
    int network;
    /* Passes waiting for the batch to be full. */
    int waiting;
    volt_box box[VOLT_PREDICT_MAX_BATCH];
    int flip[VOLT_PREDICT_MAX_BATCH];
} walk;

static bool is_wanted(const volt_box *part, volt_box box)
{
    return !part || !volt_box_is_empty(volt_box_intersect(*part, box));
}

/* The slices around `box` as channels; past an end of the scan the end's slice is repeated. */
static void gather_slices(const walk *w, float *input, volt_box box, const bool flip[3])
{
    const int64_t *n = w->image->grid.n;
    const int slices = w->g->config->slices;
    const int64_t voxels = volt_grid_voxels(&w->image->grid);
    const size_t plane = voxels_of(w->g->patch);

    for (int k = 0; k < slices; k++) {
        const int64_t at = box.low[0] + k - slices / 2;
        volt_box slice = box;

        slice.low[0] = at < 0 ? 0 : at >= n[0] ? n[0] - 1 : at;
        slice.high[0] = slice.low[0] + 1;
        for (int c = 0; c < w->image->grid.channels; c++)
            volt_tile_read(input + (size_t)(c * slices + k) * plane, slice,
                           (const float *)w->image->data + c * voxels, 1, n, flip,
                           w->p->threads);
    }
}

/* What the network sees of the prepared scan at `box`, mirrored, into its input of the batch.
 */
static void gather(const walk *w, int slot, volt_box box, const bool flip[3])
{
    const size_t size =
        (size_t)volt_network_in_channels(&w->g->config->net) * voxels_of(w->g->patch);
    float *input = w->g->input + (size_t)slot * size;

    if (w->g->config->slices > 1)
        gather_slices(w, input, box, flip);
    else
        volt_tile_read(input, box, w->image->data, w->image->grid.channels, w->image->grid.n,
                       flip, w->p->threads);
}

/* Runs the passes that wait and adds their scores up. */
static volt_status run_batch(walk *w)
{
    const size_t size = (size_t)w->p->scores * voxels_of(w->g->patch);
    const double start = volt_seconds();
    const float *scores;
    volt_status st;

    if (w->waiting == 0)
        return VOLT_OK;
    VOLT_TRY(st, done, volt_program_forward(w->g->program, w->g->input, 0));
    VOLT_TRY(st, done, volt_program_output(w->g->program, 0, &scores, NULL));
    w->p->network_s += volt_seconds() - start;
    for (int i = 0; i < w->waiting; i++) {
        const volt_stitch_tile tile = {
            .box = w->box[i],
            .values = scores + (size_t)i * size,
            .flip = w->g->flip[w->flip[i]],
            .weight = w->g->weight,
            .scale = w->t->stitch->half ? 1.0f / (float)(w->g->flips * w->g->networks) : 1,
            .again = w->flip[i] > 0 || w->network > 0};
        volt_stitch_add(w->t->stitch, &tile, w->p->threads);
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

/* All tiles of rows `first` <= z < `end` of the plan through network w->network. */
static volt_status run_rows(walk *w, int64_t first, int64_t end)
{
    const int64_t row = w->tiles.per_axis[1] * w->tiles.per_axis[2];
    volt_status st;

    VOLT_TRY(st, done, load(w->g, w->network));
    for (int64_t i = first * row; i < end * row; i++) {
        const volt_box box = volt_tiles_box(&w->tiles, i);
        if (!is_wanted(w->t->part, box))
            continue;
        VOLT_TRY(st, done, volt_check_cancelled(w->cb));
        for (int f = 0; f < w->g->flips; f++) {
            gather(w, w->waiting, box, w->g->flip[f]);
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

static volt_status plan_tiles(volt_tiles *out, const volt_predictor *p, const volt_net_set *g,
                              const int64_t shape[3])
{
    int64_t patch[3];

    volt_net_set_patch(patch, p, g, shape);
    return volt_tiles_plan(out, shape, patch, p->options.step, p->options.tiles);
}

volt_status volt_net_set_tiles(int64_t *out, const volt_predictor *p, const volt_net_set *g,
                               const int64_t shape[3], const volt_box *part)
{
    volt_tiles tiles = {0};
    int64_t count = 0;
    volt_status st = plan_tiles(&tiles, p, g, shape);

    for (int64_t i = 0; st == VOLT_OK && i < tiles.count; i++)
        count += is_wanted(part, volt_tiles_box(&tiles, i));
    if (st == VOLT_OK)
        *out = count * g->networks;
    volt_tiles_free(&tiles);
    return st;
}

volt_status volt_net_set_open(volt_predictor *p, volt_net_set *g, const int64_t shape[3])
{
    volt_status st = volt_net_set_compile(p, g, shape);

    return st == VOLT_OK ? load(g, 0) : st;
}

volt_status volt_net_set_run(volt_predictor *p, volt_net_set *g, const volt_volume *image,
                             volt_tiling *tiling, const volt_callbacks *cb)
{
    const int64_t *shape = image->grid.n;
    walk w = {.p = p, .g = g, .image = image, .t = tiling, .cb = cb};
    volt_status st;

    VOLT_TRY(st, done, volt_net_set_compile(p, g, shape));
    VOLT_TRY(st, done, plan_tiles(&w.tiles, p, g, shape));
    for (int64_t i = 0; tiling->stitch->half && i < w.tiles.count; i++) {
        const volt_box box = volt_tiles_box(&w.tiles, i);
        if (is_wanted(tiling->part, box))
            volt_stitch_expect(tiling->stitch, box, g->weight);
    }
    for (int64_t z = 0, next; z < w.tiles.per_axis[0]; z = next) {
        bool wanted = false, last;
        int64_t done;

        next = z + volt_net_set_rows(g);
        last = next >= w.tiles.per_axis[0];
        next = last ? w.tiles.per_axis[0] : next;
        done = last ? shape[0] : w.tiles.start[0][next];
        for (int64_t i = z; i < next; i++)
            wanted = wanted || row_is_wanted(&w, i);
        /* Networks take turns in these rows, so that their lower slices are finished then. */
        for (w.network = 0; wanted && w.network < g->networks; w.network++)
            VOLT_TRY(st, done, run_rows(&w, z, next));
        if (!volt_stitch_finish(tiling->stitch, done, p->threads)) {
            st = volt_fail(VOLT_ENUMERIC, "%s: the network's scores are not finite",
                           tiling->what);
            goto done;
        }
        if (tiling->slab)
            VOLT_TRY(st, done, tiling->slab(tiling->context));
    }
done:
    volt_tiles_free(&w.tiles);
    return st;
}
