#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "apps/bench/bench.h"
#include "base/core/alloc.h"
#include "base/rng.h"
#include "base/threads.h"
#include "nets3d/device/device_internal.h"
#include "nets3d/device/op_spec.h"
#include "nets3d/program/precision.h"

typedef struct bench_ops_options {
    const char *only, *device, *precision;
    cli_list extent;
    int64_t in, out, batch, kernel, stride, repeat;
} bench_ops_options;

static const cli_option options[] = {
    {"--only", 0, CLI_TEXT, offsetof(bench_ops_options, only), "OP", NULL, 0, 0,
     "operator to measure: conv_fwd, tconv_fwd, norm_bwd_apply, ... [all]"},
    {"--in", 0, CLI_INT, offsetof(bench_ops_options, in), "C", "32", 1, 4096, "input channels"},
    {"--out", 0, CLI_INT, offsetof(bench_ops_options, out), "C", "32", 1, 4096,
     "output channels of convolutions"},
    {"--extent", 0, CLI_INTS, offsetof(bench_ops_options, extent), "D,H,W", "64,64,64", 1, 4096,
     "input size in voxels"},
    {"--kernel", 0, CLI_INT, offsetof(bench_ops_options, kernel), "K", "3", 1, 15,
     "kernel size of convolutions, odd; 1 along axes of one voxel"},
    {"--stride", 0, CLI_INT, offsetof(bench_ops_options, stride), "S", "1", 1, 8,
     "stride of convolutions; at least 2 if transposed"},
    {"--batch", 0, CLI_INT, offsetof(bench_ops_options, batch), "N", "1", 1, 4096,
     "batch size"},
    {"--precision", 0, CLI_WORD, offsetof(bench_ops_options, precision), BENCH_PRECISIONS,
     "fp32", 0, 0, "precision of activations and weights; fp16 and tf32 need a GPU"},
    {"--repeat", 0, CLI_INT, offsetof(bench_ops_options, repeat), "R", "5", 1, 10000,
     "timed runs, after one warm-up run"},
    {"--device", 0, CLI_TEXT, offsetof(bench_ops_options, device), "NAME", "cpu", 0, 0,
     "cpu, or reference (plain C, slow)"},
};

/* One operator with its operands; owned. */
typedef struct bench_op {
    const volt_device *device;
    volt_op_spec spec;
    volt_op *op;
    volt_op_info info;
    void *operand[VOLT_OP_MAX_TENSORS];
    void *scratch;
} bench_op;

static volt_status run_op(void *user)
{
    bench_op *b = user;

    return b->device->op_run(b->op, b->operand, b->scratch, NULL);
}

static const volt_op_kind kinds[] = {
    VOLT_OP_CONV_FWD,      VOLT_OP_CONV_BWD_DATA,  VOLT_OP_CONV_BWD_WEIGHTS,
    VOLT_OP_TCONV_FWD,     VOLT_OP_TCONV_BWD_DATA, VOLT_OP_TCONV_BWD_WEIGHTS,
    VOLT_OP_NORM_SUMS,     VOLT_OP_NORM_FINISH,    VOLT_OP_NORM_ACT_FWD,
    VOLT_OP_NORM_BWD_SUMS, VOLT_OP_NORM_BWD_APPLY, VOLT_OP_ADD,
};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

static volt_tensor activation(const bench_ops_options *o, int64_t channels,
                              const int64_t extent[3])
{
    const int64_t ncdhw[5] = {o->batch, channels, extent[0], extent[1], extent[2]};

    const volt_dtype dtype = strcmp(o->precision, "bf16") == 0   ? VOLT_BF16
                             : strcmp(o->precision, "fp16") == 0 ? VOLT_F16
                                                                 : VOLT_F32;

    return volt_tensor_make(ncdhw, dtype, VOLT_NATIVE);
}

/* Two float64 sums per sample and channel. */
static volt_tensor sums(const bench_ops_options *o)
{
    const int64_t ncdhw[5] = {o->batch, o->in, 2, 1, 1};

    return volt_tensor_make(ncdhw, VOLT_F64, VOLT_PLAIN);
}

static volt_tensor dense(int64_t n, int64_t c, const int64_t extent[3])
{
    const int64_t ncdhw[5] = {n, c, extent[0], extent[1], extent[2]};

    return volt_tensor_make(ncdhw, VOLT_F32, VOLT_PLAIN);
}

/* Source, weights, bias and destination in the order that each kind of convolution has. */
static void fill_convolution(volt_op_spec *s, const bench_ops_options *o,
                             const int64_t extent[3])
{
    static const int64_t ones[3] = {1, 1, 1};
    bool transposed = s->kind == VOLT_OP_TCONV_FWD || s->kind == VOLT_OP_TCONV_BWD_DATA ||
                      s->kind == VOLT_OP_TCONV_BWD_WEIGHTS;
    volt_tensor src, dst, weights, bias = dense(1, o->out, ones);
    int64_t out[3];

    for (int a = 0; a < 3; a++) {
        int64_t stride = extent[a] == 1 ? 1 : o->stride;

        if (transposed && extent[a] > 1 && stride < 2)
            stride = 2;
        s->conv.stride[a] = stride;
        s->conv.kernel[a] = transposed ? stride : extent[a] == 1 ? 1 : o->kernel;
        s->conv.pad_low[a] = s->conv.pad_high[a] = transposed ? 0 : (s->conv.kernel[a] - 1) / 2;
        out[a] = transposed
                     ? extent[a] * stride
                     : (extent[a] + 2 * s->conv.pad_low[a] - s->conv.kernel[a]) / stride + 1;
    }
    src = activation(o, o->in, extent);
    dst = activation(o, o->out, out);
    weights = transposed ? dense(o->in, o->out, s->conv.kernel)
                         : dense(o->out, o->in, s->conv.kernel);
    s->tensor[0] = src;
    s->tensor[1] = weights;
    s->tensor[2] = bias;
    s->tensor[3] = dst;
    if (s->kind == VOLT_OP_CONV_BWD_DATA || s->kind == VOLT_OP_TCONV_BWD_DATA)
        s->tensor[2] = dst;
}

/* Operators that work voxel by voxel: extents by role. */
static void fill_pointwise(volt_op_spec *s, const bench_ops_options *o, const int64_t extent[3])
{
    static const int64_t ones[3] = {1, 1, 1};
    const volt_op_signature *signature = volt_op_signature_of(s->kind);

    for (int i = 0; i < signature->operands; i++) {
        bool dense_operand =
            signature->role[i] == VOLT_ROLE_VECTOR || signature->role[i] == VOLT_ROLE_RESULT;
        /* Mean and rstd, operands 1 and 2 of every norm, are per sample; scale and shift not.
         */
        bool per_sample = i == 1 || i == 2;

        s->tensor[i] = signature->float64 >> i & 1 ? sums(o)
                       : dense_operand ? dense(per_sample ? o->batch : 1, o->in, ones)
                                       : activation(o, o->in, extent);
    }
    s->count = extent[0] * extent[1] * extent[2];
    s->eps = 1e-5;
    s->slope = 0.01;
}

static volt_op_spec make_spec(volt_op_kind kind, const cli *c)
{
    const bench_ops_options *o = c->options;
    volt_op_spec s = {.kind = kind,
                      .tf32 = strcmp(o->precision, "tf32") == 0,
                      .threads = volt_threads_or_default((int)c->threads)};
    int64_t extent[3];

    for (int a = 0; a < 3; a++)
        extent[a] = (int64_t)o->extent.v[a];
    if (kind <= VOLT_OP_TCONV_BWD_WEIGHTS)
        fill_convolution(&s, o, extent);
    else
        fill_pointwise(&s, o, extent);
    return s;
}

static size_t operand_bytes(const bench_op *b, int i, volt_operand_role role)
{
    const volt_tensor *t = &b->spec.tensor[i];

    if (role == VOLT_ROLE_PACKED && b->info.packed_bytes)
        return b->info.packed_bytes;
    if (role == VOLT_ROLE_IN || role == VOLT_ROLE_OUT)
        return b->device->buffer_bytes(b->device, t);
    return (size_t)volt_tensor_elements(t) * volt_dtype_bytes(t->dtype);
}

/* Finite numbers near 1, read as float32 or as two of 16 bits. */
static volt_status fill_random(void *p, size_t bytes, const volt_device *device)
{
    volt_rng rng = volt_rng_open(1, 0, 0, VOLT_RNG_TEST);
    uint32_t *words = NULL;
    volt_status st = volt_alloc(&words, bytes + sizeof *words, "operand");

    if (st != VOLT_OK)
        return st;
    for (size_t i = 0; i <= bytes / sizeof *words; i++)
        words[i] = (volt_rng_u32(&rng) & 0x807f807fu) | 0x3f003f00u;
    st = device->upload(device, p, words, bytes, NULL);
    volt_free(words);
    return st;
}

static volt_status prepare(bench_op *b)
{
    const volt_op_signature *signature = volt_op_signature_of(b->spec.kind);
    volt_status st;

    VOLT_TRY(st, done, b->device->op_create(b->device, &b->op, &b->spec));
    b->device->op_info(b->op, &b->info);
    for (int i = 0; i < signature->operands; i++) {
        size_t bytes = operand_bytes(b, i, signature->role[i]);

        if (!b->spec.tensor[i].n)
            continue; /* an optional operand that is not wanted */
        VOLT_TRY(st, done,
                 b->device->alloc(b->device, &b->operand[i], bytes, "benchmark operand"));
        VOLT_TRY(st, done, fill_random(b->operand[i], bytes, b->device));
    }
    st = b->device->alloc(b->device, &b->scratch, b->info.scratch_bytes, "benchmark scratch");
done:
    return st;
}

static void release(bench_op *b)
{
    b->device->release(b->device, b->scratch);
    for (int i = 0; i < VOLT_OP_MAX_TENSORS; i++)
        b->device->release(b->device, b->operand[i]);
    b->device->op_free(b->op);
}

static volt_status measure(cli *c, const volt_device *device, volt_op_kind kind)
{
    const bench_ops_options *o = c->options;
    const char *name = volt_op_signature_of(kind)->name;
    bench_op b = {.device = device, .spec = make_spec(kind, c)};
    bench_times t;
    char what[128];
    volt_status st;

    VOLT_TRY(st, done, prepare(&b));
    VOLT_TRY(st, done, bench_measure(&t, c, o->repeat, &(bench_work){run_op, &b}));
    snprintf(what, sizeof what, "%s %s, %.0f GF/s, %.1f GB/s", name, b.info.kernel,
             b.info.flops / t.min_s * 1e-9, b.info.bytes / t.min_s * 1e-9);
    st = bench_print(c, what,
                     json_pack("{s:s, s:s, s:s, s:f, s:f, s:i}", "op", name, "kernel",
                               b.info.kernel, "dtype", o->precision, "flops", b.info.flops,
                               "bytes", b.info.bytes, "threads", b.spec.threads),
                     &t);
done:
    release(&b);
    return st;
}

static volt_status run(cli *c)
{
    const bench_ops_options *o = c->options;
    volt_device *device = NULL;
    volt_precision precision;
    int ran = 0;
    volt_status st;

    VOLT_TRY(st, done, bench_precision(&precision, o->precision));
    VOLT_TRY(st, done, volt_device_open(&device, o->device));
    VOLT_TRY(st, done, volt_precision_check(device, precision));
    for (int i = 0; i < KINDS; i++) {
        if (o->only && strcmp(o->only, volt_op_signature_of(kinds[i])->name) != 0)
            continue;
        VOLT_TRY(st, done, measure(c, device, kinds[i]));
        ran++;
    }
    if (ran == 0)
        st = volt_fail(VOLT_EINVAL, "unknown operator '%s'; 'conv_fwd' is one", o->only);
done:
    volt_device_close(device);
    return st;
}

const cli_command cmd_bench_ops = {
    .name = "bench ops",
    .section = CLI_EVALUATION,
    .one_line = "benchmark single operators of a network",
    .args = "",
    .min_args = 0,
    .max_args = 0,
    .about = "Times convolutions, transposed convolutions and normalizations one by one, "
             "forward and backward, and prints their throughput.",
    .example = "volt bench ops --only conv_fwd --in 64 --out 64 --extent 64,64,64",
    .common = CLI_THREADS | CLI_JSON,
    CLI_OPTIONS(options, bench_ops_options),
    .run = run,
};
