#define _GNU_SOURCE
#include "parallel/comm/reporter.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "base/core/alloc.h"

/* Between rank 0 and its child. */
struct volt_reporter {
    int over; /* atomic */
};

/* What the child has. */
typedef struct watch {
    int queue; /* of epoll; -1: none */
    int *end;  /* the read end of each rank's pipe; -1: the rank has ended already; owned */
    int size;
} watch;

/* ---- the child; it has one thread, and memory of another process ---- */

/* Launchers wait until the last one has closed what they gave. */
static void close_others(const watch *s)
{
    const long most = sysconf(_SC_OPEN_MAX);

    for (int fd = 0; fd < (most > 0 && most < 65536 ? most : 65536); fd++) {
        bool own = fd == STDERR_FILENO || fd == s->queue;
        for (int i = 0; i < s->size && !own; i++)
            own = fd == s->end[i];
        if (!own)
            close(fd);
    }
}

/* The ranks whose processes end, in the order in which they do; -1: none within `ms`. */
static int next_ended(int queue, int ms)
{
    struct epoll_event event;
    int got;

    do
        got = epoll_wait(queue, &event, 1, ms);
    while (got < 0 && errno == EINTR);
    return got == 1 ? (int)event.data.u32 : -1;
}

static void report(const volt_reporter *r, const watch *s, const volt_world *w,
                   const volt_peer *peer, volt_comm_lost *lost, void *user)
{
    char name[VOLT_COMM_HOST_NAME + 32], sentence[VOLT_COMM_SENTENCE];
    int first = -1, ended = 0;

    for (int i = 0; i < s->size; i++) {
        if (s->end[i] < 0) {
            first = first < 0 ? i : first;
            ended++;
        }
    }
    if (first < 0) {
        first = next_ended(s->queue, -1);
        ended = 1;
    }
    /* Ranks that live tell it themselves; the launcher may take a while to kill them. */
    for (int tries = 0; first >= 0 && ended < s->size && tries < 60 + s->size; tries++)
        ended += next_ended(s->queue, 50) >= 0;
    if (first < 0 || ended < s->size || __atomic_load_n(&r->over, __ATOMIC_SEQ_CST))
        return;
    volt_world_name(name, sizeof name, w, first);
    snprintf(sentence, sizeof sentence, "%s is missing: its process %ld has ended", name,
             peer[first].process.pid);
    lost(user, VOLT_EPEER, sentence);
}

/* ---- rank 0 ---- */

static bool is_needed(const volt_world *w, const volt_peer *peer)
{
    if (w->rank != 0 || strncmp(w->backend->library, "MPICH", 5) != 0)
        return false;
    for (int i = 1; i < w->size; i++) {
        if (peer[i].process.machine != peer[0].process.machine)
            return false;
    }
    return true;
}

static void close_watch(watch *s)
{
    for (int i = 0; s->end && i < s->size; i++) {
        if (s->end[i] >= 0)
            close(s->end[i]);
    }
    if (s->queue >= 0)
        close(s->queue);
    volt_free(s->end);
}

/* Before any rank goes on, so that none ends unseen. False: the system has no means for it. */
static bool open_watch(watch *s, const volt_world *w, const volt_peer *peer)
{
    char path[64];

    *s = (watch){.queue = epoll_create1(EPOLL_CLOEXEC)};
    if (s->queue < 0 ||
        volt_alloc(&s->end, (size_t)w->size * sizeof *s->end, "ranks") != VOLT_OK)
        return false;
    for (int i = 0; i < w->size; i++) {
        struct epoll_event event = {.events = EPOLLONESHOT, .data.u32 = (uint32_t)i}; /* HUP */
        snprintf(path, sizeof path, "/proc/%ld/fd/%d", peer[i].process.pid, peer[i].pipe);
        s->end[i] = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        s->size = i + 1;
        if (s->end[i] < 0 &&
            (errno != ENOENT || volt_process_look_up(&peer[i].process) != VOLT_PROCESS_ENDED))
            return false;
        if (s->end[i] >= 0 && epoll_ctl(s->queue, EPOLL_CTL_ADD, s->end[i], &event) != 0)
            return false;
    }
    return true;
}

static pid_t fork_child(const volt_reporter *r, const watch *s, const volt_world *w,
                        const volt_peer *peer, volt_comm_lost *lost, void *user)
{
    const pid_t child = fork();

    if (child == 0) { /* its own child is nobody's, and in no group that is killed */
        if (setsid() < 0 || fork() != 0)
            _exit(0);
        (void)prctl(PR_SET_NAME, "volt-reporter");
        signal(SIGTERM, SIG_IGN);
        signal(SIGPIPE, SIG_IGN);
        close_others(s);
        report(r, s, w, peer, lost, user);
        _exit(0);
    }
    while (child > 0 && waitpid(child, NULL, 0) < 0 && errno == EINTR)
        ;
    return child;
}

void volt_reporter_start(volt_reporter **out, const volt_world *w, const volt_peer *peer,
                         volt_comm_lost *lost, void *user)
{
    volt_reporter *r;
    watch s;

    *out = NULL;
    if (!is_needed(w, peer))
        return;
    r = mmap(NULL, sizeof *r, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (r == MAP_FAILED)
        return;
    if (open_watch(&s, w, peer) && fork_child(r, &s, w, peer, lost, user) > 0)
        *out = r;
    else
        munmap(r, sizeof *r);
    close_watch(&s);
}

void volt_reporter_stop(volt_reporter *r)
{
    if (r)
        __atomic_store_n(&r->over, 1, __ATOMIC_SEQ_CST);
}
