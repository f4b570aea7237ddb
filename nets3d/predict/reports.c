#include "nets3d/predict/reports.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/core/alloc.h"
#include "base/core/fail.h"
#include "base/core/report.h"
#include "base/system/file.h"

enum { TAG_REPORT = 70 };
#define TICK_S  10  /* a rank that works says so */
#define STALL_S 600 /* a rank that says nothing for so long hangs */

typedef enum record_kind { RECORD_TICK = 1, RECORD_LOG, RECORD_CASES, RECORD_END } record_kind;

/* One message. */
typedef struct record {
    int32_t kind, level;
    int64_t done, total; /* cases of the sender */
    char line[1024];
} record;

/* A message that waits or is under way. */
typedef struct parcel {
    struct parcel *next;
    record record;
    volt_ticket *ticket; /* NULL: not yet sent */
    bool sent;
} parcel;

/* Rank 0: what comes from another rank. */
typedef struct peer {
    record record;
    volt_ticket *ticket; /* NULL: it has ended */
    int64_t done, total;
} peer;

struct volt_reports {
    const volt_spread *sp;
    const volt_callbacks *user;
    volt_callbacks own;
    pthread_t thread;
    volt_status failure; /* of messages */
    char sentence[1024];
    double heard;        /* rank 0: when a message came last; others: when one was sent */
    int64_t done, total; /* cases of this rank */
    peer *peer;          /* rank 0: (ranks) */
    pthread_mutex_t lock;
    parcel *first, **end; /* others: to send */
};

static void note_failure(volt_reports *r, volt_status st)
{
    if (st == VOLT_OK || r->failure != VOLT_OK)
        return;
    r->failure = st;
    snprintf(r->sentence, sizeof r->sentence, "%s", volt_last_error());
}

/* ---- ranks other than 0 ---- */

static void enqueue(volt_reports *r, record_kind kind, volt_log_level level, const char *line)
{
    parcel *p = NULL;

    if (volt_alloc_zero(&p, 1, sizeof *p, "a report") != VOLT_OK)
        return; /* a line is lost; what lacks memory elsewhere fails */
    p->record = (record){.kind = (int32_t)kind, .level = (int32_t)level};
    snprintf(p->record.line, sizeof p->record.line, "%s", line);
    pthread_mutex_lock(&r->lock);
    p->record.done = r->done;
    p->record.total = r->total;
    *r->end = p;
    r->end = &p->next;
    pthread_mutex_unlock(&r->lock);
}

static parcel *front(volt_reports *r)
{
    parcel *p;

    pthread_mutex_lock(&r->lock);
    p = r->first;
    pthread_mutex_unlock(&r->lock);
    return p;
}

static void drop_front(volt_reports *r)
{
    parcel *p;

    pthread_mutex_lock(&r->lock);
    p = r->first;
    r->first = p->next;
    if (!r->first)
        r->end = &r->first;
    pthread_mutex_unlock(&r->lock);
    volt_free(p);
}

/* Sends what waits, one message after the other; with `all` until nothing is left. */
static volt_status send_reports(volt_reports *r, bool all)
{
    volt_comm *comm = r->sp->comm;
    volt_ticket *none = NULL;
    parcel *p;
    volt_status st = volt_comm_test(comm, &none);

    while (st == VOLT_OK && (p = front(r)) != NULL) {
        const volt_message m = {0, &p->record, sizeof p->record};
        if (!p->sent)
            st = volt_comm_start(&p->ticket, comm, &m, 1, NULL, 0, TAG_REPORT);
        p->sent = true;
        if (st == VOLT_OK && all)
            st = volt_comm_wait(comm, &p->ticket);
        else if (st == VOLT_OK && p->ticket)
            st = volt_comm_test(comm, &p->ticket);
        if (st == VOLT_OK && p->ticket)
            break;
        r->heard = volt_seconds();
        drop_front(r);
    }
    return st;
}

/* ---- rank 0 ---- */

static volt_status expect(volt_reports *r, int rank)
{
    peer *p = &r->peer[rank];
    const volt_message m = {rank, &p->record, sizeof p->record};

    return volt_comm_start(&p->ticket, r->sp->comm, NULL, 0, &m, 1, TAG_REPORT);
}

static void report_cases(const volt_reports *r)
{
    int64_t done = r->done, total = r->total;

    for (int i = 1; i < r->sp->ranks; i++) {
        done += r->peer[i].done;
        total += r->peer[i].total;
    }
    volt_report_progress(r->user, "cases", done, total);
}

static volt_status take(volt_reports *r, int rank)
{
    peer *p = &r->peer[rank];
    const bool news = p->record.done != p->done || p->record.total != p->total;

    r->heard = volt_seconds();
    p->done = p->record.done;
    p->total = p->record.total;
    if (p->record.kind == RECORD_LOG) {
        p->record.line[sizeof p->record.line - 1] = '\0';
        volt_report(r->user, (volt_log_level)p->record.level, "%s", p->record.line);
    }
    if (news)
        report_cases(r);
    return p->record.kind == RECORD_END ? VOLT_OK : expect(r, rank);
}

/* Takes what has come. *open: ranks that have not ended. */
static volt_status receive_reports(volt_reports *r, int *open)
{
    volt_ticket *none = NULL;
    volt_status st = volt_comm_test(r->sp->comm, &none);

    *open = 0;
    for (int i = 1; i < r->sp->ranks && st == VOLT_OK; i++) {
        peer *p = &r->peer[i];
        while (st == VOLT_OK && p->ticket) {
            st = volt_comm_test(r->sp->comm, &p->ticket);
            if (st != VOLT_OK || p->ticket)
                break;
            st = take(r, i);
        }
        *open += p->ticket != NULL;
    }
    return st;
}

static volt_status fail_stalled(const volt_reports *r)
{
    for (int i = 1; i < r->sp->ranks; i++) {
        if (r->peer[i].ticket)
            return volt_fail(VOLT_ETIMEOUT, "waited %d s for rank %d (%s)", STALL_S, i,
                             volt_comm_host(r->sp->comm, i));
    }
    return VOLT_OK;
}

/* Until the others have ended. */
static volt_status receive_all(volt_reports *r)
{
    const struct timespec pause = {0, 5000000};
    int open;
    volt_status st;

    for (;;) {
        VOLT_TRY(st, done, receive_reports(r, &open));
        if (open == 0)
            return VOLT_OK;
        VOLT_TRY(st, done, volt_check_cancelled(r->user));
        if (volt_seconds() - r->heard > STALL_S)
            VOLT_TRY(st, done, fail_stalled(r));
        nanosleep(&pause, NULL);
    }
done:
    return st;
}

/* ---- callbacks ---- */

static void move(volt_reports *r)
{
    int open;

    if (r->failure != VOLT_OK || !pthread_equal(pthread_self(), r->thread))
        return;
    if (r->sp->rank == 0) {
        note_failure(r, receive_reports(r, &open));
        return;
    }
    if (!front(r) && volt_seconds() - r->heard > TICK_S)
        enqueue(r, RECORD_TICK, VOLT_LOG_DETAIL, "");
    note_failure(r, send_reports(r, false));
}

static void on_progress(void *user, const char *what, int64_t done, int64_t total)
{
    volt_reports *r = user;

    if (strcmp(what, "cases") != 0) {
        if (r->sp->rank == 0)
            volt_report_progress(r->user, what, done, total);
        return;
    }
    pthread_mutex_lock(&r->lock);
    r->done = done;
    r->total = total;
    pthread_mutex_unlock(&r->lock);
    if (r->sp->rank == 0)
        report_cases(r);
    else
        enqueue(r, RECORD_CASES, VOLT_LOG_DETAIL, "");
}

static void on_log(void *user, volt_log_level level, const char *line)
{
    volt_reports *r = user;

    if (r->sp->rank == 0)
        volt_report(r->user, level, "%s", line);
    else
        enqueue(r, RECORD_LOG, level, line);
}

static bool is_cancelled(void *user)
{
    volt_reports *r = user;

    move(r);
    return r->failure != VOLT_OK || volt_is_cancelled(r->user);
}

/* ---- opening ---- */

static void free_reports(volt_reports *r)
{
    while (r->first)
        drop_front(r);
    pthread_mutex_destroy(&r->lock);
    volt_free(r->peer);
    volt_free(r);
}

volt_status volt_reports_open(volt_reports **out, const volt_spread *sp,
                              const volt_callbacks *cb)
{
    volt_reports *r = NULL;
    volt_status st = volt_alloc_zero(&r, 1, sizeof *r, "reports");

    if (st == VOLT_OK) {
        *r = (volt_reports){.sp = sp, .user = cb, .thread = pthread_self()};
        r->own = (volt_callbacks){
            .user = r, .progress = on_progress, .log = on_log, .cancelled = is_cancelled};
        r->heard = volt_seconds();
        r->end = &r->first;
        pthread_mutex_init(&r->lock, NULL);
    }
    if (st == VOLT_OK && sp->rank == 0)
        st = volt_alloc_zero(&r->peer, (size_t)sp->ranks, sizeof *r->peer, "reports");
    for (int i = 1; st == VOLT_OK && sp->rank == 0 && i < sp->ranks; i++)
        st = expect(r, i);
    if (st != VOLT_OK) {
        volt_comm_fail(sp->comm, st);
        if (r)
            st = volt_reports_close(&r, st);
        return st;
    }
    *out = r;
    return VOLT_OK;
}

const volt_callbacks *volt_reports_callbacks(const volt_reports *r)
{
    return &r->own;
}

/* Gives messages up after a failure, which ends them. */
static void drop_tickets(volt_reports *r)
{
    for (int i = 1; r->peer && i < r->sp->ranks; i++) {
        if (r->peer[i].ticket)
            (void)!volt_comm_wait(r->sp->comm, &r->peer[i].ticket);
    }
    for (parcel *p = r->first; p; p = p->next) {
        if (p->ticket)
            (void)!volt_comm_wait(r->sp->comm, &p->ticket);
    }
}

volt_status volt_reports_close(volt_reports **reports, volt_status st)
{
    volt_reports *r = *reports;
    char own[1024];

    snprintf(own, sizeof own, "%s", st == VOLT_OK ? "" : volt_last_error());
    if (st == VOLT_OK && r->failure == VOLT_OK) {
        if (r->sp->rank > 0)
            enqueue(r, RECORD_END, VOLT_LOG_DETAIL, "");
        note_failure(r, r->sp->rank > 0 ? send_reports(r, true) : receive_all(r));
    }
    /* What was cancelled because another rank failed has failed for that. */
    if (r->failure != VOLT_OK && (st == VOLT_OK || st == VOLT_ECANCELLED)) {
        st = r->failure;
        memcpy(own, r->sentence, sizeof own);
    }
    if (st != VOLT_OK) {
        volt_set_last_error(own);
        volt_comm_fail(r->sp->comm, st);
        drop_tickets(r);
        volt_set_last_error(own);
    }
    free_reports(r);
    *reports = NULL;
    return st;
}
