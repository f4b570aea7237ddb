#define _GNU_SOURCE
#include "base/core/reserve.h"

#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#define LOOK_BYTES   ((size_t)1 << 20)  /* of blocks since the last look */
#define COMMON_BYTES ((size_t)64 << 20) /* code, tables and small blocks of the libraries */
#define STACK_BYTES  ((size_t)8 << 20)  /* of a thread that is still to be started */
#define MOST_STACKS  32

static atomic_size_t unseen;

static bool is_limited(int resource)
{
    struct rlimit limit;

    return getrlimit((__rlimit_resource_t)resource, &limit) == 0 &&
           limit.rlim_cur != RLIM_INFINITY;
}

/* Whether libraries can still get what they may need. */
static bool is_there(void)
{
    long stacks;
    size_t reserve;
    void *probe;

    if (!is_limited(RLIMIT_AS) && !is_limited(RLIMIT_DATA))
        return true;
    stacks = sysconf(_SC_NPROCESSORS_ONLN);
    reserve =
        COMMON_BYTES + STACK_BYTES * (size_t)(stacks < MOST_STACKS ? stacks : MOST_STACKS);
    probe = mmap(NULL, reserve, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (probe == MAP_FAILED)
        return false;
    munmap(probe, reserve);
    return true;
}

bool volt_reserve_stays(size_t bytes)
{
    if (atomic_fetch_add(&unseen, bytes) + bytes < LOOK_BYTES)
        return true;
    atomic_store(&unseen, 0);
    return is_there();
}

volt_status volt_reserve_check(const char *what)
{
    atomic_store(&unseen, 0);
    if (is_there())
        return VOLT_OK;
    return volt_fail(VOLT_ENOMEM,
                     "no memory for %s: the process is close to its limit of "
                     "memory",
                     what);
}
