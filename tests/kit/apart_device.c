#include "tests/kit/apart_device.h"

#include "tests/kit/test.h"

#define MARK ((uintptr_t)1 << 62)

static volt_device *inner;
static int64_t sums_calls;

static bool is_marked(const void *p)
{
    return ((uintptr_t)p & MARK) != 0;
}

static void *marked(const void *p)
{
    return p ? (void *)((uintptr_t)p | MARK) : NULL;
}

/* The inner device's address of one of ours; NULL stays. */
static void *plain(const void *p)
{
    if (p && !is_marked(p))
        fail_msg("%p is no memory of the device", (void *)p);
    return (void *)((uintptr_t)p & ~MARK);
}

static void *either(const void *p)
{
    return (void *)((uintptr_t)p & ~MARK);
}

/* What the device reads of the host's, before a call returns. */
static const void *host(const void *p)
{
    if (is_marked(p))
        fail_msg("%p is memory of the device", p);
    return p;
}

static int64_t channel_block(const volt_device *dev, volt_dtype dtype)
{
    (void)dev;
    return inner->channel_block(inner, dtype);
}

static size_t buffer_bytes(const volt_device *dev, const volt_tensor *t)
{
    (void)dev;
    return inner->buffer_bytes(inner, t);
}

static bool supports(const volt_device *dev, volt_precision precision)
{
    (void)dev;
    return inner->supports(inner, precision);
}

static volt_status alloc(const volt_device *dev, void **out, size_t bytes, const char *what)
{
    const volt_status st = inner->alloc(inner, out, bytes, what);

    (void)dev;
    if (st == VOLT_OK)
        *out = marked(*out);
    return st;
}

static void release(const volt_device *dev, void *p)
{
    (void)dev;
    inner->release(inner, plain(p));
}

static volt_status upload(const volt_device *dev, void *dst, const void *src, size_t bytes,
                          volt_stream *stream)
{
    (void)dev;
    return inner->upload(inner, plain(dst), either(src), bytes, stream);
}

static volt_status download(const volt_device *dev, void *dst, const void *src, size_t bytes,
                            volt_stream *stream)
{
    (void)dev;
    return inner->download(inner, either(dst), plain(src), bytes, stream);
}

static volt_status op_create(const volt_device *dev, volt_op **out, const volt_op_spec *spec)
{
    (void)dev;
    return inner->op_create(inner, out, spec);
}

static volt_status op_pack(volt_op *op, void *packed, const float *weights, volt_stream *stream)
{
    return inner->op_pack(op, plain(packed), plain(weights), stream);
}

static volt_status op_run(volt_op *op, void *const *operands, void *scratch,
                          volt_stream *stream)
{
    void *own[VOLT_OP_MAX_TENSORS];

    for (int i = 0; i < VOLT_OP_MAX_TENSORS; i++)
        own[i] = plain(operands[i]);
    return inner->op_run(op, own, plain(scratch), stream);
}

static size_t loss_scratch(const volt_device *dev, const volt_loss_call *call)
{
    (void)dev;
    return inner->loss_scratch(inner, call);
}

static volt_loss_call plain_loss(const volt_loss_call *call)
{
    volt_loss_call c = *call;

    for (int i = 0; i < c.levels; i++)
        c.level[i].logits = plain(c.level[i].logits);
    c.labels = plain(c.labels);
    c.regions = host(c.regions);
    c.class_weight = host(c.class_weight);
    c.loss_scale = plain(c.loss_scale);
    c.sums = plain(c.sums);
    c.result = plain(c.result);
    c.scratch = plain(c.scratch);
    return c;
}

static volt_status loss_sums(const volt_device *dev, const volt_loss_call *call,
                             volt_stream *stream)
{
    const volt_loss_call c = plain_loss(call);

    (void)dev;
    return inner->loss_sums(inner, &c, stream);
}

static volt_status loss_gradient(const volt_device *dev, const volt_loss_call *call,
                                 volt_stream *stream)
{
    const volt_loss_call c = plain_loss(call);

    (void)dev;
    return inner->loss_gradient(inner, &c, stream);
}

static volt_status sum_squares(const volt_device *dev, const volt_squares_call *call,
                               volt_stream *stream)
{
    volt_squares_call c = *call;

    (void)dev;
    c.sum = plain(c.sum);
    c.x = plain(c.x);
    return inner->sum_squares(inner, &c, stream);
}

static volt_status update_begin(const volt_device *dev, const volt_update_call *call,
                                volt_stream *stream)
{
    volt_update_call c = *call;

    (void)dev;
    c.scalars = plain(c.scalars);
    return inner->update_begin(inner, &c, stream);
}

static volt_status sgd(const volt_device *dev, const volt_sgd_call *call, volt_stream *stream)
{
    volt_sgd_call c = *call;

    (void)dev;
    c.weights = plain(c.weights);
    c.momentum = plain(c.momentum);
    c.gradients = plain(c.gradients);
    c.scalars = plain(c.scalars);
    return inner->sgd(inner, &c, stream);
}

static volt_status adam(const volt_device *dev, const volt_adam_call *call, volt_stream *stream)
{
    volt_adam_call c = *call;

    (void)dev;
    c.weights = plain(c.weights);
    c.m = plain(c.m);
    c.v = plain(c.v);
    c.gradients = plain(c.gradients);
    c.scalars = plain(c.scalars);
    return inner->adam(inner, &c, stream);
}

static void close_device(volt_device *dev)
{
    volt_device_close(inner);
    free(dev);
    inner = NULL;
}

/* ---- sums of scores ---- */

static bool takes(const volt_device *dev, const volt_decode_options *options)
{
    (void)dev;
    return volt_host_scores.takes(inner, options);
}

/* The inner device's view of a stitch, and ours again after a call. */
static volt_stitch plain_stitch(const volt_stitch *s)
{
    volt_stitch own = *s;

    own.sum = plain(own.sum);
    own.half = plain(own.half);
    own.total = plain(own.total);
    sums_calls++;
    return own;
}

static void mark_stitch(volt_stitch *out, const volt_stitch *own)
{
    *out = *own;
    out->sum = marked(own->sum);
    out->half = marked(own->half);
    out->total = marked(own->total);
}

static volt_status open_sums(const volt_device *dev, volt_stitch *out, int64_t channels,
                             const int64_t shape[3], int64_t room, bool half)
{
    volt_stitch own;
    const volt_status st = volt_host_scores.open(inner, &own, channels, shape, room, half);

    (void)dev;
    if (st == VOLT_OK)
        mark_stitch(out, &own);
    return st;
}

static void close_sums(const volt_device *dev, volt_stitch *s)
{
    volt_stitch own = plain_stitch(s);

    (void)dev;
    volt_host_scores.close(inner, &own);
    mark_stitch(s, &own);
}

static volt_status expect(const volt_device *dev, volt_stitch *s, volt_box box,
                          const float *weight, volt_stream *stream)
{
    volt_stitch own = plain_stitch(s);
    const volt_status st = volt_host_scores.expect(inner, &own, box, plain(weight), stream);

    (void)dev;
    mark_stitch(s, &own);
    return st;
}

static volt_status add(const volt_device *dev, volt_stitch *s, const volt_stitch_tile *tile,
                       int threads, volt_stream *stream)
{
    volt_stitch own = plain_stitch(s);
    volt_stitch_tile t = *tile;
    volt_status st;

    (void)dev;
    t.values = plain(t.values);
    t.weight = plain(t.weight);
    t.flip = host(t.flip);
    st = volt_host_scores.add(inner, &own, &t, threads, stream);
    mark_stitch(s, &own);
    return st;
}

static volt_status finish(const volt_device *dev, volt_stitch *s, int64_t to, int threads,
                          bool *finite, volt_stream *stream)
{
    volt_stitch own = plain_stitch(s);
    const volt_status st = volt_host_scores.finish(inner, &own, to, threads, finite, stream);

    (void)dev;
    mark_stitch(s, &own);
    return st;
}

static volt_status drop(const volt_device *dev, volt_stitch *s, int64_t keep, int threads,
                        volt_stream *stream)
{
    volt_stitch own = plain_stitch(s);
    const volt_status st = volt_host_scores.drop(inner, &own, keep, threads, stream);

    (void)dev;
    mark_stitch(s, &own);
    return st;
}

static volt_status decode(const volt_device *dev, const volt_decode_call *call,
                          volt_stream *stream)
{
    volt_decode_call c = *call;
    volt_logits logits[VOLT_DECODE_MAX_SETS];

    (void)dev;
    for (int i = 0; i < c.options->sets; i++) {
        logits[i] = c.logits[i];
        logits[i].data = plain(logits[i].data);
        logits[i].half = plain(logits[i].half);
    }
    c.logits = logits;
    sums_calls++;
    return volt_host_scores.decode(inner, &c, stream);
}

static const volt_scores_table scores = {takes, open_sums, close_sums, expect,
                                         add,   finish,    drop,       decode};

/* ---- the device ---- */

void apart_device_open(volt_device **device, bool sums)
{
    volt_device *dev = malloc(sizeof *dev);

    assert_non_null(dev);
    assert_null(inner);
    assert_true((*device)->host_memory);
    inner = *device;
    *dev = *inner;
    dev->context = NULL;
    dev->host_memory = false;
    dev->channel_block = channel_block;
    dev->buffer_bytes = buffer_bytes;
    dev->supports = supports;
    dev->alloc = alloc;
    dev->release = release;
    dev->upload = upload;
    dev->download = download;
    dev->op_create = op_create;
    dev->op_pack = op_pack;
    dev->op_run = op_run;
    dev->loss_scratch = loss_scratch;
    dev->loss_sums = loss_sums;
    dev->loss_gradient = loss_gradient;
    dev->sum_squares = sum_squares;
    dev->update_begin = update_begin;
    dev->sgd = sgd;
    dev->adam = adam;
    dev->scores = sums ? &scores : NULL;
    dev->close = close_device;
    sums_calls = 0;
    *device = dev;
}

int64_t apart_device_sums(void)
{
    return sums_calls;
}
