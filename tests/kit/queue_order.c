/* Items, streams, events and captures; who may run next, and who uses memory unordered. */
#include <stdio.h>

#include "tests/kit/queue_internal.h"
#include "tests/kit/test.h"

queue_item *queue_item_new(queue_kind kind)
{
    queue_item *item = calloc(1, sizeof *item);

    assert_non_null(item);
    item->kind = kind;
    return item;
}

void queue_item_free(queue_item *item)
{
    if (item && !item->borrows)
        free(item->staged);
    free(item);
}

void queue_uses(queue_item *item, const void *real, size_t bytes, bool write)
{
    if (!real || !bytes)
        return;
    assert_true(item->accesses < QUEUE_ACCESSES);
    item->access[item->accesses++] = (queue_access){
        .low = real, .high = (const unsigned char *)real + bytes, .write = write};
}

/* ---- running ---- */

static volt_status run_item(queue *q, queue_item *item)
{
    const volt_device *dev = q->inner;

    switch (item->kind) {
    case QUEUE_COPY:
        if (item->sum && queue_sum(item->from, item->bytes) != item->sum)
            return queue_fault(q, "pinned memory has changed before it was read");
        memcpy(item->to, item->from, item->bytes);
        return VOLT_OK;
    case QUEUE_PACK:
        return dev->op_pack(item->op, item->to, item->from, NULL);
    case QUEUE_RUN:
        return dev->op_run(item->op, item->operand, item->to, NULL);
    case QUEUE_FACTORS:
        return dev->draw_factors(dev, &item->call.factors, NULL);
    case QUEUE_LOSS_SUMS:
        return dev->loss_sums(dev, &item->call.loss, NULL);
    case QUEUE_LOSS_GRADIENT:
        return dev->loss_gradient(dev, &item->call.loss, NULL);
    case QUEUE_SQUARES:
        return dev->sum_squares(dev, &item->call.squares, NULL);
    case QUEUE_BEGIN:
        return dev->update_begin(dev, &item->call.begin, NULL);
    case QUEUE_SGD:
        return dev->sgd(dev, &item->call.sgd, NULL);
    case QUEUE_ADAM:
        return dev->adam(dev, &item->call.adam, NULL);
    case QUEUE_ACCUMULATE:
        return dev->accumulate(dev, item->call.accumulate.sum, item->call.accumulate.x,
                               item->call.accumulate.count, item->call.accumulate.scale,
                               item->call.accumulate.first, item->call.accumulate.threads,
                               NULL);
    case QUEUE_STATE:
        return dev->update_state(dev, &item->call.state, NULL);
    case QUEUE_ADD_SCORES:
        return volt_host_scores.add(dev, &item->call.scores.stitch, &item->call.scores.tile,
                                    item->call.scores.threads, NULL);
    case QUEUE_RECORD:
        q->done[item->ticket] = true;
        return VOLT_OK;
    case QUEUE_WAIT:
        return VOLT_OK;
    }
    return VOLT_EINTERNAL;
}

static bool may_run(const queue *q, const volt_stream *s)
{
    return s && s->first &&
           (s->first->kind != QUEUE_WAIT || !s->first->ticket || q->done[s->first->ticket]);
}

static void run_first(queue *q, volt_stream *s)
{
    queue_item *item = s->first;
    const volt_status st = run_item(q, item);

    if (st != VOLT_OK && s->st == VOLT_OK) {
        s->st = st;
        snprintf(s->message, sizeof s->message, "%.190s", volt_last_error());
    }
    s->first = item->next;
    if (!s->first)
        s->last = &s->first;
    queue_item_free(item);
    q->counts.deferred++;
}

/* One call of a random stream; false when none may run. */
static bool run_any(queue *q)
{
    volt_stream *ready[QUEUE_STREAMS];
    int count = 0;

    for (int i = 0; i < QUEUE_STREAMS; i++) {
        if (may_run(q, q->streams[i]))
            ready[count++] = q->streams[i];
    }
    if (count)
        run_first(q, ready[volt_rng_below(&q->rng, count)]);
    return count > 0;
}

/* ---- who comes before whom ---- */

static void clock_join(queue_clock *to, const queue_clock *from)
{
    for (int i = 0; i < QUEUE_STREAMS; i++)
        to->at[i] = to->at[i] > from->at[i] ? to->at[i] : from->at[i];
}

static void compare(queue *q, const queue_access *now, const queue_clock *clock)
{
    for (size_t i = 0; i < q->access_count; i++) {
        const queue_access *old = &q->accesses[i];
        if (old->stream != now->stream && old->time > clock->at[old->stream] &&
            old->low < now->high && now->low < old->high && (old->write || now->write)) {
            (void)queue_fault(q, "streams %d and %d use %p unordered", old->stream, now->stream,
                              queue_handle(q, now->low));
            return;
        }
    }
}

/* Uses that the host has waited for can disturb nobody any more. */
static void forget(queue *q)
{
    size_t kept = 0;

    for (size_t i = 0; i < q->access_count; i++) {
        if (q->accesses[i].time > q->host.at[q->accesses[i].stream])
            q->accesses[kept++] = q->accesses[i];
    }
    q->access_count = kept;
}

/* Checks the item's uses against all earlier ones and adds them. */
static void order(queue *q, queue_item *item, int stream, const queue_clock *clock)
{
    for (int i = 0; i < item->accesses; i++) {
        queue_access *a = &item->access[i];
        a->stream = stream;
        a->time = clock->at[stream];
        compare(q, a, clock);
    }
    for (int i = 0; i < item->accesses && stream > 0; i++) {
        if (q->access_count == q->access_room) {
            q->access_room = 2 * q->access_room + 64;
            q->accesses = realloc(q->accesses, q->access_room * sizeof *q->accesses);
            assert_non_null(q->accesses);
        }
        q->accesses[q->access_count++] = item->access[i];
    }
}

/* ---- giving ---- */

static void append(volt_stream *s, queue_item *item)
{
    item->next = NULL;
    *s->last = item;
    s->last = &item->next;
}

volt_status queue_give(queue *q, volt_stream *s, queue_item *item)
{
    volt_status st = VOLT_OK;

    if (!s) { /* the host waits for it, and it for nothing */
        order(q, item, 0, &q->host);
        st = run_item(q, item);
        queue_item_free(item);
        return st;
    }
    if (s->capturing) {
        append(s, item);
        return VOLT_OK;
    }
    clock_join(&s->clock, &q->host);
    s->clock.at[s->number] = ++q->times[s->number];
    order(q, item, s->number, &s->clock);
    append(s, item);
    q->counts.calls++;
    while (q->options.seed && volt_rng_below(&q->rng, 4) == 0 && run_any(q))
        continue;
    return VOLT_OK;
}

volt_status queue_sync(queue *q, volt_stream *s)
{
    volt_status st = VOLT_OK;

    if (s->capturing)
        return queue_fault(q, "a stream is waited for while it is captured");
    while (s->first) {
        /* Nothing but what is needed, or a random stream. */
        if ((q->options.seed && volt_rng_below(&q->rng, 2)) || !may_run(q, s))
            assert_true(run_any(q)); /* a wait follows its record, so some stream can go on */
        else
            run_first(q, s);
    }
    clock_join(&q->host, &s->clock);
    forget(q);
    if (s->st != VOLT_OK)
        st = volt_fail(s->st, "%s", s->message);
    s->st = VOLT_OK;
    return st;
}

void queue_sync_all(queue *q)
{
    for (int i = 0; i < QUEUE_STREAMS; i++) {
        if (q->streams[i] && !q->streams[i]->capturing) {
            const volt_status st = q->streams[i]->st;
            (void)queue_sync(q, q->streams[i]);
            q->streams[i]->st = st; /* its own sync reports it */
        }
    }
}

bool queue_has_op(const queue *q, const volt_op *op)
{
    for (int i = 0; i < QUEUE_STREAMS; i++) {
        for (const queue_item *k = q->streams[i] ? q->streams[i]->first : NULL; k;
             k = k->next) {
            if (k->op == op)
                return true;
        }
    }
    return false;
}

/* ---- the table ---- */

static volt_status create(const volt_device *dev, volt_stream **out)
{
    queue *q = queue_of(dev);
    int i = 1;

    pthread_mutex_lock(&q->lock);
    while (i < QUEUE_STREAMS && q->streams[i])
        i++;
    assert_true(i < QUEUE_STREAMS);
    volt_stream *s = calloc(1, sizeof *s);
    assert_non_null(s);
    s->number = i;
    s->last = &s->first;
    q->streams[i] = s;
    /* What the number's last stream did is over: destroy waits. */
    q->host.at[i] = q->times[i];
    pthread_mutex_unlock(&q->lock);
    *out = s;
    return VOLT_OK;
}

static void destroy(const volt_device *dev, volt_stream *s)
{
    queue *q = queue_of(dev);

    pthread_mutex_lock(&q->lock);
    (void)queue_sync(q, s);
    q->streams[s->number] = NULL;
    free(s);
    pthread_mutex_unlock(&q->lock);
}

static volt_status sync_stream(const volt_device *dev, volt_stream *s)
{
    queue *q = queue_of(dev);

    pthread_mutex_lock(&q->lock);
    const volt_status st = queue_sync(q, s);
    pthread_mutex_unlock(&q->lock);
    return st;
}

static volt_status event_create(const volt_device *dev, volt_event **out)
{
    (void)dev;
    *out = calloc(1, sizeof **out);
    assert_non_null(*out);
    return VOLT_OK;
}

static void event_destroy(const volt_device *dev, volt_event *e)
{
    (void)dev;
    free(e);
}

static volt_status record(const volt_device *dev, volt_event *e, volt_stream *s)
{
    queue *q = queue_of(dev);
    queue_item *item = queue_item_new(QUEUE_RECORD);

    pthread_mutex_lock(&q->lock);
    item->ticket = e->ticket = ++q->tickets;
    if (q->tickets >= q->ticket_room) {
        q->ticket_room = 2 * q->tickets + 16;
        q->done = realloc(q->done, q->ticket_room * sizeof *q->done);
        assert_non_null(q->done);
    }
    q->done[e->ticket] = false;
    const volt_status st = queue_give(q, s, item);
    e->clock = s->clock;
    pthread_mutex_unlock(&q->lock);
    return st;
}

static volt_status wait_event(const volt_device *dev, volt_event *e, volt_stream *s)
{
    queue *q = queue_of(dev);
    queue_item *item = queue_item_new(QUEUE_WAIT);

    pthread_mutex_lock(&q->lock);
    item->ticket = e->ticket;
    const volt_status st = queue_give(q, s, item);
    clock_join(&s->clock, &e->clock);
    pthread_mutex_unlock(&q->lock);
    return st;
}

static volt_status event_sync(const volt_device *dev, volt_event *e)
{
    queue *q = queue_of(dev);

    pthread_mutex_lock(&q->lock);
    while (e->ticket && !q->done[e->ticket])
        assert_true(run_any(q));
    clock_join(&q->host, &e->clock);
    forget(q);
    pthread_mutex_unlock(&q->lock);
    return VOLT_OK;
}

static volt_status capture_begin(const volt_device *dev, volt_stream *s)
{
    queue *q = queue_of(dev);
    volt_status st = VOLT_OK;

    pthread_mutex_lock(&q->lock);
    if (s->capturing)
        st = queue_fault(q, "a stream is captured twice");
    else
        st = queue_sync(q, s); /* its list is empty now, and becomes the capture's */
    s->capturing = st == VOLT_OK;
    pthread_mutex_unlock(&q->lock);
    return st;
}

static void clear_capture(volt_capture *c)
{
    while (c->first) {
        queue_item *item = c->first;
        c->first = item->next;
        queue_item_free(item);
    }
    free(c);
}

static volt_status capture_end(const volt_device *dev, volt_stream *s, volt_capture **out)
{
    queue *q = queue_of(dev);
    volt_capture *c = calloc(1, sizeof *c);
    volt_status st = VOLT_OK;

    assert_non_null(c);
    pthread_mutex_lock(&q->lock);
    if (!s->capturing)
        st = queue_fault(q, "a capture ends that has not begun");
    c->first = s->first;
    s->first = NULL;
    s->last = &s->first;
    s->capturing = false;
    for (const queue_item *k = c->first; k; k = k->next) {
        if (k->kind == QUEUE_COPY && (k->staged || k->sum))
            st = queue_fault(q, "a capture holds a copy from the host");
    }
    if (st == VOLT_OK)
        *out = c;
    else
        clear_capture(c);
    pthread_mutex_unlock(&q->lock);
    return st;
}

static volt_status capture_launch(const volt_device *dev, volt_capture *c, volt_stream *s)
{
    queue *q = queue_of(dev);
    volt_status st = VOLT_OK;

    pthread_mutex_lock(&q->lock);
    q->counts.launches++;
    for (const queue_item *k = c->first; k && st == VOLT_OK; k = k->next) {
        queue_item *item = queue_item_new(k->kind);
        *item = *k;
        item->borrows = true;
        st = queue_give(q, s, item);
    }
    pthread_mutex_unlock(&q->lock);
    return st;
}

static void capture_free(const volt_device *dev, volt_capture *c)
{
    queue *q = queue_of(dev);

    if (!c)
        return;
    pthread_mutex_lock(&q->lock);
    queue_sync_all(q); /* launches borrow from it */
    clear_capture(c);
    pthread_mutex_unlock(&q->lock);
}

#define ORDER                                                                                  \
    .create = create, .destroy = destroy, .sync = sync_stream, .event_create = event_create,   \
    .event_destroy = event_destroy, .record = record, .wait = wait_event,                      \
    .event_sync = event_sync

const volt_stream_table queue_streams = {
    ORDER, .capture_begin = capture_begin, .capture_end = capture_end,
    .capture_launch = capture_launch, .capture_free = capture_free};
const volt_stream_table queue_streams_without_capture = {ORDER};
