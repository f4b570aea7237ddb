#include "parallel/comm/threads.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "base/core/alloc.h"
#include "base/system/file.h"

/* A message that waits for its other half. */
typedef struct letter {
    struct letter *next;
    int from, to, key;
    void *at; /* a send's is only read */
    size_t bytes;
    bool is_send, linked; /* `linked`: in a list of its box */
    atomic_int state;
    size_t other_bytes; /* LETTER_MISFIT: what the other half has */
} letter;

enum { LETTER_OPEN, LETTER_DONE, LETTER_MISFIT };

typedef struct letter_list {
    letter *first, **end;
} letter_list;

/* What one rank is to receive. */
typedef struct box {
    pthread_mutex_t lock;
    letter_list sends, receives;
} box;

/* Rings when something has happened for a rank. */
typedef struct bell {
    pthread_mutex_t lock;
    pthread_cond_t rung;
    uint64_t epoch;
} bell;

typedef struct member {
    volt_crowd *crowd;
    int rank;
    box box;
    bell bell;
    atomic_bool ended, waiting;
    pthread_mutex_t spare_lock;
    letter *spare; /* letters to use again */
} member;

struct volt_crowd {
    int ranks;
    atomic_int holders;
    _Atomic double last; /* when something happened; s */
    volt_board board;
    member *member;
};

/* ---- the crowd ---- */

static void init_bell(bell *b)
{
    pthread_condattr_t attributes;

    pthread_mutex_init(&b->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&b->rung, &attributes);
    pthread_condattr_destroy(&attributes);
}

volt_status volt_crowd_make(volt_crowd **out, int ranks)
{
    volt_crowd *c = NULL;
    volt_status st = volt_alloc_zero(&c, 1, sizeof *c, "ranks");

    if (st != VOLT_OK)
        return st;
    st = volt_alloc_zero(&c->member, (size_t)ranks, sizeof *c->member, "ranks");
    if (st != VOLT_OK) {
        volt_free(c);
        return st;
    }
    c->ranks = ranks;
    atomic_init(&c->holders, ranks + 1);
    atomic_init(&c->last, volt_seconds());
    volt_board_init(&c->board);
    for (int i = 0; i < ranks; i++) {
        member *m = &c->member[i];
        m->crowd = c;
        m->rank = i;
        pthread_mutex_init(&m->box.lock, NULL);
        m->box.sends.end = &m->box.sends.first;
        m->box.receives.end = &m->box.receives.first;
        pthread_mutex_init(&m->spare_lock, NULL);
        init_bell(&m->bell);
    }
    *out = c;
    return VOLT_OK;
}

void *volt_crowd_rank(volt_crowd *c, int rank)
{
    return &c->member[rank];
}

void volt_crowd_release(volt_crowd *c)
{
    if (!c || atomic_fetch_sub(&c->holders, 1) > 1)
        return;
    for (int i = 0; i < c->ranks; i++) {
        member *m = &c->member[i];
        for (letter *l = m->spare, *next; l; l = next) {
            next = l->next;
            volt_free(l);
        }
        pthread_mutex_destroy(&m->box.lock);
        pthread_mutex_destroy(&m->spare_lock);
        pthread_mutex_destroy(&m->bell.lock);
        pthread_cond_destroy(&m->bell.rung);
    }
    volt_board_free(&c->board);
    volt_free(c->member);
    volt_free(c);
}

volt_board *volt_crowd_board(volt_crowd *c)
{
    return &c->board;
}

static void ring(bell *b)
{
    pthread_mutex_lock(&b->lock);
    b->epoch++;
    pthread_cond_broadcast(&b->rung);
    pthread_mutex_unlock(&b->lock);
}

static void wake_all(volt_crowd *c)
{
    for (int i = 0; i < c->ranks; i++)
        ring(&c->member[i].bell);
}

void volt_crowd_wake(void *state)
{
    wake_all(((member *)state)->crowd);
}

static void end(member *m)
{
    atomic_store(&m->ended, true);
    wake_all(m->crowd);
}

/* ---- letters ---- */

static volt_status take_letter(letter **out, member *m, char *why)
{
    letter *l;

    pthread_mutex_lock(&m->spare_lock);
    l = m->spare;
    if (l)
        m->spare = l->next;
    pthread_mutex_unlock(&m->spare_lock);
    if (!l && volt_alloc(&l, sizeof *l, "a message") != VOLT_OK) {
        snprintf(why, VOLT_COMM_SENTENCE, "%s", volt_last_error());
        return VOLT_ENOMEM;
    }
    memset(l, 0, sizeof *l);
    *out = l;
    return VOLT_OK;
}

static void put_letter(member *m, letter *l)
{
    pthread_mutex_lock(&m->spare_lock);
    l->next = m->spare;
    m->spare = l;
    pthread_mutex_unlock(&m->spare_lock);
}

static void append(letter_list *list, letter *l)
{
    l->next = NULL;
    l->linked = true;
    *list->end = l;
    list->end = &l->next;
}

static void unlink_at(letter_list *list, letter **at)
{
    letter *l = *at;

    *at = l->next;
    if (!l->next)
        list->end = at;
    l->linked = false;
}

/* The first letter that fits, out of its list; NULL: none. */
static letter *match(letter_list *list, int from, int key)
{
    for (letter **at = &list->first; *at; at = &(*at)->next) {
        letter *l = *at;
        if (l->from == from && l->key == key) {
            unlink_at(list, at);
            return l;
        }
    }
    return NULL;
}

static volt_status misfit(char *why, int from, int to, size_t sent, size_t expected)
{
    snprintf(why, VOLT_COMM_SENTENCE,
             "rank %d sent %zu bytes to rank %d, which expected %zu bytes", from, sent, to,
             expected);
    return VOLT_EINTERNAL;
}

/* Copies to or from the other half, which waited; its owner may free it as soon as its state
 * changes. */
static volt_status join(letter *other, const letter *own, member *owner, char *why)
{
    const letter *send = other->is_send ? other : own, *receive = other->is_send ? own : other;
    const bool fits = send->bytes == receive->bytes;
    volt_status st = VOLT_OK;

    if (fits && send->bytes > 0)
        memcpy(receive->at, send->at, send->bytes);
    if (!fits) {
        st = misfit(why, own->from, own->to, send->bytes, receive->bytes);
        other->other_bytes = own->bytes;
    }
    atomic_store(&other->state, fits ? LETTER_DONE : LETTER_MISFIT);
    ring(&owner->bell);
    return st;
}

static volt_status post(member *m, void **handle, const letter *draft, char *why)
{
    member *to = &m->crowd->member[draft->to];
    box *b = &to->box;
    letter *own = NULL, *other;
    volt_status st = take_letter(&own, m, why);

    *handle = NULL;
    if (st != VOLT_OK)
        return st;
    atomic_store(&m->waiting, false);
    atomic_store(&m->crowd->last, volt_seconds());
    own->from = draft->from;
    own->to = draft->to;
    own->key = draft->key;
    own->at = draft->at;
    own->bytes = draft->bytes;
    own->is_send = draft->is_send;
    pthread_mutex_lock(&b->lock);
    other = match(own->is_send ? &b->receives : &b->sends, own->from, own->key);
    if (!other)
        append(own->is_send ? &b->sends : &b->receives, own);
    pthread_mutex_unlock(&b->lock);
    if (!other) {
        *handle = own;
        return VOLT_OK;
    }
    st = join(other, own, own->is_send ? to : &m->crowd->member[own->from], why);
    put_letter(m, own);
    return st;
}

static volt_status threads_send(void *state, void **handle, int peer, int key, const void *at,
                                size_t bytes, char *why)
{
    member *m = state;
    const letter draft = {.from = m->rank,
                          .to = peer,
                          .key = key,
                          .at = (void *)(uintptr_t)at,
                          .bytes = bytes,
                          .is_send = true};

    return post(m, handle, &draft, why);
}

static volt_status threads_receive(void *state, void **handle, int peer, int key, void *at,
                                   size_t bytes, char *why)
{
    member *m = state;
    const letter draft = {
        .from = peer, .to = m->rank, .key = key, .at = at, .bytes = bytes, .is_send = false};

    return post(m, handle, &draft, why);
}

static volt_status threads_test(void *state, void **handle, char *why)
{
    letter *l = *handle;
    const int now = atomic_load(&l->state);
    volt_status st = VOLT_OK;

    if (now == LETTER_OPEN)
        return VOLT_OK;
    if (now == LETTER_MISFIT)
        st = l->is_send ? misfit(why, l->from, l->to, l->bytes, l->other_bytes)
                        : misfit(why, l->from, l->to, l->other_bytes, l->bytes);
    atomic_store(&((member *)state)->waiting, false);
    put_letter(state, l);
    *handle = NULL;
    return st;
}

static void threads_drop(void *state, void **handle)
{
    member *m = state;
    letter *l = *handle;
    box *b = &m->crowd->member[l->to].box;
    letter_list *list = l->is_send ? &b->sends : &b->receives;

    pthread_mutex_lock(&b->lock);
    if (l->linked) {
        letter **at = &list->first;
        while (*at != l)
            at = &(*at)->next;
        unlink_at(list, at);
        atomic_store(&l->state, LETTER_DONE);
    }
    pthread_mutex_unlock(&b->lock);
    while (atomic_load(&l->state) == LETTER_OPEN) /* the other half is being copied */
        sched_yield();
    put_letter(m, l);
    *handle = NULL;
}

/* ---- waiting ---- */

static uint64_t threads_epoch(void *state)
{
    bell *b = &((member *)state)->bell;
    uint64_t epoch;

    pthread_mutex_lock(&b->lock);
    epoch = b->epoch;
    pthread_mutex_unlock(&b->lock);
    return epoch;
}

static void threads_idle(void *state, uint64_t epoch, int round)
{
    bell *b = &((member *)state)->bell;
    struct timespec until;

    (void)round;
    atomic_store(&((member *)state)->waiting, true);
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += 50000000; /* time-outs are looked at so often */
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    pthread_mutex_lock(&b->lock);
    while (b->epoch == epoch && pthread_cond_timedwait(&b->rung, &b->lock, &until) == 0)
        ;
    pthread_mutex_unlock(&b->lock);
}

static bool threads_ended(void *state, int peer)
{
    return atomic_load(&((member *)state)->crowd->member[peer].ended);
}

static double threads_stalled(void *state)
{
    volt_crowd *c = ((member *)state)->crowd;

    for (int i = 0; i < c->ranks; i++) {
        if (!atomic_load(&c->member[i].waiting) && !atomic_load(&c->member[i].ended))
            return 0;
    }
    return volt_seconds() - atomic_load(&c->last);
}

static void threads_close(void *state, bool in_order)
{
    member *m = state;

    (void)in_order;
    end(m);
    volt_crowd_release(m->crowd);
}

const volt_backend volt_backend_threads = {
    .abi = VOLT_COMM_ABI,
    .library = "threads",
    .send = threads_send,
    .receive = threads_receive,
    .test = threads_test,
    .drop = threads_drop,
    .epoch = threads_epoch,
    .idle = threads_idle,
    .ended = threads_ended,
    .stalled = threads_stalled,
    .close = threads_close,
};
