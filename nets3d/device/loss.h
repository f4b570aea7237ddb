/* loss.h - the loss as devices compute it: cross-entropy + soft Dice on logits,
 * weight_ce * E + weight_dice * D per level; nets3d/program.h defines both.
 *
 * Two calls of the device, and between them nothing that the host must read:
 *
 *   loss_sums      checks the labels, turns logits into probabilities where gradients are
 *                  wanted, and writes all that values and gradients need to know of the whole
 *                  batch into `sums`: plain sums over voxels. Holders of parts of the batch
 *                  (some samples, or a box of each) add theirs up before the second call.
 *   loss_gradient  writes values and counts into `result`, and gradients over the logits.
 *
 * Labels    bad ones make all else of the result meaningless. With them, and if the total is
 *           not finite, all gradients are NaN: no update follows (update.h), on any rank.
 * Memory    logits, labels, sums, result, scratch and loss_scale are the device's; regions and
 *           class weights are the host's, read before each call returns. A device that wants
 *           them in its own memory copies them into its scratch: loss_scratch gets the most
 *           values that there can be, and not the tables.
 */
#ifndef VOLT_NETS3D_DEVICE_LOSS_H
#define VOLT_NETS3D_DEVICE_LOSS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/status.h"
VOLT_BEGIN_DECLS

#define VOLT_LOSS_MAX_LEVELS 16
#define VOLT_LOSS_MAX_VALUES 256 /* label values with regions */

/* What the second call leaves in device memory; followed by int64_t (3,c): the hard counts tp,
 * fp, fn of level 0, of its arg-max or, with regions, of each channel's logit > 0. */
typedef struct volt_loss_block {
    double total;                       /* weighted sum of the levels */
    double value[VOLT_LOSS_MAX_LEVELS]; /* the unweighted loss of each level */
    int64_t voxels;                     /* of level 0 that count */
    int64_t bad_labels;                 /* of the whole batch: neither a value nor ignored */
    /* The first of this call's labels that is bad, and its voxel (raster index over (n,d,h,w));
     * -1 = none. */
    int64_t bad_voxel, bad_label;
} volt_loss_block;

static inline size_t volt_loss_block_bytes(int64_t c)
{
    return sizeof(volt_loss_block) + 3 * (size_t)c * sizeof(int64_t);
}

static inline int64_t *volt_loss_counts(volt_loss_block *b)
{
    return (int64_t *)(b + 1);
}

typedef struct volt_loss_level {
    float *logits; /* PLAIN (n,c,d,h,w); replaced by d loss / d logits * weight if `gradient` */
    int64_t d, h, w; /* 0: this call has no voxel of the level */
    double weight;   /* of this level in the sum */
    /* d,h,w of the whole volume's level, and the first voxel of ours in it; whole 0 = it is
     * ours. */
    int64_t whole[3], low[3];
} volt_loss_level;

typedef struct volt_loss_call {
    int64_t n, c; /* samples, channels of the logits */
    /* Samples of the whole batch, 0 = n, and the number of the first of these n among them. */
    int64_t samples, first;
    const int16_t
        *labels;     /* (n,d,h,w), each 0..values-1 or `ignore`, at the extents of level 0;
                      * other levels take the nearest voxel: index
                      * floor((i + 0.5) * full / level), of the whole volume */
    int64_t d, h, w; /* extents of labels */
    int64_t whole[3], low[3]; /* the same for them */
    int levels;               /* <= VOLT_LOSS_MAX_LEVELS */
    volt_loss_level level[VOLT_LOSS_MAX_LEVELS];
    /* (values,c): 1 where label v belongs to channel k; needs `sigmoid`. NULL: channel k is
     * label k, channel 0 the background, values = c. */
    const uint8_t *regions;
    int values;                    /* 1..VOLT_LOSS_MAX_VALUES; only with regions */
    bool sigmoid;                  /* a sigmoid per channel, not a softmax over c */
    const double *class_weight;    /* (c), >= 0; NULL = 1 each */
    double weight_ce, weight_dice; /* 1 and 1 in nnU-Net */
    double smooth;                 /* 1e-5 */
    bool batch_dice;               /* sums over the batch, else per sample, then the mean */
    int ignore;                    /* label left out everywhere; or VOLT_NO_IGNORE_LABEL */
    bool gradient;                 /* write gradients over the logits */
    const double *loss_scale;      /* gradients are multiplied by it; NULL = 1 */
    int threads;
    double *sums;            /* volt_loss_sums_count() doubles */
    volt_loss_block *result; /* volt_loss_block_bytes() */
    void *scratch;           /* device->loss_scratch bytes; the same for both calls */
} volt_loss_call;

/* `sums`: the number of bad labels; then per level and group a cell of 3 + 6 c numbers: the
 * cross-entropies, what they are divided by, the voxels that count; then (c) each: sums of p*g,
 * of p, of g (p probability, g truth), and at level 0 tp, fp, fn. With batch_dice there is one
 * group, else each sample of the whole batch is one; the samples of others are 0. */
typedef enum volt_loss_term {
    VOLT_LOSS_ENTROPY = 0,
    VOLT_LOSS_NORM = 1,
    VOLT_LOSS_VOXELS = 2,
    VOLT_LOSS_TERMS = 3
} volt_loss_term;

static inline int64_t volt_loss_groups(const volt_loss_call *call)
{
    return call->batch_dice ? 1 : call->samples ? call->samples : call->n;
}

/* Group of sample i of this call. */
static inline int64_t volt_loss_group(const volt_loss_call *call, int64_t i)
{
    return call->batch_dice ? 0 : call->first + i;
}

static inline int64_t volt_loss_cell_count(const volt_loss_call *call)
{
    return VOLT_LOSS_TERMS + 6 * call->c;
}

static inline int64_t volt_loss_sums_count(const volt_loss_call *call)
{
    return 1 + call->levels * volt_loss_groups(call) * volt_loss_cell_count(call);
}

static inline double *volt_loss_cell(const volt_loss_call *call, int level, int64_t group)
{
    return call->sums + 1 +
           (level * volt_loss_groups(call) + group) * volt_loss_cell_count(call);
}

/* Index along axis a (0..2) of the label nearest to voxel i of the level. */
static inline int64_t volt_loss_nearest(const volt_loss_call *call,
                                        const volt_loss_level *level, int a, int64_t i)
{
    const int64_t own = a == 0 ? level->d : a == 1 ? level->h : level->w;
    const int64_t labels = a == 0 ? call->d : a == 1 ? call->h : call->w;

    if (!level->whole[a])
        return (2 * i + 1) * labels / (2 * own);
    return (2 * (level->low[a] + i) + 1) * call->whole[a] / (2 * level->whole[a]) -
           call->low[a];
}

/* Label values of the call. */
static inline int volt_loss_values(const volt_loss_call *call)
{
    return call->regions ? call->values : (int)call->c;
}

static inline bool volt_loss_is_bad(const volt_loss_call *call, int label)
{
    return (label < 0 || label >= volt_loss_values(call)) &&
           (label != call->ignore || call->ignore < 0);
}

/* Whether `label` belongs to channel k. */
static inline int volt_loss_target(const volt_loss_call *call, int label, int64_t k)
{
    return call->regions ? call->regions[label * call->c + k] : label == k;
}

/* First channel that counts in the Dice. */
static inline int64_t volt_loss_first(const volt_loss_call *call)
{
    return call->regions ? 0 : 1;
}

static inline double volt_loss_class_weight(const volt_loss_call *call, int64_t k)
{
    return call->class_weight ? call->class_weight[k] : 1;
}

VOLT_END_DECLS
#endif
