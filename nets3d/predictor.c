#include "nets3d/predictor.h"

#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/threads.h"
#include "nets3d/checkpoint.h"
#include "nets3d/predictor_parts.h"
#include "volume/orient.h"
#include "volume/resample.h"
#include "volume/tiles.h"

volt_predict_options volt_predict_defaults(void)
{
    return (volt_predict_options){.device = "cpu", .mirror = true, .step = 0.5};
}

const volt_dataset_info *volt_predictor_info(const volt_predictor *p)
{
    return &p->info;
}

static int64_t patch_voxels(const volt_predictor *p)
{
    return p->config->patch[0] * p->config->patch[1] * p->config->patch[2];
}

/* ---- tiles ---- */

/* out = in (or out += in) with the axes of `flip` read backwards; (c, d, h, w). */
static void mirror(float *out, const float *in, int64_t c, const int64_t n[3],
                   const bool flip[3], bool add, int threads)
{
    const int64_t rows = c * n[0] * n[1], w = n[2];

#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t row = 0; row < rows; row++) {
        const int64_t y = row % n[1], z = row / n[1] % n[0], plane = row / (n[0] * n[1]);
        const int64_t from_z = flip[0] ? n[0] - 1 - z : z, from_y = flip[1] ? n[1] - 1 - y : y;
        const float *from = in + ((plane * n[0] + from_z) * n[1] + from_y) * w;
        float *to = out + row * w;
        if (add && flip[2]) {
            for (int64_t x = 0; x < w; x++)
                to[x] += from[w - 1 - x];
        } else if (add) {
            for (int64_t x = 0; x < w; x++)
                to[x] += from[x];
        } else if (flip[2]) {
            for (int64_t x = 0; x < w; x++)
                to[x] = from[w - 1 - x];
        } else {
            memcpy(to, from, (size_t)w * sizeof *to);
        }
    }
}

/* p->tile_sum = sum over mirrorings of the network's logits for p->input. The sum stands for
 * the mean: their number is a power of two, which changes no arg-max and no rounding. */
static volt_status run_tile(volt_predictor *p)
{
    const int64_t *patch = p->config->patch;
    const double start = volt_seconds();
    volt_status st = VOLT_OK;

    for (int f = 0; f < p->flips; f++) {
        const float *logits;
        mirror(p->flipped, p->input, p->info.channels, patch, p->flip[f], false, p->threads);
        VOLT_TRY(st, done, volt_program_forward(p->program, p->flipped, 0));
        VOLT_TRY(st, done, volt_program_output(p->program, 0, &logits, NULL));
        mirror(p->tile_sum, logits, p->info.labels, patch, p->flip[f], f > 0, p->threads);
    }
done:
    p->network_s += volt_seconds() - start;
    return st;
}

/* sum (classes, D, H, W) becomes the weighted mean of all tiles' logits. */
static volt_status run_tiles(volt_predictor *p, float *sum, float *total,
                             const volt_volume *image, const volt_callbacks *cb)
{
    const int64_t *shape = image->grid.n;
    volt_tiles tiles = {0};
    volt_status st;

    VOLT_TRY(st, done,
             volt_tiles_plan(&tiles, shape, p->config->patch, p->step, VOLT_TILES_NNUNET));
    for (int64_t i = 0; i < tiles.count; i++) {
        const volt_box box = volt_tiles_box(&tiles, i);
        VOLT_TRY(st, done, volt_check_cancelled(cb));
        volt_tile_read(p->input, box, image->data, p->info.channels, shape, p->threads);
        VOLT_TRY(st, done, run_tile(p));
        volt_tile_add(sum, total, box, p->tile_sum, p->weight, p->info.labels, shape,
                      p->threads);
        volt_report_progress(cb, "tiles", i + 1, tiles.count);
    }
    volt_tile_divide(sum, total, p->info.labels, volt_grid_voxels(&image->grid), p->threads);
done:
    volt_tiles_free(&tiles);
    return st;
}

static bool all_finite(const float *x, int64_t count, int threads)
{
    bool finite = true;

#pragma omp parallel for num_threads(threads) schedule(static) reduction(&& : finite)
    for (int64_t i = 0; i < count; i++)
        finite = finite && isfinite(x[i]);
    return finite;
}

/* ---- back to the scan's grid ---- */

/* Arg-max on the grid before cropping, then the axes' order undone. */
static volt_status export_labels(volt_volume **out, const volt_predictor *p, const float *sum,
                                 const int64_t shape[3], const volt_prepared *scan)
{
    volt_logits logits = {.data = sum, .classes = p->info.labels};
    volt_grid own = scan->source, grid;
    volt_volume *labels = NULL;
    volt_orientation o;
    volt_status st;

    memcpy(logits.shape, shape, sizeof logits.shape);
    own.channels = 1;
    VOLT_TRY(st, done, volt_orientation_transpose(&o, scan->transpose_forward));
    grid = volt_orientation_grid(o, &own);
    VOLT_TRY(st, done, volt_volume_create(&labels, &grid, p->dtype));
    VOLT_TRY(st, done,
             volt_resample_argmax(labels, scan->crop, &logits,
                                  volt_plan_separate_axis(&p->config->probabilities,
                                                          scan->spacing, scan->spacing_before),
                                  p->threads));
    if (!volt_orientation_is_identity(o)) {
        volt_volume *back = NULL;
        VOLT_TRY(st, done, volt_volume_reorient_back(&back, labels, o, &own, p->threads));
        volt_volume_free(labels);
        labels = back;
    }
    *out = labels;
    labels = NULL;
done:
    volt_volume_free(labels);
    return st;
}

volt_status volt_predictor_segment(volt_predictor *p, volt_volume **labels, volt_prepared *scan,
                                   const char *what, const volt_callbacks *cb)
{
    const size_t voxels = (size_t)volt_grid_voxels(&scan->image->grid);
    int64_t shape[3];
    float *sum = NULL, *total = NULL;
    volt_status st;

    memcpy(shape, scan->image->grid.n, sizeof shape);
    VOLT_TRY(st, done,
             volt_alloc_zero(&sum, voxels * (size_t)p->info.labels, sizeof *sum,
                             "the sums of logits"));
    VOLT_TRY(st, done, volt_alloc_zero(&total, voxels, sizeof *total, "the sums of weights"));
    VOLT_TRY(st, done, run_tiles(p, sum, total, scan->image, cb));
    volt_free(total);
    total = NULL;
    volt_volume_free(scan->image);
    scan->image = NULL;
    if (!all_finite(sum, (int64_t)voxels * p->info.labels, p->threads)) {
        st = volt_fail(VOLT_ENUMERIC, "%s: the network's scores are not finite", what);
        goto done;
    }
    st = export_labels(labels, p, sum, shape, scan);
done:
    volt_free(total);
    volt_free(sum);
    volt_prepared_clear(scan);
    return st;
}

volt_status volt_predictor_run(volt_predictor *p, const volt_volume *image,
                               volt_volume **labels, const volt_callbacks *cb)
{
    volt_volume *copy = NULL;
    volt_prepared scan = {0};
    volt_status st;

    if (image->grid.channels != p->info.channels)
        return volt_fail(VOLT_EINVAL, "the image has %d channels; the network takes %d",
                         (int)image->grid.channels, p->info.channels);
    VOLT_TRY(st, done, volt_volume_convert(&copy, image, VOLT_F32, NULL, p->threads));
    VOLT_TRY(st, done,
             volt_prepare(&scan, &copy, NULL, p->plan, p->config, "the image", p->threads));
    st = volt_predictor_segment(p, labels, &scan, "the image", cb);
done:
    volt_volume_free(copy);
    return st;
}

/* ---- opening ---- */

/* The checkpoint to use; the caller owns *out. */
static volt_status find_checkpoint(char **out, const char *run, const char *asked)
{
    char *latest = NULL, *best = NULL;
    volt_checkpoint_head head = {0};
    volt_train_state state;
    bool finished;
    volt_status st;

    if (!volt_path_is_dir(run))
        return volt_strdup(out, run);
    if (asked)
        return volt_format(out, "%s/checkpoint_%s.safetensors", run, asked);
    VOLT_TRY(st, done, volt_path_join(&latest, run, "checkpoint_latest.safetensors"));
    VOLT_TRY(st, done, volt_path_join(&best, run, "checkpoint_best.safetensors"));
    if (volt_path_exists(best) && volt_path_exists(latest)) {
        VOLT_TRY(st, done, volt_checkpoint_read_head(&head, latest));
        VOLT_TRY(st, done, volt_train_state_parse(&state, head.state, latest));
        finished = state.epoch == state.epochs;
        st = volt_strdup(out, finished ? latest : best);
    } else {
        st = volt_strdup(out, volt_path_exists(best) ? best : latest);
    }
done:
    volt_checkpoint_head_free(&head);
    volt_free(best);
    volt_free(latest);
    return st;
}

static volt_status read_description(volt_predictor *p, const char *path)
{
    volt_checkpoint_head head = {0};
    volt_status st;

    VOLT_TRY(st, done, volt_checkpoint_read_head(&head, path));
    VOLT_TRY(st, done, volt_train_recipe_parse(&p->recipe, head.recipe, path));
    VOLT_TRY(st, done,
             volt_dataset_info_parse(&p->info, head.dataset, strlen(head.dataset), path));
    VOLT_TRY(st, done, volt_plan_parse(&p->plan, head.plan, strlen(head.plan), path, &p->info));
    VOLT_TRY(st, done, volt_plan_find(&p->config, p->plan, p->recipe.configuration));
    p->dtype = p->info.labels <= 256 ? VOLT_U8 : VOLT_U16;
done:
    volt_checkpoint_head_free(&head);
    return st;
}

/* All combinations of the axes mirrored in training; the first is none. */
static void list_flips(volt_predictor *p, bool mirrored)
{
    p->flips = 0;
    for (int f = 0; f < 8; f++) {
        bool allowed = true;
        for (int a = 0; a < 3; a++) {
            p->flip[p->flips][a] = f >> a & 1;
            allowed = allowed && (!(f >> a & 1) || (mirrored && p->recipe.recipe.mirror[a] &&
                                                    p->config->patch[a] > 1));
        }
        p->flips += allowed;
    }
}

static volt_status compile(volt_predictor *p, const volt_predict_options *o,
                           const volt_callbacks *cb)
{
    volt_precision_query query = {.net = &p->config->net,
                                  .batch = 1,
                                  .mode = VOLT_INFER,
                                  .threads = p->threads,
                                  .cache = o->cache};
    volt_program_options po = {.n = 1, .mode = VOLT_INFER, .threads = p->threads};
    volt_unet_spec spec = p->config->net;
    volt_status st;

    VOLT_TRY(st, done, volt_device_open(&p->device, o->device ? o->device : "cpu"));
    query.device = p->device;
    memcpy(query.patch, p->config->patch, sizeof query.patch);
    VOLT_TRY(st, done, volt_precision_choose(&p->precision, o->precision, &query, cb));
    spec.deep_supervision = false;
    po.precision = p->precision;
    memcpy(po.extent, p->config->patch, sizeof po.extent);
    VOLT_TRY(st, done, volt_unet_build(&p->graph, &spec));
    st = volt_program_create(&p->program, p->graph, p->device, &po);
done:
    return st;
}

static volt_status load(volt_predictor *p, const char *path)
{
    const size_t voxels = (size_t)patch_voxels(p), channels = (size_t)p->info.channels;
    float *flat = NULL;
    volt_status st;

    VOLT_TRY(st, done,
             volt_alloc(&flat, (size_t)volt_graph_param_elements(p->graph) * sizeof *flat,
                        "the network's parameters"));
    VOLT_TRY(st, done, volt_checkpoint_read(path, p->graph, flat, NULL, 0));
    VOLT_TRY(st, done, volt_program_load(p->program, flat));
    VOLT_TRY(st, done, volt_alloc(&p->weight, voxels * sizeof(float), "the tiles' weights"));
    VOLT_TRY(st, done, volt_importance_map(p->weight, p->config->patch, VOLT_TILES_NNUNET));
    VOLT_TRY(st, done, volt_alloc(&p->input, channels * voxels * sizeof(float), "a tile"));
    VOLT_TRY(st, done, volt_alloc(&p->flipped, channels * voxels * sizeof(float), "a tile"));
    VOLT_TRY(st, done,
             volt_alloc(&p->tile_sum, (size_t)p->info.labels * voxels * sizeof(float),
                        "a tile's logits"));
done:
    volt_free(flat);
    return st;
}

volt_status volt_predictor_open(volt_predictor **out, const char *run,
                                const volt_predict_options *options, const volt_callbacks *cb)
{
    const size_t before = volt_mem_current();
    volt_predictor *p = NULL;
    char *path = NULL;
    volt_status st;

    if (!(options->step > 0) || options->step > 1)
        return volt_fail(VOLT_EINVAL, "a tile step of %g; it is a share of the patch in (0, 1]",
                         options->step);
    VOLT_TRY(st, done, volt_alloc_zero(&p, 1, sizeof *p, "a predictor"));
    p->threads = volt_threads_or_default(options->threads);
    p->step = options->step;
    VOLT_TRY(st, done, find_checkpoint(&path, run, options->checkpoint));
    VOLT_TRY(st, done, read_description(p, path));
    list_flips(p, options->mirror);
    VOLT_TRY(st, done, compile(p, options, cb));
    VOLT_TRY(st, done, load(p, path));
    volt_report(cb, VOLT_LOG_INFO, "%s: %s, %s, %s mirroring", path, p->config->name,
                volt_precision_name(p->precision), p->flips > 1 ? "with" : "without");
    volt_free(path);
    path = NULL;
    p->held_bytes = volt_mem_current() - before;
    *out = p;
    p = NULL;
done:
    volt_free(path);
    volt_predictor_free(p);
    return st;
}

void volt_predictor_free(volt_predictor *p)
{
    if (!p)
        return;
    volt_free(p->tile_sum);
    volt_free(p->flipped);
    volt_free(p->input);
    volt_free(p->weight);
    volt_program_free(p->program);
    volt_graph_free(p->graph);
    volt_device_close(p->device);
    volt_plan_free(p->plan);
    volt_dataset_info_clear(&p->info);
    volt_free(p);
}
