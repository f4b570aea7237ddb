#define _GNU_SOURCE
#include "base/system/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void mix(uint32_t *hash, const char *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        *hash = (*hash ^ (unsigned char)bytes[i]) * 16777619u; /* FNV-1a */
}

/* Reads up to `room` - 1 bytes of a small file; its text is empty when there is none. No stdio:
 * this also works when memory is short. */
static void read_small(char *text, size_t room, const char *path)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    const ssize_t got = fd >= 0 ? read(fd, text, room - 1) : 0;

    text[got > 0 ? got : 0] = '\0';
    if (fd >= 0)
        close(fd);
}

static uint32_t this_machine(void)
{
    char text[256] = "";
    uint32_t hash = 2166136261u;
    ssize_t bytes;

    if (gethostname(text, sizeof text - 1) == 0)
        mix(&hash, text, strlen(text));
    read_small(text, sizeof text, "/proc/sys/kernel/random/boot_id");
    mix(&hash, text, strlen(text));
    bytes = readlink("/proc/self/ns/pid", text, sizeof text);
    if (bytes > 0)
        mix(&hash, text, (size_t)bytes);
    return hash;
}

/* When process `pid` started; 0 when there is none, or /proc is not there. */
static uint64_t start_of(long pid)
{
    char path[64], text[1024];
    const char *at;

    snprintf(path, sizeof path, "/proc/%ld/stat", pid);
    read_small(text, sizeof text, path);
    at = strrchr(text, ')'); /* the name before it may hold anything */
    for (int field = 2; at && field < 22; field++) {
        at = strchr(at, ' ');
        at = at ? at + 1 : NULL;
    }
    return at ? strtoull(at, NULL, 10) : 0;
}

volt_process volt_process_self(void)
{
    const long pid = getpid();

    return (volt_process){this_machine(), pid, start_of(pid)};
}

double volt_process_age(void)
{
    const double ticks = (double)sysconf(_SC_CLK_TCK);
    const uint64_t started = start_of(getpid());
    struct timespec now;

    clock_gettime(CLOCK_BOOTTIME, &now);
    /* The start is known to the tick; this takes its end. */
    return started
               ? (double)now.tv_sec + 1e-9 * (double)now.tv_nsec - ((double)started + 1) / ticks
               : 0;
}

volt_process_state volt_process_look_up(const volt_process *p)
{
    uint64_t started;

    if (p->machine != this_machine())
        return VOLT_PROCESS_ELSEWHERE;
    if (p->pid <= 0 || (kill((pid_t)p->pid, 0) != 0 && errno == ESRCH))
        return VOLT_PROCESS_ENDED;
    started = start_of(p->pid);
    return started && p->started && started != p->started ? VOLT_PROCESS_ENDED
                                                          : VOLT_PROCESS_LIVES;
}
