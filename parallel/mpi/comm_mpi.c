/* comm_mpi.c - VOLT's plug-in for MPI: the table of backend.h on MPI's messages.
 *
 * Built once for each MPI (libvolt-mpi.so for Open MPI, libvolt-mpich.so for MPICH) and loaded
 * at run time, so that libvolt needs neither. All calls of MPI are made under one lock, and
 * none blocks but those that start and end MPI.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <mpi.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "parallel/comm/backend.h"

/* A message under way, in pieces that MPI's counts can hold. */
typedef struct message {
    int pieces, done, peer;
    bool is_receive, misfit;
    size_t bytes, most, arrived; /* most: of one piece */
    MPI_Request *request;        /* `pieces` of them; `one` for one */
    MPI_Request one;
} message;

typedef struct mpi_state {
    pthread_mutex_t lock;
    size_t most; /* bytes of one piece */
    int rank;
    /* A message was given up, whose buffer MPI may still know: MPI must not be called, or it
     * would read or write memory that is not there any more. */
    bool stopped;
} mpi_state;

static mpi_state only; /* MPI starts once */

static volt_status say(char *why, int error, const char *what)
{
    char text[MPI_MAX_ERROR_STRING] = "";
    int length = 0;

    MPI_Error_string(error, text, &length);
    for (char *at = text; *at; at++)
        *at = (char)(*at == '\n' ? ' ' : *at);
    snprintf(why, VOLT_COMM_SENTENCE, "%s: %.400s", what, text);
    return VOLT_ECOMM;
}

/* ---- messages ---- */

static void free_message(message *m)
{
    if (m->request != &m->one)
        free(m->request);
    free(m);
}

static message *make_message(const mpi_state *s, int peer, size_t bytes, bool is_receive)
{
    message *m = calloc(1, sizeof *m);
    const size_t pieces = bytes > s->most ? (bytes + s->most - 1) / s->most : 1;

    if (!m)
        return NULL;
    m->request = pieces == 1 ? &m->one : calloc(pieces, sizeof *m->request);
    if (!m->request) {
        free(m);
        return NULL;
    }
    for (size_t i = 0; i < pieces; i++)
        m->request[i] = MPI_REQUEST_NULL;
    m->pieces = (int)pieces;
    m->peer = peer;
    m->bytes = bytes;
    m->most = s->most;
    m->is_receive = is_receive;
    return m;
}

static int piece_bytes(const message *m, int i)
{
    const size_t start = (size_t)i * m->most, left = m->bytes - start;

    return (int)(left < m->most ? left : m->most);
}

static volt_status post(mpi_state *s, void **handle, int peer, int key, void *at, size_t bytes,
                        bool is_receive, char *why)
{
    message *m = make_message(s, peer, bytes, is_receive);
    int error = MPI_SUCCESS;
    volt_status st = VOLT_OK;

    *handle = NULL;
    if (!m) {
        snprintf(why, VOLT_COMM_SENTENCE, "no memory for a message");
        return VOLT_ENOMEM;
    }
    pthread_mutex_lock(&s->lock);
    for (int i = 0; i < m->pieces && error == MPI_SUCCESS && !s->stopped; i++) {
        char *from = (char *)at + (size_t)i * m->most;
        error = is_receive ? MPI_Irecv(from, piece_bytes(m, i), MPI_BYTE, peer, key,
                                       MPI_COMM_WORLD, &m->request[i])
                           : MPI_Isend(from, piece_bytes(m, i), MPI_BYTE, peer, key,
                                       MPI_COMM_WORLD, &m->request[i]);
    }
    if (error != MPI_SUCCESS)
        st = say(why, error, is_receive ? "MPI_Irecv" : "MPI_Isend");
    pthread_mutex_unlock(&s->lock);
    *handle = m; /* also with some of its pieces */
    return st;
}

static volt_status mpi_send(void *state, void **handle, int peer, int key, const void *at,
                            size_t bytes, char *why)
{
    return post(state, handle, peer, key, (void *)(uintptr_t)at, bytes, false, why);
}

static volt_status mpi_receive(void *state, void **handle, int peer, int key, void *at,
                               size_t bytes, char *why)
{
    return post(state, handle, peer, key, at, bytes, true, why);
}

/* Whether piece `m->done` is done; counts what arrived. */
static int test_piece(message *m, int *flag)
{
    MPI_Status status;
    int count = 0;
    int error = MPI_Test(&m->request[m->done], flag, &status);

    if (error == MPI_SUCCESS && *flag && m->is_receive) {
        error = MPI_Get_count(&status, MPI_BYTE, &count);
        m->misfit = m->misfit || count != piece_bytes(m, m->done);
        m->arrived += (size_t)(count > 0 ? count : 0);
    }
    return error;
}

static volt_status mpi_test(void *state, void **handle, char *why)
{
    mpi_state *s = state;
    message *m = *handle;
    int error = MPI_SUCCESS, flag = 1;
    volt_status st = VOLT_OK;

    pthread_mutex_lock(&s->lock);
    while (!s->stopped && m->done < m->pieces && flag) {
        error = test_piece(m, &flag);
        m->done += error != MPI_SUCCESS || flag;
        if (error != MPI_SUCCESS || m->misfit)
            break;
    }
    if (error != MPI_SUCCESS) {
        int kind = 0;
        MPI_Error_class(error, &kind);
        st = say(why, error, m->is_receive ? "receiving" : "sending");
        m->misfit = kind == MPI_ERR_TRUNCATE;
    }
    pthread_mutex_unlock(&s->lock);
    if (m->misfit) {
        snprintf(why, VOLT_COMM_SENTENCE,
                 "rank %d sent %s bytes than rank %d expected, which is %zu bytes", m->peer,
                 m->arrived < m->bytes && error == MPI_SUCCESS ? "fewer" : "more", s->rank,
                 m->bytes);
        st = VOLT_EINTERNAL;
    }
    if (m->done < m->pieces)
        return st;
    free_message(m);
    *handle = NULL;
    return st;
}

static void mpi_drop(void *state, void **handle)
{
    mpi_state *s = state;
    message *m = *handle;
    int flag = 1;

    pthread_mutex_lock(&s->lock);
    for (; !s->stopped && m->done < m->pieces && flag; m->done += flag) {
        MPI_Request *r = &m->request[m->done];
        if (m->is_receive && *r != MPI_REQUEST_NULL)
            MPI_Cancel(r);
        flag = 0;
        for (int tries = 0; tries < 100 && !flag; tries++) {
            if (MPI_Test(r, &flag, MPI_STATUS_IGNORE) != MPI_SUCCESS)
                break;
        }
    }
    if (m->done < m->pieces)
        s->stopped = true; /* its requests are not freed: MPI keeps them */
    else
        free_message(m);
    pthread_mutex_unlock(&s->lock);
    *handle = NULL;
}

/* ---- waiting ---- */

static uint64_t mpi_epoch(void *state)
{
    (void)state;
    return 0;
}

/* First the next rank on this core gets its turn, then the core may rest. */
static void mpi_idle(void *state, uint64_t epoch, int round)
{
    struct timespec t = {0, round < 400 ? 20000 : round < 4000 ? 100000 : 500000};

    (void)state;
    (void)epoch;
    if (round < 200)
        sched_yield();
    else
        nanosleep(&t, NULL);
}

/* ---- the end ---- */

static void mpi_close(void *state, bool in_order)
{
    mpi_state *s = state;

    /* A rank that is gone would be waited for in MPI_Finalize. */
    pthread_mutex_lock(&s->lock);
    if (in_order && !s->stopped)
        MPI_Finalize();
    s->stopped = true;
    pthread_mutex_unlock(&s->lock);
}

/* Not cut short by signals, which a launcher sends to ranks that are to end. */
static void rest(long ms)
{
    struct timespec left = {ms / 1000, ms % 1000 * 1000000};

    while (nanosleep(&left, &left) != 0 && errno == EINTR)
        ;
}

static void *exit_late(void *code)
{
    rest(5000);
    _exit(*(int *)code);
}

/* What the launcher has not read from this process; 0 where `file` is no pipe. */
static int unread(int file)
{
    struct stat info;
    int bytes = 0;

    if (fstat(file, &info) != 0 || !S_ISFIFO(info.st_mode) || ioctl(file, FIONREAD, &bytes) < 0)
        return 0;
    return bytes;
}

/* A launcher that is told of an abort leaves pipes as they are: it gets time to read them
 * before, and to pass on what it has read. */
static void let_launcher_read(void)
{
    int left = 5;

    for (int i = 0; i < 200 && left > 0; i++) {
        if (unread(STDOUT_FILENO) + unread(STDERR_FILENO) == 0)
            left--;
        rest(10);
    }
}

static void mpi_abort(void *state, int exit_code)
{
    static int code;
    mpi_state *s = state;
    struct timespec until;
    pthread_t late;
    int finalized = 1;

    code = exit_code;
    let_launcher_read();
    if (pthread_create(&late, NULL, exit_late, &code) == 0) /* should MPI not end us */
        pthread_detach(late);
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 2;
    if (pthread_mutex_timedlock(&s->lock, &until) == 0 &&
        MPI_Finalized(&finalized) == MPI_SUCCESS && !finalized)
        MPI_Abort(MPI_COMM_WORLD, exit_code);
    _exit(exit_code);
}

/* ---- the start ---- */

static volt_status check_tags(char *why)
{
    int *largest = NULL, found = 0;

    MPI_Comm_get_attr(MPI_COMM_WORLD, MPI_TAG_UB, &largest, &found);
    if (found && *largest >= VOLT_COMM_KEY_MAX)
        return VOLT_OK;
    snprintf(why, VOLT_COMM_SENTENCE, "MPI's tags go to %d; VOLT needs %d",
             found ? *largest : 32767, VOLT_COMM_KEY_MAX);
    return VOLT_ENOTSUP;
}

/* "Open MPI v4.1.4, package: ..." -> "Open MPI v4.1.4"; the first line of MPICH's. */
static void name_library(char *out, size_t room)
{
    char text[MPI_MAX_LIBRARY_VERSION_STRING] = "";
    int length = 0, used = 0;

    MPI_Get_library_version(text, &length);
    for (const char *at = text; *at && *at != '\n' && *at != ',' && (size_t)used + 1 < room;
         at++) {
        if (*at == '\t' && used > 0 && out[used - 1] != ' ')
            out[used++] = ' ';
        else if (*at != '\t')
            out[used++] = *at == ':' ? ' ' : *at;
    }
    while (used > 0 && out[used - 1] == ' ')
        used--;
    out[used] = '\0';
    for (char *at; (at = strstr(out, "  ")) != NULL;)
        memmove(at, at + 1, strlen(at));
    if (strncmp(out, "MPICH Version ", 14) == 0)
        memmove(out + 6, out + 14, strlen(out + 14) + 1);
}

static const volt_backend table = {
    .abi = VOLT_COMM_ABI,
    .send = mpi_send,
    .receive = mpi_receive,
    .test = mpi_test,
    .drop = mpi_drop,
    .epoch = mpi_epoch,
    .idle = mpi_idle,
    .close = mpi_close,
    .abort = mpi_abort,
};

extern const int volt_plugin_abi __attribute__((visibility("default")));
const int volt_plugin_abi = VOLT_COMM_ABI;

volt_plugin_start_function volt_plugin_start __attribute__((visibility("default")));
volt_status volt_plugin_start(volt_backend *out, void **state, int *rank, int *size,
                              size_t most, char *why)
{
    int done = 0, level = 0, error;
    volt_status st;

    MPI_Initialized(&done);
    if (done) {
        snprintf(why, VOLT_COMM_SENTENCE, "MPI was started already");
        return VOLT_EINVAL;
    }
    error = MPI_Init_thread(NULL, NULL, MPI_THREAD_SERIALIZED, &level);
    if (error != MPI_SUCCESS)
        return say(why, error, "MPI_Init_thread");
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    MPI_Comm_set_errhandler(MPI_COMM_SELF, MPI_ERRORS_RETURN);
    if (level < MPI_THREAD_SERIALIZED) {
        snprintf(why, VOLT_COMM_SENTENCE, "this MPI was built without threads");
        return VOLT_ENOTSUP;
    }
    if ((st = check_tags(why)) != VOLT_OK)
        return st;
    if ((error = MPI_Comm_rank(MPI_COMM_WORLD, rank)) != MPI_SUCCESS ||
        (error = MPI_Comm_size(MPI_COMM_WORLD, size)) != MPI_SUCCESS)
        return say(why, error, "MPI_COMM_WORLD");
    pthread_mutex_init(&only.lock, NULL);
    only.most = most;
    only.rank = *rank;
    *out = table;
    name_library(out->library, sizeof out->library);
    *state = &only;
    return VOLT_OK;
}
