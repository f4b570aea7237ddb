#define _GNU_SOURCE
#include "parallel/comm/reporter.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

static int count_ended(struct pollfd *p, int count, int ms)
{
    int ended = 0;

    (void)poll(p, (nfds_t)count, ms);
    for (int i = 0; i < count; i++)
        ended += (p[i].revents & (POLLIN | POLLHUP | POLLERR)) != 0;
    return ended;
}

static void report(const volt_reporter *r, const volt_world *w, const volt_process *process,
                   struct pollfd *p, volt_comm_lost *lost, void *user)
{
    char name[VOLT_COMM_HOST_NAME + 32], sentence[VOLT_COMM_SENTENCE];
    int first = 0;

    for (int i = 0; i < w->size; i++) {
        p[i] = (struct pollfd){.fd = (int)syscall(SYS_pidfd_open, (pid_t)process[i].pid, 0),
                               .events = POLLIN};
        if (p[i].fd < 0)
            return; /* too late, or no such kernel */
    }
    while (count_ended(p, w->size, -1) == 0)
        ;
    while (p[first].revents == 0)
        first++;
    (void)poll(NULL, 0, 100);
    /* Ranks that live tell it themselves. */
    if (__atomic_load_n(&r->over, __ATOMIC_SEQ_CST) || count_ended(p, w->size, 0) < w->size)
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
    struct pollfd *p;
    pid_t child;

    *out = NULL;
    if (!is_needed(w, process))
        return;
    r = mmap(NULL, sizeof *r, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (r == MAP_FAILED)
        return;
    p = calloc((size_t)w->size, sizeof *p);
    child = p ? fork() : -1;
    if (child == 0) { /* its own child is nobody's, and in no group that is killed */
        if (setsid() < 0 || fork() != 0)
            _exit(0);
        (void)prctl(PR_SET_NAME, "volt-reporter");
        signal(SIGTERM, SIG_IGN);
        signal(SIGPIPE, SIG_IGN);
        close_all_but_messages();
        report(r, w, process, p, lost, user);
        _exit(0);
    }
    if (child > 0)
        waitpid(child, NULL, 0);
    free(p);
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
