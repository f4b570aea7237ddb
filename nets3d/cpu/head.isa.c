/* The head: 1x1x1 convolution from native channels to few plain float32 outputs. Bound by
 * memory: every pass reads the activations once. */
#include "nets3d/cpu/ends.h"
#include "nets3d/cpu/kernels.h"
#include "nets3d/cpu/simd.h"
#include "nets3d/cpu/transpose.h"
#include "nets3d/cpu/walk.h"

/* Chunks of voxels that the three kernels share out, over all samples. */
static int64_t chunks_of(const cpu_view *v)
{
    return v->n * cpu_chunks(v);
}

static cpu_task chunk_at(const cpu_view *v, int64_t i)
{
    cpu_task t = {.n = i / cpu_chunks(v), .chunk = i % cpu_chunks(v)};

    t.first = t.chunk * CPU_CHUNK;
    t.count = v->voxels - t.first < CPU_CHUNK ? v->voxels - t.first : CPU_CHUNK;
    return t;
}

/* Where run `r` starts in channel block `cb` of view `v`. */
VINLINE int64_t run_start(const cpu_view *v, cpu_task r, int64_t cb, int64_t lanes)
{
    return cpu_at(v, r.n, cb) + cpu_voxel(v, r.first, lanes);
}

/* Four outputs of VB voxels (`some` of them real). */
VINLINE void head_tile(const cpu_view *s, const void *src, int64_t at, int64_t some,
                       const float *w, vf acc[4], int bf16)
{
    for (int64_t cb = 0; cb < s->blocks; cb++) {
        const int64_t from = at + cb * s->block_stride;
        vf row[VB];
#pragma GCC unroll 16
        for (int i = 0; i < VB; i++)
            row[i] = v_get(src, from + (i < some ? i : 0) * VB, bf16);
        transpose(row);
#pragma GCC unroll 16
        for (int i = 0; i < VB; i++) {
            const float *four = w + (cb * VB + i) * 4;
#pragma GCC unroll 4
            for (int o = 0; o < 4; o++)
                acc[o] += v_set(four[o]) * row[i];
        }
    }
}

VINLINE void head_run(const volt_op *op, void *const *p, cpu_task r, int64_t four, int bf16)
{
    const cpu_view *s = &op->view[0], *d = &op->view[3];
    const float *bias = p[2], *w = (const float *)p[1] + four * s->blocks * VB;
    const int64_t from = run_start(s, r, 0, VB), to = run_start(d, r, four, 1);
    float *dst = p[3];

    for (int64_t v = 0; v < r.count; v += VB) {
        const int64_t some = r.count - v < VB ? r.count - v : VB;
        vf acc[4];
#pragma GCC unroll 4
        for (int o = 0; o < 4; o++)
            acc[o] = v_set(bias && four + o < d->c ? bias[four + o] : 0);
        head_tile(s, p[0], from + v * VB, some, w, acc, bf16);
        for (int64_t o = 0; o < 4 && four + o < d->c; o++)
            memcpy(dst + to + o * d->block_stride + v, &acc[o], (size_t)some * sizeof *dst);
    }
}

void VOLT_ISA_NAME(cpu_head_fwd)(const volt_op *op, void *const *p, void *scratch)
{
    const cpu_view *s = &op->view[0], *d = &op->view[3];

    (void)scratch;
#pragma omp parallel for num_threads(op->spec.threads) schedule(static)
    for (int64_t i = 0; i < chunks_of(d); i++) {
        const cpu_task all = chunk_at(d, i);
        CPU_FOR_RUNS(op, all, r)
        {
            for (int64_t four = 0; four < d->c; four += 4) {
                if (s->bf16)
                    head_run(op, p, r, four, 1);
                else
                    head_run(op, p, r, four, 0);
            }
        }
    }
}

VINLINE void head_data_run(const volt_op *op, void *const *p, cpu_task r, int bf16)
{
    const cpu_view *s = &op->view[0], *d = &op->view[2];
    const float *g = (const float *)p[2] + run_start(d, r, 0, 1), *w = p[1];

    for (int64_t cb = 0; cb < s->blocks; cb++) {
        const int64_t to = run_start(s, r, cb, VB);
        for (int64_t v = 0; v < r.count; v++) {
            vf acc = v_zero();
            for (int64_t o = 0; o < d->c; o++)
                acc +=
                    v_set(g[o * d->block_stride + v]) * v_load(w + (o * s->blocks + cb) * VB);
            v_put(p[0], to + v * VB, bf16, acc);
        }
    }
}

void VOLT_ISA_NAME(cpu_head_bwd_data)(const volt_op *op, void *const *p, void *scratch)
{
    const cpu_view *s = &op->view[0];

    (void)scratch;
#pragma omp parallel for num_threads(op->spec.threads) schedule(static)
    for (int64_t i = 0; i < chunks_of(s); i++) {
        const cpu_task all = chunk_at(s, i);
        CPU_FOR_RUNS(op, all, r)
        {
            if (s->bf16)
                head_data_run(op, p, r, 1);
            else
                head_data_run(op, p, r, 0);
        }
    }
}

/* Adds a run to (oc/4*4, ic) sums: four outputs of a block at a time. */
VINLINE void head_weights_run(const volt_op *op, void *const *p, cpu_task r, float *sum,
                              int bf16)
{
    const cpu_view *s = &op->view[0], *d = &op->view[3];
    const float *g = (const float *)p[3] + run_start(d, r, 0, 1);

    for (int64_t four = 0; four < d->c; four += 4) {
        const float *line[4];
        for (int64_t o = 0; o < 4; o++)
            line[o] = g + (four + o < d->c ? four + o : four) * d->block_stride;
        for (int64_t cb = 0; cb < s->blocks; cb++) {
            const int64_t at = run_start(s, r, cb, VB);
            vf acc[4] = {v_zero(), v_zero(), v_zero(), v_zero()};
            for (int64_t v = 0; v < r.count; v++) {
                const vf x = v_get(p[0], at + v * VB, bf16);
#pragma GCC unroll 4
                for (int o = 0; o < 4; o++)
                    acc[o] += v_set(line[o][v]) * x;
            }
            for (int64_t o = 0; o < 4; o++) {
                float *to = sum + ((four + o) * s->blocks + cb) * VB;
                v_store(to, v_load(to) + acc[o]);
            }
        }
    }
}

static void head_bias_run(const cpu_view *d, const float *dst, cpu_task r, float *sum)
{
    for (int64_t o = 0; o < d->c; o++) {
        const float *g = dst + run_start(d, r, o, 1);
        vf s = v_zero();
        int64_t v = 0;
        for (; v + VB <= r.count; v += VB)
            s += v_load(g + v);
        for (int lane = 0; lane < VB; lane++)
            sum[o] += s[lane];
        for (; v < r.count; v++)
            sum[o] += g[v];
    }
}

void VOLT_ISA_NAME(cpu_head_bwd_weights)(const volt_op *op, void *const *p, void *scratch)
{
    const cpu_view *s = &op->view[0], *d = &op->view[3];
    const int64_t outputs = (d->c + 3) / 4 * 4, padded = s->blocks * VB;
    const int64_t each = outputs * (padded + 1), chunks = chunks_of(d);
    float *sums = scratch, *dw = p[1], *db = p[2];

#pragma omp parallel for num_threads(op->spec.threads) schedule(static)
    for (int64_t k = 0; k < op->slices; k++) {
        float *sum = sums + k * each;
        memset(sum, 0, (size_t)each * sizeof *sum);
        for (int64_t i = chunks * k / op->slices; i < chunks * (k + 1) / op->slices; i++) {
            const cpu_task all = chunk_at(d, i);
            CPU_FOR_RUNS(op, all, r)
            {
                if (s->bf16)
                    head_weights_run(op, p, r, sum, 1);
                else
                    head_weights_run(op, p, r, sum, 0);
                head_bias_run(d, p[3], r, sum + outputs * padded);
            }
        }
    }
    for (int64_t o = 0; o < d->c; o++) {
        for (int64_t c = 0; c <= s->c; c++) {
            const int64_t at = c < s->c ? o * padded + c : outputs * padded + o;
            double total = 0;
            for (int64_t k = 0; k < op->slices; k++)
                total += sums[k * each + at];
            if (c < s->c)
                dw[o * s->c + c] = (float)total;
            else if (db)
                db[o] = (float)total;
        }
    }
}
