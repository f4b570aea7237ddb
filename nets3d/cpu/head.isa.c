/* The head: 1x1x1 convolution from native channels to few plain float32 outputs. Bound by
 * memory: every pass reads the activations once. */
#include "nets3d/cpu/ends.h"
#include "nets3d/cpu/kernels.h"
#include "nets3d/cpu/simd.h"
#include "nets3d/cpu/transpose.h"
#include "nets3d/cpu/walk.h"

/* Runs of voxels that the three kernels share out, over all samples. */
static int64_t runs_of(const cpu_view *v)
{
    return v->n * cpu_chunks(v);
}

typedef struct run {
    int64_t n, first, end;
} run;

static run run_at(const cpu_view *v, int64_t i)
{
    run r = {i / cpu_chunks(v), i % cpu_chunks(v) * CPU_CHUNK, 0};

    r.end = v->voxels - r.first < CPU_CHUNK ? v->voxels : r.first + CPU_CHUNK;
    return r;
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

VINLINE void head_run(const volt_op *op, void *const *p, run r, int64_t four, int bf16)
{
    const cpu_view *s = &op->view[0], *d = &op->view[3];
    const float *bias = p[2], *w = (const float *)p[1] + four * s->blocks * VB;
    float *dst = p[3];

    for (int64_t v = r.first; v < r.end; v += VB) {
        const int64_t some = r.end - v < VB ? r.end - v : VB;
        vf acc[4];
#pragma GCC unroll 4
        for (int o = 0; o < 4; o++)
            acc[o] = v_set(bias && four + o < d->c ? bias[four + o] : 0);
        head_tile(s, p[0], cpu_at(s, r.n, 0) + v * VB, some, w, acc, bf16);
        for (int64_t o = 0; o < 4 && four + o < d->c; o++)
            memcpy(dst + cpu_at(d, r.n, four + o) + v, &acc[o], (size_t)some * sizeof *dst);
    }
}

void VOLT_ISA_NAME(cpu_head_fwd)(const volt_op *op, void *const *p, void *scratch)
{
    const cpu_view *s = &op->view[0], *d = &op->view[3];

    (void)scratch;
#pragma omp parallel for num_threads(op->spec.threads) schedule(static)
    for (int64_t i = 0; i < runs_of(d); i++) {
        for (int64_t four = 0; four < d->c; four += 4) {
            if (s->bf16)
                head_run(op, p, run_at(d, i), four, 1);
            else
                head_run(op, p, run_at(d, i), four, 0);
        }
    }
}

VINLINE void head_data_run(const volt_op *op, void *const *p, run r, int bf16)
{
    const cpu_view *s = &op->view[0], *d = &op->view[2];
    const float *g = (const float *)p[2] + cpu_at(d, r.n, 0), *w = p[1];

    for (int64_t cb = 0; cb < s->blocks; cb++) {
        const int64_t to = cpu_at(s, r.n, cb);
        for (int64_t v = r.first; v < r.end; v++) {
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
    for (int64_t i = 0; i < runs_of(s); i++) {
        if (s->bf16)
            head_data_run(op, p, run_at(s, i), 1);
        else
            head_data_run(op, p, run_at(s, i), 0);
    }
}

/* Adds a run to (oc/4*4, ic) sums: four outputs of a block at a time. */
VINLINE void head_weights_run(const volt_op *op, void *const *p, run r, float *sum, int bf16)
{
    const cpu_view *s = &op->view[0], *d = &op->view[3];
    const float *g = (const float *)p[3] + cpu_at(d, r.n, 0);

    for (int64_t four = 0; four < d->c; four += 4) {
        const float *line[4];
        for (int64_t o = 0; o < 4; o++)
            line[o] = g + (four + o < d->c ? four + o : four) * d->block_stride;
        for (int64_t cb = 0; cb < s->blocks; cb++) {
            const int64_t at = cpu_at(s, r.n, cb);
            vf acc[4] = {v_zero(), v_zero(), v_zero(), v_zero()};
            for (int64_t v = r.first; v < r.end; v++) {
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

static void head_bias_run(const cpu_view *d, const float *dst, run r, float *sum)
{
    for (int64_t o = 0; o < d->c; o++) {
        const float *g = dst + cpu_at(d, r.n, o);
        vf s = v_zero();
        int64_t v = r.first;
        for (; v + VB <= r.end; v += VB)
            s += v_load(g + v);
        for (int lane = 0; lane < VB; lane++)
            sum[o] += s[lane];
        for (; v < r.end; v++)
            sum[o] += g[v];
    }
}

void VOLT_ISA_NAME(cpu_head_bwd_weights)(const volt_op *op, void *const *p, void *scratch)
{
    const cpu_view *s = &op->view[0], *d = &op->view[3];
    const int64_t outputs = (d->c + 3) / 4 * 4, padded = s->blocks * VB;
    const int64_t each = outputs * (padded + 1), runs = runs_of(d);
    float *sums = scratch, *dw = p[1], *db = p[2];

#pragma omp parallel for num_threads(op->spec.threads) schedule(static)
    for (int64_t k = 0; k < op->slices; k++) {
        float *sum = sums + k * each;
        memset(sum, 0, (size_t)each * sizeof *sum);
        for (int64_t i = runs * k / op->slices; i < runs * (k + 1) / op->slices; i++) {
            if (s->bf16)
                head_weights_run(op, p, run_at(d, i), sum, 1);
            else
                head_weights_run(op, p, run_at(d, i), sum, 0);
            head_bias_run(d, p[3], run_at(d, i), sum + outputs * padded);
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
