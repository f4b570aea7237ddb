/* Cross-entropy + soft Dice on logits; the formulas stand in nets3d/program.h. */
#include "nets3d/ops/reference.h"

#include <math.h>

size_t volt_reference_loss_scratch(const volt_device *dev, const volt_loss_call *call)
{
    (void)dev;
    return (size_t)call->c * sizeof(double); /* probabilities of one voxel */
}

/* Label of voxel (d,h,w) of a level: the nearest of the full resolution; -1 = ignored. */
static int label_at(const volt_loss_call *call, const volt_loss_level *level, int64_t n,
                    int64_t d, int64_t h, int64_t w)
{
    const int64_t z = volt_loss_nearest(call, level, 0, d);
    const int64_t y = volt_loss_nearest(call, level, 1, h);
    const int64_t x = volt_loss_nearest(call, level, 2, w);
    const int label = call->labels[((n * call->d + z) * call->h + y) * call->w + x];

    return label == call->ignore || volt_loss_is_bad(call, label) ? -1 : label;
}

static double logit_at(const volt_loss_call *call, const volt_loss_level *level, int64_t n,
                       int64_t c, int64_t v)
{
    return level->logits[(n * call->c + c) * level->d * level->h * level->w + v];
}

/* Softmax over c of voxel v (raster index) of sample n; returns log(sum(exp(logits))). */
static double softmax_at(double *p, const volt_loss_call *call, const volt_loss_level *level,
                         int64_t n, int64_t v)
{
    double highest = -INFINITY, sum = 0;

    for (int64_t c = 0; c < call->c; c++)
        highest = fmax(highest, logit_at(call, level, n, c, v));
    for (int64_t c = 0; c < call->c; c++)
        sum += p[c] = exp(logit_at(call, level, n, c, v) - highest);
    for (int64_t c = 0; c < call->c; c++)
        p[c] /= sum;
    return highest + log(sum);
}

/* Fills `p` with the probabilities of a voxel; returns its weighted cross-entropy. */
static double entropy_at(double *p, const volt_loss_call *call, const volt_loss_level *level,
                         int64_t n, int64_t v, int label)
{
    double sum = 0;

    if (!call->sigmoid)
        return volt_loss_class_weight(call, label) *
               (softmax_at(p, call, level, n, v) - logit_at(call, level, n, label, v));
    for (int64_t c = 0; c < call->c; c++) {
        const double x = logit_at(call, level, n, c, v);
        p[c] = 1 / (1 + exp(-x));
        sum += volt_loss_class_weight(call, c) *
               (fmax(x, 0) - x * volt_loss_target(call, label, c) + log1p(exp(-fabs(x))));
    }
    return sum;
}

/* What one voxel with `label` adds to the divisor of the cross-entropy. */
static double norm_of(const volt_loss_call *call, int label)
{
    double sum = 0;

    if (!call->sigmoid)
        return volt_loss_class_weight(call, label);
    for (int64_t c = 0; c < call->c; c++)
        sum += volt_loss_class_weight(call, c);
    return call->regions && call->ignore >= 0 ? sum / (double)call->c : sum;
}

/* Counts the bad labels and finds the first. */
static double check_labels(const volt_loss_call *call)
{
    const int64_t count = call->n * call->d * call->h * call->w;
    volt_loss_block *r = call->result;
    double bad = 0;

    r->bad_voxel = r->bad_label = -1;
    for (int64_t i = 0; i < count; i++) {
        if (!volt_loss_is_bad(call, call->labels[i]))
            continue;
        if (bad == 0) {
            r->bad_voxel = i;
            r->bad_label = call->labels[i];
        }
        bad++;
    }
    return bad;
}

/* Adds one voxel of the finest level to tp, fp, fn: its arg-max (lowest class on ties) against
 * its label, or each region's logit > 0 against the region. */
static void count_voxel(double *counts, const volt_loss_call *call, int64_t n, int64_t v,
                        int label)
{
    const volt_loss_level *level = &call->level[0];
    int64_t best = 0;

    for (int64_t c = 1; !call->regions && c < call->c; c++) {
        if (logit_at(call, level, n, c, v) > logit_at(call, level, n, best, v))
            best = c;
    }
    for (int64_t c = 0; c < call->c; c++) {
        const int truth = volt_loss_target(call, label, c);
        const int found = call->regions ? logit_at(call, level, n, c, v) > 0 : c == best;
        counts[c] += found && truth;
        counts[call->c + c] += found && !truth;
        counts[2 * call->c + c] += !found && truth;
    }
}

/* Adds voxel v (d,h,w) of sample n to the sums of its group. */
static void sum_voxel(const volt_loss_call *call, int l, int64_t n, int64_t v, int label)
{
    const volt_loss_level *level = &call->level[l];
    double *p = call->scratch, *cell = volt_loss_cell(call, l, volt_loss_group(call, n));
    double *each = cell + VOLT_LOSS_TERMS;

    if (label < 0)
        return;
    cell[VOLT_LOSS_ENTROPY] += entropy_at(p, call, level, n, v, label);
    cell[VOLT_LOSS_NORM] += norm_of(call, label);
    cell[VOLT_LOSS_VOXELS]++;
    for (int64_t c = 0; c < call->c; c++) {
        const int target = volt_loss_target(call, label, c);
        each[c] += target * p[c];
        each[call->c + c] += p[c];
        each[2 * call->c + c] += target;
    }
    if (l == 0)
        count_voxel(each + 3 * call->c, call, n, v, label);
}

typedef void (*voxel_work)(const volt_loss_call *call, int l, int64_t n, int64_t v, int label);

static void every_voxel(const volt_loss_call *call, int l, voxel_work work)
{
    const volt_loss_level *level = &call->level[l];

    for (int64_t n = 0; n < call->n; n++) {
        int64_t v = 0;
        for (int64_t d = 0; d < level->d; d++)
            for (int64_t h = 0; h < level->h; h++)
                for (int64_t w = 0; w < level->w; w++, v++)
                    work(call, l, n, v, label_at(call, level, n, d, h, w));
    }
}

/* Logits stay what they are: the second call computes the probabilities again. */
volt_status volt_reference_loss_sums(const volt_device *dev, const volt_loss_call *call,
                                     volt_stream *stream)
{
    (void)dev;
    (void)stream;
    for (int64_t i = 0; i < volt_loss_sums_count(call); i++)
        call->sums[i] = 0;
    call->sums[0] = check_labels(call);
    for (int l = 0; l < call->levels; l++)
        every_voxel(call, l, sum_voxel);
    return VOLT_OK;
}

/* Weight of channel c in one group's mean; the weights sum to 1, or are all 0. */
static double dice_weight(const volt_loss_call *call, int64_t c)
{
    double sum = 0;

    for (int64_t k = volt_loss_first(call); k < call->c; k++)
        sum += volt_loss_class_weight(call, k);
    return c < volt_loss_first(call) || !(sum > 0)
               ? 0
               : volt_loss_class_weight(call, c) / (sum * (double)volt_loss_groups(call));
}

/* Dice of channel c in a group: (2 I + s) / max(P + G + s, 1e-8). */
typedef struct dice_terms {
    double above, below;
    bool clamped; /* `below` is the 1e-8 */
} dice_terms;

static dice_terms dice_of(const volt_loss_call *call, const double *cell, int64_t c)
{
    const double *each = cell + VOLT_LOSS_TERMS;
    const double below = each[call->c + c] + each[2 * call->c + c] + call->smooth;

    return (dice_terms){2 * each[c] + call->smooth, fmax(below, 1e-8), !(below > 1e-8)};
}

/* Divisor of the level's cross-entropy. */
static double norm_sum(const volt_loss_call *call, int l)
{
    double norm = 0;

    for (int64_t g = 0; g < volt_loss_groups(call); g++)
        norm += volt_loss_cell(call, l, g)[VOLT_LOSS_NORM];
    return norm;
}

static double value_of(const volt_loss_call *call, int l)
{
    const double norm = norm_sum(call, l);
    double entropy = 0, dice = 0;

    for (int64_t g = 0; g < volt_loss_groups(call); g++) {
        const double *cell = volt_loss_cell(call, l, g);
        entropy += cell[VOLT_LOSS_ENTROPY];
        for (int64_t c = 0; c < call->c; c++) {
            const dice_terms t = dice_of(call, cell, c);
            dice += dice_weight(call, c) * t.above / t.below;
        }
    }
    return call->weight_ce * (norm > 0 ? entropy / norm : 0) - call->weight_dice * dice;
}

/* d(-mean Dice) / d p_c of a voxel with `label`. */
static double dice_slope(const volt_loss_call *call, const double *cell, int64_t c, int label)
{
    const dice_terms t = dice_of(call, cell, c);

    return -(2 * volt_loss_target(call, label, c) - (t.clamped ? 0 : t.above / t.below)) /
           t.below * dice_weight(call, c);
}

/* d loss / d logit_c of a voxel with probabilities p; `dot` is the sum over the channels of
 * p * d(Dice)/dp, which a softmax subtracts. */
static double slope_at(const volt_loss_call *call, int l, const double *cell, int64_t c,
                       int label, double dot)
{
    const double *all = call->scratch, p = all[c];
    const double error = p - volt_loss_target(call, label, c), norm = norm_sum(call, l);
    const double q = dice_slope(call, cell, c, label);
    const double scale = norm > 0 ? call->weight_ce / norm : 0;

    if (call->sigmoid)
        return scale * volt_loss_class_weight(call, c) * error +
               call->weight_dice * q * p * (1 - p);
    return scale * volt_loss_class_weight(call, label) * error +
           call->weight_dice * p * (q - dot);
}

/* Replaces the logits of one voxel by the gradient. */
static void gradient_at(const volt_loss_call *call, int l, int64_t n, int64_t v, int label)
{
    const volt_loss_level *level = &call->level[l];
    const double *cell = volt_loss_cell(call, l, volt_loss_group(call, n));
    const double weight = level->weight * (call->loss_scale ? *call->loss_scale : 1);
    const int64_t voxels = level->d * level->h * level->w;
    double *p = call->scratch, dot = 0;

    if (label >= 0)
        (void)entropy_at(p, call, level, n, v, label);
    for (int64_t c = 0; c < call->c; c++)
        dot += label < 0 ? 0 : p[c] * dice_slope(call, cell, c, label);
    for (int64_t c = 0; c < call->c; c++)
        level->logits[(n * call->c + c) * voxels + v] =
            (float)(label < 0 ? 0 : slope_at(call, l, cell, c, label, dot) * weight);
}

static void no_gradient_at(const volt_loss_call *call, int l, int64_t n, int64_t v, int label)
{
    const volt_loss_level *level = &call->level[l];
    const int64_t voxels = level->d * level->h * level->w;

    (void)label;
    for (int64_t c = 0; c < call->c; c++)
        level->logits[(n * call->c + c) * voxels + v] = NAN;
}

/* Values and counts of the sums. */
static void write_result(const volt_loss_call *call)
{
    volt_loss_block *r = call->result;
    int64_t *counts = volt_loss_counts(r);

    r->bad_labels = (int64_t)call->sums[0];
    r->total = 0;
    for (int l = 0; l < call->levels; l++) {
        r->value[l] = value_of(call, l);
        r->total += call->level[l].weight * r->value[l];
    }
    r->voxels = 0;
    for (int64_t i = 0; i < 3 * call->c; i++)
        counts[i] = 0;
    for (int64_t g = 0; g < volt_loss_groups(call); g++) {
        const double *cell = volt_loss_cell(call, 0, g);
        r->voxels += (int64_t)cell[VOLT_LOSS_VOXELS];
        for (int64_t i = 0; i < 3 * call->c; i++)
            counts[i] += (int64_t)cell[VOLT_LOSS_TERMS + 3 * call->c + i];
    }
}

volt_status volt_reference_loss_gradient(const volt_device *dev, const volt_loss_call *call,
                                         volt_stream *stream)
{
    const volt_loss_block *r = call->result;

    (void)dev;
    (void)stream;
    write_result(call);
    for (int l = 0; call->gradient && l < call->levels; l++)
        every_voxel(call, l,
                    r->bad_labels || !isfinite(r->total) ? no_gradient_at : gradient_at);
    return VOLT_OK;
}
