/* predictor_memory.c - how much a scan will need, from its grid alone. */
#include <string.h>

#include "base/core/checked.h"
#include "base/core/plural.h"
#include "base/threads.h"
#include "nets3d/predict/predictor_internal.h"
#include "volume/grid/crop.h"
#include "volume/orient.h"
#include "volume/resample.h"

#define SMALL_BYTES        ((size_t)256 << 10) /* headers, lists, strings */
#define WRITE_THREAD_BYTES ((size_t)2 << 20)   /* gzip's buffers, per thread */

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

bool volt_net_set_halves(const volt_predictor *p, const int64_t shape[3], int64_t room)
{
    return volt_stitch_bytes(p->scores, shape, room, false) > (size_t)1 << 30;
}

volt_status volt_net_set_bytes(size_t *out, const volt_predictor *p, const volt_net_set *g,
                               const int64_t shape[3])
{
    volt_program *other = NULL;
    volt_program_memory m;
    int64_t patch[3];
    size_t voxels;
    volt_status st = VOLT_OK;

    volt_net_set_patch(patch, p, g, shape);
    if (!g->program || memcmp(patch, g->patch, sizeof patch) != 0)
        VOLT_TRY(st, done, volt_net_set_program(&other, p, g, patch));
    volt_program_memory_of(other ? other : g->program, &m);
    if (volt_extent_bytes(&voxels, patch, 3, sizeof(float))) {
        st = volt_fail(VOLT_EINVAL,
                       "tiles of %lld x %lld x %lld voxels are more than memory has",
                       (long long)patch[0], (long long)patch[1], (long long)patch[2]);
        goto done;
    }
    *out = m.total + ((size_t)g->batch * (size_t)volt_network_in_channels(&g->config->net) +
                      (p->options.constant ? 0 : 1)) *
                         voxels;
done:
    volt_program_free(other);
    return st;
}

/* Weights on their way from a checkpoint into the program; they come and go where several
 * networks or several shapes take turns. */
static size_t loading_bytes(const volt_predictor *p)
{
    size_t most = 0;

    for (int i = 0; i < p->groups; i++) {
        const volt_net_set *g = &p->group[i];
        if (g->networks > 1 || volt_net_set_is_whole(p, g))
            most = larger(most, (size_t)volt_graph_param_elements(g->graph) * sizeof(float));
    }
    return most;
}

volt_status volt_net_set_shape(int64_t out[3], int64_t before[3], const volt_net_set *g,
                               const volt_grid *grid)
{
    double spacing[3], target[3];
    volt_orientation o;
    volt_grid turned;
    volt_status st = volt_orientation_transpose(&o, g->config->transpose_forward);

    if (st != VOLT_OK)
        return st;
    turned = volt_orientation_grid(o, grid);
    volt_grid_spacing(spacing, &turned);
    for (int a = 0; a < 3; a++) {
        before[a] = turned.n[a];
        target[a] = g->config->spacing[a] > 0 ? g->config->spacing[a] : spacing[a];
    }
    return volt_resample_shape(out, turned.n, spacing, target);
}

/* Whether preparing makes a copy of the scan with its axes in another order. */
static bool is_turned(const volt_predictor *p, const volt_net_set *g)
{
    return *p->info.orientation || g->config->transpose_forward[0] != 0 ||
           g->config->transpose_forward[1] != 1;
}

/* What all groups together need while a scan goes through them. */
typedef struct sizes {
    size_t network, images, scores, prepare;
    size_t turn; /* scores of one class on their way to the first group's axes */
    volt_decode_options decode;
} sizes;

static volt_status add_group(sizes *s, const volt_predictor *p, int i, const volt_grid *grid,
                             const volt_segment_request *wanted, const char *what)
{
    const volt_net_set *g = &p->group[i];
    const size_t pixel = (size_t)p->info.channels * sizeof(float);
    const size_t extra = (size_t)volt_net_set_channels(p, g) * sizeof(float) - pixel;
    const size_t scores = (size_t)(p->scores + 1) * sizeof(float);
    const bool rolling = p->groups == 1 && !wanted->probabilities;
    const bool last = i + 1 == p->groups;
    size_t before, after, all, group = 0;
    int64_t shape[3], own[3], patch[3], room; /* own: before resampling */
    int axis[3];
    volt_status st;

    volt_net_set_axes(axis, &p->group[0], g);
    VOLT_TRY(st, done, volt_net_set_shape(shape, own, g, grid));
    /* With this check none of the sums can overflow. */
    if (volt_extent_bytes(&before, own, 3, 1) || volt_extent_bytes(&after, shape, 3, 1) ||
        volt_mul_size(&all, larger(before, after),
                      (size_t)p->groups * 16 * (pixel + extra + scores))) {
        st = volt_fail(VOLT_EINVAL, "%s: %lld x %lld x %lld voxels are more than memory has",
                       what, (long long)shape[0], (long long)shape[1], (long long)shape[2]);
        goto done;
    }
    VOLT_TRY(st, done, volt_net_set_bytes(&group, p, g, shape));
    s->network += group;
    volt_net_set_patch(patch, p, g, shape);
    /* The scan (kept for the next group), its copy, the prepared ones so far. Reading one
     * channel after the other, turning the copy or adding the mask of what is not zero takes no
     * more than resampling it. */
    s->prepare =
        larger(s->prepare, (last ? 0 : before * pixel) + s->images + before * pixel +
                               larger(before, after) * pixel +
                               larger(volt_resample_scratch_bytes(own, shape, p->threads),
                                      volt_mask_fill_holes_bytes((int64_t)before)));
    if (extra) /* the mask on both grids; then the image again with its channels */
        s->prepare = larger(s->prepare + 5 * before + 2 * after,
                            s->images + after * (2 * pixel + extra + 2));
    s->images += after * (pixel + extra);
    room = rolling ? volt_net_set_room(g, shape[0], patch[0]) : shape[0];
    s->scores += volt_stitch_bytes(p->scores, shape, room, volt_net_set_halves(p, shape, room));
    if (axis[0] != 0 || axis[1] != 1)
        s->turn = larger(s->turn, after * sizeof(float) + SMALL_BYTES);
    for (int a = 0; a < 3; a++) { /* the decoder's axes are the first group's */
        s->decode.set[i].shape[a] = shape[axis[a]];
        s->decode.to[a] = own[axis[a]];
    }
done:
    return st;
}

volt_status volt_predict_memory_of(volt_predict_memory *out, volt_predictor *p,
                                   const volt_grid *grid, const volt_segment_request *wanted,
                                   const char *what)
{
    const bool turned = is_turned(p, &p->group[0]);
    const bool regions = wanted->regions && volt_predictor_has_regions(p);
    const size_t back = *p->info.orientation ? 1 : 0; /* copies that turn back to the scan's */
    sizes s = {.decode = {.classes = p->scores, .sets = p->groups, .threads = p->threads}};
    volt_predict_memory m = {0};
    const size_t packing = (size_t)p->threads * WRITE_THREAD_BYTES + SMALL_BYTES;
    size_t voxels, labels, masks, decoder, kept = 0, finish, exported;
    volt_status st = volt_grid_check(grid, what);

    if (st != VOLT_OK)
        return st;
    for (int i = 0; i < p->groups; i++)
        VOLT_TRY(st, done, add_group(&s, p, i, grid, wanted, what));
    voxels = (size_t)(s.decode.to[0] * s.decode.to[1] * s.decode.to[2]);
    labels = voxels * volt_dtype_bytes(p->dtype);
    masks = regions ? voxels * (size_t)p->scores : 0;
    decoder = volt_decoder_bytes(&s.decode);
    if (wanted->probabilities)
        kept = s.scores + decoder + voxels * sizeof(float) * (size_t)p->groups;
    /* Turning back makes copies; labels come after the masks of regions. */
    finish = kept + (regions ? masks + larger(turned ? masks : 0, labels)
                             : labels + (turned ? labels : 0));
    m.network = s.network + loading_bytes(p) + p->other_bytes + SMALL_BYTES;
    m.prepare = s.prepare + SMALL_BYTES;
    exported =
        kept + labels + masks + packing + voxels * sizeof(float) * (turned || back ? 2 : 1);
    m.compute = larger(s.images + s.scores + s.turn + decoder + (regions ? masks : labels),
                       wanted->probabilities ? larger(finish, exported) : finish) +
                SMALL_BYTES;
    m.ready = labels + masks;
    m.write = packing + larger(wanted->regions ? voxels * (1 + back) : 0, back * labels);
    *out = m;
done:
    return st;
}

volt_status volt_predictor_memory(volt_predictor *p, const volt_grid *grid, size_t *out)
{
    const volt_segment_request wanted = {0};
    volt_predict_memory m, first;
    size_t all;
    volt_status st;

    if (grid->channels != p->info.channels)
        return volt_fail(VOLT_EINVAL, "the image has %d channel%s; the network takes %d",
                         (int)grid->channels, volt_s(grid->channels), p->info.channels);
    VOLT_TRY(st, done, volt_predict_memory_of(&m, p, grid, &wanted, "the image"));
    all = m.network + larger(m.prepare, m.compute);
    if (p->first) { /* its programs stay, and its mask while the second stage works */
        VOLT_TRY(st, done,
                 volt_predict_memory_of(&first, p->first, grid, &wanted, "the image"));
        all = larger(first.network + larger(first.prepare, first.compute) + m.network,
                     first.network + first.ready + all);
    }
    *out = all;
done:
    return st;
}
