#include "nets3d/predict/exchange.h"

#include <string.h>

#include "base/core/alloc.h"
#include "volume/resample/resample_internal.h"

enum { TAG_IMAGE = 100, TAG_SUMS, TAG_RESULT };

/* ---- boxes in arrays ---- */

/* An array (planes, box) of elements of `each` bytes. */
typedef struct array {
    char *at;
    volt_box box;
    int64_t planes;
    size_t each;
} array;

static size_t row_at(const array *a, int64_t plane, int64_t z, int64_t y, int64_t x)
{
    int64_t n[3];

    volt_box_shape(n, a->box);
    return (size_t)(((plane * n[0] + z - a->box.low[0]) * n[1] + y - a->box.low[1]) * n[2] + x -
                    a->box.low[2]) *
           a->each;
}

/* Calls visit(dst, src, n) for the rows of `box`, which both arrays hold. */
static void each_row(const array *dst, const array *src, volt_box box,
                     void (*visit)(char *dst, const char *src, int64_t n, size_t each))
{
    for (int64_t p = 0; p < dst->planes; p++) {
        for (int64_t z = box.low[0]; z < box.high[0]; z++) {
            for (int64_t y = box.low[1]; y < box.high[1]; y++)
                visit(dst->at + row_at(dst, p, z, y, box.low[2]),
                      src->at + row_at(src, p, z, y, box.low[2]), box.high[2] - box.low[2],
                      dst->each);
        }
    }
}

static void copy_row(char *dst, const char *src, int64_t n, size_t each)
{
    memcpy(dst, src, (size_t)n * each);
}

static void add_row(char *dst, const char *src, int64_t n, size_t each)
{
    float *to = (float *)(void *)dst;
    const float *from = (const float *)(const void *)src;

    (void)each;
    for (int64_t i = 0; i < n; i++)
        to[i] += from[i];
}

enum { PIECE = 256 };

static void add_halves(char *dst, const char *src, int64_t n, size_t each)
{
    const volt_resample_kernels *k = volt_resample_kernels_here();
    uint16_t *to = (uint16_t *)(void *)dst;
    const uint16_t *from = (const uint16_t *)(const void *)src;
    float a[PIECE], b[PIECE];

    (void)each;
    for (int64_t i = 0; i < n; i += PIECE) {
        const int64_t count = n - i < PIECE ? n - i : PIECE;
        k->widen(a, to + i, count);
        k->widen(b, from + i, count);
        for (int64_t x = 0; x < count; x++)
            a[x] += b[x];
        k->narrow(to + i, a, count);
    }
}

static size_t box_bytes(volt_box box, int64_t planes, size_t each)
{
    return (size_t)volt_box_voxels(box) * (size_t)planes * each;
}

/* ---- images ---- */

static volt_status send_one(const volt_spread *sp, int peer, void *at, size_t bytes, int tag)
{
    const volt_message m = {peer, at, bytes};
    volt_ticket *ticket = NULL;
    volt_status st = volt_comm_start(&ticket, sp->comm, &m, 1, NULL, 0, tag);

    return st == VOLT_OK ? volt_comm_wait(sp->comm, &ticket) : st;
}

static volt_status receive_one(const volt_spread *sp, int peer, void *at, size_t bytes, int tag)
{
    const volt_message m = {peer, at, bytes};
    volt_ticket *ticket = NULL;
    volt_status st = volt_comm_start(&ticket, sp->comm, NULL, 0, &m, 1, tag);

    return st == VOLT_OK ? volt_comm_wait(sp->comm, &ticket) : st;
}

volt_status volt_exchange_scatter(const volt_spread *sp, volt_volume **part,
                                  const volt_volume *whole, const volt_grid *grid,
                                  const volt_box box[])
{
    const array all = {whole ? whole->data : NULL, volt_box_of_shape(grid->n), grid->channels,
                       sizeof(float)};
    volt_grid own = *grid;
    volt_volume *made = NULL;
    char *packed = NULL;
    volt_status st = VOLT_OK;

    for (int r = 1; sp->rank == 0 && r < sp->ranks; r++) {
        const size_t bytes = box_bytes(box[r], all.planes, all.each);
        array piece = {NULL, box[r], all.planes, all.each};
        if (bytes == 0)
            continue;
        VOLT_TRY(st, done, volt_alloc(&packed, bytes, "a part of a scan"));
        piece.at = packed;
        each_row(&piece, &all, box[r], copy_row);
        VOLT_TRY(st, done, send_one(sp, r, packed, bytes, TAG_IMAGE));
        volt_free(packed);
        packed = NULL;
    }
    if (sp->rank > 0 && !volt_box_is_empty(box[sp->rank])) {
        volt_box_shape(own.n, box[sp->rank]);
        VOLT_TRY(st, done, volt_volume_create(&made, &own, VOLT_F32));
        VOLT_TRY(st, done, receive_one(sp, 0, made->data, volt_volume_bytes(made), TAG_IMAGE));
    }
    *part = made;
    made = NULL;
done:
    volt_volume_free(made);
    volt_free(packed);
    return st;
}

/* ---- sums ---- */

/* Planes of a stitch that are exchanged: its logits, and in float32 its weights, which in half
 * precision are known everywhere. */
static array logits_of(const volt_sums *s)
{
    const volt_stitch *t = &s->stitch;

    return t->half ? (array){(char *)t->half, s->box, t->channels, sizeof(uint16_t)}
                   : (array){(char *)t->sum, s->box, t->channels, sizeof(float)};
}

static array weights_of(const volt_sums *s)
{
    return (array){(char *)s->stitch.total, s->box, s->stitch.half ? 0 : 1, sizeof(float)};
}

/* Bytes of `box` in a message: logits, then weights. */
static size_t piece_bytes(const volt_sums *s, volt_box box)
{
    const array l = logits_of(s), w = weights_of(s);

    return box_bytes(box, l.planes, l.each) + box_bytes(box, w.planes, w.each);
}

/* From `s` to the message at `to`. */
static void pack(char *to, const volt_sums *s, volt_box box)
{
    const array l = logits_of(s), w = weights_of(s);
    const array logits = {to, box, l.planes, l.each};
    const array weights = {to + box_bytes(box, l.planes, l.each), box, w.planes, w.each};

    each_row(&logits, &l, box, copy_row);
    each_row(&weights, &w, box, copy_row);
}

static void add(volt_sums *s, char *from, volt_box box)
{
    const array l = logits_of(s), w = weights_of(s);
    const array logits = {from, box, l.planes, l.each};
    const array weights = {from + box_bytes(box, l.planes, l.each), box, w.planes, w.each};

    each_row(&l, &logits, box, s->stitch.half ? add_halves : add_row);
    each_row(&w, &weights, box, add_row);
}

/* The messages of one exchange. */
typedef struct messages {
    volt_message *send, *receive;
    int sends, receives;
    char *out, *in;
} messages;

static void messages_free(messages *m)
{
    volt_free(m->send);
    volt_free(m->receive);
    volt_free(m->out);
    volt_free(m->in);
}

static volt_status make_messages(messages *m, const volt_spread *sp, const volt_sums *to,
                                 const volt_sums *from, const volt_box have[],
                                 const volt_box need[])
{
    const int me = sp->rank;
    size_t out = 0, in = 0;
    volt_status st;

    for (int r = 0; r < sp->ranks; r++) {
        out += r == me ? 0 : piece_bytes(from, volt_box_intersect(have[me], need[r]));
        in += r == me ? 0 : piece_bytes(to, volt_box_intersect(have[r], need[me]));
    }
    VOLT_TRY(st, done,
             volt_alloc_zero(&m->send, (size_t)sp->ranks, sizeof *m->send, "messages"));
    VOLT_TRY(st, done,
             volt_alloc_zero(&m->receive, (size_t)sp->ranks, sizeof *m->receive, "messages"));
    VOLT_TRY(st, done, volt_alloc(&m->out, out + 1, "sums for other ranks"));
    VOLT_TRY(st, done, volt_alloc(&m->in, in + 1, "sums of other ranks"));
    out = in = 0;
    for (int r = 0; r < sp->ranks; r++) {
        const volt_box gives = volt_box_intersect(have[me], need[r]);
        const volt_box gets = volt_box_intersect(have[r], need[me]);
        if (r != me && !volt_box_is_empty(gives)) {
            const size_t bytes = piece_bytes(from, gives);
            pack(m->out + out, from, gives);
            m->send[m->sends++] = (volt_message){r, m->out + out, bytes};
            out += bytes;
        }
        if (r != me && !volt_box_is_empty(gets)) {
            const size_t bytes = piece_bytes(to, gets);
            m->receive[m->receives++] = (volt_message){r, m->in + in, bytes};
            in += bytes;
        }
    }
done:
    return st;
}

/* What this rank has itself of what it needs. */
static volt_status add_own(volt_sums *to, const volt_sums *from, volt_box box)
{
    char *packed = NULL;
    volt_status st;

    if (from == to || volt_box_is_empty(box))
        return VOLT_OK;
    VOLT_TRY(st, done, volt_alloc(&packed, piece_bytes(from, box), "sums"));
    pack(packed, from, box);
    add(to, packed, box);
done:
    volt_free(packed);
    return st;
}

volt_status volt_exchange_add(const volt_spread *sp, volt_sums *to, const volt_sums *from,
                              const volt_box have[], const volt_box need[], int threads)
{
    const int me = sp->rank;
    messages m = {NULL};
    volt_ticket *ticket = NULL;
    int at = 0;
    volt_status st;

    (void)threads;
    VOLT_TRY(st, done, make_messages(&m, sp, to, from, have, need));
    VOLT_TRY(
        st, done,
        volt_comm_start(&ticket, sp->comm, m.send, m.sends, m.receive, m.receives, TAG_SUMS));
    VOLT_TRY(st, done, volt_comm_wait(sp->comm, &ticket));
    for (int r = 0; r < sp->ranks; r++) {
        if (r == me)
            VOLT_TRY(st, done, add_own(to, from, volt_box_intersect(have[me], need[me])));
        else if (at < m.receives && m.receive[at].peer == r)
            add(to, m.receive[at++].at, volt_box_intersect(have[r], need[me]));
    }
done:
    messages_free(&m);
    return st;
}

/* ---- results ---- */

volt_status volt_exchange_collect(const volt_spread *sp, volt_volume *whole,
                                  const int64_t at[3], const volt_volume *part,
                                  const int64_t first[], volt_box box)
{
    const size_t each = volt_dtype_bytes(part->dtype);
    const int64_t planes = part->grid.channels;
    const int64_t back[3] = {-at[0], -at[1], -at[2]};
    char *buffer = NULL;
    volt_status st = VOLT_OK;

    if (sp->rank > 0)
        return first[sp->rank] < first[sp->rank + 1]
                   ? send_one(sp, 0, part->data, volt_volume_bytes(part), TAG_RESULT)
                   : VOLT_OK;
    for (int r = 0; r < sp->ranks; r++) {
        const volt_box held = {{first[r], 0, 0},
                               {first[r + 1], part->grid.n[1], part->grid.n[2]}};
        const array to = {whole->data, volt_box_shift(volt_box_of_shape(whole->grid.n), back),
                          planes, each};
        array from = {part->data, held, planes, each};
        if (volt_box_is_empty(held))
            continue;
        if (r > 0) {
            const size_t bytes = box_bytes(held, planes, each);
            VOLT_TRY(st, done, volt_alloc(&buffer, bytes, "slices of another rank"));
            VOLT_TRY(st, done, receive_one(sp, r, buffer, bytes, TAG_RESULT));
            from.at = buffer;
        }
        each_row(&to, &from, volt_box_intersect(held, box), copy_row);
        volt_free(buffer);
        buffer = NULL;
    }
done:
    volt_free(buffer);
    return st;
}
