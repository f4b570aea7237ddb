/* Optimizer updates, as torch.optim defines them, sums of gradients, factors of dropout. */
#include "nets3d/ops/reference.h"

#include <math.h>
#include <string.h>

/* g = scale*grad + decay*w; m = mu*m + g; w -= lr * (g + mu*m)   (Nesterov) */
volt_status volt_reference_sgd(const volt_device *dev, const volt_sgd_call *call,
                               volt_stream *stream)
{
    const volt_update_scalars *s = call->scalars;
    const double lr = s->lr * call->lr_scale;

    (void)dev;
    (void)stream;
    for (int64_t i = 0; !s->bad && i < call->count; i++) {
        const double g = s->scale * call->gradients[i] + call->weight_decay * call->weights[i];
        const double m = call->mu * call->momentum[i] + g;

        call->momentum[i] = (float)m;
        call->weights[i] = (float)(call->weights[i] - lr * (g + call->mu * m));
    }
    return VOLT_OK;
}

/* m and v are running means of g and g^2, corrected for their start at zero:
 * w -= lr * (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps). Adam adds decay*w to g,
 * AdamW shrinks w by lr*decay before. */
volt_status volt_reference_adam(const volt_device *dev, const volt_adam_call *call,
                                volt_stream *stream)
{
    const volt_update_scalars *s = call->scalars;
    const double fix1 = 1 - pow(call->beta1, (double)s->steps);
    const double fix2 = 1 - pow(call->beta2, (double)s->steps);
    const double lr = s->lr * call->lr_scale;

    (void)dev;
    (void)stream;
    for (int64_t i = 0; !s->bad && i < call->count; i++) {
        double w = call->weights[i], g = s->scale * call->gradients[i], m, v;

        if (call->decoupled)
            w -= lr * call->weight_decay * w;
        else
            g += call->weight_decay * w;
        m = call->beta1 * call->m[i] + (1 - call->beta1) * g;
        v = call->beta2 * call->v[i] + (1 - call->beta2) * g * g;
        call->m[i] = (float)m;
        call->v[i] = (float)v;
        call->weights[i] = (float)(w - lr * (m / fix1) / (sqrt(v / fix2) + call->eps));
    }
    return VOLT_OK;
}

volt_status volt_reference_accumulate(const volt_device *dev, float *sum, const float *x,
                                      int64_t count, double scale, bool first, int threads,
                                      volt_stream *stream)
{
    (void)dev;
    (void)stream;
    (void)threads;
    for (int64_t i = 0; i < count; i++)
        sum[i] = (float)((first ? 0 : sum[i]) + scale * x[i]);
    return VOLT_OK;
}

volt_status volt_reference_sum_squares(const volt_device *dev, const volt_squares_call *call,
                                       volt_stream *stream)
{
    double sum = 0;

    (void)dev;
    (void)stream;
    for (int64_t i = 0; i < call->count; i++)
        sum += (double)call->x[i] * call->x[i];
    *call->sum += sum;
    return VOLT_OK;
}

volt_status volt_reference_update_begin(const volt_device *dev, const volt_update_call *call,
                                        volt_stream *stream)
{
    (void)dev;
    (void)stream;
    volt_update_advance(call);
    return VOLT_OK;
}

volt_status volt_reference_update_state(const volt_device *dev, const volt_state_call *call,
                                        volt_stream *stream)
{
    const bool bad = call->scalars->bad;

    (void)dev;
    (void)stream;
    memcpy(bad ? call->next : call->state, bad ? call->state : call->next,
           (size_t)call->count * sizeof *call->state);
    return VOLT_OK;
}

volt_status volt_reference_draw_factors(const volt_device *dev, const volt_factors_call *call,
                                        volt_stream *stream)
{
    const float others = (float)(1 / (1 - call->p));
    volt_rng rng = call->rng;

    (void)dev;
    (void)stream;
    volt_rng_skip(&rng, 2 * (uint64_t)call->first);
    for (int64_t i = 0; i < call->count; i++)
        call->factors[i] = volt_rng_uniform(&rng) < call->p ? 0 : others;
    return VOLT_OK;
}
