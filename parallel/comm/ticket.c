#include "parallel/comm/ticket.h"

#include <string.h>
#include "base/core/alloc.h"

/* ---- parts ---- */

static volt_status failed(volt_status st, const char *why)
{
    return st == VOLT_OK ? st : volt_fail(st, "%s", why);
}

volt_status volt_part_send(volt_comm *c, volt_part *p, int peer, int key, const void *at,
                           size_t bytes)
{
    const volt_world *w = c->world;
    char why[VOLT_COMM_SENTENCE] = "";

    p->peer = c->member[peer];
    for (volt_comm *up = c; up; up = up->parent) {
        __atomic_add_fetch(&up->messages, 1, __ATOMIC_SEQ_CST);
        __atomic_add_fetch(&up->bytes, (int64_t)bytes, __ATOMIC_SEQ_CST);
    }
    return failed(w->backend->send(w->state, &p->handle, p->peer, key, at, bytes, why), why);
}

volt_status volt_part_receive(volt_comm *c, volt_part *p, int peer, int key, void *at,
                              size_t bytes)
{
    const volt_world *w = c->world;
    char why[VOLT_COMM_SENTENCE] = "";

    p->peer = c->member[peer];
    return failed(w->backend->receive(w->state, &p->handle, p->peer, key, at, bytes, why), why);
}

volt_status volt_part_test(volt_comm *c, volt_part *p)
{
    const volt_world *w = c->world;
    char why[VOLT_COMM_SENTENCE] = "";

    return p->handle ? failed(w->backend->test(w->state, &p->handle, why), why) : VOLT_OK;
}

static void drop(volt_comm *c, volt_part *p)
{
    if (p->handle) {
        __atomic_store_n(&c->world->unfinished, 1, __ATOMIC_SEQ_CST);
        c->world->backend->drop(c->world->state, &p->handle);
    }
}

/* ---- tickets ---- */

volt_status volt_ticket_take(volt_ticket **out, volt_comm *c, int parts)
{
    volt_ticket *t = c->spare;
    volt_status st;

    if (t)
        c->spare = t->next;
    else if ((st = volt_alloc_zero(&t, 1, sizeof *t, "messages")) != VOLT_OK)
        return st;
    if (t->room < parts) {
        volt_part *more = NULL;
        st = volt_alloc_zero(&more, (size_t)parts, sizeof *more, "messages");
        if (st != VOLT_OK) {
            t->next = c->spare;
            c->spare = t;
            return st;
        }
        volt_free(t->part);
        t->part = more;
        t->room = parts;
    }
    t->parts = 0;
    t->failed = VOLT_OK;
    memset(&t->ring, 0, sizeof t->ring);
    t->next = c->open;
    t->link = &c->open;
    if (t->next)
        t->next->link = &t->next;
    c->open = t;
    *out = t;
    return VOLT_OK;
}

void volt_ticket_put(volt_comm *c, volt_ticket **ticket)
{
    volt_ticket *t = *ticket;

    for (int i = 0; i < t->parts; i++)
        drop(c, &t->part[i]);
    for (int i = 0; i < VOLT_RING_SENDS; i++)
        drop(c, &t->ring.send[i]);
    for (int i = 0; i < VOLT_RING_RECEIVES; i++)
        drop(c, &t->ring.receive[i]);
    *t->link = t->next;
    if (t->next)
        t->next->link = t->link;
    t->next = c->spare;
    c->spare = t;
    *ticket = NULL;
}
