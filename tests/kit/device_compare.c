#include "base/core/alloc.h"
#include "tests/kit/device_compare.h"

suite_options suite_with;
volt_device *suite_device, *suite_reference;
int64_t suite_comparisons, suite_unsupported, suite_dense_only;
volt_rng suite_rng;
bool suite_tf32;

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
    return dtype == VOLT_BF16  ? volt_bf16_to_float(volt_bf16_from_float(x))
           : dtype == VOLT_F16 ? volt_half_to_float(volt_float_to_half(x))
                               : x;
}

/* From a table, because drawing numbers takes longer than most operators. */
void suite_fill_normal(float *x, int64_t count, volt_dtype dtype)
{
    static float table[16411]; /* a prime number of them */
    const int length = (int)COUNT_OF(table);
    int at;

    for (int i = 0; i < length && table[length - 1] == 0; i++)
        table[i] = (float)volt_rng_normal(&suite_rng);
    at = volt_rng_below(&suite_rng, length);
    for (int64_t i = 0; i < count; i++) {
        x[i] = suite_round(table[at], dtype);
        at = at + 1 < length ? at + 1 : 0;
    }
}

/* The box of `t` as a whole buffer of its own. */
static volt_tensor suite_whole(const volt_tensor *t, int64_t c, volt_dtype dtype,
                               volt_tensor_layout layout)
{
    const int64_t e[5] = {t->n, c, t->d, t->h, t->w};

    return volt_tensor_make(e, dtype, layout);
}

/* All channels and margins of the buffer of `t`. */
static volt_tensor suite_buffer(const volt_tensor *t, volt_dtype dtype,
                                volt_tensor_layout layout)
{
    const volt_tensor all = volt_tensor_grown(t, t->margin_low, t->margin_high);

    return suite_whole(&all, t->buffer_c, dtype, layout);
}

static bool suite_is_box(volt_op_kind kind)
{
    return kind == VOLT_OP_PACK_BOX || kind == VOLT_OP_UNPACK_BOX;
}

/* Whether operand i is the one that a transposed convolution, or linear upsampling, reads
 * outside its box. */
static bool suite_reads_margins(const volt_op_spec *spec, int i)
{
    return (spec->linear && i == 0) || (spec->kind == VOLT_OP_TCONV_FWD && i == 0) ||
           (spec->kind == VOLT_OP_TCONV_BWD_DATA && i == 2) ||
           (spec->kind == VOLT_OP_TCONV_BWD_WEIGHTS && i == 3);
}

/* Operand i with what the operator reads or writes as its box. */
static volt_tensor suite_seen(const volt_op_spec *spec, int i)
{
    const volt_tensor *t = &spec->tensor[i];

    if (suite_reads_margins(spec, i))
        return volt_tensor_grown(t, t->margin_low, t->margin_high);
    return (suite_is_box(spec->kind) ? volt_op_spec_as_copy(spec)
                                     : volt_op_spec_absorb_margins(spec))
        .tensor[i];
}

static int64_t suite_seen_count(const volt_op_spec *spec, int i)
{
    const volt_tensor seen = suite_seen(spec, i);

    return volt_tensor_elements(&seen);
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
    const volt_tensor host = suite_buffer(t, VOLT_F32, VOLT_PLAIN);
    const volt_tensor native = suite_buffer(t, t->dtype, t->layout);
    volt_op_spec copy = {.kind = VOLT_OP_COPY, .threads = 1};

    copy.tensor[0] = up ? host : native;
    copy.tensor[1] = up ? native : host;
    suite_simple(suite_device, &copy,
                 up ? (void *[]){plain, device} : (void *[]){device, plain});
}

/* Where row (n, c, d, h) of the box and range of `t` starts in its whole plain buffer. */
static int64_t suite_row(const volt_tensor *t, int64_t n, int64_t c, int64_t d, int64_t h)
{
    int64_t e[3];

    volt_tensor_stored(e, t);
    return (((n * t->buffer_c + t->c_offset + c) * e[0] + t->margin_low[0] + d) * e[1] +
            t->margin_low[1] + h) *
               e[2] +
           t->margin_low[2];
}

/* Copies the box and range of `t` between a whole plain buffer and a plain part. */
static void suite_range(const volt_tensor *t, float *whole, float *part, bool extract)
{
    for (int64_t i = 0; i < t->n * t->c * t->d * t->h; i++) {
        float *p = part + i * t->w;
        float *w = whole + suite_row(t, i / t->h / t->d / t->c, i / t->h / t->d % t->c,
                                     i / t->h % t->d, i % t->h);
        memcpy(extract ? p : w, extract ? w : p, (size_t)t->w * sizeof *w);
    }
}

static int64_t suite_whole_count(const volt_tensor *t)
{
    const volt_tensor all = suite_buffer(t, VOLT_F32, VOLT_PLAIN);

    return volt_tensor_elements(&all);
}

/* A NaN whose pattern float32 and bfloat16 hold, by its position. */
static float suite_nan(int64_t i)
{
    const uint32_t bits = 0x7FC00000u | (uint32_t)(i % 63 + 1) << 16;
    float x;

    memcpy(&x, &bits, sizeof x);
    return x;
}

/* NaNs in all margins of the whole plain buffer of `t`, in every channel. */
static void suite_fill_margins(const volt_tensor *t, float *whole)
{
    int64_t e[3];

    volt_tensor_stored(e, t);
    for (int64_t i = 0; i < suite_whole_count(t); i++) {
        const int64_t w = i % e[2] - t->margin_low[2], h = i / e[2] % e[1] - t->margin_low[1];
        const int64_t d = i / e[2] / e[1] % e[0] - t->margin_low[0];
        if (d < 0 || d >= t->d || h < 0 || h >= t->h || w < 0 || w >= t->w)
            whole[i] = suite_nan(i);
    }
}

/* Equal bits, NaNs included; one NaN is as good as another in float16, whose conversions make
 * one of all. */
static void suite_same(const char *what, int operand, const float *got, const float *want,
                       int64_t count, volt_dtype dtype)
{
    for (int64_t i = 0; i < count; i++) {
        const bool nans = dtype == VOLT_F16 && isnan(got[i]) && isnan(want[i]);
        if (!nans && memcmp(&got[i], &want[i], sizeof *got) != 0)
            fail_msg("%s, operand %d, element %lld of %lld: %.9g was %.9g", what, operand,
                     (long long)i, (long long)count, got[i], want[i]);
    }
    suite_comparisons += count;
}

/* The type of 16 bits that the operator computes in, or float32. */
static volt_dtype suite_dtype(const volt_op_spec *spec)
{
    for (int i = 0; i < VOLT_OP_MAX_TENSORS; i++) {
        if (spec->tensor[i].n && volt_dtype_bytes(spec->tensor[i].dtype) == 2)
            return spec->tensor[i].dtype;
    }
    return VOLT_F32;
}

static bool suite_is_weights(volt_op_kind kind)
{
    return kind == VOLT_OP_CONV_BWD_WEIGHTS || kind == VOLT_OP_TCONV_BWD_WEIGHTS;
}

static double suite_rms(const float *x, int64_t count)
{
    double squares = 0;

    for (int64_t i = 0; i < count; i++)
        squares += (double)x[i] * x[i];
    return sqrt(squares / (double)count);
}

/* Of the result `want`. In tf32 the operands, which have unit variance, are rounded before they
 * are multiplied: errors go with the usual size of such sums, which a few numbers don't show.
 */
static double suite_tolerance(const volt_op_spec *spec, const float *want, int64_t count)
{
    double flops, bytes, usual;

    if (suite_dtype(spec) != VOLT_F32)
        return 1e-2;
    if (spec->tf32) {
        volt_op_spec_cost(spec, &flops, &bytes);
        usual = sqrt(flops / 2 / (double)count);
        return 4e-3 * (count < 8 ? fmax(1, usual / suite_rms(want, count)) : 1);
    }
    return spec->kind <= VOLT_OP_TCONV_BWD_WEIGHTS ? suite_with.conv_tolerance : 2e-5;
}

void suite_compare(const char *what, int operand, const float *got, const float *want,
                   int64_t count, double tolerance)
{
    const double rms = suite_rms(want, count);

    for (int64_t i = 0; i < count; i++) {
        if (!(fabs((double)got[i] - want[i]) <= tolerance * (fabs(want[i]) + rms)))
            fail_msg("%s, operand %d, element %lld of %lld: %.9g, expected %.9g (rms %.3g)",
                     what, operand, (long long)i, (long long)count, got[i], want[i], rms);
    }
    suite_comparisons += count;
}

/* Between the values of an operand as the suite holds them and a dense array of type `t`. */
static void suite_dense(const volt_tensor *t, void *dense, float *plain, bool to_dense)
{
    const int64_t count = volt_tensor_elements(t);
    double *wide = dense;

    if (t->dtype != VOLT_F64) {
        memcpy(to_dense ? dense : plain, to_dense ? plain : dense,
               (size_t)count * sizeof *plain);
        return;
    }
    for (int64_t i = 0; i < count; i++) {
        if (to_dense)
            wide[i] = plain[i];
        else
            plain[i] = (float)wide[i];
    }
}

/* The same operator with whole plain float32 buffers, on the reference device; margins are a
 * part of what reads them (only those of suite_reads_margins stay margins). */
static void suite_run_reference(const volt_op_spec *spec, suite_operand *o)
{
    const volt_op_signature *sig = volt_op_signature_of(spec->kind);
    volt_op_spec plain = suite_is_box(spec->kind) ? volt_op_spec_as_copy(spec)
                                                  : volt_op_spec_absorb_margins(spec);
    void *operands[VOLT_OP_MAX_TENSORS] = {NULL};
    double *wide[VOLT_OP_MAX_TENSORS] = {NULL};
    volt_op *op = NULL;

    plain.tf32 = false;
    for (int i = 0; i < sig->operands; i++) {
        const volt_tensor *t = &spec->tensor[i], seen = suite_seen(spec, i);
        int64_t low[3], high[3];

        operands[i] = o[i].plain;
        if (t->dtype == VOLT_F64) {
            assert_ok(volt_alloc(&wide[i], (size_t)volt_tensor_elements(t) * sizeof **wide,
                                 "test values"));
            suite_dense(t, wide[i], o[i].plain, true);
            operands[i] = wide[i];
            continue;
        }
        if (!t->n)
            continue;
        plain.tensor[i] = suite_whole(&seen, t->c, VOLT_F32, VOLT_PLAIN);
        for (int a = 0; a < 3; a++) {
            low[a] = -t->margin_low[a];
            high[a] = -t->margin_high[a];
        }
        if (suite_reads_margins(spec, i))
            plain.tensor[i] = volt_tensor_grown(&plain.tensor[i], low, high);
    }
    assert_ok(suite_reference->op_create(suite_reference, &op, &plain));
    assert_ok(suite_reference->op_run(op, operands, NULL, NULL));
    suite_reference->op_free(op);
    for (int i = 0; i < sig->operands; i++) {
        if (wide[i])
            suite_dense(&spec->tensor[i], wide[i], o[i].plain, false);
        volt_free(wide[i]);
    }
}

/* Fills mean and rstd, operands 1 and 2, from operand 0. */
static void suite_statistics(const volt_op_spec *spec, suite_operand *o)
{
    const volt_tensor *t = &spec->tensor[0], stats = spec->tensor[1];
    const volt_tensor sums =
        volt_tensor_make((int64_t[]){t->n, t->c, 2, 1, 1}, VOLT_F64, VOLT_PLAIN);
    suite_operand values = {.plain = suite_floats(volt_tensor_elements(&sums))};
    const int64_t voxels = t->d * t->h * t->w;

    suite_run_reference(
        &(volt_op_spec){.kind = VOLT_OP_NORM_SUMS, .threads = 1, .tensor = {*t, sums}},
        (suite_operand[]){o[0], values});
    suite_run_reference(&(volt_op_spec){.kind = VOLT_OP_NORM_FINISH,
                                        .threads = 1,
                                        .count = voxels,
                                        .eps = 1e-5,
                                        .tensor = {sums, stats, stats}},
                        (suite_operand[]){values, o[1], o[2]});
    volt_free(values.plain);
}

/* Values that make sense to the operator where plain random numbers would not. */
static void suite_prepare(const volt_op_spec *spec, suite_operand *o)
{
    const volt_tensor *t = &spec->tensor[0];
    const int64_t count = volt_tensor_elements(t);

    if (spec->kind == VOLT_OP_NORM_ACT_FWD || spec->kind == VOLT_OP_NORM_BWD_SUMS ||
        spec->kind == VOLT_OP_NORM_BWD_APPLY) {
        suite_statistics(spec, o);
    } else if (spec->kind == VOLT_OP_NORM_FINISH) {
        for (int64_t i = 0; i < count; i += 4) /* a variance >= 0 for every other channel */
            o[0].plain[i + 1] = fabsf(o[0].plain[i + 1]) + o[0].plain[i] * o[0].plain[i];
    } else if (spec->kind == VOLT_OP_NORM_RUNNING) {
        for (int64_t i = 0; i < count; i++)
            o[1].plain[i] = fabsf(o[1].plain[i]);
    } else if (spec->kind == VOLT_OP_MAX_POOL_FWD || spec->kind == VOLT_OP_MAX_POOL_BWD) {
        for (int64_t i = 0; i < count; i++) /* ties */
            o[0].plain[i] = floorf(2 * o[0].plain[i]);
    } else if (spec->kind == VOLT_OP_PRELU_BWD) {
        for (int64_t i = 0; i < count; i++) /* the slope's gradient: no sum of nearly nothing */
            o[2].plain[i] = suite_round(o[2].plain[i] + 1, spec->tensor[2].dtype);
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
    const volt_tensor *t = &spec->tensor[i], seen = suite_seen(spec, i);
    const int64_t count = volt_tensor_elements(t);
    const bool activation = role == VOLT_ROLE_IN || role == VOLT_ROLE_OUT;

    if (activation) {
        o->whole = suite_floats(suite_whole_count(t));
        suite_fill_normal(o->whole, suite_whole_count(t), t->dtype);
        suite_fill_margins(t, o->whole);
        if (role == VOLT_ROLE_IN)
            suite_range(&seen, o->whole, o->plain, false);
        if (o->shared)
            return;
        o->block = suite_alloc(suite_device->buffer_bytes(suite_device, t), 0);
        if (role == VOLT_ROLE_IN || suite_whole_count(t) > volt_tensor_elements(&seen))
            suite_transfer(t, o->block.data, o->whole, true);
    } else if (role == VOLT_ROLE_PACKED && info->packed_bytes) {
        o->block = suite_alloc(info->packed_bytes, 0);
    } else {
        const size_t bytes = volt_dtype_bytes(t->dtype);
        o->block = suite_alloc((size_t)count * bytes, bytes < 8 ? SUITE_SKEW : 2 * SUITE_SKEW);
        if (role != VOLT_ROLE_RESULT)
            suite_dense(t, o->block.data, o->plain, true);
    }
}

/* What the device left in operand i, as plain float32 of its range. Also checks everything that
 * must not have changed. */
static void suite_read_operand(const volt_op_spec *spec, int i, const suite_operand *o,
                               bool overwritten, float *out)
{
    const volt_op_signature *sig = volt_op_signature_of(spec->kind);
    const volt_tensor *t = &spec->tensor[i], seen = suite_seen(spec, i);
    const int64_t count = suite_whole_count(t);
    float *now;

    if (sig->role[i] == VOLT_ROLE_RESULT) {
        suite_dense(t, o->block.data, out, false);
        return;
    }
    now = suite_floats(count);
    suite_transfer(t, o->block.data, now, false);
    suite_range(&seen, now, out, true);
    if (sig->role[i] == VOLT_ROLE_OUT && count > volt_tensor_elements(&seen) && !o->shared) {
        suite_range(&seen, o->whole, out, false); /* this may change, the rest may not */
        suite_same("outside the range or box", i, now, o->whole, count, t->dtype);
    } else if (sig->role[i] == VOLT_ROLE_IN) {
        if (overwritten)
            suite_range(&seen, o->whole, out, false);
        suite_same("an input", i, now, o->whole, count, t->dtype);
    }
    volt_free(now);
}

/* A convolution that reads the whole of an output sees no NaN in its padding. */
static void suite_check_padding(const volt_tensor *t, void *data, const char *name)
{
    volt_tensor src = *t;
    volt_op_spec conv = {.kind = VOLT_OP_CONV_FWD,
                         .threads = 1,
                         .conv = {.kernel = {1, 1, 1}, .stride = {1, 1, 1}}};
    const int64_t weights[5] = {1, t->buffer_c, 1, 1, 1};
    float *ones = suite_floats(t->buffer_c);
    suite_operand dst = {0};
    volt_op_info info;
    volt_op *op = NULL;

    if (t->layout == VOLT_NATIVE) {
        src.c = t->buffer_c;
        src.c_offset = 0;
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
static void suite_run_device(const volt_op_spec *spec, const suite_operand *values,
                             int in_place, float *result[])
{
    const volt_op_signature *sig = volt_op_signature_of(spec->kind);
    suite_operand o[VOLT_OP_MAX_TENSORS];
    void *operands[VOLT_OP_MAX_TENSORS] = {NULL};
    suite_block scratch;
    volt_op_info info;
    volt_op *op = NULL;

    assert_ok(suite_device->op_create(suite_device, &op, spec));
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
}

/* One case. `in_place`: the input operand whose memory the output shares; -1 = none. */
static void suite_case_at(volt_op_spec spec, int in_place)
{
    const volt_op_signature *sig = volt_op_signature_of(spec.kind);
    suite_operand values[VOLT_OP_MAX_TENSORS] = {{0}};
    float *result[2][VOLT_OP_MAX_TENSORS] = {{NULL}};

    for (int i = 0; i < sig->operands; i++) {
        const volt_tensor *t = &spec.tensor[i];
        const int64_t count = suite_seen_count(&spec, i);
        if (!count)
            continue;
        values[i].plain = suite_floats(count);
        for (int run = 0; run < 2; run++) {
            if (sig->role[i] != VOLT_ROLE_PACKED && sig->role[i] != VOLT_ROLE_VECTOR)
                result[run][i] = suite_floats(count);
        }
        suite_fill_normal(values[i].plain, count,
                          sig->role[i] == VOLT_ROLE_PACKED ? suite_dtype(&spec) : t->dtype);
    }
    suite_prepare(&spec, values);
    for (int threads = 1; threads <= 2; threads++) {
        spec.threads = threads;
        suite_run_device(&spec, values, in_place, result[threads - 1]);
    }
    spec.threads = 1;
    suite_run_reference(&spec, values);
    for (int i = 0; i < sig->operands; i++) {
        const int64_t count = suite_seen_count(&spec, i);
        const bool out = sig->role[i] == VOLT_ROLE_OUT || sig->role[i] == VOLT_ROLE_RESULT;
        if (out && count) {
            suite_compare(sig->name, i, result[0][i], values[i].plain, count,
                          suite_tolerance(&spec, values[i].plain, count));
            suite_compare("2 threads against 1", i, result[1][i], result[0][i], count,
                          suite_is_weights(spec.kind) && suite_with.weights_by_threads ? 1e-5
                                                                                       : 0);
        }
        volt_free(values[i].plain);
        volt_free(result[0][i]);
        volt_free(result[1][i]);
    }
}

/* The case as it is, and in place where the operator allows it. */
static void suite_case_and_in_place(const volt_op_spec *spec)
{
    const volt_op_signature *sig = volt_op_signature_of(spec->kind);
    const int in_place[2] = {sig->in_place_a, sig->in_place_b};
    int out = 0;

    suite_case_at(*spec, -1);
    while (sig->role[out] != VOLT_ROLE_OUT && out < sig->operands - 1)
        out++;
    for (int i = 0; i < 2; i++) {
        volt_op_spec same = *spec;

        if (in_place[i] < 0)
            continue;
        memcpy(same.tensor[out].margin_low, spec->tensor[in_place[i]].margin_low,
               sizeof same.tensor[out].margin_low);
        memcpy(same.tensor[out].margin_high, spec->tensor[in_place[i]].margin_high,
               sizeof same.tensor[out].margin_high);
        if (memcmp(&same.tensor[in_place[i]], &same.tensor[out], sizeof *same.tensor) == 0)
            suite_case_at(same, in_place[i]);
    }
}

/* Random margins at operands with these roles. */
static volt_op_spec suite_with_margins(const volt_op_spec *spec, bool in, bool out)
{
    const volt_op_signature *sig = volt_op_signature_of(spec->kind);
    volt_op_spec with = *spec;

    for (int i = 0; i < sig->operands; i++) {
        volt_tensor *t = &with.tensor[i];

        for (int a = 0; a < 3; a++) {
            const int64_t low = volt_rng_below(&suite_rng, 3);
            const int64_t high = volt_rng_below(&suite_rng, 3);
            if (t->n && ((in && sig->role[i] == VOLT_ROLE_IN) ||
                         (out && sig->role[i] == VOLT_ROLE_OUT))) {
                t->margin_low[a] = low;
                t->margin_high[a] = high;
            }
        }
    }
    return with;
}

/* Whether the device takes the operator in this form. */
static bool suite_supports(volt_op_spec spec)
{
    volt_op *op = NULL;
    volt_status st;

    spec.threads = 1;
    st = suite_device->op_create(suite_device, &op, &spec);
    suite_device->op_free(op);
    if (st != VOLT_OK && st != VOLT_ENOTSUP)
        fail_msg("%s: %s", volt_op_signature_of(spec.kind)->name, volt_last_error());
    return st == VOLT_OK;
}

/* The case with margins wherever the device takes them. */
static void suite_case_with_margins(const volt_op_spec *spec)
{
    static const struct {
        bool in, out;
    } ways[] = {{true, true}, {true, false}, {false, true}};

    for (size_t i = 0; i < COUNT_OF(ways); i++) {
        const volt_op_spec with = suite_with_margins(spec, ways[i].in, ways[i].out);
        if (suite_supports(with)) {
            suite_case_and_in_place(&with);
            return;
        }
        if (i == 0)
            suite_dense_only++;
    }
}

void suite_case(volt_op_spec spec)
{
    spec.tf32 = suite_tf32;
    if (!suite_supports(spec)) {
        const bool sums = spec.kind == VOLT_OP_CONV_FWD && spec.tensor[4].n;
        if (suite_with.complete && !sums)
            fail_msg("%s does not support: %s", suite_with.device, volt_last_error());
        suite_unsupported++;
        print_message("%s does not support: %s\n", suite_with.device, volt_last_error());
        return;
    }
    suite_case_and_in_place(&spec);
    if (!suite_is_box(spec.kind)) /* those cases say what margins they want */
        suite_case_with_margins(&spec);
}
