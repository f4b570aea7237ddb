/* Sums of scores on the queue device: additions are queued, everything else waits for them. */
#include "tests/kit/queue_internal.h"
#include "tests/kit/test.h"

static bool takes(const volt_device *dev, const volt_decode_options *options)
{
    return volt_host_scores.takes(queue_of(dev)->inner, options);
}

/* The inner device's view of a stitch; all that it was given in the stream has run. */
static volt_status enter(queue *q, volt_stitch *real, const volt_stitch *s, volt_stream *stream)
{
    volt_status st = VOLT_OK;

    pthread_mutex_lock(&q->lock);
    q->counts.scores++;
    *real = *s;
    if (stream)
        VOLT_TRY(st, done, queue_sync(q, stream));
    VOLT_TRY(st, done, queue_real(q, (void **)&real->sum, s->sum, 0));
    VOLT_TRY(st, done, queue_real(q, (void **)&real->half, s->half, 0));
    VOLT_TRY(st, done, queue_real(q, (void **)&real->total, s->total, 0));
done:
    return st;
}

static volt_status leave(queue *q, volt_status st, volt_stitch *s, const volt_stitch *real)
{
    const volt_stitch before = *s;

    if (st == VOLT_OK) {
        *s = *real;
        s->sum = before.sum;
        s->half = before.half;
        s->total = before.total;
    }
    pthread_mutex_unlock(&q->lock);
    return st;
}

static volt_status open_sums(const volt_device *dev, volt_stitch *out, int64_t channels,
                             const int64_t shape[3], int64_t room, bool half)
{
    const size_t plane = (size_t)room * (size_t)shape[1] * (size_t)shape[2] * sizeof(float);
    queue *q = queue_of(dev);
    const volt_status st = volt_host_scores.open(q->inner, out, channels, shape, room, half);

    if (st != VOLT_OK)
        return st;
    pthread_mutex_lock(&q->lock);
    if (half)
        out->half = queue_adopt(q, out->half, (size_t)channels * plane / 2);
    else
        out->sum = queue_adopt(q, out->sum, (size_t)channels * plane);
    out->total =
        queue_adopt(q, out->total, half ? plane / (size_t)room * (size_t)shape[0] : plane);
    pthread_mutex_unlock(&q->lock);
    return VOLT_OK;
}

static void close_sums(const volt_device *dev, volt_stitch *s)
{
    queue *q = queue_of(dev);

    pthread_mutex_lock(&q->lock);
    queue_sync_all(q);
    queue_release(q, s->sum);
    queue_release(q, s->half);
    queue_release(q, s->total);
    *s = (volt_stitch){.sum = NULL};
    pthread_mutex_unlock(&q->lock);
}

static volt_status expect(const volt_device *dev, volt_stitch *s, volt_box box,
                          const float *weight, volt_stream *stream)
{
    queue *q = queue_of(dev);
    volt_stitch real;
    void *w;
    volt_status st = enter(q, &real, s, stream);

    if (st == VOLT_OK)
        st = queue_real(q, &w, weight, 0);
    if (st == VOLT_OK)
        st = volt_host_scores.expect(q->inner, &real, box, w, NULL);
    return leave(q, st, s, &real);
}

/* Touches the arrays alone, so it can wait its turn. */
static volt_status add(const volt_device *dev, volt_stitch *s, const volt_stitch_tile *tile,
                       int threads, volt_stream *stream)
{
    queue *q = queue_of(dev);
    queue_item *item = queue_item_new(QUEUE_ADD_SCORES);
    const size_t voxels = (size_t)volt_box_voxels(tile->box);
    const size_t values = voxels * (size_t)s->channels * sizeof(float);
    volt_stitch real = *s;
    volt_stitch_tile t = *tile;
    volt_status st;

    pthread_mutex_lock(&q->lock);
    q->counts.scores++;
    VOLT_TRY(st, done, queue_real(q, (void **)&real.sum, s->sum, 0));
    VOLT_TRY(st, done, queue_real(q, (void **)&real.half, s->half, 0));
    VOLT_TRY(st, done, queue_real(q, (void **)&real.total, s->total, 0));
    VOLT_TRY(st, done, queue_real(q, (void **)&t.values, tile->values, values));
    VOLT_TRY(st, done, queue_real(q, (void **)&t.weight, tile->weight, voxels * sizeof(float)));
    queue_uses(item, t.values, values, false);
    queue_uses(item, t.weight, t.weight ? voxels * sizeof(float) : 0, false);
    queue_uses(item, real.sum ? (void *)real.sum : real.half, 1, true);
    queue_uses(item, real.total, 1, true);
    item->call.scores.stitch = real;
    item->call.scores.tile = t;
    item->call.scores.threads = threads;
    if (t.flip) {
        memcpy(item->call.scores.flip, t.flip, sizeof item->call.scores.flip);
        item->call.scores.tile.flip = item->call.scores.flip;
    }
    st = queue_give(q, stream, item);
    item = NULL;
done:
    queue_item_free(item);
    pthread_mutex_unlock(&q->lock);
    return st;
}

static volt_status finish(const volt_device *dev, volt_stitch *s, int64_t to, int threads,
                          bool *finite, volt_stream *stream)
{
    queue *q = queue_of(dev);
    volt_stitch real;
    volt_status st = enter(q, &real, s, stream);

    if (st == VOLT_OK)
        st = volt_host_scores.finish(q->inner, &real, to, threads, finite, NULL);
    return leave(q, st, s, &real);
}

static volt_status drop(const volt_device *dev, volt_stitch *s, int64_t keep, int threads,
                        volt_stream *stream)
{
    queue *q = queue_of(dev);
    volt_stitch real;
    volt_status st = enter(q, &real, s, stream);

    if (st == VOLT_OK)
        st = volt_host_scores.drop(q->inner, &real, keep, threads, NULL);
    return leave(q, st, s, &real);
}

static volt_status decode(const volt_device *dev, const volt_decode_call *call,
                          volt_stream *stream)
{
    queue *q = queue_of(dev);
    volt_decode_call c = *call;
    volt_logits logits[VOLT_DECODE_MAX_SETS];
    volt_status st = VOLT_OK;

    pthread_mutex_lock(&q->lock);
    q->counts.scores++;
    if (stream)
        st = queue_sync(q, stream);
    for (int i = 0; i < c.options->sets && st == VOLT_OK; i++) {
        void *data = NULL, *half = NULL;
        logits[i] = c.logits[i];
        st = queue_real(q, &data, c.logits[i].data, 0);
        if (st == VOLT_OK)
            st = queue_real(q, &half, c.logits[i].half, 0);
        logits[i].data = data;
        logits[i].half = half;
    }
    c.logits = logits;
    if (st == VOLT_OK)
        st = volt_host_scores.decode(q->inner, &c, NULL);
    pthread_mutex_unlock(&q->lock);
    return st;
}

const volt_scores_table queue_scores = {takes, open_sums, close_sums, expect,
                                        add,   finish,    drop,       decode};
