/* The arithmetic of winograd.h. The one-dimensional transforms of F(2,3) are
 *   inputs   B^T: 4 -> 4   x0-x2, x1+x2, x2-x1, x1-x3
 *   filter   G:   3 -> 4   g0, (g0+g1+g2)/2, (g0-g1+g2)/2, g2
 *   outputs  A^T: 4 -> 2   m0+m1+m2, m1-m2-m3
 * and, for the weight gradient, A: 2 -> 4 and G^T: 4 -> 3. In 3-D each is applied per axis.
 */
#include "base/core/isa.h"
#include "nets3d/cpu/simd.h"
#include "nets3d/cpu/winograd_internal.h"

#if defined(__AVX512F__)
#define ROW_GROUP  12 /* 24 accumulators of 32 registers */
#define GRAD_GROUP 8
#elif defined(__AVX2__)
#define ROW_GROUP  6 /* 12 accumulators of 16 registers */
#define GRAD_GROUP 4
#else
#define ROW_GROUP  2 /* a vector is two registers */
#define GRAD_GROUP 2
#endif
#define PIECE 12 /* tiles along w whose columns fit the first cache */

VINLINE void input_1d(vf *a, vf *b, vf *c, vf *d)
{
    const vf x0 = *a, x1 = *b, x2 = *c, x3 = *d;
    *a = x0 - x2;
    *b = x1 + x2;
    *c = x2 - x1;
    *d = x1 - x3;
}

/* Where tile `index` starts: sample and d, h, w in tiles. */
VINLINE void tile_position(int64_t at[4], const winograd_tiling *t, int64_t index)
{
    at[3] = index % t->count[2];
    index /= t->count[2];
    at[2] = index % t->count[1];
    index /= t->count[1];
    at[1] = index % t->count[0];
    at[0] = index / t->count[0];
}

/* Position of tile `first` and how many of the `left` tiles from there share its row, at most
 * PIECE. */
VINLINE int64_t next_piece(int64_t at[4], const winograd_tiling *t, int64_t first, int64_t left)
{
    int64_t piece;

    tile_position(at, t, first);
    piece = t->count[2] - at[3];
    piece = piece < PIECE ? piece : PIECE;
    return piece < left ? piece : left;
}

/* Of a piece of tiles in a row, after the transforms along d and h: [4*d + h][column along w],
 * two columns per tile and, for inputs, two more. */
typedef struct columns {
    float at[16][2 * PIECE + 2][VB] __attribute__((aligned(64)));
} columns;

/* The d and h transforms of one column of 4x4 voxels; `line` holds the offsets of its 16 lines,
 * -1 outside the volume. */
VINLINE void transform_column(columns *to, int64_t column, const void *data,
                              const int64_t line[16], int64_t w, bool inside, bool bf16)
{
    vf x[16];

    for (int i = 0; i < 16; i++) {
        if (inside && line[i] >= 0)
            x[i] = v_get(data, line[i] + w * VB, bf16);
        else
            x[i] = (vf){0};
    }
    for (int d = 0; d < 4; d++)
        input_1d(&x[4 * d], &x[4 * d + 1], &x[4 * d + 2], &x[4 * d + 3]);
    for (int h = 0; h < 4; h++)
        input_1d(&x[h], &x[4 + h], &x[8 + h], &x[12 + h]);
    for (int i = 0; i < 16; i++)
        v_store(to->at[i][column], x[i]);
}

/* `tiles` tiles of one row (same sample, d and h), one channel block, into rows from `v`. Point
 * by point, so that few lines are written at a time. */
VINLINE void transform_piece(float *v, int64_t point_stride, int64_t row_stride,
                             const void *data, const int64_t line[16], int64_t w_low,
                             int64_t w_extent, int64_t tiles, bool bf16)
{
    columns c;

    for (int64_t i = 0; i < 2 * tiles + 2; i++) {
        const int64_t w = w_low + i;
        transform_column(&c, i, data, line, w, w >= 0 && w < w_extent, bf16);
    }
    for (int q = 0; q < 16; q++, v += 4 * point_stride) {
        for (int64_t t = 0; t < tiles; t++) {
            float *to = v + t * row_stride;
            vf a = v_load(c.at[q][2 * t]), b = v_load(c.at[q][2 * t + 1]);
            vf e = v_load(c.at[q][2 * t + 2]), f = v_load(c.at[q][2 * t + 3]);
            input_1d(&a, &b, &e, &f);
            v_store(to, a);
            v_store(to + point_stride, b);
            v_store(to + 2 * point_stride, e);
            v_store(to + 3 * point_stride, f);
        }
    }
}

/* ROW_GROUP rows times N vectors of output channels. */
VINLINE void product(float *m, int64_t m_row, const float *v, int64_t ic, const float *u,
                     const int vectors)
{
    const int64_t v_row = winograd_row_stride(ic);
    vf sum[ROW_GROUP][2];

    for (int r = 0; r < ROW_GROUP; r++)
        sum[r][0] = sum[r][1] = (vf){0};
    for (int64_t k = 0; k < ic; k++, u += vectors * VB) {
        const vf u0 = v_load(u), u1 = vectors == 2 ? v_load(u + VB) : u0;
#pragma GCC unroll 12
        for (int r = 0; r < ROW_GROUP; r++) {
            const float x = v[r * v_row + k];
            sum[r][0] += x * u0;
            if (vectors == 2)
                sum[r][1] += x * u1;
        }
    }
    for (int r = 0; r < ROW_GROUP; r++) {
        v_store(m + r * m_row, sum[r][0]);
        if (vectors == 2)
            v_store(m + r * m_row + VB, sum[r][1]);
    }
}

static void multiply(float *m, const float *v, const float *u, int64_t rows, int64_t ic,
                     int64_t oc)
{
    const int64_t v_row = winograd_row_stride(ic), m_row = winograd_row_stride(oc);
    int64_t o = 0;

    for (; o + 2 * VB <= oc; o += 2 * VB) {
        for (int64_t r = 0; r < rows; r += ROW_GROUP)
            product(m + r * m_row + o, m_row, v + r * v_row, ic, u + o * ic, 2);
    }
    if (o < oc) {
        for (int64_t r = 0; r < rows; r += ROW_GROUP)
            product(m + r * m_row + o, m_row, v + r * v_row, ic, u + o * ic, 1);
    }
}

/* A^T along w and h of the four points d = `d`; y[2*h + w]. */
VINLINE void output_plane(vf y[4], const float *m, int64_t stride, int d)
{
    vf x[4][2];

    for (int h = 0; h < 4; h++) {
        const float *p = m + (16 * d + 4 * h) * stride;
        const vf m0 = v_load(p), m1 = v_load(p + stride), m2 = v_load(p + 2 * stride),
                 m3 = v_load(p + 3 * stride);
        x[h][0] = m0 + m1 + m2;
        x[h][1] = m1 - m2 - m3;
    }
    for (int w = 0; w < 2; w++) {
        y[w] = x[0][w] + x[1][w] + x[2][w];
        y[2 + w] = x[1][w] - x[2][w] - x[3][w];
    }
}

VINLINE void output_tile(const volt_winograd_tensor *dst, int64_t origin, const int64_t at[4],
                         const float *m, int64_t stride, vf bias, bool bf16)
{
    const int64_t *n = dst->extent;
    vf y[2][4], plane[4];

    output_plane(y[0], m, stride, 0);
    output_plane(plane, m, stride, 1);
    for (int i = 0; i < 4; i++) {
        y[0][i] += plane[i];
        y[1][i] = plane[i];
    }
    output_plane(plane, m, stride, 2);
    for (int i = 0; i < 4; i++) {
        y[0][i] += plane[i];
        y[1][i] -= plane[i];
    }
    output_plane(plane, m, stride, 3);
    for (int i = 0; i < 4; i++)
        y[1][i] -= plane[i];
    for (int i = 0; i < 8; i++) {
        const int64_t d = 2 * at[1] + i / 4, h = 2 * at[2] + i / 2 % 2, w = 2 * at[3] + i % 2;
        if (d < n[0] && h < n[1] && w < n[2])
            v_put(dst->data, origin + d * dst->plane_stride + h * dst->row_stride + w * VB,
                  bf16, y[i / 4][i % 4] + bias);
    }
}

VINLINE void output_rows(const volt_winograd_tensor *dst, const volt_winograd_shape *s,
                         const float *m, const float *bias, const winograd_rows *r, bool bf16)
{
    const int64_t stride = winograd_point_stride(r->rows, s->oc);
    const int64_t row_stride = winograd_row_stride(s->oc);

    for (int64_t i = 0; i < r->count; i++) {
        int64_t at[4];
        tile_position(at, r->tiling, r->first + i);
        for (int64_t o = 0; o < s->oc; o += VB) {
            const int64_t origin = at[0] * dst->sample_stride + o / VB * dst->block_stride;
            output_tile(dst, origin, at, m + (r->row + i) * row_stride + o, stride,
                        bias ? v_load(bias + o) : (vf){0}, bf16);
        }
    }
}

static void transform_output(const volt_winograd_tensor *dst, const volt_winograd_shape *s,
                             const float *m, const float *bias, const winograd_rows *r)
{
    if (dst->bf16)
        output_rows(dst, s, m, bias, r, true);
    else
        output_rows(dst, s, m, bias, r, false);
}

/* A: 2 -> 4 along an axis. */
VINLINE void spread(vf to[4], vf a, vf b)
{
    to[0] = a;
    to[1] = a + b;
    to[2] = a - b;
    to[3] = -b;
}

/* A along d and h of one column of 2x2 voxels y[2*d + h]. */
VINLINE void gradient_column(columns *to, int64_t column, const vf y[4])
{
    vf a[2][4]; /* [h][d] */

    spread(a[0], y[0], y[2]);
    spread(a[1], y[1], y[3]);
    for (int d = 0; d < 4; d++) {
        vf b[4];
        spread(b, a[0][d], a[1][d]);
        for (int h = 0; h < 4; h++)
            v_store(to->at[4 * d + h][column], b[h]);
    }
}

VINLINE void gradient_piece(float *to, int64_t point_stride, int64_t row_stride,
                            const void *data, const int64_t line[4], int64_t w_low,
                            int64_t w_extent, int64_t tiles, bool bf16)
{
    columns c;

    for (int64_t i = 0; i < 2 * tiles; i++) {
        vf y[4];
        for (int l = 0; l < 4; l++) {
            if (line[l] >= 0 && w_low + i < w_extent)
                y[l] = v_get(data, line[l] + (w_low + i) * VB, bf16);
            else
                y[l] = (vf){0};
        }
        gradient_column(&c, i, y);
    }
    for (int q = 0; q < 16; q++, to += 4 * point_stride) {
        for (int64_t t = 0; t < tiles; t++) {
            vf x[4];
            spread(x, v_load(c.at[q][2 * t]), v_load(c.at[q][2 * t + 1]));
            for (int w = 0; w < 4; w++)
                v_store(to + t * row_stride + w * point_stride, x[w]);
        }
    }
}

/* The rows of `to` from a tensor: its inputs, whose tiles are 4 voxels wide and overlap, or its
 * output's gradient, whose tiles are 2 wide. */
VINLINE void transform_rows(float *to, const volt_winograd_shape *s,
                            const volt_winograd_tensor *src, const winograd_rows *r,
                            const int edge, bool bf16)
{
    const int64_t *n = src->extent, channels = edge == 4 ? s->ic : s->oc;
    const int64_t stride = winograd_point_stride(r->rows, channels);
    const int64_t row_stride = winograd_row_stride(channels);
    int64_t pad[3] = {0, 0, 0}, tile = r->first, left = r->count, row = r->row;

    for (int i = 0; i < 3 && edge == 4; i++)
        pad[i] = s->pad_low[i];
    while (left > 0) {
        int64_t at[4], line[16], piece;
        piece = next_piece(at, r->tiling, tile, left);
        for (int i = 0; i < edge * edge; i++) {
            const int64_t d = 2 * at[1] + i / edge - pad[0], h = 2 * at[2] + i % edge - pad[1];
            const bool inside = d >= 0 && d < n[0] && h >= 0 && h < n[1];
            line[i] = inside ? at[0] * src->sample_stride + d * src->plane_stride +
                                   h * src->row_stride
                             : -1;
        }
        for (int64_t c = 0; c < channels; c += VB) {
            float *first = to + row * row_stride + c;
            if (edge == 4)
                transform_piece(first, stride, row_stride, src->data, line, 2 * at[3] - pad[2],
                                n[2], piece, bf16);
            else
                gradient_piece(first, stride, row_stride, src->data, line, 2 * at[3], n[2],
                               piece, bf16);
            for (int i = 0; i < edge * edge; i++)
                line[i] += line[i] >= 0 ? src->block_stride : 0;
        }
        tile += piece;
        left -= piece;
        row += piece;
    }
}

static void transform_input(float *v, const volt_winograd_shape *s,
                            const volt_winograd_tensor *src, const winograd_rows *r)
{
    if (src->bf16)
        transform_rows(v, s, src, r, 4, true);
    else
        transform_rows(v, s, src, r, 4, false);
}

static void transform_gradient(float *d, const volt_winograd_shape *s,
                               const volt_winograd_tensor *diff_dst, const winograd_rows *r)
{
    if (diff_dst->bf16)
        transform_rows(d, s, diff_dst, r, 2, true);
    else
        transform_rows(d, s, diff_dst, r, 2, false);
}

VINLINE void outer_product(float *du, int64_t oc, const float *v, int64_t ic, const float *d,
                           int64_t rows, const int vectors, bool fresh)
{
    const int64_t v_row = winograd_row_stride(ic), d_row = winograd_row_stride(oc);
    vf sum[GRAD_GROUP][2];

    for (int i = 0; i < GRAD_GROUP; i++) {
        sum[i][0] = fresh ? (vf){0} : v_load(du + i * oc);
        sum[i][1] = fresh || vectors == 1 ? (vf){0} : v_load(du + i * oc + VB);
    }
    for (int64_t r = 0; r < rows; r++, v += v_row, d += d_row) {
        const vf d0 = v_load(d), d1 = vectors == 2 ? v_load(d + VB) : d0;
#pragma GCC unroll 8
        for (int i = 0; i < GRAD_GROUP; i++) {
            sum[i][0] += v[i] * d0;
            if (vectors == 2)
                sum[i][1] += v[i] * d1;
        }
    }
    for (int i = 0; i < GRAD_GROUP; i++) {
        v_store(du + i * oc, sum[i][0]);
        if (vectors == 2)
            v_store(du + i * oc + VB, sum[i][1]);
    }
}

static void accumulate(float *du, const float *v, const float *d, int64_t rows, int64_t ic,
                       int64_t oc, bool fresh)
{
    int64_t o = 0;

    for (; o + 2 * VB <= oc; o += 2 * VB) {
        for (int64_t i = 0; i < ic; i += GRAD_GROUP)
            outer_product(du + i * oc + o, oc, v + i, ic, d + o, rows, 2, fresh);
    }
    if (o < oc) {
        for (int64_t i = 0; i < ic; i += GRAD_GROUP)
            outer_product(du + i * oc + o, oc, v + i, ic, d + o, rows, 1, fresh);
    }
}

/* G along three axes: g[27] -> u[64]. */
VINLINE void filter_3d(vf u[64], const vf g[27])
{
    vf a[4][9], b[4][4][3];

    for (int i = 0; i < 9; i++) {
        const vf sum = (g[i] + g[18 + i]) * 0.5f, middle = g[9 + i] * 0.5f;
        a[0][i] = g[i];
        a[1][i] = sum + middle;
        a[2][i] = sum - middle;
        a[3][i] = g[18 + i];
    }
    for (int d = 0; d < 4; d++) {
        for (int i = 0; i < 3; i++) {
            const vf sum = (a[d][i] + a[d][6 + i]) * 0.5f, middle = a[d][3 + i] * 0.5f;
            b[d][0][i] = a[d][i];
            b[d][1][i] = sum + middle;
            b[d][2][i] = sum - middle;
            b[d][3][i] = a[d][6 + i];
        }
    }
    for (int q = 0; q < 16; q++) {
        const vf *x = b[q / 4][q % 4];
        const vf sum = (x[0] + x[2]) * 0.5f, middle = x[1] * 0.5f;
        u[4 * q] = x[0];
        u[4 * q + 1] = sum + middle;
        u[4 * q + 2] = sum - middle;
        u[4 * q + 3] = x[2];
    }
}

/* Weights of VB outputs from `o` and input `i`, 27 taps; zero beyond the real channels. */
static void gather_filter(vf g[27], const float *weights, int64_t oc_real, int64_t ic_real,
                          int64_t o, int64_t i, bool backward)
{
    const int64_t outs = backward ? ic_real : oc_real, ins = backward ? oc_real : ic_real;
    float lanes[27][VB];

    memset(lanes, 0, sizeof lanes);
    for (int64_t l = 0; i < ins && l < VB && o + l < outs; l++) {
        const float *w = backward ? weights + (i * ic_real + o + l) * 27
                                  : weights + ((o + l) * ic_real + i) * 27;
        for (int k = 0; k < 27; k++)
            lanes[k][l] = w[backward ? 26 - k : k];
    }
    for (int k = 0; k < 27; k++)
        g[k] = v_load(lanes[k]);
}

/* Packed order: point, group of 2 VB outputs (the last may be VB wide), input, output. */
static void pack(float *packed, const volt_winograd_shape *s, const float *weights,
                 int64_t oc_real, int64_t ic_real, bool backward)
{
    const int64_t vectors = s->oc / VB;

#pragma omp parallel for num_threads(s->threads) schedule(static)
    for (int64_t o = 0; o < vectors; o++) {
        const bool wide = o / 2 * 2 + 1 < vectors;
        const int64_t width = wide ? 2 * VB : VB;
        float *to = packed + o / 2 * 2 * VB * s->ic + (wide ? o % 2 * VB : 0);
        for (int64_t i = 0; i < s->ic; i++) {
            vf g[27], u[64];
            gather_filter(g, weights, oc_real, ic_real, o * VB, i, backward);
            filter_3d(u, g);
            for (int f = 0; f < WINOGRAD_POINTS; f++)
                v_store(to + f * s->ic * s->oc + i * width, u[f]);
        }
    }
}

/* G^T: 4 -> 3 along an axis. */
VINLINE void gather_taps(vf to[3], vf a, vf b, vf c, vf d)
{
    const vf sum = (b + c) * 0.5f;

    to[0] = a + sum;
    to[1] = (b - c) * 0.5f;
    to[2] = sum + d;
}

static void unpack(float *diff_weights, const float *du, const volt_winograd_shape *s,
                   int64_t oc_real, int64_t ic_real, int64_t ic)
{
    const int64_t stride = s->ic * s->oc;

    for (int64_t o = 0; o < s->oc; o += VB) {
        vf a[3][16], b[3][3][4], taps[3];
        const float *p = du + ic * s->oc + o;
        for (int q = 0; q < 16; q++) {
            vf t[3];
            gather_taps(t, v_load(p + q * stride), v_load(p + (16 + q) * stride),
                        v_load(p + (32 + q) * stride), v_load(p + (48 + q) * stride));
            for (int d = 0; d < 3; d++)
                a[d][q] = t[d];
        }
        for (int i = 0; i < 12; i++) {
            vf t[3];
            const vf *x = &a[i / 4][i % 4];
            gather_taps(t, x[0], x[4], x[8], x[12]);
            for (int h = 0; h < 3; h++)
                b[i / 4][h][i % 4] = t[h];
        }
        for (int i = 0; i < 9; i++) {
            const vf *x = b[i / 3][i % 3];
            gather_taps(taps, x[0], x[1], x[2], x[3]);
            for (int64_t l = 0; l < VB && o + l < oc_real; l++) {
                for (int w = 0; w < 3; w++)
                    diff_weights[((o + l) * ic_real + ic) * 27 + 3 * i + w] = taps[w][l];
            }
        }
    }
}

const winograd_kernels *VOLT_ISA_NAME(volt_winograd_kernels)(void)
{
    static const winograd_kernels kernels = {
        .block = VB,
        .pack = pack,
        .transform_input = transform_input,
        .multiply = multiply,
        .transform_output = transform_output,
        .transform_gradient = transform_gradient,
        .accumulate = accumulate,
        .unpack = unpack,
    };
    return &kernels;
}
