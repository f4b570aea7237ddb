/* Norm and activation, forward and backward. Sums are taken over 256 voxels in float
 * (twice over data that stays in the L1 cache), above that in double, in a fixed order. */
#include "nets3d/cpu/kernels.h"
#include "nets3d/cpu/simd.h"
#include "nets3d/cpu/walk.h"

#define RUN 256

/* Two sums of one chunk, per lane. */
typedef struct pair {
    double a[VB], b[VB];
} pair;

/* sum x and sum x^2 of a run, from its mean and its centred squares. */
VINLINE void stats_of_run(const void *src, int64_t at, int64_t count, int bf16, vd *sum,
                          vd *squares)
{
    vf s[4] = {v_zero(), v_zero(), v_zero(), v_zero()}, q[4] = {s[0], s[0], s[0], s[0]};
    vf mean;
    int64_t v = 0;

    for (; v + 4 <= count; v += 4)
        for (int k = 0; k < 4; k++)
            s[k] += v_get(src, at + (v + k) * VB, bf16);
    for (; v < count; v++)
        s[0] += v_get(src, at + v * VB, bf16);
    mean = ((s[0] + s[1]) + (s[2] + s[3])) * v_set(1.0f / (float)count);
    for (int k = 0; k < 4; k++)
        s[k] = v_zero();
    for (v = 0; v + 4 <= count; v += 4) {
        for (int k = 0; k < 4; k++) {
            const vf x = v_get(src, at + (v + k) * VB, bf16) - mean;
            s[k] += x;
            q[k] += x * x;
        }
    }
    for (; v < count; v++) {
        const vf x = v_get(src, at + v * VB, bf16) - mean;
        s[0] += x;
        q[0] += x * x;
    }
    const vd m = v_double(mean), rest = v_double((s[0] + s[1]) + (s[2] + s[3]));
    const double n = (double)count;
    *sum += m * n + rest;
    *squares += v_double((q[0] + q[1]) + (q[2] + q[3])) + 2 * m * rest + m * m * n;
}

/* Where task `t` starts in operand `k`. */
VINLINE int64_t start(const volt_op *op, int k, cpu_task t)
{
    return cpu_at(&op->view[k], t.n, t.cb) + cpu_voxel(&op->view[k], t.first, VB);
}

VINLINE void stats_of_task(const volt_op *op, const void *src, cpu_task t, int bf16, pair *out)
{
    vd sum = {0}, squares = {0};

    CPU_FOR_RUNS(op, t, r)
    {
        const int64_t at = start(op, 0, r);
        for (int64_t v = 0; v < r.count; v += RUN)
            stats_of_run(src, at + v * VB, r.count - v < RUN ? r.count - v : RUN, bf16, &sum,
                         &squares);
    }
    memcpy(out->a, &sum, sizeof sum);
    memcpy(out->b, &squares, sizeof squares);
}

/* Adds the chunks of each channel block in order: sums (n,c,2), or with one row (1,c,2). */
static void write_sums(const cpu_view *v, const pair *partial, double *sums, int64_t rows)
{
    const int64_t chunks = cpu_chunks(v);

    for (int64_t i = 0; i < v->n * v->blocks; i++) {
        const pair *p = partial + i * chunks;
        const int64_t n = i / v->blocks, cb = i % v->blocks;
        pair total = {{0}, {0}};
        for (int64_t k = 0; k < chunks; k++) {
            for (int j = 0; j < VB; j++) {
                total.a[j] += p[k].a[j];
                total.b[j] += p[k].b[j];
            }
        }
        for (int64_t k = 0; k < VB && cb * VB + k < v->c; k++) {
            double *own = sums + 2 * ((rows == 1 ? 0 : n) * v->c + cb * VB + k);
            const bool add = rows == 1 && n > 0;
            own[0] = (add ? own[0] : 0) + total.a[k];
            own[1] = (add ? own[1] : 0) + total.b[k];
        }
    }
}

void VOLT_ISA_NAME(cpu_norm_sums)(const volt_op *op, void *const *p, void *scratch)
{
    const cpu_view *v = &op->view[0];
    pair *partial = scratch;
    const int64_t tasks = cpu_tasks(v);

#pragma omp parallel for num_threads(op->spec.threads) schedule(static)
    for (int64_t i = 0; i < tasks; i++) {
        if (v->bf16)
            stats_of_task(op, p[0], cpu_task_at(v, i), 1, &partial[i]);
        else
            stats_of_task(op, p[0], cpu_task_at(v, i), 0, &partial[i]);
    }
    write_sums(v, partial, p[1], op->spec.tensor[1].n);
}

/* The first row of a vector (n,c), for all n. */
static void repeat_row(const volt_tensor *t, float *x)
{
    for (int64_t n = 1; n < t->n; n++)
        memcpy(x + n * t->c, x, (size_t)t->c * sizeof *x);
}

/* Towards the mean and the unbiased variance. */
static void move_running(const volt_op *op, void *const *p)
{
    const double count = (double)op->spec.count, k = op->spec.momentum, *sums = p[0];
    const float *mean = p[3], *var = p[4];
    float *new_mean = p[5], *new_var = p[6];

    for (int64_t c = 0; c < op->spec.tensor[0].c; c++) {
        const double m = sums[2 * c] / count, v = sums[2 * c + 1] / count - m * m;
        new_mean[c] = (float)((1 - k) * mean[c] + k * m);
        new_var[c] = (float)((1 - k) * var[c] + k * (v < 0 ? 0 : v) * (count / (count - 1)));
    }
}

void VOLT_ISA_NAME(cpu_norm_finish)(const volt_op *op, void *const *p, void *scratch)
{
    const volt_tensor *t = &op->spec.tensor[0];
    const double count = (double)op->spec.count, *sums = p[0];
    float *mean = p[1], *rstd = p[2];

    (void)scratch;
    for (int64_t i = 0; i < t->n * t->c; i++) {
        const double m = sums[2 * i] / count, var = sums[2 * i + 1] / count - m * m;
        mean[i] = (float)m;
        rstd[i] = (float)(1 / __builtin_sqrt((var < 0 ? 0 : var) + op->spec.eps));
    }
    if (t->n == 1) {
        repeat_row(&op->spec.tensor[1], mean);
        repeat_row(&op->spec.tensor[2], rstd);
    }
    if (op->spec.tensor[5].n)
        move_running(op, p);
}

void VOLT_ISA_NAME(cpu_norm_running)(const volt_op *op, void *const *p, void *scratch)
{
    const volt_tensor *t = &op->spec.tensor[2];
    const float *running_mean = p[0], *running_var = p[1];
    float *mean = p[2], *rstd = p[3];

    (void)scratch;
    for (int64_t c = 0; c < t->c; c++) {
        mean[c] = running_mean[c];
        rstd[c] = (float)(1 / __builtin_sqrt((double)running_var[c] + op->spec.eps));
    }
    repeat_row(t, mean);
    repeat_row(t, rstd);
}

/* Everything norm + activation needs of one channel block. */
typedef struct affine {
    vf mean, rstd, a, shift, slope; /* (x - mean) * a + shift, a = scale * rstd */
} affine;

VINLINE affine affine_of(const volt_op *op, void *const *p, const cpu_view *v, cpu_task t)
{
    const vf one = v_channels((const float *)p[2] + t.n * v->c, t.cb, v->c);
    affine f;

    f.mean = v_channels((const float *)p[1] + t.n * v->c, t.cb, v->c);
    f.rstd = one;
    f.a = p[3] ? one * v_channels(p[3], t.cb, v->c) : one;
    f.shift = p[4] ? v_channels(p[4], t.cb, v->c) : v_zero();
    f.slope = v_set((float)op->spec.slope);
    return f;
}

VINLINE void norm_act_task(const volt_op *op, void *const *p, cpu_task t, int src16, int dst16)
{
    const affine f = affine_of(op, p, &op->view[0], t);

    CPU_FOR_RUNS(op, t, r)
    {
        const int64_t from = start(op, 0, r), to = start(op, 5, r);
        for (int64_t v = 0; v < r.count; v++) {
            const vf x = (v_get(p[0], from + v * VB, src16) - f.mean) * f.a + f.shift;
            v_put(p[5], to + v * VB, dst16, v_leaky(x, f.slope));
        }
    }
}

void VOLT_ISA_NAME(cpu_norm_act_fwd)(const volt_op *op, void *const *p, void *scratch)
{
    const cpu_view *v = &op->view[0];
    const int bf16 = v->bf16;
    const int64_t tasks = cpu_tasks(v);

    (void)scratch;
#pragma omp parallel for num_threads(op->spec.threads) schedule(static)
    for (int64_t i = 0; i < tasks; i++) {
        if (bf16)
            norm_act_task(op, p, cpu_task_at(v, i), 1, 1);
        else
            norm_act_task(op, p, cpu_task_at(v, i), 0, 0);
    }
}

/* The gradient that arrives behind the norm: (dy [+ dy2]) * act'(norm(x)). */
VINLINE vf arriving(void *const *p, const affine *f, vf x, int64_t at, int64_t at2, int bf16)
{
    vf g = v_get(p[5], at, bf16);

    if (p[6])
        g += v_get(p[6], at2, bf16);
    return v_leaky_back(g, (x - f->mean) * f->a + f->shift, f->slope);
}

VINLINE int64_t second_at(const volt_op *op, void *const *p, cpu_task t)
{
    return p[6] ? start(op, 6, t) : 0;
}

/* sum g and sum g * xhat. */
VINLINE void sums_of_task(const volt_op *op, void *const *p, cpu_task t, int bf16, pair *out)
{
    const affine f = affine_of(op, p, &op->view[0], t);
    vd sum = {0}, dot = {0};

    CPU_FOR_RUNS(op, t, r)
    {
        const int64_t at = start(op, 0, r), dy = start(op, 5, r), dy2 = second_at(op, p, r);
        for (int64_t first = 0; first < r.count; first += RUN) {
            const int64_t end = r.count - first < RUN ? r.count : first + RUN;
            vf s = v_zero(), q = v_zero();
            for (int64_t v = first; v < end; v++) {
                const vf x = v_get(p[0], at + v * VB, bf16);
                const vf g = arriving(p, &f, x, dy + v * VB, dy2 + v * VB, bf16);
                s += g;
                q += g * ((x - f.mean) * f.rstd);
            }
            sum += v_double(s);
            dot += v_double(q);
        }
    }
    memcpy(out->a, &sum, sizeof sum);
    memcpy(out->b, &dot, sizeof dot);
}

/* d scale, d shift: the sums over the batch. */
static void write_parameter_gradients(const cpu_view *v, const double *sums, int64_t rows,
                                      float *dscale, float *dshift)
{
    for (int64_t c = 0; c < v->c; c++) {
        double g = 0, gx = 0;
        for (int64_t n = 0; n < rows; n++) {
            g += sums[2 * (n * v->c + c)];
            gx += sums[2 * (n * v->c + c) + 1];
        }
        if (dscale)
            dscale[c] = (float)gx;
        if (dshift)
            dshift[c] = (float)g;
    }
}

void VOLT_ISA_NAME(cpu_norm_bwd_sums)(const volt_op *op, void *const *p, void *scratch)
{
    const cpu_view *v = &op->view[0];
    const int64_t tasks = cpu_tasks(v);
    pair *partial = scratch;
    const int bf16 = v->bf16;

#pragma omp parallel for num_threads(op->spec.threads) schedule(static)
    for (int64_t i = 0; i < tasks; i++) {
        if (bf16)
            sums_of_task(op, p, cpu_task_at(v, i), 1, &partial[i]);
        else
            sums_of_task(op, p, cpu_task_at(v, i), 0, &partial[i]);
    }
    write_sums(v, partial, p[7], op->spec.tensor[7].n);
    write_parameter_gradients(v, p[7], op->spec.tensor[7].n, p[8], p[9]);
}

/* Means of g and of g * xhat of the task's channels. */
VINLINE void means_of_task(const volt_op *op, const double *sums, cpu_task t, vf *g, vf *gx)
{
    const int64_t c = op->view[0].c, row = op->spec.tensor[7].n == 1 ? 0 : t.n;
    const double count = (double)op->spec.count;
    vd a = {0}, b = {0};

    for (int64_t k = 0; k < VB && t.cb * VB + k < c; k++) {
        const double *own = sums + 2 * (row * c + t.cb * VB + k);
        a[k] = own[0] / count;
        b[k] = own[1] / count;
    }
    *g = v_float(a);
    *gx = v_float(b);
}

VINLINE void gradient_task(const volt_op *op, void *const *p, cpu_task t, int bf16)
{
    const affine f = affine_of(op, p, &op->view[0], t);
    vf mean_g, mean_gx;

    means_of_task(op, p[7], t, &mean_g, &mean_gx);
    mean_gx *= f.rstd;
    CPU_FOR_RUNS(op, t, r)
    {
        const int64_t at = start(op, 0, r), dy = start(op, 5, r), dx = start(op, 8, r);
        const int64_t dy2 = second_at(op, p, r);
        for (int64_t v = 0; v < r.count; v++) {
            const vf x = v_get(p[0], at + v * VB, bf16);
            const vf g = arriving(p, &f, x, dy + v * VB, dy2 + v * VB, bf16);
            v_put(p[8], dx + v * VB, bf16, f.a * (g - mean_g - (x - f.mean) * mean_gx));
        }
    }
}

void VOLT_ISA_NAME(cpu_norm_bwd_apply)(const volt_op *op, void *const *p, void *scratch)
{
    const cpu_view *v = &op->view[0];
    const int64_t tasks = cpu_tasks(v);
    const int bf16 = v->bf16;

    (void)scratch;
#pragma omp parallel for num_threads(op->spec.threads) schedule(static)
    for (int64_t i = 0; i < tasks; i++) {
        if (bf16)
            gradient_task(op, p, cpu_task_at(v, i), 1);
        else
            gradient_task(op, p, cpu_task_at(v, i), 0);
    }
}
