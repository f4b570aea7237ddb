#include "tests/kit/test.h"
#include "base/system/tasks.h"

typedef struct board {
    int64_t fail_at, fail_too;
    int done[100];
    int threads;
} board;

static volt_status work(void *context, int64_t index, int threads)
{
    board *b = context;

    b->done[index]++;
    b->threads = threads;
    if (index == b->fail_at || index == b->fail_too)
        return volt_fail(VOLT_EDATA, "unit %d broke", (int)index);
    return VOLT_OK;
}

typedef struct watcher {
    bool told;
    int calls, busy;
    int64_t last;
} watcher;

static void watch(void *user, const char *what, int64_t done, int64_t total)
{
    watcher *w = user;

    assert_int_equal(w->busy++, 0); /* never two at a time */
    assert_string_equal(what, "units");
    assert_int_equal(total, 100);
    assert_int_equal(done, w->told ? w->last + 1 : 0); /* a 0 starts the clock */
    w->told = true;
    w->last = done;
    w->calls += done > 0;
    w->busy--;
}

static bool after_ten(void *user)
{
    return ((watcher *)user)->calls >= 10;
}

static void every_unit_runs_once(void **state)
{
    for (int workers = 0; workers < 9; workers++) {
        board b = {.fail_at = -1, .fail_too = -1};
        watcher w = {0};
        const volt_callbacks cb = {.user = &w, .progress = watch};
        const volt_tasks t = {work, &b, 100, workers, 8, "units", &cb};
        assert_ok(volt_tasks_run(&t));
        for (int i = 0; i < 100; i++)
            assert_int_equal(b.done[i], 1);
        assert_int_equal(w.calls, 100);
        assert_int_equal(b.threads, workers == 0 ? 1 : 8 / workers);
    }
    (void)state;
}

static void the_first_failure_is_reported_and_ends_it(void **state)
{
    board b = {.fail_at = 7, .fail_too = 8};
    const volt_tasks t = {work, &b, 100, 4, 4, "units", NULL};

    (void)state;
    for (int i = 0; i < 50; i++) {
        memset(b.done, 0, sizeof b.done);
        assert_fails(volt_tasks_run(&t), VOLT_EDATA, "unit 7 broke");
        assert_int_equal(b.done[99], 0);
    }
}

static void the_caller_can_stop_it(void **state)
{
    board b = {.fail_at = -1, .fail_too = -1};
    watcher w = {0};
    const volt_callbacks cb = {.user = &w, .progress = watch, .cancelled = after_ten};
    const volt_tasks t = {work, &b, 100, 1, 1, "units", &cb};

    (void)state;
    assert_fails(volt_tasks_run(&t), VOLT_ECANCELLED, "stopped");
    assert_int_equal(b.done[9], 1);
    assert_int_equal(b.done[10], 0);
}

static void nothing_to_do_is_done(void **state)
{
    const volt_tasks t = {work, NULL, 0, 0, 2, "units", NULL};

    (void)state;
    assert_ok(volt_tasks_run(&t));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_unit_runs_once),
        cmocka_unit_test(the_first_failure_is_reported_and_ends_it),
        cmocka_unit_test(the_caller_can_stop_it),
        cmocka_unit_test(nothing_to_do_is_done),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
