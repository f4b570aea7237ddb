/* messages.c - messages under way, and waits. */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include "base/core/alloc.h"
#include "base/core/fail.h"
#include "base/core/plural.h"
#include "base/system/file.h"
#include "parallel/comm/monitor.h"
#include "parallel/comm/ticket.h"

static volt_status drive(volt_comm *c, volt_ticket *t, bool *done)
{
    volt_status st = VOLT_OK;
    bool all = true;

    *done = false;
    if (t->failed != VOLT_OK) { /* known to all: see below */
        VOLT_TRY(st, failed, volt_world_check(c->world));
        return volt_fail(t->failed, "a message could not be received");
    }
    for (int i = 0; i < t->parts; i++) {
        VOLT_TRY(st, failed, volt_part_test(c, &t->part[i]));
        all = all && !t->part[i].handle;
    }
    if (t->ring.total > 0)
        VOLT_TRY(st, failed, volt_ring_drive(c, &t->ring, done));
    else
        *done = true;
    *done = *done && all;
    return VOLT_OK;
failed:
    t->failed = st;
    return st;
}

/* ---- starting ---- */

static volt_status check_messages(const volt_comm *c, const volt_message *m, int count)
{
    for (int i = 0; i < count; i++) {
        if (m[i].peer < 0 || m[i].peer >= c->size)
            return volt_fail(VOLT_EINVAL, "a message to or from rank %d of %d rank%s",
                             m[i].peer, c->size, volt_s(c->size));
    }
    return VOLT_OK;
}

volt_status volt_comm_post(volt_ticket **ticket, volt_comm *c, const volt_message *send,
                           int sends, const volt_message *receive, int receives, int key)
{
    volt_ticket *t = NULL;
    volt_status st;

    VOLT_TRY(st, failed, volt_world_check(c->world));
    VOLT_TRY(st, failed, check_messages(c, send, sends));
    VOLT_TRY(st, failed, check_messages(c, receive, receives));
    VOLT_TRY(st, failed, volt_ticket_take(&t, c, sends + receives));
    for (int i = 0; i < sends + receives; i++)
        t->part[i] = (volt_part){NULL, 0};
    /* Receives first, so that what is sent to itself finds them. */
    for (int i = 0; i < receives; i++) {
        volt_part *p = &t->part[t->parts++];
        VOLT_TRY(
            st, failed,
            volt_part_receive(c, p, receive[i].peer, key, receive[i].at, receive[i].bytes));
    }
    for (int i = 0; i < sends; i++) {
        volt_part *p = &t->part[t->parts++];
        VOLT_TRY(st, failed,
                 volt_part_send(c, p, send[i].peer, key, send[i].at, send[i].bytes));
    }
    __atomic_add_fetch(&c->world->progress, 1, __ATOMIC_SEQ_CST);
    *ticket = t;
    return VOLT_OK;
failed:
    if (st != VOLT_EINVAL) /* the others wait for these messages */
        volt_comm_fail(c, st);
    if (t)
        volt_ticket_put(c, &t);
    return st;
}

volt_status volt_comm_start(volt_ticket **ticket, volt_comm *c, const volt_message *send,
                            int sends, const volt_message *receive, int receives, int tag)
{
    if (tag < 0 || tag > VOLT_TAG_MAX)
        return volt_fail(VOLT_EINVAL, "messages with tag %d; tags are 0 to %d", tag,
                         VOLT_TAG_MAX);
    if (sends < 0 || receives < 0 || sends > INT_MAX - receives)
        return volt_fail(VOLT_EINVAL, "%d messages to send and %d to receive", sends, receives);
    if (!c && sends + receives > 0)
        return volt_fail(VOLT_EINVAL, "messages without a communicator");
    if (!c) {
        *ticket = NULL;
        return VOLT_OK;
    }
    return volt_comm_post(ticket, c, send, sends, receive, receives,
                          VOLT_COMM_KEY(c->number, 0, tag));
}

void volt_comm_progress(volt_comm *c)
{
    if (!c)
        return;
    __atomic_add_fetch(&c->world->progress, 1, __ATOMIC_SEQ_CST);
    for (volt_ticket *t = c->open; t; t = t->next) {
        bool done;
        const volt_status st = drive(c, t, &done);
        if (st != VOLT_OK) { /* the wait returns it again */
            volt_comm_fail(c, st);
            return;
        }
    }
}

/* ---- waiting ---- */

/* "rank 1 (a), rank 3 (b) and 2 more" */
static void list_peers(char *out, size_t room, const volt_comm *c, const volt_ticket *t)
{
    enum { LISTED = 4, SETS = 3 };
    const struct {
        const volt_part *part;
        int count;
    } sets[SETS] = {{t->part, t->parts},
                    {t->ring.receive, VOLT_RING_RECEIVES},
                    {t->ring.send, VOLT_RING_SENDS}};
    int listed[LISTED], names = 0, more = 0;
    size_t used = 0;

    *out = '\0';
    for (int s = 0; s < SETS; s++) {
        for (int i = 0; i < sets[s].count; i++) {
            const volt_part *p = &sets[s].part[i];
            int k = 0;
            while (k < names && listed[k] != p->peer)
                k++;
            if (!p->handle || k < names)
                continue;
            if (names == LISTED) {
                more++;
                continue;
            }
            listed[names++] = p->peer;
            used += (size_t)snprintf(out + used, room - used, "%s", names > 1 ? ", " : "");
            volt_world_name(out + used, room - used, c->world, p->peer);
            used += strlen(out + used);
        }
    }
    if (more > 0)
        snprintf(out + used, room - used, " and %d more", more);
}

/* The time-out of a wait that began `seconds` ago. */
static volt_status check_time(const volt_comm *c, const volt_ticket *t, double seconds)
{
    volt_world *w = c->world;
    const double limit = 1e-9 * (double)__atomic_load_n(&w->timeout_ns, __ATOMIC_SEQ_CST);
    char peers[5 * (VOLT_COMM_HOST_NAME + 32)];

    if (limit > 0) {
        if (seconds <= limit)
            return VOLT_OK;
    } else {
        double stalled = 0;
        if (seconds < VOLT_COMM_STALL_S)
            return VOLT_OK;
        if (w->monitor)
            stalled = volt_monitor_stalled(w->monitor);
        else if (w->backend->stalled)
            stalled = w->backend->stalled(w->state);
        if (stalled < VOLT_COMM_STALL_S)
            return VOLT_OK;
    }
    list_peers(peers, sizeof peers, c, t);
    return volt_fail(VOLT_ETIMEOUT, "waited %.3g s for %s", seconds, peers);
}

/* VOLT_EPEER if a peer of an open message has ended. */
static volt_status check_ended(volt_comm *c, volt_ticket *t)
{
    const volt_world *w = c->world;
    const int all = t->parts + VOLT_RING_RECEIVES + VOLT_RING_SENDS;
    char name[VOLT_COMM_HOST_NAME + 32];
    volt_status st;

    if (!w->backend->ended)
        return VOLT_OK;
    for (int i = 0; i < all; i++) {
        const int k = i - t->parts;
        volt_part *p = k < 0                    ? &t->part[i]
                       : k < VOLT_RING_RECEIVES ? &t->ring.receive[k]
                                                : &t->ring.send[k - VOLT_RING_RECEIVES];
        if (!p->handle || !w->backend->ended(w->state, p->peer))
            continue;
        if (t->ring.total > 0 && k >= 0) { /* what it sent before is to be used first */
            bool done;
            const int64_t before = t->ring.received + t->ring.sent_done;
            VOLT_TRY(st, failed, volt_ring_drive(c, &t->ring, &done));
            if (done || t->ring.received + t->ring.sent_done != before)
                return VOLT_OK;
        } else {
            VOLT_TRY(st, failed, volt_part_test(c, p));
        }
        if (!p->handle)
            continue;
        volt_world_name(name, sizeof name, w, p->peer);
        return volt_fail(VOLT_EPEER, "%s has ended", name);
    }
    return VOLT_OK;
failed:
    return st;
}

/* Until all messages are done. *own: the failure is this rank's. */
static volt_status wait_for(volt_comm *c, volt_ticket *t, double began, bool *own)
{
    const volt_world *w = c->world;

    for (int round = 0;; round++) {
        const uint64_t epoch = w->backend->epoch(w->state);
        bool done;
        volt_status st = drive(c, t, &done);

        *own = st != VOLT_OK;
        if (st != VOLT_OK || done)
            return st;
        if ((st = volt_world_check(w)) != VOLT_OK || (st = check_ended(c, t)) != VOLT_OK)
            return st;
        st = check_time(c, t, volt_seconds() - began);
        if (st == VOLT_OK && w->cancelled && w->cancelled(w->cancelled_user))
            st = volt_fail(VOLT_ECANCELLED, "stopped at the caller's request");
        if (st != VOLT_OK) {
            *own = true;
            return st;
        }
        w->backend->idle(w->state, epoch, round);
    }
}

volt_status volt_comm_wait(volt_comm *c, volt_ticket **ticket)
{
    volt_ticket *t = *ticket;
    volt_world *w = c ? c->world : NULL;
    double began;
    int64_t waited;
    bool own = false;
    volt_status st;

    if (!c || !t)
        return VOLT_OK;
    began = volt_seconds();
    __atomic_add_fetch(&w->waiting, 1, __ATOMIC_SEQ_CST);
    st = wait_for(c, t, began, &own);
    __atomic_sub_fetch(&w->waiting, 1, __ATOMIC_SEQ_CST);
    __atomic_add_fetch(&w->progress, 1, __ATOMIC_SEQ_CST);
    waited = (int64_t)((volt_seconds() - began) * 1e9);
    for (volt_comm *up = c; up; up = up->parent)
        __atomic_add_fetch(&up->waited_ns, waited, __ATOMIC_SEQ_CST);
    if (own) /* before buffers are given up, as the others wait for them */
        volt_comm_fail(c, st);
    volt_ticket_put(c, ticket);
    return st;
}

volt_status volt_comm_test(volt_comm *c, volt_ticket **ticket)
{
    bool done = false, own;
    volt_status st;

    if (!c || !*ticket)
        return c ? volt_world_check(c->world) : VOLT_OK;
    __atomic_add_fetch(&c->world->progress, 1, __ATOMIC_SEQ_CST);
    st = drive(c, *ticket, &done);
    own = st != VOLT_OK;
    if (st == VOLT_OK && !done)
        st = volt_world_check(c->world);
    if (st == VOLT_OK && !done)
        st = check_ended(c, *ticket);
    if (own)
        volt_comm_fail(c, st);
    if (st != VOLT_OK || done)
        volt_ticket_put(c, ticket);
    return st;
}

volt_status volt_comm_swap(volt_comm *c, const volt_message *send, const volt_message *receive,
                           int tag)
{
    volt_ticket *t = NULL;
    volt_status st = volt_comm_post(&t, c, send, send != NULL, receive, receive != NULL,
                                    VOLT_COMM_KEY(c->number, 1, tag));

    return st == VOLT_OK ? volt_comm_wait(c, &t) : st;
}

volt_status volt_comm_scratch(void **out, volt_comm *c, size_t bytes)
{
    volt_status st = VOLT_OK;

    if (c->scratch_bytes < bytes) {
        volt_free(c->scratch);
        c->scratch = NULL;
        c->scratch_bytes = 0;
        st = volt_alloc(&c->scratch, bytes, "messages");
        if (st == VOLT_OK)
            c->scratch_bytes = bytes;
        else
            volt_comm_fail(c, st); /* the others are about to wait */
    }
    *out = c->scratch;
    return st;
}
