/* machine.c - how much memory this process may use, and has used. */
#define _GNU_SOURCE
#include "base/mem.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* First number in `path` after `key` ("" = at its start); 0 when there is none. */
static size_t number_in(const char *path, const char *key)
{
    char line[256];
    size_t found = 0;
    FILE *f = fopen(path, "r");

    if (!f)
        return 0;
    while (found == 0 && fgets(line, sizeof line, f)) {
        if (strncmp(line, key, strlen(key)) == 0)
            found = strtoull(line + strlen(key), NULL, 10);
    }
    fclose(f);
    return found;
}

static size_t smaller(size_t limit, size_t other)
{
    return other && other < limit ? other : limit;
}

/* The smallest limit of a cgroup and those that contain it. */
static size_t cgroup_limit(size_t limit, const char *root, const char *group, const char *file)
{
    char path[4096], name[4096];

    snprintf(path, sizeof path, "%s", group);
    for (char *end = path + strlen(path); end; end = strrchr(path, '/')) {
        *end = '\0';
        if (snprintf(name, sizeof name, "%s%s/%s", root, path, file) < (int)sizeof name)
            limit = smaller(limit, number_in(name, ""));
    }
    return limit;
}

/* Those of both versions of cgroups: lines "4:memory:/GROUP" and "0::/GROUP". */
static size_t cgroup_limits(size_t limit)
{
    char line[4096];
    FILE *f = fopen("/proc/self/cgroup", "r");

    limit = cgroup_limit(limit, "/sys/fs/cgroup", "", "memory.max");
    while (f && fgets(line, sizeof line, f)) {
        char *controllers = strchr(line, ':'), *group;

        line[strcspn(line, "\n")] = '\0';
        group = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!group)
            continue;
        *group++ = '\0';
        if (controllers[1] == '\0')
            limit = cgroup_limit(limit, "/sys/fs/cgroup", group, "memory.max");
        else if (strstr(controllers, "memory"))
            limit =
                cgroup_limit(limit, "/sys/fs/cgroup/memory", group, "memory.limit_in_bytes");
    }
    if (f)
        fclose(f);
    return limit;
}

size_t volt_mem_machine(void)
{
    static const int resources[] = {RLIMIT_AS, RLIMIT_DATA};
    const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    size_t limit = pages > 0 && page > 0 ? (size_t)pages * (size_t)page : SIZE_MAX;

    limit = cgroup_limits(limit);
    for (int i = 0; i < 2; i++) {
        struct rlimit r;
        if (getrlimit((__rlimit_resource_t)resources[i], &r) == 0 &&
            r.rlim_cur != RLIM_INFINITY)
            limit = smaller(limit, (size_t)r.rlim_cur);
    }
    return limit == SIZE_MAX ? 0 : limit;
}

size_t volt_mem_process_peak(void)
{
    return number_in("/proc/self/status", "VmHWM:") * 1024;
}
