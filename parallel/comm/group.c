/* group.c - communicators: that of all ranks, and those split from one. */
#include <stdio.h>
#include <string.h>
#include "base/core/alloc.h"
#include "base/core/fail.h"
#include "parallel/comm/ticket.h"

void volt_host_clean(char *name)
{
    for (char *at = name; *at; at++)
        *at = (char)(*at > ' ' && *at < 127 ? *at : '?');
}

void volt_hosts_tell_apart(volt_host *host, const char *const *boot, int size)
{
    /* From the end, while the names before are as they were. */
    for (int i = size - 1; i > 0; i--) {
        char number[16];
        int others = 0;
        for (int k = 0; k < i; k++) {
            bool seen = strcmp(host[k].name, host[i].name) != 0;
            for (int j = 0; j < k && !seen; j++)
                seen = strcmp(host[j].name, host[k].name) == 0 && strcmp(boot[j], boot[k]) == 0;
            if (!seen && strcmp(boot[k], boot[i]) == 0)
                break; /* the number of the first rank there */
            others += !seen;
        }
        if (others == 0)
            continue;
        snprintf(number, sizeof number, "#%d", others + 1);
        host[i].name[VOLT_COMM_HOST_NAME - 1 - strlen(number)] = '\0';
        strcat(host[i].name, number);
    }
}

/* Ranks of one host know each other by its name. */
void volt_comm_count_host(volt_comm *c)
{
    const volt_host *host = c->world->host, *own = &host[c->member[c->rank]];

    c->host_ranks = c->host_index = 0;
    for (int i = 0; i < c->size; i++) {
        const bool same = strcmp(host[c->member[i]].name, own->name) == 0;
        c->host_ranks += same;
        c->host_index += same && i < c->rank;
    }
}

volt_status volt_world_comm(volt_comm **out, volt_world *w)
{
    volt_comm *c = NULL;
    volt_status st;

    VOLT_TRY(st, failed, volt_alloc_zero(&c, 1, sizeof *c, "a communicator"));
    VOLT_TRY(st, failed,
             volt_alloc_zero(&c->member, (size_t)w->size, sizeof *c->member, "ranks"));
    c->world = w;
    c->number = VOLT_COMM_WORLD;
    c->rank = w->rank;
    c->size = w->size;
    c->holders = 1;
    for (int i = 0; i < w->size; i++)
        c->member[i] = i;
    volt_comm_count_host(c);
    *out = c;
    return VOLT_OK;
failed:
    volt_free(c);
    return st;
}

/* ---- splitting ---- */

typedef struct choice {
    int32_t colour, key;
    uint32_t used[VOLT_COMM_NUMBERS / 32];
} choice;

/* The ranks of `colour` in order; the new communicator has all but its number. */
static volt_status gather_group(volt_comm *n, const volt_comm *c, const choice *all, int colour)
{
    volt_status st =
        volt_alloc_zero(&n->member, (size_t)c->size, sizeof *n->member, "the ranks of a group");
    int *rank;

    if (st != VOLT_OK)
        return st;
    rank = n->member; /* numbers of c until the end */
    for (int i = 0; i < c->size; i++) {
        int at = n->size;
        if (all[i].colour != colour)
            continue;
        for (; at > 0 && all[rank[at - 1]].key > all[i].key; at--)
            rank[at] = rank[at - 1];
        rank[at] = i;
        n->size++;
    }
    for (int i = 0; i < n->size; i++) {
        if (rank[i] == c->rank)
            n->rank = i;
    }
    return VOLT_OK;
}

/* The lowest number that is free on all of its ranks; -1: none. */
static int free_number(const volt_comm *n, const choice *all)
{
    for (int word = 0; word < VOLT_COMM_NUMBERS / 32; word++) {
        uint32_t used = 0;
        for (int i = 0; i < n->size; i++)
            used |= all[n->member[i]].used[word];
        if (used != UINT32_MAX)
            return word * 32 + __builtin_ctz(~used);
    }
    return -1;
}

static volt_status make_group(volt_comm **out, volt_comm *c, const choice *all, int colour)
{
    volt_comm *n = NULL;
    volt_status st;

    VOLT_TRY(st, failed, volt_alloc_zero(&n, 1, sizeof *n, "a communicator"));
    VOLT_TRY(st, failed, gather_group(n, c, all, colour));
    n->number = free_number(n, all);
    if (n->number < 0) {
        st = volt_fail(VOLT_EINVAL, "more than %d communicators", VOLT_COMM_NUMBERS);
        goto failed;
    }
    for (int i = 0; i < n->size; i++)
        n->member[i] = c->member[n->member[i]];
    n->world = c->world;
    n->parent = c;
    n->holders = 1;
    __atomic_add_fetch(&c->world->holders, 1, __ATOMIC_SEQ_CST);
    __atomic_add_fetch(&c->holders, 1, __ATOMIC_SEQ_CST);
    pthread_mutex_lock(&c->world->lock);
    c->world->used[n->number / 32] |= 1u << n->number % 32;
    pthread_mutex_unlock(&c->world->lock);
    volt_comm_count_host(n);
    *out = n;
    return VOLT_OK;
failed:
    if (n)
        volt_free(n->member);
    volt_free(n);
    return st;
}

volt_status volt_comm_split(volt_comm **out, volt_comm *c, int colour, int key)
{
    choice own = {colour, key, {0}}, *all = NULL;
    volt_comm *n = NULL;
    volt_status st;

    if (!c) { /* one rank without a world has nothing to split */
        *out = NULL;
        return VOLT_OK;
    }
    pthread_mutex_lock(&c->world->lock);
    memcpy(own.used, c->world->used, sizeof own.used);
    pthread_mutex_unlock(&c->world->lock);
    st = volt_alloc(&all, (size_t)c->size * sizeof *all, "groups of ranks");
    if (st != VOLT_OK) {
        volt_comm_fail(c, st);
        return st;
    }
    VOLT_TRY(st, done, volt_comm_all_gather(c, all, &own, sizeof own));
    if (colour >= 0)
        st = make_group(&n, c, all, colour);
    st = volt_comm_agree(c, st); /* none goes on without the others */
    if (st == VOLT_OK) {
        *out = n;
        n = NULL;
    }
done:
    volt_comm_close(n);
    volt_free(all);
    return st;
}

static void release_comm(volt_comm *c)
{
    while (c && __atomic_sub_fetch(&c->holders, 1, __ATOMIC_SEQ_CST) == 0) {
        volt_comm *parent = c->parent;
        volt_free(c->member);
        volt_free(c);
        c = parent;
    }
}

/* Others may wait for what is given up. */
static void fail_for_lost(volt_comm *c)
{
    char sentence[VOLT_COMM_SENTENCE];

    snprintf(sentence, sizeof sentence, "%s", volt_last_error());
    volt_comm_fail(c, volt_fail(VOLT_EINTERNAL, "a communicator is closed while messages are "
                                                "under way"));
    volt_set_last_error(sentence);
}

void volt_comm_close(volt_comm *c)
{
    volt_world *w = c ? c->world : NULL;

    if (!c)
        return;
    if (c->open && !volt_board_look(w->board))
        fail_for_lost(c);
    while (c->open) {
        volt_ticket *lost = c->open;
        volt_ticket_put(c, &lost);
    }
    for (volt_ticket *t = c->spare, *next; t; t = next) {
        next = t->next;
        volt_free(t->part);
        volt_free(t);
    }
    c->spare = NULL;
    volt_free(c->scratch);
    c->scratch = NULL;
    pthread_mutex_lock(&w->lock);
    w->used[c->number / 32] &= ~(1u << c->number % 32);
    pthread_mutex_unlock(&w->lock);
    volt_world_release(w); /* may call volt_comm_lost, which knows `c` */
    release_comm(c);
}
