#include "nets3d/train/feed.h"

#include <string.h>

#include "base/core/alloc.h"
#include "base/system/file.h"

#define TAG_SAMPLES 7

struct volt_feed {
    volt_loader *loader;
    volt_comm *group;      /* NULL: the loader's batches are delivered as they are */
    int ranks, rank;       /* of the group */
    volt_box whole, *need; /* the patch; what each rank gets of it */
    int64_t samples, channels, parts;
    int64_t part; /* the next one, counted from the first of batch 0 */
    char *own;    /* images, then labels, of this rank's box */
    char *sent;   /* the same of the box on its way to another; only when it is one's turn */
    double waited;
};

/* Voxels are sent as they are used: the images of all samples, then their labels. */
static size_t image_bytes(const volt_feed *f, volt_box box)
{
    return (size_t)(f->samples * f->channels * volt_box_voxels(box)) * sizeof(float);
}

size_t volt_feed_box_bytes(int64_t samples, int64_t channels, volt_box box)
{
    return (size_t)(samples * volt_box_voxels(box)) *
           ((size_t)channels * sizeof(float) + sizeof(int16_t));
}

static size_t box_bytes(const volt_feed *f, volt_box box)
{
    return volt_feed_box_bytes(f->samples, f->channels, box);
}

/* The loader of a rank with its place in the group's turns. One batch ahead is enough where the
 * others' turns lie between. */
static volt_loader_options in_turn(const volt_loader_options *loader, int rank, int ranks)
{
    volt_loader_options o = *loader;

    o.turn = rank;
    o.turns = ranks;
    if (ranks > 1)
        o.ring = 1;
    return o;
}

size_t volt_feed_bytes(const volt_loader_options *loader, int parts, volt_box most)
{
    const volt_loader_options o = in_turn(loader, 0, parts);
    const volt_feed f = {.samples = o.samples > 0 ? o.samples : o.batch - o.sample,
                         .channels = volt_loader_channels(&o)};

    return volt_loader_bytes(&o) + (parts > 1 ? 2 * box_bytes(&f, most) : 0);
}

/* ---- sending boxes ---- */

/* Copies `box` out of `count` arrays of the whole patch. */
static void cut(char *to, const char *from, volt_box whole, volt_box box, int64_t count,
                size_t element)
{
    const int64_t rows = whole.high[1] - whole.low[1], columns = whole.high[2] - whole.low[2];
    const size_t run = (size_t)(box.high[2] - box.low[2]) * element;
    const int64_t depth = whole.high[0] - whole.low[0];

    for (int64_t i = 0; i < count; i++) {
        for (int64_t z = box.low[0]; z < box.high[0]; z++) {
            for (int64_t y = box.low[1]; y < box.high[1]; y++) {
                const int64_t at = ((i * depth + z) * rows + y) * columns + box.low[2];
                memcpy(to, from + (size_t)at * element, run);
                to += run;
            }
        }
    }
}

static void pack(char *to, const volt_feed *f, const volt_batch *b, volt_box box)
{
    cut(to, (const char *)b->image, f->whole, box, f->samples * f->channels, sizeof *b->image);
    cut(to + image_bytes(f, box), (const char *)b->labels, f->whole, box, f->samples,
        sizeof *b->labels);
}

/* Sends the others their boxes, one after the other so that one buffer is enough. */
static volt_status send_boxes(volt_feed *f, const volt_batch *whole)
{
    volt_ticket *ticket = NULL;
    volt_status st = VOLT_OK;

    pack(f->own, f, whole, f->need[f->rank]);
    for (int peer = 0; peer < f->ranks && st == VOLT_OK; peer++) {
        const volt_message message = {peer, f->sent, box_bytes(f, f->need[peer])};
        if (peer == f->rank)
            continue;
        pack(f->sent, f, whole, f->need[peer]);
        st = volt_comm_start(&ticket, f->group, &message, 1, NULL, 0, TAG_SAMPLES);
        if (st == VOLT_OK)
            st = volt_comm_wait(f->group, &ticket);
    }
    return st;
}

static volt_status receive_box(volt_feed *f, int from)
{
    const volt_message message = {from, f->own, box_bytes(f, f->need[f->rank])};
    volt_ticket *ticket = NULL;
    volt_status st = volt_comm_start(&ticket, f->group, NULL, 0, &message, 1, TAG_SAMPLES);

    return st == VOLT_OK ? volt_comm_wait(f->group, &ticket) : st;
}

volt_status volt_feed_next(volt_feed *f, volt_batch *out)
{
    const int turn = f->group ? (int)(f->part % f->ranks) : 0;
    const double start = volt_seconds();
    volt_batch batch = {.number = f->part / f->parts, .part = f->part % f->parts};
    volt_status st = VOLT_OK;

    if (!f->group || turn == f->rank)
        VOLT_TRY(st, done, volt_loader_next(f->loader, &batch));
    if (f->group) {
        if (turn == f->rank)
            VOLT_TRY(st, done, send_boxes(f, &batch));
        else
            VOLT_TRY(st, done, receive_box(f, turn));
        batch.image = (const float *)(const void *)f->own;
        batch.labels =
            (const int16_t *)(const void *)(f->own + image_bytes(f, f->need[f->rank]));
    }
    f->part++;
    *out = batch;
done:
    f->waited += volt_seconds() - start;
    return st;
}

/* A box lies in ordinary memory, which has been read when an upload returns. */
volt_status volt_feed_uploaded(volt_feed *f, volt_stream *stream)
{
    return f->group ? VOLT_OK : volt_loader_uploaded(f->loader, stream);
}

const char *volt_feed_case(const volt_feed *f, int64_t number, int64_t index)
{
    return volt_loader_case(f->loader, number, index);
}

double volt_feed_waited(const volt_feed *f)
{
    return f->waited;
}

/* ---- opening and closing ---- */

/* Who gets which box; buffers for the own one and the largest. */
static volt_status open_group(volt_feed *f, volt_box box)
{
    size_t most = 0;
    volt_status st;

    VOLT_TRY(st, done,
             volt_alloc(&f->need, (size_t)f->ranks * sizeof *f->need, "boxes of the ranks"));
    VOLT_TRY(st, done, volt_comm_all_gather(f->group, f->need, &box, sizeof box));
    for (int i = 0; i < f->ranks; i++) {
        const size_t bytes = box_bytes(f, f->need[i]);
        if (!volt_box_contains(f->whole, f->need[i])) {
            st = volt_fail(VOLT_EINTERNAL, "the box of rank %d lies outside the patch", i);
            goto done;
        }
        most = bytes > most && i != f->rank ? bytes : most;
    }
    VOLT_TRY(st, done, volt_alloc(&f->own, box_bytes(f, box), "this rank's part of a batch"));
    st = volt_alloc(&f->sent, most, "a part of a batch for another rank");
done:
    return st;
}

volt_status volt_feed_open(volt_feed **out, const volt_feed_options *options)
{
    const volt_loader_options *given = &options->loader;
    volt_loader_options loader;
    volt_feed *f = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_alloc_zero(&f, 1, sizeof *f, "a feed of batches"));
    f->ranks = volt_comm_size(options->group);
    f->rank = volt_comm_rank(options->group);
    f->group = f->ranks > 1 ? options->group : NULL;
    f->whole = volt_box_of_shape(given->rules.patch);
    f->samples = given->samples > 0 ? given->samples : given->batch - given->sample;
    f->channels = volt_loader_channels(given);
    f->parts = given->parts > 0 ? given->parts : 1;
    f->part = given->first * f->parts;
    loader = in_turn(given, f->rank, f->ranks);
    VOLT_TRY(st, done, volt_loader_open(&f->loader, &loader));
    if (f->group)
        VOLT_TRY(st, done, open_group(f, options->box));
    *out = f;
    f = NULL;
done:
    volt_feed_close(f);
    return st;
}

void volt_feed_close(volt_feed *f)
{
    if (!f)
        return;
    volt_loader_close(f->loader);
    volt_free(f->need);
    volt_free(f->own);
    volt_free(f->sent);
    volt_free(f);
}
