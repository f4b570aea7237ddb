/* Cross-entropy + soft Dice on logits; the formulas stand in nets3d/program.h. */
#include "nets3d/ops/reference.h"

#include <math.h>

/* Sums over the voxels of one level. */
typedef struct loss_sums {
    double *intersection, *predicted,
        *truth;     /* (groups, c): a group is the batch or a sample */
    double *p;      /* (c): probabilities of one voxel */
    double entropy; /* weighted sum of the cross-entropies */
    double norm;    /* what it is divided by */
} loss_sums;

static int64_t groups_of(const volt_loss_call *call)
{
    return call->batch_dice ? 1 : call->n;
}

size_t volt_reference_loss_scratch(const volt_device *dev, const volt_loss_call *call)
{
    (void)dev;
    return (size_t)(3 * groups_of(call) * call->c + call->c) * sizeof(double);
}

/* Label of voxel (d,h,w) of a level: the nearest of the full resolution; -1 = ignored. */
static int label_at(const volt_loss_call *call, const volt_loss_level *level, int64_t n,
                    int64_t d, int64_t h, int64_t w)
{
    const int64_t z = (2 * d + 1) * call->d / (2 * level->d);
    const int64_t y = (2 * h + 1) * call->h / (2 * level->h);
    const int64_t x = (2 * w + 1) * call->w / (2 * level->w);
    const int label = call->labels[((n * call->d + z) * call->h + y) * call->w + x];

    return label == call->ignore ? -1 : label;
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

/* Fills s->p with the probabilities of a voxel; returns its weighted cross-entropy. */
static double entropy_at(const loss_sums *s, const volt_loss_call *call,
                         const volt_loss_level *level, int64_t n, int64_t v, int label)
{
    double sum = 0;

    if (!call->sigmoid)
        return volt_loss_class_weight(call, label) *
               (softmax_at(s->p, call, level, n, v) - logit_at(call, level, n, label, v));
    for (int64_t c = 0; c < call->c; c++) {
        const double x = logit_at(call, level, n, c, v);
        s->p[c] = 1 / (1 + exp(-x));
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

static volt_status check_labels(const volt_loss_call *call)
{
    const int64_t count = call->n * call->d * call->h * call->w;
    const int values = volt_loss_values(call);

    for (int64_t i = 0; i < count; i++) {
        const int label = call->labels[i];
        if ((label < 0 || label >= values) && (label != call->ignore || call->ignore < 0))
            return volt_fail(VOLT_EINVAL, "label %d at voxel %lld of the batch, expected 0..%d",
                             label, (long long)i, values - 1);
    }
    return VOLT_OK;
}

static void sum_level(const volt_loss_call *call, const volt_loss_level *level, loss_sums *s)
{
    const int64_t groups = groups_of(call);

    for (int64_t i = 0; i < groups * call->c; i++)
        s->intersection[i] = s->predicted[i] = s->truth[i] = 0;
    s->entropy = s->norm = 0;
    for (int64_t n = 0; n < call->n; n++) {
        const int64_t at = (groups == 1 ? 0 : n) * call->c;
        int64_t v = 0;
        for (int64_t d = 0; d < level->d; d++)
            for (int64_t h = 0; h < level->h; h++)
                for (int64_t w = 0; w < level->w; w++, v++) {
                    const int label = label_at(call, level, n, d, h, w);
                    if (label < 0)
                        continue;
                    s->entropy += entropy_at(s, call, level, n, v, label);
                    s->norm += norm_of(call, label);
                    for (int64_t c = 0; c < call->c; c++) {
                        const int target = volt_loss_target(call, label, c);
                        s->predicted[at + c] += s->p[c];
                        s->intersection[at + c] += target * s->p[c];
                        s->truth[at + c] += target;
                    }
                }
    }
}

/* Weight of channel c in one group's mean; the weights sum to 1, or are all 0. */
static double dice_weight(const volt_loss_call *call, int64_t c)
{
    double sum = 0;

    for (int64_t k = volt_loss_first(call); k < call->c; k++)
        sum += volt_loss_class_weight(call, k);
    return c < volt_loss_first(call) || !(sum > 0)
               ? 0
               : volt_loss_class_weight(call, c) / (sum * (double)groups_of(call));
}

static double denominator(const volt_loss_call *call, const loss_sums *s, int64_t i)
{
    return fmax(s->predicted[i] + s->truth[i] + call->smooth, 1e-8);
}

/* Weighted mean Dice over groups and channels; 0 when there are none. */
static double mean_dice(const volt_loss_call *call, const loss_sums *s)
{
    double sum = 0;

    for (int64_t i = 0; i < groups_of(call) * call->c; i++)
        sum += dice_weight(call, i % call->c) * (2 * s->intersection[i] + call->smooth) /
               denominator(call, s, i);
    return sum;
}

/* d(-mean Dice) / d p_c of a voxel with `label`, for group g. */
static double dice_slope(const volt_loss_call *call, const loss_sums *s, int64_t g, int64_t c,
                         int label)
{
    const int64_t i = g * call->c + c;
    const double below = denominator(call, s, i);
    const double above = 2 * s->intersection[i] + call->smooth;
    const double clamped = s->predicted[i] + s->truth[i] + call->smooth > 1e-8 ? 1 : 0;

    return -(2 * volt_loss_target(call, label, c) - clamped * above / below) / below *
           dice_weight(call, c);
}

/* d loss / d logit_c of a voxel whose probabilities are in s->p; `dot` is the sum over the
 * channels of p * d(Dice)/dp, which a softmax subtracts. */
static double slope_at(const volt_loss_call *call, const loss_sums *s, int64_t g, int64_t c,
                       int label, double dot)
{
    const double p = s->p[c], error = p - volt_loss_target(call, label, c);
    const double q = dice_slope(call, s, g, c, label);
    const double scale = s->norm > 0 ? call->weight_ce / s->norm : 0;

    if (call->sigmoid)
        return scale * volt_loss_class_weight(call, c) * error +
               call->weight_dice * q * p * (1 - p);
    return scale * volt_loss_class_weight(call, label) * error +
           call->weight_dice * p * (q - dot);
}

/* Replaces the logits of one voxel by the gradient. */
static void gradient_at(const volt_loss_call *call, const volt_loss_level *level,
                        const loss_sums *s, int64_t n, int64_t v, int label)
{
    const int64_t voxels = level->d * level->h * level->w;
    const int64_t g = call->batch_dice ? 0 : n;
    double dot = 0;

    if (label >= 0)
        (void)entropy_at(s, call, level, n, v, label);
    for (int64_t c = 0; c < call->c; c++)
        dot += label < 0 ? 0 : s->p[c] * dice_slope(call, s, g, c, label);
    for (int64_t c = 0; c < call->c; c++)
        level->logits[(n * call->c + c) * voxels + v] =
            (float)(label < 0 ? 0 : slope_at(call, s, g, c, label, dot) * level->weight);
}

static void write_gradient(const volt_loss_call *call, const volt_loss_level *level,
                           const loss_sums *s)
{
    for (int64_t n = 0; n < call->n; n++) {
        int64_t v = 0;
        for (int64_t d = 0; d < level->d; d++)
            for (int64_t h = 0; h < level->h; h++)
                for (int64_t w = 0; w < level->w; w++, v++)
                    gradient_at(call, level, s, n, v, label_at(call, level, n, d, h, w));
    }
}

/* Adds one voxel of the finest level: its arg-max (lowest class on ties) against its label, or
 * each region's logit > 0 against the region. */
static void count_voxel(const volt_loss_call *call, int64_t n, int64_t v, int label)
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
        call->tp[c] += found && truth;
        call->fp[c] += found && !truth;
        call->fn[c] += !found && truth;
    }
}

static void count_hits(const volt_loss_call *call)
{
    const volt_loss_level *level = &call->level[0];
    const int64_t voxels = level->d * level->h * level->w;
    int64_t counted = 0;

    for (int64_t c = 0; call->tp && c < call->c; c++)
        call->tp[c] = call->fp[c] = call->fn[c] = 0;
    for (int64_t n = 0; n < call->n; n++)
        for (int64_t v = 0; v < voxels; v++) {
            const int label = label_at(call, level, n, v / (level->h * level->w),
                                       v / level->w % level->h, v % level->w);
            counted += label >= 0;
            if (call->tp && label >= 0)
                count_voxel(call, n, v, label);
        }
    if (call->voxels)
        *call->voxels = counted;
}

/* levels of logits (n,c,d,h,w), labels (n,D,H,W) -> value (levels), gradients in place */
volt_status volt_reference_loss(const volt_device *dev, const volt_loss_call *call)
{
    const int64_t cells = groups_of(call) * call->c;
    double *scratch = call->scratch;
    loss_sums s = {scratch, scratch + cells, scratch + 2 * cells, scratch + 3 * cells, 0, 0};
    const volt_status st = check_labels(call);

    (void)dev;
    if (st != VOLT_OK)
        return st;
    count_hits(call);
    for (int i = 0; i < call->levels; i++) {
        sum_level(call, &call->level[i], &s);
        call->value[i] = call->weight_ce * (s.norm > 0 ? s.entropy / s.norm : 0) -
                         call->weight_dice * mean_dice(call, &s);
        if (call->gradient)
            write_gradient(call, &call->level[i], &s);
    }
    return VOLT_OK;
}
