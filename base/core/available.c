#define _GNU_SOURCE
#include "base/core/available.h"
#include "base/core/alloc.h"
#include "base/core/checked.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* First number in the file after `key` ("" = at its start); false if there is none. */
static bool number_in(size_t *out, const char *path, const char *key)
{
    char line[256], *end;
    bool found = false;
    FILE *f = fopen(path, "re");

    if (!f)
        return false;
    while (!found && fgets(line, sizeof line, f)) {
        if (strncmp(line, key, strlen(key)) == 0) {
            const unsigned long long v = strtoull(line + strlen(key), &end, 10);
            found = end > line + strlen(key);
            if (found)
                *out = v < SIZE_MAX ? (size_t)v : SIZE_MAX;
        }
    }
    fclose(f);
    return found;
}

/* ---- control groups ---- */

/* The names of the files of one version of control groups. */
typedef struct cgroup_files {
    const char *mount, *limit, *usage, *cache; /* cache: key in memory.stat */
} cgroup_files;

static const cgroup_files version_1 = {"memory", "memory.limit_in_bytes",
                                       "memory.usage_in_bytes", "total_inactive_file "};
static const cgroup_files version_2 = {"", "memory.max", "memory.current", "inactive_file "};

static bool number_of(size_t *out, const char *folder, const char *name, const char *key)
{
    char path[PATH_MAX];
    const int n = snprintf(path, sizeof path, "%s/%s", folder, name);

    return n > 0 && (size_t)n < sizeof path && number_in(out, path, key);
}

/* Lowers *limit and *left to what the group in `folder` has. */
static void look_at_group(const cgroup_files *f, const char *folder, size_t *limit,
                          size_t *left)
{
    size_t most, used = 0, cache = 0;

    if (!number_of(&most, folder, f->limit, "")) /* no such file, or "max" */
        return;
    (void)number_of(&used, folder, f->usage, "");
    (void)number_of(&cache, folder, "memory.stat", f->cache);
    used -= volt_min_size(cache, used); /* the kernel gives back what it merely caches */
    *limit = volt_min_size(*limit, most);
    *left = volt_min_size(*left, most - volt_min_size(used, most));
}

/* The group at `path` below the mount and all groups above it. */
static void look_at_groups(const cgroup_files *f, const char *root, const char *path,
                           size_t *limit, size_t *left)
{
    char folder[PATH_MAX];
    const int n = snprintf(folder, sizeof folder, "%s/%s", root, f->mount);
    char *end, *top;

    if (n < 0 || (size_t)n >= sizeof folder)
        return;
    top = folder + n;
    if (strstr(path, "..") == NULL && strlen(path) < sizeof folder - (size_t)n)
        strcpy(top, path);
    look_at_group(f, folder, limit, left);
    while ((end = strrchr(top, '/')) != NULL) {
        *end = '\0';
        look_at_group(f, folder, limit, left);
    }
}

void volt_cgroup_memory(const char *groups, const char *root, size_t *limit, size_t *left)
{
    char line[PATH_MAX];
    FILE *f = fopen(groups, "re");

    *limit = *left = SIZE_MAX;
    while (f && fgets(line, sizeof line, f)) { /* number:controllers:path */
        char *controllers = strchr(line, ':'), *path;
        line[strcspn(line, "\n")] = '\0';
        if (!controllers || !(path = strchr(controllers + 1, ':')))
            continue;
        *path++ = '\0';
        if (controllers[1] == '\0')
            look_at_groups(&version_2, root, path, limit, left);
        else if (strcmp(controllers + 1, "memory") == 0)
            look_at_groups(&version_1, root, path, limit, left);
    }
    if (f)
        fclose(f);
}

/* ---- this process ---- */

/* What a limit of the process leaves when it uses `used` bytes. */
static size_t limit_left(__rlimit_resource_t which, size_t used)
{
    struct rlimit r;

    if (getrlimit(which, &r) != 0 || r.rlim_cur == RLIM_INFINITY)
        return SIZE_MAX;
    return (size_t)r.rlim_cur - volt_min_size(used, (size_t)r.rlim_cur);
}

static size_t physical(void)
{
    const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);

    return pages > 0 && page > 0 ? (size_t)pages * (size_t)page : SIZE_MAX;
}

size_t volt_mem_machine(void)
{
    size_t limit, left;

    volt_cgroup_memory("/proc/self/cgroup", "/sys/fs/cgroup", &limit, &left);
    limit = volt_min_size(limit, physical());
    limit = volt_min_size(limit, limit_left(RLIMIT_AS, 0));
    limit = volt_min_size(limit, limit_left(RLIMIT_DATA, 0));
    return limit == SIZE_MAX ? 0 : limit;
}

size_t volt_mem_available(void)
{
    size_t kib, limit, left;

    volt_cgroup_memory("/proc/self/cgroup", "/sys/fs/cgroup", &limit, &left);
    if (number_in(&kib, "/proc/meminfo", "MemAvailable:") && kib < SIZE_MAX / 1024)
        left = volt_min_size(left, kib * 1024);
    else
        left = volt_min_size(left, physical());
    kib = 0;
    (void)number_in(&kib, "/proc/self/status", "VmSize:");
    left = volt_min_size(left, limit_left(RLIMIT_AS, kib * 1024));
    kib = 0;
    (void)number_in(&kib, "/proc/self/status", "VmData:");
    return volt_min_size(left, limit_left(RLIMIT_DATA, kib * 1024));
}

size_t volt_mem_process_peak(void)
{
    size_t kib = 0;

    (void)number_in(&kib, "/proc/self/status", "VmHWM:");
    return kib * 1024;
}

const char *volt_mem_words(char out[VOLT_MEM_WORDS], size_t bytes)
{
    const double mib = (double)bytes / (1 << 20);

    if (mib < 1000)
        snprintf(out, VOLT_MEM_WORDS, "%.*f MiB", mib < 10 ? 1 : 0, mib);
    else
        snprintf(out, VOLT_MEM_WORDS, "%.1f GiB", mib / 1024);
    return out;
}

volt_status volt_mem_check(size_t bytes, const char *what)
{
    const size_t left = volt_mem_available();
    char needed[VOLT_MEM_WORDS], there[VOLT_MEM_WORDS];

    if (bytes <= left)
        return VOLT_OK;
    return volt_fail(VOLT_ENOMEM, "%s: this needs %s of memory, but only %s is available", what,
                     volt_mem_words(needed, bytes), volt_mem_words(there, left));
}
