#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "base/core/alloc.h"
#include "base/core/fail.h"
#include "parallel/comm/comm_internal.h"
#include "parallel/comm/monitor.h"
#include "parallel/launcher.h"

#define NEWS_S  0.5 /* for which a rank waits to hear of another that has died */
#define FIRST_S 2   /* for which a rank without MPI lets rank 0 speak first */
#define ABORT_S 15  /* for which a rank waits to be ended */

volt_status volt_world_make(volt_world **out, const volt_backend *backend, void *state,
                            int rank, int size, volt_board *board)
{
    volt_world *w = NULL;
    volt_status st;

    VOLT_TRY(st, failed, volt_alloc_zero(&w, 1, sizeof *w, "a communicator"));
    VOLT_TRY(st, failed, volt_alloc_zero(&w->host, (size_t)size, sizeof *w->host, "hosts"));
    w->backend = backend;
    w->state = state;
    w->rank = rank;
    w->size = size;
    w->board = board;
    w->holders = 1;
    w->pid = getpid();
    pthread_mutex_init(&w->lock, NULL);
    w->used[0] = 1u << VOLT_COMM_CONTROL | 1u << VOLT_COMM_WORLD;
    *out = w;
    return VOLT_OK;
failed:
    volt_free(w);
    return st;
}

/* Not cut short by signals: launchers send some to ranks that are to end. */
static void rest(double seconds)
{
    struct timespec until;
    const long ns = (long)((seconds - (double)(time_t)seconds) * 1e9);

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)seconds + (until.tv_nsec + ns) / 1000000000;
    until.tv_nsec = (until.tv_nsec + ns) % 1000000000;
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
        ;
}

/* Another rank failed after this one was through: the rank that speaks ends this one, too. */
static void end_with_others(volt_world *w)
{
    const volt_failure *f = volt_board_look(w->board);

    if (!f || !volt_monitor_unaware(w->monitor))
        return;
    rest(ABORT_S);
    w->backend->abort(w->state, (int)f->status);
}

void volt_world_release(volt_world *w)
{
    bool in_order;

    if (!w || __atomic_sub_fetch(&w->holders, 1, __ATOMIC_SEQ_CST) > 0)
        return;
    in_order = !volt_board_look(w->board) && !__atomic_load_n(&w->unfinished, __ATOMIC_SEQ_CST);
    if (w->monitor && !volt_monitor_stop(w->monitor)) {
        end_with_others(w);
        in_order = false;
    }
    w->backend->close(w->state, in_order);
    pthread_mutex_destroy(&w->lock);
    volt_free(w->host);
    volt_free(w);
}

/* ---- questions ---- */

int volt_comm_rank(const volt_comm *c)
{
    return c ? c->rank : 0;
}

int volt_comm_size(const volt_comm *c)
{
    return c ? c->size : 1;
}

const char *volt_comm_host(const volt_comm *c, int rank)
{
    return c && rank >= 0 && rank < c->size ? c->world->host[c->member[rank]].name : "";
}

int volt_comm_host_ranks(const volt_comm *c)
{
    return c ? c->host_ranks : 1;
}

int volt_comm_host_index(const volt_comm *c)
{
    return c ? c->host_index : 0;
}

const char *volt_comm_library(const volt_comm *c)
{
    return c && (c->world->size > 1 || c->world->monitor) ? c->world->backend->library : "self";
}

void volt_comm_counts(const volt_comm *c, int64_t *messages, int64_t *bytes)
{
    if (messages)
        *messages = c ? __atomic_load_n(&c->messages, __ATOMIC_SEQ_CST) : 0;
    if (bytes)
        *bytes = c ? __atomic_load_n(&c->bytes, __ATOMIC_SEQ_CST) : 0;
}

double volt_comm_waited(const volt_comm *c)
{
    return c ? 1e-9 * (double)__atomic_load_n(&c->waited_ns, __ATOMIC_SEQ_CST) : 0;
}

void volt_comm_set_timeout(volt_comm *c, double seconds)
{
    if (c)
        __atomic_store_n(&c->world->timeout_ns, seconds > 0 ? (int64_t)(seconds * 1e9) + 1 : 0,
                         __ATOMIC_SEQ_CST);
}

void volt_comm_set_cancelled(volt_comm *c, volt_comm_cancelled *cancelled, void *user)
{
    if (!c)
        return;
    c->world->cancelled = cancelled;
    c->world->cancelled_user = user;
}

/* ---- failures ---- */

volt_status volt_world_check(const volt_world *w)
{
    const volt_failure *f = volt_board_look(w->board);

    if (!f)
        return VOLT_OK;
    return volt_fail(f->rank == w->rank ? f->status : VOLT_EPEER, "%s", f->sentence);
}

void volt_world_fail(volt_world *w, const volt_failure *failure)
{
    if (w->monitor)
        volt_monitor_tell(w->monitor, failure);
    else if (volt_board_post(w->board, failure) && w->wake)
        w->wake(w);
}

static void wait_for_news(const volt_world *w)
{
    for (int i = 0; i < 10 && !volt_board_look(w->board); i++)
        rest(NEWS_S / 10);
}

void volt_comm_fail(volt_comm *c, volt_status st)
{
    volt_failure f;
    char sentence[VOLT_COMM_SENTENCE];

    if (!c || st == VOLT_OK || st == VOLT_EPEER || volt_board_look(c->world->board))
        return;
    snprintf(sentence, sizeof sentence, "%s", volt_last_error());
    if (st == VOLT_ECOMM && c->world->monitor)
        wait_for_news(c->world); /* MPI may have failed because a rank has died */
    volt_world_describe(&f, c->world, st, sentence);
    volt_world_fail(c->world, &f);
    volt_set_last_error(sentence);
}

bool volt_comm_has_failed(const volt_comm *c)
{
    return c && volt_board_look(c->world->board) != NULL;
}

/* ---- the end of a process ---- */

void volt_comm_watch(volt_comm *c, volt_comm_lost *lost, void *user)
{
    if (c && c->world->monitor)
        volt_monitor_watch(c->world->monitor, lost, user);
}

volt_status volt_comm_conclude(volt_comm *c, volt_status st, bool *speaks)
{
    volt_world *w = c ? c->world : NULL;
    char sentence[VOLT_COMM_SENTENCE];
    const volt_failure *f;
    volt_launcher launcher;

    *speaks = !w || !w->monitor || w->rank == 0;
    if (st != VOLT_OK && !w && volt_launcher_find(&launcher) && launcher.process > 0)
        rest(FIRST_S); /* if rank 0 could not open MPI either, the launcher ends all */
    if (st == VOLT_OK || !w || !w->monitor)
        return st;
    snprintf(sentence, sizeof sentence, "%s", volt_last_error());
    if (st == VOLT_ECANCELLED) /* a launcher interrupts the ranks when one of them is gone */
        wait_for_news(w);
    volt_set_last_error(sentence);
    volt_comm_fail(c, st);
    f = volt_board_look(w->board);
    *speaks = volt_world_speaks(w);
    if (!volt_monitor_conclude(w->monitor)) { /* another thread is reporting it */
        *speaks = false;
        rest(ABORT_S);
    }
    if (!f)
        return st;
    if (f->rank == w->rank) /* as the others tell it */
        return volt_fail(st, "%s", f->sentence);
    return volt_fail(f->status, "%s", f->sentence);
}

void volt_comm_abort(volt_comm *c, volt_status st)
{
    volt_world *w = c ? c->world : NULL;

    if (!w || !w->backend->abort)
        return;
    if (w->pid != getpid()) /* the reporter's (reporter.h) */
        _exit((int)st);
    if (w->monitor)
        volt_monitor_reported(w->monitor);
    /* The rank that reports the failure ends the others when its sentence is out. */
    if (w->monitor && !volt_world_speaks(w))
        rest(ABORT_S);
    w->backend->abort(w->state, (int)st);
}
