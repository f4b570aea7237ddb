/* The queue device's table: every call becomes an item with real addresses. */
#include "tests/kit/queue_internal.h"
#include "nets3d/device/op_spec.h"
#include "tests/kit/test.h"

/* An operator of this device. Ours, so that op_run finds the queue. */
typedef struct queue_op {
    queue *q;
    volt_op *inner;
    volt_op_spec spec;
    volt_op_info info;
} queue_op;

static queue_op *own(const volt_op *op)
{
    return (queue_op *)(uintptr_t)op;
}

/* ---- giving items ---- */

/* Translates an address, notes its use, and remembers the first failure. */
static void *at(queue *q, volt_status *st, queue_item *item, const void *p, size_t bytes,
                bool write)
{
    void *real = NULL;

    if (*st == VOLT_OK)
        *st = queue_real(q, &real, p, bytes);
    queue_uses(item, real, bytes, write);
    return real;
}

static volt_status give(queue *q, volt_status st, volt_stream *s, queue_item *item)
{
    if (st == VOLT_OK)
        st = queue_give(q, s, item);
    else
        queue_item_free(item);
    pthread_mutex_unlock(&q->lock);
    return st;
}

static queue_item *begin(queue *q, queue_kind kind)
{
    pthread_mutex_lock(&q->lock);
    return queue_item_new(kind);
}

/* ---- memory ---- */

static int64_t channel_block(const volt_device *dev, volt_dtype dtype)
{
    return queue_of(dev)->inner->channel_block(queue_of(dev)->inner, dtype);
}

static size_t buffer_bytes(const volt_device *dev, const volt_tensor *t)
{
    return queue_of(dev)->inner->buffer_bytes(queue_of(dev)->inner, t);
}

static bool supports(const volt_device *dev, volt_precision precision)
{
    return (precision == VOLT_FP16_MIXED && queue_of(dev)->options.fp16) ||
           queue_of(dev)->inner->supports(queue_of(dev)->inner, precision);
}

static volt_status alloc(const volt_device *dev, void **out, size_t bytes, const char *what)
{
    queue *q = queue_of(dev);

    pthread_mutex_lock(&q->lock);
    const volt_status st = queue_alloc(q, out, bytes, what);
    pthread_mutex_unlock(&q->lock);
    return st;
}

static void release(const volt_device *dev, void *p)
{
    queue *q = queue_of(dev);

    pthread_mutex_lock(&q->lock);
    queue_sync_all(q);
    queue_release(q, p);
    pthread_mutex_unlock(&q->lock);
}

static volt_status pinned_alloc(const volt_device *dev, void **out, size_t bytes,
                                const char *what)
{
    queue *q = queue_of(dev);

    pthread_mutex_lock(&q->lock);
    const volt_status st = queue_pinned_alloc(q, out, bytes, what);
    pthread_mutex_unlock(&q->lock);
    return st;
}

static void pinned_free(const volt_device *dev, void *p)
{
    queue *q = queue_of(dev);

    pthread_mutex_lock(&q->lock);
    queue_sync_all(q);
    queue_pinned_free(q, p);
    pthread_mutex_unlock(&q->lock);
}

/* ---- copies ---- */

static volt_status upload(const volt_device *dev, void *dst, const void *src, size_t bytes,
                          volt_stream *stream)
{
    queue *q = queue_of(dev);
    queue_item *item = begin(q, QUEUE_COPY);
    volt_status st = VOLT_OK;

    item->bytes = bytes;
    item->to = at(q, &st, item, dst, bytes, true);
    if (queue_is_device(q, src)) {
        item->from = at(q, &st, item, src, bytes, false);
    } else if (queue_is_pinned(q, src)) { /* is read when its turn comes */
        item->from = src;
        item->sum = queue_sum(src, bytes);
    } else if (st == VOLT_OK) {
        item->staged = malloc(bytes + 1);
        assert_non_null(item->staged);
        memcpy(item->staged, src, bytes);
        item->from = item->staged;
    }
    return give(q, st, stream, item);
}

static volt_status download(const volt_device *dev, void *dst, const void *src, size_t bytes,
                            volt_stream *stream)
{
    queue *q = queue_of(dev);
    queue_item *item = begin(q, QUEUE_COPY);
    const bool waits = stream && !queue_is_device(q, dst) && !queue_is_pinned(q, dst);
    volt_status st = VOLT_OK;

    item->bytes = bytes;
    item->to = queue_is_device(q, dst) ? at(q, &st, item, dst, bytes, true) : dst;
    item->from = at(q, &st, item, src, bytes, false);
    if (queue_is_pinned(q, dst))
        memset(dst, 0xff, bytes); /* nobody may read it yet */
    if (st == VOLT_OK)
        st = queue_give(q, stream, item);
    else
        queue_item_free(item);
    if (st == VOLT_OK && waits)
        st = queue_sync(q, stream);
    pthread_mutex_unlock(&q->lock);
    return st;
}

/* ---- operators ---- */

static volt_status op_create(const volt_device *dev, volt_op **out, const volt_op_spec *spec)
{
    queue *q = queue_of(dev);
    volt_op *inner = NULL;
    const volt_status st = q->inner->op_create(q->inner, &inner, spec);

    if (st == VOLT_OK) {
        queue_op *op = calloc(1, sizeof *op);
        assert_non_null(op);
        *op = (queue_op){.q = q, .inner = inner, .spec = *spec};
        q->inner->op_info(inner, &op->info);
        *out = (volt_op *)op;
    }
    return st;
}

static void op_info(const volt_op *op, volt_op_info *info)
{
    *info = own(op)->info;
}

static void op_free(volt_op *op)
{
    queue_op *o = own(op);

    if (!op)
        return;
    pthread_mutex_lock(&o->q->lock);
    if (queue_has_op(o->q, o->inner))
        (void)queue_fault(o->q, "an operator is freed before it has run");
    o->q->inner->op_free(o->inner);
    pthread_mutex_unlock(&o->q->lock);
    free(o);
}

/* Bytes of operand i. */
static size_t operand_bytes(const queue_op *op, int i)
{
    const volt_device *dev = op->q->inner;
    const volt_tensor *t = &op->spec.tensor[i];
    const volt_operand_role role = volt_op_signature_of(op->spec.kind)->role[i];

    if (role == VOLT_ROLE_IN || role == VOLT_ROLE_OUT)
        return dev->buffer_bytes(dev, t);
    if (role == VOLT_ROLE_PACKED && op->info.packed_bytes)
        return op->info.packed_bytes;
    return (size_t)volt_tensor_elements(t) * volt_dtype_bytes(t->dtype);
}

static volt_status op_pack(volt_op *op, void *packed, const float *weights, volt_stream *stream)
{
    const queue_op *o = own(op);
    const volt_op_signature *sig = volt_op_signature_of(o->spec.kind);
    queue_item *item = begin(o->q, QUEUE_PACK);
    volt_status st = VOLT_OK;

    item->op = o->inner;
    item->to = at(o->q, &st, item, packed, o->info.packed_bytes, true);
    for (int i = 0; i < sig->operands; i++) {
        if (sig->role[i] == VOLT_ROLE_PACKED)
            item->from =
                at(o->q, &st, item, weights,
                   (size_t)volt_tensor_elements(&o->spec.tensor[i]) * sizeof(float), false);
    }
    return give(o->q, st, stream, item);
}

static volt_status op_pack_many(const volt_device *dev, const volt_pack *packs, int count,
                                volt_stream *stream)
{
    volt_status st = VOLT_OK;

    (void)dev;
    for (int i = 0; st == VOLT_OK && i < count; i++)
        st = op_pack(packs[i].op, packs[i].packed, packs[i].weights, stream);
    return st;
}

static bool op_same_form(const volt_op *a, const volt_op *b)
{
    return own(a)->q->inner->op_same_form(own(a)->inner, own(b)->inner);
}

static volt_status op_run(volt_op *op, void *const *operands, void *scratch,
                          volt_stream *stream)
{
    const queue_op *o = own(op);
    const volt_op_signature *sig = volt_op_signature_of(o->spec.kind);
    queue_item *item = begin(o->q, QUEUE_RUN);
    volt_status st = VOLT_OK;

    item->op = o->inner;
    for (int i = 0; i < sig->operands; i++)
        item->operand[i] =
            at(o->q, &st, item, operands[i], operands[i] ? operand_bytes(o, i) : 0,
               sig->role[i] == VOLT_ROLE_OUT || sig->role[i] == VOLT_ROLE_RESULT);
    item->to = at(o->q, &st, item, o->info.scratch_bytes ? scratch : NULL,
                  o->info.scratch_bytes, true);
    return give(o->q, st, stream, item);
}

static volt_status draw_factors(const volt_device *dev, const volt_factors_call *call,
                                volt_stream *stream)
{
    queue *q = queue_of(dev);
    queue_item *item = begin(q, QUEUE_FACTORS);
    volt_factors_call c = *call;
    volt_status st = VOLT_OK;

    c.factors = at(q, &st, item, c.factors, (size_t)c.count * sizeof *c.factors, true);
    item->call.factors = c;
    return give(q, st, stream, item);
}

/* ---- the loss ---- */

static size_t loss_scratch(const volt_device *dev, const volt_loss_call *call)
{
    return queue_of(dev)->inner->loss_scratch(queue_of(dev)->inner, call);
}

/* The host's arrays are copied: they are read before the call returns. */
static void copy_tables(queue_item *item, volt_loss_call *c)
{
    const size_t regions = c->regions ? (size_t)volt_loss_values(c) * (size_t)c->c : 0;
    const size_t weights = c->class_weight ? (size_t)c->c * sizeof(double) : 0;
    unsigned char *room = malloc(weights + regions + 1);

    assert_non_null(room);
    item->staged = room;
    if (weights)
        c->class_weight = memcpy(room, c->class_weight, weights);
    if (regions)
        c->regions = memcpy(room + weights, c->regions, regions);
}

static volt_status give_loss(const volt_device *dev, queue_kind kind,
                             const volt_loss_call *call, volt_stream *stream)
{
    queue *q = queue_of(dev);
    queue_item *item = begin(q, kind);
    volt_loss_call c = *call;
    volt_status st = VOLT_OK;

    if (queue_is_device(q, c.regions) || queue_is_device(q, c.class_weight))
        st = queue_fault(q, "regions or class weights lie on the device");
    for (int i = 0; i < c.levels; i++) {
        const volt_loss_level *l = &c.level[i];
        c.level[i].logits =
            at(q, &st, item, l->logits,
               (size_t)(c.n * c.c * l->d * l->h * l->w) * sizeof(float), call->gradient);
    }
    c.labels =
        at(q, &st, item, c.labels, (size_t)(c.n * c.d * c.h * c.w) * sizeof(int16_t), false);
    c.loss_scale = at(q, &st, item, c.loss_scale, c.loss_scale ? sizeof(double) : 0, false);
    c.sums = at(q, &st, item, c.sums, (size_t)volt_loss_sums_count(call) * sizeof(double),
                kind == QUEUE_LOSS_SUMS);
    c.result = at(q, &st, item, c.result, volt_loss_block_bytes(c.c), true);
    c.scratch = at(q, &st, item, c.scratch, loss_scratch(dev, call), true);
    if (st == VOLT_OK)
        copy_tables(item, &c);
    item->call.loss = c;
    return give(q, st, stream, item);
}

static volt_status loss_sums(const volt_device *dev, const volt_loss_call *call,
                             volt_stream *stream)
{
    return give_loss(dev, QUEUE_LOSS_SUMS, call, stream);
}

static volt_status loss_gradient(const volt_device *dev, const volt_loss_call *call,
                                 volt_stream *stream)
{
    return give_loss(dev, QUEUE_LOSS_GRADIENT, call, stream);
}

/* ---- updates ---- */

static volt_status sum_squares(const volt_device *dev, const volt_squares_call *call,
                               volt_stream *stream)
{
    queue *q = queue_of(dev);
    queue_item *item = begin(q, QUEUE_SQUARES);
    volt_squares_call c = *call;
    volt_status st = VOLT_OK;

    c.sum = at(q, &st, item, c.sum, sizeof *c.sum, true);
    c.x = at(q, &st, item, c.x, (size_t)c.count * sizeof *c.x, false);
    item->call.squares = c;
    return give(q, st, stream, item);
}

static volt_status update_begin(const volt_device *dev, const volt_update_call *call,
                                volt_stream *stream)
{
    queue *q = queue_of(dev);
    queue_item *item = begin(q, QUEUE_BEGIN);
    volt_update_call c = *call;
    volt_status st = VOLT_OK;

    c.scalars = at(q, &st, item, c.scalars, sizeof *c.scalars, true);
    item->call.begin = c;
    return give(q, st, stream, item);
}

static volt_status sgd(const volt_device *dev, const volt_sgd_call *call, volt_stream *stream)
{
    queue *q = queue_of(dev);
    queue_item *item = begin(q, QUEUE_SGD);
    volt_sgd_call c = *call;
    const size_t bytes = (size_t)c.count * sizeof(float);
    volt_status st = VOLT_OK;

    c.weights = at(q, &st, item, c.weights, bytes, true);
    c.momentum = at(q, &st, item, c.momentum, bytes, true);
    c.gradients = at(q, &st, item, c.gradients, bytes, false);
    c.scalars = at(q, &st, item, c.scalars, sizeof *c.scalars, false);
    item->call.sgd = c;
    return give(q, st, stream, item);
}

static volt_status adam(const volt_device *dev, const volt_adam_call *call, volt_stream *stream)
{
    queue *q = queue_of(dev);
    queue_item *item = begin(q, QUEUE_ADAM);
    volt_adam_call c = *call;
    const size_t bytes = (size_t)c.count * sizeof(float);
    volt_status st = VOLT_OK;

    c.weights = at(q, &st, item, c.weights, bytes, true);
    c.m = at(q, &st, item, c.m, bytes, true);
    c.v = at(q, &st, item, c.v, bytes, true);
    c.gradients = at(q, &st, item, c.gradients, bytes, false);
    c.scalars = at(q, &st, item, c.scalars, sizeof *c.scalars, false);
    item->call.adam = c;
    return give(q, st, stream, item);
}

static volt_status accumulate(const volt_device *dev, float *sum, const float *x, int64_t count,
                              double scale, bool first, int threads, volt_stream *stream)
{
    queue *q = queue_of(dev);
    queue_item *item = begin(q, QUEUE_ACCUMULATE);
    const size_t bytes = (size_t)count * sizeof(float);
    volt_status st = VOLT_OK;

    item->call.accumulate.sum = at(q, &st, item, sum, bytes, true);
    item->call.accumulate.x = at(q, &st, item, x, bytes, false);
    item->call.accumulate.count = count;
    item->call.accumulate.scale = scale;
    item->call.accumulate.first = first;
    item->call.accumulate.threads = threads;
    return give(q, st, stream, item);
}

static volt_status update_state(const volt_device *dev, const volt_state_call *call,
                                volt_stream *stream)
{
    queue *q = queue_of(dev);
    queue_item *item = begin(q, QUEUE_STATE);
    volt_state_call c = *call;
    const size_t bytes = (size_t)c.count * sizeof(float);
    volt_status st = VOLT_OK;

    c.state = at(q, &st, item, c.state, bytes, true);
    c.next = at(q, &st, item, c.next, bytes, true);
    c.scalars = at(q, &st, item, c.scalars, sizeof *c.scalars, false);
    item->call.state = c;
    return give(q, st, stream, item);
}

/* ---- the device ---- */

static void close_device(volt_device *dev)
{
    queue *q = queue_of(dev);

    for (int i = 0; i < QUEUE_STREAMS; i++)
        assert_null(q->streams[i]);
    assert_null(q->blocks);
    assert_null(q->pinned);
    volt_device_close(q->inner);
    pthread_mutex_destroy(&q->lock);
    free(q->accesses);
    free(q->done);
    free(q);
    free(dev);
}

queue_counts queue_device_counts(const volt_device *dev)
{
    return queue_of(dev)->counts;
}

void queue_device_open(volt_device **device, queue_options options)
{
    queue *q = calloc(1, sizeof *q);
    volt_device *dev = calloc(1, sizeof *dev);

    assert_non_null(q);
    assert_non_null(dev);
    assert_true((*device)->host_memory);
    q->inner = *device;
    q->options = options;
    q->rng = volt_rng_open(options.seed, 0, 0, VOLT_RNG_TEST);
    q->done = calloc(1, sizeof *q->done);
    q->ticket_room = 1;
    pthread_mutex_init(&q->lock, NULL);
    *dev = (volt_device){.name = q->inner->name,
                         .library = q->inner->library,
                         .context = q,
                         .channel_block = channel_block,
                         .buffer_bytes = buffer_bytes,
                         .supports = supports,
                         .streams = options.no_capture ? &queue_streams_without_capture
                                                       : &queue_streams,
                         .alloc = alloc,
                         .release = release,
                         .pinned_alloc = pinned_alloc,
                         .pinned_free = pinned_free,
                         .upload = upload,
                         .download = download,
                         .op_create = op_create,
                         .op_info = op_info,
                         .op_pack = op_pack,
                         .op_pack_many = op_pack_many,
                         .op_same_form = op_same_form,
                         .op_run = op_run,
                         .op_free = op_free,
                         .draw_factors = draw_factors,
                         .loss_scratch = loss_scratch,
                         .loss_sums = loss_sums,
                         .loss_gradient = loss_gradient,
                         .sum_squares = sum_squares,
                         .update_begin = update_begin,
                         .sgd = sgd,
                         .adam = adam,
                         .accumulate = accumulate,
                         .update_state = update_state,
                         .scores = options.scores ? &queue_scores : NULL,
                         .close = close_device};
    *device = dev;
}
