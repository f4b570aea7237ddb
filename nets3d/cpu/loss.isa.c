/* Cross-entropy + soft Dice on plain float32 logits, as nets3d/program.h defines them.
 *
 * The first call turns logits into probabilities (over the logits, when gradients are wanted)
 * and sums what both losses need; the second writes the gradients over the probabilities. Sums
 * are per chunk of voxels, combined in order. */
#include <math.h>
#include "nets3d/cpu/kernels.h"
#include "nets3d/cpu/loss_simd.h"

/* Softmax over the classes of `count` <= VB voxels at `logits` (classes `stride` apart), in
 * place in `p` (classes VB apart); returns log-sum-exp + max in *lse for the cross-entropy. */
VINLINE void softmax(const float *logits, int64_t stride, int64_t c, int64_t count, float *p,
                     float *lse)
{
    vf most = v_set(-__builtin_inff()), sum = v_zero();

    for (int64_t k = 0; k < c; k++) {
        const vf x = v_load_some(logits + k * stride, count);
        most = v_max(most, x);
        v_store(p + k * VB, x);
    }
    for (int64_t k = 0; k < c; k++) {
        const vf e = v_exp(v_load(p + k * VB) - most);
        sum += e;
        v_store(p + k * VB, e);
    }
    const vf inverse = v_set(1) / sum;
    for (int64_t k = 0; k < c; k++)
        v_store(p + k * VB, v_load(p + k * VB) * inverse);
    v_store(lse, most);
    for (int i = 0; i < VB; i++)
        lse[i] += logf(sum[i]);
}

/* Adds `count` voxels to the chunk's sums. `z` are the logits as they came. */
static void add_voxels(const volt_loss_call *call, const float *logits, int64_t stride,
                       const float *p, const float *lse, const int16_t *labels, int64_t count,
                       bool hard, cpu_loss_sums *s)
{
    double *inter = cpu_loss_inter(s), *prob = cpu_loss_prob(s, call->c),
           *truth = cpu_loss_truth(s, call->c);
    int64_t *tp = cpu_loss_tp(s, call->c), *fp = tp + call->c, *fn = fp + call->c;

    for (int64_t i = 0; i < count; i++) {
        const int64_t label = labels[i];
        int64_t best = 0;
        if (label == call->ignore && call->ignore >= 0)
            continue;
        s->voxels++;
        for (int64_t k = 0; k < call->c; k++)
            prob[k] += p[k * VB + i];
        if (label >= 0 && label < call->c) {
            const double weight = volt_loss_class_weight(call, label);
            s->norm += weight;
            s->entropy += weight * (lse[i] - logits[label * stride + i]);
            inter[label] += p[label * VB + i];
            truth[label]++;
        }
        if (!hard)
            continue;
        for (int64_t k = 1; k < call->c; k++)
            best = p[k * VB + i] > p[best * VB + i] ? k : best;
        if (best == label) {
            tp[best]++;
        } else {
            fp[best]++;
            if (label >= 0 && label < call->c)
                fn[label]++;
        }
    }
}

static void softmax_forward(const volt_loss_call *call, int l, int64_t n, int64_t first,
                            int64_t count, cpu_loss_sums *s)
{
    const volt_loss_level *level = &call->level[l];
    const int64_t stride = level->d * level->h * level->w;
    float *base = level->logits + n * call->c * stride;
    float p[CPU_LOSS_MOST_CLASSES * VB] __attribute__((aligned(64)));
    float lse[VB];
    int16_t labels[VB];

    for (int64_t i = first; i < first + count; i += VB) {
        const int64_t some = first + count - i < VB ? first + count - i : VB;
        labels_of(call, level, n, i, some, labels);
        softmax(base + i, stride, call->c, some, p, lse);
        add_voxels(call, base + i, stride, p, lse, labels, some, l == 0, s);
        for (int64_t k = 0; call->gradient && k < call->c; k++)
            memcpy(base + k * stride + i, p + k * VB, (size_t)some * sizeof *p);
    }
}

/* Factor of the cross-entropy's gradient at a voxel with `label`. */
VINLINE float label_factor(const volt_loss_call *call, const cpu_loss_factors *f, int64_t label)
{
    if (!call->class_weight || label < 0 || label >= call->c)
        return f->entropy;
    return f->entropy * (float)call->class_weight[label];
}

/* d loss / d logit_j = p_j (q_j - sum_k p_k q_k) + ce (p_j - [j = label]), with q the Dice
 * loss's derivative by p: q_k = own_k (+ hit_k where k is the label). */
static void softmax_backward(const volt_loss_call *call, int l, int64_t n, int64_t first,
                             int64_t count, const cpu_loss_factors *f)
{
    const volt_loss_level *level = &call->level[l];
    const int64_t stride = level->d * level->h * level->w;
    float *base = level->logits + n * call->c * stride;
    const float *own = f->dice + n * 2 * call->c, *hit = own + call->c;
    int16_t labels[VB];
    float entropy[VB];

    for (int64_t i = first; i < first + count; i += VB) {
        const int64_t some = first + count - i < VB ? first + count - i : VB;
        float dot[VB] = {0};
        labels_of(call, level, n, i, some, labels);
        for (int64_t v = 0; v < some; v++)
            entropy[v] = label_factor(call, f, labels[v]);
        for (int64_t k = 0; k < call->c; k++)
            for (int64_t v = 0; v < some; v++)
                dot[v] += base[k * stride + i + v] * (own[k] + (labels[v] == k ? hit[k] : 0));
        for (int64_t k = 0; k < call->c; k++) {
            float *z = base + k * stride + i;
            for (int64_t v = 0; v < some; v++) {
                const bool mine = labels[v] == k;
                const bool ignored = call->ignore >= 0 && labels[v] == call->ignore;
                const float q = own[k] + (mine ? hit[k] : 0) - dot[v];
                const float g = z[v] * q + entropy[v] * (z[v] - (mine ? 1.0f : 0.0f));
                z[v] = ignored ? 0 : g;
            }
        }
    }
}

static int64_t chunks_of(const volt_loss_level *level)
{
    return (level->d * level->h * level->w + CPU_LOSS_CHUNK - 1) / CPU_LOSS_CHUNK;
}

static void sum_level(const volt_loss_call *call, int l)
{
    const volt_loss_level *level = &call->level[l];
    const int64_t voxels = level->d * level->h * level->w, chunks = chunks_of(level);
    const size_t each = cpu_loss_sums_bytes(call->c);
    void (*const forward)(const volt_loss_call *, int, int64_t, int64_t, int64_t,
                          cpu_loss_sums *) =
        call->sigmoid ? VOLT_ISA_NAME(cpu_sigmoid_forward) : softmax_forward;

    memset(call->scratch, 0, each * (size_t)(chunks * call->n));
#pragma omp parallel for num_threads(call->threads) schedule(static)
    for (int64_t i = 0; i < chunks * call->n; i++) {
        const int64_t first = i % chunks * CPU_LOSS_CHUNK, left = voxels - first;
        forward(call, l, i / chunks, first, left < CPU_LOSS_CHUNK ? left : CPU_LOSS_CHUNK,
                (cpu_loss_sums *)((char *)call->scratch + each * (size_t)i));
    }
    cpu_loss_add_chunks(call, l, chunks);
}

/* Bad labels are no index into anything: nothing else is summed then. */
void VOLT_ISA_NAME(cpu_loss_sums)(const volt_loss_call *call)
{
    cpu_loss_check(call);
    for (int l = 0; l < call->levels && call->sums[0] == 0; l++)
        sum_level(call, l);
}

static void write_gradient(const volt_loss_call *call, int l)
{
    const volt_loss_level *level = &call->level[l];
    const int64_t voxels = level->d * level->h * level->w, chunks = chunks_of(level);
    cpu_loss_factors f;
    void (*const backward)(const volt_loss_call *, int, int64_t, int64_t, int64_t,
                           const cpu_loss_factors *) =
        call->sigmoid ? VOLT_ISA_NAME(cpu_sigmoid_backward) : softmax_backward;

    cpu_loss_factors_of(call, l, &f);
#pragma omp parallel for num_threads(call->threads) schedule(static)
    for (int64_t i = 0; i < chunks * call->n; i++) {
        const int64_t first = i % chunks * CPU_LOSS_CHUNK, left = voxels - first;
        backward(call, l, i / chunks, first, left < CPU_LOSS_CHUNK ? left : CPU_LOSS_CHUNK, &f);
    }
}

static void write_nan(const volt_loss_call *call, int l)
{
    const volt_loss_level *level = &call->level[l];
    const int64_t count = call->n * call->c * level->d * level->h * level->w;

    for (int64_t i = 0; i < count; i++)
        level->logits[i] = NAN;
}

void VOLT_ISA_NAME(cpu_loss_gradient)(const volt_loss_call *call)
{
    const bool good = cpu_loss_write_result(call);

    for (int l = 0; call->gradient && l < call->levels; l++) {
        if (good)
            write_gradient(call, l);
        else
            write_nan(call, l);
    }
}
