/* Pooling and upsampling. All walk rows of output (forward) or input (backward), a channel
 * block at a time. Pooling windows do not reach outside (no padding). */
#include "nets3d/cpu/kernels.h"
#include "nets3d/cpu/simd.h"
#include "nets3d/cpu/walk.h"

/* Row (y) of plane (z) of a channel block. */
typedef struct row {
    int64_t n, cb, z, y;
} row;

static inline row row_at(const cpu_view *v, int64_t i)
{
    row r;

    r.y = i % v->h;
    r.z = i / v->h % v->d;
    r.cb = i / v->h / v->d % v->blocks;
    r.n = i / v->h / v->d / v->blocks;
    return r;
}

static inline int64_t voxel_at(const cpu_view *v, int64_t base, int64_t z, int64_t y, int64_t x)
{
    return base + z * v->plane_stride + y * v->row_stride + x * VB;
}

/* A kernel over all rows of operand `k`. */
#define ROWS(name, task, k)                                                                    \
    void VOLT_ISA_NAME(name)(const volt_op *op, void *const *p, void *scratch)                 \
    {                                                                                          \
        const cpu_view *v = &op->view[k];                                                      \
        const int64_t rows = v->n * v->blocks * v->d * v->h;                                   \
        const int bf16 = v->bf16;                                                              \
        (void)scratch;                                                                         \
        _Pragma(                                                                               \
            "omp parallel for num_threads(op->spec.threads) schedule(static)") for (int64_t    \
                                                                                        i = 0; \
                                                                                    i < rows;  \
                                                                                    i++)       \
        {                                                                                      \
            if (bf16)                                                                          \
                task(op, p, row_at(v, i), 1);                                                  \
            else                                                                               \
                task(op, p, row_at(v, i), 0);                                                  \
        }                                                                                      \
    }

/* Calls `body` with z, y, x of every input voxel of the window of output (r.z, r.y, ox). */
#define FOR_WINDOW(conv, r, ox, body)                                                          \
    for (int64_t z = (r).z * (conv)->stride[0];                                                \
         z < (r).z * (conv)->stride[0] + (conv)->kernel[0]; z++)                               \
        for (int64_t y = (r).y * (conv)->stride[1];                                            \
             y < (r).y * (conv)->stride[1] + (conv)->kernel[1]; y++)                           \
            for (int64_t x = (ox) * (conv)->stride[2];                                         \
                 x < (ox) * (conv)->stride[2] + (conv)->kernel[2]; x++)                        \
    body

VINLINE void max_row(const volt_op *op, void *const *p, row r, int bf16)
{
    const cpu_view *s = &op->view[0], *d = &op->view[1];
    const int64_t from = cpu_at(s, r.n, r.cb), to = cpu_at(d, r.n, r.cb);

    for (int64_t ox = 0; ox < d->w; ox++) {
        vf most = v_set(-__builtin_inff());
        FOR_WINDOW(&op->spec.conv, r, ox,
                   { most = v_max(v_get(p[0], voxel_at(s, from, z, y, x), bf16), most); })
        v_put(p[1], voxel_at(d, to, r.z, r.y, ox), bf16, most);
    }
}

VINLINE void average_row(const volt_op *op, void *const *p, row r, int bf16)
{
    const cpu_view *s = &op->view[0], *d = &op->view[1];
    const volt_conv *k = &op->spec.conv;
    const vf weight = v_set(1.0f / (float)(k->kernel[0] * k->kernel[1] * k->kernel[2]));
    const int64_t from = cpu_at(s, r.n, r.cb), to = cpu_at(d, r.n, r.cb);

    for (int64_t ox = 0; ox < d->w; ox++) {
        vf sum = v_zero();
        FOR_WINDOW(k, r, ox, { sum += v_get(p[0], voxel_at(s, from, z, y, x), bf16); })
        v_put(p[1], voxel_at(d, to, r.z, r.y, ox), bf16, sum * weight);
    }
}

ROWS(cpu_max_pool_fwd, max_row, 1)
ROWS(cpu_average_pool_fwd, average_row, 1)

/* Outputs whose window holds input `i` of one axis: [first, end). */
static inline void windows_over(int64_t i, int64_t kernel, int64_t stride, int64_t outputs,
                                int64_t *first, int64_t *end)
{
    *first = i < kernel ? 0 : (i - kernel) / stride + 1;
    *end = i / stride + 1 < outputs ? i / stride + 1 : outputs;
}

/* 1 in the lanes where input (iz, iy, ix) is the first maximum of the window of (r.z,r.y,ox).
 */
VINLINE vi is_first_maximum(const volt_op *op, const void *src, int64_t from, row r, int64_t ox,
                            const int64_t at[3], int bf16)
{
    const cpu_view *s = &op->view[0];
    const vf mine = v_get(src, voxel_at(s, from, at[0], at[1], at[2]), bf16);
    vi wins = (vi){0} - 1;

    FOR_WINDOW(&op->spec.conv, r, ox, {
        const vf other = v_get(src, voxel_at(s, from, z, y, x), bf16);
        const int before = z != at[0] ? z < at[0] : y != at[1] ? y < at[1] : x < at[2];
        wins &= before ? other < mine : other <= mine;
    })
    return wins;
}

VINLINE void max_bwd_row(const volt_op *op, void *const *p, row r, int bf16)
{
    const cpu_view *s = &op->view[0], *dy = &op->view[1], *dx = &op->view[2];
    const volt_conv *k = &op->spec.conv;
    const int64_t from = cpu_at(s, r.n, r.cb), g = cpu_at(dy, r.n, r.cb);
    int64_t z0, z1, y0, y1, x0, x1;

    windows_over(r.z, k->kernel[0], k->stride[0], dy->d, &z0, &z1);
    windows_over(r.y, k->kernel[1], k->stride[1], dy->h, &y0, &y1);
    for (int64_t ix = 0; ix < s->w; ix++) {
        const int64_t at[3] = {r.z, r.y, ix};
        vf sum = v_zero();
        windows_over(ix, k->kernel[2], k->stride[2], dy->w, &x0, &x1);
        for (int64_t oz = z0; oz < z1; oz++)
            for (int64_t oy = y0; oy < y1; oy++)
                for (int64_t ox = x0; ox < x1; ox++) {
                    const row out = {r.n, r.cb, oz, oy};
                    sum += v_select(is_first_maximum(op, p[0], from, out, ox, at, bf16),
                                    v_get(p[1], voxel_at(dy, g, oz, oy, ox), bf16), v_zero());
                }
        v_put(p[2], voxel_at(dx, cpu_at(dx, r.n, r.cb), r.z, r.y, ix), bf16, sum);
    }
}

VINLINE void average_bwd_row(const volt_op *op, void *const *p, row r, int bf16)
{
    const cpu_view *dy = &op->view[0], *dx = &op->view[1];
    const volt_conv *k = &op->spec.conv;
    const vf weight = v_set(1.0f / (float)(k->kernel[0] * k->kernel[1] * k->kernel[2]));
    const int64_t g = cpu_at(dy, r.n, r.cb), to = cpu_at(dx, r.n, r.cb);
    int64_t z0, z1, y0, y1, x0, x1;

    windows_over(r.z, k->kernel[0], k->stride[0], dy->d, &z0, &z1);
    windows_over(r.y, k->kernel[1], k->stride[1], dy->h, &y0, &y1);
    for (int64_t ix = 0; ix < dx->w; ix++) {
        vf sum = v_zero();
        windows_over(ix, k->kernel[2], k->stride[2], dy->w, &x0, &x1);
        for (int64_t oz = z0; oz < z1; oz++)
            for (int64_t oy = y0; oy < y1; oy++)
                for (int64_t ox = x0; ox < x1; ox++)
                    sum += v_get(p[0], voxel_at(dy, g, oz, oy, ox), bf16);
        v_put(p[1], voxel_at(dx, to, r.z, r.y, ix), bf16, sum * weight);
    }
}

ROWS(cpu_max_pool_bwd, max_bwd_row, 2)
ROWS(cpu_average_pool_bwd, average_bwd_row, 1)

/* One axis of an upsampling. Inputs are clamped, unless the operand that is read has voxels in
 * its margin: so many are used. */
typedef struct stretch {
    int64_t factor, inputs, more_low, more_high;
    int linear;
} stretch;

typedef struct stretches {
    stretch z, y, x;
} stretches;

static inline stretch stretch_of(const volt_op *op, int axis, int64_t inputs)
{
    const volt_tensor *read = &op->spec.tensor[0];
    const int64_t low = read->margin_low[axis], high = read->margin_high[axis];
    stretch s = {.factor = op->spec.conv.stride[axis], .inputs = inputs};
    const int64_t most = op->spec.kind == VOLT_OP_UPSAMPLE_FWD ? 1 : s.factor / 2;

    s.linear = op->spec.linear && s.factor > 1;
    s.more_low = s.linear ? (low < most ? low : most) : 0;
    s.more_high = s.linear ? (high < most ? high : most) : 0;
    return s;
}

/* `in`: the operand of the upsampling's inputs. */
static inline stretches stretches_of(const volt_op *op, const cpu_view *in)
{
    return (stretches){stretch_of(op, 0, in->d), stretch_of(op, 1, in->h),
                       stretch_of(op, 2, in->w)};
}

/* The two inputs that output `o` lies between along one axis, and the second one's weight.
 * Nearest: both are o / factor. */
typedef struct between {
    int64_t low, high;
    float t;
} between;

static inline between inputs_of(int64_t o, const stretch *s)
{
    between b;

    if (!s->linear) {
        b.low = b.high = o / s->factor;
        b.t = 0;
        return b;
    }
    /* In halves of an output's width: the same weights wherever a part begins. */
    const int32_t width = 2 * (int32_t)s->factor, at = 2 * (int32_t)o + 1 - width / 2;
    const int32_t low = at < 0 ? -((width - 1 - at) / width) : at / width;
    b.t = (float)(at - low * width) / (float)width;
    b.low = low < 0 && s->more_low == 0 ? 0 : low;
    b.high = low + 1 < s->inputs || s->more_high > 0 ? low + 1 : s->inputs - 1;
    return b;
}

VINLINE void upsample_row(const volt_op *op, void *const *p, row r, int bf16)
{
    const cpu_view *s = &op->view[0], *d = &op->view[1];
    const stretches f = stretches_of(op, s);
    const int64_t from = cpu_at(s, r.n, r.cb), to = cpu_at(d, r.n, r.cb);
    const between z = inputs_of(r.z, &f.z), y = inputs_of(r.y, &f.y);

    for (int64_t ox = 0; ox < d->w; ox++) {
        const between x = inputs_of(ox, &f.x);
        vf v;
        if (!op->spec.linear) {
            v = v_get(p[0], voxel_at(s, from, z.low, y.low, x.low), bf16);
        } else {
            vf corner[4];
            for (int k = 0; k < 4; k++) {
                const int64_t cz = k & 2 ? z.high : z.low, cy = k & 1 ? y.high : y.low;
                const vf a = v_get(p[0], voxel_at(s, from, cz, cy, x.low), bf16);
                const vf b = v_get(p[0], voxel_at(s, from, cz, cy, x.high), bf16);
                corner[k] = a + (b - a) * v_set(x.t);
            }
            const vf top = corner[0] + (corner[1] - corner[0]) * v_set(y.t);
            const vf end = corner[2] + (corner[3] - corner[2]) * v_set(y.t);
            v = top + (end - top) * v_set(z.t);
        }
        v_put(p[1], voxel_at(d, to, r.z, r.y, ox), bf16, v);
    }
}

/* Outputs that may draw on input i: [first, end). */
static inline void outputs_of(int64_t i, const stretch *s, int64_t *first, int64_t *end)
{
    const int64_t reach = s->linear ? s->factor : 0;
    const int64_t low = -s->more_low, high = s->inputs * s->factor + s->more_high;

    *first = i * s->factor - reach < low ? low : i * s->factor - reach;
    *end = (i + 1) * s->factor + reach < high ? (i + 1) * s->factor + reach : high;
}

/* Weight of input i in output o. */
static inline float share_of(int64_t i, int64_t o, const stretch *s)
{
    const between b = inputs_of(o, s);

    return (b.low == i ? 1 - b.t : 0) + (b.high == i ? b.t : 0);
}

VINLINE void upsample_bwd_row(const volt_op *op, void *const *p, row r, int bf16)
{
    const cpu_view *dy = &op->view[0], *dx = &op->view[1];
    const stretches f = stretches_of(op, dx);
    const int64_t g = cpu_at(dy, r.n, r.cb), to = cpu_at(dx, r.n, r.cb);
    int64_t z0, z1, y0, y1, x0, x1;

    outputs_of(r.z, &f.z, &z0, &z1);
    outputs_of(r.y, &f.y, &y0, &y1);
    for (int64_t ix = 0; ix < dx->w; ix++) {
        vf sum = v_zero();
        outputs_of(ix, &f.x, &x0, &x1);
        for (int64_t z = z0; z < z1; z++) {
            const float wz = share_of(r.z, z, &f.z);
            for (int64_t y = y0; y < y1; y++) {
                const float wzy = wz * share_of(r.y, y, &f.y);
                for (int64_t x = x0; wzy != 0 && x < x1; x++)
                    sum += v_set(wzy * share_of(ix, x, &f.x)) *
                           v_get(p[0], voxel_at(dy, g, z, y, x), bf16);
            }
        }
        v_put(p[1], voxel_at(dx, to, r.z, r.y, ix), bf16, sum);
    }
}

ROWS(cpu_upsample_fwd, upsample_row, 1)
ROWS(cpu_upsample_bwd, upsample_bwd_row, 1)
