/* map.c - mapped files, and what happens when one shrinks.
 *
 * Reading a page of a mapped file that is no longer there raises SIGBUS. The first map installs
 * a handler for it: a fault inside a map puts zeros in the place of the missing pages and marks
 * the map, and volt_map_check() reports it. Faults elsewhere go to whoever handled them before.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/system/file.h"
#include "base/system/open_regular.h"

/* An entry of the list that the handler walks. Entries are used again, never freed. */
typedef struct entry {
    _Atomic(uintptr_t) start; /* 0: free */
    _Atomic(size_t) bytes;
    atomic_bool broken;
    dev_t device;
    ino_t number; /* of the file */
    struct entry *next;
} entry;

static _Atomic(entry *) entries;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of changes to the list */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct sigaction before;
static uintptr_t page_bytes;

static entry *find(uintptr_t at)
{
    for (entry *e = atomic_load(&entries); e; e = e->next) {
        const uintptr_t start = atomic_load(&e->start);
        if (start && at >= start && at - start < atomic_load(&e->bytes))
            return e;
    }
    return NULL;
}

/* Zeros from the faulting page to the end of the map: nothing behind it is there either. */
static bool replace(entry *e, uintptr_t at)
{
    const uintptr_t page = at / page_bytes * page_bytes;
    const uintptr_t end = atomic_load(&e->start) + atomic_load(&e->bytes);

    atomic_store(&e->broken, true);
    return mmap((void *)page, end - page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
                -1, 0) != MAP_FAILED;
}

static void on_fault(int number, siginfo_t *info, void *context)
{
    const int why = errno;
    entry *e = find((uintptr_t)info->si_addr);

    if (e && replace(e, (uintptr_t)info->si_addr)) {
        errno = why;
        return;
    }
    if (before.sa_flags & SA_SIGINFO) {
        before.sa_sigaction(number, info, context);
    } else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) {
        before.sa_handler(number);
    } else {
        const struct sigaction usual = {.sa_handler = SIG_DFL};
        sigaction(SIGBUS, &usual, NULL); /* the read faults again and ends the program */
    }
    errno = why;
}

static void install(void)
{
    struct sigaction action = {.sa_flags = SA_SIGINFO | SA_RESTART};

    page_bytes = (uintptr_t)sysconf(_SC_PAGESIZE);
    action.sa_sigaction = on_fault;
    sigemptyset(&action.sa_mask);
    sigaction(SIGBUS, &action, &before);
}

static volt_status add_entry(const volt_map *map, int fd, const char *path)
{
    struct stat info = {0};
    entry *e;

    (void)fstat(fd, &info);
    pthread_mutex_lock(&lock);
    for (e = atomic_load(&entries); e && atomic_load(&e->start); e = e->next)
        ;
    if (!e) {
        e = calloc(1, sizeof *e);
        if (!e) {
            pthread_mutex_unlock(&lock);
            return volt_fail(VOLT_ENOMEM, "cannot map %s: out of memory", path);
        }
        e->next = atomic_load(&entries);
        atomic_store(&entries, e);
    }
    atomic_store(&e->broken, false);
    e->device = info.st_dev;
    e->number = info.st_ino;
    atomic_store(&e->bytes, map->bytes);
    atomic_store(&e->start, (uintptr_t)map->data);
    pthread_mutex_unlock(&lock);
    return VOLT_OK;
}

volt_status volt_map_open(volt_map *out, const char *path)
{
    volt_map map = {0};
    void *view;
    int fd = -1;
    volt_status st = volt_open_regular(&fd, &map.bytes, path);

    if (st != VOLT_OK)
        return st;
    (void)pthread_once(&once, install);
    view = map.bytes ? mmap(NULL, map.bytes, PROT_READ, MAP_PRIVATE, fd, 0) : NULL;
    if (view == MAP_FAILED) {
        st = volt_fail(errno == ENOMEM ? VOLT_ENOMEM : VOLT_EIO, "cannot map %s: %s", path,
                       strerror(errno));
    } else if (view) {
        map.data = view;
        st = add_entry(&map, fd, path);
        if (st != VOLT_OK)
            munmap(view, map.bytes);
    }
    close(fd);
    if (st == VOLT_OK)
        *out = map;
    return st;
}

/* The rest of a page whose file ends within it reads as zeros, without a fault. */
static bool is_shorter(const entry *e, const char *path)
{
    struct stat info;

    return stat(path, &info) == 0 && info.st_dev == e->device && info.st_ino == e->number &&
           (uint64_t)info.st_size < atomic_load(&e->bytes);
}

volt_status volt_map_check(const void *data, const char *path)
{
    const entry *e = data ? find((uintptr_t)data) : NULL;

    if (e && (atomic_load(&e->broken) || is_shorter(e, path)))
        return volt_fail(VOLT_EIO,
                         "%s became shorter, or could not be read, while it was in use", path);
    return VOLT_OK;
}

void volt_map_dontneed(const void *from, size_t bytes)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), at = (uintptr_t)from;
    const uintptr_t first = (at + page - 1) / page * page, end = (at + bytes) / page * page;

    if (first < end)
        (void)madvise((void *)first, end - first,
                      MADV_DONTNEED); /* advice only: failure is harmless */
}

void volt_map_close(volt_map *map)
{
    entry *e = map->data ? find((uintptr_t)map->data) : NULL;

    if (e) {
        pthread_mutex_lock(&lock);
        atomic_store(&e->start, 0);
        pthread_mutex_unlock(&lock);
    }
    if (map->data)
        munmap((void *)map->data, map->bytes);
    *map = (volt_map){0};
}
