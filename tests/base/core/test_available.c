/* Memory that is available: limits of the process and of control groups, and the sentence that
 * compares it with what is needed. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/core/alloc.h"
#include "base/core/available.h"
#include "tests/kit/test.h"

#define MIB ((size_t)1 << 20)

static size_t mapped(void)
{
    size_t pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");

    assert_non_null(f);
    assert_int_equal(fscanf(f, "%zu", &pages), 1);
    fclose(f);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* In a child with `mib` left below a limit: its exit status is 0 if `check` returns true. */
static void under_limit(__rlimit_resource_t which, size_t mib, bool (*check)(void))
{
    int status = 0;
    const pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        const struct rlimit r = {mapped() + mib * MIB, mapped() + mib * MIB};
        _exit(setrlimit(which, &r) == 0 && check() ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static bool begins(const char *words)
{
    return strncmp(volt_last_error(), words, strlen(words)) == 0;
}

static bool refuses_beyond_300_mib(void)
{
    const size_t left = volt_mem_available();
    void *block = NULL;

    if (left > 300 * MIB || left < 200 * MIB)
        return false;
    if (volt_mem_check(100 * MIB, "a step") != VOLT_OK)
        return false;
    if (volt_mem_check(5000 * MIB, "a step") != VOLT_ENOMEM ||
        !begins("a step: this needs 4.9 GiB of memory, but only ") ||
        strstr(volt_last_error(), " MiB is available") == NULL)
        return false;
    if (volt_alloc(&block, 400 * MIB, "a block") != VOLT_ENOMEM || block ||
        !begins("a block: this needs 400 MiB of memory, but only "))
        return false;
    if (volt_alloc(&block, 100 * MIB, "a block") != VOLT_OK)
        return false;
    return volt_mem_available() < left - 90 * MIB;
}

static void limit_of_address_space(void **state)
{
    (void)state;
#if defined(__SANITIZE_ADDRESS__)
    skip_because("AddressSanitizer maps terabytes");
#endif
    under_limit(RLIMIT_AS, 300, refuses_beyond_300_mib);
}

static bool never_more_than_the_machine(void)
{
    return volt_mem_available() <= volt_mem_machine();
}

static void limit_of_the_machine(void **state)
{
    void *block = NULL;

    (void)state;
    assert_true(never_more_than_the_machine());
    assert_true(volt_mem_available() > MIB);
    /* The kernel would grant this, and kill whoever fills it. */
    assert_fails(volt_alloc(&block, volt_mem_machine() + MIB, "a block"), VOLT_ENOMEM,
                 "a block: this needs ");
    assert_null(block);
}

static void put(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void control_groups(void **state)
{
    size_t limit, left;

    (void)state;
    mkdir("cg", 0777);
    mkdir("cg/outer", 0777);
    mkdir("cg/outer/inner", 0777);
    mkdir("cg/memory", 0777);
    mkdir("cg/memory/job", 0777);

    /* Version 2: the tightest of the group and those above it; caches count as free. */
    put("groups", "0::/outer/inner\n");
    put("cg/outer/inner/memory.max", "max\n");
    put("cg/outer/memory.max", "1000000\n");
    put("cg/outer/memory.current", "700000\n");
    put("cg/outer/memory.stat", "anon 500000\nfile 200000\ninactive_file 150000\n");
    volt_cgroup_memory("groups", "cg", &limit, &left);
    assert_int_equal(limit, 1000000);
    assert_int_equal(left, 450000);
    put("cg/outer/inner/memory.max", "600000\n");
    put("cg/outer/inner/memory.current", "590000\n");
    volt_cgroup_memory("groups", "cg", &limit, &left);
    assert_int_equal(limit, 600000);
    assert_int_equal(left, 10000);
    put("cg/outer/inner/memory.current", "900000\n"); /* the limit was lowered later */
    volt_cgroup_memory("groups", "cg", &limit, &left);
    assert_int_equal(left, 0);

    /* Version 1; a path of another name space leads to the mount itself. */
    put("groups", "5:cpu:/x\n4:memory:/job\n0::/\n");
    put("cg/memory/job/memory.limit_in_bytes", "9223372036854771712\n");
    put("cg/memory/memory.limit_in_bytes", "5000\n");
    put("cg/memory/memory.usage_in_bytes", "3000\n");
    put("cg/memory/memory.stat", "inactive_file 1\ntotal_inactive_file 500\n");
    volt_cgroup_memory("groups", "cg", &limit, &left);
    assert_int_equal(limit, 5000);
    assert_int_equal(left, 2500);
    put("groups", "4:memory:/../../else\n");
    volt_cgroup_memory("groups", "cg", &limit, &left);
    assert_int_equal(left, 2500);

    put("groups", "nonsense\n::\n");
    volt_cgroup_memory("groups", "cg", &limit, &left);
    assert_true(limit == SIZE_MAX && left == SIZE_MAX);
    volt_cgroup_memory("no such file", "cg", &limit, &left);
    assert_true(limit == SIZE_MAX && left == SIZE_MAX);
}

static void words(void **state)
{
    char text[VOLT_MEM_WORDS];

    (void)state;
    assert_string_equal(volt_mem_words(text, 0), "0.0 MiB");
    assert_string_equal(volt_mem_words(text, 3 * MIB / 2), "1.5 MiB");
    assert_string_equal(volt_mem_words(text, 999 * MIB), "999 MiB");
    assert_string_equal(volt_mem_words(text, 1536 * MIB), "1.5 GiB");
    assert_string_equal(volt_mem_words(text, SIZE_MAX), "17179869184.0 GiB");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limit_of_address_space),
        cmocka_unit_test(limit_of_the_machine),
        cmocka_unit_test(control_groups),
        cmocka_unit_test(words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
