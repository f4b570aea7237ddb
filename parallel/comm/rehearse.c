#include "parallel/comm/rehearse.h"

#include <stdio.h>
#include <string.h>

#include "base/core/alloc.h"
#include "parallel/comm/comm_internal.h"

/* What was sent in a round of a gather comes back as what the peers send in it: as many bytes,
 * of blocks that are all alike. */
typedef struct echo {
    volt_board board;
    unsigned char *bytes;
    size_t count, room, read;
} echo;

/* A message that is received. */
typedef struct wanted {
    void *at;
    size_t bytes;
} wanted;

static bool is_gather(int key)
{
    return (key & 0x7fff) == (VOLT_COMM_KEY(0, 1, VOLT_TAG_GATHER) & 0x7fff);
}

static volt_status rehearse_send(void *state, void **handle, int peer, int key, const void *at,
                                 size_t bytes, char *why)
{
    echo *e = state;
    volt_status st;

    (void)peer;
    *handle = NULL;
    if (!is_gather(key))
        return VOLT_OK;
    if (e->read == e->count)
        e->read = e->count = 0;
    if (e->count + bytes > e->room) {
        st = volt_realloc(&e->bytes, e->count, e->count + bytes, "messages");
        if (st != VOLT_OK) {
            snprintf(why, VOLT_COMM_SENTENCE, "%s", volt_last_error());
            return st;
        }
        e->room = e->count + bytes;
    }
    if (bytes)
        memcpy(e->bytes + e->count, at, bytes);
    e->count += bytes;
    return VOLT_OK;
}

static volt_status rehearse_receive(void *state, void **handle, int peer, int key, void *at,
                                    size_t bytes, char *why)
{
    wanted *w;
    volt_status st;

    (void)state;
    (void)peer;
    *handle = NULL;
    if (!is_gather(key))
        return VOLT_OK;
    st = volt_alloc(&w, sizeof *w, "messages");
    if (st != VOLT_OK) {
        snprintf(why, VOLT_COMM_SENTENCE, "%s", volt_last_error());
        return st;
    }
    *w = (wanted){at, bytes};
    *handle = w;
    return VOLT_OK;
}

static void rehearse_drop(void *state, void **handle)
{
    (void)state;
    volt_free(*handle);
    *handle = NULL;
}

static volt_status rehearse_test(void *state, void **handle, char *why)
{
    echo *e = state;
    wanted *w = *handle;

    (void)why;
    if (e->count - e->read < w->bytes) /* the send comes next */
        return VOLT_OK;
    if (w->bytes)
        memcpy(w->at, e->bytes + e->read, w->bytes);
    e->read += w->bytes;
    rehearse_drop(state, handle);
    return VOLT_OK;
}

static uint64_t rehearse_epoch(void *state)
{
    (void)state;
    return 0;
}

static void rehearse_idle(void *state, uint64_t epoch, int round)
{
    (void)state;
    (void)epoch;
    (void)round;
}

static void rehearse_close(void *state, bool in_order)
{
    echo *e = state;

    (void)in_order;
    volt_board_free(&e->board);
    volt_free(e->bytes);
    volt_free(e);
}

static const volt_backend backend = {
    .abi = VOLT_COMM_ABI,
    .library = "rehearsal",
    .send = rehearse_send,
    .receive = rehearse_receive,
    .test = rehearse_test,
    .drop = rehearse_drop,
    .epoch = rehearse_epoch,
    .idle = rehearse_idle,
    .close = rehearse_close,
};

volt_status volt_comm_rehearse(volt_comm **out, int rank, int ranks)
{
    volt_world *w = NULL;
    echo *e = NULL;
    volt_status st;

    VOLT_TRY(st, failed, volt_alloc_zero(&e, 1, sizeof *e, "a communicator"));
    volt_board_init(&e->board);
    VOLT_TRY(st, failed, volt_world_make(&w, &backend, e, rank, ranks, &e->board));
    w->rehearsal = true;
    st = volt_world_comm(out, w);
    if (st != VOLT_OK)
        volt_world_release(w);
    return st;
failed:
    if (e)
        rehearse_close(e, false);
    return st;
}

bool volt_comm_rehearses(const volt_comm *c)
{
    return c && c->world->rehearsal;
}
