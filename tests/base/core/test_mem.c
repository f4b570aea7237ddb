/* Memory scopes: each call's own figures, whatever other threads do. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/core/alloc.h"
#include "base/system/tasks.h"
#include "tests/kit/test.h"

static void take_and_return(size_t bytes)
{
    void *block = NULL;

    assert_ok(volt_alloc(&block, bytes, "a block"));
    volt_free(block);
}

static void scopes_nest_and_count_from_zero(void **state)
{
    void *before = NULL, *kept = NULL;
    volt_mem_scope outer, inner;

    (void)state;
    assert_ok(volt_alloc(&before, 1000, "a block"));
    volt_mem_scope_enter(&outer);
    take_and_return(100);
    volt_mem_scope_enter(&inner);
    assert_int_equal(volt_mem_scope_peak(&inner), 0);
    assert_ok(volt_alloc(&kept, 30, "a block"));
    take_and_return(7);
    volt_mem_scope_leave(&inner);
    take_and_return(10);
    volt_mem_scope_leave(&outer);
    take_and_return(5000);
    assert_int_equal(volt_mem_scope_peak(&inner), 37);
    assert_int_equal(volt_mem_scope_held(&inner), 30);
    assert_int_equal(volt_mem_scope_peak(&outer), 100);
    assert_int_equal(volt_mem_scope_held(&outer), 30);

    /* What was there before and goes lowers the count. */
    volt_mem_scope_enter(&outer);
    volt_free(before);
    take_and_return(300);
    volt_shrink(kept, 10);
    volt_mem_scope_leave(&outer);
    assert_int_equal(volt_mem_scope_held(&outer), -1020);
    assert_int_equal(volt_mem_scope_peak(&outer), 0);
    volt_free(kept);
}

static volt_status task(void *context, int64_t index, int threads)
{
    void *block = NULL;
    volt_status st = volt_alloc(&block, 1 << 20, "a block");

    (void)index;
    (void)threads;
    if (st == VOLT_OK)
        ((void **)context)[index] = block;
    return st;
}

static void worker_threads_count_for_their_call(void **state)
{
    void *blocks[8] = {NULL};
    volt_tasks tasks = {.run = task, .context = blocks, .count = 8, .workers = 4, .threads = 4};
    volt_mem_scope scope;

    (void)state;
    volt_mem_scope_enter(&scope);
    tasks.what = "blocks";
    assert_ok(volt_tasks_run(&tasks));
    assert_int_equal(volt_mem_scope_held(&scope), 8 << 20);
    for (int i = 0; i < 8; i++)
        volt_free(blocks[i]);
    volt_mem_scope_leave(&scope);
    assert_int_equal(volt_mem_scope_held(&scope), 0);
    assert_in_range(volt_mem_scope_peak(&scope), 8 << 20, (8 << 20) + 4096);
}

typedef struct caller {
    size_t bytes, peak;
    pthread_barrier_t *both;
} caller;

static void *call(void *argument)
{
    caller *c = argument;
    void *block = NULL;
    volt_mem_scope scope;

    volt_mem_scope_enter(&scope);
    if (volt_alloc(&block, c->bytes, "a block") == VOLT_OK)
        pthread_barrier_wait(c->both); /* both blocks are held now */
    volt_free(block);
    volt_mem_scope_leave(&scope);
    c->peak = volt_mem_scope_peak(&scope);
    return NULL;
}

static void two_threads_see_only_their_own(void **state)
{
    pthread_barrier_t both;
    caller c[2] = {{.bytes = 3000, .both = &both}, {.bytes = 70000, .both = &both}};
    pthread_t thread[2];

    (void)state;
    pthread_barrier_init(&both, NULL, 2);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, call, &c[i]), 0);
    for (int i = 0; i < 2; i++)
        pthread_join(thread[i], NULL);
    pthread_barrier_destroy(&both);
    assert_int_equal(c[0].peak, 3000);
    assert_int_equal(c[1].peak, 70000);
}

static size_t address_space(void)
{
    FILE *f = fopen("/proc/self/status", "r");
    char line[256];
    size_t kib = 0;

    while (f && fgets(line, sizeof line, f))
        (void)sscanf(line, "VmSize: %zu", &kib);
    if (f)
        fclose(f);
    return kib << 10;
}

/* In a process of its own: 160 MiB more than now, of which VOLT's blocks may not take the last.
 */
static int under_a_limit(void)
{
    const size_t now = address_space(), limit = now + ((size_t)160 << 20);
    const struct rlimit r = {limit, limit};
    void *block = NULL, *rest;

    if (now == 0 || setrlimit(RLIMIT_AS, &r) != 0 || volt_mem_machine() > limit)
        return 1;
    if (volt_alloc(&block, (size_t)130 << 20, "a test") != VOLT_ENOMEM || block)
        return 2;
    if (volt_alloc(&block, (size_t)16 << 20, "a test") != VOLT_OK)
        return 3;
    volt_free(block);
    for (int i = 0; i < 4000; i++) { /* small ones count together */
        if (volt_alloc(&block, (size_t)64 << 10, "a test") != VOLT_OK)
            break; /* leaks: the process ends */
    }
    rest = malloc((size_t)32 << 20);
    if (!rest)
        return 4;
    free(rest);
    return 0;
}

static void the_last_part_is_left_to_the_libraries(void **state)
{
    const pid_t child = fork();
    int status = -1;

    (void)state;
    assert_true(child >= 0);
    if (child == 0)
        _exit(under_a_limit());
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_part_is_left_to_the_libraries),
        cmocka_unit_test(scopes_nest_and_count_from_zero),
        cmocka_unit_test(worker_threads_count_for_their_call),
        cmocka_unit_test(two_threads_see_only_their_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
