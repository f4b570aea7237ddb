/* Instance norm and activation, forward and backward. Sums are taken over 256 voxels in float
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

VINLINE void stats_of_task(const void *src, int64_t at, int64_t count, int bf16, pair *out)
{
    vd sum = {0}, squares = {0};

    for (int64_t v = 0; v < count; v += RUN)
        stats_of_run(src, at + v * VB, count - v < RUN ? count - v : RUN, bf16, &sum, &squares);
    memcpy(out->a, &sum, sizeof sum);
    memcpy(out->b, &squares, sizeof squares);
}

/* Adds the chunks of one channel block in order. */
static pair sum_chunks(const pair *p, int64_t chunks)
{
    pair total = {{0}, {0}};

    for (int64_t k = 0; k < chunks; k++) {
        for (int i = 0; i < VB; i++) {
            total.a[i] += p[k].a[i];
            total.b[i] += p[k].b[i];
        }
    }
    return total;
}

static void write_stats(const cpu_view *v, const pair *partial, double eps, float *mean,
                        float *rstd)
{
    const int64_t chunks = cpu_chunks(v);
    const double count = (double)v->voxels;

    for (int64_t i = 0; i < v->n * v->blocks; i++) {
        const pair total = sum_chunks(partial + i * chunks, chunks);
        const int64_t n = i / v->blocks, cb = i % v->blocks;
        for (int64_t k = 0; k < VB && cb * VB + k < v->c; k++) {
            const double m = total.a[k] / count, var = total.b[k] / count - m * m;
            mean[n * v->c + cb * VB + k] = (float)m;
            rstd[n * v->c + cb * VB + k] =
                (float)(1 / __builtin_sqrt((var < 0 ? 0 : var) + eps));
        }
    }
}

void VOLT_ISA_NAME(cpu_norm_stats)(const volt_op *op, void *const *p, void *scratch)
{
    const cpu_view *v = &op->view[0];
    pair *partial = scratch;
    const int64_t tasks = cpu_tasks(v);

#pragma omp parallel for num_threads(op->spec.threads) schedule(static)
    for (int64_t i = 0; i < tasks; i++) {
        const cpu_task t = cpu_task_at(v, i);
        const int64_t at = cpu_at(v, t.n, t.cb) + t.first * VB;
        if (v->bf16)
            stats_of_task(p[0], at, t.count, 1, &partial[i]);
        else
            stats_of_task(p[0], at, t.count, 0, &partial[i]);
    }
    write_stats(v, partial, op->spec.eps, p[1], p[2]);
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
    const cpu_view *s = &op->view[0], *d = &op->view[5];
    const affine f = affine_of(op, p, s, t);
    const int64_t from = cpu_at(s, t.n, t.cb) + t.first * VB;
    const int64_t to = cpu_at(d, t.n, t.cb) + t.first * VB;

    for (int64_t v = 0; v < t.count; v++) {
        const vf x = (v_get(p[0], from + v * VB, src16) - f.mean) * f.a + f.shift;
        v_put(p[5], to + v * VB, dst16, v_leaky(x, f.slope));
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
    return p[6] ? cpu_at(&op->view[6], t.n, t.cb) + t.first * VB : 0;
}

/* sum g and sum g * xhat. */
VINLINE void sums_of_task(const volt_op *op, void *const *p, cpu_task t, int bf16, pair *out)
{
    const affine f = affine_of(op, p, &op->view[0], t);
    const int64_t at = cpu_at(&op->view[0], t.n, t.cb) + t.first * VB;
    const int64_t dy = cpu_at(&op->view[5], t.n, t.cb) + t.first * VB;
    const int64_t dy2 = second_at(op, p, t);
    vd sum = {0}, dot = {0};

    for (int64_t first = 0; first < t.count; first += RUN) {
        const int64_t end = t.count - first < RUN ? t.count : first + RUN;
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
    memcpy(out->a, &sum, sizeof sum);
    memcpy(out->b, &dot, sizeof dot);
}

/* d scale, d shift over the batch; the block's means of g and g * xhat go to `means`. */
static void write_sums(const volt_op *op, void *const *p, const pair *partial, pair *means)
{
    const cpu_view *v = &op->view[0];
    const int64_t chunks = cpu_chunks(v);
    float *dscale = p[8], *dshift = p[9];

    for (int64_t cb = 0; cb < v->blocks; cb++) {
        pair batch = {{0}, {0}};
        for (int64_t n = 0; n < v->n; n++) {
            const int64_t i = n * v->blocks + cb;
            const pair total = sum_chunks(partial + i * chunks, chunks);
            for (int k = 0; k < VB; k++) {
                batch.a[k] += total.a[k];
                batch.b[k] += total.b[k];
                means[i].a[k] = total.a[k] / (double)v->voxels;
                means[i].b[k] = total.b[k] / (double)v->voxels;
            }
        }
        for (int64_t k = 0; k < VB && cb * VB + k < v->c; k++) {
            if (dscale)
                dscale[cb * VB + k] = (float)batch.b[k];
            if (dshift)
                dshift[cb * VB + k] = (float)batch.a[k];
        }
    }
}

VINLINE void gradient_task(const volt_op *op, void *const *p, cpu_task t, int bf16,
                           const pair *means)
{
    const affine f = affine_of(op, p, &op->view[0], t);
    const int64_t at = cpu_at(&op->view[0], t.n, t.cb) + t.first * VB;
    const int64_t dy = cpu_at(&op->view[5], t.n, t.cb) + t.first * VB;
    const int64_t dx = cpu_at(&op->view[7], t.n, t.cb) + t.first * VB;
    const int64_t dy2 = second_at(op, p, t);
    vd a, b;

    memcpy(&a, means->a, sizeof a);
    memcpy(&b, means->b, sizeof b);
    const vf mean_g = v_float(a), mean_gx = v_float(b) * f.rstd;
    for (int64_t v = 0; v < t.count; v++) {
        const vf x = v_get(p[0], at + v * VB, bf16);
        const vf g = arriving(p, &f, x, dy + v * VB, dy2 + v * VB, bf16);
        v_put(p[7], dx + v * VB, bf16, f.a * (g - mean_g - (x - f.mean) * mean_gx));
    }
}

void VOLT_ISA_NAME(cpu_norm_act_bwd)(const volt_op *op, void *const *p, void *scratch)
{
    const cpu_view *v = &op->view[0];
    const int64_t tasks = cpu_tasks(v), chunks = cpu_chunks(v);
    pair *partial = scratch, *means = partial + tasks;
    const int bf16 = v->bf16;

#pragma omp parallel for num_threads(op->spec.threads) schedule(static)
    for (int64_t i = 0; i < tasks; i++) {
        if (bf16)
            sums_of_task(op, p, cpu_task_at(v, i), 1, &partial[i]);
        else
            sums_of_task(op, p, cpu_task_at(v, i), 0, &partial[i]);
    }
    write_sums(op, p, partial, means);
#pragma omp parallel for num_threads(op->spec.threads) schedule(static)
    for (int64_t i = 0; i < tasks; i++) {
        if (bf16)
            gradient_task(op, p, cpu_task_at(v, i), 1, &means[i / chunks]);
        else
            gradient_task(op, p, cpu_task_at(v, i), 0, &means[i / chunks]);
    }
}
