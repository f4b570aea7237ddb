/* The networks of one plan and configuration: what they take, and the program that they share.
 */
#include <string.h>

#include "base/core/checked.h"
#include "base/core/alloc.h"
#include "base/mem.h"
#include "nets3d/device/device_internal.h"
#include "nets3d/predict/segmenter.h"
#include "nets3d/predict/spread.h"
#include "nets3d/program/on_device.h"
#include "nets3d/run/checkpoint.h"
#include "volume/orient.h"
#include "volume/resample.h"

size_t volt_patch_voxels(const int64_t patch[3])
{
    return (size_t)(patch[0] * patch[1] * patch[2]);
}

/* ---- what they take ---- */

bool volt_segmenter_has_regions(const volt_segmenter *seg)
{
    return seg->info.regions > 0;
}

int volt_net_set_channels(const volt_segmenter *seg, const volt_net_set *g)
{
    return seg->info.channels + (g->config->previous_stage ? g->plan->classes - 1 : 0);
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

volt_status volt_net_set_shape(int64_t out[3], int64_t before[3], const volt_net_set *g,
                               const volt_grid *grid)
{
    double spacing[3], target[3];
    volt_orientation o;
    volt_grid permuted;
    volt_status st = volt_orientation_transpose(&o, g->config->transpose_forward);

    if (st != VOLT_OK)
        return st;
    permuted = volt_orientation_grid(o, grid);
    volt_grid_spacing(spacing, &permuted);
    for (int a = 0; a < 3; a++) {
        before[a] = permuted.n[a];
        target[a] = g->config->spacing[a] > 0 ? g->config->spacing[a] : spacing[a];
    }
    return volt_resample_shape(out, permuted.n, spacing, target);
}

bool volt_net_set_is_whole(const volt_segmenter *seg, const volt_net_set *g)
{
    return seg->options.whole || g->config->whole;
}

void volt_net_set_patch(int64_t out[3], const volt_segmenter *seg, const volt_net_set *g,
                        const int64_t shape[3])
{
    int64_t divisor[3];

    memcpy(out, g->config->patch, sizeof g->config->patch);
    if (!volt_net_set_is_whole(seg, g))
        return;
    volt_network_divisor(divisor, &g->config->net);
    for (int a = 0; a < 3; a++)
        out[a] = (shape[a] + divisor[a] - 1) / divisor[a] * divisor[a];
    if (g->config->axes == 2)
        out[0] = 1; /* slices stay apart */
}

/* ---- the program ---- */

/* Whether one program runs on all ranks, each with a box of the scan. */
static bool is_split(const volt_segmenter *seg)
{
    return seg->spread && seg->spread->kind == VOLT_SPREAD_VOLUME;
}

/* The ranks of one program; NULL: this one. Slices of 2-D networks stay apart. */
static const volt_mesh *mesh_of(const volt_segmenter *seg, const volt_net_set *g)
{
    if (!is_split(seg))
        return NULL;
    return g->config->axes == 2 ? seg->spread->plane : seg->spread->mesh;
}

/* Voxels of an input of `program`. */
static size_t input_voxels(const volt_program *program)
{
    return (size_t)volt_box_voxels(volt_program_box(program));
}

/* A program with these extents that holds no tensors yet; *bytes: what it takes without them.
 */
static volt_status create_program(volt_program **out, size_t *bytes, const volt_segmenter *seg,
                                  const volt_net_set *g, const int64_t patch[3])
{
    volt_program_options o = volt_program_defaults();
    volt_mem_scope scope;
    volt_status st;

    o.n = g->batch;
    o.precision = g->precision;
    o.mode = VOLT_INFER;
    o.threads = seg->threads;
    memcpy(o.extent, patch, sizeof o.extent);
    o.mesh = mesh_of(seg, g);
    o.samples = o.n;
    volt_mem_scope_enter(&scope);
    st = volt_program_create(out, g->graph, seg->device, &o);
    volt_mem_scope_leave(&scope);
    if (st == VOLT_OK)
        *bytes = (size_t)volt_mem_scope_held(&scope);
    return st;
}

void volt_net_set_release(const volt_segmenter *seg, volt_net_set *g)
{
    volt_pinned_free(seg->device, g->input);
    volt_event_destroy(seg->device, g->uploaded);
    volt_free(g->weight);
    volt_free(g->scores);
    if (g->device_weight)
        seg->device->release(seg->device, g->device_weight);
    volt_program_free(g->program);
    g->input = g->weight = g->scores = g->device_weight = NULL;
    g->program = NULL;
    g->uploaded = NULL;
    g->loaded = -1;
}

/* The device adds scores up in memory of its own. */
static bool weights_are_copied(const volt_segmenter *seg)
{
    return seg->device->scores && !seg->device->host_memory && !seg->options.constant &&
           !is_split(seg);
}

volt_status volt_net_set_compile(volt_segmenter *seg, volt_net_set *g, const int64_t shape[3])
{
    size_t host, device;
    int64_t patch[3];
    volt_status st = VOLT_OK;

    volt_net_set_patch(patch, seg, g, shape);
    if (g->program && memcmp(patch, g->patch, sizeof patch) == 0)
        return VOLT_OK;
    volt_net_set_release(seg, g);
    memcpy(g->patch, patch, sizeof patch);
    VOLT_TRY(st, done, create_program(&g->program, &g->program_bytes, seg, g, patch));
    VOLT_TRY(st, done, volt_net_set_bytes(&host, &device, NULL, seg, g, shape));
    VOLT_TRY(st, done, volt_device_check_memory(seg->device, device, 0, "the network", ""));
    VOLT_TRY(
        st, done,
        volt_pinned_alloc((void **)&g->input, seg->device,
                          (size_t)g->batch * (size_t)volt_network_in_channels(&g->config->net) *
                              input_voxels(g->program) * sizeof *g->input,
                          "tiles"));
    VOLT_TRY(st, done, volt_event_create(&g->uploaded, seg->device));
    if (!seg->device->host_memory)
        VOLT_TRY(st, done,
                 volt_alloc(&g->scores,
                            (size_t)g->batch * (size_t)seg->outputs * input_voxels(g->program) *
                                sizeof *g->scores,
                            "the tiles' scores"));
    if (!seg->options.constant && !is_split(seg)) {
        VOLT_TRY(st, done,
                 volt_alloc(&g->weight, volt_patch_voxels(patch) * sizeof *g->weight,
                            "the tiles' weights"));
        VOLT_TRY(st, done, volt_importance_map(g->weight, patch, seg->options.tiles));
        if (weights_are_copied(seg)) {
            const size_t bytes = volt_patch_voxels(patch) * sizeof *g->weight;
            VOLT_TRY(st, done,
                     seg->device->alloc(seg->device, (void **)&g->device_weight, bytes,
                                        "the tiles' weights"));
            VOLT_TRY(st, done,
                     seg->device->upload(seg->device, g->device_weight, g->weight, bytes,
                                         volt_program_stream(g->program)));
        }
    }
done:
    if (st != VOLT_OK)
        volt_net_set_release(seg, g);
    return st;
}

volt_status volt_net_set_load(volt_net_set *g, int i)
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

volt_status volt_net_set_open(volt_segmenter *seg, volt_net_set *g, const int64_t shape[3])
{
    volt_status st = volt_net_set_compile(seg, g, shape);

    return st == VOLT_OK ? volt_net_set_load(g, 0) : st;
}

volt_status volt_net_set_bytes(size_t *host, size_t *device, volt_box *box,
                               const volt_segmenter *seg, const volt_net_set *g,
                               const int64_t shape[3])
{
    volt_program *other = NULL;
    const volt_program *program = g->program;
    size_t there, voxels, own = g->program_bytes;
    volt_program_memory m;
    int64_t patch[3];
    volt_status st = VOLT_OK;

    volt_net_set_patch(patch, seg, g, shape);
    if (!program || memcmp(patch, g->patch, sizeof patch) != 0) {
        VOLT_TRY(st, done, create_program(&other, &own, seg, g, patch));
        program = other;
    }
    volt_program_memory_of(program, &m);
    if (volt_extent_bytes(&voxels, patch, 3, sizeof(float))) {
        st = volt_fail(VOLT_EINVAL,
                       "tiles of %lld x %lld x %lld voxels are more than memory has",
                       (long long)patch[0], (long long)patch[1], (long long)patch[2]);
        goto done;
    }
    there = weights_are_copied(seg) ? voxels : 0;
    voxels = input_voxels(program) * sizeof(float);
    if (box)
        *box = volt_program_box(program);
    there += m.total;
    *host = ((size_t)g->batch * (size_t)volt_network_in_channels(&g->config->net) +
             (seg->device->host_memory ? 0 : (size_t)g->batch * (size_t)seg->outputs) +
             (seg->options.constant || is_split(seg) ? 0 : 1)) *
                voxels +
            own + m.messages + (seg->device->memory ? 0 : there);
    *device = seg->device->memory ? there : 0;
done:
    volt_program_free(other);
    return st;
}
