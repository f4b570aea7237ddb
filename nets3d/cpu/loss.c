#include "nets3d/cpu/loss.h"

#include <string.h>

#include "nets3d/cpu/kernels.h"

/* Scratch: sums of all chunks of the largest level, one total per sample, factors. */
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
    return cpu_loss_sums_bytes(call->c) * (size_t)((most_chunks(call) + 1) * call->n) +
           (size_t)(call->n * 2 * call->c) * sizeof(float);
}

static void add_sums(cpu_loss_sums *to, cpu_loss_sums *from, int64_t c)
{
    double *a = cpu_loss_inter(to), *b = cpu_loss_inter(from);
    int64_t *i = cpu_loss_tp(to, c), *j = cpu_loss_tp(from, c);

    to->entropy += from->entropy;
    to->norm += from->norm;
    to->voxels += from->voxels;
    for (int64_t k = 0; k < 3 * c; k++) {
        a[k] += b[k];
        i[k] += j[k];
    }
}

double cpu_loss_sigmoid_norm(const volt_loss_call *call)
{
    double sum = 0;

    for (int64_t k = 0; k < call->c; k++)
        sum += volt_loss_class_weight(call, k);
    return call->regions && call->ignore >= 0 ? sum / (double)call->c : sum;
}

/* Dice loss -mean over (sample or batch, channel) of (2I + s) / max(P + G + s, 1e-8) and its
 * factors for sample `n` (all samples when over the batch). `unit` is the weight of a channel
 * of weight 1 in the mean. */
static double dice_of(const volt_loss_call *call, cpu_loss_sums *s, double unit, float *own)
{
    const int64_t c = call->c;
    double sum = 0;

    own[0] = own[c] = 0;
    for (int64_t k = volt_loss_first(call); k < c; k++) {
        const double weight = unit * volt_loss_class_weight(call, k);
        const double top = 2 * cpu_loss_inter(s)[k] + call->smooth;
        const double raw = cpu_loss_prob(s, c)[k] + cpu_loss_truth(s, c)[k] + call->smooth;
        const double bottom = raw > 1e-8 ? raw : 1e-8;
        sum -= weight * top / bottom;
        own[k] = (float)(raw > 1e-8 ? weight * top / (bottom * bottom) : 0);
        own[c + k] = (float)(-2 * weight / bottom);
    }
    return sum;
}

/* Hard counts of group `i` into the call's; group 0 overwrites them. */
static void add_counts(const volt_loss_call *call, cpu_loss_sums *s, int64_t i)
{
    const int64_t c = call->c, *hard = cpu_loss_tp(s, c);

    for (int64_t k = 0; k < c; k++) {
        if (call->tp)
            call->tp[k] = (i ? call->tp[k] : 0) + hard[k];
        if (call->fp)
            call->fp[k] = (i ? call->fp[k] : 0) + hard[c + k];
        if (call->fn)
            call->fn[k] = (i ? call->fn[k] : 0) + hard[2 * c + k];
    }
    if (call->voxels)
        *call->voxels = (i ? *call->voxels : 0) + s->voxels;
}

void cpu_loss_combine(const volt_loss_call *call, int l, int64_t chunks, cpu_loss_factors *f)
{
    const int64_t c = call->c, n = call->n;
    const size_t each = cpu_loss_sums_bytes(c);
    const double weight = call->level[l].weight;
    char *partial = call->scratch, *totals = partial + each * (size_t)(chunks * n);
    float *factors = (float *)(totals + each * (size_t)n);
    double dice = 0, entropy = 0, norm = 0, channels = 0;

    memset(totals, 0, each * (size_t)n);
    for (int64_t i = 0; i < n * chunks; i++) {
        const int64_t sample = call->batch_dice ? 0 : i / chunks;
        add_sums((cpu_loss_sums *)(totals + each * (size_t)sample),
                 (cpu_loss_sums *)(partial + each * (size_t)i), c);
    }
    const int64_t groups = call->batch_dice ? 1 : n;
    for (int64_t k = volt_loss_first(call); k < c; k++)
        channels += volt_loss_class_weight(call, k);
    const double unit = channels > 0 ? call->weight_dice / (channels * (double)groups) : 0;
    for (int64_t i = 0; i < groups; i++) {
        cpu_loss_sums *s = (cpu_loss_sums *)(totals + each * (size_t)i);
        dice += dice_of(call, s, unit, factors + i * 2 * c);
        entropy += s->entropy;
        norm += s->norm;
        if (l == 0)
            add_counts(call, s, i);
    }
    const double per_norm = norm > 0 ? call->weight_ce / norm : 0;
    call->value[l] = dice + entropy * per_norm;
    for (int64_t i = 0; i < groups * 2 * c; i++)
        factors[i] *= (float)weight;
    for (int64_t i = groups; i < n; i++)
        memcpy(factors + i * 2 * c, factors, (size_t)(2 * c) * sizeof *factors);
    f->entropy = (float)(weight * per_norm);
    f->dice = factors;
}

volt_status cpu_loss_check(const volt_loss_call *call)
{
    const int64_t count = call->n * call->d * call->h * call->w;
    const int16_t *labels = call->labels;
    const int values = volt_loss_values(call);
    int64_t bad = 0;

    if (call->c > CPU_LOSS_MOST_CLASSES)
        return volt_fail(VOLT_ENOTSUP, "loss over %lld channels, at most %d",
                         (long long)call->c, CPU_LOSS_MOST_CLASSES);
#pragma omp parallel for simd num_threads(call->threads) schedule(static) reduction(+ : bad)
    for (int64_t i = 0; i < count; i++)
        bad += (labels[i] < 0 || labels[i] >= values) &&
               (labels[i] != call->ignore || call->ignore < 0);
    for (int64_t i = 0; bad && i < count; i++) {
        if ((labels[i] < 0 || labels[i] >= values) &&
            (labels[i] != call->ignore || call->ignore < 0))
            return volt_fail(VOLT_EINVAL, "label %d at voxel %lld of the batch, expected 0..%d",
                             labels[i], (long long)i, values - 1);
    }
    return VOLT_OK;
}
