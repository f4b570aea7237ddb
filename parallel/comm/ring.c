/* ring.c - the sum of many numbers over all ranks.
 *
 * The data has `size` parts. In the first half of the operations part p starts at rank p and
 * goes around the ring; each rank adds its own numbers, so the order of the additions is that
 * of the ranks from p on. Rank p - 1 then has the sum, which goes around once more. Parts are
 * sent in pieces, so that the next piece travels while one is added.
 */
#include <string.h>
#include "base/core/alloc.h"
#include "base/core/plural.h"
#include "parallel/comm/count.h"
#include "parallel/comm/ticket.h"

#define PIECE_FLOATS ((int64_t)1 << 16) /* 256 KiB: a core's cache holds two of them */

static int64_t part_start(int64_t count, int size, int64_t part)
{
    /* count * part / size without overflow */
    return count / size * part + count % size * part / size;
}

static int64_t most_of_part(int64_t count, int size)
{
    return (count + size - 1) / size;
}

static int64_t pieces_of_part(int64_t count, int size)
{
    return (most_of_part(count, size) + PIECE_FLOATS - 1) / PIECE_FLOATS;
}

typedef struct piece {
    int64_t start, count;
} piece;

/* The piece that `rank` sends with operation k. */
static piece piece_sent(int64_t count, int size, int64_t pieces, int rank, int64_t k)
{
    const int64_t half = (size - 1) * pieces;
    /* After the first half a rank has the sum of the part of its right neighbour. */
    const int64_t step = k < half ? k / pieces : (k - half) / pieces - 1;
    const int64_t part = ((rank - step) % size + size) % size;
    const int64_t start = part_start(count, size, part);
    const int64_t length = part_start(count, size, part + 1) - start, i = k % pieces;
    const int64_t low = length * i / pieces;

    return (piece){start + low, length * (i + 1) / pieces - low};
}

/* What operation k of rank `rank` receives is what its left neighbour sends. */
static piece piece_received(int64_t count, int size, int64_t pieces, int rank, int64_t k)
{
    return piece_sent(count, size, pieces, (rank + size - 1) % size, k);
}

size_t volt_comm_sum_scratch(const volt_comm *c, int64_t count)
{
    const int size = volt_comm_size(c);
    const int64_t most = count > 0 ? most_of_part(count, size) : 0;
    const int64_t floats = most < PIECE_FLOATS ? most : PIECE_FLOATS;

    return size > 1 ? (size_t)floats * VOLT_RING_RECEIVES * sizeof(float) : 0;
}

void volt_count_sum_f32(int64_t *messages, int64_t *bytes, int64_t count, int size, int rank)
{
    const int64_t pieces = size > 1 ? pieces_of_part(count, size) : 0;

    *messages = *bytes = 0;
    for (int64_t k = 0; k < 2 * (size - 1) * pieces; k++) {
        const piece p = piece_sent(count, size, pieces, rank, k);
        *messages += p.count > 0;
        *bytes += p.count * (int64_t)sizeof(float);
    }
}

/* ---- operations ---- */

static volt_status send_next(volt_comm *c, volt_ring *r, bool *moved)
{
    const int64_t k = r->sent;
    const piece p = piece_sent(r->count, c->size, r->pieces, c->rank, k);
    volt_status st = VOLT_OK;

    /* What is sent was received `pieces` operations ago. */
    if (k >= r->total || k - r->sent_done >= VOLT_RING_SENDS ||
        (k >= r->pieces && r->received <= k - r->pieces))
        return VOLT_OK;
    if (p.count > 0)
        st = volt_part_send(c, &r->send[k % VOLT_RING_SENDS], (c->rank + 1) % c->size, r->key,
                            r->data + p.start, (size_t)p.count * sizeof(float));
    r->sent++;
    *moved = true;
    return st;
}

static float *scratch_of(const volt_ring *r, int64_t k)
{
    return r->scratch + k % VOLT_RING_RECEIVES * r->piece_floats;
}

static volt_status receive_next(volt_comm *c, volt_ring *r, bool *moved)
{
    const int64_t k = r->posted, half = r->total / 2;
    const piece p = piece_received(r->count, c->size, r->pieces, c->rank, k);
    volt_status st = VOLT_OK;

    /* The second half overwrites what the first half sent. */
    if (k >= r->total || k - r->received >= VOLT_RING_RECEIVES ||
        (k >= half && r->sent_done <= k - half))
        return VOLT_OK;
    if (p.count > 0)
        st = volt_part_receive(
            c, &r->receive[k % VOLT_RING_RECEIVES], (c->rank + c->size - 1) % c->size, r->key,
            k < half ? scratch_of(r, k) : r->data + p.start, (size_t)p.count * sizeof(float));
    r->posted++;
    *moved = true;
    return st;
}

static volt_status finish_next(volt_comm *c, volt_ring *r, bool *moved)
{
    volt_part *send = &r->send[r->sent_done % VOLT_RING_SENDS];
    volt_part *receive = &r->receive[r->received % VOLT_RING_RECEIVES];
    volt_status st = VOLT_OK;

    if (r->sent_done < r->sent) {
        VOLT_TRY(st, done, volt_part_test(c, send));
        if (!send->handle) {
            r->sent_done++;
            *moved = true;
        }
    }
    if (r->received < r->posted) {
        const int64_t k = r->received;
        VOLT_TRY(st, done, volt_part_test(c, receive));
        if (receive->handle)
            goto done;
        if (k < r->total / 2) {
            const piece p = piece_received(r->count, c->size, r->pieces, c->rank, k);
            const float *from = scratch_of(r, k);
            float *to = r->data + p.start;
            for (int64_t i = 0; i < p.count; i++)
                to[i] = from[i] + to[i]; /* the lower ranks of the part first */
        }
        r->received++;
        *moved = true;
    }
done:
    return st;
}

volt_status volt_ring_drive(volt_comm *c, volt_ring *r, bool *done)
{
    bool moved = true;
    volt_status st = VOLT_OK;

    while (moved) {
        moved = false;
        VOLT_TRY(st, done, receive_next(c, r, &moved));
        VOLT_TRY(st, done, send_next(c, r, &moved));
        VOLT_TRY(st, done, finish_next(c, r, &moved));
    }
    *done = r->received == r->total && r->sent_done == r->total;
done:
    return st;
}

volt_status volt_comm_sum_f32_start(volt_ticket **ticket, volt_comm *c, float *data,
                                    int64_t count, void *scratch)
{
    const int size = volt_comm_size(c);
    volt_ticket *t = NULL;
    bool done;
    volt_status st;

    if (count < 0)
        return volt_fail(VOLT_EINVAL, "a sum of %lld numbers", (long long)count);
    *ticket = NULL;
    if (size == 1 || count == 0)
        return VOLT_OK;
    VOLT_TRY(st, failed, volt_world_check(c->world));
    VOLT_TRY(st, failed, volt_ticket_take(&t, c, 0));
    /* Sums under way at the same time have keys of their own. */
    t->ring.key = VOLT_COMM_KEY(c->number, 1, VOLT_TAG_RING + (int)(c->rings++ % 8192));
    t->ring.data = data;
    t->ring.scratch = scratch;
    t->ring.count = count;
    t->ring.pieces = pieces_of_part(count, size);
    t->ring.piece_floats =
        (int64_t)(volt_comm_sum_scratch(c, count) / sizeof(float)) / VOLT_RING_RECEIVES;
    t->ring.total = 2 * (size - 1) * t->ring.pieces;
    VOLT_TRY(st, failed, volt_ring_drive(c, &t->ring, &done));
    __atomic_add_fetch(&c->world->progress, 1, __ATOMIC_SEQ_CST);
    *ticket = t;
    return VOLT_OK;
failed:
    volt_comm_fail(c, st);
    if (t)
        volt_ticket_put(c, &t);
    return st;
}
