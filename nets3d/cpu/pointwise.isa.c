/* Kernels that touch every voxel once: activation, sum, dropout's factors, copies. */
#include "nets3d/cpu/kernels.h"
#include "nets3d/cpu/simd.h"
#include "nets3d/cpu/walk.h"

/* Where task `t` starts in operand `k`. */
VINLINE int64_t start(const volt_op *op, int k, cpu_task t)
{
    return cpu_at(&op->view[k], t.n, t.cb) + cpu_voxel(&op->view[k], t.first, VB);
}

VINLINE void act_task(const volt_op *op, void *const *p, cpu_task t, int bf16)
{
    const vf slope = v_set((float)op->spec.slope);
    const int64_t from = start(op, 0, t), to = start(op, 1, t);

    for (int64_t v = 0; v < t.count; v++)
        v_put(p[1], to + v * VB, bf16, v_leaky(v_get(p[0], from + v * VB, bf16), slope));
}

VINLINE void act_bwd_task(const volt_op *op, void *const *p, cpu_task t, int bf16)
{
    const vf slope = v_set((float)op->spec.slope);
    const int64_t y = start(op, 0, t), dy = start(op, 1, t), dx = start(op, 2, t);

    for (int64_t v = 0; v < t.count; v++) {
        const vf g = v_get(p[1], dy + v * VB, bf16);
        v_put(p[2], dx + v * VB, bf16, v_leaky_back(g, v_get(p[0], y + v * VB, bf16), slope));
    }
}

VINLINE void add_task(const volt_op *op, void *const *p, cpu_task t, int bf16)
{
    const int64_t a = start(op, 0, t), b = start(op, 1, t), to = start(op, 2, t);

    for (int64_t v = 0; v < t.count; v++)
        v_put(p[2], to + v * VB, bf16,
              v_get(p[0], a + v * VB, bf16) + v_get(p[1], b + v * VB, bf16));
}

VINLINE void scale_task(const volt_op *op, void *const *p, cpu_task t, int bf16)
{
    const int64_t from = start(op, 0, t), to = start(op, 2, t), c = op->view[0].c;
    const float *factor = (const float *)p[1] + t.n * c;
    float lane[VB] = {0};

    for (int i = 0; i < VB && t.cb * VB + i < c; i++)
        lane[i] = factor[t.cb * VB + i];
    const vf f = v_load(lane);
    for (int64_t v = 0; v < t.count; v++)
        v_put(p[2], to + v * VB, bf16, f * v_get(p[0], from + v * VB, bf16));
}

/* A kernel over all tasks of operand 0, compiled for both types. */
#define POINTWISE(name, task)                                                                  \
    void VOLT_ISA_NAME(name)(const volt_op *op, void *const *p, void *scratch)                 \
    {                                                                                          \
        const cpu_view *v = &op->view[0];                                                      \
        const int64_t tasks = cpu_tasks(v);                                                    \
        const int bf16 = v->bf16;                                                              \
        (void)scratch;                                                                         \
        _Pragma(                                                                               \
            "omp parallel for num_threads(op->spec.threads) schedule(static)") for (int64_t    \
                                                                                        i = 0; \
                                                                                    i < tasks; \
                                                                                    i++)       \
        {                                                                                      \
            const cpu_task all = cpu_task_at(v, i);                                            \
            CPU_FOR_RUNS(op, all, t)                                                           \
            {                                                                                  \
                if (bf16)                                                                      \
                    task(op, p, t, 1);                                                         \
                else                                                                           \
                    task(op, p, t, 0);                                                         \
            }                                                                                  \
        }                                                                                      \
    }

POINTWISE(cpu_act_fwd, act_task)
POINTWISE(cpu_act_bwd, act_bwd_task)
POINTWISE(cpu_add, add_task)
POINTWISE(cpu_scale_channels, scale_task)

static inline float bf16_to_float(uint16_t h)
{
    const uint32_t u = (uint32_t)h << 16;
    float x;

    memcpy(&x, &u, sizeof x);
    return x;
}

static inline uint16_t float_to_bf16(float x)
{
    uint32_t u;

    memcpy(&u, &x, sizeof u);
    if (x != x)
        return (uint16_t)((u | 0x400000) >> 16);
    return (uint16_t)((u + 0x7fff + ((u >> 16) & 1)) >> 16);
}

/* Elements of a voxel in a block. */
static inline int64_t lanes_of(const cpu_view *v)
{
    return v->plain ? 1 : VB;
}

/* Place of voxel `i` of channel `c`, in any layout. */
static inline int64_t place_of(const cpu_view *v, int64_t n, int64_t c, int64_t i)
{
    if (v->plain)
        return cpu_at(v, n, c) + cpu_voxel(v, i, 1);
    return cpu_at(v, n, (v->lane + c) / VB) + cpu_voxel(v, i, VB) + (v->lane + c) % VB;
}

static inline float get_at(const void *p, const cpu_view *v, int64_t at)
{
    return v->bf16 ? bf16_to_float(((const uint16_t *)p)[at]) : ((const float *)p)[at];
}

static inline void put_at(void *p, const cpu_view *v, int64_t at, float x)
{
    if (v->bf16)
        ((uint16_t *)p)[at] = float_to_bf16(x);
    else
        ((float *)p)[at] = x;
}

static inline float get_one(const void *p, const cpu_view *v, int64_t n, int64_t c, int64_t i)
{
    return get_at(p, v, place_of(v, n, c, i));
}

static inline void put_one(void *p, const cpu_view *v, int64_t n, int64_t c, int64_t i, float x)
{
    put_at(p, v, place_of(v, n, c, i), x);
}

/* Channels and padding behind them that an output of view `v` has to fill. */
static int64_t channels_to_fill(const cpu_view *v)
{
    const int64_t end = v->lane + v->c;

    return v->plain || !v->last ? v->c : (end + VB - 1) / VB * VB - v->lane;
}

VINLINE void copy_task(void *const *p, int64_t from, int64_t to, int64_t count, int src16,
                       int dst16)
{
    for (int64_t v = 0; v < count; v++)
        v_put(p[1], to + v * VB, dst16, v_get(p[0], from + v * VB, src16));
}

static void copy_native(const volt_op *op, void *const *p, cpu_task t)
{
    const int64_t from = start(op, 0, t), to = start(op, 1, t);
    const int src16 = op->view[0].bf16, dst16 = op->view[1].bf16;

    if (src16 == dst16)
        memcpy((char *)p[1] + to * (dst16 ? 2 : 4), (const char *)p[0] + from * (dst16 ? 2 : 4),
               (size_t)(t.count * VB * (dst16 ? 2 : 4)));
    else if (src16)
        copy_task(p, from, to, t.count, 1, 0);
    else
        copy_task(p, from, to, t.count, 0, 1);
}

/* Channel by channel over a run of voxels that stays in the cache. */
static void copy_lanes(const volt_op *op, void *const *p, cpu_task t)
{
    const cpu_view *s = &op->view[0], *d = &op->view[1];
    const int64_t lanes = lanes_of(d), steps = lanes_of(s);
    const int64_t all = channels_to_fill(d), first_c = t.cb * lanes;
    const int64_t end_c = t.cb + 1 == d->blocks ? all : first_c + lanes;

    for (int64_t first = t.first; first < t.first + t.count; first += 128) {
        const int64_t end = first + 128 < t.first + t.count ? first + 128 : t.first + t.count;
        for (int64_t c = first_c; c < end_c; c++) {
            const bool real = c < s->c;
            const int64_t from = real ? place_of(s, t.n, c, first) : 0;
            const int64_t to = place_of(d, t.n, c, first);
            for (int64_t v = 0; v < end - first; v++)
                put_at(p[1], d, to + v * lanes, real ? get_at(p[0], s, from + v * steps) : 0);
        }
    }
}

/* Both operands are whole blocks, with zeros behind the last channel. */
static bool is_blockwise(const cpu_view *s, const cpu_view *d)
{
    return !s->plain && !d->plain && !s->lane && !d->lane &&
           (s->c % VB == 0 || (s->last && d->last));
}

void VOLT_ISA_NAME(cpu_copy)(const volt_op *op, void *const *p, void *scratch)
{
    const cpu_view *d = &op->view[1];
    const bool blockwise = is_blockwise(&op->view[0], d);
    const int64_t tasks = cpu_tasks(d);

    (void)scratch;
#pragma omp parallel for num_threads(op->spec.threads) schedule(static)
    for (int64_t i = 0; i < tasks; i++) {
        const cpu_task all = cpu_task_at(d, i);
        CPU_FOR_RUNS(op, all, t)
        {
            if (blockwise)
                copy_native(op, p, t);
            else
                copy_lanes(op, p, t);
        }
    }
}

#define MOST_CLASSES 1024 /* channels a softmax may have; op_create checks */

void VOLT_ISA_NAME(cpu_softmax_fwd)(const volt_op *op, void *const *p, void *scratch)
{
    const cpu_view *s = &op->view[0], *d = &op->view[1];

    (void)scratch;
#pragma omp parallel for num_threads(op->spec.threads) schedule(static)
    for (int64_t i = 0; i < s->n * s->voxels; i++) {
        const int64_t n = i / s->voxels, v = i % s->voxels;
        float x[MOST_CLASSES], most = -__builtin_inff(), sum = 0;
        for (int64_t c = 0; c < s->c; c++) {
            x[c] = get_one(p[0], s, n, c, v);
            most = x[c] > most ? x[c] : most;
        }
        for (int64_t c = 0; c < s->c; c++)
            sum += x[c] = __builtin_expf(x[c] - most);
        for (int64_t c = 0; c < channels_to_fill(d); c++)
            put_one(p[1], d, n, c, v, c < s->c ? x[c] / sum : 0);
    }
}

void VOLT_ISA_NAME(cpu_softmax_bwd)(const volt_op *op, void *const *p, void *scratch)
{
    const cpu_view *y = &op->view[0], *dy = &op->view[1], *dx = &op->view[2];

    (void)scratch;
#pragma omp parallel for num_threads(op->spec.threads) schedule(static)
    for (int64_t i = 0; i < y->n * y->voxels; i++) {
        const int64_t n = i / y->voxels, v = i % y->voxels;
        float dot = 0, q[MOST_CLASSES], g[MOST_CLASSES];
        for (int64_t c = 0; c < y->c; c++) {
            q[c] = get_one(p[0], y, n, c, v);
            g[c] = get_one(p[1], dy, n, c, v);
            dot += q[c] * g[c];
        }
        for (int64_t c = 0; c < channels_to_fill(dx); c++)
            put_one(p[2], dx, n, c, v, c < y->c ? q[c] * (g[c] - dot) : 0);
    }
}
