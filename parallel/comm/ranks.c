#include "parallel/ranks.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include "base/core/alloc.h"
#include "base/core/fail.h"
#include "base/system/thread_start.h"
#include "parallel/comm/comm_internal.h"
#include "parallel/comm/threads.h"

typedef struct rank {
    pthread_t thread;
    struct group *group;
    volt_comm *comm;
    volt_status status;
    char sentence[VOLT_COMM_SENTENCE];
} rank;

typedef struct group {
    volt_rank_function *run;
    void *context;
    pthread_mutex_t lock; /* held until all threads have started */
    bool stop;
    int ranks;
    rank *rank;
} group;

static void run_rank(rank *r)
{
    r->status = r->group->run(r->comm, r->group->context);
    if (r->status != VOLT_OK) {
        snprintf(r->sentence, sizeof r->sentence, "%s", volt_last_error());
        volt_comm_fail(r->comm, r->status);
    }
    volt_comm_close(r->comm);
    r->comm = NULL;
}

static void *rank_thread(void *argument)
{
    rank *r = argument;
    bool stop;

    pthread_mutex_lock(&r->group->lock);
    stop = r->group->stop;
    pthread_mutex_unlock(&r->group->lock);
    if (!stop)
        run_rank(r);
    return NULL;
}

/* A failure that this rank did not only hear of. */
static bool is_first_hand(const rank *r)
{
    return r->status != VOLT_OK && r->status != VOLT_EPEER;
}

static bool all_failed_alike(const group *g)
{
    for (int i = 0; i < g->ranks; i++) {
        if (g->rank[i].status != g->rank[0].status ||
            strcmp(g->rank[i].sentence, g->rank[0].sentence) != 0)
            return false;
    }
    return true;
}

/* Status and sentence of all ranks together. */
static volt_status judge(const group *g)
{
    const rank *worst = NULL;
    const char *sentence;

    for (int i = 0; i < g->ranks && !worst; i++)
        worst = is_first_hand(&g->rank[i]) ? &g->rank[i] : NULL;
    for (int i = 0; i < g->ranks && !worst; i++)
        worst = g->rank[i].status != VOLT_OK ? &g->rank[i] : NULL;
    if (!worst)
        return VOLT_OK;
    sentence = *worst->sentence ? worst->sentence : volt_status_text(worst->status);
    if (all_failed_alike(g) || strncmp(sentence, "rank ", 5) == 0)
        return volt_fail(worst->status, "%s", sentence);
    return volt_fail(worst->status, "rank %d: %s", (int)(worst - g->rank), sentence);
}

static volt_status open_ranks(group *g)
{
    volt_crowd *crowd = NULL;
    int opened = 0;
    volt_status st = volt_crowd_make(&crowd, g->ranks);

    if (st != VOLT_OK)
        return st;
    for (; opened < g->ranks && st == VOLT_OK; opened++) {
        g->rank[opened].group = g;
        st = volt_threads_comm(&g->rank[opened].comm, crowd, opened, g->ranks);
    }
    for (int i = opened; i < g->ranks; i++) /* those that have no communicator to do it */
        volt_crowd_release(crowd);
    volt_crowd_release(crowd);
    return st;
}

volt_status volt_ranks_run(int ranks, volt_rank_function *run, void *context)
{
    group g = {.run = run, .context = context, .ranks = ranks};
    int started = 1;
    volt_status st;

    if (ranks < 1 || ranks > VOLT_RANKS_MAX)
        return volt_fail(VOLT_EINVAL, "%d ranks; 1 to %d can run", ranks, VOLT_RANKS_MAX);
    pthread_mutex_init(&g.lock, NULL);
    VOLT_TRY(st, done, volt_alloc_zero(&g.rank, (size_t)ranks, sizeof *g.rank, "ranks"));
    VOLT_TRY(st, done, open_ranks(&g));
    pthread_mutex_lock(&g.lock);
    for (; started < ranks && st == VOLT_OK; started += st == VOLT_OK)
        st = volt_thread_start(&g.rank[started].thread, rank_thread, &g.rank[started]);
    g.stop = st != VOLT_OK;
    pthread_mutex_unlock(&g.lock);
    if (st == VOLT_OK)
        run_rank(&g.rank[0]);
    for (int i = 1; i < started; i++)
        pthread_join(g.rank[i].thread, NULL);
    if (st == VOLT_OK)
        st = judge(&g);
done:
    for (int i = 0; g.rank && i < ranks; i++)
        volt_comm_close(g.rank[i].comm);
    volt_free(g.rank);
    pthread_mutex_destroy(&g.lock);
    return st;
}
