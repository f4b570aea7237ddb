/* How much memory a scan takes on one of several ranks that work on it together. Follows
 * segment_ranks.c, volume_pass.c and exchange.c line by line, as memory.c does for one rank. */
#include "base/core/alloc.h"
#include "nets3d/predict/memory_internal.h"
#include "nets3d/predict/shares.h"
#include "nets3d/predict/volume_pass.h"

/* The pass of this rank. */
typedef struct joint {
    volt_ledger *l;
    const volt_predict_sizes *s;
    const volt_segmenter *seg;
    int me;
    volt_shares shares;
    volt_tiles tiles[VOLT_PREDICT_MAX_SETS];
    volt_volume_layout layout[VOLT_PREDICT_MAX_SETS];
    volt_box *inside, *read; /* (ranks) of a group of mirrorings */
    size_t sums;             /* of the sets so far */
} joint;

static void close_joint(joint *j)
{
    volt_shares_close(&j->shares);
    for (int g = 0; g < j->seg->sets; g++)
        volt_tiles_free(&j->tiles[g]);
    volt_free(j->inside);
    volt_free(j->read);
}

/* The frame of a scan of which nothing is cropped. */
static volt_preprocessed frame_of(const volt_predict_sizes *s, const volt_segmenter *seg)
{
    volt_preprocessed frame = {.source = s->grid};

    for (int a = 0; a < 3; a++) {
        frame.transpose_forward[a] = seg->set[0].config->transpose_forward[a];
        frame.shape_before_crop[a] = s->before[0][a];
    }
    frame.crop = volt_box_of_shape(s->before[0]);
    return frame;
}

static volt_status open_joint(joint *j)
{
    const volt_spread *sp = j->seg->spread;
    const volt_preprocessed frame = frame_of(j->s, j->seg);
    volt_status st;

    VOLT_TRY(st, done,
             volt_shares_open(&j->shares, j->seg, &frame, j->s->shape, j->s->wanted->roi));
    VOLT_TRY(st, done,
             volt_alloc_zero(&j->inside, (size_t)sp->ranks, sizeof *j->inside, "ranks"));
    VOLT_TRY(st, done, volt_alloc_zero(&j->read, (size_t)sp->ranks, sizeof *j->read, "ranks"));
    for (int g = 0; g < j->seg->sets; g++) {
        const volt_net_set *set = &j->seg->set[g];
        if (sp->kind == VOLT_SPREAD_TILES)
            st = volt_net_set_place(&j->tiles[g], j->seg, set, j->s->shape[g]);
        else
            st = volt_volume_lay_out(&j->layout[g], j->seg, set, j->s->shape[g]);
        if (st != VOLT_OK)
            break;
    }
done:
    return st;
}

/* ---- what is exchanged ---- */

/* Sums over a box, as volt_segmenter_open_part holds them. */
static size_t part_bytes(const joint *j, int g, volt_box box)
{
    const int64_t *shape = j->s->shape[g];
    int64_t n[3];

    volt_box_shape(n, box);
    return volt_segmenter_part_bytes(j->seg, n, shape,
                                     volt_shares_room(j->seg, g, shape, j->s->wanted));
}

/* The same in a message, to which weights belong in float32 only. */
static size_t piece_bytes(const joint *j, int g, volt_box box)
{
    const volt_box voxel = {{0, 0, 0}, {1, 1, 1}};
    const size_t floats = (size_t)(j->seg->outputs + 1) * sizeof(float);
    const size_t each =
        part_bytes(j, g, voxel) == floats ? floats : (size_t)j->seg->outputs * sizeof(uint16_t);

    return (size_t)volt_box_voxels(box) * each;
}

/* volt_exchange_scatter; the part stays. */
static void scatter(joint *j, int g, const volt_box read[])
{
    const size_t each = (size_t)volt_net_set_channels(j->seg, &j->seg->set[g]) * sizeof(float);

    for (int r = 1; j->me == 0 && r < j->shares.ranks; r++)
        volt_ledger_touch(j->l, (size_t)volt_box_voxels(read[r]) * each);
    if (j->me > 0)
        volt_ledger_take(j->l, (size_t)volt_box_voxels(read[j->me]) * each);
}

static void drop_part(joint *j, int g, const volt_box read[])
{
    if (j->me > 0)
        volt_ledger_give(j->l, (size_t)volt_box_voxels(read[j->me]) *
                                   (size_t)volt_net_set_channels(j->seg, &j->seg->set[g]) *
                                   sizeof(float));
}

/* volt_exchange_add; `apart`: from other sums. */
static void add(joint *j, int g, const volt_box have[], bool apart)
{
    const volt_box *need = j->shares.need;
    const int me = j->me;
    size_t bytes = 0;

    for (int r = 0; r < j->shares.ranks; r++) {
        if (r != me)
            bytes += piece_bytes(j, g, volt_box_intersect(have[me], need[r])) +
                     piece_bytes(j, g, volt_box_intersect(have[r], need[me]));
    }
    volt_ledger_take(j->l, bytes);
    if (apart)
        volt_ledger_touch(j->l, piece_bytes(j, g, volt_box_intersect(have[me], need[me])));
    volt_ledger_give(j->l, bytes);
}

/* ---- logits ---- */

static void drop_image(joint *j, int g)
{
    if (j->me == 0)
        volt_ledger_give(j->l, j->s->image[g]);
}

static void take_sums(joint *j, int g)
{
    const size_t bytes = part_bytes(j, g, volt_shares_sums(&j->shares, g, j->me));

    volt_ledger_take(j->l, bytes);
    j->sums += bytes;
}

static void sum_tiles(joint *j, int g)
{
    const volt_shares *sh = &j->shares;
    const bool turned = volt_shares_is_turned(sh, g);
    size_t own;

    volt_shares_tiles(&j->shares, g, &j->tiles[g]);
    own = turned ? part_bytes(j, g, volt_shares_held(sh->have[j->me])) : 0;
    take_sums(j, g);
    volt_ledger_take(j->l, own);
    scatter(j, g, sh->image);
    if (sh->row[j->me] < sh->row[j->me + 1])
        volt_ledger_touch(j->l, j->s->loading[g]);
    drop_part(j, g, sh->image);
    drop_image(j, g);
    add(j, g, sh->have, turned);
    volt_ledger_give(j->l, own);
}

static void run_group(joint *j, int g, int kind)
{
    const volt_net_set *set = &j->seg->set[g];
    size_t own;

    for (int r = 0; r < j->shares.ranks; r++) {
        const volt_volume_place p =
            volt_volume_place_of(set, &j->layout[g], kind, j->shares.have[r]);
        j->inside[r] = p.inside;
        j->read[r] = p.read;
    }
    own = part_bytes(j, g, volt_shares_held(j->inside[j->me]));
    volt_ledger_take(j->l, own);
    scatter(j, g, j->read);
    volt_ledger_touch(j->l, kind == 0 || set->networks > 1 ? j->s->loading[g] : 0);
    drop_part(j, g, j->read);
    add(j, g, j->inside, true);
    volt_ledger_give(j->l, own);
}

static volt_status sum_volume(joint *j, int g)
{
    const volt_spread *sp = j->seg->spread;
    const volt_net_set *set = &j->seg->set[g];
    volt_status st;

    VOLT_TRY(st, done, volt_volume_boxes(sp, set, j->s->box[g], &j->layout[g], j->shares.have));
    volt_ledger_program(j->l, j->s->earlier[g], j->s->program[g]);
    volt_shares_boxes(&j->shares, g);
    take_sums(j, g);
    for (int f = 0; f < set->flips; f++) {
        if (volt_volume_is_first(sp, set, f))
            run_group(j, g, f);
    }
    drop_image(j, g);
done:
    return st;
}

/* To the first set's axes. */
static void finish_set(joint *j, int g)
{
    const volt_box box = volt_shares_sums(&j->shares, g, j->me);
    int64_t n[3];

    volt_box_shape(n, box);
    volt_ledger_touch(j->l, volt_pass_permute_bytes(j->seg, g, n, part_bytes(j, g, box)));
}

/* ---- results ---- */

/* Bytes of `each` for the voxels that a rank decodes. */
static size_t slices_bytes(const joint *j, int rank, size_t each)
{
    const int64_t *first = j->shares.first + rank;

    return (size_t)((first[1] - first[0]) * j->shares.crop[1] * j->shares.crop[2]) * each;
}

/* volt_exchange_collect */
static void collect(joint *j, size_t each)
{
    for (int r = 1; j->me == 0 && r < j->shares.ranks; r++)
        volt_ledger_touch(j->l, slices_bytes(j, r, each));
}

static void finish(joint *j)
{
    const volt_predict_sizes *s = j->s;
    const volt_segmenter *seg = j->seg;
    const bool keeps = s->wanted->probabilities;
    const bool works = slices_bytes(j, j->me, 1) > 0;
    const size_t result = s->masks ? s->masks : s->labels, each = result / s->voxels;
    const size_t decoder = works ? volt_decoder_bytes(&s->decode) : 0;
    const size_t norms = !keeps || volt_segmenter_has_regions(seg)
                             ? 0
                             : slices_bytes(j, j->me, (size_t)seg->sets * sizeof(float));

    volt_ledger_take(j->l, slices_bytes(j, j->me, each));
    volt_ledger_take(j->l, decoder + norms);
    volt_ledger_take(j->l, j->me == 0 ? result : 0);
    collect(j, each);
    volt_ledger_give(j->l, slices_bytes(j, j->me, each));
    if (!keeps)
        volt_ledger_give(j->l, decoder + j->sums);
    if (j->me == 0)
        volt_ledger_export(j->l, s, seg);
    if (!keeps)
        return;
    volt_ledger_take(j->l, slices_bytes(j, j->me, sizeof(float)));
    volt_ledger_take(j->l, j->me == 0 ? s->voxels * sizeof(float) : 0);
    collect(j, sizeof(float));
    volt_ledger_give(j->l, slices_bytes(j, j->me, sizeof(float)));
    if (j->me == 0) {
        volt_ledger_give(j->l, s->voxels * sizeof(float));
        volt_ledger_write_probability(j->l, s, seg);
    }
}

/* ---- all together ---- */

static volt_status run_joint(joint *j)
{
    volt_status st = VOLT_OK;

    for (int g = 0; j->me == 0 && g < j->seg->sets; g++)
        volt_ledger_take(j->l, j->s->image[g]);
    for (int g = 0; g < j->seg->sets; g++) {
        if (j->seg->spread->kind == VOLT_SPREAD_TILES)
            sum_tiles(j, g);
        else
            VOLT_TRY(st, done, sum_volume(j, g));
        finish_set(j, g);
    }
    finish(j);
done:
    return st;
}

volt_status volt_ledger_pass_jointly(volt_ledger *l, const volt_predict_sizes *s,
                                     const volt_segmenter *seg)
{
    const volt_spread *sp = seg->spread;
    joint j = {.l = l, .s = s, .seg = seg, .me = sp->rank};
    volt_status st;

    VOLT_TRY(st, done, volt_spread_agree(sp, open_joint(&j)));
    st = run_joint(&j);
done:
    close_joint(&j);
    return st;
}
