#include "tests/kit/device_cases.h"
#include "tests/kit/device_compare.h"

typedef struct conv_case {
    int64_t n, ic, oc, d, h, w;
    volt_conv conv;
} conv_case;

#define CUBE(v)                                                                                \
    {                                                                                          \
        v, v, v                                                                                \
    }
static const conv_case conv_cases[] = {
    /* the usual 3x3x3, from few to many channels, odd extents */
    {1, 1, 32, 6, 7, 9, {CUBE(3), CUBE(1), CUBE(1), CUBE(1)}},
    {2, 4, 16, 5, 8, 17, {CUBE(3), CUBE(1), CUBE(1), CUBE(1)}},
    {1, 3, 5, 4, 3, 7, {CUBE(3), CUBE(1), CUBE(1), CUBE(1)}},
    {3, 16, 16, 3, 4, 5, {CUBE(3), CUBE(1), CUBE(1), CUBE(1)}},
    {1, 32, 48, 4, 5, 6, {CUBE(3), CUBE(1), CUBE(1), CUBE(1)}},
    {2, 17, 16, 4, 4, 4, {CUBE(3), CUBE(1), CUBE(1), CUBE(1)}},
    {1, 48, 17, 2, 9, 3, {CUBE(3), CUBE(1), CUBE(1), CUBE(1)}},
    {1, 16, 32, 3, 3, 40, {CUBE(3), CUBE(1), CUBE(1), CUBE(1)}},
    /* enough tiles for fast algorithms */
    {1, 20, 18, 13, 14, 15, {CUBE(3), CUBE(1), CUBE(1), CUBE(1)}},
    /* every window reaches into the padding along d */
    {1, 32, 16, 2, 6, 7, {CUBE(3), CUBE(1), CUBE(1), CUBE(1)}},
    {1, 16, 32, 3, 6, 7, {CUBE(3), CUBE(2), CUBE(1), CUBE(1)}},
    /* single voxels */
    {2, 16, 16, 1, 1, 1, {CUBE(3), CUBE(1), CUBE(1), CUBE(1)}},
    {1, 5, 4, 1, 6, 1, {CUBE(3), CUBE(1), CUBE(1), CUBE(1)}},
    /* single numbers, on either side or both */
    {1, 1, 4, 1, 1, 1, {CUBE(3), CUBE(1), CUBE(1), CUBE(1)}},
    {2, 17, 1, 1, 1, 1, {CUBE(3), CUBE(1), CUBE(1), CUBE(1)}},
    {2, 1, 1, 1, 1, 1, {CUBE(5), CUBE(1), CUBE(2), CUBE(2)}},
    {1, 3, 1, 2, 2, 2, {CUBE(5), CUBE(2), CUBE(2), CUBE(2)}},
    {1, 1, 16, 1, 1, 1, {CUBE(7), CUBE(2), CUBE(3), CUBE(3)}},
    {1, 16, 1, 3, 2, 4, {{3, 2, 4}, CUBE(1), CUBE(0), CUBE(0)}},
    /* strides, even and odd extents */
    {1, 16, 32, 8, 6, 10, {CUBE(3), CUBE(2), CUBE(1), CUBE(1)}},
    {2, 32, 16, 7, 5, 9, {CUBE(3), CUBE(2), CUBE(1), CUBE(1)}},
    {1, 3, 17, 4, 6, 8, {CUBE(3), {1, 2, 2}, CUBE(1), CUBE(1)}},
    {1, 1, 16, 6, 6, 6, {CUBE(3), CUBE(2), CUBE(1), CUBE(1)}},
    /* anisotropic kernels and two dimensions */
    {1, 16, 16, 3, 8, 8, {{1, 3, 3}, CUBE(1), {0, 1, 1}, {0, 1, 1}}},
    {2, 4, 32, 5, 6, 7, {{1, 3, 3}, {1, 2, 2}, {0, 1, 1}, {0, 1, 1}}},
    {2, 1, 16, 1, 12, 11, {{1, 3, 3}, CUBE(1), {0, 1, 1}, {0, 1, 1}}},
    {1, 16, 48, 1, 9, 8, {{1, 3, 3}, {1, 2, 2}, {0, 1, 1}, {0, 1, 1}}},
    {1, 16, 16, 6, 5, 4, {{3, 1, 1}, CUBE(1), {1, 0, 0}, {1, 0, 0}}},
    {1, 16, 5, 5, 6, 7, {CUBE(5), CUBE(1), CUBE(2), CUBE(2)}},
    /* heads and other 1x1x1 */
    {2, 32, 4, 4, 5, 6, {CUBE(1), CUBE(1), CUBE(0), CUBE(0)}},
    {1, 17, 3, 3, 3, 5, {CUBE(1), CUBE(1), CUBE(0), CUBE(0)}},
    {1, 16, 16, 4, 4, 6, {CUBE(1), CUBE(2), CUBE(0), CUBE(0)}},
    /* low and high padding apart, or none */
    {1, 16, 16, 5, 6, 7, {CUBE(3), CUBE(1), CUBE(1), CUBE(0)}},
    {1, 4, 16, 6, 5, 8, {CUBE(3), CUBE(1), {0, 1, 0}, {1, 0, 1}}},
    {1, 32, 16, 5, 5, 5, {CUBE(3), CUBE(1), CUBE(0), CUBE(0)}},
    {1, 16, 16, 6, 7, 8, {CUBE(3), CUBE(2), CUBE(0), CUBE(1)}},
    /* what oneDNN has no blocked kernel for: padding as wide as the kernel, unequal strides */
    {1, 18, 27, 8, 6, 8, {{3, 6, 1}, {1, 3, 1}, {1, 4, 0}, {2, 6, 0}}},
    {2, 8, 23, 10, 3, 3, {{7, 1, 3}, {2, 1, 2}, {7, 0, 0}, {1, 0, 3}}},
    {1, 22, 39, 12, 9, 2, {{3, 6, 3}, {3, 2, 3}, {2, 1, 0}, {2, 1, 1}}},
};

/* Extents n c d h w for operators without windows. */
static const int64_t plain_cases[][5] = {
    {1, 1, 3, 4, 5},  {2, 3, 5, 1, 7},   {1, 4, 2, 9, 6},  {3, 5, 1, 8, 3},    {1, 16, 3, 5, 7},
    {2, 17, 4, 4, 4}, {1, 32, 1, 13, 9}, {2, 48, 2, 3, 1}, {1, 16, 9, 10, 11}, {1, 20, 1, 1, 2},
};

static volt_tensor activation(int64_t n, int64_t c, const int64_t *dhw, volt_dtype dtype)
{
    return volt_tensor_make((int64_t[]){n, c, dhw[0], dhw[1], dhw[2]}, dtype, VOLT_NATIVE);
}

static volt_tensor dense(int64_t n, int64_t c, const int64_t *k)
{
    static const int64_t one[3] = {1, 1, 1};

    k = k ? k : one;
    return volt_tensor_make((int64_t[]){n, c, k[0], k[1], k[2]}, VOLT_F32, VOLT_PLAIN);
}

/* Two sums per sample and channel of `t`. */
static volt_tensor sums_of(volt_tensor t)
{
    return volt_tensor_make((int64_t[]){t.n, t.c, 2, 1, 1}, VOLT_F64, VOLT_PLAIN);
}

/* Puts `t` into a larger buffer, as what will be concatenated is. */
static volt_tensor ranged(volt_tensor t)
{
    const int64_t block = suite_device->channel_block(suite_device, t.dtype);

    t.c_offset = block;
    t.buffer_c = block + t.c + (t.c % block ? 0 : 3);
    return t;
}

static volt_tensor plain_end(volt_tensor t)
{
    t.dtype = VOLT_F32;
    t.layout = VOLT_PLAIN;
    return t;
}

/* Runs a family in another precision, where the device has it. */
static void run_in(void (*family)(volt_dtype), volt_dtype dtype, volt_precision precision)
{
    if (!suite_with.every_precision && !suite_device->supports(suite_device, precision))
        return;
    suite_tf32 = precision == VOLT_TF32;
    family(dtype);
    suite_tf32 = false;
}

/* The three passes of a (transposed) convolution; `forward` is the first of the kinds. */
static void run_three(volt_op_kind forward, const volt_conv *conv, volt_tensor src,
                      volt_tensor dst, bool bias)
{
    const bool transposed = forward == VOLT_OP_TCONV_FWD;
    const volt_tensor weights =
        transposed ? dense(src.c, dst.c, conv->kernel) : dense(dst.c, src.c, conv->kernel);
    const volt_tensor vector = bias ? dense(1, dst.c, NULL) : (volt_tensor){0};
    volt_op_spec spec = {.kind = forward, .conv = *conv, .tensor = {src, weights, vector, dst}};

    suite_case(spec);
    if (forward == VOLT_OP_CONV_FWD) { /* which a device may refuse */
        spec.tensor[4] = sums_of(dst);
        suite_case(spec);
        spec.tensor[4] = (volt_tensor){0};
    }
    spec.kind = forward + 2;
    suite_case(spec);
    if (src.layout == VOLT_PLAIN)
        return; /* a graph's input needs no gradient */
    spec = (volt_op_spec){.kind = forward + 1, .conv = *conv, .tensor = {src, weights, dst}};
    suite_case(spec);
}

static void convolutions(volt_dtype dtype)
{
    for (size_t i = 0; i < COUNT_OF(conv_cases); i++) {
        const conv_case *k = &conv_cases[i];
        const volt_conv *c = &k->conv;
        const int64_t in[3] = {k->d, k->h, k->w};
        int64_t out[3];
        volt_tensor src, dst;

        for (int a = 0; a < 3; a++)
            out[a] = (in[a] + c->pad_low[a] + c->pad_high[a] - c->kernel[a]) / c->stride[a] + 1;
        src = activation(k->n, k->ic, in, dtype);
        dst = activation(k->n, k->oc, out, dtype);
        run_three(VOLT_OP_CONV_FWD, c, src, dst, i % 2 == 0);
        if (k->ic <= 4)
            run_three(VOLT_OP_CONV_FWD, c, plain_end(src), dst, i % 2 == 1);
        if (k->oc <= 5)
            run_three(VOLT_OP_CONV_FWD, c, src, plain_end(dst), true);
        if (i % 3 == 0)
            run_three(VOLT_OP_CONV_FWD, c, ranged(src), dst, true);
        if (i % 3 == 1)
            run_three(VOLT_OP_CONV_FWD, c, src, ranged(dst), false);
    }
}

static void transposed_convolutions(volt_dtype dtype)
{
    static const conv_case cases[] = {
        {1, 32, 16, 2, 3, 4, {CUBE(2), CUBE(2), CUBE(0), CUBE(0)}},
        {2, 16, 32, 3, 1, 5, {CUBE(2), CUBE(2), CUBE(0), CUBE(0)}},
        {1, 5, 3, 3, 3, 2, {CUBE(2), CUBE(2), CUBE(0), CUBE(0)}},
        {1, 48, 17, 1, 1, 1, {CUBE(2), CUBE(2), CUBE(0), CUBE(0)}},
        {2, 17, 16, 4, 3, 2, {{1, 2, 2}, {1, 2, 2}, CUBE(0), CUBE(0)}},
        {1, 16, 16, 1, 5, 4, {{1, 2, 2}, {1, 2, 2}, CUBE(0), CUBE(0)}},
        {1, 4, 32, 2, 2, 2, {{2, 1, 3}, {2, 1, 3}, CUBE(0), CUBE(0)}},
        /* kernels wider or narrower than the stride, as MONAI's UNet has */
        {2, 32, 16, 3, 4, 5, {CUBE(3), CUBE(2), CUBE(1), CUBE(0)}},
        {1, 20, 3, 4, 3, 6, {CUBE(3), CUBE(2), CUBE(1), CUBE(0)}},
        {1, 16, 32, 1, 6, 5, {{1, 3, 3}, {1, 2, 2}, {0, 1, 1}, CUBE(0)}},
        {1, 17, 18, 4, 4, 4, {CUBE(3), CUBE(1), CUBE(1), CUBE(1)}},
        {2, 16, 5, 2, 3, 4, {CUBE(5), CUBE(2), CUBE(2), CUBE(1)}},
        {1, 8, 16, 3, 2, 3, {{3, 1, 3}, {4, 2, 3}, {1, 0, 1}, {-2, -1, -1}}},
        {1, 48, 32, 1, 1, 1, {CUBE(3), CUBE(2), CUBE(1), CUBE(0)}},
        {1, 1, 2, 1, 2, 9, {CUBE(3), CUBE(2), CUBE(1), CUBE(0)}},
    };

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const conv_case *k = &cases[i];
        const int64_t *s = k->conv.stride;
        const int64_t in[3] = {k->d, k->h, k->w},
                      out[3] = {k->d * s[0], k->h * s[1], k->w * s[2]};
        const volt_tensor src = activation(k->n, k->ic, in, dtype);
        const volt_tensor dst = activation(k->n, k->oc, out, dtype);

        run_three(VOLT_OP_TCONV_FWD, &k->conv, src, dst, i % 2 == 0);
        run_three(VOLT_OP_TCONV_FWD, &k->conv, src, ranged(dst), true);
        run_three(VOLT_OP_TCONV_FWD, &k->conv, ranged(src), dst, false);
    }
}

static void normalize(volt_tensor x, volt_tensor y, bool affine, double slope)
{
    const volt_tensor stats = dense(x.n, x.c, NULL), none = {0};
    const volt_tensor vector = affine ? dense(1, x.c, NULL) : none;
    const volt_tensor sums = sums_of(x);
    const int64_t voxels = x.d * x.h * x.w;
    volt_op_spec spec = {.slope = slope, .tensor = {x, stats, stats, vector, vector, y}};

    suite_case((volt_op_spec){.kind = VOLT_OP_NORM_SUMS, .tensor = {x, sums}});
    for (int parts = 1; parts <= 3; parts += 2) /* the sums of all voxels, or of more */
        suite_case((volt_op_spec){.kind = VOLT_OP_NORM_FINISH,
                                  .count = parts * voxels,
                                  .eps = 1e-5,
                                  .tensor = {sums, stats, stats}});
    spec.kind = VOLT_OP_NORM_ACT_FWD;
    suite_case(spec);
    for (int second = 0; second < 2; second++) {
        spec.tensor[6] = second ? ranged(x) : none;
        spec.tensor[7] = sums;
        spec.tensor[8] = spec.tensor[9] = second ? none : dense(1, x.c, NULL);
        spec.kind = VOLT_OP_NORM_BWD_SUMS;
        suite_case(spec);
        spec.tensor[8] = y;
        spec.tensor[9] = none;
        spec.kind = VOLT_OP_NORM_BWD_APPLY;
        spec.count = second ? voxels : 3 * voxels;
        suite_case(spec);
    }
}

static void norms(volt_dtype dtype)
{
    for (size_t i = 0; i < COUNT_OF(plain_cases); i++) {
        const int64_t *e = plain_cases[i];
        const volt_tensor x = activation(e[0], e[1], e + 2, dtype);

        normalize(x, x, i % 3 != 0, i % 4 == 0 ? 1 : i % 4 == 1 ? 0 : 0.01);
        normalize(x, ranged(x), true, 0.01);
    }
}

/* Sums over all samples. */
static void normalize_batch(volt_tensor x, volt_tensor y, bool affine, double slope)
{
    const volt_tensor stats = dense(x.n, x.c, NULL), none = {0}, c = dense(1, x.c, NULL);
    const volt_tensor vector = affine ? c : none;
    const int64_t voxels = x.n * x.d * x.h * x.w + 1;
    volt_tensor sums = sums_of(x);
    volt_op_spec spec = {.slope = slope, .tensor = {x, stats, stats, vector, vector, x}};

    sums.n = 1;
    suite_case((volt_op_spec){.kind = VOLT_OP_NORM_SUMS, .tensor = {x, sums}});
    suite_case((volt_op_spec){.kind = VOLT_OP_NORM_FINISH,
                              .count = voxels,
                              .eps = 1e-5,
                              .tensor = {sums, stats, stats}});
    for (int i = 0; i < 3; i++)
        suite_case((volt_op_spec){.kind = VOLT_OP_NORM_FINISH,
                                  .count = voxels,
                                  .eps = 1e-5,
                                  .momentum = (double[]){0.1, 0, 1}[i],
                                  .tensor = {sums, stats, stats, c, c, c, c}});
    suite_case((volt_op_spec){
        .kind = VOLT_OP_NORM_RUNNING, .eps = 1e-3, .tensor = {c, c, stats, stats}});
    for (int second = 0; second < 2; second++) {
        spec.tensor[6] = second ? ranged(x) : none;
        spec.tensor[7] = sums;
        spec.tensor[8] = spec.tensor[9] = second ? none : c;
        spec.kind = VOLT_OP_NORM_BWD_SUMS;
        suite_case(spec);
        spec.tensor[8] = y;
        spec.tensor[9] = none;
        spec.kind = VOLT_OP_NORM_BWD_APPLY;
        spec.count = voxels;
        suite_case(spec);
    }
}

static void batch_norms(volt_dtype dtype)
{
    static const conv_case conv = {3, 16, 20, 3, 4, 5, {CUBE(1), CUBE(1), CUBE(0), CUBE(0)}};
    const volt_tensor src = activation(conv.n, conv.ic, (const int64_t *)&conv.d, dtype);
    const volt_tensor dst = activation(conv.n, conv.oc, (const int64_t *)&conv.d, dtype);
    volt_op_spec spec = {
        .kind = VOLT_OP_CONV_FWD,
        .conv = conv.conv,
        .tensor = {src, dense(conv.oc, conv.ic, NULL), {0}, dst, sums_of(dst)}};

    for (size_t i = 0; i < COUNT_OF(plain_cases); i++) {
        const int64_t *e = plain_cases[i];
        const volt_tensor x = activation(e[0], e[1], e + 2, dtype);

        normalize_batch(x, x, i % 3 != 0, i % 4 == 0 ? 1 : i % 4 == 1 ? 0 : 0.01);
        normalize_batch(x, ranged(x), true, 0.01);
    }
    spec.tensor[4].n = 1;
    suite_case(spec);
}

static void pointwise_operators(volt_dtype dtype)
{
    for (size_t i = 0; i < COUNT_OF(plain_cases); i++) {
        const int64_t *e = plain_cases[i];
        const volt_tensor whole = activation(e[0], e[1], e + 2, dtype);

        for (int range = 0; range < 2; range++) {
            const volt_tensor x = range ? ranged(whole) : whole;
            volt_op_spec spec = {.kind = VOLT_OP_ACT_FWD, .slope = 0.01, .tensor = {x, x}};

            suite_case(spec);
            spec.kind = VOLT_OP_SOFTMAX_FWD;
            suite_case(spec);
            spec.tensor[2] = x;
            spec.kind = VOLT_OP_SOFTMAX_BWD;
            suite_case(spec);
            spec.kind = VOLT_OP_ADD;
            suite_case(spec);
            spec.kind = VOLT_OP_ACT_BWD;
            suite_case(spec);
            spec.slope = 0;
            suite_case(spec);
            spec.kind = VOLT_OP_SCALE_CHANNELS;
            spec.tensor[1] = dense(x.n, x.c, NULL);
            suite_case(spec);
        }
    }
}

/* One slope and one per channel, in place and into a range. */
static void prelus(volt_dtype dtype)
{
    for (size_t i = 0; i < COUNT_OF(plain_cases); i++) {
        const int64_t *e = plain_cases[i];
        const volt_tensor x = activation(e[0], e[1], e + 2, dtype), r = ranged(x);

        for (int per_channel = 0; per_channel < 2; per_channel++) {
            const volt_tensor slope = dense(1, per_channel ? x.c : 1, NULL);
            volt_op_spec spec = {.kind = VOLT_OP_PRELU_FWD, .tensor = {x, slope, x}};

            suite_case(spec);
            spec.tensor[2] = r;
            suite_case(spec);
            spec.kind = VOLT_OP_PRELU_BWD;
            spec.tensor[3] = x;
            spec.tensor[4] = slope;
            suite_case(spec);
            spec.tensor[2] = spec.tensor[3] = r;
            suite_case(spec);
        }
    }
}

/* Ranges anywhere, plain and native, both precisions. */
static void copies(volt_dtype dtype)
{
    for (size_t i = 0; i < COUNT_OF(plain_cases); i++) {
        const int64_t *e = plain_cases[i];
        const volt_tensor x = activation(e[0], e[1], e + 2, dtype);
        volt_tensor odd = x, other = x;
        volt_op_spec spec = {.kind = VOLT_OP_COPY, .tensor = {x, x}};

        odd.c_offset = 5;
        odd.buffer_c = x.c + 7;
        other.c_offset = 3;
        other.buffer_c = x.c + 3;
        suite_case(spec);
        spec.tensor[1] = odd;
        suite_case(spec);
        spec.tensor[0] = other;
        suite_case(spec);
        spec.tensor[0] = plain_end(x);
        suite_case(spec);
        spec.tensor[0] = odd;
        spec.tensor[1] = plain_end(x);
        suite_case(spec);
        spec.tensor[1] = x;
        suite_case(spec);
        spec.tensor[1].dtype = VOLT_F32;
        suite_case(spec);
    }
}

/* Boxes within a tensor, and reaching into its margins; of ranges, plain and native. */
static void boxes(volt_dtype dtype)
{
    for (size_t i = 0; i < COUNT_OF(plain_cases); i++) {
        const int64_t *e = plain_cases[i];
        volt_tensor x = activation(e[0], e[1], e + 2, dtype);

        for (int k = 0; k < 8; k++) {
            const bool plain = k & 1, margins = k & 2, range = k & 4;
            volt_op_spec spec = {.kind = VOLT_OP_PACK_BOX};
            volt_tensor whole = range ? ranged(x) : x, part = x;
            int64_t shape[3];

            for (int a = 0; a < 3; a++) {
                whole.margin_low[a] = margins ? 2 : 0;
                whole.margin_high[a] = margins ? 1 : 0;
                spec.box.low[a] =
                    volt_rng_below(&suite_rng, (int)(e[2 + a] + whole.margin_low[a])) -
                    whole.margin_low[a];
                spec.box.high[a] =
                    spec.box.low[a] + 1 +
                    volt_rng_below(&suite_rng,
                                   (int)(e[2 + a] + whole.margin_high[a] - spec.box.low[a]));
            }
            volt_box_shape(shape, spec.box);
            part = activation(e[0], e[1], shape, dtype);
            spec.tensor[0] = whole;
            spec.tensor[1] = plain ? plain_end(part) : part;
            suite_case(spec);
            spec.kind = VOLT_OP_UNPACK_BOX;
            spec.tensor[0] = spec.tensor[1];
            spec.tensor[1] = whole;
            suite_case(spec);
        }
    }
}

static void pools_of(const int64_t *e, const volt_conv *window, volt_dtype dtype)
{
    const volt_tensor x = activation(e[0], e[1], e + 2, dtype);
    int64_t out[3];
    volt_tensor y;

    for (int a = 0; a < 3; a++)
        out[a] = (e[2 + a] - window->kernel[a]) / window->stride[a] + 1;
    y = activation(e[0], e[1], out, dtype);
    suite_case((volt_op_spec){VOLT_OP_MAX_POOL_FWD, {x, y}, .conv = *window});
    suite_case((volt_op_spec){VOLT_OP_MAX_POOL_FWD, {ranged(x), ranged(y)}, .conv = *window});
    suite_case((volt_op_spec){VOLT_OP_MAX_POOL_BWD, {x, y, x}, .conv = *window});
    suite_case((volt_op_spec){VOLT_OP_AVERAGE_POOL_FWD, {x, ranged(y)}, .conv = *window});
    suite_case((volt_op_spec){VOLT_OP_AVERAGE_POOL_BWD, {ranged(y), x}, .conv = *window});
}

static void pools(volt_dtype dtype)
{
    static const int64_t extents[][5] = {{1, 3, 4, 6, 8}, {2, 16, 5, 7, 9}, {1, 17, 3, 2, 6}};
    static const volt_conv windows[] = {{CUBE(2), CUBE(2), CUBE(0), CUBE(0)},
                                        {{1, 2, 2}, {1, 2, 2}, CUBE(0), CUBE(0)},
                                        {{2, 1, 2}, CUBE(1), CUBE(0), CUBE(0)},
                                        {{3, 2, 3}, {2, 1, 2}, CUBE(0), CUBE(0)},
                                        {CUBE(1), CUBE(2), CUBE(0), CUBE(0)}};

    for (size_t i = 0; i < COUNT_OF(extents); i++) {
        for (size_t j = 0; j < COUNT_OF(windows); j++)
            pools_of(extents[i], &windows[j], dtype);
    }
}

static void upsamplings(volt_dtype dtype)
{
    static const int64_t factors[][3] = {{2, 2, 2}, {1, 2, 2}, {3, 1, 2}};

    for (size_t i = 0; i < COUNT_OF(plain_cases); i++) {
        const int64_t *e = plain_cases[i], *f = factors[i % 3];
        const int64_t out[3] = {e[2] * f[0], e[3] * f[1], e[4] * f[2]};
        const volt_tensor x = activation(e[0], e[1], e + 2, dtype);
        const volt_tensor y = activation(e[0], e[1], out, dtype);

        for (int linear = 0; linear < 2; linear++) {
            volt_op_spec spec = {
                .kind = VOLT_OP_UPSAMPLE_FWD, .tensor = {x, ranged(y)}, .linear = linear};
            memcpy(spec.conv.stride, f, sizeof spec.conv.stride);
            memcpy(spec.conv.kernel, f, sizeof spec.conv.kernel);
            suite_case(spec);
            spec.kind = VOLT_OP_UPSAMPLE_BWD;
            spec.tensor[0] = y;
            spec.tensor[1] = ranged(x);
            suite_case(spec);
            spec.tensor[1] = x;
            suite_case(spec);
        }
    }
}

/* Each in all precisions, so that a failure names the operator family. */
#define FAMILY(name)                                                                           \
    void name##_fp32(void **state)                                                             \
    {                                                                                          \
        (void)state;                                                                           \
        name(VOLT_F32);                                                                        \
    }                                                                                          \
    void name##_bf16(void **state)                                                             \
    {                                                                                          \
        (void)state;                                                                           \
        run_in(name, VOLT_BF16, VOLT_BF16_MIXED);                                              \
    }                                                                                          \
    void name##_fp16(void **state)                                                             \
    {                                                                                          \
        (void)state;                                                                           \
        run_in(name, VOLT_F16, VOLT_FP16_MIXED);                                               \
    }
FAMILY(convolutions)
FAMILY(transposed_convolutions)
FAMILY(norms)
FAMILY(batch_norms)
FAMILY(pointwise_operators)
FAMILY(prelus)
FAMILY(copies)
FAMILY(boxes)
FAMILY(pools)
FAMILY(upsamplings)
#undef FAMILY

void convolutions_tf32(void **state)
{
    (void)state;
    run_in(convolutions, VOLT_F32, VOLT_TF32);
}

void transposed_convolutions_tf32(void **state)
{
    (void)state;
    run_in(transposed_convolutions, VOLT_F32, VOLT_TF32);
}
