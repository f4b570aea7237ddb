/* How much memory a scan will need, from its grid alone.
 *
 * The account below takes and gives back, in order, the blocks of one stage after the other; a
 * stage's peak is the most that is held at a time. It follows read.c, preprocess_case.c,
 * scan.c, segment.c, export.c and write.c line by line: a change there of what is alive when
 * must be repeated here, and the tests that compare the announced with the measured peak find
 * what was forgotten. Programs, sums and decoder report their own bytes; only volumes and their
 * copies are counted by hand. "Nothing is cropped" is assumed because the file's header does
 * not show what is zero.
 */
#include <stdio.h>
#include <string.h>

#include "base/core/alloc.h"
#include "base/core/available.h"
#include "base/core/plural.h"
#include "base/core/report.h"
#include "base/mem.h"
#include "base/threads.h"
#include "nets3d/device/device_internal.h"
#include "nets3d/plan/plan_internal.h"
#include "nets3d/predict/memory_internal.h"
#include "nets3d/predict/shares.h"
#include "nets3d/predict/spread.h"
#include "volume/grid/crop.h"
#include "volume/orient.h"
#include "volume/resample/resample_internal.h"

#define PIECE_BYTES ((size_t)1 << 20) /* that is read at a time */
#define MIB         (1.0 / (1 << 20))

static size_t voxels_of(const int64_t n[3])
{
    return (size_t)(n[0] * n[1] * n[2]);
}

/* ---- preprocessing ---- */

/* A scan being preprocessed. */
typedef struct reading {
    volt_ledger ledger;
    size_t voxels, image; /* before resampling: of a channel; bytes of all */
    size_t label;         /* bytes of a prior mask's label */
} reading;

/* Resampling of set g's image, which its result replaces; then of its prior mask. */
static void resample(reading *r, const volt_predict_sizes *s, const volt_segmenter *seg, int g)
{
    const volt_plan_config *config = seg->set[g].config;
    const int64_t *from = s->before[g], *to = s->shape[g];
    const size_t after = voxels_of(to), pixel = (size_t)seg->info.channels * sizeof(float);
    volt_ledger *l = &r->ledger;
    double before[3], spacing[3];
    volt_orientation o;
    volt_grid permuted;

    if (memcmp(from, to, sizeof s->shape[g]) == 0 ||
        volt_orientation_transpose(&o, config->transpose_forward) != VOLT_OK)
        return;
    permuted = volt_orientation_grid(o, &s->grid);
    volt_grid_spacing(before, &permuted);
    for (int a = 0; a < 3; a++)
        spacing[a] = config->axes == 2 && a == 0 ? before[0] : config->spacing[a];
    volt_ledger_touch(
        l, volt_resample_image_bytes(from, to, seg->info.channels, config->data.order,
                                     volt_plan_separate_axis(&config->data, before, spacing),
                                     seg->threads));
    volt_ledger_take(l, after * pixel);
    volt_ledger_give(l, r->image);
    if (config->previous_stage) {
        volt_ledger_take(l, after * r->label + volt_resample_labels_bytes(to));
        volt_ledger_give(l, r->voxels * r->label + volt_resample_labels_bytes(to));
    }
}

/* The image, which is held, as one set takes it. */
static void preprocess_for(reading *r, const volt_predict_sizes *s, const volt_segmenter *seg,
                           int g)
{
    const volt_net_set *set = &seg->set[g];
    const size_t labels = set->config->previous_stage ? r->voxels * r->label : 0;
    const size_t after = voxels_of(s->shape[g]);
    volt_ledger *l = &r->ledger;

    if (labels) { /* converted, and to the smallest type */
        volt_ledger_take(l, r->voxels * sizeof(int16_t));
        volt_ledger_take(l, labels);
        volt_ledger_give(l, r->voxels * sizeof(int16_t));
    }
    if (volt_ledger_turns(set)) {
        volt_ledger_touch(l, r->image);
        volt_ledger_touch(l, labels);
    }
    volt_ledger_take(l, r->voxels); /* the mask of what is not zero */
    volt_ledger_touch(l, volt_mask_fill_holes_bytes((int64_t)r->voxels));
    volt_ledger_touch(l, labels ? r->voxels : 0);
    volt_ledger_give(l, r->voxels);
    resample(r, s, seg, g);
    if (labels) { /* the image again with its channels */
        volt_ledger_take(l, s->image[g]);
        volt_ledger_give(l, after * ((size_t)seg->info.channels * sizeof(float) + r->label));
    }
}

/* From the file to the preprocessed images of all sets. */
static size_t preprocess_bytes(const volt_predict_sizes *s, const volt_segmenter *seg)
{
    const size_t voxels = voxels_of(s->grid.n), channel = voxels * sizeof(float);
    const size_t slice = channel / (size_t)s->grid.n[0];
    reading r = {.voxels = voxels,
                 .image = channel * (size_t)seg->info.channels,
                 .label = seg->info.labels > INT8_MAX + 1 ? 2 : 1};
    volt_ledger *l = &r.ledger;

    volt_ledger_take(l, r.image);
    if (seg->info.channels > 1) /* one file after the other, resampled perhaps */
        volt_ledger_touch(l, channel * (seg->info.resample_channels ? 2 : 1));
    else
        volt_ledger_touch(l, volt_min_size(r.image, PIECE_BYTES + 2 * slice));
    volt_ledger_touch(l, s->turned ? r.image : 0);
    if (volt_segmenter_cascade(seg)) {
        volt_ledger_touch(l, voxels * 2 * sizeof(int16_t) + VOLT_SMALL_BYTES);
        volt_ledger_take(l, voxels * sizeof(int16_t));
    }
    for (int g = 0; g < seg->sets; g++) {
        if (g + 1 < seg->sets) /* the scan stays for the next set */
            volt_ledger_take(l, r.image);
        preprocess_for(&r, s, seg, g);
    }
    return l->peak;
}

/* ---- the pass ---- */

/* On one rank: segment.c. */
static void pass_alone(volt_ledger *l, const volt_predict_sizes *s, const volt_segmenter *seg)
{
    const bool keeps = s->wanted->probabilities;
    const size_t decoder = volt_decoder_bytes(&s->decode);
    size_t sums = 0;

    for (int g = 0; g < seg->sets; g++) {
        volt_ledger_take(l, s->image[g]);
        sums += s->sums[g];
    }
    volt_ledger_take(l, decoder + sums + (s->masks ? s->masks : s->labels));
    for (int g = 0; g < seg->sets; g++) {
        volt_ledger_program(l, s->earlier[g], s->program[g]);
        volt_ledger_touch(l, s->loading[g]);
        volt_ledger_give(l, s->image[g]);
        volt_ledger_touch(l, volt_pass_permute_bytes(seg, g, s->shape[g], s->sums[g]));
    }
    if (keeps)
        volt_ledger_take(l, volt_segmenter_has_regions(seg)
                                ? 0
                                : s->voxels * (size_t)seg->sets * sizeof(float));
    else
        volt_ledger_give(l, sums);
    volt_ledger_export(l, s, seg);
    if (keeps)
        volt_ledger_write_probability(l, s, seg);
}

/* ---- all together ---- */

/* Weights between checkpoint and program; they come where several networks take turns, or a
 * program is created for a scan. */
static size_t loading_bytes(const volt_segmenter *seg, const volt_net_set *g)
{
    return g->networks > 1 || volt_net_set_is_whole(seg, g)
               ? (size_t)volt_graph_param_elements(g->graph) * sizeof(float)
               : 0;
}

static volt_status measure_set(volt_predict_sizes *s, const volt_segmenter *seg, int g,
                               const char *what)
{
    const volt_net_set *set = &seg->set[g];
    const size_t pixel = (size_t)volt_net_set_channels(seg, set) * sizeof(float);
    const size_t logits = (size_t)(seg->outputs + 1) * sizeof(float);
    size_t before, after, all, device = 0;
    int64_t *shape = s->shape[g];
    int axis[3];
    volt_status st;

    volt_net_set_axes(axis, &seg->set[0], set);
    VOLT_TRY(st, done, volt_net_set_shape(shape, s->before[g], set, &s->grid));
    /* With this check none of the sums can overflow. */
    if (volt_extent_bytes(&before, s->before[g], 3, 1) ||
        volt_extent_bytes(&after, shape, 3, 1) ||
        volt_mul_size(&all, volt_max_size(before, after),
                      (size_t)seg->sets * 16 * (pixel + logits))) {
        st = volt_fail(VOLT_EINVAL, "%s: %lld x %lld x %lld voxels are more than memory has",
                       what, (long long)shape[0], (long long)shape[1], (long long)shape[2]);
        goto done;
    }
    VOLT_TRY(st, done,
             volt_net_set_bytes(&s->program[g], &device, &s->box[g], seg, set, shape));
    s->earlier[g] = volt_net_set_is_whole(seg, set) ? set->most_bytes : s->program[g];
    s->device += device;
    s->loading[g] = loading_bytes(seg, set);
    s->image[g] = after * pixel;
    s->sums[g] =
        volt_segmenter_sums_bytes(seg, shape, volt_shares_room(seg, g, shape, s->wanted));
    for (int a = 0; a < 3; a++) { /* the decoder's axes are the first set's */
        s->decode.set[g].shape[a] = shape[axis[a]];
        s->decode.to[a] = s->before[g][axis[a]];
    }
done:
    return st;
}

/* All sizes, in the order in which ranks meet. */
static volt_status measure(volt_predict_sizes *s, volt_segmenter *seg, const volt_grid *grid,
                           const char *what)
{
    volt_status st = volt_grid_check(grid, what);

    if (st != VOLT_OK)
        return st;
    VOLT_TRY(st, done, volt_scan_grid(&s->grid, &s->turned, seg, grid));
    s->decode = volt_decode_defaults();
    s->decode.classes = seg->outputs;
    s->decode.sets = seg->sets;
    s->decode.threads = seg->threads;
    for (int g = 0; g < seg->sets; g++) {
        st = measure_set(s, seg, g, what);
        if (volt_spread_is_joint(seg->spread))
            st = volt_spread_agree(seg->spread, st);
        if (st != VOLT_OK)
            goto done;
    }
    if (seg->device->memory && seg->sets == 1 && !s->wanted->probabilities &&
        !volt_spread_is_joint(seg->spread) &&
        volt_segmenter_scores(seg, &s->decode) != &volt_host_scores) {
        s->device += s->sums[0];
        s->sums[0] = 0;
    }
    s->voxels = voxels_of(s->decode.to);
    s->labels = s->voxels * volt_dtype_bytes(seg->dtype);
    if (s->wanted->regions && volt_segmenter_has_regions(seg))
        s->masks = s->voxels * (size_t)seg->outputs;
done:
    return st;
}

/* What a mask takes on its way to its file, besides the results. */
static size_t write_bytes(const volt_predict_sizes *s, const volt_segmenter *seg)
{
    const size_t copies = s->wanted->regions ? s->voxels * (s->turned ? 2 : 1) : 0;
    const size_t stored =
        seg->info.stored ? s->voxels * sizeof(uint16_t) + VOLT_SMALL_BYTES : 0;

    return volt_ledger_packing(seg, s->labels) +
           volt_max_size(copies, volt_max_size(s->turned ? s->labels : 0, stored));
}

/* What each rank needs for the scan. */
static volt_status gather_needs(const volt_spread *sp, const volt_predict_memory *m)
{
    const size_t mine = sp->rank == 0 ? volt_predict_memory_alone(m) : m->pass;

    return volt_comm_all_gather(sp->comm, sp->need, &mine, sizeof mine);
}

void volt_predict_memory_start(volt_segmenter *seg)
{
    size_t host, device;

    for (int g = 0; g < seg->sets; g++) {
        volt_net_set *set = &seg->set[g];
        set->most_bytes = 0;
        if (set->program &&
            volt_net_set_bytes(&host, &device, NULL, seg, set, set->patch) == VOLT_OK)
            set->most_bytes = host;
    }
}

volt_status volt_predict_memory_of(volt_predict_memory *out, volt_segmenter *seg,
                                   const volt_grid *grid, const volt_segment_request *wanted,
                                   const char *what)
{
    const size_t always = seg->other_bytes + VOLT_SMALL_BYTES;
    volt_predict_sizes s = {.wanted = wanted};
    volt_predict_memory m = {.network = always, .before = always};
    volt_ledger l = {0};
    volt_status st;

    VOLT_TRY(st, done, measure(&s, seg, grid, what));
    for (int g = 0; g < seg->sets; g++) {
        m.network += s.program[g];
        m.before += s.earlier[g];
    }
    l.programs = m.before;
    if (volt_spread_is_joint(seg->spread))
        VOLT_TRY(st, done, volt_ledger_pass_jointly(&l, &s, seg));
    else
        pass_alone(&l, &s, seg);
    for (int g = 0; g < seg->sets; g++)
        seg->set[g].most_bytes = volt_max_size(seg->set[g].most_bytes, s.program[g]);
    m.device = s.device;
    m.preprocess = preprocess_bytes(&s, seg);
    m.compute = l.peak + VOLT_SMALL_BYTES;
    m.pass = l.most;
    m.ready = s.labels + s.masks;
    m.write = write_bytes(&s, seg);
    if (volt_spread_is_joint(seg->spread))
        VOLT_TRY(st, done, gather_needs(seg->spread, &m));
    *out = m;
done:
    return st;
}

size_t volt_predict_memory_alone(const volt_predict_memory *m)
{
    return volt_max_size(volt_max_size(m->before + m->preprocess, m->pass),
                         m->network + m->ready + m->write);
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
            need += i == 0 ? volt_predict_memory_alone(m) : sp->need[i];
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

enum { LISTED = 16 }; /* ranks whose memory is logged one by one */

void volt_predict_memory_report(const volt_callbacks *cb, const size_t needs[], int ranks)
{
    size_t least = needs[1], most = needs[1];
    char list[LISTED * 24] = "";

    for (int r = 1; r < ranks; r++) {
        const size_t at = strlen(list);
        least = volt_min_size(least, needs[r]);
        most = volt_max_size(most, needs[r]);
        if (ranks <= LISTED)
            snprintf(list + at, sizeof list - at, "%s%.0f", r > 1 ? ", " : "",
                     (double)needs[r] * MIB);
    }
    if (most == 0)
        return; /* no scan */
    if (least == most)
        volt_report(cb, VOLT_LOG_INFO, "memory of each other rank: %.0f MiB at most",
                    (double)most * MIB);
    else if (ranks <= LISTED)
        volt_report(cb, VOLT_LOG_INFO, "memory of each other rank: %s MiB at most", list);
    else
        volt_report(cb, VOLT_LOG_INFO, "memory of each other rank: %.0f to %.0f MiB at most",
                    (double)least * MIB, (double)most * MIB);
}
