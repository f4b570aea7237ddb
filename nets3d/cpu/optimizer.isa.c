/* One pass over parameters, gradients and state per step. */
#include <math.h>
#include "nets3d/cpu/kernels.h"
#include "nets3d/cpu/simd.h"

void VOLT_ISA_NAME(cpu_sgd)(const volt_sgd_call *call)
{
    float *restrict w = call->weights, *restrict m = call->momentum;
    const float *restrict gradients = call->gradients;
    const volt_update_scalars *s = call->scalars;
    const float lr = (float)(s->lr * call->lr_scale), mu = (float)call->mu;
    const float decay = (float)call->weight_decay, scale = (float)s->scale;

    if (s->bad)
        return;

#pragma omp parallel for simd num_threads(call->threads) schedule(static)
    for (int64_t i = 0; i < call->count; i++) {
        const float g = gradients[i] * scale + decay * w[i];
        m[i] = mu * m[i] + g;
        w[i] -= lr * (g + mu * m[i]);
    }
}

void VOLT_ISA_NAME(cpu_adam)(const volt_adam_call *call)
{
    float *restrict w = call->weights, *restrict m = call->m, *restrict v = call->v;
    const float *restrict gradients = call->gradients;
    const float b1 = (float)call->beta1, b2 = (float)call->beta2, eps = (float)call->eps;
    const volt_update_scalars *s = call->scalars;
    const double lr = s->lr * call->lr_scale;
    const float scale = (float)s->scale;
    const float l2 = call->decoupled ? 0 : (float)call->weight_decay;
    const float keep = call->decoupled ? (float)(1 - lr * call->weight_decay) : 1;
    const float rate = (float)(lr / (1 - pow(call->beta1, (double)s->steps)));
    const float root = (float)(1 / sqrt(1 - pow(call->beta2, (double)s->steps)));

    if (s->bad)
        return;

#pragma omp parallel for simd num_threads(call->threads) schedule(static)
    for (int64_t i = 0; i < call->count; i++) {
        const float g = gradients[i] * scale + l2 * w[i];
        m[i] = b1 * m[i] + (1 - b1) * g;
        v[i] = b2 * v[i] + (1 - b2) * g * g;
        w[i] = keep * w[i] - rate * m[i] / (sqrtf(v[i]) * root + eps);
    }
}

void VOLT_ISA_NAME(cpu_accumulate)(float *sum, const float *x, int64_t count, float scale,
                                   bool first, int threads)
{
#pragma omp parallel for simd num_threads(threads) schedule(static)
    for (int64_t i = 0; i < count; i++)
        sum[i] = first ? scale * x[i] : sum[i] + scale * x[i];
}

#define SLICES 64

/* Each slice in eight running sums; slices and sums do not depend on the threads. */
void VOLT_ISA_NAME(cpu_sum_squares)(const volt_squares_call *call)
{
    const float *x = call->x;
    const int64_t count = call->count;
    double slice[SLICES], total = 0;

#pragma omp parallel for num_threads(call->threads) schedule(static)
    for (int k = 0; k < SLICES; k++) {
        const int64_t first = count / SLICES * k + (k < count % SLICES ? k : count % SLICES);
        const int64_t end = first + count / SLICES + (k < count % SLICES);
        vd sum = {0};
        int64_t i = first;
        for (; i + VB <= end; i += VB) {
            const vd v = v_double(v_load(x + i));
            sum += v * v;
        }
        slice[k] = 0;
        for (int lane = 0; lane < VB; lane++)
            slice[k] += sum[lane];
        for (; i < end; i++)
            slice[k] += (double)x[i] * (double)x[i];
    }
    for (int k = 0; k < SLICES; k++)
        total += slice[k];
    *call->sum += total;
}
