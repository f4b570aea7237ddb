/* update.h - one step of an optimizer as devices compute it, without the host in between.
 *
 * The scalars of a step lie in device memory. The host writes `lr` before the step and may read
 * all of them after it. A step is: sum_squares over all gradients that count, update_begin,
 * which makes of the sum the norm and the factor of the gradients, then sgd or adam, and
 * update_state. Gradients that are not finite make all of the step's updates do nothing.
 */
#ifndef VOLT_NETS3D_DEVICE_UPDATE_H
#define VOLT_NETS3D_DEVICE_UPDATE_H
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/status.h"
VOLT_BEGIN_DECLS

typedef struct volt_update_scalars {
    double lr;         /* of the step */
    double loss_scale; /* what the gradients come multiplied with (the loss call's); 1 = not */
    double squares;    /* of the gradients; 0 after update_begin */
    double norm;       /* of the gradients without loss_scale, before clipping */
    double scale;      /* the updates multiply gradients by it: clipping / loss_scale */
    int64_t steps;     /* updates made */
    int64_t skipped;   /* steps without an update: the norm was not finite */
    int64_t bad;       /* 1 when the last step was one of these */
    int64_t since;     /* updates since loss_scale was changed */
} volt_update_scalars;

typedef struct volt_squares_call {
    double *sum; /* device memory; the squares are added to it */
    const float *x;
    int64_t count;
    int threads;
} volt_squares_call;

typedef struct volt_update_call {
    volt_update_scalars *scalars;
    /* As torch.nn.utils.clip_grad_norm_: gradients times clip_norm / (norm + 1e-6) when below
     * 1; 0 = no clipping. */
    double clip_norm;
    /* The loss scale halves with each step skipped and doubles after so many updates in a row,
     * as torch.amp.GradScaler; 0 = it stays. */
    int64_t growth;
} volt_update_call;

/* What update_begin does, for every device: the norm, and what follows from it for the updates
 * of this step. */
static inline void volt_update_advance(const volt_update_call *call)
{
    volt_update_scalars *s = call->scalars;

    s->norm = sqrt(s->squares) / s->loss_scale;
    s->squares = 0;
    s->bad = !isfinite(s->norm);
    if (s->bad) {
        s->skipped++;
        s->since = 0;
        s->loss_scale /= call->growth > 0 ? 2 : 1;
        return;
    }
    s->scale = call->clip_norm > 0 ? call->clip_norm / (s->norm + 1e-6) : 1;
    s->scale = (s->scale < 1 ? s->scale : 1) / s->loss_scale;
    s->steps++;
    s->since++;
    if (call->growth > 0 && s->since >= call->growth) {
        s->loss_scale *= 2;
        s->since = 0;
    }
}

/* `steps` counts the step that is being made, 1 for the first. */
typedef struct volt_sgd_call {
    float *weights, *momentum;
    const float *gradients;
    int64_t count;
    const volt_update_scalars *scalars; /* lr, scale, bad */
    double lr_scale;                    /* times lr */
    double mu, weight_decay;            /* Nesterov as torch.optim.SGD */
    int threads;
} volt_sgd_call;

typedef struct volt_adam_call {
    float *weights, *m, *v;
    const float *gradients;
    int64_t count;
    const volt_update_scalars *scalars; /* lr, scale, steps, bad */
    double lr_scale;
    double beta1, beta2, eps, weight_decay;
    bool decoupled; /* AdamW, else Adam with L2 regularization */
    int threads;
} volt_adam_call;

/* Parameters that are not learned follow from forward passes: these write what they become into
 * `next`. A step makes that the state; a bad one makes `next` the state again. */
typedef struct volt_state_call {
    float *state, *next;
    int64_t count;
    const volt_update_scalars *scalars; /* bad */
} volt_state_call;

VOLT_END_DECLS
#endif
