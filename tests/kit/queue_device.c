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

/* A call on its way into a stream. */
typedef struct giving {
    queue *q;
    queue_item *item;
    volt_stream *stream;
    volt_status st; /* the first failure */
} giving;

static giving begin(queue *q, queue_kind kind, volt_stream *stream)
{
    pthread_mutex_lock(&q->lock);
    return (giving){.q = q, .item = queue_item_new(kind), .stream = stream};
}

/* Translates an address of the device, and notes its use. */
static void *at(giving *g, const void *p, size_t bytes, bool write)
{
    void *real = NULL;

    if (g->st == VOLT_OK)
        g->st = queue_real(g->q, &real, p, bytes);
    queue_uses(g->item, real, bytes, write);
    return real;
}

static volt_status give(giving *g)
{
    if (g->st == VOLT_OK)
        g->st = queue_give(g->q, g->stream, g->item);
    else
        queue_item_free(g->item);
    pthread_mutex_unlock(&g->q->lock);
    return g->st;
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

static volt_status memory(const volt_device *dev, size_t *available, size_t *total)
{
    queue *q = queue_of(dev);

    pthread_mutex_lock(&q->lock);
    *available = queue_available(q);
    *total = q->options.memory;
    pthread_mutex_unlock(&q->lock);
    return VOLT_OK;
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
    giving g = begin(queue_of(dev), QUEUE_COPY, stream);

    g.item->bytes = bytes;
    g.item->to = at(&g, dst, bytes, true);
    if (queue_is_device(g.q, src)) {
        g.item->from = at(&g, src, bytes, false);
    } else if (queue_is_pinned(g.q, src)) { /* is read when its turn comes */
        g.item->from = src;
        g.item->sum = queue_sum(src, bytes);
    } else {
        g.item->staged = malloc(bytes + 1);
        assert_non_null(g.item->staged);
        g.item->from = memcpy(g.item->staged, src, bytes);
    }
    return give(&g);
}

static volt_status download(const volt_device *dev, void *dst, const void *src, size_t bytes,
                            volt_stream *stream)
{
    giving g = begin(queue_of(dev), QUEUE_COPY, stream);
    const bool here = !queue_is_device(g.q, dst), pinned = queue_is_pinned(g.q, dst);
    volt_status st;

    g.item->bytes = bytes;
    g.item->to = here ? dst : at(&g, dst, bytes, true);
    g.item->from = at(&g, src, bytes, false);
    if (pinned)
        memset(dst, 0xff, bytes); /* nobody may read it yet */
    st = give(&g);
    return st == VOLT_OK && here && !pinned ? volt_stream_sync(dev, stream) : st;
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
    giving g = begin(o->q, QUEUE_PACK, stream);

    g.item->op = o->inner;
    g.item->to = at(&g, packed, o->info.packed_bytes, true);
    for (int i = 0; i < sig->operands; i++) {
        const size_t bytes = (size_t)volt_tensor_elements(&o->spec.tensor[i]) * sizeof(float);
        if (sig->role[i] == VOLT_ROLE_PACKED)
            g.item->from = at(&g, weights, bytes, false);
    }
    return give(&g);
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
    giving g = begin(o->q, QUEUE_RUN, stream);

    g.item->op = o->inner;
    for (int i = 0; i < sig->operands; i++)
        g.item->operand[i] =
            at(&g, operands[i], operands[i] ? operand_bytes(o, i) : 0,
               sig->role[i] == VOLT_ROLE_OUT || sig->role[i] == VOLT_ROLE_RESULT);
    g.item->to = at(&g, o->info.scratch_bytes ? scratch : NULL, o->info.scratch_bytes, true);
    return give(&g);
}

static volt_status draw_factors(const volt_device *dev, const volt_factors_call *call,
                                volt_stream *stream)
{
    giving g = begin(queue_of(dev), QUEUE_FACTORS, stream);
    volt_factors_call *c = &g.item->call.factors;

    *c = *call;
    c->factors = at(&g, c->factors, (size_t)c->count * sizeof *c->factors, true);
    return give(&g);
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
    giving g = begin(queue_of(dev), kind, stream);
    volt_loss_call *c = &g.item->call.loss;

    *c = *call;
    if (queue_is_device(g.q, c->regions) || queue_is_device(g.q, c->class_weight))
        g.st = queue_fault(g.q, "regions or class weights lie on the device");
    for (int i = 0; i < c->levels; i++) {
        volt_loss_level *l = &c->level[i];
        l->logits =
            at(&g, l->logits, (size_t)(c->n * c->c * l->d * l->h * l->w) * sizeof(float),
               call->gradient);
    }
    c->labels = at(&g, c->labels, (size_t)(c->n * c->d * c->h * c->w) * sizeof(int16_t), false);
    c->loss_scale = at(&g, c->loss_scale, c->loss_scale ? sizeof(double) : 0, false);
    c->sums = at(&g, c->sums, (size_t)volt_loss_sums_count(call) * sizeof(double),
                 kind == QUEUE_LOSS_SUMS);
    c->result = at(&g, c->result, volt_loss_block_bytes(c->c), true);
    c->scratch = at(&g, c->scratch, loss_scratch(dev, call), true);
    if (g.st == VOLT_OK)
        copy_tables(g.item, c);
    return give(&g);
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
    giving g = begin(queue_of(dev), QUEUE_SQUARES, stream);
    volt_squares_call *c = &g.item->call.squares;

    *c = *call;
    c->sum = at(&g, c->sum, sizeof *c->sum, true);
    c->x = at(&g, c->x, (size_t)c->count * sizeof *c->x, false);
    return give(&g);
}

static volt_status update_begin(const volt_device *dev, const volt_update_call *call,
                                volt_stream *stream)
{
    giving g = begin(queue_of(dev), QUEUE_BEGIN, stream);
    volt_update_call *c = &g.item->call.begin;

    *c = *call;
    c->scalars = at(&g, c->scalars, sizeof *c->scalars, true);
    return give(&g);
}

static volt_status sgd(const volt_device *dev, const volt_sgd_call *call, volt_stream *stream)
{
    giving g = begin(queue_of(dev), QUEUE_SGD, stream);
    volt_sgd_call *c = &g.item->call.sgd;
    const size_t bytes = (size_t)call->count * sizeof(float);

    *c = *call;
    c->weights = at(&g, c->weights, bytes, true);
    c->momentum = at(&g, c->momentum, bytes, true);
    c->gradients = at(&g, c->gradients, bytes, false);
    c->scalars = at(&g, c->scalars, sizeof *c->scalars, false);
    return give(&g);
}

static volt_status adam(const volt_device *dev, const volt_adam_call *call, volt_stream *stream)
{
    giving g = begin(queue_of(dev), QUEUE_ADAM, stream);
    volt_adam_call *c = &g.item->call.adam;
    const size_t bytes = (size_t)call->count * sizeof(float);

    *c = *call;
    c->weights = at(&g, c->weights, bytes, true);
    c->m = at(&g, c->m, bytes, true);
    c->v = at(&g, c->v, bytes, true);
    c->gradients = at(&g, c->gradients, bytes, false);
    c->scalars = at(&g, c->scalars, sizeof *c->scalars, false);
    return give(&g);
}

static volt_status accumulate(const volt_device *dev, float *sum, const float *x, int64_t count,
                              double scale, bool first, int threads, volt_stream *stream)
{
    giving g = begin(queue_of(dev), QUEUE_ACCUMULATE, stream);
    const size_t bytes = (size_t)count * sizeof(float);

    g.item->call.accumulate = (queue_sum_call){.sum = at(&g, sum, bytes, true),
                                               .x = at(&g, x, bytes, false),
                                               .count = count,
                                               .scale = scale,
                                               .first = first,
                                               .threads = threads};
    return give(&g);
}

static volt_status update_state(const volt_device *dev, const volt_state_call *call,
                                volt_stream *stream)
{
    giving g = begin(queue_of(dev), QUEUE_STATE, stream);
    volt_state_call c = *call;
    const size_t bytes = (size_t)c.count * sizeof(float);

    c.state = at(&g, c.state, bytes, true);
    c.next = at(&g, c.next, bytes, true);
    c.scalars = at(&g, c.scalars, sizeof *c.scalars, false);
    g.item->call.state = c;
    return give(&g);
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
                         .keeps_forms = options.keeps_forms,
                         .channel_block = channel_block,
                         .buffer_bytes = buffer_bytes,
                         .supports = supports,
                         .streams = options.no_capture ? &queue_streams_without_capture
                                                       : &queue_streams,
                         .memory = options.memory ? memory : NULL,
                         .alloc = alloc,
                         .release = release,
                         .pinned_alloc = pinned_alloc,
                         .pinned_free = pinned_free,
                         .upload = upload,
                         .download = download,
                         .op_create = op_create,
                         .op_info = op_info,
                         .op_pack = op_pack,
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
