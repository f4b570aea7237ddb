#define _GNU_SOURCE
#include "parallel/comm/reporter.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Between rank 0 and its child. */
struct volt_reporter {
    int over; /* atomic */
};

/* ---- the child; it has one thread, and memory of another process ---- */

/* Launchers wait until the last one has closed what they gave. */
static void close_all_but_messages(void)
{
    const long most = sysconf(_SC_OPEN_MAX);

    for (int fd = 0; fd < (most > 0 && most < 65536 ? most : 65536); fd++) {
        if (fd != STDERR_FILENO)
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

static void report(const volt_reporter *r, const volt_world *w, const volt_process *process,
                   volt_comm_lost *lost, void *user)
{
    const int queue = epoll_create1(EPOLL_CLOEXEC);
    char name[VOLT_COMM_HOST_NAME + 32], sentence[VOLT_COMM_SENTENCE];
    int first = -1, ended = 0;

    for (int i = 0; i < w->size; i++) {
        struct epoll_event event = {.events = EPOLLIN | EPOLLONESHOT, .data.u32 = (uint32_t)i};
        const int fd = (int)syscall(SYS_pidfd_open, (pid_t)process[i].pid, 0);
        if (fd < 0 && errno == ESRCH) { /* it has ended already */
            first = first < 0 ? i : first;
            ended++;
        } else if (fd < 0 || epoll_ctl(queue, EPOLL_CTL_ADD, fd, &event) != 0) {
            return; /* no such kernel */
        }
    }
    if (first < 0) {
        first = next_ended(queue, -1);
        ended = 1;
    }
    /* Ranks that live tell it themselves; the launcher may take a while to kill them. */
    for (int tries = 0; first >= 0 && ended < w->size && tries < 60 + w->size; tries++)
        ended += next_ended(queue, 50) >= 0;
    if (first < 0 || ended < w->size || __atomic_load_n(&r->over, __ATOMIC_SEQ_CST))
        return;
    volt_world_name(name, sizeof name, w, first);
    snprintf(sentence, sizeof sentence, "%s is missing: its process %ld has ended", name,
             process[first].pid);
    lost(user, VOLT_EPEER, sentence);
}

/* ---- rank 0 ---- */

static bool is_needed(const volt_world *w, const volt_process *process)
{
    if (w->rank != 0 || strncmp(w->backend->library, "MPICH", 5) != 0)
        return false;
    for (int i = 1; i < w->size; i++) {
        if (process[i].machine != process[0].machine)
            return false;
    }
    return true;
}

void volt_reporter_start(volt_reporter **out, const volt_world *w, const volt_process *process,
                         volt_comm_lost *lost, void *user)
{
    volt_reporter *r;
    pid_t child;

    *out = NULL;
    if (!is_needed(w, process))
        return;
    r = mmap(NULL, sizeof *r, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (r == MAP_FAILED)
        return;
    child = fork();
    if (child == 0) { /* its own child is nobody's, and in no group that is killed */
        if (setsid() < 0 || fork() != 0)
            _exit(0);
        (void)prctl(PR_SET_NAME, "volt-reporter");
        signal(SIGTERM, SIG_IGN);
        signal(SIGPIPE, SIG_IGN);
        close_all_but_messages();
        report(r, w, process, lost, user);
        _exit(0);
    }
    while (child > 0 && waitpid(child, NULL, 0) < 0 && errno == EINTR)
        ;
    if (child > 0)
        *out = r;
    else
        munmap(r, sizeof *r);
}

void volt_reporter_stop(volt_reporter *r)
{
    if (r)
        __atomic_store_n(&r->over, 1, __ATOMIC_SEQ_CST);
}
