/* Kernels with a parameter per channel: PReLU, and the bias of transposed convolutions. Sums
 * are taken over 256 voxels in float, above that in double, in a fixed order. */
#include "nets3d/cpu/kernels.h"
#include "nets3d/cpu/simd.h"
#include "nets3d/cpu/walk.h"

#define RUN 256

/* Where task `t` starts in operand `k`. */
VINLINE int64_t start(const volt_op *op, int k, cpu_task t)
{
    return cpu_at(&op->view[k], t.n, t.cb) + cpu_voxel(&op->view[k], t.first, VB);
}

/* The slopes of the task's channels; where there is one, it is every channel's. */
VINLINE vf slope_of(const volt_op *op, const float *slope, cpu_task t)
{
    return op->spec.tensor[1].c == 1 ? v_set(slope[0]) : v_channels(slope, t.cb, op->view[0].c);
}

VINLINE void prelu_task(const volt_op *op, void *const *p, cpu_task t, int bf16)
{
    const vf slope = slope_of(op, p[1], t);
    const int64_t from = start(op, 0, t), to = start(op, 2, t);

    for (int64_t v = 0; v < t.count; v++) {
        const vf x = v_get(p[0], from + v * VB, bf16);
        v_put(p[2], to + v * VB, bf16, v_leaky_back(x, x, slope));
    }
}

void VOLT_ISA_NAME(cpu_prelu_fwd)(const volt_op *op, void *const *p, void *scratch)
{
    const cpu_view *v = &op->view[0];
    const int64_t tasks = cpu_tasks(v);

    (void)scratch;
#pragma omp parallel for num_threads(op->spec.threads) schedule(static)
    for (int64_t i = 0; i < tasks; i++) {
        const cpu_task all = cpu_task_at(v, i);
        CPU_FOR_RUNS(op, all, t)
        {
            if (v->bf16)
                prelu_task(op, p, t, 1);
            else
                prelu_task(op, p, t, 0);
        }
    }
}

/* diff_src of a run; returns the sum of g * x where x is not above 0. */
VINLINE vd prelu_bwd_run(const volt_op *op, void *const *p, cpu_task t, vf slope, int bf16)
{
    const vf zero = v_zero();
    const int64_t at = start(op, 0, t), dy = start(op, 2, t), dx = start(op, 3, t);
    vd total = {0};

    for (int64_t first = 0; first < t.count; first += RUN) {
        const int64_t end = t.count - first < RUN ? t.count : first + RUN;
        vf s = zero;
        for (int64_t v = first; v < end; v++) {
            const vf x = v_get(p[0], at + v * VB, bf16), g = v_get(p[2], dy + v * VB, bf16);
            s += v_select(x > zero, zero, x * g);
            v_put(p[3], dx + v * VB, bf16, v_leaky_back(g, x, slope));
        }
        total += v_double(s);
    }
    return total;
}

/* diff_src of the task; the sum goes to `sums`. */
VINLINE void prelu_bwd_task(const volt_op *op, void *const *p, cpu_task t, int bf16,
                            double *sums)
{
    const vf slope = slope_of(op, p[1], t);
    vd total = {0};

    CPU_FOR_RUNS(op, t, r)
    total += prelu_bwd_run(op, p, r, slope, bf16);
    memcpy(sums, &total, sizeof total);
}

/* Sum of channel `c` over the samples' chunks, in order. */
static double channel_sum(const cpu_view *v, const double *sums, int64_t c)
{
    const int64_t chunks = cpu_chunks(v);
    double total = 0;

    for (int64_t n = 0; n < v->n; n++)
        for (int64_t k = 0; k < chunks; k++)
            total += sums[((n * v->blocks + c / VB) * chunks + k) * VB + c % VB];
    return total;
}

void VOLT_ISA_NAME(cpu_prelu_bwd)(const volt_op *op, void *const *p, void *scratch)
{
    const cpu_view *v = &op->view[0];
    const int64_t tasks = cpu_tasks(v), slopes = op->spec.tensor[4].c;
    double *sums = scratch, total = 0;
    float *dslope = p[4];

#pragma omp parallel for num_threads(op->spec.threads) schedule(static)
    for (int64_t i = 0; i < tasks; i++) {
        if (v->bf16)
            prelu_bwd_task(op, p, cpu_task_at(v, i), 1, sums + i * VB);
        else
            prelu_bwd_task(op, p, cpu_task_at(v, i), 0, sums + i * VB);
    }
    for (int64_t c = 0; c < v->c; c++) {
        total = (slopes == 1 ? total : 0) + channel_sum(v, sums, c);
        dslope[slopes == 1 ? 0 : c] = (float)total;
    }
}

VINLINE void bias_add_task(const volt_op *op, void *const *p, cpu_task t, int bf16)
{
    const vf bias = v_channels(p[2], t.cb, op->view[3].c);
    const int64_t at = start(op, 3, t);

    for (int64_t v = 0; v < t.count; v++)
        v_put(p[3], at + v * VB, bf16, v_get(p[3], at + v * VB, bf16) + bias);
}

/* Operand 3 += operand 2, a value per channel. */
void VOLT_ISA_NAME(cpu_bias_add)(const volt_op *op, void *const *p, void *scratch)
{
    const cpu_view *v = &op->view[3];
    const int64_t tasks = cpu_tasks(v);

    (void)scratch;
#pragma omp parallel for num_threads(op->spec.threads) schedule(static)
    for (int64_t i = 0; i < tasks; i++) {
        const cpu_task all = cpu_task_at(v, i);
        CPU_FOR_RUNS(op, all, t)
        {
            if (v->bf16)
                bias_add_task(op, p, t, 1);
            else
                bias_add_task(op, p, t, 0);
        }
    }
}

VINLINE vd bias_sum_run(const volt_op *op, void *const *p, cpu_task t, int bf16)
{
    const int64_t at = start(op, 3, t);
    vd total = {0};

    for (int64_t first = 0; first < t.count; first += RUN) {
        const int64_t end = t.count - first < RUN ? t.count : first + RUN;
        vf s = v_zero();
        for (int64_t v = first; v < end; v++)
            s += v_get(p[3], at + v * VB, bf16);
        total += v_double(s);
    }
    return total;
}

VINLINE void bias_sum_task(const volt_op *op, void *const *p, cpu_task t, int bf16,
                           double *sums)
{
    vd total = {0};

    CPU_FOR_RUNS(op, t, r)
    total += bias_sum_run(op, p, r, bf16);
    memcpy(sums, &total, sizeof total);
}

/* Operand 2 = the sums of operand 3 over samples and voxels, per channel. */
void VOLT_ISA_NAME(cpu_bias_sum)(const volt_op *op, void *const *p, void *scratch)
{
    const cpu_view *v = &op->view[3];
    const int64_t tasks = cpu_tasks(v);
    double *sums = scratch;
    float *bias = p[2];

#pragma omp parallel for num_threads(op->spec.threads) schedule(static)
    for (int64_t i = 0; i < tasks; i++) {
        if (v->bf16)
            bias_sum_task(op, p, cpu_task_at(v, i), 1, sums + i * VB);
        else
            bias_sum_task(op, p, cpu_task_at(v, i), 0, sums + i * VB);
    }
    for (int64_t c = 0; c < v->c; c++)
        bias[c] = (float)channel_sum(v, sums, c);
}
