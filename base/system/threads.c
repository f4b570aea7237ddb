#define _GNU_SOURCE
#include "base/threads.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int volt_default_threads(void)
{
    cpu_set_t set;
    int count = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;

    return count > 0 ? count : 1;
}

int volt_threads_or_default(int asked)
{
    return asked <= 0                 ? volt_default_threads()
           : asked < VOLT_MAX_THREADS ? asked
                                      : VOLT_MAX_THREADS;
}

#if defined(__x86_64__)
static volt_isa machine_isa(void)
{
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq"))
        return VOLT_ISA_AVX512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return VOLT_ISA_AVX2;
    return VOLT_ISA_BASE;
}
#else
static volt_isa machine_isa(void)
{
    return VOLT_ISA_BASE;
}
#endif

volt_isa volt_cpu_isa(void)
{
    const char *lowered = getenv("VOLT_ISA");
    const volt_isa best = machine_isa();

    if (lowered && strcmp(lowered, "base") == 0)
        return VOLT_ISA_BASE;
    if (lowered && strcmp(lowered, "avx2") == 0 && best > VOLT_ISA_AVX2)
        return VOLT_ISA_AVX2;
    return best;
}

int volt_cpu_has_bf16(void)
{
#if defined(__x86_64__)
    return volt_cpu_isa() == VOLT_ISA_AVX512 && __builtin_cpu_supports("avx512bf16");
#else
    return 0;
#endif
}

static char cpu_name[128] = "unknown processor";

static void read_cpu_name(void)
{
    char line[256];
    FILE *f = fopen("/proc/cpuinfo", "r");

    while (f && fgets(line, sizeof line, f)) {
        const char *value = strchr(line, ':');
        if (strncmp(line, "model name", 10) == 0 && value) {
            snprintf(cpu_name, sizeof cpu_name, "%s", value + 1 + (value[1] == ' '));
            cpu_name[strcspn(cpu_name, "\n")] = '\0';
            break;
        }
    }
    if (f)
        fclose(f);
}

const char *volt_cpu_name(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, read_cpu_name);
    return cpu_name;
}
