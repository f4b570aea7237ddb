/* Cross-entropy + soft Dice on logits; the formulas stand in nets3d/loss.h. */
#include "nets3d/ops/reference.h"

#include <math.h>

/* Sums over the voxels of one group (the batch, or one sample). */
typedef struct dice_sums {
    double *intersection, *predicted, *truth; /* (groups, c) each */
    double *p;                                /* (c): softmax of one voxel */
} dice_sums;

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

/* Softmax over c of voxel v (raster index) of sample n; returns log(sum(exp(logits))). */
static double softmax_at(double *p, const volt_loss_call *call, const volt_loss_level *level,
                         int64_t n, int64_t v)
{
    const int64_t voxels = level->d * level->h * level->w;
    double highest = -INFINITY, sum = 0;

    for (int64_t c = 0; c < call->c; c++)
        highest = fmax(highest, level->logits[(n * call->c + c) * voxels + v]);
    for (int64_t c = 0; c < call->c; c++)
        sum += p[c] = exp(level->logits[(n * call->c + c) * voxels + v] - highest);
    for (int64_t c = 0; c < call->c; c++)
        p[c] /= sum;
    return highest + log(sum);
}

static volt_status check_labels(const volt_loss_call *call)
{
    const int64_t count = call->n * call->d * call->h * call->w;

    for (int64_t i = 0; i < count; i++) {
        const int label = call->labels[i];
        if ((label < 0 || label >= call->c) && (label != call->ignore || call->ignore < 0))
            return volt_fail(VOLT_EINVAL, "label %d at voxel %lld of the batch, expected 0..%d",
                             label, (long long)i, (int)call->c - 1);
    }
    return VOLT_OK;
}

/* Fills the sums; returns the sum of -log p(label) and the number of voxels that count. */
static double sum_level(const volt_loss_call *call, const volt_loss_level *level,
                        const dice_sums *s, int64_t *counted)
{
    const int64_t groups = groups_of(call);
    const int64_t voxels = level->d * level->h * level->w;
    double entropy = 0;
    int64_t v;

    for (int64_t i = 0; i < groups * call->c; i++)
        s->intersection[i] = s->predicted[i] = s->truth[i] = 0;
    *counted = 0;
    for (int64_t n = 0; n < call->n; n++) {
        const int64_t at = (groups == 1 ? 0 : n) * call->c;
        v = 0;
        for (int64_t d = 0; d < level->d; d++)
            for (int64_t h = 0; h < level->h; h++)
                for (int64_t w = 0; w < level->w; w++, v++) {
                    const int label = label_at(call, level, n, d, h, w);
                    if (label < 0)
                        continue;
                    entropy += softmax_at(s->p, call, level, n, v) -
                               level->logits[(n * call->c + label) * voxels + v];
                    for (int64_t c = 0; c < call->c; c++)
                        s->predicted[at + c] += s->p[c];
                    s->intersection[at + label] += s->p[label];
                    s->truth[at + label] += 1;
                    ++*counted;
                }
    }
    return entropy;
}

static double denominator(const volt_loss_call *call, const dice_sums *s, int64_t i)
{
    return fmax(s->predicted[i] + s->truth[i] + call->smooth, 1e-8);
}

/* Mean Dice over groups and foreground classes; 0 when there are none. */
static double mean_dice(const volt_loss_call *call, const dice_sums *s)
{
    const int64_t groups = groups_of(call);
    double sum = 0;

    for (int64_t g = 0; g < groups; g++)
        for (int64_t c = 1; c < call->c; c++) {
            const int64_t i = g * call->c + c;
            sum += (2 * s->intersection[i] + call->smooth) / denominator(call, s, i);
        }
    return call->c > 1 ? sum / (double)(groups * (call->c - 1)) : 0;
}

/* d(-mean Dice) / d p_c of a voxel with `label`, for group g. */
static double dice_slope(const volt_loss_call *call, const dice_sums *s, int64_t g, int64_t c,
                         int label)
{
    const int64_t i = g * call->c + c;
    const double below = denominator(call, s, i);
    const double above = 2 * s->intersection[i] + call->smooth;
    const double clamped = s->predicted[i] + s->truth[i] + call->smooth > 1e-8 ? 1 : 0;

    if (c == 0)
        return 0;
    return -(2 * (c == label) - clamped * above / below) / below /
           (double)(groups_of(call) * (call->c - 1));
}

/* Replaces the logits of one voxel by the gradient. */
static void gradient_at(const volt_loss_call *call, const volt_loss_level *level,
                        const dice_sums *s, int64_t n, int64_t v, int label, double counted)
{
    const int64_t voxels = level->d * level->h * level->w;
    const int64_t g = call->batch_dice ? 0 : n;
    double dot = 0;

    softmax_at(s->p, call, level, n, v);
    for (int64_t c = 0; c < call->c; c++)
        dot += label < 0 ? 0 : s->p[c] * dice_slope(call, s, g, c, label);
    for (int64_t c = 0; c < call->c; c++) {
        double slope = 0;
        if (label >= 0)
            slope = call->weight_ce * (s->p[c] - (c == label)) / counted +
                    call->weight_dice * s->p[c] * (dice_slope(call, s, g, c, label) - dot);
        level->logits[(n * call->c + c) * voxels + v] = (float)(slope * level->weight);
    }
}

static void write_gradient(const volt_loss_call *call, const volt_loss_level *level,
                           const dice_sums *s, int64_t counted)
{
    for (int64_t n = 0; n < call->n; n++) {
        int64_t v = 0;
        for (int64_t d = 0; d < level->d; d++)
            for (int64_t h = 0; h < level->h; h++)
                for (int64_t w = 0; w < level->w; w++, v++)
                    gradient_at(call, level, s, n, v, label_at(call, level, n, d, h, w),
                                (double)counted);
    }
}

/* Hard counts of the finest level: its arg-max (lowest class on ties) against the labels. */
static void count_hits(const volt_loss_call *call)
{
    const volt_loss_level *level = &call->level[0];
    const int64_t voxels = level->d * level->h * level->w;

    for (int64_t c = 0; c < call->c; c++)
        call->tp[c] = call->fp[c] = call->fn[c] = 0;
    for (int64_t n = 0; n < call->n; n++)
        for (int64_t v = 0; v < voxels; v++) {
            const int label = label_at(call, level, n, v / (level->h * level->w),
                                       v / level->w % level->h, v % level->w);
            int64_t best = 0;
            if (label < 0)
                continue;
            for (int64_t c = 1; c < call->c; c++) {
                if (level->logits[(n * call->c + c) * voxels + v] >
                    level->logits[(n * call->c + best) * voxels + v])
                    best = c;
            }
            if (best == label) {
                call->tp[label]++;
            } else {
                call->fp[best]++;
                call->fn[label]++;
            }
        }
}

/* levels of logits (n,c,d,h,w), labels (n,D,H,W) -> value (levels), gradients in place */
volt_status volt_reference_loss(const volt_device *dev, const volt_loss_call *call)
{
    const int64_t cells = groups_of(call) * call->c;
    double *scratch = call->scratch;
    const dice_sums s = {scratch, scratch + cells, scratch + 2 * cells, scratch + 3 * cells};
    const volt_status st = check_labels(call);

    (void)dev;
    if (st != VOLT_OK)
        return st;
    if (call->tp)
        count_hits(call);
    for (int i = 0; i < call->levels; i++) {
        int64_t counted;
        const double entropy = sum_level(call, &call->level[i], &s, &counted);

        call->value[i] = call->weight_ce * (counted ? entropy / (double)counted : 0) -
                         call->weight_dice * mean_dice(call, &s);
        if (call->gradient)
            write_gradient(call, &call->level[i], &s, counted);
    }
    return VOLT_OK;
}
