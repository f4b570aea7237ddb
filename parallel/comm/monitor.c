#define _GNU_SOURCE
#include "parallel/comm/monitor.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "base/core/alloc.h"
#include "base/system/file.h"
#include "base/system/thread_start.h"
#include "parallel/comm/reporter.h"

#define BEAT_S  0.5
#define TICK_MS 100
/* This process did not run for so long (Ctrl-Z, a sleeping machine): the others may not have,
 * or may have given it up. For as long again it accuses nobody. */
#define GAP_S 5.0
/* A launcher that sees a rank die kills the others a second later. */
#define GRACE_DEAD_S   0.4
#define GRACE_FAILED_S 5.0

enum { BEAT_ALIVE = 1, BEAT_FAILED = 2, BEAT_BYE = 3 };

/* The only message of monitors. */
typedef struct beat {
    int32_t kind, waiting;
    uint32_t progress;
    int32_t missing; /* the failure's rank said nothing itself */
    int64_t cpu_ns;  /* of the process */
    double stalled;  /* s, from rank 0 */
    volt_failure failure;
} beat;

/* Between two ranks. A failure does not wait for the heartbeat before it. */
typedef struct lane {
    void *receive, *send, *urgent;
    beat in, out, out_urgent;
    double heard; /* s */
    bool bye;
    uint32_t progress;
    int64_t cpu_ns;
} lane;

struct volt_monitor {
    volt_world *w;
    pthread_t thread;
    int wake[2]; /* a pipe */
    int watched; /* of `poll`: the pipe, then processes of this host */
    struct pollfd *poll;
    int *poll_rank;
    volt_peer *peer;              /* of each rank */
    lane *lane;                   /* rank 0: of all ranks; else of rank 0 */
    double beaten, looped, woken; /* s */
    double moved;                 /* rank 0: when any rank made progress; s */
    bool broken;                  /* the back end refuses messages */

    pthread_mutex_t lock;
    pthread_cond_t changed;
    volt_failure pending; /* of this rank, to be told; status VOLT_OK: none */
    bool has_pending, told, closing, closed, missing, quit;
    double posted; /* when the board had a failure; s */
    double stalled;
    volt_comm_lost *lost;
    void *user;
    volt_reporter *reporter;
    bool concluded, lost_called;
};

static int lanes(const volt_monitor *m)
{
    return m->w->rank == 0 ? m->w->size : 1;
}

static lane *lane_of(volt_monitor *m, int rank)
{
    return &m->lane[m->w->rank == 0 ? rank : 0];
}

/* ---- messages ---- */

static const int control_key = VOLT_COMM_KEY(VOLT_COMM_CONTROL, 0, 1);

static void test(volt_monitor *m, void **handle)
{
    char why[VOLT_COMM_SENTENCE];

    if (*handle && m->w->backend->test(m->w->state, handle, why) != VOLT_OK)
        m->broken = true;
}

static void send_beat(volt_monitor *m, int rank, beat *b, void **handle)
{
    char why[VOLT_COMM_SENTENCE];

    if (m->broken)
        return;
    if (m->w->backend->send(m->w->state, handle, rank, control_key, b, sizeof *b, why) !=
        VOLT_OK)
        m->broken = true;
}

static void expect_beat(volt_monitor *m, int rank)
{
    lane *l = lane_of(m, rank);
    char why[VOLT_COMM_SENTENCE];

    if (m->broken || l->bye)
        return;
    if (m->w->backend->receive(m->w->state, &l->receive, rank, control_key, &l->in,
                               sizeof l->in, why) != VOLT_OK)
        m->broken = true;
}

static beat own_beat(volt_monitor *m, int kind)
{
    beat b = {.kind = kind};
    struct timespec cpu;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
    b.cpu_ns = cpu.tv_sec * 1000000000 + cpu.tv_nsec;
    b.progress = __atomic_load_n(&m->w->progress, __ATOMIC_SEQ_CST);
    b.waiting = __atomic_load_n(&m->w->waiting, __ATOMIC_SEQ_CST) > 0;
    pthread_mutex_lock(&m->lock);
    b.stalled = m->stalled;
    pthread_mutex_unlock(&m->lock);
    return b;
}

/* The ranks that this one talks to: rank 0 to all others, they to rank 0. */
static int next_peer(const volt_monitor *m, int rank)
{
    if (m->w->rank != 0)
        return rank < 0 ? 0 : m->w->size;
    return rank < 0 ? 1 : rank + 1;
}

/* ---- failures ---- */

/* Tells all that this rank talks to, then posts it: who sees it on the board may give up
 * buffers, after which nothing more is sent. */
static void spread(volt_monitor *m, const volt_failure *f, bool missing)
{
    const double until = volt_seconds() + 1;
    bool open = true;

    if (volt_board_look(m->w->board))
        return;
    for (int r = next_peer(m, -1); r < m->w->size; r = next_peer(m, r)) {
        lane *l = lane_of(m, r);
        if (missing && r == f->rank)
            continue;
        l->out_urgent = own_beat(m, BEAT_FAILED);
        l->out_urgent.failure = *f;
        l->out_urgent.missing = missing;
        send_beat(m, r, &l->out_urgent, &l->urgent);
    }
    while (open && !m->broken && volt_seconds() < until) {
        open = false;
        for (int r = next_peer(m, -1); r < m->w->size; r = next_peer(m, r)) {
            test(m, &lane_of(m, r)->urgent);
            open = open || lane_of(m, r)->urgent;
        }
    }
    pthread_mutex_lock(&m->lock);
    m->missing = missing;
    m->posted = volt_seconds();
    pthread_mutex_unlock(&m->lock);
    volt_board_post(m->w->board, f);
}

static void report_missing(volt_monitor *m, int rank, const char *how)
{
    volt_failure f = {.status = VOLT_EPEER, .rank = rank};
    char name[VOLT_COMM_HOST_NAME + 32];

    volt_world_name(name, sizeof name, m->w, rank);
    snprintf(f.sentence, sizeof f.sentence, "%s is missing: %s", name, how);
    spread(m, &f, true);
}

/* ---- processes of this host ---- */

static void watch_processes(volt_monitor *m)
{
    const volt_process *own = &m->peer[m->w->rank].process;

    m->poll[m->watched++] = (struct pollfd){.fd = m->wake[0], .events = POLLIN};
    for (int r = 0; r < m->w->size; r++) {
        if (r == m->w->rank || m->peer[r].process.machine != own->machine ||
            strcmp(m->w->host[r].name, m->w->host[m->w->rank].name) != 0)
            continue;
        m->poll_rank[m->watched] = r;
        m->poll[m->watched++] = (struct pollfd){
            .fd = (int)syscall(SYS_pidfd_open, (pid_t)m->peer[r].process.pid, 0),
            .events = POLLIN};
    }
}

static void look_at_processes(volt_monitor *m, double now)
{
    char how[80];

    if (now - m->woken < GAP_S)
        return;
    for (int i = 1; i < m->watched; i++) {
        const struct pollfd *p = &m->poll[i];
        const volt_process *process = &m->peer[m->poll_rank[i]].process;
        /* A kernel without such descriptors leaves the look-up, a process that is gone too. */
        const bool ended = p->fd >= 0 ? p->revents & (POLLIN | POLLHUP | POLLERR)
                                      : volt_process_look_up(process) == VOLT_PROCESS_ENDED;
        if (!ended || lane_of(m, m->poll_rank[i])->bye)
            continue;
        snprintf(how, sizeof how, "its process %ld has ended", process->pid);
        report_missing(m, m->poll_rank[i], how);
        return;
    }
}

/* ---- heartbeats ---- */

static void take_beat(volt_monitor *m, int rank)
{
    lane *l = lane_of(m, rank);
    const beat *b = &l->in;

    l->heard = volt_seconds();
    if (b->progress != l->progress || (!b->waiting && b->cpu_ns - l->cpu_ns > 2000000))
        m->moved = l->heard;
    l->progress = b->progress;
    l->cpu_ns = b->cpu_ns;
    if (b->kind == BEAT_BYE)
        l->bye = true;
    if (b->kind == BEAT_FAILED)
        spread(m, &b->failure, b->missing);
    if (m->w->rank != 0) {
        pthread_mutex_lock(&m->lock);
        m->stalled = b->stalled;
        pthread_mutex_unlock(&m->lock);
    }
}

static void hear(volt_monitor *m)
{
    for (int r = next_peer(m, -1); r < m->w->size; r = next_peer(m, r)) {
        lane *l = lane_of(m, r);
        while (l->receive && !m->broken) {
            test(m, &l->receive);
            if (l->receive || m->broken)
                break;
            take_beat(m, r);
            expect_beat(m, r);
        }
    }
}

static void beat_others(volt_monitor *m, double now)
{
    if (now - m->beaten < BEAT_S)
        return;
    m->beaten = now;
    if (m->w->rank == 0) {
        const beat own = own_beat(m, BEAT_ALIVE);
        lane *l = &m->lane[0]; /* its own */
        if (own.progress != l->progress || (!own.waiting && own.cpu_ns - l->cpu_ns > 2000000))
            m->moved = now;
        l->progress = own.progress;
        l->cpu_ns = own.cpu_ns;
        pthread_mutex_lock(&m->lock);
        m->stalled = now - m->moved;
        pthread_mutex_unlock(&m->lock);
    }
    for (int r = next_peer(m, -1); r < m->w->size; r = next_peer(m, r)) {
        lane *l = lane_of(m, r);
        test(m, &l->send);
        test(m, &l->urgent);
        if (l->send || l->bye || l->out.kind == BEAT_BYE)
            continue;
        l->out = own_beat(m, BEAT_ALIVE);
        send_beat(m, r, &l->out, &l->send);
    }
}

/* Starts to wait for the others again after a time in which this process did not run. */
static void find_gap(volt_monitor *m, double now)
{
    if (now - m->looped > GAP_S) {
        for (int i = 0; i < lanes(m); i++)
            m->lane[i].heard = now;
        m->moved = m->woken = now;
    }
    m->looped = now;
}

static void find_silent(volt_monitor *m, double now)
{
    char how[80];

    for (int r = next_peer(m, -1); r < m->w->size; r = next_peer(m, r)) {
        if (lane_of(m, r)->bye || now - lane_of(m, r)->heard < VOLT_MONITOR_SILENT_S)
            continue;
        snprintf(how, sizeof how, "it has not answered for %.0f s", now - lane_of(m, r)->heard);
        report_missing(m, r, how);
        return;
    }
}

/* ---- the end ---- */

/* All ranks tell rank 0 that they close, then rank 0 tells all. True when that is done. */
static bool say_bye(volt_monitor *m)
{
    bool all = true, sent = true;

    for (int r = next_peer(m, -1); r < m->w->size; r = next_peer(m, r))
        all = all && lane_of(m, r)->bye;
    if (m->w->rank == 0 && !all)
        return false;
    for (int r = next_peer(m, -1); r < m->w->size; r = next_peer(m, r)) {
        lane *l = lane_of(m, r);
        test(m, &l->send);
        test(m, &l->urgent);
        if (!l->send && l->out.kind != BEAT_BYE) {
            l->out = own_beat(m, BEAT_BYE);
            send_beat(m, r, &l->out, &l->send);
        }
        sent = sent && !l->send && l->out.kind == BEAT_BYE;
    }
    return all && sent;
}

/* A failure that main did not notice for too long: the client says so, and ends the process. */
static void call_lost(volt_monitor *m)
{
    const volt_failure *f = volt_board_look(m->w->board);
    double grace;
    bool call;

    if (!f)
        return;
    pthread_mutex_lock(&m->lock);
    grace = m->closing ? 0 : m->missing ? GRACE_DEAD_S : GRACE_FAILED_S;
    call = m->lost && volt_world_speaks(m->w) && !m->concluded && !m->lost_called &&
           volt_seconds() - m->posted >= grace;
    m->lost_called = m->lost_called || call;
    pthread_mutex_unlock(&m->lock);
    if (call)
        m->lost(m->user, f->status, f->sentence);
}

static void answer_requests(volt_monitor *m)
{
    volt_failure f;
    bool pending;

    pthread_mutex_lock(&m->lock);
    pending = m->has_pending;
    f = m->pending;
    pthread_mutex_unlock(&m->lock);
    if (pending)
        spread(m, &f, false);
    pthread_mutex_lock(&m->lock);
    m->told = m->told || pending;
    m->has_pending = false;
    pthread_cond_broadcast(&m->changed);
    pthread_mutex_unlock(&m->lock);
}

static bool should_end(volt_monitor *m)
{
    bool closing, quit;

    pthread_mutex_lock(&m->lock);
    closing = m->closing;
    quit = m->quit;
    pthread_mutex_unlock(&m->lock);
    if (quit || (closing && volt_board_look(m->w->board)))
        return true;
    if (!closing || !say_bye(m))
        return false;
    pthread_mutex_lock(&m->lock);
    m->closed = true;
    pthread_mutex_unlock(&m->lock);
    return true;
}

static void *monitor_thread(void *argument)
{
    volt_monitor *m = argument;
    char drained[16];

    for (;;) {
        /* Messages of an end come quickly. */
        const int ms = __atomic_load_n(&m->closing, __ATOMIC_SEQ_CST) ? 2 : TICK_MS;
        const int ready = poll(m->poll, (nfds_t)m->watched, ms);
        double now;
        if (ready > 0 && m->poll[0].revents)
            (void)!read(m->wake[0], drained, sizeof drained);
        if (ready <= 0) {
            for (int i = 0; i < m->watched; i++)
                m->poll[i].revents = 0;
        }
        now = volt_seconds();
        find_gap(m, now);
        if (!volt_board_look(m->w->board)) {
            hear(m);
            answer_requests(m);
            beat_others(m, now);
            look_at_processes(m, now);
            find_silent(m, now);
        } else {
            answer_requests(m);
            if (ready > 0) /* those that have ended stay ready */
                (void)poll(NULL, 0, ms);
        }
        call_lost(m);
        if (should_end(m))
            return NULL;
    }
}

/* ---- calls of other threads ---- */

static void wake(volt_monitor *m)
{
    (void)!write(m->wake[1], "", 1);
}

static void free_monitor(volt_monitor *m)
{
    for (int i = 1; i < m->watched; i++) {
        if (m->poll[i].fd >= 0)
            close(m->poll[i].fd);
    }
    close(m->wake[0]);
    close(m->wake[1]);
    pthread_mutex_destroy(&m->lock);
    pthread_cond_destroy(&m->changed);
    volt_free(m->poll);
    volt_free(m->poll_rank);
    volt_free(m->peer);
    volt_free(m->lane);
    volt_free(m);
}

volt_status volt_monitor_start(volt_world *w, const volt_peer *peer, const int pipe[2])
{
    const size_t size = (size_t)w->size;
    pthread_condattr_t attributes;
    volt_monitor *m = NULL;
    volt_status st = volt_alloc_zero(&m, 1, sizeof *m, "the monitor of ranks");

    if (st != VOLT_OK) {
        close(pipe[0]);
        close(pipe[1]);
        return st;
    }
    m->w = w;
    m->wake[0] = pipe[0];
    m->wake[1] = pipe[1];
    pthread_mutex_init(&m->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&m->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    VOLT_TRY(st, failed, volt_alloc_zero(&m->poll, size + 1, sizeof *m->poll, "ranks"));
    VOLT_TRY(st, failed,
             volt_alloc_zero(&m->poll_rank, size + 1, sizeof *m->poll_rank, "ranks"));
    VOLT_TRY(st, failed, volt_alloc_zero(&m->peer, size, sizeof *m->peer, "ranks"));
    VOLT_TRY(st, failed, volt_alloc_zero(&m->lane, (size_t)lanes(m), sizeof *m->lane, "ranks"));
    memcpy(m->peer, peer, size * sizeof *peer);
    watch_processes(m);
    m->looped = m->moved = volt_seconds();
    m->woken = m->looped - GAP_S;
    for (int i = 0; i < lanes(m); i++)
        m->lane[i].heard = m->looped;
    for (int r = next_peer(m, -1); r < w->size; r = next_peer(m, r))
        expect_beat(m, r);
    VOLT_TRY(st, failed, volt_thread_start(&m->thread, monitor_thread, m));
    w->monitor = m;
    return VOLT_OK;
failed:
    free_monitor(m);
    return st;
}

bool volt_monitor_stop(volt_monitor *m)
{
    static volt_monitor *kept;
    bool in_order;

    pthread_mutex_lock(&m->lock);
    __atomic_store_n(&m->closing, true, __ATOMIC_SEQ_CST);
    pthread_mutex_unlock(&m->lock);
    wake(m);
    pthread_join(m->thread, NULL);
    in_order = m->closed && !m->broken;
    volt_reporter_stop(m->reporter);
    if (in_order)
        free_monitor(m);
    else
        kept = m; /* MPI may still know its memory */
    (void)kept;
    return in_order;
}

void volt_monitor_tell(volt_monitor *m, const volt_failure *failure)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += 2;
    pthread_mutex_lock(&m->lock);
    if (!m->has_pending && !m->told) {
        m->pending = *failure;
        m->has_pending = true;
        wake(m);
    }
    while (!m->told && pthread_cond_timedwait(&m->changed, &m->lock, &until) == 0)
        ;
    pthread_mutex_unlock(&m->lock);
    volt_board_post(m->w->board, failure); /* should the thread be stuck in MPI */
}

bool volt_monitor_unaware(volt_monitor *m)
{
    bool unaware;

    pthread_mutex_lock(&m->lock);
    unaware = m->lost && !m->concluded;
    pthread_mutex_unlock(&m->lock);
    return unaware;
}

double volt_monitor_stalled(volt_monitor *m)
{
    double stalled;

    pthread_mutex_lock(&m->lock);
    stalled = m->stalled;
    pthread_mutex_unlock(&m->lock);
    return stalled;
}

void volt_monitor_watch(volt_monitor *m, volt_comm_lost *lost, void *user)
{
    pthread_mutex_lock(&m->lock);
    m->lost = lost;
    m->user = user;
    if (lost && !m->reporter)
        volt_reporter_start(&m->reporter, m->w, m->peer, lost, user);
    else if (!lost)
        volt_reporter_stop(m->reporter);
    pthread_mutex_unlock(&m->lock);
}

bool volt_monitor_conclude(volt_monitor *m)
{
    bool free_to;

    pthread_mutex_lock(&m->lock);
    free_to = !m->lost_called;
    m->concluded = m->concluded || free_to;
    pthread_mutex_unlock(&m->lock);
    return free_to;
}

void volt_monitor_reported(volt_monitor *m)
{
    volt_reporter_stop(m->reporter);
}
