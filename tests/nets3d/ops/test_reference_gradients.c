/* The reference operators' backward passes against central differences of their forward
 * passes: for random u, d/dt sum(u * f(x + t v)) = sum(v * backward(u)). */
#include "tests/kit/loss_call.h"
#include "tests/kit/test.h"
#include "base/core/alloc.h"
#include "base/rng.h"
#include "nets3d/device/op_spec.h"

static volt_device *device;
static volt_rng rng;

static int open_device(void **state)
{
    (void)state;
    rng = volt_rng_open(3, 0, 0, VOLT_RNG_TEST);
    return volt_device_open(&device, "reference");
}

static int close_device(void **state)
{
    (void)state;
    volt_device_close(device);
    return 0;
}

static float *random_values(const volt_tensor *t)
{
    const int64_t count = volt_tensor_elements(t);
    float *x;

    assert_ok(volt_alloc(&x, (size_t)(count + 1) * sizeof *x, "values"));
    for (int64_t i = 0; i < count; i++)
        x[i] = (float)volt_rng_normal(&rng);
    return x;
}

static double dot(const float *a, const float *b, const volt_tensor *t)
{
    double sum = 0;

    for (int64_t i = 0; i < volt_tensor_elements(t); i++)
        sum += (double)a[i] * b[i];
    return sum;
}

static void run(const volt_op_spec *spec, void *const *operands)
{
    volt_op *op = NULL;

    assert_ok(device->op_create(device, &op, spec));
    assert_ok(device->op_run(op, operands, NULL, NULL));
    device->op_free(op);
}

/* A function of operand `input` of a chain of up to three operators. */
typedef struct function {
    volt_op_spec steps[3];
    void *operands[3][VOLT_OP_MAX_TENSORS];
    int count;
    int out; /* operand of the last step that holds the result */
} function;

static double weighted(const function *f, const float *u)
{
    for (int i = 0; i < f->count; i++)
        run(&f->steps[i], f->operands[i]);
    return dot(f->operands[f->count - 1][f->out], u, &f->steps[f->count - 1].tensor[f->out]);
}

/* Checks gradient `g` of the values x (extents `t`). */
static void check(const char *what, const function *f, float *x, const volt_tensor *t,
                  const float *g, const float *u)
{
    const float step = 1e-2f;

    for (int trial = 0; trial < 4; trial++) {
        float *v = random_values(t), *start = random_values(t);
        double high, low, slope, want;

        memcpy(start, x, (size_t)volt_tensor_elements(t) * sizeof *x);
        for (int64_t i = 0; i < volt_tensor_elements(t); i++)
            x[i] = start[i] + step * v[i];
        high = weighted(f, u);
        for (int64_t i = 0; i < volt_tensor_elements(t); i++)
            x[i] = start[i] - step * v[i];
        low = weighted(f, u);
        memcpy(x, start, (size_t)volt_tensor_elements(t) * sizeof *x);
        slope = (high - low) / (2 * (double)step);
        want = dot(g, v, t);
        if (!(fabs(slope - want) <= 0.01 * (fabs(want) + sqrt(dot(g, g, t)))))
            fail_msg("%s: slope %.6g, gradient gives %.6g", what, slope, want);
        volt_free(start);
        volt_free(v);
    }
}

static volt_tensor whole(int64_t n, int64_t c, int64_t d, int64_t h, int64_t w)
{
    return volt_tensor_make((int64_t[]){n, c, d, h, w}, VOLT_F32, VOLT_PLAIN);
}

static void check_convolution(volt_op_kind forward, const volt_conv *conv, volt_tensor src,
                              volt_tensor weights, volt_tensor dst)
{
    const volt_tensor bias = whole(1, dst.c, 1, 1, 1);
    float *x = random_values(&src), *w = random_values(&weights), *b = random_values(&bias);
    float *y = random_values(&dst), *u = random_values(&dst);
    float *gx = random_values(&src), *gw = random_values(&weights), *gb = random_values(&bias);
    const function f = {.steps = {{.kind = forward,
                                   .threads = 1,
                                   .conv = *conv,
                                   .tensor = {src, weights, bias, dst}}},
                        .operands = {{x, w, b, y}},
                        .count = 1,
                        .out = 3};
    volt_op_spec back = {
        .kind = forward + 1, .threads = 1, .conv = *conv, .tensor = {src, weights, dst}};

    run(&back, (void *[]){gx, w, u});
    back = f.steps[0];
    back.kind = forward + 2;
    run(&back, (void *[]){x, gw, gb, u});
    check("data gradient", &f, x, &src, gx, u);
    check("weight gradient", &f, w, &weights, gw, u);
    check("bias gradient", &f, b, &bias, gb, u);
    volt_free(gb);
    volt_free(gw);
    volt_free(gx);
    volt_free(u);
    volt_free(y);
    volt_free(b);
    volt_free(w);
    volt_free(x);
}

static void convolutions(void **state)
{
    static const volt_conv convs[] = {
        {{3, 3, 3}, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}},
        {{3, 3, 3}, {2, 2, 2}, {1, 1, 1}, {1, 1, 1}},
        {{1, 3, 3}, {1, 2, 2}, {0, 1, 1}, {0, 1, 1}},
        {{3, 1, 5}, {1, 1, 2}, {1, 0, 0}, {0, 0, 3}},
    };

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        const volt_conv *c = &convs[i];
        const int64_t in[3] = {4, 5, 6};
        int64_t o[3];
        for (int a = 0; a < 3; a++)
            o[a] = (in[a] + c->pad_low[a] + c->pad_high[a] - c->kernel[a]) / c->stride[a] + 1;
        check_convolution(VOLT_OP_CONV_FWD, c, whole(2, 3, 4, 5, 6),
                          whole(4, 3, c->kernel[0], c->kernel[1], c->kernel[2]),
                          whole(2, 4, o[0], o[1], o[2]));
    }
}

static void transposed_convolutions(void **state)
{
    static const volt_conv conv = {.kernel = {1, 2, 3}, .stride = {1, 2, 3}};
    static const volt_conv wide = {
        .kernel = {3, 5, 1}, .stride = {2, 1, 3}, .pad_low = {1, 2, 0}, .pad_high = {0, 2, -2}};

    (void)state;
    check_convolution(VOLT_OP_TCONV_FWD, &conv, whole(2, 3, 2, 3, 2), whole(3, 4, 1, 2, 3),
                      whole(2, 4, 2, 6, 6));
    check_convolution(VOLT_OP_TCONV_FWD, &wide, whole(2, 3, 2, 3, 2), whole(3, 4, 3, 5, 1),
                      whole(2, 4, 4, 3, 6));
}

/* A norm per sample, or over the batch. */
static void check_norm(bool batch)
{
    const int64_t count = (batch ? 2 : 1) * 4 * 5 * 6;
    const volt_tensor t = whole(2, 3, 4, 5, 6), s = whole(2, 3, 1, 1, 1),
                      c = whole(1, 3, 1, 1, 1);
    const volt_tensor q =
        volt_tensor_make((int64_t[]){batch ? 1 : 2, 3, 2, 1, 1}, VOLT_F64, VOLT_PLAIN);
    double sums[2 * 3 * 2];
    float *x = random_values(&t), *y = random_values(&t), *u = random_values(&t);
    float *mean = random_values(&s), *rstd = random_values(&s), *scale = random_values(&c),
          *shift = random_values(&c), *gx = random_values(&t), *gs = random_values(&c),
          *gb = random_values(&c), *half = random_values(&t);
    const function f = {
        .steps = {{.kind = VOLT_OP_NORM_SUMS, .threads = 1, .tensor = {t, q}},
                  {.kind = VOLT_OP_NORM_FINISH,
                   .threads = 1,
                   .count = count,
                   .eps = 1e-5,
                   .tensor = {q, s, s}},
                  {.kind = VOLT_OP_NORM_ACT_FWD,
                   .threads = 1,
                   .slope = 0.1,
                   .tensor = {t, s, s, c, c, t}}},
        .operands = {{x, sums}, {sums, mean, rstd}, {x, mean, rstd, scale, shift, y}},
        .count = 3,
        .out = 5};
    const volt_op_spec back[2] = {{.kind = VOLT_OP_NORM_BWD_SUMS,
                                   .threads = 1,
                                   .slope = 0.1,
                                   .tensor = {t, s, s, c, c, t, t, q, c, c}},
                                  {.kind = VOLT_OP_NORM_BWD_APPLY,
                                   .threads = 1,
                                   .count = count,
                                   .slope = 0.1,
                                   .tensor = {t, s, s, c, c, t, t, q, t}}};

    for (int i = 0; i < 3; i++) { /* no voxel near the kink; channel 1 lies below it */
        scale[i] = 0.3f;
        shift[i] = i == 1 ? -2.0f : 2.0f;
    }
    (void)weighted(&f, u);
    for (int64_t i = 0; i < volt_tensor_elements(&t); i++)
        half[i] = 0.5f * u[i]; /* the gradient arrives in two halves */
    run(&back[0], (void *[]){x, mean, rstd, scale, shift, half, half, sums, gs, gb});
    run(&back[1], (void *[]){x, mean, rstd, scale, shift, half, half, sums, gx});
    check("norm, data", &f, x, &t, gx, u);
    check("norm, scale", &f, scale, &c, gs, u);
    check("norm, shift", &f, shift, &c, gb, u);
    void *all[] = {x, y, u, mean, rstd, scale, shift, gx, gs, gb, half};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        volt_free(all[i]);
}

static void norm_with_activation(void **state)
{
    (void)state;
    check_norm(false);
    check_norm(true);
}

/* Operators with one input and one output; `reads` is 0 nothing, 1 the input, 2 the result. */
static void check_simple(const char *what, volt_op_spec forward, volt_op_kind backward,
                         int reads)
{
    const volt_tensor in = forward.tensor[0], out = forward.tensor[1];
    float *x = random_values(&in), *y = random_values(&out), *u = random_values(&out),
          *g = random_values(&in);
    volt_op_spec back = forward;
    function f = {.steps = {forward}, .operands = {{x, y}}, .count = 1, .out = 1};

    for (int64_t i = 0; i < volt_tensor_elements(&in); i++) /* away from kinks, no near-ties */
        x[i] = 0.2f * (float)((i * 7919) % volt_tensor_elements(&in)) - 40.1f;
    if (forward.kind == VOLT_OP_SOFTMAX_FWD)
        for (int64_t i = 0; i < volt_tensor_elements(&in); i++)
            x[i] *= 0.05f;
    (void)weighted(&f, u);
    back.kind = backward;
    back.tensor[0] = reads == 1 ? in : out;
    back.tensor[1] = reads ? out : in;
    back.tensor[2] = reads ? in : (volt_tensor){0};
    run(&back, (void *[]){reads == 1 ? x : reads ? y : u, reads ? u : g, reads ? g : NULL});
    check(what, &f, x, &in, g, u);
    volt_free(g);
    volt_free(u);
    volt_free(y);
    volt_free(x);
}

static void other_operators(void **state)
{
    const volt_tensor t = whole(2, 3, 4, 6, 5), pooled = whole(2, 3, 2, 3, 3),
                      up = whole(2, 3, 8, 6, 15);
    const volt_conv window = {.kernel = {3, 2, 1}, .stride = {1, 2, 2}};
    const volt_conv factor = {.stride = {2, 1, 3}, .kernel = {1, 1, 1}};

    (void)state;
    check_simple("leaky ReLU",
                 (volt_op_spec){VOLT_OP_ACT_FWD, {t, t}, .slope = 0.2, .threads = 1},
                 VOLT_OP_ACT_BWD, 2);
    check_simple("softmax", (volt_op_spec){VOLT_OP_SOFTMAX_FWD, {t, t}, .threads = 1},
                 VOLT_OP_SOFTMAX_BWD, 2);
    check_simple(
        "max pooling",
        (volt_op_spec){VOLT_OP_MAX_POOL_FWD, {t, pooled}, .conv = window, .threads = 1},
        VOLT_OP_MAX_POOL_BWD, 1);
    check_simple(
        "average pooling",
        (volt_op_spec){VOLT_OP_AVERAGE_POOL_FWD, {t, pooled}, .conv = window, .threads = 1},
        VOLT_OP_AVERAGE_POOL_BWD, 0);
    for (int linear = 0; linear < 2; linear++)
        check_simple(
            "upsampling",
            (volt_op_spec){
                VOLT_OP_UPSAMPLE_FWD, {t, up}, .conv = factor, .linear = linear, .threads = 1},
            VOLT_OP_UPSAMPLE_BWD, 0);
}

/* PReLU by what goes in and by its slopes; with one slope, and below and above [0, 1]. */
static void prelu(void **state)
{
    const volt_tensor t = whole(2, 3, 4, 5, 6);

    (void)state;
    for (int64_t slopes = 1; slopes <= 3; slopes += 2) {
        const volt_tensor s = whole(1, slopes, 1, 1, 1);
        float *x = random_values(&t), *a = random_values(&s), *y = random_values(&t);
        float *u = random_values(&t), *gx = random_values(&t), *ga = random_values(&s);
        const function f = {
            .steps = {{.kind = VOLT_OP_PRELU_FWD, .threads = 1, .tensor = {t, s, t}}},
            .operands = {{x, a, y}},
            .count = 1,
            .out = 2};
        const volt_op_spec back = {
            .kind = VOLT_OP_PRELU_BWD, .threads = 1, .tensor = {t, s, t, t, s}};

        for (int64_t i = 0; i < volt_tensor_elements(&t); i++)
            x[i] += x[i] > 0 ? 0.1f : -0.1f; /* away from the bend */
        a[0] = -0.5f;
        if (slopes > 1)
            a[1] = 1.5f;
        run(&back, (void *[]){x, a, u, gx, ga});
        check("PReLU", &f, x, &t, gx, u);
        check("slope gradient", &f, a, &s, ga, u);
        volt_free(ga);
        volt_free(gx);
        volt_free(u);
        volt_free(y);
        volt_free(a);
        volt_free(x);
    }
}

static double loss_of(volt_loss_call *call, const float *logits, float *work, size_t bytes)
{
    volt_loss_block *r;
    double value;

    memcpy(work, logits, bytes);
    r = loss_call_run(device, call);
    value = r->value[0];
    volt_free(r);
    return value;
}

static void gradients_of_losses(void **state)
{
    const volt_tensor t = whole(2, 3, 2, 4, 3);
    const size_t bytes = (size_t)volt_tensor_elements(&t) * sizeof(float);
    float *x = random_values(&t), *work = random_values(&t), *g = random_values(&t);
    int16_t labels[48];
    volt_loss_call call = {.n = 2,
                           .c = 3,
                           .labels = labels,
                           .d = 2,
                           .h = 4,
                           .w = 3,
                           .levels = 1,
                           .level = {{work, 2, 4, 3, 1}},
                           .weight_ce = 0.7,
                           .weight_dice = 1.3,
                           .smooth = 1e-5,
                           .ignore = 3,
                           .threads = 1};

    (void)state;
    for (int i = 0; i < 48; i++)
        labels[i] = (int16_t)volt_rng_below(&rng, 4);
    for (int pooled = 0; pooled < 2; pooled++) {
        call.batch_dice = pooled;
        call.gradient = true;
        (void)loss_of(&call, x, work, bytes);
        memcpy(g, work, bytes);
        call.gradient = false;
        for (int64_t i = 0; i < volt_tensor_elements(&t); i += 5) {
            const float at = x[i];
            double high, low;
            x[i] = at + 1e-2f;
            high = loss_of(&call, x, work, bytes);
            x[i] = at - 1e-2f;
            low = loss_of(&call, x, work, bytes);
            x[i] = at;
            assert_true(fabs((high - low) / 2e-2 - g[i]) < 1e-4);
        }
    }
    volt_free(g);
    volt_free(work);
    volt_free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(convolutions),
        cmocka_unit_test(transposed_convolutions),
        cmocka_unit_test(norm_with_activation),
        cmocka_unit_test(other_operators),
        cmocka_unit_test(prelu),
        cmocka_unit_test(gradients_of_losses),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
