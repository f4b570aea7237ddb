/* Binary cross-entropy + soft Dice on a sigmoid per channel, as nets3d/program.h defines them;
 * the passes are those of loss.isa.c. */
#include "nets3d/cpu/kernels.h"
#include "nets3d/cpu/loss_simd.h"

/* What `count` voxels say of channel k: 1 where they belong to it; `use` is 0 where ignored. */
VINLINE void targets_of(const volt_loss_call *call, const int16_t *labels, int64_t count,
                        int64_t k, float *target, float *use)
{
    for (int64_t v = 0; v < VB; v++) {
        const bool counts = v < count && (labels[v] != call->ignore || call->ignore < 0);
        target[v] = counts && volt_loss_target(call, labels[v], k) ? 1.0f : 0.0f;
        use[v] = counts ? 1.0f : 0.0f;
    }
}

/* Adds channel k of `count` voxels: p probabilities, e cross-entropies. */
VINLINE void add_channel(const volt_loss_call *call, int64_t k, const float *p, const float *e,
                         const float *target, const float *use, int64_t count, cpu_loss_sums *s)
{
    double inter = 0, prob = 0, truth = 0, entropy = 0;

    for (int64_t v = 0; v < count; v++) {
        inter += target[v] * p[v];
        prob += use[v] * p[v];
        truth += target[v];
        entropy += use[v] * e[v];
    }
    cpu_loss_inter(s)[k] += inter;
    cpu_loss_prob(s, call->c)[k] += prob;
    cpu_loss_truth(s, call->c)[k] += truth;
    s->entropy += volt_loss_class_weight(call, k) * entropy;
}

/* Hard counts of `count` voxels from their logits (channels `stride` apart). */
static void count_hits(const volt_loss_call *call, const float *logits, int64_t stride,
                       const int16_t *labels, int64_t count, cpu_loss_sums *s)
{
    int64_t *tp = cpu_loss_tp(s, call->c), *fp = tp + call->c, *fn = fp + call->c;

    for (int64_t v = 0; v < count; v++) {
        int64_t best = 0;
        if (labels[v] == call->ignore && call->ignore >= 0)
            continue;
        for (int64_t k = 1; !call->regions && k < call->c; k++)
            best = logits[k * stride + v] > logits[best * stride + v] ? k : best;
        for (int64_t k = 0; k < call->c; k++) {
            const bool truth = volt_loss_target(call, labels[v], k);
            const bool found = call->regions ? logits[k * stride + v] > 0 : k == best;
            tp[k] += found && truth;
            fp[k] += found && !truth;
            fn[k] += !found && truth;
        }
    }
}

void VOLT_ISA_NAME(cpu_sigmoid_forward)(const volt_loss_call *call, int l, int64_t n,
                                        int64_t first, int64_t count, cpu_loss_sums *s)
{
    const volt_loss_level *level = &call->level[l];
    const int64_t stride = level->d * level->h * level->w;
    const double norm = cpu_loss_sigmoid_norm(call);
    float *base = level->logits + n * call->c * stride;
    float p[VB] __attribute__((aligned(64))), e[VB] __attribute__((aligned(64)));
    float target[VB] = {0}, use[VB] = {0};
    int16_t labels[VB];

    for (int64_t i = first; i < first + count; i += VB) {
        const int64_t some = first + count - i < VB ? first + count - i : VB;
        labels_of(call, level, n, i, some, labels);
        if (l == 0)
            count_hits(call, base + i, stride, labels, some, s);
        for (int64_t k = 0; k < call->c; k++) {
            const vf x = v_load_some(base + k * stride + i, some), size = v_max(x, -x);
            const vf small = v_exp(-size), below = small / (v_set(1) + small);
            targets_of(call, labels, some, k, target, use);
            v_store(p, v_select(x > v_zero(), v_set(1) / (v_set(1) + small), below));
            v_store(e, v_max(x, v_zero()) - x * v_load(target) + v_log1p(small));
            add_channel(call, k, p, e, target, use, some, s);
            if (call->gradient)
                memcpy(base + k * stride + i, p, (size_t)some * sizeof *p);
        }
        for (int64_t v = 0; v < some; v++)
            s->voxels += use[v] > 0;
    }
    s->norm = norm * (double)s->voxels;
}

/* d loss / d logit_k = p (1 - p) (own_k + hit_k where k is the truth) + ce_k (p - truth) */
void VOLT_ISA_NAME(cpu_sigmoid_backward)(const volt_loss_call *call, int l, int64_t n,
                                         int64_t first, int64_t count,
                                         const cpu_loss_factors *f)
{
    const volt_loss_level *level = &call->level[l];
    const int64_t stride = level->d * level->h * level->w;
    float *base = level->logits + n * call->c * stride;
    const float *own = f->dice + n * 2 * call->c, *hit = own + call->c;
    float target[VB], use[VB];
    int16_t labels[VB];

    for (int64_t i = first; i < first + count; i += VB) {
        const int64_t some = first + count - i < VB ? first + count - i : VB;
        labels_of(call, level, n, i, some, labels);
        for (int64_t k = 0; k < call->c; k++) {
            const float entropy = f->entropy * (float)volt_loss_class_weight(call, k);
            float *z = base + k * stride + i;
            targets_of(call, labels, some, k, target, use);
            for (int64_t v = 0; v < some; v++) {
                const float q = own[k] + target[v] * hit[k];
                const float g = z[v] * (1 - z[v]) * q + entropy * (z[v] - target[v]);
                z[v] = use[v] > 0 ? g : 0;
            }
        }
    }
}
