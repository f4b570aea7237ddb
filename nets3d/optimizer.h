/* optimizer.h - optimizers and learning-rate schedules.
 *
 * Threads  any thread may call these at any time.
 */
#ifndef VOLT_NETS3D_OPTIMIZER_H
#define VOLT_NETS3D_OPTIMIZER_H
#include "../base/status.h"
VOLT_BEGIN_DECLS

typedef enum volt_optimizer_kind {
    VOLT_SGD = 1, /* with Nesterov momentum */
    VOLT_ADAM = 2,
    VOLT_ADAMW = 3
} volt_optimizer_kind;

/* Learning rate as a fraction of its peak, at progress t in [0,1] after warm-up. */
typedef enum volt_schedule {
    VOLT_SCHEDULE_POLY = 1,    /* (1 - t)^0.9, as nnU-Net */
    VOLT_SCHEDULE_COSINE = 2,  /* 0.5 (1 + cos(pi t)) */
    VOLT_SCHEDULE_CONSTANT = 3 /* 1 */
} volt_schedule;

/* Plain value, part of a recipe; its fields stay the same within one major version. */
typedef struct volt_optimizer_settings {
    volt_optimizer_kind kind;
    double lr;                /* peak */
    double momentum;          /* SGD: 0.99 in nnU-Net */
    double beta1, beta2, eps; /* Adam, AdamW */
    double weight_decay;      /* 3e-5 in nnU-Net, all parameters */
    double clip_norm;         /* of the whole gradient, 12 in nnU-Net; 0 = no clipping */
    volt_schedule schedule;
    double warmup; /* fraction of the run during which the rate rises linearly */
} volt_optimizer_settings;

/* nnU-Net's: SGD, rate 1e-2, momentum 0.99, weight decay 3e-5, clipping at 12, poly. */
VOLT_API volt_optimizer_settings volt_optimizer_nnunet(void);
/* Usual settings of `kind`: nnU-Net's for SGD; rate 1e-3 and no weight decay for Adam, 1e-3 and
 * 1e-2 for AdamW. Schedule, warm-up and clipping as nnU-Net. */
VOLT_API volt_optimizer_settings volt_optimizer_usual(volt_optimizer_kind kind);

VOLT_END_DECLS
#endif
