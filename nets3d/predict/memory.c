/* How much memory a scan will need, from its grid alone.
 *
 * Each sum below is the set of blocks that exist at the same time in one stage of the pass; a
 * stage's peak is the largest of them. They follow scan.c, segment.c, export.c and write.c line
 * by line: a change there of what is alive when must be repeated here, and the tests that
 * compare the announced with the measured peak find what was forgotten. Programs, sums and
 * decoder report their own bytes; only volumes and their copies are counted by hand. "Nothing
 * is cropped" is assumed because the file's header does not show what is zero, so for scans
 * with empty borders the result is an upper bound.
 */
#include <string.h>

#include "base/core/checked.h"
#include "base/mem.h"
#include "base/core/plural.h"
#include "base/threads.h"
#include "nets3d/device/device_internal.h"
#include "nets3d/predict/segmenter.h"
#include "volume/grid/crop.h"
#include "volume/orient.h"
#include "volume/resample.h"

#define SMALL_BYTES        ((size_t)256 << 10) /* headers, lists, strings */
#define WRITE_THREAD_BYTES ((size_t)2 << 20)   /* gzip's buffers, per thread */

/* Weights between checkpoint and program; they come and go where several networks or several
 * shapes take turns. */
static size_t loading_bytes(const volt_segmenter *seg)
{
    size_t most = 0;

    for (int i = 0; i < seg->sets; i++) {
        const volt_net_set *g = &seg->set[i];
        if (g->networks > 1 || volt_net_set_is_whole(seg, g))
            most = volt_max_size(most,
                                 (size_t)volt_graph_param_elements(g->graph) * sizeof(float));
    }
    return most;
}

/* Whether preprocessing copies the scan to permute its axes. */
static bool is_permuted(const volt_segmenter *seg, const volt_net_set *g)
{
    return *seg->info.orientation || g->config->transpose_forward[0] != 0 ||
           g->config->transpose_forward[1] != 1;
}

/* Bytes of all sets together while a scan goes through them. */
typedef struct sizes {
    size_t device, network, images, logits, preprocess;
    size_t permute; /* logits of one class on their way to the first set's axes */
    volt_decode_options decode;
} sizes;

static volt_status add_set(sizes *s, const volt_segmenter *seg, int i, const volt_grid *grid,
                           const volt_segment_request *wanted, const char *what)
{
    const volt_net_set *g = &seg->set[i];
    const size_t pixel = (size_t)seg->info.channels * sizeof(float);
    const size_t extra = (size_t)volt_net_set_channels(seg, g) * sizeof(float) - pixel;
    const size_t logits = (size_t)(seg->outputs + 1) * sizeof(float);
    const bool rolling = seg->sets == 1 && !wanted->probabilities;
    const bool last = i + 1 == seg->sets;
    size_t before, after, all, network = 0, device = 0;
    int64_t shape[3], own[3], patch[3], room; /* own: before resampling */
    int axis[3];
    volt_status st;

    volt_net_set_axes(axis, &seg->set[0], g);
    VOLT_TRY(st, done, volt_net_set_shape(shape, own, g, grid));
    /* With this check none of the sums can overflow. */
    if (volt_extent_bytes(&before, own, 3, 1) || volt_extent_bytes(&after, shape, 3, 1) ||
        volt_mul_size(&all, volt_max_size(before, after),
                      (size_t)seg->sets * 16 * (pixel + extra + logits))) {
        st = volt_fail(VOLT_EINVAL, "%s: %lld x %lld x %lld voxels are more than memory has",
                       what, (long long)shape[0], (long long)shape[1], (long long)shape[2]);
        goto done;
    }
    VOLT_TRY(st, done, volt_net_set_bytes(&network, &device, seg, g, shape));
    s->network += network;
    s->device += device;
    volt_net_set_patch(patch, seg, g, shape);
    /* The scan (kept for the next set), its copy, the preprocessed images so far. Resampling
     * takes the most; reading channel by channel, permuting the copy and the mask of non-zero
     * voxels take no more. */
    s->preprocess = volt_max_size(
        s->preprocess, (last ? 0 : before * pixel) + s->images + before * pixel +
                           volt_max_size(before, after) * pixel +
                           volt_max_size(volt_resample_scratch_bytes(own, shape, seg->threads),
                                         volt_mask_fill_holes_bytes((int64_t)before)));
    if (extra) /* the mask on both grids; then the image again with its channels */
        s->preprocess = volt_max_size(s->preprocess + 5 * before + 2 * after,
                                      s->images + after * (2 * pixel + extra + 2));
    s->images += after * (pixel + extra);
    room = rolling ? volt_net_set_room(g, shape[0], patch[0]) : shape[0];
    s->logits += volt_segmenter_sums_bytes(seg, shape, room);
    if (axis[0] != 0 || axis[1] != 1)
        s->permute = volt_max_size(s->permute, after * sizeof(float) + SMALL_BYTES);
    for (int a = 0; a < 3; a++) { /* the decoder's axes are the first set's */
        s->decode.set[i].shape[a] = shape[axis[a]];
        s->decode.to[a] = own[axis[a]];
    }
done:
    return st;
}

volt_status volt_predict_memory_of(volt_predict_memory *out, volt_segmenter *seg,
                                   const volt_grid *grid, const volt_segment_request *wanted,
                                   const char *what)
{
    const bool permuted = is_permuted(seg, &seg->set[0]);
    const bool regions = wanted->regions && volt_segmenter_has_regions(seg);
    const size_t back = *seg->info.orientation ? 1 : 0; /* copies with the file's axes */
    sizes s = {.decode = volt_decode_defaults()};
    volt_predict_memory m = {0};
    const size_t packing = (size_t)seg->threads * WRITE_THREAD_BYTES + SMALL_BYTES;
    size_t voxels, labels, masks, decoder, kept = 0, finish, exported;
    volt_status st = volt_grid_check(grid, what);

    if (st != VOLT_OK)
        return st;
    s.decode.classes = seg->outputs;
    s.decode.sets = seg->sets;
    s.decode.threads = seg->threads;
    for (int i = 0; i < seg->sets; i++)
        VOLT_TRY(st, done, add_set(&s, seg, i, grid, wanted, what));
    if (seg->device->memory && seg->sets == 1 && !wanted->probabilities &&
        volt_segmenter_scores(seg, &s.decode) != &volt_host_scores) {
        s.device += s.logits;
        s.logits = 0;
    }
    voxels = (size_t)(s.decode.to[0] * s.decode.to[1] * s.decode.to[2]);
    labels = voxels * volt_dtype_bytes(seg->dtype);
    masks = regions ? voxels * (size_t)seg->outputs : 0;
    decoder = volt_decoder_bytes(&s.decode);
    if (wanted->probabilities)
        kept = s.logits + decoder + voxels * sizeof(float) * (size_t)seg->sets;
    /* Permuting back copies; labels are created after the masks of regions. */
    finish = kept + (regions ? masks + volt_max_size(permuted ? masks : 0, labels)
                             : labels + (permuted ? labels : 0));
    m.device = s.device;
    m.network = s.network + loading_bytes(seg) + seg->other_bytes + SMALL_BYTES;
    m.preprocess = s.preprocess + SMALL_BYTES;
    exported =
        kept + labels + masks + packing + voxels * sizeof(float) * (permuted || back ? 2 : 1);
    m.compute =
        volt_max_size(s.images + s.logits + s.permute + decoder + (regions ? masks : labels),
                      wanted->probabilities ? volt_max_size(finish, exported) : finish) +
        SMALL_BYTES;
    m.ready = labels + masks;
    m.write = packing + volt_max_size(wanted->regions ? voxels * (1 + back) : 0, back * labels);
    *out = m;
done:
    return st;
}

size_t volt_predict_memory_alone(const volt_predict_memory *m)
{
    return m->network +
           volt_max_size(volt_max_size(m->preprocess, m->compute), m->ready + m->write);
}

size_t volt_predict_memory_left(const volt_segmenter *seg)
{
    const size_t left = volt_mem_available();

    return left < SIZE_MAX - seg->held_bytes ? left + seg->held_bytes : SIZE_MAX;
}
