#include "nets3d/train/feed.h"

#include <string.h>

#include "base/core/alloc.h"
#include "base/system/file.h"

#define TAG_SAMPLES  7
#define PACKED_BYTES ((size_t)4 << 20) /* of a message, unless a row is longer */

struct volt_feed {
    volt_loader *loader;
    volt_comm *group;      /* NULL: the loader's batches are delivered as they are */
    int ranks, rank;       /* of the group */
    volt_box whole, *need; /* the patch; what each rank gets of it */
    int64_t samples, channels, parts;
    int64_t part; /* the next one, counted from the first of batch 0 */
    char *own;    /* images, then labels, of this rank's box */
    char *sent;   /* rows of it on their way to another; only when it is one's turn */
    double waited;
};

/* Voxels are sent as they are used: the images of all samples, then their labels. */
static size_t image_bytes(const volt_feed *f, volt_box box)
{
    return (size_t)(f->samples * f->channels * volt_box_voxels(box)) * sizeof(float);
}

/* Rows along x of a box: of its images, of its images and labels. */
static int64_t image_rows(const volt_feed *f, volt_box box)
{
    return f->samples * f->channels * (box.high[0] - box.low[0]) * (box.high[1] - box.low[1]);
}

static int64_t all_rows(const volt_feed *f, volt_box box)
{
    return image_rows(f, box) + image_rows(f, box) / f->channels;
}

static size_t row_bytes(volt_box box)
{
    return (size_t)(box.high[2] - box.low[2]) * sizeof(float); /* labels have less */
}

/* Rows of a message. */
static int64_t packed_rows(volt_box box)
{
    const size_t rows = row_bytes(box) > 0 ? PACKED_BYTES / row_bytes(box) : 1;

    return rows > 0 ? (int64_t)rows : 1;
}

/* Bytes of the rows before number `row`. */
static size_t bytes_before(const volt_feed *f, volt_box box, int64_t row)
{
    const int64_t images = image_rows(f, box);
    const size_t image = row_bytes(box), labels = image / sizeof(float) * sizeof(int16_t);

    return row <= images ? (size_t)row * image
                         : (size_t)images * image + (size_t)(row - images) * labels;
}

volt_traffic volt_feed_box_traffic(int64_t samples, int64_t channels, volt_box box)
{
    const volt_feed f = {.samples = samples, .channels = channels};
    const int64_t rows = all_rows(&f, box), each = packed_rows(box);

    return (volt_traffic){(rows + each - 1) / each, (int64_t)bytes_before(&f, box, rows)};
}

static size_t box_bytes(const volt_feed *f, volt_box box)
{
    return bytes_before(f, box, all_rows(f, box));
}

/* Of the largest message. */
static size_t packed_bytes(const volt_feed *f, volt_box box)
{
    const size_t most = (size_t)packed_rows(box) * row_bytes(box);

    return most < box_bytes(f, box) ? most : box_bytes(f, box);
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

/* Whether each rank makes its box of a sample itself. Samples of training do not, so that the
 * messages of a step depend on the mesh only. */
static bool cuts_boxes(const volt_loader_options *loader)
{
    return loader->validation && volt_loader_only_cuts(loader);
}

size_t volt_feed_bytes(const volt_loader_options *loader, int parts, volt_box most)
{
    volt_loader_options o = in_turn(loader, 0, parts);
    const volt_feed f = {.samples = o.samples > 0 ? o.samples : o.batch - o.sample,
                         .channels = volt_loader_channels(&o)};

    if (parts > 1 && cuts_boxes(loader)) {
        o = *loader;
        o.part = most;
        parts = 1;
    }
    return volt_loader_bytes(&o) +
           (parts > 1 ? box_bytes(&f, most) + packed_bytes(&f, most) : 0);
}

/* ---- sending boxes ---- */

/* Copies rows first <= row < last of a box. */
static void pack(char *to, const volt_feed *f, const volt_batch *b, volt_box box, int64_t first,
                 int64_t last)
{
    const int64_t images = image_rows(f, box), width = box.high[2] - box.low[2];
    const int64_t deep = box.high[0] - box.low[0], high = box.high[1] - box.low[1];
    const int64_t *n = f->whole.high;

    for (int64_t row = first; row < last; row++) {
        const int64_t r = row < images ? row : row - images, array = r / (deep * high);
        const int64_t z = box.low[0] + r / high % deep, y = box.low[1] + r % high;
        const int64_t at = ((array * n[0] + z) * n[1] + y) * n[2] + box.low[2];
        const size_t bytes =
            (size_t)width * (row < images ? sizeof *b->image : sizeof *b->labels);

        memcpy(to,
               row < images ? (const void *)(b->image + at) : (const void *)(b->labels + at),
               bytes);
        to += bytes;
    }
}

/* Sends or receives rows at a time, which `buffer` holds; waits until they are there. */
static volt_status move(volt_feed *f, int peer, char *buffer, size_t bytes, bool send)
{
    const volt_message message = {peer, buffer, bytes};
    volt_ticket *ticket = NULL;
    volt_status st = volt_comm_start(&ticket, f->group, send ? &message : NULL, send,
                                     send ? NULL : &message, !send, TAG_SAMPLES);

    return st == VOLT_OK ? volt_comm_wait(f->group, &ticket) : st;
}

/* Sends a rank its box, some rows after the others, so that a small buffer is enough. */
static volt_status send_box(volt_feed *f, const volt_batch *whole, int peer)
{
    const volt_box box = f->need[peer];
    const int64_t rows = all_rows(f, box), each = packed_rows(box);
    volt_status st = VOLT_OK;

    for (int64_t row = 0; row < rows && st == VOLT_OK; row += each) {
        const int64_t end = row + each < rows ? row + each : rows;

        pack(f->sent, f, whole, box, row, end);
        st =
            move(f, peer, f->sent, bytes_before(f, box, end) - bytes_before(f, box, row), true);
    }
    return st;
}

static volt_status receive_box(volt_feed *f, int from)
{
    const volt_box box = f->need[f->rank];
    const int64_t rows = all_rows(f, box), each = packed_rows(box);
    volt_status st = VOLT_OK;

    for (int64_t row = 0; row < rows && st == VOLT_OK; row += each) {
        const int64_t end = row + each < rows ? row + each : rows;
        const size_t at = bytes_before(f, box, row);

        st = move(f, from, f->own + at, bytes_before(f, box, end) - at, false);
    }
    return st;
}

/* Keeps the own box and sends the others theirs; then the loader may make the next batch. */
static volt_status deal(volt_feed *f, const volt_batch *whole)
{
    const volt_box box = f->need[f->rank];
    volt_status st = VOLT_OK;

    pack(f->own, f, whole, box, 0, all_rows(f, box));
    for (int peer = 0; peer < f->ranks && st == VOLT_OK; peer++) {
        if (peer != f->rank)
            st = send_box(f, whole, peer);
    }
    return st == VOLT_OK ? volt_loader_release(f->loader) : st;
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
            VOLT_TRY(st, done, deal(f, &batch));
        else
            VOLT_TRY(st, done, receive_box(f, turn));
        batch.name = NULL;
        batch.corner = NULL;
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

/* Who gets which box; buffers for the own one and for messages. */
static volt_status open_group(volt_feed *f, volt_box box)
{
    size_t most = 0;
    volt_status st;

    VOLT_TRY(st, done,
             volt_alloc(&f->need, (size_t)f->ranks * sizeof *f->need, "boxes of the ranks"));
    VOLT_TRY(st, done, volt_comm_all_gather(f->group, f->need, &box, sizeof box));
    for (int i = 0; i < f->ranks; i++) {
        const size_t bytes = packed_bytes(f, f->need[i]);
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
    if (f->group && cuts_boxes(given)) {
        if (volt_box_is_empty(options->box)) { /* would stand for all */
            st = volt_fail(VOLT_EINTERNAL, "the box of rank %d is empty", f->rank);
            goto done;
        }
        loader = *given;
        loader.part = options->box;
        f->group = NULL;
    }
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
