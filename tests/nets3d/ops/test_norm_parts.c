/* A norm whose volume lies in two parts: the sums of the parts, added, give every part what the
 * whole volume gets, forward and backward, on the reference and the CPU device. */
#include "tests/kit/test.h"
#include "base/core/alloc.h"
#include "base/rng.h"
#include "nets3d/device/bf16.h"
#include "nets3d/device/op_spec.h"

#define N     2
#define C     20
#define PLANE (5 * 7)
#define SLOPE 0.1

static volt_device *device;
static volt_dtype dtype;

/* A norm over `d` planes; owned. All operands are the device's. */
typedef struct part {
    int64_t d;
    void *x, *y, *dy, *dx;
    double forward[N * C * 2], backward[N * C * 2];
    float mean[N * C], rstd[N * C], dscale[C], dshift[C];
} part;

static const int64_t count_of_whole = 6 * PLANE;
static float scale[C], shift[C];

static volt_tensor extents(int64_t d, volt_dtype type, volt_tensor_layout layout)
{
    return volt_tensor_make((int64_t[]){N, C, d, 5, 7}, type, layout);
}

static volt_tensor vector(int64_t n, int64_t of)
{
    return volt_tensor_make((int64_t[]){n, C, of, 1, 1}, of == 2 ? VOLT_F64 : VOLT_F32,
                            VOLT_PLAIN);
}

static void run(volt_op_spec spec, void *const *operands)
{
    unsigned char *scratch;
    volt_op_info info;
    volt_op *op = NULL;

    spec.threads = 2;
    spec.slope = SLOPE;
    spec.eps = 1e-5;
    assert_ok(device->op_create(device, &op, &spec));
    device->op_info(op, &info);
    assert_ok(volt_alloc(&scratch, info.scratch_bytes + 1, "scratch"));
    assert_ok(device->op_run(op, operands, scratch, NULL));
    volt_free(scratch);
    device->op_free(op);
}

static void copy(int64_t d, void *native, float *plain, bool up)
{
    const volt_tensor host = extents(d, VOLT_F32, VOLT_PLAIN),
                      own = extents(d, dtype, VOLT_NATIVE);

    run((volt_op_spec){.kind = VOLT_OP_COPY, .tensor = {up ? host : own, up ? own : host}},
        up ? (void *[]){plain, native} : (void *[]){native, plain});
}

/* `d` planes from plane `first` on of the plain x and dy (N, C, 6, 5, 7). */
static void make(part *p, int64_t d, int64_t first, const float *x, const float *dy)
{
    const volt_tensor t = extents(d, dtype, VOLT_NATIVE);
    void **const buffers[] = {&p->x, &p->y, &p->dy, &p->dx};
    float *plain;

    p->d = d;
    for (int i = 0; i < 4; i++)
        assert_ok(volt_alloc(buffers[i], device->buffer_bytes(device, &t), "an operand"));
    assert_ok(volt_alloc(&plain, (size_t)(N * C * d * PLANE) * 4, "values"));
    for (int which = 0; which < 2; which++) {
        for (int64_t i = 0; i < N * C; i++)
            memcpy(plain + i * d * PLANE, (which ? dy : x) + (i * 6 + first) * PLANE,
                   (size_t)(d * PLANE) * 4);
        copy(d, which ? p->dy : p->x, plain, true);
    }
    volt_free(plain);
}

static void forward_sums(part *p)
{
    const volt_tensor t = extents(p->d, dtype, VOLT_NATIVE);

    run((volt_op_spec){.kind = VOLT_OP_NORM_SUMS, .tensor = {t, vector(N, 2)}},
        (void *[]){p->x, p->forward});
}

/* What follows from the sums of all voxels, until the next sums. */
static void forward_rest(part *p)
{
    const volt_tensor t = extents(p->d, dtype, VOLT_NATIVE), s = vector(N, 1), c = vector(1, 1);

    run((volt_op_spec){.kind = VOLT_OP_NORM_FINISH,
                       .count = count_of_whole,
                       .tensor = {vector(N, 2), s, s}},
        (void *[]){p->forward, p->mean, p->rstd});
    run((volt_op_spec){.kind = VOLT_OP_NORM_ACT_FWD, .tensor = {t, s, s, c, c, t}},
        (void *[]){p->x, p->mean, p->rstd, scale, shift, p->y});
    run((volt_op_spec){.kind = VOLT_OP_NORM_BWD_SUMS,
                       .tensor = {t, s, s, c, c, t, {0}, vector(N, 2), c, c}},
        (void *[]){p->x, p->mean, p->rstd, scale, shift, p->dy, NULL, p->backward, p->dscale,
                   p->dshift});
}

static void backward_rest(part *p)
{
    const volt_tensor t = extents(p->d, dtype, VOLT_NATIVE), s = vector(N, 1), c = vector(1, 1);

    run((volt_op_spec){.kind = VOLT_OP_NORM_BWD_APPLY,
                       .count = count_of_whole,
                       .tensor = {t, s, s, c, c, t, {0}, vector(N, 2), t}},
        (void *[]){p->x, p->mean, p->rstd, scale, shift, p->dy, NULL, p->backward, p->dx});
}

static void add(double *a, double *b, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        a[i] = b[i] = a[i] + b[i];
}

static void compare(const char *what, const float *a, const float *b, int64_t count,
                    double tolerance)
{
    for (int64_t i = 0; i < count; i++) {
        if (!(fabs((double)a[i] - b[i]) <= tolerance * (1 + fabs((double)b[i]))))
            fail_msg("%s, %lld: %.9g, of the whole %.9g", what, (long long)i, a[i], b[i]);
    }
}

/* The planes of a part's buffer against those of the whole's. */
static void compare_planes(const char *what, const part *p, void *of_part, int64_t first,
                           const part *whole, void *of_whole)
{
    float got[N * C * 6 * PLANE], want[N * C * 6 * PLANE];

    copy(p->d, of_part, got, false);
    copy(whole->d, of_whole, want, false);
    for (int64_t i = 0; i < N * C; i++)
        compare(what, got + i * p->d * PLANE, want + (i * 6 + first) * PLANE, p->d * PLANE,
                dtype == VOLT_BF16 ? 1e-2 : 1e-5);
}

static void release(part *p)
{
    volt_free(p->x);
    volt_free(p->y);
    volt_free(p->dy);
    volt_free(p->dx);
}

static void two_parts(void)
{
    volt_rng rng = volt_rng_open(5, 0, 0, VOLT_RNG_TEST);
    float x[N * C * 6 * PLANE], dy[N * C * 6 * PLANE], gradient[C];
    part whole = {0}, low = {0}, high = {0};

    for (int64_t i = 0; i < N * C * 6 * PLANE; i++) {
        x[i] = (float)(3 + volt_rng_normal(&rng));
        dy[i] = (float)(0.5 + volt_rng_normal(&rng));
    }
    for (int c = 0; c < C; c++) {
        scale[c] = (float)volt_rng_normal(&rng);
        shift[c] = (float)volt_rng_normal(&rng);
    }
    make(&whole, 6, 0, x, dy);
    make(&low, 4, 0, x, dy);
    make(&high, 2, 4, x, dy);
    forward_sums(&whole);
    forward_sums(&low);
    forward_sums(&high);
    add(low.forward, high.forward, N * C * 2);
    forward_rest(&whole);
    forward_rest(&low);
    forward_rest(&high);
    for (int c = 0; c < C; c++) { /* of local voxels: added as all gradients are */
        gradient[c] = low.dscale[c] + high.dscale[c];
        assert_true(low.dscale[c] != whole.dscale[c]);
    }
    compare("diff_scale", gradient, whole.dscale, C, 1e-4);
    add(low.backward, high.backward, N * C * 2);
    backward_rest(&whole);
    backward_rest(&low);
    backward_rest(&high);
    compare("mean", low.mean, whole.mean, N * C, 1e-6);
    compare("rstd", high.rstd, whole.rstd, N * C, 1e-5);
    compare_planes("dst", &low, low.y, 0, &whole, whole.y);
    compare_planes("dst", &high, high.y, 4, &whole, whole.y);
    compare_planes("diff_src", &low, low.dx, 0, &whole, whole.dx);
    compare_planes("diff_src", &high, high.dx, 4, &whole, whole.dx);
    release(&whole);
    release(&low);
    release(&high);
}

static void parts_get_what_the_whole_gets(void **state)
{
    static const char *const names[] = {"reference", "cpu"};

    (void)state;
    for (int i = 0; i < 2 * 2; i++) {
        assert_ok(volt_device_open(&device, names[i % 2]));
        dtype = i / 2 ? VOLT_BF16 : VOLT_F32;
        if (dtype == VOLT_F32 || device->supports(device, VOLT_BF16_MIXED))
            two_parts();
        volt_device_close(device);
    }
}

/* A convolution's sums are those of what it stored, rounding included. */
static void conv_sums_are_those_of_the_output(void **state)
{
    const volt_tensor sums = volt_tensor_make((int64_t[]){1, 3, 2, 1, 1}, VOLT_F64, VOLT_PLAIN);
    uint16_t src[2 * 8], dst[3 * 8];
    float weights[3 * 2];
    double by_conv[6], by_norm[6];
    volt_op_spec spec = {
        .kind = VOLT_OP_CONV_FWD,
        .conv = {.kernel = {1, 1, 1}, .stride = {1, 1, 1}},
        .tensor = {volt_tensor_make((int64_t[]){1, 2, 2, 2, 2}, VOLT_BF16, VOLT_NATIVE),
                   volt_tensor_make((int64_t[]){3, 2, 1, 1, 1}, VOLT_F32, VOLT_PLAIN),
                   {0},
                   volt_tensor_make((int64_t[]){1, 3, 2, 2, 2}, VOLT_BF16, VOLT_NATIVE),
                   sums}};

    (void)state;
    for (int i = 0; i < 2 * 8; i++)
        src[i] = volt_bf16_from_float(0.37f * (float)(i - 5));
    for (int i = 0; i < 3 * 2; i++)
        weights[i] = 0.1f * (float)(i + 1);
    assert_ok(volt_device_open(&device, "reference"));
    run(spec, (void *[]){src, weights, NULL, dst, by_conv});
    run((volt_op_spec){.kind = VOLT_OP_NORM_SUMS, .tensor = {spec.tensor[3], sums}},
        (void *[]){dst, by_norm});
    assert_memory_equal(by_conv, by_norm, sizeof by_norm);
    volt_device_close(device);
}

static void refuse(volt_op_spec spec, const char *why)
{
    volt_op *op = NULL;

    spec.threads = 1;
    assert_fails(device->op_create(device, &op, &spec), VOLT_EINVAL, why);
    assert_null(op);
}

static void wrong_sums_are_refused(void **state)
{
    const volt_tensor t = extents(2, VOLT_F32, VOLT_NATIVE), s = vector(N, 1), q = vector(N, 2);
    const volt_tensor c = vector(1, 1), all = vector(1, 2);
    volt_tensor narrow = q, one = q;

    (void)state;
    narrow.dtype = VOLT_F32;
    one.d = 1;
    for (int i = 0; i < 2; i++) {
        assert_ok(volt_device_open(&device, i ? "cpu" : "reference"));
        refuse((volt_op_spec){.kind = VOLT_OP_NORM_SUMS, .tensor = {t, narrow}},
               "expected float64");
        refuse((volt_op_spec){.kind = VOLT_OP_NORM_SUMS, .tensor = {t, one}}, "along d");
        refuse((volt_op_spec){.kind = VOLT_OP_NORM_FINISH, .tensor = {q, s, s}},
               "sums over 0 voxels");
        refuse((volt_op_spec){.kind = VOLT_OP_NORM_FINISH,
                              .count = 9,
                              .momentum = 0.1,
                              .tensor = {q, s, s, c, c, c, c}},
               "sums of 2 samples");
        refuse((volt_op_spec){.kind = VOLT_OP_NORM_FINISH,
                              .count = 9,
                              .momentum = 0.1,
                              .tensor = {all, s, s, c, c, c}},
               "3 operands");
        refuse((volt_op_spec){.kind = VOLT_OP_NORM_FINISH,
                              .count = 1,
                              .momentum = 0.1,
                              .tensor = {all, s, s, c, c, c, c}},
               "over 1 voxel");
        refuse((volt_op_spec){.kind = VOLT_OP_NORM_FINISH,
                              .count = 9,
                              .momentum = NAN,
                              .tensor = {all, s, s, c, c, c, c}},
               "momentum is nan");
        refuse((volt_op_spec){.kind = VOLT_OP_NORM_RUNNING, .tensor = {c, s, s, s}},
               "operand 1 has extent 2 along n");
        refuse((volt_op_spec){.kind = VOLT_OP_NORM_BWD_APPLY,
                              .count = -1,
                              .tensor = {t, s, s, {0}, {0}, t, {0}, q, t}},
               "sums over -1 voxels");
        volt_device_close(device);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_get_what_the_whole_gets),
        cmocka_unit_test(conv_sums_are_those_of_the_output),
        cmocka_unit_test(wrong_sums_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
