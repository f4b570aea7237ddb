/* collective.c - calls that all ranks make, from messages between two of them. */
#include <stdio.h>
#include <string.h>
#include "base/core/alloc.h"
#include "base/core/fail.h"
#include "parallel/comm/comm_internal.h"
#include "parallel/comm/count.h"

static int wrap(int rank, int size)
{
    return (rank % size + size) % size;
}

/* Blocks of consecutive ranks, from `last` down, in rank order: one run, or two where they wrap
 * around. */
static int runs_of(int first[2], int blocks[2], int last, int count, int size)
{
    const int low = last - count + 1;

    if (low >= 0) {
        first[0] = low;
        blocks[0] = count;
        return 1;
    }
    first[0] = 0;
    blocks[0] = last + 1;
    first[1] = low + size;
    blocks[1] = -low;
    return 2;
}

/* After the round with `distance` d a rank has the blocks of 2 d ranks, its own the last one.
 */
static int blocks_moved(int distance, int size)
{
    return distance < size - distance ? distance : size - distance;
}

volt_status volt_comm_all_gather(volt_comm *c, void *out, const void *own, size_t bytes_each)
{
    const int size = volt_comm_size(c), rank = volt_comm_rank(c);
    char *block = out;
    volt_status st;

    if (block + (size_t)rank * bytes_each != own && bytes_each > 0)
        memmove(block + (size_t)rank * bytes_each, own, bytes_each);
    if (bytes_each == 0)
        return volt_comm_barrier(c);
    for (int d = 1; d < size; d *= 2) {
        const int count = blocks_moved(d, size), to = wrap(rank + d, size),
                  from = wrap(rank - d, size);
        volt_message send[2], receive[2];
        volt_ticket *t = NULL;
        int first[2], blocks[2], sends, receives;

        sends = runs_of(first, blocks, rank, count, size);
        for (int i = 0; i < sends; i++)
            send[i] = (volt_message){to, block + (size_t)first[i] * bytes_each,
                                     (size_t)blocks[i] * bytes_each};
        receives = runs_of(first, blocks, from, count, size);
        for (int i = 0; i < receives; i++)
            receive[i] = (volt_message){from, block + (size_t)first[i] * bytes_each,
                                        (size_t)blocks[i] * bytes_each};
        st = volt_comm_post(&t, c, send, sends, receive, receives,
                            VOLT_COMM_KEY(c->number, 1, VOLT_TAG_GATHER));
        if (st != VOLT_OK || (st = volt_comm_wait(c, &t)) != VOLT_OK)
            return st;
    }
    return VOLT_OK;
}

volt_status volt_comm_sum_f64(volt_comm *c, double *data, int64_t count)
{
    const int size = volt_comm_size(c);
    const size_t bytes = (size_t)count * sizeof *data;
    double *all;
    void *room;
    volt_status st;

    if (count < 0)
        return volt_fail(VOLT_EINVAL, "a sum of %lld numbers", (long long)count);
    if (size == 1 || count == 0)
        return VOLT_OK;
    if ((st = volt_comm_scratch(&room, c, bytes * (size_t)size)) != VOLT_OK ||
        (st = volt_comm_all_gather(c, room, data, bytes)) != VOLT_OK)
        return st;
    all = room;
    memcpy(data, all, bytes);
    for (int rank = 1; rank < size; rank++) {
        for (int64_t i = 0; i < count; i++)
            data[i] += all[rank * count + i];
    }
    return VOLT_OK;
}

/* ---- a tree with `root` on top: rank numbers are relative to it ---- */

/* The bit by which rank `r` hangs below the rank without it; for the root, one above all. */
static int bit_to_parent(int r, int size)
{
    int bit = 1;

    while (bit < size && !(r & bit))
        bit *= 2;
    return bit;
}

volt_status volt_comm_broadcast(volt_comm *c, void *data, size_t bytes, int root)
{
    const int size = volt_comm_size(c), rank = volt_comm_rank(c);
    const int r = wrap(rank - root, size), own_bit = bit_to_parent(r, size);
    volt_message send[32];
    volt_ticket *t = NULL;
    int sends = 0;
    volt_status st;

    if (root < 0 || root >= size)
        return volt_fail(VOLT_EINVAL, "a broadcast from rank %d of %d", root, size);
    if (size == 1 || bytes == 0)
        return VOLT_OK;
    if (r != 0) {
        const volt_message receive = {wrap(r - own_bit + root, size), data, bytes};
        if ((st = volt_comm_swap(c, NULL, &receive, VOLT_TAG_BROADCAST)) != VOLT_OK)
            return st;
    }
    for (int bit = own_bit / 2; bit >= 1; bit /= 2) { /* the largest part of the tree first */
        if (r + bit < size)
            send[sends++] = (volt_message){wrap(r + bit + root, size), data, bytes};
    }
    st = volt_comm_post(&t, c, send, sends, NULL, 0,
                        VOLT_COMM_KEY(c->number, 1, VOLT_TAG_BROADCAST));
    return st == VOLT_OK ? volt_comm_wait(c, &t) : st;
}

volt_status volt_comm_barrier(volt_comm *c)
{
    const int size = volt_comm_size(c), rank = volt_comm_rank(c);
    volt_status st;

    for (int d = 1; d < size; d *= 2) {
        char nothing[2];
        const volt_message send = {wrap(rank + d, size), &nothing[0], 0},
                           receive = {wrap(rank - d, size), &nothing[1], 0};
        if ((st = volt_comm_swap(c, &send, &receive, VOLT_TAG_BARRIER)) != VOLT_OK)
            return st;
    }
    return VOLT_OK;
}

/* ---- agreement ---- */

volt_status volt_comm_agree(volt_comm *c, volt_status mine)
{
    const int size = volt_comm_size(c);
    char own_sentence[VOLT_COMM_SENTENCE];
    volt_failure lowest = {VOLT_OK, 0, ""};
    int32_t own = (int32_t)mine, *all;
    void *room;
    int at = -1;
    volt_status st;

    if (size == 1)
        return mine;
    snprintf(own_sentence, sizeof own_sentence, "%s", mine == VOLT_OK ? "" : volt_last_error());
    if ((st = volt_comm_scratch(&room, c, (size_t)size * sizeof own)) != VOLT_OK ||
        (st = volt_comm_all_gather(c, room, &own, sizeof own)) != VOLT_OK)
        return st;
    if (c->world->rehearsal)
        return mine;
    all = room;
    for (int i = 0; i < size && at < 0; i++)
        at = all[i] != VOLT_OK && all[i] != VOLT_EPEER ? i : -1;
    for (int i = 0; i < size && at < 0; i++)
        at = all[i] != VOLT_OK ? i : -1;
    if (at < 0)
        return VOLT_OK;
    if (at == c->rank)
        volt_world_describe(&lowest, c->world, mine, own_sentence);
    if ((st = volt_comm_broadcast(c, &lowest, sizeof lowest, at)) != VOLT_OK)
        return st;
    return volt_fail(lowest.status, "%s", lowest.sentence);
}

volt_status volt_comm_follow(volt_comm *c, volt_status mine)
{
    struct {
        int32_t status;
        char sentence[VOLT_COMM_SENTENCE];
    } outcome = {.status = (int32_t)mine};
    volt_status st;

    if (volt_comm_size(c) == 1)
        return mine;
    if (mine != VOLT_OK)
        snprintf(outcome.sentence, sizeof outcome.sentence, "%s", volt_last_error());
    st = volt_comm_broadcast(c, &outcome, sizeof outcome, 0);
    if (st != VOLT_OK || outcome.status == VOLT_OK)
        return st;
    /* One that leaves with a failure must not disturb those that are still being told: in the
     * barrier are only ranks that have been, so what becomes of it does not matter. */
    (void)!volt_comm_barrier(c);
    return volt_fail((volt_status)outcome.status, "%s", outcome.sentence);
}

typedef struct print {
    uint64_t bytes, hash[2];
} print;

/* Two FNV-1a sums over words, from different starts. */
static print print_of(const void *data, size_t bytes)
{
    const unsigned char *at = data;
    print p = {bytes, {14695981039346656037u, 0x9e3779b97f4a7c15u}};

    for (size_t i = 0; i < bytes; i += 8) {
        const size_t left = bytes - i < 8 ? bytes - i : 8;
        uint64_t word = 0;
        memcpy(&word, at + i, left);
        for (int k = 0; k < 2; k++) {
            p.hash[k] = (p.hash[k] ^ word) * (k ? 0xff51afd7ed558ccdu : 1099511628211u);
            p.hash[k] ^= p.hash[k] >> 32;
        }
    }
    return p;
}

volt_status volt_comm_same(volt_comm *c, const char *what, const void *data, size_t bytes)
{
    const int size = volt_comm_size(c);
    const print own = print_of(data, bytes);
    const print *all;
    void *room;
    volt_status st;

    if (size == 1)
        return VOLT_OK;
    if ((st = volt_comm_scratch(&room, c, (size_t)size * sizeof own)) != VOLT_OK ||
        (st = volt_comm_all_gather(c, room, &own, sizeof own)) != VOLT_OK)
        return st;
    all = room;
    for (int i = 1; i < size; i++) {
        if (memcmp(&all[i], &all[0], sizeof own) != 0)
            return volt_fail(VOLT_EINVAL, "ranks %d and %d differ in %s", c->member[0],
                             c->member[i], what);
    }
    return VOLT_OK;
}

/* ---- counts ---- */

void volt_count_all_gather(int64_t *messages, int64_t *bytes, size_t bytes_each, int size,
                           int rank)
{
    *messages = *bytes = 0;
    if (bytes_each == 0) {
        volt_count_barrier(messages, bytes, size);
        return;
    }
    for (int d = 1; d < size; d *= 2) {
        const int count = blocks_moved(d, size);
        int first[2], blocks[2];
        *messages += runs_of(first, blocks, rank, count, size);
        *bytes += count * (int64_t)bytes_each;
    }
}

void volt_count_broadcast(int64_t *messages, int64_t *bytes, size_t bytes_each, int size,
                          int rank, int root)
{
    const int r = wrap(rank - root, size);

    *messages = 0;
    for (int bit = bit_to_parent(r, size) / 2; bytes_each > 0 && bit >= 1; bit /= 2)
        *messages += r + bit < size;
    *bytes = *messages * (int64_t)bytes_each;
}

void volt_count_barrier(int64_t *messages, int64_t *bytes, int size)
{
    *messages = *bytes = 0;
    for (int d = 1; d < size; d *= 2)
        ++*messages;
}
