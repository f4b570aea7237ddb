#include "tests/kit/test.h"
#include "base/core/alloc.h"
#include "base/rng.h"
#include "nets3d/cpu/winograd.h"

/* A convolution problem with its operands plain and blocked. */
typedef struct problem {
    int64_t n, ic, oc, in[3], out[3], pad[3], block;
    bool bf16;
    float *src, *dst, *weights;
    volt_winograd_tensor src_blocked, dst_blocked;
} problem;

static int64_t rounded(int64_t c, int64_t block)
{
    return (c + block - 1) / block * block;
}

static int64_t voxels(const int64_t e[3])
{
    return e[0] * e[1] * e[2];
}

static float round_bf16(float x)
{
    uint32_t u;

    memcpy(&u, &x, 4);
    u = (u + 0x7FFF + (u >> 16 & 1)) & 0xFFFF0000u;
    memcpy(&x, &u, 4);
    return x;
}

static int64_t blocked_index(const volt_winograd_tensor *t, int64_t block, int64_t n, int64_t c,
                             int64_t voxel)
{
    return n * t->sample_stride + (c / block * voxels(t->extent) + voxel) * block + c % block;
}

static float read_blocked(const volt_winograd_tensor *t, int64_t i)
{
    uint32_t u;
    float x;

    if (!t->bf16)
        return ((float *)t->data)[i];
    u = (uint32_t)((uint16_t *)t->data)[i] << 16;
    memcpy(&x, &u, 4);
    return x;
}

static void write_blocked(const volt_winograd_tensor *t, int64_t i, float x)
{
    uint32_t u;

    memcpy(&u, &x, 4);
    if (t->bf16)
        ((uint16_t *)t->data)[i] = (uint16_t)(u >> 16);
    else
        ((float *)t->data)[i] = x;
}

/* Random values, in a buffer whose samples have two channel blocks more than needed. */
static void fill(float **plain, volt_winograd_tensor *t, const problem *p, int64_t c,
                 const int64_t e[3], uint32_t stream)
{
    volt_rng rng = volt_rng_open(5, 0, stream, VOLT_RNG_TEST);
    const int64_t stride = (rounded(c, p->block) + 2 * p->block) * voxels(e);

    *t = (volt_winograd_tensor){.sample_stride = stride,
                                .block_stride = voxels(e) * p->block,
                                .plane_stride = e[1] * e[2] * p->block,
                                .row_stride = e[2] * p->block,
                                .bf16 = p->bf16};
    memcpy(t->extent, e, sizeof t->extent);
    assert_ok(volt_alloc_zero(&t->data, (size_t)(p->n * stride), 4, "test tensor"));
    assert_ok(volt_alloc_zero(plain, (size_t)(p->n * c * voxels(e)), 4, "test tensor"));
    for (int64_t i = 0; i < p->n * c * voxels(e); i++) {
        const int64_t n = i / (c * voxels(e)), channel = i / voxels(e) % c;
        const float x = round_bf16((float)volt_rng_range(&rng, -1, 1));
        (*plain)[i] = x;
        write_blocked(t, blocked_index(t, p->block, n, channel, i % voxels(e)), x);
    }
}

static void setup(problem *p)
{
    volt_rng rng = volt_rng_open(6, 0, 0, VOLT_RNG_TEST);

    p->block = volt_winograd_block();
    fill(&p->src, &p->src_blocked, p, p->ic, p->in, 1);
    fill(&p->dst, &p->dst_blocked, p, p->oc, p->out, 2);
    assert_ok(volt_alloc_zero(&p->weights, (size_t)(p->oc * p->ic * 27), 4, "weights"));
    for (int64_t i = 0; i < p->oc * p->ic * 27; i++)
        p->weights[i] = (float)volt_rng_range(&rng, -1, 1);
}

static void teardown(problem *p)
{
    volt_free(p->weights);
    volt_free(p->dst_blocked.data);
    volt_free(p->dst);
    volt_free(p->src_blocked.data);
    volt_free(p->src);
}

/* Input voxel that tap `k` of output voxel `o` sees, or -1. */
static int64_t seen(const problem *p, int64_t o, int k)
{
    const int64_t d = o / (p->out[1] * p->out[2]) + k / 9 - p->pad[0];
    const int64_t h = o / p->out[2] % p->out[1] + k / 3 % 3 - p->pad[1];
    const int64_t w = o % p->out[2] + k % 3 - p->pad[2];

    if (d < 0 || h < 0 || w < 0 || d >= p->in[0] || h >= p->in[1] || w >= p->in[2])
        return -1;
    return (d * p->in[1] + h) * p->in[2] + w;
}

static double direct(const problem *p, int64_t n, int64_t oc, int64_t o)
{
    double sum = 0;

    for (int64_t ic = 0; ic < p->ic; ic++) {
        for (int k = 0; k < 27; k++) {
            const int64_t i = seen(p, o, k);
            if (i >= 0)
                sum += (double)p->src[(n * p->ic + ic) * voxels(p->in) + i] *
                       (double)p->weights[(oc * p->ic + ic) * 27 + k];
        }
    }
    return sum;
}

static double direct_gradient(const problem *p, int64_t oc, int64_t ic, int k)
{
    double sum = 0;

    for (int64_t n = 0; n < p->n; n++) {
        for (int64_t o = 0; o < voxels(p->out); o++) {
            const int64_t i = seen(p, o, k);
            if (i >= 0)
                sum += (double)p->src[(n * p->ic + ic) * voxels(p->in) + i] *
                       (double)p->dst[(n * p->oc + oc) * voxels(p->out) + o];
        }
    }
    return sum;
}

static void check_gradient(const problem *p, volt_winograd_shape s)
{
    const int64_t count = p->oc * p->ic * 27;
    float *got[2] = {NULL, NULL};
    void *scratch = NULL;

    s.threads = 2;
    assert_ok(volt_alloc(&scratch, volt_winograd_gradient_scratch(&s, p->out), "scratch"));
    for (int t = 0; t < 2; t++) {
        s.threads = t + 1;
        assert_ok(volt_alloc_zero(&got[t], (size_t)count, 4, "gradient"));
        volt_winograd_gradient(&s, &p->src_blocked, &p->dst_blocked, got[t], NULL, p->oc, p->ic,
                               scratch);
    }
    assert_memory_equal(got[0], got[1], (size_t)count * 4);
    for (int64_t i = 0; i < count; i++) {
        const double want = direct_gradient(p, i / 27 / p->ic, i / 27 % p->ic, (int)(i % 27));
        if (!(fabs(want - (double)got[0][i]) < 2e-6 * (double)(p->n * voxels(p->out)) + 1e-5))
            fail_msg("weight %d: %g, not %g", (int)i, (double)got[0][i], want);
    }
    volt_free(scratch);
    volt_free(got[0]);
    volt_free(got[1]);
}

static void compare_forward(const problem *p)
{
    const double relative = p->bf16 ? 0.004 : 1e-6, absolute = 1e-6 * (double)(27 * p->ic);
    int64_t compared = 0;

    for (int64_t i = 0; i < p->n * p->oc * voxels(p->out); i++) {
        const int64_t o = i % voxels(p->out), c = i / voxels(p->out) % p->oc;
        const int64_t n = i / voxels(p->out) / p->oc;
        const double want = direct(p, n, c, o) + 0.25 * (double)c;
        const double got = (double)read_blocked(
            &p->dst_blocked, blocked_index(&p->dst_blocked, p->block, n, c, o));
        if (!(fabs(want - got) < relative * fabs(want) + absolute))
            fail_msg("n %d c %d voxel %d: %g, not %g", (int)n, (int)c, (int)o, got, want);
        compared++;
    }
    assert_true(compared > 0);
}

static void check_forward(const problem *p, volt_winograd_shape s)
{
    float *packed = NULL, *bias = NULL;
    void *scratch = NULL;

    assert_ok(volt_alloc(&packed, volt_winograd_packed_floats(s.ic, s.oc) * 4, "packed"));
    assert_ok(volt_alloc_zero(&bias, (size_t)s.oc, 4, "bias"));
    for (int64_t i = 0; i < p->oc; i++)
        bias[i] = 0.25f * (float)i;
    for (s.threads = 1; s.threads <= 3; s.threads += 2) {
        volt_winograd_pack(packed, &s, p->weights, p->oc, p->ic, false);
        assert_ok(volt_alloc(&scratch, volt_winograd_scratch(&s, p->out), "scratch"));
        memset(scratch, 0xFF, volt_winograd_scratch(&s, p->out)); /* NaN: must not leak in */
        volt_winograd_run(&s, &p->src_blocked, packed, bias, &p->dst_blocked, scratch);
        volt_free(scratch);
        compare_forward(p);
    }
    volt_free(bias);
    volt_free(packed);
}

static void matches_direct_convolution(void **state)
{
    const problem problems[] = {
        {.n = 2, .ic = 20, .oc = 36, .in = {5, 6, 7}, .out = {5, 6, 7}, .pad = {1, 1, 1}},
        {.n = 1, .ic = 1, .oc = 3, .in = {4, 2, 30}, .out = {4, 2, 30}, .pad = {1, 1, 1}},
        {.n = 1, .ic = 16, .oc = 16, .in = {6, 5, 4}, .out = {4, 4, 6}, .pad = {0, 1, 2}},
        {.n = 3, .ic = 48, .oc = 8, .in = {2, 3, 1}, .out = {2, 3, 1}, .pad = {1, 1, 1}},
    };

    (void)state;
    for (size_t i = 0; i < 2 * sizeof problems / sizeof *problems; i++) {
        problem p = problems[i / 2];
        volt_winograd_shape s;
        p.bf16 = i % 2 == 1;
        setup(&p);
        s = (volt_winograd_shape){.n = p.n,
                                  .ic = rounded(p.ic, p.block),
                                  .oc = rounded(p.oc, p.block),
                                  .pad_low = {p.pad[0], p.pad[1], p.pad[2]}};
        check_gradient(&p, s); /* before the forward pass overwrites dst */
        check_forward(&p, s);
        teardown(&p);
    }
}

/* <conv(x), y> = <x, backward(y)>: the packed backward filter is the adjoint. */
static void the_backward_filter_is_the_adjoint(void **state)
{
    problem p = {.n = 1, .ic = 5, .oc = 9, .in = {5, 4, 6}, .out = {5, 4, 6}, .pad = {1, 1, 1}};
    const int64_t v = voxels(p.in);
    float *packed = NULL;
    void *scratch = NULL;
    volt_winograd_shape s;
    double forward = 0, backward = 0;

    (void)state;
    setup(&p);
    s = (volt_winograd_shape){1, rounded(9, p.block), rounded(5, p.block), {1, 1, 1}, 2};
    for (int64_t i = 0; i < 9 * v; i++)
        forward += direct(&p, 0, i / v, i % v) * (double)p.dst[i];
    assert_ok(volt_alloc(&packed, volt_winograd_packed_floats(s.ic, s.oc) * 4, "packed"));
    assert_ok(volt_alloc(&scratch, volt_winograd_scratch(&s, p.in), "scratch"));
    volt_winograd_pack(packed, &s, p.weights, 9, 5, true);
    volt_winograd_run(&s, &p.dst_blocked, packed, NULL, &p.src_blocked, scratch);
    for (int64_t i = 0; i < 5 * v; i++) {
        const int64_t at = blocked_index(&p.src_blocked, p.block, 0, i / v, i % v);
        backward += (double)p.src[i] * (double)read_blocked(&p.src_blocked, at);
    }
    assert_true(fabs(forward - backward) < 1e-4 * (fabs(forward) + 1));
    volt_free(scratch);
    volt_free(packed);
    teardown(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matches_direct_convolution),
        cmocka_unit_test(the_backward_filter_is_the_adjoint),
    };
    const char *levels[] = {"avx512", "avx2", "base"}; /* above the machine's: its best */
    int failures = 0;

    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        setenv("VOLT_ISA", levels[i], 1);
        failures += cmocka_run_group_tests_name(levels[i], tests, NULL, NULL);
    }
    return failures;
}
