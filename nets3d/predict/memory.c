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
#include <stdio.h>
#include <string.h>

#include "base/core/alloc.h"
#include "base/core/available.h"
#include "base/core/checked.h"
#include "base/mem.h"
#include "base/core/plural.h"
#include "base/threads.h"
#include "nets3d/device/device_internal.h"
#include "nets3d/predict/deal.h"
#include "nets3d/predict/segmenter.h"
#include "nets3d/predict/spread.h"
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
    /* Of one of several ranks that work on the scan together: its part of an image, its sums,
     * what it sends and gets with what it copies meanwhile; slices that it decodes at most, of
     * `of`. */
    size_t image, sums, moving;
    int64_t slices, of;
} sizes;

/* Slices that a rank adds to or decodes, at most. */
static volt_status most_slices(int64_t *out, const volt_segmenter *seg, const volt_net_set *g,
                               const int64_t shape[3])
{
    const int ranks = seg->spread->ranks;
    int64_t *row = NULL, most = (shape[0] + ranks - 1) / ranks;
    volt_tiles tiles = {0};
    volt_status st = VOLT_OK;

    if (seg->spread->kind == VOLT_SPREAD_TILES) {
        VOLT_TRY(st, done, volt_alloc(&row, ((size_t)ranks + 1) * sizeof *row, "ranks"));
        VOLT_TRY(st, done, volt_net_set_place(&tiles, seg, g, shape));
        volt_deal_rows(row, &tiles, volt_box_of_shape(shape), volt_net_set_rows(g), ranks);
        for (int r = 0; r < ranks; r++) {
            const volt_box box = volt_deal_rows_box(&tiles, shape, row[r], row[r + 1]);
            most = volt_max_i64(most, box.high[0] - box.low[0]);
        }
    }
    *out = volt_min_i64(shape[0], most + 4); /* linear interpolation reads neighbours */
done:
    volt_tiles_free(&tiles);
    volt_free(row);
    return st;
}

/* Adds a rank's part of a set whose input has `input` voxels. */
static volt_status add_part(sizes *s, const volt_segmenter *seg, int i, const int64_t shape[3],
                            int64_t room, size_t input)
{
    const volt_net_set *g = &seg->set[i];
    const size_t channels = (size_t)volt_net_set_channels(seg, g) * sizeof(float);
    const bool tiles = seg->spread->kind == VOLT_SPREAD_TILES;
    const bool turned = s->decode.set[i].shape[0] != shape[0] || !tiles;
    int64_t part[3] = {0, shape[1], shape[2]}, overlap[3] = {0, shape[1], shape[2]};
    size_t sums, logits;
    volt_status st = most_slices(&part[0], seg, g, shape);

    if (st != VOLT_OK)
        return st;
    overlap[0] = volt_min_i64(part[0], g->config->patch[0] + 4);
    sums = volt_segmenter_part_bytes(seg, part, shape, room);
    logits = tiles ? sums : input * (size_t)(seg->outputs + 1) * sizeof(float);
    s->sums += sums;
    s->moving = volt_max_size(
        s->moving,
        turned ? 2 * logits + sums : 2 * volt_segmenter_part_bytes(seg, overlap, shape, room));
    s->image = volt_max_size(
        s->image, tiles ? (size_t)((part[0] + g->config->slices) * part[1] * part[2]) * channels
                        : input * channels);
    if (i == 0) {
        s->slices = part[0];
        s->of = shape[0];
    }
    return VOLT_OK;
}

/* What ranks hold that work together, in place of what one would. `result`: bytes of labels or
 * masks; `voxels`: of the result. */
static void share_out(volt_predict_memory *m, const sizes *s, const volt_segmenter *seg,
                      const volt_segment_request *wanted, size_t result, size_t voxels)
{
    const double fraction = (double)s->slices / (double)s->of;
    const size_t slices = (size_t)((double)result * fraction) + SMALL_BYTES;
    const size_t each = (size_t)((double)voxels * fraction) * sizeof(float); /* of its slices */
    const bool probabilities = wanted->probabilities;
    /* Adding up; then decoding; then probabilities, one class at a time. */
    const size_t adding = s->sums + s->moving;
    const size_t decoding = s->sums + volt_decoder_bytes(&s->decode) +
                            (probabilities ? each * (size_t)seg->sets : 0);
    const size_t exporting =
        probabilities ? decoding + result + 2 * each + 2 * voxels * sizeof(float) + m->write
                      : 0;

    m->compute = volt_max_size(volt_max_size(s->images + s->image + adding, exporting),
                               decoding + 2 * slices + result);
    m->others =
        m->network + volt_max_size(s->image + adding,
                                   decoding + volt_max_size(slices, probabilities ? each : 0));
}

static volt_status add_set(sizes *s, const volt_segmenter *seg, int i, const volt_grid *grid,
                           const volt_segment_request *wanted, const char *what)
{
    const volt_net_set *g = &seg->set[i];
    const size_t pixel = (size_t)seg->info.channels * sizeof(float);
    const size_t extra = (size_t)volt_net_set_channels(seg, g) * sizeof(float) - pixel;
    const size_t logits = (size_t)(seg->outputs + 1) * sizeof(float);
    const bool rolling = seg->sets == 1 && !wanted->probabilities;
    const bool last = i + 1 == seg->sets;
    size_t before, after, all, network = 0, device = 0, input = 0;
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
    VOLT_TRY(st, done, volt_net_set_bytes(&network, &device, &input, seg, g, shape));
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
    if (volt_spread_is_joint(seg->spread))
        st = add_part(s, seg, i, shape, room, input);
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
    if (volt_spread_is_joint(seg->spread)) {
        share_out(&m, &s, seg, wanted, regions ? masks + labels : labels, voxels);
        m.compute = volt_max_size(m.compute, wanted->probabilities ? 0 : finish);
    }
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
    const volt_spread *sp = seg->spread;
    const size_t left =
        sp ? sp->left[sp->rank] / (size_t)volt_comm_host_ranks(sp->comm) : volt_mem_available();

    return left < SIZE_MAX - seg->held_bytes ? left + seg->held_bytes : SIZE_MAX;
}

/* Ranks that work together, host by host; each holds as many networks as this one. */
static volt_status check_hosts(const volt_segmenter *seg, const volt_predict_memory *m,
                               const char *what)
{
    const volt_spread *sp = seg->spread;
    char needed[VOLT_MEM_WORDS], there[VOLT_MEM_WORDS];

    for (int r = 0; r < sp->ranks; r++) {
        const char *host = volt_comm_host(sp->comm, r);
        size_t need = 0, left = sp->left[r];
        int ranks = 0;
        for (int i = 0; i < sp->ranks; i++) {
            if (strcmp(volt_comm_host(sp->comm, i), host) != 0)
                continue;
            need += i == 0 ? volt_predict_memory_alone(m) : m->others;
            left = volt_min_size(left, sp->left[i]);
            ranks++;
        }
        left += left < SIZE_MAX / 2 ? seg->held_bytes * (size_t)ranks : 0;
        if (need > left)
            return volt_fail(VOLT_ENOMEM,
                             "%s: prediction needs %s of memory on %s for %d rank%s, but only "
                             "%s is available",
                             what, volt_mem_words(needed, need), host, ranks, volt_s(ranks),
                             volt_mem_words(there, left));
    }
    return VOLT_OK;
}

volt_status volt_predict_memory_check(const volt_segmenter *seg, const volt_predict_memory *m,
                                      const char *what)
{
    char whose[1200], needed[VOLT_MEM_WORDS], there[VOLT_MEM_WORDS];
    size_t left;
    volt_status st;

    snprintf(whose, sizeof whose, "%.1100s: prediction", what);
    st = volt_device_check_memory(seg->device, m->device, seg->held_there, whose, "");
    if (st != VOLT_OK)
        return st;
    if (volt_spread_is_joint(seg->spread))
        return check_hosts(seg, m, what);
    left = volt_predict_memory_left(seg);
    if (volt_predict_memory_alone(m) <= left)
        return VOLT_OK;
    if (seg->spread && volt_comm_host_ranks(seg->spread->comm) > 1)
        return volt_fail(VOLT_ENOMEM,
                         "%s: prediction needs %s of memory, but only %s is available to each "
                         "of the %d ranks on %s",
                         what, volt_mem_words(needed, volt_predict_memory_alone(m)),
                         volt_mem_words(there, left), volt_comm_host_ranks(seg->spread->comm),
                         volt_comm_host(seg->spread->comm, seg->spread->rank));
    return volt_fail(VOLT_ENOMEM, "%s: prediction needs %s of memory, but only %s is available",
                     what, volt_mem_words(needed, volt_predict_memory_alone(m)),
                     volt_mem_words(there, left));
}
