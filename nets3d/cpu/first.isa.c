/* The first convolution: few plain float32 input channels, 3x3 taps per plane.
 *
 * Input rows are copied once, with their zero padding, into a small buffer per thread, so that
 * the inner loops know no borders. */
#include <omp.h>
#include "nets3d/cpu/ends.h"
#include "nets3d/cpu/kernels.h"
#include "nets3d/cpu/simd.h"
#include "nets3d/cpu/walk.h"

#if VB == 16
#define TILE 8
#else
#define TILE 4
#endif

/* CPU_FIRST_ROWS rows of output from row `y` of plane `z` of sample `n`. */
typedef struct group {
    int64_t n, z, y, rows;
} group;

static group group_at(const cpu_view *dst, int64_t i)
{
    const int64_t per_plane = (dst->h + CPU_FIRST_ROWS - 1) / CPU_FIRST_ROWS;
    group g = {i / per_plane / dst->d, i / per_plane % dst->d, i % per_plane * CPU_FIRST_ROWS,
               0};

    g.rows = dst->h - g.y < CPU_FIRST_ROWS ? dst->h - g.y : CPU_FIRST_ROWS;
    return g;
}

/* One padded row: `pitch` floats from column -pad of `row` (NULL: a row of padding). */
static void copy_row(float *to, const float *row, int64_t w, int64_t pad, int64_t pitch)
{
    const int64_t end = pad + w < pitch ? pad + w : pitch;

    memset(to, 0, (size_t)pitch * sizeof *to);
    if (row && end > pad)
        memcpy(to + pad, row, (size_t)(end - pad) * sizeof *to);
}

/* Fills the thread's rows, (ic, kd, rows, pitch), with what the group's outputs read. */
static void stage_rows(const volt_op *op, const cpu_first *f, const float *src, group g,
                       float *stage)
{
    const cpu_view *s = &op->view[0];
    const volt_conv *c = &op->spec.conv;

    for (int64_t i = 0; i < f->ic * f->kd * f->rows; i++) {
        const int64_t ic = i / f->rows / f->kd;
        const int64_t z = g.z * c->stride[0] - c->pad_low[0] + i / f->rows % f->kd;
        const int64_t y = g.y * c->stride[1] - c->pad_low[1] + i % f->rows;
        const bool inside = z >= 0 && z < s->d && y >= 0 && y < s->h;
        copy_row(stage + i * f->pitch,
                 inside ? src + cpu_at(s, g.n, ic) + z * s->plane_stride + y * s->row_stride
                        : NULL,
                 s->w, c->pad_low[2], f->pitch);
    }
}

/* TILE outputs along w of two channel blocks. `rows` at the first tap of the first output. */
VINLINE void first_tile(const cpu_first *f, const float *rows, const float *w, int64_t sx,
                        vf acc[TILE][2])
{
    for (int64_t k = 0; k < f->ic * f->kd; k++) {
        for (int64_t ky = 0; ky < 3; ky++) {
            const float *row = rows + (k * f->rows + ky) * f->pitch;
#pragma GCC unroll 3
            for (int64_t kx = 0; kx < 3; kx++, w += 2 * VB) {
                const vf w0 = v_load(w), w1 = v_load(w + VB);
#pragma GCC unroll 8
                for (int64_t m = 0; m < TILE; m++) {
                    const vf x = v_set(row[m * sx + kx]);
                    acc[m][0] += x * w0;
                    acc[m][1] += x * w1;
                }
            }
        }
    }
}

VINLINE void first_row(const volt_op *op, const cpu_first *f, void *const *p, const float *rows,
                       int64_t at, int64_t pair, int64_t sx)
{
    const cpu_view *d = &op->view[3];
    const float *bias = p[2], *w = (const float *)p[1] + pair * f->ic * f->kd * 9 * 2 * VB;
    const int64_t halves = d->blocks - pair * 2 < 2 ? 1 : 2;
    float start[2 * VB] = {0};

    for (int64_t i = 0; bias && i < 2 * VB && pair * 2 * VB + i < d->c; i++)
        start[i] = bias[pair * 2 * VB + i];
    for (int64_t x = 0; x < d->w; x += TILE) {
        const int64_t some = d->w - x < TILE ? d->w - x : TILE;
        vf acc[TILE][2];
#pragma GCC unroll 8
        for (int m = 0; m < TILE; m++) {
            acc[m][0] = v_load(start);
            acc[m][1] = v_load(start + VB);
        }
        first_tile(f, rows + x * sx, w, sx, acc);
        for (int64_t half = 0; half < halves; half++)
            for (int64_t m = 0; m < some; m++)
                v_put(p[3], at + half * d->block_stride + (x + m) * VB, d->bf16, acc[m][half]);
    }
}

void VOLT_ISA_NAME(cpu_first_fwd)(const volt_op *op, void *const *p, void *scratch)
{
    const cpu_first f = cpu_first_of(op);
    const cpu_view *d = &op->view[3];
    const int64_t sy = op->spec.conv.stride[1], sx = op->spec.conv.stride[2];

#pragma omp parallel for num_threads(op->spec.threads) schedule(static)
    for (int64_t i = 0; i < d->n * f.groups; i++) {
        const group g = group_at(d, i);
        float *stage = (float *)scratch + (size_t)omp_get_thread_num() * f.stage_floats;
        stage_rows(op, &f, p[0], g, stage);
        for (int64_t r = 0; r < g.rows * f.pairs; r++) {
            const int64_t y = r / f.pairs, pair = r % f.pairs;
            const int64_t at =
                cpu_at(d, g.n, pair * 2) + g.z * d->plane_stride + (g.y + y) * d->row_stride;
            const float *rows = stage + y * sy * f.pitch;
            if (sx == 1)
                first_row(op, &f, p, rows, at, pair, 1);
            else
                first_row(op, &f, p, rows, at, pair, 2);
        }
    }
}

/* Adds one row of gradients: nine taps of one plane for two channel blocks, in registers. */
VINLINE void row_gradient(const cpu_view *d, const void *dst, int64_t at, int halves,
                          const float *rows, int64_t pitch, int64_t sx, float *sum)
{
    vf acc[9][2];

#pragma GCC unroll 9
    for (int k = 0; k < 9; k++) {
        acc[k][0] = v_load(sum + k * 2 * VB);
        acc[k][1] = v_load(sum + k * 2 * VB + VB);
    }
    for (int64_t x = 0; x < d->w; x++) {
        const vf g0 = v_get(dst, at + x * VB, d->bf16);
        const vf g1 =
            halves == 2 ? v_get(dst, at + d->block_stride + x * VB, d->bf16) : v_zero();
        const float *in = rows + x * sx;
#pragma GCC unroll 9
        for (int k = 0; k < 9; k++) {
            const vf v = v_set(in[k / 3 * pitch + k % 3]);
            acc[k][0] += v * g0;
            acc[k][1] += v * g1;
        }
    }
#pragma GCC unroll 9
    for (int k = 0; k < 9; k++) {
        v_store(sum + k * 2 * VB, acc[k][0]);
        v_store(sum + k * 2 * VB + VB, acc[k][1]);
    }
}

static void bias_gradient(const cpu_view *d, const void *dst, int64_t at, int64_t halves,
                          float *sum)
{
    for (int64_t half = 0; half < halves; half++) {
        vf s = v_load(sum + half * VB);
        for (int64_t x = 0; x < d->w; x++)
            s += v_get(dst, at + half * d->block_stride + x * VB, d->bf16);
        v_store(sum + half * VB, s);
    }
}

/* Adds a group of rows to a slice's sums: (pairs, ic*kd*9, 2, VB), then bias (pairs, 2, VB). */
static void group_gradient(const volt_op *op, const cpu_first *f, void *const *p, group g,
                           const float *stage, float *sum)
{
    const cpu_view *d = &op->view[3];
    const int64_t sy = op->spec.conv.stride[1], sx = op->spec.conv.stride[2];
    const int64_t planes = f->ic * f->kd;
    float *bias = sum + f->pairs * planes * 9 * 2 * VB;

    for (int64_t pair = 0; pair < f->pairs; pair++) {
        const int halves = d->blocks - pair * 2 < 2 ? 1 : 2;
        for (int64_t y = 0; y < g.rows; y++) {
            const int64_t at =
                cpu_at(d, g.n, pair * 2) + g.z * d->plane_stride + (g.y + y) * d->row_stride;
            bias_gradient(d, p[3], at, halves, bias + pair * 2 * VB);
            for (int64_t k = 0; k < planes; k++)
                row_gradient(d, p[3], at, halves, stage + (k * f->rows + y * sy) * f->pitch,
                             f->pitch, sx, sum + (pair * planes + k) * 9 * 2 * VB);
        }
    }
}

/* Adds the slices in order and writes plain (oc, ic, kd, kh, kw) and (oc). */
static void write_gradient(const volt_op *op, const cpu_first *f, const float *sums, float *dw,
                           float *db)
{
    const int64_t taps = f->ic * f->kd * 9, each = f->pairs * 2 * VB * (taps + 1);

    for (int64_t o = 0; o < op->view[3].c; o++) {
        const int64_t pair = o / (2 * VB), lane = o % (2 * VB);
        for (int64_t k = 0; k <= taps; k++) {
            const int64_t at = k < taps ? (pair * taps + k) * 2 * VB + lane
                                        : (f->pairs * taps + pair) * 2 * VB + lane;
            double total = 0;
            for (int64_t s = 0; s < op->slices; s++)
                total += sums[s * each + at];
            if (k < taps)
                dw[o * taps + k] = (float)total;
            else if (db)
                db[o] = (float)total;
        }
    }
}

void VOLT_ISA_NAME(cpu_first_bwd_weights)(const volt_op *op, void *const *p, void *scratch)
{
    const cpu_first f = cpu_first_of(op);
    const cpu_view *d = &op->view[3];
    const int64_t groups = d->n * f.groups;
    const int64_t each = f.pairs * 2 * VB * (f.ic * f.kd * 9 + 1);
    float *sums = (float *)scratch + (size_t)op->spec.threads * f.stage_floats;

#pragma omp parallel for num_threads(op->spec.threads) schedule(static)
    for (int64_t s = 0; s < op->slices; s++) {
        float *stage = (float *)scratch + (size_t)omp_get_thread_num() * f.stage_floats;
        memset(sums + s * each, 0, (size_t)each * sizeof *sums);
        for (int64_t i = groups * s / op->slices; i < groups * (s + 1) / op->slices; i++) {
            const group g = group_at(d, i);
            stage_rows(op, &f, p[0], g, stage);
            group_gradient(op, &f, p, g, stage, sums + s * each);
        }
    }
    write_gradient(op, &f, sums, p[1], p[2]);
}
