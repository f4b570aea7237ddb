#include "nets3d/cpu/tconv.h"

#include "nets3d/cpu/kernels.h"
#include "nets3d/cpu/simd.h"
#include "nets3d/cpu/walk.h"

/* Voxels times two vectors that fit the registers. */
#if VB == 16
#define TILE 14
#else
#define TILE 6
#endif
#define TILES 4 /* of one task */

/* out[m][h] = sum over segments s and lanes k of a[m][segment[s] + k] * w[s][k][h]. Offsets in
 * bytes. */
static void product_f32(const char *const a[TILE], const int64_t *segment, int64_t segments,
                        const void *weights, vf out[TILE][2])
{
    const float *w = weights;
    vf acc[TILE][2];

#pragma GCC unroll 14
    for (int m = 0; m < TILE; m++)
        acc[m][0] = acc[m][1] = v_zero();
    for (int64_t s = 0; s < segments; s++) {
        const float *x[TILE];
#pragma GCC unroll 14
        for (int m = 0; m < TILE; m++)
            x[m] = (const float *)(const void *)(a[m] + segment[s]);
        for (int k = 0; k < VB; k++, w += 2 * VB) {
            const vf w0 = v_load(w), w1 = v_load(w + VB);
#pragma GCC unroll 14
            for (int m = 0; m < TILE; m++) {
                const vf v = v_set(x[m][k]);
                acc[m][0] += v * w0;
                acc[m][1] += v * w1;
            }
        }
    }
    memcpy(out, acc, sizeof acc);
}

#if VB == 16
/* The same for bf16, two lanes of a segment at a time. */
__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16"))) static void
product_bf16(const char *const a[TILE], const int64_t *segment, int64_t segments,
             const void *weights, vf out[TILE][2])
{
    const uint16_t *w = weights;
    __m512 acc[TILE][2];

#pragma GCC unroll 14
    for (int m = 0; m < TILE; m++)
        acc[m][0] = acc[m][1] = _mm512_setzero_ps();
    for (int64_t s = 0; s < segments; s++) {
        const int32_t *x[TILE];
#pragma GCC unroll 14
        for (int m = 0; m < TILE; m++)
            x[m] = (const int32_t *)(const void *)(a[m] + segment[s]);
        for (int k = 0; k < VB / 2; k++, w += 4 * VB) {
            const __m512bh w0 = (__m512bh)_mm512_loadu_si512(w);
            const __m512bh w1 = (__m512bh)_mm512_loadu_si512(w + 2 * VB);
#pragma GCC unroll 14
            for (int m = 0; m < TILE; m++) {
                const __m512bh v = (__m512bh)_mm512_set1_epi32(x[m][k]);
                acc[m][0] = _mm512_dpbf16_ps(acc[m][0], v, w0);
                acc[m][1] = _mm512_dpbf16_ps(acc[m][1], v, w1);
            }
        }
    }
    memcpy(out, acc, sizeof acc);
}
#else
/* Only reached where bf16 products exist; this instruction set has none. */
static void product_bf16(const char *const a[TILE], const int64_t *segment, int64_t segments,
                         const void *weights, vf out[TILE][2])
{
    const uint16_t *w = weights;

    memset(out, 0, TILE * sizeof *out);
    for (int64_t s = 0; s < segments; s++, w += 2 * VB * VB)
        for (int m = 0; m < TILE; m++)
            for (int i = 0; i < 2 * VB * VB; i++) {
                const int64_t k = i / (4 * VB) * 2 + i % 2, half = i / (2 * VB) % 2;
                const uint16_t *x = (const uint16_t *)(const void *)(a[m] + segment[s]);
                const uint32_t u = (uint32_t)x[k] << 16, t = (uint32_t)w[i] << 16;
                float left, right;
                memcpy(&left, &u, sizeof u);
                memcpy(&right, &t, sizeof t);
                out[m][half][i / 2 % VB] += left * right;
            }
}
#endif

/* First element of the outputs of coarse voxel `v`, in its channel block. */
static inline int64_t fine_of(const cpu_tconv *t, int64_t v)
{
    const int64_t x = v % t->in.w, y = v / t->in.w % t->in.h, z = v / t->in.w / t->in.h;

    return z * t->stride[0] * t->out.plane_stride + y * t->stride[1] * t->out.row_stride +
           x * t->stride[2] * VB;
}

/* Up to TILE coarse voxels of one sample: where their factors and results lie. */
typedef struct tile {
    const char *from[TILE];
    int64_t to[TILE];
    int64_t some;
} tile;

static tile tile_at(const cpu_tconv *t, const void *factors, int64_t n, int64_t first,
                    int64_t end, bool data)
{
    const int64_t size = t->in.bf16 ? 2 : 4;
    tile l;

    l.some = end - first < TILE ? end - first : TILE;
    for (int64_t m = 0; m < TILE; m++) {
        const int64_t v = first + (m < l.some ? m : l.some - 1);
        const int64_t coarse = cpu_at(&t->in, n, 0) + cpu_voxel(&t->in, v, VB);
        const int64_t fine = cpu_at(&t->out, n, 0) + fine_of(t, v);
        l.from[m] = (const char *)factors + (data ? fine : coarse) * size;
        l.to[m] = data ? coarse : fine;
    }
    return l;
}

/* Bias of vector `v` (forward). */
static vf bias_of(const cpu_tconv *t, const float *bias, int64_t v)
{
    const int64_t first = v % t->oc_blocks * VB;
    float lane[VB] = {0};

    for (int64_t i = 0; bias && i < VB && first + i < t->out.c; i++)
        lane[i] = bias[first + i];
    return v_load(lane);
}

/* Where vector `v` of a voxel's results lies, from the voxel's first one. */
static int64_t result_of(const cpu_tconv *t, int64_t v, bool data)
{
    return data ? v * t->in.block_stride
                : v % t->oc_blocks * t->out.block_stride +
                      cpu_tconv_tap(t, VB, v / t->oc_blocks);
}

static void store_pair(const cpu_tconv *t, const tile *l, vf acc[TILE][2], int64_t pair,
                       const float *bias, bool data, void *results)
{
    for (int half = 0; half < 2 && pair * 2 + half < t->vectors; half++) {
        const int64_t v = pair * 2 + half, at = result_of(t, v, data);
        const vf b = data ? v_zero() : bias_of(t, bias, v);
        for (int64_t m = 0; m < l->some; m++)
            v_put(results, l->to[m] + at, t->in.bf16, acc[m][half] + b);
    }
}

/* TILES tiles of sample `n` from voxel `first`: all their results, weights read once. */
static void run_task(const volt_op *op, const cpu_tconv *t, void *const *p,
                     const int64_t *segment, int64_t n, int64_t first)
{
    const bool data = op->spec.kind == VOLT_OP_TCONV_BWD_DATA;
    const void *factors = data ? p[2] : p[0];
    const size_t each = (size_t)(t->segments * 2 * VB * VB) * (t->in.bf16 ? 2 : 4);
    tile l[TILES];
    int tiles = 0;

    for (int64_t v = first; v < t->in.voxels && tiles < TILES; v += TILE)
        l[tiles++] = tile_at(t, factors, n, v, t->in.voxels, data);
    for (int64_t pair = 0; pair < (t->vectors + 1) / 2; pair++) {
        const char *w = (const char *)p[1] + (size_t)pair * each;
        for (int k = 0; k < tiles; k++) {
            vf acc[TILE][2];
            if (t->in.bf16)
                product_bf16(l[k].from, segment, t->segments, w, acc);
            else
                product_f32(l[k].from, segment, t->segments, w, acc);
            store_pair(t, &l[k], acc, pair, data ? NULL : p[2], data, data ? p[0] : p[3]);
        }
    }
}

static void run_product(const volt_op *op, void *const *p, void *scratch)
{
    const cpu_tconv t = cpu_tconv_of(op);
    const bool data = op->spec.kind == VOLT_OP_TCONV_BWD_DATA;
    const int64_t tasks = (t.in.voxels + TILES * TILE - 1) / (TILES * TILE);
    int64_t *segment = scratch;

    for (int64_t s = 0; s < t.segments; s++)
        segment[s] = (t.in.bf16 ? 2 : 4) * (data ? cpu_tconv_tap(&t, VB, s / t.oc_blocks) +
                                                       s % t.oc_blocks * t.out.block_stride
                                                 : s * t.in.block_stride);
#pragma omp parallel for num_threads(op->spec.threads) schedule(static)
    for (int64_t i = 0; i < t.in.n * tasks; i++)
        run_task(op, &t, p, segment, i / tasks, i % tasks * TILES * TILE);
}

void VOLT_ISA_NAME(cpu_tconv_fwd)(const volt_op *op, void *const *p, void *scratch)
{
    run_product(op, p, scratch);
}

void VOLT_ISA_NAME(cpu_tconv_bwd_data)(const volt_op *op, void *const *p, void *scratch)
{
    run_product(op, p, scratch);
}

#define RUN 128 /* coarse voxels whose inputs and outputs stay in the L2 cache */

/* Coarse voxels of one sample: inputs of one channel block as float, places of the outputs. */
typedef struct chunk {
    int64_t n, count;
    int64_t fine[RUN];
    float x[RUN][VB] __attribute__((aligned(64)));
} chunk;

static void load_chunk(const cpu_tconv *t, const void *src, int64_t cb, int64_t n,
                       int64_t first, int64_t count, chunk *c)
{
    const int64_t at = cpu_at(&t->in, n, cb);

    c->n = n;
    c->count = count;
    for (int64_t v = 0; v < count; v++) {
        c->fine[v] = cpu_at(&t->out, n, 0) + fine_of(t, first + v);
        v_store(c->x[v], v_get(src, at + cpu_voxel(&t->in, first + v, VB), t->in.bf16));
    }
}

/* sum[i] += x[v][i] * g[v] over the chunk, for one tap and output block. */
VINLINE void add_outer(const chunk *c, const void *dst, int64_t at, int bf16, float *sum)
{
    vf acc[VB];

#pragma GCC unroll 16
    for (int i = 0; i < VB; i++)
        acc[i] = v_load(sum + i * VB);
    for (int64_t v = 0; v < c->count; v++) {
        const vf g = v_get(dst, c->fine[v] + at, bf16);
#pragma GCC unroll 16
        for (int i = 0; i < VB; i++)
            acc[i] += v_set(c->x[v][i]) * g;
    }
#pragma GCC unroll 16
    for (int i = 0; i < VB; i++)
        v_store(sum + i * VB, acc[i]);
}

static void add_bias(const cpu_tconv *t, const chunk *c, const void *dst, float *sum)
{
    for (int64_t ob = 0; ob < t->oc_blocks; ob++) {
        vf s = v_load(sum + ob * VB);
        for (int64_t tap = 0; tap < t->taps; tap++) {
            const int64_t at = ob * t->out.block_stride + cpu_tconv_tap(t, VB, tap);
            for (int64_t v = 0; v < c->count; v++)
                s += v_get(dst, c->fine[v] + at, t->out.bf16);
        }
        v_store(sum + ob * VB, s);
    }
}

/* The gradients (taps, oc blocks, VB, VB) of input block `cb` from a slice of all voxels. */
static void slice_gradient(const volt_op *op, const cpu_tconv *t, void *const *p, int64_t cb,
                           int64_t slice, float *sum, float *bias)
{
    const int64_t runs = (t->in.voxels + RUN - 1) / RUN, all = runs * t->in.n;
    chunk c;

    memset(sum, 0, (size_t)(t->taps * t->oc_blocks * VB * VB) * sizeof *sum);
    if (bias)
        memset(bias, 0, (size_t)(t->oc_blocks * VB) * sizeof *bias);
    for (int64_t r = all * slice / op->slices; r < all * (slice + 1) / op->slices; r++) {
        const int64_t first = r % runs * RUN, left = t->in.voxels - first;
        load_chunk(t, p[0], cb, r / runs, first, left < RUN ? left : RUN, &c);
        for (int64_t k = 0; k < t->taps * t->oc_blocks; k++) {
            const int64_t at =
                k % t->oc_blocks * t->out.block_stride + cpu_tconv_tap(t, VB, k / t->oc_blocks);
            if (t->out.bf16)
                add_outer(&c, p[3], at, 1, sum + k * VB * VB);
            else
                add_outer(&c, p[3], at, 0, sum + k * VB * VB);
        }
        if (bias)
            add_bias(t, &c, p[3], bias);
    }
}

/* Adds the slices in order; writes plain (ic, oc, taps). */
static void write_gradient(const volt_op *op, const cpu_tconv *t, const float *sums, float *dw)
{
    const int64_t per_block = t->taps * t->oc_blocks * VB * VB;

#pragma omp parallel for num_threads(op->spec.threads) schedule(static)
    for (int64_t ic = 0; ic < t->in.c; ic++) {
        for (int64_t oc = 0; oc < t->out.c; oc++) {
            for (int64_t tap = 0; tap < t->taps; tap++) {
                const int64_t at = ic / VB * per_block +
                                   ((tap * t->oc_blocks + oc / VB) * VB + ic % VB) * VB +
                                   oc % VB;
                float total = 0;
                for (int64_t s = 0; s < op->slices; s++)
                    total += sums[s * t->ic_blocks * per_block + at];
                dw[(ic * t->out.c + oc) * t->taps + tap] = total;
            }
        }
    }
}

void VOLT_ISA_NAME(cpu_tconv_bwd_weights)(const volt_op *op, void *const *p, void *scratch)
{
    const cpu_tconv t = cpu_tconv_of(op);
    const int64_t per_block = t.taps * t.oc_blocks * VB * VB;
    float *sums = scratch, *biases = sums + op->slices * t.ic_blocks * per_block, *db = p[2];

#pragma omp parallel for num_threads(op->spec.threads) schedule(static)
    for (int64_t i = 0; i < op->slices * t.ic_blocks; i++) {
        const int64_t slice = i / t.ic_blocks, cb = i % t.ic_blocks;
        slice_gradient(op, &t, p, cb, slice, sums + i * per_block,
                       db && cb == 0 ? biases + slice * t.oc_blocks * VB : NULL);
    }
    write_gradient(op, &t, sums, p[1]);
    for (int64_t oc = 0; db && oc < t.out.c; oc++) {
        double total = 0;
        for (int64_t s = 0; s < op->slices; s++)
            total += biases[s * t.oc_blocks * VB + oc];
        db[oc] = (float)total;
    }
}
