/* optimizer.h - SGD with Nesterov momentum, Adam and AdamW on a program's flat arrays, and
 * learning-rate schedules as functions of progress.
 */
#ifndef VOLT_NETS3D_OPTIMIZER_H
#define VOLT_NETS3D_OPTIMIZER_H
#include "program.h"
VOLT_BEGIN_DECLS

typedef enum volt_optimizer_kind {
    VOLT_SGD = 1,
    VOLT_ADAM = 2,
    VOLT_ADAMW = 3
} volt_optimizer_kind;
typedef enum volt_schedule {
    VOLT_SCHEDULE_POLY = 1,    /* (1 - t)^0.9, as nnU-Net */
    VOLT_SCHEDULE_COSINE = 2,  /* 0.5 (1 + cos(pi t)) */
    VOLT_SCHEDULE_CONSTANT = 3 /* 1 */
} volt_schedule;

typedef struct volt_optimizer_options {
    volt_optimizer_kind kind;
    double lr;       /* peak */
    double momentum; /* SGD: 0.99 in nnU-Net */
    double beta1, beta2, eps;
    double weight_decay; /* 3e-5 in nnU-Net, all parameters */
    double clip_norm;    /* global gradient norm, 12 in nnU-Net; 0 = none */
    volt_schedule schedule;
    double warmup; /* fraction of the run with linearly rising rate */
} volt_optimizer_options;

VOLT_API volt_optimizer_options
volt_optimizer_nnunet(void); /* SGD 1e-2, 0.99, 3e-5, 12, poly */

/* What `kind` is usually run with: nnU-Net's for SGD; for Adam rate 1e-3 and no decay, for
 * AdamW 1e-3 and 1e-2. Schedule, warm-up and clipping as nnU-Net. */
VOLT_API volt_optimizer_options volt_optimizer_usual(volt_optimizer_kind kind);

typedef struct volt_optimizer volt_optimizer;
/* Allocates the state (zeros) for `p` (borrowed, a training program that is loaded). */
VOLT_CALL volt_optimizer_create(volt_optimizer **out, volt_program *p,
                                const volt_optimizer_options *options);
VOLT_API void volt_optimizer_free(volt_optimizer *o); /* NULL is allowed */
VOLT_API size_t volt_optimizer_bytes(volt_optimizer_kind kind, int64_t parameters);
/* Parameter i of the graph learns at scale[i] times the rate; 0: it is left alone, weight decay
 * included, and its gradient counts in no norm. Copied. VOLT_EINVAL: a scale that is negative
 * or not finite; VOLT_ENOMEM. */
VOLT_CALL volt_optimizer_set_scales(volt_optimizer *o, const double *scale);
/* Learning rate at `t` in [0,1] of the run. */
VOLT_API double volt_optimizer_rate(const volt_optimizer_options *options, double t);
/* One step at rate `lr`. `gradient_norm` (NULL allowed) gets the norm before clipping.
 * VOLT_ENUMERIC when it is not finite; weights are untouched then. */
VOLT_CALL volt_optimizer_step(volt_optimizer *o, double lr, double *gradient_norm);
/* State arrays for checkpoints: `slots` is 1 (SGD) or 2 (Adam); each has the parameters' size.
 */
VOLT_API int volt_optimizer_slots(const volt_optimizer *o);
VOLT_API float *volt_optimizer_slot(volt_optimizer *o, int i);
VOLT_API int64_t volt_optimizer_steps(const volt_optimizer *o);
VOLT_API void volt_optimizer_set_steps(volt_optimizer *o, int64_t steps);

VOLT_END_DECLS
#endif
