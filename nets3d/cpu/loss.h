/* loss.h - the sums of the loss kernels per chunk of voxels, and their use. */
#ifndef VOLT_NETS3D_CPU_LOSS_H
#define VOLT_NETS3D_CPU_LOSS_H
#include "nets3d/cpu/cpu.h"

#define CPU_LOSS_CHUNK        4096
#define CPU_LOSS_MOST_CLASSES 256

/* Followed by double inter[c], prob[c], truth[c] and int64_t tp[c], fp[c], fn[c]. */
typedef struct cpu_loss_sums {
    double entropy; /* weighted sum of the cross-entropies */
    double norm;    /* what it is divided by */
    int64_t voxels; /* not ignored */
} cpu_loss_sums;

static inline double *cpu_loss_inter(cpu_loss_sums *s)
{
    return (double *)(s + 1);
}

static inline double *cpu_loss_prob(cpu_loss_sums *s, int64_t c)
{
    return cpu_loss_inter(s) + c;
}

static inline double *cpu_loss_truth(cpu_loss_sums *s, int64_t c)
{
    return cpu_loss_inter(s) + 2 * c;
}

static inline int64_t *cpu_loss_tp(cpu_loss_sums *s, int64_t c)
{
    return (int64_t *)(cpu_loss_inter(s) + 3 * c);
}

static inline size_t cpu_loss_sums_bytes(int64_t c)
{
    return sizeof(cpu_loss_sums) + (size_t)c * (3 * sizeof(double) + 3 * sizeof(int64_t));
}

/* Factors of the gradient, the level's weight included. */
typedef struct cpu_loss_factors {
    float entropy;     /* weight / norm */
    const float *dice; /* (n, 2, c): derivative of the Dice loss by p_k; what the label adds */
} cpu_loss_factors;

/* What a voxel adds to the norm of a sigmoid's cross-entropy. */
double cpu_loss_sigmoid_norm(const volt_loss_call *call);

/* Begins the sums: the bad labels counted, all others 0. */
void cpu_loss_check(const volt_loss_call *call);
/* Adds the sums of level l's chunks, (n, chunks) in call->scratch, to call->sums. */
void cpu_loss_add_chunks(const volt_loss_call *call, int l, int64_t chunks);
/* Writes call->result from call->sums; whether there is a gradient. */
bool cpu_loss_write_result(const volt_loss_call *call);
/* Factors of level l; `f` borrows from the scratch. */
void cpu_loss_factors_of(const volt_loss_call *call, int l, cpu_loss_factors *f);

#endif
