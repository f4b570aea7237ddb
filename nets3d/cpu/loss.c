#include "nets3d/cpu/loss.h"

#include <math.h>
#include <string.h>

#include "nets3d/cpu/kernels.h"

/* Scratch: sums of all chunks of the largest level; or, in the second call, factors. */
static int64_t most_chunks(const volt_loss_call *call)
{
    int64_t most = 0;

    for (int l = 0; l < call->levels; l++) {
        const volt_loss_level *v = &call->level[l];
        const int64_t chunks = (v->d * v->h * v->w + CPU_LOSS_CHUNK - 1) / CPU_LOSS_CHUNK;
        most = chunks > most ? chunks : most;
    }
    return most;
}

size_t cpu_loss_scratch(const volt_loss_call *call)
{
    const size_t sums = cpu_loss_sums_bytes(call->c) * (size_t)(most_chunks(call) * call->n);
    const size_t factors = (size_t)(call->n * 2 * call->c) * sizeof(float);

    return sums > factors ? sums : factors;
}

/* ---- labels ---- */

void cpu_loss_check(const volt_loss_call *call)
{
    const int64_t count = call->n * call->d * call->h * call->w;
    const int16_t *labels = call->labels;
    const int values = volt_loss_values(call), ignore = call->ignore;
    volt_loss_block *r = call->result;
    int64_t bad = 0;

#pragma omp parallel for simd num_threads(call->threads) schedule(static) reduction(+ : bad)
    for (int64_t i = 0; i < count; i++)
        bad += (labels[i] < 0 || labels[i] >= values) && (labels[i] != ignore || ignore < 0);
    r->bad_voxel = r->bad_label = -1;
    for (int64_t i = 0; bad && i < count; i++) {
        if (!volt_loss_is_bad(call, labels[i]))
            continue;
        r->bad_voxel = i;
        r->bad_label = labels[i];
        break;
    }
    memset(call->sums, 0, (size_t)volt_loss_sums_count(call) * sizeof *call->sums);
    call->sums[0] = (double)bad;
}

/* ---- sums ---- */

static void add_chunk(double *cell, cpu_loss_sums *from, int64_t c)
{
    const double *sums = cpu_loss_inter(from);
    const int64_t *counts = cpu_loss_tp(from, c);
    double *each = cell + VOLT_LOSS_TERMS;

    cell[VOLT_LOSS_ENTROPY] += from->entropy;
    cell[VOLT_LOSS_NORM] += from->norm;
    cell[VOLT_LOSS_VOXELS] += (double)from->voxels;
    for (int64_t k = 0; k < 3 * c; k++) {
        each[k] += sums[k];
        each[3 * c + k] += (double)counts[k];
    }
}

void cpu_loss_add_chunks(const volt_loss_call *call, int l, int64_t chunks)
{
    const size_t each = cpu_loss_sums_bytes(call->c);
    char *partial = call->scratch;

    for (int64_t i = 0; i < call->n * chunks; i++)
        add_chunk(volt_loss_cell(call, l, volt_loss_group(call, i / chunks)),
                  (cpu_loss_sums *)(partial + each * (size_t)i), call->c);
}

double cpu_loss_sigmoid_norm(const volt_loss_call *call)
{
    double sum = 0;

    for (int64_t k = 0; k < call->c; k++)
        sum += volt_loss_class_weight(call, k);
    return call->regions && call->ignore >= 0 ? sum / (double)call->c : sum;
}

/* ---- values and factors ---- */

/* Dice loss -mean over (sample or batch, channel) of (2I + s) / max(P + G + s, 1e-8) of a
 * group, and its factors (NULL: not wanted). `unit` is the weight of a channel of weight 1 in
 * the mean. */
static double dice_of(const volt_loss_call *call, const double *cell, double unit, float *own)
{
    const int64_t c = call->c;
    const double *inter = cell + VOLT_LOSS_TERMS, *prob = inter + c, *truth = prob + c;
    double sum = 0;

    for (int64_t k = 0; own && k < 2 * c; k++)
        own[k] = 0;
    for (int64_t k = volt_loss_first(call); k < c; k++) {
        const double weight = unit * volt_loss_class_weight(call, k);
        const double top = 2 * inter[k] + call->smooth;
        const double raw = prob[k] + truth[k] + call->smooth;
        const double bottom = raw > 1e-8 ? raw : 1e-8;
        sum -= weight * top / bottom;
        if (!own)
            continue;
        own[k] = (float)(raw > 1e-8 ? weight * top / (bottom * bottom) : 0);
        own[c + k] = (float)(-2 * weight / bottom);
    }
    return sum;
}

/* Value of level l; `f` (NULL: not wanted) gets the gradient's factors, those of the Dice in
 * scratch. */
static double combine(const volt_loss_call *call, int l, cpu_loss_factors *f)
{
    const int64_t c = call->c, groups = volt_loss_groups(call);
    const double scale = call->loss_scale ? *call->loss_scale : 1;
    const double weight = call->level[l].weight * scale;
    float *factors = call->scratch;
    double dice = 0, entropy = 0, norm = 0, channels = 0;

    for (int64_t k = volt_loss_first(call); k < c; k++)
        channels += volt_loss_class_weight(call, k);
    const double unit = channels > 0 ? call->weight_dice / (channels * (double)groups) : 0;
    for (int64_t g = 0; g < groups; g++) {
        const double *cell = volt_loss_cell(call, l, g);
        const int64_t i = g - volt_loss_group(call, 0); /* the group's place among ours */
        const bool ours = i >= 0 && i < (call->batch_dice ? 1 : call->n);
        dice += dice_of(call, cell, unit, f && ours ? factors + i * 2 * c : NULL);
        entropy += cell[VOLT_LOSS_ENTROPY];
        norm += cell[VOLT_LOSS_NORM];
    }
    const double per_norm = norm > 0 ? call->weight_ce / norm : 0;
    if (!f)
        return dice + entropy * per_norm;
    for (int64_t i = 0; i < (call->batch_dice ? 1 : call->n) * 2 * c; i++)
        factors[i] *= (float)weight;
    for (int64_t i = 1; call->batch_dice && i < call->n; i++)
        memcpy(factors + i * 2 * c, factors, (size_t)(2 * c) * sizeof *factors);
    f->entropy = (float)(weight * per_norm);
    f->dice = factors;
    return dice + entropy * per_norm;
}

void cpu_loss_factors_of(const volt_loss_call *call, int l, cpu_loss_factors *f)
{
    (void)combine(call, l, f);
}

bool cpu_loss_write_result(const volt_loss_call *call)
{
    volt_loss_block *r = call->result;
    int64_t *counts = volt_loss_counts(r);

    r->bad_labels = (int64_t)call->sums[0];
    r->total = 0;
    for (int l = 0; l < call->levels; l++) {
        r->value[l] = combine(call, l, NULL);
        r->total += call->level[l].weight * r->value[l];
    }
    r->voxels = 0;
    memset(counts, 0, 3 * (size_t)call->c * sizeof *counts);
    for (int64_t g = 0; g < volt_loss_groups(call); g++) {
        const double *cell = volt_loss_cell(call, 0, g);
        r->voxels += (int64_t)cell[VOLT_LOSS_VOXELS];
        for (int64_t k = 0; k < 3 * call->c; k++)
            counts[k] += (int64_t)cell[VOLT_LOSS_TERMS + 3 * call->c + k];
    }
    return !r->bad_labels && isfinite(r->total);
}
