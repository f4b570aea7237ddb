#include "base/core/alloc.h"
#include "tests/kit/device_compare.h"

suite_options suite_with;
volt_device *suite_device, *suite_reference;
int64_t suite_comparisons, suite_unsupported;
volt_rng suite_rng;

suite_block suite_alloc(size_t bytes, size_t skew)
{
    suite_block b = {.bytes = bytes};

    assert_ok(volt_alloc(&b.base, bytes + 2 * SUITE_GUARD + skew, "a test buffer"));
    memset(b.base, 0xFF, bytes + 2 * SUITE_GUARD + skew);
    b.data = b.base + SUITE_GUARD + skew;
    return b;
}

void suite_check_guards(const suite_block *b, const char *name, int operand)
{
    for (const unsigned char *p = b->base; p < b->data; p++) {
        if (*p != 0xFF)
            fail_msg("%s wrote in front of operand %d", name, operand);
    }
    for (size_t i = 0; i < SUITE_GUARD; i++) {
        if (b->data[b->bytes + i] != 0xFF)
            fail_msg("%s wrote behind operand %d", name, operand);
    }
}

float *suite_floats(int64_t count)
{
    float *x;

    assert_ok(volt_alloc(&x, (size_t)count * sizeof *x, "test values"));
    return x;
}

static float suite_round(float x, volt_dtype dtype)
{
    return dtype == VOLT_BF16 ? volt_bf16_to_float(volt_bf16_from_float(x)) : x;
}

void suite_fill_normal(float *x, int64_t count, volt_dtype dtype)
{
    for (int64_t i = 0; i < count; i++)
        x[i] = suite_round((float)volt_rng_normal(&suite_rng), dtype);
}

/* `t` as a whole buffer of its own. */
static volt_tensor suite_whole(const volt_tensor *t, int64_t c, volt_dtype dtype,
                               volt_tensor_layout layout)
{
    const int64_t e[5] = {t->n, c, t->d, t->h, t->w};

    return volt_tensor_make(e, dtype, layout);
}

/* Runs one operator without packed weights on `dev`. */
static void suite_simple(const volt_device *dev, const volt_op_spec *spec,
                         void *const *operands)
{
    volt_op_info info;
    suite_block scratch;
    volt_op *op = NULL;

    assert_ok(dev->op_create(dev, &op, spec));
    dev->op_info(op, &info);
    scratch = suite_alloc(info.scratch_bytes, 0);
    assert_ok(dev->op_run(op, operands, scratch.data, NULL));
    suite_check_guards(&scratch, volt_op_signature_of(spec->kind)->name, -1);
    volt_free(scratch.base);
    dev->op_free(op);
}

/* COPY between plain float32 (n, buffer_c, ...) on the host and a whole device buffer. */
static void suite_transfer(const volt_tensor *t, void *device, float *plain, bool up)
{
    const volt_tensor host = suite_whole(t, t->buffer_c, VOLT_F32, VOLT_PLAIN);
    const volt_tensor native = suite_whole(t, t->buffer_c, t->dtype, t->layout);
    volt_op_spec copy = {.kind = VOLT_OP_COPY, .threads = 1};

    copy.tensor[0] = up ? host : native;
    copy.tensor[1] = up ? native : host;
    suite_simple(suite_device, &copy,
                 up ? (void *[]){plain, device} : (void *[]){device, plain});
}

/* Copies the channels of `t`'s range between a whole plain buffer and a plain range. */
static void suite_range(const volt_tensor *t, float *whole, float *part, bool extract)
{
    const int64_t voxels = t->d * t->h * t->w;

    for (int64_t n = 0; n < t->n; n++) {
        float *w = whole + (n * t->buffer_c + t->c_offset) * voxels,
              *p = part + n * t->c * voxels;
        memcpy(extract ? p : w, extract ? w : p, (size_t)(t->c * voxels) * sizeof *w);
    }
}

static int64_t suite_whole_count(const volt_tensor *t)
{
    return t->n * t->buffer_c * t->d * t->h * t->w;
}

static bool suite_any_bf16(const volt_op_spec *spec)
{
    for (int i = 0; i < VOLT_OP_MAX_TENSORS; i++) {
        if (spec->tensor[i].n && spec->tensor[i].dtype == VOLT_BF16)
            return true;
    }
    return false;
}

static bool suite_is_weights(volt_op_kind kind)
{
    return kind == VOLT_OP_CONV_BWD_WEIGHTS || kind == VOLT_OP_TCONV_BWD_WEIGHTS;
}

static double suite_tolerance(const volt_op_spec *spec)
{
    if (suite_any_bf16(spec))
        return 1e-2;
    /* With so few voxels the gradient is what rounding leaves of terms that cancel. */
    if (spec->kind == VOLT_OP_NORM_ACT_BWD &&
        spec->tensor[0].d * spec->tensor[0].h * spec->tensor[0].w < 4)
        return 1e-2;
    return spec->kind <= VOLT_OP_TCONV_BWD_WEIGHTS ? suite_with.conv_tolerance : 2e-5;
}

void suite_compare(const char *what, int operand, const float *got, const float *want,
                   int64_t count, double tolerance)
{
    double squares = 0, rms;

    for (int64_t i = 0; i < count; i++)
        squares += (double)want[i] * want[i];
    rms = sqrt(squares / (double)count);
    for (int64_t i = 0; i < count; i++) {
        if (!(fabs((double)got[i] - want[i]) <= tolerance * (fabs(want[i]) + rms)))
            fail_msg("%s, operand %d, element %lld of %lld: %.9g, expected %.9g (rms %.3g)",
                     what, operand, (long long)i, (long long)count, got[i], want[i], rms);
    }
    suite_comparisons += count;
}

/* The same operator with whole plain float32 buffers, on the reference device. */
static void suite_run_reference(const volt_op_spec *spec, suite_operand *o)
{
    const volt_op_signature *sig = volt_op_signature_of(spec->kind);
    volt_op_spec plain = *spec;
    void *operands[VOLT_OP_MAX_TENSORS] = {NULL};
    volt_op *op = NULL;

    for (int i = 0; i < sig->operands; i++) {
        operands[i] = o[i].plain;
        if (spec->tensor[i].n)
            plain.tensor[i] =
                suite_whole(&spec->tensor[i], spec->tensor[i].c, VOLT_F32, VOLT_PLAIN);
    }
    assert_ok(suite_reference->op_create(suite_reference, &op, &plain));
    assert_ok(suite_reference->op_run(op, operands, NULL, NULL));
    suite_reference->op_free(op);
}

/* Values that make sense to the operator where plain random numbers would not. */
static void suite_prepare(const volt_op_spec *spec, suite_operand *o)
{
    const volt_tensor *t = &spec->tensor[0];
    const int64_t count = volt_tensor_elements(t);

    if (spec->kind == VOLT_OP_NORM_ACT_FWD || spec->kind == VOLT_OP_NORM_ACT_BWD) {
        volt_op_spec stats = {.kind = VOLT_OP_NORM_STATS, .threads = 1, .eps = 1e-5};
        memcpy(stats.tensor, spec->tensor, 3 * sizeof *t);
        suite_run_reference(&stats, o);
    } else if (spec->kind == VOLT_OP_MAX_POOL_FWD || spec->kind == VOLT_OP_MAX_POOL_BWD) {
        for (int64_t i = 0; i < count; i++) /* ties */
            o[0].plain[i] = floorf(2 * o[0].plain[i]);
    } else if (spec->kind == VOLT_OP_SOFTMAX_BWD) {
        volt_op_spec softmax = {.kind = VOLT_OP_SOFTMAX_FWD, .threads = 1};
        suite_operand same[2] = {o[0], o[0]};
        softmax.tensor[0] = softmax.tensor[1] = *t;
        suite_run_reference(&softmax, same);
        for (int64_t i = 0; i < count; i++)
            o[0].plain[i] = suite_round(o[0].plain[i], t->dtype);
    }
}

/* Gives operand i its random values and its device buffer. */
static void suite_make_operand(const volt_op_spec *spec, int i, suite_operand *o,
                               const volt_op_info *info)
{
    const volt_operand_role role = volt_op_signature_of(spec->kind)->role[i];
    const volt_tensor *t = &spec->tensor[i];
    const int64_t count = volt_tensor_elements(t);
    const bool activation = role == VOLT_ROLE_IN || role == VOLT_ROLE_OUT;

    if (activation) {
        o->whole = suite_floats(suite_whole_count(t));
        suite_fill_normal(o->whole, suite_whole_count(t), t->dtype);
        if (role == VOLT_ROLE_IN)
            suite_range(t, o->whole, o->plain, false);
        if (o->shared)
            return;
        o->block = suite_alloc(suite_device->buffer_bytes(suite_device, t), 0);
        if (role == VOLT_ROLE_IN || t->buffer_c > t->c)
            suite_transfer(t, o->block.data, o->whole, true);
    } else if (role == VOLT_ROLE_PACKED && info->packed_bytes) {
        o->block = suite_alloc(info->packed_bytes, 0);
    } else {
        o->block = suite_alloc((size_t)count * sizeof(float), SUITE_SKEW);
        if (role != VOLT_ROLE_RESULT)
            memcpy(o->block.data, o->plain, (size_t)count * sizeof(float));
    }
}

/* What the device left in operand i, as plain float32 of its range. Also checks everything that
 * must not have changed. */
static void suite_read_operand(const volt_op_spec *spec, int i, const suite_operand *o,
                               bool overwritten, float *out)
{
    const volt_op_signature *sig = volt_op_signature_of(spec->kind);
    const volt_tensor *t = &spec->tensor[i];
    const int64_t count = suite_whole_count(t);
    float *now;

    if (sig->role[i] == VOLT_ROLE_RESULT) {
        memcpy(out, o->block.data, (size_t)volt_tensor_elements(t) * sizeof *out);
        return;
    }
    now = suite_floats(count);
    suite_transfer(t, o->block.data, now, false);
    suite_range(t, now, out, true);
    if (sig->role[i] == VOLT_ROLE_OUT && t->buffer_c > t->c && !o->shared) {
        suite_range(t, o->whole, out, false); /* the range may change, the rest may not */
        suite_compare("channels outside the range", i, now, o->whole, count, 0);
    } else if (sig->role[i] == VOLT_ROLE_IN && !overwritten) {
        suite_compare("an input", i, now, o->whole, count, 0);
    }
    volt_free(now);
}

/* A convolution that reads the whole of an output sees no NaN in its padding. */
static void suite_check_padding(const volt_tensor *t, void *data, const char *name)
{
    const volt_tensor src = suite_whole(t, t->buffer_c, t->dtype, t->layout);
    volt_op_spec conv = {.kind = VOLT_OP_CONV_FWD,
                         .threads = 1,
                         .conv = {.kernel = {1, 1, 1}, .stride = {1, 1, 1}}};
    const int64_t weights[5] = {1, t->buffer_c, 1, 1, 1};
    float *ones = suite_floats(t->buffer_c);
    suite_operand dst = {0};
    volt_op_info info;
    volt_op *op = NULL;

    if (t->layout == VOLT_NATIVE) {
        conv.tensor[0] = src;
        conv.tensor[1] = volt_tensor_make(weights, VOLT_F32, VOLT_PLAIN);
        conv.tensor[3] = suite_whole(t, 1, t->dtype, VOLT_NATIVE);
        for (int64_t c = 0; c < t->buffer_c; c++)
            ones[c] = 1;
        if (suite_device->op_create(suite_device, &op, &conv) == VOLT_OK) {
            suite_block packed, scratch;
            const int64_t count = volt_tensor_elements(&conv.tensor[3]);
            suite_device->op_info(op, &info);
            packed = suite_alloc(info.packed_bytes, 0);
            scratch = suite_alloc(info.scratch_bytes, 0);
            dst.block =
                suite_alloc(suite_device->buffer_bytes(suite_device, &conv.tensor[3]), 0);
            dst.plain = suite_floats(count);
            if (info.packed_bytes)
                assert_ok(suite_device->op_pack(op, packed.data, ones, NULL));
            assert_ok(suite_device->op_run(
                op,
                (void *[]){data, info.packed_bytes ? (void *)packed.data : ones, NULL,
                           dst.block.data},
                scratch.data, NULL));
            suite_transfer(&conv.tensor[3], dst.block.data, dst.plain, false);
            for (int64_t i = 0; i < count; i++) {
                if (!isfinite(dst.plain[i]))
                    fail_msg("%s left garbage in the padded channels", name);
            }
            volt_free(dst.plain);
            volt_free(dst.block.base);
            volt_free(scratch.base);
            volt_free(packed.base);
            suite_device->op_free(op);
        }
    }
    volt_free(ones);
}

/* Runs `spec` once on the device; result[i] gets the plain values of output i. */
static bool suite_run_device(const volt_op_spec *spec, const suite_operand *values,
                             int in_place, float *result[])
{
    const volt_op_signature *sig = volt_op_signature_of(spec->kind);
    suite_operand o[VOLT_OP_MAX_TENSORS];
    void *operands[VOLT_OP_MAX_TENSORS] = {NULL};
    suite_block scratch;
    volt_op_info info;
    volt_op *op = NULL;
    volt_status st = suite_device->op_create(suite_device, &op, spec);

    if (st == VOLT_ENOTSUP) {
        suite_unsupported++;
        print_message("%s does not support: %s\n", suite_with.device, volt_last_error());
        return false;
    }
    if (st != VOLT_OK)
        fail_msg("%s: %s", sig->name, volt_last_error());
    suite_device->op_info(op, &info);
    assert_true(info.kernel && info.bytes > 0 && info.flops >= 0);
    if (strncmp(info.kernel, "ref:", 4) == 0) /* oneDNN's slowest */
        fail_msg("%s runs on %s", sig->name, info.kernel);
    memcpy(o, values, sizeof o);
    for (int i = 0; i < sig->operands; i++) {
        if (!spec->tensor[i].n)
            continue;
        o[i].shared = sig->role[i] == VOLT_ROLE_OUT && in_place >= 0;
        suite_make_operand(spec, i, &o[i], &info);
        if (o[i].shared)
            o[i].block = o[in_place].block;
        operands[i] = o[i].block.data;
        if (sig->role[i] == VOLT_ROLE_PACKED && info.packed_bytes)
            assert_ok(suite_device->op_pack(op, o[i].block.data, o[i].plain, NULL));
    }
    scratch = suite_alloc(info.scratch_bytes, 0);
    assert_ok(suite_device->op_run(op, operands, scratch.data, NULL));
    suite_check_guards(&scratch, sig->name, -1);
    for (int i = 0; i < sig->operands; i++) {
        if (!spec->tensor[i].n)
            continue;
        suite_check_guards(&o[i].block, sig->name, i);
        if (result[i])
            suite_read_operand(spec, i, &o[i], i == in_place, result[i]);
        if (sig->role[i] == VOLT_ROLE_OUT)
            suite_check_padding(&spec->tensor[i], o[i].block.data, sig->name);
    }
    for (int i = 0; i < sig->operands; i++) {
        volt_free(o[i].whole);
        if (!o[i].shared)
            volt_free(o[i].block.base);
    }
    volt_free(scratch.base);
    suite_device->op_free(op);
    return true;
}

/* One case. `in_place`: the input operand whose memory the output shares; -1 = none. */
static void suite_case_at(volt_op_spec spec, int in_place)
{
    const volt_op_signature *sig = volt_op_signature_of(spec.kind);
    suite_operand values[VOLT_OP_MAX_TENSORS] = {{0}};
    float *result[2][VOLT_OP_MAX_TENSORS] = {{NULL}};
    bool ran = true;

    for (int i = 0; i < sig->operands; i++) {
        const volt_tensor *t = &spec.tensor[i];
        const int64_t count = volt_tensor_elements(t);
        if (!count)
            continue;
        values[i].plain = suite_floats(count);
        for (int run = 0; run < 2; run++) {
            if (sig->role[i] != VOLT_ROLE_PACKED && sig->role[i] != VOLT_ROLE_VECTOR)
                result[run][i] = suite_floats(count);
        }
        suite_fill_normal(values[i].plain, count,
                          sig->role[i] == VOLT_ROLE_PACKED && suite_any_bf16(&spec) ? VOLT_BF16
                                                                                    : t->dtype);
    }
    suite_prepare(&spec, values);
    for (int threads = 1; ran && threads <= 2; threads++) {
        spec.threads = threads;
        ran = suite_run_device(&spec, values, in_place, result[threads - 1]);
    }
    spec.threads = 1;
    if (ran)
        suite_run_reference(&spec, values);
    for (int i = 0; i < sig->operands; i++) {
        const int64_t count = volt_tensor_elements(&spec.tensor[i]);
        const bool out = sig->role[i] == VOLT_ROLE_OUT || sig->role[i] == VOLT_ROLE_RESULT;
        if (ran && out && count) {
            suite_compare(sig->name, i, result[0][i], values[i].plain, count,
                          suite_tolerance(&spec));
            suite_compare("2 threads against 1", i, result[1][i], result[0][i], count,
                          suite_is_weights(spec.kind) && suite_with.weights_by_threads ? 1e-5
                                                                                       : 0);
        }
        volt_free(values[i].plain);
        volt_free(result[0][i]);
        volt_free(result[1][i]);
    }
}

void suite_case(volt_op_spec spec)
{
    const volt_op_signature *sig = volt_op_signature_of(spec.kind);
    const int in_place[2] = {sig->in_place_a, sig->in_place_b};
    int out = 0;

    suite_case_at(spec, -1);
    while (sig->role[out] != VOLT_ROLE_OUT && out < sig->operands - 1)
        out++;
    for (int i = 0; i < 2; i++) {
        if (in_place[i] >= 0 &&
            memcmp(&spec.tensor[in_place[i]], &spec.tensor[out], sizeof *spec.tensor) == 0)
            suite_case_at(spec, in_place[i]);
    }
}
